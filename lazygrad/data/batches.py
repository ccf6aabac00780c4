"""Cut arrays into minibatches and into a training and a test part. Rows stay together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import index
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from lazygrad.errors import ShapeError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["minibatches", "train_test_split"]

Array: TypeAlias = "npt.NDArray[Any]"


def minibatches(
    arrays: Mapping[str, npt.ArrayLike] | None = None,
    /,
    *,
    batch_size: int,
    shuffle: bool = False,
    seed: int | np.random.Generator | None = None,
    drop_last: bool = False,
    **named: npt.ArrayLike,
) -> Iterator[dict[str, Array]]:
    """Go once through *arrays* in batches, each a dict that feeds placeholders by name.

    Parameters
    ----------
    arrays : mapping of str to array, optional
        More arrays by name; the way to name one like an option, ``{"seed": ...}``.
    batch_size : int
        Rows per batch. The last batch is smaller if the length is no multiple of it.
    shuffle : bool
        Draw a random order of the rows; batches are then copies, otherwise views.
    seed : int, Generator or None
        The same integer gives the same order in each call. One Generator, passed to the call of
        each epoch, gives each epoch an order of its own. None is different each time.
    drop_last : bool
        Leave a last smaller batch out.
    **named : array
        Arrays of any rank and dtype whose first lengths are equal.

    Returns
    -------
    iterator of dict
        Name to array of shape (rows, ...), in the order given.

    Examples
    --------
    >>> for batch in minibatches(x=np.arange(5), t=[0, 1, 0, 1, 0], batch_size=2):
    ...     print(batch["x"], batch["t"])
    [0 1] [0 1]
    [2 3] [0 1]
    [4] [0]
    """
    given = dict(arrays or {})
    if twice := sorted(given.keys() & named.keys()):
        raise TypeError(f"minibatches: {twice[0]!r} is given twice, in the mapping and by keyword.")
    # asanyarray keeps a masked array masked; dropping the mask would feed its hidden values.
    columns = {name: np.asanyarray(array) for name, array in {**given, **named}.items()}
    length = _common_length("minibatches", columns)
    size = index(batch_size)
    if size < 1:
        raise ValueError(f"minibatches: batch_size is {size}, expected at least 1.")
    order = np.random.default_rng(seed).permutation(length) if shuffle else None
    end = length - length % size if drop_last else length
    return _cut(columns, order, end, size)


def train_test_split(
    *arrays: npt.ArrayLike,
    test_fraction: float = 0.2,
    seed: int | np.random.Generator | None = 0,
) -> tuple[Array, ...]:
    """Split rows at random into a training and a test part, all *arrays* alike.

    Parameters
    ----------
    *arrays : array
        Arrays of any rank and dtype whose first lengths are equal.
    test_fraction : float
        The test part gets ``round(test_fraction * length)`` rows, the training part the others.
    seed : int, Generator or None
        The same integer gives the same split. A Generator is drawn from. None is different each
        time.

    Returns
    -------
    tuple of arrays
        Copies: training part and test part of the first array, then of the second, and so on.

    Examples
    --------
    >>> x_train, x_test, t_train, t_test = train_test_split(np.eye(10), np.arange(10))
    >>> x_train.shape, x_test.shape, t_train.shape, t_test.shape
    ((8, 10), (2, 10), (8,), (2,))
    """
    columns = {f"array {place}": np.asanyarray(array) for place, array in enumerate(arrays)}
    length = _common_length("train_test_split", columns)
    if not 0 < test_fraction < 1:
        raise ValueError(
            f"train_test_split: test_fraction is {test_fraction}, "
            "expected more than 0, less than 1."
        )
    held_out = round(test_fraction * length)
    if not 0 < held_out < length:
        raise ValueError(
            f"train_test_split: test_fraction {test_fraction} of {length} rows leaves "
            f"{length - held_out} for training and {held_out} for the test, expected some for each."
        )
    order = np.random.default_rng(seed).permutation(length)
    test, train = order[:held_out], order[held_out:]
    return tuple(column[rows] for column in columns.values() for rows in (train, test))


def _common_length(caller: str, columns: Mapping[str, Array]) -> int:
    if not columns:
        raise ValueError(f"{caller}: no arrays are given, expected at least one.")
    for name, column in columns.items():
        if column.ndim == 0:
            raise ShapeError(f"{caller}: {name} is a scalar, expected an array with rows.")
    (first, reference), *others = columns.items()
    for name, column in others:
        if len(column) != len(reference):
            raise ShapeError(
                f"{caller}: lengths differ, {first} has {len(reference)} rows "
                f"and {name} has {len(column)}.\n"
                f"  {first}: {reference.dtype}{list(reference.shape)}\n"
                f"  {name}: {column.dtype}{list(column.shape)}"
            )
    return len(reference)


def _cut(
    columns: Mapping[str, Array], order: npt.NDArray[np.int64] | None, end: int, size: int
) -> Iterator[dict[str, Array]]:
    for start in range(0, end, size):
        rows = slice(start, min(start + size, end))
        chosen = rows if order is None else order[rows]
        yield {name: column[chosen] for name, column in columns.items()}
