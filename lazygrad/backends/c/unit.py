"""A translation unit: functions, each emitted once, and segments that call them.

A program's memory is a table of base addresses: its arena, its leaves, and what a call hands over.
The table is filled by the first segment of a call. Before them stand two entries that are none: who
runs the parts of a loop, if there are threads, and how many these are. Names of the user's reach
the code in comments alone. Knows functions and layouts; knows no steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...ir.op import Op
from ...spec import DType
from .headers import header, needed_headers
from .text import Function, Layout, c_type, indented, reduction_start

__all__ = ["ENTRIES", "NOT_FIT", "RESERVED", "Unit", "comment", "written"]

RESERVED = 2
"""How many entries of the table are no addresses of memory."""

ENTRIES = 8
"""How many bindings of one library to arrays can be called without an argument."""

NOT_FIT = -1
"""What a segment returns, having done nothing, when a feed is not as the code wants it."""

# Compilers take more than linear time for a long list of calls.
_PIECE_LINES = 32

_BANNER = "/* Written by lazygrad for one program and one set of lengths. */"

# The heads of a NumPy array and of a tuple of arrays, as far as they are read here. The layout of
# the former is part of NumPy's ABI; where a tuple's items begin, Python says.
_ARRAY = """\
typedef struct {{
    char head[{head}];
    char *data;
    int axes;
    const intptr_t *lengths, *strides;
    const void *base, *dtype;
    int flags;
}} array;

typedef struct {{
    char head[{tuple_head}];
    const array *items[];
}} arrays;

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


# Vectors of all widths by the compilers' own extension; fma in products alone. Nothing is gained by
# optimizing what is PLAIN, a list of calls. Before version 22, clang unrolls short loops first and
# makes vectors of the loop around them, which gathers and scatters; gcc takes loops of 8 apart and
# makes no vectors. So these stay ROLLED.
_VECTORS = """\
typedef float float_vector
    __attribute__((vector_size({bytes}), aligned(4), may_alias));
typedef double double_vector
    __attribute__((vector_size({bytes}), aligned(8), may_alias));
#if defined(__clang__)
#define PRODUCT
#define FUSED _Pragma("clang fp contract(fast)")
#define PLAIN
#else
#define PLAIN __attribute__((optimize("O1")))
#define PRODUCT __attribute__((optimize("O2", "fp-contract=fast")))
#define FUSED
#endif
#if defined(__clang__) && __clang_major__ < 22
#define ROLLED _Pragma("clang loop unroll(disable)")
#elif defined(__clang__)
#define ROLLED
#else
#define ROLLED _Pragma("GCC unroll 1")
#endif"""


_PARTS = """\
typedef void (*part_function)(void *const *, int64_t);
typedef void (*parts_runner)(int64_t, part_function, void *const *, int64_t);

static void in_parts(void **at, part_function function, void *const *values, int64_t parts) {
    if (at[0]) ((parts_runner)at[0])((int64_t)at[1], function, values, parts);
    else for (int64_t part = 0; part < parts; part++) function(values, part);
}"""


