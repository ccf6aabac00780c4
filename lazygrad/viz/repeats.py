"""Blocks that repeat: rows of equal groups, each fed by the one before, of which one is drawn.

Reads nodes and groups. Equal are blocks with the same operations, shapes, attributes and wiring;
names and what variables hold don't count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from ..ir.graph import Graph
from ..ir.printing import write_attribute
from ..ir.value import CONSTANT, Value
from .groups import Group, Holder, is_leaf

__all__ = ["fold_repeats"]

# Blocks of two are only worth folding if they are large.
_FEW_REPEATS, _LARGE_BLOCK = 3, 8
_LONGEST_PERIOD = 4
_MOST_APART = 2


def fold_repeats(
    graph: Graph,
    nodes: Sequence[Value],
    top: list[Holder],
    groups: Mapping[tuple[str, ...], Group],
) -> dict[int, Value] | None:
    """Drop all but the first of each row of equal groups, and say which node stands for which.

    Gives None, with groups half dropped, where a row would be drawn once whose derivatives are not.
    """
    first = _Folding(graph, nodes, groups).first
    if _is_lopsided(groups):
        return None
    _regroup(top)
    return first


_Facts: TypeAlias = "tuple[list[object], list[Value], list[Value]]"


class _Folding:
    """Finds rows of equal groups, each fed by the one before, and keeps the first of each row."""

    def __init__(
        self, graph: Graph, nodes: Sequence[Value], groups: Mapping[tuple[str, ...], Group]
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
            if is_leaf(node):
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
