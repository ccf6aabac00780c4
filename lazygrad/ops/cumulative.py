"""Running totals and extrema along one axis, and the recurrence that differentiates products.

Products are differentiated without dividing, so zeros among the elements do no harm, in any
number and to any order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate

import numpy as np

from ..ir.op import OUT, Array, Attrs, Call, In, Operand, Trait, call, implements, public
from ..ir.value import Value, as_value
from ..spec import DType, DTypeLike, Spec, normalize_axis, product, require_same_shape
from .arithmetic import astype
from .batching import batch_by_shifting
from .forms import NodeFunction, general, linear
from .shape import reshape

__all__ = ["cummax", "cummin", "cumprod", "cumsum"]


@lru_cache(maxsize=64)
def accumulation_dtype(dtype: DType) -> DType:
    """Dtype of a sum or product: NumPy widens small integers and bools."""
    result: DType = np.add.reduce(np.zeros(1, dtype)).dtype
    return result


def as_float(x: Value) -> Value:
    """Read integers and bools as float64; floats stay as they are."""
    return x if x.spec.dtype.kind == "f" else astype(x, np.float64)


def _along(axis: int, part: slice) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, part)


_BACKWARDS, _FIRST = slice(None, None, -1), slice(0, 1)
_BUT_FIRST, _BUT_LAST = slice(1, None), slice(None, -1)


def _cumulative_infer(x: Spec, *, axis: int, **attrs: bool) -> Spec:
    return Spec(x.shape, accumulation_dtype(x.dtype))


def _cumulative_call(
    ufunc: np.ufunc, kernel: Callable[..., None]
) -> Callable[[tuple[Spec, ...], Spec, Attrs], Call]:
    def rule(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
        if any(attrs[name] for name in attrs if name != "axis"):
            return Call(lambda x, out: kernel(x, out, **attrs), (In(0), OUT))
        return Call(ufunc.accumulate, (In(0), attrs["axis"], spec.dtype, OUT))

    return rule


def _cumsum_kernel(x: Array, out: Array, *, axis: int, reverse: bool) -> None:
    if reverse:
        x, out = x[_along(axis, _BACKWARDS)], out[_along(axis, _BACKWARDS)]
    np.add.accumulate(x, axis, out.dtype, out)


_cumsum: NodeFunction = linear(
    "cumsum",
    _cumsum_kernel,
    infer=_cumulative_infer,
    transpose=lambda g, x, *, axis, reverse: _cumsum(g, axis=axis, reverse=not reverse),
    call=_cumulative_call(np.add, _cumsum_kernel),
    cost=lambda out, x, **attrs: product(x.shape),
    variants=({"axis": 0, "reverse": False}, {"axis": 1, "reverse": True}),
    batch=batch_by_shifting("cumsum"),
    doc="The sums of all elements up to each, or from each on, along an axis.",
)


def _shift_kernel(x: Array, out: Array, *, axis: int, reverse: bool) -> None:
    here, there = (_BUT_FIRST, _BUT_LAST) if not reverse else (_BUT_LAST, _BUT_FIRST)
    out.fill(0)
    out[_along(axis, here)] = x[_along(axis, there)]


_shift: NodeFunction = linear(
    "_shift",
    _shift_kernel,
    infer=lambda x, *, axis, reverse: x,
    transpose=lambda g, x, *, axis, reverse: _shift(g, axis=axis, reverse=not reverse),
    traits=(Trait.MOVES_MASK,),
    variants=({"axis": 0, "reverse": False}, {"axis": 1, "reverse": True}),
    batch=batch_by_shifting("_shift"),
    doc="The elements one place further along an axis, after a zero.",
)


def _recurrence_infer(a: Spec, b: Spec, *, axis: int, reverse: bool) -> Spec:
    require_same_shape(a.shape, b.shape, "factors and summands need one shape")
    return Spec(b.shape, np.result_type(a.dtype, b.dtype))


def _recurrence_kernel(a: Array, b: Array, out: Array, *, axis: int, reverse: bool) -> None:
    a, b, out = (np.moveaxis(array, axis, 0) for array in (a, b, out))
    if reverse:
        a, b, out = a[::-1], b[::-1], out[::-1]
    if out.size == 0:
        return
    if out.ndim == 1:
        steps = zip(a[1:].tolist(), b[1:].tolist(), strict=True)
        out[:] = list(accumulate(steps, lambda s, step: step[0] * s + step[1], initial=b[0].item()))
        return
    out[0] = b[0]
    for i in range(1, len(out)):
        np.multiply(a[i], out[i - 1], out=out[i])
        np.add(out[i], b[i], out=out[i])


def _recurrence_adjoint(g: Value, a: Value, axis: int, reverse: bool) -> Value:
    return _recurrence(_shift(a, axis=axis, reverse=not reverse), g, axis=axis, reverse=not reverse)


def _recurrence_vjp(
    g: Value, s: Value, a: Value, b: Value, *, axis: int, reverse: bool
) -> tuple[Value, Value]:
    adjoint = _recurrence_adjoint(g, a, axis, reverse)
    return adjoint * _shift(s, axis=axis, reverse=reverse), adjoint


def _recurrence_jvp(
    tangents: tuple[Value | None, ...], s: Value, a: Value, b: Value, *, axis: int, reverse: bool
) -> Value | None:
    along_a, along_b = tangents
    if along_a is not None:
        part = along_a * _shift(s, axis=axis, reverse=reverse)
        along_b = part if along_b is None else part + along_b
    return None if along_b is None else _recurrence(a, along_b, axis=axis, reverse=reverse)


_recurrence: NodeFunction = general(
    "_recurrence",
    _recurrence_kernel,
    infer=_recurrence_infer,
    vjp=_recurrence_vjp,
    jvp=_recurrence_jvp,
    cost=lambda out, a, b, **attrs: 2 * product(out.shape),
    domain=((-1.5, 1.5), (-3.0, 3.0)),
    variants=({"axis": 0, "reverse": False}, {"axis": 1, "reverse": True}),
    batch=batch_by_shifting("_recurrence"),
    doc="s[i] = a[i] * s[i - 1] + b[i] along an axis, from s[-1] = 0; a[0] is never used.",
)


def _cumprod_kernel(x: Array, out: Array, *, axis: int, reverse: bool, exclusive: bool) -> None:
    if reverse:
        x, out = x[_along(axis, _BACKWARDS)], out[_along(axis, _BACKWARDS)]
    if exclusive:
        out[_along(axis, _FIRST)] = 1
        x, out = x[_along(axis, _BUT_LAST)], out[_along(axis, _BUT_FIRST)]
    np.multiply.accumulate(x, axis, out.dtype, out)


def _cumprod_vjp(
    g: Value, y: Value, x: Value, *, axis: int, reverse: bool, exclusive: bool
) -> tuple[Value]:
    # A factor at i reaches y[j >= i]: the product before i, times what the factors after i
    # make of the cotangents.
    if exclusive:
        g = _shift(g, axis=axis, reverse=not reverse)
    x = as_float(x)
    return (
        _recurrence_adjoint(g, x, axis, reverse)
        * _cumprod(x, axis=axis, reverse=reverse, exclusive=True),
    )


def _cumprod_jvp(
    tangents: tuple[Value], y: Value, x: Value, *, axis: int, reverse: bool, exclusive: bool
) -> Value:
    x = as_float(x)
    before = _cumprod(x, axis=axis, reverse=reverse, exclusive=True)
    tangent = _recurrence(x, tangents[0] * before, axis=axis, reverse=reverse)
    return _shift(tangent, axis=axis, reverse=reverse) if exclusive else tangent


_cumprod: NodeFunction = general(
    "cumprod",
    _cumprod_kernel,
    infer=_cumulative_infer,
    vjp=_cumprod_vjp,
    jvp=_cumprod_jvp,
    call=_cumulative_call(np.multiply, _cumprod_kernel),
    cost=lambda out, x, **attrs: product(x.shape),
    variants=(
        {"axis": 0, "reverse": False, "exclusive": False},
        {"axis": 1, "reverse": True, "exclusive": False},
        {"axis": 1, "reverse": False, "exclusive": True},
        {"axis": 0, "reverse": True, "exclusive": True},
    ),
    batch=batch_by_shifting("cumprod"),
    doc="The products of all elements up to each, or from each on, along an axis.",
)


def product_of_others(x: Value, axis: int) -> Value:
    """Give, for each element, the product of all others along *axis*; zeros do no harm."""
    before = _cumprod(x, axis=axis, reverse=False, exclusive=True)
    return before * _cumprod(x, axis=axis, reverse=True, exclusive=True)


def _prepared(a: Operand, axis: object, dtype: DTypeLike | None) -> tuple[Value, int]:
    node = as_value(a)
    if dtype is not None:
        node = astype(node, dtype)
    if axis is None:
        return reshape(node, -1), 0
    return node, normalize_axis(axis, node.ndim)


@implements(np.cumsum)
def cumsum(a: Operand, axis: object = None, dtype: DTypeLike | None = None) -> Value:
    """Add up the elements of *a* up to each along *axis*; without one, of all elements in a row.

    >>> cumsum(Value([1.0, 2.0, 3.0]))
    Value(data=[1. 3. 6.], grad=None)
    """
    node, place = _prepared(a, axis, dtype)
    return _cumsum(node, axis=place, reverse=False)


@implements(np.cumprod)
def cumprod(a: Operand, axis: object = None, dtype: DTypeLike | None = None) -> Value:
    """Multiply the elements of *a* up to each along *axis*; without one, of all in a row.

    The derivative is right where elements are zero.

    >>> cumprod(Value([1.0, 2.0, 3.0]))
    Value(data=[1. 2. 6.], grad=None)
    """
    node, place = _prepared(a, axis, dtype)
    return _cumprod(node, axis=place, reverse=False, exclusive=False)


def _holders(name: str, ufunc: np.ufunc, what: str) -> NodeFunction:
    def kernel(x: Array, out: Array, *, axis: int) -> None:
        best = np.moveaxis(ufunc.accumulate(x, axis), axis, 0)
        out = np.moveaxis(out, axis, 0)
        # The first NaN holds its place to the end, although it differs from the next.
        beaten = (best[1:] != best[:-1]) & (best[:-1] == best[:-1])
        out[:1] = 0
        places = np.arange(1, max(len(best), 1)).reshape(-1, *(1,) * (best.ndim - 1))
        np.multiply(beaten, places, out=out[1:])
        np.maximum.accumulate(out, 0, out=out)

    return general(
        name,
        kernel,
        infer=lambda x, *, axis: Spec(x.shape, np.dtype(np.intp)),
        vjp=None,
        jvp=None,
        batch=batch_by_shifting(name),
        cost=lambda out, x, **attrs: 4 * product(x.shape),
        variants=({"axis": 0}, {"axis": 1}),
        doc=f"Where, along an axis, the {what} up to each element was first reached.",
    )


_max_holders = _holders("_max_holders", np.maximum, "largest element")
_min_holders = _holders("_min_holders", np.minimum, "smallest element")


def _held(holders: NodeFunction, a: Operand, axis: object) -> Value:
    node, place = _prepared(a, axis, None)
    result: Value = call("take_along_axis", node, holders(node, axis=place), axis=place)
    return result


@public
def cummax(a: Operand, axis: object = None) -> Value:
    """Give the largest element of *a* up to each along *axis*; without one, of all in a row.

    The derivative goes to the element that reached it first. From a NaN on, NaN.

    >>> cummax(Value([1.0, 3.0, 2.0]))
    Value(data=[1. 3. 3.], grad=None)
    """
    return _held(_max_holders, a, axis)


@public
def cummin(a: Operand, axis: object = None) -> Value:
    """Give the smallest element of *a* up to each along *axis*; see `cummax`.

    >>> cummin(Value([2.0, 3.0, 1.0]))
    Value(data=[2. 2. 1.], grad=None)
    """
    return _held(_min_holders, a, axis)
