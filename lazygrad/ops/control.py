"""Operations that say how a graph is run or differentiated, and compute nothing."""

from __future__ import annotations

import numpy as np

from ..ir.op import OUT, Array, Call, In, Operand, Writes, public
from ..ir.value import Value, as_value
from .forms import elementwise, general

__all__ = ["copy", "stop_gradient"]

_stop_gradient = general(
    "stop_gradient",
    lambda x: x,
    infer=lambda x: x,
    vjp=None,
    jvp=None,
    writes=Writes.VIEW,
    doc="The value itself, as a constant to every derivative.",
)


def stop_gradient(x: Operand) -> Value:
    """Give *x* as a constant to every derivative.

    >>> x = Value(3.0)
    >>> (x * stop_gradient(x)).backward(); x.grad
    3.0
    """
    return _stop_gradient(as_value(x))


public(stop_gradient)


def _copy(x: Array, out: Array) -> None:
    np.copyto(out, x)


copy = elementwise(
    "copy",
    _copy,
    dtype=lambda dtype: dtype,
    diff=lambda t, y, x: t,
    call=lambda specs, spec, attrs: Call(np.copyto, (OUT, In(0))),
    c="{x}",
    doc="The value in storage of its own, in row-major order.",
)
