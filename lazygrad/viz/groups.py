"""Which boxes a picture has: layers as frames or closed, repeated blocks once, the rest gathered.

Reads the scopes of nodes; knows no drawing. Every node of a graph has a *holder*: itself, the layer
that is closed around it, or the gathering that it is one of many in. Of blocks that repeat, only
the first is held; nodes of the others stand for those of the first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..ir.graph import Graph
from ..ir.printing import write_attribute
from ..ir.value import CONSTANT, LENGTH, PLACEHOLDER, VARIABLE, Value

__all__ = ["Arrangement", "Gathering", "Group", "Holder", "arrange", "counted"]

# Blocks of two are only worth folding if they are large.
_FEW_REPEATS, _LARGE_BLOCK = 3, 8
_LONGEST_PERIOD = 4
_MOST_APART = 2
_MOST_GATHERINGS, _FEWEST_GATHERINGS = 40, 5
# Lines between everything and everything take dot minutes, and say nothing.
_MOST_EDGES = 120
_MOST_ENDS = 16
# Frames within frames; a picture of more could not be read, nor laid out.
_DEEPEST = 12


@dataclass(eq=False)
class Group:
    """The nodes of one layer, and of the layers inside it; *times* of a row of equal ones."""

    label: str
    level: int
    members: list[Holder] = field(default_factory=list)
    nodes: list[Value] = field(default_factory=list)
    times: int = 1
    is_closed: bool = False
    is_backward: bool = False
    """Whether it holds what differentiates, and what comes after."""
    is_frame: bool = False
    """Whether it only stands around a row of groups that repeats."""
    paths: frozenset[tuple[str, ...]] = frozenset()
    """The scopes that it stands for: its own, and those of the ones that are folded into it."""


@dataclass(eq=False)
class Gathering:
    """Nodes that follow each other, in one box."""

    nodes: list[Value]


Holder: TypeAlias = "Value | Group | Gathering"


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
    homes = _homes(nodes, is_backward)
    top, groups = _tree(nodes, homes)
    first: dict[int, Value] = {}
    if fold:
        first = _Folding(graph, nodes, groups).first
        if _is_lopsided(groups):
            return arrange(graph, nodes, is_backward, depth=depth, fold=False, limit=limit)
        _regroup(top)
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


def _is_leaf(node: Value) -> bool:
    return not node.operands and node.op in (CONSTANT, LENGTH, PLACEHOLDER, VARIABLE)


def _homes(
    nodes: Sequence[Value], is_backward: Callable[[Value], bool]
) -> dict[int, tuple[str, ...]]:
    """Give the path of groups that each node stands in; leaves stand where they are used."""
    homes: dict[int, tuple[str, ...]] = {}
    used: dict[int, tuple[str, ...] | None] = {}
    for node in nodes:
        if not _is_leaf(node):
            mark = ("backward",) if is_backward(node) else ()
            path = (*mark, *node.scope) if node.scope else ()
            homes[id(node)] = path
            for operand in node.operands:
                if not path or not _is_leaf(operand) or (mark and used.get(id(operand))):
                    continue
                before = used.get(id(operand))
                used[id(operand)] = path if before is None else _common(before, path)
    for node in nodes:
        if _is_leaf(node):
            homes[id(node)] = () if node.op is PLACEHOLDER else used.get(id(node)) or ()
    return homes


def _common(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    count = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    return a[: min(len(a), len(b)) if count is None else count]


def _tree(
    nodes: Sequence[Value], homes: dict[int, tuple[str, ...]]
) -> tuple[list[Holder], dict[tuple[str, ...], Group]]:
    top: list[Holder] = []
    groups: dict[tuple[str, ...], Group] = {}
    # Parameters are older than what is computed, so groups come in the order of what computes.
    for node in sorted(nodes, key=_is_leaf):
        path = homes[id(node)]
        is_back = path[:1] == ("backward",)
        members = top
        for end in range(2 if is_back else 1, len(path) + 1):
            group = groups.get(path[:end])
            if group is None:
                group = groups[path[:end]] = Group(path[end - 1], end - 1 - is_back)
                group.paths, group.is_backward = frozenset({path[is_back:end]}), is_back
                members.append(group)
            members = group.members
    for node in nodes:
        path = homes[id(node)]
        around = [groups[path[:end]] for end in range(1, len(path) + 1) if path[:end] in groups]
        for group in around:
            group.nodes.append(node)
        (around[-1].members if around else top).append(node)
    return top, groups


_Facts: TypeAlias = "tuple[list[object], list[Value], list[Value]]"


class _Folding:
    """Finds rows of equal groups, each fed by the one before, and keeps the first of each row."""

    def __init__(
        self, graph: Graph, nodes: Sequence[Value], groups: dict[tuple[str, ...], Group]
    ) -> None:
        self.first: dict[int, Value] = {}
        self.known: dict[tuple[int, int], _Facts] = {}
        self.place = {id(node): place for place, node in enumerate(nodes)}
        self.results = {id(node) for node in graph.outputs}
        self.users: dict[int, list[Value]] = {}
        for node in nodes:
            for operand in node.operands:
                self.users.setdefault(id(operand), []).append(node)
        self.around: dict[int, list[Group]] = {}
        for group in groups.values():
            for node in group.nodes:
                self.around.setdefault(id(node), []).append(group)
        below = [[m for m in group.members if isinstance(m, Group)] for group in groups.values()]
        inner = {id(group) for siblings in below for group in siblings}
        tops = [group for group in groups.values() if id(group) not in inner]
        stack = [tops, *below]
        for siblings in sorted(stack, key=lambda s: s[0].level if s else 0):
            self._rows(siblings)

    def _rows(self, siblings: list[Group]) -> None:
        start = 0
        while start < len(siblings):
            if siblings[start].nodes and id(siblings[start].nodes[0]) in self.first:
                return
            found = [
                (period * times, -period, period, times)
                for period in range(1, _LONGEST_PERIOD + 1)
                if (times := self._times(siblings, start, period)) > 1
            ]
            if not found:
                start += 1
                continue
            _, _, period, times = max(found)
            self._fold(siblings, start, period, times)
            start += period * times

    def _times(self, siblings: list[Group], start: int, period: int) -> int:
        """Count how often a row of so many groups comes again, each fed by the one before."""
        times, links = 1, None
        one = siblings[start : start + period]
        if [_kind(g) for g in one] != [
            _kind(g) for g in siblings[start + period : start + 2 * period]
        ]:
            return 1
        facts = self._facts(one)
        size = sum(len(group.nodes) for group in one)
        while True:
            at = start + times * period
            other = siblings[at : at + period]
            if len(other) < period or sum(len(group.nodes) for group in other) != size:
                break
            found = self._facts(other)
            if found[0] != facts[0]:
                break
            linked = self._links(facts, found)
            if linked is None or (links is not None and linked != links):
                break
            if not self._leads_on(facts[1], found[1]):
                break
            facts, links, times = found, linked, times + 1
        return times if times >= _FEW_REPEATS or size >= _LARGE_BLOCK else 1

    def _facts(self, row: list[Group]) -> _Facts:
        """Describe a row of groups by its wiring, with its nodes in order and what feeds it."""
        key = id(row[0]), len(row)
        if key not in self.known:
            self.known[key] = self._found_facts(row)
        return self.known[key]

    def _found_facts(self, row: list[Group]) -> _Facts:
        inside = {id(node) for group in row for node in group.nodes}
        nodes: list[Value] = []
        outside: list[Value] = []
        number: dict[int, int] = {}
        beyond: dict[int, int] = {}
        facts: list[object] = []
        parts: dict[int, int] = {}

        def add(node: Value, wires: tuple[object, ...]) -> None:
            number[id(node)] = len(nodes)
            nodes.append(node)
            around = [g for g in self.around[id(node)] if g.level >= row[0].level]
            path = tuple(parts.setdefault(id(group), len(parts)) for group in around)
            kinds = tuple(_kind(group)[0] for group in around)
            facts.append((node.op, node.spec, _attributes(node), path, kinds, wires))

        ordered = sorted(
            (node for group in row for node in group.nodes), key=lambda n: self.place[id(n)]
        )
        for node in ordered:
            if _is_leaf(node):
                continue
            wires: list[object] = []
            for operand in node.operands:
                key = id(operand)
                if key not in self.place:
                    # A number that stands inside the operation.
                    wires.append((operand.op, operand.spec, _attributes(operand)))
                    continue
                if key in inside and key not in number:
                    add(operand, ())
                if key in number:
                    wires.append(number[key])
                    continue
                if key not in beyond:
                    beyond[key] = len(outside)
                    outside.append(operand)
                wires.append(("outside", beyond[key], operand.spec))
            add(node, tuple(wires))
        return facts, nodes, outside

    def _links(
        self,
        one: _Facts,
        other: _Facts,
    ) -> list[int] | None:
        """Say by what one row feeds the next; None if it doesn't, or other things differ."""
        place = {id(node): i for i, node in enumerate(one[1])}
        links: list[int] = []
        for before, now in zip(one[2], other[2], strict=True):
            if id(now) in place:
                links.append(place[id(now)])
            elif now is before or self._first(now) is self._first(before):
                links.append(-1)
            else:
                return None
        return links if any(link >= 0 for link in links) else None

    def _first(self, node: Value) -> Value:
        return self.first.get(id(node), node)

    def _leads_on(self, nodes: list[Value], following: list[Value]) -> bool:
        """Whether a row leads to the next alone, but for what differentiates it, and gradients.

        Gradients are handed out of both rows, or of none.
        """
        allowed = {id(node) for node in (*nodes, *following)}
        for node, other in zip(nodes, following, strict=True):
            is_result = id(node) in self.results
            if is_result is not (id(other) in self.results and node.origin is not None):
                return False
            for user in self.users.get(id(node), ()):
                if id(user) not in allowed and (user.origin is None) == (node.origin is None):
                    return False
        return True

    def _fold(self, siblings: list[Group], start: int, period: int, times: int) -> None:
        row = siblings[start : start + period]
        _, kept, _ = self._facts(row)
        for again in range(1, times):
            at = start + again * period
            _, nodes, _ = self._facts(siblings[at : at + period])
            self.first.update({id(n): first for n, first in zip(nodes, kept, strict=True)})
            for group, owner in zip(siblings[at : at + period], row, strict=True):
                group.times = 0
                owner.paths |= group.paths
        row[0].times = times
        for group in row[1:]:
            group.times = -times
        if period == 1:
            last = siblings[start + times - 1]
            row[0].label = _span(row[0].label, last.label)


