"""Operations that say how a graph is run or differentiated, and compute nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DTypeError, OptionError
from ..ir.op import OUT, Array, Call, In, Operand, Trait, Writes, public
from ..ir.value import Value, as_value, weak_operands
from ..spec import Spec, require_same_shape
from .arithmetic import zeros_like
from .batching import batch_by_broadcasting, repeated
from .forms import NodeFunction, elementwise, general
from .shape import broadcast_to

__all__ = ["by_mode", "stop_gradient", "with_update"]

_stop_gradient = general(
    "stop_gradient",
    lambda x: x,
    infer=lambda x: x,
    vjp=None,
    jvp=None,
    batch=batch_by_broadcasting("stop_gradient"),
    writes=Writes.VIEW,
    traits=(Trait.KEEPS_ORDER,),
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
    np.copyto(out, train if flag > 0 else evaluate)


def _switch_infer(flag: Spec, train: Spec, evaluate: Spec) -> Spec:
    if flag.shape != () or flag.dtype.name not in ("bool", "int8"):
        raise DTypeError(f"the flag must be a bool or an int8 without axes, got {flag}.")
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


def _switch_support(index: int, flag: Value, train: Value, evaluate: Value) -> Value | None:
    """Say that the branch that isn't in force contributes nothing to a derivative, not even NaN."""
    if index == 0:
        return None
    is_in_force = _by_mode(flag, as_value(index == 1), as_value(index == 2))
    return broadcast_to(is_in_force, train.spec.shape)


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
    support=_switch_support,
    batch=_batched_switch,
    traits=(Trait.SWITCHES,),
    family="control",
    doc="One value when training, another otherwise.",
)


@public
def by_mode(train: Operand, evaluate: Operand, *, flag: Operand = False) -> Value:
    """Give *train* in training mode and *evaluate* otherwise.

    ``lazygrad.compile`` settles the mode with its ``train=``. ``forward`` and ``.data`` follow
    *flag*, a variable that says whether training is on: a bool, or an int8 that is negative as
    long as nobody has said so, which raises ModeError. Only the branch in force is computed.

    >>> x = Value(2.0)
    >>> by_mode(x * 10, x)
    Value(data=2.0, grad=None)
    >>> compile(by_mode(x * 10, x), train=True)()
    np.float64(20.0)
    """
    return _by_mode(as_value(flag), *weak_operands((train, evaluate)))


def _update_infer(value: Spec, variable: Spec, new: Spec) -> Spec:
    require_same_shape(variable.shape, new.shape, "the new value needs the variable's shape")
    if variable.dtype != new.dtype:
        raise DTypeError(f"the variable is {variable.dtype.name}, its new value {new.dtype.name}.")
    return value


_with_update = general(
    "with_update",
    lambda value, variable, new: value,
    infer=_update_infer,
    vjp=(lambda g, y, value, variable, new: g, None, None),
    jvp=(lambda t, y, value, variable, new: t, None, None),
    writes=Writes.VIEW,
    traits=(Trait.UPDATES,),
    family="control",
    doc="The first operand; the variable takes on its new value when the run ends.",
)


@public
def with_update(value: Operand, variable: Value, new: Operand) -> Value:
    """Give *value*, and let *variable* take on *new* at the end of each run that it is part of.

    Running statistics are kept this way: in a program the update joins the others, once per call;
    ``forward`` does it once per forward, never when something is recomputed. Looking at ``.data``
    updates nothing. It can't stand inside the body of a loop.

    >>> total = Value(0.0)
    >>> x = placeholder((), name="x")
    >>> program = compile(with_update(x, total, total + x))
    >>> program(x=2.0), program(x=3.0), total.data
    (np.float64(2.0), np.float64(3.0), array(5.))
    """
    if not isinstance(variable, Value) or variable.cell is None:
        raise OptionError("with_update: only a variable can be updated.")
    return _with_update(as_value(value), variable, as_value(new))


def _require_within(x: Array, out: Array, stop: int, what: str) -> None:
    if x.size and (int(x.min()) < 0 or int(x.max()) >= stop):
        place = np.unravel_index(int(np.argmax((x < 0) | (x >= stop))), x.shape)
        at = f" at {[int(axis) for axis in place]}" if place else ""
        raise IndexError(f"{what} {int(x[place])}{at} is outside 0 to {stop - 1}")
    np.copyto(out, x)


within = general(
    "within",
    _require_within,
    infer=lambda x, stop, what: x,
    vjp=None,
    jvp=None,
    batch=batch_by_broadcasting("within"),
    family="control",
    doc="Integers as they are; one outside 0 to stop - 1 fails the run.",
)
