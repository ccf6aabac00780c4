"""Make loops smaller: one loop where two run the same steps, and only the results that are used."""

from __future__ import annotations

from typing import Any

from ..ir.graph import Graph, ancestors
from ..ir.op import Trait
from ..ir.value import ITEM, Value, make
from ..spec import Spec
from .merge import merge_equal_nodes, node_key

__all__ = ["merge_loops", "prune_loops"]


def _is_loop(node: Value) -> bool:
    return Trait.LOOPS in node.op.traits


def merge_loops(graph: Graph) -> Graph:
    """Replace a loop by another over the same operands whose body gives the same and more.

    The reverse rule of a loop makes such a one: the same steps, with what they keep.
    """
    count = _count(graph)
    if count < 2:
        return graph
    graph = _with_shared_bodies(graph)
    while True:
        # Merging two loops makes the operands of the loops behind them equal.
        graph = merge_equal_nodes(_merged(graph))
        if _count(graph) in (1, count):
            return graph
        count = _count(graph)


def _count(graph: Graph) -> int:
    return sum(map(_is_loop, graph.nodes))


def _with_shared_bodies(graph: Graph) -> Graph:
    """Make equal nodes in the bodies of different loops one, and equal bodies too."""
    known: dict[Any, Any] = {}
    return graph.rebuild(lambda node: _with_body_from(node, known, 0) if _is_loop(node) else node)


def _with_body_from(loop: Value, known: dict[Any, Any], depth: int) -> Value:
    body = loop.attrs["body"]
    moved: dict[int, Value] = {}
    for i, node in enumerate(body.inputs):
        key = ("input", depth, i, node.spec, node.name == "step")
        moved[id(node)] = known.setdefault(key, node)
    for node in body.nodes:
        if id(node) not in moved:
            now = _onto(node, tuple(moved[id(operand)] for operand in node.operands))
            if _is_loop(now):
                now = _with_body_from(now, known, depth + 1)
            key = node_key(now)
            moved[id(node)] = now if key is None else known.setdefault(key, now)
    outputs = [moved[id(node)] for node in body.outputs]
    inputs = [moved[id(node)] for node in body.inputs]
    own_key = ("body", tuple(map(id, outputs)), tuple(map(id, inputs)))
    if all(moved[id(node)] is node for node in body.nodes):
        shared = known.setdefault(own_key, body)
    else:
        shared = known.setdefault(own_key, Graph(outputs, inputs, body.assumptions))
    if shared is body:
        return loop
    return make(loop.op, loop.operands, {**loop.attrs, "body": shared}, loop.spec, like=loop)


def _merged(graph: Graph) -> Graph:
    longest: dict[Any, Value] = {}
    for node in filter(_is_loop, graph.nodes):
        best = longest.setdefault(_loop_key(node), node)
        if len(node.attrs["body"].outputs) > len(best.attrs["body"].outputs):
            longest[_loop_key(node)] = node
    made: dict[int, Value] = {}
    replaced: dict[int, Value] = {}
    for node in graph.nodes:
        operands = tuple(replaced[id(operand)] for operand in node.operands)
        best = longest[_loop_key(node)] if _is_loop(node) else node
        if best is not node and _starts_with(best, node):
            if id(best) not in made:
                made[id(best)] = make(best.op, operands, best.attrs, best.spec, like=best)
            replaced[id(node)] = made[id(best)]
        elif id(node) in made:
            replaced[id(node)] = made[id(node)]
        else:
            replaced[id(node)] = _onto(node, operands)
    return graph.replacing(replaced)


def _loop_key(node: Value) -> Any:
    attrs = node.attrs
    inputs = tuple(map(id, attrs["body"].inputs))
    return (
        tuple(map(id, node.operands)),
        inputs,
        attrs["length"],
        attrs["reverse"],
        attrs["carries"],
    )


def _starts_with(longer: Value, shorter: Value) -> bool:
    first = shorter.attrs["body"].outputs
    return all(a is b for a, b in zip(longer.attrs["body"].outputs, first, strict=False))


def _onto(node: Value, operands: tuple[Value, ...]) -> Value:
    same = all(a is b for a, b in zip(operands, node.operands, strict=True))
    return node if same else node.with_operands(operands)


def prune_loops(graph: Graph) -> Graph:
    """Drop results of loops that nobody reads, carries that only they need, and operands."""
    if not any(map(_is_loop, graph.nodes)):
        return graph
    read: dict[int, set[int]] = {id(node): set() for node in graph.nodes if _is_loop(node)}
    for node in graph.nodes:
        if node.op is ITEM and id(node.operands[0]) in read:
            read[id(node.operands[0])].add(node.attrs["index"])
    places: dict[int, dict[int, int]] = {}
    replaced: dict[int, Value] = {}
    for node in graph.nodes:
        operands = tuple(replaced[id(operand)] for operand in node.operands)
        now = _onto(node, operands)
        if id(node) in read:
            now, places[id(node)] = _pruned(now, read[id(node)])
        elif node.op is ITEM and id(node.operands[0]) in places:
            index = places[id(node.operands[0])][node.attrs["index"]]
            now = make(ITEM, operands, {"index": index}, node.spec, like=node)
        replaced[id(node)] = now
    return graph.replacing(replaced)


def _pruned(node: Value, read: set[int]) -> tuple[Value, dict[int, int]]:
    """Give a loop with the results in *read* alone, and where each of them has gone."""
    body, carries, xs = node.attrs["body"], node.attrs["carries"], node.attrs["xs"]
    kept = set(read)
    while True:
        reached = {id(inner) for inner in ancestors([body.outputs[i] for i in kept])}
        more = {i for i in range(carries) if id(body.inputs[i]) in reached} - kept
        if not more:
            break
        kept |= more
    counted = node.attrs["counted"]
    is_used = [
        (i in kept) if i < carries else id(argument) in reached
        for i, argument in enumerate(body.inputs)
    ]
    if len(kept) == len(body.outputs) and all(is_used):
        return node, {i: i for i in kept}
    order = sorted(kept)
    operands = tuple(o for o, used in zip(node.operands, is_used, strict=False) if used)
    attrs = {
        **node.attrs,
        "body": Graph(
            [body.outputs[i] for i in order],
            [argument for argument, used in zip(body.inputs, is_used, strict=True) if used],
            body.assumptions,
        ),
        "carries": sum(1 for i in order if i < carries),
        "xs": sum(is_used[carries : carries + xs]),
        "counted": counted and is_used[-1],
    }
    specs: tuple[Spec, ...] = tuple(node.spec[i] for i in order)  # type: ignore[index]
    place = {old: new for new, old in enumerate(order)}
    return make(node.op, operands, attrs, specs, like=node), place  # type: ignore[arg-type]
