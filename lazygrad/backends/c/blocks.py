"""Long elementwise kernels as C: a block of elements at a time, statement after statement.

Many functions in one loop wait for one another, element by element, and take compilers long. Here
each statement is a call over a block of elements, whose results wait in buffers that stay in the
first level of the cache; what is called is written once for all kernels of a unit. Knows kernels
and layouts; which kernels are long is for who asks.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...ir.op import Trait
from ...schedule.kernel import Kernel, Statement, computing_dtypes
from ...spec import DType
from .headers import NEAR
from .nest import Nest
from .text import Function, Layout, c_type, indented

__all__ = ["block_function"]

_BLOCK_BYTES = 2048
_MOST_BUFFERS = 64


def block_function(
    kernel: Kernel, layouts: Mapping[int, Layout], literals: Mapping[int, str]
) -> Function | None:
    """Write a kernel block by block; None where it is not one loop over elements side by side."""
    if not kernel.is_pointwise or any(Trait.REDUCES in s.step.op.traits for s in kernel.statements):
        return None
    nest = Nest(kernel, layouts, literals)
    if nest.outer or len(nest.inner) != 1:
        return None
    return _Writer(kernel, nest, literals).function()


class _Writer:
    def __init__(self, kernel: Kernel, nest: Nest, literals: Mapping[int, str]) -> None:
        self.kernel = kernel
        self.nest = nest
        self.literals = literals
        self.aliases = kernel.aliases
        self.loop = nest.inner[0]
        self.axis = self.loop.axes[-1]
        self.statements = {s.number: s for s in kernel.statements}
        self.order = self._by_need()
        widest = max(nest.dtype(number).itemsize for number in self.statements)
        self.block = _BLOCK_BYTES // widest
        self.places: dict[int, str] = {}
        self.buffers: list[DType] = []
        self.free: list[int] = []
        self.helpers: dict[str, str] = {}

    def function(self) -> Function | None:
        """Write the loop over blocks; None where an operand is gone through by another step."""
        last = self._last_reads()
        calls: list[str] = []
        copies: list[str] = []
        held: dict[int, int] = {}
        for index, statement in enumerate(self.order):
            call = self._call(statement, held, copies)
            if call is None:
                return None
            calls.append(call)
            for number in [n for n in held if last.get(n, index) <= index]:
                self.free.append(held.pop(number))
        if len(self.buffers) > _MOST_BUFFERS:
            return None
        first, end = self.loop.first, self.loop.last
        lines = [
            *(self.loop.share.bounds() if self.loop.share is not None else []),
            *(
                f"{c_type(dtype)} b{i}[{self.block}] __attribute__((aligned(64)));"
                for i, dtype in enumerate(self.buffers)
            ),
            f"for (int64_t i = {first}; i < {end}; i += {self.block}) {{",
            f"    const int64_t n = {end} - i < {self.block} ? {end} - i : {self.block};",
            *indented([*calls, *copies]),
            "}",
        ]
        return Function(
            ", ".join(self.nest.parameters),
            "\n".join(indented(lines)),
            tuple(self.nest.arguments),
            attributes="PLAIN ",
            parts=1 if self.loop.share is None else self.loop.share.parts,
            helpers=tuple(self.helpers.items()),
        )

    def _by_need(self) -> list[Statement]:
        """Put each statement right before the first that needs it, so that few results wait."""
        order: list[Statement] = []
        seen: set[int] = set()
        waiting = [(number, False) for number in reversed(self.kernel.stored)]
        while waiting:
            number, is_ready = waiting.pop()
            if is_ready:
                order.append(self.statements[number])
            elif number in self.statements and number not in seen:
                seen.add(number)
                reads = self.statements[number].step.reads
                waiting.append((number, True))
                waiting += [(self.aliases.get(n, n), False) for n in reversed(reads)]
        return order

    def _last_reads(self) -> dict[int, int]:
        """Say which statement is the last to read the result of another."""
        return {
            self.aliases.get(number, number): index
            for index, statement in enumerate(self.order)
            for number in statement.step.reads
        }

    def _call(self, statement: Statement, held: dict[int, int], copies: list[str]) -> str | None:
        operands = [self._operand(number, statement) for number in statement.step.reads]
        if None in operands:
            return None
        found = [operand for operand in operands if operand is not None]
        target = self._target(statement, held, copies)
        name = self._helper(statement, [is_vector for _, is_vector in found])
        return f"{name}(n, {', '.join([target, *(text for text, _ in found)])});"

    def _operand(self, number: int, statement: Statement) -> tuple[str, bool] | None:
        """Give an operand as C, and whether it is an element for each or one for all."""
        source = self.aliases.get(number, number)
        if source in self.statements:
            return self.places[source], True
        if number in self.literals:
            return self.literals[number], False
        access = self.nest.access(number, self.nest.walked(statement))
        stride = access.strides[self.axis]
        if stride == 1:
            return f"{access.pointer} + i", True
        return (f"{access.pointer}[0]", False) if stride == 0 else None

    def _target(self, statement: Statement, held: dict[int, int], copies: list[str]) -> str:
        """Choose where a result goes: to where it is stored, unless that is still to be read."""
        number = statement.number
        is_stored = number in self.kernel.stored
        if is_stored and self.nest.is_alone(statement):
            self.places[number] = f"{self.nest.access_result(statement).pointer} + i"
            return self.places[number]
        dtype = self.nest.dtype(number)
        place = next((b for b in self.free if self.buffers[b] == dtype), None)
        if place is None:
            place = len(self.buffers)
            self.buffers.append(dtype)
        else:
            self.free.remove(place)
        if is_stored:
            pointer = self.nest.access_result(statement).pointer
            copies.append(f"memcpy({pointer} + i, b{place}, n * {dtype.itemsize});")
        else:
            held[number] = place
        self.places[number] = f"b{place}"
        return self.places[number]

    def _helper(self, statement: Statement, vectors: list[bool]) -> str:
        """Write what does one operation over a block, unless it is there; give its name."""
        op, reads = statement.step.op, statement.step.reads
        assert op.c is not None, "what is in a kernel has a form"
        result = self.nest.dtype(statement.number)
        given = [self.nest.dtype(number) for number in reads]
        computing = computing_dtypes(op, given, result)
        kind = c_type(computing[0] if computing else result)
        name = f"block_{op.name}_{c_type(result)}"
        parameters = [f"{c_type(result)} *restrict r"]
        names: dict[str, str] = {}
        for letter, own, needed, is_vector in zip("xyz", given, computing, vectors, strict=False):
            name += f"_{c_type(own)}{'' if is_vector else '_each'}"
            pointer = " *restrict " if is_vector else " "
            parameters.append(f"const {c_type(own)}{pointer}{letter}")
            text = f"{letter}[j]" if is_vector else letter
            names[letter] = text if own == needed else f"({c_type(needed)}){text}"
        if name not in self.helpers:
            lines = _loop_lines(op.c, kind, names)
            head = f"static __attribute__((noinline)) void {name}"
            body = "\n".join(indented(lines))
            self.helpers[name] = f"{head}(int64_t n, {', '.join(parameters)}) {{\n{body}\n}}"
        return name


def _loop_lines(form: str, kind: str, names: Mapping[str, str]) -> list[str]:
    """Write one operation over a block; sines of numbers far from 0 are done once more."""
    over = "for (int64_t j = 0; j < n; j++)"
    careful = f"{over} r[j] = {form.format(t=kind, **names)};"
    if not NEAR.search(form):
        return [careful]
    near = NEAR.sub(r"\1_near_{t}", form).format(t=kind, **names)
    wide = 64 if kind == "double" else 32
    return [
        f"int{wide}_t far = 0;",
        f"{over} {{",
        f"    far |= !(absolute_{kind}({names['x']}) <= NEAR_{kind.upper()});",
        f"    r[j] = {near};",
        "}",
        f"if (far) {careful}",
    ]
