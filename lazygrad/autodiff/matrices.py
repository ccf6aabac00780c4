"""Whole matrices of derivatives: Jacobians and Hessians.

The derivative along one basis vector is a small graph; it is run for all of them at once where
every operation can be batched, and else in a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import OptionError, ShapeError
from ..ir.describe import worded
from ..ir.value import Value, constant, originating
from ..lengths import Dim
from ..ops.arithmetic import astype
from ..ops.shape import reshape
from ..spec import Spec, cotangent_dtype, product
from .batch import LARGEST_BATCH, batched
from .derivatives import Leaves, filled, flatten, grad, jvp, unflatten, vjp
from .loops import argument
from .scan import scan

__all__ = ["hessian", "jacobian"]


def _basis(spec: Spec, step: Value) -> Value:
    """Give the basis vector number *step* of a spec's shape."""
    count = product(spec.shape)
    places = _counted(count)
    hot = astype(places == step, cotangent_dtype(spec.dtype))
    return reshape(hot, spec.shape)


def _counted(count: Dim) -> Value:
    """Give the numbers from 0 to *count*, which may be symbolic."""
    if isinstance(count, int):
        return constant(np.arange(count))
    ones = filled(Spec((count,), np.dtype(np.float64)), 1.0)
    return astype(scan(lambda total, x: (total + x, total), 0.0, ones)[1], np.int64)


@worded
def jacobian(y: Value, wrt: Leaves, *, mode: str | None = None) -> Any:
    """Differentiate every element of *y* with respect to every element of *wrt*.

    Each result has the shape of *y* followed by that of the leaf; the structure is that of *wrt*.
    Reverse mode takes a step per element of *y*, forward mode one per element of the leaf;
    *mode* is ``"reverse"``, ``"forward"``, or None for the shorter of the two.

    >>> x = Value([1.0, 2.0])
    >>> jacobian(x * x, x)
    Value(data=[[2. 0.]
     [0. 4.]], grad=None)
    """
    if mode not in (None, "reverse", "forward"):
        raise OptionError(f'jacobian: mode must be "reverse", "forward" or None, got {mode!r}.')
    if not isinstance(y, Value):
        raise OptionError(f"jacobian: y must be a node, got {type(y).__name__}.")
    leaves = flatten(wrt, "wrt")
    return unflatten(wrt, [_jacobian(y, leaf, mode) for leaf in leaves])


def _jacobian(y: Value, x: Value, mode: str | None) -> Value:
    # A constant matrix has no placeholder left, but knows by its origin what may be fed.
    with originating(y):
        return _matrix(y, x, mode)


def _matrix(y: Value, x: Value, mode: str | None) -> Value:
    rows, columns = product(y.spec.shape), product(x.spec.shape)
    if mode is None:
        mode = "reverse"
        if isinstance(rows, int) and isinstance(columns, int) and columns < rows:
            mode = "forward"
    shape = (*y.spec.shape, *x.spec.shape)
    if mode == "forward":
        stacked = _along_basis(x.spec, lambda t: jvp(y, x, t))
        return reshape(reshape(stacked, (columns, rows)).T, shape)
    return reshape(_along_basis(y.spec, lambda g: vjp(y, x, g)), shape)


def _along_basis(spec: Spec, derivative: Callable[[Value], Value]) -> Value:
    """Stack the derivatives along every basis vector: at once where that can be, else in a loop."""
    count, dtype = product(spec.shape), cotangent_dtype(spec.dtype)
    if isinstance(count, int) and spec.is_static:
        vector = argument(Spec(spec.shape, dtype), "basis")
        result = derivative(vector)
        if count * count * dtype.itemsize <= LARGEST_BATCH:
            basis = constant(np.eye(count, dtype=dtype).reshape(count, *spec.shape))
            at_once = batched([result], {vector: basis})
            if at_once is not None:
                return at_once[0]
    _, stacked = scan(lambda _, step: ((), derivative(_basis(spec, step))), (), _counted(count))
    looped: Value = stacked
    return looped


@worded
def hessian(y: Value, wrt: Leaves) -> Any:
    """Differentiate a scalar twice: the matrix of its second derivatives.

    Of one leaf, a node of its shape twice over. Of several, the structure of *wrt* twice over:
    ``result[a][b]`` has the shape of *a* followed by that of *b*. Forward over reverse mode, one
    Hessian-vector product per element.

    >>> x = Value([1.0, 2.0])
    >>> hessian((x ** 3).sum(), x)
    Value(data=[[ 6.  0.]
     [ 0. 12.]], grad=None)
    """
    if not isinstance(y, Value):
        raise OptionError(f"hessian: y must be a node, got {type(y).__name__}.")
    if y.spec.shape != ():
        raise ShapeError(f"hessian: y must be one number, got {y.spec}; give its sum.")
    leaves = flatten(wrt, "wrt")
    gradients: Sequence[Value] = grad(y, leaves)
    return unflatten(wrt, [unflatten(wrt, [_block(g, leaf) for leaf in leaves]) for g in gradients])


def _block(g: Value, leaf: Value) -> Value:
    return _jacobian(g, leaf, "forward")
