"""Steps that move elements, as C: picked by integers, added where integers say, cut and joined.

An integer outside its axis ends the segment with the number of the step, before anything of the
program's state is written; Python then runs that step alone, which words the error. Knows layouts
and attributes; knows nothing of segments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ...ir.op import Array, Attrs
from ...ops.slices import python_index
from ...schedule.steps import Step
from .text import Function, Layout, c_type, indented, summed

__all__ = ["WRITERS", "copy_lines", "move_function"]

_Layouts: TypeAlias = "Sequence[Layout]"


@dataclass
class _Text:
    """The lines of a function in the making, over pointers p0, p1, ... in the step's order."""

    lines: list[str]
    can_fail: bool = False


def move_function(step: Step, attrs: Attrs, layouts: Mapping[int, Layout]) -> Function | None:
    """Write a step that moves elements; None where it is none, or of a form that has no C."""
    write = WRITERS.get(step.op.name)
    if write is None:
        return None
    numbers = (*step.reads, *step.writes)
    given = [layouts[number] for number in numbers]
    if any(0 in layout.shape for layout in given) or len(step.writes) != 1:
        return None
    text = write(given, attrs)
    if text is None:
        return None
    parameters = [
        f"const {c_type(layout.dtype)} *restrict p{i}" for i, layout in enumerate(given[:-1])
    ]
    parameters.append(f"{c_type(given[-1].dtype)} *restrict p{len(given) - 1}")
    arguments = (*((number, False) for number in step.reads), (step.writes[0], True))
    return Function(
        ", ".join(parameters), "\n".join(indented(text.lines)), arguments, can_fail=text.can_fail
    )


def _loops(
    shape: Sequence[int], inside: list[str], start: int = 0, stop: int | None = None
) -> list[str]:
    """Put loops over the axes of a shape around lines, from one axis to another."""
    for axis in reversed(range(start, len(shape) if stop is None else stop)):
        if shape[axis] != 1:
            head = f"for (int64_t i{axis} = 0; i{axis} < {shape[axis]}; i{axis}++) {{"
            inside = [head, *indented(inside), "}"]
    return inside


def _at(layout: Layout, names: Sequence[str]) -> str:
    """Write the index of an element by names for its axes, where an axis of length 1 is at 0."""
    pairs = zip(layout.strides, layout.shape, names, strict=True)
    found = [(stride, name) for stride, length, name in pairs if length != 1]
    return summed([stride for stride, _ in found], [name for _, name in found])


def _names(count: int) -> list[str]:
    return [f"i{axis}" for axis in range(count)]


def _checked(index: str, layout: Layout, length: int, wraps: bool) -> list[str]:
    """Read an integer, and end where it is outside its axis; from the end where it is negative."""
    lines = [f"int64_t k = {index};"]
    if wraps and layout.dtype.kind == "i":
        lines.append(f"k += k < 0 ? {length} : 0;")
    lines.append(f"if (k < 0 || k >= {length}) return 1;")
    return lines


def _filled(layout: Layout, pointer: str) -> str | None:
    if not layout.is_contiguous:
        return None
    size = int(np.prod(layout.shape)) * layout.dtype.itemsize
    return f"memset({pointer}, 0, {size});"


def _within(layouts: _Layouts, attrs: Attrs) -> _Text:
    x, out = layouts
    names = _names(len(x.shape))
    inside = [
        *_checked(f"p0[{_at(x, names)}]", x, attrs["stop"], wraps=False),
        f"p1[{_at(out, names)}] = k;",
    ]
    return _Text(_loops(x.shape, inside), can_fail=True)


def _gather_along(layouts: _Layouts, attrs: Attrs) -> _Text:
    x, index, out = layouts
    axis, names = attrs["axis"], _names(len(out.shape))
    picked = [*names[:axis], "k", *names[axis + 1 :]]
    inside = [
        *_checked(f"p1[{_at(index, names)}]", index, x.shape[axis], wraps=True),
        f"p2[{_at(out, names)}] = p0[{_at(x, picked)}];",
    ]
    return _Text(_loops(out.shape, inside), can_fail=True)


def _add_along(layouts: _Layouts, attrs: Attrs) -> _Text | None:
    x, index, out = layouts
    filled = _filled(out, "p2")
    if filled is None or out.dtype.kind == "b":
        return None
    axis, names = attrs["axis"], _names(len(index.shape))
    picked = [*names[:axis], "k", *names[axis + 1 :]]
    inside = [
        *_checked(f"p1[{_at(index, names)}]", index, out.shape[axis], wraps=True),
        f"p2[{_at(out, picked)}] += p0[{_at(x, names)}];",
    ]
    return _Text([filled, *_loops(index.shape, inside)], can_fail=True)


