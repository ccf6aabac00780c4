"""Smooth steps and ramps that must neither overflow nor cancel: sigmoid and its integrals."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from ..ir.op import Array, Notation, Operand, public
from ..ir.value import Value, as_value
from ..spec import DType
from .arithmetic import astype, negative
from .forms import elementwise

__all__ = ["log_sigmoid", "sigmoid", "softplus"]


@lru_cache(maxsize=64)
def float_of(dtype: DType) -> DType:
    """Give the dtype in which NumPy computes the exponential of a dtype."""
    result: DType = np.exp.resolve_dtypes((dtype, None))[-1]
    return result


def _sigmoid(x: Array, out: Array) -> None:
    np.negative(x, out, dtype=out.dtype)
    # An overflow to infinity is right here: its reciprocal is the result, 0.
    with np.errstate(over="ignore"):
        np.exp(out, out)
        np.add(out, 1, out)
        np.reciprocal(out, out)


sigmoid = elementwise(
    "sigmoid",
    _sigmoid,
    dtype=float_of,
    diff=lambda t, y, x: t * (y * (1 - y)),
    reusable=(0,),
    cost=14,
    c="sigmoid_{t}({x})",
    notation=Notation("sigmoid({x})", r"\sigma\left({x}\right)"),
    doc="1 / (1 + exp(-x)), elementwise; accurate to a few ulp however large x is.",
)


@lru_cache(maxsize=16)
def _linear_from(dtype: DType) -> float:
    """From where on softplus(x) rounds to x."""
    return 2.0 - math.log(np.finfo(dtype).eps)  # type: ignore[type-var]


def _softplus(x: Array, out: Array) -> None:
    np.minimum(x, _linear_from(out.dtype), out=out)
    np.exp(out, out)
    np.log1p(out, out)
    np.maximum(x, out, out=out)


softplus = elementwise(
    "softplus",
    _softplus,
    dtype=float_of,
    diff=lambda t, y, x: t * sigmoid(x),
    cost=22,
    c="softplus_{t}({x})",
    doc="log(1 + exp(x)), elementwise, without overflow; its derivative is the sigmoid.",
)


@public
def log_sigmoid(x: Operand) -> Value:
    """Give the logarithm of the sigmoid, -softplus(-x), which stays finite where that is 0.

    >>> log_sigmoid(Value(-1000.0))
    Value(data=-1000.0, grad=None)
    """
    node = as_value(x)
    # The sign of an unsigned integer can't be changed.
    return -softplus(negative(astype(node, float_of(node.spec.dtype))))
