"""The executables of one program: one for each set of lengths, on the backend that fits its calls.

Knows plans and backends; knows no feeds. Which backend runs which call is decided by sizes and
counts, so the same calls give the same bits again.
"""

from __future__ import annotations

import math
import os
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, TypeAlias

from .backends.executable import Executable
from .backends.numpy import bind
from .errors import BackendWarning, OptionError
from .ir.cell import Cell
from .location import user_location
from .schedule.buffers import Plan, plan
from .schedule.cost import predicted_seconds
from .schedule.steps import Schedule

__all__ = [
    "BACKENDS",
    "PLANS_KEPT",
    "Entry",
    "Executors",
    "checked_backend",
    "checked_threads",
    "usable_cores",
]

BACKENDS = ("auto", "c", "numpy")
"""What a program can be run by."""

PLANS_KEPT = 16
"""How many sets of lengths a program stays planned for; the least recently used goes first."""

# How long calls on NumPy take together before compiling pays: about as long as it takes.
_SECONDS_BEFORE_C = 0.2
_SECONDS_PER_STEP = 0.005
# Beyond so many steps a compiler would keep a call waiting for minutes.
_MOST_STEPS = 5_000
_FIRST_CALL, _LAST_CALL = 2, 10_000
_MOST_PROMOTED = 4

_said: set[str] = set()

_Key: TypeAlias = "tuple[tuple[str, int], ...]"


def checked_backend(asked: str | None) -> str:
    """Give the name of the backend that was asked for, or that the environment names."""
    backend = os.environ.get("LAZYGRAD_BACKEND", "auto") if asked is None else asked
    if backend not in BACKENDS:
        source = "the environment variable LAZYGRAD_BACKEND" if asked is None else "backend"
        known = ", ".join(map(repr, BACKENDS))
        raise OptionError(f"compile: {source} is {backend!r}; there is {known}.")
    return backend


def checked_threads(asked: int | None) -> int:
    """Give how many threads were asked for, or the environment says, or the process has cores."""
    if asked is not None:
        if isinstance(asked, bool) or not isinstance(asked, int) or asked < 1:
            raise OptionError(f"compile: threads is {asked!r}; expected an int from 1 on.")
        return asked
    said = os.environ.get("LAZYGRAD_THREADS", "").strip()
    if not said:
        return usable_cores()
    if not (said.isascii() and said.isdecimal()) or int(said) < 1:
        raise OptionError(
            f"compile: the environment variable LAZYGRAD_THREADS is {said!r}; expected a whole"
            " number from 1 on."
        )
    return int(said)


def usable_cores() -> int:
    """Count the cores that this process may run on, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(eq=False)
class Entry:
    """An executable, and for how many more calls it is that: None is for ever."""

    executable: Executable
    left: int | None = None
    promoted: bool = False
    backend: str = "numpy"


class Executors:
    """Makes and keeps executables.

    Parameters
    ----------
    schedule
        What they run.
    cells
        The storage of its variables.
    backend
        ``"numpy"``, ``"c"``, or ``"auto"``: NumPy at first, and C from a call on that the cost of
        the schedule decides.
    threads
        How many threads long loops are shared among.
    feeds_kept
        Whether feeds are copied into arrays of the executables' own before they are called.
    """

    def __init__(
        self,
        schedule: Schedule,
        cells: Sequence[Cell],
        backend: str,
        threads: int = 1,
        *,
        feeds_kept: bool = False,
    ) -> None:
        self.schedule = schedule
        self.cells = cells
        self.backend = backend
        self.threads = threads
        self.feeds_kept = feeds_kept
        self.made = 0
        self.promoted = 0
        self._entries: OrderedDict[_Key, Entry] = OrderedDict()
        self._known: dict[_Key, int | None] = {}

    def entry(self, lengths: Mapping[str, int]) -> Entry:
        """Give the entry for these lengths, made now or before."""
        key = tuple(sorted(lengths.items()))
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = self._new(plan(self.schedule, lengths))
            if entry.left is not None and key in self._known:
                entry.left = self._known.pop(key)
            self.made += 1
            if len(self._entries) > PLANS_KEPT:
                self._entries.popitem(last=False)
        self._entries.move_to_end(key)
        return entry

    def _new(self, placed: Plan) -> Entry:
        if self.backend == "c":
            compiled = self._compiled(placed)
            if compiled is not None:
                return Entry(compiled, backend="c")
        executable = bind(
            self.schedule, placed, self.cells, threads=self.threads, feeds_kept=self.feeds_kept
        )
        steps = len(self.schedule.steps)
        is_final = self.backend != "auto" or self.promoted >= _MOST_PROMOTED
        if is_final or steps > _MOST_STEPS:
            return Entry(executable)
        least = max(_SECONDS_BEFORE_C, _SECONDS_PER_STEP * steps)
        calls = math.ceil(least / max(predicted_seconds(self.schedule, placed), 1e-9))
        return Entry(executable, min(max(calls, _FIRST_CALL), _LAST_CALL) - 1)

    def promote(self, entry: Entry) -> None:
        """Let a compiled executable take over, where there is one to be had."""
        entry.left, entry.promoted = None, True
        if self.promoted < _MOST_PROMOTED:
            self.promoted += 1
            # The schedule of a compiled executable is another one, with kernels.
            placed = plan(self.schedule, entry.executable.plan.lengths)
            compiled = self._compiled(placed)
            if compiled is not None:
                entry.executable, entry.backend = compiled, "c"

    def timed(self, entry: Entry) -> Executable:
        """Give an executable that does what an entry's does, on copies of the state, and is timed.

        On NumPy new values are handed out instead of written, which is done all at once.
        """
        lengths = entry.executable.plan.lengths
        copies = [Cell(cell.array.copy()) for cell in self.cells]
        if entry.backend == "c":
            native: Any = import_module(".backends.c", __package__)
            placed = plan(self.schedule, lengths)
            timed: Executable = native.bind(self.schedule, placed, copies, self.threads, timed=True)
            return timed
        *others, last = self.schedule.sections
        news = tuple(number for _, number in self.schedule.updates)
        last = replace(last, outputs=(*last.outputs, *news))
        schedule = replace(self.schedule, updates=(), sections=(*others, last))
        return bind(schedule, plan(schedule, lengths), copies, threads=self.threads, timed=True)

    def calls(self) -> list[list[object]]:
        """Give, for each set of lengths, the calls that are left until machine code takes over.

        None is never.
        """
        now = {key: 0 if e.promoted else e.left for key, e in self._entries.items()}
        return [[dict(key), left] for key, left in {**self._known, **now}.items()]

    def restore(self, calls: Sequence[tuple[Mapping[str, int], int | None]]) -> None:
        """Go on counting where another run stopped, with new executables."""
        self._known = {tuple(sorted(lengths.items())): left for lengths, left in calls}
        self._entries.clear()
        self.promoted = 0

    def _compiled(self, placed: Plan) -> Executable | None:
        native: Any = import_module(".backends.c", __package__)
        try:
            executable: Executable = native.bind(
                self.schedule, placed, self.cells, self.threads, feeds_kept=self.feeds_kept
            )
        except native.CompilerError as error:
            reason = str(error)
            if reason not in _said:
                _said.add(reason)
                text = f"programs run on NumPy, since there is no machine code to be had: {reason}."
                where = user_location()
                if where is None:
                    warnings.warn(text, BackendWarning, stacklevel=2)
                else:
                    warnings.warn_explicit(text, BackendWarning, where.file, where.line)
            return None
        return executable
