"""Steps over patches of a flat axis, as C: their largest elements, their sums, and both transposes.

A patch is reached by steps along the last axis: outer levels lead to the patch, inner ones to the
places within it. Knows layouts and levels; knows nothing of images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from ...ir.op import Attrs
from ...schedule.steps import Step
from .parts import Share, share, wanted_parts
from .text import Function, Layout, c_type, indented, summed

__all__ = ["WRITERS", "window_function"]

_VISITS_PER_SECOND = 2e9

_Levels: TypeAlias = "Sequence[tuple[int, int]]"
_Layouts: TypeAlias = "Sequence[Layout]"


def window_function(step: Step, attrs: Attrs, layouts: Mapping[int, Layout]) -> Function | None:
    """Write a step over patches; None where it is none."""
    write = WRITERS.get(step.op.name)
    if write is None:
        return None
    numbers = (*step.reads, *step.writes)
    given = [layouts[number] for number in numbers]
    if any(0 in layout.shape for layout in given) or given[-1].dtype.kind != "f":
        return None
    if any(layout.dtype != given[-1].dtype for layout in given) or not given[-1].is_contiguous:
        return None
    out = given[-1]
    kind = c_type(out.dtype)
    parameters = [f"const {kind} *restrict p{i}" for i in range(len(step.reads))]
    parameters.append(f"{kind} *restrict p{len(step.reads)}")
    arguments = (*((number, False) for number in step.reads), (step.writes[0], True))
    inner, outer = attrs["inner"], attrs["outer"]
    lead = write.lead(given)
    visits = prod(lead) * prod(_lengths(inner)) * prod(_lengths(outer))
    shared = share(lead[0] if lead else 1, wanted_parts(visits / _VISITS_PER_SECOND))
    inside = write.lines(given, inner, outer, kind)
    if write.adds:
        place = summed(out.strides[:-1], [f"n{axis}" for axis in range(len(lead))])
        size = out.shape[-1] * out.dtype.itemsize
        inside = [f"memset(p{len(step.reads)} + {place}, 0, {size});", *inside]
    loops = _nested("n", lead, inside, shared)
    body = "\n".join(indented([*shared.bounds(), *loops]))
    return Function(", ".join(parameters), body, arguments, parts=shared.parts)


def _nested(
    prefix: str, lengths: Sequence[int], inside: list[str], shared: Share | None = None
) -> list[str]:
    """Put loops around lines; their variables are a prefix and a number.

    The outermost may be one that is shared out.
    """
    for axis, length in reversed(list(enumerate(lengths))):
        name, bounds = f"{prefix}{axis}", ("0", str(length))
        if axis == 0 and shared is not None:
            bounds = shared.first, shared.last
        head = f"for (int64_t {name} = {bounds[0]}; {name} < {bounds[1]}; {name}++) {{"
        inside = [head, *indented(inside), "}"]
    return inside


def _lengths(levels: _Levels) -> list[int]:
    return [length for length, _ in levels]


def _along(prefix: str, levels: _Levels, step: int) -> str:
    """Write how far levels lead along an axis whose neighbours are *step* apart."""
    names = [f"{prefix}{axis}" for axis in range(len(levels))]
    return summed([gap * step for _, gap in levels], names)


def _start(layout: Layout, axes: int) -> str:
    """Write where the row of the leading axes begins."""
    return summed(layout.strides[:axes], [f"n{axis}" for axis in range(axes)])


def _place(layout: Layout, axes: int, prefixes: Sequence[tuple[str, int]]) -> str:
    """Write the index of an element whose further axes have variables of their own."""
    names = [f"n{axis}" for axis in range(axes)]
    for prefix, count in prefixes:
        names += [f"{prefix}{axis}" for axis in range(count)]
    return summed(layout.strides, names)


def _largest(x: Layout, pointer: str, axes: int, inner: _Levels, outer: _Levels) -> list[str]:
    """Write the largest element of a patch, as the variable most; NaN where there is one."""
    step = x.strides[-1]
    head = f"{_start(x, axes)} + {_along('o', outer, step)}"
    kind = c_type(x.dtype)
    inside = [
        f"const {kind} v = from[{_along('i', inner, step)}];",
        "most = v > most || v != v ? v : most;",
    ]
    return [
        f"const {kind} *from = {pointer} + {head};",
        f"{kind} most = from[0];",
        *_nested("i", _lengths(inner), inside),
    ]


def _max_patches(layouts: _Layouts, inner: _Levels, outer: _Levels, kind: str) -> list[str]:
    x, out = layouts
    axes = len(x.shape) - 1
    inside = [
        *_largest(x, "p0", axes, inner, outer),
        f"p1[{_place(out, axes, [('o', len(outer))])}] = most;",
    ]
    return _nested("o", _lengths(outer), inside)


def _sum_patches(layouts: _Layouts, inner: _Levels, outer: _Levels, kind: str) -> list[str]:
    x, out = layouts
    axes, step = len(x.shape) - 1, x.strides[-1]
    inside = [
        f"const {kind} *from = p0 + {_start(x, axes)} + {_along('o', outer, step)};",
        f"{kind} sum = 0;",
        *_nested("i", _lengths(inner), [f"sum += from[{_along('i', inner, step)}];"]),
        f"p1[{_place(out, axes, [('o', len(outer))])}] = sum;",
    ]
    return _nested("o", _lengths(outer), inside)


def _max_share(layouts: _Layouts, inner: _Levels, outer: _Levels, kind: str) -> list[str]:
    g, x, out = layouts
    axes, step = len(x.shape) - 1, x.strides[-1]
    place = _along("i", inner, step)
    inside = [
        *_largest(x, "p1", axes, inner, outer),
        f"{kind} count = 0;",
        *_nested("i", _lengths(inner), [f"count += from[{place}] == most;"]),
        # Where the largest is NaN there is no place: the share is infinite, and NaN everywhere.
        f"const {kind} share = p0[{_place(g, axes, [('o', len(outer))])}] / count;",
        f"{kind} *to = p2 + {_start(out, axes)} + {_along('o', outer, 1)};",
        *_nested(
            "i",
            _lengths(inner),
            [f"to[{_along('i', inner, 1)}] += share * (from[{place}] == most);"],
        ),
    ]
    return _nested("o", _lengths(outer), inside)


def _add_patches(layouts: _Layouts, inner: _Levels, outer: _Levels, kind: str) -> list[str]:
    x, out = layouts
    axes = len(out.shape) - 1
    source = _place(x, axes, [("i", len(inner)), ("o", len(outer))])
    target = f"{_start(out, axes)} + {_along('i', inner, 1)} + {_along('o', outer, 1)}"
    inside = _nested("o", _lengths(outer), [f"p1[{target}] += p0[{source}];"])
    return _nested("i", _lengths(inner), inside)


@dataclass(frozen=True)
class _Writer:
    """What is written for the last axis of one operand, and whether it adds to its result."""

    lines: Callable[[_Layouts, _Levels, _Levels, str], list[str]]
    adds: bool = False

    def lead(self, given: _Layouts) -> tuple[int, ...]:
        """Give the lengths of the axes before the one that patches are taken from."""
        return given[-1 if self.adds else 0].shape[:-1]


WRITERS = {
    "add_patches": _Writer(_add_patches, adds=True),
    "max_patches": _Writer(_max_patches),
    "max_share": _Writer(_max_share, adds=True),
    "sum_patches": _Writer(_sum_patches),
}
