"""What a program tells of itself: tables of steps, bytes and times.

Reads executables; runs one to time it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .backends.executable import Executable
from .backends.numpy import bind
from .errors import OptionError
from .ir.cell import Cell
from .ir.op import Array
from .schedule.buffers import Kind, plan, rounded
from .schedule.cost import flops_of
from .schedule.steps import Schedule, Step
from .spec import format_shape, product

__all__ = [
    "Memory",
    "explain_table",
    "memory_of",
    "outline_table",
    "profile_table",
    "table",
]


@dataclass(frozen=True)
class Memory:
    """Bytes that a program holds, by purpose, for one set of lengths.

    `outputs` counts each result once; while the caller holds it, the next call makes a second one.
    What operations and the bodies of loops take for themselves is not counted.
    """

    arena: int
    variables: int
    constants: int
    outputs: int
    unshared: int
    """What the arena would take if no slot were used twice."""

    @property
    def total(self) -> int:
        """All of them together."""
        return self.arena + self.variables + self.constants + self.outputs

    def __str__(self) -> str:
        return (
            f"arena {_size(self.arena)} (without sharing {_size(self.unshared)}), variables"
            f" {_size(self.variables)}, constants {_size(self.constants)}, outputs"
            f" {_size(self.outputs)}; together {_size(self.total)}"
        )


def memory_of(executable: Executable) -> Memory:
    """Add up the bytes of an executable by purpose."""
    schedule, placed = executable.schedule, executable.plan

    def total(numbers: Sequence[int]) -> int:
        return sum(placed.bytes_of(schedule, number) for number in numbers)

    kinds = [storage.kind for storage in placed.storage]
    return Memory(
        arena=placed.arena_bytes,
        variables=total(schedule.cells),
        constants=total([number for number, _ in schedule.constants]),
        outputs=total([i for i, kind in enumerate(kinds) if kind is Kind.OUTPUT]),
        unshared=sum(
            rounded(placed.bytes_of(schedule, number))
            for number, kind in enumerate(kinds)
            if kind is Kind.SLOT
        ),
    )


def explain_table(executable: Executable, name: str | None) -> str:
    """Write one row a step: number, operation, user's name, line, result, slot, bytes, flops.

    A slot is an offset in the arena, or says whose storage it is; bytes are those of the step's
    own results, so none for a view.
    """
    schedule, placed = executable.schedule, executable.plan
    rows = [("step", "operation", "for", "line", "result", "slot", "bytes", "flops")]
    for index, step in enumerate(schedule.steps):
        held = () if step.is_view else step.writes
        rows.append(
            (
                str(index),
                step.op.name,
                _clipped(step.note.label),
                "" if step.note.line is None else str(step.note.line),
                _results(executable, step),
                ", ".join(_slot(executable, number) for number in step.writes),
                f"{sum(placed.bytes_of(schedule, number) for number in held):,}",
                f"{flops_of(schedule, placed, step):,}",
            )
        )
    title = "program" if name is None else f"program {name!r}"
    flops = sum(flops_of(schedule, placed, step) for step in schedule.steps)
    steps = _counted(len(schedule.steps), "step")
    return f"{title}: {steps}; {memory_of(executable)}; {_counted(flops, 'flop')}\n" + table(rows)


def outline_table(schedule: Schedule, name: str | None, lengths: Sequence[str]) -> str:
    """Write one row a step for any *lengths*: as `explain_table`, without places in memory."""
    rows = [("step", "operation", "for", "line", "result", "bytes", "flops")]
    for index, step in enumerate(schedule.steps):
        specs = [schedule.specs[number] for number in step.writes]
        held = () if step.is_view else specs
        out, *operands = (schedule.specs[number] for number in (step.writes[0], *step.reads))
        rows.append(
            (
                str(index),
                step.op.name,
                _clipped(step.note.label),
                "" if step.note.line is None else str(step.note.line),
                ", ".join(map(str, specs)),
                " + ".join(str(product(spec.shape) * spec.dtype.itemsize) for spec in held) or "0",
                str(step.op.cost(out, *operands, **step.attrs)),
            )
        )
    title = "program" if name is None else f"program {name!r}"
    planned = ", ".join(f"{length}=..." for length in lengths)
    return (
        f"{title}: {_counted(len(schedule.steps), 'step')}, for any {', '.join(lengths)};"
        f" slots are known once it has run, or with program.planned({planned})\n"
    ) + table(rows)


def profile_table(
    schedule: Schedule,
    lengths: Mapping[str, int],
    cells: Sequence[Cell],
    feeds: Sequence[Array],
    repeat: int,
    name: str | None,
) -> str:
    """Time each step on NumPy over *repeat* runs on copies of the state; write one row a step.

    What is done once, when the program is bound, takes no time in a run. Raises OptionError unless
    *repeat* is at least 1, and what a run raises.
    """
    if repeat < 1:
        raise OptionError(f"profile: repeat must be at least 1, got {repeat}.")
    schedule = dataclasses.replace(schedule, updates=())
    copies = [Cell(cell.array.copy()) for cell in cells]
    timed = bind(schedule, plan(schedule, lengths), copies, timed=True)
    try:
        for _ in range(repeat):
            timed.sections["run"](*feeds)
    except Exception as error:
        failure = timed.failure(error)
        raise failure from failure.__cause__
    seconds = [total / repeat for total in timed.seconds]
    whole = sum(seconds)
    rows = [("step", "operation", "for", "line", "result", "time", "share", "GFLOP/s", "GB/s")]
    for index, step in enumerate(schedule.steps):
        spent = seconds[index]
        moved = sum(timed.plan.bytes_of(schedule, n) for n in (*step.reads, *step.writes))
        is_work = bool(spent) and not step.is_view
        rows.append(
            (
                str(index),
                step.op.name,
                _clipped(step.note.label),
                "" if step.note.line is None else str(step.note.line),
                _results(timed, step),
                f"{1e6 * spent:.1f} us" if spent else "at bind",
                f"{100 * spent / whole:.1f} %" if spent else "-",
                f"{flops_of(schedule, timed.plan, step) / spent / 1e9:.2f}" if is_work else "-",
                f"{moved / spent / 1e9:.2f}" if is_work else "-",
            )
        )
    title = "program" if name is None else f"program {name!r}"
    return f"{title}: {1e6 * whole:.1f} us a run in steps, mean of {repeat}\n" + table(rows)


def _results(executable: Executable, step: Step) -> str:
    specs, shapes = executable.schedule.specs, executable.plan.shapes
    texts: list[str] = []
    for number in step.writes:
        spec, shape = specs[number], shapes[number]
        texts.append(f"{spec.dtype.name}{format_shape(spec.shape if shape is None else shape)}")
    return ", ".join(texts)


def _slot(executable: Executable, number: int) -> str:
    storage = executable.plan.storage[number]
    if storage.kind is Kind.SLOT:
        return f"@{storage.offset}"
    return (
        f"of {_owner(executable, storage.base)}"
        if storage.kind is Kind.VIEW
        else storage.kind.name.lower()
    )


def _owner(executable: Executable, number: int) -> str:
    """Say whose storage a view looks into, in the table's own terms."""
    schedule = executable.schedule
    kind = executable.plan.storage[number].kind
    if kind is Kind.FEED:
        return next(f"feed {_clipped(name)}" for name, own in schedule.feeds if own == number)
    if kind in (Kind.CELL, Kind.CONSTANT):
        return "a variable" if kind is Kind.CELL else "a constant"
    return next(f"step {i}" for i, step in enumerate(schedule.steps) if number in step.writes)


def _clipped(text: str) -> str:
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= 40 else text[:37] + "..."


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _size(count: int) -> str:
    number = float(count)
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


_NUMBERS = ("parameters", "bytes", "flops", "time", "share", "GFLOP/s", "GB/s")


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Lay out rows under their first one, with numbers on the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    columns = [*zip(rows[0], widths, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if title in _NUMBERS else cell.ljust(width)
            for cell, (title, width) in zip(row, columns, strict=True)
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
