"""``scan``: a loop as one node, whose body is a graph that is compiled once.

A body is a closed Graph. Its inputs are, in order: carries, elements of the sequences, outer values
(nodes from outside that the user's function mentions), and the step number where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..errors import DTypeError, OptionError, ShapeError
from ..ir.compute import bind_lengths, compute_node
from ..ir.describe import describe, label
from ..ir.graph import Graph, ancestors
from ..ir.op import Array, Attrs, Call, In, Trait, public
from ..ir.value import CONSTANT, Value, apply, as_value, item, make
from ..lengths import Dim, Length, same
from ..ops.arithmetic import astype
from ..ops.forms import general
from ..spec import DType, Spec, TupleSpec, as_shape
from .loops import argument, pull_back_loop, push_forward_loop

__all__ = ["scan"]


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


def _run_body(body: Graph, inputs: Sequence[Any], known_lengths: Mapping[str, int]) -> list[Any]:
    lengths = dict(known_lengths)
    known = {id(node): array for node, array in zip(body.inputs, inputs, strict=True)}
    for node in body.nodes:
        if id(node) in known:
            continue
        if node.op is CONSTANT:
            known[id(node)] = node.attrs["value"]
        else:
            operands = [known[id(operand)] for operand in node.operands]
            known[id(node)] = compute_node(node, operands, lengths)
            if Trait.DATA_SHAPED in node.op.traits:
                bind_lengths(node, known[id(node)], lengths)
    return [known[id(node)] for node in body.outputs]


def _cost(out: Spec, *specs: Spec, body: Graph, length: Dim, **rest: object) -> Any:
    total: Any = 0
    for node in body.nodes:
        if node.operands and not node.several:
            total = total + node.op.cost(
                node.spec, *[operand.spec for operand in node.operands], **node.attrs
            )
    return total * length


def _call(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
    operands = tuple(In(i) for i in range(len(specs)))
    return Call(partial(_kernel, **attrs), operands, out_by_name=True)


_scan = general(
    "scan",
    _kernel,
    infer=_infer,
    vjp=pull_back_loop,
    jvp=push_forward_loop,
    call=_call,
    family="control",
    traits=(Trait.LOOPS,),
    cost=_cost,
    doc="A loop whose body is a graph: carries through the steps, and a result for each step.",
)


@public
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
        ``body(carry, x) -> (carry, y)``, called with nodes that stand for any step: once, and once
        more where it widens the dtype of a carry. It may use nodes from outside; what doesn't
        change from step to step is computed once.
    init
        The first carry: a node, array or number, or a list, tuple or mapping of them.
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
    sequences = [as_value(node) for node in _listed(xs)]
    steps = _length(sequences, length)
    given = _listed(init)
    first = [_first_carry(entry, sequences) for entry in given]
    while True:
        closed, outer, structure = _traced(body, init, first, xs, sequences)
        widened = [
            _widened(entry, node, after, position, sequences)
            for position, (entry, node, after) in enumerate(
                zip(given, first, closed.outputs, strict=False)
            )
        ]
        if all(now is node for now, node in zip(widened, first, strict=True)):
            break
        first = widened
    counted = bool(closed.inputs) and closed.inputs[-1].name == "step"
    named = _outer_names(closed)
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
            raise ShapeError(
                f"scan: a sequence needs a first axis to loop over, got {sequence.spec}."
            )
    steps = as_shape(length)[0] if length is not None else sequences[0].spec.shape[0]
    for sequence in sequences:
        if not same(sequence.spec.shape[0], steps):
            raise ShapeError(
                f"scan: sequences of {steps} and {sequence.spec.shape[0]} steps don't go together."
                f"\n  {label(sequence)}: {describe(sequence)}"
            )
    return steps


def _first_carry(entry: object, sequences: Sequence[Value]) -> Value:
    """Make a node of a first carry; a Python float takes on the dtype of the sequences."""
    if type(entry) is not float:
        return as_value(entry)
    return as_value(entry, _float_beside(sequences))


def _float_beside(sequences: Sequence[Value]) -> DType:
    dtypes = [node.spec.dtype for node in sequences if node.spec.dtype.kind == "f"]
    dtype: DType = np.result_type(*dtypes, 0.0)
    return dtype


def _widened(
    entry: object, node: Value, after: Value, position: int, sequences: Sequence[Value]
) -> Value:
    """Give a first carry the dtype that the body gives it, where that only widens it."""
    before, dtype = node.spec.dtype, after.spec.dtype
    if before == dtype:
        return node
    if type(entry) is int and before.kind == "i" and dtype.kind == "f":
        return _first_carry(float(entry), sequences)
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
        if (_draws(node) and _source(node).serial > began) or any(
            id(operand) in inside for operand in node.operands
        ):
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
        if _draws(node) and _source(node).serial > began:
            is_counted = True
            replaced[id(node)] = _with_step(node, operands, step)
        else:
            replaced[id(node)] = node.with_operands(operands)
    outputs = [taken(node) for node in results]
    assumptions = tuple((a, b, node) for node in nodes for a, b in node.assumptions)
    steps = [step] if is_counted else []
    return Graph(outputs, [*inputs, *arguments, *steps], assumptions), outside


def _outer_names(body: Graph) -> dict[str, Length]:
    """Give the symbolic lengths that a body gets from outside, by name.

    Those that its own operations make known in mid-run can differ from step to step, so no result
    may have them.
    """
    named = {name: length for node in body.nodes for name, length in _names(node)}
    shaped = [node for node in body.nodes if Trait.DATA_SHAPED in node.op.traits]
    own = {name for node in shaped for name, _ in _names(node)}
    for node in body.outputs:
        if any(name in own for name, _ in _names(node)):
            raise ShapeError(
                f"scan: carries and results keep their shape from step to step, but {node.spec}"
                f" depends on data.\n  {label(node)}: {describe(node)}"
            )
    return {name: length for name, length in named.items() if name not in own}


def _draws(node: Value) -> bool:
    """Whether a node is a random draw, or a loop that makes some."""
    if Trait.LOOPS in node.op.traits:
        return any(map(_draws, node.attrs["body"].nodes))
    return Trait.DRAWS in node.op.traits


def _source(node: Value) -> Value:
    """Give the node whose derivative a node belongs to, or itself: derivatives draw nothing new."""
    while node.origin is not None:
        node = node.origin
    return node


def _with_step(node: Value, operands: tuple[Value, ...], step: Value) -> Value:
    """Let draws, and those of loops, change with the step of the loop around them."""
    if Trait.LOOPS not in node.op.traits:
        return apply(node.op, *operands, step, **node.attrs)
    body, around = node.attrs["body"], argument(step.spec, "outer step")
    changed = body.rebuild(
        lambda inner: _with_step(inner, inner.operands, around) if _draws(inner) else inner
    )
    last = len(body.inputs) - node.attrs["counted"]
    inputs = [*body.inputs[:last], around, *body.inputs[last:]]
    attrs = {**node.attrs, "body": Graph(changed.outputs, inputs, changed.assumptions)}
    return make(node.op, (*operands, step), attrs, node.spec, like=node)


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
