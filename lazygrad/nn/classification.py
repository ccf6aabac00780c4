"""Losses of classes: scores along an axis, and labels or probabilities that they should give.

Labels are integers from 0 on; one that is out of range fails the run and is named.
"""

from __future__ import annotations

from typing import Any

from ..errors import DTypeError, OptionError, ShapeError
from ..ir.describe import worded
from ..ir.value import Value, as_value, constant
from ..ops import (
    astype,
    exp,
    expand_dims,
    log,
    max as largest,
    relu,
    squeeze,
    stop_gradient,
    sum as total,
    take,
    take_along_axis,
    where,
)
from ..ops.control import within
from ..spec import differs, normalize_axis
from .operands import Reduction, reduced

__all__ = ["cross_entropy", "multiclass_hinge", "nll"]


@worded
def cross_entropy(
    prediction: Any,
    target: Any,
    *,
    axis: int = -1,
    weight: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> Value:
    """Give the cross entropy of the softmax of scores, and labels or probabilities.

    Parameters
    ----------
    prediction
        Scores, of any size; classes lie along *axis*.
    target
        Labels: integers, with the shape of the scores without *axis*. Or probabilities: floats,
        with the shape of the scores.
    axis
        Where the classes are, by default the last axis.
    weight
        One number for each class. The mean over labels is then that of what they weigh.
    ignore_index
        A label, any integer, of entries that don't count. If none counts the mean is NaN.
    label_smoothing
        The part of each target that is spread evenly over all classes; Szegedy et al. (2016).
    reduction
        ``"mean"``, ``"sum"`` or ``"none"``, over all entries but the classes.

    Raises
    ------
    ShapeError
        If the shapes don't fit.
    OperationError
        If a label is out of range, when the graph runs.

    Examples
    --------
    >>> cross_entropy([[0.0, 0.0], [0.0, 1000.0]], [0, 1]).data.round(4)
    np.float64(0.3466)
    """
    name = "cross_entropy"
    scores, place = _scores(name, prediction, axis)
    if not 0 <= label_smoothing <= 1:
        raise OptionError(f"{name}: label_smoothing must be from 0 to 1, got {label_smoothing}.")
    # The result doesn't depend on the shift, so it has no part in a derivative of any order.
    shifted = scores - stop_gradient(largest(scores, axis=place, keepdims=True))
    norm = log(total(exp(shifted), axis=place, keepdims=True))
    given = target if isinstance(target, Value) else constant(target)
    if given.dtype.kind == "f":
        if ignore_index is not None:
            raise OptionError(f"{name}: ignore_index is for labels, the target is {given.spec}.")
        share = _probabilities(name, scores, given)
        return _of_probabilities(norm, shifted, share, place, weight, label_smoothing, reduction)
    labels = _labels(name, scores, given, place, ignore_index)
    weights = None if weight is None else _class_weights(name, weight, scores.shape[place])
    entries = squeeze(norm, axis=place) - _picked(shifted, labels, place)
    if weights is not None:
        entries = entries * take(weights, labels)
    if label_smoothing:
        spread = norm - shifted
        if weights is not None:
            spread = spread * _along(weights, scores.ndim, place)
        even = label_smoothing * total(spread, axis=place) / scores.shape[place]
        entries = (1 - label_smoothing) * entries + even
    return _reduced_labels(name, entries, given, labels, weights, ignore_index, reduction)


@worded
def nll(
    prediction: Any,
    target: Any,
    *,
    axis: int = -1,
    weight: Any = None,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Value:
    """Give the negative logarithm of the probability of each label; options as `cross_entropy`'s.

    >>> nll(np.log([[0.25, 0.75]]), [1]).data.round(4)
    np.float64(0.2877)
    """
    scores, place = _scores("nll", prediction, axis)
    given = as_value(target)
    labels = _labels("nll", scores, given, place, ignore_index)
    weights = None if weight is None else _class_weights("nll", weight, scores.shape[place])
    entries = -_picked(scores, labels, place)
    if weights is not None:
        entries = entries * take(weights, labels)
    return _reduced_labels("nll", entries, given, labels, weights, ignore_index, reduction)


@worded
def multiclass_hinge(
    prediction: Any,
    target: Any,
    *,
    axis: int = -1,
    margin: float = 1.0,
    squared: bool = False,
    weight: Any = None,
    reduction: Reduction = "mean",
) -> Value:
    """Give by how much the other classes come within *margin* of the right one, per class.

    Crammer and Singer (2001), summed over the other classes and divided by the number of classes.

    >>> multiclass_hinge([[0.1, 0.2, 0.4, 0.8]], [3]).data.round(4)
    np.float64(0.325)
    """
    name = "multiclass_hinge"
    if not margin > 0:
        raise OptionError(f"{name}: margin must be positive, got {margin}.")
    scores, place = _scores(name, prediction, axis)
    labels = _labels(name, scores, as_value(target), place, None)
    right = expand_dims(_picked(scores, labels, place), place)
    short = relu(margin - right + scores)
    own = margin
    if squared:
        short, own = short * short, margin * margin
    # The right class itself is short by the margin, whatever its score.
    entries = (total(short, axis=place) - own) / scores.shape[place]
    if weight is not None:
        entries = entries * take(_class_weights(name, weight, scores.shape[place]), labels)
    return reduced(name, entries, reduction)


def _scores(name: str, prediction: Any, axis: int) -> tuple[Value, int]:
    scores = as_value(prediction)
    if scores.dtype.kind != "f":
        if scores.dtype.kind not in "iub":
            raise DTypeError(f"{name}: the prediction must be numbers, got {scores.spec}.")
        scores = astype(scores, "float64")
    if scores.ndim == 0:
        raise ShapeError(f"{name}: the prediction needs an axis of classes, got {scores.spec}.")
    return scores, normalize_axis(axis, scores.ndim)


def _labels(name: str, scores: Value, given: Value, place: int, ignore_index: int | None) -> Value:
    """Check labels; those to be ignored count as class 0 until they are left out."""
    if given.dtype.kind not in "iu":
        raise DTypeError(f"{name}: labels are integers, got {given.spec}.")
    expected = (*scores.shape[:place], *scores.shape[place + 1 :])
    if given.ndim != len(expected) or any(map(differs, given.shape, expected)):
        wanted = "[" + ", ".join(map(str, expected)) + "]"
        raise ShapeError(
            f"{name}: for a prediction of {scores.spec} labels need the shape {wanted},"
            f" got {given.spec}."
        )
    labels = given if ignore_index is None else where(given == ignore_index, 0, given)
    return within(astype(labels, "int64"), stop=scores.shape[place], what=f"{name}: label")


def _probabilities(name: str, scores: Value, given: Value) -> Value:
    if given.ndim != scores.ndim or any(map(differs, given.shape, scores.shape)):
        raise ShapeError(
            f"{name}: a prediction of {scores.spec} needs probabilities of its shape, or integer"
            f" labels, got {given.spec}."
        )
    return given if given.requires_grad else astype(given, scores.dtype)


def _of_probabilities(
    norm: Value,
    shifted: Value,
    share: Value,
    place: int,
    weight: Any,
    label_smoothing: float,
    reduction: Reduction,
) -> Value:
    classes = shifted.shape[place]
    if label_smoothing:
        share = (1 - label_smoothing) * share + as_value(label_smoothing) / classes
    if weight is not None:
        weights = _class_weights("cross_entropy", weight, classes)
        share = share * _along(weights, shifted.ndim, place)
    return reduced("cross_entropy", total(share * (norm - shifted), axis=place), reduction)


def _picked(scores: Value, labels: Value, place: int) -> Value:
    found = take_along_axis(scores, expand_dims(labels, place), axis=place)
    return squeeze(found, axis=place)


def _class_weights(name: str, weight: Any, classes: Any) -> Value:
    weights = as_value(weight)
    if weights.ndim != 1 or differs(weights.shape[0], classes):
        raise ShapeError(
            f"{name}: weight needs one number for each of {classes} classes, got {weights.spec}."
        )
    return weights


def _along(weights: Value, rank: int, place: int) -> Value:
    return expand_dims(weights, tuple(axis for axis in range(rank) if axis != place))


def _reduced_labels(
    name: str,
    entries: Value,
    given: Value,
    labels: Value,
    weights: Value | None,
    ignore_index: int | None,
    reduction: Reduction,
) -> Value:
    counts = None if weights is None else take(weights, labels)
    if ignore_index is not None:
        is_counted = given != ignore_index
        entries = where(is_counted, entries, 0.0)
        one = astype(is_counted, entries.dtype)
        counts = one if counts is None else where(is_counted, counts, 0.0)
    if reduction != "mean" or counts is None:
        return reduced(name, entries, reduction)
    return total(entries) / total(counts)
