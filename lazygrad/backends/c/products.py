"""Matrix products as C: stacks of them, and what is done with their results at once.

Knows steps, kernels and layouts; the loops of one product are for `tiles.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ...schedule.kernel import Kernel
from ...schedule.patches import right_axes
from ...schedule.steps import Step
from ...spec import DType
from .epilogue import Epilogue
from .parts import share, wanted_parts
from .text import Function, Layout, c_type, indented, summed
from .tiles import Along, Product, Table, Tiles

__all__ = ["product_function", "product_kernel_function"]

_FLOPS_PER_SECOND = 1e11


@dataclass(frozen=True)
class _Pointer:
    """A parameter, and how far the stacked matrices, rows and columns are apart there."""

    kind: str
    name: str
    strides: tuple[int, ...]

    @property
    def matrix(self) -> tuple[int, int]:
        """The strides of rows and columns."""
        return self.strides[-2], self.strides[-1]


def product_function(
    step: Step, layouts: Mapping[int, Layout], vector_bytes: int
) -> Function | None:
    """Write a product of matrices, or stacks of them; None for what isn't one of floats."""
    a, b, c = (layouts[number] for number in (*step.reads, *step.writes))
    if a.dtype != c.dtype or b.dtype != c.dtype or c.dtype.char not in "fd":
        return None
    if 0 in (*a.shape, *b.shape, *c.shape):
        return None
    kind, rank = c_type(c.dtype), len(c.shape)
    right = _Right.of(step, b)
    pointers = [*_operands(a, right, rank), _Pointer(f"{kind} *", "c", _strides(c, rank))]
    parameters, lines, parts = _written(
        c.shape, a.shape[-1], c.dtype, pointers, right, pointers[2].matrix, vector_bytes
    )
    arguments = ((step.reads[0], False), (step.reads[1], False), (step.writes[0], True))
    return _function(parameters, lines, arguments, parts)


def product_kernel_function(
    kernel: Kernel, layouts: Mapping[int, Layout], literals: Mapping[int, str], vector_bytes: int
) -> Function:
    """Write a kernel that begins with a product: that product, and the rest as its epilogue."""
    assert kernel.product is not None, "the kernel begins with a product"
    epilogue = Epilogue(kernel, layouts, literals)
    reads = kernel.product.reads
    a, b = (layouts[number] for number in reads)
    right = _Right.of(kernel.product, b)
    pointers = _operands(a, right, len(epilogue.shape))
    pointers += [
        _Pointer(kind, f"e{i}", strides)
        for i, (kind, strides) in enumerate(zip(epilogue.kinds, epilogue.strides, strict=True))
    ]
    parameters, lines, parts = _written(
        epilogue.shape,
        a.shape[-1],
        epilogue.dtype,
        pointers,
        right,
        epilogue.sum_strides,
        vector_bytes,
        epilogue,
    )
    arguments = ((reads[0], False), (reads[1], False), *epilogue.arguments)
    return _function(parameters, lines, arguments, parts, tuple(epilogue.helpers.items()))


def _function(
    parameters: str,
    lines: list[str],
    arguments: tuple[tuple[int, bool], ...],
    parts: int,
    helpers: tuple[tuple[str, str], ...] = (),
) -> Function:
    return Function(
        parameters,
        "\n".join(indented(["FUSED", *lines])),
        arguments,
        attributes="PRODUCT ",
        parts=parts,
        helpers=helpers,
    )


@dataclass(frozen=True)
class _Right:
    """The right operand: the lengths and strides of its stack, and how rows and columns follow."""

    lengths: tuple[int, ...]
    strides: tuple[int, ...]
    matrix: tuple[Along, Along]

    @classmethod
    def of(cls, step: Step, layout: Layout) -> _Right:
        """See the second operand of a product, whose rows or columns may be several axes."""
        count = len(layout.shape)
        rows, columns = right_axes(step) or ((count - 2,), (count - 1,))
        stack = count - len(rows) - len(columns)
        matrix = _along(layout, rows, "rows_at"), _along(layout, columns, "columns_at")
        return cls(layout.shape[:stack], layout.strides[:stack], matrix)

    @property
    def tables(self) -> list[str]:
        """The tables that it needs, as C."""
        return [along.declared for along in self.matrix if isinstance(along, Table)]


def _along(layout: Layout, axes: Sequence[int], name: str) -> Along:
    """Say how the places of several axes, gone through as one, follow one another."""
    places = [0]
    for axis in axes:
        steps = [layout.strides[axis] * i for i in range(layout.shape[axis])]
        places = [place + step for place in places for step in steps]
    if len(axes) == 1:
        return layout.strides[axes[0]]
    step = places[1] if len(places) > 1 else 1
    is_steady = all(place == i * step for i, place in enumerate(places))
    return step if is_steady else Table(name, tuple(places))


