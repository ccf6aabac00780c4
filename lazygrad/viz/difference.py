"""The picture of one graph on the way to the next: what came, what went, what changed.

Knows listings; its shapes are those of graphviz, its colours those of the page that shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ir.value import CONSTANT, ITEM, PLACEHOLDER, VARIABLE, Value
from .changes import KEPT, REMOVED, Listing
from .drawing import Drawing
from .summary import clean, fixed_number, format_spec

__all__ = ["MOST_DRAWN", "DifferencePicture", "picture_of"]

MOST_DRAWN = 250
"""How many nodes a picture holds."""

# In a larger picture what changed would be lost among the rest.
_MOST_BESIDE = 60

_SHAPES = {"operation": "box", "placeholder": "box", "variable": "box3d", "constant": "note"}


class DifferencePicture(Drawing):
    """A picture whose text in graphviz's language is there already."""

    def __init__(self, source: str, timeout: float) -> None:
        super().__init__(lambda: _read(source), lambda: source, "a stage", timeout=timeout)


def _read(source: str) -> Any:
    import graphviz

    return graphviz.Source(source)


def picture_of(listing: Listing, limit: int) -> str:
    """Draw what a listing lists, and what is gone, in graphviz's language.

    Of a large graph that is compared it is what changed, with operands and users. Empty where that
    is more than *limit* nodes.
    """
    picture = _Picture(listing)
    shown = picture.nodes()
    if listing.before is not None and len(shown) > _MOST_BESIDE:
        shown = picture.changed()
    return picture.source(shown) if 0 < len(shown) <= limit else ""


class _Picture:
    """The nodes of two graphs, where those that were matched are one."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        before = listing.before
        self.gone = [] if before is None else [n for n in listing.gone if id(n) in before.texts]
        self.now = {
            id(listing.match[id(node)]): node for node in listing.order if id(node) in listing.match
        }
        self.labels = dict(listing.labels)
        if before is not None:
            self.labels.update({id(node): before.labels[id(node)] for node in self.gone})
        self.numbers = {key: listing.numbers[label] for key, label in self.labels.items()}
        self.results = {id(node) for node in listing.graph.outputs}
        self.lost = {id(node) for node in self.gone}
        self.drawable = {id(node) for node in self.nodes()}

    def nodes(self) -> list[Value]:
        """List what there is to draw; numbers stand inside the node that uses them."""
        return [n for n in self.listing.order if id(n) in self.listing.texts] + self.gone

    def operands(self, node: Value) -> list[Value]:
        """List the operands of a node as they are now; an item is drawn as what it is taken of."""
        found = []
        for operand in node.operands:
            while operand.op is ITEM and id(operand) not in self.drawable:
                operand = operand.operands[0]
            found.append(self.now.get(id(operand), operand) if id(node) in self.lost else operand)
        return found

    def change(self, node: Value) -> str:
        return REMOVED if id(node) in self.lost else self.listing.line_change(node)

    def changed(self) -> list[Value]:
        """List what changed, and what is next to that."""
        everything = self.nodes()
        near = {id(node) for node in everything if self.change(node) != KEPT}
        beside = set(near)
        for node in everything:
            operands = {id(operand) for operand in self.operands(node)}
            if id(node) in near:
                beside |= operands
            elif operands & near:
                beside.add(id(node))
        return [node for node in everything if id(node) in beside]

    def source(self, nodes: Sequence[Value]) -> str:
        lines = [
            "digraph stage {",
            "  graph [rankdir=TB bgcolor=transparent nodesep=0.22 ranksep=0.34 pad=0.1"
            " nslimit=2 nslimit1=2]",
            '  node [fontname="Helvetica,Arial,sans-serif" fontsize=11 height=0.3'
            ' margin="0.12,0.05" style=rounded]',
            "  edge [arrowsize=0.6]",
        ]
        shown = {id(node) for node in nodes}
        lines += [self._node(node) for node in nodes]
        for node in nodes:
            operands = self.operands(node)
            for operand in dict.fromkeys(id(o) for o in operands if id(o) in shown):
                kind = "gone" if id(node) in self.lost or operand in self.lost else "kept"
                start, end = self.numbers[operand], self.numbers[id(node)]
                lines.append(f'  n{start} -> n{end} [class="{kind}"]')
        return "\n".join([*lines, "}"])

    def _node(self, node: Value) -> str:
        kind = _kind(node)
        classes = [kind, self.change(node), f"n{self.numbers[id(node)]}"]
        classes += ["backward"] * (node.origin is not None)
        classes += ["result"] * (id(node) in self.results)
        rows = [self._title(node), format_spec(node)]
        style = "" if kind == "operation" else ' style=""'
        number = self.numbers[id(node)]
        return (
            f'  n{number} [label="{_escaped(rows)}" shape={_SHAPES[kind]}'
            f'{style} class="{" ".join(classes)}"]'
        )

    def _title(self, node: Value) -> str:
        label = clean(self.labels[id(node)], 32)
        if not node.operands:
            number = fixed_number(node)
            return label if number is None else f"{label} = {number}"
        numbers = [None if id(o) in self.drawable else fixed_number(o) for o in node.operands]
        inside = ""
        if any(number is not None for number in numbers):
            inside = f"({', '.join('·' if n is None else n for n in numbers)})"
        return clean(f"{label} = {node.op.name}{inside}", 48)


def _kind(node: Value) -> str:
    if node.op is PLACEHOLDER or node.op is VARIABLE:
        return str(node.op.name)
    return "constant" if node.op is CONSTANT or not node.operands else "operation"


def _escaped(rows: Sequence[str]) -> str:
    """Write lines as the inside of a quoted label, shown letter by letter."""
    signs = {"\\": "\\\\", '"': '\\"', "&": "&amp;"}
    texts = ["".join(signs.get(sign, sign) for sign in row) for row in rows]
    return "\\n".join(texts)
