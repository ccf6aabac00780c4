"""Slots over time: which part of the arena holds which value from when to when, as a chart.

Reads a schedule and its plan; allocates nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from ..schedule.buffers import Kind, Plan, rounded
from ..schedule.steps import Schedule
from .summary import clean

__all__ = ["Slot", "live_bytes", "memory_chart", "size_text", "slots_of"]

_WIDTH, _HEIGHT = 960, 470
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 14, 26, 130
# Below the slots is what they add up to, between these heights.
_LIVE_TOP, _LIVE_BOTTOM = 390, 450
_MOST_DRAWN = 1500


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a value lies, and the steps from which on, and before which, it is there."""

    number: int
    offset: int
    size: int
    start: int
    stop: int


def slots_of(schedule: Schedule, plan: Plan) -> tuple[Slot, ...]:
    """List the values of a program that have a place in the arena, in order.

    >>> from lazygrad.compiler import compile
    >>> from lazygrad.ir.value import Value
    >>> x = Value(shape=(4,), name="x")
    >>> ready = compile((x + 1.0).sum(), backend="numpy").planned()
    >>> [(slot.offset, slot.size, slot.start) for slot in slots_of(ready.schedule, ready.plan)]
    [(0, 64, 0), (64, 64, 1)]
    """
    end = len(schedule.steps)
    late = {index for _, index in plan.direct}
    born: dict[int, int] = {}
    last: dict[int, int] = {}

    def owner(number: int) -> int:
        storage = plan.storage[number]
        return storage.base if storage.kind is Kind.VIEW else number

    for index, step in enumerate(schedule.steps):
        for number in step.writes:
            born.setdefault(number, index)
        for number in step.reads:
            # What writes into variables runs when all else has.
            read_at = end - 1 if index in late else index
            last[owner(number)] = max(read_at, last.get(owner(number), 0))
    kept = [n for section in schedule.sections for n in (*section.outputs, *section.kept)]
    for number in (*kept, *(number for _, number in schedule.updates)):
        last[owner(number)] = end - 1
    # In one step a value may be written over another that is read for the last time.
    taken = {(plan.storage[n].offset, at) for n, at in born.items() if _is_slot(plan, n)}
    found = []
    for number, start in born.items():
        if not _is_slot(plan, number):
            continue
        offset, dies = plan.storage[number].offset, max(start, last.get(number, start))
        is_taken_over = dies > start and (offset, dies) in taken
        size = rounded(plan.bytes_of(schedule, number))
        found.append(Slot(number, offset, size, start, dies if is_taken_over else dies + 1))
    return tuple(found)


def _is_slot(plan: Plan, number: int) -> bool:
    return plan.storage[number].kind is Kind.SLOT


def live_bytes(slots: Sequence[Slot], steps: int) -> list[int]:
    """Add up, for each step, the bytes of the values that are there in it."""
    change = [0] * (steps + 1)
    for slot in slots:
        change[slot.start] += slot.size
        change[slot.stop] -= slot.size
    total, live = 0, []
    for difference in change[:steps]:
        total += difference
        live.append(total)
    return live


def size_text(count: float) -> str:
    """Write a number of bytes.

    >>> size_text(100), size_text(3072), size_text(5 << 20)
    ('100 B', '3.0 KiB', '5.0 MiB')
    """
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB"):
        count /= 1024
        if count < 1024:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:.1f} GiB"


def memory_chart(
    slots: Sequence[Slot],
    steps: int,
    arena: int,
    kind_of: Callable[[int], str],
    name_of: Callable[[int], str],
) -> str:
    """Draw slots as an SVG element: steps to the right, offsets upwards, a rectangle a value.

    *kind_of* gives the class of a value, such as ``"forward"``, and *name_of* its name. The colours
    are those of the page that the chart stands in.
    """
    if not slots:
        return ""
    chart = _Chart(steps, arena)
    live = live_bytes(slots, steps)
    drawn = sorted(slots, key=lambda slot: -slot.size * (slot.stop - slot.start))[:_MOST_DRAWN]
    parts = [*chart.axes()]
    for slot in sorted(drawn, key=lambda slot: slot.start):
        parts += chart.slot(slot, kind_of(slot.number), name_of(slot.number))
    parts += chart.live(live)
    peak = max(live)
    label = (
        f"Memory over {steps} steps: an arena of {size_text(arena)}, at most {size_text(peak)} of"
        " it in use at once"
    )
    return (
        f'<svg class="memory" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
        + "".join(parts)
        + "</svg>"
    )


