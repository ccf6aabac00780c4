"""What the library does, to look at: ``trace_compile`` and ``explain_gradient``.

Compiles or differentiates, keeps what comes about on the way, and hands it to ``viz``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .autodiff.derivatives import differentiable, filled, grad
from .autodiff.reverse import active_nodes, pull_back
from .compiler import Program
from .errors import OptionError
from .ir.describe import worded
from .ir.graph import Graph, ancestors
from .ir.op import Trait, Writes
from .ir.value import CONSTANT, Value
from .passes import EXACT_PASSES, Pass, optimize
from .passes.fold import folded
from .report import memory_of
from .requests import Outputs, Updates
from .viz.changes import Listing
from .viz.explanation import Explanation
from .viz.gradient import Flow, explained
from .viz.memory import size_text
from .viz.stages import (
    Stage,
    graph_stage,
    kernel_stage,
    memory_stage,
    schedule_stage,
    source_stage,
)
from .viz.trace import Trace

__all__ = ["explain_gradient", "trace_compile"]


@worded
def trace_compile(
    outputs: Outputs,
    *,
    updates: Updates = (),
    train: bool | None = None,
    name: str | None = None,
    backend: str | None = None,
    threads: int | None = None,
    lengths: Mapping[str, int] | None = None,
) -> Trace:
    """Compile nodes, and keep every stage: graphs, steps, kernels, memory, source.

    The result is a text to print, shows itself in a notebook, and is saved as one page to open in
    a browser: ``trace_compile(loss).save("loss.html")``.

    Parameters
    ----------
    outputs, updates, train, name, backend, threads
        As in `compile`. With ``"c"`` there are kernels and C; ``"auto"`` begins on NumPy, and so
        does its trace.
    lengths
        The named lengths, such as ``{"batch": 32}``. Without them a program over named lengths
        has no memory and no source yet, and its trace ends with the schedule.

    Raises
    ------
    OptionError
        For what `compile` refuses, and for lengths that the program doesn't have or that are
        missing.

    Examples
    --------
    >>> x = placeholder((3,), name="x")
    >>> trace = lg.trace_compile((x * x + x * x).sum(), backend="numpy")
    >>> [stage.name for stage in trace.stages if stage.has_changed]
    ['written', 'merge', 'schedule', 'memory', 'Python']
    >>> print(trace.stages[3].text)
      x: float64[3]
      a = multiply(x, x)
    - b = multiply(x, x)
    ~ c = add(a, a)
      d = sum(c, axes=(0,), keepdims=False)
      return d
    """
    passed: list[tuple[Pass, Graph, Graph]] = []
    program = Program(
        outputs,
        updates,
        train,
        name,
        backend,
        threads,
        watch=lambda *seen: passed.append(seen),
    )
    listing, stages = _first_stages(program, passed[0][1])
    for step, _, graph in passed:
        listing = Listing(graph, listing)
        stages.append(graph_stage(step.name, step.doc, listing))
    names = {
        number: listing.labels[id(node)]
        for node in listing.graph.nodes
        if id(node) in listing.labels and (number := program.numbers.get(id(node))) is not None
    }
    stages += _planned_stages(program, names, lengths)
    return Trace(_title(program), tuple(stages), program)


def _first_stages(program: Program, settled: Graph) -> tuple[Listing, list[Stage]]:
    """Give what there is before the first pass, which gets the graph *settled*."""
    graph = program.graph
    count = len(program.schedule.sections[0].outputs)
    results = Graph(graph.outputs[:count])
    said = "The nodes below the results, as they were written."
    listing = Listing(results)
    stages = [graph_stage("written", said, listing)]
    if len(results) < len(graph):
        listing = Listing(graph, listing)
        said = "Updates of variables join it, with the gradients that they are made of."
        stages.append(graph_stage("updates", said, listing))
    if settled is not graph:
        listing = Listing(settled, listing)
        mode = "training" if program.train else "evaluation"
        said = f"The branches of {mode} are taken, and updates within the graph become results."
        stages.append(graph_stage("mode", said, listing))
    return listing, stages


def _planned_stages(
    program: Program, names: Mapping[int, str], lengths: Mapping[str, int] | None
) -> list[Stage]:
    """Give the stages from the schedule on; those that need lengths only where they are known."""
    schedule = program.schedule
    is_known = lengths is None or (
        isinstance(lengths, Mapping) and all(isinstance(key, str) for key in lengths)
    )
    if not is_known:
        raise OptionError(f"lengths must be a dict of numbers by name, got {lengths!r:.60}.")
    if lengths is None and program.lengths:
        listed = ", ".join(f"{name!r}: ..." for name in sorted(program.lengths))
        stage = schedule_stage(schedule, names, None)
        return [
            stage,
            Stage(
                "memory",
                f"Where values lie follows from their lengths: give lengths={{{listed}}}.",
                "values",
                None,
                0,
                (),
            ),
        ]
    executable = program.planned(**(lengths or {}))
    found = executable.schedule
    plan = executable.plan
    stages = [schedule_stage(schedule, names, None if found is not schedule else plan)]
    if found is not schedule:
        stages.append(kernel_stage(schedule, found, names, plan))
    held = memory_of(executable)
    beside = {
        "variables": held.variables,
        "constants": held.constants,
        "results": held.outputs,
    }
    said = ", ".join(f"{size_text(count)} of {what}" for what, count in beside.items() if count)
    stages.append(memory_stage(found, names, plan, f"Beside it there are {said}." if said else ""))
    python, _, native = executable.source.partition("/*")
    stages.append(source_stage("Python", _python_said(program, bool(native)), python.rstrip()))
    if native:
        said = "Kernels, products and moves as one unit of C, with every length a number."
        stages.append(source_stage("C", said, "/*" + native))
    return stages


def _python_said(program: Program, has_c: bool) -> str:
    if has_c:
        return "What drives the machine code below: as few calls as there can be."
    if program.backend == "auto":
        return 'What runs at first. After many calls C takes over: backend="c" shows that.'
    return "What runs: NumPy called step by step, with everything decided beforehand."


def _title(program: Program) -> str:
    if program.name is not None:
        return f"{program.name}, compiled"
    names = [node.name for node in program.graph.outputs if node.name is not None]
    named = ", ".join(dict.fromkeys(names))
    return f"{named}, compiled" if named else "A program, compiled"


def _fold_numbers(graph: Graph) -> Graph:
    """Fold numbers with another count of axes; folding more would hide where numbers come from."""
    return graph.rebuild(lambda node: folded(node) if _is_number_seen_otherwise(node) else node)


def _is_number_seen_otherwise(node: Value) -> bool:
    if node.op.writes is not Writes.VIEW or node.operands[0].op is not CONSTANT:
        return False
    return node.operands[0].attrs["value"].size == 1 and set(node.shape) <= {1}


_EXACT = {step.name: step for step in EXACT_PASSES}
_LIGHT = (
    _EXACT["broadcast"],
    Pass("fold numbers", _fold_numbers),
    _EXACT["merge"],
    _EXACT["rewrite exactly"],
)


@worded
def explain_gradient(loss: Value, wrt: Value, *, simplify: bool = True) -> Explanation:
    """Write the derivative of *loss* by *wrt* as formulas, with where each term comes from.

    ``str`` is Python to read, ``.latex`` is LaTeX, and ``.equations`` are records. Nodes have the
    users' names where they have some. What flows back to a node ``v`` is called ``d_v``; a term is
    followed by the forward operations whose rules made it, and the users' lines.

    Parameters
    ----------
    loss, wrt
        The two nodes. Of a *loss* with axes it is the derivative of its sum.
    simplify
        Whether what changes no bit is done first: factors of 1 fall away, equal parts are one.
        Otherwise it is the derivative as it is built.

    Raises
    ------
    DisconnectedError
        If *loss* doesn't depend on *wrt* through differentiable operations.

    Examples
    --------
    >>> x, y = placeholder((10, 3), name="x"), placeholder((10,), name="y")
    >>> w = Value([0.0, 0.0, 0.0], name="w")
    >>> print(lg.explain_gradient(((x @ w - y) ** 2).sum(), w).whole.text)
    d loss/d w = x.T @ (2 * (x @ w - y))
    """
    for node, what in ((loss, "loss"), (wrt, "wrt")):
        if not isinstance(node, Value):
            raise OptionError(f"{what} must be a node, got {type(node).__name__}.")
        differentiable(node)
    grad(loss, wrt)
    nodes = ancestors([loss])
    active = active_nodes(nodes, [wrt])
    inner = [node for node in nodes if id(node) in active and not node.several]
    found = pull_back([loss], [filled(loss.spec, 1.0)], inner)
    built = {id(n): (n, g) for n, g in zip(inner, found, strict=True) if g is not None}
    terms = {key: _terms(node, g) for key, (node, g) in built.items()}
    forward = [node for node in nodes if not node.several]
    totals = [g for _, g in built.values()]
    graph = Graph([*forward, *totals, *(term for each in terms.values() for term in each)])
    if simplify:
        graph = optimize(graph, _LIGHT)
    results = iter(graph.outputs)
    now = [(node, next(results)) for node in forward]
    sums = {key: next(results) for key in built}
    origins = _origins(nodes, built, terms)
    flows = [
        Flow(node, sums[key], tuple((next(results), origin) for origin in origins[key]))
        for key, (node, _) in built.items()
    ]
    return explained(loss, wrt, now, flows)


def _terms(node: Value, total: Value) -> list[Value]:
    """Give what was added up because several operations read a forward node."""
    found, stack = [], [total]
    while stack:
        each = stack.pop()
        # Nothing else of what belongs to a node is made before its rule is applied.
        if each.origin is node and {Trait.COMMUTATIVE, Trait.LINEAR} <= each.op.traits:
            stack += reversed(each.operands)
        else:
            found.append(each)
    return found


def _origins(
    nodes: Sequence[Value],
    built: Mapping[int, tuple[Value, Value]],
    terms: Mapping[int, list[Value]],
) -> dict[int, list[Value | None]]:
    """Give the forward node that each term comes from: whose rule made it, or handed it on."""
    handed: dict[tuple[int, int], Value] = {}
    for reader in nodes:
        if id(reader) in built:
            for operand in reader.operands:
                handed[id(operand), id(built[id(reader)][1])] = reader
    return {
        key: [handed.get((key, id(term)), term.origin) for term in each]
        for key, each in terms.items()
    }
