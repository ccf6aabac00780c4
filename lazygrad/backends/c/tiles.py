"""The loops of one matrix product: a tile of rows and vectors that stays in registers.

The tile takes one row of the right operand as vectors and one number of each of its own rows at a
time. A right operand that is large, or whose rows are not in one piece, is copied block by block
into panels as wide as a tile, which stay in the second level of the cache while all rows go over
them; so are columns that don't fill a vector. A single column is a sum for each row, or the product
of the transposes. What is to be done with the sums of a tile, beyond storing them, is an epilogue's
to say. Knows sizes, strides and the width of a vector; knows no steps.

Source: K. Goto and R. van de Geijn, Anatomy of High-Performance Matrix Multiplication, ACM TOMS
34(3), 2008, section 4; the left operand is not copied here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ...schedule.epilogue import MOST_DEPTH
from ...spec import DType
from .epilogue import Epilogue
from .parts import share
from .text import c_type, indented, summed

__all__ = ["Along", "Product", "Table", "Tiles"]

# A right operand that fits into the second level of the cache needs no packing to be quick.
_MOST_BYTES = 1 << 20
# A block of the right operand has rows of so many bytes.
_BLOCK_BYTES = 512
# How many vectors a tile of so many rows takes, so that its sums, a row of vectors and a number fit
# into the registers: twice as many of these come with wide vectors.
_VECTORS = {
    64: {1: 8, 2: 8, 3: 6, 4: 4},
    32: {1: 6, 2: 4, 3: 3, 4: 3},
    16: {1: 6, 2: 4, 3: 3, 4: 3},
}
# What copying an element costs, where a vector of sums costs 1: turned, within its row, and out of
# a tile; and adding up the numbers of a vector. Fewer sums than these wait for one another.
_TURNING, _COPYING, _TAKING_OUT = 0.5, 0.2, 1.5
_ADDING_UP = 10
_LEAST_SUMS = 5
# Rows of the left operand that are gone over again for each block stay in the third level.
_MOST_LEFT_BYTES = 1 << 22
# A block goes over so many rows at least, and there are so many parts if only there is work.
_LEAST_ROWS = 128
_ENOUGH_PARTS = 8
# Rows of the left operand that lie apart are copied as many at a time as fill some lines of cache.
_ROW_BYTES = 256
# So many rows of the right operand are read side by side, where they are read but once.
_FEW_DEEP = 16
# Rows of a product with a single column that are summed at a time.
_ROWS_AT_ONCE = 4

_ALIGNED = "__attribute__((aligned(64)))"


@dataclass(frozen=True)
class Table:
    """The places of rows or columns that lie at no steady distance, and its name in C."""

    name: str
    places: tuple[int, ...]

    @property
    def declared(self) -> str:
        """The table as C."""
        places = ", ".join(map(str, self.places))
        return f"static const int32_t {self.name}[{len(self.places)}] = {{{places}}};"


Along: TypeAlias = int | Table
"""How rows or columns follow one another: at a distance, or as a table says."""


def _place(along: Along, index: str) -> str:
    """Write where a row or a column is."""
    return summed((along,), (index,)) if isinstance(along, int) else f"{along.name}[{index}]"


@dataclass(frozen=True)
class Product:
    """One matrix product: sizes, and strides of rows and columns of both operands and the result.

    The right operand may have a table instead of a stride; such a product is not turned.

    ``c[i, j] = sum(a[i, k] * b[k, j])``, with *rows* of i, *depth* of k and *columns* of j.
    """

    rows: int
    depth: int
    columns: int
    a: tuple[int, int]
    b: tuple[Along, Along]
    c: tuple[int, int]

    @property
    def transposed(self) -> Product | None:
        """The product of the transposes, in the other order."""
        row, column = self.b
        if not isinstance(row, int) or not isinstance(column, int):
            return None
        return Product(
            self.columns, self.depth, self.rows, (column, row), self.a[::-1], self.c[::-1]
        )


def _offset(pointer: str, distance: int) -> str:
    return f"{pointer} + {distance}" if distance else pointer


@dataclass(frozen=True)
class _Panel:
    """Columns that a tile takes at once: where they lie, how far their rows are apart, how many.

    `add` is what tells, in C, that the result holds the sum of other terms already.
    """

    right: str
    step: Along
    depth: str
    start: str
    vectors: int
    columns: int
    add: str = ""


@dataclass(frozen=True)
class _Rows:
    """Rows that a tile takes at once: where they begin, and the strides of rows and depth."""

    left: str
    steps: tuple[int, int]


class Tiles:
    """Writes the loops over tiles for one product, in about as many parts as are wanted."""

    def __init__(
        self,
        product: Product,
        dtype: DType,
        vector_bytes: int,
        wanted: int,
        epilogue: Epilogue | None = None,
    ) -> None:
        self.epilogue = epilogue
        self.kind = c_type(dtype)
        self.size = dtype.itemsize
        self.lanes = vector_bytes // dtype.itemsize
        self.full_rows = 8 if vector_bytes == 64 else 6
        self.vectors_of = _VECTORS[vector_bytes]
        self.wanted = wanted
        self.product = product
        self.left, self.right = "a", "b"
        turned = product.transposed
        self.is_turned = turned is not None and self._cost(turned) < self._cost(product)
        if turned is not None and self.is_turned:
            self.product, self.left, self.right = turned, "b", "a"
        self.most_vectors = self.vectors_of.get(self.product.rows, 2)
        self.wide = self.most_vectors * self.lanes
        self.panels = _BLOCK_BYTES // (self.wide * self.size) or 1
        # Narrow tiles go over rows so often that it pays to copy those that lie apart.
        self.copies_rows = vector_bytes < 64 and self.product.a[1] != 1
        self.shared = share(self.product.rows, 1)

    def written(self) -> tuple[list[str], int]:
        """Give the lines, and into how many parts they fall."""
        p = self.product
        return self._sums() if p.columns == 1 and p.a[1] == 1 and p.depth > 1 else self._tiled()

    def _cost(self, p: Product) -> float:
        """Predict what a product takes in this order: sums of vectors, and what is copied."""
        if p.columns == 1 and p.a[1] == 1 and p.depth > 1:
            return p.rows * (p.depth / self.lanes + _ADDING_UP)
        vectors, rest = -(-p.columns // self.lanes), p.columns % self.lanes
        at_once = min(p.rows, self.full_rows) * min(vectors, self.vectors_of.get(p.rows, 2))
        waiting = max(_LEAST_SUMS / at_once, 1.0)
        turned = p.depth * (p.columns * _TURNING if p.b[1] != 1 else rest * _COPYING)
        taken_out = p.rows * (p.columns if p.c[1] != 1 else rest) * -(-p.depth // MOST_DEPTH)
        return p.rows * p.depth * vectors * waiting + turned + taken_out * _TAKING_OUT

    def _sums(self) -> tuple[list[str], int]:
        """Write a sum for each row, a few rows at a time: the right operand is a single column."""
        p = self.product
        shared = self.shared = share(p.rows, self.wanted, _ROWS_AT_ONCE)
        k = _place(p.b[0], "k")

        def stored(names: list[str]) -> list[str]:
            if self.epilogue is None:
                return [f"c[(i + {r}) * {p.c[0]}] = {n};" for r, n in enumerate(names)]
            most = min(p.rows, _ROWS_AT_ONCE)
            return [
                f"{self.kind} apart[] = {{{', '.join(names)}}};",
                self.epilogue.call(len(names), most, 1, 1, "0", turned=self.is_turned),
            ]

        def some(count: int) -> list[str]:
            names = [f"s{r}" for r in range(count)]
            terms = [
                f"{n} += x[{summed((1, 1), (str(r * p.a[0]), 'k'))}] * y;"
                for r, n in enumerate(names)
            ]
            return [
                f"const {self.kind} *x = {self.left} + i * {p.a[0]};",
                f"{self.kind} {', '.join(f'{n} = 0' for n in names)};",
                f"#pragma omp simd reduction(+:{', '.join(names)})",
                f"for (int64_t k = 0; k < {p.depth}; k++) {{",
                f"    const {self.kind} y = {self.right}[{k}];",
                *indented(terms),
                "}",
                *stored(names),
            ]

        return [*shared.bounds(), *self._over_rows(some, _ROWS_AT_ONCE)], shared.parts

    def _tiled(self) -> tuple[list[str], int]:
        p = self.product
        whole = p.columns // self.lanes * self.lanes
        is_large = p.depth * p.columns * self.size > _MOST_BYTES
        # Few rows make it not worth while to copy what they are multiplied with.
        is_better_copied = p.rows > self.full_rows and (
            is_large or (self.copies_rows and p.rows >= _LEAST_ROWS and whole > self.wide)
        )
        if not whole or p.b[1] != 1 or p.c[1] != 1 or is_better_copied:
            return self._blocked()
        self.shared = share(p.rows, self.wanted, self.full_rows)
        has_room = self.epilogue is None or p.depth > MOST_DEPTH
        lines = self._direct(whole, _FEW_DEEP if is_large and has_room else p.depth)
        if whole < p.columns:
            lines += self._block(whole, p.columns - whole)
        return [*self.shared.bounds(), *lines], self.shared.parts

    def _direct(self, whole: int, deep: int) -> list[str]:
        """Write the tiles of columns that are read where they lie, some rows of them at a time."""
        p = self.product
        depth, add = (str(p.depth), "") if deep >= p.depth else ("n", "k0")
        right = self.right
        if add and isinstance(p.b[0], int):
            right = f"{self.right} + k0 * {p.b[0]}"
        left = f"{self.left} + k0 * {p.a[1]}" if add else self.left
        lines: list[str] = []
        if whole >= self.wide:
            panel = _Panel(f"{right} + j", p.b[0], depth, "j", self.most_vectors, self.wide, add)
            loop = f"for (int64_t j = 0; j + {self.wide} <= {whole}; j += {self.wide}) {{"
            lines += [loop, *indented(self._down(panel, left)), "}"]
        columns = whole % self.wide
        if columns:
            start = whole - columns
            panel = _Panel(
                _offset(right, start),
                p.b[0],
                depth,
                str(start),
                columns // self.lanes,
                columns,
                add,
            )
            lines += self._down(panel, left)
        return self._over_depth(lines, deep) if add else lines

    def _over_depth(self, lines: list[str], deep: int) -> list[str]:
        depth = self.product.depth
        return [
            f"for (int64_t k0 = 0; k0 < {depth}; k0 += {deep}) {{",
            f"    const int64_t n = {depth} - k0 < {deep} ? {depth} - k0 : {deep};",
            *indented(lines),
            "}",
        ]

    # Blocks of the right operand that are copied into panels.

    def _blocked(self) -> tuple[list[str], int]:
        """Write everything block by block: blocks of columns, and of rows where these are many."""
        p = self.product
        width = self.panels * self.wide
        across = -(-p.columns // width)
        # More rows would leave the cache before the next block of columns; with far fewer copying
        # blocks, which each part does for itself, would weigh too much.
        most = max(_MOST_LEFT_BYTES // (p.depth * self.size), _LEAST_ROWS)
        down = max(
            -(-p.rows // most), min(-(-_ENOUGH_PARTS // across), self.wanted, p.rows // _LEAST_ROWS)
        )
        self.shared = share(p.rows, down, self.full_rows)
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
        width = self.panels * self.wide
        full, rest = divmod(columns, self.wide)
        times = -(-p.depth // MOST_DEPTH)
        deep = -(-p.depth // times)
        depth = "n" if times > 1 else str(p.depth)
        left = f"{self.left} + k0 * {p.a[1]}" if times > 1 else self.left
        add = "k0" if times > 1 else ""
        across = -(-columns // width)
        panels, from_block = str(full), str(start)
        lines = []
        if across > 1:
            lines.append(
                f"const int64_t j0 = {start} + block * {width},"
                f" panels = {full} - block * {self.panels} < {self.panels}"
                f" ? {full} - block * {self.panels} : {self.panels};"
            )
            panels, from_block = "panels", "j0"
        inside: list[str] = []
        if full:
            inside += [
                f"for (int64_t m = 0; m < {panels}; m++) {{",
                f"    {self.kind} *to = packed + m * {self.wide} * {depth};",
                *indented(self._copies(f"({from_block} + m * {self.wide})", self.wide, depth, add)),
                "}",
            ]
            panel = _Panel(
                f"packed + m * {self.wide} * {depth}",
                self.wide,
                depth,
                f"({from_block} + m * {self.wide})",
                self.most_vectors,
                self.wide,
                add,
            )
            copies: list[str] = []
            rows = _Rows(f"{left} + i * {p.a[0]}", p.a)
            if self.copies_rows and full > 1:
                copies, rows = self._copied_rows(left, depth)
                lines.append(f"{self.kind} rows[{_ROW_BYTES // self.size * deep}] {_ALIGNED};")
            inside += self._over_rows(
                lambda count: [
                    *copies,
                    f"for (int64_t m = 0; m < {panels}; m++) {{",
                    *indented(self._one(count, panel, rows)),
                    "}",
                ]
            )
        if rest:
            vectors = -(-rest // self.lanes)
            padded, begin = vectors * self.lanes, start + full * self.wide
            packing = [f"{self.kind} *to = packed;", *self._copies(str(begin), rest, depth, add)]
            last = ["{", *indented(packing), "}"]
            panel = _Panel("packed", padded, depth, str(begin), vectors, rest, add)
            last += self._down(panel, left)
            if across > 1:
                last = [f"if (block == {across - 1}) {{", *indented(last), "}"]
            inside += last
        if times > 1:
            inside = self._over_depth(inside, deep)
        held = min(width, max(full * self.wide, -(-rest // self.lanes) * self.lanes)) * deep
        return [
            "{",
            f"    {self.kind} packed[{held}] {_ALIGNED};",
            *indented([*lines, *inside]),
            "}",
        ]

    def _copies(self, begin: str, columns: int, depth: str, down: str) -> list[str]:
        """Write what copies columns into a panel, whole vectors of them, from so far down on."""
        (row, column), padded = self.product.b, -(-columns // self.lanes) * self.lanes
        # A table is looked up at each place; what is at a distance is gone to beforehand.
        k = "k" if isinstance(row, int) or not down else f"({down} + k)"
        q = "q" if isinstance(column, int) else f"({begin} + q)"
        starts = [_place(row, down)] if isinstance(row, int) and down else []
        starts += [_place(column, begin)] if isinstance(column, int) else []
        lines = [f"const {self.kind} *from = {' + '.join([self.right, *starts])};"]
        over_depth = f"for (int64_t k = 0; k < {depth}; k++)"
        if row == 1 and column != 1:
            step, table = (
                (column, "0") if isinstance(column, int) else (0, f"{column.name} + {begin}")
            )
            lines.append(
                f"panel_{self.kind}(to, {padded}, from, {step}, {table}, {columns}, {depth});"
            )
        elif column == 1 and columns == padded:
            vector = f"{self.kind}_vector"
            copies = [
                f"*({vector} *)(to + k * {padded} + {j})"
                f" = *({vector} *)(from + {_place(row, k)} + {j});"
                for j in range(0, padded, self.lanes)
            ]
            lines += [f"{over_depth} {{", *indented(copies), "}"]
        else:
            each = f"for (int64_t q = 0; q < {columns}; q++)"
            place = f"{_place(row, k)} + {_place(column, q)}"
            lines += [over_depth, f"    {each} to[k * {padded} + q] = from[{place}];"]
        if padded > columns:
            lines += [
                over_depth,
                f"    for (int64_t q = {columns}; q < {padded}; q++) to[k * {padded} + q] = 0;",
            ]
        return lines

    # Tiles.

    def _down(self, panel: _Panel, left: str) -> list[str]:
        """Write the tiles of one panel, from the first row to the last."""
        (row, column) = self.product.a
        rows = _Rows(f"{left} + i * {row}", (row, column))
        return self._over_rows(lambda count: self._one(count, panel, rows))

    def _copied_rows(self, left: str, depth: str) -> tuple[list[str], _Rows]:
        """Write what copies the next rows, whose elements lie far apart, every so many rows."""
        (row, column), full, first = self.product.a, self.full_rows, self.shared.first
        some = _ROW_BYTES // self.size // full * full
        since = f"(i - {first}) % {some}" if first != "0" else f"i % {some}"
        if row == 1:
            to, size = f"rows + r * {depth} + k * {full}", full * self.size
            copy = f"memcpy({to}, from + k * {column} + r, {size});"
        else:
            each = f"for (int64_t q = 0; q < {full}; q++)"
            place = summed((row, column), ("(r + q)", "k"))
            copy = f"{each} rows[r * {depth} + k * {full} + q] = from[{place}];"
        last = f"rows[r / {full} * {full} * {depth} + k * {full} + r % {full}]"
        place = summed((row, column), ("r", "k"))
        end = self.shared.last
        lines = [
            f"if ({since} == 0) {{",
            f"    const {self.kind} *from = {left} + i * {row};",
            f"    const int64_t many = {end} - i < {some} ? {end} - i : {some};",
            f"    for (int64_t k = 0; k < {depth}; k++) {{",
            "        int64_t r = 0;",
            f"        for (; r + {full} <= many; r += {full}) {copy}",
            f"        for (; r < many; r++) {last} = from[{place}];",
            "    }",
            "}",
        ]
        return lines, _Rows(f"rows + {since} * {depth}", (1, full))

    def _over_rows(self, inside: Callable[[int], list[str]], full: int = 0) -> list[str]:
        """Write what is done for so many rows from `i` on, for all of the part's rows."""
        full, first, last = full or self.full_rows, self.shared.first, self.shared.last
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

    def _one(self, rows: int, panel: _Panel, left: _Rows) -> list[str]:
        """Write one tile: its sums, and where they go."""
        p = self.product
        lines = self._sums_of_tile(rows, panel, left)
        vector = f"{self.kind}_vector"
        places = [(i, j) for i in range(rows) for j in range(panel.vectors)]
        if self.epilogue is not None and not panel.add:
            return [*lines, *self._apart(places, panel), self._epilogue_call(rows, panel)]
        if panel.columns == panel.vectors * self.lanes and p.c[1] == 1:
            lines.append(f"{self.kind} *z = c + i * {p.c[0]} + {panel.start};")
            targets = [f"*({vector} *)(z + {i * p.c[0] + j * self.lanes})" for i, j in places]
            store = [f"{t} = c{i}_{j};" for t, (i, j) in zip(targets, places, strict=True)]
            if not panel.add:
                return [*lines, *store]
            more = [f"{t} += c{i}_{j};" for t, (i, j) in zip(targets, places, strict=True)]
            lines += [
                f"if ({panel.add}) {{",
                *indented(more),
                "} else {",
                *indented(store),
                "}",
            ]
        else:
            # Not all of the sums belong to the result, or not side by side.
            place = summed(p.c, ("(i + r)", f"({panel.start} + j)"))
            value = f"apart[r * {panel.vectors * self.lanes} + j]"
            before = f"{panel.add} ? c[{place}] + {value} : " if panel.add else ""
            lines += [
                *self._apart(places, panel),
                f"for (int64_t r = 0; r < {rows}; r++)",
                f"    for (int64_t j = 0; j < {panel.columns}; j++) c[{place}] = {before}{value};",
            ]
        if self.epilogue is not None:
            lines.append(f"if (k0 + n == {p.depth}) {self._epilogue_call(rows, panel)}")
        return lines

    def _apart(self, places: list[tuple[int, int]], panel: _Panel) -> list[str]:
        """Write the sums of a tile to an array of its own, row after row."""
        width = panel.vectors * self.lanes
        size = (places[-1][0] + 1) * width
        return [
            f"{self.kind} apart[{size}] {_ALIGNED};",
            *(
                f"*({self.kind}_vector *)(apart + {i * width + j * self.lanes}) = c{i}_{j};"
                for i, j in places
            ),
        ]

    def _epilogue_call(self, rows: int, panel: _Panel) -> str:
        """Write the call of the epilogue: over sums that are apart, or lie in the result."""
        assert self.epilogue is not None
        most, columns = min(self.product.rows, self.full_rows), panel.columns
        if panel.add:
            return self.epilogue.call_in_place(
                rows, most, columns, panel.start, turned=self.is_turned
            )
        width = panel.vectors * self.lanes
        return self.epilogue.call(rows, most, columns, width, panel.start, turned=self.is_turned)

    def _sums_of_tile(self, rows: int, panel: _Panel, left: _Rows) -> list[str]:
        """Write the sums of one tile, as variables that stay in registers."""
        vector = f"{self.kind}_vector"
        lines = [f"const {self.kind} *x = {left.left}, *y = {panel.right};"]
        for i in range(rows):
            names = ", ".join(f"c{i}_{j} = {{0}}" for j in range(panel.vectors))
            lines.append(f"{vector} {names};")
        lines.append(f"for (int64_t k = 0; k < {panel.depth}; k++) {{")
        # A table is of the whole depth, and has the rows of earlier passes too.
        row = f"{panel.add} + k" if panel.add and isinstance(panel.step, Table) else "k"
        for j in range(panel.vectors):
            place = f"y + {_place(panel.step, row)} + {j * self.lanes}"
            lines.append(f"    const {vector} b{j} = *(const {vector} *)({place});")
        for i in range(rows):
            place = summed((1, left.steps[1]), (str(i * left.steps[0]), "k"))
            lines.append(f"    const {self.kind} a{i} = x[{place}];")
            lines += [f"    c{i}_{j} += a{i} * b{j};" for j in range(panel.vectors)]
        lines.append("}")
        return lines
