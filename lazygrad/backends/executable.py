"""A schedule that runs: one callable per section over bound arrays, and the words for its failures.

Knows schedules and plans; knows nothing of how the callables came about.
"""

from __future__ import annotations

import linecache
import weakref
from collections.abc import Callable, Iterable
from contextvars import copy_context
from functools import partial
from typing import Any

import numpy as np

from ..errors import LazygradError
from ..ir.describe import failed_operation
from ..ir.op import Array
from ..schedule.buffers import Plan
from ..schedule.steps import Schedule, Step

__all__ = ["Executable"]


class Executable:
    """A bound schedule: one callable per section, and the arrays that they work on.

    With `feeds_kept` the feeds are arrays of the executable's own, in ``feed_arrays``, filled
    before the first section is called; else the first section takes them as arguments.
    """

    def __init__(
        self,
        schedule: Schedule,
        plan: Plan,
        arrays: dict[int, Array],
        functions: dict[str, Callable[..., Any]],
        source: str,
        step_at_line: dict[int, Step],
        file: str,
        seconds: Iterable[float],
        clocked: frozenset[int] = frozenset(),
    ) -> None:
        self.schedule = schedule
        self.plan = plan
        self.arrays = arrays
        self.functions = functions
        quiet = copy_context()
        quiet.run(np.seterr, all="ignore")
        self.sections: dict[str, Callable[..., Any]] = {
            name: partial(quiet.run, run) for name, run in functions.items()
        }
        """The functions, in a context where NumPy doesn't warn of NaN and infinities."""
        self.source = source
        self.seconds = seconds
        """Of a timed executable, the seconds that each step has taken so far."""
        self.clocked = clocked
        """Of a timed executable, the steps that are done in each run, and timed."""
        self._step_at_line = step_at_line
        self._file = file
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        weakref.finalize(self, linecache.cache.pop, file, None)

    @property
    def feed_arrays(self) -> list[Array]:
        """The arrays of kept feeds, in the schedule's order."""
        return [self.arrays[number] for _, number in self.schedule.feeds]

    def failure(self, error: Exception) -> Exception:
        """Word an exception that a kernel raised: which operation, made where."""
        if isinstance(error, LazygradError):
            return error
        step = self._failed_step(error)
        if step is None:
            return error
        specs = [self.schedule.specs[number] for number in step.reads]
        return failed_operation(step.op.name, specs, step.note.line, error)

    def _failed_step(self, error: Exception) -> Step | None:
        trace = error.__traceback__
        found = None
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self._file:
                found = self._step_at_line.get(trace.tb_lineno)
                if found is None and "index" in trace.tb_frame.f_locals:
                    found = self.schedule.steps[trace.tb_frame.f_locals["index"]]
            trace = trace.tb_next
        return found
