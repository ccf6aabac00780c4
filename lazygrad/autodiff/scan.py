"""``scan``: a loop as one node, whose body is a graph that is compiled once.

It stands on this floor because its derivative rules walk the body: the forward rule pushes tangents
through it, the reverse rule keeps per step what the body's own reverse walk reads, and runs that
walk as a second scan in the other direction.

A body is a closed Graph. Its inputs are, in order: carries, elements of the sequences, outer values
(nodes from outside that the user's function mentions), and the step number where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..errors import DTypeError, OptionError, ShapeError
from ..ir.compute import compute_node
from ..ir.describe import describe, label
from ..ir.graph import Graph, ancestors
from ..ir.op import Array, Attrs, Call, In, Trait, Writes, public
from ..ir.value import (
    CONSTANT,
    PLACEHOLDER,
    Value,
    apply,
    as_value,
    item,
    make,
)
from ..lengths import Dim, Length, same
from ..ops.arithmetic import astype
from ..ops.forms import general
from ..spec import Spec, TupleSpec, as_shape, cotangent_dtype
from .derivatives import filled
from .forward import push_forward
from .reverse import pull_back

__all__ = ["argument", "scan"]


def argument(spec: Spec, name: str) -> Value:
    """Make an input of a body."""
    return make(PLACEHOLDER, (), {}, spec, name=name)


def _infer(
    *specs: Spec, body: Graph, carries: int, xs: int, length: Dim, **rest: object
) -> TupleSpec:
    for position, sequence in enumerate(specs[carries : carries + xs]):
        if not same(sequence.shape[0], length):
            raise ShapeError(
                f"sequence {position} has {sequence.shape[0]} steps, the scan {length}."
            )
    outputs = [node.spec for node in body.outputs]
    for position, (before, after) in enumerate(zip(specs[:carries], outputs, strict=False)):
        if before.dtype != after.dtype or len(before.shape) != len(after.shape):
            raise ShapeError(f"carry {position} goes in as {before} and comes out as {after}.")
        if not all(map(same, before.shape, after.shape)):
            raise ShapeError(f"carry {position} goes in as {before} and comes out as {after}.")
    stacked = [Spec((length, *spec.shape), spec.dtype) for spec in outputs[carries:]]
    return (*outputs[:carries], *stacked)


def _kernel(
    *arrays: Array,
    out: tuple[Array, ...],
    body: Graph,
    carries: int,
    xs: int,
    length: int,
    reverse: bool,
    counted: bool,
    names: tuple[str, ...],
    lengths: tuple[int, ...],
) -> None:
    """Run the loop node by node; backends compile the body instead."""
    bindings = dict(zip(names, lengths, strict=True))
    carry = list(arrays[:carries])
    for position in range(length):
        place = length - 1 - position if reverse else position
        rows = [sequence[place] for sequence in arrays[carries : carries + xs]]
        step = [np.asarray(place)] if counted else []
        inputs = [*carry, *rows, *arrays[carries + xs :], *step]
        results = _run_body(body, inputs, bindings)
        carry = results[:carries]
        for target, row in zip(out[carries:], results[carries:], strict=True):
            target[place] = row
    for target, last in zip(out[:carries], carry, strict=True):
        np.copyto(target, last)


def _run_body(body: Graph, inputs: Sequence[Any], lengths: Mapping[str, int]) -> list[Any]:
    known = {id(node): array for node, array in zip(body.inputs, inputs, strict=True)}
    for node in body.nodes:
        if id(node) in known:
            continue
        if node.op is CONSTANT:
            known[id(node)] = node.attrs["value"]
        else:
            operands = [known[id(operand)] for operand in node.operands]
            known[id(node)] = compute_node(node, operands, lengths)
    return [known[id(node)] for node in body.outputs]


def _cost(out: Spec, *specs: Spec, body: Graph, length: Dim, **rest: object) -> Any:
    total: Any = 0
    for node in body.nodes:
        if node.operands and not isinstance(node.spec, tuple):
            total = total + node.op.cost(
                node.spec, *[operand.spec for operand in node.operands], **node.attrs
            )
    return total * length


_ParsedBody = tuple[list[Value], list[Value], list[Value], list[Value]]


def _parts(body: Graph, carries: int, xs: int, counted: bool) -> _ParsedBody:
    """Split a body's inputs into carries, elements, outer values and the step number."""
    inputs = list(body.inputs)
    end = len(inputs) - 1 if counted else len(inputs)
    return (
        inputs[:carries],
        inputs[carries : carries + xs],
        inputs[carries + xs : end],
        inputs[end:],
    )


