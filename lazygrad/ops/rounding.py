"""Rounding, clipping, and taking numbers apart, element by element.

Rounding has derivative 0 by convention. Clipping has derivative 1 strictly inside its bounds, 0 on
and beyond them, and NaN at NaN.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from ..errors import DTypeError, OptionError
from ..ir.op import OUT, Array, Attrs, Call, In, Operand, implements
from ..ir.value import Value, as_value, weak_operands
from ..spec import DType, Spec
from .arithmetic import (
    astype,
    copysign,
    floor_divide,
    fmod,
    is_fixed,
    isinf,
    isnan,
    maximum,
    minimum,
    remainder,
    rint,
    trunc,
    where,
    zeros_like,
)
from .forms import NodeFunction, elementwise

__all__ = [
    "bitwise_count",
    "clip",
    "divmod",
    "fix",
    "frexp",
    "gcd",
    "lcm",
    "ldexp",
    "modf",
    "nan_to_num",
    "nextafter",
    "round",
    "spacing",
]


@lru_cache(maxsize=64)
def _rounded_dtype(dtype: DType, decimals: int) -> DType:
    try:
        result: DType = np.zeros(1, dtype).round(decimals).dtype
    except TypeError:
        raise DTypeError(f"{dtype.name} has no {decimals} decimals.") from None
    return result


def _round_kernel(x: Array, out: Array, *, decimals: int) -> None:
    if x.dtype.kind == "f":
        np.ndarray.round(x, decimals, out)
    else:
        np.copyto(out, x.round(decimals), casting="unsafe")


def _round_call(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
    if spec.dtype.kind == "f" and specs[0].dtype == spec.dtype:
        return Call(np.ndarray.round, (In(0), attrs["decimals"], OUT))
    return Call(lambda x, out: _round_kernel(x, out, **attrs), (In(0), OUT))


_round = elementwise(
    "round",
    _round_kernel,
    dtype=lambda dtype, *, decimals: _rounded_dtype(dtype, decimals),
    diff=lambda t, y, x, *, decimals: zeros_like(t),
    cost=6,
    call=_round_call,
    array_api="round",
    variants=({"decimals": 1}, {"decimals": -1}),
    doc="The nearest decimal number; derivative 0.",
)


@implements(np.round, np.around)
def round(a: Operand, decimals: int = 0) -> Value:
    """Round to *decimals* places, halves to the even neighbour; derivative 0.

    >>> round(Value([0.25, 1.5]), 1)
    Value(data=[0.2 1.5], grad=None)
    """
    if isinstance(decimals, bool) or not hasattr(decimals, "__index__"):
        raise OptionError(f"round: decimals must be an integer, got {decimals!r}.")
    node, places = as_value(a), int(decimals.__index__())
    kind = node.spec.dtype.kind
    if places == 0 and kind == "f":
        return rint(node)
    if places >= 0 and kind in "iu":
        return node
    return _round(node, decimals=places)


@implements(np.fix)
def fix(x: Operand) -> Value:
    """Round towards 0, elementwise; derivative 0."""
    return trunc(x)


def _clip_kernel(x: Array, low: Array, high: Array, out: Array) -> None:
    np.maximum(x, low, out=out)
    np.minimum(out, high, out=out)


def _inside_rule(t: Value, z: Value, x: Value, low: Value, high: Value) -> Value:
    inside = where((x > low) & (x < high), t, 0)
    return where(isnan(z), z, inside) if z.spec.dtype.kind == "f" else inside


_clip = elementwise(
    "clip",
    _clip_kernel,
    operands=3,
    dtype=lambda x, low, high: np.result_type(x, low, high),
    diff=(
        _inside_rule,
        lambda t, z, x, low, high: where((x < low) & (low < high), t, 0),
        lambda t, z, x, low, high: where((x > high) | (low > high), t, 0),
    ),
    # The result may be written over the operands of the first step.
    reusable=(0, 1),
    cost=2,
    array_api="clip",
    domain=((-3.0, 3.0), (-2.0, -1.0), (1.0, 2.0)),
    doc="The first value, but not below the second nor above the third.",
)


@implements(np.clip)
def clip(
    a: Operand,
    a_min: Operand | None = None,
    a_max: Operand | None = None,
    *,
    min: Operand | None = None,
    max: Operand | None = None,
) -> Value:
    """Limit *a* to the range from *a_min* to *a_max*, either of which may be left out.

    The derivative is 1 strictly inside, 0 on and beyond the bounds. A bound that is computed gets
    the derivative of what lies strictly beyond it. *min* and *max* are other names of the bounds.

    >>> clip(Value([-2.0, 0.5, 2.0]), 0, 1)
    Value(data=[0.  0.5 1. ], grad=None)
    """
    node = as_value(a)
    low = _one_of(a_min, min, "min", node.spec.dtype)
    high = _one_of(a_max, max, "max", node.spec.dtype)
    if low is None:
        return node if high is None else _one_sided(node, high, "max")
    if high is None:
        return _one_sided(node, low, "min")
    return _clip(node, low, high)


def _one_sided(node: Value, bound: Operand, name: str) -> Value:
    """Clip at one bound; against a constant, maximum and minimum have the derivative of clip."""
    x, end = weak_operands((node, bound))
    if is_fixed(end):
        return maximum(x, end) if name == "min" else minimum(x, end)
    dtype = np.result_type(x.spec.dtype, end.spec.dtype)
    if dtype.kind == "f":
        return _clip(x, end, math.inf) if name == "min" else _clip(x, -math.inf, end)
    limits = np.iinfo(dtype)
    return _clip(x, end, limits.max) if name == "min" else _clip(x, limits.min, end)


def _one_of(old: Operand | None, new: Operand | None, name: str, dtype: DType) -> Operand | None:
    """Choose between the two names of a bound; a number beyond an integer dtype is no bound."""
    if old is not None and new is not None:
        raise OptionError(f"clip: both a_{name} and {name} were given; they mean the same bound.")
    bound = old if new is None else new
    if type(bound) is int and dtype.kind in "iu":
        limits = np.iinfo(dtype)  # type: ignore[type-var]
        if (bound <= limits.min) if name == "min" else (bound >= limits.max):
            return None
    return bound


@implements(np.nan_to_num)
def nan_to_num(
    x: Operand,
    copy: bool = True,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Value:
    """Replace NaN by *nan* and infinities by large finite numbers; their derivative is 0.

    >>> nan_to_num(Value([math.nan, 1.0]))
    Value(data=[0. 1.], grad=None)
    """
    if not copy:
        raise OptionError("nan_to_num: a node can't be written in place; leave copy= away.")
    node = as_value(x)
    dtype = node.spec.dtype
    if dtype.kind != "f":
        return node
    limits = np.finfo(dtype)  # type: ignore[type-var]
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    infinite = where(isinf(node), where(node > 0, high, low), node)
    return astype(where(isnan(node), nan, infinite), dtype)


def _exponent_kernel(x: Array, out: Array) -> None:
    np.frexp(x, out=(None, out))  # type: ignore[arg-type]


_exponent = elementwise(
    "_exponent",
    _exponent_kernel,
    dtype=lambda dtype: np.frexp.resolve_dtypes((dtype, None, None))[-1],
    diff=None,
    doc="The exponent of x as a mantissa below 1 times a power of two.",
)


def _ldexp_rule(t: Value, z: Value, x: Value, n: Value) -> Value:
    return _ldexp(t, n)


_ldexp: NodeFunction = elementwise(
    "ldexp",
    np.ldexp,
    diff=(_ldexp_rule, None),
    doc="The first value times 2 to the power of the second, an integer.",
)


@implements(np.ldexp)
def ldexp(x1: Operand, x2: Operand) -> Value:
    """Give *x1* times 2 to the power of *x2*, an integer.

    >>> ldexp(Value([1.0, 3.0]), 2)
    Value(data=[ 4. 12.], grad=None)
    """
    # A Python integer would take on the dtype of what it scales.
    exponent = np.int_(x2) if type(x2) is int else x2
    return _ldexp(x1, exponent)


@implements(np.frexp)
def frexp(x: Operand) -> tuple[Value, Value]:
    """Split *x* into a mantissa in [0.5, 1), with the sign of *x*, and an exponent of two.

    >>> [int(part.data * 4) for part in frexp(Value(6.0))]
    [3, 12]
    """
    node = as_value(x)
    exponent = _exponent(node)
    return ldexp(node, -exponent), exponent


@implements(np.modf)
def modf(x: Operand) -> tuple[Value, Value]:
    """Split *x* into its fraction and its integer, both with the sign of *x*.

    The fraction has derivative 1, the integer 0.
    """
    given = as_value(x)
    node = astype(given, np.modf.resolve_dtypes((given.spec.dtype, None, None))[-1])
    finite = where(isinf(node), copysign(0.0, node), node)
    return fmod(finite, 1.0), trunc(node)


@implements(np.divmod)
def divmod(x1: Operand, x2: Operand) -> tuple[Value, Value]:
    """Give the floor of the quotient, which has derivative 0, and the remainder."""
    return floor_divide(x1, x2), remainder(x1, x2)


def _discrete(ufunc: np.ufunc, doc: str) -> NodeFunction:
    return elementwise(ufunc.__name__, ufunc, diff=None, doc=doc)


nextafter = _discrete(np.nextafter, "The next float after the first value towards the second.")
spacing = _discrete(np.spacing, "The distance to the next float away from 0.")
gcd = _discrete(np.gcd, "The greatest common divisor of two integers.")
lcm = _discrete(np.lcm, "The least common multiple of two integers.")
bitwise_count = _discrete(np.bitwise_count, "How many bits of the distance from 0 are set.")
