"""The records of a schedule: steps over numbered values. Knows operations and specs, no nodes.

A schedule says what is computed in which order, for any lengths; it holds no arrays but constants,
so it can be printed, compared and pickled. A plan adds, for one set of lengths, where each value
lives.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from ..ir.op import Array, Attrs, Op, Writes
from ..lengths import Dim, Length
from ..location import Location
from ..spec import Spec

__all__ = ["Note", "Schedule", "Section", "Step"]


@dataclass(frozen=True, slots=True)
class Note:
    """What people call a step: its label, the user's line and scope."""

    label: str
    line: Location | None = None
    scope: tuple[str, ...] = ()
    backward: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One operation on numbered values."""

    op: Op
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    attrs: Attrs = field(hash=False)
    note: Note = field(compare=False)
    several: bool = False
    """Whether the operation gives a tuple of results."""

    @property
    def is_view(self) -> bool:
        """Whether the result shares the storage of the first value read."""
        return self.op.writes is Writes.VIEW


@dataclass(frozen=True, slots=True)
class Section:
    """A run of steps that is called as one, the values it hands out, and those that it keeps."""

    name: str
    stop: int
    outputs: tuple[int, ...]
    kept: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything a backend needs to know of a program, for any lengths.

    Values are numbered; ``specs[i]`` is that of value *i*. Leaves come from `feeds` (by name),
    `cells` (storage given when the schedule is bound), `constants` and `lengths`; all others from
    steps. `updates` pairs a cell's position in `cells` with the value that it takes on at the end.
    """

    specs: tuple[Spec, ...]
    feeds: tuple[tuple[str, int], ...]
    cells: tuple[int, ...]
    constants: tuple[tuple[int, Array], ...] = field(compare=False)
    lengths: tuple[tuple[int, Length], ...]
    steps: tuple[Step, ...]
    sections: tuple[Section, ...]
    updates: tuple[tuple[int, int], ...]
    assumptions: tuple[tuple[Dim, Dim, Note], ...]

    @property
    def producers(self) -> dict[int, Step]:
        """The step that makes each computed value."""
        return {number: step for step in self.steps for number in step.writes}

    @property
    def named_lengths(self) -> frozenset[str]:
        """The names of the lengths that must be known before the schedule can be planned."""
        lengths = [length for spec in self.specs for length in spec.shape]
        lengths += [length for _, length in self.lengths]
        lengths += [length for a, b, _ in self.assumptions for length in (a, b)]
        known = [n for n in lengths if isinstance(n, Length) and not n.is_data_dependent]
        return frozenset(name for length in known for name in length.names)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        return self._facts() == other._facts()

    def _facts(self) -> tuple[object, ...]:
        """Give what must be equal; constants by their bits."""
        compared = [getattr(self, each.name) for each in fields(self) if each.compare]
        return (*compared, *((number, array.tobytes()) for number, array in self.constants))

    def section_steps(self, index: int) -> tuple[Step, ...]:
        """Give the steps of one section."""
        start = self.sections[index - 1].stop if index else 0
        return self.steps[start : self.sections[index].stop]

    def __str__(self) -> str:
        lines = [f"v{number}: {self.specs[number]} = feed {name!r}" for name, number in self.feeds]
        lines += [
            f"v{number}: {self.specs[number]} = cell {i}" for i, number in enumerate(self.cells)
        ]
        lines += [f"v{number}: {self.specs[number]} = constant" for number, _ in self.constants]
        lines += [f"v{number}: {self.specs[number]} = {length}" for number, length in self.lengths]
        start = 0
        for section in self.sections:
            lines.append(f"{section.name}:")
            lines += [f"  {self._line(step)}" for step in self.steps[start : section.stop]]
            lines.append("  return " + ", ".join(f"v{number}" for number in section.outputs))
            start = section.stop
        lines += [f"cell {cell} <- v{number}" for cell, number in self.updates]
        return "\n".join(lines)

    def _line(self, step: Step) -> str:
        reads = [f"v{number}" for number in step.reads]
        reads += [f"{name}={_attribute(value)}" for name, value in step.attrs.items()]
        writes = ", ".join(f"v{number}: {self.specs[number]}" for number in step.writes)
        return f"{writes} = {step.op.name}({', '.join(reads)})"


def _attribute(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
