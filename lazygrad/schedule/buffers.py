"""Where each value lives: slots in one arena, reused as soon as they are dead.

Knows steps, specs and lifetimes; knows nothing of arrays or backends. `plan` is a pure function of
a schedule and the lengths that its names stand for.

A view keeps its base alive, so lifetimes are counted on the base. A step may write its result over
an operand that dies in it, where its kernel allows. In a schedule of several sections nothing that
an earlier one filled is written by a later one, so that the later one can be repeated.
"""

from __future__ import annotations

import enum
from bisect import insort
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ..errors import ShapeError
from ..ir.op import Trait, Writes
from ..lengths import Length, evaluate
from ..spec import Spec, product
from .kernel import has_scalar_form, kernel_of
from .steps import Note, Schedule, Step

__all__ = [
    "ALIGNMENT",
    "Kind",
    "Plan",
    "Storage",
    "is_data_dependent",
    "plan",
    "require_equal",
    "rounded",
]

ALIGNMENT = 64

_Shapes: TypeAlias = "tuple[tuple[int, ...] | None, ...]"


class Kind(enum.Enum):
    """What a value's storage is."""

    FEED = "given by the caller"
    CELL = "a leaf's own"
    CONSTANT = "fixed"
    SLOT = "a place in the arena"
    VIEW = "that of another value, seen otherwise"
    OUTPUT = "handed to the caller"
    FRESH = "made by the step, anew in each run"
    INNER = "none: it only lives inside a kernel"


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a value lives: its kind, its offset in the arena, the value whose storage it is."""

    kind: Kind
    offset: int = 0
    base: int = -1


@dataclass(frozen=True, slots=True)
class Plan:
    """For one set of lengths: the shape and place of every value.

    A shape is None where it depends on data. `direct` holds the updates whose last step writes
    straight into the cell, as pairs of a cell's position and the index of the step.
    """

    lengths: Mapping[str, int]
    shapes: tuple[tuple[int, ...] | None, ...]
    storage: tuple[Storage, ...]
    arena_bytes: int
    direct: tuple[tuple[int, int], ...]
    lost: frozenset[int]
    """Values of earlier sections whose slot has been given on before their section ended."""

    def bytes_of(self, schedule: Schedule, number: int) -> int:
        """Give the size of a value, 0 where it depends on data."""
        shape = self.shapes[number]
        if shape is None:
            return 0
        size = schedule.specs[number].dtype.itemsize
        for length in shape:
            size *= length
        return size


def plan(schedule: Schedule, lengths: Mapping[str, int], feeds_apart: bool = False) -> Plan:
    """Place every value of *schedule*, whose named lengths are *lengths*.

    *feeds_apart* says that no feed ever is the live array of a cell that is updated, so that
    kernels may write such cells themselves.
    Raises ShapeError where two lengths that the graph took for equal turn out different.
    """
    for a, b, note in schedule.assumptions:
        _check_assumption(a, b, note, lengths)
    shapes = tuple(_shape_of(spec, lengths) for spec in schedule.specs)
    find = _direct_kernels if feeds_apart else _direct_updates
    direct = tuple(sorted(find(schedule, shapes)))
    return _Planner(schedule, shapes, direct).place(lengths)


def is_data_dependent(length: object) -> bool:
    """Whether a length is known only in the middle of a run."""
    return isinstance(length, Length) and length.is_data_dependent


def _check_assumption(a: object, b: object, note: Note, lengths: Mapping[str, int]) -> None:
    if is_data_dependent(a) or is_data_dependent(b):
        return
    left, right = evaluate(a, lengths), evaluate(b, lengths)  # type: ignore[arg-type]
    require_equal(a, b, note, left, right)


def require_equal(a: object, b: object, note: Note, left: int, right: int) -> None:
    """Raise a ShapeError unless the lengths *a* and *b*, now known, are equal."""
    if left != right:
        where = "" if note.line is None else f" ({note.line})"
        first, second = (
            f"{length} is {value}" if isinstance(length, Length) else str(value)
            for length, value in ((a, left), (b, right))
        )
        raise ShapeError(f"{note.label}{where} needs equal lengths: {first} and {second}.")


def _shape_of(spec: Spec, lengths: Mapping[str, int]) -> tuple[int, ...] | None:
    if spec.is_static:
        return spec.shape  # type: ignore[return-value]
    if any(map(is_data_dependent, spec.shape)):
        return None
    shape = tuple(evaluate(length, lengths) for length in spec.shape)
    for length, number in zip(spec.shape, shape, strict=True):
        if number < 0:
            raise ShapeError(f"the length {length} would be {number}.")
    return shape


class _Uses:
    """How often values are used, and which of them an update could change under a reader."""

    def __init__(self, schedule: Schedule, feeds_apart: bool) -> None:
        self.count = Counter(number for step in schedule.steps for number in step.reads)
        self.count.update(number for _, number in schedule.updates)
        self.count.update(number for section in schedule.sections for number in section.outputs)
        self._views = {s.writes[0]: s.reads[0] for s in schedule.steps if s.is_view}
        self._changing = {schedule.cells[cell] for cell, _ in schedule.updates}
        if not feeds_apart:
            self._changing.update(number for _, number in schedule.feeds)

    def is_steady(self, number: int) -> bool:
        """Whether a value stays what it is while updates are written."""
        while number in self._views:
            number = self._views[number]
        return number not in self._changing


def _direct_updates(schedule: Schedule, shapes: _Shapes) -> list[tuple[int, int]]:
    """Find updates whose last step may write into the cell itself.

    That step then runs among the updates, so it must be a single call that can't fail, and may read
    nothing that another update could change: no feed either, for it may be a cell's live array.
    """
    steps, specs = schedule.steps, schedule.specs
    step_of = {step.writes[0]: i for i, step in enumerate(steps) if len(step.writes) == 1}
    uses = _Uses(schedule, feeds_apart=False)
    start = schedule.sections[-2].stop if len(schedule.sections) > 1 else 0
    found = []
    for cell, number in schedule.updates:
        index, own = step_of.get(number, -1), schedule.cells[cell]
        if index < start or uses.count[number] > 1 or specs[number].dtype.kind != "f":
            continue
        op, reads = steps[index].op, steps[index].reads
        if (
            Trait.ELEMENTWISE in op.traits
            and isinstance(op.kernel, np.ufunc)
            and all(shapes[n] is not None for n in reads)
            and specs[number].dtype == specs[own].dtype
            and shapes[number] == shapes[own]
            and all(
                uses.is_steady(n) or (n == own and i in op.reusable) for i, n in enumerate(reads)
            )
        ):
            found.append((cell, index))
    return found


def _direct_kernels(schedule: Schedule, shapes: _Shapes) -> list[tuple[int, int]]:
    """Find kernels that may write all their results into cells, reading them at the same places.

    What has a scalar form can't fail, as integers to negative powers can.
    """
    cell_of = {number: cell for cell, number in schedule.updates}
    uses = _Uses(schedule, feeds_apart=True)
    found = []
    for index, step in enumerate(schedule.steps):
        kernel = kernel_of(step)
        if kernel is None or not kernel.is_pointwise:
            continue
        if not all(has_scalar_form(s.step, schedule.specs) for s in kernel.statements):
            continue
        if any(number not in cell_of or uses.count[number] > 1 for number in step.writes):
            continue
        own = {schedule.cells[cell_of[number]] for number in step.writes}
        # Of the operands of a product every element is read anywhere.
        whole = () if kernel.product is None else kernel.product.reads
        if all(
            schedule.specs[number].dtype == schedule.specs[schedule.cells[cell_of[number]]].dtype
            and shapes[number] == shapes[schedule.cells[cell_of[number]]]
            for number in step.writes
        ) and all(
            (number in own and number not in whole) or uses.is_steady(number)
            for number in step.reads
        ):
            found += [(cell_of[number], index) for number in step.writes]
    return found


class _Arena:
    """Offsets in one growing block: best fit among the free gaps, neighbours joined."""

    def __init__(self) -> None:
        self.size = 0
        self.gaps: list[tuple[int, int]] = []

    def take(self, size: int) -> int:
        best = -1
        for i, (_, length) in enumerate(self.gaps):
            if length >= size and (best < 0 or length < self.gaps[best][1]):
                best = i
        if best >= 0:
            offset, length = self.gaps.pop(best)
            if length > size:
                insort(self.gaps, (offset + size, length - size))
            return offset
        if self.gaps and sum(self.gaps[-1]) == self.size:
            offset, _ = self.gaps.pop()
        else:
            offset = self.size
        self.size = offset + size
        return offset

    def give(self, offset: int, size: int) -> None:
        insort(self.gaps, (offset, size))
        i = self.gaps.index((offset, size))
        if i + 1 < len(self.gaps) and offset + size == self.gaps[i + 1][0]:
            size += self.gaps.pop(i + 1)[1]
            self.gaps[i] = (offset, size)
        if i and sum(self.gaps[i - 1]) == offset:
            before, length = self.gaps[i - 1]
            self.gaps[i - 1 : i + 1] = [(before, length + size)]

    def seal(self) -> None:
        """Keep everything that was ever filled from being written again."""
        self.gaps.clear()


def rounded(size: int) -> int:
    """Give the bytes that a value of *size* takes in the arena."""
    return max(ALIGNMENT, (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT)


class _Planner:
    def __init__(
        self,
        schedule: Schedule,
        shapes: tuple[tuple[int, ...] | None, ...],
        direct: tuple[tuple[int, int], ...],
    ) -> None:
        self.schedule = schedule
        self.shapes = shapes
        self.direct = direct
        self.storage: list[Storage | None] = [None] * len(shapes)
        self.arena = _Arena()
        self.left: dict[int, int] = {}
        self.sealed: set[int] = set()
        self.lost: set[int] = set()

    def place(self, lengths: Mapping[str, int]) -> Plan:
        schedule = self.schedule
        self._place_leaves()
        self._count_uses()
        deferred = {index for _, index in self.direct}
        direct = {cell for cell, _ in self.direct}
        cell_of = {number: cell for cell, number in schedule.updates if cell in direct}
        ends = {section.stop for section in schedule.sections[:-1]}
        for index, step in enumerate(schedule.steps):
            if index in ends:
                self._end_section()
            if index in deferred:
                # It runs after everything else, so what it reads stays alive to the end.
                for number in step.writes:
                    own = schedule.cells[cell_of[number]]
                    self.storage[number] = Storage(Kind.VIEW, base=own)
                continue
            self._place_step(step)
        return Plan(
            dict(lengths),
            self.shapes,
            tuple(Storage(Kind.INNER) if place is None else place for place in self.storage),
            self.arena.size,
            self.direct,
            frozenset(self.lost),
        )

    def _place_leaves(self) -> None:
        schedule = self.schedule
        for _, number in schedule.feeds:
            self.storage[number] = Storage(Kind.FEED)
        for number in schedule.cells:
            self.storage[number] = Storage(Kind.CELL)
        for number, _ in (*schedule.constants, *schedule.lengths):
            self.storage[number] = Storage(Kind.CONSTANT)
        for number in (n for section in schedule.sections for n in section.outputs):
            if schedule.specs[number].shape != () and self.shapes[number] is not None:
                self.storage[number] = Storage(Kind.OUTPUT)

    def _count_uses(self) -> None:
        """Count, on bases, how often each value is to be read; what must stay counts once more."""
        base: dict[int, int] = {}
        for step in self.schedule.steps:
            if step.is_view:
                base[step.writes[0]] = base.get(step.reads[0], step.reads[0])
        self.base = base
        for step in self.schedule.steps:
            if not step.is_view:
                for number in step.reads:
                    self._keep(number)
        for section in self.schedule.sections:
            for number in (*section.outputs, *section.kept):
                self._keep(number)
        for _, number in self.schedule.updates:
            self._keep(number)

    def _keep(self, number: int) -> None:
        own = self.base.get(number, number)
        self.left[own] = self.left.get(own, 0) + 1

    def _end_section(self) -> None:
        self.arena.seal()
        self.sealed = {i for i, storage in enumerate(self.storage) if storage is not None}

    def _place_step(self, step: Step) -> None:
        if step.is_view:
            self.storage[step.writes[0]] = Storage(
                Kind.VIEW, base=self.base.get(step.writes[0], step.reads[0])
            )
            return
        reused = self._reused(step)
        dying = self._release(step, keep=reused)
        for number in step.writes:
            if self.storage[number] is None:
                self.storage[number] = self._new_storage(step, number, reused)
        for number in dying:
            self._free(number)
        for number in step.writes:
            if not self.left.get(number):
                self._free(number)

    def _new_storage(self, step: Step, number: int, reused: int | None) -> Storage:
        if step.op.writes is Writes.FRESH or self.shapes[number] is None:
            return Storage(Kind.FRESH)
        if reused is not None:
            self.lost.add(reused)
            return Storage(Kind.SLOT, self.storage[reused].offset)  # type: ignore[union-attr]
        return Storage(Kind.SLOT, self.arena.take(self._size(number)))

    def _size(self, number: int) -> int:
        size = self.schedule.specs[number].dtype.itemsize
        for length in self.shapes[number] or ():
            size *= length
        return rounded(size)

    def _reused(self, step: Step) -> int | None:
        """Choose an operand that dies in this step and whose slot the result may take over."""
        if len(step.writes) != 1 or self.storage[step.writes[0]] is not None:
            return None
        result = step.writes[0]
        # NumPy leaves its quick path to write over an operand with a single element.
        if product(self.shapes[result] or ()) == 1:
            return None
        for place in step.op.reusable:
            number = step.reads[place]
            storage = self.storage[number]
            if (
                storage is not None
                and storage.kind is Kind.SLOT
                and number not in self.sealed
                and self.left[number] == step.reads.count(number)
                and all(
                    step.reads[i] != number or i in step.op.reusable for i in range(len(step.reads))
                )
                and not any(self.base.get(read) == number for read in step.reads)
                and self.shapes[number] == self.shapes[result]
                and self.schedule.specs[number].dtype == self.schedule.specs[result].dtype
            ):
                return number
        return None

    def _release(self, step: Step, keep: int | None) -> list[int]:
        """Count this step's reads, and list the bases that nobody reads any more."""
        dying = []
        for number in step.reads:
            own = self.base.get(number, number)
            self.left[own] -= 1
            if self.left[own] == 0 and own != keep:
                dying.append(own)
        return dying

    def _free(self, number: int) -> None:
        storage = self.storage[number]
        if storage is not None and storage.kind is Kind.SLOT and number not in self.sealed:
            self.lost.add(number)
            self.arena.give(storage.offset, self._size(number))
