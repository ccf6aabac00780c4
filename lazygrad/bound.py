"""Programs bound to arrays: checked once, then one call of machine code a run.

For control loops, samplers and optimizers, which call a small program very often. This is the one
place that keeps the caller's arrays: a run reads and fills them where they are. Knows programs'
schedules and cells; knows no nodes but placeholders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from types import FunctionType
from typing import Any

import numpy as np

from .backends.executable import Executable
from .backends.numpy import bind
from .errors import DTypeError, OptionError, ShapeError
from .ir.cell import Cell
from .ir.describe import describe
from .ir.op import Array
from .ir.value import Value
from .schedule.buffers import Plan
from .schedule.steps import Schedule
from .spec import DType, format_shape

__all__ = ["BoundProgram", "bound", "checked_feed", "checked_output"]


class BoundProgram(partial[None]):
    """A program bound to arrays: call it without arguments; results are in `out` afterwards.

    For one thread. The arrays of `feeds` and `out` are the caller's own, read and filled in each
    run; variables are read, and updated, where they live.
    """

    feeds: dict[str, Array]
    out: Any
    source: str
    executable: Executable


def bound(
    schedule: Schedule,
    plan: Plan,
    cells: Sequence[Cell],
    feeds: Mapping[str, Array],
    outputs: Sequence[Array],
    python_steps: bool,
    threads: int,
) -> BoundProgram:
    """Bind a schedule to arrays that were found to fit.

    Raises OptionError where steps would run in Python, unless *python_steps*.
    """
    _refuse_shared(schedule, cells, feeds, outputs)
    given = {number: feeds[name] for name, number in schedule.feeds}
    native: Any = import_module(".backends.c", __package__)
    try:
        run, executable, left = native.bind_arrays(schedule, plan, cells, given, outputs, threads)
    except native.CompilerError as error:
        if not python_steps:
            raise OptionError(
                f"bind: there is no machine code to be had: {error}. With python_steps=True the"
                " program runs on NumPy."
            ) from None
        run, executable = _on_numpy(schedule, plan, cells, given, outputs, threads)
        left = []
    if left and not python_steps:
        names = ", ".join(dict.fromkeys(step.op.name for step in left))
        where = next((f" ({step.note.line})" for step in left if step.note.line), "")
        raise OptionError(
            f"bind: {names}{where} would run in Python between machine code; allow that with"
            " python_steps=True, or call the program as it is."
        )
    # Machine code alone, of which nothing can fail, is called as it is.
    can_fail = isinstance(run, FunctionType) or run is executable.sections["run"]
    made = BoundProgram(_worded(run, executable.failure) if can_fail else run)
    made.source = executable.source
    made.executable = executable
    return made


def _worded(
    run: Callable[[], object], failure: Callable[[Exception], Exception]
) -> Callable[[], None]:
    def call() -> None:
        try:
            run()
        except Exception as error:
            told = failure(error)
            raise told from told.__cause__

    return call


def _on_numpy(
    schedule: Schedule,
    plan: Plan,
    cells: Sequence[Cell],
    given: Mapping[int, Array],
    outputs: Sequence[Array],
    threads: int,
) -> tuple[Callable[[], None], Executable]:
    executable = bind(schedule, plan, cells, threads=threads)
    arguments = [given[number] for _, number in schedule.feeds]

    def run() -> None:
        for target, result in zip(outputs, executable.sections["run"](*arguments), strict=True):
            target[...] = result

    return run, executable


def checked_feed(node: Value, array: object) -> Array:
    """Refuse what can't be borrowed: the array is used where it lies, in each run."""
    return _checked(f"the feed {node.name!r}", array, node.spec.dtype, f"\n  {describe(node)}")


def checked_output(array: object, shape: tuple[int, ...], dtype: DType, place: str) -> Array:
    """Refuse what can't be filled where it lies."""
    found = _checked(f"out{place}", array, dtype, "")
    if found.shape != shape:
        raise ShapeError(
            f"bind: out{place} must have shape {format_shape(shape)},"
            f" got {format_shape(found.shape)}."
        )
    if not found.flags.writeable:
        raise OptionError(f"bind: out{place} can't be written to.")
    return found


def _checked(what: str, array: object, dtype: DType, note: str) -> Array:
    if type(array) is not np.ndarray:
        raise DTypeError(f"bind: {what} must be a NumPy array, got {type(array).__name__}.{note}")
    if array.dtype != dtype or not array.dtype.isnative:
        raise DTypeError(f"bind: {what} must be {dtype.name}, got {array.dtype}.{note}")
    if not (array.flags.c_contiguous and array.flags.aligned):
        raise OptionError(
            f"bind: {what} must lie in one piece, in row-major order; give np.ascontiguousarray of"
            f" it.{note}"
        )
    return array


def _refuse_shared(
    schedule: Schedule,
    cells: Sequence[Cell],
    feeds: Mapping[str, Array],
    outputs: Sequence[Array],
) -> None:
    """Refuse arrays of which one would be written while another is still to be read."""
    read = [(f"the feed {name!r}", array) for name, array in feeds.items()]
    held = [("a variable", cell.array) for cell in cells]
    for i, array in enumerate(outputs):
        others = [("another output", other) for other in outputs[:i]]
        for what, other in (*read, *held, *others):
            if np.may_share_memory(array, other):
                raise OptionError(f"bind: output {i} shares memory with {what}.")
    updated = [cells[cell].array for cell, _ in schedule.updates]
    for what, array in read:
        if any(np.may_share_memory(array, other) for other in updated):
            raise OptionError(f"bind: {what} shares memory with a variable that is updated.")
