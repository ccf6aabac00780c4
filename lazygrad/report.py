"""What a program tells of itself: tables of steps, bytes and times.

Reads executables; runs a timed one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from .backends.executable import Executable
from .ir.op import Array
from .lengths import Dim
from .schedule.buffers import Kind, Plan, rounded
from .schedule.facts import StepFacts, format_duration, format_size, step_facts
from .schedule.steps import Schedule

__all__ = [
    "Memory",
    "Planned",
    "Profile",
    "explain_table",
    "measured",
    "memory_of",
    "outline_table",
    "table",
]

_RUNS, _SECONDS = 20, 0.1
_LEAST_SECONDS = 1e-9


class Planned(Protocol):
    """What has a schedule and its plan, such as an executable."""

    @property
    def schedule(self) -> Schedule:
        """The steps."""

    @property
    def plan(self) -> Plan:
        """Where their values lie."""


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
        arena, unshared, *rest = map(
            format_size,
            (self.arena, self.unshared, self.variables, self.constants, self.outputs, self.total),
        )
        variables, constants, outputs, total = rest
        return (
            f"arena {arena} (without sharing {unshared}), variables {variables}, constants"
            f" {constants}, outputs {outputs}; together {total}"
        )


def memory_of(executable: Planned) -> Memory:
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


@dataclass(frozen=True)
class Profile:
    """How long each step took for some lengths, mean of several runs, in seconds.

    A step that is done once, when the program is bound, took none.
    """

    schedule: Schedule
    plan: Plan
    backend: str
    seconds: tuple[float, ...]
    repeat: int

    @property
    def lengths(self) -> Mapping[str, int]:
        """The lengths that were timed."""
        return self.plan.lengths

    @property
    def whole(self) -> float:
        """The seconds of all steps together."""
        return sum(self.seconds)


def explain_table(
    executable: Planned,
    name: str | None,
    names: Sequence[str | None] = (),
    profile: Profile | None = None,
) -> str:
    """Write one row a step: what it computes for whom, line, result, slot, bytes, flops.

    *names* are those of the variables. A slot is an offset in the arena, or says whose storage it
    is; bytes are those of the step's own results, so none for a view. With a *profile* of these
    steps there are times too.
    """
    if profile is not None and len(profile.seconds) != len(executable.schedule.steps):
        # With updates, steps may be fused otherwise.
        executable = profile
    facts = step_facts(executable.schedule, executable.plan, names)
    rows: list[tuple[str, ...]] = [
        ("step", "computes", "for", "line", "result", "slot", "bytes", "flops")
    ]
    rows += [_row(each) for each in facts]
    title = "program" if name is None else f"program {name!r}"
    flops = sum(_known(each.flops) for each in facts)
    steps = _counted(len(facts), "step")
    title = f"{title}: {steps}; {memory_of(executable)}; {_counted(flops, 'flop')}"
    if profile is None:
        return f"{title}\n{table(rows)}"
    times = [("time", "share", "GFLOP/s", "GB/s"), *_times(facts, profile)]
    title += (
        f"; {format_duration(profile.whole)} a run in steps on {profile.backend},"
        f" mean of {profile.repeat:,}"
    )
    return f"{title}\n" + table([(*row, *time) for row, time in zip(rows, times, strict=True)])


def outline_table(
    schedule: Schedule, name: str | None, lengths: Sequence[str], names: Sequence[str | None] = ()
) -> str:
    """Write one row a step for any *lengths*: as `explain_table`, without places in memory."""
    rows: list[tuple[str, ...]] = [("step", "computes", "for", "line", "result", "bytes", "flops")]
    rows += [(*row[:5], *row[6:]) for row in map(_row, step_facts(schedule, None, names))]
    title = "program" if name is None else f"program {name!r}"
    planned = ", ".join(f"{length}=..." for length in lengths)
    return (
        f"{title}: {_counted(len(schedule.steps), 'step')}, for any {', '.join(lengths)};"
        f" slots are known once it has run, or with program.planned({planned})\n"
    ) + table(rows)


def _row(facts: StepFacts) -> tuple[str, ...]:
    return (
        str(facts.index),
        facts.computes,
        facts.purpose,
        facts.line,
        ", ".join(facts.results),
        ", ".join(facts.places),
        f"{facts.bytes:,}" if isinstance(facts.bytes, int) else str(facts.bytes),
        f"{facts.flops:,}" if isinstance(facts.flops, int) else str(facts.flops),
    )


def _known(length: Dim) -> int:
    return length if isinstance(length, int) else 0


def _times(facts: Sequence[StepFacts], profile: Profile) -> list[tuple[str, str, str, str]]:
    rows = []
    for each, spent in zip(facts, profile.seconds, strict=True):
        is_work = bool(spent) and not each.step.is_view
        rows.append(
            (
                format_duration(spent) if spent else "at bind",
                f"{100 * spent / profile.whole:.1f} %" if spent else "-",
                f"{_known(each.flops) / spent / 1e9:.2f}" if is_work else "-",
                f"{each.moved / spent / 1e9:.2f}" if is_work else "-",
            )
        )
    return rows


def measured(
    timed: Executable, backend: str, feeds: Sequence[Array], repeat: int | None
) -> Profile:
    """Run a timed executable *repeat* times on *feeds*, and give the mean seconds of each step.

    By default 20 times, and more if they are short, since a clock has a step too. Raises what a run
    raises.
    """
    count, stop = 0, perf_counter() + _SECONDS
    try:
        while count < (repeat or _RUNS) or (repeat is None and perf_counter() < stop):
            timed.sections["run"](*feeds)
            count += 1
    except Exception as error:
        failure = timed.failure(error)
        raise failure from failure.__cause__
    seconds = tuple(
        # A step that is too short for the clock is done all the same.
        max(float(total) / count, _LEAST_SECONDS) if index in timed.clocked else 0.0
        for index, total in enumerate(timed.seconds)
    )
    return Profile(timed.schedule, timed.plan, backend, seconds, count)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


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
