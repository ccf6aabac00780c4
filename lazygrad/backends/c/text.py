"""What C code is made of: types, literals, functions with the values that they are called on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.op import Array, Op
from ...spec import DType

__all__ = ["Function", "Layout", "c_type", "indented", "literal", "reduction_start", "summed"]

_FLOATS = {4: "float", 8: "double"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a value lies: an address as C, an offset in bytes from it, strides in elements.

    Two values at the same place, so one written over the other, have equal `base` and `offset`.
    """

    base: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: DType

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements lie in row-major order without gaps."""
        step = 1
        for length, stride in zip(self.shape[::-1], self.strides[::-1], strict=True):
            if length != 1 and stride != step:
                return False
            step *= length
        return True


@dataclass(frozen=True, slots=True)
class Function:
    """A C function over pointers: the text without its name, and what it is called on.

    `arguments` pairs each value with whether it is written; `reductions` are operations and
    element types that its loops reduce by. A function that *can fail* returns 1 where it
    does; one that *takes the table* has it as its first parameter, named `at`.

    Where `far` is set at the end of the body, `careful` is what does the work again.

    `helpers` are functions that it calls, by name. `constants` are arrays of numbers that come
    before its arguments, as type and values: functions that differ in nothing else are one.

    A function in several *parts* does the part that `part` says, in any order and on any thread.
    `shared` are arrays, as type, name and size, in which parts leave what is put together
    `afterwards`, by lines that see them and the parameters.
    """

    parameters: str
    body: str
    arguments: tuple[tuple[int, bool], ...]
    reductions: frozenset[tuple[Op, DType]] = frozenset()
    attributes: str = ""
    can_fail: bool = False
    takes_table: bool = False
    parts: int = 1
    careful: str = ""
    helpers: tuple[tuple[str, str], ...] = ()
    constants: tuple[tuple[str, tuple[str, ...]], ...] = ()
    shared: tuple[tuple[str, str, int], ...] = ()
    afterwards: str = ""


def c_type(dtype: DType) -> str:
    """Name the C type of an element type.

    >>> c_type(np.dtype(np.float32)), c_type(np.dtype(np.uint8))
    ('float', 'uint8_t')
    """
    if dtype.kind == "f":
        return _FLOATS[dtype.itemsize]
    if dtype.kind == "b":
        return "bool"
    sign = "u" if dtype.kind == "u" else ""
    return f"{sign}int{8 * dtype.itemsize}_t"


def literal(value: Array) -> str:
    """Write an array of one element as a C constant, to the last bit.

    >>> literal(np.float32(0.1)), literal(np.int32(-2))
    ('0x1.99999a0000000p-4f', '(-2)')
    """
    number = value.reshape(()).item()
    if isinstance(number, bool):
        return str(int(number))
    if isinstance(number, int):
        if number == -(1 << 63):
            return "INT64_MIN"
        suffix = "u" if value.dtype.kind == "u" else ""
        wide = "ll" if value.dtype.itemsize == 8 else ""
        text = f"{number}{suffix}{wide}"
    elif math.isnan(number):
        text = "NAN"
    elif math.isinf(number):
        text = "INFINITY" if number > 0 else "-INFINITY"
    else:
        text = number.hex() + ("f" if value.dtype.itemsize == 4 else "")
    return f"({text})" if text.startswith("-") else text


def reduction_start(op: Op, dtype: DType) -> str:
    """Write what a reduction of values of a type starts from."""
    assert op.start is not None
    if dtype.kind == "f":
        bounds = {"lowest": "-INFINITY", "highest": "INFINITY"}
    elif dtype.kind == "b":
        bounds = {"lowest": "0", "highest": "1"}
    else:
        information = np.iinfo(dtype)  # type: ignore[type-var]
        ends = (np.array(information.min, dtype), np.array(information.max, dtype))
        bounds = dict(zip(("lowest", "highest"), map(literal, ends), strict=True))
    return op.start.format(**bounds)


def indented(lines: Iterable[str], depth: int = 1) -> list[str]:
    """Move lines to the right."""
    return ["    " * depth + line for line in lines]


def summed(strides: Sequence[int], variables: Sequence[str]) -> str:
    """Write the index that loop variables give with strides.

    >>> summed((16, 1, 0), ("i", "j", "k"))
    'i * 16 + j'
    """
    terms = [
        name if stride == 1 else f"{name} * {stride}"
        for name, stride in zip(variables, strides, strict=True)
        if stride
    ]
    return " + ".join(terms) or "0"
