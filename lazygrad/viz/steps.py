"""The picture of a schedule: a box for each step, coloured by the place of its result or by time.

Reads steps, facts and seconds that it is handed. Views take no time and have no box: what reads a
view is drawn as a reader of the step behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..lengths import Dim
from ..schedule.buffers import Kind, Plan
from ..schedule.facts import StepFacts, format_duration, format_size
from ..schedule.kernel import kernel_of
from ..schedule.steps import Schedule
from .labels import STYLES, defaults, html_table, plain_label
from .summary import clean

if TYPE_CHECKING:
    import graphviz

__all__ = ["picture_of_steps", "slot_colours"]

# Tints of Okabe and Ito's colours, far enough apart side by side.
_SLOTS = (
    "#CFE8F7",
    "#FBE3B9",
    "#C9EBDD",
    "#FAF3B0",
    "#BFD5EA",
    "#F7D2BE",
    "#EFD3E3",
    "#DADADA",
)
_COLD, _HOT = (255, 255, 255), (240, 140, 80)
_MOST_LINES = 8
_MONOSPACE = "DejaVu Sans Mono,Courier,monospace"
_QUIET = "#F4F4F4"


def slot_colours(plan: Plan) -> dict[int, str]:
    """Give each slot of a plan, known by its offset, a colour; they come again after eight."""
    offsets = sorted({s.offset for s in plan.storage if s.kind is Kind.SLOT})
    return {offset: _SLOTS[place % len(_SLOTS)] for place, offset in enumerate(offsets)}


def picture_of_steps(
    schedule: Schedule,
    facts: Sequence[StepFacts],
    plan: Plan | None = None,
    seconds: Sequence[float] = (),
    *,
    names: Sequence[str | None] = (),
    titles: Sequence[str] = (),
    caption: str | None = None,
    rankdir: str | None = None,
    limit: int = 400,
) -> graphviz.Digraph:
    """Draw the steps of *schedule* as a ``graphviz.Digraph``.

    Parameters
    ----------
    schedule, facts
        The steps, and what is said of each.
    plan
        Where values lie, for some lengths: places have colours, the same for the same place.
    seconds
        How long each step took; the more, the redder its head.
    names, titles
        What the variables, in the order of cells, and the results are called.
    caption
        A line below the picture.
    rankdir
        Where the picture runs to; by default down.
    limit
        About how many boxes there are at most; steps that follow each other are gathered.
    """
    import graphviz

    writer = _Steps(schedule, facts, plan, seconds, names, titles)
    size = sum(not each.step.is_view for each in facts)
    if size > limit:
        caption = f"{size:,} steps, gathered in boxes: more than {limit:,}.  {caption or ''}"
    picture = graphviz.Digraph("lazygrad", **defaults(rankdir or "TB", min(size, limit), caption))
    writer.write(picture, max(1, -(-size // max(2, limit // 8))) if size > limit else 1)
    return picture


class _Steps:
    def __init__(
        self,
        schedule: Schedule,
        facts: Sequence[StepFacts],
        plan: Plan | None,
        seconds: Sequence[float],
        names: Sequence[str | None],
        titles: Sequence[str],
    ) -> None:
        self.schedule = schedule
        self.facts = facts
        self.plan = plan
        self.seconds = seconds
        self.names = names
        self.titles = titles
        self.colours = {} if plan is None else slot_colours(plan)
        self.slowest = max(seconds, default=0.0)
        self.ids: dict[int, str] = {}
        self.texts = {
            n: text for f in facts for n, text in zip(f.step.writes, f.results, strict=True)
        }
        self.shown = {f.step.writes[0]: f.step.reads[0] for f in facts if f.step.is_view}
        self.drawn: dict[tuple[str, str], str] = {}
        self.count = 0

    def write(self, picture: graphviz.Digraph, together: int) -> None:
        """Write boxes of so many steps *together*, and what flows between them."""
        self.picture = picture
        work = [each for each in self.facts if not each.step.is_view]
        self._leaves({self._behind(n) for each in work for n in each.step.reads})
        owners: list[tuple[str, StepFacts]] = []
        for start in range(0, len(work), together):
            chunk = work[start : start + together]
            rows = self._rows(chunk[0]) if len(chunk) == 1 else self._gathered(chunk)
            table = html_table(rows, border="1", cellborder="0", cellspacing="0", cellpadding="4")
            name = self._id()
            picture.node(name, label=table, shape="plain")
            for each in chunk:
                owners.append((name, each))
                self.ids.update(dict.fromkeys(each.step.writes, name))
        for name, each in owners:
            for number in dict.fromkeys(each.step.reads):
                self._edge(number, name)
        self._results()

    def _id(self) -> str:
        self.count += 1
        return f"n{self.count - 1}"

    def _behind(self, number: int) -> int:
        while number in self.shown:
            number = self.shown[number]
        return number

    def _leaves(self, used: set[int]) -> None:
        written = {self.schedule.cells[cell] for cell, _ in self.schedule.updates}
        leaves = [(number, name, "placeholder") for name, number in self.schedule.feeds]
        leaves += [
            (number, self.names[i] or "" if i < len(self.names) else "", "variable")
            for i, number in enumerate(self.schedule.cells)
        ]
        for number, name, kind in leaves:
            if number not in used and number not in written:
                continue
            spec = clean(str(self.schedule.specs[number]), 60)
            rows = [clean(name), f"{kind} · {spec}"] if name else [f"{kind} · {spec}"]
            self.ids[number] = self._id()
            self.picture.node(self.ids[number], label=plain_label(rows), **STYLES[kind])

    def _edge(self, number: int, target: str, **options: str) -> None:
        source = self.ids.get(self._behind(number))
        if source is None or source == target or (source, target) in self.drawn:
            return
        text = self.texts.get(number, "")
        self.drawn[source, target] = text
        if text:
            options["label"] = plain_label([f" {clean(text, 60)}"])
        self.picture.edge(source, target, **options)

    def _results(self) -> None:
        for section in self.schedule.sections:
            for place, number in enumerate(section.outputs):
                title = self.titles[place] if place < len(self.titles) else ""
                name = self._id()
                rows = [clean(title) if title else "result", clean(self._text(number), 60)]
                self.picture.node(name, label=plain_label(rows), **STYLES["result"])
                self._edge(number, name)
        for cell, number in self.schedule.updates:
            source, target = self.ids.get(self._behind(number)), self.ids[self.schedule.cells[cell]]
            if source is not None:
                color = STYLES["variable"]["color"]
                self.picture.edge(source, target, style="dashed", color=color, constraint="false")

    def _text(self, number: int) -> str:
        return self.texts.get(number, str(self.schedule.specs[number]))

    def _rows(self, facts: StepFacts) -> list[list[tuple[str, Mapping[str, str]]]]:
        kernel = kernel_of(facts.step)
        title = clean(facts.step.op.name, 32)
        if kernel is not None:
            count = len(kernel.steps)
            first = clean(kernel.steps[0].op.name, 32)
            title = f"kernel of {count}" if count > 1 else f"{first}, a kernel"
        head = {"bgcolor": self._heat([facts]), "align": "left", "colspan": "3", "bold": "yes"}
        rows: list[list[tuple[str, Mapping[str, str]]]] = [[(f"{facts.index}  {title}", head)]]
        lines = list(facts.statements or (facts.computes,))
        if len(lines) > _MOST_LINES:
            more = len(lines) - _MOST_LINES + 1
            lines = [*lines[: _MOST_LINES - 1], f"and {more} more"]
        plain = {"align": "left", "colspan": "3", "bgcolor": "#FFFFFF"}
        rows += [[(clean(line, 64), {**plain, "face": _MONOSPACE})] for line in lines]
        where = ", ".join(part for part in (facts.purpose, facts.line) if part)
        if where:
            rows.append([(clean(where, 64), plain)])
        for place, (number, result) in enumerate(
            zip(facts.step.writes, facts.results, strict=True)
        ):
            where = facts.places[place] if facts.places else ""
            rows.append(self._result(number, result, where))
        if cost := self._cost([facts]):
            rows.append([(cost, {**plain, "bgcolor": _QUIET})])
        return rows

    def _result(self, number: int, result: str, place: str) -> list[tuple[str, Mapping[str, str]]]:
        colour, size = "#FFFFFF", ""
        if self.plan is not None:
            storage = self.plan.storage[number]
            size = format_size(self.plan.bytes_of(self.schedule, number))
            if storage.kind is Kind.SLOT:
                colour = self.colours[storage.offset]
        left = {"align": "left", "bgcolor": colour}
        return [
            (clean(result, 60), left),
            (clean(place, 32) if place else "", left),
            (size, {**left, "align": "right"}),
        ]

    def _gathered(self, chunk: Sequence[StepFacts]) -> list[list[tuple[str, Mapping[str, str]]]]:
        names = Counter(each.step.op.name for each in chunk).most_common(4)
        plain = {"align": "left", "bgcolor": "#FFFFFF"}
        head = {"bgcolor": self._heat(chunk), "align": "left", "bold": "yes"}
        rows: list[list[tuple[str, Mapping[str, str]]]] = [
            [(f"{chunk[0].index} to {chunk[-1].index}", head)],
            [(", ".join(f"{count:,} {clean(name, 24)}" for name, count in names), plain)],
        ]
        if self.plan is not None:
            rows.append([(format_size(sum(map(_number, (f.bytes for f in chunk)))), plain)])
        if cost := self._cost(chunk):
            rows.append([(cost, {**plain, "bgcolor": _QUIET})])
        return rows

    def _spent(self, chunk: Sequence[StepFacts]) -> float:
        return sum(self.seconds[each.index] for each in chunk) if self.seconds else 0.0

    def _heat(self, chunk: Sequence[StepFacts]) -> str:
        if not self.seconds:
            derived = STYLES["derivative"]["fillcolor"]
            return derived if all(f.step.note.backward for f in chunk) else "#E8E8E8"
        share = min(1.0, self._spent(chunk) / self.slowest) if self.slowest else 0.0
        mixed = (round(a + (b - a) * share) for a, b in zip(_COLD, _HOT, strict=True))
        return "#" + "".join(f"{part:02X}" for part in mixed)

    def _cost(self, chunk: Sequence[StepFacts]) -> str:
        flops = sum(map(_number, (each.flops for each in chunk)))
        parts = [f"{flops:,} flop{'s' * (flops != 1)}"] if flops else []
        if self.seconds:
            spent, whole = self._spent(chunk), sum(self.seconds)
            if not spent:
                return ", ".join([*parts, "done at bind"])
            parts += [format_duration(spent), f"{100 * spent / whole:.1f} %"]
            if flops:
                parts.append(f"{flops / spent / 1e9:.2f} GFLOP/s")
            parts.append(f"{sum(each.moved for each in chunk) / spent / 1e9:.2f} GB/s")
        return ", ".join(parts)


def _number(length: Dim) -> int:
    return length if isinstance(length, int) else 0
