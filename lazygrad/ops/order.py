"""Sorting and what rests on it: order statistics and search. Sorting for derivatives is stable.

A sorted value's derivative goes back to the place that the value came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import OptionError, ShapeError
from ..ir.op import Array, Operand, Trait, implements
from ..ir.value import Value, as_value
from ..lengths import Dim
from ..spec import (
    Spec,
    format_shape,
    normalize_axes,
    normalize_axis,
    product,
    require_same_shape,
)
from .arithmetic import equal, isnan, logical_or, where
from .batching import batch_by_shifting
from .cumulative import as_float
from .forms import NodeFunction, general, linear
from .reduce import gathered, reduced_shape
from .shape import moveaxis, reshape

__all__ = [
    "argsort",
    "median",
    "partition",
    "percentile",
    "quantile",
    "searchsorted",
    "sort",
]


def _order_infer(x: Spec, order: Spec, *, axis: int) -> Spec:
    require_same_shape(x.shape, order.shape, "elements and their order need one shape")
    return x


def _take_order_kernel(x: Array, order: Array, out: Array, *, axis: int) -> None:
    if x.ndim == 1:
        # Mode "raise" would write into a copy of out first; orders are always in range.
        x.take(order, 0, out, "clip")
        return
    np.copyto(out, np.take_along_axis(x, order, axis))


def _put_order_kernel(x: Array, order: Array, out: Array, *, axis: int) -> None:
    np.put_along_axis(out, order, x, axis)


_take_order: NodeFunction = linear(
    "_take_order",
    _take_order_kernel,
    infer=_order_infer,
    transpose=lambda g, x, order, *, axis: _put_order(g, order, axis=axis),
    traits=(Trait.MOVES_MASK,),
    batch=batch_by_shifting("_take_order"),
    doc="The elements along an axis in a given order, a permutation of each row's places.",
)

_put_order: NodeFunction = linear(
    "_put_order",
    _put_order_kernel,
    infer=_order_infer,
    transpose=lambda g, x, order, *, axis: _take_order(g, order, axis=axis),
    traits=(Trait.MOVES_MASK,),
    batch=batch_by_shifting("_put_order"),
    doc="The elements along an axis put back to the places that a given order took them from.",
)


def _argsort_kernel(x: Array, out: Array, *, axis: int) -> None:
    np.copyto(out, x.argsort(axis, kind="stable"))


_argsort: NodeFunction = general(
    "argsort",
    _argsort_kernel,
    infer=lambda x, *, axis: Spec(x.shape, np.dtype(np.intp)),
    vjp=None,
    jvp=None,
    cost=lambda out, x, **attrs: 20 * product(x.shape),
    array_api="argsort",
    variants=({"axis": 0}, {"axis": 1}),
    batch=batch_by_shifting("argsort"),
    doc="The places along an axis from the smallest element to the largest; stable.",
)


def _sort_kernel(x: Array, out: Array, *, axis: int) -> None:
    np.copyto(out, x)
    out.sort(axis)


_sort: NodeFunction = general(
    "sort",
    _sort_kernel,
    infer=lambda x, *, axis: x,
    vjp=lambda g, y, x, *, axis: (_put_order(g, _argsort(x, axis=axis), axis=axis),),
    jvp=(lambda t, y, x, *, axis: _take_order(t, _argsort(x, axis=axis), axis=axis),),
    traits=(Trait.MOVES_MASK,),
    reusable=(0,),
    cost=lambda out, x, **attrs: 10 * product(x.shape),
    array_api="sort",
    variants=({"axis": 0}, {"axis": 1}),
    batch=batch_by_shifting("sort"),
    doc="The elements along an axis from the smallest to the largest; NaN last.",
)


def _sortable(name: str, a: Operand, axis: object, kind: object) -> tuple[Value, int]:
    if kind not in (None, "quicksort", "mergesort", "heapsort", "stable"):
        raise OptionError(f"{name}: there is no kind={kind!r}.")
    node = as_value(a)
    if axis is None:
        return reshape(node, -1), 0
    return node, normalize_axis(axis, node.ndim)


@implements(np.sort)
def sort(
    a: Operand, axis: object = -1, kind: str | None = None, *, stable: bool | None = None
) -> Value:
    """Order the elements of *a* along *axis* from the smallest to the largest, NaN last.

    Without an axis, all elements in a row. Of equal elements the derivative goes back in their
    order, so every *kind* is as good as ``"stable"``.

    >>> sort(Value([3.0, 1.0, 2.0]))
    Value(data=[1. 2. 3.], grad=None)
    """
    node, place = _sortable("sort", a, axis, kind)
    return _sort(node, axis=place)


@implements(np.argsort)
def argsort(
    a: Operand, axis: object = -1, kind: str | None = None, *, stable: bool | None = None
) -> Value:
    """Find the places of the elements of *a* along *axis* from the smallest to the largest.

    Equal elements keep their order. Gives int64 and has no derivative.

    >>> argsort(Value([3.0, 1.0, 2.0]))
    Value(data=[1 2 0], grad=None)
    """
    node, place = _sortable("argsort", a, axis, kind)
    return _argsort(node, axis=place)


@implements(np.partition)
def partition(a: Operand, kth: object, axis: object = -1) -> Value:
    """Put the elements that sorting would put at *kth* there, smaller ones before them.

    This sorts the whole axis, which is more than is asked.
    """
    node, place = _sortable("partition", a, axis, None)
    length = node.spec.shape[place]
    for index in kth if isinstance(kth, (tuple, list)) else (kth,):
        _check_place(index, length)
    return _sort(node, axis=place)


def _check_place(index: object, length: Dim) -> None:
    if not hasattr(index, "__index__"):
        raise OptionError(f"partition: kth must be integers, got {index!r}.")
    if isinstance(length, int) and not -length <= int(index.__index__()) < length:
        raise OptionError(f"partition: kth={index!r} is out of range for length {length}.")


def _places(q: Sequence[float], length: int) -> Iterator[tuple[int, int, float]]:
    """Give, for each quantile, its number, the element before it and how far past it lies."""
    for i, fraction in enumerate(q):
        position = fraction * (length - 1)
        before = int(position)
        yield i, before, position - before


def _pick_kernel(x: Array, out: Array, *, q: tuple[float, ...]) -> None:
    if x.shape[-1] == 0:
        out.fill(0)
        return
    for i, before, past in _places(q, x.shape[-1]):
        if past == 0:
            out[i] = x[..., before]
            continue
        np.multiply(x[..., before], 1 - past, out=out[i, ...])
        out[i] += x[..., before + 1] * past


def _spread_kernel(g: Array, out: Array, *, q: tuple[float, ...], length: int) -> None:
    out.fill(0)
    if length == 0:
        return
    for i, before, past in _places(q, length):
        out[..., before] += g[i] * (1 - past)
        if past:
            out[..., before + 1] += g[i] * past


def _spread_infer(g: Spec, *, q: tuple[float, ...], length: Dim) -> Spec:
    return Spec((*g.shape[1:], length), g.dtype)


_pick: NodeFunction = linear(
    "_pick",
    _pick_kernel,
    infer=lambda x, *, q: Spec((len(q), *x.shape[:-1]), x.dtype),
    transpose=lambda g, x, *, q: _spread(g, q=q, length=x.spec.shape[-1]),
    batch=lambda flags, x, *, q: moveaxis(_pick(x, q=q), 1, 0),
    cost=lambda out, x, **attrs: 3 * product(out.shape),
    variants=({"q": (0.0, 0.3, 1.0)}, {"q": (0.5,)}),
    doc="Quantiles of ordered rows: between two elements, in proportion.",
)

_spread: NodeFunction = linear(
    "_spread",
    _spread_kernel,
    infer=_spread_infer,
    transpose=lambda g, x, *, q, length: _pick(g, q=q),
    batch=lambda flags, g, *, q, length: _spread(moveaxis(g, 0, 1), q=q, length=length),
    cost=lambda out, g, **attrs: 4 * product(g.shape),
    doc="Each quantile's part given to the elements of an ordered row that it lies between.",
)


def _quantiles(
    a: Operand, q: tuple[float, ...], outer: tuple[int, ...], axis: object, keepdims: bool
) -> Value:
    node = as_float(as_value(a))
    axes = normalize_axes(axis, node.ndim)
    rows = _sort(gathered(node, axes)[0], axis=node.ndim - len(axes))
    picked = _pick(rows, q=q)
    # NaN comes last; a row that holds one has no quantiles, nor derivatives of them.
    lost = isnan(_pick(rows, q=(1.0,)))
    length = rows.spec.shape[-1]
    if not isinstance(length, int) or length == 0:
        lost = logical_or(lost, equal(length, 0))
    picked = picked * where(lost, np.nan, np.ones((), node.spec.dtype))
    return reshape(picked, (*outer, *reduced_shape(node.spec.shape, axes, bool(keepdims))))


@implements(np.median)
def median(a: Operand, axis: object = None, *, keepdims: bool = False) -> Value:
    """Give the middle element of *a* along *axis*, or the average of the two in the middle.

    NaN where there is one, and of no elements.

    >>> median(Value([3.0, 1.0, 2.0, 10.0]))
    Value(data=2.5, grad=None)
    """
    return _quantiles(a, (0.5,), (), axis, keepdims)


def _fractions(name: str, q: object, whole: float, method: str) -> tuple[Array, tuple[int, ...]]:
    if method != "linear":
        raise OptionError(f'{name}: only method="linear" is supported, got {method!r}.')
    if isinstance(q, Value):
        raise OptionError(f"{name}: q must be numbers, not a node.")
    fractions = np.asarray(q, np.float64) / whole
    if not ((fractions >= 0) & (fractions <= 1)).all():
        raise OptionError(f"{name}: q must lie between 0 and {whole:g}, got {q!r}.")
    return fractions.reshape(-1), fractions.shape


@implements(np.quantile)
def quantile(
    a: Operand, q: object, axis: object = None, *, method: str = "linear", keepdims: bool = False
) -> Value:
    """Give the value below which the fraction *q* of the elements of *a* lies along *axis*.

    Between two elements it is in proportion. The shape starts with that of *q*, a number or
    array. NaN where there is one, and of no elements.

    >>> quantile(Value([1.0, 2.0, 3.0]), 0.25)
    Value(data=1.5, grad=None)
    """
    fractions, outer = _fractions("quantile", q, 1.0, method)
    return _quantiles(a, tuple(fractions.tolist()), outer, axis, keepdims)


@implements(np.percentile)
def percentile(
    a: Operand, q: object, axis: object = None, *, method: str = "linear", keepdims: bool = False
) -> Value:
    """Give the value below which *q* per cent of the elements of *a* lie; see `quantile`."""
    fractions, outer = _fractions("percentile", q, 100.0, method)
    return _quantiles(a, tuple(fractions.tolist()), outer, axis, keepdims)


def _searchsorted_infer(a: Spec, v: Spec, *, side: str) -> Spec:
    if a.ndim != 1:
        raise ShapeError(f"what is searched must have one axis, got {format_shape(a.shape)}.")
    return Spec(v.shape, np.dtype(np.intp))


def _searchsorted_kernel(a: Array, v: Array, out: Array, *, side: str) -> None:
    np.copyto(out, a.searchsorted(v, side))  # type: ignore[call-overload]


_searchsorted: NodeFunction = general(
    "searchsorted",
    _searchsorted_kernel,
    infer=_searchsorted_infer,
    vjp=None,
    jvp=None,
    # One row is searched for everything; several rows are left to a loop.
    batch=lambda flags, a, v, **attrs: None if flags[0] else _searchsorted(a, v, **attrs),
    cost=lambda out, a, v, **attrs: 20 * product(v.shape),
    array_api="searchsorted",
    domain=((-3.0, 3.0), (-3.0, 3.0)),
    variants=({"side": "left"}, {"side": "right"}),
    doc="Where each value would go in an ordered row.",
)


@implements(np.searchsorted)
def searchsorted(a: Operand, v: Operand, side: str = "left") -> Value:
    """Find where each element of *v* would go to keep *a*, which is sorted, in order.

    ``side="left"`` goes before equal elements, ``"right"`` behind. Gives int64 and has no
    derivative.

    >>> searchsorted([1.0, 2.0, 3.0], Value([2.0, 2.5]))
    Value(data=[1 2], grad=None)
    """
    if side not in ("left", "right"):
        raise OptionError(f'searchsorted: side is "left" or "right", got {side!r}.')
    return _searchsorted(a, v, side=side)
