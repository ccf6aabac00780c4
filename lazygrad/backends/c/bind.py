"""Bind schedules to machine code: for calls that bring arrays along, or to arrays for good.

Knows schedules, plans and arrays; how a schedule is driven is for the emitter.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from ...ir.cell import Cell
from ...ir.op import Array
from ...schedule.buffers import Kind, Plan, plan as make_plan
from ...schedule.native import native_schedule
from ...schedule.steps import Schedule, Section, Step
from ..executable import Executable
from ..source import Line
from .emitter import HEAD, SegmentEmitter
from .scans import loop_function
from .text import Layout
from .toolchain import CompilerError, Toolchain, find_toolchain
from .unit import ENTRIES, comment

__all__ = ["bind", "bind_arrays"]


def bind(
    schedule: Schedule,
    plan: Plan,
    cells: Sequence[Cell],
    threads: int = 1,
    *,
    feeds_kept: bool = False,
    timed: bool = False,
) -> Executable:
    """Fuse the steps of a schedule, compile them, and bind them to arrays.

    Long loops are shared among *threads*; what they compute doesn't depend on how many these are. A
    *timed* executable adds up the seconds of each step as it runs.
    Raises CompilerError where there is no machine code to be had.
    """
    fused, placed, toolchain = _prepared(schedule, plan)
    emitter = SegmentEmitter(
        fused, placed, cells, toolchain, loop_function, threads, feeds_kept, timed
    )
    return emitter.executable()


def bind_arrays(
    schedule: Schedule,
    plan: Plan,
    cells: Sequence[Cell],
    feeds: Mapping[int, Array],
    outputs: Sequence[Array],
    threads: int = 1,
) -> tuple[Callable[[], object], Executable, list[Step]]:
    """Bind a schedule to arrays for its feeds and outputs, which it reads and fills in each run.

    Gives what runs it, as long as the executable is there too, and the steps that it leaves to
    Python. Raises CompilerError where there is no machine code to be had.
    """
    fused, placed, toolchain = _prepared(schedule, plan)
    emitter = _ArrayEmitter(fused, placed, cells, toolchain, feeds, outputs, threads)
    executable = emitter.executable()
    run = emitter.entry(executable) if emitter.is_one_call else executable.sections["run"]
    return run, executable, emitter.python_steps


def _prepared(schedule: Schedule, plan: Plan) -> tuple[Schedule, Plan, Toolchain]:
    if not _is_known_layout():
        raise CompilerError("this interpreter's arrays don't lie in memory as NumPy's do elsewhere")
    toolchain = find_toolchain()
    fused = native_schedule(schedule, plan)
    # Kernels write cells themselves only where all memory is planned.
    is_planned = None not in plan.shapes
    return fused, make_plan(fused, plan.lengths, feeds_apart=is_planned), toolchain


def _is_known_layout() -> bool:
    """Whether arrays in tuples, and the addresses in their heads, are where compiled code reads."""
    array = np.zeros(3)
    arrays = (array,)
    if ctypes.c_void_p.from_address(id(arrays) + tuple.__basicsize__).value != id(array):
        return False
    found = ctypes.c_void_p.from_address(id(array) + HEAD).value
    flags = ctypes.c_int.from_address(id(array) + HEAD + 48).value
    return found == array.ctypes.data and flags & 0x501 == 0x501


class _ArrayEmitter(SegmentEmitter):
    """Writes a run without arguments and results, over arrays that are always the same."""

    def __init__(
        self,
        schedule: Schedule,
        plan: Plan,
        cells: Sequence[Cell],
        toolchain: Toolchain,
        feeds: Mapping[int, Array],
        outputs: Sequence[Array],
        threads: int,
    ) -> None:
        super().__init__(schedule, plan, cells, toolchain, loop_function, threads)
        self.takes_feeds = False
        self.given = dict(feeds)
        self.copied: list[tuple[int, Array]] = []
        """Values that are copied out at the end: those without axes have no output of their own."""
        for number, array in zip(schedule.sections[0].outputs, outputs, strict=True):
            if plan.storage[number].kind is Kind.OUTPUT and number not in self.given:
                self.given[number] = array
            else:
                self.copied.append((number, array))
        self.is_one_call = False

    def _bind_leaves(self) -> None:
        super()._bind_leaves()
        for number, array in self.given.items():
            self._bind(number, array)

    def _write_section(self, section: Section, start: int, is_last: bool) -> None:
        lines = [*self._body(start, section.stop), *self._commit_lines()]
        self.is_one_call = len(lines) == len(self.segments) == 1 and not self.schedule.updates
        self._function(section.name, "", lines or [("pass", None)])
        if self.is_one_call:
            self.unit.entries("segment_0")

    def entry(self, executable: Executable) -> Callable[[], object]:
        """Give the one call that there is: without an argument, if such an entry is free."""
        built, table = self.built, self.namespace["table"]
        assert built is not None, "there is a segment"
        functions = built.held if self._is_short() else built.free
        try:
            place = built.entries.pop()
        except IndexError:
            segment = functions.segment_0
            return partial(segment, table)
        tables = (ctypes.c_void_p * ENTRIES).in_dll(built.free, "tables")
        tables[place] = table
        weakref.finalize(executable, built.entries.append, place)
        run: Callable[[], object] = getattr(functions, f"entry_{place}")
        # It can't fail, so it has nothing to say.
        run.restype = None  # type: ignore[attr-defined]
        return run

    def _body(self, start: int, stop: int) -> list[Line]:
        body = super()._body(start, stop)
        for number, array in self.copied:
            if number in self.layouts:
                source = self.layouts[number]
                base = self._entry(-2 - number, array)
                to = self.unit.address(
                    Layout(base, 0, array.shape, (1,) * array.ndim, array.dtype), True
                )
                origin = self.unit.address(source, False)
                self.pending += [comment("result"), f"memmove({to}, {origin}, {array.nbytes});"]
            else:
                target = self._named(array, "result")
                body += [*self._segment_lines(), (f"{target}[...] = {self.names[number]}", None)]
        return body
