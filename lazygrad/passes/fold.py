"""Fold constants: what is known now is computed now."""

from __future__ import annotations

import operator

import numpy as np

from ..ir.compute import compute_node
from ..ir.graph import Graph
from ..ir.op import Array, Trait, Writes
from ..ir.value import CONSTANT, LENGTH, Value
from .uniform import constant_like, is_broadcast, without_broadcast

__all__ = ["fold_constants", "folded", "materialize_constants"]

# A folded result may not be much larger than what it is folded from.
_LARGE = 4096


def fold_constants(graph: Graph) -> Graph:
    """Replace nodes whose operands are all constants by their value; variables stay.

    A broadcast constant counts as one and is left as it is: it costs nothing.

    >>> from lazygrad.ir.value import constant
    >>> [node.op.name for node in fold_constants(Graph([constant(2.0) + 3.0])).nodes]
    ['constant']
    """
    return graph.rebuild(folded)


def materialize_constants(graph: Graph) -> Graph:
    """Lay small broadcast constants out in memory for kernels that read them with strides.

    Elementwise operations read them as they are, at no cost.

    >>> from lazygrad.ir.value import constant
    >>> x = Value(shape=(2, 2), name="x")
    >>> graph = materialize_constants(Graph([constant(1.0).broadcast_to((2, 2)) @ x]))
    >>> [node.op.name for node in graph.nodes]
    ['placeholder', 'constant', 'matmul']
    """
    return graph.rebuild(_materialized)


def _materialized(node: Value) -> Value:
    if Trait.ELEMENTWISE in node.op.traits or node.op.writes is Writes.VIEW:
        return node
    for operand in node.operands:
        if is_broadcast(operand.op) and without_broadcast(operand).op is CONSTANT:
            operands = tuple(map(_laid_out, node.operands))
            unchanged = all(map(operator.is_, operands, node.operands))
            return node if unchanged else node.with_operands(operands)
    return node


def _laid_out(node: Value) -> Value:
    if not is_broadcast(node.op) or not node.spec.is_static or _size(node) > _LARGE:
        return node
    array = _known(node)
    return node if array is None else constant_like(node, array)


def folded(node: Value) -> Value:
    """Give a node's value as a constant where all its operands are constants, else the node."""
    operands = node.operands
    if not operands:
        if node.op is LENGTH and isinstance(node.attrs["length"], int):
            return constant_like(node, np.asarray(node.attrs["length"], node.spec.dtype))
        return node
    for operand in operands:
        if operand.op is not CONSTANT and not is_broadcast(operand.op):
            return node
    if node.several or not node.spec.is_static or is_broadcast(node.op):
        return node
    if Trait.STATEFUL in node.op.traits or node.op.writes is Writes.FRESH:
        return node
    known = [_known(operand) for operand in operands]
    if any(array is None for array in known) or _grows(node):
        return node
    with np.errstate(all="ignore"):
        array = compute_node(node, known)
    return constant_like(node, array)


def _known(node: Value) -> Array | None:
    """Give the array that a constant, or a broadcast one of no great size, holds."""
    if node.op is CONSTANT:
        array: Array = node.attrs["value"]
        return array
    if not node.spec.is_static or _size(node) > _LARGE:
        return None
    below = without_broadcast(node)
    if below.op is not CONSTANT:
        return None
    return np.broadcast_to(below.attrs["value"], node.spec.shape)  # type: ignore[arg-type]


def _size(node: Value) -> int:
    return int(np.prod(node.spec.shape))  # type: ignore[arg-type]


def _stored(node: Value) -> int:
    return _size(without_broadcast(node))


def _grows(node: Value) -> bool:
    return _size(node) > max(_LARGE, 2 * sum(_stored(operand) for operand in node.operands))
