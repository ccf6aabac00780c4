"""From a graph to a schedule: an order, numbers for values, sections. Allocates nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..ir.describe import label
from ..ir.graph import Graph
from ..ir.op import Array, Attrs, Op, Trait, Writes, lookup
from ..ir.value import CONSTANT, ITEM, PLACEHOLDER, VARIABLE, Value
from ..lengths import Length
from ..spec import Spec
from .order import frugal_order
from .steps import Note, Schedule, Section, Step

__all__ = ["Lowered", "lower", "note_of"]


@dataclass(frozen=True)
class Lowered:
    """A schedule, and the leaves that its feeds and cells stand for, in its order."""

    schedule: Schedule
    placeholders: tuple[Value, ...]
    variables: tuple[Value, ...]
    number_of: dict[int, int]
    """The value number of each node, by the node's id."""


def lower(
    graph: Graph,
    sections: Sequence[tuple[str, Sequence[Value]]],
    updates: Sequence[tuple[Value, Value]] = (),
    kept: Sequence[Value] = (),
) -> Lowered:
    """Order the nodes of *graph* and number them.

    Each section is a name and the nodes that it hands out; *updates* pairs variables with the
    nodes whose values they take on at the end of the last section. What an earlier section needs
    comes in it; a later one sees everything before it. Nodes in *kept* are computed in the first
    section and can be read at any time after it.
    """
    lowering = _Lowering()
    done: set[int] = set()
    for position, (name, outputs) in enumerate(sections):
        is_last = position == len(sections) - 1
        wanted = [*outputs, *(new for _, new in updates)] if is_last else list(outputs)
        held = kept if position == 0 else ()
        for node in frugal_order([*wanted, *held], done):
            lowering.place(node)
        if is_last and len(updates) > 1:
            lowering.settle(new for _, new in updates)
        lowering.end_section(name, outputs, held, is_last, bool(updates))
    return lowering.finish(graph, updates)


def note_of(node: Value) -> Note:
    """Say what people call a node: a derivative node is named after its forward node."""
    if node.origin is None:
        return Note(label(node), node.line, node.scope)
    return Note(f"{node.op.name}, gradient of {label(node.origin)}", node.line, node.scope, True)


class _Lowering:
    """The lists that a schedule is frozen from."""

    def __init__(self) -> None:
        self.number_of: dict[int, int] = {}
        self.results_of: dict[int, tuple[int, ...]] = {}
        self.specs: list[Spec] = []
        self.placeholders: list[tuple[Value, int]] = []
        self.variables: dict[int, tuple[Value, int]] = {}
        self.constants: list[tuple[int, Array]] = []
        self.lengths: list[tuple[int, Length]] = []
        self.steps: list[Step] = []
        self.sections: list[Section] = []
        self.handed_out: set[int] = set()
        self.scattered: set[int] = set()
        self.row_major: dict[int, int] = {}
        self.owned: set[int] = set()
        self.settled: dict[int, int] = {}
        self.earlier: set[int] = set()

    def place(self, node: Value) -> None:
        """Give a node its number, and a step where it is computed."""
        if node.op is ITEM:
            owner = self.results_of[id(node.operands[0])]
            self.number_of[id(node)] = owner[node.attrs["index"]]
            return
        if node.op.traits and Trait.LEAF in node.op.traits:
            self._place_leaf(node)
            return
        reads = tuple(self._number(operand) for operand in node.operands)
        if Trait.NEEDS_CONTIGUOUS in node.op.traits and reads[0] in self.scattered:
            reads = (self._in_row_major(reads[0], node), *reads[1:])
        writes = self._step(node.op, reads, node.specs, node.attrs, note_of(node), node.several)
        self.results_of[id(node)] = writes
        self.number_of[id(node)] = writes[0]

    def _place_leaf(self, node: Value) -> None:
        number = self._new(node.spec)
        self.number_of[id(node)] = number
        if node.op is PLACEHOLDER:
            self.placeholders.append((node, number))
        elif node.op is VARIABLE:
            self.variables[id(node)] = (node, number)
        elif node.op is CONSTANT:
            self.constants.append((number, node.attrs["value"]))
        else:
            self.lengths.append((number, node.attrs["length"]))

    def _number(self, node: Value) -> int:
        return self.number_of[id(node)]

    def _new(self, spec: Spec) -> int:
        self.specs.append(spec)
        return len(self.specs) - 1

    def _step(
        self,
        op: Op,
        reads: tuple[int, ...],
        specs: Sequence[Spec],
        attrs: Attrs,
        note: Note,
        several: bool = False,
    ) -> tuple[int, ...]:
        writes = tuple(self._new(spec) for spec in specs)
        self.steps.append(Step(op, reads, writes, attrs, note, several))
        if op.writes is not Writes.VIEW:
            self.owned.update(writes)
        elif Trait.NEEDS_CONTIGUOUS not in op.traits:
            self.scattered.update(writes)
        return writes

    def _in_row_major(self, number: int, user: Value) -> int:
        """Copy a value that a view can't look into as it lies; once, however many ask."""
        if number not in self.row_major:
            self.row_major[number] = self._copied(number, note_of(user))
        return self.row_major[number]

    def _copied(self, number: int, note: Note) -> int:
        return self._step(lookup("copy"), (number,), (self.specs[number],), {}, note)[0]

    def settle(self, news: Iterable[Value]) -> None:
        """Copy what would change under an update when another one is written."""
        for node in news:
            number = self._number(node)
            if number not in self.owned and node.op is not CONSTANT:
                self.settled[id(node)] = self._copied(number, note_of(node))

    def end_section(
        self,
        name: str,
        outputs: Sequence[Value],
        kept: Sequence[Value],
        is_last: bool,
        has_updates: bool,
    ) -> None:
        """Hand out results, each in storage of its own that no later section reads."""
        handed = []
        for node in outputs:
            number = self._number(node)
            is_scalar = self.specs[number].shape == ()
            is_new = number in self.owned and number not in self.earlier
            is_own = is_new and number not in self.handed_out and is_last
            # A scalar is read when everything has run, by which time its leaf may be updated.
            may_change = has_updates and number not in self.owned and node.op is not CONSTANT
            if may_change or (not is_scalar and not is_own):
                number = self._copied(number, note_of(node))
            self.handed_out.add(number)
            handed.append(number)
        numbers = tuple(self._number(node) for node in kept)
        self.sections.append(Section(name, len(self.steps), tuple(handed), numbers))
        self.earlier = set(self.owned)

    def finish(self, graph: Graph, updates: Sequence[tuple[Value, Value]]) -> Lowered:
        """Freeze what was gathered."""
        for variable, _ in updates:
            if id(variable) not in self.variables:
                self._place_leaf(variable)
        positions = {key: position for position, key in enumerate(self.variables)}
        variables = self.variables.values()
        schedule = Schedule(
            specs=tuple(self.specs),
            feeds=tuple((str(node.name), number) for node, number in self.placeholders),
            cells=tuple(number for _, number in variables),
            constants=tuple(self.constants),
            lengths=tuple(self.lengths),
            steps=tuple(self.steps),
            sections=tuple(self.sections),
            updates=tuple(
                (positions[id(old)], self.settled.get(id(new), self._number(new)))
                for old, new in updates
            ),
            assumptions=tuple((a, b, note_of(node)) for a, b, node in graph.assumptions),
        )
        return Lowered(
            schedule,
            tuple(node for node, _ in self.placeholders),
            tuple(node for node, _ in variables),
            self.number_of,
        )