class _Chart:
    """Turns steps and bytes into places of the picture."""

    def __init__(self, steps: int, arena: int) -> None:
        self.steps = max(steps, 1)
        self.arena = max(arena, 1)

    def x(self, step: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * step / self.steps

    def y(self, offset: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * offset / self.arena

    def axes(self) -> list[str]:
        parts = []
        for offset in _ticks(self.arena, 1024 if self.arena >= 4096 else 10):
            y = self.y(offset)
            parts.append(
                f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
                f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
                f"{size_text(offset)}</text>"
            )
        below = _HEIGHT - _BOTTOM + 18
        parts += [
            f'<text class="tick" x="{self.x(step + 0.5):.1f}" y="{below}" text-anchor="middle">'
            f"{int(step)}</text>"
            for step in _ticks(self.steps, 10)
            if step < self.steps
        ]
        parts.append(
            f'<text class="tick" x="{_WIDTH - _RIGHT}" y="{below}"'
            ' text-anchor="end">step</text>'
            f'<text class="tick" x="{_LEFT}" y="14">place in the arena</text>'
        )
        return parts

    def slot(self, slot: Slot, kind: str, name: str) -> list[str]:
        left, right = self.x(slot.start), self.x(slot.stop)
        top, bottom = self.y(slot.offset + slot.size), self.y(slot.offset)
        wide, high = right - left, bottom - top
        shown = escape(clean(name, 40))
        said = (
            f"{shown}: {size_text(slot.size)} at {slot.offset}, steps {slot.start} to"
            f" {slot.stop - 1}"
        )
        rectangle = (
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(wide - 0.6, 0.4):.1f}"'
            f' height="{max(high - 0.6, 0.4):.1f}" rx="{min(3, high / 4):.1f}"/>'
        )
        fits = high >= 13 and wide >= 8 + 6.6 * min(len(name), 40)
        text = (
            f'<text x="{(left + right) / 2:.1f}" y="{(top + bottom) / 2 + 4:.1f}"'
            f' text-anchor="middle">{shown}</text>'
            if fits
            else ""
        )
        return [f'<g class="slot {kind}"><title>{said}</title>{rectangle}{text}</g>']

    def live(self, live: Sequence[int]) -> list[str]:
        peak = max(live)
        at = live.index(peak)

        def height(count: float) -> float:
            return _LIVE_BOTTOM - (_LIVE_BOTTOM - _LIVE_TOP) * count / max(peak, 1)

        points = [f"{self.x(0):.1f},{_LIVE_BOTTOM}"]
        for step, count in enumerate(live):
            y = height(count)
            points += [f"{self.x(step):.1f},{y:.1f}", f"{self.x(step + 1):.1f},{y:.1f}"]
        points.append(f"{self.x(len(live)):.1f},{_LIVE_BOTTOM}")
        x = self.x(at + 0.5)
        anchor = "end" if at > len(live) / 2 else "start"
        shift = -8 if anchor == "end" else 8
        return [
            f'<text class="tick" x="{_LEFT}" y="{_LIVE_TOP - 12}">in use at once</text>',
            f'<text class="tick" x="{_LEFT - 8}" y="{_LIVE_TOP + 4}" text-anchor="end">'
            f"{size_text(peak)}</text>",
            f'<polygon class="live" points="{" ".join(points)}"/>',
            f'<line class="peak" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 4}" y2="{_LIVE_BOTTOM}"/>',
            f'<circle class="peak" cx="{x:.1f}" cy="{_LIVE_TOP}" r="4"/>',
            f'<text class="peak" x="{x + shift:.1f}" y="{_TOP - 8}" text-anchor="{anchor}">'
            f"peak: {size_text(peak)} in step {at}</text>",
        ]


def _ticks(most: float, base: int) -> list[float]:
    """Give about five round numbers from 0 to *most*."""
    unit = 1.0
    while unit * base <= most / 2:
        unit *= base
    factors = [f for f in (1, 2, 5, 10, 20, 50, 100, 200, 500) if unit * f * 6 >= most]
    step = max(unit * (factors[0] if factors else 1000), 1.0)
    return [step * i for i in range(int(most / step) + 1)]
