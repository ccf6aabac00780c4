"""Fold constants: what is known now is computed now."""

from __future__ import annotations

import numpy as np

from ..ir.compute import compute_node
from ..ir.graph import Graph
from ..ir.op import Trait, Writes
from ..ir.value import CONSTANT, LENGTH, Value, make

__all__ = ["fold_constants"]

# A folded result may not be much larger than what it is folded from.
_LARGE = 4096


def fold_constants(graph: Graph) -> Graph:
    """Replace nodes whose operands are all constants by their value; variables stay.

    >>> from lazygrad.ir.value import constant
    >>> [node.op.name for node in fold_constants(Graph([constant(2.0) + 3.0])).nodes]
    ['constant']
    """
    return graph.rebuild(_folded)


def _folded(node: Value) -> Value:
    if node.op is LENGTH and isinstance(node.attrs["length"], int):
        return _constant_like(node, np.asarray(node.attrs["length"], node.spec.dtype))
    if not node.operands or type(node.spec) is tuple or not node.spec.is_static:
        return node
    if any(operand.op is not CONSTANT for operand in node.operands):
        return node
    if Trait.STATEFUL in node.op.traits or node.op.writes is Writes.FRESH or _grows(node):
        return node
    with np.errstate(all="ignore"):
        array = compute_node(node, [operand.attrs["value"] for operand in node.operands])
    return _constant_like(node, array)


def _grows(node: Value) -> bool:
    size = int(np.prod(node.spec.shape))  # type: ignore[arg-type]
    known = sum(operand.attrs["value"].size for operand in node.operands)
    return size > max(_LARGE, 2 * known)


def _constant_like(node: Value, array: np.ndarray) -> Value:
    array = np.array(array, order="C")
    array.flags.writeable = False
    return make(CONSTANT, (), {"value": array}, node.spec, like=node)
