"""A record of named arrays with equally many rows. Knows arrays only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import index
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..errors import AxisError, DTypeError, OptionError, ShapeError
from .batches import split_rows
from .columns import Array, Columns, common_length, described, named_columns

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Dataset"]


class Dataset:
    """Arrays by name whose rows belong together; one row is one sample.

    The arrays are kept, not copied, and never written. What changes rows or arrays gives a new
    dataset.

    Parameters
    ----------
    arrays : mapping of str to array, optional
        More arrays by name; the way to name one like a Python keyword.
    **named : array
        Arrays of any rank and dtype whose first lengths are equal.

    Examples
    --------
    >>> data = lg.data.Dataset(x=np.arange(8.0).reshape(4, 2), t=[0, 1, 1, 0])
    >>> data
    Dataset(4 rows: x float64[2], t int64[])
    >>> len(data), data[1]
    (4, {'x': array([2., 3.]), 't': np.int64(1)})
    >>> data[:2], data[[0, 3]]["t"], data["t"]
    (Dataset(2 rows: x float64[2], t int64[]), array([0, 0]), array([0, 1, 1, 0]))
    """

    __slots__ = ("_columns", "_length")

    def __init__(
        self, arrays: Mapping[str, npt.ArrayLike] | None = None, /, **named: npt.ArrayLike
    ) -> None:
        self._columns = named_columns("Dataset", arrays, named)
        self._length = common_length("Dataset", self._columns)

    @classmethod
    def from_iterable(cls, rows: Iterable[Mapping[str, npt.ArrayLike]]) -> Dataset:
        """Stack rows, each a mapping of the same names to arrays of the same shapes.

        >>> lg.data.Dataset.from_iterable({"x": [n, n * n], "t": n % 2} for n in range(3))["x"]
        array([[0, 0], [1, 1], [2, 4]])
        """
        return cls(_stacked("from_iterable", rows))

    @property
    def arrays(self) -> Mapping[str, Array]:
        """The arrays by name; the mapping can't be written.

        >>> dict(lg.data.Dataset(x=[1, 2]).arrays)
        {'x': array([1, 2])}
        """
        return MappingProxyType(self._columns)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Columns]:
        return (self[row] for row in range(self._length))

    @overload
    def __getitem__(self, rows: str) -> Array: ...
    @overload
    def __getitem__(self, rows: int | np.integer[Any]) -> Columns: ...
    @overload
    def __getitem__(self, rows: slice | list[int] | list[bool] | Array) -> Dataset: ...
    def __getitem__(
        self, rows: str | int | np.integer[Any] | slice | list[int] | list[bool] | Array
    ) -> Array | Columns | Dataset:
        """Give one array by its name, one row as a dict, or several rows as a dataset.

        A slice gives views, an array of row numbers or of booleans copies.
        """
        if isinstance(rows, str):
            if rows not in self._columns:
                raise KeyError(f"Dataset: no array {rows!r}, there is {', '.join(self._columns)}.")
            return self._columns[rows]
        if isinstance(rows, slice):
            return Dataset({name: column[rows] for name, column in self._columns.items()})
        if np.ndim(rows) == 0 and not isinstance(rows, bool | np.bool_):
            row = index(rows)  # type: ignore[arg-type]
            self._check_rows(row, row)
            return {name: column[row] for name, column in self._columns.items()}
        chosen = self._row_numbers(np.asarray(rows))
        return Dataset({name: column[chosen] for name, column in self._columns.items()})

    def __repr__(self) -> str:
        columns = (
            f"{name} {column.dtype}{list(column.shape[1:])}"
            for name, column in self._columns.items()
        )
        rows = "row" if self._length == 1 else "rows"
        return f"Dataset({self._length} {rows}: {', '.join(columns)})"

    def map(self, function: Callable[[Columns], Mapping[str, npt.ArrayLike]]) -> Dataset:
        """Call *function* with each row, a dict, and stack the rows that it gives.

        Python runs once per row; `transform` is faster where NumPy can do all rows at once.

        >>> data = lg.data.Dataset(x=[[3.0, 4.0], [0.0, 1.0]])
        >>> data.map(lambda row: {**row, "norm": np.hypot(*row["x"])})["norm"]
        array([5., 1.])
        """
        return Dataset(_stacked("map", map(function, self)))

    def transform(self, function: Callable[[Columns], Mapping[str, npt.ArrayLike]]) -> Dataset:
        """Call *function* once with all arrays, a dict, and take the arrays that it gives.

        It may add and leave out names and rows, and must not write into what it is given.

        >>> data = lg.data.Dataset(x=[0, 51, 255], t=[0, 1, 1])
        >>> data.transform(lambda arrays: {**arrays, "x": arrays["x"] / 255})["x"]
        array([0. , 0.2, 1. ])
        """
        given = function(dict(self._columns))
        if not isinstance(given, Mapping):
            raise TypeError(
                f"transform: the function gave a {type(given).__name__}, "
                "expected a mapping of names to arrays."
            )
        return Dataset(given)

    def shuffled(self, seed: int | np.random.Generator | None) -> Dataset:
        """Give all rows in random order; the same integer gives the same order.

        >>> sorted(lg.data.Dataset(x=np.arange(4)).shuffled(seed=0)["x"].tolist())
        [0, 1, 2, 3]
        """
        return self[np.random.default_rng(seed).permutation(self._length)]

    def split(
        self,
        test_fraction: float = 0.2,
        *,
        seed: int | np.random.Generator | None = 0,
        stratify: npt.ArrayLike | None = None,
    ) -> tuple[Dataset, Dataset]:
        """Split rows at random into a training and a test part, as `train_test_split` does.

        *stratify* is the class of each row, or the name of the array that holds it.

        >>> data = lg.data.Dataset(x=np.eye(10), t=np.arange(10) % 2)
        >>> train, test = data.split(0.4, stratify="t")
        >>> len(train), len(test), np.bincount(test["t"])
        (6, 4, array([2, 2]))
        """
        classes = self[stratify] if isinstance(stratify, str) else stratify
        train, test = split_rows("split", self._length, test_fraction, seed, classes)
        return self[train], self[test]

    def _row_numbers(self, rows: Array) -> Array:
        if rows.ndim != 1:
            raise ShapeError(
                f"Dataset: rows are chosen by {described(rows)}, expected one dimension."
            )
        if rows.dtype == np.bool_:
            if len(rows) != self._length:
                raise AxisError(
                    f"Dataset: rows are chosen by {described(rows)}, expected {self._length} of "
                    "bool, one for each row."
                )
            return rows
        if not len(rows):
            return rows.astype(np.intp)
        if rows.dtype.kind not in "iu":
            raise DTypeError(
                f"Dataset: rows are chosen by {described(rows)}, expected integers or bool."
            )
        self._check_rows(int(rows.min()), int(rows.max()))
        return rows

    def _check_rows(self, lowest: int, highest: int) -> None:
        for row in (lowest, highest):
            if not -self._length <= row < self._length:
                raise AxisError(f"Dataset: there is no row {row}, there are {self._length} rows.")


def _stacked(caller: str, rows: Iterable[Mapping[str, npt.ArrayLike]]) -> Columns:
    """Stack the rows of each name; every row must have the names and shapes of the first."""
    columns: dict[str, list[Array]] = {}
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise TypeError(
                f"{caller}: row {place} is a {type(row).__name__}, "
                "expected a mapping of names to arrays."
            )
        if not place:
            columns = {name: [] for name in row}
        if row.keys() != columns.keys():
            raise OptionError(
                f"{caller}: row {place} has {_listed(row)}, the first row has {_listed(columns)}."
            )
        for name, entries in columns.items():
            entry = np.asanyarray(row[name])
            if entries and entry.shape != entries[0].shape:
                raise ShapeError(
                    f"{caller}: {name} is {described(entry)} in row {place}, "
                    f"{described(entries[0])} in the first row."
                )
            entries.append(entry)
    if not columns:
        raise OptionError(f"{caller}: there are no rows, so their names and shapes are unknown.")
    # np.stack would drop masks.
    return {
        name: (np.ma.stack if any(map(np.ma.isMaskedArray, entries)) else np.stack)(entries)
        for name, entries in columns.items()
    }


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "no names"
