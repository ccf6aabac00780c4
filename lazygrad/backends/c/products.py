"""Matrix products as C: a tile of rows and vectors that stays in registers, over static sizes.

The tile takes one row of the right operand as vectors and one number of each of its own rows at a
time. A right operand that is large, or whose rows are not in one piece, is copied block by block
into panels as wide as a tile, which stay in the second level of the cache while all rows go over
them; so are columns that don't fill a vector. A single column is a sum for each row, or the product
of the transposes. Knows layouts and the width of a vector.

Source: K. Goto and R. van de Geijn, Anatomy of High-Performance Matrix Multiplication, ACM TOMS
34(3), 2008, section 4; the left operand is not copied here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ...schedule.steps import Step
from ...spec import DType
from .parts import share, wanted_parts
from .text import Function, Layout, c_type, indented, summed

__all__ = ["product_function"]

# A right operand that fits into the second level of the cache needs no packing to be quick.
_MOST_BYTES = 1 << 20
# A block of the right operand: so deep, and so many panels wide.
_MOST_DEPTH = 256
_MOST_PANELS = 4
# Rows of the left operand that are gone over again for each block stay in the third level.
_MOST_LEFT_BYTES = 1 << 22
_FLOPS_PER_SECOND = 1e11


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
        """How many elements are copied one by one, of the right operand and of the result."""
        before = 0 if self.b[1] == 1 or self.columns == 1 else self.depth * self.columns
        after = 0 if self.c[1] == 1 or self.columns == 1 else self.rows * self.columns
        return before + after


def product_function(
    step: Step, layouts: Mapping[int, Layout], vector_bytes: int
) -> Function | None:
    """Write a product of matrices, or stacks of them; None for what isn't one of floats."""
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
    flops = 2 * one.rows * one.depth * one.columns * prod(stack)
    wanted = wanted_parts(flops / _FLOPS_PER_SECOND)
    kind = c_type(c.dtype)
    if stack:
        lines, _ = _Tiles(one, c.dtype, vector_bytes, 1).written()
        lines, parts = _over_stack(lines, kind, stack, strides, wanted)
    else:
        lines, parts = _Tiles(one, c.dtype, vector_bytes, wanted).written()
        lines = [f"const {kind} *a = p0, *b = p1;", f"{kind} *c = p2;", *lines]
    parameters = f"const {kind} *restrict p0, const {kind} *restrict p1, {kind} *restrict p2"
    arguments = ((step.reads[0], False), (step.reads[1], False), (step.writes[0], True))
    body = "\n".join(indented(["FUSED", *lines]))
    return Function(parameters, body, arguments, attributes="PRODUCT ", parts=parts)


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


def _over_stack(
    lines: list[str],
    kind: str,
    stack: tuple[int, ...],
    strides: Sequence[tuple[int, ...]],
    wanted: int,
) -> tuple[list[str], int]:
    """Write loops over a stack around one product; parts share out the first of them."""
    variables = [f"s{i}" for i in range(len(stack))]
    bases = (("a", "p0", 0), ("b", "p1", 1))
    inside = [f"const {kind} *{n} = {p} + {summed(strides[i], variables)};" for n, p, i in bases]
    inside.append(f"{kind} *c = p2 + {summed(strides[2], variables)};")
    lines = [*inside, *lines]
    shared = share(stack[0], wanted)
    for axis, length in reversed(list(enumerate(stack))):
        start, end = (shared.first, shared.last) if axis == 0 else ("0", str(length))
        name = variables[axis]
        loop = f"for (int64_t {name} = {start}; {name} < {end}; {name}++) {{"
        lines = [loop, *indented(lines), "}"]
    return [*shared.bounds(), *lines], shared.parts


def _last_two(layout: Layout) -> tuple[int, int]:
    return layout.strides[-2], layout.strides[-1]


def _is_one_piece(layout: Layout, step: int) -> bool:
    """Whether the matrices of a stack follow each other at the distance of their rows."""
    return layout.strides[-2] * layout.shape[-2] == step


def _offset(pointer: str, distance: int) -> str:
    return f"{pointer} + {distance}" if distance else pointer


