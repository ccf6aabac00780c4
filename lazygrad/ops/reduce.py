"""Reductions: many elements to one, along chosen axes.

At a tie, max and min share the derivative equally.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ..errors import ShapeError
from ..ir.op import OUT, Array, Attrs, Call, In, Notation, Operand, Trait, implements, public
from ..ir.value import Value, as_value, no_grad
from ..spec import (
    DType,
    DTypeLike,
    Shape,
    Spec,
    format_shape,
    normalize_axes,
    normalize_axis,
    product,
)
from .arithmetic import astype, isfinite, isnan, not_equal, where
from .batching import batch_by_shifting
from .cumulative import accumulation_dtype, as_float, product_of_others
from .elementary import exp, log
from .forms import NodeFunction, general, linear, reduce_call
from .shape import broadcast_to, reshape, transpose

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "logsumexp",
    "max",
    "mean",
    "min",
    "prod",
    "ptp",
    "sum",
]

_VARIANTS: tuple[Attrs, ...] = (
    {"axes": (), "keepdims": False},
    {"axes": (0,), "keepdims": False},
    {"axes": (0,), "keepdims": True},
    {"axes": (0, 1), "keepdims": False},
)


def reduced_shape(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """Give the shape that is left when *axes* are reduced."""
    if keepdims:
        return tuple(1 if i in axes else length for i, length in enumerate(shape))
    return tuple(length for i, length in enumerate(shape) if i not in axes)


def kept(g: Value, x: Value, axes: tuple[int, ...]) -> Value:
    """Give a value reduced from *x* its reduced axes back, with length 1."""
    return reshape(g, reduced_shape(x.spec.shape, axes, True))


def restored(g: Value, x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    """Stretch a reduced value back over the operand that it was reduced from."""
    if not keepdims:
        g = kept(g, x, axes)
    return broadcast_to(g, x.spec.shape)


def gathered(x: Value, axes: tuple[int, ...]) -> tuple[Value, tuple[int, ...]]:
    """Merge *axes* of *x* into one last axis; also give the order of axes that this took."""
    shape = x.spec.shape
    order = (*(i for i in range(len(shape)) if i not in axes), *axes)
    merged = (*reduced_shape(shape, axes, False), product(shape[i] for i in axes))
    return reshape(transpose(x, order), merged), order


def prepared(a: Operand, axis: object) -> tuple[Value, tuple[int, ...]]:
    """Give the node of an operand, and the axes that a user's *axis* means."""
    node = as_value(a)
    return node, normalize_axes(axis, node.ndim)


def _kernel(ufunc: np.ufunc) -> Callable[..., None]:
    def kernel(x: Array, out: Array, *, axes: tuple[int, ...], keepdims: bool) -> None:
        ufunc.reduce(x, axis=axes, dtype=out.dtype, out=out, keepdims=keepdims)

    return kernel


# Up to this many elements NumPy adds a row in one block too, so nothing is lost to BLAS.
_SHORT_ROW = 128


def _sum_by_product(x: Spec | Array, dtype: DType, axes: tuple[int, ...]) -> bool:
    """Whether a product with ones adds up: BLAS is several times as fast over narrow matrices."""
    if len(x.shape) != 2 or x.dtype != dtype or dtype.char not in "fd":
        return False
    return axes == (0,) or (axes == (1,) and x.shape[1] <= _SHORT_ROW)


def _sum(x: Array, out: Array, *, axes: tuple[int, ...], keepdims: bool) -> None:
    if not _sum_by_product(x, out.dtype, axes):
        np.add.reduce(x, axis=axes, dtype=out.dtype, out=out, keepdims=keepdims)
        return
    target = out.reshape(x.shape[1 - axes[0]])
    ones = np.ones(x.shape[axes[0]], x.dtype)
    left, right = (ones, x) if axes == (0,) else (x, ones)
    np.dot(left, right, out=target)


