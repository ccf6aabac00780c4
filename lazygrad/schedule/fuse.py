"""From steps to kernels: which steps become one nest of loops, for one set of lengths.

Steps are taken in their order. Each joins a kernel that gives one of its operands, or starts one of
its own. Kernels and other steps stand in a total order, by position; a kernel may move as long as
it stays behind what it reads and ahead of what reads it, so that joining never makes a ring. Knows
shapes; writes no code, and places nothing in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from ..ir.compute import concrete_attrs
from ..ir.op import Trait, lookup
from ..lengths import evaluate
from ..spec import Spec
from .buffers import Plan
from .kernel import Kernel, Statement, axes_within, fused_step, has_scalar_form, squeezed
from .steps import Schedule, Section, Step

__all__ = ["MOST_STATEMENTS", "Terms", "fuse"]

MOST_STATEMENTS = 500
"""Of one kernel, where functions count more; compilers take ever longer over long ones."""

# One that is so long ends where it would begin anew, so that what repeats gives equal kernels.
_MANY_STATEMENTS = MOST_STATEMENTS // 2

# A function in a loop is several operations, if only those around its call.
_FUNCTION_WEIGHT = 10

_NEVER = math.inf


@dataclass(frozen=True, slots=True)
class Terms:
    """What a backend makes kernels of; as it stands, loops over scalars."""

    takes: Callable[[Step, Sequence[Spec]], bool] = has_scalar_form
    """Whether a step can be a statement."""
    least_bytes: int = 0
    """A kernel goes through arrays of so much memory."""
    row_bytes: int = 1 << 14
    """What a later stage reads again waits in a buffer of one row, which should stay in cache."""
    keeps_rows: bool = False
    """Whether a row waits as a whole, so that longer ones are reduced in pieces."""
    is_worth: Callable[[Kernel], bool] = lambda kernel: True
    """Whether a kernel is better than its steps one by one."""


def fuse(schedule: Schedule, plan: Plan, terms: Terms = Terms()) -> Schedule:
    """Give the schedule in which steps are fused into kernels, for the lengths of *plan*.

    The numbers of values stay what they were; those that only live inside a kernel have no step of
    their own any more. No kernel reaches from one section into another.
    """
    fuser = _Fuser(schedule, plan, terms)
    sections = [list(fuser.simpler_steps(i)) for i in range(len(schedule.sections))]
    for steps, late in fuser.put_off(sections):
        for step in steps:
            fuser.place(step, is_late=step.writes[0] in late)
        fuser.end_section()
    return fuser.frozen()


@dataclass(eq=False)
class _Unit:
    """A kernel in the making; or, without a domain, a step that stays as it is."""

    position: float
    domain: tuple[int, ...] | None
    steps: list[Step] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    weight: int = 0
    begins: tuple[str, ...] = ()
    outer: int | None = None
    operands: set[_Unit] = field(default_factory=set)
    readers: set[_Unit] = field(default_factory=set)
    merged: _Unit | None = None


@dataclass(frozen=True)
class _Fit:
    """How a step joins a unit: its statement, and where rows begin from then on."""

    statement: Statement
    outer: int | None


class _Fuser:
    def __init__(self, schedule: Schedule, plan: Plan, terms: Terms) -> None:
        self.schedule = schedule
        self.terms = terms
        self.lengths = plan.lengths
        self.specs: list[Spec] = list(schedule.specs)
        self.shapes: list[tuple[int, ...] | None] = list(plan.shapes)
        self.units: list[_Unit] = []
        self.unit_of: dict[int, _Unit] = {}
        self.views: dict[int, Step] = {}
        self.statements: dict[int, Statement] = {}
        self.order: dict[int, int] = {}
        self.fusable: dict[int, bool] = {}
        self.last = 0.0
        self.ends: list[float] = [0.0]
        """The positions that sections end at; what is placed comes after the last of them."""

    def simpler_steps(self, section: int) -> Iterator[Step]:
        """Give the steps of a section, those that can be written in simpler operations as these."""
        for step in self.schedule.section_steps(section):
            if (
                step.op.parts is None
                or any(self.shapes[n] is None for n in step.reads)
                or not self._is_long(step)
            ):
                yield step
            else:
                yield from self._parts(step)

    def _parts(self, step: Step) -> Iterator[Step]:
        assert step.op.parts is not None
        parts = step.op.parts(**concrete_attrs(step.attrs, self.lengths))
        numbers = list(step.reads)
        for i, (name, operands, attrs) in enumerate(parts):
            op = lookup(name)
            reads = tuple(numbers[place] for place in operands)
            number = step.writes[0]
            if i < len(parts) - 1:
                spec = op.infer(*map(self._spec, reads), **attrs)
                assert isinstance(spec, Spec)
                number = len(self.specs)
                self.specs.append(spec)
                self.shapes.append(tuple(evaluate(n, self.lengths) for n in spec.shape))
            numbers.append(number)
            yield Step(op, reads, (number,), attrs, step.note)

    def put_off(self, sections: list[list[Step]]) -> Iterator[tuple[list[Step], set[int]]]:
        """Put cheap steps off to where they are first read, if that saves storing their results.

        It does where what they read is stored anyhow, and what has to stay there for longer is no
        more than the result. Gives the steps of each section, and the values that come late.
        """
        steps = [step for section in sections for step in section]
        first: dict[int, int] = {}
        base: dict[int, int] = {}
        leaves = [*self.schedule.cells, *(number for _, number in self.schedule.feeds)]
        stored = dict.fromkeys(leaves, len(steps))
        for index, step in enumerate(steps):
            for number in step.reads:
                first.setdefault(number, index)
                if step.is_view:
                    base[step.writes[0]] = base.get(number, number)
                elif not self._is_fusable(step):
                    stored[base.get(number, number)] = index
        shown = {number for section in self.schedule.sections for number in section.outputs}
        shown |= {number for section in self.schedule.sections for number in section.kept}
        shown |= {number for _, number in self.schedule.updates}
        moved: dict[int, list[Step]] = {}
        late: set[int] = set()
        for index, step in enumerate(steps):
            at = first.get(step.writes[0], 0)
            if (
                at > index + 1
                and Trait.ELEMENTWISE in step.op.traits
                and "(" not in (step.op.c or "(")
                and step.writes[0] not in shown
                and not steps[at].is_view
                and self._is_fusable(steps[at])
                and self._is_fusable(step)
                and self._is_long(step)
                and all(number in stored for number in step.reads)
                and sum(self._bytes(n) for n in {*step.reads} if stored[n] < at)
                <= self._bytes(step.writes[0])
            ):
                moved.setdefault(at, []).append(step)
                late.add(step.writes[0])
        index = 0
        for section in sections:
            placed: list[Step] = []
            for step in section:
                placed += moved.get(index, [])
                if step.writes[0] not in late:
                    placed.append(step)
                index += 1
            yield placed, late

    def end_section(self) -> None:
        """Let nothing that is placed from now on join or precede what is there."""
        self.last += 1.0
        self.ends.append(self.last)

    def place(self, step: Step, is_late: bool = False) -> None:
        """Let a step join a unit that it reads from, or make one for it.

        What is *late* has come for the step that follows, and joins nothing before.
        """
        self.order[step.writes[0]] = len(self.order)
        if step.is_view:
            self.views[step.writes[0]] = step
            if step.reads[0] in self.unit_of:
                self.unit_of[step.writes[0]] = self._unit(step.reads[0])
            return
        sources = {self._unit(number): None for number in step.reads if number in self.unit_of}
        is_fusable = self._is_fusable(step)
        home = self._joined(step, sources) if is_fusable and not is_late else None
        if home is None:
            is_kernel = is_fusable and self._is_long(step)
            home = self._started(step) if is_kernel else self._new_unit(None)
        if home.domain is None:
            home.steps.append(step)
        for number in step.writes:
            self.unit_of[number] = home
        for unit in sources:
            if unit is not home:
                home.operands.add(unit)
                unit.readers.add(home)
        if is_fusable and not is_late:
            for unit in sources:
                self._merge(unit, home)

    def _is_fusable(self, step: Step) -> bool:
        known = self.fusable.get(step.writes[0])
        if known is None:
            shapes = [self.shapes[number] for number in (*step.reads, *step.writes)]
            is_placed = not any(shape is None or 0 in shape for shape in shapes)
            known = is_placed and self.terms.takes(step, self.specs)
            self.fusable[step.writes[0]] = known
        return known

    def _is_long(self, step: Step) -> bool:
        """Whether what a step goes through is worth a kernel."""
        numbers = (*step.reads, step.writes[0])
        return max(map(self._bytes, numbers)) >= self.terms.least_bytes

    def _joined(self, step: Step, sources: Iterable[_Unit]) -> _Unit | None:
        """Find the latest of the units that the step reads from and fits into, and add it there."""
        step = replace(step, attrs=concrete_attrs(step.attrs, self.lengths))
        for unit in sorted(sources, key=lambda unit: -unit.position):
            if unit.domain is None or unit.position < self.ends[-1]:
                continue
            if unit.weight + _weight(step, unit.domain) > MOST_STATEMENTS:
                continue
            if unit.weight >= _MANY_STATEMENTS and self._kind(step) == unit.begins:
                continue
            fit = self._fit(step, unit, unit.domain)
            if fit is not None and self._settles(unit, {*unit.operands, *sources}, unit.readers):
                self._add(unit, fit)
                return unit
        return None

    def _started(self, step: Step) -> _Unit:
        step = replace(step, attrs=concrete_attrs(step.attrs, self.lengths))
        domain = squeezed(self._walked(step))
        unit = self._new_unit(domain)
        unit.begins = self._kind(step) if domain else ()
        if Trait.REDUCES in step.op.traits:
            self._add(unit, self._reduced(step, len(domain), 0, unit, domain))
        else:
            self._add(unit, _Fit(Statement(step, len(domain), 0), None))
        return unit

    def _kind(self, step: Step) -> tuple[str, ...]:
        """Name a step's operation, and those that give its operands."""
        makers = (self.statements.get(self._base(number)) for number in step.reads)
        return (step.op.name, *("" if own is None else own.step.op.name for own in makers))

    def _new_unit(self, domain: tuple[int, ...] | None) -> _Unit:
        self.last += 1.0
        unit = _Unit(self.last, domain)
        self.units.append(unit)
        return unit

    def _add(self, unit: _Unit, fit: _Fit) -> None:
        unit.outer = fit.outer
        unit.statements.append(fit.statement)
        unit.weight += _weight(fit.statement.step, unit.domain or ())
        self.statements[fit.statement.number] = fit.statement

    def _unit(self, number: int) -> _Unit:
        return _found(self.unit_of[number])

    def _shape(self, number: int) -> tuple[int, ...]:
        shape = self.shapes[number]
        assert shape is not None, "what has no shape yet is in no kernel"
        return shape

    def _spec(self, number: int) -> Spec:
        return Spec(self._shape(number), self.specs[number].dtype)

    def _bytes(self, number: int) -> int:
        return prod(self._shape(number)) * self.specs[number].dtype.itemsize

    def _walked(self, step: Step) -> tuple[int, ...]:
        """Give the shape that a step goes through: of its result, or of what it reduces."""
        is_reduction = Trait.REDUCES in step.op.traits
        return self._shape(step.reads[0] if is_reduction else step.writes[0])

    # Whether a step can be a statement of a unit.

    def _fit(self, step: Step, unit: _Unit, domain: tuple[int, ...]) -> _Fit | None:
        own = squeezed(self._walked(step))
        depth = len(own)
        if own != domain and (depth != unit.outer or own != domain[:depth]):
            return None
        stage = 0
        for number in step.reads:
            if number in self.unit_of and self._unit(number) is unit:
                source = self._inner(number)
                if source is None or not self._lines_up(number, source, step):
                    return None
                stage = max(stage, source.stage)
        if not self._can_wait(step, stage, unit):
            return None
        if Trait.REDUCES in step.op.traits:
            return self._reduced(step, depth, stage, unit, domain)
        return _Fit(Statement(step, depth, stage), unit.outer)

    def _inner(self, number: int) -> Statement | None:
        """Give the statement whose result a number shows, element by element in its order."""
        while number in self.views:
            view = self.views[number]
            shapes = squeezed(self._shape(view.reads[0])), squeezed(self._shape(number))
            if Trait.KEEPS_ORDER not in view.op.traits or shapes[0] != shapes[1]:
                return None
            number = view.reads[0]
        return self.statements.get(number)

    def _lines_up(self, number: int, source: Statement, step: Step) -> bool:
        """Whether a step, at each place of the nest, reads what a statement made at that place."""
        if source.kept is not None:
            return False
        axes = axes_within(self._shape(number), self._walked(step))
        return axes == tuple(range(source.depth))

    def _can_wait(self, step: Step, stage: int, unit: _Unit) -> bool:
        """Whether what a step reads from earlier stages is little enough to be kept for a row."""
        for number in step.reads:
            source = self._inner(number) if number in self.unit_of else None
            if source is None or self._unit(number) is not unit or source.stage == stage:
                continue
            assert unit.domain is not None
            row = prod(unit.domain[unit.outer or 0 :]) if source.depth == len(unit.domain) else 0
            if row * self.specs[source.number].dtype.itemsize > self.terms.row_bytes:
                return False
        return True

    def _reduced(
        self, step: Step, depth: int, stage: int, unit: _Unit, domain: tuple[int, ...]
    ) -> _Fit:
        """Give a reduction's statement: one value a row where it can be, else a final one."""
        shape = self._walked(step)
        long = [i for i, length in enumerate(shape) if length != 1]
        gone = [place for place, i in enumerate(long) if i in step.attrs["axes"]]
        if not gone:
            return _Fit(Statement(step, depth, stage), unit.outer)
        first = gone[0]
        is_row = depth == len(domain) and gone == [*range(first, depth)] and first > 0
        if self.terms.keeps_rows and is_row:
            itemsize = self.specs[step.reads[0]].dtype.itemsize
            is_row = prod(domain[first:]) * itemsize <= self.terms.row_bytes
        if is_row and unit.outer in (None, first):
            return _Fit(Statement(step, first, stage + 1), first)
        kept = tuple(axis for axis in range(depth) if axis not in gone)
        return _Fit(Statement(step, depth, stage, kept), unit.outer)

    # The order of units.

    def _settles(self, unit: _Unit, operands: Iterable[_Unit], readers: Iterable[_Unit]) -> bool:
        """Put a unit between what it reads and what reads it; False where there is no place."""
        low = max((u.position for u in map(_found, operands) if u is not unit), default=0.0)
        low = max(low, self.ends[-1])
        high = min((u.position for u in map(_found, readers) if u is not unit), default=_NEVER)
        if low < unit.position < high:
            return True
        if high == _NEVER:
            self.last += 1.0
            unit.position = self.last
            return True
        middle = (low + high) / 2
        if not low < middle < high:
            return False
        unit.position = middle
        return True

    def _merge(self, first: _Unit, second: _Unit) -> None:
        """Make one unit of two over the same domain, where what they read of each other allows."""
        first, second = _found(first), _found(second)
        if first is second or first.domain is None or first.domain != second.domain:
            return
        if first.position < self.ends[-1]:
            return
        if first.weight + second.weight > MOST_STATEMENTS:
            return
        is_long = max(first.weight, second.weight) >= _MANY_STATEMENTS
        if is_long and first.begins and first.begins == second.begins:
            return
        outer = first.outer if second.outer is None else second.outer
        if first.outer not in (None, outer):
            return
        both = {first, second}
        operands = {_found(unit) for unit in first.operands | second.operands} - both
        readers = {_found(unit) for unit in first.readers | second.readers} - both
        low = max((unit.position for unit in operands), default=0.0)
        low = max(low, self.ends[-1])
        high = min((unit.position for unit in readers), default=_NEVER)
        positions = [p for p in (second.position, first.position) if low < p < high]
        if not positions:
            return
        if not (self._is_open(first, second) and self._is_open(second, first)):
            return
        second.position = positions[0]
        second.statements += first.statements
        second.weight += first.weight
        second.outer = outer
        second.operands, second.readers = operands, readers
        first.merged = second

    def _is_open(self, reader: _Unit, other: _Unit) -> bool:
        """Whether all that one unit reads of another could be read in the same nest."""
        for statement in reader.statements:
            for number in statement.step.reads:
                if number not in self.unit_of or self._unit(number) is not other:
                    continue
                source = self._inner(number)
                if source is None or not self._lines_up(number, source, statement.step):
                    return False
                if source.stage or statement.stage:
                    return False
        return True

    # What comes out.

    def frozen(self) -> Schedule:
        """Give the schedule of kernels and other steps, each view right before its first use."""
        units = sorted(
            (unit for unit in self.units if unit.merged is None), key=lambda unit: unit.position
        )
        wanted = [number for _, number in self.schedule.updates]
        for section in self.schedule.sections:
            wanted += [*section.outputs, *section.kept]
        stored = {self._base(number) for number in wanted}
        for unit in units:
            stored.update(self._base(number) for number in self._outside(unit))
        steps: list[Step] = []
        sections: list[Section] = []
        shown: set[int] = set()
        for position, section in enumerate(self.schedule.sections):
            first, last = self.ends[position : position + 2]
            for unit in (unit for unit in units if first < unit.position < last):
                for number in self._outside(unit):
                    steps += self._views_to(number, shown)
                if unit.domain is None:
                    steps += unit.steps
                elif any(statement.number in stored for statement in unit.statements):
                    kernel = self._kernel(unit, stored)
                    if self.terms.is_worth(kernel):
                        steps.append(fused_step(kernel, self.specs))
                    else:
                        steps += self._unfolded(kernel, shown)
            shown_here = [*section.outputs, *section.kept]
            if position == len(self.schedule.sections) - 1:
                shown_here = wanted
            for number in shown_here:
                steps += self._views_to(number, shown)
            sections.append(Section(section.name, len(steps), section.outputs, section.kept))
        return replace(
            self.schedule, specs=tuple(self.specs), steps=tuple(steps), sections=tuple(sections)
        )

    def _base(self, number: int) -> int:
        while number in self.views:
            number = self.views[number].reads[0]
        return number

    def _outside(self, unit: _Unit) -> list[int]:
        """List what a unit reads and doesn't make itself."""
        if unit.domain is None:
            return [number for step in unit.steps for number in step.reads]
        reads = dict.fromkeys(n for s in unit.statements for n in s.step.reads)
        return [n for n in reads if n not in self.unit_of or self._unit(n) is not unit]

    def _views_to(self, number: int, shown: set[int]) -> list[Step]:
        """List the views that lead to a number and are not there yet."""
        path: list[Step] = []
        while number in self.views and number not in shown:
            shown.add(number)
            path.append(self.views[number])
            number = self.views[number].reads[0]
        return path[::-1]

    def _unfolded(self, kernel: Kernel, shown: set[int]) -> list[Step]:
        """List the steps of a kernel one by one."""
        steps: list[Step] = []
        for statement in kernel.statements:
            for number in statement.step.reads:
                steps += self._views_to(number, shown)
            steps.append(statement.step)
        return steps

    def _kernel(self, unit: _Unit, stored: set[int]) -> Kernel:
        assert unit.domain is not None
        statements = sorted(unit.statements, key=lambda s: self.order[s.number])
        views: dict[int, Step] = {}
        for statement in statements:
            for number in statement.step.reads:
                while number in self.views and self._is_made_by(unit, number):
                    views[number] = self.views[number]
                    number = self.views[number].reads[0]
        inner = [*(s.number for s in statements), *views]
        return Kernel(
            unit.domain,
            len(unit.domain) if unit.outer is None else unit.outer,
            tuple(statements),
            tuple(replace(v, attrs=concrete_attrs(v.attrs, self.lengths)) for v in views.values()),
            tuple(s.number for s in statements if s.number in stored),
            {number: self._spec(number) for number in inner},
        )

    def _is_made_by(self, unit: _Unit, number: int) -> bool:
        return number in self.unit_of and self._unit(number) is unit


def _weight(step: Step, domain: tuple[int, ...]) -> int:
    return _FUNCTION_WEIGHT if domain and "(" in (step.op.c or "") else 1


def _found(unit: _Unit) -> _Unit:
    while unit.merged is not None:
        unit = unit.merged
    return unit
