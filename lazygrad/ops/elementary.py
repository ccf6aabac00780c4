"""Exponentials, logarithms, roots, trigonometric and hyperbolic functions, element by element.

Outside its domain a function's derivative is NaN, like its value.
"""

from __future__ import annotations

import math

import numpy as np

from ..ir.op import FUNCTIONS, NUMPY_FUNCTIONS, Array, Notation, Operand, Trait, implements
from ..ir.value import Value, as_value, constant, literal
from .activations import sigmoid
from .arithmetic import absolute, astype, over_reals, power, where
from .forms import NodeFunction, elementwise

__all__ = [
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "cbrt",
    "cos",
    "cosh",
    "deg2rad",
    "degrees",
    "exp",
    "exp2",
    "expm1",
    "float_power",
    "hypot",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "rad2deg",
    "radians",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
]

_POSITIVE = (0.2, 3.0)
_INSIDE_ONE = (-0.9, 0.9)
_LN2 = math.log(2.0)


exp = elementwise(
    "exp",
    np.exp,
    diff=lambda t, y, x: t * y,
    cost=10,
    c="exp_{t}({x})",
    notation=Notation("exp({x})", "e^{x}", 6, 5),
    doc="The exponential, elementwise.",
)
exp2 = elementwise(
    "exp2",
    np.exp2,
    diff=lambda t, y, x: t * (y * _LN2),
    cost=10,
    c="exp2_{t}({x})",
    doc="2 to the power x.",
)
expm1 = elementwise(
    "expm1",
    np.expm1,
    # y + 1 would cancel where y is near -1.
    diff=lambda t, y, x: t * exp(x),
    cost=12,
    c="expm1_{t}({x})",
    doc="exp(x) - 1, elementwise, accurate near 0.",
)

# A derivative of the form t / x is finite below 0, where the value is NaN: that value is passed
# on instead, and being the node itself it makes derivatives of any order NaN.
log = elementwise(
    "log",
    np.log,
    diff=lambda t, y, x: where(x < 0, y, t / x),
    cost=10,
    domain=_POSITIVE,
    c="log_{t}({x})",
    doc="The natural logarithm, elementwise.",
)
log2 = elementwise(
    "log2",
    np.log2,
    diff=lambda t, y, x: where(x < 0, y, t * (1 / _LN2) / x),
    cost=10,
    domain=_POSITIVE,
    c="log2_{t}({x})",
    doc="The logarithm to base 2, elementwise.",
)
log10 = elementwise(
    "log10",
    np.log10,
    diff=lambda t, y, x: where(x < 0, y, t * (1 / math.log(10.0)) / x),
    cost=10,
    domain=_POSITIVE,
    c="log10_{t}({x})",
    doc="The logarithm to base 10, elementwise.",
)
log1p = elementwise(
    "log1p",
    np.log1p,
    diff=lambda t, y, x: where(x < -1, y, t / (1 + over_reals(x))),
    cost=12,
    domain=(-0.8, 3.0),
    c="log1p_{t}({x})",
    doc="log(1 + x), elementwise, accurate near 0.",
)

sqrt = elementwise(
    "sqrt",
    np.sqrt,
    diff=lambda t, y, x: t * 0.5 / y,
    cost=4,
    domain=_POSITIVE,
    c="sqrt_{t}({x})",
    notation=Notation("sqrt({x})", r"\sqrt{x}"),
    doc="The square root, elementwise.",
)
cbrt = elementwise(
    "cbrt",
    np.cbrt,
    diff=lambda t, y, x: t / (3 * y * y),
    cost=20,
    domain=_POSITIVE,
    c="cbrt_{t}({x})",
    doc="The cube root, elementwise; of a negative value too.",
)

sin = elementwise(
    "sin",
    np.sin,
    diff=lambda t, y, x: t * cos(x),
    cost=12,
    c="sin_{t}({x})",
    doc="The sine, elementwise.",
)
cos: NodeFunction = elementwise(
    "cos",
    np.cos,
    diff=lambda t, y, x: -t * sin(x),
    cost=12,
    c="cos_{t}({x})",
    doc="The cosine, elementwise.",
)
tan = elementwise(
    "tan",
    np.tan,
    diff=lambda t, y, x: t * (1 + y * y),
    cost=20,
    domain=(-1.2, 1.2),
    c="tan_{t}({x})",
    doc="The tangent, elementwise.",
)