def _is_inexact(spec: Spec) -> bool:
    return spec.dtype.kind != "b"


def _cotangent_spec(spec: Spec) -> Spec:
    return Spec(spec.shape, cotangent_dtype(spec.dtype))


def _vjp(g: tuple[Value | None, ...], y: Value, *operands: Value, **attrs: Any) -> Any:
    """Pull cotangents back through the loop, from its last step to its first."""
    body, carries, xs = attrs["body"], attrs["carries"], attrs["xs"]
    carry, elements, outers, steps = _parts(body, carries, xs, attrs["counted"])
    seeds = [
        argument(_cotangent_spec(node.spec), f"g{position}") if _is_inexact(node.spec) else None
        for position, node in enumerate(body.outputs)
    ]
    flowing = [
        (node, seed) for node, seed in zip(body.outputs, seeds, strict=True) if seed is not None
    ]
    wanted = [node for node in (*carry, *elements, *outers) if _is_inexact(node.spec)]
    found = pull_back([node for node, _ in flowing], [seed for _, seed in flowing], wanted)
    cotangent = {
        id(node): filled(node.spec, 0.0) if part is None else part
        for node, part in zip(wanted, found, strict=True)
    }
    pulled = [cotangent[id(node)] for node in wanted]
    residuals = _residuals(body, pulled, {id(node) for node in (*elements, *outers)})
    extended = Graph((*body.outputs, *residuals), body.inputs, body.assumptions)
    forward = apply(y.op, *operands, **{**attrs, "body": extended})
    count = len(body.outputs)
    kept = [item(forward, count + i) for i in range(len(residuals))]

    live_carry = [node for node in carry if _is_inexact(node.spec)]
    totals = [argument(_cotangent_spec(node.spec), f"total{i}") for i, node in enumerate(outers)]
    live_outer = [
        (node, total) for node, total in zip(outers, totals, strict=True) if _is_inexact(node.spec)
    ]
    carry_seeds = [seed for seed in seeds[:carries] if seed is not None]
    row_seeds = [seed for seed in seeds[carries:] if seed is not None]
    inputs = [
        *carry_seeds,
        *(total for _, total in live_outer),
        *residuals,
        *elements,
        *row_seeds,
        *outers,
        *steps,
    ]
    live_elements = [node for node in elements if _is_inexact(node.spec)]
    results = [
        *(cotangent[id(node)] for node in live_carry),
        *(total + cotangent[id(node)] for node, total in live_outer),
        *(cotangent[id(node)] for node in live_elements),
    ]
    row_cotangents = [
        filled(_stacked(node.spec, attrs["length"]), 0.0) if part is None else part
        for node, part in zip(body.outputs[carries:], g[carries:], strict=True)
        if _is_inexact(node.spec)
    ]
    start = [
        filled(node.spec, 0.0) if part is None else part
        for node, part in zip(body.outputs[:carries], g[:carries], strict=True)
        if _is_inexact(node.spec)
    ]
    start += [filled(node.spec, 0.0) for node, _ in live_outer]
    back = apply(
        y.op,
        *start,
        *kept,
        *operands[carries : carries + xs],
        *row_cotangents,
        *operands[carries + xs :],
        **{
            **attrs,
            "body": _closed(inputs, results),
            "carries": len(start),
            "xs": len(kept) + xs + len(row_cotangents),
            "reverse": not attrs["reverse"],
        },
    )
    order = [*live_carry, *(node for node, _ in live_outer), *live_elements]
    given = {id(node): item(back, i) for i, node in enumerate(order)}
    return tuple(given.get(id(node)) for node in (*carry, *elements, *outers))


