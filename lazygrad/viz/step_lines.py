"""A schedule, its kernels and its memory as lines to read, in the names that its graph has.

Reads schedules and plans; knows no nodes but their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from ..ir.printing import write_number
from ..schedule.buffers import Kind, Plan
from ..schedule.kernel import Kernel, kernel_of
from ..schedule.steps import Schedule, Step
from ..spec import Spec, format_shape
from .changes import ADDED, CHANGED, KEPT, Line
from .memory import live_bytes, size_text, slots_of
from .summary import describe_attrs

__all__ = ["BACKWARD", "FORWARD", "UPDATE", "StepWriter", "phases_of"]

FORWARD, BACKWARD, UPDATE = "forward", "backward", "update"

# So many of the largest values are listed beside the chart.
_MOST_LISTED = 12


def phases_of(schedule: Schedule) -> list[str]:
    """Say of each step whether it is forward, backward, or only there for an update."""
    made_by = {number: i for i, step in enumerate(schedule.steps) for number in step.writes}
    needed = [number for section in schedule.sections for number in section.outputs]
    needed += [n for step in schedule.steps if step.note.backward for n in step.reads]
    seen: set[int] = set()
    while needed:
        index = made_by.get(needed.pop())
        if index is not None and index not in seen:
            seen.add(index)
            needed += schedule.steps[index].reads
    return [
        BACKWARD if step.note.backward else FORWARD if index in seen else UPDATE
        for index, step in enumerate(schedule.steps)
    ]


class StepWriter:
    """Writes the steps of one schedule; *names* says what values are called, by their numbers."""

    def __init__(self, schedule: Schedule, names: Mapping[int, str], plan: Plan | None) -> None:
        self.schedule = schedule
        self.plan = plan
        self.phases = phases_of(schedule)
        self.names = dict(names)
        for number, array in schedule.constants:
            if array.shape == ():
                self.names[number] = write_number(array[()])
        for number, length in schedule.lengths:
            self.names[number] = str(length)

    def name(self, number: int) -> str:
        """Say what a value is called."""
        return self.names.get(number, f"v{number}")

    def steps(self) -> Iterator[Line]:
        """Give a line a step, under the name of the part of the program that it belongs to."""
        for index, step in enumerate(self.schedule.steps):
            yield from self._heading(index)
            yield self._line(index, step, KEPT)
        yield from self._results()

    def kernels(self, before: Schedule) -> Iterator[Line]:
        """Give a line a step, and below each kernel what it computes."""
        known = {step.writes for step in before.steps}
        for index, step in enumerate(self.schedule.steps):
            yield from self._heading(index)
            kernel = kernel_of(step)
            if kernel is None:
                yield self._line(index, step, KEPT if step.writes in known else ADDED)
                continue
            if len(kernel.steps) == 1:
                yield self._line(index, kernel.statements[0].step, KEPT)
                continue
            yield self._kernel_line(index, step, kernel)
            yield from self._inside(kernel)
        yield from self._results()

    def memory(self) -> Iterator[Line]:
        """Give the largest values of the arena, and when they are there."""
        if self.plan is None:
            return
        slots = slots_of(self.schedule, self.plan)
        live = live_bytes(slots, len(self.schedule.steps))
        at = live.index(max(live)) if live else 0
        largest = sorted(slots, key=lambda slot: (-slot.size, slot.start))[:_MOST_LISTED]
        for slot in largest:
            steps = f"steps {slot.start} to {slot.stop - 1}"
            held = "   at the peak" if slot.start <= at < slot.stop else ""
            text = f"{self.name(slot.number)}: {size_text(slot.size)} at {slot.offset}, {steps}"
            yield Line(KEPT, text + held, backward=self.kind(slot.number) == BACKWARD)
        if len(slots) > len(largest):
            yield Line(KEPT, f"and {len(slots) - len(largest):,} smaller ones")

    def kind(self, number: int) -> str:
        """Say which part of the program makes a value."""
        return self._phase_of.get(number, FORWARD)

    @cached_property
    def _phase_of(self) -> dict[int, str]:
        return {
            number: phase
            for step, phase in zip(self.schedule.steps, self.phases, strict=True)
            for number in step.writes
        }

    def _inside(self, kernel: Kernel) -> Iterator[Line]:
        """Give a line for what a kernel computes, further in for what needs a loop of its own."""
        stages = {statement.number: statement.stage for statement in kernel.statements}
        for made in kernel.steps:
            (number,) = made.writes
            bar = "│ " * (1 + stages.get(number, 0))
            text = self._text(made, kernel.specs[number])
            if number not in kernel.stored:
                text += "   stays in the kernel"
            yield Line(CHANGED, f"       {bar}{text}", "", made.note.backward, _place(made))
            shown = {number}
            for view in kernel.views:
                if view.reads[0] in shown:
                    shown.update(view.writes)
                    seen = self._text(view, kernel.specs.get(view.writes[0], self._specs(view)[0]))
                    yield Line(CHANGED, f"       {bar}{seen}", "", view.note.backward)

    def _heading(self, index: int) -> Iterator[Line]:
        phase = self.phases[index]
        if index == 0 or self.phases[index - 1] != phase:
            yield Line(KEPT, f"{phase}:")

    def _line(self, index: int, step: Step, change: str) -> Line:
        text = f"  {index:>3}  {self._text(step, *(self._specs(step)))}{self._slot(step)}"
        return Line(change, text, "", step.note.backward, _place(step))

    def _kernel_line(self, index: int, step: Step, kernel: Kernel) -> Line:
        stored = ", ".join(map(self.name, kernel.stored))
        said = f"kernel over {format_shape(kernel.domain)}, stores {stored}"
        text = f"  {index:>3}  {said}{self._slot(step)}"
        return Line(CHANGED, text, "", step.note.backward)

    def _specs(self, step: Step) -> list[Spec]:
        return [self.schedule.specs[number] for number in step.writes]

    def _text(self, step: Step, *specs: Spec) -> str:
        writes = ", ".join(
            f"{self.name(number)}: {self._spec(number, spec)}"
            for number, spec in zip(step.writes, specs, strict=True)
        )
        parts = [self.name(number) for number in step.reads]
        attrs = describe_attrs(step.attrs)
        parts += [attrs] if attrs else []
        return f"{writes} = {step.op.name}({', '.join(parts)})"

    def _spec(self, number: int, spec: Spec) -> str:
        shape = None if self.plan is None else self.plan.shapes[number]
        return f"{spec.dtype.name}{format_shape(spec.shape if shape is None else shape)}"

    def _slot(self, step: Step) -> str:
        if self.plan is None:
            return ""
        kinds = {
            Kind.OUTPUT: "result",
            Kind.FRESH: "new memory",
            Kind.INNER: "",
        }
        texts = []
        for number in step.writes:
            storage = self.plan.storage[number]
            if storage.kind is Kind.SLOT:
                texts.append(f"@{storage.offset}")
            elif storage.kind is Kind.VIEW:
                texts.append(f"in {self.name(storage.base)}")
            else:
                texts.append(kinds.get(storage.kind, ""))
        shown = ", ".join(text for text in texts if text)
        return f"   {shown}" if shown else ""

    def _results(self) -> Iterator[Line]:
        for section in self.schedule.sections:
            if section.outputs:
                yield Line(KEPT, "return " + ", ".join(map(self.name, section.outputs)))
        for cell, number in self.schedule.updates:
            own = self.schedule.cells[cell]
            yield Line(KEPT, f"{self.name(own)} <- {self.name(number)}")


def _place(step: Step) -> str:
    return "" if step.note.line is None else str(step.note.line)
