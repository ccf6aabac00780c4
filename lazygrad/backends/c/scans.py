"""Loops as C: the steps of a body called one after another, as often as the loop runs.

A body has an arena of its own. Carries go from step to step in two buffers each: one step reads the
one and fills the other. Rows that don't lie in one piece are copied before a step reads them. Knows
bodies and layouts; a loop whose body has a step without a C form is left to Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ir.compute import concrete_attrs
from ...ir.op import Array
from ...schedule.bodies import body_schedule
from ...schedule.buffers import Kind, plan as make_plan
from ...schedule.native import native_schedule
from ...schedule.steps import Step
from .emitter import SegmentEmitter
from .moves import copy_lines
from .text import Function, Layout, c_type, indented

__all__ = ["loop_function"]


def loop_function(step: Step, owner: SegmentEmitter) -> Function | None:
    """Write a loop as a function; None where its body has a step that has no C form."""
    attrs = concrete_attrs(step.attrs, owner.plan.lengths)
    numbers = (*step.reads, *step.writes)
    if attrs["length"] == 0 or any(number not in owner.layouts for number in numbers):
        return None
    if any(0 in owner.layouts[number].shape for number in numbers):
        return None
    return _Loop(step, attrs, owner).function()


class _Body(SegmentEmitter):
    """The steps of a body, over the table of the program that the loop is part of."""

    def __init__(self, attrs: dict[str, Any], owner: SegmentEmitter) -> None:
        self.made = body_schedule(attrs["body"], attrs["carries"])
        lengths = dict(zip(attrs["names"], attrs["lengths"], strict=True))
        schedule = self.made.schedule
        fused = native_schedule(schedule, make_plan(schedule, lengths))
        placed = make_plan(fused, lengths)
        super().__init__(fused, placed, (), owner.toolchain, owner.write_loop, owner.threads)
        self.owner = owner
        self.unit = owner.unit
        self._bind_storage()

    def _entry(self, key: int, array: Array | None) -> str:
        # What a step brings along changes with the step.
        if key >= 0 and array is None:
            return f"in{key}"
        if key not in self.base_of:
            held = self.arena_bytes if key == -1 else array
            self.base_of[key] = self.owner.held(held)
        return self.base_of[key]

    def held(self, memory: int | Array | None) -> str:
        """Give an entry of the program's table: a body has none."""
        return self.owner.held(memory)


