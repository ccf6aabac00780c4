"""A kernel written as Python: one call of NumPy for each statement and block.

What a loop over blocks needs is made beforehand: the stretch of each block on each array, and views
of scratch. A reduction that reaches over blocks has a result for each part of them, and these are
combined in their order when all parts are done, so that bits depend on sizes alone. Knows
schedules, plans and arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from ..ir.op import OUT, Array, Call, In, Trait
from ..schedule.buffers import Kind, Plan, rounded
from ..schedule.kernel import Statement, kernel_of
from ..schedule.steps import Schedule, Step
from ..spec import DType, Spec
from .blocks import (
    COMBINING,
    Axes,
    divided,
    is_shared,
    most_parts,
    operand_axes,
    result_axes,
)
from .emitter import aligned
from .source import Line, function_name, is_plain
from .threads import Work, share

__all__ = ["BlockWriter"]


@dataclass(frozen=True)
class _Place:
    """A piece of scratch: as many elements as a block has on some axes of the domain."""

    number: int
    dtype: DType
    depth: int


class BlockWriter:
    """Writes a kernel as a function of a part and of a thread's place, ``function(part, place)``.

    *names* says what values are called outside the function, *bound* has those that are always the
    same arrays; *named* gives a name to a thing, *note* what is said of a step. *memory* is what
    each thread has for scratch, for all kernels; where there is too little it is replaced.
    """

    def __init__(
        self,
        step: Step,
        schedule: Schedule,
        plan: Plan,
        names: dict[int, str],
        bound: Container[int],
        named: Callable[[object, str], str],
        note: Callable[[Step], str],
        threads: int,
        memory: list[Array],
    ) -> None:
        kernel = kernel_of(step)
        assert kernel is not None, "only kernels are written block by block"
        self.kernel = kernel
        self.schedule = schedule
        self.plan = plan
        self.names = names
        self.bound = bound
        self.named = named
        self.note = note
        self.aliases = kernel.aliases
        self.statements = {s.number: s for s in kernel.statements}
        widest = max(self._dtype(s.number).itemsize for s in kernel.statements)
        self.division = divided(kernel, widest)
        finals = [self._shape(s.number) for s in kernel.statements if self._is_split(s)]
        self.parts = most_parts(kernel, self.division, finals)
        self.threads = threads if is_shared(kernel, self.division) else 1
        self.memory = memory
        self.places: list[_Place] = []
        self.free: list[_Place] = []
        self.held: dict[int, _Place] = {}
        self.pieces: dict[tuple[_Place, tuple[int, ...], Axes], str] = {}
        self.each: dict[str, tuple[object, ...]] = {}
        """What a name stands for in a full block and in a last one."""
        self.indices: dict[Axes, str] = {}
        self.stretches: dict[tuple[int, Axes], str] = {}
        self.partials: list[_Partial] = []
        self.opening: list[Line] = []
        self.body: list[Line] = []
        self.closing: list[Line] = []
        self._write()

    # Facts.

    def _shape(self, number: int) -> tuple[int, ...]:
        return self.plan.shapes[number] or ()

    def _dtype(self, number: int) -> DType:
        return self.schedule.specs[number].dtype

    def _walked(self, step: Step) -> tuple[int, ...]:
        is_reduction = Trait.REDUCES in step.op.traits
        return self._shape(step.reads[0] if is_reduction else step.writes[0])

    def _is_split(self, statement: Statement) -> bool:
        """Whether a result is put together from several blocks."""
        kept = statement.kept
        return kept is not None and any(i not in kept for i in range(self.division.axis + 1))

    # Names inside the loop.

    def _stretch(self, number: int, axes: Axes) -> str:
        """Name the part of an array that a block goes over."""
        pattern = self.division.pattern(axes)
        if not pattern:
            return self.names[number]
        key = number, pattern
        if key not in self.stretches:
            taken = sum(1 for other, _ in self.stretches if other == number)
            name = self.stretches[key] = f"c{number}" + f"_{taken}" * (taken > 0)
            self.opening.append((f"{name} = {self.names[number]}[{self._index(pattern)}]", None))
        return self.stretches[key]

    def _index(self, pattern: Axes) -> str:
        return self.indices.setdefault(pattern, f"s{len(self.indices)}")

    def _piece(self, place: _Place, shape: tuple[int, ...], axes: Axes) -> str:
        key = place, shape, axes
        if key not in self.pieces:
            self.pieces[key] = f"x{len(self.pieces)}"
        return self.pieces[key]

    def _each_named(self, things: Sequence[object], hint: str) -> str:
        name = f"{hint}{len(self.each)}"
        self.each[name] = tuple(things)
        return name

    def _operand(self, number: int, walked: tuple[int, ...]) -> str:
        base, shape = self.aliases.get(number, number), self._shape(number)
        axes = operand_axes(shape, walked)
        if base in self.held:
            return self._piece(self.held[base], shape, axes)
        if base == number or base not in self.statements:
            return self._stretch(number, axes)
        source = self.statements[base].step
        stored = self._stretch(base, result_axes(source, self._walked(source)))
        shapes = self._each_named(self.division.shapes(shape, axes), "h")
        self.body.append((f"d{number} = {stored}.reshape({shapes})", None))
        return f"d{number}"

    # Statements.

    def _write(self) -> None:
        last = {
            self.aliases.get(number, number): index
            for index, statement in enumerate(self.kernel.statements)
            for number in statement.step.reads
        }
        for index, statement in enumerate(self.kernel.statements):
            step, walked = statement.step, self._walked(statement.step)
            operands = {number: self._operand(number, walked) for number in step.reads}
            dying = [n for n in self.held if last.get(n, index) <= index]
            for number in [n for n in dying if self._may_go(n, statement)]:
                dying.remove(number)
                self.free.append(self.held.pop(number))
            target = self._target(statement, last, index)
            self.body += self._lines(statement, operands, target)
            self.free += [self.held.pop(number) for number in dying]

    def _may_go(self, number: int, statement: Statement) -> bool:
        """Whether a statement may write its result over an operand that dies in it."""
        step = statement.step
        return statement.kept is None and all(
            place in step.op.reusable and self._shape(read) == self._shape(statement.number)
            for place, read in enumerate(step.reads)
            if self.aliases.get(read, read) == number
        )

    def _target(self, statement: Statement, last: dict[int, int], index: int) -> str:
        number = statement.number
        axes = result_axes(statement.step, self._walked(statement.step))
        if self._is_split(statement):
            return f"q{number}"
        if number in self.kernel.stored and not self._is_read_later(number, last, index):
            return self._stretch(number, axes)
        place = self._taken(self._dtype(number), statement.depth)
        self.held[number] = place
        name = self._piece(place, self._shape(number), axes)
        if number in self.kernel.stored:
            copy = self.named(np.copyto, "copyto")
            self.closing.append((f"{copy}({self._stretch(number, axes)}, {name})", None))
            last[number] = len(self.kernel.statements)
        return name

    def _is_read_later(self, number: int, last: dict[int, int], index: int) -> bool:
        """Whether what lies where a result goes is still to be read: the old value of a cell."""
        storage = self.plan.storage[number]
        return storage.kind is Kind.VIEW and last.get(storage.base, -1) > index

    def _taken(self, dtype: DType, depth: int) -> _Place:
        for place in reversed(self.free):
            if place.dtype == dtype and place.depth == depth:
                self.free.remove(place)
                return place
        self.places.append(_Place(len(self.places), dtype, depth))
        return self.places[-1]

    def _lines(self, statement: Statement, operands: dict[int, str], target: str) -> list[Line]:
        step, number = statement.step, statement.number
        axes = result_axes(step, self._walked(step))
        gives = self.division.shapes(self._shape(number), axes)
        walked = self._walked(step)
        given = [
            [
                Spec(shape, self._dtype(n))
                for shape in self.division.shapes(
                    self._shape(n), operand_axes(self._shape(n), walked)
                )
            ]
            for n in step.reads
        ]
        calls = [
            step.op.bound_call(tuple(specs), Spec(shape, self._dtype(number)), step.attrs)
            for *specs, shape in zip(*given, gives, strict=True)
        ]
        text = self._call_text(calls, step, operands, target)
        if not self._is_split(statement):
            return [(f"{text}{self.note(step)}", step)]
        each = _Partial(statement, self.division.pattern(axes))
        self.partials.append(each)
        place = self._taken(self._dtype(number), -1 - len(self.partials))
        piece = self._piece(place, self._shape(number), axes)
        ufunc = self._combining(statement)
        return [
            (f"q{number} = p{number} if n{number} else {piece}", None),
            (f"{text}{self.note(step)}", step),
            (f"if not n{number}: {ufunc}(p{number}, {piece}, out=p{number})", step),
        ]

    def _combining(self, statement: Statement) -> str:
        ufunc = COMBINING[statement.step.op.name]
        return self.named(ufunc, ufunc.__name__)

    def _call_text(
        self, calls: Sequence[Call], step: Step, operands: dict[int, str], target: str
    ) -> str:
        """Write a call; what depends on the length of a block goes by a name of its own."""
        texts = []
        for each in zip(*(call.arguments for call in calls), strict=True):
            if isinstance(each[0], In):
                texts.append(operands[step.reads[each[0].index]])
            elif each[0] is OUT:
                texts.append(target)
            elif is_plain(each[0]):
                texts.append(repr(each[0]))
            else:
                texts.append(self._given(each, "k"))
        if calls[0].out_by_name:
            texts.append(f"out={target}")
        functions = [call.function for call in calls]
        function = self._given(functions, function_name(functions[0], step))
        return f"{function}({', '.join(texts)})"

    def _given(self, things: Sequence[object], hint: str) -> str:
        """Name what a call for a full block has, and one for a last block."""
        first = things[0]
        is_array = isinstance(first, np.ndarray)
        if all(other is first or (not is_array and other == first) for other in things):
            return self.named(first, hint)
        return self._each_named(things, "k")

    # What comes out.

    def function(self) -> tuple[str, list[Line]]:
        """Give the arguments and the lines of the function."""
        fields = ["last", *self.indices.values()]
        for each in self.partials:
            fields += [f"p{each.number}", f"n{each.number}"]
        pieces = [*self.pieces.values(), *self.each]
        scratch = self.named(self._scratch(), "scratch")
        blocks = self.named(self._blocks(), "blocks")
        lines: list[Line] = [(f"for {_several(fields)} in {blocks}[part]:", None)]
        if pieces:
            lines.append((f"    {_several(pieces)} = {scratch}[place][last]", None))
        lines += [
            ("    " + line, step) for line, step in (*self.opening, *self.body, *self.closing)
        ]
        return ", ".join(("part", "place", *self.arguments)), lines

    @property
    def arguments(self) -> list[str]:
        """The names of the arrays that calls bring along."""
        numbers = dict.fromkeys((*self.kernel.reads, *self.kernel.stored))
        return [self.names[n] for n in numbers if n not in self.bound]

    def work(self, name: str) -> str:
        """Write the work that threads of the pool do when updates are written."""
        return f"{self.named(Work, 'Work')}({self._parts_given(name)})"

    def _parts_given(self, name: str) -> str:
        return ", ".join((name, str(self.parts), str(self.threads), *self.arguments))

    def run_lines(self, name: str) -> list[Line]:
        """Write the run of all parts, and what is left to do then."""
        if self.threads > 1 and self.parts > 1:
            shared = f"{self.named(share, 'share')}({self._parts_given(name)})"
            lines: list[Line] = [(shared, None)]
        else:
            lines = [
                (f"for part in range({self.parts}):", None),
                (f"    {name}({', '.join(('part', '0', *self.arguments))})", None),
            ]
        for each in self.partials:
            pieces = self.named(each.pieces, f"parts{each.number}")
            ufunc = self._combining(each.statement)
            combined = self.named(_combine, "combine")
            result = self.names[each.number]
            lines.append((f"{combined}({result}, {ufunc}, {pieces})", each.statement.step))
        return lines

    def _blocks(self) -> list[list[tuple[Any, ...]]]:
        """Give the blocks of each part: what the loop's names stand for."""
        for each in self.partials:
            shape, dtype = self._shape(each.number), self._dtype(each.number)
            each.results = np.empty((self.parts, *shape), dtype)
        found, kinds = [], len(self.division.lengths) - 1
        for part in range(self.parts):
            blocks = []
            for block in self.division.part(part, self.parts):
                fields: list[Any] = [kinds if self.division.is_last(block) else 0]
                fields += [self.division.slices(pattern, block) for pattern in self.indices]
                for each in self.partials:
                    fields += each.piece(part, self.division.slices(each.pattern, block))
                blocks.append(tuple(fields))
            found.append(blocks)
        return found

    def _scratch(self) -> list[list[tuple[object, ...]]]:
        """Give, for each thread, what the names of scratch stand for in full and last blocks."""
        shapes = [self.division.shapes(shape, axes) for _, shape, axes in self.pieces]
        sizes: dict[_Place, int] = {}
        for (place, _, _), (full, *_) in zip(self.pieces, shapes, strict=True):
            sizes[place] = max(prod(full) * place.dtype.itemsize, sizes.get(place, 0))
        starts = dict(zip(sizes, accumulate(map(rounded, sizes.values()), initial=0), strict=False))
        needed = sum(map(rounded, sizes.values()))
        found = []
        for thread in range(self.threads):
            if thread == len(self.memory):
                self.memory.append(aligned(needed))
            if self.memory[thread].size < needed:
                self.memory[thread] = aligned(needed)
            arena = self.memory[thread].data
            found.append(
                [
                    (
                        *(
                            np.ndarray(own[kind], place.dtype, arena, starts[place])
                            for (place, _, _), own in zip(self.pieces, shapes, strict=True)
                        ),
                        *(things[kind] for things in self.each.values()),
                    )
                    for kind in range(len(self.division.lengths))
                ]
            )
        return found


