"""``draw``: the picture of nodes, with the values and gradients that are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .compiler import Program
from .errors import OptionError
from .evaluator import known_values
from .ir.graph import Graph
from .ir.op import public
from .ir.value import Value
from .viz import Drawing

__all__ = ["draw"]


@public
def draw(
    what: Value | Sequence[Value] | Graph | Program,
    *,
    values: bool = True,
    rankdir: str = "LR",
    limit: int = 1000,
) -> Drawing:
    """Draw the graph below some nodes; the picture shows itself in a notebook.

    Parameters
    ----------
    what
        A node, several, a Graph, or a Program.
    values
        Whether nodes show their data and gradients where these are there; nothing is run for it.
    rankdir
        The direction that data flows in: ``"LR"``, ``"TB"``, ``"RL"`` or ``"BT"``.
    limit
        How many nodes are drawn at most; a larger graph is refused with an OptionError.

    Examples
    --------
    >>> x = Value(3.0, name="x")
    >>> print(draw(x * x))
    multiply -> float64[]   data = 9
    ├─ x: variable float64[]   data = 3
    └─ x: variable float64[]   data = 3
    """
    if isinstance(what, Program):
        graph = what.graph
    elif isinstance(what, Graph):
        graph = what
    else:
        listed = what if isinstance(what, Iterable) and not isinstance(what, Value) else (what,)
        nodes = list(listed)
        if not nodes or not all(isinstance(node, Value) for node in nodes):
            raise OptionError(
                f"draw: give a node, several nodes, a Graph or a Program, not {what!r:.60}."
            )
        graph = Graph(nodes)
    annotations = known_values(graph) if values else None
    return Drawing(graph, annotations, rankdir=rankdir, limit=limit)
