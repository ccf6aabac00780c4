"""The error function and its complement, which NumPy doesn't have.

Rational approximations on five intervals of abs(x), with coefficients and intervals of Sun's fdlibm
(s_erf.c, 1993), each evaluated where it holds; computed in float64 for every dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from ..ir.op import Array
from .activations import float_of
from .arithmetic import multiply
from .elementary import exp
from .forms import elementwise

__all__ = ["erf", "erfc"]

Coefficients: TypeAlias = tuple[float, ...]

# Elements that are worked on at once: few enough for temporaries to be small, and enough for
# threads not to wait for each other at the interpreter all the time.
_BLOCK = 1 << 17

_NEAR_0: tuple[Coefficients, Coefficients] = (
    (
        1.28379167095512558561e-01,
        -3.25042107247001499370e-01,
        -2.84817495755985104766e-02,
        -5.77027029648944159157e-03,
        -2.37630166566501626084e-05,
    ),
    (
        1.0,
        3.97917223959155352819e-01,
        6.50222499887672944485e-02,
        5.08130628187576562776e-03,
        1.32494738004321644526e-04,
        -3.96022827877536812320e-06,
    ),
)
_ERF_OF_1 = 8.45062911510467529297e-01
_NEAR_1: tuple[Coefficients, Coefficients] = (
    (
        -2.36211856075265944077e-03,
        4.14856118683748331666e-01,
        -3.72207876035701323847e-01,
        3.18346619901161753674e-01,
        -1.10894694282396677476e-01,
        3.54783043256182359371e-02,
        -2.16637559486879084300e-03,
    ),
    (
        1.0,
        1.06420880400844228286e-01,
        5.40397917702171048937e-01,
        7.18286544141962662868e-02,
        1.26171219808761642112e-01,
        1.36370839120290507362e-02,
        1.19844998467991074170e-02,
    ),
)
_MIDDLE: tuple[Coefficients, Coefficients] = (
    (
        -9.86494403484714822705e-03,
        -6.93858572707181764372e-01,
        -1.05586262253232909814e01,
        -6.23753324503260060396e01,
        -1.62396669462573470355e02,
        -1.84605092906711035994e02,
        -8.12874355063065934246e01,
        -9.81432934416914548592e00,
    ),
    (
        1.0,
        1.96512716674392571292e01,
        1.37657754143519042600e02,
        4.34565877475229228821e02,
        6.45387271733267880336e02,
        4.29008140027567833386e02,
        1.08635005541779435134e02,
        6.57024977031928170135e00,
        -6.04244152148580987438e-02,
    ),
)
_FAR: tuple[Coefficients, Coefficients] = (
    (
        -9.86494292470009928597e-03,
        -7.99283237680523006574e-01,
        -1.77579549177547519889e01,
        -1.60636384855821916062e02,
        -6.37566443368389627722e02,
        -1.02509513161107724954e03,
        -4.83519191608651397019e02,
    ),
    (
        1.0,
        3.03380607434824582924e01,
        3.25792512996573918826e02,
        1.53672958608443695994e03,
        3.19985821950859553908e03,
        2.55305040643316442583e03,
        4.74528541206955367215e02,
        -2.24409524465858183362e01,
    ),
)
_ENDS = (0.84375, 1.25, 1 / 0.35, 6.0, 28.0)


def _polynomial(coefficients: Coefficients, x: Array) -> Array:
    value = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value *= x
        value += coefficient
    return value


def _ratio(coefficients: tuple[Coefficients, Coefficients], x: Array) -> Array:
    above, below = coefficients
    value = _polynomial(above, x)
    value /= _polynomial(below, x)
    return value


def _tail(size: Array, coefficients: tuple[Coefficients, Coefficients]) -> Array:
    """Give erfc of sizes from 1.25 on."""
    # The square of the leading half of the digits is exact, and the rest is small.
    leading = (size.view(np.uint64) & np.uint64(0xFFFFFFFF00000000)).view(np.float64)
    rest = (leading - size) * (leading + size) + _ratio(coefficients, 1 / (size * size))
    result: Array = np.exp(-leading * leading - 0.5625) * np.exp(rest) / size
    return result


def _erf_of(x: Array) -> Array:
    size = np.abs(x)
    value = np.copysign(1.0, x)
    (place,) = np.nonzero(size < _ENDS[0])
    near = x[place]
    value[place] = near + near * _ratio(_NEAR_0, near * near)
    (place,) = np.nonzero((size >= _ENDS[0]) & (size < _ENDS[1]))
    value[place] *= _ERF_OF_1 + _ratio(_NEAR_1, size[place] - 1)
    for low, high, coefficients in ((*_ENDS[1:3], _MIDDLE), (*_ENDS[2:4], _FAR)):
        (place,) = np.nonzero((size >= low) & (size < high))
        value[place] *= 1 - _tail(size[place], coefficients)
    value[np.isnan(x)] = np.nan
    return value


def _erfc_of(x: Array) -> Array:
    size = np.abs(x)
    value = np.where(x < 0, 2.0, 0.0)
    (place,) = np.nonzero(size < _ENDS[0])
    near = x[place]
    step = near * _ratio(_NEAR_0, near * near)
    value[place] = np.where(near < 0.25, 1 - (near + step), 0.5 - (step + (near - 0.5)))
    (place,) = np.nonzero((size >= _ENDS[0]) & (size < _ENDS[1]))
    part = _ratio(_NEAR_1, size[place] - 1)
    is_left = x[place] < 0
    value[place] = np.where(is_left, 1 + (_ERF_OF_1 + part), 1 - _ERF_OF_1 - part)
    for low, high, coefficients in ((*_ENDS[1:3], _MIDDLE), (*_ENDS[2:5:2], _FAR)):
        (place,) = np.nonzero((size >= low) & (size < high))
        tail = _tail(size[place], coefficients)
        value[place] = np.where(x[place] < 0, 2 - tail, tail)
    value[np.isnan(x)] = np.nan
    return value


def _in_blocks(function: Callable[[Array], Array]) -> Callable[..., None]:
    def kernel(x: Array, out: Array) -> None:
        source = np.broadcast_to(x, out.shape).reshape(-1)
        target = out.reshape(-1)
        for start in range(0, target.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            target[part] = function(source[part].astype(np.float64))

    return kernel


_SLOPE = 2 / math.sqrt(math.pi)

erf = elementwise(
    "erf",
    _in_blocks(_erf_of),
    dtype=float_of,
    diff=lambda t, y, x: t * (_SLOPE * exp(-multiply(x, x))),
    c="erf_{t}({x})",
    cost=20,
    doc="2 / sqrt(pi) times the integral of exp(-s**2) from 0 to x, elementwise.",
)

erfc = elementwise(
    "erfc",
    _in_blocks(_erfc_of),
    dtype=float_of,
    diff=lambda t, y, x: t * (-_SLOPE * exp(-multiply(x, x))),
    c="erfc_{t}({x})",
    cost=24,
    doc="1 - erf(x), elementwise; without cancellation where erf(x) is near 1.",
)
