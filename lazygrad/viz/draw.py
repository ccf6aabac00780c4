"""Pictures of graphs: operations as rounded boxes, tensors as boxes, edges as what flows.

Reads a graph and a table of annotations, which the caller fills with values and gradients.
Every word of the user's is cut, cleaned and escaped; ids are numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from ..errors import OptionError
from ..ir.graph import Graph
from ..ir.op import Trait
from ..ir.value import CONSTANT, ITEM, LENGTH, PLACEHOLDER, VARIABLE, Value
from .summary import clean, describe_attrs, fixed_number, format_spec, summarize

if TYPE_CHECKING:
    import graphviz

__all__ = ["Annotations", "draw_graph"]

Annotations: TypeAlias = "Mapping[int, Mapping[str, object]]"
"""By the id of a node, rows to show with it, such as ``{"data": array, "grad": array}``."""

# Fills and borders after Okabe and Ito's palette, which colour-blind readers can tell apart.
_STYLES: dict[str, dict[str, str]] = {
    "placeholder": {"shape": "box", "fillcolor": "#DCEEFB", "color": "#0072B2"},
    "argument": {
        "shape": "box",
        "fillcolor": "#DCEEFB",
        "color": "#0072B2",
        "style": "filled,dashed",
    },
    "variable": {"shape": "box3d", "fillcolor": "#FDE9CC", "color": "#D55E00"},
    "constant": {"shape": "note", "fillcolor": "#F1F1F1", "color": "#767676"},
    "tensor": {"shape": "box", "fillcolor": "#FFFFFF", "color": "#767676"},
    "result": {
        "shape": "box",
        "fillcolor": "#DDF3EA",
        "color": "#009E73",
        "peripheries": "2",
    },
    "operation": {
        "shape": "box",
        "style": "rounded,filled",
        "fillcolor": "#FFFFFF",
        "color": "#333333",
    },
    "derivative": {
        "shape": "box",
        "style": "rounded,filled",
        "fillcolor": "#F7E6F0",
        "color": "#B0568C",
    },
}
# The best layout of a thousand nodes takes dot a minute, one nearly as good a few seconds.
_HASTY = {"nslimit": "2", "nslimit1": "2"}
_DIRECTIONS = ("LR", "TB", "RL", "BT")


def draw_graph(
    graph: Graph,
    annotations: Annotations | None = None,
    *,
    rankdir: str = "LR",
    limit: int = 1000,
) -> graphviz.Digraph:
    """Draw *graph* as a ``graphviz.Digraph``.

    Placeholders are blue boxes, variables orange blocks, constants grey notes, results green
    with a double border; operations of a derivative are purple. Numbers stand inside the
    operation that uses them. A node with *annotations* shows their rows.

    Parameters
    ----------
    graph
        The graph; nothing in it is computed.
    annotations
        By the id of a node, rows such as ``{"data": array, "grad": array}``.
    rankdir
        Where the picture runs to: ``"LR"``, ``"TB"``, ``"RL"`` or ``"BT"``.
    limit
        The most nodes to draw; a larger graph is refused with an OptionError.

    Examples
    --------
    >>> x = Value(shape=(3,), name="x")
    >>> picture = draw_graph(Graph([x + 1.0]))
    >>> print(picture.source.splitlines()[0])
    digraph lazygrad {
    """
    import graphviz

    if rankdir not in _DIRECTIONS:
        raise OptionError(f"rankdir must be one of {', '.join(_DIRECTIONS)}, got {rankdir!r}.")
    if len(graph) > limit:
        raise OptionError(
            f"the graph has {len(graph)} nodes, and a picture holds at most {limit}: draw a part"
            " of it, raise limit=, or print it as text."
        )
    picture = graphviz.Digraph(
        "lazygrad",
        graph_attr={
            "rankdir": rankdir,
            "bgcolor": "white",
            "nodesep": "0.3",
            "ranksep": "0.45",
            "pad": "0.2",
            **(_HASTY if len(graph) > 200 else {}),
        },
        node_attr={
            "fontname": "Helvetica,Arial,sans-serif",
            "fontsize": "11",
            "style": "filled",
            "penwidth": "1.2",
            "height": "0.3",
            "margin": "0.14,0.07",
        },
        edge_attr={
            "fontname": "Helvetica,Arial,sans-serif",
            "fontsize": "9",
            "fontcolor": "#555555",
            "color": "#777777",
            "arrowsize": "0.6",
        },
    )
    _Picture(graph, annotations or {}, picture).fill()
    return picture


class _Picture:
    """The ids given so far: of each drawn operation, and of each drawn tensor."""

    def __init__(self, graph: Graph, annotations: Annotations, picture: graphviz.Digraph) -> None:
        self.graph = graph
        self.annotations = annotations
        self.picture = picture
        self.results = {id(node): place for place, node in enumerate(graph.outputs)}
        self.arguments = {id(node) for node in graph.inputs}
        self.operations: dict[int, str] = {}
        self.tensors: dict[int, str] = {}
        self.labelled: set[tuple[str, str]] = set()
        self.count = 0

    def fill(self) -> None:
        folded = self._folded()
        for node in self.graph.nodes:
            if id(node) in folded:
                continue
            if not node.operands:
                self.tensors[id(node)] = self._box(node)
                continue
            if node.op is not ITEM:
                self.operations[id(node)] = self._operation(node, folded)
            if self._has_box(node):
                box = self._box(node)
                self._edge(node, box, label="")
                self.tensors[id(node)] = box

    def _folded(self) -> set[int]:
        kept = {*self.results, *self.arguments, *self.annotations}
        return {
            id(node)
            for node in self.graph.nodes
            if id(node) not in kept and fixed_number(node) is not None
        }

    def _has_box(self, node: Value) -> bool:
        return (
            id(node) in self.results
            or node.name is not None
            or bool(self.annotations.get(id(node)))
        )

    def _id(self) -> str:
        self.count += 1
        return f"n{self.count - 1}"

    def _kind(self, node: Value) -> str:
        if id(node) in self.arguments:
            return "argument"
        if node.op is PLACEHOLDER:
            return "placeholder"
        if node.op is VARIABLE:
            return "variable"
        if node.op is CONSTANT or node.op is LENGTH:
            return "constant"
        return "result" if id(node) in self.results else "tensor"

    def _box(self, node: Value) -> str:
        kind = self._kind(node)
        number = fixed_number(node)
        rows = [
            format_spec(node) if kind in ("tensor", "result") else f"{kind} · {format_spec(node)}"
        ]
        if node.name is not None:
            rows.insert(0, clean(node.name))
        elif number is not None:
            rows.insert(0, number)
        elif kind == "result":
            several = len(self.graph.outputs) > 1
            rows.insert(0, f"result {self.results[id(node)]}" if several else "result")
        for label, data in self.annotations.get(id(node), {}).items():
            rows.append(f"{clean(label, 12)} = {summarize(data)}")
        name = self._id()
        style = dict(_STYLES[kind])
        if id(node) in self.results:
            style["peripheries"] = "2"
        self.picture.node(name, label=_label(rows), **style)
        return name

    def _operation(self, node: Value, folded: set[int]) -> str:
        name = self._id()
        drawn = [operand for operand in node.operands if id(operand) not in folded]
        title = clean(node.op.name, 32)
        if len(drawn) < len(node.operands) or not node.operands:
            inside = [
                fixed_number(operand) if id(operand) in folded else "·" for operand in node.operands
            ]
            title = clean(f"{title}({', '.join(map(str, inside))})", 60)
        attrs = describe_attrs(node.attrs)
        kind = "operation" if node.origin is None else "derivative"
        label = _label([title, attrs] if attrs else [title])
        self.picture.node(name, label=label, **_STYLES[kind])
        # Where the order of operands matters and can't be seen, they are numbered.
        numbered = len(drawn) > 1 and Trait.COMMUTATIVE not in node.op.traits
        for place, operand in enumerate(node.operands):
            if id(operand) not in folded:
                self._edge(operand, name, str(place + 1) if numbered else "")
        return name

    def _edge(self, source: Value, target: str, place: str = "", label: str | None = None) -> None:
        options = {"headlabel": place, "labeldistance": "1.6", "labelfontsize": "8"}
        if not place:
            options = {}
        if id(source) in self.tensors:
            self.picture.edge(self.tensors[id(source)], target, **options)
            return
        text = format_spec(source) if label is None else label
        owner = source
        if source.op is ITEM:
            owner = source.operands[0]
            text = f".{source.attrs['index']}  {text}".rstrip()
        origin = self.operations[id(owner)]
        # A value that is used twice at one place is labelled once.
        if text and (origin, target) not in self.labelled:
            options["label"] = _label([text])
            self.labelled.add((origin, target))
        self.picture.edge(origin, target, **options)


def _label(rows: list[str]) -> str:
    """Join lines into a label that graphviz shows letter by letter."""
    import graphviz

    # Entities such as &lt; are read in plain labels too.
    lines = [str(graphviz.escape(row.replace("&", "&amp;"))) for row in rows]
    label: str = graphviz.nohtml("\\n".join(lines))
    return label
