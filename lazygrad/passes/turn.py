"""Turn products instead of their results: the transpose of ``a @ b`` is ``b.T @ a.T``.

A product reads turned operands as quickly as others, and gives its result in the order in which it
is read from then on. Gradients of weights that are used transposed come out this way.
"""

from __future__ import annotations

from collections import Counter

from ..ir.graph import Graph
from ..ir.value import Value, make
from ..spec import Shape, Spec

__all__ = ["turn_products"]


def turn_products(graph: Graph) -> Graph:
    """Replace the transpose of a product that nothing else reads.

    >>> a, b = Value(shape=(2, 3), name="a"), Value(shape=(3, 4), name="b")
    >>> print(turn_products(Graph([(a @ b).T])))
    a: float64[2, 3] requires_grad
    b: float64[3, 4] requires_grad
    c = permute(b, axes=(1, 0))
    d = permute(a, axes=(1, 0))
    e = matmul(c, d)
    return e
    """
    uses = Counter(id(operand) for node in graph.nodes for operand in node.operands)
    uses.update(map(id, graph.outputs))
    flags = [_is_turn(node) and _is_product(node.operands[0], uses) for node in graph.nodes]
    if not any(flags):
        return graph
    # Nodes come in the graph's order, but by then they may have other operands.
    coming = iter(flags)
    return graph.rebuild(lambda node: _turned_product(node) if next(coming) else node)


def _is_product(node: Value, uses: Counter[int]) -> bool:
    return node.op.name == "matmul" and uses[id(node)] == 1


def _is_turn(node: Value) -> bool:
    """Whether a node swaps the last two axes, and no others."""
    if node.op.name != "permute":
        return False
    rank = len(node.spec.shape)
    return rank > 1 and node.attrs["axes"] == (*range(rank - 2), rank - 1, rank - 2)


def _turned_product(node: Value) -> Value:
    product = node.operands[0]
    first, second = product.operands
    operands = (_turned(second, node), _turned(first, node))
    return make(product.op, operands, product.attrs, node.spec, like=product)


def _turned(x: Value, turn: Value) -> Value:
    if _is_turn(x):
        return x.operands[0]
    *rest, rows, columns = x.spec.shape
    shape: Shape = (*rest, columns, rows)
    rank = len(shape)
    axes = (*range(rank - 2), rank - 1, rank - 2)
    return make(turn.op, (x,), {"axes": axes}, Spec(shape, x.spec.dtype), like=x)
