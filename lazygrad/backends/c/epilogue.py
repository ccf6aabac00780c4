"""A kernel that goes over the tiles of a product, as the function that does so for one tile.

The sums of a tile wait on the stack; those of a deep product, which are added up in several passes,
wait where the kernel then stores what it makes of them. Knows kernels and layouts; what a tile is
and when it is done is for the product to say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...schedule.kernel import Kernel, squeezed
from ...spec import DType, Spec
from .loops import kernel_function
from .nest import Nest
from .text import Layout, summed
from .unit import written

__all__ = ["Epilogue"]

_SUMS = "sums"


class Epilogue:
    """What is done with each element of a product, given *layouts* of all that lies in memory.

    Attributes
    ----------
    kinds, arguments
        Of the pointers, `e0` and so on, that the product's function takes for it: types and values.
    strides
        Of each of them, along the axes of the product's result.
    place
        The pointer where sums can wait, or None.
    sum_strides
        Of rows and columns, where sums wait.
    helpers
        The functions that calls need, by name.
    """

    def __init__(
        self, kernel: Kernel, layouts: Mapping[int, Layout], literals: Mapping[int, str]
    ) -> None:
        assert kernel.product is not None, "an epilogue is one of a product"
        (self.number,) = kernel.product.writes
        result = kernel.specs[self.number]
        self.shape: tuple[int, ...] = result.shape  # type: ignore[assignment]
        self.dtype = result.dtype
        self.kernel = replace(kernel, product=None, specs=_without(kernel.specs, self.number))
        self.literals = literals
        self.layouts = {**layouts, self.number: self._apart(self.shape)}
        nest = Nest(self.kernel, self.layouts, literals)
        self.kinds: list[str] = []
        self.arguments: list[tuple[int, bool]] = []
        self.strides: list[tuple[int, ...]] = []
        self._pointers: dict[tuple[str, int, DType], int] = {}
        for parameter, (number, is_written) in zip(nest.parameters, nest.arguments, strict=True):
            if number != self.number:
                self._pointers[self._key(number)] = len(self.arguments)
                self.kinds.append(parameter.split("restrict")[0])
                self.arguments.append((number, is_written))
                self.strides.append(self._along(nest.strides_of(number)))
        self.helpers: dict[str, str] = {}
        self._room = self._found_room()
        self.place = None if self._room is None else self._pointer(self._room)
        held = self._apart(self.shape).strides
        if self._room is not None:
            held = self.strides[self._pointers[self._key(self._room)]]
        self.sum_strides = held[-2], held[-1]

    def _apart(self, shape: tuple[int, ...]) -> Layout:
        """Say how sums lie that wait on the stack."""
        steps = [1]
        for length in shape[:0:-1]:
            steps.append(steps[-1] * length)
        return Layout(_SUMS, 0, shape, tuple(steps[::-1]), self.dtype)

    def _along(self, strides: Sequence[int]) -> tuple[int, ...]:
        """Give strides along all axes of the result from those along the kernel's."""
        left = iter(strides)
        return tuple(0 if length == 1 else next(left) for length in self.shape)

    def _key(self, number: int) -> tuple[str, int, DType]:
        layout = self.layouts[number]
        return layout.base, layout.offset, layout.dtype

    def _pointer(self, number: int) -> str:
        return f"e{self._pointers[self._key(number)]}"

    def _found_room(self) -> int | None:
        """Find a result that can hold sums until they are all there."""
        read = {self._key(n) for n in self.kernel.reads if n not in self.literals}
        for number in self.kernel.stored:
            same = Spec(self.shape, self.dtype) == self.kernel.specs[number]
            if same and self.layouts[number].is_contiguous and self._key(number) not in read:
                return number
        return None

    def call(
        self, rows: int, most: int, columns: int, width: int, start: str, *, turned: bool
    ) -> str:
        """Write the call over the sums of a tile, `apart`, whose rows are *width* elements long.

        The tile has *rows* of at most so many rows, from `i` on, and so many columns, from *start*
        on; of the transposed product where *turned*.
        """
        sums = Layout(_SUMS, 0, (most, columns), (width, 1), self.dtype)
        return self._call(sums, rows, most, columns, start, turned)

    def call_in_place(self, rows: int, most: int, columns: int, start: str, *, turned: bool) -> str:
        """Write the call over the sums of a tile that wait in a result."""
        assert self._room is not None, "room was asked for"
        row, column = self._steps(self._room, turned)
        held = replace(self.layouts[self._room], shape=(most, columns), strides=(row, column))
        return self._call(held, rows, most, columns, start, turned)

    def _steps(self, number: int, turned: bool) -> tuple[int, int]:
        row, column = self.strides[self._pointers[self._key(number)]][-2:]
        return (column, row) if turned else (row, column)

    def _call(
        self, sums: Layout, rows: int, most: int, columns: int, start: str, turned: bool
    ) -> str:
        tile = (most, columns)
        lengths = squeezed(tile)
        layouts = {n: self.layouts[n] for n in self.literals if n in self.layouts}
        kernel = self.kernel
        for number in {*kernel.reads, *kernel.stored} - self.literals.keys() - {self.number}:
            steps = self._steps(number, turned)
            shape = tuple(n if step else 1 for n, step in zip(tile, steps, strict=True))
            layouts[number] = replace(self.layouts[number], shape=shape, strides=steps)
        layouts[self.number] = sums
        kernel = replace(
            kernel,
            domain=lengths,
            # A row each, so that there may be fewer of them.
            outer=1 if len(lengths) == 2 else len(lengths),
            statements=tuple(replace(s, depth=len(lengths)) for s in kernel.statements),
            specs={n: Spec(tile, spec.dtype) for n, spec in kernel.specs.items()},
        )
        function = kernel_function(kernel, layouts, self.literals, bounded=most > 1)
        given = []
        for number, _ in function.arguments:
            if number == self.number and sums.base == _SUMS:
                given.append("apart")
            else:
                own = self._room if number == self.number else number
                assert own is not None, "sums wait in a result, or on the stack"
                offset = summed(self._steps(own, turned), ("i", start))
                given.append(self._pointer(own) + ("" if offset == "0" else f" + {offset}"))
        parameters = f"{function.parameters}, int64_t last"
        digest = hashlib.sha1(
            f"{parameters}{function.body}{function.careful}".encode(), usedforsecurity=False
        ).hexdigest()
        name = f"epilogue_{digest[:12]}"
        self.helpers[name] = "\n\n".join(written(function, name, parameters))
        return f"{name}({', '.join(given)}, {rows});"


def _without(specs: Mapping[int, Spec], number: int) -> dict[int, Spec]:
    return {own: spec for own, spec in specs.items() if own != number}
