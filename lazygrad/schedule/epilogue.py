"""Kernels that go over each tile of a matrix product, while that is still in registers or nearby.

A kernel that goes through the result of a product element by element, and is the only one to read
it, becomes the product's *epilogue*: bias, activation, what is added to it, an optimizer's update.
The result of the product then has no place in memory. Knows schedules of kernels, for one set of
lengths; writes no code.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from ..ir.compute import concrete_attrs
from ..ir.op import Trait
from ..lengths import evaluate
from ..spec import Spec
from .buffers import Kind, Plan
from .kernel import Kernel, axes_within, fused_step, kernel_of, squeezed
from .steps import Schedule, Step

__all__ = ["MOST_DEPTH", "fold_epilogues"]

MOST_DEPTH = 256
"""A deeper product may be added up in several passes, and its sums lie somewhere in between."""

# Large arrays are gone through faster from end to end than tile by tile.
_MOST_BYTES = 1 << 21


def fold_epilogues(schedule: Schedule, plan: Plan) -> Schedule:
    """Give the schedule in which products have the kernels that read them as epilogues.

    *schedule* is what `fuse` gave for the lengths of *plan*, a plan of it, or what `read_patches`
    made of that. No product is put off to where keeping its operands for longer takes more memory
    than its result.
    """
    return _Folder(schedule, plan).folded()


class _Folder:
    def __init__(self, schedule: Schedule, plan: Plan) -> None:
        self.schedule = schedule
        self.plan = plan
        self.readers: dict[int, list[int]] = {}
        self.base: dict[int, int] = {}
        for index, step in enumerate(schedule.steps):
            for number in step.reads:
                self.readers.setdefault(number, []).append(index)
            if step.is_view:
                own = step.reads[0]
                self.base[step.writes[0]] = self.base.get(own, own)
        self.updated = {number for _, number in schedule.updates}
        self.held = set(self.updated)
        for section in schedule.sections:
            self.held.update(section.outputs, section.kept)
        self.last_read: dict[int, int] = {}
        for index, step in enumerate(schedule.steps):
            if not step.is_view:
                for number in step.reads:
                    self.last_read[self._base(number)] = index

    def folded(self) -> Schedule:
        """Fold what can be, and leave out the products that have become part of a kernel."""
        steps: list[Step | None] = list(self.schedule.steps)
        for index, step in enumerate(self.schedule.steps):
            place = self._epilogue(index, step)
            if place is None:
                continue
            reader = steps[place]
            kernel = None if reader is None else kernel_of(reader)
            if kernel is None or kernel.product is not None:
                continue
            steps[place] = fused_step(self._joined(step, kernel), self.schedule.specs)
            steps[index] = None
        stops = {section.stop: 0 for section in self.schedule.sections}
        left: list[Step] = []
        for index, found in enumerate(steps):
            if found is not None:
                left.append(found)
            if index + 1 in stops:
                stops[index + 1] = len(left)
        sections = tuple(
            replace(section, stop=stops[section.stop]) for section in self.schedule.sections
        )
        return replace(self.schedule, steps=tuple(left), sections=sections)

    def _epilogue(self, index: int, step: Step) -> int | None:
        """Find the kernel that may go over the tiles of a product."""
        if step.op.name != "matmul":
            return None
        (number,) = step.writes
        shape, dtype = self.plan.shapes[number], self.schedule.specs[number].dtype
        given = [self.schedule.specs[read].dtype for read in step.reads]
        readers = self.readers.get(number, [])
        if shape is None or dtype.char not in "fd" or any(own != dtype for own in given):
            return None
        if number in self.held or len(readers) != 1 or prod(shape) < 2:
            return None
        (place,) = readers
        kernel = kernel_of(self.schedule.steps[place])
        if (
            kernel is None
            or not kernel.is_pointwise
            or kernel.has_many_functions
            or kernel.domain != squeezed(shape)
            or self._section(index) != self._section(place)
            or not self._is_read_one_way(kernel)
            or sum(map(self._bytes, {*kernel.reads, *kernel.stored} - {number})) > _MOST_BYTES
            or not self._has_room(step, kernel, Spec(shape, dtype))
            or not self._is_worth_waiting(index, step, place, kernel)
        ):
            return None
        return place

    def _section(self, index: int) -> int:
        stops = [section.stop for section in self.schedule.sections]
        return sum(stop <= index for stop in stops)

    def _is_read_one_way(self, kernel: Kernel) -> bool:
        """Whether the kernel goes through each operand in one way, and sees none as another."""
        ways: dict[int, set[tuple[int, tuple[int, ...]]]] = {}
        for statement in kernel.statements:
            step = statement.step
            walked = step.reads[0] if Trait.REDUCES in step.op.traits else step.writes[0]
            for number in step.reads:
                if number not in kernel.specs:
                    axes = axes_within(self._shape(number, kernel), self._shape(walked, kernel))
                    ways.setdefault(self._base(number), set()).add((number, axes))
        return all(len(found) == 1 for found in ways.values())

    def _shape(self, number: int, kernel: Kernel) -> tuple[int, ...]:
        spec = kernel.specs.get(number)
        shape = self.plan.shapes[number] if spec is None else spec.shape
        return shape or ()  # type: ignore[return-value]

    def _has_room(self, step: Step, kernel: Kernel, result: Spec) -> bool:
        """Whether sums of a deep product can wait where the kernel then stores what it makes."""
        depth = (self.plan.shapes[step.reads[0]] or (0,))[-1]
        return depth <= MOST_DEPTH or any(
            kernel.specs[number] == result and number not in self.updated
            for number in kernel.stored
        )

    def _is_worth_waiting(self, index: int, step: Step, place: int, kernel: Kernel) -> bool:
        """Whether what the product reads would be there until the kernel runs, or is little."""
        # Kernels that write nothing but updates run at the end.
        is_update = self.updated.issuperset(kernel.stored)
        at = len(self.schedule.steps) if is_update else place
        if not is_update and all(s.is_view for s in self.schedule.steps[index + 1 : place]):
            return True
        waiting = {
            own
            for own in map(self._base, step.reads)
            if self.last_read[own] < at
            and own not in self.held
            and self.plan.storage[own].kind is Kind.SLOT
        }
        return sum(self._bytes(own) for own in waiting) <= self._bytes(step.writes[0])

    def _base(self, number: int) -> int:
        return self.base.get(number, number)

    def _bytes(self, number: int) -> int:
        return self.plan.bytes_of(self.schedule, number)

    def _joined(self, step: Step, kernel: Kernel) -> Kernel:
        (number,) = step.writes
        spec = self.schedule.specs[number]
        shape = tuple(evaluate(length, self.plan.lengths) for length in spec.shape)
        attrs = concrete_attrs(step.attrs, self.plan.lengths)
        specs = {**kernel.specs, number: Spec(shape, spec.dtype)}
        return replace(kernel, product=replace(step, attrs=attrs), specs=specs)
