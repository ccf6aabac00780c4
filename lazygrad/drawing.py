"""``draw``: pictures of nodes, programs and modules, and the ancestors' ways to draw.

Gathers what a picture shows, values, gradients, steps and times, and hands it to `viz`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .autodiff.derivatives import filled
from .autodiff.reverse import pull_back
from .compiler import Program, compile
from .errors import OptionError
from .evaluator import known_values
from .ir.graph import Graph
from .ir.op import public
from .ir.value import Value
from .lengths import substitute_shape
from .report import Planned, memory_of
from .schedule.facts import format_size, step_facts
from .viz import (
    Annotations,
    Drawing,
    Layered,
    checked_direction,
    checked_format,
    notebook_bundle,
    picture_of_graph,
    picture_of_layers,
    picture_of_records,
    picture_of_steps,
    picture_of_tables,
    to_text_tree,
)

__all__ = ["draw", "draw_dot", "draw_graph", "notebook"]

# A picture of more boxes with values is too large for a cell of a notebook.
_FEW_VALUES = 40
# Larger graphs are shown as text where nobody asked for a picture.
_MOST_SHOWN = 20_000


@public
def draw(
    what: Value | Sequence[Value] | Graph | Program | Layered,
    *inputs: object,
    values: bool = False,
    gradients: bool = False,
    schedule: bool = False,
    profile: bool = False,
    depth: int | None = None,
    fold: bool = True,
    constants: bool = False,
    rankdir: str | None = None,
    format: str = "svg",
    limit: int = 400,
    lengths: Mapping[str, int] | None = None,
    feeds: Mapping[str, object] | None = None,
) -> Drawing:
    """Draw nodes, a program or a module; the picture shows itself in a notebook.

    Parameters
    ----------
    what
        A node, several, a Graph, a Program or a module. A module is drawn as it is called on
        *inputs*: nodes, arrays, or shapes, which stand for float32. Without any its latest call is
        drawn, if what it gave is still there, and else the tree of its layers.
    values
        Whether nodes show their data and gradients in the latest forward and backward, if there
        were any.
    gradients
        Whether the gradients of the results are drawn too. Derivatives stand beside the nodes that
        they are the derivatives of, tied to them by dashed lines.
    schedule
        Whether the steps are drawn that run, fused and with their places in memory, instead of
        nodes; of a program those of the lengths of its latest call, or of *lengths*.
    profile
        Whether steps are timed on *feeds*, by default zeros, and drawn the redder the longer they
        take. Without *feeds* a program that was profiled shows these times.
    depth
        How many layers deep frames are drawn; layers inside these are closed.
    fold
        Whether equal blocks in a row are drawn once, with how many there are.
    constants
        Whether constants have boxes of their own.
    rankdir
        Where data flows to: ``"LR"``, ``"TB"``, ``"RL"`` or ``"BT"``.
    format
        ``"svg"``, ``"png"`` or ``"pdf"``: what a notebook shows.
    limit
        About how many boxes there are at most. Beyond it layers are closed and operations gathered.

    Raises
    ------
    OptionError
        If it is none of these, an option is unknown, or there is nothing to differentiate.

    Examples
    --------
    >>> x = Value(3.0, name="x")
    >>> print(draw(x * x, values=True))
    multiply -> float64[]   data = 9
    ├─ x: variable float64[]   data = 3
    └─ x: variable float64[]   data = 3
    """
    checked_format(format)
    if rankdir is not None:
        checked_direction(rankdir)
    look = _Look(depth, fold, constants, rankdir, format, limit)
    if inputs and not _is_layered(what):
        raise OptionError("draw: only a module is called on inputs; give several nodes as a list.")
    if schedule or profile:
        return _drawn_steps(_program(what, inputs), look, profile, lengths, feeds)
    if _is_layered(what):
        module: Any = what
        nodes = list(module.drawn_nodes(*inputs))
        if not nodes:
            return _drawn_layers(module, look)
        what = nodes
    titles: Sequence[str] = ()
    if isinstance(what, Program):
        graph, titles = what.graph, what.titles
    else:
        graph = what if isinstance(what, Graph) else Graph(_nodes("draw", what))
    if gradients:
        graph, titles = _with_gradients(graph, titles)
    annotations = known_values(graph) if values else None
    return _drawn_graph(graph, annotations, titles, look)


@dataclass(frozen=True)
class _Look:
    """The options that say how a picture looks."""

    depth: int | None = None
    fold: bool = True
    constants: bool = False
    rankdir: str | None = None
    format: str = "svg"
    limit: int = 400

    def __post_init__(self) -> None:
        if type(self.limit) is not int or self.limit < 2:
            raise OptionError(f"draw: limit must be an int from 2 on, got {self.limit!r}.")
        if self.depth is not None and (type(self.depth) is not int or self.depth < 0):
            raise OptionError(f"draw: depth must be an int from 0 on, got {self.depth!r}.")


def _is_layered(what: object) -> bool:
    return hasattr(what, "drawn_nodes") and not isinstance(what, Value)


def _nodes(caller: str, what: object) -> list[Value]:
    listed = what if isinstance(what, Iterable) and not isinstance(what, Value) else (what,)
    nodes = list(listed.values() if isinstance(listed, Mapping) else listed)
    if not nodes or not all(isinstance(node, Value) for node in nodes):
        raise OptionError(
            f"{caller}: give a node, several nodes, a Graph, a Program or a module, not"
            f" {what!r:.60}."
        )
    return nodes


def _drawn_graph(
    graph: Graph,
    annotations: Annotations | None,
    titles: Sequence[str],
    look: _Look,
) -> Drawing:
    has_derivatives = any(node.origin is not None for node in graph.nodes)
    return Drawing(
        lambda: picture_of_graph(
            graph,
            annotations,
            titles=titles,
            depth=look.depth,
            # Equal blocks have values of their own.
            fold=look.fold and annotations is None,
            constants=look.constants,
            mirrored=has_derivatives,
            rankdir=look.rankdir,
            limit=look.limit,
        ),
        lambda: to_text_tree(graph, annotations),
        f"{len(graph)} nodes",
        format=look.format,
    )


def _drawn_layers(module: Any, look: _Look) -> Drawing:
    layer = module.layer()
    return Drawing(
        lambda: picture_of_layers(
            layer, depth=look.depth, fold=look.fold, rankdir=look.rankdir, limit=look.limit
        ),
        lambda: repr(module),
        f"the layers of {type(module).__name__}",
        format=look.format,
    )


def _with_gradients(graph: Graph, titles: Sequence[str]) -> tuple[Graph, list[str]]:
    """Add the gradients of all leaves that ask for one, unless derivatives are there already."""
    if any(node.origin is not None for node in graph.nodes):
        return graph, list(titles)
    roots = [node for node in graph.outputs if node.requires_grad and not node.several]
    leaves = [node for node in graph.nodes if not node.operands and node.requires_grad]
    if not roots or not leaves:
        raise OptionError(
            "draw: gradients=True needs a result that depends differentiably on a leaf that"
            " requires a gradient."
        )
    found = pull_back(roots, [filled(node.spec, 1.0) for node in roots], leaves)
    pairs = [(leaf, node) for leaf, node in zip(leaves, found, strict=True) if node is not None]
    titles = [*titles, *[""] * (len(graph.outputs) - len(titles))]
    titles += [f"gradient of {leaf.name or 'a variable'}" for leaf, _ in pairs]
    return Graph([*graph.outputs, *(node for _, node in pairs)]), titles


def _program(what: Any, inputs: Sequence[object]) -> Program:
    if isinstance(what, Program):
        return what
    if _is_layered(what):
        nodes = list(what.drawn_nodes(*inputs))
        if not nodes:
            raise OptionError(
                "draw: a module has steps once it is called; give inputs, or draw a program."
            )
        return compile(nodes)
    return compile(list(what.outputs) if isinstance(what, Graph) else _nodes("draw", what))


def _drawn_steps(
    program: Program,
    look: _Look,
    profile: bool,
    lengths: Mapping[str, int] | None,
    feeds: Mapping[str, object] | None,
) -> Drawing:
    if lengths is not None:
        program.planned(**lengths)
    notes: list[str] = []
    if profile and (feeds is not None or program.profiled is None):
        given = feeds
        if given is None:
            given = _zeros(program)
            notes.append("timed on zeros")
        program.profile(**dict(given))  # type: ignore[arg-type]
    executable, measured = program.executable, program.profiled if profile else None
    shown: Planned | None = executable
    if executable is not None and measured is not None:
        is_same = len(measured.seconds) == len(executable.schedule.steps)
        shown = executable if is_same else measured
    placed = None if shown is None else shown.plan
    steps = program.schedule if shown is None else shown.schedule
    if shown is not None:
        memory = memory_of(shown)
        notes.insert(
            0,
            f"Arena of {format_size(memory.arena)}, {format_size(memory.unshared)} without sharing:"
            " results of one colour and number take the same place, one after another.",
        )
    if measured is not None:
        notes.append(f"mean of {measured.repeat} runs on {measured.backend}")
    facts = step_facts(steps, placed, program.variables)
    seconds = measured.seconds if measured is not None else ()
    text = program.explain()
    return Drawing(
        lambda: picture_of_steps(
            steps,
            facts,
            placed,
            seconds,
            names=program.variables,
            titles=program.titles,
            caption="  ".join(notes) or None,
            rankdir=look.rankdir,
            limit=look.limit,
        ),
        lambda: text,
        f"{len(facts)} steps",
        format=look.format,
    )


def _zeros(program: Program) -> dict[str, object]:
    """Give zeros for every placeholder, with the lengths of the latest call."""
    executable = program.executable
    if executable is None:
        raise OptionError(
            "draw: profile=True needs feeds={...}, or lengths={...} for a program that was not"
            " called yet."
        )
    lengths = executable.plan.lengths
    return {
        name: np.zeros(substitute_shape(program.schedule.specs[number].shape, lengths), dtype)
        for name, number in program.schedule.feeds
        for dtype in [program.schedule.specs[number].dtype]
    }


def draw_dot(root: Value, format: str = "svg", rankdir: str = "LR") -> Drawing:
    """Draw a graph as micrograd does: records ``data | grad``, an ellipse for each operation.

    Works on arrays, which are summarised, and before any ``backward``.

    Parameters
    ----------
    root
        The node whose graph is drawn.
    format
        ``"svg"``, ``"png"`` or ``"pdf"``: what a notebook shows.
    rankdir
        ``"LR"``, ``"TB"``, ``"RL"`` or ``"BT"``.

    Examples
    --------
    >>> x = Value(2.0)
    >>> print(draw_dot(x * x))
    multiply -> float64[]   data = 4
    ├─ variable float64[]   data = 2
    └─ variable float64[]   data = 2
    """
    checked_direction(rankdir)
    graph = Graph(_nodes("draw_dot", root))
    known = known_values(graph)
    return Drawing(
        lambda: picture_of_records(graph, known, rankdir=rankdir),
        lambda: to_text_tree(graph, known),
        f"{len(graph)} nodes",
        format=format,
    )


def draw_graph(node: Value) -> Drawing:
    """Draw a graph as MiniGrad does: a table of value, gradient and operation for each node.

    The result is on top. Works on arrays, which are summarised, and before any ``backward``.

    >>> x = Value(2.0)
    >>> print(draw_graph(x * x))
    multiply -> float64[]   data = 4
    ├─ variable float64[]   data = 2
    └─ variable float64[]   data = 2
    """
    graph = Graph(_nodes("draw_graph", node))
    known = known_values(graph)
    return Drawing(
        lambda: picture_of_tables(graph, known),
        lambda: to_text_tree(graph, known),
        f"{len(graph)} nodes",
    )


def notebook(what: Any) -> dict[str, str]:
    """Give what a notebook shows for a node, a graph, a program or a module; never an error."""
    if isinstance(what, Value) and not what.operands:
        return {"text/plain": repr(what)}

    def picture() -> Drawing:
        graph = what.graph if isinstance(what, Program) else what
        if isinstance(what, Value):
            graph = Graph([what])
        if isinstance(graph, Graph) and len(graph) > _MOST_SHOWN:
            raise OptionError(f"{len(graph):,} nodes are drawn only where lg.draw asks for it")
        is_small = isinstance(what, Value) and len(graph) <= _FEW_VALUES
        return draw(what, values=is_small)

    return notebook_bundle(picture, lambda: str(what) if isinstance(what, Graph) else repr(what))
