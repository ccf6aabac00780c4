"""Settle the mode: keep the branch of training or that of evaluation, and forget the other."""

from __future__ import annotations

from ..ir.graph import Graph
from ..ir.op import Trait
from ..ir.value import CONSTANT, PLACEHOLDER, VARIABLE, Value, make

__all__ = ["mode_flags", "settle_mode"]


def _is_switch(node: Value) -> bool:
    return node.op.name == "by_mode"


def _inside(loop: Value) -> dict[int, Value]:
    """Give what a loop's body gets from outside by the ids of the body's inputs."""
    # The step number, the last input, has no operand.
    inputs = zip(loop.attrs["body"].inputs, loop.operands, strict=False)
    return {id(inside): operand for inside, operand in inputs}


def mode_flags(graph: Graph) -> list[Value]:
    """List the variables that say whether training is on."""
    flags: dict[int, Value] = {}
    for node in graph.nodes:
        if _is_switch(node):
            flags[id(node.operands[0])] = node.operands[0]
        elif Trait.LOOPS in node.op.traits:
            outer = _inside(node)
            for flag in mode_flags(node.attrs["body"]):
                own = outer.get(id(flag), flag)
                flags[id(own)] = own
    return [flag for flag in flags.values() if flag.op in (VARIABLE, PLACEHOLDER)]


def settle_mode(graph: Graph, train: bool | None) -> Graph:
    """Replace each switch by one of its branches: as *train* says, or by None as its flag is now.

    >>> from lazygrad.ir.value import Value
    >>> from lazygrad.ops import by_mode
    >>> x = Value(shape=(3,), name="x")
    >>> [node.op.name for node in settle_mode(Graph([by_mode(x * 2, x)]), train=False).nodes]
    ['placeholder']
    """
    return _settled(graph, train, {})


def _settled(graph: Graph, train: bool | None, outer: dict[int, Value]) -> Graph:
    """Settle a graph, or a loop's body whose inputs are given as *outer* from outside."""

    def visit(node: Value) -> Value:
        if Trait.LOOPS in node.op.traits:
            body = node.attrs["body"]
            given = {key: outer.get(id(operand), operand) for key, operand in _inside(node).items()}
            settled = _settled(body, train, given)
            if settled is body:
                return node
            return make(
                node.op, node.operands, {**node.attrs, "body": settled}, node.spec, like=node
            )
        if not _is_switch(node):
            return node
        flag, training, evaluation = node.operands
        is_on = _flag(outer.get(id(flag), flag)) if train is None else train
        return training if is_on else evaluation

    if not any(_is_switch(node) or Trait.LOOPS in node.op.traits for node in graph.nodes):
        return graph
    return graph.rebuild(visit)


def _flag(flag: Value) -> bool:
    if flag.op is VARIABLE and flag.cell is not None:
        return bool(flag.cell.array)
    return flag.op is CONSTANT and bool(flag.attrs["value"])
