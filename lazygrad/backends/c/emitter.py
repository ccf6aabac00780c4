"""Segments, and the Python between them: how a schedule with kernels is driven.

Steps that have a C form are gathered into segments, each one call; what has none are Python steps
between them, written as the NumPy backend writes them. Updates are written by the last segment.
Knows schedules, plans and arrays.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from ...ir.cell import Cell
from ...ir.compute import concrete_attrs
from ...ir.op import Array, Trait
from ...schedule.buffers import Kind, Plan
from ...schedule.kernel import kernel_of
from ...schedule.steps import Schedule, Section, Step
from ..emitter import aligned
from ..executable import Executable
from ..numpy import NumpyEmitter
from ..source import Line
from .cache import Library, libraries
from .loops import kernel_function
from .moves import move_function
from .pool import parts_runner, pool_source
from .products import product_function, product_kernel_function
from .text import Function, Layout, indented, literal
from .toolchain import Toolchain
from .unit import NOT_FIT, RESERVED, Unit, comment
from .windows import window_function

__all__ = ["HEAD", "SegmentEmitter", "WriteLoop"]

WriteLoop: TypeAlias = "Callable[[Step, SegmentEmitter], Function | None]"
"""Writes a loop as a function; its body has an emitter of its own."""

HEAD = object.__basicsize__
"""Where the facts of an array begin in its object."""

# Less memory than this is gone through in about 20 us.
_SHORT_BYTES = 1 << 18

_NOW = """\
#include <time.h>

