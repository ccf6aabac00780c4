"""Kernels as C: each one function, a nest of loops written for its shapes and strides.

A kernel without rows is one nest. One with rows has a loop over the rows, and in it a loop for each
stage; what a later stage reads again waits in a buffer of one row, or is read back from where it is
stored. Knows kernels and layouts; knows nothing of segments or of how code is compiled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod

from ...ir.op import Op, Trait
from ...schedule.kernel import Kernel, Statement, axes_within, computing_dtypes
from ...spec import DType, Spec
from .text import Function, Layout, c_type, indented, reduction_start, summed

__all__ = ["CHUNK", "kernel_function"]

_NEAR = re.compile(r"\b(sin|cos)_\{t\}")
_OWN = re.compile(r"\b(exp|expm1|log|log1p|tanh|sigmoid|softplus|sin_near|cos_near)_\{t\}")

# More functions in one loop make it long, which compilers are slow over.
_MOST_INLINED = 8

CHUNK = 4096
"""Elements that are added up before their sum joins the total, which keeps the rounding small."""


def kernel_function(
    kernel: Kernel, layouts: Mapping[int, Layout], literals: Mapping[int, str]
) -> Function:
    """Write a kernel as a function; *literals* are values that are written as constants.

    Sines and cosines of numbers far from 0 need another function, which is no vector. So such a
    kernel notes whether there is one, and then does its work again. One that writes over what it
    reads can't, and has the other function from the start.
    """
    careful = _Writer(kernel, layouts, literals, False).function()
    if not kernel.domain or not any(_NEAR.search(s.step.op.c or "") for s in kernel.statements):
        return careful
    places = {(layouts[n].base, layouts[n].offset) for n in kernel.reads if n not in literals}
    if any((layouts[n].base, layouts[n].offset) in places for n in kernel.stored):
        return careful
    quick = _Writer(kernel, layouts, literals, True).function()
    again = "\n".join(indented(["if (far) {", *careful.body.splitlines(), "}"]))
    return replace(quick, body=f"    int32_t far = 0;\n{quick.body}\n{again}")


@dataclass
class _Access:
    """A value in memory, as the nest goes through it."""

    number: int
    strides: tuple[int, ...]
    pointer: str = ""


@dataclass
class _Loop:
    """A loop over one axis of the domain, or several that can be gone through as one."""

    size: int
    axes: list[int]
    variable: str = ""


@dataclass
class _Accumulator:
    """A reduction's local variable, and what becomes of it after the innermost loop."""

    statement: Statement
    name: str
    flush: str | None


@dataclass
class _Scope:
    """Lines of one level, and the names that values have in it.

    Stores come last: a result may lie where an operand of the same place is still to be read.
    """

    lines: list[str] = field(default_factory=list)
    stores: list[str] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    loads: dict[str, str] = field(default_factory=dict)


