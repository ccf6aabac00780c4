"""What ``.data``, ``.grad``, ``forward`` and ``backward`` of a node do.

Each node that is run gets an evaluation; this file finds the one to ask. It is installed into the
nodes' own module once, so that no lower floor imports this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .backends.interpreter import interpret
from .errors import (
    LazygradError,
    ShapeError,
    SymbolicError,
)
from .evaluation import Evaluation, latest_gradient, own, watching
from .ir.compute import compute_node
from .ir.describe import failed_operation, label, symbolic_error
from .ir.graph import Graph, ancestors
from .ir.op import FUNCTIONS
from .ir.value import CONSTANT, LENGTH, PLACEHOLDER, VARIABLE, Value, install_runtime
from .ops.random import counters_of
from .passes import settle_mode
from .schedule.steps import Schedule

__all__ = ["NodeRuntime", "concrete", "known_values"]

# Larger graphs are drawn without computing values for the picture.
_SHOWN_NODES = 1000


def _computed(node: Value, operands: Sequence[Any], lengths: Mapping[str, int]) -> Any:
    """Run a node's kernel; what it raises is worded with the operation and its line."""
    try:
        return compute_node(node, operands, lengths)
    except LazygradError:
        raise
    except Exception as error:
        specs = [operand.spec for operand in node.operands]
        raise failed_operation(node.op.name, specs, node.line, error) from error


def _evaluation(value: Value) -> Evaluation:
    if value._evaluation is None:
        value._evaluation = Evaluation(value)
    evaluation: Evaluation = value._evaluation
    return evaluation


def known_values(graph: Graph) -> dict[int, dict[str, Any]]:
    """Gather, by the ids of nodes, values and gradients of the latest runs, if there were any.

    What was not kept is computed once more, unless the graph is large.
    """
    known: dict[int, dict[str, Any]] = {}
    free = not any(node.op in (PLACEHOLDER, LENGTH) for node in graph.nodes)
    computed: list[Any] = []
    if free and len(graph.nodes) <= _SHOWN_NODES:
        with np.errstate(all="ignore"):
            computed = interpret(Graph(graph.nodes), {})
    for position, node in enumerate(graph.nodes):
        facts: dict[str, Any] = {}
        ran = [e for e in watching(node) if e.forward_tick]
        if computed:
            facts["data"] = computed[position]
        elif node.cell is not None:
            facts["data"] = node.cell.array
        elif ran:
            facts["data"] = max(ran, key=lambda e: e.forward_tick).peek(node)
        facts["grad"] = latest_gradient(node)
        known[id(node)] = {name: fact for name, fact in facts.items() if fact is not None}
    if len(graph.nodes) <= _SHOWN_NODES:
        _recall(graph, known)
    return known


def _recall(graph: Graph, known: dict[int, dict[str, Any]]) -> None:
    """Add what the evaluations of results, or of nodes above them, still know."""
    for output in graph.outputs:
        ran = [e for e in watching(output) if e.forward_tick]
        if not ran:
            continue
        latest = max(ran, key=lambda e: (e.backward_tick > e.forward_tick, e.forward_tick))
        nodes = [node for node in ancestors([output]) if len(known[id(node)]) < 2]
        for key, facts in latest.recall(nodes).items():
            known[key] = {**facts, **known[key]}


class NodeRuntime:
    """The runtime of nodes: see `Runtime` in the module of the node."""

    def data(self, value: Value) -> Any:
        """Give the live array of a variable, and the latest value of any other node."""
        if value.op is VARIABLE and value.cell is not None:
            return value.cell.lend()
        if value.op is CONSTANT:
            return own(value.attrs["value"])
        ran = [e for e in watching(value) if e.forward_tick]
        below = ancestors([value])
        latest = max(ran, key=lambda e: e.forward_tick, default=None)
        if not any(node.op in (PLACEHOLDER, LENGTH) for node in below):
            counters = counters_of(below)
            if counters:
                return self._drawn_value(value, counters, latest)
            return self._free_value(value)
        if latest is None:
            raise _not_run(value)
        return latest.value_of(value)

    def _free_value(self, value: Value) -> Any:
        """Compute a node that depends on no feed, or take the value its own forward just gave."""
        evaluation = value._evaluation
        if isinstance(evaluation, Evaluation) and evaluation.is_current():
            return evaluation.value_of(value)
        with np.errstate(all="ignore"):
            return own(np.asarray(interpret(_settled(value), {}, compute=_computed)[0]))

    def _drawn_value(self, value: Value, counters: list[Value], latest: Evaluation | None) -> Any:
        """Compute a node above random draws, with those of the most recent forward above it.

        Without one, with those of the most recent call of each stream, or those of its first.
        """
        if latest is not None and latest.is_current():
            return latest.value_of(value)
        cells = [node.cell for node in counters if node.cell is not None]
        held = {id(cell): np.maximum(cell.array - 1, 0) for cell in cells}
        lengths: Mapping[str, int] = {}
        if latest is not None:
            held.update(latest.counts)
            lengths = latest.lengths
        with np.errstate(all="ignore"):
            return own(np.asarray(interpret(_settled(value), {}, lengths, held, _computed)[0]))

    def grad(self, value: Value) -> Any:
        """Give the gradient of the most recent backward above the node, or None."""
        if not value.operands:
            return value._gradient
        ran = [e for e in watching(value) if e.backward_tick]
        return max(ran, key=lambda e: e.backward_tick).gradient_of(value) if ran else None

    def forward(self, value: Value, feeds: dict[str, object], missing: object) -> Any:
        """Run the graph below the node."""
        if not isinstance(missing, str):
            # A placeholder may be called like the option.
            feeds, missing = {**feeds, "missing": missing}, "warn"
        return _evaluation(value).forward(feeds, missing)

    def backward(self, value: Value, seed: object, accumulate: bool) -> None:
        """Fill the gradients below the node."""
        _evaluation(value).backward(seed, accumulate)

    def schedule(self, value: Value) -> Schedule:
        """Give the schedule of the node's forward and backward, made once."""
        return _evaluation(value).schedule

    def show(self, value: Value) -> str:
        """Write the node with what is known of it; never fails."""
        try:
            if value.several:
                return f"Value({label(value)}: {value.spec})"
            return f"Value(data={self.data(value)}, grad={self.grad(value)})"
        except LazygradError:
            return f"Value({label(value)}: {value.spec})"


def _settled(value: Value) -> Graph:
    """Give the graph below a node, in the mode that its modules are in."""
    return settle_mode(Graph([value]), None)


def _not_run(value: Value) -> SymbolicError:
    names = [str(node.name) for node in ancestors([value]) if node.op is PLACEHOLDER]
    listed = ", ".join(f"{name}=..." for name in names)
    return symbolic_error(
        value, "the value", f"it depends on feeds; call forward({listed}) on it or on a node above."
    )


def concrete(value: Value, what: str) -> Any:
    """Give the value of a node that depends on no feed; anything else is refused."""
    if any(node.op in (PLACEHOLDER, LENGTH) for node in ancestors([value])):
        raise symbolic_error(
            value, f"the {what}", "it depends on feeds; look at .data after forward."
        )
    result = value.data
    if np.size(result) != 1:
        raise ShapeError(f"only a value with one element converts, got {value.spec}.")
    return result


FUNCTIONS["concrete"] = concrete
install_runtime(NodeRuntime())
