"""NumPy functions made of a few operations: closeness, choice, polynomials, tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DTypeError, OptionError, ShapeError
from ..ir.op import Operand, call, implements
from ..ir.value import Value, as_value
from ..lengths import same
from ..spec import require_same_shape
from .arithmetic import (
    absolute,
    add,
    astype,
    equal,
    isfinite,
    isnan,
    maximum,
    minimum,
    multiply,
    over_reals,
    where,
    zeros_like,
)

__all__ = ["allclose", "interp", "isclose", "polyval", "select"]


@implements(np.isclose)
def isclose(
    a: Operand,
    b: Operand,
    rtol: Operand = 1e-05,
    atol: Operand = 1e-08,
    equal_nan: bool = False,
) -> Value:
    """Tell whether *a* lies within ``atol + rtol * abs(b)`` of *b*, elementwise.

    >>> isclose(Value([1.0, 2.0]), [1.0, 2.1])
    Value(data=[ True False], grad=None)
    """
    x, y = over_reals(as_value(a)), over_reals(as_value(b))
    near: Value = isfinite(y) & (absolute(x - y) <= add(atol, multiply(rtol, absolute(y))))
    result: Value = near | equal(x, y)
    return result if not equal_nan else result | (isnan(x) & isnan(y))


@implements(np.allclose)
def allclose(
    a: Operand,
    b: Operand,
    rtol: Operand = 1e-05,
    atol: Operand = 1e-08,
    equal_nan: bool = False,
) -> Value:
    """Tell whether all elements of *a* and *b* are close, as `isclose` has it; a bool node."""
    result: Value = call("all", isclose(a, b, rtol, atol, equal_nan))
    return result


@implements(np.select)
def select(
    condlist: Sequence[Operand], choicelist: Sequence[Operand], default: Operand = 0
) -> Value:
    """Choose, elementwise, from the choice whose condition is the first true one, else *default*.

    >>> x = Value([1.0, 2.0, 3.0])
    >>> select([x < 2, x < 3], [x, 10 * x])
    Value(data=[ 1. 20.  0.], grad=None)
    """
    if len(condlist) != len(choicelist):
        raise OptionError(
            f"select: {len(condlist)} conditions need as many choices, got {len(choicelist)}."
        )
    if not condlist:
        raise OptionError("select: there must be a condition at least.")
    result: Operand = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        chosen = as_value(condition)
        if chosen.spec.dtype.kind != "b":
            raise DTypeError(f"select: conditions must be bool, got {chosen.spec}.")
        result = where(chosen, choice, result)
    return as_value(result)


@implements(np.polyval)
def polyval(p: Operand, x: Operand) -> Value:
    """Evaluate at *x* the polynomial with coefficients *p*, highest power first (Horner).

    >>> polyval([1.0, 0.0, 2.0], Value(3.0))
    Value(data=11.0, grad=None)
    """
    at = as_value(x)
    if isinstance(p, Value) and p.ndim == 0:
        raise ShapeError(f"polyval: the coefficients need an axis, got {p.spec}.")
    given: Sequence[Operand] = (
        list(p) if isinstance(p, (tuple, list, Value)) else list(np.asarray(p))
    )
    if not given:
        return zeros_like(at)
    # A list of numbers is an array, with an array's dtype.
    plain = not any(isinstance(coefficient, Value) for coefficient in given)
    first, *rest = list(np.asarray(given)) if plain else given
    result: Value = as_value(first) if rest else add(first, zeros_like(at))
    for coefficient in rest:
        result = add(multiply(result, at), coefficient)
    return result


@implements(np.interp)
def interp(
    x: Operand,
    xp: Operand,
    fp: Operand,
    left: Operand | None = None,
    right: Operand | None = None,
    period: float | None = None,
) -> Value:
    """Interpolate linearly, at *x*, the values *fp* given at increasing places *xp*; in float64.

    Beyond the places the result is *left* or *right*, by default the outermost values. Derivatives
    flow to *x*, *xp* and *fp*; at a place *x* has the slope to its right.

    >>> interp(Value(1.5), [1.0, 2.0], [10.0, 30.0])
    Value(data=20.0, grad=None)
    """
    if period is not None:
        raise OptionError("interp: period= is not supported; take np.remainder(x, period).")
    at, places, values = (astype(as_value(operand), np.float64) for operand in (x, xp, fp))
    if places.ndim != 1:
        raise ShapeError(f"interp: xp must have one axis, got {places.spec}.")
    require_same_shape(places.spec.shape, values.spec.shape, "interp: xp and fp need one shape")
    count = places.spec.shape[0]
    if same(count, 0) and isinstance(count, int):
        raise ShapeError("interp: xp and fp are empty.")
    first = maximum(call("searchsorted", places, at, side="right") - 1, 0)
    first = minimum(first, maximum(count - 2, 0))
    second = minimum(first + 1, count - 1)
    x0, x1, y0, y1 = (call("take", a, i) for a in (places, values) for i in (first, second))
    inside = y0 + (at - x0) * ((y1 - y0) / (x1 - x0))
    above = where(at > places[-1], values[-1] if right is None else right, values[-1])
    within = where(at >= places[-1], above, inside)
    return where(at < places[0], values[0] if left is None else left, within)
