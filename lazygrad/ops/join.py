"""Putting arrays together and taking them apart: concatenate, stack, split, insert, delete."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import AxisError, OptionError, ShapeError
from ..ir.op import Array, Operand, Trait, implements
from ..ir.value import Value, as_value
from ..lengths import Dim, Length, same
from ..spec import (
    DType,
    DTypeLike,
    Spec,
    broadcast_shapes,
    normalize_axis,
)
from .arithmetic import astype
from .batching import batch_by_shifting
from .forms import general
from .indexing import getitem, take
from .scatter import positional
from .shape import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_to,
    expand_dims,
    moveaxis,
    ravel,
    reshape,
)
from .slices import cut, zeros

__all__ = [
    "append",
    "array_split",
    "column_stack",
    "concatenate",
    "delete",
    "dsplit",
    "dstack",
    "hsplit",
    "hstack",
    "insert",
    "meshgrid",
    "split",
    "stack",
    "unstack",
    "vsplit",
    "vstack",
]

Nodes = Sequence[Operand]


def _concatenate_infer(*specs: Spec, axis: int) -> Spec:
    first = specs[0].shape
    total: Dim = 0
    for position, spec in enumerate(specs):
        shape = spec.shape
        if len(shape) != len(first):
            raise ShapeError(
                f"operand 0 has {len(first)} axes and operand {position} has {len(shape)}."
            )
        for i, (own, other) in enumerate(zip(first, shape, strict=True)):
            if i != axis and not same(own, other):
                raise ShapeError(
                    f"on axis {i}, along which nothing is joined, operand 0 has length {own} and"
                    f" operand {position} has {other}."
                )
        total = total + shape[axis]
    dtype: DType = np.result_type(*[spec.dtype for spec in specs])
    return Spec((*first[:axis], total, *first[axis + 1 :]), dtype)


def _concatenate(*arrays: Array, out: Array, axis: int) -> None:
    np.concatenate(arrays, axis, out)


def _concatenate_vjp(g: Value, y: Value, *xs: Value, axis: int) -> tuple[Value, ...]:
    parts: list[Value] = []
    start: Dim = 0
    for x in xs:
        length = x.spec.shape[axis]
        parts.append(cut(g, axis, start, length))
        start = start + length
    return tuple(parts)


def _concatenate_jvp(tangents: Sequence[Value | None], y: Value, *xs: Value, axis: int) -> Value:
    parts = [zeros(x.spec) if t is None else t for t, x in zip(tangents, xs, strict=True)]
    return _concatenate_nodes(*parts, axis=axis)


_concatenate_nodes = general(
    "concatenate",
    _concatenate,
    infer=_concatenate_infer,
    vjp=_concatenate_vjp,
    jvp=_concatenate_jvp,
    family="shape",
    traits=(Trait.LINEAR, Trait.MOVES_MASK),
    call=positional(_concatenate),
    cost=lambda out, *specs, **attrs: 0,
    domain=((-3.0, 3.0), (-3.0, 3.0)),
    variants=({"axis": 0}, {"axis": 1}),
    batch=batch_by_shifting("concatenate"),
    doc="The operands one after another along an axis.",
)


def _nodes(name: str, arrays: object) -> list[Value]:
    if isinstance(arrays, Value):
        arrays = list(arrays)
    if not isinstance(arrays, (list, tuple, np.ndarray)):
        raise OptionError(f"{name}: takes a list of arrays, got {type(arrays).__name__}.")
    if len(arrays) == 0:
        raise OptionError(f"{name}: needs one array or more.")
    return [as_value(array) for array in arrays]


def _converted(node: Value, dtype: DTypeLike | None) -> Value:
    return node if dtype is None else astype(node, dtype)


@implements(np.concatenate)
def concatenate(arrays: Nodes, axis: int | None = 0, *, dtype: DTypeLike | None = None) -> Value:
    """Join arrays along an existing axis; without one, all their elements in a row.

    >>> concatenate([Value([1.0, 2.0]), [3.0]])
    Value(data=[1. 2. 3.], grad=None)
    """
    nodes = _nodes("concatenate", arrays)
    if axis is None:
        nodes, axis = [ravel(node) for node in nodes], 0
    if any(node.ndim == 0 for node in nodes):
        raise ShapeError("concatenate: values without axes can't be joined; use stack.")
    place = normalize_axis(axis, nodes[0].ndim)
    joined = nodes[0] if len(nodes) == 1 else _concatenate_nodes(*nodes, axis=place)
    return _converted(joined, dtype)


@implements(np.stack)
def stack(arrays: Nodes, axis: int = 0, *, dtype: DTypeLike | None = None) -> Value:
    """Join arrays of one shape along a new axis.

    >>> stack([Value([1.0, 2.0]), Value([3.0, 4.0])], axis=1).shape
    (2, 2)
    """
    nodes = _nodes("stack", arrays)
    for position, node in enumerate(nodes):
        if node.ndim != nodes[0].ndim or not all(map(same, node.spec.shape, nodes[0].spec.shape)):
            raise ShapeError(
                f"stack: all shapes must be equal, but operand 0 is {nodes[0].spec} and operand"
                f" {position} is {node.spec}."
            )
    place = normalize_axis(axis, nodes[0].ndim + 1)
    return concatenate([expand_dims(node, place) for node in nodes], place, dtype=dtype)


@implements(np.vstack)
def vstack(tup: Nodes, *, dtype: DTypeLike | None = None) -> Value:
    """Join arrays along the first axis, vectors as rows."""
    nodes: Any = [atleast_2d(node) for node in _nodes("vstack", tup)]
    return concatenate(nodes, 0, dtype=dtype)


@implements(np.hstack)
def hstack(tup: Nodes, *, dtype: DTypeLike | None = None) -> Value:
    """Join arrays along the second axis, vectors along their only one."""
    nodes: Any = [atleast_1d(node) for node in _nodes("hstack", tup)]
    return concatenate(nodes, 0 if nodes[0].ndim == 1 else 1, dtype=dtype)


@implements(np.dstack)
def dstack(tup: Nodes) -> Value:
    """Join arrays along the third axis, vectors as ``[1, n, 1]`` and matrices as ``[m, n, 1]``."""
    nodes: Any = [atleast_3d(node) for node in _nodes("dstack", tup)]
    return concatenate(nodes, 2)


@implements(np.column_stack)
def column_stack(tup: Nodes) -> Value:
    """Join vectors as the columns of a matrix, and matrices side by side."""
    nodes = [
        node if node.ndim >= 2 else expand_dims(ravel(node), 1)
        for node in _nodes("column_stack", tup)
    ]
    return concatenate(nodes, 1)


@implements(np.append)
def append(arr: Operand, values: Operand, axis: int | None = None) -> Value:
    """Join *values* to the end of *arr*; without an axis, all elements in a row."""
    if axis is None:
        return concatenate([ravel(arr), ravel(values)])
    return concatenate([arr, values], axis)


def _cuts(node: Value, axis: int, lengths: Sequence[Dim]) -> list[Value]:
    parts: list[Value] = []
    start: Dim = 0
    for length in lengths:
        parts.append(cut(node, axis, start, length))
        start = start + length
    return parts


def _split_at(node: Value, axis: int, places: Sequence[object]) -> list[Value]:
    bounds = [None, *places, None]
    before = (slice(None),) * axis
    return [
        getitem(node, (*before, slice(start, stop))) for start, stop in itertools.pairwise(bounds)
    ]


def _is_count(sections: object) -> bool:
    return isinstance(sections, (int, np.integer))


def _sections(name: str, sections: object) -> int:
    count = operator.index(sections)  # type: ignore[arg-type]
    if count < 1:
        raise OptionError(f"{name}: the number of parts must be at least 1, got {count}.")
    return count


@implements(np.array_split)
def array_split(ary: Operand, indices_or_sections: object, axis: int = 0) -> list[Value]:
    """Split *ary* into a number of parts whose lengths differ by at most one, or at places."""
    node = as_value(ary)
    place = normalize_axis(axis, node.ndim)
    if not _is_count(indices_or_sections):
        return _split_at(node, place, list(indices_or_sections))  # type: ignore[call-overload]
    count = _sections("array_split", indices_or_sections)
    length = node.spec.shape[place]
    return _cuts(node, place, [(length - i + count - 1) // count for i in range(count)])


@implements(np.split)
def split(ary: Operand, indices_or_sections: object, axis: int = 0) -> list[Value]:
    """Split *ary* into a number of equal parts, or at places; the parts are views.

    >>> [part.shape for part in split(Value([1, 2, 3, 4]), 2)]
    [(2,), (2,)]
    """
    node = as_value(ary)
    place = normalize_axis(axis, node.ndim)
    if not _is_count(indices_or_sections):
        return _split_at(node, place, list(indices_or_sections))  # type: ignore[call-overload]
    count = _sections("split", indices_or_sections)
    length = node.spec.shape[place]
    part = length // count
    if isinstance(length, int) and length % count:
        raise ShapeError(
            f"split: axis {place} of length {length} can't be split into {count} equal parts;"
            " use array_split."
        )
    if isinstance(length, Length) and part * count != length:
        shape = node.spec.shape
        node = reshape(node, (*shape[:place], part * count, *shape[place + 1 :]))
    return _cuts(node, place, [part] * count)


@implements(np.hsplit)
def hsplit(ary: Operand, indices_or_sections: object) -> list[Value]:
    """Split along the second axis, a vector along its only one."""
    node = as_value(ary)
    return split(node, indices_or_sections, 0 if node.ndim == 1 else 1)


@implements(np.vsplit)
def vsplit(ary: Operand, indices_or_sections: object) -> list[Value]:
    """Split along the first axis, of two or more."""
    node = as_value(ary)
    if node.ndim < 2:
        raise ShapeError(f"vsplit: needs two axes or more, got {node.spec}.")
    return split(node, indices_or_sections, 0)


@implements(np.dsplit)
def dsplit(ary: Operand, indices_or_sections: object) -> list[Value]:
    """Split along the third axis."""
    node = as_value(ary)
    if node.ndim < 3:
        raise ShapeError(f"dsplit: needs three axes or more, got {node.spec}.")
    return split(node, indices_or_sections, 2)


@implements(*([np.unstack] if hasattr(np, "unstack") else []))
def unstack(x: Operand, *, axis: int = 0) -> tuple[Value, ...]:
    """Give the slices of *x* along an axis of known length, without that axis.

    >>> [row.shape for row in unstack(Value([[1, 2], [3, 4]]))]
    [(2,), (2,)]
    """
    node = as_value(x)
    place = normalize_axis(axis, node.ndim)
    length = node.spec.shape[place]
    if not isinstance(length, int):
        raise OptionError(f"unstack: axis {place} has length {length}; it must be a number.")
    return tuple(getitem(node, (*(slice(None),) * place, i)) for i in range(length))


@implements(np.meshgrid)
def meshgrid(
    *xi: Operand, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> list[Value]:
    """Give for each vector the coordinates of a grid that has one axis per vector.

    With *indexing* ``"xy"`` the first two axes are exchanged; with *sparse* the other axes have
    length 1.
    """
    if indexing not in ("xy", "ij"):
        raise OptionError(f'meshgrid: indexing must be "xy" or "ij", got {indexing!r}.')
    vectors = [ravel(x) for x in xi]
    count = len(vectors)
    order = list(range(count))
    if indexing == "xy" and count > 1:
        order[:2] = [1, 0]
    grids = []
    for position, vector in enumerate(vectors):
        shape: list[Dim] = [1] * count
        shape[order[position]] = vector.spec.shape[0]
        grids.append(reshape(vector, shape))
    if sparse:
        return grids
    full = broadcast_shapes(*[grid.spec.shape for grid in grids]) if grids else ()
    return [broadcast_to(grid, full) for grid in grids]


def _edited_axis(name: str, arr: Operand, axis: int | None) -> tuple[Value, int, int]:
    node = as_value(arr)
    if axis is None:
        node, axis = ravel(node), 0
    place = normalize_axis(axis, node.ndim)
    length = node.spec.shape[place]
    if not isinstance(length, int):
        raise OptionError(f"{name}: axis {place} has length {length}; it must be a number.")
    return node, place, length


def _edit_places(name: str, obj: object, length: int, edit: Callable[..., Array]) -> Array:
    if isinstance(obj, Value):
        raise OptionError(f"{name}: the places must be known when building, not a node.")
    try:
        return edit(obj)
    except IndexError:
        raise AxisError(f"{name}: {obj!r:.60} is out of range for length {length}.") from None


@implements(np.delete)
def delete(arr: Operand, obj: object, axis: int | None = None) -> Value:
    """Leave out the slices of *arr* that *obj*, fixed integers or a slice, names along *axis*.

    >>> delete(Value([1.0, 2.0, 3.0]), 1)
    Value(data=[1. 3.], grad=None)
    """
    node, place, length = _edited_axis("delete", arr, axis)
    kept = _edit_places("delete", obj, length, lambda o: np.delete(np.arange(length), o))
    return take(node, kept, axis=place)


@implements(np.insert)
def insert(arr: Operand, obj: object, values: Operand, axis: int | None = None) -> Value:
    """Put *values* before the places *obj*, fixed integers or a slice, along *axis* of *arr*.

    >>> insert(Value([1.0, 2.0]), 1, 5.0)
    Value(data=[1. 5. 2.], grad=None)
    """
    node, place, length = _edited_axis("insert", arr, axis)
    added = astype(as_value(values), node.spec.dtype)
    single = not isinstance(obj, slice) and np.ndim(obj) == 0  # type: ignore[arg-type]
    if single and added.ndim:
        # At one place, as NumPy has it, the first axis of the values runs along the axis.
        added = _leading(added, node.ndim)
        added = moveaxis(added, 0, place)
    trial = _edit_places("insert", obj, length, lambda o: np.insert(np.arange(length), o, length))
    count = len(trial) - length
    if single:
        count = added.spec.shape[place] if added.ndim else 1  # type: ignore[assignment]
    shape = node.spec.shape
    added = broadcast_to(added, (*shape[:place], count, *shape[place + 1 :]))
    order = _edit_places(
        "insert", obj, length, lambda o: np.insert(np.arange(length), o, length + np.arange(count))
    )
    return take(concatenate([node, added], place), order, axis=place)


def _leading(node: Value, ndim: int) -> Value:
    missing = ndim - node.ndim
    return expand_dims(node, tuple(range(missing))) if missing > 0 else node
