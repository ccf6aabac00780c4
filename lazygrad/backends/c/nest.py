"""The nest of loops that a kernel becomes: which values it goes through, and by which strides.

Neighbouring axes that all values are gone through by as through one become one loop. A long nest is
shared out in parts along one of its loops. Knows kernels and layouts; writes no statements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from ...ir.op import Trait
from ...schedule.kernel import Kernel, Statement, axes_within
from ...spec import DType, Spec
from .parts import Share, share, wanted_parts
from .text import Layout, c_type, summed

__all__ = ["Access", "Loop", "Nest"]

# How many simple operations on 4 bytes, and bytes, a thread is done with in a second.
_OPERATIONS_PER_SECOND = 2e10
_BYTES_PER_SECOND = 2e10
# A function counts as so many operations.
_FUNCTION_WEIGHT = 10
# Results of parts that are put together afterwards are on the stack.
_MOST_SHARED_BYTES = 1 << 16


@dataclass
class Access:
    """A value in memory, as the nest goes through it."""

    number: int
    strides: tuple[int, ...]
    pointer: str = ""


@dataclass
class Loop:
    """A loop over one axis of the domain, or several that can be gone through as one.

    Its bounds are C; those of the loop that is shared out are a part's.
    """

    size: int
    axes: list[int]
    variable: str = ""
    share: Share | None = None
    bound: str = ""
    """Where it ends if that is for the caller to say; at its size at the latest."""

    @property
    def first(self) -> str:
        """Where it begins."""
        return "0" if self.share is None else self.share.first

    @property
    def last(self) -> str:
        """Where it ends."""
        if self.bound:
            return self.bound
        return str(self.size) if self.share is None else self.share.last

    @property
    def longest(self) -> int:
        """How often it runs at most."""
        return self.size if self.share is None else self.share.size

    @property
    def opened(self) -> str:
        """Its head."""
        name = self.variable
        return f"for (int64_t {name} = {self.first}; {name} < {self.last}; {name}++) {{"


class Nest:
    """The loops of a kernel, and how they go through memory.

    Attributes
    ----------
    rows
        How many axes of the domain lead to a row; 0 where there are no rows.
    outer, inner
        The loops over rows, and those within a row or, where there are none, all.
    shared
        The loop that falls into parts, if one does.
    parameters, arguments
        Of the function: pointers as C, and for each the value and whether it is written.

    The first loop of a *bounded* nest goes as far as the parameter `last` says.
    """

    def __init__(
        self,
        kernel: Kernel,
        layouts: Mapping[int, Layout],
        literals: Mapping[int, str],
        bounded: bool = False,
    ) -> None:
        self.kernel = kernel
        self.layouts = layouts
        self.literals = literals
        self.rank = len(kernel.domain)
        self.rows = kernel.outer if kernel.outer < self.rank else 0
        self.arguments: list[tuple[int, bool]] = []
        self.parameters: list[str] = []
        self._accesses: dict[tuple[int, tuple[int, ...]], Access] = {}
        self._gather()
        self._name_pointers()
        loops = self._merged_loops()
        self.outer = [loop for loop in loops if loop.axes[-1] < self.rows]
        self.inner = [loop for loop in loops if loop.axes[-1] >= self.rows]
        for prefix, group in (("i", self.outer), ("j", self.inner)):
            for i, loop in enumerate(group):
                loop.variable = f"{prefix}{i}" if len(group) > 1 else prefix
        self.shared = None if bounded else self._share_out()
        if bounded:
            loops[0].bound = "last"

    # Values in memory.

    def shape(self, number: int) -> tuple[int, ...]:
        """Give the shape of a value."""
        if number in self.kernel.specs:
            shape: tuple[int, ...] = self.kernel.specs[number].shape  # type: ignore[assignment]
            return shape
        return self.layouts[number].shape

    def dtype(self, number: int) -> DType:
        """Give the element type of a value."""
        spec: Spec | None = self.kernel.specs.get(number)
        return self.layouts[number].dtype if spec is None else spec.dtype

    def walked(self, statement: Statement) -> tuple[int, ...]:
        """Give the shape that a statement goes through: of a reduction, that of its operand."""
        step = statement.step
        is_reduction = Trait.REDUCES in step.op.traits
        return self.shape(step.reads[0] if is_reduction else step.writes[0])

    def access(self, number: int, walked: tuple[int, ...]) -> Access:
        """Say how an operand is gone through by what goes through *walked*."""
        layout = self.layouts[number]
        return self._kept(number, _long_strides(layout), axes_within(layout.shape, walked))

    def access_result(self, statement: Statement) -> Access:
        """Say how the result of a statement is gone through."""
        layout = self.layouts[statement.number]
        axes = tuple(range(statement.depth)) if statement.kept is None else statement.kept
        return self._kept(statement.number, _long_strides(layout), axes)

    def strides_of(self, number: int) -> tuple[int, ...]:
        """Give the strides along the domain by which an operand or a result is gone through."""
        return next(a.strides for a in self._accesses.values() if a.number == number)

    def place(self, access: Access, loops: list[Loop]) -> str:
        """Write an element of a value as C, for the loops that it is reached in."""
        strides = [access.strides[loop.axes[-1]] for loop in loops]
        return f"{access.pointer}[{summed(strides, [loop.variable for loop in loops])}]"

    def _kept(self, number: int, long: list[int], axes: tuple[int, ...]) -> Access:
        strides = [0] * self.rank
        for axis, stride in zip(axes, long, strict=True):
            strides[axis] = stride
        key = (number, tuple(strides))
        return self._accesses.setdefault(key, Access(number, key[1]))

    def _gather(self) -> None:
        aliases = self.kernel.aliases
        inner = {s.number for s in self.kernel.statements}
        for statement in self.kernel.statements:
            for number in statement.step.reads:
                if aliases.get(number, number) not in inner and number not in self.literals:
                    self.access(number, self.walked(statement))
            if statement.number in self.kernel.stored:
                self.access_result(statement)

    def _name_pointers(self) -> None:
        """Give values at the same place the same pointer, since no other may look there."""
        places: dict[tuple[str, int, DType], list[Access]] = {}
        for access in self._accesses.values():
            layout = self.layouts[access.number]
            places.setdefault((layout.base, layout.offset, layout.dtype), []).append(access)
        for i, ((_, _, dtype), group) in enumerate(places.items()):
            is_written = any(access.number in self.kernel.stored for access in group)
            for access in group:
                access.pointer = f"p{i}"
            const = "" if is_written else "const "
            self.parameters.append(f"{const}{c_type(dtype)} *restrict p{i}")
            self.arguments.append((group[0].number, is_written))

    def _merged_loops(self) -> list[Loop]:
        """Merge neighbouring axes that all accesses go through as through one."""
        accesses = list(self._accesses.values())
        loops: list[Loop] = []
        for axis, size in enumerate(self.kernel.domain):
            if (
                loops
                and axis != self.rows
                and all(a.strides[axis - 1] == a.strides[axis] * size for a in accesses)
            ):
                loops[-1].size *= size
                loops[-1].axes.append(axis)
            else:
                loops.append(Loop(size, [axis]))
        return loops

    # Parts.

    def _share_out(self) -> Loop | None:
        """Cut one loop into parts, if the nest is long enough and one can be."""
        wanted = wanted_parts(self._seconds())
        if wanted == 1:
            return None
        loops = self.outer or self.inner
        free = [loop for loop in loops if self._can_share(loop, wanted)]
        found = next((loop for loop in free if loop.size >= min(wanted, 8)), None)
        if found is None:
            found = max(free, key=lambda loop: loop.size, default=None)
        if found is None or found.size == 1:
            return None
        # Parts of the innermost loop are whole vectors and lines of the cache.
        unit = 64 if self.inner and found is self.inner[-1] else 1
        shared = share(found.size, wanted, unit)
        if shared.parts == 1:
            return None
        found.share = shared
        return found

    def _seconds(self) -> float:
        """Predict how long one thread takes."""
        wide = max((self.dtype(s.number).itemsize for s in self.kernel.statements), default=4)
        weights = [
            prod(self.walked(s)) * (_FUNCTION_WEIGHT if "(" in (s.step.op.c or "") else 1)
            for s in self.kernel.statements
        ]
        operations = sum(weights) * max(wide, 4) / 4
        moved = sum(
            prod(layout.shape) * layout.dtype.itemsize
            for layout in (self.layouts[number] for number, _ in self.arguments)
        )
        return max(operations / _OPERATIONS_PER_SECOND, moved / _BYTES_PER_SECOND)

    def _can_share(self, loop: Loop, wanted: int) -> bool:
        """Whether parts of a loop stay apart in what they write, or can be put together."""
        for statement in self.kernel.statements:
            if statement.kept is None:
                continue
            layout = self.layouts[statement.number]
            if not layout.is_contiguous or not self.is_alone(statement):
                return False
            if self.is_apart(statement, loop):
                # Each part starts its own elements, which must lie in one piece.
                if statement.kept[0] not in loop.axes:
                    return False
            elif prod(layout.shape) * 8 * wanted > _MOST_SHARED_BYTES:
                return False
        return True

    def is_apart(self, statement: Statement, loop: Loop) -> bool:
        """Whether parts of a loop add to different elements of a final result."""
        return bool(statement.kept) and loop.axes[-1] in (statement.kept or ())

    def is_alone(self, statement: Statement) -> bool:
        """Whether nothing else of the kernel lies where a result is stored."""
        pointer = self.access_result(statement).pointer
        return sum(access.pointer == pointer for access in self._accesses.values()) == 1


def _long_strides(layout: Layout) -> list[int]:
    pairs = zip(layout.shape, layout.strides, strict=True)
    return [stride for length, stride in pairs if length != 1]
