"""The recipe: which passes run, in which order, and what may watch them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import OptionError
from ..ir.graph import Graph
from ..ir.value import recording
from .broadcast import drop_broadcasts
from .fold import fold_constants, materialize_constants
from .loops import merge_loops, prune_loops
from .merge import merge_equal_nodes
from .rewrite import Table
from .tables import EXACT, FAST, STABLE
from .turn import turn_products

__all__ = [
    "EXACT_PASSES",
    "FAST_PASSES",
    "PASSES",
    "Pass",
    "Watch",
    "optimize",
    "pipeline",
]

Watch: TypeAlias = "Callable[[Pass, Graph, Graph], None]"
"""Is called after each pass, with the graph before and after it."""


@dataclass(frozen=True)
class Pass:
    """A named step of the recipe; `exact` says that every value keeps its bits.

    The passes named in `after` must have run before it; `doc` says in a sentence what it does.
    """

    name: str
    apply: Callable[[Graph], Graph]
    exact: bool = True
    after: tuple[str, ...] = ()
    doc: str = ""


def pipeline(*passes: Pass) -> tuple[Pass, ...]:
    """Check the order of a recipe: every name once, and after those that it builds on.

    Raises OptionError with the two names otherwise.
    """
    seen: set[str] = set()
    for step in passes:
        if step.name in seen:
            raise OptionError(f"the pass {step.name!r} stands in the recipe twice.")
        late = [name for name in step.after if name not in seen]
        if late:
            raise OptionError(f"the pass {step.name!r} must come after {late[0]!r}.")
        seen.add(step.name)
    return passes


_exact, _stable, _fast = Table(EXACT), Table((*STABLE, *EXACT)), Table((*FAST, *STABLE, *EXACT))

_PREPARED = (
    Pass(
        "broadcast",
        drop_broadcasts,
        doc="Operations that broadcast their operands get them as they were before.",
    ),
    Pass(
        "fold",
        fold_constants,
        after=("broadcast",),
        doc="What is computed from constants alone becomes a constant.",
    ),
    Pass("merge", merge_equal_nodes, after=("fold",), doc="Of equal nodes one is kept."),
    Pass(
        "merge loops",
        merge_loops,
        after=("merge",),
        doc="Loops over the same operands that run the same steps become one.",
    ),
    Pass(
        "prune loops",
        prune_loops,
        after=("merge loops",),
        doc="Loops lose the results and operands that nobody reads.",
    ),
    # Equal operands are one node by now, which patterns rely on.
    Pass(
        "rewrite exactly",
        _exact.apply,
        after=("merge",),
        doc="Formulas become cheaper ones that give the same bits.",
    ),
    Pass(
        "rewrite stably",
        _stable.apply,
        exact=False,
        after=("rewrite exactly",),
        doc="Formulas become cheaper ones that are at least as accurate.",
    ),
)
_FINISHED = (
    # Patterns of products are looked for before.
    Pass(
        "turn products",
        turn_products,
        exact=False,
        after=("rewrite stably",),
        doc="Of a transposed product the operands are transposed, which costs nothing.",
    ),
    Pass(
        "materialize",
        materialize_constants,
        after=("broadcast", "rewrite exactly"),
        doc="Small broadcast constants are laid out in memory where a kernel needs them so.",
    ),
    # Rewriting, turning and folding make equal nodes.
    Pass(
        "merge again",
        merge_equal_nodes,
        after=("materialize",),
        doc="Of the equal nodes that were made on the way one is kept.",
    ),
)
PASSES = pipeline(*_PREPARED, *_FINISHED)
EXACT_PASSES = tuple(step for step in PASSES if step.exact)
FAST_PASSES = pipeline(
    *_PREPARED,
    Pass(
        "rewrite fast",
        _fast.apply,
        exact=False,
        after=("rewrite stably",),
        doc="Formulas become cheaper ones, whose rounding or treatment of NaN may differ.",
    ),
    *_FINISHED,
)


def optimize(graph: Graph, passes: Sequence[Pass] = PASSES, watch: Watch | None = None) -> Graph:
    """Run the passes in order; *watch* sees each one with the graph before and after it.

    >>> from lazygrad.ir.value import Value
    >>> x = Value(shape=(3,), name="x")
    >>> len(Graph([x * 2 + x * 2])), len(optimize(Graph([x * 2 + x * 2])))
    (6, 4)
    """
    with _collector_paused(), recording(None):
        for step in passes:
            result = step.apply(graph)
            if watch is not None:
                watch(step, graph, result)
            graph = result
    return graph


@contextmanager
def _collector_paused() -> Iterator[None]:
    # Nodes form no cycles, and so many are made that half the time would go into looking for some.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
