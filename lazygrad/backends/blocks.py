"""Runs of elementwise steps over large arrays, done block by block so that they stay in the cache.

A step at a time, each result of a large array goes out to memory and comes back. Here a run of
steps works on one block after another: what only the run itself reads lives in scratch of the size
of a block, and never leaves the cache. Knows schedules, plans and arrays, and not how a step is
written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np

from ..ir.op import Array, Trait, Writes
from ..schedule.buffers import Kind, Plan
from ..schedule.steps import Schedule, Step
from .source import Line

__all__ = ["BLOCK_BYTES", "LEAST_BYTES", "Run", "find_runs", "is_large", "run_lines"]

LEAST_BYTES = 1 << 20
"""Smaller arrays stay in the cache by themselves."""

BLOCK_BYTES = 1 << 18
"""Of one array; a few of them fit into the second level of the cache."""

# A run looks no further than over so many other steps.
_MOST_PASSED = 16


@dataclass
class Run:
    """Steps that are done block by block: their indices, and what needs no place of its own."""

    size: int
    """Elements of every array."""
    indices: list[int] = field(default_factory=list)
    scratch: dict[int, int] = field(default_factory=dict)
    """For each value that only the run reads: which piece of scratch holds it."""
    totals: list[int] = field(default_factory=list)
    """Those among the steps that sum all elements: blocks give partial sums."""
    passed: list[int] = field(default_factory=list)
    """Other steps that came in between; they are done after the run."""
    pieces: list[np.dtype[np.generic]] = field(default_factory=list)
    """The dtype of each piece of scratch."""


def is_large(schedule: Schedule, plan: Plan) -> bool:
    """Whether there may be an array that is worth blocks."""
    outputs = {number for section in schedule.sections for number in section.outputs}
    sizes = (plan.bytes_of(schedule, number) for number in outputs)
    return plan.arena_bytes >= LEAST_BYTES or max(sizes, default=0) >= LEAST_BYTES


def find_runs(
    schedule: Schedule,
    plan: Plan,
    start: int,
    stop: int,
    arrays: Mapping[int, Array],
    is_written: Callable[[int], bool],
    is_uniform: Callable[[Step], bool],
) -> dict[int, Run]:
    """Find the runs between two steps, by the index of their first step.

    *arrays* holds the storage that is known. *is_written* says of a step's index whether it becomes
    a call in its place: views, what is known beforehand, and what is done at the end do not.
    *is_uniform* says whether a step's call is the same for all blocks.
    """
    facts = _Facts(schedule, plan, arrays, is_uniform)
    found: dict[int, Run] = {}
    run: Run | None = None
    for index in range(start, stop):
        if not is_written(index):
            continue
        step = schedule.steps[index]
        size = facts.size_of(step)
        if run is not None and size == run.size and facts.joins(run, step):
            run.indices.append(index)
        elif run is not None and facts.is_total(step, run.size) and facts.joins(run, step):
            run.indices.append(index)
            run.totals.append(index)
        elif size:
            run = Run(size, [index])
            found[index] = run
        elif run is not None:
            run.passed.append(index)
            if len(run.passed) > _MOST_PASSED:
                run = None
    found = {first: run for first, run in found.items() if len(run.indices) > 1}
    for run in found.values():
        _place_scratch(run, schedule, plan)
    return found


@dataclass
class _Facts:
    """What decides whether a step can be done in blocks, and together with others."""

    schedule: Schedule
    plan: Plan
    arrays: Mapping[int, Array]
    is_uniform: Callable[[Step], bool]

    def size_of(self, step: Step) -> int:
        """Count the elements of a step that can be done in blocks; 0 for any other."""
        if Trait.ELEMENTWISE not in step.op.traits or step.op.writes is not Writes.OUT:
            return 0
        shape, storage = self.plan.shapes[step.writes[0]], self.plan.storage[step.writes[0]]
        if shape is None or storage.kind not in (Kind.SLOT, Kind.OUTPUT):
            return 0
        if self.plan.bytes_of(self.schedule, step.writes[0]) < LEAST_BYTES:
            return 0
        is_fit = all(self._is_fit(number, shape) for number in step.reads)
        return prod(shape) if prod(shape) > 1 and is_fit and self.is_uniform(step) else 0

    def _is_fit(self, number: int, shape: tuple[int, ...]) -> bool:
        own = self.plan.shapes[number]
        if own is None or (own != shape and prod(own) != 1):
            return False
        if number not in self.arrays:
            return self.plan.storage[number].kind in (Kind.FEED, Kind.OUTPUT)
        return own != shape or self.arrays[number].flags.c_contiguous

    def is_total(self, step: Step, size: int) -> bool:
        """Whether a step sums all of so many elements, in its own float dtype."""
        if step.op.name != "sum" or self.arrays.get(step.writes[0]) is None:
            return False
        (number,) = step.reads
        own, dtype = self.plan.shapes[number], self.schedule.specs[number].dtype
        if own is None or prod(own) != size or len(step.attrs["axes"]) != len(own):
            return False
        is_same = dtype == self.schedule.specs[step.writes[0]].dtype
        return is_same and dtype.char in "fd" and self._is_fit(number, own)

    def joins(self, run: Run, step: Step) -> bool:
        """Whether a step can be done with a run, before the steps that the run passed by.

        It must not read what these write, nor write where they read or write. A slot that was given
        on may overlap an operand of the run at another offset, and a view of a result shows it in
        another order: neither is for blocks.
        """
        passed = [self.schedule.steps[index] for index in run.passed]
        steps = [self.schedule.steps[index] for index in run.indices]
        made = {number for earlier in (*steps, *passed) for number in earlier.writes}
        # A total is there when all blocks are done.
        totals = [self.schedule.steps[index] for index in run.totals]
        late = {number for earlier in (*passed, *totals) for number in earlier.writes}
        for number in step.reads:
            storage = self.plan.storage[number]
            if number in late or (storage.kind is Kind.VIEW and storage.base in made):
                return False
        held = late | {number for earlier in passed for number in earlier.reads}
        if any(self._share(step.writes[0], number) for number in held):
            return False
        if any(self._share(number, other) for number in late for other in step.reads):
            return False
        touched = {n for earlier in (*steps, step) for n in (*earlier.reads, *earlier.writes)}
        return not any(
            self._share(step.writes[0], number) and not self._coincide(step.writes[0], number)
            for number in touched
        )

    def _share(self, a: int, b: int) -> bool:
        if a not in self.arrays or b not in self.arrays:
            return False
        return np.may_share_memory(self.arrays[a], self.arrays[b])

    def _coincide(self, a: int, b: int) -> bool:
        first, second = self.arrays[a], self.arrays[b]
        return (
            first.__array_interface__["data"][0] == second.__array_interface__["data"][0]
            and first.itemsize == second.itemsize
            and first.size == second.size
        )


def _place_scratch(run: Run, schedule: Schedule, plan: Plan) -> None:
    """Give scratch to what nothing outside the run looks at, reusing what is dead."""
    inside = set(run.indices)
    bases = {storage.base for storage in plan.storage if storage.kind is Kind.VIEW}
    looked_at = {number for _, number in schedule.updates} | bases
    for section in schedule.sections:
        looked_at.update(section.outputs, section.kept)
    last: dict[int, int] = {}
    for index, step in enumerate(schedule.steps):
        for number in step.reads:
            last[number] = index
            if index not in inside:
                looked_at.add(number)
    free: list[int] = []
    for index in run.indices:
        step = schedule.steps[index]
        (number,) = step.writes
        # Freed only now, so that no kernel writes over what it reads.
        if number not in looked_at and index not in run.totals:
            dtype = schedule.specs[number].dtype
            place = next((p for p in free if run.pieces[p] == dtype), None)
            if place is None:
                run.pieces.append(dtype)
                place = len(run.pieces) - 1
            else:
                free.remove(place)
            run.scratch[number] = place
        free += [
            run.scratch[read]
            for read in dict.fromkeys(step.reads)
            if read in run.scratch and last[read] == index
        ]


def run_lines(
    run: Run,
    schedule: Schedule,
    plan: Plan,
    names: dict[int, str],
    bound: Callable[[object, str], str],
    step_lines: Callable[[Step], list[Line]],
) -> list[Line]:
    """Write a loop over blocks around the steps of a run.

    *names* says what values are called, and does so again at the end; *bound* gives a name to a
    thing; *step_lines* writes a step on what its values are called now.
    """
    steps = [schedule.steps[index] for index in run.indices]
    itemsize = max(schedule.specs[step.writes[0]].dtype.itemsize for step in steps)
    length = max(1, BLOCK_BYTES // itemsize)
    pieces = [np.empty(length, dtype) for dtype in run.pieces]
    bounds = [(i, min(i + length, run.size)) for i in range(0, run.size, length)]
    blocks = [(k, i, j, *(piece[: j - i] for piece in pieces)) for k, (i, j) in enumerate(bounds)]
    scratch = "".join(f", x{place}" for place in range(len(pieces)))
    before = dict(names)
    lines: list[Line] = []
    loop: list[Line] = [(f"for block, first, last{scratch} in {bound(blocks, 'blocks')}:", None)]
    ends: list[Line] = []
    for number in dict.fromkeys(n for step in steps for n in (*step.reads, *step.writes)):
        if number in run.scratch:
            names[number] = f"x{run.scratch[number]}"
        elif prod(plan.shapes[number] or ()) == run.size:
            lines.append((f"b{number} = {names[number]}.reshape(-1)", None))
            loop.append((f"    c{number} = b{number}[first:last]", None))
            names[number] = f"c{number}"
    for index, step in zip(run.indices, steps, strict=True):
        if index not in run.totals:
            loop += [("    " + line, own) for line, own in step_lines(step)]
            continue
        total, reduce = step.writes[0], bound(np.add.reduce, "add_reduce")
        sums = bound(np.empty(len(blocks), schedule.specs[total].dtype), f"sums{total}")
        loop.append((f"    {sums}[block] = {reduce}({names[step.reads[0]]})", step))
        ends.append((f"{before[total]}[...] = {reduce}({sums})", step))
    names.update(before)
    return [*lines, *loop, *ends]