def _gather(layouts: _Layouts, attrs: Attrs) -> _Text | None:
    x, *indices, out = layouts
    if len(indices) != 1 or attrs["axes"] != (attrs["place"],):
        return None
    (index,), place = indices, attrs["place"]
    names = _names(len(out.shape))
    picked = [*names[:place], "k", *names[place + len(index.shape) :]]
    rest = f"p2[{_at(out, names)}] = p0[{_at(x, picked)}];"
    lines = _picking(out, index, names, place, x.shape[place], rest)
    return _Text(lines, can_fail=True)


def _scatter_add(layouts: _Layouts, attrs: Attrs) -> _Text | None:
    x, *indices, out = layouts
    filled = _filled(out, f"p{len(layouts) - 1}")
    if len(indices) != 1 or attrs["axes"] != (attrs["place"],) or filled is None:
        return None
    if out.dtype.kind == "b" or attrs["unique"]:
        return None
    (index,), place = indices, attrs["place"]
    shape = _scattered_shape(out, index, place)
    names = _names(len(shape))
    picked = [*names[:place], "k", *names[place + len(index.shape) :]]
    rest = f"p2[{_at(out, picked)}] += p0[{_at(_spread(x, shape), names)}];"
    whole = Layout("", 0, shape, (0,) * len(shape), out.dtype)
    return _Text([filled, *_picking(whole, index, names, place, out.shape[place], rest)], True)


def _scattered_shape(out: Layout, index: Layout, place: int) -> tuple[int, ...]:
    return (*out.shape[:place], *index.shape, *out.shape[place + 1 :])


def _spread(x: Layout, shape: tuple[int, ...]) -> Layout:
    """See a value as broadcast to a shape."""
    missing = len(shape) - len(x.shape)
    own = zip(x.shape, x.strides, strict=True)
    strides = (*(0,) * missing, *(0 if length == 1 else stride for length, stride in own))
    return Layout(x.base, x.offset, shape, strides, x.dtype)


def _picking(
    whole: Layout, index: Layout, names: list[str], place: int, length: int, rest: str
) -> list[str]:
    """Write loops in which an index is read and checked once for all that it picks."""
    end = place + len(index.shape)
    inner = _loops(whole.shape, [rest], end)
    value = f"p1[{_at(index, names[place:end])}]"
    inside = [*_checked(value, index, length, wraps=True), *inner]
    return _loops(whole.shape, inside, 0, end)


def _region(layout: Layout, cut: Callable[[Array], Array]) -> Layout:
    """Give the layout of a part of a value, cut out as NumPy would."""
    probe = np.lib.stride_tricks.as_strided(
        np.empty(1, layout.dtype),
        layout.shape,
        tuple(stride * layout.dtype.itemsize for stride in layout.strides),
    )
    part = cut(probe)
    start = part.__array_interface__["data"][0] - probe.__array_interface__["data"][0]
    strides = tuple(stride // layout.dtype.itemsize for stride in part.strides)
    return Layout(layout.base, start, part.shape, strides, layout.dtype)


def copy_lines(source: Layout, target: Layout, origin: str, pointer: str) -> list[str]:
    """Write the copy of a value into a part, element by element with the loops of its shape."""
    shape = target.shape
    names = _names(len(shape))
    start = target.offset // target.dtype.itemsize
    place = " + ".join(text for text in (_at(target, names), str(start)) if text != "0") or "0"
    return _loops(shape, [f"{pointer}[{place}] = {origin}[{_at(_spread(source, shape), names)}];"])


def _unslice(layouts: _Layouts, attrs: Attrs) -> _Text | None:
    x, out = layouts
    filled = _filled(out, "p1")
    if filled is None:
        return None
    region = _region(out, lambda probe: probe[python_index(attrs["index"], out.shape)])
    return _Text([filled, *copy_lines(x, region, "p0", "p1")])


def _concatenate(layouts: _Layouts, attrs: Attrs) -> _Text | None:
    *parts, out = layouts
    axis, start = attrs["axis"], 0
    lines: list[str] = []
    for i, part in enumerate(parts):
        cut = (*(slice(None),) * axis, slice(start, start + part.shape[axis]))
        region = _region(out, lambda probe, cut=cut: probe[cut])  # type: ignore[misc]
        lines += copy_lines(part, region, f"p{i}", f"p{len(parts)}")
        start += part.shape[axis]
    return _Text(lines)


def _pad(layouts: _Layouts, attrs: Attrs) -> _Text | None:
    x, out = layouts
    if any(value != 0 for pair in attrs["values"] for value in pair):
        return None
    filled = _filled(out, "p1")
    if filled is None:
        return None
    pairs = zip(attrs["widths"], x.shape, strict=True)
    cut = tuple(slice(before, before + length) for (before, _), length in pairs)
    return _Text([filled, *copy_lines(x, _region(out, lambda probe: probe[cut]), "p0", "p1")])


WRITERS: dict[str, Callable[[_Layouts, Attrs], _Text | None]] = {
    "within": _within,
    "gather_along": _gather_along,
    "add_along": _add_along,
    "gather": _gather,
    "scatter_add": _scatter_add,
    "unslice": _unslice,
    "concatenate": _concatenate,
    "pad": _pad,
}
