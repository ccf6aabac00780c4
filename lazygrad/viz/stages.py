"""The stages that a program goes through, as records: a sentence, lines of text, a picture.

Reads graphs, schedules and plans that its caller hands it; runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ..schedule.buffers import Kind, Plan, rounded
from ..schedule.kernel import kernel_of
from ..schedule.steps import Schedule
from .changes import ADDED, CHANGED, KEPT, REMOVED, Line, Listing, compared
from .difference import MOST_DRAWN, picture_of
from .memory import live_bytes, memory_chart, size_text, slots_of
from .step_lines import StepWriter

__all__ = [
    "MARKS",
    "Stage",
    "graph_stage",
    "kernel_stage",
    "memory_stage",
    "schedule_stage",
    "source_stage",
]

MARKS = {KEPT: " ", ADDED: "+", REMOVED: "-", CHANGED: "~"}
"""What stands before a line in a text, by what became of it."""


def _no_picture(limit: int) -> str:
    return ""


@dataclass(frozen=True)
class Stage:
    """One stage of compiling.

    `before` and `after` count its `unit`, such as nodes; `before` is None of what has nothing to
    be compared with. `counts` says how many were added, removed and changed.
    """

    name: str
    said: str
    unit: str
    before: int | None
    after: int
    lines: tuple[Line, ...] = field(repr=False)
    counts: Mapping[str, int] = field(default_factory=dict)
    chart: str = field(default="", repr=False)
    """An SVG element, where the stage has one of its own."""
    draw: Callable[[int], str] = field(default=_no_picture, repr=False)

    @property
    def has_changed(self) -> bool:
        """Whether the stage made a difference."""
        return self.before is None or any(self.counts.values())

    @property
    def text(self) -> str:
        """The lines, each with a mark: ``+`` for what came, ``-`` what went, ``~`` what changed."""
        return "\n".join(self.text_lines())

    def text_lines(self, only_changes: bool = False) -> Iterator[str]:
        """Give the lines of the text, or only those that changed."""
        for line in self.lines:
            if line.change != KEPT or not only_changes:
                # The body of a loop has lines of its own.
                for text in line.text.split("\n"):
                    yield f"{MARKS[line.change]} {text}".rstrip()

    def picture(self, limit: int = MOST_DRAWN) -> str:
        """Give the picture in graphviz's language, of at most *limit* nodes; empty without one."""
        return self.draw(limit)

    def summary(self) -> str:
        """Say in a few words what the stage did."""
        if self.before is None:
            return f"{self.after:,} {self.unit}"
        if not self.has_changed:
            return f"{self.after:,} {self.unit}, unchanged"
        changes = [f"{count:,} {change}" for change, count in self.counts.items() if count]
        return f"{self.before:,} -> {self.after:,} {self.unit}: {', '.join(changes)}"


def graph_stage(name: str, said: str, listing: Listing) -> Stage:
    """Give the stage whose result is the graph of a listing."""
    before = listing.before
    is_same = before is not None and before.graph is listing.graph
    return Stage(
        name,
        said,
        "nodes",
        None if before is None else len(before.graph),
        len(listing.graph),
        tuple(listing.lines()),
        {} if before is None or is_same else compared(listing),
        draw=_no_picture if is_same else lambda limit: picture_of(listing, limit),
    )


def schedule_stage(schedule: Schedule, names: Mapping[int, str], plan: Plan | None) -> Stage:
    """Give the stage that puts nodes into an order of steps."""
    writer = StepWriter(schedule, names, plan)
    counted = {phase: writer.phases.count(phase) for phase in dict.fromkeys(writer.phases)}
    parts = ", ".join(f"{count:,} {phase}" for phase, count in counted.items())
    views = sum(step.is_view for step in schedule.steps)
    said = f"Nodes become steps, in an order that keeps few values alive: {parts or 'none'}."
    if views:
        said += f" {views:,} of them only look at memory in another way and cost nothing."
    return Stage("schedule", said, "steps", None, len(schedule.steps), tuple(writer.steps()))


def kernel_stage(
    before: Schedule, schedule: Schedule, names: Mapping[int, str], plan: Plan
) -> Stage:
    """Give the stage that fuses steps into kernels."""
    writer = StepWriter(schedule, names, plan)
    kernels = [kernel for kernel in map(kernel_of, schedule.steps) if kernel is not None]
    several = [kernel for kernel in kernels if len(kernel.steps) > 1]
    inner = sum(storage.kind is Kind.INNER for storage in plan.storage)
    said = "No steps fit together into a kernel."
    if several:
        fused = sum(len(kernel.steps) for kernel in several)
        said = (
            f"{fused:,} steps become {len(several):,} kernel{'s' * (len(several) > 1)}, each gone"
            f" through at once: {inner:,} values need no place in memory."
        )
    counts = {"fused": len(several)} if several else {}
    lines = tuple(writer.kernels(before))
    return Stage("kernels", said, "steps", len(before.steps), len(schedule.steps), lines, counts)


def memory_stage(schedule: Schedule, names: Mapping[int, str], plan: Plan, said: str) -> Stage:
    """Give the stage that finds a place for each value; *said* is what else is to be said."""
    writer = StepWriter(schedule, names, plan)
    slots = slots_of(schedule, plan)
    steps = len(schedule.steps)
    whole = sum(rounded(slot.size) for slot in slots)
    peak = max(live_bytes(slots, steps), default=0)
    sentence = "No value needs a place in the arena."
    if slots:
        sentence = (
            f"{len(slots):,} values share an arena of {size_text(plan.arena_bytes)}; side by side"
            f" they would take {size_text(whole)}. At most {size_text(peak)} is in use at once."
        )
    chart = memory_chart(slots, steps, plan.arena_bytes, writer.kind, writer.name)
    lines = tuple(writer.memory())
    return Stage("memory", f"{sentence} {said}", "values", None, len(slots), lines, chart=chart)


def source_stage(name: str, said: str, source: str) -> Stage:
    """Give the stage that writes code."""
    lines = tuple(Line(KEPT, text) for text in source.splitlines())
    return Stage(name, said, "lines", None, len(lines), lines)
