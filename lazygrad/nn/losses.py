"""Losses of numbers: how far predictions are from targets, as expressions.

Every loss takes ``reduction=``: ``"mean"`` or ``"sum"`` over all entries, or ``"none"``. Of no
entries the mean is NaN. Targets are numbers; of a wider float dtype than the prediction they are
brought to its dtype, unless they require a gradient.
"""

from __future__ import annotations

import warnings
from math import log
from typing import Any, Literal

from ..errors import BroadcastWarning, DTypeError, OptionError
from ..ir.describe import worded
from ..ir.value import Value, as_value, constant
from ..location import user_location
from ..ops import (
    absolute,
    astype,
    exp,
    log as logarithm,
    minimum,
    norm,
    relu,
    reshape,
    softplus,
    sqrt,
    square,
    sum as total,
    where,
)
from ..spec import Shape, format_shape, product
from .operands import Reduction, reduced

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "hinge",
    "huber",
    "kl_div",
    "log_cosh",
    "mae",
    "mse",
    "poisson",
    "rmse",
]

# PyTorch's bound: a logarithm counts as no less, so that a probability of 0 has a finite loss.
_LEAST_LOG = -100.0


@worded
def mse(prediction: Any, target: Any, *, reduction: Reduction = "mean") -> Value:
    """Give the squared error.

    >>> mse([1.0, 2.0], [1.0, 4.0]).data
    np.float64(2.0)
    """
    prediction, target = _pair("mse", prediction, target)
    return reduced("mse", square(prediction - target), reduction)


@worded
def rmse(prediction: Any, target: Any) -> Value:
    """Give the root of the mean squared error; its gradient where all errors are 0 is 0.

    >>> rmse([1.0, 2.0], [1.0, 4.0]).data.round(4)
    np.float64(1.4142)
    """
    prediction, target = _pair("rmse", prediction, target)
    error = prediction - target
    # The norm has a gradient at 0, the root alone has none.
    number = product(error.shape)
    return norm(reshape(error, (number,))) / sqrt(astype(as_value(number), error.dtype))


@worded
def mae(prediction: Any, target: Any, *, reduction: Reduction = "mean") -> Value:
    """Give the absolute error; its derivative where there is no error is 0.

    >>> mae([1.0, 2.0], [1.0, 4.0]).data
    np.float64(1.0)
    """
    prediction, target = _pair("mae", prediction, target)
    return reduced("mae", absolute(prediction - target), reduction)


@worded
def huber(
    prediction: Any, target: Any, *, delta: float = 1.0, reduction: Reduction = "mean"
) -> Value:
    """Give half the squared error up to *delta*, and beyond that a line; Huber (1964).

    >>> huber([1.0, 2.0], [1.0, 5.0], reduction="none").data
    array([0. , 2.5])
    """
    if not delta > 0:
        raise OptionError(f"huber: delta must be positive, got {delta}.")
    prediction, target = _pair("huber", prediction, target)
    size = absolute(prediction - target)
    inner = minimum(size, delta)
    return reduced("huber", inner * (size - 0.5 * inner), reduction)


@worded
def log_cosh(prediction: Any, target: Any, *, reduction: Reduction = "mean") -> Value:
    """Give the logarithm of the hyperbolic cosine of the error, without overflow.

    >>> log_cosh([0.0, 1000.0], [0.0, 0.0], reduction="none").data.round(4)
    array([  0.    , 999.3069])
    """
    prediction, target = _pair("log_cosh", prediction, target)
    error = prediction - target
    return reduced("log_cosh", error + softplus(-2.0 * error) - log(2), reduction)


@worded
def binary_cross_entropy(
    prediction: Any, target: Any, *, weight: Any = None, reduction: Reduction = "mean"
) -> Value:
    """Give the cross entropy of probabilities, from 0 to 1, and targets from 0 to 1.

    Where a model gives a score, `binary_cross_entropy_with_logits` is more accurate. Logarithms
    count as -100 at least, so that a probability of exactly 0 or 1 has a finite loss; beyond it
    the gradient is 0.

    Parameters
    ----------
    prediction, target
        Probabilities, and what they should be.
    weight
        Of each entry; broadcasts.
    reduction
        ``"mean"``, ``"sum"`` or ``"none"``.

    Examples
    --------
    >>> binary_cross_entropy([0.5, 0.5], [0.0, 1.0]).data.round(4)
    np.float64(0.6931)
    """
    name = "binary_cross_entropy"
    prediction, target = _pair(name, prediction, target)
    yes, no = _bounded_log(prediction), _bounded_log(1.0 - prediction)
    return reduced(name, _weighted(-(target * yes + (1.0 - target) * no), weight), reduction)


def _bounded_log(x: Value) -> Value:
    value = logarithm(x)
    return where(value < _LEAST_LOG, _LEAST_LOG, value)


