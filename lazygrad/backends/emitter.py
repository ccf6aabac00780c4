"""What Python drives, step by step: storage bound to names, and how each step is written down.

Knows schedules, plans and arrays. Which steps are written, and what comes around them, is for the
classes that build on this one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import MutableSequence, Sequence
from functools import partial
from itertools import chain, count
from sys import getrefcount
from typing import Any

import numpy as np

from ..ir.cell import Cell
from ..ir.compute import concrete_attrs
from ..ir.describe import failed_operation
from ..ir.op import OUT, Array, Call, In, Trait, Writes
from ..lengths import Length, evaluate
from ..schedule.buffers import ALIGNMENT, Kind, Plan, is_data_dependent, require_equal
from ..schedule.steps import Schedule, Step
from ..spec import Spec
from .executable import Executable
from .loops import Loop
from .recycle import HELD, OutputPool
from .source import (
    Line,
    evaluate_with,
    function_name,
    holds_data_length,
    is_plain,
    needs_data_length,
)

__all__ = ["StepEmitter", "aligned"]

# Larger results are computed in each call, in their slots, and not kept beside them.
_FIXED_ELEMENTS = 4096

_serial = count()


def aligned(size: int) -> Array:
    """Give so many bytes, at an address that suits vectors."""
    block = np.empty(size + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + size]


class StepEmitter(ABC):
    """Binds the storage of a schedule, and writes its steps as Python.

    Sections take the feeds as arguments where it *takes_feeds*, and find them copied into arrays of
    their own where they are *feeds_kept*. *looped* steps are bound to arrays instead of written.
    """

    def __init__(
        self,
        schedule: Schedule,
        plan: Plan,
        cells: Sequence[Cell],
        takes_feeds: bool,
        feeds_kept: bool,
        looped: bool = False,
        loop: Loop | None = None,
    ) -> None:
        self.takes_feeds = takes_feeds
        self.feeds_kept = feeds_kept
        self.looped = looped
        self.loop = loop
        self.schedule = schedule
        self.plan = plan
        self.cells = cells
        self.clocked: set[int] = set()
        """The steps that are timed: others are done when the schedule is bound."""
        self.seconds: MutableSequence[float] | Array = [0.0] * len(schedule.steps)
        self.arrays: dict[int, Array] = {}
        self.fixed: set[int] = set()
        """Values that are the same in every call."""
        self.namespace: dict[str, Any] = {"getrefcount": getrefcount, "np": np, "deque": deque}
        self.names: dict[int, str] = {}
        self.bound_names: dict[int, str] = {}
        self.taken: set[str] = set()
        self.lines: list[str] = []
        self.helpers: list[str] = []
        """Functions that sections call; they have them as defaults of their arguments."""
        self.step_at_line: dict[int, Step] = {}
        self.length_names: dict[str, str] = {}
        self.per_call: set[str] = set()
        self.unchecked = [
            (a, b, note)
            for a, b, note in schedule.assumptions
            if is_data_dependent(a) or is_data_dependent(b)
        ]
        self.deferred = {index: cell for cell, index in plan.direct}
        self.file = f"<lazygrad program {next(_serial)}>"

    def executable(self) -> Executable:
        """Bind the storage, write the sections, and compile them."""
        self._bind_storage()
        functions = self._write_sections()
        source = "\n".join(self.lines) + "\n"
        code = compile(source, self.file, "exec")
        exec(code, self.namespace)
        # A function that stays among its own globals would keep the arena until the garbage
        # collector comes by.
        sections = {name: self.namespace.pop(function) for name, function in functions.items()}
        for helper in self.helpers:
            self.namespace.pop(helper)
        return Executable(
            self.schedule,
            self.plan,
            self.arrays,
            sections,
            source,
            self.step_at_line,
            self.file,
            self.seconds,
            frozenset(self.clocked),
        )

    def _bind_storage(self) -> None:
        schedule, plan = self.schedule, self.plan
        arena = aligned(plan.arena_bytes)
        for cell, number in zip(self.cells, schedule.cells, strict=True):
            self._bind(number, cell.array)
        for number, array in schedule.constants:
            self._bind(number, array)
            self.fixed.add(number)
        for number, length in schedule.lengths:
            if not is_data_dependent(length):
                value = evaluate(length, plan.lengths)
                self._bind(number, np.asarray(value, schedule.specs[number].dtype))
                self.fixed.add(number)
        for _, number in schedule.feeds:
            if self.feeds_kept:
                self._bind(number, np.empty(plan.shapes[number], schedule.specs[number].dtype))
            else:
                self.names[number] = f"f{number}"
        for number, storage in enumerate(plan.storage):
            if storage.kind is Kind.SLOT:
                self._bind(number, self._slot(arena, number, storage.offset))
            elif storage.kind is Kind.OUTPUT and self.looped:
                self._bind(number, np.empty(plan.shapes[number], schedule.specs[number].dtype))
            elif storage.kind is Kind.OUTPUT and self.loop is not None:
                self.names[number] = f"o{number}"
                shape, dtype = plan.shapes[number] or (), schedule.specs[number].dtype
                self.namespace[f"buffers{number}"] = np.empty(shape, dtype), np.empty(shape, dtype)
            elif storage.kind is Kind.OUTPUT:
                self.names[number] = f"o{number}"
                pool = OutputPool(plan.shapes[number] or (), schedule.specs[number].dtype)
                self.namespace[f"pool{number}"] = pool
            elif storage.kind is Kind.FRESH:
                self.names[number] = f"t{number}"

    def _slot(self, arena: Array, number: int, offset: int) -> Array:
        spec = self.schedule.specs[number]
        shape = self.plan.shapes[number] or ()
        slot: Array = np.ndarray(shape, spec.dtype, buffer=arena.data, offset=offset)
        return slot

    def _bind(self, number: int, array: Array) -> None:
        self.arrays[number] = array
        self.names[number] = f"v{number}"
        self.namespace[f"v{number}"] = array

    @abstractmethod
    def _write_sections(self) -> dict[str, str]:
        """Write a function for each section; give their names in the source."""

    def _function(self, name: str, arguments: str, body: list[Line]) -> None:
        self.lines.append(f"def {name}({arguments}):")
        targets = [line.split(" = ")[0].strip("(, )").split(", ") for line, _ in body]
        shared = self.feeds_kept and sorted(self.per_call.intersection(chain(*targets)))
        if shared:
            self.lines.append(f"    global {', '.join(shared)}")
        for line, step in body:
            self.lines.append("    " + line)
            if step is not None:
                self.step_at_line[len(self.lines)] = step
        self.lines.append("")

    def _pool_lines(self, indices: range) -> list[Line]:
        lines: list[Line] = []
        for index in indices:
            for number in self.schedule.steps[index].writes:
                if self.plan.storage[number].kind is Kind.OUTPUT and not self.looped:
                    name = f"o{number}"
                    self.per_call.add(name)
                    lines.append((f"{name} = pool{number}.array", None))
                    lines.append(
                        (f"if getrefcount({name}) > {HELD}: {name} = pool{number}.other()", None)
                    )
        return lines

    def _step_lines(self, step: Step) -> list[Line]:
        if step.is_view:
            return self._view_lines(step)
        if self._is_fixed(step):
            self._compute_now(step)
            return []
        lines: list[Line] = []
        fresh = [n for n in step.writes if self.plan.storage[n].kind is Kind.FRESH]
        call = self._call(step)
        if step.op.writes is Writes.FRESH:
            lines.append((f"{self._target(step)} = {self._written(call, step)}", step))
        else:
            for number in fresh:
                spec = self.schedule.specs[number]
                shape = self._shape_source(spec)
                dtype = self._named(spec.dtype, spec.dtype.name)
                lines.append((f"{self.names[number]} = np.empty({shape}, {dtype})", step))
            lines.append((f"{self._written(call, step)}{self._note(step)}", step))
        for number in fresh:
            self.per_call.add(self.names[number])
            lines += self._length_lines(number, step)
        return lines

    def _is_fixed(self, step: Step) -> bool:
        """Whether a step's result is known as soon as the lengths are: a count, its reciprocal."""
        return (
            step.op.family == "elementwise"
            and step.op.writes is Writes.OUT
            and self.plan.storage[step.writes[0]].kind is Kind.SLOT
            and self.arrays[step.writes[0]].size <= _FIXED_ELEMENTS
            and all(number in self.fixed for number in step.reads)
        )

    def _compute_now(self, step: Step) -> None:
        (number,) = step.writes
        # Not in the slot, which other values take over later.
        result = np.empty_like(self.arrays[number])
        attrs = concrete_attrs(step.attrs, self.plan.lengths)
        try:
            with np.errstate(all="ignore"):
                step.op.kernel(*[self.arrays[read] for read in step.reads], out=result, **attrs)
        except Exception as error:
            specs = [self.schedule.specs[read] for read in step.reads]
            raise failed_operation(step.op.name, specs, step.note.line, error) from error
        self._bind(number, result)
        self.fixed.add(number)

    def _view_lines(self, step: Step) -> list[Line]:
        source, number = step.reads[0], step.writes[0]
        symbolic = any(holds_data_length(value) for value in step.attrs.values())
        if source in self.arrays and not symbolic:
            attrs = concrete_attrs(step.attrs, self.plan.lengths)
            self._bind(number, step.op.kernel(self.arrays[source], **attrs))
            if source in self.fixed:
                self.fixed.add(number)
            return []
        self.names[number] = f"w{number}"
        self.per_call.add(self.names[number])
        call = self._call(step)
        return [(f"w{number} = {self._written(call, step)}{self._note(step)}", step)]

    def _call(self, step: Step) -> Call:
        if needs_data_length(step):
            return Call(step.op.kernel, ())
        if Trait.LOOPS in step.op.traits:
            return self._loop_call(step)
        specs = tuple(self._concrete_spec(number) for number in step.reads)
        # What says its own length only when it has run can't be told that length.
        shaped = Trait.DATA_SHAPED in step.op.traits
        attrs = step.attrs if shaped else concrete_attrs(step.attrs, self.plan.lengths)
        return step.op.bound_call(specs, self._concrete_spec(step.writes[0]), attrs)

    @abstractmethod
    def _loop_call(self, step: Step) -> Call:
        """Give a loop as a kernel."""

    def _concrete_spec(self, number: int) -> Spec:
        shape = self.plan.shapes[number]
        spec = self.schedule.specs[number]
        return spec if spec.is_static or shape is None else Spec(shape, spec.dtype)

    def _written(self, call: Call, step: Step) -> str:
        """Write a kernel call as source."""
        if needs_data_length(step):
            return self._dynamic_call(step)
        arguments = [self._argument(argument, step) for argument in call.arguments]
        if call.out_by_name:
            arguments.append(f"out={self._target(step)}")
        name = self._named(call.function, function_name(call.function, step))
        return f"{name}({', '.join(arguments)})"

    def _dynamic_call(self, step: Step) -> str:
        arguments = [self.names[number] for number in step.reads]
        if step.op.writes is Writes.OUT:
            arguments.append(f"out={self._target(step)}")
        arguments += [
            f"{name}={self._attribute_source(value)}" for name, value in step.attrs.items()
        ]
        name = self._named(step.op.kernel, function_name(step.op.kernel, step))
        return f"{name}({', '.join(arguments)})"

    def _target(self, step: Step) -> str:
        names = "".join(f"{self.names[number]}, " for number in step.writes)
        return f"({names})" if step.several else self.names[step.writes[0]]

    def _argument(self, argument: object, step: Step) -> str:
        if isinstance(argument, In):
            return self._operand(step.reads[argument.index], step)
        if argument is OUT:
            return self._target(step)
        if is_plain(argument):
            return repr(argument)
        return self._named(argument, "k")

    def _operand(self, number: int, step: Step) -> str:
        """Name an operand; a single element that broadcasts goes without axes.

        NumPy leaves its quick path for operands of different shapes, but not for one of no axes.
        """
        array = self.arrays.get(number)
        if Trait.ELEMENTWISE not in step.op.traits or array is None or array.size != 1:
            return self.names[number]
        if array.shape in ((), self.plan.shapes[step.writes[0]]):
            return self.names[number]
        self.namespace[f"s{number}"] = array.reshape(())
        return f"s{number}"

    def _attribute_source(self, value: object) -> str:
        if isinstance(value, Length):
            return self._length_source(value)
        if type(value) is tuple:
            return f"({''.join(self._attribute_source(entry) + ', ' for entry in value)})"
        return repr(value) if is_plain(value) else self._named(value, "k")

    def _shape_source(self, spec: Spec) -> str:
        return self._attribute_source(spec.shape)

    def _length_source(self, length: Length) -> str:
        known = ", ".join(
            f"{name!r}: {self.length_names[name]}"
            for name in sorted(length.names)
            if name in self.length_names
        )
        evaluator = self._named(partial(evaluate_with, length, dict(self.plan.lengths)), "length")
        return f"{evaluator}({{{known}}})"

    def _length_lines(self, number: int, step: Step) -> list[Line]:
        """Read the lengths that a step has just made known."""
        lines: list[Line] = []
        for axis, length in enumerate(self.schedule.specs[number].shape):
            if not is_data_dependent(length):
                continue
            name = str(length)
            if length.names == {name} and name not in self.length_names:  # type: ignore[union-attr]
                local = f"n{len(self.length_names)}"
                self.length_names[name] = local
                self.per_call.add(local)
                lines.append((f"{local} = {self.names[number]}.shape[{axis}]", step))
        return [*lines, *self._equality_lines(step), *self._number_lines(step)] if lines else lines

    def _equality_lines(self, step: Step) -> list[Line]:
        """Check, of lengths that have just become known, those that must be equal."""
        known = {*self.length_names, *self.plan.lengths}
        lines: list[Line] = []
        for equality in [*self.unchecked]:
            a, b, note = equality
            names = {name for n in (a, b) if isinstance(n, Length) for name in n.names}
            if names <= known:
                self.unchecked.remove(equality)
                check = self._named(partial(require_equal, a, b, note), "require_equal")
                sources = self._attribute_source(a), self._attribute_source(b)
                lines.append((f"{check}({', '.join(sources)})", step))
        return lines

    def _number_lines(self, step: Step) -> list[Line]:
        """Give the leaves that hold, as numbers, lengths that have just become known."""
        known = {*self.length_names, *self.plan.lengths}
        lines: list[Line] = []
        for leaf, length in self.schedule.lengths:
            if not is_data_dependent(length) or leaf in self.names or not length.names <= known:
                continue
            self.names[leaf] = f"m{leaf}"
            self.per_call.add(self.names[leaf])
            own = self.schedule.specs[leaf].dtype
            dtype = self._named(own, own.name)
            lines.append((f"m{leaf} = np.asarray({self._length_source(length)}, {dtype})", step))
        return lines

    def _named(self, thing: object, hint: str) -> str:
        """Bind an object to a name in the source, once."""
        if id(thing) in self.bound_names:
            return self.bound_names[id(thing)]
        name = hint if hint not in self.taken and hint not in self.namespace else ""
        if not name:
            name = next(f"{hint}_{i}" for i in count(1) if f"{hint}_{i}" not in self.namespace)
        self.taken.add(name)
        self.namespace[name] = thing
        self.bound_names[id(thing)] = name
        return name

    def _note(self, step: Step) -> str:
        text = step.note.label if step.note.line is None else f"{step.note.label}, {step.note.line}"
        return "  # " + "".join(c if c.isprintable() else "?" for c in text)[:80]

    def _handed(self, number: int) -> str:
        if self.schedule.specs[number].shape == ():
            return f"{self.names[number]}[()]"
        if self.looped:
            return f"{self.names[number]}.copy()"
        if self.plan.storage[number].kind is Kind.OUTPUT:
            # The caller may set its flags or shape; the array that is used again stays as it is.
            return f"{self.names[number]}.view()"
        return self.names[number]
