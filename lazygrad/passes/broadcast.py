"""Drop broadcasts that elementwise operations do by themselves."""

from __future__ import annotations

from ..errors import ShapeError
from ..ir.graph import Graph
from ..ir.op import Trait
from ..ir.value import Value
from ..spec import broadcast_shapes

__all__ = ["drop_broadcasts"]


def drop_broadcasts(graph: Graph) -> Graph:
    """Give elementwise operations their operands as they were before ``broadcast_to``.

    Done only where the other operands alone give the result its shape, so every value keeps its
    bits.
    """
    return graph.rebuild(_narrowed)


def _narrowed(node: Value) -> Value:
    if Trait.ELEMENTWISE not in node.op.traits or len(node.operands) < 2:
        return node
    operands = list(node.operands)
    changed = False
    for position, operand in enumerate(operands):
        if operand.op.name != "broadcast_to":
            continue
        narrower = [*operands]
        narrower[position] = operand.operands[0]
        if _joint_shape(narrower) == node.spec.shape:
            operands, changed = narrower, True
    return node.with_operands(tuple(operands)) if changed else node


def _joint_shape(operands: list[Value]) -> object:
    try:
        return broadcast_shapes(*[operand.spec.shape for operand in operands])
    except ShapeError:
        return None