def _several(names: Sequence[str]) -> str:
    """Write names that a tuple is taken apart into."""
    return ", ".join(names) if len(names) > 1 else f"{names[0]},"


class _Partial:
    """A reduction over blocks: a result for each part, and what is put together in the end."""

    def __init__(self, statement: Statement, pattern: Axes) -> None:
        self.statement = statement
        self.number = statement.number
        self.pattern = pattern
        self.results: Array = np.empty(0)
        self.pieces: list[tuple[Any, Array, bool]] = []
        self._seen: set[str] = set()
        self._part = -1
        self._regions: dict[str, Array] = {}

    def piece(self, part: int, slices: Any) -> tuple[Array, bool]:
        """Give where a block puts its result, and whether it is the part's first one there."""
        if part != self._part:
            self._part, self._regions = part, {}
        # Slices have no hash in older interpreters.
        key = repr(slices)
        is_first = key not in self._regions
        if is_first:
            region = (*slices, ...) if isinstance(slices, tuple) else (slices, ...)
            self._regions[key] = self.results[part][region]
            self.pieces.append((region, self._regions[key], key not in self._seen))
            self._seen.add(key)
        return self._regions[key], is_first


def _combine(result: Array, ufunc: np.ufunc, pieces: Sequence[tuple[Any, Array, bool]]) -> None:
    """Put together what the parts have given, in their order."""
    for region, piece, is_first in pieces:
        target = result[region]
        if is_first:
            np.copyto(target, piece)
        else:
            ufunc(target, piece, out=target)
