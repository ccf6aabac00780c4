"""The derivatives of a loop: its body walked forwards or backwards gives the body of another loop.

The forward rule pushes tangents through the body beside the values. The reverse rule keeps per
step what the body's own reverse walk reads, and runs that walk as a loop in the other direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..ir.graph import Graph, ancestors
from ..ir.op import Op, Writes
from ..ir.value import CONSTANT, ITEM, PLACEHOLDER, Value, apply, item, make
from ..lengths import Length
from ..spec import Spec, cotangent_dtype
from .derivatives import filled
from .forward import push_forward
from .reverse import pull_back

__all__ = ["argument", "pull_back_loop", "push_forward_loop"]

Attr: TypeAlias = Any
"""The value of an attribute."""


def argument(spec: Spec, name: str) -> Value:
    """Make an input of a body."""
    return make(PLACEHOLDER, (), {}, spec, name=name)


def _direction(node: Value, name: str) -> Value:
    """Make an input that holds a tangent or cotangent of *node*."""
    return argument(Spec(node.spec.shape, cotangent_dtype(node.spec.dtype)), name)


def _is_differentiable(node: Value) -> bool:
    return node.spec.dtype.kind != "b"


@dataclass(frozen=True, slots=True)
class _Body:
    """A body with its inputs and outputs by kind."""

    graph: Graph
    carries: tuple[Value, ...]
    elements: tuple[Value, ...]
    outers: tuple[Value, ...]
    steps: tuple[Value, ...]
    carried: tuple[Value, ...]
    rows: tuple[Value, ...]

    @classmethod
    def of(cls, body: Graph, carries: int, xs: int, counted: bool, **rest: Attr) -> _Body:
        inputs, outputs, sliced = body.inputs, body.outputs, carries + xs
        end = len(inputs) - counted
        return cls(
            body,
            inputs[:carries],
            inputs[carries:sliced],
            inputs[sliced:end],
            inputs[end:],
            outputs[:carries],
            outputs[carries:],
        )


class _Assembly:
    """A loop in the making: the inputs of its body by kind, each with what is given for it.

    The inputs may be any nodes; what lies below them stays out of the body.
    """

    def __init__(self) -> None:
        self.carries: list[tuple[Value, Value, Value]] = []
        self.elements: list[tuple[Value, Value]] = []
        self.outers: list[tuple[Value, Value]] = []
        self.rows: list[Value] = []

    def carry(self, inside: Value, start: Value, after: Value) -> None:
        self.carries.append((inside, start, after))

    def loop(self, op: Op, steps: Sequence[Value], attrs: dict[str, Attr]) -> Value:
        """Make the loop's node; its results are the carries, then the rows."""
        given = [*self.elements, *self.outers]
        inputs = [*(inside for inside, _, _ in self.carries), *(inside for inside, _ in given)]
        results = [*(after for _, _, after in self.carries), *self.rows]
        operands = [*(start for _, start, _ in self.carries), *(operand for _, operand in given)]
        own = {
            "body": _closed([*inputs, *steps], results),
            "carries": len(self.carries),
            "xs": len(self.elements),
        }
        return apply(op, *operands, **{**attrs, **own})


def _closed(inputs: Sequence[Value], results: Sequence[Value]) -> Graph:
    """Make a body of fresh arguments, in which *inputs* may be any nodes and hide what is below."""
    fresh = {
        id(node): argument(node.spec, str(node.name or f"kept{i}")) for i, node in enumerate(inputs)
    }
    replaced: dict[int, Value] = dict(fresh)
    for node in ancestors(results, stop=inputs):
        if id(node) not in replaced:
            operands = tuple(replaced[id(operand)] for operand in node.operands)
            replaced[id(node)] = node.with_operands(operands) if operands else node
    return Graph([replaced[id(node)] for node in results], [fresh[id(node)] for node in inputs])


