"""Which boxes a picture has: layers as frames or closed, repeated blocks once, the rest gathered.

Knows no drawing. Every node of a graph has a *holder*: itself, the layer that is closed around it,
or the gathering that it is one of many in. Of blocks that repeat, only the first is held; nodes of
the others stand for those of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..ir.graph import Graph
from ..ir.value import PLACEHOLDER, Value
from .groups import Gathering, Group, Holder, is_leaf, tree_of_groups
from .repeats import fold_repeats

__all__ = ["Arrangement", "arrange"]

_MOST_GATHERINGS, _FEWEST_GATHERINGS = 40, 5
# Lines between everything and everything take dot minutes, and say nothing.
_MOST_EDGES = 120
_MOST_ENDS = 16
# Frames within frames; a picture of more could not be read, nor laid out.
_DEEPEST = 12


@dataclass
class Arrangement:
    """The boxes of a picture: what stands at the top, and who holds each node."""

    top: list[Holder]
    holder: dict[int, Holder]
    first: dict[int, Value]
    """By the id of a node in a block that repeats: the node of the first block that it is."""
    size: int
    """How many boxes there are."""
    caption: str | None = None

    def of(self, node: Value) -> Holder:
        """Give who holds a node."""
        return self.holder[id(self.first.get(id(node), node))]

    def is_shown(self, node: Value) -> bool:
        """Whether a node has a box of its own."""
        return self.holder.get(id(node)) is node


def arrange(
    graph: Graph,
    nodes: Sequence[Value],
    is_backward: Callable[[Value], bool] = lambda node: False,
    *,
    depth: int | None = None,
    fold: bool = True,
    limit: int = 400,
) -> Arrangement:
    """Group *nodes*, those of *graph* that are to be drawn, into at most about *limit* boxes.

    Layers more than *depth* layers deep are closed, and if there are still too many boxes, more
    are. What is in no layer is gathered if need be. Backward nodes have groups of their own.
    """
    top, groups = tree_of_groups(nodes, is_backward)
    first: dict[int, Value] = {}
    if fold:
        found = fold_repeats(graph, nodes, top, groups)
        if found is None:
            return arrange(graph, nodes, is_backward, depth=depth, fold=False, limit=limit)
        first = found
    levels = min(_DEEPEST, max((group.level for group in groups.values()), default=-1) + 1)
    shown = levels if depth is None else min(depth, levels)
    while True:
        made = _closed(top, nodes, first, shown)
        if made.size <= limit or shown == 0:
            break
        shown -= 1
    if made.size > limit:
        most = _MOST_GATHERINGS
        while True:
            made = _gathered(top, nodes, first, is_backward, limit, most)
            if most <= _FEWEST_GATHERINGS or _count_edges(nodes, made) <= _MOST_EDGES:
                break
            most //= 2
    asked = levels if depth is None else min(depth, levels)
    if made.size > limit or shown < asked or len(made.top) < len(top):
        made.caption = (
            f"{len(graph):,} nodes in {made.size:,} boxes: a picture of all of them would have"
            f" more than {limit:,}. Draw a part, or raise limit=."
        )
    return made


def _closed(
    top: list[Holder], nodes: Sequence[Value], first: dict[int, Value], depth: int
) -> Arrangement:
    """Close the groups below a depth; those that only frame others stay open."""
    holder: dict[int, Holder] = {}
    size = 0
    stack = list(top)
    while stack:
        member = stack.pop()
        if not isinstance(member, Group):
            size += 1
            if isinstance(member, Value):
                holder[id(member)] = member
            continue
        member.is_closed = member.level >= depth and not member.is_frame
        if member.is_closed:
            size += 1
            holder.update(dict.fromkeys(map(id, member.nodes), member))
        else:
            stack += member.members
    return Arrangement(list(top), holder, first, size)


def _count_edges(nodes: Sequence[Value], made: Arrangement) -> int:
    """Count the pairs of boxes that something flows between."""
    return len(
        {
            (id(made.of(operand)), id(made.of(node)))
            for node in nodes
            for operand in node.operands
            if id(operand) in made.holder or id(operand) in made.first
        }
    )


def _gathered(
    top: list[Holder],
    nodes: Sequence[Value],
    first: dict[int, Value],
    is_backward: Callable[[Value], bool],
    limit: int,
    most: int,
) -> Arrangement:
    """Gather nodes that follow each other, but for inputs, results and closed layers if few."""
    groups = [member for member in top if isinstance(member, Group)]
    if len(groups) > limit // 2:
        groups, first = [], {}
    in_groups = {id(node) for group in groups for node in group.nodes}
    loose = [n for n in nodes if id(n) not in in_groups and id(n) not in first]
    inputs = [node for node in loose if node.op is PLACEHOLDER]
    kept = {id(node) for node in inputs} if len(inputs) <= _MOST_ENDS else set()
    rest = [n for n in loose if id(n) not in kept and not is_leaf(n)]
    count = max(2, min(most, limit - len(groups) - len(kept)))
    made = Arrangement([], {}, first, 0)
    for group in groups:
        made.holder.update(dict.fromkeys(map(id, group.nodes), group))
    made.top = [node for node in inputs if id(node) in kept]
    made.holder.update((id(node), node) for node in made.top if isinstance(node, Value))
    sides = [[n for n in rest if not is_backward(n)], [n for n in rest if is_backward(n)]]
    for side in sides:
        size = max(2, -(-len(rest) // count))
        for start in range(0, len(side), size):
            gathering = Gathering(side[start : start + size])
            made.top.append(gathering)
            made.holder.update(dict.fromkeys(map(id, gathering.nodes), gathering))
    # A leaf goes to who uses it first.
    for node in rest:
        for operand in node.operands:
            owner = made.holder[id(node)]
            if id(operand) not in made.holder and is_leaf(operand):
                made.holder[id(operand)] = owner
                if isinstance(owner, Gathering):
                    owner.nodes.append(operand)
    for node in loose:
        if id(node) not in made.holder:
            made.holder[id(node)] = node
            made.top.append(node)
    made.top += groups
    made.size = len(made.top)
    return made
