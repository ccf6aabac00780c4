"""The order of steps: few bytes alive at once. Knows nodes and sizes; allocates nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush

from ..ir.graph import ancestors
from ..ir.op import Trait, Writes
from ..ir.value import Value
from ..lengths import Length, evaluate
from ..spec import Spec, TupleSpec

__all__ = ["frugal_order", "peak_bytes"]

# What a length counts as while it is unknown; only comparisons of sizes depend on it.
_NOMINAL_LENGTH = 64
# Past this many nodes the greedy search would cost more than it saves.
_SEARCHED_NODES = 20_000


def frugal_order(results: Sequence[Value], done: set[int]) -> list[Value]:
    """List the nodes below *results* that are not in *done* (ids), operands before users.

    Of two orders, that of writing and a greedy one that prefers what frees the most, the one with
    fewer bytes alive at its peak; in a tie that of writing. The ids are added to *done*.
    """
    nodes = [node for node in ancestors(results) if id(node) not in done]
    done.update(id(node) for node in nodes)
    if any(Trait.DATA_SHAPED in node.op.traits for node in nodes):
        return _after_their_lengths(nodes)
    if len(nodes) > _SEARCHED_NODES:
        return nodes
    lifetimes = _Lifetimes(nodes, results)
    greedy = lifetimes.greedy()
    return greedy if lifetimes.peak(greedy) < lifetimes.peak(nodes) else nodes


def _after_their_lengths(nodes: Sequence[Value]) -> list[Value]:
    """Put nodes that need a length known only in mid-run behind the one that makes it known."""
    made = {name for node in nodes if Trait.DATA_SHAPED in node.op.traits for name in _names(node)}
    order: list[Value] = []
    unplaced = {id(node) for node in nodes}
    waiting = list(nodes)
    while waiting:
        later: list[Value] = []
        for node in waiting:
            shows = Trait.DATA_SHAPED in node.op.traits
            blocked = not shows and not made.isdisjoint(_names(node))
            if blocked or any(id(operand) in unplaced for operand in node.operands):
                later.append(node)
                continue
            order.append(node)
            unplaced.discard(id(node))
            if shows:
                made -= _names(node)
        if len(later) == len(waiting):
            return [*order, *later]
        waiting = later
    return order


def _names(node: Value) -> set[str]:
    """Give the names of the lengths, known in mid-run, in a node's shapes and attributes."""
    given: Spec | TupleSpec = node.spec
    specs = given if isinstance(given, tuple) else (given,)
    # The leaf of a length as a number holds it as an attribute.
    dims = [*node.attrs.values(), *(length for spec in specs for length in spec.shape)]
    lengths = [length for length in dims if isinstance(length, Length)]
    return {name for length in lengths for name in length.names if name.startswith("#")}


def peak_bytes(nodes: Sequence[Value], results: Iterable[Value]) -> int:
    """Give the largest number of bytes alive when *nodes* run in this order."""
    return _Lifetimes(nodes, results).peak(nodes)


def _nominal_bytes(node: Value) -> int:
    if Trait.LEAF in node.op.traits or node.op.writes is Writes.VIEW:
        return 0
    return sum(_spec_bytes(spec) for spec in node.specs)


def _spec_bytes(spec: Spec) -> int:
    size = spec.dtype.itemsize
    for length in spec.shape:
        if type(length) is int:
            size *= length
        else:
            size *= evaluate(length, dict.fromkeys(length.names, _NOMINAL_LENGTH))  # type: ignore[union-attr]
    return size


class _Lifetimes:
    """Who uses whose storage, and how large it is; views count for what they look into."""

    def __init__(self, nodes: Sequence[Value], results: Iterable[Value]) -> None:
        self.nodes = nodes
        self.inside = {id(node) for node in nodes}
        self.bytes = {id(node): _nominal_bytes(node) for node in nodes}
        self.base: dict[int, int] = {}
        self.uses: dict[int, int] = dict.fromkeys(self.inside, 0)
        self.reads: dict[int, tuple[int, ...]] = {}
        for node in nodes:
            is_view = node.op.writes is Writes.VIEW and node.operands
            own = self._base_of(node.operands[0]) if is_view else id(node)
            self.base[id(node)] = own
            reads = {self._base_of(operand) for operand in node.operands} & self.inside
            self.reads[id(node)] = tuple(reads)
            for base in reads:
                self.uses[base] += 1
        for node in results:
            # A view made here may look into what an earlier section holds.
            held = self.base.get(id(node))
            if held in self.uses:
                self.uses[held] += 1

    def _base_of(self, node: Value) -> int:
        return self.base.get(id(node), id(node))

    def peak(self, order: Sequence[Value]) -> int:
        left = dict(self.uses)
        alive = peak = 0
        for node in order:
            alive += self.bytes[id(node)]
            peak = max(peak, alive)
            for base in self.reads[id(node)]:
                left[base] -= 1
                if left[base] == 0:
                    alive -= self.bytes[base]
        return peak

    def greedy(self) -> list[Value]:
        """Take, among the nodes whose operands are there, the one that leaves the fewest bytes."""
        left = dict(self.uses)
        waiting: dict[int, int] = {}
        users: dict[int, list[Value]] = {id(node): [] for node in self.nodes}
        readers: dict[int, list[Value]] = {id(node): [] for node in self.nodes}
        for node in self.nodes:
            operands = {id(operand) for operand in node.operands} & self.inside
            waiting[id(node)] = len(operands)
            for operand in operands:
                users[operand].append(node)
            for base in self.reads[id(node)]:
                readers[base].append(node)

        def growth(node: Value) -> int:
            freed = sum(self.bytes[base] for base in self.reads[id(node)] if left[base] == 1)
            return self.bytes[id(node)] - freed

        ready = [(growth(node), node.serial, node) for node in self.nodes if not waiting[id(node)]]
        heapify(ready)
        placed: set[int] = set()
        order: list[Value] = []
        while ready:
            _, _, node = heappop(ready)
            if id(node) in placed:
                continue
            placed.add(id(node))
            order.append(node)
            for user in users[id(node)]:
                waiting[id(user)] -= 1
                if not waiting[id(user)]:
                    heappush(ready, (growth(user), user.serial, user))
            for base in self.reads[id(node)]:
                left[base] -= 1
                if left[base] != 1:
                    continue
                # The last reader now frees the base, so it has become more attractive.
                for reader in readers[base]:
                    if id(reader) not in placed and not waiting[id(reader)]:
                        heappush(ready, (growth(reader), reader.serial, reader))
        return order
