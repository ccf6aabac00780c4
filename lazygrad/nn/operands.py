"""What layers and losses ask of what they are given: a float dtype, axes, lengths, options."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from ..errors import DTypeError, OptionError, PrecisionWarning, ShapeError
from ..ir.value import Value, constant
from ..location import Location, user_location
from ..ops import astype, mean, sum as total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..lengths import Length
    from ..spec import DTypeLike

__all__ = [
    "PerAxis",
    "Reduction",
    "count",
    "float_dtype",
    "float_operand",
    "known",
    "per_axis",
    "rate_between",
    "reduced",
    "require_length",
    "shown",
    "spatial_axes",
]

PerAxis: TypeAlias = "int | Sequence[int]"
Reduction: TypeAlias = Literal["mean", "sum", "none"]

# Lines that were told already: a layer in a loop says it once.
_WARNED: set[tuple[Location, str]] = set()


def float_operand(layer: str, x: Any, dtype: Any) -> Value:
    """Give *x* as a float node: integers and bools take on the layer's dtype, floats the wider.

    Where data is wider than the layer, a PrecisionWarning says so, once for a line of the user's.
    Raises DTypeError for anything that is not a number.
    """
    node = x if isinstance(x, Value) else constant(x)
    if node.dtype.kind == "f":
        wider = np.result_type(node.dtype, dtype)
        if wider != dtype:
            _warn_of_precision(layer, node, np.dtype(dtype))
        return astype(node, wider)
    if node.dtype.kind not in "iub":
        raise DTypeError(f"{layer}: needs numbers, got {node.spec}.")
    return astype(node, dtype)


def _warn_of_precision(layer: str, node: Value, dtype: np.dtype[Any]) -> None:
    where = user_location()
    if where is None or (where, layer) in _WARNED:
        return
    _WARNED.add((where, layer))
    named = f" {node.name!r}" if node.name else ""
    warnings.warn_explicit(
        f"{layer}: {node.dtype.name} data{named} meets {dtype.name} parameters, so this and all"
        f" that follows is computed in {node.dtype.name}; declare the data with"
        f' dtype="{dtype.name}", or the layer with dtype="{node.dtype.name}".',
        PrecisionWarning,
        where.file,
        where.line,
    )


def float_dtype(layer: str, dtype: DTypeLike) -> np.dtype[Any]:
    """Read the dtype of a layer's parameters; raises DTypeError for any that is no float."""
    read: np.dtype[Any] = np.dtype(dtype)
    if read.kind != "f":
        raise DTypeError(f"{layer}: dtype must be a float type, got {read.name}.")
    return read


def known(length: int | Length) -> int | None:
    """Give a length that is known now, or None for one that is bound when a program runs."""
    return length if isinstance(length, int) else None


def require_length(layer: str, x: Value, axis: int, expected: int, what: str = "features") -> None:
    """Raise ShapeError where *axis* is known to have another length than the layer expects."""
    got = known(x.shape[axis])
    if got is not None and got != expected:
        raise ShapeError(
            f"{layer}: expected {expected} {what} along axis {axis}, got {got} in {x.spec}."
        )


def count(layer: str, name: str, number: object) -> int:
    """Read a positive number of things; raises OptionError for anything else."""
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
        raise OptionError(f"{layer}: {name} must be a positive integer, got {number!r}.")
    return int(number)


def per_axis(layer: str, name: str, given: PerAxis, rank: int) -> tuple[int, ...]:
    """Read a positive number for each of *rank* axes, given once for all or one by one."""
    entries = tuple(given) if isinstance(given, (tuple, list)) else (given,) * rank
    if len(entries) != rank:
        raise OptionError(
            f"{layer}: {name} needs one number for each of {rank} axes, got {given!r}."
        )
    return tuple(count(layer, name, entry) for entry in entries)


def shown(numbers: Sequence[object]) -> str:
    """Write numbers of axes, once where all are equal."""
    return str(numbers[0] if len(set(numbers)) == 1 else tuple(numbers))


def spatial_axes(rank: int) -> str:
    """Name the spatial axes of data of so many."""
    return {1: "length", 2: "height, width", 3: "depth, height, width"}[rank]


def rate_between(layer: str, name: str, number: object) -> float:
    """Read a number from 0 to 1; raises OptionError for anything else."""
    is_number = isinstance(number, (int, float, np.integer, np.floating))
    if not is_number or isinstance(number, bool) or not 0 <= number <= 1:  # type: ignore[operator]
        raise OptionError(f"{layer}: {name} must be a number from 0 to 1, got {number!r}.")
    return float(number)  # type: ignore[arg-type]


def reduced(name: str, loss: Value, reduction: str) -> Value:
    """Give the mean or the sum of all entries of a loss, or the entries."""
    if reduction == "mean":
        return mean(loss)
    if reduction == "sum":
        return total(loss)
    if reduction == "none":
        return loss
    raise OptionError(f"{name}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}.")
