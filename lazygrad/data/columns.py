"""Named arrays whose rows belong together: gathered, checked, described.

Knows arrays only; what the rest of this folder shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..errors import OptionError, ShapeError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["common_length", "described", "named_columns", "positive"]

Array: TypeAlias = "npt.NDArray[Any]"
Columns: TypeAlias = "dict[str, Array]"


def named_columns(
    caller: str, given: Mapping[str, npt.ArrayLike] | None, named: Mapping[str, npt.ArrayLike]
) -> Columns:
    """Gather the arrays of a mapping and of keywords; a name must not come in both.

    >>> named_columns("f", {"seed": [1, 2]}, {"x": [3, 4]})
    {'seed': array([1, 2]), 'x': array([3, 4])}
    """
    first = dict(given or {})
    for name in first:
        if not isinstance(name, str):
            raise TypeError(f"{caller}: an array is named {name!r}, expected a string.")
    if twice := sorted(first.keys() & named.keys()):
        raise TypeError(f"{caller}: {twice[0]!r} is given twice, in the mapping and by keyword.")
    # asanyarray keeps a masked array masked; dropping the mask would feed its hidden values.
    return {name: np.asanyarray(array) for name, array in {**first, **named}.items()}


def common_length(caller: str, columns: Mapping[str, Array]) -> int:
    """Count the rows that all columns have; anything else is a `ShapeError`.

    >>> common_length("f", {"x": np.zeros((3, 2)), "t": np.arange(3)})
    3
    """
    if not columns:
        raise OptionError(f"{caller}: no arrays are given, expected at least one.")
    for name, column in columns.items():
        if column.ndim == 0:
            raise ShapeError(f"{caller}: {name} is a scalar, expected an array with rows.")
    (first, reference), *others = columns.items()
    for name, column in others:
        if len(column) != len(reference):
            raise ShapeError(
                f"{caller}: lengths differ, {first} has {len(reference)} rows "
                f"and {name} has {len(column)}.\n"
                f"  {first}: {described(reference)}\n"
                f"  {name}: {described(column)}"
            )
    return len(reference)


def described(array: Array) -> str:
    """Write dtype and shape.

    >>> described(np.zeros((2, 3), "float32"))
    'float32[2, 3]'
    """
    return f"{array.dtype}{list(array.shape)}"


def positive(caller: str, name: str, number: int, least: int = 1) -> int:
    """Give a whole number that is at least *least*, or an `OptionError`.

    >>> positive("f", "batch_size", 3)
    3
    """
    count = index(number)
    if count < least:
        raise OptionError(f"{caller}: {name} is {count}, expected at least {least}.")
    return count
