"""Where the first NaN or infinity comes from: a graph computed node by node, each result looked at.

Reads the arrays of variables and feeds; writes into none.
"""

from __future__ import annotations

import linecache
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .ir.compute import bind_lengths, compute_node
from .ir.describe import label
from .ir.graph import Graph
from .ir.op import Array, Trait
from .ir.value import CONSTANT, ITEM, LENGTH, PLACEHOLDER, VARIABLE, Value
from .lengths import evaluate
from .location import Location
from .spec import format_shape

__all__ = ["NanReport", "Range", "find_nan"]

_MOST_OPERANDS = 8
"""A longer list of operands is cut in a text."""
_THERE = ("feed", "variable")
"""What stands for the operation in a report of what was there from the start."""


@dataclass(frozen=True, slots=True)
class Range:
    """What an array holds: the least and the largest finite number, and how much is none."""

    name: str
    kind: str
    """Element type and shape, as text."""
    low: float | None
    """None where no number is finite."""
    high: float | None
    nan: float
    """The share of NaN, from 0 to 1."""
    inf: float

    def __str__(self) -> str:
        parts = [] if self.low is None else [f"from {self.low:g} to {self.high:g}"]
        parts += [f"{_share(self.nan)} NaN"] if self.nan else []
        parts += [f"{_share(self.inf)} infinite"] if self.inf else []
        return f"{self.name}: {self.kind}, {', '.join(parts) or 'empty'}"


@dataclass(frozen=True, slots=True)
class NanReport:
    """The first place of a program where NaN or infinity comes up; ``str`` gives it as a text."""

    operation: str
    """The operation, or ``"feed"`` or ``"variable"`` where it was there from the start."""
    name: str
    """What the user calls the value; of a gradient, the forward node's name."""
    line: Location | None
    backward: bool
    """Whether it is part of a gradient: that of the node `name`."""
    result: Range
    operands: tuple[Range, ...]
    reaches_result: bool
    """Whether a result or an update of the program is NaN or infinite because of it."""
    step: int | None = None
    """In a loop, the number of the loop's step."""

    def __str__(self) -> str:
        what = "NaN" if self.result.nan else "infinity"
        if self.operation in _THERE:
            head = f"{self.operation} {self.name!r} holds {what}"
        else:
            named = self.name != self.operation
            head = f"{self.operation} gives {what} first"
            if self.backward:
                head = f"{self.operation}, in the gradient of {self.name}, gives {what} first"
            elif named:
                head = f"{self.operation} ({self.name}) gives {what} first"
        if self.step is not None:
            head += f", in step {self.step} of a loop"
        if not self.reaches_result:
            head += " (it reaches no result)"
        lines = [head + ":"]
        if self.line is not None:
            source = linecache.getline(self.line.file, self.line.line).strip()
            lines.append(f"  {self.line}" + (f"   {source}" if source else ""))
        lines.append(f"  result   {self.result}")
        lines += [f"  operand  {operand}" for operand in self.operands[:_MOST_OPERANDS]]
        if len(self.operands) > _MOST_OPERANDS:
            lines.append(f"  and {len(self.operands) - _MOST_OPERANDS} more operands")
        return "\n".join(lines)


def find_nan(
    graph: Graph, feeds: Mapping[str, Array], lengths: Mapping[str, int], nan: bool, inf: bool
) -> NanReport | None:
    """Find the first NaN or infinity: in variables, in feeds, then in what is computed from them.

    What makes a result of the graph NaN or infinite goes before what doesn't reach one.
    """
    with np.errstate(all="ignore"):
        search = _Search(graph, dict(lengths), nan, inf)
        search.run(feeds, {})
        return search.first()


