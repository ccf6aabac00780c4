"""What each step of a schedule is, in words and numbers: for tables and pictures.

Knows schedules and plans; knows nothing of how they are laid out, or run.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..ir.printing import write_attribute
from ..lengths import Dim
from ..spec import Spec, format_shape, product
from .buffers import Kind, Plan
from .cost import flops_of
from .kernel import Kernel, kernel_of
from .steps import Schedule, Step

__all__ = ["StepFacts", "format_duration", "format_size", "step_facts"]

_LONGEST = 48
_MOST_NESTED = 4
_MOST_NAMED = 24


@dataclass(frozen=True)
class StepFacts:
    """One step: what it computes in the user's names, and what it costs.

    Before lengths are known sizes are formulas, and places are empty. `statements` are the lines of
    a kernel, whose inner values have letters; of other steps there are none.
    """

    index: int
    step: Step
    computes: str
    purpose: str
    line: str
    results: tuple[str, ...]
    places: tuple[str, ...]
    bytes: Dim
    flops: Dim
    moved: int
    """The bytes that it reads and writes; 0 before lengths are known."""
    statements: tuple[str, ...] = ()


def step_facts(
    schedule: Schedule, plan: Plan | None = None, names: Sequence[str | None] = ()
) -> list[StepFacts]:
    """Describe every step; *names* are those of the variables, in the order of the cells."""
    words = _Words(schedule, plan, names)
    return [words.facts(index, step) for index, step in enumerate(schedule.steps)]


class _Words:
    def __init__(self, schedule: Schedule, plan: Plan | None, names: Sequence[str | None]) -> None:
        self.schedule = schedule
        self.plan = plan
        self.names = {number: _clipped(name, _MOST_NAMED) for name, number in schedule.feeds}
        for number, name in zip(schedule.cells, names, strict=False):
            if name:
                self.names[number] = _clipped(name, _MOST_NAMED)
        for number in schedule.cells:
            self.names.setdefault(number, "variable")
        for number, array in schedule.constants:
            self.names[number] = _number(array)
        for number, length in schedule.lengths:
            self.names[number] = _clipped(str(length), _MOST_NAMED)
        self.step_of = {
            number: index for index, step in enumerate(schedule.steps) for number in step.writes
        }
        for index, step in enumerate(schedule.steps):
            label = step.note.label
            is_named = label != step.op.name and not step.note.backward
            several = len(step.writes) > 1
            if step.is_view and (label == step.op.name or step.note.backward):
                shown = f"{step.op.name}({self.names[step.reads[0]]})"
                if len(shown) <= _MOST_NAMED:
                    self.names[step.writes[0]] = shown
                    continue
            for place, number in enumerate(step.writes):
                known = is_named and kernel_of(step) is None and not several
                own = f"#{index}.{place}" if several else f"#{index}"
                self.names[number] = _clipped(label, _MOST_NAMED) if known else own

    def facts(self, index: int, step: Step) -> StepFacts:
        kernel = kernel_of(step)
        held = () if step.is_view else step.writes
        statements = () if kernel is None else self._statements(kernel)
        if len(statements) == 1:
            statements = ()
        computes = self._expression(step, self.names) if kernel is None else self._fused(kernel)
        return StepFacts(
            index,
            step,
            computes,
            _purpose(step),
            "" if step.note.line is None else str(step.note.line),
            tuple(map(self._result, step.writes)),
            () if self.plan is None else tuple(map(self._place, step.writes)),
            sum((self._bytes(number) for number in held), 0),
            self._flops(step),
            0 if self.plan is None else self._moved(self.plan, step),
            statements,
        )

    def _moved(self, plan: Plan, step: Step) -> int:
        return sum(plan.bytes_of(self.schedule, n) for n in (*step.reads, *step.writes))

    def _bytes(self, number: int) -> Dim:
        if self.plan is not None:
            return self.plan.bytes_of(self.schedule, number)
        spec = self.schedule.specs[number]
        return product(spec.shape) * spec.dtype.itemsize

    def _flops(self, step: Step) -> Dim:
        if self.plan is not None:
            return flops_of(self.schedule, self.plan, step)
        out, *operands = (self.schedule.specs[n] for n in (step.writes[0], *step.reads))
        count: Dim = step.op.cost(out, *operands, **step.attrs)
        return count

    def _result(self, number: int) -> str:
        spec = self.schedule.specs[number]
        shape = None if self.plan is None else self.plan.shapes[number]
        return f"{spec.dtype.name}{format_shape(spec.shape if shape is None else shape)}"

    def _place(self, number: int) -> str:
        assert self.plan is not None
        storage = self.plan.storage[number]
        if storage.kind is Kind.SLOT:
            return f"@{storage.offset}"
        if storage.kind is not Kind.VIEW:
            return storage.kind.name.lower()
        return f"of {self._owner(self.plan, storage.base)}"

    def _owner(self, plan: Plan, number: int) -> str:
        """Say whose storage a view looks into."""
        kind = plan.storage[number].kind
        if kind is Kind.FEED:
            return f"feed {self.names[number]}"
        if kind in (Kind.CELL, Kind.CONSTANT):
            what = "variable" if kind is Kind.CELL else "constant"
            named = self.names[number]
            return named if kind is Kind.CELL and named != what else f"a {what}"
        return f"step {self.step_of[number]}"

    def _expression(self, step: Step, names: Mapping[int, str]) -> str:
        parts = [names[number] for number in step.reads]
        for name, value in step.attrs.items():
            if value is None or value is False:
                continue
            text = "{...}" if hasattr(value, "outputs") else write_attribute(value)
            parts.append(f"{name}={text}")
        return _clipped(f"{step.op.name}({', '.join(parts)})", _LONGEST)

    def _fused(self, kernel: Kernel) -> str:
        """Say a kernel as one expression if it is short, else by the operations in it."""
        operations = [step.op.name for step in kernel.steps]
        if len(operations) <= _MOST_NESTED and len(kernel.stored) == 1:
            names, aliases = ChainMap({}, self.names), kernel.aliases
            for step in kernel.steps:
                _show_views(aliases, names)
                names[step.writes[0]] = self._expression(step, names)
            _show_views(aliases, names)
            nested = names[kernel.stored[0]]
            if len(nested) < _LONGEST:
                return nested
        shown = ", ".join(operations[:_MOST_NESTED])
        more = len(operations) - _MOST_NESTED
        return f"{shown}, {more} more" if more > 0 else shown

    def _statements(self, kernel: Kernel) -> tuple[str, ...]:
        names, aliases = ChainMap({}, self.names), kernel.aliases
        lines = []
        for place, step in enumerate(kernel.steps):
            _show_views(aliases, names)
            text = self._expression(step, names)
            names[step.writes[0]] = _letters(place)
            lines.append(f"{_letters(place)} = {text}")
        return tuple(lines)


def _show_views(aliases: Mapping[int, int], names: MutableMapping[int, str]) -> None:
    """Name views by what they show, as far as that has a name."""
    for view, number in aliases.items():
        if number in names:
            names[view] = names[number]


def _purpose(step: Step) -> str:
    """Name a step as its user would: by its own name, what it is the gradient of, its layer."""
    kernel = kernel_of(step)
    notes = [step.note] if kernel is None else [each.note for each in kernel.steps]
    derived = {note.label.partition(", gradient of ")[2] for note in notes}
    parts = []
    if all(note.backward for note in notes):
        parts.append(f"gradient of {derived.pop()}" if len(derived) == 1 else "gradient")
    elif kernel is None and step.note.label != step.op.name:
        parts.append(step.note.label)
    layers = list(dict.fromkeys(note.scope[-1] for note in notes if note.scope))
    parts += layers if len(layers) <= 2 else [layers[0], f"{len(layers) - 1} more layers"]
    return _clipped(", ".join(parts), 40)


def _number(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
    if array.shape == ():
        number = array.item()
        return f"{number:.4g}" if isinstance(number, float) else str(number)
    return f"constant {Spec(array.shape, array.dtype)}"


def _letters(place: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return letters[place] if place < 26 else f"{letters[place % 26]}{place // 26}"


def _clipped(text: str, longest: int) -> str:
    text = "".join(c if c.isprintable() else "?" for c in text[: 2 * longest])
    return text if len(text) <= longest else text[: longest - 3] + "..."


def format_duration(seconds: float) -> str:
    """Write a time with a fitting unit.

    >>> format_duration(3.2e-8), format_duration(1.25e-5), format_duration(2.0)
    ('32 ns', '12.5 us', '2.00 s')
    """
    if seconds < 1e-6:
        return f"{1e9 * seconds:.0f} ns"
    if seconds < 1e-3:
        return f"{1e6 * seconds:.1f} us"
    return f"{1e3 * seconds:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def format_size(count: int) -> str:
    """Write bytes with a fitting unit.

    >>> format_size(960), format_size(5_000_000)
    ('960 B', '4.8 MiB')
    """
    number = float(count)
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"