def _cosine_of_arcsine(x: Value) -> Value:
    """Give sqrt(1 - x*x) without cancellation; NaN beyond 1."""
    real = over_reals(x)
    return sqrt((1 - real) * (1 + real))


arcsin = elementwise(
    "arcsin",
    np.arcsin,
    diff=lambda t, y, x: t / _cosine_of_arcsine(x),
    cost=20,
    domain=_INSIDE_ONE,
    c="arcsin_{t}({x})",
    doc="The inverse sine, elementwise.",
)
arccos = elementwise(
    "arccos",
    np.arccos,
    diff=lambda t, y, x: -t / _cosine_of_arcsine(x),
    cost=20,
    domain=_INSIDE_ONE,
    c="arccos_{t}({x})",
    doc="The inverse cosine, elementwise.",
)
arctan = elementwise(
    "arctan",
    np.arctan,
    diff=lambda t, y, x: t / (1 + over_reals(x) * over_reals(x)),
    cost=20,
    c="arctan_{t}({x})",
    doc="The inverse tangent, elementwise.",
)


def _per_square(t: Value, x: Value, y: Value) -> Value:
    """Give t * x / (x*x + y*y) by two divisions, which neither overflow nor vanish."""
    distance = hypot(x, y)
    return t * (x / distance) / distance


arctan2 = elementwise(
    "arctan2",
    np.arctan2,
    diff=(
        lambda t, z, y, x: _per_square(t, x, y),
        lambda t, z, y, x: -_per_square(t, y, x),
    ),
    cost=25,
    domain=((0.5, 3.0), (-3.0, 3.0)),
    c="arctan2_{t}({x}, {y})",
    doc="The angle of the point (x2, x1), elementwise; its derivative at (0, 0) is NaN.",
)


def _direction(x: Value, distance: Value) -> Value:
    """Give x / distance, and 0 at distance 0, in derivatives of any order."""
    return x / where(distance == 0, math.inf, distance)


hypot: NodeFunction = elementwise(
    "hypot",
    np.hypot,
    diff=(lambda t, z, x, y: t * _direction(x, z), lambda t, z, x, y: t * _direction(y, z)),
    traits=(Trait.COMMUTATIVE,),
    cost=10,
    domain=(_POSITIVE, (-3.0, 3.0)),
    c="hypot_{t}({x}, {y})",
    doc="The distance of (x1, x2) from the origin, where its derivative is 0.",
)

sinh = elementwise(
    "sinh",
    np.sinh,
    diff=lambda t, y, x: t * cosh(x),
    cost=20,
    c="sinh_{t}({x})",
    doc="The hyperbolic sine.",
)
cosh: NodeFunction = elementwise(
    "cosh",
    np.cosh,
    diff=lambda t, y, x: t * sinh(x),
    cost=20,
    c="cosh_{t}({x})",
    doc="The hyperbolic cosine.",
)
tanh = elementwise(
    "tanh",
    np.tanh,
    diff=lambda t, y, x: t * (1 - y * y),
    cost=20,
    c="tanh_{t}({x})",
    doc="The hyperbolic tangent, elementwise.",
)
arcsinh = elementwise(
    "arcsinh",
    np.arcsinh,
    diff=lambda t, y, x: t / sqrt(1 + over_reals(x) * over_reals(x)),
    cost=20,
    c="arcsinh_{t}({x})",
    doc="The inverse hyperbolic sine, elementwise.",
)
arccosh = elementwise(
    "arccosh",
    np.arccosh,
    # The root of the product would be finite below -1.
    diff=lambda t, y, x: t / (sqrt(over_reals(x) - 1) * sqrt(over_reals(x) + 1)),
    cost=20,
    domain=(1.2, 4.0),
    c="arccosh_{t}({x})",
    doc="The inverse hyperbolic cosine, elementwise.",
)


def _arctanh_rule(t: Value, y: Value, x: Value) -> Value:
    real = over_reals(x)
    return where(absolute(real) > 1, y, t / ((1 - real) * (1 + real)))


arctanh = elementwise(
    "arctanh",
    np.arctanh,
    diff=_arctanh_rule,
    cost=20,
    domain=_INSIDE_ONE,
    c="arctanh_{t}({x})",
    doc="The inverse hyperbolic tangent, elementwise.",
)