def _kind(group: Group) -> tuple[str, int]:
    """Say what equal groups have in common, and is quickly told."""
    return group.label.rpartition(": ")[2], len(group.nodes)


def _span(first: str, last: str) -> str:
    """Name a row of layers by its first and last: ``layers.0 to layers.11: Block``."""
    (start, sign, kind), (end, _, _) = first.rpartition(": "), last.rpartition(": ")
    return f"{start} to {end}{sign}{kind}" if start and end else first


def _attributes(node: Value) -> str:
    if node.op is CONSTANT:
        value = node.attrs["value"]
        return str(value.tolist()) if value.size <= 16 else ""
    if node.op.family == "random":
        # Each has a number of its own.
        return ""
    return ", ".join(f"{name}={write_attribute(value)}" for name, value in node.attrs.items())


def _is_lopsided(groups: Mapping[tuple[str, ...], Group]) -> bool:
    """Whether there is a row drawn once whose derivatives are not: all of them would lead to it."""
    apart = Counter(
        path[1:] for path, group in groups.items() if path[:1] == ("backward",) and group.times
    )
    rows = [g for path, g in groups.items() if path[:1] != ("backward",) and g.times > 1]
    return any(sum(apart[path] for path in group.paths) > _MOST_APART for group in rows)


def _regroup(top: list[Holder]) -> None:
    """Drop the groups that are folded away, and frame the rows of several that stay."""
    stack = [top]
    while stack:
        members = stack.pop()
        kept: list[Holder] = []
        frame: Group | None = None
        for member in members:
            if not isinstance(member, Group):
                kept.append(member)
            elif member.times < 0:
                assert frame is not None or isinstance(kept[-1], Group)
                if frame is None:
                    leader = next(m for m in reversed(kept) if isinstance(m, Group))
                    frame = Group("", leader.level, [leader], [*leader.nodes], -member.times)
                    frame.is_frame, frame.paths = True, leader.paths
                    leader.times = 1
                    kept[kept.index(leader)] = frame
                member.times = 1
                frame.members.append(member)
                frame.nodes += member.nodes
                frame.paths |= member.paths
                stack.append(member.members)
            elif member.times > 0:
                frame = None
                kept.append(member)
                stack.append(member.members)
        members[:] = kept


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
    rest = [n for n in loose if id(n) not in kept and not _is_leaf(n)]
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
            if id(operand) not in made.holder and _is_leaf(operand):
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


def counted(nodes: Sequence[Value], most: int = 3) -> list[str]:
    """Say in lines how many operations there are, and which."""
    names = Counter(node.op.name for node in nodes if not _is_leaf(node))
    total = sum(names.values())
    shown = [f"{count:,} {name}" for name, count in names.most_common(most)]
    if len(names) > most:
        shown.append(f"{sum(n for _, n in names.most_common()[most:]):,} others")
    return [f"{total:,} operation{'s' * (total != 1)}", ", ".join(shown)]
