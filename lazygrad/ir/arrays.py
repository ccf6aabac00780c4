"""Arrays at the door: what users hand in becomes a plain, supported NumPy array, or an error.

Knows NumPy; knows nothing of nodes.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..errors import DTypeError, ShapeError, SymbolicError
from ..spec import DType, as_dtype
from .op import Array

__all__ = ["cast_array", "integer_limits", "plain_array"]


def plain_array(data: object) -> Array:
    """Give *data* as a plain native array; it may share memory with what was given.

    Lists, scalars, pandas objects, memory maps, strided, read-only and byte-swapped arrays are
    accepted. Object, text, time and complex dtypes, ragged lists and set masks are refused.
    """
    if type(data) is not np.ndarray:
        data = _unwrapped(data)
    if not data.dtype.isnative:
        data = data.astype(data.dtype.newbyteorder("="))
    if data.dtype.kind not in "biuf":
        _refuse(data)
    return data


def integer_limits(dtype: DType) -> tuple[int, int]:
    """Give the smallest and the largest number of an integer dtype."""
    limits: Any = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def cast_array(array: Array, dtype: DType) -> Array:
    """Convert bools to anything, integers to floats, floats to floats, and integers that fit.

    Anything else is refused with a DTypeError.
    """
    if array.dtype == dtype:
        return array
    if array.dtype.kind in "iu" and dtype.kind in "iu":
        least, most = integer_limits(dtype)
        if array.size and not least <= int(array.min()) <= int(array.max()) <= most:
            raise DTypeError(f"values from {array.min()} to {array.max()} don't fit {dtype.name}.")
    elif array.dtype.kind != "b" and dtype.kind != "f":
        raise DTypeError(
            f"{array.dtype.name} data can't become {dtype.name} without losing information;"
            " convert it yourself if that is meant."
        )
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def _unwrapped(data: object) -> Array:
    # Whoever has a masked array has imported the module; nobody else should wait for it.
    masked = sys.modules.get("numpy.ma")
    if masked is not None and isinstance(data, masked.MaskedArray):
        if masked.is_masked(data):
            raise DTypeError(
                "a masked array with masked entries has no value there;"
                " fill it first, for example data.filled(0)."
            )
        return np.asarray(data.data)
    try:
        return np.asarray(data)
    except SymbolicError as error:
        if not isinstance(data, (list, tuple)):
            raise
        _, *rows = str(error).split("\n")
        fact = (
            "a list of nodes is not an array; np.stack([...]) joins them, .data has their values."
        )
        raise SymbolicError("\n".join([fact, *rows])) from None
    except ValueError as error:
        if "inhomogeneous" in str(error):
            raise ShapeError(
                "a ragged nested list is not an array; its rows have unequal lengths."
            ) from None
        raise


def _refuse(array: Array) -> None:
    if array.dtype.kind == "O":
        kinds = sorted({type(entry).__name__ for entry in array.reshape(-1)[:100]})
        if array.ndim == 0 and kinds == ["int"]:
            bits = array.item().bit_length()
            raise DTypeError(f"an integer of {bits} bits is too large for any integer dtype.")
        if array.ndim == 0:
            raise DTypeError(f"{kinds[0]} is not an array of numbers.")
        raise DTypeError(f"an array of Python objects ({', '.join(kinds)}) can't be computed with.")
    if array.dtype.kind in "SUT":
        raise DTypeError("text can't be computed with; give it numbers, for example class indices.")
    as_dtype(array.dtype)
    raise DTypeError(f"dtype {array.dtype.name} is not supported.")
