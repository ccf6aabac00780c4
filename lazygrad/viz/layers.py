"""The picture of layers that were not called yet: a tree of what holds what, with parameters.

Reads records of layers; knows no modules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ..ir.value import Value
from .labels import STYLES, defaults, plain_label
from .summary import clean

if TYPE_CHECKING:
    import graphviz

__all__ = ["Layer", "Layered", "picture_of_layers"]

_MOST_VARIABLES = 6


class Layer(Protocol):
    """What is read of a layer: names, variables with the numbers that are trained, what is inside.

    Layers of one `form` look the same but for their names.
    """

    @property
    def name(self) -> str:
        """Its name in the layer around it."""

    @property
    def kind(self) -> str:
        """Its class, with options."""

    @property
    def variables(self) -> tuple[tuple[str, str, int], ...]:
        """A name, a dtype with a shape, and how many numbers are trained, for each."""

    @property
    def inside(self) -> tuple[Layer, ...]:
        """The layers in it."""

    @property
    def form(self) -> tuple[object, ...]:
        """What is equal in layers that look the same."""

    @property
    def parameters(self) -> int:
        """How many numbers are trained, in it and in what is inside."""


class Layered(Protocol):
    """What has layers and can be called, such as a module."""

    def drawn_nodes(self, *inputs: object) -> Sequence[Value]:
        """Give the results of a call on inputs, or without them of the latest; may be none."""

    def layer(self) -> Layer:
        """Describe this layer and all inside it."""


def picture_of_layers(
    layer: Layer,
    *,
    depth: int | None = None,
    fold: bool = True,
    rankdir: str | None = None,
    limit: int = 400,
) -> graphviz.Digraph:
    """Draw a tree of layers, the outermost first; layers in a row that look the same once.

    Layers more than *depth* layers deep are left out, and the deepest ones where there would be
    more than about *limit* boxes.
    """
    import graphviz

    rows: list[tuple[Layer, int, int, int]] = []
    deepest = _depth(layer)
    shown = deepest if depth is None else min(depth, deepest)
    while True:
        rows = _rows(layer, shown, fold)
        if len(rows) <= limit or not shown:
            break
        shown -= 1
    left_out = len(_rows(layer, deepest, fold)) - len(rows)
    caption = f"{left_out:,} layers inside these are not drawn." if left_out else None
    picture = graphviz.Digraph("lazygrad", **defaults(rankdir or "LR", len(rows), caption))
    for place, (each, above, times, level) in enumerate(rows):
        lines = [clean(f"{each.name}: {each.kind}" if each.name else each.kind, 80)]
        if times > 1:
            lines[0] += f"   x {times}"
        lines += [
            f"{clean(name)}  {clean(spec, 60)}"
            for name, spec, _ in each.variables[:_MOST_VARIABLES]
        ]
        if len(each.variables) > _MOST_VARIABLES:
            lines.append(f"and {len(each.variables) - _MOST_VARIABLES} more")
        if each.inside and each.parameters:
            lines.append(f"{each.parameters:,} parameters")
        kind = "variable" if each.variables else "layer" if each.inside else "operation"
        style = {**STYLES[kind], "shape": "box"}
        if times > 1:
            style["peripheries"] = "2"
        picture.node(f"n{place}", label=plain_label(lines), **style)
        if level:
            picture.edge(f"n{above}", f"n{place}")
    return picture


def _depth(layer: Layer) -> int:
    deepest, stack = 0, [(layer, 0)]
    while stack:
        each, level = stack.pop()
        deepest = max(deepest, level)
        stack += [(inner, level + 1) for inner in each.inside]
    return deepest


def _rows(layer: Layer, depth: int, fold: bool) -> list[tuple[Layer, int, int, int]]:
    """List layers with the place of the one around them, how often they come, and how deep."""
    rows: list[tuple[Layer, int, int, int]] = []
    stack = [(layer, 0, 1, 0)]
    while stack:
        each, above, times, level = stack.pop()
        rows.append((each, above, times, level))
        if level == depth:
            continue
        place = len(rows) - 1
        inner: list[tuple[Layer, int, int, int]] = []
        for child in each.inside:
            if fold and inner and inner[-1][0].form == child.form:
                first, _, count, _ = inner[-1]
                inner[-1] = (first, place, count + 1, level + 1)
            else:
                inner.append((child, place, 1, level + 1))
        stack += reversed(inner)
    return rows
