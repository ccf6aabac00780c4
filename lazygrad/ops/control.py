"""Operations that say how a graph is run or differentiated, and compute nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DTypeError
from ..ir.op import OUT, Array, Call, In, Operand, Writes, public
from ..ir.value import Value, as_value, weak_operands
from ..spec import Spec, require_same_shape
from .arithmetic import zeros_like
from .batching import batch_by_broadcasting, repeated
from .forms import NodeFunction, elementwise, general

__all__ = ["by_mode", "stop_gradient"]

_stop_gradient = general(
    "stop_gradient",
    lambda x: x,
    infer=lambda x: x,
    vjp=None,
    jvp=None,
    batch=batch_by_broadcasting("stop_gradient"),
    writes=Writes.VIEW,
    doc="The value itself, as a constant to every derivative.",
)


@public
def stop_gradient(x: Operand) -> Value:
    """Give *x* as a constant to every derivative.

    >>> x = Value(3.0)
    >>> (x * stop_gradient(x)).backward(); print(x.grad)
    3.0
    """
    return _stop_gradient(as_value(x))


def _copy(x: Array, out: Array) -> None:
    np.copyto(out, x)


copy = elementwise(
    "copy",
    _copy,
    dtype=lambda dtype: dtype,
    diff=lambda t, y, x: t,
    call=lambda specs, spec, attrs: Call(np.copyto, (OUT, In(0))),
    c="{x}",
    cost=0,
    doc="The value in storage of its own, in row-major order.",
)


def _switch(flag: Array, train: Array, evaluate: Array, out: Array) -> None:
    np.copyto(out, train if flag else evaluate)


def _switch_infer(flag: Spec, train: Spec, evaluate: Spec) -> Spec:
    if flag.shape != () or flag.dtype.kind != "b":
        raise DTypeError(f"the flag must be a bool without axes, got {flag}.")
    require_same_shape(train.shape, evaluate.shape, "both modes need the same shape")
    if train.dtype != evaluate.dtype:
        raise DTypeError(
            f"both modes need the same dtype, got {train.dtype.name} and {evaluate.dtype.name}."
        )
    return train


def _batched_switch(
    is_batched: Sequence[bool], flag: Value, train: Value, evaluate: Value
) -> Value | None:
    if is_batched[0]:
        return None
    return _by_mode(flag, *repeated(is_batched[1:], (train, evaluate)))


_by_mode: NodeFunction = general(
    "by_mode",
    _switch,
    infer=_switch_infer,
    vjp=(
        None,
        lambda g, y, flag, train, evaluate: _by_mode(flag, g, zeros_like(g)),
        lambda g, y, flag, train, evaluate: _by_mode(flag, zeros_like(g), g),
    ),
    jvp=(
        None,
        lambda t, y, flag, train, evaluate: _by_mode(flag, t, zeros_like(t)),
        lambda t, y, flag, train, evaluate: _by_mode(flag, zeros_like(t), t),
    ),
    batch=_batched_switch,
    family="control",
    doc="One value when training, another otherwise.",
)


@public
def by_mode(train: Operand, evaluate: Operand, *, flag: Operand = False) -> Value:
    """Give *train* in training mode and *evaluate* otherwise.

    ``lazygrad.compile`` settles the mode with its ``train=``. ``forward`` and ``.data`` follow
    *flag*, a bool variable that says whether training is on. Only the branch in force is computed.

    >>> x = Value(2.0)
    >>> by_mode(x * 10, x)
    Value(data=2.0, grad=None)
    >>> compile(by_mode(x * 10, x), train=True)()
    np.float64(20.0)
    """
    return _by_mode(as_value(flag), *weak_operands((train, evaluate)))
