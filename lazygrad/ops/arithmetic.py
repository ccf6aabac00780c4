"""Arithmetic, comparison, choice and conversion, element by element.

The conventions at kinks stand here: absolute and relu have derivative 0 at 0; maximum and minimum
give a tie's derivative to neither side of a constant, and half to each of two operands.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from ..ir.op import OUT, Array, Attrs, Call, In, Notation, Operand, Trait, call, implements, public
from ..ir.value import CONSTANT, LENGTH, Value, apply, as_value, constant, literal, weak_operands
from ..spec import DType, DTypeLike, Spec, as_dtype, cotangent_dtype
from .forms import NodeFunction, elementwise

__all__ = [
    "absolute",
    "add",
    "astype",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "ceil",
    "copysign",
    "divide",
    "equal",
    "fabs",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "greater",
    "greater_equal",
    "heaviside",
    "invert",
    "isfinite",
    "isinf",
    "isnan",
    "left_shift",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "positive",
    "power",
    "reciprocal",
    "relu",
    "remainder",
    "right_shift",
    "rint",
    "sign",
    "signbit",
    "square",
    "subtract",
    "trunc",
    "where",
]

COMMUTATIVE = (Trait.COMMUTATIVE,)


def is_fixed(value: Value) -> bool:
    """Whether a node is a constant, seen through conversions and views of one."""
    while len(value.operands) == 1:
        value = value.operands[0]
    return value.op is CONSTANT or value.op is LENGTH


def over_reals(x: Value) -> Value:
    """Give integers as floats: a derivative rule must not wrap around where *x* does."""
    return astype(x, cotangent_dtype(x.spec.dtype))


def zeros_like(t: Value) -> Value:
    """Give zeros of a node's shape and dtype, for derivatives that are 0 by convention."""
    return apply(_zeros_of.op, t)  # type: ignore[attr-defined]


def _fill_zero(x: Array, out: Array) -> None:
    out.fill(0)


_zeros_of = elementwise(
    "zeros_like",
    _fill_zero,
    dtype=lambda dtype: dtype,
    diff=None,
    reusable=(0,),
    c="0",
    doc="Zeros of the operand's shape and dtype.",
)


def _zero(t: Value, y: Value, *xs: Value) -> Value:
    return zeros_like(t)


add = elementwise(
    "add",
    np.add,
    diff=(lambda t, z, x, y: t, lambda t, z, x, y: t),
    traits=(*COMMUTATIVE, Trait.LINEAR),
    c="{x} + {y}",
    notation=Notation("{x:2} + {y:3}", "{x:2} + {y:3}", 2),
    doc="Sum of two values, elementwise.",
)
subtract = elementwise(
    "subtract",
    np.subtract,
    diff=(lambda t, z, x, y: t, lambda t, z, x, y: -t),
    traits=(Trait.LINEAR,),
    c="{x} - {y}",
    notation=Notation("{x:2} - {y:3}", "{x:2} - {y:3}", 2),
    doc="Difference of two values, elementwise.",
)
multiply = elementwise(
    "multiply",
    np.multiply,
    diff=(lambda t, z, x, y: t * y, lambda t, z, x, y: t * x),
    traits=COMMUTATIVE,
    c="{x} * {y}",
    notation=Notation("{x:3} * {y:4}", "{x:3} {times} {y:3}", 3),
    doc="Product of two values, elementwise.",
)
divide = elementwise(
    "divide",
    np.divide,
    diff=(lambda t, z, x, y: t / y, lambda t, z, x, y: -(t * z) / y),
    c="{x} / {y}",
    cost=4,
    domain=((-3.0, 3.0), (0.5, 3.0)),
    notation=Notation("{x:3} / {y:4}", r"\frac{x}{y}", 3, 5),
    doc="Quotient of two values, elementwise; of integers too a float.",
)
negative = elementwise(
    "negative",
    np.negative,
    diff=lambda t, y, x: -t,
    traits=(Trait.LINEAR, Trait.INVOLUTION),
    c="-{x}",
    notation=Notation("-{x:4}", "-{x:3}", 4, 2),
    doc="The value with its sign changed, elementwise.",
)
positive = elementwise(
    "positive",
    np.positive,
    diff=lambda t, y, x: t,
    traits=(Trait.LINEAR, Trait.IDEMPOTENT),
    c="{x}",
    doc="The value itself.",
)
square = elementwise(
    "square",
    np.square,
    diff=lambda t, y, x: 2 * t * x,
    c="{x} * {x}",
    notation=Notation("{x:6} ** 2", "{x:6}^2", 5),
    doc="The value times itself, elementwise.",
)
reciprocal = elementwise(
    "reciprocal",
    np.reciprocal,
    diff=lambda t, y, x: -t * y * y,
    c="1 / {x}",
    cost=4,
    domain=(0.5, 3.0),
    notation=Notation("1 / {x:4}", r"\frac{1}{x}", 3, 5),
    doc="One over the value, elementwise.",
)