def _stacked(spec: Spec, length: Dim) -> Spec:
    return Spec((length, *spec.shape), cotangent_dtype(spec.dtype))


def _residuals(body: Graph, pulled: Sequence[Value], given: set[int]) -> list[Value]:
    """List the body's nodes that its reverse walk reads, which are kept for every step.

    Of a view what it looks into is kept; elements and outer values are there anyway.
    """
    forward = {id(node) for node in body.nodes}
    found: dict[int, Value] = {}
    backward = ancestors(pulled, stop=body.nodes)
    for node in backward:
        if id(node) not in forward:
            continue
        kept = node
        while kept.op.writes is Writes.VIEW and kept.operands and id(kept) in forward:
            kept = kept.operands[0]
        is_step = kept is body.inputs[-1] and kept.name == "step"
        if kept.op is not CONSTANT and id(kept) not in given and not is_step:
            found[id(kept)] = kept
    return list(found.values())


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


def _jvp(tangents: Sequence[Value | None], y: Value, *operands: Value, **attrs: Any) -> Any:
    """Push tangents through the loop beside the values."""
    body, carries, xs = attrs["body"], attrs["carries"], attrs["xs"]
    carry, elements, outers, steps = _parts(body, carries, xs, attrs["counted"])
    inputs = [*carry, *elements, *outers]
    moving = [
        node
        for position, node in enumerate(inputs)
        if _is_inexact(node.spec) and (position < carries or tangents[position] is not None)
    ]
    directions = {
        id(node): argument(_cotangent_spec(node.spec), f"t{i}") for i, node in enumerate(moving)
    }
    found = push_forward(body.outputs, moving, [directions[id(node)] for node in moving])
    outputs = [
        filled(node.spec, 0.0) if t is None and _is_inexact(node.spec) else t
        for node, t in zip(body.outputs, found, strict=True)
    ]

    def moved(nodes: Sequence[Value]) -> list[Value]:
        return [directions[id(node)] for node in nodes if id(node) in directions]

    tangent_of = dict(zip(map(id, inputs), tangents, strict=True))

    def given(nodes: Sequence[Value]) -> list[Value]:
        return [
            filled(node.spec, 0.0) if tangent_of[id(node)] is None else tangent_of[id(node)]  # type: ignore[misc]
            for node in nodes
            if id(node) in directions
        ]

    live = [i for i, t in enumerate(outputs) if t is not None]
    results = [
        *body.outputs[:carries],
        *(outputs[i] for i in live if i < carries),
        *body.outputs[carries:],
        *(outputs[i] for i in live if i >= carries),
    ]
    dual = Graph(
        results,  # type: ignore[arg-type]
        [*carry, *moved(carry), *elements, *moved(elements), *outers, *moved(outers), *steps],
    )
    node = apply(
        y.op,
        *operands[:carries],
        *given(carry),
        *operands[carries : carries + xs],
        *given(elements),
        *operands[carries + xs :],
        *given(outers),
        **{
            **attrs,
            "body": dual,
            "carries": carries + len(moved(carry)),
            "xs": xs + len(moved(elements)),
        },
    )
    first = carries
    second = carries + len([i for i in live if i < carries]) + len(body.outputs) - carries
    index = {}
    for i in live:
        if i < carries:
            index[i], first = first, first + 1
        else:
            index[i], second = second, second + 1
    return [item(node, index[i]) if i in index else None for i in range(len(body.outputs))]


