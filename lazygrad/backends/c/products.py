"""Matrix products as C: a tile of rows and vectors that stays in registers, over static sizes.

The tile takes one row of the right operand as vectors and one number of each of its own rows at a
time. A right operand whose rows are not in one piece, and columns that don't fill a vector, are
packed first. A single column is a sum for each row, or the product of the transposes. Knows layouts
and the width of a vector; which product is better done by BLAS is decided here, by size alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...schedule.steps import Step
from ...spec import DType
from .text import Function, Layout, c_type, indented, summed

__all__ = ["product_function"]

# A right operand that fits into the second level of the cache needs no packing to be quick.
_MOST_BYTES = 1 << 20
# Packed copies live on the stack.
_MOST_PACKED = 1 << 18


@dataclass(frozen=True)
class _Product:
    """One matrix product: sizes, and strides of rows and columns of both operands and the result.

    ``c[i, j] = sum(a[i, k] * b[k, j])``, with *rows* of i, *depth* of k and *columns* of j.
    """

    rows: int
    depth: int
    columns: int
    a: tuple[int, int]
    b: tuple[int, int]
    c: tuple[int, int]

    @property
    def transposed(self) -> _Product:
        """The product of the transposes, in the other order."""
        return _Product(
            self.columns, self.depth, self.rows, self.b[::-1], self.a[::-1], self.c[::-1]
        )

    @property
    def copied(self) -> int:
        """How many elements are copied, of the right operand before and of the result after."""
        before = 0 if self.b[1] == 1 or self.columns == 1 else self.depth * self.columns
        after = 0 if self.c[1] == 1 or self.columns == 1 else self.rows * self.columns
        return before + after


def product_function(
    step: Step, layouts: Mapping[int, Layout], vector_bytes: int
) -> Function | None:
    """Write a product of matrices, or stacks of them; None where BLAS does it better."""
    a, b, c = (layouts[number] for number in (*step.reads, *step.writes))
    if a.dtype != c.dtype or b.dtype != c.dtype or c.dtype.char not in "fd":
        return None
    if 0 in (*a.shape, *b.shape, *c.shape):
        return None
    stack, strides = _stack(a, b, c)
    one = _Product(c.shape[-2], a.shape[-1], c.shape[-1], *map(_last_two, (a, b, c)))
    is_one = len(stack) == 1 and not strides[1][0]
    if is_one and _is_one_piece(a, strides[0][0]) and _is_one_piece(c, strides[2][0]):
        # With one matrix on the right, those of a stack are one under the other.
        one = _Product(stack[0] * one.rows, one.depth, one.columns, one.a, one.b, one.c)
        stack, strides = (), ((), (), ())
    if one.depth * one.columns * c.dtype.itemsize > _MOST_BYTES:
        return None
    lines = _Tiles(one, c.dtype, vector_bytes).lines()
    if lines is None:
        return None
    variables = [f"s{i}" for i in range(len(stack))]
    kind = c_type(c.dtype)
    if stack:
        bases = (("a", "p0", 0), ("b", "p1", 1))
        inside = [
            f"const {kind} *{n} = {p} + {summed(strides[i], variables)};" for n, p, i in bases
        ]
        inside.append(f"{kind} *c = p2 + {summed(strides[2], variables)};")
        lines = [*inside, *lines]
        for size, name in reversed(list(zip(stack, variables, strict=True))):
            loop = f"for (int64_t {name} = 0; {name} < {size}; {name}++) {{"
            lines = [loop, *indented(lines), "}"]
    else:
        lines = [f"const {kind} *a = p0, *b = p1;", f"{kind} *c = p2;", *lines]
    parameters = f"const {kind} *restrict p0, const {kind} *restrict p1, {kind} *restrict p2"
    arguments = ((step.reads[0], False), (step.reads[1], False), (step.writes[0], True))
    return Function(
        parameters, "\n".join(indented(["FUSED", *lines])), arguments, attributes="PRODUCT "
    )


def _stack(a: Layout, b: Layout, c: Layout) -> tuple[tuple[int, ...], Sequence[tuple[int, ...]]]:
    """Give the lengths of a stack of products, without ones and merged, and strides of each."""
    rank = len(c.shape) - 2
    lengths = c.shape[:rank]
    strides = []
    for layout in (a, b, c):
        missing = rank - (len(layout.shape) - 2)
        own = zip(layout.shape[:-2], layout.strides[:-2], strict=True)
        strides.append([0] * missing + [0 if n == 1 else stride for n, stride in own])
    merged: list[int] = []
    kept: list[list[int]] = [[], [], []]
    for axis, length in enumerate(lengths):
        if length == 1:
            continue
        here = [s[axis] for s in strides]
        if merged and all(k[-1] == s * length for k, s in zip(kept, here, strict=True)):
            merged[-1] *= length
            for k, s in zip(kept, here, strict=True):
                k[-1] = s
            continue
        merged.append(length)
        for k, s in zip(kept, here, strict=True):
            k.append(s)
    return tuple(merged), tuple(tuple(k) for k in kept)


def _last_two(layout: Layout) -> tuple[int, int]:
    return layout.strides[-2], layout.strides[-1]


def _is_one_piece(layout: Layout, step: int) -> bool:
    """Whether the matrices of a stack follow each other at the distance of their rows."""
    return layout.strides[-2] * layout.shape[-2] == step


def _offset(pointer: str, distance: int) -> str:
    return f"{pointer} + {distance}" if distance else pointer


class _Tiles:
    """Writes the loops over tiles for one product."""

    def __init__(self, product: _Product, dtype: DType, vector_bytes: int) -> None:
        self.dtype = dtype
        self.kind = c_type(dtype)
        self.lanes = vector_bytes // dtype.itemsize
        # Wide vectors come with twice the registers.
        self.most_rows, self.most_vectors = (8, 2) if vector_bytes == 64 else (6, 2)
        self.product = product

    def lines(self) -> list[str] | None:
        product = self.product
        if product.columns == 1 and product.a[1] == 1 and product.depth > 1:
            return self._sums()
        other = product.transposed
        is_narrow = product.columns < self.lanes and product.rows > product.columns
        would_fill = other.columns >= self.lanes or other.b[1] == 1
        if (is_narrow and would_fill) or 2 * other.copied < product.copied:
            return self._tiled(other, {"a": "b", "b": "a"})
        return self._tiled(product, {"a": "a", "b": "b"})

    def _sums(self) -> list[str]:
        """Write a sum for each row: the right operand is a single column."""
        p = self.product
        b = summed((p.b[0],), ("k",))
        return [
            f"for (int64_t i = 0; i < {p.rows}; i++) {{",
            f"    {self.kind} sum = 0;",
            "    #pragma omp simd reduction(+:sum)",
            f"    for (int64_t k = 0; k < {p.depth}; k++) sum += a[i * {p.a[0]} + k] * b[{b}];",
            f"    c[i * {p.c[0]}] = sum;",
            "}",
        ]

    def _tiled(self, p: _Product, names: Mapping[str, str]) -> list[str] | None:
        a, b = names["a"], names["b"]
        lines: list[str] = []
        whole = p.columns // self.lanes * self.lanes if p.b[1] == 1 and p.c[1] == 1 else 0
        rest = p.columns - whole
        padded = -(-rest // self.lanes) * self.lanes
        if p.depth * padded * self.dtype.itemsize > _MOST_PACKED:
            return None
        wide = self.most_vectors * self.lanes
        if whole >= wide:
            loop = f"for (int64_t j = 0; j + {wide} <= {whole}; j += {wide}) {{"
            tiles = self._down(p, self.most_vectors, a, f"{b} + j", p.b[0], "c + j", p.c)
            lines += [loop, *indented(tiles), "}"]
        if whole % wide:
            start = whole // wide * wide
            lines += self._down(p, 1, a, _offset(b, start), p.b[0], _offset("c", start), p.c)
        if rest:
            lines += self._packed(p, a, b, whole, rest, padded)
        return lines

    def _packed(self, p: _Product, a: str, b: str, start: int, rest: int, padded: int) -> list[str]:
        """Write the columns from *start* on, which are copied into whole vectors before."""
        place = summed((p.b[0], p.b[1]), ("k", f"({start} + j)" if start else "j"))
        lines = [
            f"{self.kind} packed[{p.depth * padded}];",
            f"for (int64_t k = 0; k < {p.depth}; k++) {{",
            f"    for (int64_t j = 0; j < {rest}; j++) packed[k * {padded} + j] = {b}[{place}];",
        ]
        if padded > rest:
            lines.append(
                f"    for (int64_t j = {rest}; j < {padded}; j++) packed[k * {padded} + j] = 0;"
            )
        lines.append("}")
        done = 0
        while done < padded:
            vectors = min(self.most_vectors, (padded - done) // self.lanes)
            columns = min(rest - done, vectors * self.lanes)
            here, target = _offset("packed", done), _offset("c", (start + done) * p.c[1])
            if columns == vectors * self.lanes and p.c[1] == 1:
                lines += self._down(p, vectors, a, here, padded, target, p.c)
            else:
                lines += self._down_apart(p, vectors, a, here, padded, target, columns)
            done += vectors * self.lanes
        return ["{", *indented(lines), "}"]

    def _down(
        self,
        p: _Product,
        vectors: int,
        a: str,
        b: str,
        b_step: int,
        c: str,
        c_steps: tuple[int, int],
    ) -> list[str]:
        """Write the tiles of one panel of columns, from the first row to the last."""
        full = self.most_rows
        lines = []
        if p.rows >= full:
            tile = self._tile(full, vectors, p, f"{a} + i * {p.a[0]}", b, b_step)
            tile += self._stores(full, vectors, f"{c} + i * {c_steps[0]}", c_steps[0])
            loop = f"for (int64_t i = 0; i + {full} <= {p.rows}; i += {full}) {{"
            lines += [loop, *indented(tile), "}"]
        left = p.rows % full
        if left:
            start = p.rows - left
            tile = self._tile(left, vectors, p, _offset(a, start * p.a[0]), b, b_step)
            tile += self._stores(left, vectors, _offset(c, start * c_steps[0]), c_steps[0])
            lines += ["{", *indented(tile), "}"]
        return lines

    def _down_apart(
        self, p: _Product, vectors: int, a: str, b: str, b_step: int, c: str, columns: int
    ) -> list[str]:
        """Write tiles whose results are copied out: not all of them, or not side by side."""
        full, width = self.most_rows, vectors * self.lanes
        place = summed((p.c[0], p.c[1]), ("(i + r)", "j"))
        out = [
            "for (int64_t r = 0; r < count; r++) {",
            f"    for (int64_t j = 0; j < {columns}; j++) ({c})[{place}] = apart[r * {width} + j];",
            "}",
        ]
        lines = [f"{self.kind} apart[{full * width}];"]
        left = p.rows % full
        if p.rows >= full:
            tile = self._tile(full, vectors, p, f"{a} + i * {p.a[0]}", b, b_step)
            tile += self._stores(full, vectors, "apart", width)
            lines += [
                f"for (int64_t i = 0; i + {full} <= {p.rows}; i += {full}) {{",
                *indented([f"const int64_t count = {full};", *tile, *out]),
                "}",
            ]
        if left:
            start = p.rows - left
            tile = self._tile(left, vectors, p, _offset(a, start * p.a[0]), b, b_step)
            tile += self._stores(left, vectors, "apart", width)
            head = [f"const int64_t i = {start}, count = {left};"]
            lines += ["{", *indented([*head, *tile, *out]), "}"]
        return ["{", *indented(lines), "}"]

    def _tile(self, rows: int, vectors: int, p: _Product, a: str, b: str, b_step: int) -> list[str]:
        """Write the sums of one tile, as variables that stay in registers."""
        vector = f"{self.kind}_vector"
        lines = [f"const {self.kind} *x = {a}, *y = {b};"]
        for i in range(rows):
            names = ", ".join(f"c{i}_{j} = {{0}}" for j in range(vectors))
            lines.append(f"{vector} {names};")
        lines.append(f"for (int64_t k = 0; k < {p.depth}; k++) {{")
        for j in range(vectors):
            place = f"y + k * {b_step} + {j * self.lanes}"
            lines.append(f"    const {vector} b{j} = *(const {vector} *)({place});")
        for i in range(rows):
            place = summed((1, p.a[1]), (str(i * p.a[0]), "k"))
            lines.append(f"    const {self.kind} a{i} = x[{place}];")
            lines += [f"    c{i}_{j} += a{i} * b{j};" for j in range(vectors)]
        lines.append("}")
        return lines

    def _stores(self, rows: int, vectors: int, c: str, c_step: int) -> list[str]:
        vector = f"{self.kind}_vector"
        lines = [f"{self.kind} *z = {c};"]
        for i in range(rows):
            lines += [
                f"*({vector} *)(z + {i * c_step + j * self.lanes}) = c{i}_{j};"
                for j in range(vectors)
            ]
        return lines
