"""What became of each node from one graph to the next: which stayed, changed, came and went.

Passes copy what lies above a replaced node, so that equal nodes are other objects: nodes are told
to be the same by identity, by the attributes that copies share, and by where they are used. Knows
graphs; knows no particular pass.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from ..ir.graph import Graph
from ..ir.printing import GraphPrinter
from ..ir.value import Value

__all__ = ["ADDED", "CHANGED", "KEPT", "REMOVED", "Line", "Listing", "compared"]

KEPT, ADDED, REMOVED, CHANGED = "kept", "added", "removed", "changed"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a listing: what became of it, and its text before where that was another."""

    change: str
    text: str
    before: str = ""
    backward: bool = False
    """Whether it is part of a derivative."""
    place: str = ""
    """The user's line that it comes from."""
    number: int | None = None
    """The number of its node in the picture of the same stage."""


class Listing:
    r"""A graph as lines, with names and an order that outlast passes.

    >>> x = Value(shape=(3,), name="x")
    >>> first = Listing(Graph([x * 1.0 + 2.0]))
    >>> print(*[line.text for line in first.lines()], sep="\n")
    x: float64[3] requires_grad
    a = multiply(x, 1.0)
    b = add(a, 2.0)
    return b
    """

    def __init__(self, graph: Graph, before: Listing | None = None) -> None:
        self.graph = graph
        self.before = before
        self.match: dict[int, Value] = {} if before is None else _matched(before.graph, graph)
        """What each node was before, by its id."""
        names = {}
        taken: set[str] = set()
        if before is not None:
            taken = before.taken
            known = before.labels
            names = {key: known[id(was)] for key, was in self.match.items() if id(was) in known}
        printer = GraphPrinter(graph, names=names, taken=taken)
        self.labels: dict[int, str] = printer.labels
        self.taken: set[str] = taken | set(self.labels.values())
        self.order = self._ordered()
        self.texts = {
            id(node): printer.statement(node)
            for node in self.order
            if id(node) not in printer.inline
        }
        self.result = printer.results()
        self.numbers = {label: number for number, label in enumerate(sorted(self.taken))}
        """A number for each name, by which pictures know nodes."""

    @property
    def gone(self) -> list[Value]:
        """The nodes of the graph before that are not here any more."""
        if self.before is None:
            return []
        kept = {id(was) for was in self.match.values()}
        return [node for node in self.before.order if id(node) not in kept]

    def change(self, node: Value) -> str:
        """Say what became of a node of this graph."""
        if self.before is None:
            return KEPT
        was = self.match.get(id(node))
        if was is None:
            return ADDED
        # Where a number in its line got a name, a node is still what it was.
        if was is node:
            return KEPT
        old, new = self.before.texts.get(id(was)), self.texts.get(id(node))
        return CHANGED if node.op is not was.op or (new is not None and old != new) else KEPT

    def line_change(self, node: Value) -> str:
        """Say what became of a node's line: a number that one node used had none of its own."""
        change, was = self.change(node), self.match.get(id(node))
        if self.before is None or was is None or id(was) in self.before.texts:
            return change
        return ADDED

    def lines(self) -> Iterator[Line]:
        """Give the lines, with those that are gone where they were."""
        before = self.before
        if before is None:
            yield from (self._line(node, KEPT) for node in self.order if id(node) in self.texts)
            yield Line(KEPT, self.result)
            return
        lost = [node for node in self.gone if id(node) in before.texts]
        place = {id(node): i for i, node in enumerate(before.order)}
        waiting = iter(lost)
        next_lost = next(waiting, None)
        for node in self.order:
            was = self.match.get(id(node))
            while was is not None and next_lost is not None:
                if place[id(next_lost)] > place[id(was)]:
                    break
                yield self._lost_line(next_lost)
                next_lost = next(waiting, None)
            if id(node) in self.texts:
                yield self._line(node, self.line_change(node))
        while next_lost is not None:
            yield self._lost_line(next_lost)
            next_lost = next(waiting, None)
        is_same = self.result == before.result
        yield Line(KEPT if is_same else CHANGED, self.result, "" if is_same else before.result)

    def _line(self, node: Value, change: str) -> Line:
        old = ""
        if change == CHANGED and self.before is not None:
            old = self.before.texts[id(self.match[id(node)])]
        number = self.numbers[self.labels[id(node)]]
        return Line(change, self.texts[id(node)], old, *_about(node), number)

    def _lost_line(self, node: Value) -> Line:
        before = self.before
        assert before is not None, "something was lost"
        number = self.numbers[before.labels[id(node)]]
        return Line(REMOVED, before.texts[id(node)], "", *_about(node), number)

    def _ordered(self) -> list[Value]:
        """Order operands before users, and otherwise as before; what is new comes where used."""
        nodes = self.graph.nodes
        if self.before is None:
            return list(nodes)
        place = {id(node): i for i, node in enumerate(self.before.order)}
        users = self.graph.users()
        rank: dict[int, tuple[int, int, int]] = {}
        for node in reversed(nodes):
            was = self.match.get(id(node))
            if was is not None:
                rank[id(node)] = (place[id(was)], 1, node.serial)
            else:
                first = min((rank[id(user)][0] for user in users[id(node)]), default=len(place))
                rank[id(node)] = (first, 0, node.serial)
        missing = {id(node): len({id(each) for each in node.operands}) for node in nodes}
        ready = [(rank[id(node)], node) for node in nodes if not node.operands]
        heapq.heapify(ready)
        order = []
        while ready:
            _, node = heapq.heappop(ready)
            order.append(node)
            for user in {id(user): user for user in users[id(node)]}.values():
                missing[id(user)] -= 1
                if not missing[id(user)]:
                    heapq.heappush(ready, (rank[id(user)], user))
        return order