class _Search:
    """One run over a graph, that keeps arrays as long as they are read, and notes bad ones."""

    def __init__(self, graph: Graph, lengths: dict[str, int], nan: bool, inf: bool) -> None:
        self.graph = graph
        self.lengths = lengths
        self.nan = nan
        self.inf = inf
        self.bad: dict[int, tuple[bool, bool]] = {}
        """Of nodes that hold NaN or infinity: whether NaN, and whether infinity."""
        self.reports: dict[int, NanReport] = {}
        self.results: list[Array] = []

    def run(self, feeds: Mapping[str, Array], given: Mapping[int, Array]) -> None:
        """Compute every node; *given* holds, by the ids of inputs, the arrays that they stand for.

        Values that nobody reads any more are dropped on the way.
        """
        last: dict[int, Value] = {}
        for node in self.graph.nodes:
            for operand in node.operands:
                last[id(operand)] = node
        wanted = {id(node) for node in self.graph.outputs}
        known: dict[int, Any] = {}
        for node in self.graph.nodes:
            operands = [known[id(operand)] for operand in node.operands]
            if id(node) in given:
                known[id(node)] = given[id(node)]
            elif not node.operands and node.op in (CONSTANT, VARIABLE, LENGTH, PLACEHOLDER):
                known[id(node)] = self._leaf(node, feeds)
            else:
                known[id(node)] = compute_node(node, operands, self.lengths)
                if Trait.DATA_SHAPED in node.op.traits:
                    bind_lengths(node, known[id(node)], self.lengths)
            self._look(node, known[id(node)], operands, id(node) in given)
            for operand in node.operands:
                if last[id(operand)] is node and id(operand) not in wanted:
                    known.pop(id(operand), None)
        self.results = [known[id(node)] for node in self.graph.outputs]

    def _leaf(self, node: Value, feeds: Mapping[str, Array]) -> Array:
        if node.op is CONSTANT:
            value: Array = node.attrs["value"]
            return value
        if node.op is VARIABLE:
            assert node.cell is not None
            return node.cell.array
        if node.op is LENGTH:
            return np.asarray(evaluate(node.attrs["length"], self.lengths), node.spec.dtype)
        return feeds[str(node.name)]

    def _look(self, node: Value, result: Any, operands: Sequence[Any], is_given: bool) -> None:
        """Note whether a node is bad, and report it if none of its operands is bad in that way."""
        arrays = result if node.several else (result,)
        has_nan, has_inf = map(any, zip(*(_kinds(array) for array in arrays), strict=True))
        if not has_nan and not has_inf:
            return
        if node.op is ITEM:
            self.bad[id(node)] = has_nan, has_inf
            return
        below = [self.bad.get(id(operand), (False, False)) for operand in node.operands]
        self.bad[id(node)] = has_nan, has_inf
        is_new = (self.nan and has_nan and not any(of_nan for of_nan, _ in below)) or (
            self.inf and has_inf and not any(of_inf for _, of_inf in below)
        )
        # Who writes an infinity down means it; what comes into a loop is looked at outside.
        if is_new and not is_given and node.op is not CONSTANT:
            self.reports[id(node)] = self._report(node, arrays, operands)

    def _report(self, node: Value, arrays: Sequence[Array], operands: Sequence[Any]) -> NanReport:
        forward = node if node.origin is None else node.origin
        if node.op is VARIABLE or node.op is PLACEHOLDER:
            kind = "variable" if node.op is VARIABLE else "feed"
            whole = _range(label(node), arrays[0])
            return NanReport(kind, label(node), node.line, False, whole, (), True)
        worst = max(arrays, key=lambda array: _kinds(array))
        report = NanReport(
            node.op.name,
            label(forward),
            node.line,
            node.origin is not None,
            _range(node.op.name, worst),
            tuple(
                _range(label(operand), array)
                for operand, array in zip(node.operands, operands, strict=True)
                if isinstance(array, np.ndarray)
            ),
            True,
        )
        if Trait.LOOPS in node.op.traits:
            return self._inside(node, operands) or report
        return report

    def _inside(self, node: Value, operands: Sequence[Any]) -> NanReport | None:
        """Run a loop step by step, and give the first report of its body."""
        body: Graph = node.attrs["body"]
        carries, xs = node.attrs["carries"], node.attrs["xs"]
        length = int(evaluate(node.attrs["length"], self.lengths))
        bound = map(evaluate, node.attrs["lengths"], [self.lengths] * len(node.attrs["lengths"]))
        lengths = {**self.lengths, **dict(zip(node.attrs["names"], bound, strict=True))}
        carried = list(operands[:carries])
        for step in reversed(range(length)) if node.attrs["reverse"] else range(length):
            rows = [np.asarray(array[step]) for array in operands[carries : carries + xs]]
            arrays = [*carried, *rows, *operands[carries + xs :], np.asarray(step)]
            given = {id(n): a for n, a in zip(body.inputs, arrays, strict=False)}
            search = _Search(body, dict(lengths), self.nan, self.inf)
            search.run({}, given)
            found = search.first()
            if found is not None and found.reaches_result:
                backward = node.origin is not None or found.backward
                name = label(node.origin) if node.origin is not None else found.name
                place = step if found.step is None else found.step
                line = found.line or node.line
                return replace(found, backward=backward, name=name, step=place, line=line)
            carried = [np.asarray(array) for array in search.results[:carries]]
        return None

    def first(self) -> NanReport | None:
        """Give the first report that a bad result goes back to, else the first of all."""
        if not self.reports:
            return None
        reached: set[int] = set()
        stack = list(self.graph.outputs)
        while stack:
            node = stack.pop()
            if id(node) not in reached and id(node) in self.bad:
                reached.add(id(node))
                stack.extend(node.operands)

        def rank(key: int) -> tuple[bool, int]:
            report = self.reports[key]
            if report.operation not in _THERE:
                return key not in reached, 1
            return key not in reached, 0 if self.nan and report.result.nan else 2

        first = min(self.reports, key=rank)
        # A least value so far may well start as infinity.
        if rank(first) == (True, 2):
            return None
        return replace(self.reports[first], reaches_result=first in reached)


def _kinds(array: Any) -> tuple[bool, bool]:
    """Say whether an array holds NaN, and whether infinity."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return False, False
    return bool(np.isnan(array).any()), bool(np.isinf(array).any())


def _range(name: str, array: Array) -> Range:
    kind = f"{array.dtype.name}{format_shape(array.shape)}"
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
    if array.dtype.kind != "f" or not array.size:
        return Range(name, kind, low, high, 0.0, 0.0)
    return Range(
        name, kind, low, high, float(np.isnan(array).mean()), float(np.isinf(array).mean())
    )


def _share(part: float) -> str:
    return "all" if part == 1 else f"{100 * part:.3g}%"
