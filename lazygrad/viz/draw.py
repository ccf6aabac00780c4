"""Pictures of graphs: operations as rounded boxes, tensors as boxes, edges as what flows.

Reads a graph and a table of annotations, which the caller fills with values and gradients.
Every word of the user's is cut, cleaned and escaped; ids are numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..errors import OptionError
from ..ir.graph import Graph
from ..ir.op import Trait
from ..ir.value import CONSTANT, ITEM, LENGTH, PLACEHOLDER, VARIABLE, Value
from .arrange import Arrangement, arrange
from .groups import Gathering, Group, Holder, counted
from .labels import STYLES, defaults, plain_label
from .summary import clean, describe_attrs, fixed_number, format_spec, summarize

if TYPE_CHECKING:
    import graphviz

__all__ = ["Annotations", "checked_direction", "picture_of_graph"]

Annotations: TypeAlias = "Mapping[int, Mapping[str, object]]"
"""By the id of a node, rows to show with it, such as ``{"data": array, "grad": array}``."""

# A row of more boxes is wider than a page.
_FEW = 14
_MOST_RESULTS = 4
_MOST_TITLES = 3
_DIRECTIONS = ("LR", "TB", "RL", "BT")


def checked_direction(rankdir: str) -> str:
    """Refuse what is no direction."""
    if rankdir not in _DIRECTIONS:
        raise OptionError(f"rankdir must be one of {', '.join(_DIRECTIONS)}, got {rankdir!r}.")
    return rankdir


def picture_of_graph(
    graph: Graph,
    annotations: Annotations | None = None,
    *,
    titles: Sequence[str] = (),
    depth: int | None = None,
    fold: bool = True,
    constants: bool = False,
    mirrored: bool = False,
    rankdir: str | None = None,
    limit: int = 400,
) -> graphviz.Digraph:
    """Draw *graph* as a ``graphviz.Digraph``.

    Placeholders are blue boxes, variables orange blocks, constants grey notes, results green
    with a double border; operations of a derivative are purple. A layer is a frame, or a yellow box
    where it is closed. A node with *annotations* shows their rows.

    Parameters
    ----------
    graph
        The graph; nothing in it is computed.
    annotations
        By the id of a node, rows such as ``{"data": array, "grad": array}``.
    titles
        What the results are called.
    depth
        How many layers deep frames are drawn; layers below are closed. By default all.
    fold
        Whether blocks that repeat are drawn once, with how often they come.
    constants
        Whether constants have boxes; else they stand inside the operations that use them.
    mirrored
        Whether what differentiates runs beside what it is the derivative of, in the other
        direction, tied to it by dashed lines.
    rankdir
        Where the picture runs to: ``"LR"``, ``"TB"``, ``"RL"`` or ``"BT"``. By default to the
        right where there are few boxes, and else down.
    limit
        About how many boxes there are at most. In a larger graph layers are closed, and operations
        outside of layers gathered, which a line below the picture says.

    Examples
    --------
    >>> x = Value(shape=(3,), name="x")
    >>> picture = picture_of_graph(Graph([x + 1.0]))
    >>> print(picture.source.splitlines()[0])
    digraph lazygrad {
    """
    import graphviz

    if rankdir is not None:
        checked_direction(rankdir)
    hidden = set() if constants else _hidden(graph)
    nodes = [node for node in graph.nodes if id(node) not in hidden]
    after = _after_derivatives(graph) if mirrored else set()
    arrangement = arrange(
        graph,
        nodes,
        (lambda node: id(node) in after) if mirrored else _never,
        depth=depth,
        fold=fold,
        limit=limit,
    )
    direction = rankdir or ("LR" if arrangement.size <= _FEW else "TB")
    picture = graphviz.Digraph(
        "lazygrad", **defaults(direction, arrangement.size, arrangement.caption)
    )
    writer = _Picture(graph, arrangement, annotations or {}, titles, hidden, after, picture)
    writer.write([node for node in nodes if id(node) not in arrangement.first])
    return picture


def _never(node: Value) -> bool:
    return False


def _hidden(graph: Graph) -> set[int]:
    """Find the constants without a name, but for those that are handed out or in."""
    kept = {id(node) for node in (*graph.outputs, *graph.inputs)}
    return {
        id(node)
        for node in graph.nodes
        if node.op in (CONSTANT, LENGTH) and node.name is None and id(node) not in kept
    }


def _after_derivatives(graph: Graph) -> set[int]:
    """Find what belongs to a derivative, and all that is computed from it."""
    after: set[int] = set()
    for node in graph.nodes:
        if node.origin is not None or any(id(operand) in after for operand in node.operands):
            after.add(id(node))
    return after


class _Picture:
    """The ids given so far: of what holds nodes, and of tensors that have a box beside it."""

    def __init__(
        self,
        graph: Graph,
        arrangement: Arrangement,
        annotations: Annotations,
        titles: Sequence[str],
        hidden: set[int],
        after: set[int],
        picture: graphviz.Digraph,
    ) -> None:
        self.graph = graph
        self.arrangement = arrangement
        self.annotations = annotations
        self.titles = titles
        self.hidden = hidden
        self.after = after
        self.picture = picture
        self.results: dict[int, list[int]] = {}
        for place, node in enumerate(graph.outputs):
            shown = arrangement.first.get(id(node), node)
            self.results.setdefault(id(shown), []).append(place)
        self.arguments = {id(node) for node in graph.inputs}
        self.ids: dict[int, str] = {}
        self.tensors: dict[int, str] = {}
        self.labelled: set[tuple[str, str]] = set()
        self.tied: set[tuple[str, str]] = set()
        self.bundles: dict[tuple[str, str], tuple[Value, list[Value]]] = {}
        self.count = 0
        self.clusters = 0

    def write(self, nodes: Sequence[Value]) -> None:
        """Write the boxes, group by group, and then what is between them."""
        self._boxes(self.arrangement.top, self.picture)
        for node in nodes:
            self._edges(node)
        for (source, target), (user, values) in self.bundles.items():
            label = format_spec(values[0]) if len(values) == 1 else f"{len(values)} values"
            self._draw(user, source, target, values[0], label=self._beside(label))

    def _boxes(self, members: Sequence[Holder], picture: graphviz.Digraph) -> None:
        open_groups = [m for m in members if isinstance(m, Group) and not m.is_closed]
        # What a layer does and its derivative share a frame.
        frames: dict[frozenset[tuple[str, ...]], list[Group]] = {}
        for group in open_groups:
            frames.setdefault(group.paths, []).append(group)
        for member in members:
            if isinstance(member, Value):
                self._node(member, picture)
            elif isinstance(member, Gathering) or member.is_closed:
                self._closed(member, picture)
            elif frames[member.paths][0] is member:
                self._frame(member, frames[member.paths], picture)

    def _frame(self, group: Group, sharing: Sequence[Group], picture: graphviz.Digraph) -> None:
        self.clusters += 1
        kind = "repeated" if group.times > 1 else "cluster"
        title = _title(group)
        with picture.subgraph(name=f"cluster_{self.clusters}") as inner:
            inner.attr(label=plain_label([title]), labeljust="l", **STYLES[kind])
            self._boxes([member for each in sharing for member in each.members], inner)

    def _closed(self, holder: Group | Gathering, picture: graphviz.Digraph) -> None:
        rows = [] if isinstance(holder, Gathering) else [_title(holder)]
        rows += counted(holder.nodes)
        if numbers := _parameters(holder.nodes):
            rows.append(f"{numbers:,} parameters")
        kind = "gathered" if isinstance(holder, Gathering) else "layer"
        if isinstance(holder, Group):
            rows = [rows[0], *rows[3:]] if numbers else rows[:2]
        style = dict(STYLES[kind])
        if any(id(node) in self.after for node in holder.nodes if node.operands):
            style |= {key: STYLES["derivative"][key] for key in ("fillcolor", "color")}
        if isinstance(holder, Group) and holder.times > 1:
            style["peripheries"] = "2"
        handed_out = [node for node in holder.nodes if id(node) in self.results]
        if len(handed_out) > _MOST_RESULTS:
            rows.append(f"{len(handed_out):,} results of {len(self.graph.outputs):,}")
            handed_out = []
        self.ids[id(holder)] = self._add(picture, rows, style)
        for node in handed_out:
            self.tensors[id(node)] = self._box(node, self.picture)

    def _node(self, node: Value, picture: graphviz.Digraph) -> None:
        if not node.operands:
            self.tensors[id(node)] = self._box(node, picture)
            return
        if node.op is not ITEM:
            self.ids[id(node)] = self._operation(node, picture)
        if self._has_box(node):
            # What is handed out leaves the layer that made it.
            outer = self.picture if id(node) in self.results else picture
            self.tensors[id(node)] = self._box(node, outer)

    def _has_box(self, node: Value) -> bool:
        return (
            id(node) in self.results
            or node.name is not None
            or bool(self.annotations.get(id(node)))
        )

    def _add(self, picture: graphviz.Digraph, rows: list[str], style: Mapping[str, str]) -> str:
        name = f"n{self.count}"
        self.count += 1
        picture.node(name, label=plain_label(rows), **style)
        return name

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

    def _box(self, node: Value, picture: graphviz.Digraph) -> str:
        kind = self._kind(node)
        number = fixed_number(node)
        rows = [
            format_spec(node) if kind in ("tensor", "result") else f"{kind} · {format_spec(node)}"
        ]
        if node.name is not None:
            rows.insert(0, clean(node.name))
        elif number is not None:
            rows.insert(0, number)
        if id(node) in self.results:
            rows = [*self._result_titles(node, bool(rows[1:])), *rows]
        for label, data in self.annotations.get(id(node), {}).items():
            rows.append(f"{clean(label, 12)} = {summarize(data)}")
        style = dict(STYLES[kind])
        if id(node) in self.results:
            style["peripheries"] = "2"
        return self._add(picture, rows, style)

    def _result_titles(self, node: Value, is_named: bool) -> list[str]:
        places = self.results[id(node)]
        given = [clean(self.titles[i]) for i in places if i < len(self.titles) and self.titles[i]]
        given = [title for title in given if title != node.name]
        if len(given) > _MOST_TITLES:
            given = [*given[: _MOST_TITLES - 1], f"and {len(given) - _MOST_TITLES + 1} more"]
        if given or is_named:
            return given
        several = len(self.graph.outputs) > 1
        return [f"result {place}" if several else "result" for place in places]

    def _operation(self, node: Value, picture: graphviz.Digraph) -> str:
        title = clean(node.op.name, 32)
        inside = [_inside(o) if id(o) in self.hidden else "·" for o in node.operands]
        if any(id(operand) in self.hidden for operand in node.operands):
            title = clean(f"{title}({', '.join(inside)})", 60)
        attrs = describe_attrs(node.attrs)
        kind = "operation" if node.origin is None else "derivative"
        return self._add(picture, [title, attrs] if attrs else [title], STYLES[kind])

    def _edges(self, node: Value) -> None:
        holder = self.arrangement.of(node)
        target = self.ids.get(id(holder), "")
        shown = [o for o in node.operands if id(o) not in self.hidden]
        # Where the order of operands matters and can't be seen, they are numbered.
        numbered = len(shown) > 1 and Trait.COMMUTATIVE not in node.op.traits
        if node.op is not ITEM:
            for place, operand in enumerate(node.operands):
                if id(operand) in self.hidden:
                    continue
                if holder is node:
                    self._flow(operand, node, target, str(place + 1) if numbered else "")
                elif self.arrangement.of(operand) is not holder:
                    self._flow(operand, node, target)
        box = self.tensors.get(id(node))
        if box is not None and holder is not node:
            self._draw(node, target, box, node)
        elif box is not None and node.operands:
            self._from(node, node, box, label="")
        if self.after and node.origin is not None and target:
            self._tie(node.origin, target)

    def _flow(self, source: Value, user: Value, target: str, place: str = "") -> None:
        """Draw what a node reads."""
        source = self.arrangement.first.get(id(source), source)
        options = {"headlabel": place, "labeldistance": "1.6", "labelfontsize": "8"}
        self._from(source, user, target, **(options if place else {}))

    def _from(
        self, source: Value, user: Value, target: str, label: str | None = None, **options: str
    ) -> None:
        is_gathered = label is None and self.arrangement.of(user) is not user
        if id(source) in self.tensors and self.tensors[id(source)] != target:
            origin = self.tensors[id(source)]
            if not is_gathered or (origin, target) not in self.labelled:
                self._draw(user, origin, target, source, **options)
                self.labelled.add((origin, target))
            return
        owner, item = source, ""
        if source.op is ITEM:
            owner = source.operands[0]
            item = f".{source.attrs['index']}  "
        holder = self.arrangement.of(owner)
        origin = self.ids.get(id(holder)) or self.tensors[id(holder)]
        if origin == target:
            return
        if is_gathered or holder is not self.arrangement.first.get(id(owner), owner):
            _, values = self.bundles.setdefault((origin, target), (user, []))
            if all(source is not value for value in values):
                values.append(source)
            return
        text = f"{item}{format_spec(source)}" if label is None else f"{item}{label}".rstrip()
        # A value that is used twice at one place is labelled once.
        if text and (origin, target) not in self.labelled:
            options["label"] = self._beside(text)
            self.labelled.add((origin, target))
        self._draw(user, origin, target, source, **options)

    def _draw(
        self, user: Value, tail: str, head: str, source: Value | None = None, **options: str
    ) -> None:
        """Draw an edge; what flows back stands the other way round, so that it runs beside."""
        if id(user) in self.after:
            if source is None or id(source) in self.after:
                tail, head = head, tail
                options["dir"] = "back"
                if "headlabel" in options:
                    options["taillabel"] = options.pop("headlabel")
            else:
                options["constraint"] = "false"
            options["color"] = STYLES["derivative"]["color"]
        self.picture.edge(tail, head, **options)

    def _beside(self, text: str) -> str:
        """Write a label that stands beside a line, not on it."""
        is_upright = self.picture.graph_attr["rankdir"] in ("TB", "BT")
        return plain_label([f" {text}" if is_upright else text])

    def _tie(self, origin: Value, target: str) -> None:
        """Tie an operation of a derivative to the forward node that it belongs to."""
        origin = self.arrangement.first.get(id(origin), origin)
        holder = self.arrangement.holder.get(id(origin))
        source = self.ids.get(id(holder)) or self.tensors.get(id(origin))
        if source is None or source == target or (source, target) in self.tied:
            return
        self.tied.add((source, target))
        options = {"style": "dashed", "arrowhead": "none", "minlen": "0", "penwidth": "0.8"}
        self.picture.edge(source, target, color=STYLES["derivative"]["color"], **options)


def _title(group: Group) -> str:
    parts = [clean(group.label, 80)] if group.label else []
    if group.is_backward and any(node.origin is not None for node in group.nodes):
        parts[-1] += ", backward"
    if group.times > 1:
        parts.append(f"x {group.times}")
    return "   ".join(parts)


def _inside(node: Value) -> str:
    number = fixed_number(node)
    return format_spec(node) if number is None else number


def _parameters(nodes: Sequence[Value]) -> int:
    """Count the numbers in variables that require a gradient."""
    return sum(
        int(np.prod(node.cell.array.shape))
        for node in nodes
        if node.op is VARIABLE and node.requires_grad and node.cell is not None
    )
