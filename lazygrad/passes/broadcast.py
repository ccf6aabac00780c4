"""Move broadcasts towards the results: elementwise operations do them by themselves."""

from __future__ import annotations

from ..errors import ShapeError
from ..ir.graph import Graph
from ..ir.op import Trait
from ..ir.value import Value, make
from ..lengths import Length
from ..spec import Shape, Spec, broadcast_shapes
from .uniform import full, is_broadcast, without_broadcast

__all__ = ["drop_broadcasts"]


def drop_broadcasts(graph: Graph) -> Graph:
    """Give elementwise operations their operands as they were before ``broadcast_to``.

    What they then compute is broadcast afterwards where its shape is smaller, so it is computed
    once for every distinct element. Zeros shaped like another value become a broadcast 0. Every
    value keeps its bits.

    >>> x, y = Value(shape=(3,), name="x"), Value(shape=(2, 3), name="y")
    >>> print(drop_broadcasts(Graph([abs(x.broadcast_to((2, 3))) + y])))
    x: float64[3] requires_grad
    y: float64[2, 3] requires_grad
    a = absolute(x)
    b = add(a, y)
    return b
    """
    return graph.rebuild(_narrowed)


def _narrowed(node: Value) -> Value:
    traits = node.op.traits
    if Trait.ELEMENTWISE not in traits:
        return _moved(node) if node.op.name in ("reshape", "permute") else node
    if node.op.name == "zeros_like":
        return _zeros(node)
    for operand in node.operands:
        if operand.op.name == "broadcast_to":
            break
    else:
        return node
    if Trait.STATEFUL in traits or _is_data_shaped(node.spec.shape):
        return node
    operands = tuple(map(without_broadcast, node.operands))
    shape = _joint_shape(operands)
    if shape == node.spec.shape:
        return node.with_operands(operands)
    if shape is None or _joint_shape((node, *operands)) != node.spec.shape:
        return node
    small = make(node.op, operands, node.attrs, Spec(shape, node.spec.dtype), like=node)
    widen = next(o.op for o in node.operands if is_broadcast(o.op))
    return make(widen, (small,), {"shape": node.spec.shape}, node.spec, like=node)


def _joint_shape(operands: tuple[Value, ...]) -> Shape | None:
    try:
        return broadcast_shapes(*[operand.spec.shape for operand in operands])
    except ShapeError:
        return None


def _zeros(node: Value) -> Value:
    if _is_data_shaped(node.spec.shape):
        return node
    return full(node, 0)


def _moved(node: Value) -> Value:
    """Reorder a broadcast number by broadcasting it to the other shape at once."""
    wide = node.operands[0]
    if not is_broadcast(wide.op) or wide.operands[0].spec.shape != ():
        return node
    if _is_data_shaped(node.spec.shape):
        return node
    shape = {"shape": node.spec.shape}
    return make(wide.op, wide.operands, shape, node.spec, like=node)


def _is_data_shaped(shape: Shape) -> bool:
    return any(isinstance(length, Length) and length.is_data_dependent for length in shape)
