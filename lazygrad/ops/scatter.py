"""Picking elements by arrays of integers, and adding or writing them back.

The operations here take indices that are already integer nodes, one per indexed axis; reading a
user's index is another module's business. *axes* are the indexed axes in order; the axes of the
broadcast indices stand at *place* among those that are left.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial
from weakref import WeakValueDictionary

import numpy as np

from ..errors import DTypeError, ShapeError
from ..ir.op import OUT, Array, Attrs, Call, In, Trait, Writes
from ..ir.value import Value, apply, as_value, constant, item
from ..lengths import Dim, Length, same
from ..spec import Shape, Spec, TupleSpec, broadcast_shapes, product
from .arithmetic import where, zeros_like
from .batching import aligned, batch_by_shifting, batch_length, repeated
from .forms import NodeFunction, general, linear
from .shape import broadcast_to, moveaxis, reshape
from .slices import Attr, zeros

__all__: list[str] = []

Axes = tuple[int, ...]

# np.take buffers its result when it checks bounds itself; from this size a check of our own and
# an unbuffered take are faster.
_UNBUFFERED = 2048


def gathered_shape(shape: Shape, indices: Sequence[Shape], axes: Axes, place: int) -> Shape:
    """Give the shape of what index arrays pick."""
    rest = tuple(length for i, length in enumerate(shape) if i not in axes)
    return (*rest[:place], *broadcast_shapes(*indices), *rest[place:])


def _gather_infer(x: Spec, *indices: Spec, axes: Axes, place: int, **attrs: bool) -> Spec:
    for index in indices:
        if index.dtype.kind not in "iu":
            raise DTypeError(f"an index must be integers, got {index}.")
    return Spec(gathered_shape(x.shape, [i.shape for i in indices], axes, place), x.dtype)


def _adjacent(x: Array, axes: Axes, place: int) -> Array:
    """Move the indexed axes to *place*, where NumPy puts the axes of adjacent indices."""
    if axes == tuple(range(place, place + len(axes))):
        return x
    rest = [i for i in range(x.ndim) if i not in axes]
    moved: Array = x.transpose((*rest[:place], *axes, *rest[place:]))
    return moved


def _check_bounds(index: Array, axis: int, length: int) -> None:
    if index.size == 0:
        return
    least, most = index.min(), index.max()
    if least < -length or most >= length:
        wrong = least if least < -length else most
        raise IndexError(f"index {wrong} is out of bounds for axis {axis} with size {length}")


def _gather(x: Array, *indices: Array, out: Array, axes: Axes, place: int, unique: bool) -> None:
    moved = _adjacent(x, axes, place)
    if len(axes) > 1:
        np.copyto(out, moved[(slice(None),) * place + indices])
    elif out.size < _UNBUFFERED:
        np.take(moved, indices[0], place, out, "raise")
    else:
        _check_bounds(indices[0], axes[0], moved.shape[place])
        np.take(moved, indices[0], place, out, "wrap")


def positional(kernel: Callable[..., None]) -> Callable[[tuple[Spec, ...], Spec, Attrs], Call]:
    """Say that a kernel of any number of operands is given the result by name."""

    def rule(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
        bound = partial(kernel, **attrs)
        return Call(bound, tuple(In(i) for i in range(len(specs))), out_by_name=True)

    return rule


def _gather_call(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
    axes, place = attrs["axes"], attrs["place"]
    if len(axes) == 1 and axes[0] == place:
        size = product(spec.shape)
        if isinstance(size, int) and size < _UNBUFFERED:
            return Call(np.take, (In(0), In(1), place, OUT, "raise"))
    return positional(_gather)(specs, spec, attrs)


def _gather_support(number: int, /, x: Value, *indices: Value, **attrs: Attr) -> Value:
    shape = gathered_shape(
        x.spec.shape, [i.spec.shape for i in indices], attrs["axes"], attrs["place"]
    )
    return scatter_add(broadcast_to(as_value(True), shape), *indices, shape=x.spec.shape, **attrs)


def _batched_gather(
    is_batched: Sequence[bool], x: Value, *indices: Value, axes: Axes, place: int, unique: bool
) -> Value | None:
    count, moved = batch_length(is_batched, (x, *indices)), tuple(axis + 1 for axis in axes)
    if not any(is_batched[1:]):
        return gather(x, *indices, axes=moved, place=place + 1, unique=unique)
    if is_batched[0]:
        if not isinstance(count, int):
            return None
        own = _own_entry(is_batched, count, indices)
        picked = gather(x, *own, axes=(0, *moved), place=place, unique=unique)
    else:
        # The entries of the batch pick from the same elements.
        own = aligned(is_batched[1:], indices)
        picked = gather(x, *own, axes=axes, place=place, unique=False)
    return moveaxis(picked, place, 0)


def _own_entry(is_batched: Sequence[bool], count: int, indices: Sequence[Value]) -> list[Value]:
    """Give the indices, and before them one by which each entry of a batch picks from its own."""
    rank = max(i.ndim - flag for i, flag in zip(indices, is_batched[1:], strict=True))
    entry = reshape(constant(np.arange(count)), (count, *(1,) * rank))
    return [entry, *aligned((True, *is_batched[1:]), (entry, *indices))[1:]]


gather: NodeFunction = linear(
    "gather",
    _gather,
    infer=_gather_infer,
    transpose=lambda g, x, *indices, **attrs: scatter_add(g, *indices, shape=x.spec.shape, **attrs),
    support=_gather_support,
    batch=_batched_gather,
    call=_gather_call,
    doc="The elements that arrays of integers pick along some axes.",
)


def _scatter_infer(
    x: Spec, *indices: Spec, shape: Shape, axes: Axes, place: int, unique: bool
) -> Spec:
    wanted = gathered_shape(shape, [i.shape for i in indices], axes, place)
    if len(wanted) != x.ndim or not all(map(same, wanted, x.shape)):
        raise ShapeError(f"the indices pick {Spec(wanted, x.dtype)}, but {x} is to go there.")
    return Spec(shape, x.dtype)


def _from_front(index: Array, axis: int, length: int) -> Array:
    """Check an index array and count its entries from the front, as 64-bit integers."""
    _check_bounds(index, axis, length)
    index = index.astype(np.int64, copy=False)
    if index.size and index.min() < 0:
        index = np.where(index < 0, index + length, index)
    return index


def _offsets(shape: Sequence[int], indices: Sequence[Array], axes: Axes, place: int) -> Array:
    """Give, for each picked element, its place in the row-major array of *shape*."""
    strides = [int(np.prod(shape[i + 1 :], dtype=np.int64)) for i in range(len(shape))]
    picked: Array = np.zeros((), np.int64)
    for index, axis in zip(indices, axes, strict=True):
        picked = picked + _from_front(index, axis, shape[axis]) * strides[axis]
    rest = [i for i in range(len(shape)) if i not in axes]
    total: Array = picked.reshape((1,) * place + picked.shape + (1,) * (len(rest) - place))
    for number, axis in enumerate(rest):
        at = number if number < place else number + picked.ndim
        along = [1] * total.ndim
        along[at] = shape[axis]
        total = total + (np.arange(shape[axis]) * strides[axis]).reshape(along)
    return total


def _scatter_add(
    x: Array,
    *indices: Array,
    out: Array,
    shape: Shape,
    axes: Axes,
    place: int,
    unique: bool,
) -> None:
    out.fill(0)
    if unique:
        _adjacent(out, axes, place)[(slice(None),) * place + indices] = x
        return
    if x.size == 0:
        return
    # One flat index array reaches the fast path of ufunc.at, ten times that of rows.
    flat = _offsets(out.shape, indices, axes, place).reshape(-1)
    if out.dtype.kind == "b":
        np.maximum.at(out.reshape(-1).view(np.uint8), flat, x.reshape(-1).view(np.uint8))
    else:
        np.add.at(out.reshape(-1), flat, x.reshape(-1))


def _batched_scatter(
    is_batched: Sequence[bool],
    x: Value,
    *indices: Value,
    shape: Shape,
    axes: Axes,
    place: int,
    unique: bool,
) -> Value | None:
    count = batch_length(is_batched, (x, *indices))
    moved, shape = tuple(axis + 1 for axis in axes), (count, *shape)
    if not any(is_batched[1:]):
        return scatter_add(x, *indices, shape=shape, axes=moved, place=place + 1, unique=unique)
    if not isinstance(count, int):
        return None
    if not is_batched[0]:
        x = broadcast_to(x, (count, *x.spec.shape))
    own = _own_entry(is_batched, count, indices)
    x = moveaxis(x, 0, place)
    return scatter_add(x, *own, shape=shape, axes=(0, *moved), place=place, unique=unique)


scatter_add: NodeFunction = linear(
    "scatter_add",
    _scatter_add,
    infer=_scatter_infer,
    transpose=lambda g, x, *indices, shape, **attrs: gather(g, *indices, **attrs),
    batch=_batched_scatter,
    traits=(Trait.MOVES_MASK,),
    call=positional(_scatter_add),
    cost=lambda out, x, *indices, **attrs: product(x.shape),
    doc="Zeros to which elements are added where arrays of integers say; repeated ones add up.",
)


def _scatter_set(
    x: Array,
    y: Array,
    *indices: Array,
    out: Array,
    axes: Axes,
    place: int,
    unique: bool,
    repeats: bool,
) -> None:
    np.copyto(out, x)
    if unique:
        _adjacent(out, axes, place)[(slice(None),) * place + indices] = y
        return
    flat = _offsets(out.shape, indices, axes, place).reshape(-1)
    if not repeats and len(np.unique(flat)) != len(flat):
        raise IndexError(
            "an index is repeated; multiply, divide, min and max at an index need distinct places"
        )
    out.reshape(-1)[flat] = y.reshape(-1)


def _scatter_set_infer(
    x: Spec, y: Spec, *indices: Spec, axes: Axes, place: int, unique: bool, repeats: bool
) -> Spec:
    _scatter_infer(y, *indices, shape=x.shape, axes=axes, place=place, unique=unique)
    if x.dtype != y.dtype:
        raise ShapeError(f"{y} can't be written into {x}.")
    return x


def _scatter_set_vjp(
    g: Value, y: Value, x: Value, v: Value, *indices: Value, repeats: bool, **attrs: Attr
) -> tuple[Value | None, ...]:
    inside = gather(g, *indices, **attrs)
    outside = _set(g, zeros_like(inside), *indices, repeats=repeats, **attrs)
    wins = _winners(x, *indices, repeats=repeats, **attrs)
    kept = inside if wins is None else where(wins, inside, zeros_like(inside))
    return (outside, kept, *(None,) * len(indices))


def _winners(x: Value, *indices: Value, repeats: bool, **attrs: Attr) -> Value | None:
    """Tell which writes are the last ones to their places; None if all are."""
    if attrs["unique"] or not repeats:
        return None
    return last_writes(*indices, shape=x.spec.shape, axes=attrs["axes"], place=attrs["place"])


def _scatter_set_jvp(
    tangents: Sequence[Value | None], y: Value, x: Value, v: Value, *indices: Value, **attrs: Attr
) -> Value:
    tx = zeros(x.spec) if tangents[0] is None else tangents[0]
    tv = zeros(v.spec) if tangents[1] is None else tangents[1]
    return _set(tx, tv, *indices, **attrs)


def _scatter_set_support(
    number: int, /, x: Value, v: Value, *indices: Value, **attrs: Attr
) -> Value:
    if number == 1:
        wins = _winners(x, *indices, **attrs)
        return broadcast_to(as_value(True) if wins is None else wins, v.spec.shape)
    everywhere = broadcast_to(as_value(True), x.spec.shape)
    return _set(everywhere, broadcast_to(as_value(False), v.spec.shape), *indices, **attrs)


def _batched_set(
    is_batched: Sequence[bool],
    x: Value,
    v: Value,
    *indices: Value,
    axes: Axes,
    place: int,
    unique: bool,
    repeats: bool,
) -> Value | None:
    if any(is_batched[2:]):
        return None
    x, v = repeated(is_batched[:2], (x, v))
    moved = tuple(axis + 1 for axis in axes)
    return _set(x, v, *indices, axes=moved, place=place + 1, unique=unique, repeats=repeats)


_set: NodeFunction = general(
    "scatter_set",
    _scatter_set,
    infer=_scatter_set_infer,
    vjp=_scatter_set_vjp,
    jvp=_scatter_set_jvp,
    support=_scatter_set_support,
    batch=_batched_set,
    family="indexing",
    traits=(Trait.LINEAR,),
    call=positional(_scatter_set),
    cost=lambda out, *specs, **attrs: 0,
    domain=((-3.0, 3.0), (-3.0, 3.0)),
    doc="The first value with elements of the second written where arrays of integers say.",
)


def scatter_set(
    x: Value, v: Value, *indices: Value, axes: Axes, place: int, unique: bool, repeats: bool = True
) -> Value:
    """Write *v* into *x*; of repeated indices the last write counts, or without *repeats* none."""
    return _set(x, v, *indices, axes=axes, place=place, unique=unique, repeats=repeats)


def _last_writes(*indices: Array, out: Array, shape: Shape, axes: Axes, place: int) -> None:
    flat = _offsets(shape, indices, axes, place)  # type: ignore[arg-type]
    order = np.arange(flat.size)
    last = np.empty(operator.index(product(shape)), np.int64)
    last[flat.reshape(-1)] = order
    np.equal(last[flat.reshape(-1)], order, out=out.reshape(-1))


last_writes = general(
    "last_writes",
    _last_writes,
    infer=lambda *indices, shape, axes, place: Spec(
        gathered_shape(shape, [i.shape for i in indices], axes, place), np.dtype(bool)
    ),
    vjp=None,
    jvp=None,
    call=positional(_last_writes),
    cost=lambda out, *specs, **attrs: 0,
    doc="Whether no later element of the same indices is written to the same place.",
)


def _along_infer(x: Spec, indices: Spec, *, axis: int) -> Spec:
    if indices.dtype.kind not in "iu":
        raise DTypeError(f"an index must be integers, got {indices}.")
    if x.ndim != indices.ndim:
        raise ShapeError(f"the operand has {x.ndim} axes and its indices have {indices.ndim}.")
    for i, (own, other) in enumerate(zip(x.shape, indices.shape, strict=True)):
        if i != axis and not same(own, other):
            raise ShapeError(f"axis {i} has lengths {own} and {other}.")
    return Spec(indices.shape, x.dtype)


def _along(x: Array, indices: Array, out: Array, *, axis: int) -> None:
    np.copyto(out, np.take_along_axis(x, indices, axis))


def _add_along(x: Array, indices: Array, out: Array, *, axis: int, length: int) -> None:
    out.fill(0)
    if indices.shape[axis] == 1:
        np.put_along_axis(out, indices, x, axis)
        return
    if x.size == 0:
        return
    strides = [int(np.prod(out.shape[i + 1 :], dtype=np.int64)) for i in range(out.ndim)]
    flat = _from_front(indices, axis, length) * strides[axis]
    for i, n in enumerate(out.shape):
        if i != axis:
            along = [1] * out.ndim
            along[i] = n
            flat = flat + (np.arange(n) * strides[i]).reshape(along)
    if out.dtype.kind == "b":
        np.maximum.at(
            out.reshape(-1).view(np.uint8), flat.reshape(-1), x.reshape(-1).view(np.uint8)
        )
    else:
        np.add.at(out.reshape(-1), flat.reshape(-1), x.reshape(-1))


def _along_support(number: int, /, x: Value, indices: Value, *, axis: int) -> Value:
    reached = broadcast_to(as_value(True), indices.spec.shape)
    return _add_along_axis(reached, indices, axis=axis, length=x.spec.shape[axis])


gather_along = linear(
    "gather_along",
    _along,
    infer=_along_infer,
    transpose=lambda g, x, indices, *, axis: _add_along_axis(
        g, indices, axis=axis, length=x.spec.shape[axis]
    ),
    support=_along_support,
    batch=batch_by_shifting("gather_along"),
    doc="Along one axis, the elements that an array of integers picks in each line.",
)


def _add_along_infer(x: Spec, indices: Spec, *, axis: int, length: Dim) -> Spec:
    return Spec((*x.shape[:axis], length, *x.shape[axis + 1 :]), x.dtype)


_add_along_axis: NodeFunction = linear(
    "add_along",
    _add_along,
    infer=_add_along_infer,
    transpose=lambda g, x, indices, *, axis, length: gather_along(g, indices, axis=axis),
    traits=(Trait.MOVES_MASK,),
    batch=batch_by_shifting("add_along"),
    doc="Zeros to which elements are added along one axis where an array of integers says.",
)


def _nonzero_infer(x: Spec, *, length: Length) -> TupleSpec:
    if x.ndim == 0:
        raise ShapeError("a value without axes has no places; use atleast_1d.")
    return (Spec((length,), np.dtype(np.int64)),) * x.ndim


_nonzero_op = general(
    "nonzero",
    lambda x, *, length: x.nonzero(),
    infer=_nonzero_infer,
    vjp=None,
    jvp=None,
    family="indexing",
    writes=Writes.FRESH,
    traits=(Trait.DATA_SHAPED,),
    call=lambda specs, spec, attrs: Call(np.nonzero, (In(0),)),
    cost=lambda out, *specs, **attrs: 0,
    doc="The indices of the elements that are not zero, one vector per axis.",
).op  # type: ignore[attr-defined]

# By the id of the operand: a node found here holds its operand, so that its id is not used again.
_known: WeakValueDictionary[int, Value] = WeakValueDictionary()


def nonzero_items(x: Value) -> tuple[Value, ...]:
    """Give the indices of x's nonzero elements; of one node always the same nodes' items.

    Their common length is known only when the graph runs.
    """
    node = _known.get(id(x))
    if node is None:
        node = _known[id(x)] = apply(_nonzero_op, x, length=Length.fresh(data=True))
    return tuple(item(node, axis) for axis in range(x.ndim))
