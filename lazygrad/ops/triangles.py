"""Parts of matrices that lie below, on and above the diagonal, weighted."""

from __future__ import annotations

import numpy as np

from ..ir.op import Array
from ..ir.value import Value, constant
from ..spec import DType, Shape
from .batching import batch_by_broadcasting
from .forms import NodeFunction, linear
from .shape import broadcast_to

__all__: list[str] = []


def _weigh(x: Array, out: Array, *, below: float, on: float, above: float) -> None:
    rows, columns = np.ogrid[: x.shape[-2], : x.shape[-1]]
    weights = np.where(rows > columns, below, np.where(rows == columns, on, above))
    out.fill(0)
    np.multiply(x, weights.astype(x.dtype), out=out, where=weights != 0)


weigh_triangles: NodeFunction = linear(
    "weigh_triangles",
    _weigh,
    infer=lambda x, **attrs: x,
    transpose=lambda g, x, **attrs: weigh_triangles(g, **attrs),
    variants=({"below": 1.0, "on": 0.5, "above": 0.0}, {"below": 1.0, "on": 0.0, "above": 1.0}),
    batch=batch_by_broadcasting("weigh_triangles"),
    doc="A matrix with the parts below, on and above its diagonal multiplied by numbers.",
)


def half_lower(x: Value) -> Value:
    """Keep the lower triangle, with half of the diagonal."""
    return weigh_triangles(x, below=1.0, on=0.5, above=0.0)


def off_diagonal(x: Value) -> Value:
    """Clear the diagonal."""
    return weigh_triangles(x, below=1.0, on=0.0, above=1.0)


def identity_matrices(shape: Shape, dtype: DType) -> Value:
    """Give a stack of identity matrices."""
    ones = broadcast_to(constant(1.0, dtype=dtype), shape)
    return weigh_triangles(ones, below=0.0, on=1.0, above=0.0)
