"""A second opinion on plans: memory as bytes with owners, walked step by step. No arrays of values.

It shares nothing with the planner but the records that it reads.
"""

import numpy as np

from lazygrad.schedule.buffers import ALIGNMENT, Kind
from lazygrad.spec import Spec


class BrokenPlanError(AssertionError):
    """A plan that would lose a value."""


def require(holds, text):
    if not holds:
        raise BrokenPlanError(text)


class Memory:
    """Which value every byte of the arena belongs to."""

    def __init__(self, schedule, plan):
        self.schedule, self.plan = schedule, plan
        self.owner = np.full(plan.arena_bytes, -1)
        self.deferred = {step: cell for cell, step in plan.direct}
        self.looks_into = {step.writes[0]: step.reads[0] for step in schedule.steps if step.is_view}
        self.leaves = {number for _, number in (*schedule.feeds,)} | {*schedule.cells}
        self.leaves |= {number for number, _ in (*schedule.constants, *schedule.lengths)}

    def base(self, number):
        while number in self.looks_into:
            number = self.looks_into[number]
        return number

    def size(self, number):
        return self.plan.bytes_of(self.schedule, number)

    def place(self, number):
        """The bytes of a value in the arena, or None where it lives elsewhere."""
        storage = self.plan.storage[self.base(number)]
        if storage.kind is not Kind.SLOT:
            return None
        return slice(storage.offset, storage.offset + self.size(self.base(number)))

    def require_there(self, number, when):
        place = self.place(number)
        if place is not None:
            own = self.base(number)
            require((self.owner[place] == own).all(), f"v{number} is gone {when}")

    def write(self, step, index):
        for number in step.writes:
            place = self.place(number)
            if place is None:
                continue
            for position, read in enumerate(step.reads):
                self._require_apart(step, index, number, position, read)
            for other in step.writes:
                apart = other == number or self._apart(place, self.place(other))
                require(apart, f"step {index} writes v{number} over its v{other}")
            self.owner[place] = number

    def _apart(self, place, other):
        return other is None or place.stop <= other.start or other.stop <= place.start

    def _require_apart(self, step, index, number, position, read):
        if self._apart(self.place(number), self.place(read)):
            return
        text = f"step {index} ({step.op.name}) writes v{number} over its operand v{read}"
        specs, shapes = self.schedule.specs, self.plan.shapes
        require(position in step.op.reusable, text + ", which its kernel doesn't allow")
        require(read not in self.looks_into, text + ", a view")
        require(shapes[number] == shapes[read], text + ", of another shape")
        require(specs[number].dtype == specs[read].dtype, text + ", of another dtype")
        require(self.place(number) == self.place(read), text + " in part")

    def run_section(self, position):
        """Run one section; give the bytes that it wrote."""
        section = self.schedule.sections[position]
        start = self.schedule.sections[position - 1].stop if position else 0
        written = np.zeros(self.plan.arena_bytes, bool)
        for index in range(start, section.stop):
            step = self.schedule.steps[index]
            if step.is_view or index in self.deferred:
                continue
            for read in step.reads:
                self.require_there(read, f"when step {index} ({step.op.name}) reads it")
            self.write(step, index)
            for number in step.writes:
                if self.place(number) is not None:
                    written[self.place(number)] = True
        for number in section.outputs:
            self.require_there(number, f"when {section.name} hands it out")
        return written


def check_plan(schedule, plan):
    """Raise BrokenPlanError unless every value is there whenever it is read."""
    memory = Memory(schedule, plan)
    _check_places(schedule, plan)
    _check_outputs(schedule, plan, memory)
    _check_direct(schedule, plan, memory)
    last = len(schedule.sections) - 1
    earlier = np.zeros(plan.arena_bytes, bool)
    for position in range(last + 1):
        # A later section can be repeated, and what an earlier one filled stays.
        for _ in range(2 if position else 1):
            written = memory.run_section(position)
            require(not (earlier & written).any(), "a section writes what an earlier one filled")
            for section in schedule.sections[: position + 1]:
                for number in section.kept:
                    memory.require_there(number, "though it is kept")
        earlier |= written
    for index in memory.deferred:
        for read in schedule.steps[index].reads:
            memory.require_there(read, "when an update reads it")
    for _, number in schedule.updates:
        if plan.storage[number].kind is not Kind.VIEW or number in memory.looks_into:
            memory.require_there(number, "when a cell takes it on")


def _check_places(schedule, plan):
    total = 0
    for number, storage in enumerate(plan.storage):
        require(storage is not None, f"v{number} has no place")
        if storage.kind is Kind.SLOT:
            size = plan.bytes_of(schedule, number)
            require(storage.offset % ALIGNMENT == 0, f"v{number} is not aligned")
            require(storage.offset + size <= plan.arena_bytes, f"v{number} sticks out")
            total += max(ALIGNMENT, -(-size // ALIGNMENT) * ALIGNMENT)
    require(plan.arena_bytes <= total, "the arena is larger than everything in it")


def _check_outputs(schedule, plan, memory):
    seen = set()
    for section in schedule.sections:
        for number in section.outputs:
            if schedule.specs[number].shape == ():
                continue
            require(number not in seen, f"v{number} is handed out twice")
            require(number not in memory.leaves, f"v{number} is a leaf")
            kind = plan.storage[number].kind
            require(kind in (Kind.OUTPUT, Kind.FRESH), f"v{number} is handed out from {kind}")
            seen.add(number)


def _check_direct(schedule, plan, memory):
    updated = {schedule.cells[cell] for cell, _ in schedule.updates}
    feeds = {number for _, number in schedule.feeds}
    readers = {}
    for index, step in enumerate(schedule.steps):
        for read in step.reads:
            readers.setdefault(memory.base(read), set()).add(index)
    value_of = dict(schedule.updates)
    for cell, index in plan.direct:
        step, own = schedule.steps[index], schedule.cells[cell]
        (number,) = step.writes
        require(value_of[cell] == number, "a direct update of something else")
        require(number not in readers, f"v{number} is read though it goes into a cell")
        require(plan.storage[number].base == own, f"v{number} doesn't go into its cell")
        for position, read in enumerate(step.reads):
            if read == own and position in step.op.reusable:
                continue
            require(memory.base(read) not in updated | feeds, f"a late step reads v{read}")
        spec = Spec(plan.shapes[number], schedule.specs[number].dtype)
        require(spec == Spec(plan.shapes[own], schedule.specs[own].dtype), "of another spec")
    if len(schedule.updates) > 1:
        for cell, number in schedule.updates:
            moving = (updated - {schedule.cells[cell]}) | feeds
            direct = any(cell == other for other, _ in plan.direct)
            require(direct or memory.base(number) not in moving, "updates are not simultaneous")
