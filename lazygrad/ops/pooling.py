"""Pooling: the largest element, or the average, of windows over the last axes.

Elements that tie for the largest of a window share its derivative equally.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import OptionError, ShapeError
from ..ir.describe import located
from ..ir.op import Array, Operand, lookup, public
from ..ir.value import Value, apply, as_value
from ..lengths import Dim, Length, minimum
from ..spec import Spec, format_shape, product
from .arithmetic import astype, zeros_like
from .batching import repeated
from .convolution import (
    Pairs,
    Windows,
    check_fit,
    merged,
    padded,
    read_padding,
    spans_of,
    windows_over,
)
from .forms import NodeFunction, general, linear
from .join import concatenate
from .patches import (
    Levels,
    add_patches,
    are_disjoint,
    known_levels,
    lengths_of,
    parts_of,
    patches_spec,
    view_of,
)
from .reduce import max as max_axes, mean, widened
from .shape import broadcast_to, reshape
from .slices import cut
from .window import per_axis

__all__ = ["adaptive_avg_pool", "avg_pool", "global_avg_pool", "global_max_pool", "max_pool"]

# Elements that a gradient works on at once.
_BLOCK = 1 << 14


def _reduced_spec(x: Spec, *, inner: Levels, outer: Levels) -> Spec:
    shape = patches_spec(x, inner=inner, outer=outer).shape
    lead = x.ndim - 1
    return Spec((*shape[:lead], *shape[lead + len(inner) :]), x.dtype)


def _reducing(ufunc: np.ufunc) -> Callable[..., None]:
    """Reduce over the places within a window: one pass over long rows for each of them."""

    def kernel(x: Array, out: Array, *, inner: Levels, outer: Levels) -> None:
        is_first = True
        for _, part in parts_of(view_of(x, inner, outer), inner, outer):
            if is_first:
                np.copyto(out, part)
            else:
                ufunc(out, part, out=out)
            is_first = False

    return kernel


def _between(y: Value, inner: Levels, outer: Levels) -> Value:
    """Give a value per window axes of length 1 for the places within it."""
    shape = y.spec.shape
    split = len(shape) - len(outer)
    return reshape(y, (*shape[:split], *(1,) * len(inner), *shape[split:]))


def _work(out: Spec, x: Spec, *, inner: Levels, outer: Levels) -> Any:
    return product(out.shape) * product(length for length, _ in inner)


def _row_blocks(x: Array, *others: Array) -> Iterator[tuple[Array, ...]]:
    """Cut operands along their first axis into blocks whose temporaries stay in the cache."""
    if x.ndim < 2:
        yield (x, *others)
        return
    rows = max(1, _BLOCK * len(x) // max(1, x.size))
    for start in range(0, len(x), rows):
        yield tuple(array[start : start + rows] for array in (x, *others))


def _places(x: Array, inner: Levels, outer: Levels) -> tuple[list[Array], Array]:
    """Give where each place within a window holds its largest element, and in how many it is.

    In no place where that is NaN.
    """
    parts = [part for _, part in parts_of(view_of(x, inner, outer), inner, outer)]
    most = parts[0].copy()
    for part in parts[1:]:
        np.maximum(most, part, out=most)
    found = [part == most for part in parts]
    number = np.zeros(most.shape, most.dtype if most.dtype.kind == "f" else np.float64)
    for place in found:
        number += place
    return found, number


def _share(g: Array, x: Array, out: Array, *, inner: Levels, outer: Levels) -> None:
    levels = known_levels((*inner, *outer))
    is_disjoint = are_disjoint(levels)
    if not (is_disjoint and product(lengths_of(levels)) == x.shape[-1]):
        out.fill(0)
    for given, part, target in _row_blocks(g, x, out):
        if not target.size:
            continue
        places, number = _places(part, inner, outer)
        # Without a place the share is infinite, and NaN in all of them.
        share = given / number
        view = view_of(target, inner, outer, writeable=True)
        for place, (_, own) in zip(places, parts_of(view, inner, outer), strict=True):
            if is_disjoint:
                np.multiply(share, place, out=own)
            else:
                own += share * place


def _gather(t: Array, x: Array, out: Array, *, inner: Levels, outer: Levels) -> None:
    for moved, part, target in _row_blocks(t, x, out):
        target.fill(0)
        if not target.size:
            continue
        places, number = _places(part, inner, outer)
        entries = parts_of(view_of(moved, inner, outer), inner, outer)
        for place, (_, own) in zip(places, entries, strict=True):
            target += np.where(place, own, 0)
        target /= number


def _still(t: Value, out: Value, given: Value, x: Value, **attrs: Levels) -> Value:
    # Which element is the largest doesn't change with small changes of the elements.
    return zeros_like(out)


def _nothing(h: Value, out: Value, given: Value, x: Value, **attrs: Levels) -> Value:
    return zeros_like(x)


def _batched(name: str) -> Callable[..., Value]:
    def rule(flags: Sequence[bool], given: Value, x: Value, **attrs: Levels) -> Value:
        return apply(lookup(name), *repeated(flags, (given, x)), **attrs)

    return rule


_max_share: NodeFunction = general(
    "max_share",
    _share,
    infer=lambda g, x, **attrs: Spec(x.shape, g.dtype),
    vjp=(lambda h, out, g, x, **attrs: _max_gather(h, x, **attrs), _nothing),
    jvp=(lambda t, out, g, x, **attrs: _max_share(t, x, **attrs), _still),
    batch=_batched("max_share"),
    cost=lambda out, g, x, **attrs: 4 * product(x.shape),
    doc="What patches get, shared by their largest elements: the gradient of max_patches.",
)

_max_gather: NodeFunction = general(
    "max_gather",
    _gather,
    infer=lambda t, x, **attrs: Spec(_reduced_spec(x, **attrs).shape, t.dtype),
    vjp=(lambda h, out, t, x, **attrs: _max_share(h, x, **attrs), _nothing),
    jvp=(lambda s, out, t, x, **attrs: _max_gather(s, x, **attrs), _still),
    batch=_batched("max_gather"),
    cost=lambda out, t, x, **attrs: 4 * product(x.shape),
    doc="The average of the elements at the places where patches have their largest ones.",
)


_max_patches: NodeFunction = general(
    "max_patches",
    _reducing(np.maximum),
    infer=_reduced_spec,
    vjp=(lambda g, y, x, **attrs: _max_share(g, x, **attrs),),
    jvp=(lambda t, y, x, **attrs: _max_gather(t, x, **attrs),),
    batch=lambda flags, x, **attrs: _max_patches(x, **attrs),
    cost=_work,
    variants=({"inner": ((2, 1),), "outer": ((3, 1),)},),
    doc="The largest element of each patch of the last axis; NaN where there is one.",
)

_sum_patches: NodeFunction = linear(
    "sum_patches",
    _reducing(np.add),
    infer=_reduced_spec,
    transpose=lambda g, x, *, inner, outer: _spread(g, x, inner, outer),
    support=lambda index, x, *, inner, outer: _sum_support(x, inner, outer),
    batch=lambda flags, x, **attrs: _sum_patches(x, **attrs),
    cost=_work,
    variants=({"inner": ((2, 1),), "outer": ((3, 1),)},),
    doc="The sum of the elements of each patch of the last axis.",
)


def _spread(g: Value, x: Value, inner: Levels, outer: Levels) -> Value:
    """Add what a patch gets to each of its elements."""
    shape = patches_spec(x.spec, inner=inner, outer=outer).shape
    everywhere = broadcast_to(_between(g, inner, outer), shape)
    return add_patches(everywhere, inner=inner, outer=outer, length=x.spec.shape[-1])


def _sum_support(x: Value, inner: Levels, outer: Levels) -> Value:
    shape = _reduced_spec(x.spec, inner=inner, outer=outer).shape
    return _spread(broadcast_to(as_value(True), shape), x, inner, outer)


def _axis_count(function: str, kernel: object, x: Value) -> int:
    if not isinstance(kernel, (tuple, list)) or not kernel:
        raise OptionError(
            f"{function}: kernel must be a tuple with one length per spatial axis, such as"
            f" (2, 2), got {kernel!r:.60}."
        )
    if x.ndim < len(kernel):
        raise located(
            ShapeError(f"a window over {len(kernel)} axes needs as many, got {x.spec}."),
            function,
            (x,),
        )
    return len(kernel)


def _last_windows(length: Dim, span: int, step: int, pads: tuple[Dim, Dim]) -> Dim:
    """Say how much to add at the end so that a last, partial window starts within the axis."""
    before, after = pads
    total = before + length + after
    count = (total - span + step - 1) // step + 1
    # A window that would start in the padding at the end is left out.
    count = minimum(count, (length + before - 1) // step + 1)
    return (count - 1) * step + span - total


class _Pool:
    """What the arguments of a pooling function mean for its operand."""

    def __init__(
        self,
        function: str,
        x: Value,
        kernel: object,
        stride: object,
        padding: object,
        dilation: object,
        ceil_mode: bool,
    ) -> None:
        count = _axis_count(function, kernel, x)
        widths = per_axis(function, "kernel", kernel, count)
        self.steps = widths if stride is None else per_axis(function, "stride", stride, count)
        gaps = per_axis(function, "dilation", dilation, count)
        self.spatial = x.spec.shape[x.ndim - count :]
        spans = spans_of(widths, gaps)
        self.pads: Pairs = read_padding(function, padding, self.spatial, spans, self.steps)
        for span, pair in zip(spans, self.pads, strict=True):
            if any(isinstance(width, int) and width >= span for width in pair):
                raise OptionError(
                    f"{function}: padding {padding!r:.60} must be less than the {span} elements"
                    " that a window reaches over."
                )
        self.widths = self.pads
        if ceil_mode:
            self.widths = tuple(
                (pair[0], pair[1] + self._more(length, span, step, pair))
                for length, span, step, pair in zip(
                    self.spatial, spans, self.steps, self.pads, strict=True
                )
            )
        lengths = [
            before + n + after for n, (before, after) in zip(self.spatial, self.widths, strict=True)
        ]
        check_fit(function, x, lengths, spans, self.spatial)
        self.windows: Windows = windows_over(lengths, widths, self.steps, gaps)
        self.count, self.size = count, math.prod(widths)

    @staticmethod
    def _more(length: Dim, span: int, step: int, pair: tuple[Dim, Dim]) -> Dim:
        if isinstance(length, Length):
            raise OptionError(f"pooling with ceil_mode needs known lengths, got {length}.")
        return max(operator.index(_last_windows(length, span, step, pair)), 0)

    def flat(self, x: Value, widths: Pairs, fill: float = 0) -> Value:
        """Pad an operand and merge its spatial axes."""
        return merged(padded(x, widths, fill), self.count)

    def summed(self, flat: Value) -> Value:
        """Add up each window."""
        return _sum_patches(flat, inner=self.windows.inner, outer=self.windows.outer)


@public
def max_pool(
    x: Operand,
    kernel: Sequence[int],
    *,
    stride: object = None,
    padding: object = 0,
    dilation: object = 1,
    ceil_mode: bool = False,
) -> Value:
    """Give the largest element of each window over the last axes of *x*.

    Parameters
    ----------
    kernel
        Lengths of a window, one per spatial axis; these are the last axes of *x*.
    stride
        How far a window lies from the next one; by default as far as it is long.
    padding
        Elements before and after each spatial axis that are never the largest: a number, one per
        axis, a pair (before, after) per axis, ``"same"`` or ``"valid"``.
    dilation
        How far the elements of a window lie from each other.
    ceil_mode
        Whether a last window may reach past the end.

    NaN where a window holds one. Equal largest elements share the derivative.

    >>> max_pool(Value([1.0, 3.0, 2.0, 5.0]), (2,))
    Value(data=[3. 5.], grad=None)
    """
    node = as_value(x)
    pool = _Pool("max_pool", node, kernel, stride, padding, dilation, ceil_mode)
    windows = pool.windows
    flat = pool.flat(node, pool.widths, _lowest(node.spec.dtype))
    return _max_patches(flat, inner=windows.inner, outer=windows.outer)


def _lowest(dtype: np.dtype[Any]) -> float:
    if dtype.kind == "f":
        return -math.inf
    return 0 if dtype.kind == "b" else int(np.iinfo(dtype).min)


@public
def avg_pool(
    x: Operand,
    kernel: Sequence[int],
    *,
    stride: object = None,
    padding: object = 0,
    dilation: object = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Value:
    """Average each window over the last axes of *x*; integers as float64.

    Parameters
    ----------
    kernel, stride, dilation, ceil_mode
        As in `max_pool`.
    padding
        Zeros before and after each spatial axis, given as in `max_pool`.
    count_include_pad
        Whether the zeros count as elements, or an average is over what lies within *x* alone.
        What *ceil_mode* adds never counts.

    >>> avg_pool(Value([1.0, 3.0, 2.0, 5.0]), (2,))
    Value(data=[2.  3.5], grad=None)
    """
    node = as_value(x)
    dtype = node.spec.dtype
    node = widened(node)
    pool = _Pool("avg_pool", node, kernel, stride, padding, dilation, ceil_mode)
    total = pool.summed(pool.flat(node, pool.widths))
    counted = pool.pads if count_include_pad else ((0, 0),) * pool.count
    divisor = (
        pool.size if pool.widths == counted else _counts(pool, count_include_pad, node.spec.dtype)
    )
    result = total / divisor
    return astype(result, np.float16) if dtype == np.float16 else result


def _counts(pool: _Pool, with_padding: bool, dtype: np.dtype[Any]) -> Value:
    """Count the elements that each window averages."""
    own, widths = list(pool.spatial), list(pool.widths)
    if with_padding:
        for i, ((before, after), (_, end)) in enumerate(zip(pool.pads, pool.widths, strict=True)):
            own[i] = own[i] + before + after
            widths[i] = (0, end - after)
    ones = broadcast_to(as_value(1.0, dtype), tuple(own))
    return pool.summed(pool.flat(ones, tuple(widths)))


def _last_axes(function: str, x: Value, axes: object) -> tuple[int, ...]:
    (count,) = per_axis(function, "axes", (axes,), 1)
    if count > x.ndim:
        raise located(
            ShapeError(f"pooling over {count} axes needs as many, got {x.spec}."), function, (x,)
        )
    return tuple(range(-count, 0))


@public
def global_max_pool(x: Operand, axes: int, *, keepdims: bool = False) -> Value:
    """Give the largest element over the last *axes* axes.

    >>> global_max_pool(Value([[1.0, 3.0], [7.0, 5.0]]), 1)
    Value(data=[3. 7.], grad=None)
    """
    node = as_value(x)
    return max_axes(node, _last_axes("global_max_pool", node, axes), keepdims=keepdims)


@public
def global_avg_pool(x: Operand, axes: int, *, keepdims: bool = False) -> Value:
    """Average over the last *axes* axes; integers as float64.

    >>> global_avg_pool(Value([[1.0, 3.0], [7.0, 5.0]]), 1)
    Value(data=[2. 6.], grad=None)
    """
    node = as_value(x)
    return mean(node, _last_axes("global_avg_pool", node, axes), keepdims=keepdims)


@public
def adaptive_avg_pool(x: Operand, size: Sequence[int | None]) -> Value:
    """Average the last axes down, or up, to the lengths *size*; None keeps an axis as it is.

    Of n elements, place i of m averages those from ``floor(i * n / m)`` up to
    ``ceil((i + 1) * n / m)``. The axes must have known, positive lengths.

    >>> adaptive_avg_pool(Value([1.0, 3.0, 5.0]), (2,))
    Value(data=[2. 4.], grad=None)
    """
    node = as_value(x)
    name = "adaptive_avg_pool"
    count = _axis_count(name, size, node)
    spatial = node.spec.shape[node.ndim - count :]
    if any(
        isinstance(n, Length) or n == 0 for n, m in zip(spatial, size, strict=True) if m is not None
    ):
        raise located(
            ShapeError(f"the axes must have known, positive lengths, got {format_shape(spatial)}."),
            name,
            (node,),
        )
    filled = [1 if length is None else length for length in size]
    wanted = per_axis(name, "size", filled, count)
    targets = [n if m is None else k for n, m, k in zip(spatial, size, wanted, strict=True)]
    ratios = [
        n // k if isinstance(n, int) and isinstance(k, int) and n % k == 0 else 0
        for n, k in zip(spatial, targets, strict=True)
    ]
    if all(ratios):
        return avg_pool(node, ratios)
    node = widened(node)
    for i, target in enumerate(targets):
        if target is not spatial[i] and target != spatial[i]:
            node = _averaged(node, node.ndim - count + i, operator.index(target))
    dtype = as_value(x).spec.dtype
    return astype(node, np.float16) if dtype == np.float16 else node


def _averaged(x: Value, axis: int, size: int) -> Value:
    length = operator.index(x.spec.shape[axis])
    parts: list[Value] = []
    for i in range(size):
        start, stop = i * length // size, -(-(i + 1) * length // size)
        parts.append(mean(cut(x, axis, start, stop - start), axis, keepdims=True))
    return concatenate(parts, axis)
