"""Statistics and norms, composed of reductions; and reductions that leave NaN out.

std and norm have derivative 0 where they are 0. A NaN that is left out passes no derivative on.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable

import numpy as np

from ..errors import OptionError, ShapeError
from ..ir.describe import worded
from ..ir.op import NUMPY_FUNCTIONS, Operand, implements
from ..ir.value import Value, as_value
from ..lengths import Dim, maximum as larger_length
from ..spec import DType, DTypeLike, format_shape, product, require_same_shape
from .arithmetic import absolute, astype, isnan, logical_not, square, where
from .cumulative import as_float
from .elementary import sqrt
from .reduce import (
    all,
    count_nonzero,
    max,
    mean,
    mean_over,
    min,
    prepared,
    prod,
    reduced_shape,
    sum,
    sum_over,
    widened,
)
from .shape import broadcast_to, reshape, transpose

__all__ = [
    "average",
    "nanmax",
    "nanmean",
    "nanmin",
    "nanprod",
    "nanstd",
    "nansum",
    "nanvar",
    "norm",
    "std",
    "var",
]


def _taken(name: str, ddof: object, correction: object) -> int | float:
    """Read the degrees of freedom that a variance takes off its divisor."""
    if correction is not None and ddof != 0:
        raise OptionError(f"{name}: give ddof= or correction=, not both; they mean the same.")
    taken = ddof if correction is None else correction
    if isinstance(taken, (bool, np.bool_)) or not isinstance(
        taken, (int, float, np.integer, np.floating)
    ):
        raise OptionError(f"{name}: ddof must be a number, got {taken!r}.")
    return int(taken) if float(taken).is_integer() else float(taken)


def _freedom(name: str, count: Dim, ddof: object, correction: object) -> Dim | float:
    """Give the divisor of a variance: the count less the degrees of freedom, never below 0."""
    taken = _taken(name, ddof, correction)
    if isinstance(taken, int):
        return larger_length(count - taken, 0)
    if not isinstance(count, int):
        raise OptionError(
            f"{name}: of a length known only later, {count}, ddof must be whole, got {taken}."
        )
    return builtins.max(count - taken, 0.0)


def _root(v: Value) -> Value:
    """Give the square root, with derivative 0 at 0."""
    return where(v == 0, 0, sqrt(v))


def _squared_distances(node: Value, axes: tuple[int, ...]) -> Value:
    return square(node - mean_over(node, axes, True))


def _variance(
    name: str,
    a: Operand,
    axis: object,
    dtype: DTypeLike | None,
    keepdims: bool,
    ddof: object,
    correction: object,
) -> tuple[Value, DType]:
    """Give a variance, worked out in at least float32, and the dtype that it should have."""
    node, axes = prepared(a, axis)
    if dtype is not None:
        node = astype(node, dtype)
    wanted = as_float(node).spec.dtype
    node = widened(node)
    divisor = _freedom(name, product(node.spec.shape[i] for i in axes), ddof, correction)
    total = sum_over(_squared_distances(node, axes), axes=axes, keepdims=bool(keepdims))
    return total / divisor, wanted


@implements(np.var)
def var(
    a: Operand,
    axis: object = None,
    dtype: DTypeLike | None = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    correction: float | None = None,
) -> Value:
    """Average the squared distances of *a* from their mean along *axis*.

    The divisor is the number of elements less *ddof*, which *correction* is another name of.

    >>> var(Value([1.0, 3.0]), correction=1)
    Value(data=2.0, grad=None)
    """
    result, wanted = _variance("var", a, axis, dtype, keepdims, ddof, correction)
    return astype(result, wanted)


@implements(np.std)
def std(
    a: Operand,
    axis: object = None,
    dtype: DTypeLike | None = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    correction: float | None = None,
) -> Value:
    """Give the root of `var` along *axis*; its derivative is 0 where all elements are equal.

    >>> std(Value([1.0, 3.0]))
    Value(data=1.0, grad=None)
    """
    result, wanted = _variance("std", a, axis, dtype, keepdims, ddof, correction)
    return astype(_root(result), wanted)


@implements(np.average)
def average(
    a: Operand, axis: object = None, weights: Operand | None = None, *, keepdims: bool = False
) -> Value:
    """Average *a* along *axis*, each element as often as *weights* says.

    Weights have the shape of *a*, or the lengths of the axes that *axis* names.

    >>> average(Value([1.0, 2.0]), weights=[3, 1])
    Value(data=1.25, grad=None)
    """
    if weights is None:
        return mean(a, axis, keepdims=keepdims)
    node, axes = prepared(a, axis)
    weight = as_value(weights)
    if weight.ndim == node.ndim:
        require_same_shape(
            weight.spec.shape, node.spec.shape, "average: weights must have the operand's shape"
        )
    else:
        weight = _weights_along(weight, node, axes, axis)
    total = sum(broadcast_to(weight, node.spec.shape), axes, keepdims=keepdims)
    return sum(node * weight, axes, keepdims=keepdims) / total


def _weights_along(weight: Value, node: Value, axes: tuple[int, ...], axis: object) -> Value:
    """Lay weights, one axis for each that is reduced, along those of the operand."""
    lengths = tuple(node.spec.shape[i] for i in axes)
    if weight.ndim != len(axes):
        raise ShapeError(
            f"average: weights {format_shape(weight.spec.shape)} fit neither"
            f" {format_shape(node.spec.shape)} nor its axis={axis!r}."
        )
    require_same_shape(
        weight.spec.shape, lengths, f"average: weights must have the lengths of axis={axis!r}"
    )
    order = sorted(range(len(axes)), key=axes.__getitem__)
    shape = [length if i in axes else 1 for i, length in enumerate(node.spec.shape)]
    return reshape(transpose(weight, order), shape)


@implements(np.linalg.norm)
def norm(
    x: Operand,
    ord: object = None,
    axis: object = None,
    keepdims: bool = False,
) -> Value:
    """Measure a vector or matrix, or those that lie along *axis*.

    Of vectors every order that NumPy has; of matrices None or ``"fro"`` (the root of the sum of
    squares), 1 and -1 (columns), inf and -inf (rows). The derivative at 0 is 0.

    >>> norm(Value([3.0, 4.0]))
    Value(data=5.0, grad=None)
    """
    node, axes = prepared(x, axis)
    node = as_float(node)
    if len(axes) == 1 or (ord is None and axis is None):
        return _vector_norm(node, 2 if ord is None else ord, axes, bool(keepdims))
    if len(axes) != 2:
        raise ShapeError(
            f"norm: ord={ord!r} needs one axis or two, got axis={axis!r} of {node.spec}."
        )
    if ord is None or ord == "fro":
        return _vector_norm(node, 2, axes, bool(keepdims))
    lines = {1: (0, max), -1: (0, min), np.inf: (1, max), -np.inf: (1, min)}
    if ord not in lines:
        raise OptionError(f"norm: of matrices ord is None, 'fro', 1, -1, inf or -inf, got {ord!r}.")
    summed, choose = lines[ord]
    sums = sum(absolute(node), axes[summed], keepdims=True)
    result = choose(sums, axes[1 - summed], keepdims=True)
    return reshape(result, reduced_shape(node.spec.shape, axes, bool(keepdims)))


def _vector_norm(node: Value, ord: object, axes: tuple[int, ...], keepdims: bool) -> Value:
    if isinstance(ord, bool) or not isinstance(ord, (int, float, np.integer, np.floating)):
        raise OptionError(f"norm: of vectors ord is a number, got {ord!r}.")
    order = float(ord)
    if order == 2:
        return _root(sum_over(square(node), axes=axes, keepdims=keepdims))
    if order == 0:
        return astype(count_nonzero(node, axes, keepdims=keepdims), node.spec.dtype)
    distance = absolute(node)
    if np.isinf(order):
        return (max if order > 0 else min)(distance, axes, keepdims=keepdims)
    if order == 1:
        return sum_over(distance, axes=axes, keepdims=keepdims)
    total = sum_over(distance**order, axes=axes, keepdims=keepdims)
    return where(total == 0, 0, total ** (1 / order))


def vector_norm(
    x: Operand,
    *,
    axis: object = None,
    keepdims: bool = False,
    ord: float = 2,
) -> Value:
    """Measure *x* as one vector along all axes of *axis*; see `norm`."""
    node, axes = prepared(x, axis)
    return _vector_norm(as_float(node), ord, axes, bool(keepdims))


NUMPY_FUNCTIONS[np.linalg.vector_norm] = worded(vector_norm)


def _without_nan(a: Operand, instead: float) -> tuple[Value, Value]:
    """Give *a* with NaN replaced, and where it was."""
    node = as_value(a)
    lost = isnan(node)
    return (node if node.spec.dtype.kind != "f" else where(lost, instead, node)), lost


@implements(np.nansum)
def nansum(
    a: Operand, axis: object = None, dtype: DTypeLike | None = None, *, keepdims: bool = False
) -> Value:
    """Add up the elements of *a* that are not NaN along *axis*.

    >>> nansum(Value([1.0, np.nan, 2.0]))
    Value(data=3.0, grad=None)
    """
    return sum(_without_nan(a, 0)[0], axis, dtype, keepdims=keepdims)


@implements(np.nanprod)
def nanprod(
    a: Operand, axis: object = None, dtype: DTypeLike | None = None, *, keepdims: bool = False
) -> Value:
    """Multiply the elements of *a* that are not NaN along *axis*."""
    return prod(_without_nan(a, 1)[0], axis, dtype, keepdims=keepdims)


def _nan_extremum(
    choose: Callable[..., Value], a: Operand, instead: float, axis: object, keepdims: bool
) -> Value:
    node, lost = _without_nan(a, instead)
    result = choose(node, axis, keepdims=keepdims)
    if node.spec.dtype.kind != "f":
        return result
    return where(all(lost, axis, keepdims=keepdims), np.nan, result)


@implements(np.nanmax)
def nanmax(a: Operand, axis: object = None, *, keepdims: bool = False) -> Value:
    """Give the largest element of *a* along *axis* that is not NaN; NaN where all are."""
    return _nan_extremum(max, a, -np.inf, axis, keepdims)


@implements(np.nanmin)
def nanmin(a: Operand, axis: object = None, *, keepdims: bool = False) -> Value:
    """Give the smallest element of *a* along *axis* that is not NaN; NaN where all are."""
    return _nan_extremum(min, a, np.inf, axis, keepdims)


@implements(np.nanmean)
def nanmean(
    a: Operand, axis: object = None, dtype: DTypeLike | None = None, *, keepdims: bool = False
) -> Value:
    """Average the elements of *a* that are not NaN along *axis*; NaN where all are.

    >>> nanmean(Value([1.0, np.nan, 2.0]))
    Value(data=1.5, grad=None)
    """
    node = as_float(as_value(a) if dtype is None else astype(a, dtype))
    total, count = _nan_total(widened(node), axis, keepdims)
    return astype(total / count, node.spec.dtype)


def _nan_total(node: Value, axis: object, keepdims: bool) -> tuple[Value, Value]:
    """Add up what is not NaN, and count it in the same dtype."""
    kept, lost = _without_nan(node, 0)
    count = count_nonzero(logical_not(lost), axis, keepdims=keepdims)
    return sum(kept, axis, keepdims=keepdims), astype(count, node.spec.dtype)


def _nan_variance(
    name: str,
    a: Operand,
    axis: object,
    dtype: DTypeLike | None,
    keepdims: bool,
    ddof: object,
    correction: object,
) -> tuple[Value, DType]:
    node = as_float(as_value(a) if dtype is None else astype(a, dtype))
    wanted, node = node.spec.dtype, widened(node)
    total, count = _nan_total(node, axis, True)
    kept, lost = _without_nan(node, 0)
    distances = where(lost, 0, square(kept - total / count))
    count = sum(astype(logical_not(lost), node.spec.dtype), axis, keepdims=keepdims)
    free = count - _taken(name, ddof, correction)
    result = sum(distances, axis, keepdims=keepdims) / where(free > 0, free, np.nan)
    return result, wanted


@implements(np.nanvar)
def nanvar(
    a: Operand,
    axis: object = None,
    dtype: DTypeLike | None = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    correction: float | None = None,
) -> Value:
    """Give the variance of the elements of *a* that are not NaN along *axis*.

    NaN where no more than *ddof* elements are left.
    """
    result, wanted = _nan_variance("nanvar", a, axis, dtype, keepdims, ddof, correction)
    return astype(result, wanted)


@implements(np.nanstd)
def nanstd(
    a: Operand,
    axis: object = None,
    dtype: DTypeLike | None = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    correction: float | None = None,
) -> Value:
    """Give the root of `nanvar` along *axis*; its derivative is 0 where all elements are equal."""
    result, wanted = _nan_variance("nanstd", a, axis, dtype, keepdims, ddof, correction)
    return astype(_root(result), wanted)
