"""The recipe: which passes run, in which order, and what may watch them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..ir.graph import Graph
from .broadcast import drop_broadcasts
from .fold import fold_constants
from .loops import merge_loops, prune_loops
from .merge import merge_equal_nodes

__all__ = ["EXACT_PASSES", "PASSES", "Pass", "optimize"]

Watch: TypeAlias = "Callable[[Pass, Graph, Graph], None]"


@dataclass(frozen=True)
class Pass:
    """A named step of the recipe; `exact` says that every value keeps its bits."""

    name: str
    apply: Callable[[Graph], Graph]
    exact: bool = True


PASSES: tuple[Pass, ...] = (
    Pass("merge", merge_equal_nodes),
    Pass("merge loops", merge_loops),
    Pass("prune loops", prune_loops),
    Pass("fold", fold_constants),
    Pass("broadcast", drop_broadcasts),
    Pass("merge again", merge_equal_nodes),
)
EXACT_PASSES = tuple(step for step in PASSES if step.exact)


def optimize(
    graph: Graph, passes: Sequence[Pass] = PASSES, watch: Watch | None = None
) -> Graph:
    """Run the passes in order; *watch* sees each one with the graph before and after it.

    >>> from lazygrad.ir.value import Value
    >>> x = Value(shape=(3,), name="x")
    >>> len(Graph([x * 2 + x * 2])), len(optimize(Graph([x * 2 + x * 2])))
    (6, 4)
    """
    for step in passes:
        result = step.apply(graph)
        if watch is not None:
            watch(step, graph, result)
        graph = result
    return graph
