"""What depends on how a graph is run: the branch of its mode, and updates on the way."""

from __future__ import annotations

from ..errors import ModeError, OptionError
from ..ir.describe import describe, label
from ..ir.graph import Graph, ancestors
from ..ir.op import Trait
from ..ir.value import CONSTANT, PLACEHOLDER, VARIABLE, Value, make, recording
from .merge import merge_equal_nodes

__all__ = ["mode_flags", "settle_mode", "take_updates"]


def _is_switch(node: Value) -> bool:
    return Trait.SWITCHES in node.op.traits


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

    Raises ModeError where that flag is undecided.

    >>> from lazygrad.ir.value import Value
    >>> from lazygrad.ops import by_mode
    >>> x = Value(shape=(3,), name="x")
    >>> [node.op.name for node in settle_mode(Graph([by_mode(x * 2, x)]), train=False).nodes]
    ['placeholder']
    """
    with recording(None):
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
        is_on = _flag(node, outer.get(id(flag), flag)) if train is None else train
        return training if is_on else evaluation

    if not any(_is_switch(node) or Trait.LOOPS in node.op.traits for node in graph.nodes):
        return graph
    return graph.rebuild(visit)


def _flag(switch: Value, flag: Value) -> bool:
    if flag.op is VARIABLE and flag.cell is not None:
        if flag.cell.array < 0:
            raise ModeError(
                f"{_layer(switch)} behaves differently in training and in evaluation, and neither"
                " was chosen: call the model's train() or eval() first. A compiled program needs no"
                f" such call; it trains if it has updates.\n  {describe(switch)}"
            )
        return bool(flag.cell.array)
    return flag.op is CONSTANT and bool(flag.attrs["value"])


def _layer(switch: Value) -> str:
    return switch.scope[-1] if switch.scope else "by_mode"


def take_updates(graph: Graph, live: int | None = None) -> tuple[Graph, list[Value]]:
    """Take the updates of variables out of the way: give their variables, and the graph without.

    The new values follow the graph's own results, in the order of the variables. Updates count
    below the first *live* results, by default all. Raises OptionError where a variable is updated
    twice, or in the body of a loop.

    >>> from lazygrad.ir.value import Value
    >>> from lazygrad.ops import with_update
    >>> x, total = Value(shape=(3,), name="x"), Value([0.0] * 3, name="total")
    >>> taken, variables = take_updates(Graph([with_update(x * 2, total, x)]))
    >>> [node.op.name for node in taken.outputs], [variable.name for variable in variables]
    (['multiply', 'placeholder'], ['total'])
    """
    found, twice = _updates(graph, live)
    if twice is not None:
        # A layer that is called twice on one operand writes equal expressions.
        graph = merge_equal_nodes(graph)
        found, twice = _updates(graph, live)
    if twice is not None:
        raise OptionError(
            f"{label(twice)} is updated twice in one graph; call its layer once, and use the result"
            f" wherever it is needed.\n  {describe(twice)}"
        )
    if not found:
        return graph, []
    extended = Graph(
        [*graph.outputs, *(new for _, new in found.values())], graph.inputs, graph.assumptions
    )
    taken = extended.rebuild(
        lambda node: node.operands[0] if Trait.UPDATES in node.op.traits else node
    )
    return taken, [variable for variable, _ in found.values()]


def _updates(graph: Graph, live: int | None) -> tuple[dict[int, tuple[Value, Value]], Value | None]:
    """Give variables and their new values, and one that has two, if there is one."""
    found: dict[int, tuple[Value, Value]] = {}
    twice = None
    for node in graph.nodes if live is None else ancestors(graph.outputs[:live]):
        if Trait.LOOPS in node.op.traits and _updates_inside(node.attrs["body"]):
            raise OptionError(f"a loop's body can't update variables.\n  {describe(node)}")
        if Trait.UPDATES not in node.op.traits:
            continue
        _, variable, new = node.operands
        if found.setdefault(id(variable), (variable, new))[1] is not new:
            twice = variable
    return found, twice


def _updates_inside(body: Graph) -> bool:
    return any(
        Trait.UPDATES in node.op.traits
        or (Trait.LOOPS in node.op.traits and _updates_inside(node.attrs["body"]))
        for node in body.nodes
    )
