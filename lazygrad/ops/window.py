"""Sliding windows over any axes as views, their transpose, and what all windows' options mean.

Convolution and pooling slide over the last axes alone, which `patches` serves with longer runs.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..errors import OptionError, ShapeError
from ..ir.op import Array, Operand, Trait, Writes, implements, public
from ..ir.value import Value, as_value
from ..lengths import Dim, Length
from ..spec import Shape, Spec, normalize_axes, product
from .batching import batch_by_shifting
from .forms import NodeFunction, linear
from .shape import broadcast_to

__all__ = ["sliding_windows"]

Integers: TypeAlias = tuple[int, ...]


def _count(length: Dim, window: int, stride: int, dilation: int) -> Dim:
    return (length - (window - 1) * dilation - 1) // stride + 1


def _windows_infer(
    x: Spec, *, axes: Integers, window: Integers, stride: Integers, dilation: Integers
) -> Spec:
    shape = list(x.shape)
    for axis, width, step, gap in zip(axes, window, stride, dilation, strict=True):
        count = _count(shape[axis], width, step, gap)
        if isinstance(count, int) and count < 1:
            raise ShapeError(
                f"a window of {width} elements, {gap} apart, doesn't fit axis {axis} of length"
                f" {shape[axis]}."
            )
        shape[axis] = count
    return Spec((*shape, *window), x.dtype)


def _windows(
    x: Array, *, axes: Integers, window: Integers, stride: Integers, dilation: Integers
) -> Array:
    shape, strides = list(x.shape), list(x.strides)
    inner: list[int] = []
    for axis, width, step, gap in zip(axes, window, stride, dilation, strict=True):
        span = (width - 1) * gap + 1
        if span > shape[axis]:
            raise ShapeError(
                f"a window of {width} elements, {gap} apart, doesn't fit axis {axis} of length"
                f" {shape[axis]}."
            )
        inner.append(x.strides[axis] * gap)
        shape[axis] = (shape[axis] - span) // step + 1
        strides[axis] = x.strides[axis] * step
    return as_strided(x, (*shape, *window), (*strides, *inner), writeable=False)


def _overlap_add(
    x: Array,
    out: Array,
    *,
    shape: Shape,
    axes: Integers,
    window: Integers,
    stride: Integers,
    dilation: Integers,
) -> None:
    out.fill(0)
    lead = x.ndim - len(window)
    for offsets in itertools.product(*map(range, window)):
        target = [slice(None)] * lead
        here: Any = (Ellipsis, *offsets)
        for axis, offset, step, gap in zip(axes, offsets, stride, dilation, strict=True):
            start = offset * gap
            target[axis] = slice(start, start + (x.shape[axis] - 1) * step + 1, step)
        # Of bools the sum is the logical or.
        out[tuple(target)] += x[here]


def _overlap_infer(x: Spec, *, shape: Shape, **attrs: Integers) -> Spec:
    return Spec(shape, x.dtype)


def _support(index: int, x: Value, **attrs: Integers) -> Value:
    shape = _windows_infer(x.spec, **attrs).shape
    return _overlap(broadcast_to(as_value(True), shape), shape=x.spec.shape, **attrs)


def _declare(name: str, doc: str, **facts: object) -> NodeFunction:
    return linear(
        name,
        _windows,
        infer=_windows_infer,
        transpose=lambda g, x, **attrs: _overlap(g, shape=x.spec.shape, **attrs),
        writes=Writes.VIEW,
        batch=batch_by_shifting(name),
        doc=doc,
        **facts,  # type: ignore[arg-type]
    )


_VARIANT: dict[str, Integers] = {
    "axes": (0, 1),
    "window": (2, 3),
    "stride": (1, 1),
    "dilation": (1, 1),
}

# Windows that together hold every element need no mask of those they hold.
_covering = _declare(
    "windows",
    "Windows that together hold every element, along new last axes.",
    traits=(Trait.MOVES_MASK,),
    variants=(_VARIANT,),
)
_skipping = _declare(
    "sparse_windows",
    "Windows that may leave out elements, along new last axes.",
    support=_support,
    variants=({**_VARIANT, "stride": (2, 1)}, {**_VARIANT, "window": (2, 2), "dilation": (2, 3)}),
)

_overlap = linear(
    "overlap_add",
    _overlap_add,
    infer=_overlap_infer,
    # Of what a window holds, and of nothing else, the transpose reads the cotangent.
    transpose=lambda g, x, *, shape, **attrs: _skipping(g, **attrs),
    traits=(Trait.MOVES_MASK,),
    cost=lambda out, x, **attrs: product(x.shape),
    batch=batch_by_shifting("overlap_add"),
    doc="Zeros to which windows are added where they were taken from.",
)


def covers_axis(length: Dim, window: int, stride: int, dilation: int) -> bool:
    """Whether the windows of one axis are known to hold every element."""
    if isinstance(length, Length):
        return stride == 1 and (dilation == 1 or window == 1)
    count = int(_count(length, window, stride, dilation))
    held = np.zeros(length, bool)
    for offset in range(window):
        held[offset * dilation :: stride][: max(count, 0)] = True
    return bool(held.all())


def per_axis(
    function: str, name: str, given: object, count: int, least: int = 1, kind: str = "spatial "
) -> Integers:
    """Read one integer for each of *count* axes, or one for all."""
    entries: Sequence[Any] = given if isinstance(given, (tuple, list)) else (given,) * count
    for entry in entries:
        if isinstance(entry, (bool, Length)) or not hasattr(entry, "__index__") or entry < least:
            wanted = "positive integers" if least == 1 else f"integers of at least {least}"
            raise OptionError(f"{function}: {name} must be {wanted}, got {given!r:.60}.")
    if len(entries) != count:
        axes = f"{kind}axis" if count == 1 else f"{kind}axes"
        raise OptionError(
            f"{function}: {name} {given!r:.60} must have one entry for each of {count} {axes}."
        )
    return tuple(operator.index(entry) for entry in entries)


def _read(name: str, given: object, axes: Integers) -> Integers:
    return per_axis("sliding_windows", name, given, len(axes), kind="")


@public
def sliding_windows(
    x: Operand,
    window_shape: object,
    axis: object = None,
    *,
    stride: object = 1,
    dilation: object = 1,
) -> Value:
    """Give every window of *x*, along new last axes, as a view.

    Parameters
    ----------
    window_shape
        Lengths of a window along the axes, one or one per axis.
    axis
        The axes to slide along; by default all of them.
    stride
        How far a window lies from the next one.
    dilation
        How far the elements of a window lie from each other.

    A slid axis of length n keeps ``(n - (window - 1) * dilation - 1) // stride + 1`` places; that
    it is at least one is checked here, or with symbolic lengths when the graph runs.

    >>> sliding_windows(Value([1.0, 2.0, 3.0]), 2)
    Value(data=[[1. 2.] [2. 3.]], grad=None)
    """
    node = as_value(x)
    axes = normalize_axes(axis, node.ndim)
    window = _read("window_shape", window_shape, axes)
    steps, gaps = _read("stride", stride, axes), _read("dilation", dilation, axes)
    covers = all(
        covers_axis(node.spec.shape[place], width, step, gap)
        for place, width, step, gap in zip(axes, window, steps, gaps, strict=True)
    )
    apply_windows = _covering if covers else _skipping
    return apply_windows(node, axes=axes, window=window, stride=steps, dilation=gaps)


@implements(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(x: Operand, window_shape: object, axis: object = None) -> Value:
    """Give every window of *x*, along new last axes, as a view."""
    return sliding_windows(x, window_shape, axis)