class _Loop:
    def __init__(self, step: Step, attrs: dict[str, Any], owner: SegmentEmitter) -> None:
        self.step = step
        self.attrs = attrs
        self.owner = owner
        self.carries, self.xs = attrs["carries"], attrs["xs"]
        self.body = _Body(attrs, owner)
        self.reads = [owner.layouts[number] for number in step.reads]
        self.writes = [owner.layouts[number] for number in step.writes]
        self.before: list[str] = []
        self.first: list[str] = []
        self.last: list[str] = []
        self.after: list[str] = []

    def function(self) -> Function | None:
        """Write the loop around the calls of the body's steps."""
        functions = [
            (index, self.body._function_of(index))
            for index, inner in enumerate(self.body.schedule.steps)
            if not inner.is_view and not self.body._is_known(inner)
        ]
        if any(function is None for _, function in functions):
            return None
        self._carry()
        self._feed()
        self._keep_rows()
        calls: list[str] = []
        can_fail = False
        for index, function in functions:
            assert function is not None
            said = self.body._said(self.body.schedule.steps[index])
            calls += self.owner.unit.call(function, self.body.layouts, said, 0)
            can_fail |= function.can_fail
        length = self.attrs["length"]
        steps = f"int64_t step = 0; step < {length}; step++"
        if self.attrs["reverse"]:
            steps = f"int64_t step = {length - 1}; step >= 0; step--"
        lines = [
            *self.before,
            f"for ({steps}) {{",
            *indented([*self.first, *calls, *self.last]),
            "}",
            *self.after,
        ]
        parameters = [f"const {c_type(x.dtype)} *restrict p{i}" for i, x in enumerate(self.reads)]
        parameters += [f"{c_type(t.dtype)} *restrict t{i}" for i, t in enumerate(self.writes)]
        arguments = [(number, False) for number in self.step.reads]
        arguments += [(number, True) for number in self.step.writes]
        return Function(
            ", ".join(parameters),
            "\n".join(indented(lines)),
            tuple(arguments),
            can_fail=can_fail,
            takes_table=True,
        )

    def _carry(self) -> None:
        """Write what hands the carries on: from the operand, between buffers, to the result."""
        body = self.body
        for i, number in enumerate(body.schedule.sections[0].outputs):
            layout = body.layouts[number]
            size = int(np.prod(layout.shape)) * layout.dtype.itemsize
            one, other = self.owner.held(size), self.owner.held(size)
            self.before += [
                f"void *old{i} = {self._in_one_piece(i)}, *new{i} = {one}, *next{i} = {other};"
            ]
            if body.plan.storage[number].kind is Kind.OUTPUT:
                self.first.append(f"void *const in{number} = new{i};")
            else:
                value = body.unit.address(layout, False)
                self.last.append(f"memcpy(new{i}, {value}, {size});")
            self.after.append(f"memcpy(t{i}, old{i}, {size});")

    def _feed(self) -> None:
        """Write what each step reads: carries, rows, what is the same for all, its own number."""
        body = self.body
        pairs = zip(body.schedule.feeds, body.made.feeds, strict=True)
        for (_, number), i in pairs:
            target = f"void *const in{number}"
            if i < self.carries:
                self.first.append(f"{target} = old{i};")
            elif i < self.carries + self.xs:
                self._feed_row(number, i)
            elif i < len(self.reads):
                self.before.append(f"{target} = {self._in_one_piece(i)};")
            else:
                self.first += [
                    f"{c_type(body.layouts[number].dtype)} number = step;",
                    f"{target} = (void *)&number;",
                ]

    def _feed_row(self, number: int, i: int) -> None:
        whole = self.reads[i]
        row = Layout("", 0, whole.shape[1:], whole.strides[1:], whole.dtype)
        stride = 0 if whole.shape[0] == 1 else whole.strides[0]
        place = f"p{i} + step * {stride}"
        if row.is_contiguous:
            self.first.append(f"void *const in{number} = (void *)({place});")
            return
        size = int(np.prod(row.shape)) * row.dtype.itemsize
        buffer = self.owner.held(size)
        kind = c_type(row.dtype)
        self.before.append(f"void *const in{number} = {buffer};")
        copies = copy_lines(row, _packed(row), "from", "to")
        head = f"const {kind} *from = {place}; {kind} *to = ({kind} *)in{number};"
        self.first += ["{", *indented([head, *copies]), "}"]

    def _in_one_piece(self, i: int) -> str:
        """Give the address of an operand that lies in one piece, copied before if it doesn't."""
        layout = self.reads[i]
        if layout.is_contiguous:
            return f"(void *)p{i}"
        size = int(np.prod(layout.shape)) * layout.dtype.itemsize
        buffer = self.owner.held(size)
        kind = c_type(layout.dtype)
        copies = copy_lines(layout, _packed(layout), f"p{i}", "to")
        self.before += ["{", *indented([f"{kind} *to = ({kind} *){buffer};", *copies]), "}"]
        return buffer

    def _keep_rows(self) -> None:
        """Write what notes the rows of a step, and hands the carries on after that."""
        body = self.body
        for j, number in enumerate(body.made.rows):
            target, source = self.writes[self.carries + j], body.layouts[number]
            kind = c_type(target.dtype)
            row = int(np.prod(target.shape[1:]))
            head = (
                f"const {kind} *from = {body.unit.address(source, False)};"
                f" {kind} *to = t{self.carries + j} + step * {row};"
            )
            if source.is_contiguous:
                copies = [f"memcpy(to, from, {row * target.dtype.itemsize});"]
            else:
                copies = copy_lines(source, _packed(source), "from", "to")
            self.last += ["{", *indented([head, *copies]), "}"]
        for i in range(self.carries):
            # The operand itself is never written.
            self.last.append(
                f"{{ void *const filled = new{i}; new{i} = next{i}; next{i} = filled;"
                f" old{i} = filled; }}"
            )


def _packed(layout: Layout) -> Layout:
    """Give the layout of the same elements in one piece."""
    return Layout("", 0, layout.shape, _row_major(layout.shape), layout.dtype)


def _row_major(shape: Sequence[int]) -> tuple[int, ...]:
    strides, step = [], 1
    for length in reversed(shape):
        strides.append(step)
        step *= length
    return tuple(reversed(strides))