class Unit:
    """The text of a translation unit, as it grows; *head* is where an array's facts begin."""

    def __init__(self, head: int, vector_bytes: int) -> None:
        self._head = head
        self.vector_bytes = vector_bytes
        self._reductions: dict[tuple[Op, DType], None] = {}
        self._names: dict[Function, str] = {}
        self._helpers: dict[str, str] = {}
        self._numbers: dict[tuple[str, tuple[str, ...]], str] = {}
        self._segments: list[str] = []

    def call(
        self, function: Function, layouts: Mapping[int, Layout], note: str, step: int
    ) -> list[str]:
        """Give the lines that call a function, which comes into the unit unless it is there.

        Where it fails, the segment returns the number of the step, counted from 1.
        """
        form = replace(function, arguments=(), constants=())
        name = self._names.setdefault(form, f"kernel_{len(self._names)}")
        for reduction in sorted(function.reductions, key=lambda r: (r[0].name, r[1].char)):
            self._reductions[reduction] = None
        self._helpers.update(function.helpers)
        arguments = [self._constants(kind, values) for kind, values in function.constants]
        arguments += [_place(layouts[number]) for number, _ in function.arguments]
        table = "at, " if function.takes_table or function.parts > 1 else ""
        call = f"{name}({table}{', '.join(arguments)})"
        return [
            comment(note),
            f"if ({call}) return {step + 1};" if function.can_fail else f"{call};",
        ]

    def _constants(self, kind: str, values: tuple[str, ...]) -> str:
        """Give the name of an array of numbers."""
        return self._numbers.setdefault((kind, values), f"constants_{len(self._numbers)}")

    def add_helper(self, name: str, text: str) -> None:
        """Add a function that segments call."""
        self._helpers[name] = text

    def address(self, layout: Layout, is_written: bool) -> str:
        """Write where a value lies."""
        const = "" if is_written else "const "
        return f"({const}{c_type(layout.dtype)} *)({_place(layout)})"

    def segment(
        self,
        name: str,
        lines: Sequence[str],
        feeds: Sequence[str] = (),
        outputs: Sequence[str] = (),
        guarded: Sequence[tuple[str, int, str, int]] = (),
    ) -> None:
        """Add a segment, which takes a tuple of the arrays whose bases are *feeds* and *outputs*.

        *guarded* pairs feeds and cells, as base and bytes each, that must not share memory. Bases
        are entries of the table.
        """
        taken = {base: f"a{i}" for i, base in enumerate((*feeds, *outputs))}
        parameters = "void **at, const arrays *given" if taken else "void **at"
        checks = [f"!fits({taken[base]})" for base in feeds]
        checks += [f"!apart({taken[feed]}->data, {m}, {cell}, {n})" for feed, m, cell, n in guarded]
        entry = [f"const array *{a} = given->items[{i}];" for i, a in enumerate(taken.values())]
        entry += [f"if ({' || '.join(checks)}) return {NOT_FIT};"] if checks else []
        entry += [f"{base} = {name}->data;" for base, name in taken.items()]
        if len(lines) > 2 * _PIECE_LINES:
            lines = self._in_pieces(name, lines)
        body = "\n".join(indented([*entry, *lines, "return 0;"]))
        self._segments.append(f"PLAIN int {name}({parameters}) {{\n{body}\n}}")

    def _in_pieces(self, name: str, lines: Sequence[str]) -> list[str]:
        """Write lines as functions that are called one after the other."""
        pieces: list[list[str]] = [[]]
        for line in lines:
            # What is done for one step begins with a comment, or with a brace if it is timed.
            if len(pieces[-1]) >= _PIECE_LINES and line.startswith(("/*", "{")):
                pieces.append([])
            pieces[-1].append(line)
        for i, piece in enumerate(pieces):
            body = "\n".join(indented([*piece, "return 0;"]))
            head = f"static __attribute__((noinline)) PLAIN int {name}_{i}(void **at)"
            self._segments.append(f"{head} {{\n{body}\n}}")
        calls = [f"if ((index = {name}_{i}(at))) return index;" for i in range(len(pieces))]
        return ["int index;", *calls]

    def entries(self, segment: str) -> None:
        """Add functions without arguments, each over a table that is set once."""
        self._segments.append(f"void **tables[{ENTRIES}];")
        self._segments += [
            f"void entry_{i}(void) {{ {segment}(tables[{i}]); }}" for i in range(ENTRIES)
        ]

    @property
    def has_parts(self) -> bool:
        """Whether there is something that threads could share."""
        return any(function.parts > 1 for function in self._names)

    @property
    def code(self) -> str:
        """What is particular to this program: its kernels and segments."""
        kernels = [text for f, name in self._names.items() for text in _texts(f, name)]
        parts = [_PARTS] if self.has_parts else []
        helpers = [*self._reducers(), *self._helpers.values()]
        helpers += [
            f"static const {kind} {name}[] = {{{', '.join(values)}}};"
            for (kind, values), name in self._numbers.items()
        ]
        return "\n\n".join([_BANNER, *parts, *helpers, *kernels, *self._segments]) + "\n"

    @property
    def text(self) -> str:
        """The whole unit, with what is the same in all."""
        vectors = _VECTORS.format(bytes=self.vector_bytes)
        array = _ARRAY.format(head=self._head, tuple_head=tuple.__basicsize__)
        code = self.code
        return "\n\n".join([needed_headers(code), array, vectors, header("panels"), code])

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


# Seldom called, so it must be right and quick to compile, and no more.
_COLD = '__attribute__((noinline, cold, optimize("O1", "no-tree-vectorize"))) '


def _place(layout: Layout) -> str:
    """Write where a value lies, of no type."""
    return f"{layout.base} + {layout.offset}" if layout.offset else layout.base


def _texts(function: Function, name: str) -> list[str]:
    """Write a function; one in parts as what does a part, and what runs them all."""
    if function.parts == 1:
        parameters = ("void **at, " if function.takes_table else "") + function.parameters
        return [*written(function, name, parameters)]
    assert not function.can_fail, "parts do their work, and that alone"
    assert not function.takes_table, "parts know their operands, and those alone"
    shared = [f"{kind} *restrict {one}" for kind, one, _ in function.shared]
    given = ", ".join([function.parameters, *shared])
    names = _names(given)
    taken = ", ".join(f"p[{i}]" for i in range(len(names)))
    values = ", ".join(f"(void *){one}" for one in names)
    run = [
        *(f"{kind} {one}[{size}];" for kind, one, size in function.shared),
        f"in_parts(at, {name}_of, (void *const[]){{{values}}}, {function.parts});",
    ]
    after = f"\n{function.afterwards}" if function.afterwards else ""
    return [
        *written(function, f"{name}_part", f"{given}, int64_t part"),
        f"static void {name}_of(void *const *p, int64_t part) {{ {name}_part({taken}, part); }}",
        f"static __attribute__((noinline)) PLAIN void {name}(void **at, {function.parameters}) {{\n"
        + "\n".join(indented(run))
        + after
        + "\n}",
    ]


def written(function: Function, name: str, parameters: str) -> list[str]:
    """Write what does the work of a function or of a part, and what does it again with care."""
    kind, end = ("int", "\n    return 0;") if function.can_fail else ("void", "")
    head = f"static __attribute__((noinline)) {function.attributes}{kind}"
    if not function.careful:
        return [f"{head} {name}({parameters}) {{\n{function.body}{end}\n}}"]
    again = f"    if (far) {name}_careful({', '.join(_names(parameters))});"
    return [
        f"static {_COLD}void {name}_careful({parameters}) {{\n{function.careful}\n}}",
        f"{head} {name}({parameters}) {{\n{function.body}\n{again}{end}\n}}",
    ]


def _names(parameters: str) -> list[str]:
    return [parameter.split()[-1].lstrip("*") for parameter in parameters.split(", ")]
