"""Settle the mode: keep the branch of training or that of evaluation, and forget the other."""

from __future__ import annotations

from ..ir.graph import Graph
from ..ir.value import CONSTANT, VARIABLE, Value

__all__ = ["mode_flags", "settle_mode"]


def _is_switch(node: Value) -> bool:
    return node.op.name == "by_mode"


def mode_flags(graph: Graph) -> list[Value]:
    """List the variables that say whether training is on."""
    flags = {id(n.operands[0]): n.operands[0] for n in graph.nodes if _is_switch(n)}
    return [flag for flag in flags.values() if flag.op is VARIABLE]


def settle_mode(graph: Graph, train: bool | None) -> Graph:
    """Replace each switch by one of its branches: as *train* says, or by None as its flag is now.

    >>> from lazygrad.ir.value import Value
    >>> from lazygrad.ops import by_mode
    >>> x = Value(shape=(3,), name="x")
    >>> [node.op.name for node in settle_mode(Graph([by_mode(x * 2, x)]), train=False).nodes]
    ['placeholder']
    """
    if not any(map(_is_switch, graph.nodes)):
        return graph

    def visit(node: Value) -> Value:
        if not _is_switch(node):
            return node
        flag, training, evaluation = node.operands
        is_on = _flag(flag) if train is None else train
        return training if is_on else evaluation

    return graph.rebuild(visit)


def _flag(flag: Value) -> bool:
    if flag.op is VARIABLE and flag.cell is not None:
        return bool(flag.cell.array)
    return flag.op is CONSTANT and bool(flag.attrs["value"])
