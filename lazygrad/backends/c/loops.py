"""Kernels as C: each one function, a nest of loops written for its shapes and strides.

A kernel without rows is one nest. One with rows has a loop over the rows, and in it a loop for each
stage; what a later stage reads again waits in a buffer of one row, or is read back from where it is
stored. Knows kernels and layouts; knows nothing of segments or of how code is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod

from ...ir.op import Op, Trait
from ...schedule.kernel import Kernel, Statement, computing_dtypes
from ...spec import DType
from .blocks import block_function
from .headers import NEAR, OWN
from .nest import Loop, Nest
from .parts import Share
from .text import Function, Layout, c_type, indented, reduction_start, summed

__all__ = ["CHUNK", "kernel_function"]

# Kernels of more statements take constants as operands, so that those which differ in nothing else
# are compiled once.
_LONG = 32

# Longer loops are not unrolled as a whole by any compiler.
_MOST_UNROLLED = 64

CHUNK = 4096
"""Elements that are added up before their sum joins the total, which keeps the rounding small."""


def kernel_function(
    kernel: Kernel,
    layouts: Mapping[int, Layout],
    literals: Mapping[int, str],
    bounded: bool = False,
) -> Function:
    """Write a kernel as a function; *literals* are values that are written as constants.

    The first loop of a *bounded* one goes as far as the parameter `last` says.

    Sines, cosines and tangents of numbers far from 0 need another function, which is no vector. So
    such a kernel notes whether there is one, and then does its work again. One that writes over
    what it reads can't, and has the other function from the start.
    """
    if len(kernel.statements) < _LONG or bounded:
        return _function(kernel, layouts, literals, bounded)
    names, constants = _hoisted(kernel, layouts, literals)
    function = _function(kernel, layouts, names)
    declared = [f"const {kind} *restrict c_{kind}, " for kind, _ in constants]
    return replace(
        function, parameters="".join(declared) + function.parameters, constants=constants
    )


def _hoisted(
    kernel: Kernel, layouts: Mapping[int, Layout], literals: Mapping[int, str]
) -> tuple[dict[int, str], tuple[tuple[str, tuple[str, ...]], ...]]:
    """Give the elements of arrays that constants are read from, and these arrays by type."""
    names: dict[int, str] = {}
    arrays: dict[str, list[str]] = {}
    for number in (read for s in kernel.statements for read in s.step.reads):
        if number in literals and number not in names:
            kind = c_type(layouts[number].dtype)
            values = arrays.setdefault(kind, [])
            names[number] = f"c_{kind}[{len(values)}]"
            values.append(literals[number])
    return names, tuple((kind, tuple(values)) for kind, values in arrays.items())


def _function(
    kernel: Kernel,
    layouts: Mapping[int, Layout],
    literals: Mapping[int, str],
    bounded: bool = False,
) -> Function:
    if kernel.has_many_functions and kernel.domain:
        by_blocks = block_function(kernel, layouts, literals)
        if by_blocks is not None:
            return by_blocks
    careful = _Writer(kernel, layouts, literals, False, bounded).function()
    if not kernel.domain or not any(NEAR.search(s.step.op.c or "") for s in kernel.statements):
        return careful
    places = {(layouts[n].base, layouts[n].offset) for n in kernel.reads if n not in literals}
    if any((layouts[n].base, layouts[n].offset) in places for n in kernel.stored):
        return careful
    quick = _Writer(kernel, layouts, literals, True, bounded).function()
    # As wide as what it stands beside, or a vector of the one would be two of the other.
    wide = max(dtype.itemsize for dtype in _dtypes(kernel, layouts))
    body = f"    int{8 * wide}_t far = 0;\n{quick.body}"
    return replace(quick, body=body, careful=careful.body)


def _dtypes(kernel: Kernel, layouts: Mapping[int, Layout]) -> Iterator[DType]:
    for number in (s.number for s in kernel.statements):
        yield kernel.specs[number].dtype if number in kernel.specs else layouts[number].dtype


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
        bounded: bool,
    ) -> None:
        self.near = near
        self.calls = kernel.has_many_functions or not kernel.domain
        self.kernel = kernel
        self.layouts = layouts
        self.literals = literals
        self.aliases = kernel.aliases
        self.nest = nest = Nest(kernel, layouts, literals, bounded)
        self.rows, self.outer, self.inner = nest.rows, nest.outer, nest.inner
        self.by_number = {s.number: s for s in kernel.statements}
        self.stored = set(kernel.stored)
        self.left: list[tuple[str, str, int]] = []
        self.afterwards: list[str] = []
        self.reductions: set[tuple[Op, DType]] = set()
        self.head: list[str] = []
        self.tail: list[str] = []
        self.buffers: dict[int, str] = {}
        self.last_read: dict[int, int] = {}
        """The stage in whose loop each value is read last."""
        # Counted from 0, so that equal kernels are equal texts.
        self.places = {s.number: i for i, s in enumerate(kernel.statements)}

    def function(self) -> Function:
        """Write the whole of it."""
        self._start_finals()
        body = self._body()
        for loop in reversed(self.outer):
            body = [loop.opened, *indented(body), "}"]
        bounds = [] if self.share is None else self.share.bounds()
        lines = indented([*bounds, *self.head, *body, *self.tail])
        return Function(
            ", ".join(self.nest.parameters),
            "\n".join(lines),
            tuple(self.nest.arguments),
            frozenset(self.reductions),
            parts=self.parts,
            shared=tuple(self.left),
            afterwards="\n".join(indented(self.afterwards)),
        )

    @property
    def share(self) -> Share | None:
        """How the nest is shared out, if it is."""
        return None if self.nest.shared is None else self.nest.shared.share

    @property
    def parts(self) -> int:
        """Into how many parts the nest falls."""
        return 1 if self.share is None else self.share.parts

    # The loops.

    def _body(self) -> list[str]:
        """Write what is done for one row; or everything, where there are no rows."""
        row = _Scope()
        for later in self.kernel.statements:
            for read in later.step.reads:
                source = self.aliases.get(read, read)
                stage = max(self.last_read.get(source, 0), self._loop_stage(later))
                self.last_read[source] = stage
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
            and len(self._long(self.nest.walked(statement))) > self.rows
        )

    def _long(self, shape: tuple[int, ...]) -> list[int]:
        return [length for length in shape if length != 1]

    def _write_row_statement(self, statement: Statement, row: _Scope) -> None:
        number = statement.number
        if self._is_row_reduction(statement):
            row.names[number] = f"v{self.places[number]}"
            if number in self.stored:
                access = self.nest.access_result(statement)
                target = self.nest.place(access, self.outer)
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
            body = [loop.opened, *indented(body), "}"]
        return body

    def _flushed(self, lines: list[str], accumulators: list[_Accumulator]) -> list[str]:
        declared = [f"{self._start(a)};" for a in accumulators if a.flush is not None]
        return [*declared, *lines, *(a.flush for a in accumulators if a.flush is not None)]

    def _start(self, accumulator: _Accumulator) -> str:
        statement = accumulator.statement
        dtype = self.nest.dtype(statement.number)
        start = reduction_start(statement.step.op, dtype)
        return f"{c_type(dtype)} {accumulator.name} = {start}"

    def _innermost(
        self, loop: Loop, lines: list[str], accumulators: list[_Accumulator]
    ) -> list[str]:
        pragma = "#pragma omp simd" + "".join(
            f" reduction({self._reducer(a.statement)}:{a.name})" for a in accumulators
        )
        if not accumulators or loop.longest <= CHUNK:
            is_within = len(self.outer) + len(self.inner) > 1
            if accumulators:
                return self._flushed([pragma, loop.opened, *indented(lines), "}"], accumulators)
            if is_within and 8 <= loop.longest <= _MOST_UNROLLED:
                return self._short(loop, lines)
            return [loop.opened, *indented(lines), "}"]
        name, last = loop.variable, loop.last
        chunk = [pragma, f"for (int64_t {name} = begin; {name} < end; {name}++) {{"]
        inside = self._flushed([*chunk, *indented(lines), "}"], accumulators)
        return [
            f"for (int64_t begin = {loop.first}; begin < {last}; begin += {CHUNK}) {{",
            f"    const int64_t end = begin + {CHUNK} < {last} ? begin + {CHUNK} : {last};",
            *indented(inside),
            "}",
        ]

    def _short(self, loop: Loop, lines: list[str]) -> list[str]:
        """Write a short loop as whole vectors, the last of which may begin before another ends.

        What both are at is done twice then. Elements one by one would take longer than the vectors.
        """
        size, name = loop.size, loop.variable
        width = 16 if size >= 16 else 8
        is_plain = loop.share is None and not loop.bound
        if not size % width or not is_plain or not self._is_repeatable():
            return ["ROLLED", loop.opened, *indented(lines), "}"]
        ends = ((0, size // width * width), (size - width, size))
        return [
            line
            for start, end in ends
            for line in (
                "ROLLED",
                f"for (int64_t {name} = {start}; {name} < {end}; {name}++) {{",
                *indented(lines),
                "}",
            )
        ]

    def _is_repeatable(self) -> bool:
        """Whether an element can be done twice: nothing is added up, or read where it is stored."""
        stored = [self.by_number[number] for number in self.kernel.stored]
        return all(s.kept is None for s in self.kernel.statements) and all(
            map(self.nest.is_alone, stored)
        )

    # Statements.

    def _write_statement(
        self, statement: Statement, scope: _Scope, loops: list[Loop], stage: int = 0
    ) -> None:
        step, number = statement.step, statement.number
        result = self.nest.dtype(number)
        op = step.op
        assert op.c is not None
        given = [self.nest.dtype(read) for read in step.reads]
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
            if self.near and NEAR.search(form):
                form = NEAR.sub(r"\1_near_{t}", form)
                limit = f"NEAR_{kind.upper()}"
                scope.lines.append(f"far |= !(absolute_{kind}({names['x']}) <= {limit});")
            if self.calls:
                form = OWN.sub(r"called_\1_{t}", form)
            text = form.format(t=kind, **names)
        name = scope.names[number] = f"v{self.places[number]}"
        scope.lines.append(f"const {c_type(result)} {name} = {text};")
        if number in self.stored:
            access = self.nest.access_result(statement)
            scope.stores.append(f"{self.nest.place(access, loops)} = {name};")

    def _operands(
        self,
        statement: Statement,
        computing: tuple[DType, ...],
        scope: _Scope,
        loops: list[Loop],
    ) -> list[str]:
        reads = statement.step.reads
        return [
            self._operand(number, dtype, statement, scope, loops)
            for number, dtype in zip(reads, computing, strict=True)
        ]

    def _operand(
        self, number: int, dtype: DType, statement: Statement, scope: _Scope, loops: list[Loop]
    ) -> str:
        """Write an operand, read as an element type."""
        text = self._value(number, statement, scope, loops)
        own = self.nest.dtype(number)
        return text if own == dtype else f"({c_type(dtype)}){text}"

    def _value(self, number: int, statement: Statement, scope: _Scope, loops: list[Loop]) -> str:
        source = self.aliases.get(number, number)
        if source in scope.names:
            return scope.names[source]
        if source in self.by_number:
            return self._kept_value(source, scope, loops)
        if number in self.literals:
            return self.literals[number]
        access = self.nest.access(number, self.nest.walked(statement))
        return self._loaded(self.nest.place(access, loops), number, scope)

    def _loaded(self, place: str, number: int, scope: _Scope) -> str:
        if place not in scope.loads:
            name = f"x{len(scope.loads)}"
            scope.lines.append(f"const {c_type(self.nest.dtype(number))} {name} = {place};")
            scope.loads[place] = name
        return scope.loads[place]

    def _kept_value(self, number: int, scope: _Scope, loops: list[Loop]) -> str:
        """Read what an earlier stage has made: from where it is stored, or from its buffer."""
        if number in self.stored:
            access = self.nest.access_result(self.by_number[number])
            return self._loaded(self.nest.place(access, loops), number, scope)
        return self._loaded(f"{self.buffers[number]}[{self._row_index()}]", number, scope)

    def _row_index(self) -> str:
        strides, step = [], 1
        for loop in reversed(self.inner):
            strides.append(step)
            step *= loop.size
        return summed(strides[::-1], [loop.variable for loop in self.inner])

    def _keep_for_later(self, statement: Statement, scope: _Scope) -> None:
        number = statement.number
        if number in self.stored or self.last_read.get(number, 0) <= statement.stage:
            return
        size = prod(loop.size for loop in self.inner)
        buffer = self.buffers[number] = f"b{self.places[number]}"
        self.head.append(f"{c_type(self.nest.dtype(number))} {buffer}[{size}];")
        scope.lines.append(f"{buffer}[{self._row_index()}] = {scope.names[number]};")

    def _loop_stage(self, statement: Statement) -> int:
        """Give the stage in whose loop a statement stands."""
        return statement.stage - 1 if self._is_row_reduction(statement) else statement.stage

    # Reductions.

    def _reducer(self, statement: Statement) -> str:
        dtype = self.nest.dtype(statement.number)
        self.reductions.add((statement.step.op, dtype))
        return f"{statement.step.op.name}_of_{c_type(dtype)}"

    def _combined(self, statement: Statement, scope: _Scope, total: str, loops: list[Loop]) -> str:
        """Write one more element, combined with what there is so far."""
        op = statement.step.op
        assert op.c is not None
        dtype = self.nest.dtype(statement.number)
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
        dtype, place = self.nest.dtype(number), self.places[number]
        if self._is_row_reduction(statement):
            before.append(f"{c_type(dtype)} v{place} = {reduction_start(op, dtype)};")
            if self.inner[-1].longest <= CHUNK:
                return _Accumulator(statement, f"v{place}", None)
            total = f"v{place}"
        elif self.inner and statement.kept and self.inner[-1].axes[-1] in statement.kept:
            return None
        elif statement.kept:
            access = self.nest.access_result(statement)
            around = [*self.outer, *self.inner[:-1]]
            total = self.nest.place(access, around)
        else:
            total = f"t{place}"
        assert op.c is not None
        folded = op.c.format(x=f"a{place}", y=total, t=c_type(dtype))
        return _Accumulator(statement, f"a{place}", f"{total} = {folded};")

    def _start_finals(self) -> None:
        """Write what final results start from, and what becomes of them at the end."""
        for statement in self.kernel.statements:
            if statement.kept is None:
                continue
            dtype = self.nest.dtype(statement.number)
            start = reduction_start(statement.step.op, dtype)
            if statement.kept:
                self._start_many(statement, c_type(dtype), start)
            else:
                # The total of many sums is kept wider than they are.
                wide = "double" if dtype.kind == "f" else c_type(dtype)
                self._start_one(statement, wide, start)

    def _start_one(self, statement: Statement, kind: str, start: str) -> None:
        place = self.places[statement.number]
        pointer = self.nest.access_result(statement).pointer
        self.head.append(f"{kind} t{place} = {start};")
        if self.parts == 1:
            self.tail.append(f"{pointer}[0] = t{place};")
            return
        self.left.append((kind, f"q{place}", self.parts))
        self.tail.append(f"q{place}[part] = t{place};")
        folded = self._folded(statement, f"q{place}[part]", f"t{place}", kind)
        self.afterwards += [
            f"{kind} t{place} = {start};",
            f"for (int64_t part = 0; part < {self.parts}; part++) t{place} = {folded};",
            f"{pointer}[0] = t{place};",
        ]

    def _start_many(self, statement: Statement, kind: str, start: str) -> None:
        access = self.nest.access_result(statement)
        pointer, size = access.pointer, prod(self.layouts[statement.number].shape)
        shared = self.nest.shared
        if shared is None:
            self.head.append(f"for (int64_t k = 0; k < {size}; k++) {pointer}[k] = {start};")
            return
        if self.nest.is_apart(statement, shared):
            stride = access.strides[shared.axes[-1]]
            bounds = f"int64_t k = first * {stride}; k < last * {stride}; k++"
            self.head.append(f"for ({bounds}) {pointer}[k] = {start};")
            return
        # Each part adds to elements of its own.
        place = self.places[statement.number]
        self.left.append((kind, f"q{place}", self.parts * size))
        access.pointer = f"o{place}"
        self.head += [
            f"{kind} *const o{place} = q{place} + part * {size};",
            f"for (int64_t k = 0; k < {size}; k++) o{place}[k] = {start};",
        ]
        folded = self._folded(statement, f"q{place}[part * {size} + k]", f"{pointer}[k]", kind)
        self.afterwards += [
            f"for (int64_t k = 0; k < {size}; k++) {{",
            f"    {pointer}[k] = {start};",
            f"    for (int64_t part = 0; part < {self.parts}; part++) {pointer}[k] = {folded};",
            "}",
        ]

    def _folded(self, statement: Statement, element: str, total: str, kind: str) -> str:
        form = statement.step.op.c
        assert form is not None, "what reduces has a form"
        return form.format(x=element, y=total, t=kind)

    def _fold_final(self, statement: Statement, scope: _Scope, loops: list[Loop]) -> None:
        """Let an element join a final result where that lies."""
        total = f"t{self.places[statement.number]}"
        if statement.kept:
            access = self.nest.access_result(statement)
            total = self.nest.place(access, loops)
        scope.lines.append(f"{total} = {self._combined(statement, scope, total, loops)};")
