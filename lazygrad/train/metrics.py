"""Metrics: what a model is judged by, as expressions that join the training program.

A metric that is a mean over rows is a node without axes; over several batches its values are
averaged, weighted by rows. One that is no such mean, r2, is a `Metric`: sums that are added up, and
a function of the totals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DTypeError, OptionError, ShapeError
from ..ir.describe import worded
from ..ir.value import Value, as_value
from ..nn import mae as mae
from ..ops import argmax, astype, expand_dims, mean, square, sum as total, take_along_axis
from ..spec import differs, normalize_axis, product

__all__ = ["Metric", "accuracy", "mae", "r2", "top_k_accuracy"]


@dataclass(frozen=True)
class Metric:
    """Sums over entries, and what is made of their totals.

    Parameters
    ----------
    terms
        Nodes without axes, by name; over several batches each is added up.
    finish
        Gives the metric from the totals: of numbers, or of nodes.

    Examples
    --------
    >>> hits, number = lg.Value(3.0), lg.Value(4.0)
    >>> share = Metric({"hits": hits, "number": number}, lambda sums: sums["hits"] / sums["number"])
    >>> share.value.data
    np.float64(0.75)
    """

    terms: Mapping[str, Value]
    finish: Callable[[Mapping[str, Any]], Any]

    @property
    def value(self) -> Value:
        """The metric of what is fed at once, as a node."""
        return as_value(self.finish(self.terms))


@worded
def accuracy(prediction: Any, target: Any, *, axis: int = -1, threshold: float = 0.0) -> Value:
    """Give the share of rows that are classified right.

    Parameters
    ----------
    prediction
        Scores with the classes along *axis*; or, with the shape of the target, the score of the one
        class that is told from the other, or classes themselves (integers).
    target
        Labels: integers, or numbers of which those above one half mean yes.
    axis
        Where the classes are.
    threshold
        From where on a single score means yes: 0 for logits, 0.5 for probabilities.

    Examples
    --------
    >>> accuracy([[0.1, 0.9], [0.8, 0.2]], [1, 1]).data
    np.float64(0.5)
    >>> accuracy([-1.0, 2.0], [0, 1]).data
    np.float64(1.0)
    """
    guess, labels = as_value(prediction), as_value(target)
    if guess.ndim == labels.ndim + 1:
        guess = argmax(guess, axis=axis)
    elif guess.dtype.kind == "f":
        guess, labels = guess > threshold, labels > 0.5
    if guess.ndim != labels.ndim or any(map(differs, guess.shape, labels.shape)):
        raise ShapeError(
            f"accuracy: a prediction of {as_value(prediction).spec} doesn't fit a target of"
            f" {as_value(target).spec}."
        )
    return mean(guess == labels)


@worded
def top_k_accuracy(prediction: Any, target: Any, k: int = 5, *, axis: int = -1) -> Value:
    """Give the share of rows whose label is among the *k* classes with the largest scores.

    A class with the same score as the right one doesn't come before it.

    >>> top_k_accuracy([[0.1, 0.5, 0.4], [0.7, 0.2, 0.1]], [2, 2], k=2).data
    np.float64(0.5)
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise OptionError(f"top_k_accuracy: k must be a positive integer, got {k!r}.")
    scores, labels = as_value(prediction), as_value(target)
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"top_k_accuracy: labels are integers, got {labels.spec}.")
    if scores.ndim != labels.ndim + 1:
        raise ShapeError(
            f"top_k_accuracy: scores of {scores.spec} don't fit labels of {labels.spec}."
        )
    place = normalize_axis(axis, scores.ndim)
    own = take_along_axis(scores, expand_dims(labels, place), axis=place)
    before = total(astype(scores > own, "int64"), axis=place)
    return mean(before < k)


@worded
def r2(prediction: Any, target: Any) -> Metric:
    """Give the share of the target's variance that is explained, the coefficient of determination.

    1 is perfect, and 0 is no better than the mean of all targets; NaN or infinite where they are
    all equal. Its ``value`` is that of what is fed at once.

    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]).value.data.round(4)
    np.float64(0.7857)
    """
    guess, wanted = as_value(prediction), as_value(target)
    if guess.ndim != wanted.ndim or any(map(differs, guess.shape, wanted.shape)):
        raise ShapeError(f"r2: a prediction of {guess.spec} doesn't fit a target of {wanted.spec}.")
    # Sums of squares lose too much in float32.
    wanted = astype(wanted, "float64")
    return Metric(
        {
            "error": total(square(wanted - guess)),
            "sum": total(wanted),
            "squares": total(square(wanted)),
            "number": as_value(product(wanted.shape)) * 1.0,
        },
        lambda sums: (
            1 - sums["error"] / (sums["squares"] - sums["sum"] * sums["sum"] / sums["number"])
        ),
    )