@worded
def binary_cross_entropy_with_logits(
    prediction: Any,
    target: Any,
    *,
    weight: Any = None,
    positive_weight: Any = None,
    reduction: Reduction = "mean",
) -> Value:
    """Give the cross entropy of the sigmoids of scores, and targets from 0 to 1.

    Parameters
    ----------
    prediction, target
        Scores of any size, and what their sigmoids should be.
    weight
        Of each entry; broadcasts.
    positive_weight
        Of the part that asks for 1; broadcasts.
    reduction
        ``"mean"``, ``"sum"`` or ``"none"``.

    Examples
    --------
    >>> binary_cross_entropy_with_logits([0.0, 1000.0], [1.0, 1.0]).data.round(4)
    np.float64(0.3466)
    """
    name = "binary_cross_entropy_with_logits"
    prediction, target = _pair(name, prediction, target)
    if positive_weight is None:
        loss = softplus(prediction) - target * prediction
    else:
        factor = 1.0 + (as_value(positive_weight) - 1.0) * target
        loss = (1.0 - target) * prediction + factor * softplus(-prediction)
    return reduced(name, _weighted(loss, weight), reduction)


@worded
def hinge(
    prediction: Any, target: Any, *, margin: float = 1.0, reduction: Reduction = "mean"
) -> Value:
    """Give by how much ``target * prediction`` falls short of *margin*; targets are -1 or 1.

    >>> hinge([0.5, 3.0], [1.0, 1.0], reduction="none").data
    array([0.5, 0. ])
    """
    prediction, target = _pair("hinge", prediction, target)
    return reduced("hinge", relu(margin - target * prediction), reduction)


@worded
def kl_div(
    prediction: Any,
    target: Any,
    *,
    log_target: bool = False,
    reduction: Literal["mean", "sum", "none", "batchmean"] = "mean",
) -> Value:
    """Give ``target * (log(target) - prediction)``: *prediction* holds logarithms.

    It is the divergence of Kullback and Leibler where both are distributions along the last axis;
    ``reduction="batchmean"`` divides its sum by the length of the first one.

    Parameters
    ----------
    prediction
        Logarithms of probabilities, such as `log_softmax` gives.
    target
        Probabilities; where one is 0 the loss is 0.
    log_target
        Whether the targets are logarithms too.
    reduction
        ``"mean"``, ``"sum"``, ``"none"`` or ``"batchmean"``.

    Examples
    --------
    >>> kl_div(np.log([[0.5, 0.5]]), [[1.0, 0.0]], reduction="batchmean").data.round(4)
    np.float64(0.6931)
    """
    prediction, target = _pair("kl_div", prediction, target)
    if log_target:
        loss = exp(target) * (target - prediction)
    else:
        loss = where(target > 0, target * (logarithm(target) - prediction), 0.0)
    if reduction != "batchmean":
        return reduced("kl_div", loss, reduction)
    if loss.ndim == 0:
        raise OptionError("kl_div: reduction='batchmean' needs a batch axis.")
    by_row: Value = total(loss) / loss.shape[0]
    return by_row


@worded
def poisson(
    prediction: Any,
    target: Any,
    *,
    log_input: bool = True,
    epsilon: float = 1e-8,
    reduction: Reduction = "mean",
) -> Value:
    """Give the negative logarithm of the chance of counts, without the part of the target alone.

    Parameters
    ----------
    prediction
        Expected counts; their logarithms with *log_input*.
    target
        Counts.
    log_input
        Whether the predictions are logarithms.
    epsilon
        Added to a predicted count before its logarithm is taken.
    reduction
        ``"mean"``, ``"sum"`` or ``"none"``.

    Examples
    --------
    >>> poisson([0.0], [3.0]).data
    np.float64(1.0)
    """
    prediction, target = _pair("poisson", prediction, target)
    if log_input:
        loss = exp(prediction) - target * prediction
    else:
        loss = prediction - target * logarithm(prediction + epsilon)
    return reduced("poisson", loss, reduction)


def _weighted(loss: Value, weight: Any) -> Value:
    return loss if weight is None else loss * as_value(weight)


def _pair(name: str, prediction: Any, target: Any) -> tuple[Value, Value]:
    """Give both operands as nodes of float dtypes, and warn where one is stretched."""
    nodes = []
    for what, given in (("prediction", prediction), ("target", target)):
        node = given if isinstance(given, Value) else constant(given)
        if node.dtype.kind not in "fiub":
            raise DTypeError(f"{name}: the {what} must be numbers, got {node.spec}.")
        nodes.append(node)
    first, second = nodes
    if first.dtype.kind != "f":
        first = astype(first, "float64" if second.dtype.kind != "f" else second.dtype)
    if second.dtype != first.dtype and not (second.requires_grad and second.dtype.kind == "f"):
        second = astype(second, first.dtype)
    is_number = not isinstance(target, Value) and second.ndim == 0
    if not is_number and _is_stretched(first.shape, second.shape):
        _warn_of_stretching(name, first, second)
    return first, second


def _is_stretched(a: Shape, b: Shape) -> bool:
    # Lengths that are bound later never stretch; what they can't match is refused by the operation.
    return len(a) != len(b) or any((m == 1) != (n == 1) for m, n in zip(a, b, strict=True))


def _warn_of_stretching(name: str, prediction: Value, target: Value) -> None:
    where_written = user_location()
    if where_written is not None:
        warnings.warn_explicit(
            f"{name}: the prediction has the shape {format_shape(prediction.shape)}, the target"
            f" {format_shape(target.shape)}: one is stretched to the other; reshape it if that is"
            " not meant.",
            BroadcastWarning,
            where_written.file,
            where_written.line,
        )
