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
    from ..lengths import Length
    from ..spec import DTypeLike

__all__ = [
    "count",
    "float_dtype",
    "float_operand",
    "known",
    "rate_between",
    "reduced",
    "require_length",
]

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
