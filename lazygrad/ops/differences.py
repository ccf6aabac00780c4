"""Differences of neighbours and what is made of them: slopes and the area under samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import OptionError, ShapeError
from ..ir.op import Operand, call, implements
from ..ir.value import Value, as_value
from ..spec import normalize_axes, normalize_axis
from .arithmetic import not_equal, over_reals, subtract
from .shape import broadcast_to, expand_dims, reshape

__all__ = ["diff", "ediff1d", "gradient", "trapezoid"]


def _part(x: Value, axis: int, start: int | None, stop: int | None) -> Value:
    """Give ``x[start:stop]`` along an axis."""
    index = (*(slice(None),) * axis, slice(start, stop))
    return x[index]


def _one(x: Value, axis: int, place: int) -> Value:
    """Give element *place* along an axis, as a length of 1 also where lengths are symbolic."""
    index = (*(slice(None),) * axis, place)
    return expand_dims(x[index], axis)


def _joined(parts: Sequence[Value], axis: int) -> Value:
    result: Value = call("concatenate", parts, axis=axis)
    return result


@implements(np.diff)
def diff(
    a: Operand,
    n: int = 1,
    axis: int = -1,
    prepend: Operand | None = None,
    append: Operand | None = None,
) -> Value:
    """Subtract from each element along *axis* the one before it, *n* times.

    >>> diff(Value([1.0, 4.0, 9.0]))
    Value(data=[3. 5.], grad=None)
    """
    node = as_value(a)
    if n < 0:
        raise OptionError(f"diff: n must not be negative, got {n}.")
    if node.ndim == 0:
        raise ShapeError("diff: the operand has no axes.")
    if n == 0:
        return node
    place = normalize_axis(axis, node.ndim)
    ends = [_end(node, end, place) for end in (prepend, append) if end is not None]
    if ends:
        before, after = ends[: prepend is not None], ends[prepend is not None :]
        node = _joined([*before, node, *after], place)
    step = not_equal if node.spec.dtype.kind == "b" else subtract
    for _ in range(n):
        node = step(_part(node, place, 1, None), _part(node, place, None, -1))
    return node


def _end(x: Value, end: Operand, axis: int) -> Value:
    node = as_value(end)
    shape = x.spec.shape
    return node if node.ndim else broadcast_to(node, (*shape[:axis], 1, *shape[axis + 1 :]))


@implements(np.ediff1d)
def ediff1d(ary: Operand, to_end: Operand | None = None, to_begin: Operand | None = None) -> Value:
    """Give the differences of neighbours in row-major order, between *to_begin* and *to_end*."""
    inner = diff(reshape(ary, -1))
    ends = [None if end is None else reshape(end, -1) for end in (to_begin, to_end)]
    parts = [part for part in (ends[0], inner, ends[1]) if part is not None]
    return _joined(parts, 0) if len(parts) > 1 else inner


@implements(np.trapezoid)
def trapezoid(y: Operand, x: Operand | None = None, dx: Operand = 1.0, axis: int = -1) -> Value:
    """Integrate samples *y* along *axis* by straight lines between them.

    *x* holds their places, otherwise they are *dx* apart.

    >>> trapezoid(Value([1.0, 2.0, 4.0]))
    Value(data=4.5, grad=None)
    """
    samples = over_reals(as_value(y))
    place = normalize_axis(axis, samples.ndim)
    width = dx if x is None else _widths(as_value(x), samples, place)
    sides = _part(samples, place, 1, None) + _part(samples, place, None, -1)
    result: Value = call("sum", sides * width / 2, axis=place)
    return result


def _widths(places: Value, samples: Value, axis: int) -> Value:
    if places.ndim != 1:
        return diff(places, axis=axis)
    return _along(diff(places), samples.ndim, axis)


def _along(x: Value, ndim: int, axis: int) -> Value:
    """Lay a node of one axis along an axis of *ndim*."""
    return reshape(x, (*(1,) * axis, x.spec.shape[0], *(1,) * (ndim - axis - 1)))


@implements(np.gradient)
def gradient(
    f: Operand, *varargs: Operand, axis: object = None, edge_order: int = 1
) -> Value | tuple[Value, ...]:
    """Estimate slopes of samples by central differences; one-sided ones at the ends.

    *varargs* is a distance for all axes, or for each a distance or the places of the samples. One
    axis gives a node, several a tuple.

    >>> gradient(Value([1.0, 2.0, 4.0, 7.0]))
    Value(data=[1.  1.5 2.5 3. ], grad=None)
    """
    node = over_reals(as_value(f))
    axes = normalize_axes(axis, node.ndim)
    if edge_order not in (1, 2):
        raise OptionError(f"gradient: edge_order must be 1 or 2, got {edge_order!r}.")
    if len(varargs) not in (0, 1, len(axes)):
        raise OptionError(f"gradient: {len(axes)} axes need as many spacings, got {len(varargs)}.")
    spacings = [1.0] if not varargs else list(varargs)
    if len(spacings) < len(axes):
        spacings *= len(axes)
    slopes = [
        _slope(node, place, spacing, edge_order)
        for place, spacing in zip(axes, spacings, strict=True)
    ]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _slope(f: Value, axis: int, spacing: Operand, edge_order: int) -> Value:
    length = f.spec.shape[axis]
    if isinstance(length, int) and length <= edge_order:
        raise ShapeError(
            f"gradient: axis {axis} has {length} samples; edge_order={edge_order} needs"
            f" {edge_order + 1}."
        )
    places = over_reals(as_value(spacing))
    if places.ndim > 1:
        raise ShapeError(f"gradient: a spacing has one axis or none, got {places.spec}.")
    # The widths before and after each inner sample, along the axis or the same everywhere.
    widths = _along(diff(places), f.ndim, axis) if places.ndim else None
    h = spacing if widths is None else widths
    steps = diff(f, axis=axis) / h
    first, last = _one(steps, axis, 0), _one(steps, axis, -1)
    before, after = _part(steps, axis, None, -1), _part(steps, axis, 1, None)
    # Each one-sided slope, weighted by the width of the other side.
    if widths is None:
        share: Operand = 0.5
    else:
        left, right = _part(widths, axis, None, -1), _part(widths, axis, 1, None)
        share = left / (left + right)
    inner = before + share * (after - before)
    if edge_order == 2:
        bend_first = _one(after, axis, 0) - _one(before, axis, 0)
        bend_last = _one(after, axis, -1) - _one(before, axis, -1)
        if widths is None:
            first, last = first - 0.5 * bend_first, last + 0.5 * bend_last
        else:
            first = first - _one(share, axis, 0) * bend_first  # type: ignore[arg-type]
            last = last + (1 - _one(share, axis, -1)) * bend_last  # type: ignore[arg-type]
    # With two samples or more, which is checked when a length is bound, this is f's own shape.
    return reshape(_joined([first, inner, last], axis), f.spec.shape)
