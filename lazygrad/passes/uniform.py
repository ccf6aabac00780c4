"""Values that hold one number throughout: constants, and constants broadcast to a shape."""

from __future__ import annotations

import numpy as np

from ..ir.op import Array, Op, lookup
from ..ir.value import CONSTANT, Value, make
from ..spec import Spec

__all__ = ["constant_like", "full", "is_broadcast", "number_of", "without_broadcast"]

# Larger constants are taken for what they are most often: not uniform.
_LOOKED_INTO = 64


def is_broadcast(op: Op) -> bool:
    """Whether an operation repeats its operand to a shape."""
    return op.name == "broadcast_to"


def without_broadcast(node: Value) -> Value:
    """Give a node as it was before it was repeated."""
    while node.op.name == "broadcast_to":
        node = node.operands[0]
    return node


def number_of(node: Value) -> float | int | bool | None:
    """Give the number that a node is known to hold everywhere, or None."""
    node = without_broadcast(node)
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


def constant_like(node: Value, array: Array) -> Value:
    """Make a constant of *array*, copied, in the place of *node*."""
    array = np.array(array, node.spec.dtype, order="C")
    array.flags.writeable = False
    spec = Spec(array.shape, array.dtype)
    made = make(CONSTANT, (), {"value": array}, spec, like=node)
    made.requires_grad = False
    return made


def full(node: Value, number: float) -> Value:
    """Give one number everywhere in the place of *node*: a constant without axes, broadcast."""
    scalar = constant_like(node, np.asarray(number, node.spec.dtype))
    shape = node.spec.shape
    if shape == ():
        return scalar
    wide = make(lookup("broadcast_to"), (scalar,), {"shape": shape}, node.spec, like=node)
    wide.requires_grad = False
    return wide
