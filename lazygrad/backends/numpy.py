"""The NumPy backend: a schedule as Python source over bound arrays and kernels.

All that can be decided once is decided in `bind`: slots become arrays, views are taken, kernels
get their attributes. What is left for a call is one line per step. Names of the user never reach
the source but as comments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from ..ir.cell import Cell
from ..ir.compute import concrete_attrs
from ..ir.op import OUT, Array, Call, In
from ..schedule.bodies import body_schedule
from ..schedule.buffers import (
    Kind,
    Plan,
    plan as make_plan,
)
from ..schedule.kernel import kernel_of
from ..schedule.steps import Schedule, Section, Step
from .block_writer import BlockWriter
from .blocks import in_blocks
from .emitter import StepEmitter
from .executable import Executable
from .loops import Loop, worded
from .source import Line
from .threads import write_together

__all__ = ["LINES_PER_FUNCTION", "LOOPED_STEPS", "NumpyEmitter", "bind"]

# Python compiles very long functions slowly, and past the second limit at all only slowly.
LINES_PER_FUNCTION = 2_000
LOOPED_STEPS = 20_000


def bind(
    schedule: Schedule,
    plan: Plan,
    cells: Sequence[Cell],
    *,
    threads: int = 1,
    feeds_kept: bool = False,
    timed: bool = False,
) -> Executable:
    """Allocate the arena, take views, and write the source of every section.

    Long work over large arrays is shared among *threads*; what is computed doesn't depend on how
    many these are. A *timed* executable adds up the seconds of each step as it runs.
    """
    # Programs alone: others are asked for every value in between.
    if not feeds_kept and len(schedule.steps) <= LINES_PER_FUNCTION:
        schedule, plan = in_blocks(schedule, plan, threads)
    return NumpyEmitter(schedule, plan, cells, feeds_kept, timed, threads=threads).executable()


class NumpyEmitter(StepEmitter):
    """Writes every step as a call of NumPy, and loops around some of them."""

    def __init__(
        self,
        schedule: Schedule,
        plan: Plan,
        cells: Sequence[Cell],
        feeds_kept: bool = False,
        timed: bool = False,
        loop: Loop | None = None,
        threads: int = 1,
    ) -> None:
        count = 0 if loop is not None else len(schedule.steps)
        has_fresh = any(storage.kind is Kind.FRESH for storage in plan.storage)
        looped = not timed and count > LOOPED_STEPS and not has_fresh
        kept = feeds_kept or count > LINES_PER_FUNCTION
        super().__init__(schedule, plan, cells, not feeds_kept, kept, looped, loop)
        self.timed = timed
        self.threads = threads
        self.scratch: list[Array] = []
        """What each thread has while kernels run: one after another, they share it."""

    def _write_sections(self) -> dict[str, str]:
        functions: dict[str, str] = {}
        start = 0
        for position, section in enumerate(self.schedule.sections):
            is_last = position == len(self.schedule.sections) - 1
            if self.loop is not None:
                self._write_loop(section, self.loop)
            else:
                self._write_section(section, start, is_last)
            functions[section.name] = section.name
            start = section.stop
        return functions

    def _write_section(self, section: Section, start: int, is_last: bool) -> None:
        feeds = [number for _, number in self.schedule.feeds] if self.takes_feeds else []
        arguments = ", ".join(f"f{number}" for number in feeds)
        entry: list[Line] = []
        if self.feeds_kept:
            # Functions that share the work find the feeds, as all else, among the globals.
            entry = [(f"np.copyto({self.names[number]}, f{number})", None) for number in feeds]
        else:
            entry = self._kept_apart()
        body = self._pool_lines(range(start, section.stop))
        if self.looped:
            body += self._loop(start, section)
        else:
            body += self._body(start, section.stop)
        tail = self._commit_lines() if is_last else []
        tail.append((f"return ({''.join(self._handed(n) + ', ' for n in section.outputs)})", None))
        size = LINES_PER_FUNCTION if self.feeds_kept else max(1, len(body))
        chunks = [body[i : i + size] for i in range(0, len(body), size)]
        if len(chunks) <= 1:
            # Among their own globals they would outlive the executable until garbage is collected.
            helpers = [f"{name}={name}" for name in self.helpers]
            arguments = ", ".join(filter(None, (arguments, *helpers)))
            self._function(section.name, arguments, [*entry, *body, *tail])
            return
        for position, chunk in enumerate(chunks):
            self._function(f"{section.name}_{position}", "", chunk)
        calls = [(f"{section.name}_{position}()", None) for position in range(len(chunks))]
        self._function(section.name, arguments, [*entry, *calls, *tail])

    def _body(self, start: int, stop: int) -> list[Line]:
        """Write the steps from *start* to *stop*, but those that are done at the end."""
        body: list[Line] = []
        for index in range(start, stop):
            step = self.schedule.steps[index]
            if index in self.deferred:
                continue
            kernel = kernel_of(step)
            if kernel is not None and kernel.product is None:
                body += self._clocked(index, self._kernel_lines(step))
            else:
                body += self._clocked(index, self._step_lines(step))
        return body

    def _kernel_lines(self, step: Step) -> list[Line]:
        writer, name = self._kernel_function(step)
        return writer.run_lines(name)

    def _kernel_function(self, step: Step) -> tuple[BlockWriter, str]:
        """Write a kernel as a function of its own, and give its name."""
        writer = BlockWriter(
            step,
            self.schedule,
            self.plan,
            self.names,
            self.arrays,
            self._named,
            self._note,
            self.threads,
            self.scratch,
        )
        name = f"kernel_{len(self.helpers)}"
        self._function(name, *writer.function())
        self.helpers.append(name)
        return writer, name

    def _kept_apart(self) -> list[Line]:
        """Copy feeds that are live arrays of updated cells, if kernels are among the updates.

        Only what is read among the updates is copied: all else has been read by then.
        """
        deferred = [self.schedule.steps[index] for index in self.deferred]
        kernels = [step for step in deferred if kernel_of(step) is not None]
        if not kernels:
            return []
        read = {number for step in kernels for number in step.reads}
        read.update(number for _, number in self.schedule.updates)
        read.update(self.plan.storage[number].base for number in (*read,))
        feeds = [number for _, number in self.schedule.feeds if number in read]
        cells = [self.names[self.schedule.cells[cell]] for cell, _ in self.schedule.updates]
        shares = self._named(np.may_share_memory, "may_share_memory") if feeds else ""
        return [
            (f"if {shares}(f{feed}, {cell}): f{feed} = f{feed}.copy()", None)
            for feed in feeds
            for cell in cells
        ]

    def _write_loop(self, section: Section, loop: Loop) -> None:
        steps: list[Line] = [(line, None) for line in loop.first()]
        for step in self.schedule.steps:
            steps += self._step_lines(step)
        steps += [(line, None) for line in loop.last(self.names)]
        body: list[Line] = [(line, None) for line in loop.before()]
        body += [("    " + line, step) for line, step in steps or [("pass", None)]]
        body += [(line, None) for line in loop.after()]
        self._function(section.name, loop.arguments, body)

    def _clocked(self, index: int, lines: list[Line]) -> list[Line]:
        if not self.timed or not lines:
            return lines
        self.clocked.add(index)
        # The two lines may come to stand in different functions.
        self.per_call.add("began")
        self.namespace["clock"] = perf_counter
        self.namespace["seconds"] = self.seconds
        stop = (f"seconds[{index}] += clock() - began", None)
        return [("began = clock()", None), *lines, stop]

    def _loop_call(self, step: Step) -> Call:
        """Bind the body of a loop, and give the loop around it as a kernel."""
        attrs = concrete_attrs(step.attrs, self.plan.lengths)
        loop = Loop(
            body_schedule(attrs["body"], attrs["carries"]),
            attrs["carries"],
            attrs["xs"],
            len(step.reads),
            attrs["length"],
            attrs["reverse"],
        )
        lengths = dict(zip(attrs["names"], attrs["lengths"], strict=True))
        schedule = loop.body.schedule
        plan = make_plan(schedule, lengths)
        executable = NumpyEmitter(schedule, plan, (), False, False, loop).executable()
        run = worded(executable.functions["run"], executable.failure)
        return Call(run, (*(In(i) for i in range(len(step.reads))), OUT))

    def _commit_lines(self) -> list[Line]:
        """Write the updates: versions first, then all of them inside one C call.

        No bytecode runs between two updates, so an interrupt is raised when they are done.
        """
        if not self.schedule.updates:
            return []
        lines: list[Line] = []
        direct = dict(self.plan.direct)
        bound: list[Callable[[], object]] = []
        pieces: list[str] = []
        works: dict[int, str] = {}
        for cell, number in self.schedule.updates:
            lines.append((f"{self._named(self.cells[cell], 'cell')}.version += 1", None))
            step = self.schedule.steps[direct[cell]] if cell in direct else None
            if step is not None and kernel_of(step) is not None:
                if direct[cell] not in works:
                    works[direct[cell]] = self._work(step)
            elif step is not None and all(read in self.arrays for read in step.reads):
                bound.append(self._deferred_call(step, cell))
            elif step is not None:
                pieces.append(self._deferred_source(step, cell))
            elif number in self.arrays:
                # np.copyto would run bytecode, that of its dispatcher.
                bound.append(partial(self.cells[cell].array.__setitem__, ..., self.arrays[number]))
            else:
                self.namespace["partial"] = partial
                target = self.names[self.schedule.cells[cell]]
                pieces.append(f"partial({target}.__setitem__, ..., {self.names[number]})")
        self.namespace["commits"] = tuple(bound)
        self.namespace["call"] = partial.__call__
        listed = f"({', '.join(pieces)}, *commits)" if pieces else "commits"
        if works:
            together = self._named(write_together, "write_together")
            given = "".join(f"{work}, " for work in works.values())
            return [*lines, (f"{together}(({given}), {listed})", None)]
        lines.append((f"deque(map(call, {listed}), 0)", None))
        return lines

    def _deferred_source(self, step: Step, cell: int) -> str:
        """Write the call that updates a cell as one that is still to be made."""
        self.namespace["partial"] = partial
        self._bind(step.writes[0], self.cells[cell].array)
        written = self._written(self._call(step), step).replace("(", ", ", 1)
        return f"partial({written}"

    def _work(self, step: Step) -> str:
        """Write a kernel that updates cells, and what gives it to other threads."""
        for number in step.writes:
            self._bind(number, self.arrays[self.plan.storage[number].base])
        writer, name = self._kernel_function(step)
        return writer.work(name)

    def _deferred_call(self, step: Step, cell: int) -> Callable[[], object]:
        call = self._call(step)
        target = self.cells[cell].array

        def resolved(argument: object) -> object:
            if isinstance(argument, In):
                return self.arrays[step.reads[argument.index]]
            return target if argument is OUT else argument

        keywords = {"out": target} if call.out_by_name else {}
        return partial(call.function, *map(resolved, call.arguments), **keywords)

    def _loop(self, start: int, section: Section) -> list[Line]:
        """Bind every step of a very long section and loop over them."""
        calls: list[tuple[Callable[..., object], tuple[object, ...], int]] = []
        for index in range(start, section.stop):
            step = self.schedule.steps[index]
            if index in self.deferred:
                continue
            if step.is_view:
                self._view_lines(step)
                continue
            call = self._call(step)
            writes: Any = tuple(self.arrays[number] for number in step.writes)
            out = writes if step.several else writes[0]
            arguments = tuple(
                self.arrays[step.reads[argument.index]]
                if isinstance(argument, In)
                else (out if argument is OUT else argument)
                for argument in call.arguments
            )
            function = partial(call.function, out=out) if call.out_by_name else call.function
            calls.append((function, arguments, index))
        name = self._named(calls, f"steps_{section.name}")
        return [
            (f"for function, arguments, index in {name}:", None),
            ("    function(*arguments)", None),
        ]
