"""``CompGraph``: draws what is built inside a ``with``, as kittygrad does.

Tensors are boxes with their shape, operations rounded boxes, and beside each operation through
which a gradient flows stands its backward node. Reads the nodes that were made; runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from .errors import OptionError
from .ir.graph import Graph
from .ir.op import Trait
from .ir.value import ITEM, VARIABLE, Value, recording
from .viz import Drawing, to_text_tree
from .viz.labels import INK, plain_label
from .viz.summary import clean, fixed_number, format_spec

if TYPE_CHECKING:
    import graphviz

__all__ = ["CompGraph"]

_LIMIT = 1000


class CompGraph(Drawing):
    """Draw what is built inside: ``with lg.CompGraph() as dot: ...``; *dot* then shows itself.

    Leaves that require a gradient are green, results through which one flows brown, what is apart
    from differentiation yellow, and what ``backward`` will do blue. What was made before shows as
    a tensor without its operation.

    Parameters
    ----------
    leaf_color, leaf_fillcolor
        Border and fill of leaves that require a gradient.
    branch_color, branch_fillcolor
        Of results through which a gradient flows.
    dried_leaf_color, dried_leaf_fillcolor
        Of all other tensors.
    backward_color, backward_fillcolor
        Of backward nodes.
    format
        ``"svg"``, ``"png"`` or ``"pdf"``: what a notebook shows.
    **options
        ``graph_attr``, ``node_attr`` and ``edge_attr`` as graphviz's ``Digraph`` takes them.

    Examples
    --------
    >>> x = Value([1.0, 2.0])
    >>> with CompGraph() as dot:
    ...     y = x * x
    >>> "MultiplyBackward" in dot.source, "AccumulateGrad" in dot.source
    (True, True)
    """

    def __init__(
        self,
        *,
        leaf_color: str = "#7ba763",
        leaf_fillcolor: str = "#d1e4cf",
        branch_color: str = "#63473d",
        branch_fillcolor: str = "#c5b9b7",
        dried_leaf_color: str = "#cdad56",
        dried_leaf_fillcolor: str = "#ffefc7",
        backward_color: str = "#22709a",
        backward_fillcolor: str = "#a9d8ee",
        format: str = "svg",
        **options: Mapping[str, str],
    ) -> None:
        unknown = options.keys() - {"graph_attr", "node_attr", "edge_attr"}
        if unknown:
            raise OptionError(f"CompGraph: there is no option {sorted(unknown)[0]!r}.")
        self.colours = {
            "leaf": (leaf_color, leaf_fillcolor),
            "branch": (branch_color, branch_fillcolor),
            "dried": (dried_leaf_color, dried_leaf_fillcolor),
            "backward": (backward_color, backward_fillcolor),
        }
        self._options = options
        self._nodes: list[Value] = []
        self._recording: AbstractContextManager[None] | None = None
        super().__init__(self._drawn, self._written, "what was built", format=format)

    def __enter__(self) -> CompGraph:
        if self._recording is not None:
            raise OptionError("CompGraph: it is recording already; make another one.")
        self._recording = recording(self._nodes)
        self._recording.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        assert self._recording is not None, "entered before"
        self._recording.__exit__(*error)
        self._recording = None
        # What was drawn in the middle is drawn anew.
        self.__dict__.pop("digraph", None)

    @property
    def nodes(self) -> list[Value]:
        """What was built inside, derivatives apart, and what it was built from."""
        made = [node for node in self._nodes if node.origin is None]
        operands = [operand for node in made for operand in node.operands]
        unique = {id(node): node for node in (*operands, *made)}
        used = {id(operand) for operand in operands}
        kept = [n for n in unique.values() if n.operands or id(n) in used or n.op is VARIABLE]
        return sorted(kept, key=lambda node: node.serial)

    def _written(self) -> str:
        nodes = self.nodes
        used = {id(operand) for node in nodes for operand in node.operands}
        ends = [node for node in nodes if id(node) not in used]
        return to_text_tree(Graph(ends)) if ends else "nothing was built"

    def _drawn(self) -> graphviz.Digraph:
        import graphviz

        nodes = self.nodes
        if len(nodes) > _LIMIT:
            raise OptionError(
                f"CompGraph: {len(nodes):,} nodes were built, and it draws at most {_LIMIT:,};"
                " lg.draw gathers those of larger graphs."
            )
        attributes = {
            "graph_attr": {
                "margin": "0.075,0.075",
                "ranksep": "0.45",
                "outputorder": "edgesfirst",
                "bgcolor": "white",
            },
            "node_attr": {
                "shape": "box",
                "height": "0.2",
                "penwidth": "1.2",
                "fontsize": "12",
                "fontname": "Times",
                "fontcolor": INK,
            },
            "edge_attr": {"arrowsize": "0.45", "penwidth": "1.4"},
        }
        for name, given in self._options.items():
            attributes[name] |= given
        picture = graphviz.Digraph("lazygrad", strict=True, **attributes)
        _Writer(picture, nodes, {id(node) for node in self._nodes}, self.colours).write()
        return picture


class _Writer:
    """Writes the nodes of one picture: ``t`` for tensors, ``o`` for operations, ``b`` for backward.

    Ids are numbers after these letters.
    """

    def __init__(
        self,
        picture: graphviz.Digraph,
        nodes: list[Value],
        made: set[int],
        colours: Mapping[str, tuple[str, str]],
    ) -> None:
        self.picture = picture
        self.nodes = nodes
        self.made = made
        self.colours = colours
        self.place = {id(node): place for place, node in enumerate(nodes)}

    def write(self) -> None:
        for place, node in enumerate(self.nodes):
            colour = self._box(f"t{place}", _tensor(node), self._kind(node), "filled")
            is_operation = bool(node.operands) and id(node) in self.made
            if is_operation:
                self._box(f"o{place}", _operation(node), self._kind(node), "rounded,filled")
                self.picture.edge(f"o{place}", f"t{place}", color=colour)
                for operand in node.operands:
                    source = self.place.get(id(operand))
                    if source is not None:
                        tail = self.colours[self._kind(operand)][0]
                        self.picture.edge(f"t{source}", f"o{place}", color=tail)
            if node.requires_grad and (is_operation or not node.operands):
                self._backward(place, node)

    def _kind(self, node: Value) -> str:
        if not node.requires_grad:
            return "dried"
        return "branch" if node.operands else "leaf"

    def _box(self, name: str, rows: list[str], kind: str, style: str) -> str:
        color, fill = self.colours[kind]
        self.picture.node(name, label=plain_label(rows), style=style, color=color, fillcolor=fill)
        return color

    def _backward(self, place: int, node: Value) -> None:
        """Draw what ``backward`` will do at a node, beside its operation, or beside a leaf."""
        color = self.colours["backward"][0]
        other = f"o{place}" if node.operands else f"t{place}"
        name = _camel(node) if node.operands else "AccumulateGrad"
        self._box(f"b{place}", [name], "backward", "rounded,filled")
        with self.picture.subgraph() as same:
            same.attr(rank="same")
            same.node(other)
            same.node(f"b{place}")
        if not node.operands:
            self.picture.edge(f"t{place}", f"b{place}", color=color, dir="back", weight="1.2")
            return
        self.picture.edge(f"t{place}", f"b{place}", color=color, constraint="false", style="dashed")
        self.picture.edge(other, f"b{place}", style="invis", weight="2")
        for operand in node.operands:
            source = self.place.get(id(operand))
            if source is not None and operand.requires_grad:
                has_one = not operand.operands or id(operand) in self.made
                if has_one:
                    self.picture.edge(f"b{place}", f"b{source}", color=color, constraint="false")


def _tensor(node: Value) -> list[str]:
    number = fixed_number(node)
    rows = ["Tensor" if node.name is None else clean(node.name), format_spec(node)]
    return rows if number is None else [number, format_spec(node)]


def _operation(node: Value) -> list[str]:
    if node.op is ITEM:
        return [f"result {node.attrs['index']}"]
    rows = [clean(node.op.name, 32)]
    if Trait.COMMUTATIVE not in node.op.traits and len(set(map(id, node.operands))) > 1:
        rows[0] += f"({', '.join(_short(operand) for operand in node.operands)})"
    return [clean(rows[0], 60)]


def _short(node: Value) -> str:
    return fixed_number(node) or (clean(node.name, 16) if node.name is not None else "·")


def _camel(node: Value) -> str:
    words = clean(node.op.name, 32).split("_")
    return "".join(word[:1].upper() + word[1:] for word in words) + "Backward"
