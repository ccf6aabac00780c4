"""Activations: functions of a node, and layers that apply them.

Those that are operations of the library, relu, sigmoid, tanh, softplus, softmax and log_softmax,
are here under the same names; the others are expressions.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt
from typing import Any, ClassVar

from ..errors import OptionError, ShapeError
from ..ir.value import Value, as_value
from ..ops import (
    absolute,
    clip,
    erfc,
    expm1,
    log_softmax,
    relu,
    sigmoid,
    softmax,
    softplus,
    split,
    tanh,
    where,
)
from .module import Module

__all__ = [
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "HardSigmoid",
    "HardSwish",
    "HardTanh",
    "LeakyReLU",
    "LogSoftmax",
    "Mish",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    "elu",
    "gelu",
    "glu",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "log_softmax",
    "mish",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
]

_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717


def leaky_relu(x: Any, slope: float = 0.01) -> Value:
    """Give x where it is positive, and *slope* times x elsewhere, at 0 too.

    >>> leaky_relu([-2.0, 3.0], slope=0.1).data
    array([-0.2,  3. ])
    """
    node = as_value(x)
    return where(node > 0, node, slope * node)


def elu(x: Any, alpha: float = 1.0) -> Value:
    """Give x where it is positive, else ``alpha * (exp(x) - 1)``; Clevert et al. (2016).

    >>> elu([-1000.0, 3.0]).data
    array([-1.,  3.])
    """
    node = as_value(x)
    return where(node > 0, node, alpha * expm1(node))


def selu(x: Any) -> Value:
    """Give ELU, scaled so that activations keep mean 0 and variance 1; Klambauer et al. (2017).

    >>> selu([0.0, 1.0]).data.round(4)
    array([0.    , 1.0507])
    """
    return _SELU_SCALE * elu(x, _SELU_ALPHA)


def gelu(x: Any, approximate: str = "none") -> Value:
    """Give x times the probability of a standard normal number below it.

    Hendrycks and Gimpel (2016); *approximate* ``"tanh"`` takes their approximation instead, which
    is off by 0.0005 at most.

    >>> gelu([-1.0, 1.0]).data.round(4)
    array([-0.1587,  0.8413])
    """
    node = as_value(x)
    if approximate == "none":
        # The complement keeps its digits where the probability is near 0.
        return 0.5 * node * erfc(node * (-1 / sqrt(2)))
    if approximate == "tanh":
        cubed = node + 0.044715 * (node * node * node)
        return 0.5 * node * (1 + tanh(sqrt(2 / pi) * cubed))
    raise OptionError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}.")


def silu(x: Any) -> Value:
    """Give ``x * sigmoid(x)``, also called swish; Elfwing et al. (2018).

    >>> silu([0.0, 1.0]).data.round(4)
    array([0.    , 0.7311])
    """
    node = as_value(x)
    return node * sigmoid(node)


def mish(x: Any) -> Value:
    """Give ``x * tanh(softplus(x))``; Misra (2020).

    >>> mish([0.0, 1.0]).data.round(4)
    array([0.    , 0.8651])
    """
    node = as_value(x)
    return node * tanh(softplus(node))


def softsign(x: Any) -> Value:
    """Give ``x / (1 + abs(x))``.

    >>> softsign([-1.0, 3.0]).data
    array([-0.5 ,  0.75])
    """
    node = as_value(x)
    return node / (1 + absolute(node))


def hard_sigmoid(x: Any) -> Value:
    """Give a sigmoid of three straight pieces, ``x / 6 + 1 / 2`` between 0 and 1.

    >>> hard_sigmoid([-4.0, 0.0, 1.5]).data
    array([0.  , 0.5 , 0.75])
    """
    return clip(as_value(x) / 6 + 0.5, 0, 1)


def hard_tanh(x: Any, low: float = -1.0, high: float = 1.0) -> Value:
    """Give x between *low* and *high*, and these beyond.

    >>> hard_tanh([-4.0, 0.5]).data
    array([-1. ,  0.5])
    """
    if not low < high:
        raise OptionError(f"hard_tanh: low is {low}, not below high, {high}.")
    return clip(as_value(x), low, high)


def hard_swish(x: Any) -> Value:
    """Give ``x * hard_sigmoid(x)``; Howard et al. (2019), section 5.2.

    >>> hard_swish([-4.0, 3.0]).data
    array([-0.,  3.])
    """
    node = as_value(x)
    return node * hard_sigmoid(node)


def glu(x: Any, axis: int = -1) -> Value:
    """Give the first half along *axis* times the sigmoid of the second; Dauphin et al. (2017).

    >>> glu([2.0, 0.0]).data
    array([1.])
    """
    node = as_value(x)
    if node.ndim == 0:
        raise ShapeError(f"glu: needs an axis to halve, got {node.spec}.")
    length = node.shape[axis]
    if isinstance(length, int) and length % 2:
        raise ShapeError(f"glu: can't halve the {length} entries along axis {axis} of {node.spec}.")
    first, second = split(node, 2, axis=axis)
    return first * sigmoid(second)


class _Activation(Module):
    """A layer without state that applies a function with options."""

    function: ClassVar[Callable[..., Value]]

    def __init__(self, **options: Any) -> None:
        self.options = options

    def forward(self, x: Any) -> Value:
        """Write the activation of *x*."""
        return type(self).function(x, **self.options)

    def extra_repr(self) -> str:
        """Say the options."""
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())


class _Plain(_Activation):
    def __init__(self) -> None:
        super().__init__()


class ReLU(_Plain):
    """The larger of x and 0.

    >>> ReLU()([-1.0, 2.0]).data
    array([0., 2.])
    """

    function = staticmethod(relu)


class Sigmoid(_Plain):
    """``1 / (1 + exp(-x))``."""

    function = staticmethod(sigmoid)


class Tanh(_Plain):
    """The hyperbolic tangent."""

    function = staticmethod(tanh)


class Softplus(_Plain):
    """``log(1 + exp(x))``, a smooth relu."""

    function = staticmethod(softplus)


class SELU(_Plain):
    """`selu`, as a layer."""

    function = staticmethod(selu)


class SiLU(_Plain):
    """`silu`, as a layer."""

    function = staticmethod(silu)


class Mish(_Plain):
    """`mish`, as a layer."""

    function = staticmethod(mish)


class Softsign(_Plain):
    """`softsign`, as a layer."""

    function = staticmethod(softsign)


class HardSigmoid(_Plain):
    """`hard_sigmoid`, as a layer."""

    function = staticmethod(hard_sigmoid)


class HardSwish(_Plain):
    """`hard_swish`, as a layer."""

    function = staticmethod(hard_swish)


class LeakyReLU(_Activation):
    """`leaky_relu`, as a layer.

    >>> LeakyReLU(0.2)
    LeakyReLU(slope=0.2)
    """

    function = staticmethod(leaky_relu)

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__(slope=slope)


class ELU(_Activation):
    """`elu`, as a layer."""

    function = staticmethod(elu)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha=alpha)


class GELU(_Activation):
    """`gelu`, as a layer; *approximate* is ``"none"`` or ``"tanh"``."""

    function = staticmethod(gelu)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__(approximate=approximate)


class HardTanh(_Activation):
    """`hard_tanh`, as a layer."""

    function = staticmethod(hard_tanh)

    def __init__(self, low: float = -1.0, high: float = 1.0) -> None:
        super().__init__(low=low, high=high)


class GLU(_Activation):
    """`glu`, as a layer."""

    function = staticmethod(glu)

    def __init__(self, axis: int = -1) -> None:
        super().__init__(axis=axis)


class Softmax(_Activation):
    """Exponentials divided by their sum along *axis*.

    >>> Softmax()([[0.0, 0.0]]).data
    array([[0.5, 0.5]])
    """

    function = staticmethod(softmax)

    def __init__(self, axis: int = -1) -> None:
        super().__init__(axis=axis)


class LogSoftmax(_Activation):
    """The logarithm of `Softmax`, without overflow."""

    function = staticmethod(log_softmax)

    def __init__(self, axis: int = -1) -> None:
        super().__init__(axis=axis)