static double now(void) {
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}"""


def _copied(array: Array) -> Array:
    return np.array(array, order="C", copy=True)


def _fail(
    schedule: Schedule, plan: Plan, bound: dict[int, Array], index: int, brought: dict[int, Array]
) -> None:
    """Run a step that failed in C once more on NumPy, which says why."""
    arrays = {**bound, **brought}
    step = schedule.steps[index]
    for view in (earlier for earlier in schedule.steps[:index] if earlier.is_view):
        if view.reads[0] in arrays:
            attrs = concrete_attrs(view.attrs, plan.lengths)
            arrays[view.writes[0]] = view.op.kernel(arrays[view.reads[0]], **attrs)
    out = tuple(np.empty(plan.shapes[n] or (), schedule.specs[n].dtype) for n in step.writes)
    operands = [arrays[read] for read in step.reads]
    attrs = concrete_attrs(step.attrs, plan.lengths)
    step.op.kernel(*operands, out=out if step.several else out[0], **attrs)


class SegmentEmitter(NumpyEmitter):
    """Writes segments, and the steps between them."""

    def __init__(
        self,
        schedule: Schedule,
        plan: Plan,
        cells: Sequence[Cell],
        toolchain: Toolchain,
        write_loop: WriteLoop,
        threads: int,
        feeds_kept: bool = False,
        timed: bool = False,
    ) -> None:
        super().__init__(schedule, plan, cells, feeds_kept, timed)
        self.threads = threads
        self.write_loop = write_loop
        self.python_steps: list[Step] = []
        self.looped = False
        self.toolchain = toolchain
        self.unit = Unit(HEAD, toolchain.vector_bytes)
        self.bases: list[Array | None] = [None] * RESERVED
        self.clock = self._add_clock() if timed else ""
        self.base_of: dict[int, str] = {}
        self.arena_bytes = plan.arena_bytes
        self.shown: dict[int, Array] = {}
        self.layouts: dict[int, Layout] = {}
        self.literals: dict[int, str] = {}
        self.segments: list[tuple[str, bool]] = []
        self.pending: list[str] = []
        self.built: Library | None = None
        self.can_fail = False
        """Whether something in the pending lines can."""
        self.is_last = True
        self.handed: list[int] = []
        """What has been handed over by callers of the sections written so far."""
        self.brought: list[int] = []
        """What the section that is being written takes from its caller, until a segment has it."""

    # Where values lie.

    def _bind_leaves(self) -> None:
        """Bind what the NumPy backend binds."""
        super()._bind_storage()

    def _bind_storage(self) -> None:
        self._bind_leaves()
        self.arena = self._arena_start()
        for number in [*self.arrays, *self._handed_over()]:
            self._show(number, self.arrays.get(number))
        for index, step in enumerate(self.schedule.steps):
            if step.is_view and step.reads[0] in self.shown:
                if step.reads[0] in self.arrays:
                    self._view_lines(step)
                    self._show(step.writes[0], self.arrays.get(step.writes[0]))
                else:
                    attrs = concrete_attrs(step.attrs, self.plan.lengths)
                    source = self.shown[step.reads[0]]
                    self._show(step.writes[0], step.op.kernel(source, **attrs))
            elif index in self.deferred:
                for number in step.writes:
                    self._show(number, self.arrays[self.plan.storage[number].base])
            elif self._is_fixed(step):
                self._compute_now(step)
                self._show(step.writes[0], self.arrays[step.writes[0]])

    def _arena_start(self) -> int:
        for number, storage in enumerate(self.plan.storage):
            if storage.kind is Kind.SLOT:
                return self.arrays[number].ctypes.data - storage.offset
        return 0

    def _handed_over(self) -> list[int]:
        """List the values whose arrays each call brings along."""
        kinds = (Kind.FEED, Kind.OUTPUT)
        storage = enumerate(self.plan.storage)
        return [n for n, s in storage if s.kind in kinds and n not in self.arrays]

    def _show(self, number: int, array: Array | None) -> None:
        """Note where a value lies; for what a call brings, an array of its form stands."""
        if array is None:
            array = np.empty(self.plan.shapes[number] or (), self.schedule.specs[number].dtype)
        self.shown[number] = array
        if number in self.fixed and array.size == 1:
            self.literals[number] = literal(array)
        base, start = self._base(number)
        offset = array.ctypes.data - start
        strides = tuple(stride // array.itemsize for stride in array.strides)
        self.layouts[number] = Layout(base, offset, array.shape, strides, array.dtype)

    def _base(self, number: int) -> tuple[str, int]:
        """Give a value's base as C, and its address for now."""
        storage = self.plan.storage[number]
        if storage.kind is Kind.VIEW:
            return self._base(storage.base)
        if storage.kind is Kind.SLOT and number not in self.fixed:
            return self._entry(-1, None), self.arena
        brought = number not in self.arrays
        return (
            self._entry(number, None if brought else self.arrays[number]),
            self.shown[number].ctypes.data,
        )

    def _entry(self, key: int, array: Array | None) -> str:
        """Give the entry of the table for what is known by a key."""
        if key not in self.base_of:
            self.base_of[key] = f"at[{len(self.bases)}]"
            self.bases.append(array)
        return self.base_of[key]

    def held(self, memory: int | Array | None) -> str:
        """Give an entry for memory of its own, of so many bytes, or for an array."""
        self.bases.append(aligned(memory) if isinstance(memory, int) else memory)
        return f"at[{len(self.bases) - 1}]"

    # What is written.

    def executable(self) -> Executable:
        """Write the section and the unit, compile both, and fill the table."""
        executable = super().executable()
        # What a call brings along was here for its form alone.
        self.shown.clear()
        if not self.python_steps:
            # Machine code warns of nothing, so nothing need be kept quiet.
            executable.sections = dict(executable.functions)
        if self.segments:
            executable.source += "\n" + self.unit.code
        return executable

    def _write_sections(self) -> dict[str, str]:
        functions = super()._write_sections()
        if not self.segments:
            return functions
        is_shared = self.unit.has_parts and self.threads > 1
        sources = [self.unit.text, pool_source()] if is_shared else [self.unit.text]
        built = self.built = libraries(sources, self.toolchain)[0]
        table = np.zeros(len(self.bases), np.uintp)
        for i, array in enumerate(self.bases):
            table[i] = 0 if array is None else array.ctypes.data
        if -1 in self.base_of:
            table[int(self.base_of[-1][3:-1])] = self.arena
        if is_shared:
            table[:RESERVED] = parts_runner(self.toolchain), self.threads
        # The calls know addresses only; what these belong to must stay.
        self.namespace["held"] = (table, self.bases)
        self.namespace["table"] = table.ctypes.data
        self.namespace["copied"] = _copied
        functions_of = built.held if self._is_short() else built.free
        for name, takes_arrays in self.segments:
            segment = getattr(functions_of, name)
            segment.argtypes = (ctypes.c_void_p,) * (1 + takes_arrays)
            self.namespace[name] = segment
        return functions

    def _is_short(self) -> bool:
        """Whether a call is over before another thread could make use of the interpreter."""
        if self.unit.has_parts:
            return False
        touched = sum(self.plan.bytes_of(self.schedule, n) for n in range(len(self.plan.storage)))
        return touched < _SHORT_BYTES

    def _write_section(self, section: Section, start: int, is_last: bool) -> None:
        made = {n for step in self.schedule.steps[start : section.stop] for n in step.writes}
        if self.takes_feeds and start == 0:
            made.update(number for _, number in self.schedule.feeds)
        self.brought = [n for n in self._handed_over() if n in made and n in self.base_of]
        self.handed += self.brought
        self.is_last = is_last
        super()._write_section(section, start, is_last)

    def _body(self, start: int, stop: int) -> list[Line]:
        body: list[Line] = []
        functions = {index: self._function_of(index) for index in range(start, stop)}
        seen = self._seen_by_python(functions)
        for index, function in functions.items():
            step = self.schedule.steps[index]
            if index in self.deferred or self._is_known(step):
                continue
            if step.is_view:
                if step.writes[0] in seen:
                    body += self._view_lines(step)
            elif function is not None:
                self.pending += self._timed_call(function, step, index)
                self.can_fail |= function.can_fail
            else:
                self.python_steps.append(step)
                body += [*self._segment_lines(), *self._clocked(index, self._step_lines(step))]
        # The last segment of all writes the updates too.
        return body if self.is_last else [*body, *self._segment_lines()]

    def _add_clock(self) -> str:
        """Give the entry of the seconds that steps take, which C and Python add to."""
        seconds = np.zeros(len(self.schedule.steps))
        self.seconds = seconds
        self.unit.add_helper("now", _NOW)
        return self.held(seconds)

    def _timed_call(self, function: Function, step: Step, index: int) -> list[str]:
        """Write the call of a step's function, between two looks at the clock if it is timed."""
        lines = self.unit.call(function, self.layouts, self._said(step), index)
        if not self.timed:
            return lines
        self.clocked.add(index)
        stop = f"((double *){self.clock})[{index}] += now() - began;"
        return ["{", *indented(["double began = now();", *lines, stop]), "}"]

    def _is_known(self, step: Step) -> bool:
        return not step.is_view and step.writes[0] in self.fixed

    def _function_of(self, index: int) -> Function | None:
        """Write a step as a C function; None where it has no form, or memory that isn't planned."""
        step = self.schedule.steps[index]
        if step.is_view or any(
            number not in self.layouts for number in (*step.reads, *step.writes)
        ):
            return None
        kernel = kernel_of(step)
        if kernel is not None and kernel.product is not None:
            return product_kernel_function(
                kernel, self.layouts, self.literals, self.toolchain.vector_bytes
            )
        if kernel is not None:
            return kernel_function(kernel, self.layouts, self.literals)
        if step.op.name == "matmul":
            return product_function(step, self.layouts, self.toolchain.vector_bytes)
        if Trait.LOOPS in step.op.traits:
            return self.write_loop(step, self)
        attrs = concrete_attrs(step.attrs, self.plan.lengths)
        return move_function(step, attrs, self.layouts) or window_function(
            step, attrs, self.layouts
        )

    def _seen_by_python(self, functions: dict[int, Function | None]) -> set[int]:
        """List the values that Python steps read, and what is handed out, with what they show."""
        steps = self.schedule.steps
        seen = {
            number
            for index, function in functions.items()
            if function is None and not steps[index].is_view
            for number in steps[index].reads
        }
        seen.update(n for section in self.schedule.sections for n in section.outputs)
        seen.update(number for _, number in self.schedule.updates)
        for step in reversed(steps):
            if step.is_view and step.writes[0] in seen:
                seen.add(step.reads[0])
        return seen

    def _said(self, step: Step) -> str:
        kernel = kernel_of(step)
        names = [step.op.name] if kernel is None else [s.op.name for s in kernel.steps]
        what = (
            ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])}, ... ({len(names)})"
        )
        where = "" if step.note.line is None else f", {step.note.line}"
        return f"{what}: {step.note.label}{where}"

    def _segment_lines(self) -> list[Line]:
        """End the segment that is being gathered, and call it."""
        if not self.pending:
            return []
        name = f"segment_{len(self.segments)}"
        brought, self.brought = self.brought, []
        feeds = [n for n in brought if self.plan.storage[n].kind is Kind.FEED]
        outputs = [n for n in brought if self.plan.storage[n].kind is Kind.OUTPUT]
        self.unit.segment(
            name,
            self.pending,
            [self.base_of[n] for n in feeds],
            [self.base_of[n] for n in outputs],
            self._guarded(feeds),
        )
        self.pending = []
        self.segments.append((name, bool(brought)))
        # Converting one address costs as much as making the tuple.
        given = f"given = ({''.join(f'{self.names[n]}, ' for n in (*feeds, *outputs))})"
        lines: list[Line] = [(given, None)] if brought else []
        call = f"{name}(table, id(given))" if brought else f"{name}(table)"
        can_fail, self.can_fail = self.can_fail, False
        if not feeds and not can_fail:
            return [*lines, (call, None)]
        lines.append((f"index = {call} - 1", None))
        if feeds:
            copies = "; ".join(f"{self.names[n]} = copied({self.names[n]})" for n in feeds)
            lines += [
                (f"if index == {NOT_FIT - 1}:", None),
                (f"    {copies}", None),
                (f"    {given}", None),
                (f"    index = {call} - 1", None),
            ]
        if can_fail:
            self.namespace["fail"] = partial(_fail, self.schedule, self.plan, self.arrays)
            known = ", ".join(f"{n}: {self.names[n]}" for n in self.handed)
            lines.append((f"if index >= 0: fail(index, {{{known}}})", None))
        return lines

    def _guarded(self, feeds: Sequence[int]) -> list[tuple[str, int, str, int]]:
        """Pair feeds with the cells that segments write, with the sizes of both."""
        cells = {self.schedule.cells[cell] for cell, _ in self.schedule.updates}
        return [
            (self.base_of[feed], self.shown[feed].nbytes, self.base_of[cell], array.nbytes)
            for feed in feeds
            for cell in sorted(cells)
            if (array := self.arrays[cell]).nbytes and self.shown[feed].nbytes
        ]

    def _kept_apart(self) -> list[Line]:
        """Leave it to the segments, which see where feeds lie."""
        return []

    def _commit_lines(self) -> list[Line]:
        """Write the updates: versions first, then all of them in one call."""
        functions = {index: self._function_of(index) for _, index in self.plan.direct}
        # What can fail must be over before, and so must what NumPy's updates read.
        is_split = self.can_fail or None in functions.values()
        lines = self._segment_lines() if is_split else []
        direct = {cell for cell, _ in self.plan.direct}
        left: list[str] = []
        for index, function in functions.items():
            step = self.schedule.steps[index]
            if function is not None:
                self.pending += self._timed_call(function, step, index)
                continue
            cell = next(cell for cell, own in self.plan.direct if own == index)
            left.append(f"{self._deferred_source(step, cell)}, ")
        for cell, number in self.schedule.updates:
            lines.append((f"{self._named(self.cells[cell], 'cell')}.version += 1", None))
            if cell not in direct and not self._is_copied_in(cell, number):
                self.namespace["partial"] = partial
                target = self.names[self.schedule.cells[cell]]
                left.append(f"partial({target}.__setitem__, ..., {self.names[number]}), ")
        if not left:
            return [*lines, *self._segment_lines()]
        if self.pending and self.segments:
            *before, (call, _) = self._segment_lines()
            lines += before
            left.append(f"partial({call.replace('(', ', ', 1)}, ")
        else:
            lines += self._segment_lines()
        self.namespace["call"] = partial.__call__
        return [*lines, (f"deque(map(call, ({''.join(left)})), 0)", None)]

    def _is_copied_in(self, cell: int, number: int) -> bool:
        """Copy a new value into its cell, where both lie in one piece."""
        target, source = self.layouts[self.schedule.cells[cell]], self.layouts.get(number)
        if source is None or source.dtype != target.dtype or source.shape != target.shape:
            return False
        if not (source.is_contiguous and target.is_contiguous):
            return False
        size = self.shown[number].nbytes
        to, origin = self.unit.address(target, True), self.unit.address(source, False)
        self.pending += [comment("update"), f"memmove({to}, {origin}, {size});"]
        return True