def _lead(x: Value, y: Value) -> Value:
    return over_reals(x) - over_reals(y)


logaddexp = elementwise(
    "logaddexp",
    np.logaddexp,
    diff=(
        lambda t, z, x, y: t * sigmoid(_lead(x, y)),
        lambda t, z, x, y: t * sigmoid(_lead(y, x)),
    ),
    traits=(Trait.COMMUTATIVE,),
    cost=25,
    c="logaddexp_{t}({x}, {y})",
    doc="log(exp(x1) + exp(x2)), elementwise, without overflow.",
)
logaddexp2 = elementwise(
    "logaddexp2",
    np.logaddexp2,
    diff=(
        lambda t, z, x, y: t * sigmoid(_LN2 * _lead(x, y)),
        lambda t, z, x, y: t * sigmoid(_LN2 * _lead(y, x)),
    ),
    traits=(Trait.COMMUTATIVE,),
    cost=25,
    c="logaddexp2_{t}({x}, {y})",
    doc="log2(2**x1 + 2**x2), elementwise, without overflow.",
)

deg2rad = elementwise(
    "deg2rad",
    np.deg2rad,
    diff=lambda t, y, x: t * (math.pi / 180),
    traits=(Trait.LINEAR,),
    c="{x} * ({t})0.017453292519943295",
    doc="Degrees as radians.",
)
rad2deg = elementwise(
    "rad2deg",
    np.rad2deg,
    diff=lambda t, y, x: t * (180 / math.pi),
    traits=(Trait.LINEAR,),
    c="{x} * ({t})57.29577951308232",
    doc="Radians as degrees.",
)
# NumPy has two ufuncs for each of these.
radians, degrees = deg2rad, rad2deg
for _name, _ufunc, _function in (
    ("radians", np.radians, deg2rad),
    ("degrees", np.degrees, rad2deg),
):
    FUNCTIONS[_name] = _function
    NUMPY_FUNCTIONS[_ufunc] = _function


@implements(np.float_power)
def float_power(x1: Operand, x2: Operand) -> Value:
    """Raise *x1* to the power *x2* in float64, elementwise.

    >>> float_power(Value(2), -1)
    Value(data=0.5, grad=None)
    """
    base, exponent = (_float64(operand) for operand in (x1, x2))
    return power(base, exponent)


def _float64(operand: Operand) -> Value:
    node = as_value(operand)
    number = literal(node)
    if number is not None:
        return constant(float(number))
    if node.spec.dtype.itemsize <= 8:
        return astype(node, np.float64)
    return node


def _sinc(x: Array, out: Array, *, order: int) -> None:
    """Fill in a derivative of sin(x) / x: by its series near 0, by Leibniz' rule elsewhere."""
    near = np.abs(x) <= 1 + order / 2
    far = np.where(near, 1, x)
    value = np.sin(far) / far
    for k in range(1, order + 1):
        value = (np.sin(far + k * (math.pi / 2)) - k * value) / far
    out[...] = np.where(near, _sinc_series(np.where(near, x, 0), order), value)


def _sinc_series(x: Array, order: int) -> Array:
    """Differentiate the sum of (-1)**n x**(2n) / (2n + 1)! term by term."""
    total = np.zeros_like(x)
    first = (order + 1) // 2
    # The terms left out are below an ulp of float64 for every x that is given here.
    for n in reversed(range(first, first + order + 14)):
        coefficient = (-1) ** n / (math.factorial(2 * n - order) * (2 * n + 1))
        total = total * (x * x) + coefficient
    return total * x if order % 2 else total


_sinc_of: NodeFunction = elementwise(
    "_sinc",
    _sinc,
    dtype=lambda dtype, *, order: dtype,
    diff=lambda t, y, x, *, order: t * _sinc_of(x, order=order + 1),
    cost=40,
    variants=({"order": 0}, {"order": 1}, {"order": 3}),
    doc="A derivative of sin(x) / x, which is smooth at 0.",
)


@implements(np.sinc)
def sinc(x: Operand) -> Value:
    """Give sin(pi x) / (pi x), elementwise, which is 1 at 0; exact in derivatives of any order.

    >>> sinc(Value([0.0, 0.5])).shape
    (2,)
    """
    return _sinc_of(np.pi * as_value(x), order=0)