def pull_back_loop(
    g: tuple[Value | None, ...], y: Value, *operands: Value, **attrs: Attr
) -> tuple[Value | None, ...]:
    """Pull cotangents back through a loop, from its last step to its first."""
    body = _Body.of(**attrs)
    carries, xs = len(body.carries), len(body.elements)
    outer_operands = operands[carries + xs :]
    # A carry that ends up in no result still hands cotangents from step to step.
    seeds = {
        i: _direction(node, f"g{i}")
        for i, node in enumerate(body.graph.outputs)
        if _is_differentiable(node) and (i < carries or g[i] is not None)
    }
    inputs = [*body.carries, *body.elements, *body.outers]
    wanted = [node for node in inputs if _is_differentiable(node)]
    pulled = pull_back([body.graph.outputs[i] for i in seeds], list(seeds.values()), wanted)
    cotangents = {id(n): c for n, c in zip(wanted, pulled, strict=True) if c is not None}

    back = _Assembly()
    places: dict[int, int] = {}
    for i, node in enumerate(body.carries):
        if i in seeds:
            start = filled(node.spec, 0.0) if g[i] is None else g[i]
            places[id(node)] = len(back.carries)
            before = cotangents.get(id(node), filled(node.spec, 0.0))
            back.carry(seeds[i], start, before)  # type: ignore[arg-type]
    for i, node in enumerate(body.outers):
        if id(node) in cotangents:
            total = _direction(node, f"total{i}")
            places[id(node)] = len(back.carries)
            back.carry(total, filled(node.spec, 0.0), total + cotangents[id(node)])
    back.elements += _kept(body, list(cotangents.values()), y, operands, attrs)
    back.elements += zip(body.elements, operands[carries : carries + xs], strict=True)
    back.elements += [(seed, g[i]) for i, seed in seeds.items() if i >= carries]  # type: ignore[misc]
    back.outers += zip(body.outers, outer_operands, strict=True)
    for node in body.elements:
        if id(node) in cotangents:
            places[id(node)] = len(back.carries) + len(back.rows)
            back.rows.append(cotangents[id(node)])
    if not places:
        return (None,) * len(operands)
    loop = back.loop(y.op, body.steps, {**attrs, "reverse": not attrs["reverse"]})
    return tuple(item(loop, places[id(node)]) if id(node) in places else None for node in inputs)


def _kept(
    body: _Body,
    pulled: Sequence[Value],
    y: Value,
    operands: Sequence[Value],
    attrs: dict[str, Attr],
) -> list[tuple[Value, Value]]:
    """Pair the body's nodes that its reverse walk reads with their values for every step.

    Those are results of a longer loop, which a pass merges with the loop itself.
    """
    read = _read_backwards(body, pulled)
    graph = body.graph
    longer = Graph((*graph.outputs, *read), graph.inputs, graph.assumptions)
    forward = apply(y.op, *operands, **{**attrs, "body": longer})
    return [(node, item(forward, len(graph.outputs) + i)) for i, node in enumerate(read)]


def _read_backwards(body: _Body, pulled: Sequence[Value]) -> list[Value]:
    """List the nodes of a body that its reverse walk reads and that are not at hand anyway.

    Of a view what it looks into is kept. What can have another shape in each step can't be kept
    for all of them, and is computed again.
    """
    forward = {id(node) for node in body.graph.nodes if not (node.operands and _is_ragged(node))}
    at_hand = {id(node) for node in (*body.elements, *body.outers, *body.steps)}
    found: dict[int, Value] = {}
    for node in ancestors(pulled, stop=[n for n in body.graph.nodes if id(n) in forward]):
        # An operation of several results is read by its items, which rules make anew.
        is_item = node.op is ITEM and id(node.operands[0]) in forward
        if isinstance(node.spec, tuple) or not (is_item or id(node) in forward):
            continue
        kept = node
        while kept.op is not ITEM and kept.op.writes is Writes.VIEW and kept.operands:
            kept = kept.operands[0]
        if kept.op is not CONSTANT and id(kept) not in at_hand:
            found[id(kept)] = kept
    return list(found.values())


def _is_ragged(node: Value) -> bool:
    """Whether a length in a node's shape depends on data."""
    specs = node.spec if isinstance(node.spec, tuple) else (node.spec,)
    return any(
        isinstance(length, Length) and length.is_data_dependent
        for spec in specs
        for length in spec.shape
    )


def push_forward_loop(
    tangents: Sequence[Value | None], y: Value, *operands: Value, **attrs: Attr
) -> tuple[Value | None, ...]:
    """Push tangents through a loop beside the values."""
    body = _Body.of(**attrs)
    carries, outputs = len(body.carries), body.graph.outputs
    inputs = [*body.carries, *body.elements, *body.outers]
    # A carry may start to move in the middle of the loop.
    moving = {
        i: _direction(node, f"t{i}")
        for i, node in enumerate(inputs)
        if _is_differentiable(node) and (i < carries or tangents[i] is not None)
    }
    found = push_forward(outputs, [inputs[i] for i in moving], list(moving.values()))
    pushed = {i: t for i, t in enumerate(found) if t is not None}
    both = _Assembly()
    for inside, operand, after in zip(body.carries, operands, body.carried, strict=False):
        both.carry(inside, operand, after)
    places: dict[int, int] = {}
    for i in (i for i in moving if i < carries):
        own = tangents[i]
        start = filled(inputs[i].spec, 0.0) if own is None else own
        places[i] = len(both.carries)
        both.carry(moving[i], start, pushed.get(i, filled(outputs[i].spec, 0.0)))
    for i in range(carries, len(inputs)):
        kind = both.elements if i < carries + len(body.elements) else both.outers
        kind.append((inputs[i], operands[i]))
        if i in moving:
            kind.append((moving[i], tangents[i]))  # type: ignore[arg-type]
    both.rows += body.rows
    for i in (i for i in pushed if i >= carries):
        places[i] = len(both.carries) + len(both.rows)
        both.rows.append(pushed[i])
    loop = both.loop(y.op, body.steps, attrs)
    return tuple(item(loop, places[i]) if i in places else None for i in range(len(outputs)))