def _operands(a: Layout, right: _Right, rank: int) -> list[_Pointer]:
    kind = f"const {c_type(a.dtype)} *"
    missing = (0,) * (rank - 2 - len(right.lengths))
    b = (*missing, *_stacked(right.lengths, right.strides), 0, 0)
    return [_Pointer(kind, "a", _strides(a, rank)), _Pointer(kind, "b", b)]


def _strides(layout: Layout, rank: int) -> tuple[int, ...]:
    """Give strides along all axes of a result of so many; 0 along those of a stack that repeat."""
    missing = (0,) * (rank - len(layout.shape))
    stack = _stacked(layout.shape[:-2], layout.strides[:-2])
    return (*missing, *stack, *layout.strides[-2:])


def _stacked(lengths: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    return tuple(0 if n == 1 else stride for n, stride in zip(lengths, strides, strict=True))


def _written(
    shape: tuple[int, ...],
    depth: int,
    dtype: DType,
    pointers: Sequence[_Pointer],
    right: _Right,
    sums: tuple[int, int],
    vector_bytes: int,
    epilogue: Epilogue | None = None,
) -> tuple[str, list[str], int]:
    """Write a product, the first two of whose pointers are its operands': parameters, lines, parts.

    *sums* are the strides of rows and columns of where sums of tiles go.
    """
    stack, strides = _merged_stack(shape[:-2], [pointer.strides[:-2] for pointer in pointers])
    a, b = pointers[:2]
    rows = shape[-2]
    if len(stack) == 1 and not strides[1][0]:
        left = [(own, p) for own, p in zip(strides, pointers, strict=True) if p is not b]
        if all(own[0] == p.matrix[0] * rows for own, p in left):
            # With one matrix on the right, those of a stack are one under the other.
            rows, stack, strides = rows * stack[0], (), [() for _ in pointers]
    product = Product(rows, depth, shape[-1], a.matrix, right.matrix, sums)
    flops = 2 * rows * depth * shape[-1] * prod(stack)
    wanted = wanted_parts(flops / _FLOPS_PER_SECOND)
    tiles = Tiles(product, dtype, vector_bytes, 1 if stack else wanted, epilogue)
    lines, parts = tiles.written()
    variables = [f"s{i}" for i in range(len(stack))]
    prefix = "all_" if stack else ""
    parameters = ", ".join(f"{p.kind}restrict {prefix}{p.name}" for p in pointers)
    own = [
        f"{p.kind}{p.name} = {_offset(prefix + p.name, summed(own, variables))};"
        for p, own in zip(pointers, strides, strict=True)
        if stack
    ]
    if epilogue is not None and epilogue.place is not None:
        # A deep product is added up in several passes.
        own.append(f"{c_type(dtype)} *c = {epilogue.place};")
    lines = [*right.tables, *own, *lines]
    if stack:
        lines, parts = _over_stack(lines, variables, stack, wanted)
    return parameters, lines, parts


def _offset(pointer: str, distance: str) -> str:
    return pointer if distance == "0" else f"{pointer} + {distance}"


def _merged_stack(
    lengths: Sequence[int], strides: Sequence[tuple[int, ...]]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Leave out lengths of 1, and merge neighbours that all are gone through by as through one."""
    merged: list[int] = []
    kept: list[list[int]] = [[] for _ in strides]
    for axis, length in enumerate(lengths):
        if length == 1:
            continue
        here = [own[axis] for own in strides]
        if merged and all(k[-1] == s * length for k, s in zip(kept, here, strict=True)):
            merged[-1] *= length
            for k, s in zip(kept, here, strict=True):
                k[-1] = s
            continue
        merged.append(length)
        for k, s in zip(kept, here, strict=True):
            k.append(s)
    return tuple(merged), [tuple(k) for k in kept]


def _over_stack(
    lines: list[str], variables: Sequence[str], stack: tuple[int, ...], wanted: int
) -> tuple[list[str], int]:
    """Write loops over a stack around one product; parts share out the first of them."""
    shared = share(stack[0], wanted)
    for axis, length in reversed(list(enumerate(stack))):
        start, end = (shared.first, shared.last) if axis == 0 else ("0", str(length))
        name = variables[axis]
        loop = f"for (int64_t {name} = {start}; {name} < {end}; {name}++) {{"
        lines = [loop, *indented(lines), "}"]
    return [*shared.bounds(), *lines], shared.parts
