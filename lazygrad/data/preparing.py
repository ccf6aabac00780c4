"""Labels and features as a model wants them: one-hot rows, standardized columns.

Knows arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DTypeError, OptionError, ShapeError
from .columns import Array, described, positive

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Standardization", "one_hot", "standardize"]


def one_hot(labels: npt.ArrayLike, classes: int, dtype: npt.DTypeLike = "float32") -> Array:
    """Write each label as a row of zeros with a one at its place.

    Parameters
    ----------
    labels : array of integers or bool, of any shape
        From 0 to *classes* - 1; anything else is an `OptionError` that says which.
    classes : int
        Length of a row. It is never guessed: a part of the data may lack the last class.
    dtype : dtype
        Of the result.

    Returns
    -------
    array of the shape of *labels* with one axis more, of length *classes*

    Examples
    --------
    >>> lg.data.one_hot([2, 0], classes=3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    codes = _unmasked("one_hot", "labels", labels)
    width = positive("one_hot", "classes", classes)
    if codes.dtype.kind not in "biu" and codes.size:
        raise DTypeError(f"one_hot: labels is {described(codes)}, expected integers or bool.")
    outside = (codes < 0) | (codes >= width) if codes.size else np.zeros(codes.shape, np.bool_)
    if outside.any():
        place = tuple(int(axis[0]) for axis in np.nonzero(np.atleast_1d(outside)))
        where = f" at {list(place)}" if codes.ndim else ""
        raise OptionError(
            f"one_hot: label {np.atleast_1d(codes)[place]}{where} is outside 0 to {width - 1}, "
            f"the {width} classes."
        )
    result = np.zeros((codes.size, width), dtype)
    result[np.arange(codes.size), codes.ravel().astype(np.intp)] = 1
    return result.reshape(*codes.shape, width)


@dataclass(frozen=True, eq=False)
class Standardization:
    """Mean and deviation of each feature, to apply to other data; made by `standardize`.

    Attributes
    ----------
    mean : float array of the shape of a row
    deviation : float array of the shape of a row
        1 for a feature that never varies; so that feature becomes 0.

    Examples
    --------
    >>> _, scale = lg.data.standardize([[1.0, 5.0], [3.0, 5.0]])
    >>> scale.mean, scale.deviation
    (array([2., 5.]), array([1., 1.]))
    """

    mean: Array
    deviation: Array

    def apply(self, x: npt.ArrayLike) -> Array:
        """Subtract the mean and divide by the deviation; *x* is a row or any stack of rows.

        >>> _, scale = lg.data.standardize([10.0, 30.0])
        >>> scale.apply([10.0, 20.0, 40.0])
        array([-1.,  0.,  2.])
        """
        rows = self._rows("apply", "x", x)
        return _as_given((rows - self.mean) / self.deviation, rows)

    def invert(self, x: npt.ArrayLike) -> Array:
        """Undo `apply`, up to rounding.

        >>> _, scale = lg.data.standardize([10.0, 30.0])
        >>> scale.invert([-1.0, 2.0])
        array([10., 40.])
        """
        rows = self._rows("invert", "x", x)
        return _as_given(rows * self.deviation + self.mean, rows)

    def _rows(self, caller: str, name: str, x: npt.ArrayLike) -> Array:
        rows = _numbers(caller, name, x)
        shape = self.mean.shape
        if rows.ndim < len(shape) or rows.shape[rows.ndim - len(shape) :] != shape:
            raise ShapeError(
                f"{caller}: {name} is {described(rows)}, expected rows of shape {list(shape)}."
            )
        return rows


def standardize(train: npt.ArrayLike, *others: npt.ArrayLike) -> tuple[Any, ...]:
    """Shift and scale each feature to mean 0 and deviation 1 over the rows of *train*.

    Other arrays are shifted and scaled by the numbers of *train*, so that nothing is learned from
    test data.

    Parameters
    ----------
    train : array of shape (rows, ...)
        Finite numbers, at least one row.
    *others : array
        Rows of the same shape.

    Returns
    -------
    tuple
        The new arrays in the order given, then the `Standardization`. Float dtypes are kept,
        others become float64; computed in float64 at least. The deviation is that of the rows
        themselves (divided by their number); a feature that never varies becomes 0.

    Examples
    --------
    >>> train, test, scale = lg.data.standardize([[0.0, 7.0], [4.0, 7.0]], [[6.0, 8.0]])
    >>> train, test
    (array([[-1.,  0.],
           [ 1.,  0.]]), array([[2., 1.]]))
    >>> scale.invert(test)
    array([[6., 8.]])
    """
    rows = _numbers("standardize", "train", train)
    if not rows.ndim or not len(rows):
        raise ShapeError(f"standardize: train is {described(rows)}, expected at least one row.")
    finite = np.isfinite(rows)
    if not finite.all():
        first = tuple(int(axis[0]) for axis in np.nonzero(~finite))
        raise OptionError(
            f"standardize: train has {rows[first]} at {list(first)}, expected finite numbers."
        )
    scale = _measured(rows.astype(np.result_type(rows.dtype, np.float64), copy=False))
    arrays = [rows, *(np.asanyarray(other) for other in others)]
    for place, other in enumerate(arrays[1:], start=1):
        if other.shape[1:] != rows.shape[1:] or not other.ndim:
            raise ShapeError(
                f"standardize: array {place} is {described(other)}, "
                f"train is {described(rows)}; expected rows of one shape."
            )
    return (*(scale.apply(array) for array in arrays), scale)


def _measured(rows: Array) -> Standardization:
    lowest, highest = rows.min(axis=0), rows.max(axis=0)
    # The computed mean of equal numbers may differ from them, and would make noise of a constant.
    mean = np.where(lowest == highest, lowest, rows.mean(axis=0))
    distance = rows - mean
    # Squares of very large and very small numbers leave the range of floats; ratios don't.
    largest = np.abs(distance).max(axis=0)
    unit = np.where(largest > 0, largest, 1)
    deviation = unit * np.sqrt(np.square(distance / unit).mean(axis=0))
    return Standardization(mean, np.where(deviation > 0, deviation, 1))


def _as_given(result: Array, given: Array) -> Array:
    """Cast to the dtype of a float array; other numbers become float64."""
    return np.asarray(result, given.dtype if given.dtype.kind == "f" else None)


def _numbers(caller: str, name: str, given: npt.ArrayLike) -> Array:
    array = _unmasked(caller, name, given)
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"{caller}: {name} is {described(array)}, expected real numbers.")
    return array


def _unmasked(caller: str, name: str, given: npt.ArrayLike) -> Array:
    if np.ma.is_masked(given):
        raise OptionError(f"{caller}: {name} has masked entries, expected numbers everywhere.")
    return np.asarray(given)
