"""softmax and its logarithm: rows of scores to rows of probabilities, without overflow.

An entry of -inf has probability 0; a row of nothing but -inf, or with +inf or NaN, is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np

from ..errors import DTypeError
from ..ir.op import OUT, Array, Attrs, Call, In, Operand, Part, public
from ..ir.value import Value, as_value
from ..spec import Spec, normalize_axes, product
from .batching import batch_by_shifting
from .cumulative import as_float
from .elementary import exp
from .forms import NodeFunction, general
from .reduce import reduced_shape, sum_over

__all__ = ["log_softmax", "softmax"]

Axes: TypeAlias = tuple[int, ...]

_largest: Callable[..., Array] = np.maximum.reduce
_total: Callable[..., Array] = np.add.reduce


def _infer(x: Spec, *, axes: Axes) -> Spec:
    if x.dtype.kind != "f":
        raise DTypeError(f"scores must be floats, got {x.dtype.name}.")
    return x


def _scratch(x: Array, axes: Axes) -> Array:
    return np.empty(reduced_shape(x.shape, axes, True), x.dtype)


def _softmax_into(x: Array, out: Array, axis: int | Axes, row: Array) -> None:
    if out.size == 0:
        return
    _largest(x, axis, None, row, True)
    np.subtract(x, row, out)
    np.exp(out, out)
    _total(out, axis, None, row, True)
    np.divide(out, row, out)


def _log_softmax_into(x: Array, out: Array, axis: int | Axes, peak: Array, row: Array) -> None:
    if out.size == 0:
        return
    _largest(x, axis, None, peak, True)
    np.subtract(x, peak, out)
    np.exp(out, out)
    _total(out, axis, None, row, True)
    np.log(row, row)
    # Adding the peak to the logarithm first would round it away where scores are large.
    np.subtract(x, peak, out)
    np.subtract(out, row, out)


def _softmax_kernel(x: Array, out: Array, *, axes: Axes) -> None:
    _softmax_into(x, out, axes, _scratch(x, axes))


def _log_softmax_kernel(x: Array, out: Array, *, axes: Axes) -> None:
    _log_softmax_into(x, out, axes, _scratch(x, axes), _scratch(x, axes))


def _axis(axes: Axes) -> int | Axes:
    return axes[0] if len(axes) == 1 else axes


def _softmax_call(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
    axes = attrs["axes"]
    if not spec.is_static:
        return Call(partial(_softmax_kernel, axes=axes), (In(0), OUT))
    row = np.empty(reduced_shape(spec.shape, axes, True), spec.dtype)
    return Call(_softmax_into, (In(0), OUT, _axis(axes), row))


def _log_softmax_call(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
    axes = attrs["axes"]
    if not spec.is_static:
        return Call(partial(_log_softmax_kernel, axes=axes), (In(0), OUT))
    shape = reduced_shape(spec.shape, axes, True)
    rows = [np.empty(shape, spec.dtype) for _ in range(2)]
    return Call(_log_softmax_into, (In(0), OUT, _axis(axes), *rows))


def _softmax_rule(t: Value, y: Value, x: Value, *, axes: Axes) -> Value:
    # The Jacobian is symmetric, so one rule serves both modes.
    return y * (t - sum_over(t * y, axes=axes, keepdims=True))


def _log_softmax_vjp(g: Value, y: Value, x: Value, *, axes: Axes) -> Value:
    return g - exp(y) * sum_over(g, axes=axes, keepdims=True)


def _log_softmax_jvp(t: Value, y: Value, x: Value, *, axes: Axes) -> Value:
    return t - sum_over(exp(y) * t, axes=axes, keepdims=True)


def _softmax_parts(*, axes: Axes) -> tuple[Part, ...]:
    over: Attrs = {"axes": axes, "keepdims": True}
    return (
        ("max", (0,), over),
        ("subtract", (0, 1), {}),
        ("exp", (2,), {}),
        ("sum", (3,), over),
        ("divide", (3, 4), {}),
    )


def _log_softmax_parts(*, axes: Axes) -> tuple[Part, ...]:
    *before, _ = _softmax_parts(axes=axes)
    return (*before, ("log", (4,), {}), ("subtract", (2, 5), {}))


_VARIANTS: tuple[Attrs, ...] = ({"axes": (1,)}, {"axes": (0,)}, {"axes": (0, 1)}, {"axes": ()})

_softmax: NodeFunction = general(
    "softmax",
    _softmax_kernel,
    infer=_infer,
    vjp=(_softmax_rule,),
    jvp=(_softmax_rule,),
    call=_softmax_call,
    parts=_softmax_parts,
    reusable=(0,),
    cost=lambda out, x, **attrs: 14 * product(x.shape),
    variants=_VARIANTS,
    batch=batch_by_shifting("softmax"),
    doc="exp(x) / sum(exp(x)) along axes.",
)

_log_softmax: NodeFunction = general(
    "log_softmax",
    _log_softmax_kernel,
    infer=_infer,
    vjp=(_log_softmax_vjp,),
    jvp=(_log_softmax_jvp,),
    call=_log_softmax_call,
    parts=_log_softmax_parts,
    cost=lambda out, x, **attrs: 14 * product(x.shape),
    variants=_VARIANTS,
    batch=batch_by_shifting("log_softmax"),
    doc="x - log(sum(exp(x))) along axes.",
)


@public
def softmax(x: Operand, axis: object = -1) -> Value:
    """Give exp(x) / sum(exp(x)) along *axis*: positive, of sum 1; integers as float64.

    Entries of -inf get 0; a row of nothing else is NaN.

    >>> softmax(Value([0.0, 0.0, -np.inf]))
    Value(data=[0.5 0.5 0. ], grad=None)
    """
    node = as_float(as_value(x))
    return _softmax(node, axes=normalize_axes(axis, node.ndim))


@public
def log_softmax(x: Operand, axis: object = -1) -> Value:
    """Give the logarithm of `softmax` along *axis*, accurate where that is near 0 or 1.

    >>> log_softmax(Value([0.0, 1000.0]))
    Value(data=[-1000.     0.], grad=None)
    """
    node = as_float(as_value(x))
    return _log_softmax(node, axes=normalize_axes(axis, node.ndim))
