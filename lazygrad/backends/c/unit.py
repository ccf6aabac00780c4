"""A translation unit: functions, each emitted once, and segments that call them.

A program's memory is a table of base addresses: its arena, its leaves, and what a call hands over.
The table is filled by the first segment of a call. Names of the user's reach the code in comments
alone. Knows functions and layouts; knows no steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files

from ...ir.op import Op
from ...spec import DType
from .text import Function, Layout, c_type, indented, reduction_start

__all__ = ["ENTRIES", "NOT_FIT", "Unit", "comment"]

ENTRIES = 8
"""How many bindings of one library to arrays can be called without an argument."""

NOT_FIT = -1
"""What a segment returns, having done nothing, when a feed is not as the code wants it."""

_BANNER = "/* Written by lazygrad for one program and one set of lengths. */"

# The head of a NumPy array, as far as it is read here; its layout is part of NumPy's ABI.
_ARRAY = """\
typedef struct {{
    char head[{head}];
    char *data;
    int axes;
    const intptr_t *lengths, *strides;
    const void *base, *dtype;
    int flags;
}} array;

static inline bool fits(const array *x) {{ return (x->flags & 0x101) == 0x101; }}
static inline bool apart(const char *x, int64_t m, const char *y, int64_t n) {{
    return x + m <= y || y + n <= x;
}}"""


def comment(text: str, longest: int = 90) -> str:
    """Make any text one that can stand in a comment.

    >>> comment("a */ b")
    '/* a * / b */'
    """
    plain = "".join(c if c.isprintable() and c.isascii() and c != "\\\\" else "?" for c in text)
    return f"/* {plain[:longest].replace('*/', '* /').replace('/*', '/ *')} */"


# Vectors of all widths by the compilers' own extension; fma in products alone.
_VECTORS = """\
typedef float float_vector
    __attribute__((vector_size({bytes}), aligned(4), may_alias));
typedef double double_vector
    __attribute__((vector_size({bytes}), aligned(8), may_alias));
#if defined(__clang__)
#define PRODUCT
#define FUSED _Pragma("clang fp contract(fast)")
#else
#define PRODUCT __attribute__((optimize("O2", "fp-contract=fast")))
#define FUSED
#endif"""


class Unit:
    """The text of a translation unit, as it grows; *head* is where an array's facts begin."""

    def __init__(self, head: int, vector_bytes: int) -> None:
        self._head = head
        self.vector_bytes = vector_bytes
        self._reductions: dict[tuple[Op, DType], None] = {}
        self._texts: dict[tuple[str, str, str], str] = {}
        self._segments: list[str] = []

    def call(
        self, function: Function, layouts: Mapping[int, Layout], note: str, step: int
    ) -> list[str]:
        """Give the lines that call a function, which comes into the unit unless it is there.

        Where it fails, the segment returns the number of the step, counted from 1.
        """
        body = f"{function.body}\n    return 0;" if function.can_fail else function.body
        result = "int " if function.can_fail else "void "
        table = "char **at, " if function.takes_table else ""
        key = (function.attributes + result, table + function.parameters, body)
        name = self._texts.setdefault(key, f"kernel_{len(self._texts)}")
        for reduction in sorted(function.reductions, key=lambda r: (r[0].name, r[1].char)):
            self._reductions[reduction] = None
        arguments = [
            self.address(layouts[number], is_written) for number, is_written in function.arguments
        ]
        table = "at, " if function.takes_table else ""
        call = f"{name}({table}{', '.join(arguments)})"
        return [
            comment(note),
            f"if ({call}) return {step + 1};" if function.can_fail else f"{call};",
        ]

    def address(self, layout: Layout, is_written: bool) -> str:
        """Write where a value lies."""
        const = "" if is_written else "const "
        offset = f" + {layout.offset}" if layout.offset else ""
        return f"({const}{c_type(layout.dtype)} *)({layout.base}{offset})"

    def segment(
        self,
        name: str,
        lines: Sequence[str],
        feeds: Sequence[str] = (),
        outputs: Sequence[str] = (),
        guarded: Sequence[tuple[str, int, str, int]] = (),
    ) -> None:
        """Add a segment, which takes the arrays whose bases are *feeds* and *outputs*.

        *guarded* pairs feeds and cells, as base and bytes each, that must not share memory. Bases
        are entries of the table.
        """
        taken = {base: f"a{i}" for i, base in enumerate((*feeds, *outputs))}
        parameters = ", ".join(["char **at", *(f"const array *{name}" for name in taken.values())])
        checks = [f"!fits({taken[base]})" for base in feeds]
        checks += [f"!apart({taken[feed]}->data, {m}, {cell}, {n})" for feed, m, cell, n in guarded]
        entry = [f"if ({' || '.join(checks)}) return {NOT_FIT};"] if checks else []
        entry += [f"{base} = {name}->data;" for base, name in taken.items()]
        body = "\n".join(indented([*entry, *lines, "return 0;"]))
        self._segments.append(f"int {name}({parameters}) {{\n{body}\n}}")

    def entries(self, segment: str) -> None:
        """Add functions without arguments, each over a table that is set once."""
        self._segments.append(f"char **tables[{ENTRIES}];")
        self._segments += [
            f"void entry_{i}(void) {{ {segment}(tables[{i}]); }}" for i in range(ENTRIES)
        ]

    @property
    def code(self) -> str:
        """What is particular to this program: its kernels and segments."""
        kernels = [
            f"static __attribute__((noinline)) {kind}{name}({parameters}) {{\n{body}\n}}"
            for (kind, parameters, body), name in self._texts.items()
        ]
        return "\n\n".join([_BANNER, *self._reducers(), *kernels, *self._segments]) + "\n"

    @property
    def text(self) -> str:
        """The whole unit, elementary functions and all."""
        vectors = _VECTORS.format(bytes=self.vector_bytes)
        return "\n\n".join([_elementary(), _ARRAY.format(head=self._head), vectors, self.code])

    def _reducers(self) -> list[str]:
        found = []
        for op, dtype in self._reductions:
            assert op.c is not None
            kind, start = c_type(dtype), reduction_start(op, dtype)
            folded = op.c.format(x="omp_in", y="omp_out", t=kind)
            found.append(
                f"#pragma omp declare reduction({op.name}_of_{kind} : {kind} : omp_out = {folded})"
                f" initializer(omp_priv = {start})"
            )
        return found


def _elementary() -> str:
    """Give the text of the elementary functions."""
    return files(__package__).joinpath("elementary.h").read_text(encoding="utf-8")
