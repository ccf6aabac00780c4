"""A model as a table: each layer's result, parameters, bytes and floating-point operations.

Knows nodes and names. Modules say which nodes their calls wrote, by telling `noted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import LazygradError, OptionError
from ..ir.op import Trait
from ..ir.value import Value, as_value, constant, placeholder
from ..lengths import Dim, Length
from ..report import table
from ..spec import Spec, format_shape

__all__ = ["Call", "Row", "Summary", "called", "noted", "recorded", "results_of", "summarize"]


@dataclass
class Call:
    """One call of a module: who, where, the serial numbers of its nodes, and what it gave."""

    module: Any
    path: str
    start: int
    stop: int = 0
    result: Any = None


_calls: ContextVar[list[Call] | None] = ContextVar("calls", default=None)


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """Gather the calls of modules inside."""
    found: list[Call] = []
    token = _calls.set(found)
    try:
        yield found
    finally:
        _calls.reset(token)


def noted(module: Any, path: str, call: Callable[[], Any]) -> Any:
    """Call, and take note of it if somebody gathers calls."""
    calls = _calls.get()
    if calls is None:
        return call()
    entry = Call(module, path, _serial())
    calls.append(entry)
    entry.result = call()
    entry.stop = _serial()
    return entry.result


def _serial() -> int:
    # Every node has the next number, so a new one tells how far they are.
    return constant(0).serial


@dataclass(frozen=True)
class Row:
    """What a table says of one call of a layer; of its own, without the layers inside it."""

    name: str
    layer: str
    output: str
    dtype: str
    parameters: int
    """How many numbers; 0 where an earlier row has them."""
    bytes: int
    """Of parameters and buffers."""
    flops: Dim
    """Floating-point operations of a prediction; a formula where lengths have names."""


@dataclass(frozen=True)
class Summary:
    """A model as a table; print it, or read its rows."""

    rows: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        """How many numbers all layers have."""
        return sum(row.parameters for row in self.rows)

    @property
    def bytes(self) -> int:
        """How many bytes parameters and buffers take."""
        return sum(row.bytes for row in self.rows)

    @property
    def flops(self) -> Dim:
        """How many floating-point operations a prediction takes."""
        total: Dim = 0
        for row in self.rows:
            total = total + row.flops
        return total

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [
            ("name", "layer", "output", "dtype", "parameters", "bytes", "flops")
        ]
        rows += [
            (
                row.name,
                row.layer,
                row.output,
                row.dtype,
                *_shown(row.parameters, row.bytes, row.flops),
            )
            for row in self.rows
        ]
        rows += [("total", "", "", "", *_shown(self.parameters, self.bytes, self.flops))]
        lines = table(rows).split("\n")
        return "\n".join([*lines[:-1], lines[1], lines[-1]])

    def __repr__(self) -> str:
        return str(self)


def summarize(module: Any, inputs: Sequence[Any]) -> Summary:
    """Call a module on inputs, and describe every layer that took part.

    An input is a node, an array, a `Spec`, or a shape, which stands for float32.
    """
    with recorded() as calls:
        called(module, inputs)
    modules = {id(call.module) for call in calls}
    seen: set[int] = set()
    return Summary(tuple(_row(place, calls, modules, seen) for place in range(len(calls))))


def called(module: Any, inputs: Sequence[Any]) -> Any:
    """Call a module on inputs: nodes, arrays, specs, or shapes, which stand for float32."""
    nodes = [_input(place, given) for place, given in enumerate(inputs)]
    try:
        return module(*nodes)
    except LazygradError:
        raise
    except TypeError as error:
        raise OptionError(
            f"{type(module).__name__} can't be called with {len(nodes)} inputs: {error}."
        ) from error


def _input(place: int, given: Any) -> Any:
    if isinstance(given, Spec):
        return placeholder(given.shape, dtype=given.dtype, name=f"input{place}")
    if isinstance(given, tuple) and all(isinstance(n, (int, str, Length)) for n in given):
        return placeholder(given, dtype="float32", name=f"input{place}")
    return as_value(given)


def _row(place: int, calls: Sequence[Call], called: set[int], seen: set[int]) -> Row:
    call = calls[place]
    inner = [c for c in calls[place + 1 :] if call.start < c.start < call.stop]
    results = results_of(call.result)
    outputs = [format_shape(node.shape) for node in results]
    kinds = dict.fromkeys(node.dtype.name for node in results)
    numbers = size = 0
    for owner in _with_uncalled(call.module, called):
        for variable in owner.own_variables():
            if id(variable) in seen:
                continue
            seen.add(id(variable))
            count = int(np.prod(variable.data.shape))
            size += count * variable.dtype.itemsize
            numbers += count if owner.is_parameter(variable) else 0
    return Row(
        name=call.path,
        layer=type(call.module).__name__,
        output=", ".join(outputs),
        dtype=", ".join(kinds),
        parameters=numbers,
        bytes=size,
        flops=_flops(call, results, inner),
    )


def _with_uncalled(module: Any, called: set[int]) -> Iterator[Any]:
    """Give a module, and those inside it whose parameters it uses without calling them."""
    yield module
    for _, child in module.named_children():
        if id(child) not in called:
            yield from _with_uncalled(child, called)


def results_of(result: Any) -> list[Value]:
    """List the nodes in what a module gave."""
    if isinstance(result, Value):
        return [result]
    if isinstance(result, (tuple, list)):
        return [node for entry in result for node in results_of(entry)]
    return []


def _flops(call: Call, results: Sequence[Value], inner: Sequence[Call]) -> Dim:
    """Add up the operations that a call wrote itself, as they are when it predicts."""
    total: Dim = 0
    seen: set[int] = set()
    stack = list(results)
    while stack:
        node = stack.pop()
        if id(node) in seen or node.serial <= call.start:
            continue
        seen.add(id(node))
        if Trait.SWITCHES in node.op.traits:
            stack.append(node.operands[2])
            continue
        stack += node.operands
        is_own = node.serial < call.stop and not any(c.start < node.serial < c.stop for c in inner)
        if is_own and node.operands and not node.several:
            specs = [operand.spec for operand in node.operands]
            total = total + node.op.cost(node.spec, *specs, **node.attrs)
    return total


def _shown(*numbers: Dim) -> tuple[str, ...]:
    return tuple(f"{n:,}" if isinstance(n, int) else str(n) for n in numbers)