def _power_base(t: Value, z: Value, x: Value, y: Value) -> Value:
    exponent = literal(y)
    if exponent is not None:
        if exponent == 0:
            return zeros_like(t)
        if exponent == 1:
            return t
        if exponent == 2:
            return t * (2 * over_reals(x))
        return t * (exponent * over_reals(x) ** (exponent - 1))
    nonzero = y != 0
    below = where(nonzero, over_reals(y) - 1, 1)
    return where(nonzero, t * y * over_reals(x) ** below, 0)


def _power_exponent(t: Value, z: Value, x: Value, y: Value) -> Value:
    from_zero = (x == 0) & (y > 0)
    logarithm = call("log", where(from_zero, 1, over_reals(x)))
    return where(from_zero, zeros_like(t * z), t * z * logarithm)


_power = elementwise(
    "power",
    np.power,
    diff=(_power_base, _power_exponent),
    cost=20,
    domain=((0.3, 2.5), (-2.0, 2.0)),
    c="power_{t}({x}, {y})",
    notation=Notation("{x:6} ** {y:4}", "{x:6}^{y}", 5),
    doc="x to the power y, elementwise.",
)


@implements(np.power)
def power(x1: Operand, x2: Operand) -> Value:
    """Raise *x1* to the power *x2*, elementwise.

    An integer base with a negative literal exponent gives floats, where NumPy refuses. The
    derivative for the base is 0 at exponent 0; for the exponent it is 0 at base 0 and NaN at
    negative bases.

    >>> power(Value([1.0, 2.0]), 3)
    Value(data=[1. 8.], grad=None)
    """
    base, exponent = weak_operands((x1, x2))
    number = literal(exponent)
    if number is not None and number < 0 and exponent.spec.dtype.kind == "i":
        exponent = constant(float(number))
    return _power(base, exponent)


def _extremum_rules(beats: str) -> tuple[Any, Any]:
    """Give the rules of maximum or minimum: the winner takes all, a tie is shared or constant."""

    def share(t: Value, z: Value, mine: Value, other: Value) -> Value:
        wins = mine > other if beats == ">" else mine < other
        if is_fixed(other):
            chosen = where(wins, t, zeros_like(t))
        else:
            chosen = where(wins, t, where(mine == other, t * 0.5, zeros_like(t)))
        return _nan_where_nan(chosen, t, z)

    return (lambda t, z, x, y: share(t, z, x, y), lambda t, z, x, y: share(t, z, y, x))


def _nan_where_nan(derivative: Value, t: Value, z: Value) -> Value:
    """Make the derivative NaN where the result is, since it has none there."""
    if z.spec.dtype.kind != "f":
        return derivative
    return where(isnan(z), z, derivative)