class _Writer:
    def __init__(
        self,
        kernel: Kernel,
        layouts: Mapping[int, Layout],
        literals: Mapping[int, str],
        near: bool,
    ) -> None:
        self.near = near
        functions = sum("(" in (s.step.op.c or "") for s in kernel.statements)
        self.calls = functions > _MOST_INLINED or not kernel.domain
        self.kernel = kernel
        self.layouts = layouts
        self.literals = literals
        self.aliases = kernel.aliases
        self.rank = len(kernel.domain)
        self.rows = kernel.outer if kernel.outer < self.rank else 0
        self.by_number = {s.number: s for s in kernel.statements}
        self.stored = set(kernel.stored)
        self.accesses: dict[tuple[int, tuple[int, ...]], _Access] = {}
        self.arguments: list[tuple[int, bool]] = []
        self.parameters: list[str] = []
        self.reductions: set[tuple[Op, DType]] = set()
        self.head: list[str] = []
        self.tail: list[str] = []
        self.buffers: dict[int, str] = {}
        # Counted from 0, so that equal kernels are equal texts.
        self.places = {s.number: i for i, s in enumerate(kernel.statements)}

    def function(self) -> Function:
        """Write the whole of it."""
        self._gather_accesses()
        self._name_pointers()
        loops = self._merged_loops()
        self.outer = [loop for loop in loops if loop.axes[-1] < self.rows]
        self.inner = [loop for loop in loops if loop.axes[-1] >= self.rows]
        for prefix, group in (("i", self.outer), ("j", self.inner)):
            for i, loop in enumerate(group):
                loop.variable = f"{prefix}{i}" if len(group) > 1 else prefix
        self._start_finals()
        body = self._body()
        for loop in reversed(self.outer):
            body = [self._opened(loop), *indented(body), "}"]
        lines = indented([*self.head, *body, *self.tail])
        parameters = ", ".join(self.parameters)
        return Function(
            parameters, "\n".join(lines), tuple(self.arguments), frozenset(self.reductions)
        )

    # What is in memory, and how the loops go through it.

    def _gather_accesses(self) -> None:
        for statement in self.kernel.statements:
            for number in statement.step.reads:
                if self.aliases.get(number, number) in self.by_number or number in self.literals:
                    continue
                self._access(number, self._walked(statement))
            if statement.number in self.stored:
                self._access_result(statement)

    def _walked(self, statement: Statement) -> tuple[int, ...]:
        step = statement.step
        is_reduction = Trait.REDUCES in step.op.traits
        return self._shape(step.reads[0] if is_reduction else step.writes[0])

    def _shape(self, number: int) -> tuple[int, ...]:
        if number in self.kernel.specs:
            shape: tuple[int, ...] = self.kernel.specs[number].shape  # type: ignore[assignment]
            return shape
        return self.layouts[number].shape

    def _dtype(self, number: int) -> DType:
        spec: Spec | None = self.kernel.specs.get(number)
        return self.layouts[number].dtype if spec is None else spec.dtype

    def _access(self, number: int, walked: tuple[int, ...]) -> _Access:
        layout = self.layouts[number]
        strides = [0] * self.rank
        long = [
            stride
            for length, stride in zip(layout.shape, layout.strides, strict=True)
            if length != 1
        ]
        for axis, stride in zip(axes_within(layout.shape, walked), long, strict=True):
            strides[axis] = stride
        return self._kept_access(number, tuple(strides))

    def _access_result(self, statement: Statement) -> _Access:
        layout = self.layouts[statement.number]
        axes = range(statement.depth) if statement.kept is None else statement.kept
        strides = [0] * self.rank
        long = [
            stride
            for length, stride in zip(layout.shape, layout.strides, strict=True)
            if length != 1
        ]
        for axis, stride in zip(axes, long, strict=True):
            strides[axis] = stride
        return self._kept_access(statement.number, tuple(strides))

    def _kept_access(self, number: int, strides: tuple[int, ...]) -> _Access:
        return self.accesses.setdefault((number, strides), _Access(number, strides))

    def _name_pointers(self) -> None:
        """Give values at the same place the same pointer, since no other may look there."""
        places: dict[tuple[str, int, DType], list[_Access]] = {}
        for access in self.accesses.values():
            layout = self.layouts[access.number]
            places.setdefault((layout.base, layout.offset, layout.dtype), []).append(access)
        for i, ((_, _, dtype), group) in enumerate(places.items()):
            is_written = any(access.number in self.stored for access in group)
            for access in group:
                access.pointer = f"p{i}"
            const = "" if is_written else "const "
            self.parameters.append(f"{const}{c_type(dtype)} *restrict p{i}")
            self.arguments.append((group[0].number, is_written))

    def _merged_loops(self) -> list[_Loop]:
        """Merge neighbouring axes that all accesses go through as through one."""
        domain = self.kernel.domain
        loops: list[_Loop] = []
        for axis, size in enumerate(domain):
            if (
                loops
                and axis != self.rows
                and all(a.strides[axis - 1] == a.strides[axis] * size for a in self._all())
            ):
                loops[-1].size *= size
                loops[-1].axes.append(axis)
            else:
                loops.append(_Loop(size, [axis]))
        return loops

    def _all(self) -> list[_Access]:
        return list(self.accesses.values())

    def _index(self, access: _Access, loops: list[_Loop]) -> str:
        strides = [access.strides[loop.axes[-1]] for loop in loops]
        return summed(strides, [loop.variable for loop in loops])

    def _opened(self, loop: _Loop) -> str:
        name = loop.variable
        return f"for (int64_t {name} = 0; {name} < {loop.size}; {name}++) {{"

    # The loops.

    def _body(self) -> list[str]:
        """Write what is done for one row; or everything, where there are no rows."""
        row = _Scope()
        last = max(s.stage for s in self.kernel.statements)
        for stage in range(last + 1):
            for statement in self.kernel.statements:
                if statement.stage == stage and self._is_of_row(statement):
                    self._write_row_statement(statement, row)
            row.lines += self._stage_lines(stage, row)
        return [*row.lines, *row.stores]

    def _is_of_row(self, statement: Statement) -> bool:
        return bool(self.rows) and statement.depth == self.rows

    def _is_row_reduction(self, statement: Statement) -> bool:
        """Whether a statement reduces each row, so that it belongs to the loop before its stage."""
        return (
            self._is_of_row(statement)
            and statement.kept is None
            and Trait.REDUCES in statement.step.op.traits
            and len(self._long(self._walked(statement))) > self.rows
        )

    def _long(self, shape: tuple[int, ...]) -> list[int]:
        return [length for length in shape if length != 1]

    def _write_row_statement(self, statement: Statement, row: _Scope) -> None:
        number = statement.number
        if self._is_row_reduction(statement):
            row.names[number] = f"v{self.places[number]}"
            if number in self.stored:
                access = self._access_result(statement)
                target = f"{access.pointer}[{self._index(access, self.outer)}]"
                row.stores.append(f"{target} = v{self.places[number]};")
            return
        if statement.kept is not None:
            self._fold_final(statement, row, self.outer)
            return
        self._write_statement(statement, row, self.outer)

    def _stage_lines(self, stage: int, row: _Scope) -> list[str]:
        """Write the loop of one stage, and the variables that it reduces into."""
        inside = [
            s
            for s in self.kernel.statements
            if (s.stage == stage and not self._is_of_row(s))
            or (s.stage == stage + 1 and self._is_row_reduction(s))
        ]
        if not inside:
            return []
        before: list[str] = []
        accumulators = [a for s in inside if (a := self._accumulator(s, before)) is not None]
        scope = _Scope(names=dict(row.names), loads=dict(row.loads))
        loops = [*self.outer, *self.inner]
        for statement in inside:
            if self._is_row_reduction(statement):
                name = next(a.name for a in accumulators if a.statement is statement)
                scope.lines.append(f"{name} = {self._combined(statement, scope, name, loops)};")
            elif statement.kept is not None:
                found = [a.name for a in accumulators if a.statement is statement]
                if found:
                    text = self._combined(statement, scope, found[0], loops)
                    scope.lines.append(f"{found[0]} = {text};")
                else:
                    self._fold_final(statement, scope, loops)
            else:
                self._write_statement(statement, scope, loops, stage)
                self._keep_for_later(statement, scope)
        return [*before, *self._nest([*scope.lines, *scope.stores], accumulators)]

    def _nest(self, lines: list[str], accumulators: list[_Accumulator]) -> list[str]:
        """Put the inner loops around statements; the innermost is one for vectors."""
        if not self.inner:
            return self._flushed(lines, accumulators)
        *around, innermost = self.inner
        body = self._innermost(innermost, lines, accumulators)
        for loop in reversed(around):
            body = [self._opened(loop), *indented(body), "}"]
        return body

    def _flushed(self, lines: list[str], accumulators: list[_Accumulator]) -> list[str]:
        declared = [f"{self._start(a)};" for a in accumulators if a.flush is not None]
        return [*declared, *lines, *(a.flush for a in accumulators if a.flush is not None)]

    def _start(self, accumulator: _Accumulator) -> str:
        statement = accumulator.statement
        dtype = self._dtype(statement.number)
        start = reduction_start(statement.step.op, dtype)
        return f"{c_type(dtype)} {accumulator.name} = {start}"

    def _innermost(
        self, loop: _Loop, lines: list[str], accumulators: list[_Accumulator]
    ) -> list[str]:
        pragma = "#pragma omp simd" + "".join(
            f" reduction({self._reducer(a.statement)}:{a.name})" for a in accumulators
        )
        name = loop.variable
        if not accumulators or loop.size <= CHUNK:
            opened = [pragma, self._opened(loop)] if accumulators else [self._opened(loop)]
            return self._flushed([*opened, *indented(lines), "}"], accumulators)
        chunk = [pragma, f"for (int64_t {name} = first; {name} < end; {name}++) {{"]
        inside = self._flushed([*chunk, *indented(lines), "}"], accumulators)
        size = loop.size
        return [
            f"for (int64_t first = 0; first < {size}; first += {CHUNK}) {{",
            f"    const int64_t end = first + {CHUNK} < {size} ? first + {CHUNK} : {size};",
            *indented(inside),
            "}",
        ]

    # Statements.

    def _write_statement(
        self, statement: Statement, scope: _Scope, loops: list[_Loop], stage: int = 0
    ) -> None:
        step, number = statement.step, statement.number
        result = self._dtype(number)
        op = step.op
        assert op.c is not None
        given = [self._dtype(read) for read in step.reads]
        if Trait.REDUCES in op.traits:
            # Nothing is reduced where the axes have length 1.
            text = self._operand(step.reads[0], result, statement, scope, loops)
        else:
            computing = computing_dtypes(op, given, result)
            names = dict(
                zip("xyz", self._operands(statement, computing, scope, loops), strict=False)
            )
            kind = c_type(computing[0] if computing else result)
            form = op.c
            if self.near and _NEAR.search(form):
                form = _NEAR.sub(r"\1_near_{t}", form)
                limit = f"NEAR_{kind.upper()}"
                scope.lines.append(f"far |= !(absolute_{kind}({names['x']}) <= {limit});")
            if self.calls:
                form = _OWN.sub(r"called_\1_{t}", form)
            text = form.format(t=kind, **names)
        name = scope.names[number] = f"v{self.places[number]}"
        scope.lines.append(f"const {c_type(result)} {name} = {text};")
        if number in self.stored:
            access = self._access_result(statement)
            scope.stores.append(f"{access.pointer}[{self._index(access, loops)}] = {name};")

    def _operands(
        self,
        statement: Statement,
        computing: tuple[DType, ...],
        scope: _Scope,
        loops: list[_Loop],
    ) -> list[str]:
        reads = statement.step.reads
        return [
            self._operand(number, dtype, statement, scope, loops)
            for number, dtype in zip(reads, computing, strict=True)
        ]

    def _operand(
        self, number: int, dtype: DType, statement: Statement, scope: _Scope, loops: list[_Loop]
    ) -> str:
        """Write an operand, read as an element type."""
        text = self._value(number, statement, scope, loops)
        own = self._dtype(number)
        return text if own == dtype else f"({c_type(dtype)}){text}"

    def _value(self, number: int, statement: Statement, scope: _Scope, loops: list[_Loop]) -> str:
        source = self.aliases.get(number, number)
        if source in scope.names:
            return scope.names[source]
        if source in self.by_number:
            return self._kept_value(source, scope, loops)
        if number in self.literals:
            return self.literals[number]
        access = self._access(number, self._walked(statement))
        return self._loaded(f"{access.pointer}[{self._index(access, loops)}]", number, scope)

    def _loaded(self, place: str, number: int, scope: _Scope) -> str:
        if place not in scope.loads:
            name = f"x{len(scope.loads)}"
            scope.lines.append(f"const {c_type(self._dtype(number))} {name} = {place};")
            scope.loads[place] = name
        return scope.loads[place]

    def _kept_value(self, number: int, scope: _Scope, loops: list[_Loop]) -> str:
        """Read what an earlier stage has made: from where it is stored, or from its buffer."""
        if number in self.stored:
            access = self._access_result(self.by_number[number])
            return self._loaded(f"{access.pointer}[{self._index(access, loops)}]", number, scope)
        return self._loaded(f"{self.buffers[number]}[{self._row_index()}]", number, scope)

    def _row_index(self) -> str:
        strides, step = [], 1
        for loop in reversed(self.inner):
            strides.append(step)
            step *= loop.size
        return summed(strides[::-1], [loop.variable for loop in self.inner])

    def _keep_for_later(self, statement: Statement, scope: _Scope) -> None:
        number = statement.number
        if number in self.stored or not any(
            self.aliases.get(read, read) == number
            for later in self.kernel.statements
            if self._loop_stage(later) > statement.stage
            for read in later.step.reads
        ):
            return
        size = prod(loop.size for loop in self.inner)
        buffer = self.buffers[number] = f"b{self.places[number]}"
        self.head.append(f"{c_type(self._dtype(number))} {buffer}[{size}];")
        scope.lines.append(f"{buffer}[{self._row_index()}] = {scope.names[number]};")

    def _loop_stage(self, statement: Statement) -> int:
        """Give the stage in whose loop a statement stands."""
        return statement.stage - 1 if self._is_row_reduction(statement) else statement.stage

    # Reductions.

    def _reducer(self, statement: Statement) -> str:
        dtype = self._dtype(statement.number)
        self.reductions.add((statement.step.op, dtype))
        return f"{statement.step.op.name}_of_{c_type(dtype)}"

    def _combined(self, statement: Statement, scope: _Scope, total: str, loops: list[_Loop]) -> str:
        """Write one more element, combined with what there is so far."""
        op = statement.step.op
        assert op.c is not None
        dtype = self._dtype(statement.number)
        element = self._operand(statement.step.reads[0], dtype, statement, scope, loops)
        if "?" in op.c and not element.isidentifier():
            name = f"e{self.places[statement.number]}"
            scope.lines.append(f"const {c_type(dtype)} {name} = {element};")
            element = name
        return op.c.format(x=element, y=total, t=c_type(dtype))

    def _accumulator(self, statement: Statement, before: list[str]) -> _Accumulator | None:
        """Give a reduction in the innermost loop its variable; None for what isn't one."""
        number, op = statement.number, statement.step.op
        if statement.kept is None and not self._is_row_reduction(statement):
            return None
        dtype, place = self._dtype(number), self.places[number]
        if self._is_row_reduction(statement):
            before.append(f"{c_type(dtype)} v{place} = {reduction_start(op, dtype)};")
            if self.inner[-1].size <= CHUNK:
                return _Accumulator(statement, f"v{place}", None)
            total = f"v{place}"
        elif self.inner and statement.kept and self.inner[-1].axes[-1] in statement.kept:
            return None
        elif statement.kept:
            access = self._access_result(statement)
            around = [*self.outer, *self.inner[:-1]]
            total = f"{access.pointer}[{self._index(access, around)}]"
        else:
            total = f"t{place}"
        assert op.c is not None
        folded = op.c.format(x=f"a{place}", y=total, t=c_type(dtype))
        return _Accumulator(statement, f"a{place}", f"{total} = {folded};")

    def _start_finals(self) -> None:
        """Write what final results start from, and what becomes of those that are one number."""
        for statement in self.kernel.statements:
            if statement.kept is None:
                continue
            number, op = statement.number, statement.step.op
            dtype, place = self._dtype(number), self.places[number]
            start = reduction_start(op, dtype)
            pointer = self._access_result(statement).pointer
            if not statement.kept:
                # The total of many sums is kept wider than they are.
                wide = "double" if dtype.kind == "f" else c_type(dtype)
                self.head.append(f"{wide} t{place} = {start};")
                self.tail.append(f"{pointer}[0] = t{place};")
            else:
                size = prod(self.layouts[number].shape)
                self.head.append(f"for (int64_t k = 0; k < {size}; k++) {pointer}[k] = {start};")

    def _fold_final(self, statement: Statement, scope: _Scope, loops: list[_Loop]) -> None:
        """Let an element join a final result where that lies."""
        total = f"t{self.places[statement.number]}"
        if statement.kept:
            access = self._access_result(statement)
            total = f"{access.pointer}[{self._index(access, loops)}]"
        scope.lines.append(f"{total} = {self._combined(statement, scope, total, loops)};")
