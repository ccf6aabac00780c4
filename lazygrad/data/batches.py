"""Cut arrays into minibatches and into a training and a test part. Rows stay together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias, overload

import numpy as np

from ..errors import OptionError, ShapeError
from .columns import Array, Columns, common_length, named_columns, positive

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["minibatches", "split_rows", "train_test_split"]

Rows: TypeAlias = "npt.NDArray[np.intp]"


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
    columns = named_columns("minibatches", arrays, named)
    length = common_length("minibatches", columns)
    size = positive("minibatches", "batch_size", batch_size)
    order = np.random.default_rng(seed).permutation(length) if shuffle else None
    end = length - length % size if drop_last else length
    return _cut(columns, order, end, size)


@overload
def train_test_split(
    arrays: Mapping[str, npt.ArrayLike] = ...,
    /,
    *,
    test_fraction: float = ...,
    seed: int | np.random.Generator | None = ...,
    stratify: npt.ArrayLike | None = ...,
    **named: npt.ArrayLike,
) -> tuple[Columns, Columns]: ...


@overload
def train_test_split(
    *arrays: npt.ArrayLike,
    test_fraction: float = ...,
    seed: int | np.random.Generator | None = ...,
    stratify: npt.ArrayLike | None = ...,
) -> tuple[Array, ...]: ...


def train_test_split(
    *arrays: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    test_fraction: float = 0.2,
    seed: int | np.random.Generator | None = 0,
    stratify: npt.ArrayLike | None = None,
    **named: npt.ArrayLike,
) -> tuple[Array, ...] | tuple[Columns, Columns]:
    """Split rows at random into a training and a test part, all *arrays* alike.

    Parameters
    ----------
    *arrays : array
        Arrays of any rank and dtype whose first lengths are equal; or one mapping of names to
        arrays.
    test_fraction : float
        The test part gets ``round(test_fraction * length)`` rows, the training part the others.
    seed : int, Generator or None
        The same integer gives the same split. A Generator is drawn from. None is different each
        time.
    stratify : array of shape (rows,), optional
        The class of each row. Each class has the same share of both parts, as near as whole rows
        allow.
    **named : array
        The arrays by name, instead of by position.

    Returns
    -------
    tuple of arrays
        Copies: training part and test part of the first array, then of the second, and so on.
    tuple of two dicts
        For arrays by name: the training part and the test part.

    Examples
    --------
    >>> x_train, x_test, t_train, t_test = train_test_split(np.eye(10), np.arange(10))
    >>> x_train.shape, x_test.shape, t_train.shape, t_test.shape
    ((8, 10), (2, 10), (8,), (2,))
    >>> t = np.repeat([0, 1], [15, 5])
    >>> train, test = train_test_split(x=np.eye(20), t=t, stratify=t)
    >>> np.bincount(train["t"]), np.bincount(test["t"])
    (array([12,  4]), array([3, 1]))
    """
    mappings = [array for array in arrays if isinstance(array, Mapping)]
    placed = {
        f"array {place}": array
        for place, array in enumerate(arrays)
        if not isinstance(array, Mapping)
    }
    by_name = bool(mappings or named)
    if len(mappings) > 1 or (by_name and placed):
        raise TypeError(
            "train_test_split: arrays come by position and by name or in several mappings, "
            "expected all by position or all by name."
        )
    columns = named_columns("train_test_split", mappings[0] if mappings else placed, named)
    length = common_length("train_test_split", columns)
    train, test = split_rows("train_test_split", length, test_fraction, seed, stratify)
    if by_name:
        first = {name: column[train] for name, column in columns.items()}
        return first, {name: column[test] for name, column in columns.items()}
    return tuple(column[rows] for column in columns.values() for rows in (train, test))


def split_rows(
    caller: str,
    length: int,
    test_fraction: float,
    seed: int | np.random.Generator | None,
    stratify: npt.ArrayLike | None,
) -> tuple[Rows, Rows]:
    """Draw the rows of the training part and of the test part.

    >>> train, test = split_rows("f", 5, 0.2, 0, None)
    >>> sorted([*train.tolist(), *test.tolist()])
    [0, 1, 2, 3, 4]
    """
    if not 0 < test_fraction < 1:
        raise OptionError(
            f"{caller}: test_fraction is {test_fraction}, expected more than 0, less than 1."
        )
    held_out = round(test_fraction * length)
    if not 0 < held_out < length:
        raise OptionError(
            f"{caller}: test_fraction {test_fraction} of {length} rows leaves "
            f"{length - held_out} for training and {held_out} for the test, expected some for each."
        )
    generator = np.random.default_rng(seed)
    order = generator.permutation(length)
    if stratify is None:
        return order[held_out:], order[:held_out]
    classes = np.asanyarray(stratify)
    if classes.shape != (length,):
        raise ShapeError(
            f"{caller}: stratify has shape {list(classes.shape)}, "
            f"expected the class of each row, [{length}]."
        )
    is_test = _first_of_each(classes[order], held_out, test_fraction, generator)
    return order[~is_test], order[is_test]


def _first_of_each(
    classes: Array, held_out: int, share: float, generator: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Mark *held_out* rows: of each class its share, by the method of largest remainders."""
    _, codes, counts = np.unique(classes, return_inverse=True, return_counts=True)
    exact = share * counts
    quota = np.floor(exact).astype(np.intp)
    lots = generator.permutation(len(counts))
    by_remainder = lots[np.argsort(quota[lots] - exact[lots], kind="stable")]
    quota[by_remainder[: held_out - quota.sum()]] += 1
    sorted_rows = np.argsort(codes, kind="stable")
    rank = np.empty(len(codes), np.intp)
    rank[sorted_rows] = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(rank < quota[codes])


def _cut(
    columns: Mapping[str, Array], order: npt.NDArray[np.int64] | None, end: int, size: int
) -> Iterator[dict[str, Array]]:
    for start in range(0, end, size):
        rows = slice(start, min(start + size, end))
        chosen = rows if order is None else order[rows]
        yield {name: column[chosen] for name, column in columns.items()}