maximum = elementwise(
    "maximum",
    np.maximum,
    diff=_extremum_rules(">"),
    traits=COMMUTATIVE,
    c="{x} > {y} || {x} != {x} ? {x} : {y}",
    notation=Notation("maximum({x}, {y})", r"\max\left({x}, {y}\right)"),
    doc="The larger of two values, elementwise; NaN where either is.",
)
minimum = elementwise(
    "minimum",
    np.minimum,
    diff=_extremum_rules("<"),
    traits=COMMUTATIVE,
    c="{x} < {y} || {x} != {x} ? {x} : {y}",
    notation=Notation("minimum({x}, {y})", r"\min\left({x}, {y}\right)"),
    doc="The smaller of two values, elementwise; NaN where either is.",
)


def _fmax_rules(beats: str) -> tuple[Any, Any]:
    def share(t: Value, z: Value, mine: Value, other: Value) -> Value:
        wins = (mine > other if beats == ">" else mine < other) | isnan(other)
        if is_fixed(other):
            return where(wins, t, zeros_like(t))
        return where(wins, t, where(mine == other, t * 0.5, zeros_like(t)))

    return (lambda t, z, x, y: share(t, z, x, y), lambda t, z, x, y: share(t, z, y, x))


fmax = elementwise(
    "fmax",
    np.fmax,
    diff=_fmax_rules(">"),
    traits=COMMUTATIVE,
    c="{x} >= {y} || {y} != {y} ? {x} : {y}",
    doc="The larger, ignoring NaN.",
)
fmin = elementwise(
    "fmin",
    np.fmin,
    diff=_fmax_rules("<"),
    traits=COMMUTATIVE,
    c="{x} <= {y} || {y} != {y} ? {x} : {y}",
    doc="The smaller, ignoring NaN.",
)

absolute = elementwise(
    "absolute",
    np.absolute,
    diff=lambda t, y, x: t * sign(x),
    traits=(Trait.IDEMPOTENT,),
    c="absolute_{t}({x})",
    notation=Notation("abs({x})", r"\left|{x}\right|"),
    doc="The distance from zero, elementwise; its derivative at 0 is 0.",
)
fabs = elementwise(
    "fabs",
    np.fabs,
    diff=lambda t, y, x: t * sign(x),
    c="absolute_{t}({x})",
    doc="The distance from zero, as a float.",
)
sign: NodeFunction = elementwise(
    "sign",
    np.sign,
    diff=_zero,
    c="{x} != {x} ? {x} : ({x} > 0) - ({x} < 0)",
    doc="-1, 0 or 1 by the sign; derivative 0.",
)
floor = elementwise(
    "floor", np.floor, diff=_zero, c="floor_{t}({x})", doc="The integer below; derivative 0."
)
ceil = elementwise(
    "ceil", np.ceil, diff=_zero, c="ceil_{t}({x})", doc="The integer above; derivative 0."
)
trunc = elementwise(
    "trunc", np.trunc, diff=_zero, c="trunc_{t}({x})", doc="The integer towards 0; derivative 0."
)
rint = elementwise(
    "rint", np.rint, diff=_zero, c="rint_{t}({x})", doc="The nearest integer; derivative 0."
)
floor_divide = elementwise(
    "floor_divide",
    np.floor_divide,
    diff=(_zero, _zero),
    domain=((-3.0, 3.0), (0.5, 3.0)),
    doc="The integer below the quotient; derivative 0.",
)
remainder = elementwise(
    "remainder",
    np.remainder,
    diff=(lambda t, z, x, y: t, lambda t, z, x, y: -t * floor_divide(x, y)),
    domain=((-3.0, 3.0), (0.5, 3.0)),
    doc="What floor division leaves, with the divisor's sign.",
)
fmod = elementwise(
    "fmod",
    np.fmod,
    diff=(lambda t, z, x, y: t, lambda t, z, x, y: -t * rint((x - z) / y)),
    domain=((-3.0, 3.0), (0.5, 3.0)),
    doc="What truncated division leaves, with the dividend's sign.",
)
copysign: NodeFunction = elementwise(
    "copysign",
    np.copysign,
    diff=(lambda t, z, x, y: t * sign(x) * copysign(1.0, y), _zero),
    c="copysign_{t}({x}, {y})",
    doc="The first value's distance from zero with the second's sign.",
)


