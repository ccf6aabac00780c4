"""Operations that move elements without computing: reshape, permute, broadcast and their kin.

Most are views: no data moves. Shapes may hold symbolic lengths throughout.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import numpy as np

from ..errors import OptionError, ShapeError
from ..ir.op import Array, Attrs, Call, In, Notation, Operand, Trait, Writes, implements, public
from ..ir.value import Value, as_value
from ..lengths import Dim, maximum, minimum, same
from ..spec import (
    Shape,
    Spec,
    as_shape,
    broadcast_shapes,
    format_shape,
    normalize_axes,
    normalize_axis,
    product,
)
from .batching import batch_by_shifting
from .forms import NodeFunction, linear

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_arrays",
    "broadcast_to",
    "diag",
    "diagflat",
    "diagonal",
    "expand_dims",
    "flatten",
    "flip",
    "fliplr",
    "flipud",
    "matrix_transpose",
    "moveaxis",
    "ravel",
    "reshape",
    "rollaxis",
    "rot90",
    "squeeze",
    "swapaxes",
    "transpose",
]


def _reshape_infer(x: Spec, *, shape: Shape) -> Spec:
    if not same(product(x.shape), product(shape)):
        raise ShapeError(
            f"{format_shape(x.shape)} has {product(x.shape)} elements and"
            f" {format_shape(shape)} has {product(shape)}."
        )
    return Spec(shape, x.dtype)


_reshape: NodeFunction = linear(
    "reshape",
    lambda x, *, shape: x.reshape(shape),
    infer=_reshape_infer,
    transpose=lambda g, x, *, shape: _reshape(g, shape=x.spec.shape),
    batch=lambda flags, x, *, shape: _reshape(x, shape=(x.shape[0], *shape)),
    writes=Writes.VIEW,
    traits=(Trait.MOVES_MASK, Trait.NEEDS_CONTIGUOUS, Trait.KEEPS_ORDER),
    array_api="reshape",
    doc="The same elements, in row-major order, under another shape.",
)


def _transposed(x: Spec, *, axes: tuple[int, ...]) -> Notation | None:
    count = len(axes)
    if axes != (*range(count - 2), count - 1, count - 2):
        return None
    return Notation("{x:6}.T" if count == 2 else "{x:6}.mT", r"{x:6}^{\top}", 6, 5)


_permute: NodeFunction = linear(
    "permute",
    lambda x, *, axes: x.transpose(axes),
    infer=lambda x, *, axes: Spec(tuple(x.shape[axis] for axis in axes), x.dtype),
    transpose=lambda g, x, *, axes: _permute(g, axes=_inverse(axes)),
    batch=lambda flags, x, *, axes: _permute(x, axes=(0, *(axis + 1 for axis in axes))),
    writes=Writes.VIEW,
    traits=(Trait.MOVES_MASK,),
    notation=_transposed,
    array_api="permute_dims",
    doc="The axes in another order.",
)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axes.index(axis) for axis in range(len(axes)))


def _broadcast_infer(x: Spec, *, shape: Shape) -> Spec:
    new = len(shape) - len(x.shape)
    if new < 0 or not all(
        (isinstance(own, int) and own == 1) or same(own, wanted)
        for own, wanted in zip(x.shape, shape[new:], strict=True)
    ):
        raise ShapeError(f"{format_shape(x.shape)} can't be broadcast to {format_shape(shape)}.")
    return Spec(shape, x.dtype)


def _batched_broadcast(is_batched: Sequence[bool], x: Value, *, shape: Shape) -> Value:
    missing = len(shape) - (x.ndim - 1)
    aligned = reshape(x, (x.shape[0], *(1,) * missing, *x.shape[1:]))
    return broadcast_to(aligned, (x.shape[0], *shape))


_broadcast_to = linear(
    "broadcast_to",
    lambda x, *, shape: np.broadcast_to(x, shape),
    infer=_broadcast_infer,
    # The reverse walk sums every cotangent to its operand's shape.
    transpose=lambda g, x, *, shape: g,
    batch=_batched_broadcast,
    writes=Writes.VIEW,
    traits=(Trait.MOVES_MASK, Trait.KEEPS_ORDER),
    array_api="broadcast_to",
    doc="The elements repeated along axes of length 1, and new leading ones.",
)


@implements(np.reshape)
def reshape(a: Operand, shape: object, order: str = "C") -> Value:
    """Give the elements of *a*, in row-major order, another shape; one -1 is worked out.

    >>> reshape(Value([1, 2, 3, 4]), (2, -1)).shape
    (2, 2)
    """
    if order != "C":
        raise OptionError(f"reshape: the order is row-major; order={order!r} is not supported.")
    node = as_value(a)
    entries: Sequence[object] = shape if isinstance(shape, (tuple, list)) else (shape,)
    unknown = [i for i, entry in enumerate(entries) if isinstance(entry, int) and entry == -1]
    if len(unknown) > 1:
        raise ShapeError(f"reshape: only one length may be -1, got {tuple(entries)}.")
    known = as_shape([1 if i in unknown else entry for i, entry in enumerate(entries)])
    if unknown:
        known = _worked_out(node, known, unknown[0])
    return node if known == node.spec.shape else _reshape(node, shape=known)


def _worked_out(node: Value, known: Shape, position: int) -> Shape:
    total, rest = product(node.spec.shape), product(known)
    if isinstance(rest, int) and rest == 0:
        raise ShapeError("reshape: -1 can't be worked out beside a length of 0.")
    length = total // rest
    fits = length * rest == total
    if not fits and isinstance(total, int) and isinstance(rest, int):
        raise ShapeError(
            f"reshape: {total} elements of {format_shape(node.spec.shape)} can't be split"
            f" by {rest}."
        )
    return (*known[:position], length, *known[position + 1 :])


@implements(np.transpose, np.permute_dims)
def transpose(a: Operand, axes: object = None) -> Value:
    """Reorder the axes of *a* as *axes* says; without it, reverse them."""
    node = as_value(a)
    ndim = node.ndim
    order = tuple(reversed(range(ndim))) if axes is None else normalize_axes(axes, ndim)
    if len(order) != ndim:
        raise OptionError(f"transpose: axes {axes!r} must name each of the {ndim} axes once.")
    return node if order == tuple(range(ndim)) else _permute(node, axes=order)


@implements(np.matrix_transpose)
def matrix_transpose(x: Operand) -> Value:
    """Swap the last two axes."""
    node = as_value(x)
    if node.ndim < 2:
        raise ShapeError(f"matrix_transpose: needs two axes or more, got {node.spec}.")
    order = tuple(range(node.ndim))
    return _permute(node, axes=(*order[:-2], order[-1], order[-2]))


@implements(np.broadcast_to)
def broadcast_to(array: Operand, shape: object) -> Value:
    """Repeat *array* along axes of length 1, and new leading ones, up to *shape*."""
    node, target = as_value(array), as_shape(shape)
    return node if node.spec.shape == target else _broadcast_to(node, shape=target)


@implements(np.expand_dims)
def expand_dims(a: Operand, axis: object) -> Value:
    """Insert axes of length 1 at the positions *axis* of the result."""
    node = as_value(a)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    places = set(normalize_axes(axis, node.ndim + count))
    lengths = iter(node.spec.shape)
    return reshape(node, [1 if i in places else next(lengths) for i in range(node.ndim + count)])


@implements(np.squeeze)
def squeeze(a: Operand, axis: object = None) -> Value:
    """Drop axes of length 1: all of them, or those that *axis* names."""
    node = as_value(a)
    shape = node.spec.shape
    if axis is None:
        return reshape(node, [length for length in shape if length != 1])
    dropped = normalize_axes(axis, node.ndim)
    for place in dropped:
        if not same(shape[place], 1):
            raise ShapeError(f"squeeze: axis {place} has length {shape[place]}, not 1.")
    return reshape(node, [length for i, length in enumerate(shape) if i not in dropped])


@implements(np.size)
def size(a: Operand, axis: object = None) -> Dim:
    """Count the elements of *a*, or those along *axis*."""
    shape = as_value(a).spec.shape
    return product(shape[i] for i in normalize_axes(axis, len(shape)))


def _row_major(name: str, order: str) -> None:
    if order != "C":
        raise OptionError(f"{name}: the order is row-major; order={order!r} is not supported.")


@implements(np.ravel)
def ravel(a: Operand, order: str = "C") -> Value:
    """Give the elements of *a*, in row-major order, along one axis.

    >>> ravel(Value([[1, 2], [3, 4]])).shape
    (4,)
    """
    _row_major("ravel", order)
    node = as_value(a)
    return reshape(node, (product(node.spec.shape),))


@public
def flatten(a: Operand, order: str = "C") -> Value:
    """Give the elements of *a*, in row-major order, along one axis."""
    _row_major("flatten", order)
    return ravel(a)


@implements(np.swapaxes)
def swapaxes(a: Operand, axis1: int, axis2: int) -> Value:
    """Exchange two axes of *a*."""
    node = as_value(a)
    first, second = normalize_axis(axis1, node.ndim), normalize_axis(axis2, node.ndim)
    order = list(range(node.ndim))
    order[first], order[second] = second, first
    return transpose(node, tuple(order))


@implements(np.moveaxis)
def moveaxis(a: Operand, source: object, destination: object) -> Value:
    """Move the axes *source* of *a* to the places *destination*; the others keep their order."""
    node = as_value(a)
    sources = normalize_axes(source, node.ndim)
    places = normalize_axes(destination, node.ndim)
    if len(sources) != len(places):
        raise OptionError(
            f"moveaxis: {len(sources)} axes {source!r} can't go to {len(places)} places"
            f" {destination!r}."
        )
    order = [axis for axis in range(node.ndim) if axis not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return transpose(node, tuple(order))


@implements(np.rollaxis)
def rollaxis(a: Operand, axis: int, start: int = 0) -> Value:
    """Move *axis* of *a* back until it lies before the place *start*."""
    node = as_value(a)
    ndim = node.ndim
    source = normalize_axis(axis, ndim)
    place = start + ndim if start < 0 else start
    if not 0 <= place <= ndim:
        raise OptionError(f"rollaxis: start {start} must lie in {-ndim} to {ndim}.")
    return moveaxis(node, source, place - 1 if source < place else place)


def _at_least(arys: tuple[Operand, ...], grow: Callable[[Value], Value]) -> object:
    grown = tuple(grow(as_value(array)) for array in arys)
    return grown[0] if len(grown) == 1 else grown


@implements(np.atleast_1d)
def atleast_1d(*arys: Operand) -> object:
    """Give each operand at least one axis; several operands give a tuple."""
    return _at_least(arys, lambda node: node if node.ndim else expand_dims(node, 0))


@implements(np.atleast_2d)
def atleast_2d(*arys: Operand) -> object:
    """Give each operand at least two axes, new ones in front; several operands give a tuple."""
    return _at_least(
        arys, lambda node: expand_dims(node, tuple(range(2 - node.ndim))) if node.ndim < 2 else node
    )


@implements(np.atleast_3d)
def atleast_3d(*arys: Operand) -> object:
    """Give each operand at least three axes: a vector [1, n, 1], a matrix [m, n, 1]."""
    added = {0: (0, 1, 2), 1: (0, 2), 2: (2,)}
    return _at_least(
        arys, lambda node: expand_dims(node, added[node.ndim]) if node.ndim < 3 else node
    )


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Operand) -> tuple[Value, ...]:
    """Broadcast the operands against each other.

    >>> [node.shape for node in broadcast_arrays(Value([1, 2]), Value([[1], [2], [3]]))]
    [(3, 2), (3, 2)]
    """
    nodes = [as_value(array) for array in args]
    shape = broadcast_shapes(*[node.spec.shape for node in nodes])
    return tuple(broadcast_to(node, shape) for node in nodes)


def _backwards(axes: tuple[int, ...]) -> tuple[slice, ...]:
    last = max(axes, default=-1)
    return tuple(slice(None, None, -1 if i in axes else 1) for i in range(last + 1))


def _flip_call(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
    return Call(operator.getitem, (In(0), _backwards(attrs["axes"])))


_flip: NodeFunction = linear(
    "flip",
    lambda x, *, axes: x[_backwards(axes)],
    infer=lambda x, *, axes: x,
    transpose=lambda g, x, *, axes: _flip(g, axes=axes),
    writes=Writes.VIEW,
    traits=(Trait.MOVES_MASK, Trait.INVOLUTION),
    call=_flip_call,
    array_api="flip",
    variants=({"axes": (0,)}, {"axes": (0, 1)}, {"axes": ()}),
    batch=batch_by_shifting("flip"),
    doc="The elements in reverse order along axes.",
)


@implements(np.flip)
def flip(m: Operand, axis: object = None) -> Value:
    """Reverse the order of the elements of *m* along *axis*, by default along every one.

    >>> flip(Value([1.0, 2.0, 3.0]))
    Value(data=[3. 2. 1.], grad=None)
    """
    node = as_value(m)
    axes = tuple(sorted(normalize_axes(axis, node.ndim)))
    return _flip(node, axes=axes) if axes else node


@implements(np.fliplr)
def fliplr(m: Operand) -> Value:
    """Reverse the order along the second axis."""
    return flip(m, 1)


@implements(np.flipud)
def flipud(m: Operand) -> Value:
    """Reverse the order along the first axis."""
    return flip(m, 0)


@implements(np.rot90)
def rot90(m: Operand, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Value:
    """Turn *m* by *k* right angles, from the first of two *axes* towards the second.

    >>> rot90(Value([[1, 2], [3, 4]]))
    Value(data=[[2 4] [1 3]], grad=None)
    """
    node = as_value(m)
    plane = normalize_axes(tuple(axes), node.ndim)
    if len(plane) != 2:
        raise OptionError(f"rot90: two axes span the plane of rotation, got {axes!r}.")
    first, second = plane
    if k % 4 == 0:
        return node
    if k % 4 == 2:
        return flip(node, plane)
    if k % 4 == 1:
        return swapaxes(flip(node, second), first, second)
    return flip(swapaxes(node, first, second), second)


def _diagonal_length(rows: Dim, columns: Dim, offset: int) -> Dim:
    below, beside = max(-offset, 0), max(offset, 0)
    length = minimum(rows - below, columns - beside)
    return maximum(length, 0) if isinstance(length, int) else length


def _diagonal_infer(x: Spec, *, offset: int, axis1: int, axis2: int) -> Spec:
    length = _diagonal_length(x.shape[axis1], x.shape[axis2], offset)
    rest = tuple(n for i, n in enumerate(x.shape) if i not in (axis1, axis2))
    return Spec((*rest, length), x.dtype)


def _undiagonal(x: Array, out: Array, *, shape: Shape, offset: int, axis1: int, axis2: int) -> None:
    out.fill(0)
    view = out.diagonal(offset, axis1, axis2)
    # NumPy gives this view read-only; it lies in `out`, which is ours to fill.
    view.flags.writeable = True
    view[...] = x


_diagonal = linear(
    "diagonal",
    lambda x, *, offset, axis1, axis2: x.diagonal(offset, axis1, axis2),
    infer=_diagonal_infer,
    transpose=lambda g, x, **attrs: _set_diagonal(g, shape=x.spec.shape, **attrs),
    writes=Writes.VIEW,
    support=lambda index, x, **attrs: _diagonal_support(x, **attrs),
    variants=({"offset": 0, "axis1": 0, "axis2": 1}, {"offset": -1, "axis1": 1, "axis2": 0}),
    batch=batch_by_shifting("diagonal"),
    doc="The elements on a diagonal of two axes, along a new last axis.",
)

_set_diagonal: NodeFunction = linear(
    "set_diagonal",
    _undiagonal,
    infer=lambda x, *, shape, **attrs: Spec(shape, x.dtype),
    transpose=lambda g, x, *, shape, **attrs: _diagonal(g, **attrs),
    traits=(Trait.MOVES_MASK,),
    batch=batch_by_shifting("set_diagonal"),
    doc="Zeros with a diagonal of two axes filled from the last axis.",
)


def _diagonal_support(x: Value, **attrs: int) -> Value:
    spec = _diagonal_infer(Spec(x.spec.shape, np.dtype(bool)), **attrs)
    return _set_diagonal(
        _broadcast_to(as_value(True), shape=spec.shape), shape=x.spec.shape, **attrs
    )


@implements(np.diagonal)
def diagonal(a: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """Give the elements of *a* whose indices on *axis2* and *axis1* differ by *offset*.

    The two axes are dropped and the diagonal is the last axis of the result, a view.

    >>> diagonal(Value([[1, 2], [3, 4]]))
    Value(data=[1 4], grad=None)
    """
    node = as_value(a)
    if node.ndim < 2:
        raise ShapeError(f"diagonal: needs two axes or more, got {node.spec}.")
    first, second = normalize_axis(axis1, node.ndim), normalize_axis(axis2, node.ndim)
    if first == second:
        raise OptionError(f"diagonal: axis1 and axis2 are the same axis, {first}.")
    return _diagonal(node, offset=int(offset), axis1=first, axis2=second)


@implements(np.diag)
def diag(v: Operand, k: int = 0) -> Value:
    """Give the diagonal of a matrix, or the matrix that has the vector *v* as its diagonal *k*.

    >>> diag(Value([1.0, 2.0]))
    Value(data=[[1. 0.] [0. 2.]], grad=None)
    """
    node = as_value(v)
    if node.ndim == 2:
        return diagonal(node, k)
    if node.ndim != 1:
        raise ShapeError(f"diag: takes a vector or a matrix, got {node.spec}.")
    length = node.spec.shape[0] + abs(int(k))
    return _set_diagonal(node, shape=(length, length), offset=int(k), axis1=0, axis2=1)


@implements(np.diagflat)
def diagflat(v: Operand, k: int = 0) -> Value:
    """Give the matrix that has the elements of *v* as its diagonal *k*."""
    return diag(ravel(v), k)