@dataclass(frozen=True)
class _Panel:
    """Columns that a tile takes at once: where they lie, how far their rows are apart, how many.

    `add` is what tells, in C, that the result holds the sum of other terms already.
    """

    right: str
    step: int
    depth: str
    start: str
    vectors: int
    columns: int
    add: str = ""


class _Tiles:
    """Writes the loops over tiles for one product, in about as many parts as are wanted."""

    def __init__(self, product: _Product, dtype: DType, vector_bytes: int, wanted: int) -> None:
        self.kind = c_type(dtype)
        self.size = dtype.itemsize
        self.lanes = vector_bytes // dtype.itemsize
        # Wide vectors come with twice the registers.
        self.most_rows, self.most_vectors = (8, 2) if vector_bytes == 64 else (6, 2)
        self.wide = self.most_vectors * self.lanes
        self.wanted = wanted
        self.product = product
        self.left, self.right = "a", "b"
        self.shared = share(product.rows, 1)

    def written(self) -> tuple[list[str], int]:
        """Give the lines, and into how many parts they fall."""
        p = self.product
        if p.columns == 1 and p.a[1] == 1 and p.depth > 1:
            return self._sums()
        other = p.transposed
        is_narrow = p.columns < self.lanes and p.rows > p.columns
        would_fill = other.columns >= self.lanes or other.b[1] == 1
        if (is_narrow and would_fill) or 2 * other.copied < p.copied:
            self.product, self.left, self.right = other, "b", "a"
            self.shared = share(other.rows, 1)
        return self._tiled()

    def _sums(self) -> tuple[list[str], int]:
        """Write a sum for each row: the right operand is a single column."""
        p = self.product
        b = summed((p.b[0],), ("k",))
        shared = share(p.rows, self.wanted)
        return [
            *shared.bounds(),
            f"for (int64_t i = {shared.first}; i < {shared.last}; i++) {{",
            f"    {self.kind} sum = 0;",
            "    #pragma omp simd reduction(+:sum)",
            f"    for (int64_t k = 0; k < {p.depth}; k++) sum += a[i * {p.a[0]} + k] * b[{b}];",
            f"    c[i * {p.c[0]}] = sum;",
            "}",
        ], shared.parts

    def _tiled(self) -> tuple[list[str], int]:
        p = self.product
        is_small = p.depth * p.columns * self.size <= _MOST_BYTES or p.rows <= self.most_rows
        is_direct = p.b[1] == 1 and p.c[1] == 1 and is_small
        whole = p.columns // self.lanes * self.lanes if is_direct else 0
        if not whole:
            return self._blocked()
        self.shared = share(p.rows, self.wanted, self.most_rows)
        lines = self.shared.bounds()
        if whole >= self.wide:
            panel = _Panel(
                f"{self.right} + j", p.b[0], str(p.depth), "j", self.most_vectors, self.wide
            )
            loop = f"for (int64_t j = 0; j + {self.wide} <= {whole}; j += {self.wide}) {{"
            lines += [loop, *indented(self._down(panel)), "}"]
        if whole % self.wide:
            start = whole // self.wide * self.wide
            right = _offset(self.right, start)
            lines += self._down(_Panel(right, p.b[0], str(p.depth), str(start), 1, self.lanes))
        if whole < p.columns:
            lines += self._block(whole, p.columns - whole)
        return lines, self.shared.parts

    # Blocks of the right operand that are copied into panels.

    def _blocked(self) -> tuple[list[str], int]:
        """Write everything block by block: blocks of columns, and of rows where these are many."""
        p = self.product
        width = _MOST_PANELS * self.wide
        across = -(-p.columns // width)
        # More rows than these would leave the cache before the next block of columns.
        most = max(_MOST_LEFT_BYTES // (p.depth * self.size), 8 * self.most_rows)
        down = max(-(-p.rows // most), min(self.wanted // across, p.rows // (8 * self.most_rows)))
        self.shared = share(p.rows, down, self.most_rows)
        count = across * self.shared.parts
        column = "part" if self.shared.parts == 1 else f"part % {across}"
        lines = [f"const int64_t block = {column};"] if across > 1 else []
        lines += self.shared.bounds(f"(part / {across})" if across > 1 else "part")
        lines += self._block(0, p.columns)
        if count > 1 and self.wanted < 2:
            loop = f"for (int64_t part = 0; part < {count}; part++) {{"
            return [loop, *indented(lines), "}"], 1
        return lines, count

    def _block(self, start: int, columns: int) -> list[str]:
        """Write one block of the columns from *start* on, the one that `block` says, if several."""
        p = self.product
        width = _MOST_PANELS * self.wide
        full, rest = divmod(columns, self.wide)
        times = -(-p.depth // _MOST_DEPTH)
        deep = -(-p.depth // times)
        depth = "n" if times > 1 else str(p.depth)
        row = "(k0 + k)" if times > 1 else "k"
        left = f"{self.left} + k0 * {p.a[1]}" if times > 1 else self.left
        add = "k0" if times > 1 else ""
        across = -(-columns // width)
        panels, from_block = str(full), str(start)
        lines = []
        if across > 1:
            lines.append(
                f"const int64_t j0 = {start} + block * {width},"
                f" panels = {full} - block * {_MOST_PANELS} < {_MOST_PANELS}"
                f" ? {full} - block * {_MOST_PANELS} : {_MOST_PANELS};"
            )
            panels, from_block = "panels", "j0"
        inside: list[str] = []
        if full:
            place = summed((p.b[0], p.b[1]), (row, "(j + q)"))
            inside += self._copies(
                f"for (int64_t m = 0; m < {panels}; m++) {{",
                f"const int64_t j = {from_block} + m * {self.wide};",
                f"packed + m * {self.wide} * {depth}",
                (self.wide, self.wide),
                place,
                depth,
            )
            panel = _Panel(
                f"packed + m * {self.wide} * {depth}",
                self.wide,
                depth,
                f"({from_block} + m * {self.wide})",
                self.most_vectors,
                self.wide,
                add,
            )
            inside += self._over_rows(
                lambda count: [
                    f"for (int64_t m = 0; m < {panels}; m++) {{",
                    *indented(self._one(count, panel, left)),
                    "}",
                ]
            )
        if rest:
            vectors = -(-rest // self.lanes)
            padded, begin = vectors * self.lanes, start + full * self.wide
            place = summed((p.b[0], p.b[1]), (row, f"({begin} + q)" if begin else "q"))
            last = self._copies("{", "", "packed", (rest, padded), place, depth)
            panel = _Panel("packed", padded, depth, str(begin), vectors, rest, add)
            last += self._down(panel, left)
            if across > 1:
                last = [f"if (block == {across - 1}) {{", *indented(last), "}"]
            inside += last
        if times > 1:
            inside = [
                f"for (int64_t k0 = 0; k0 < {p.depth}; k0 += {deep}) {{",
                f"    const int64_t n = {p.depth} - k0 < {deep} ? {p.depth} - k0 : {deep};",
                *indented(inside),
                "}",
            ]
        held = min(width, max(full * self.wide, -(-rest // self.lanes) * self.lanes)) * deep
        return ["{", f"    {self.kind} packed[{held}];", *indented([*lines, *inside]), "}"]

    def _copies(
        self,
        opened: str,
        head: str,
        target: str,
        widths: tuple[int, int],
        place: str,
        depth: str,
    ) -> list[str]:
        """Write what copies a panel of columns, and fills it up with zeros."""
        p = self.product
        columns, padded = widths
        lines = [head] if head else []
        lines.append(f"{self.kind} *to = {target};")
        copy = f"to[k * {padded} + q] = {self.right}[{place}];"
        over_columns = f"for (int64_t q = 0; q < {columns}; q++)"
        if p.b[1] == 1 or p.b[0] != 1:
            lines += [f"for (int64_t k = 0; k < {depth}; k++)", f"    {over_columns} {copy}"]
        else:
            # Down a few rows at a time, so that neither side leaves the cache.
            lines += [
                f"for (int64_t some = 0; some < {depth}; some += 64) {{",
                f"    const int64_t end = some + 64 < {depth} ? some + 64 : {depth};",
                f"    {over_columns}",
                f"        for (int64_t k = some; k < end; k++) {copy}",
                "}",
            ]
        if padded > columns:
            lines += [
                f"for (int64_t k = 0; k < {depth}; k++)",
                f"    for (int64_t q = {columns}; q < {padded}; q++) to[k * {padded} + q] = 0;",
            ]
        return [opened, *indented(lines), "}"]

    # Tiles.

    def _down(self, panel: _Panel, left: str = "") -> list[str]:
        """Write the tiles of one panel, from the first row to the last."""
        return self._over_rows(lambda count: self._one(count, panel, left or self.left))

    def _over_rows(self, inside: Callable[[int], list[str]]) -> list[str]:
        """Write what is done for so many rows from `i` on, for all of the part's rows."""
        full, first, last = self.most_rows, self.shared.first, self.shared.last
        lines: list[str] = []
        if self.product.rows >= full:
            loop = f"for (int64_t i = {first}; i + {full} <= {last}; i += {full}) {{"
            lines += [loop, *indented(inside(full)), "}"]
        left = self.product.rows % full
        if left:
            start = self.product.rows - left
            opened = "{" if last == str(self.product.rows) else f"if ({last} == {start + left}) {{"
            lines += [opened, f"    const int64_t i = {start};", *indented(inside(left)), "}"]
        return lines

    def _one(self, rows: int, panel: _Panel, left: str) -> list[str]:
        """Write one tile: its sums, and where they go."""
        p = self.product
        lines = self._sums_of_tile(rows, panel, f"{left} + i * {p.a[0]}")
        vector = f"{self.kind}_vector"
        places = [(i, j) for i in range(rows) for j in range(panel.vectors)]
        if panel.columns == panel.vectors * self.lanes and p.c[1] == 1:
            lines.append(f"{self.kind} *z = c + i * {p.c[0]} + {panel.start};")
            targets = [f"*({vector} *)(z + {i * p.c[0] + j * self.lanes})" for i, j in places]
            store = [f"{t} = c{i}_{j};" for t, (i, j) in zip(targets, places, strict=True)]
            if not panel.add:
                return [*lines, *store]
            more = [f"{t} += c{i}_{j};" for t, (i, j) in zip(targets, places, strict=True)]
            return [
                *lines,
                f"if ({panel.add}) {{",
                *indented(more),
                "} else {",
                *indented(store),
                "}",
            ]
        # Not all of the sums belong to the result, or not side by side.
        width = panel.vectors * self.lanes
        lines.append(f"{self.kind} apart[{rows * width}];")
        lines += [
            f"*({vector} *)(apart + {i * width + j * self.lanes}) = c{i}_{j};" for i, j in places
        ]
        place = summed(p.c, ("(i + r)", f"({panel.start} + j)"))
        before = f"{panel.add} ? c[{place}] + " if panel.add else ""
        value = f"apart[r * {width} + j]"
        text = f"c[{place}] = {before}{value} : {value};" if before else f"c[{place}] = {value};"
        return [
            *lines,
            f"for (int64_t r = 0; r < {rows}; r++)",
            f"    for (int64_t j = 0; j < {panel.columns}; j++) {text}",
        ]

    def _sums_of_tile(self, rows: int, panel: _Panel, left: str) -> list[str]:
        """Write the sums of one tile, as variables that stay in registers."""
        p = self.product
        vector = f"{self.kind}_vector"
        lines = [f"const {self.kind} *x = {left}, *y = {panel.right};"]
        for i in range(rows):
            names = ", ".join(f"c{i}_{j} = {{0}}" for j in range(panel.vectors))
            lines.append(f"{vector} {names};")
        lines.append(f"for (int64_t k = 0; k < {panel.depth}; k++) {{")
        for j in range(panel.vectors):
            place = f"y + k * {panel.step} + {j * self.lanes}"
            lines.append(f"    const {vector} b{j} = *(const {vector} *)({place});")
        for i in range(rows):
            place = summed((1, p.a[1]), (str(i * p.a[0]), "k"))
            lines.append(f"    const {self.kind} a{i} = x[{place}];")
            lines += [f"    c{i}_{j} += a{i} * b{j};" for j in range(panel.vectors)]
        lines.append("}")
        return lines