def _heaviside_at_zero(t: Value, z: Value, x: Value, y: Value) -> Value:
    return where(x == 0, t, 0)


heaviside = elementwise(
    "heaviside",
    np.heaviside,
    diff=(_zero, _heaviside_at_zero),
    c="{x} < 0 ? 0 : ({x} > 0 ? 1 : ({x} == 0 ? {y} : {x}))",
    doc="0 below zero, 1 above, and the second value at zero.",
)


# NumPy compares two equally shaped arrays twice as fast as an array and a number.
_SPREAD_ZEROS = 16 * 1024
# Up to here one branching call beats two that do not branch.
_FEW = 4096


@lru_cache(maxsize=64)
def _zeros(shape: tuple[int, ...], dtype: DType) -> Array:
    zeros = np.zeros(shape, dtype)
    zeros.flags.writeable = False
    return zeros


def _write_is_on(y: Array, out: Array) -> None:
    if out.dtype.kind != "f":
        np.not_equal(y, 0, out=out, casting="unsafe")
        return
    np.minimum(y, 1, out=out)
    np.ceil(out, out)


def _is_on_call(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
    # NumPy's sign is one call but branches: ten times slower where many zeros are scattered.
    is_small = spec.is_static and math.prod(spec.shape) <= _FEW
    return Call(np.sign if is_small and spec.dtype.kind == "f" else _write_is_on, (In(0), OUT))


_is_on: NodeFunction = elementwise(
    "is_on",
    _write_is_on,
    dtype=lambda dtype: dtype,
    diff=_zero,
    reusable=(0,),
    call=_is_on_call,
    c="{x} > 0 ? 1 : {x}",
    domain=(0.0, 3.0),
    doc="1 where a value that is never negative is positive, 0 where it is 0; the slope of relu.",
)


def _relu_call(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
    is_small = spec.is_static and math.prod(spec.shape) <= _SPREAD_ZEROS
    zeros = _zeros(spec.shape if is_small else (), spec.dtype)
    return Call(np.maximum, (In(0), zeros), out_by_name=True)


relu = elementwise(
    "relu",
    lambda x, out: np.maximum(x, np.zeros((), x.dtype), out=out),
    dtype=lambda dtype: dtype,
    diff=lambda t, y, x: t * _is_on(y),
    traits=(Trait.IDEMPOTENT,),
    reusable=(0,),
    call=_relu_call,
    c="{x} > 0 ? {x} : ({x} == {x} ? 0 : {x})",
    doc="The larger of the value and 0; its derivative at 0 is 0.",
)


def _comparison(ufunc: np.ufunc, doc: str, *traits: Trait, c: str | None = None) -> Any:
    return elementwise(ufunc.__name__, ufunc, diff=None, traits=traits, c=c, doc=doc)


equal = _comparison(
    np.equal, "Whether two values are equal, elementwise.", Trait.COMMUTATIVE, c="{x} == {y}"
)
not_equal = _comparison(
    np.not_equal, "Whether two values differ, elementwise.", Trait.COMMUTATIVE, c="{x} != {y}"
)
less = _comparison(np.less, "Whether the first is smaller, elementwise.", c="{x} < {y}")
less_equal = _comparison(
    np.less_equal, "Whether the first is not larger, elementwise.", c="{x} <= {y}"
)
greater = _comparison(np.greater, "Whether the first is larger, elementwise.", c="{x} > {y}")
greater_equal = _comparison(
    np.greater_equal, "Whether the first is not smaller, elementwise.", c="{x} >= {y}"
)
logical_and = _comparison(
    np.logical_and, "Whether both are true.", Trait.COMMUTATIVE, c="{x} && {y}"
)
logical_or = _comparison(
    np.logical_or, "Whether either is true.", Trait.COMMUTATIVE, c="{x} || {y}"
)
logical_xor = _comparison(
    np.logical_xor, "Whether exactly one is true.", Trait.COMMUTATIVE, c="!{x} != !{y}"
)
logical_not = _comparison(np.logical_not, "Whether the value is false.", c="!{x}")
isnan = _comparison(np.isnan, "Whether the value is NaN, elementwise.", c="{x} != {x}")
isinf = _comparison(
    np.isinf, "Whether the value is infinite, elementwise.", c="absolute_{t}({x}) == INFINITY"
)
isfinite = _comparison(np.isfinite, "Whether the value is finite, elementwise.", c="{x} - {x} == 0")
signbit = _comparison(
    np.signbit, "Whether the sign bit is set, elementwise.", c="copysign_{t}(1, {x}) < 0"
)
bitwise_and = _comparison(np.bitwise_and, "Bits set in both.", Trait.COMMUTATIVE, c="{x} & {y}")
bitwise_or = _comparison(np.bitwise_or, "Bits set in either.", Trait.COMMUTATIVE, c="{x} | {y}")
bitwise_xor = _comparison(
    np.bitwise_xor, "Bits set in exactly one.", Trait.COMMUTATIVE, c="{x} ^ {y}"
)
invert = _comparison(np.invert, "Every bit flipped; of bools the negation.", Trait.INVOLUTION)
left_shift = _comparison(np.left_shift, "Bits moved up.")
right_shift = _comparison(np.right_shift, "Bits moved down.")


def _choose(condition: Array, x: Array, y: Array, out: Array) -> None:
    if out is not y:
        np.copyto(out, y, casting="unsafe")
    np.copyto(out, x, where=condition, casting="unsafe")


def _where_support(index: int, condition: Value, x: Value, y: Value) -> Value | None:
    if index == 0:
        return None
    return condition if index == 1 else ~condition


_where: NodeFunction = elementwise(
    "where",
    _choose,
    operands=3,
    dtype=lambda condition, x, y: np.result_type(x, y),
    diff=(
        None,
        lambda t, z, c, x, y: _where(c, t, zeros_like(t)),
        lambda t, z, c, x, y: _where(c, zeros_like(t), t),
    ),
    # The result may be written over y, which is read first, but not over x or the condition.
    reusable=(2,),
    support=_where_support,
    traits=(Trait.LINEAR,),
    array_api="where",
    c="{x} ? {y} : {z}",
    doc="The second value where the first is true, else the third.",
)


@implements(np.where)
def where(condition: Operand, x: Operand, y: Operand) -> Value:
    """Choose *x* where *condition* is true, else *y*, elementwise.

    The branch not chosen contributes nothing to a gradient, not even NaN.

    >>> where(Value([True, False]), 1.0, 2.0)
    Value(data=[1. 2.], grad=None)
    """
    chosen = as_value(condition)
    if chosen.spec.dtype.kind != "b":
        chosen = not_equal(chosen, 0)
    return _where(*weak_operands((chosen, x, y)))


def _convert(x: Array, out: Array, *, dtype: DType) -> None:
    np.copyto(out, x, casting="unsafe")


def _convert_rule(t: Value, y: Value, x: Value, *, dtype: DType) -> Value | None:
    if dtype.kind == "b":
        return None
    return zeros_like(t) if dtype.kind in "iu" and x.spec.dtype.kind == "f" else t


_astype = elementwise(
    "astype",
    _convert,
    dtype=lambda own, *, dtype: dtype,
    diff=_convert_rule,
    traits=(Trait.LINEAR,),
    call=lambda specs, spec, attrs: Call(np.copyto, (OUT, In(0), "unsafe")),
    variants=({"dtype": np.dtype(np.float32)}, {"dtype": np.dtype(np.float64)}),
    c="{x}",
    doc="The values converted to another element type.",
)


@public
def astype(x: Operand, dtype: DTypeLike) -> Value:
    """Convert *x* to *dtype*; a node that has it already is given as it is.

    From integers to floats a derivative passes; from floats to integers it is 0.
    """
    node = as_value(x)
    target = as_dtype(dtype)
    return node if node.spec.dtype == target else _astype(node, dtype=target)
