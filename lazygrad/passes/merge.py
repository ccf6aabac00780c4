"""Merge equal nodes: what is written twice is computed once."""

from __future__ import annotations

from typing import Any

from ..ir.graph import Graph
from ..ir.op import Trait
from ..ir.value import CONSTANT, LENGTH, Value

__all__ = ["merge_equal_nodes", "node_key"]


def merge_equal_nodes(graph: Graph) -> Graph:
    """Keep one node of each operation, operands and attributes; variables are never merged.

    >>> x = Value(shape=(3,), name="x")
    >>> merged = merge_equal_nodes(Graph([abs(x) + abs(x)]))
    >>> [node.op.name for node in merged.nodes]
    ['placeholder', 'absolute', 'add']
    """
    first: dict[Any, Value] = {}

    def visit(node: Value) -> Value:
        key = node_key(node)
        return node if key is None else first.setdefault(key, node)

    return graph.rebuild(visit)


def node_key(node: Value) -> Any:
    """Give what a node has in common with those equal to it; None if it is like no other."""
    op = node.op
    traits = op.traits
    if Trait.LEAF in traits:
        return _leaf_key(node)
    if Trait.STATEFUL in traits:
        return None
    operands = node.operands
    if len(operands) == 2:
        first, second = id(operands[0]), id(operands[1])
        if first > second and Trait.COMMUTATIVE in traits:
            first, second = second, first
        places: Any = (first, second)
    else:
        places = tuple([id(operand) for operand in operands])
    if not node.attrs:
        return op, places
    # repr tells 1 from True and 0.0 from -0.0, which are equal as keys.
    attrs = tuple([(name, _attribute_key(value)) for name, value in node.attrs.items()])
    return op, places, attrs


def _leaf_key(node: Value) -> Any:
    if node.op is CONSTANT:
        array = node.attrs["value"]
        # Large constants are told apart by identity: hashing them would cost more than it saves.
        content = array.tobytes() if array.size <= 64 else id(array)
        return CONSTANT, node.spec, content
    if node.op is LENGTH:
        return LENGTH, node.spec, node.attrs["length"]
    return None


def _attribute_key(value: Any) -> Any:
    return (type(value), repr(value)) if isinstance(value, (bool, int, float, tuple)) else value
