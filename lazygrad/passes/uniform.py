"""Values that hold one number throughout: constants, and constants broadcast to a shape."""

from __future__ import annotations

import numpy as np

from ..ir.op import Op, lookup
from ..ir.value import CONSTANT, Value, make
from ..spec import DType, Shape, Spec

__all__ = ["full", "is_broadcast", "number_of"]

# Larger constants are taken for what they are most often: not uniform.
_LOOKED_INTO = 64


def is_broadcast(op: Op) -> bool:
    """Whether an operation repeats its operand to a shape."""
    return op.name == "broadcast_to"


def number_of(node: Value) -> float | int | bool | None:
    """Give the number that a node is known to hold everywhere, or None."""
    while node.op.name == "broadcast_to":
        node = node.operands[0]
    if node.op is not CONSTANT:
        return None
    array = node.attrs["value"]
    if array.size != 1 and (not array.size or array.size > _LOOKED_INTO or not _is_one(array)):
        return None
    number: float | int | bool = array.flat[0].item()
    return number


def _is_one(array: np.ndarray) -> bool:
    # Bytes tell 0.0 from -0.0.
    raw = array.tobytes()
    return raw == raw[: array.itemsize] * array.size


def full(shape: Shape, number: float, dtype: DType, like: Value) -> Value:
    """Make a uniform value in the place of *like*: a constant without axes, broadcast."""
    array = np.array(number, dtype)
    array.flags.writeable = False
    scalar = make(CONSTANT, (), {"value": array}, Spec((), dtype), like=like)
    if shape == ():
        return scalar
    return make(lookup("broadcast_to"), (scalar,), {"shape": shape}, Spec(shape, dtype), like=like)