def _call(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
    operands = tuple(In(i) for i in range(len(specs)))
    return Call(partial(_kernel, **attrs), operands, out_by_name=True)


_scan = general(
    "scan",
    _kernel,
    infer=_infer,
    vjp=_vjp,
    jvp=_jvp,
    call=_call,
    family="control",
    traits=(Trait.LOOPS,),
    cost=_cost,
    doc="A loop whose body is a graph: carries through the steps, and a result for each step.",
)


def scan(
    body: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    *,
    length: Any = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Loop over the first axis of *xs*, carrying state from step to step.

    Parameters
    ----------
    body
        ``body(carry, x) -> (carry, y)``, called once, with nodes that stand for any step. It may
        use nodes from outside; what doesn't change from step to step is computed once.
    init
        The first carry: a node or array, or a list, tuple or mapping of them.
    xs
        Sequences to loop over: one, a list, tuple or mapping, or None.
    length
        Number of steps; needed where *xs* is None.
    reverse
        Loop from the last element to the first; results keep their places.

    Returns
    -------
    The last carry, and the results *y* of every step, stacked along a new first axis (None where
    the body gives None).

    Examples
    --------
    >>> total, sums = scan(lambda carry, x: (carry + x, carry + x), 0.0, [1.0, 2.0, 3.0])
    >>> total, sums
    (Value(data=6.0, grad=None), Value(data=[1. 3. 6.], grad=None))
    """
    first = [as_value(node) for node in _listed(init)]
    sequences = [as_value(node) for node in _listed(xs)]
    steps = _length(sequences, length)
    closed, outer, structure = _traced(body, init, first, xs, sequences)
    first = [
        _widened(node, after, position)
        for position, (node, after) in enumerate(zip(first, closed.outputs, strict=False))
    ]
    if any(
        node.spec.dtype != own.spec.dtype for node, own in zip(first, closed.inputs, strict=False)
    ):
        closed, outer, structure = _traced(body, init, first, xs, sequences)
    counted = bool(closed.inputs) and closed.inputs[-1].name == "step"
    named = {name: atom for node in closed.nodes for name, atom in _names(node)}
    node = _scan(
        *first,
        *sequences,
        *outer,
        body=closed,
        carries=len(first),
        xs=len(sequences),
        length=steps,
        reverse=bool(reverse),
        counted=counted,
        names=tuple(named),
        lengths=tuple(named.values()),
    )
    results = [item(node, i) for i in range(len(closed.outputs))]
    ys = None if structure is None else _restored(structure, results[len(first) :])
    return _restored(init, results[: len(first)]), ys


def _listed(nodes: Any) -> list[Any]:
    """List the entries of a carry or of sequences, however they are grouped."""
    if nodes is None:
        return []
    if isinstance(nodes, Mapping):
        return list(nodes.values())
    return list(nodes) if isinstance(nodes, (tuple, list)) and _groups(nodes) else [nodes]


def _groups(nodes: Sequence[Any]) -> bool:
    """Whether a list is a group of entries and not an array written as a list of numbers."""
    return isinstance(nodes, tuple) or any(isinstance(node, (Value, np.ndarray)) for node in nodes)


def _restored(like: Any, values: Sequence[Any]) -> Any:
    if like is None:
        return None
    if isinstance(like, Mapping):
        return dict(zip(like, values, strict=True))
    if isinstance(like, (tuple, list)) and _groups(like):
        return type(like)(values) if type(like) in (tuple, list) else tuple(values)
    return values[0]


def _length(sequences: Sequence[Value], length: Any) -> Dim:
    if not sequences and length is None:
        raise OptionError("scan: without sequences the number of steps must be given as length=.")
    for sequence in sequences:
        if sequence.ndim == 0:
            raise ShapeError(f"scan: a sequence needs a first axis to loop over, got {sequence.spec}.")
    steps = as_shape(length)[0] if length is not None else sequences[0].spec.shape[0]
    for sequence in sequences:
        if not same(sequence.spec.shape[0], steps):
            raise ShapeError(
                f"scan: sequences of {steps} and {sequence.spec.shape[0]} steps don't go together."
                f"\n  {label(sequence)}: {describe(sequence)}"
            )
    return steps


def _widened(node: Value, after: Value, position: int) -> Value:
    """Give a first carry the dtype that the body gives it, where that only widens it."""
    before, dtype = node.spec.dtype, after.spec.dtype
    if before == dtype:
        return node
    if np.result_type(before, dtype) != dtype:
        raise DTypeError(
            f"scan: carry {position} goes in as {before.name} and comes out as {dtype.name}."
        )
    return astype(node, dtype)


def _traced(
    body: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    first: Sequence[Value],
    xs: Any,
    sequences: Sequence[Value],
) -> tuple[Graph, list[Value], Any]:
    """Call the user's function once, and close what it gives over the outside nodes it uses."""
    carry = [argument(node.spec, f"carry{i}") for i, node in enumerate(first)]
    elements = [
        argument(Spec(node.spec.shape[1:], node.spec.dtype), f"x{i}")
        for i, node in enumerate(sequences)
    ]
    step = argument(Spec((), np.dtype(np.int64)), "step")
    results = body(_restored(init, carry), _restored(xs, elements))
    if not isinstance(results, tuple) or len(results) != 2:
        raise OptionError("scan: the body must return a pair, (carry, y).")
    after = [as_value(node) for node in _listed(results[0])]
    if len(after) != len(carry):
        raise OptionError(f"scan: the body got {len(carry)} carries and returned {len(after)}.")
    rows = [as_value(node) for node in _listed(results[1])]
    graph, outer = _captured([*after, *rows], [*carry, *elements], step)
    return graph, outer, results[1]


def _captured(
    results: Sequence[Value], inputs: Sequence[Value], step: Value
) -> tuple[Graph, list[Value]]:
    """Split what *results* need into what changes from step to step, and the outside.

    Random draws made inside change with the step, which becomes a word of their counter.
    """
    began = step.serial
    nodes = ancestors(results, stop=inputs)
    inside = {id(node) for node in inputs}
    for node in nodes:
        drawn = Trait.DRAWS in node.op.traits and node.serial > began
        if drawn or any(id(operand) in inside for operand in node.operands):
            inside.add(id(node))
    replaced: dict[int, Value] = {id(node): node for node in inputs}
    outside: list[Value] = []
    arguments: list[Value] = []
    is_counted = False

    def taken(node: Value) -> Value:
        if id(node) in replaced:
            return replaced[id(node)]
        if node.op is CONSTANT:
            return node
        outside.append(node)
        arguments.append(argument(node.spec, f"outer{len(outside) - 1}"))
        return replaced.setdefault(id(node), arguments[-1])

    for node in nodes:
        if id(node) not in inside or id(node) in replaced:
            continue
        operands = tuple(taken(operand) for operand in node.operands)
        if Trait.DRAWS in node.op.traits and len(operands) == 1:
            is_counted = True
            replaced[id(node)] = apply(node.op, operands[0], step, **node.attrs)
        else:
            replaced[id(node)] = node.with_operands(operands)
    outputs = [taken(node) for node in results]
    assumptions = tuple((a, b, node) for node in nodes for a, b in node.assumptions)
    steps = [step] if is_counted else []
    return Graph(outputs, [*inputs, *arguments, *steps], assumptions), outside


def _names(node: Value) -> list[tuple[str, Length]]:
    """List the symbolic lengths in a node's spec and attributes, by name."""
    found: list[tuple[str, Length]] = []
    waiting: list[Any] = [node.spec, *node.attrs.values()]
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, Spec):
            waiting.extend(thing.shape)
        elif type(thing) is tuple:
            waiting.extend(thing)
        elif isinstance(thing, Length):
            found += thing.by_name.items()
    return found


public(scan)