def _about(node: Value) -> tuple[bool, str]:
    return node.origin is not None, "" if node.line is None else str(node.line)


def compared(listing: Listing) -> dict[str, int]:
    """Count the nodes that were added, removed and changed."""
    changes = [listing.change(node) for node in listing.graph.nodes]
    return {
        ADDED: changes.count(ADDED),
        REMOVED: len(listing.gone),
        CHANGED: changes.count(CHANGED),
    }


def _matched(before: Graph, after: Graph) -> dict[int, Value]:
    own = {id(node) for node in before.nodes}
    match = {id(node): node for node in after.nodes if id(node) in own}
    # Copies share the dictionary of their attributes with the node that they were made from.
    copied: dict[tuple[int, object], list[Value]] = {}
    for node in before.nodes:
        if id(node) not in match:
            copied.setdefault((id(node.attrs), node.op), []).append(node)
    for node in after.nodes:
        found = copied.get((id(node.attrs), node.op))
        if id(node) not in match and found:
            match[id(node)] = found.pop(0)
    _match_by_use(before, after, match)
    return match


def _match_by_use(before: Graph, after: Graph, match: dict[int, Value]) -> None:
    """Match what took the place of a node in the results, or in a user that was matched."""
    used = {id(was) for was in match.values()}
    replaced: set[int] = set()

    def take(new: Value, old: Value, alike: bool) -> None:
        if id(new) in match or id(old) in used or new.specs != old.specs:
            return
        if alike and new.op is not old.op:
            return
        match[id(new)] = old
        used.add(id(old))
        if new.op is not old.op:
            replaced.add(id(new))

    for new, old in zip(after.outputs, before.outputs, strict=False):
        take(new, old, False)
    for node in reversed(after.nodes):
        was = match.get(id(node))
        if was is not None and was is not node:
            for new, old in zip(node.operands, was.operands, strict=False):
                # The operands of another operation mean something else.
                take(new, old, id(node) in replaced)