def _sum_call(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
    (x,) = specs
    axes = attrs["axes"]
    if not x.is_static or not _sum_by_product(x, spec.dtype, axes):
        return reduce_call(np.add)(specs, spec, attrs)
    if attrs["keepdims"]:
        return Call(partial(_sum, **attrs), (In(0), OUT))
    ones = np.ones(x.shape[axes[0]], x.dtype)
    return Call(np.dot, (ones, In(0), OUT) if axes == (0,) else (In(0), ones, OUT))


def _sum_notation(x: Spec, *, axes: tuple[int, ...], keepdims: bool) -> Notation:
    is_whole = len(axes) == len(x.shape) and not keepdims
    options = "" if is_whole else f", axis={axes[0] if len(axes) == 1 else axes}"
    options += ", keepdims=True" if keepdims else ""
    below = "" if is_whole else f"_{{{','.join(map(str, axes))}}}"
    return Notation(f"sum({{x}}{options})", rf"\sum{below} {{x:3}}", 6, 2)


sum_over: NodeFunction = linear(
    "sum",
    _sum,
    infer=lambda x, *, axes, keepdims: Spec(
        reduced_shape(x.shape, axes, keepdims), accumulation_dtype(x.dtype)
    ),
    transpose=lambda g, x, *, axes, keepdims: restored(g, x, axes, keepdims),
    batch=lambda flags, x, *, axes, keepdims: sum_over(
        x, axes=tuple(axis + 1 for axis in axes), keepdims=keepdims
    ),
    # A sum that a result doesn't read reaches it through none of its elements.
    traits=(Trait.MOVES_MASK, Trait.REDUCES),
    call=_sum_call,
    c="{x} + {y}",
    start="0",
    cost=lambda out, x, **attrs: product(x.shape),
    notation=_sum_notation,
    array_api="sum",
    variants=_VARIANTS,
    doc="The sum along axes.",
)


@implements(np.sum)
def sum(
    a: Operand, axis: object = None, dtype: DTypeLike | None = None, *, keepdims: bool = False
) -> Value:
    """Add up the elements of *a* along *axis*, by default all of them.

    Small integers and bools are added as NumPy does, in its default integer.

    >>> sum(Value([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Value(data=[4. 6.], grad=None)
    """
    node, axes = prepared(a, axis)
    if dtype is not None:
        node = astype(node, dtype)
    return sum_over(node, axes=axes, keepdims=bool(keepdims))


def widened(node: Value) -> Value:
    """Read integers as float64 and float16 as float32, which NumPy averages in."""
    return astype(node, np.float32) if node.spec.dtype == np.float16 else as_float(node)


def mean_over(node: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    """Average over axes without conversion."""
    count = product(node.spec.shape[i] for i in axes)
    return sum_over(node, axes=axes, keepdims=keepdims) / count


@implements(np.mean)
def mean(
    a: Operand, axis: object = None, dtype: DTypeLike | None = None, *, keepdims: bool = False
) -> Value:
    """Average the elements of *a* along *axis*, by default all of them; integers as float64.

    The mean of no elements is NaN; that of float16 is worked out in float32, as in NumPy.

    >>> mean(Value([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Value(data=[2. 3.], grad=None)
    """
    node, axes = prepared(a, axis)
    if dtype is not None:
        node = astype(node, dtype)
    if node.spec.dtype == np.float16:
        return astype(mean_over(widened(node), axes, bool(keepdims)), np.float16)
    return mean_over(as_float(node), axes, bool(keepdims))


def _others(x: Value, axes: tuple[int, ...]) -> Value:
    """Give, for each element, the product of all the others that are reduced with it."""
    x = as_float(x)
    if len(axes) == 1:
        return product_of_others(x, axes[0])
    rows, order = gathered(x, axes)
    others = reshape(product_of_others(rows, rows.ndim - 1), [x.spec.shape[i] for i in order])
    return transpose(others, tuple(order.index(i) for i in range(len(order))))


_prod_axes: NodeFunction = general(
    "prod",
    _kernel(np.multiply),
    infer=lambda x, *, axes, keepdims: Spec(
        reduced_shape(x.shape, axes, keepdims), accumulation_dtype(x.dtype)
    ),
    vjp=(lambda g, y, x, *, axes, keepdims: restored(g, x, axes, keepdims) * _others(x, axes),),
    jvp=(
        lambda t, y, x, *, axes, keepdims: sum_over(
            t * _others(x, axes), axes=axes, keepdims=keepdims
        ),
    ),
    traits=(Trait.REDUCES,),
    call=reduce_call(np.multiply),
    c="{x} * {y}",
    start="1",
    cost=lambda out, x, **attrs: product(x.shape),
    array_api="prod",
    variants=_VARIANTS,
    batch=batch_by_shifting("prod"),
    doc="The product along axes.",
)


@implements(np.prod)
def prod(
    a: Operand, axis: object = None, dtype: DTypeLike | None = None, *, keepdims: bool = False
) -> Value:
    """Multiply the elements of *a* along *axis*, by default all of them.

    Small integers and bools are multiplied in NumPy's default integer. Derivatives of any order
    are right where elements are zero.

    >>> prod(Value([2.0, 3.0, 4.0]))
    Value(data=24.0, grad=None)
    """
    node, axes = prepared(a, axis)
    if dtype is not None:
        node = astype(node, dtype)
    return _prod_axes(node, axes=axes, keepdims=bool(keepdims))


def _refuse_empty(x: Spec, axes: Sequence[int], what: str) -> None:
    empty = [i for i in axes if x.shape[i] == 0]
    if empty and 0 not in reduced_shape(x.shape, tuple(axes), False):
        raise ShapeError(
            f"there is no {what} of no elements:"
            f" axis {empty[0]} of {format_shape(x.shape)} has length 0."
        )


def _extremum(name: str, ufunc: np.ufunc, beats: str, start: str, doc: str) -> NodeFunction:
    def infer(x: Spec, *, axes: tuple[int, ...], keepdims: bool) -> Spec:
        _refuse_empty(x, axes, f"{name}imum")
        return Spec(reduced_shape(x.shape, axes, keepdims), x.dtype)

    def reached(y: Value, x: Value, axes: tuple[int, ...]) -> tuple[Value, Value]:
        """Give where the extremum is, and in how many places: none where it is NaN."""
        places = x == kept(y, x, axes)
        return places, sum_over(places, axes=axes, keepdims=True)

    def vjp(g: Value, y: Value, x: Value, *, axes: tuple[int, ...], keepdims: bool) -> Value:
        places, count = reached(y, x, axes)
        share, lost = kept(g, x, axes) / count, kept(y, x, axes)
        if y.spec.dtype.kind != "f":
            return where(places, share, 0)
        return where(places, share, where(isnan(lost), lost, 0))

    def jvp(t: Value, y: Value, x: Value, *, axes: tuple[int, ...], keepdims: bool) -> Value:
        places, count = reached(y, x, axes)
        tangent = sum_over(where(places, t, 0), axes=axes, keepdims=True) / count
        return reshape(tangent, y.spec.shape)

    return general(
        name,
        _kernel(ufunc),
        infer=infer,
        vjp=(vjp,),
        jvp=(jvp,),
        batch=batch_by_shifting(name),
        traits=(Trait.REDUCES,),
        call=reduce_call(ufunc),
        c=f"{{x}} {beats} {{y}} || {{x}} != {{x}} ? {{x}} : {{y}}",
        start=start,
        cost=lambda out, x, **attrs: product(x.shape),
        array_api=name,
        variants=_VARIANTS,
        doc=doc,
    )


_max = _extremum(
    "max", np.maximum, ">", "{lowest}", "The largest element along axes; NaN where there is one."
)
_min = _extremum(
    "min", np.minimum, "<", "{highest}", "The smallest element along axes; NaN where there is one."
)


@implements(np.max, np.amax)
def max(a: Operand, axis: object = None, *, keepdims: bool = False) -> Value:
    """Give the largest element of *a* along *axis*, by default of all.

    NaN where there is one. Equal largest elements share the derivative.

    >>> max(Value([[1.0, 5.0], [3.0, 4.0]]), axis=1)
    Value(data=[5. 4.], grad=None)
    """
    node, axes = prepared(a, axis)
    return _max(node, axes=axes, keepdims=bool(keepdims))


@implements(np.min, np.amin)
def min(a: Operand, axis: object = None, *, keepdims: bool = False) -> Value:
    """Give the smallest element of *a* along *axis*, by default of all.

    NaN where there is one. Equal smallest elements share the derivative.

    >>> min(Value([[1.0, 5.0], [3.0, 4.0]]), axis=1)
    Value(data=[1. 3.], grad=None)
    """
    node, axes = prepared(a, axis)
    return _min(node, axes=axes, keepdims=bool(keepdims))


@implements(np.ptp)
def ptp(a: Operand, axis: object = None, *, keepdims: bool = False) -> Value:
    """Give the distance from the smallest to the largest element of *a* along *axis*."""
    return max(a, axis, keepdims=keepdims) - min(a, axis, keepdims=keepdims)


def _logical(name: str, ufunc: np.ufunc, c: str, start: str, doc: str) -> NodeFunction:
    return general(
        name,
        _kernel(ufunc),
        infer=lambda x, *, axes, keepdims: Spec(
            reduced_shape(x.shape, axes, keepdims), np.dtype(np.bool_)
        ),
        vjp=None,
        jvp=None,
        batch=batch_by_shifting(name),
        traits=(Trait.REDUCES,),
        call=reduce_call(ufunc),
        c=c,
        start=start,
        cost=lambda out, x, **attrs: product(x.shape),
        array_api=name,
        variants=_VARIANTS,
        doc=doc,
    )


_all = _logical(
    "all", np.logical_and, "{x} && {y}", "1", "Whether all elements along axes are true."
)
_any = _logical("any", np.logical_or, "{x} || {y}", "0", "Whether some element along axes is true.")


@implements(np.all)
def all(a: Operand, axis: object = None, *, keepdims: bool = False) -> Value:
    """Tell whether all elements of *a* along *axis* are true; of no elements they are."""
    node, axes = prepared(a, axis)
    return _all(node, axes=axes, keepdims=bool(keepdims))


@implements(np.any)
def any(a: Operand, axis: object = None, *, keepdims: bool = False) -> Value:
    """Tell whether some element of *a* along *axis* is true; of no elements none is."""
    node, axes = prepared(a, axis)
    return _any(node, axes=axes, keepdims=bool(keepdims))


@implements(np.count_nonzero)
def count_nonzero(a: Operand, axis: object = None, *, keepdims: bool = False) -> Value:
    """Count the elements of *a* along *axis* that are not zero, as int64."""
    return sum(not_equal(a, 0), axis, keepdims=keepdims)


def _index_of(name: str, method: Callable[..., object], what: str) -> NodeFunction:
    def infer(x: Spec, *, axis: int) -> Spec:
        _refuse_empty(x, (axis,), what)
        return Spec(reduced_shape(x.shape, (axis,), False), np.dtype(np.intp))

    def kernel(x: Array, out: Array, *, axis: int) -> None:
        method(x, axis, out)

    return general(
        name,
        kernel,
        infer=infer,
        vjp=None,
        jvp=None,
        batch=batch_by_shifting(name),
        call=lambda specs, spec, attrs: Call(method, (In(0), attrs["axis"], OUT)),
        cost=lambda out, x, **attrs: product(x.shape),
        array_api=name,
        variants=({"axis": 0}, {"axis": 1}),
        doc=f"The index of the first {what} along an axis.",
    )


_argmax = _index_of("argmax", np.ndarray.argmax, "maximum")
_argmin = _index_of("argmin", np.ndarray.argmin, "minimum")


def _index_along(op: NodeFunction, a: Operand, axis: object, keepdims: bool) -> Value:
    node = as_value(a)
    if axis is None:
        result = op(reshape(node, -1), axis=0)
        return reshape(result, (1,) * node.ndim) if keepdims else result
    place = normalize_axis(axis, node.ndim)
    result = op(node, axis=place)
    return kept(result, node, (place,)) if keepdims else result


@implements(np.argmax)
def argmax(a: Operand, axis: object = None, *, keepdims: bool = False) -> Value:
    """Find the first largest element of *a* along *axis*; by default among all, in a row.

    The first NaN counts as the largest. Gives int64 and has no derivative.

    >>> argmax(Value([[1.0, 5.0], [4.0, 4.0]]), axis=1)
    Value(data=[1 0], grad=None)
    """
    return _index_along(_argmax, a, axis, keepdims)


@implements(np.argmin)
def argmin(a: Operand, axis: object = None, *, keepdims: bool = False) -> Value:
    """Find the first smallest element of *a* along *axis*; by default among all, in a row.

    The first NaN counts as the smallest. Gives int64 and has no derivative.
    """
    return _index_along(_argmin, a, axis, keepdims)


@public
def logsumexp(a: Operand, axis: object = None, keepdims: bool = False) -> Value:
    """Give log(sum(exp(a))) along *axis*, without overflow; its derivative is the softmax.

    Rows of nothing but -inf give -inf, and +inf gives +inf.

    >>> logsumexp(Value([1000.0, 1000.0]))
    Value(data=1000.6931471805599, grad=None)
    """
    node, axes = prepared(a, axis)
    node = as_float(node)
    # The peak cancels, so it is a constant to every derivative.
    with no_grad():
        peak = _max(node, axes=axes, keepdims=True)
        peak = where(isfinite(peak), peak, 0)
    result = log(sum_over(exp(node - peak), axes=axes, keepdims=True)) + peak
    return reshape(result, reduced_shape(node.spec.shape, axes, bool(keepdims)))
