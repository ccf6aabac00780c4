"""Indexing as users write it: ``x[...]``, ``x.at[...]``, take and their kin.

Reads an index by NumPy's rules into a view (integers, slices, new axes) followed by a gather
(arrays of integers, masks); does no arithmetic on elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..errors import AxisError, DTypeError, OptionError, ShapeError
from ..ir.arrays import plain_array
from ..ir.op import Array, Operand, call, implements, public
from ..ir.value import CONSTANT, Value, as_value, constant
from ..lengths import Dim, Length, compare
from ..spec import Shape, broadcast_shapes, differs, format_shape, normalize_axis
from .arithmetic import astype, maximum, minimum, not_equal, remainder
from .scatter import Axes, gather, gather_along, gathered_shape, nonzero_items
from .shape import broadcast_to, expand_dims, flip, ravel, reshape
from .slices import (
    Entry,
    Index,
    cut,
    is_index,
    read_position,
    read_slice,
    slice_node,
    sliced_shape,
    whole,
)

__all__ = [
    "argwhere",
    "compress",
    "extract",
    "flatnonzero",
    "getitem",
    "nonzero",
    "take",
    "take_along_axis",
]

Item: TypeAlias = Any
"""None, Ellipsis, a slice, an integer or length, or an array or node of integers or bools."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What an index picks of *base*: a view of it, then a gather of that."""

    base: Value
    index: Index
    arrays: tuple[Value, ...] = ()
    axes: Axes = ()
    place: int = 0
    unique: bool = True

    @property
    def shape(self) -> Shape:
        """The shape of what is picked."""
        shape = sliced_shape(self.index)
        if not self.arrays:
            return shape
        return gathered_shape(shape, [a.spec.shape for a in self.arrays], self.axes, self.place)

    def pick(self) -> Value:
        """Give the node that is picked."""
        inner = _view(self.base, self.index)
        if not self.arrays:
            return inner
        return gather(inner, *self.arrays, axes=self.axes, place=self.place, unique=self.unique)


def _view(x: Value, index: Index) -> Value:
    """Apply a canonical index, as an operation that keeps every element where that is possible."""
    entries = [entry for entry in index if entry is not None]
    if all(entry == whole(n) for entry, n in zip(entries, x.spec.shape, strict=True)):
        added = tuple(i for i, entry in enumerate(index) if entry is None)
        return expand_dims(x, added) if added else x
    if len(entries) == len(index):
        kept = [(whole(n), (n - 1, -1, n)) for n in x.spec.shape]
        if all(entry in pair for entry, pair in zip(entries, kept, strict=True)):
            return flip(x, tuple(i for i, e in enumerate(entries) if e == kept[i][1]))
    return slice_node(x, index)


def _contains_node(entries: Sequence[Any]) -> bool:
    waiting = [entries]
    while waiting:
        for entry in waiting.pop():
            if isinstance(entry, Value):
                return True
            if isinstance(entry, (list, tuple)):
                waiting.append(entry)
    return False


def _read_item(item: object) -> Item:
    """Give one part of an index as None, Ellipsis, a slice, an integer, an array or a node."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, Value):
        if item.op is not CONSTANT:
            return _checked(item)
        item = item.attrs["value"]
    if isinstance(item, (list, tuple)):
        if _contains_node(item):
            raise OptionError(
                "an index list can't hold nodes; join them first with np.stack([...]) and index"
                " with the result."
            )
        if not item:
            item = np.zeros(0, np.int64)
    if isinstance(item, Length) or is_index(item):
        return item
    numbers = (list, tuple, float, bool, np.generic, np.ndarray)
    if not isinstance(item, numbers) and not hasattr(item, "__array__"):
        raise OptionError(
            "an index is made of integers, slices, Ellipsis, None, and arrays or nodes of"
            f" integers or bools, not {item!r} ({type(item).__name__})."
        )
    array = plain_array(item)
    if array.dtype.kind == "f":
        raise DTypeError(
            f"an index must be integers or bools, got {array.dtype.name}"
            f"{format_shape(array.shape)}; convert it with .astype(int)."
        )
    if array.dtype.kind in "iu":
        return int(array) if array.ndim == 0 else array.astype(np.int64)
    return array


def _checked(node: Value) -> Value:
    if node.spec.dtype.kind == "f":
        raise DTypeError(
            f"an index must be integers or bools, got {node.spec}; convert it with .astype(int)."
        )
    # The only integers that don't convert safely to NumPy's index type.
    return astype(node, np.int64) if node.spec.dtype == np.uint64 else node


def _is_array(item: object) -> bool:
    return isinstance(item, (np.ndarray, Value))


def _is_mask(item: object) -> bool:
    return isinstance(item, (np.ndarray, Value)) and item.dtype.kind == "b"


def _consumed(item: Item) -> int:
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if _is_mask(item) else 1


class _Reader:
    """Collects the parts of one index, axis by axis."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.actual = list(shape)
        self.axis = 0
        self.kept = 0
        self.entries: list[Entry] = []
        self.arrays: list[Value] = []
        self.axes: list[int] = []
        self.distinct: list[bool] = []
        self.before: list[int] = []
        self.runs: list[bool] = []

    def add(self, item: Item, *, joins: bool) -> None:
        """Read one part; *joins* says that integers count among the arrays."""
        if item is None:
            self._mark(False)
            self.entries.append(None)
            self.kept += 1
        elif isinstance(item, slice):
            self._mark(False)
            self._keep(read_slice(item, self.shape[self.axis]))
        elif not _is_array(item):
            self._mark(joins)
            self.entries.append(read_position(item, self.axis, self.shape))
            self.axis += 1
        else:
            self._mark(True)
            self._add_array(item)

    def skip(self, count: int) -> None:
        """Keep *count* axes whole, for an Ellipsis."""
        self._mark(False)
        for _ in range(count):
            self._keep(whole(self.shape[self.axis]))

    def _keep(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.axis += 1
        self.kept += 1

    def _mark(self, advanced: bool) -> None:
        self.runs.append(advanced)
        self.before.append(self.kept - len(self.arrays))

    def _add_array(self, item: Array | Value) -> None:
        if not _is_mask(item):
            self._index(item)
            return
        if item.ndim == 0:
            # A bool without axes adds an axis, of length 1 or 0.
            self.entries.append(None)
            found = _places(item[None] if isinstance(item, np.ndarray) else expand_dims(item, 0))
            self._push(found[0], True)
            return
        for offset, length in enumerate(item.shape):
            axis = self.axis + offset
            if differs(length, self.shape[axis]):
                raise AxisError(
                    f"a mask {format_shape(item.shape)} doesn't fit {format_shape(self.shape)}:"
                    f" it has length {length} on axis {axis} of length {self.shape[axis]}."
                )
            self.actual[axis] = length
        for places in _places(item):
            self.entries.append(whole(self.actual[self.axis]))
            self.axis += 1
            self._push(places, True)

    def _index(self, item: Array | Value) -> None:
        length = self.shape[self.axis]
        distinct = item.ndim == 0
        if isinstance(item, np.ndarray):
            item, distinct = self._fixed(item, length)
        self._keep(whole(length))
        self.kept -= 1
        self._push(as_value(item), distinct)

    def _fixed(self, index: Array, length: Dim) -> tuple[Array, bool]:
        """Check a constant index array against its axis; tell whether its entries differ."""
        if isinstance(length, int):
            outside = (index < -length) | (index >= length)
            if outside.any():
                raise AxisError(
                    f"index {index[outside][0]} is out of range for axis {self.axis} of length"
                    f" {length} of {format_shape(self.shape)}."
                )
            index = np.where(index < 0, index + length, index)
        one_sided = index.size == 0 or (index.min() >= 0) == (index.max() >= 0)
        return index, bool(one_sided) and len(np.unique(index)) == index.size

    def _push(self, array: Value, distinct: bool) -> None:
        self.arrays.append(array)
        self.axes.append(self.kept)
        self.distinct.append(distinct)
        self.kept += 1

    def selection(self, x: Value) -> Selection:
        actual = tuple(self.actual)
        base = x if actual == x.spec.shape else reshape(x, actual)
        if not self.arrays:
            return Selection(base, tuple(self.entries))
        first = self.runs.index(True)
        last = len(self.runs) - self.runs[::-1].index(True)
        place = self.before[first] if all(self.runs[first:last]) else 0
        return Selection(
            base,
            tuple(self.entries),
            tuple(self.arrays),
            tuple(self.axes),
            place,
            self._unique(),
        )

    def _unique(self) -> bool:
        """Whether it is known that no element is picked twice."""
        shape = broadcast_shapes(*[array.spec.shape for array in self.arrays])
        if any(
            distinct and array.spec.shape == shape
            for array, distinct in zip(self.arrays, self.distinct, strict=True)
        ):
            return True
        if not all(array.op is CONSTANT for array in self.arrays):
            return False
        rows = np.broadcast_arrays(*[array.attrs["value"] for array in self.arrays])
        columns = np.stack([row.reshape(-1) for row in rows])
        return bool(columns.min(initial=0) >= 0) and _distinct_columns(columns)


def _distinct_columns(columns: Array) -> bool:
    distinct: bool = len(np.unique(columns.T, axis=0)) == columns.shape[1]
    return distinct


def _places(mask: Array | Value) -> tuple[Value, ...]:
    """Give the indices of the true elements of a mask."""
    if isinstance(mask, Value):
        return nonzero_items(mask)
    return tuple(constant(places) for places in np.nonzero(mask))


def _select(x: Value, index: object) -> Selection:
    items = [_read_item(item) for item in (index if isinstance(index, tuple) else (index,))]
    skips = sum(item is Ellipsis for item in items)
    if skips > 1:
        raise OptionError(f"an index may hold one Ellipsis, got {skips}.")
    consumed = sum(map(_consumed, items))
    if consumed > x.ndim:
        raise AxisError(f"too many indices: {consumed} for {x.spec}, which has {x.ndim} axes.")
    if not skips:
        items.append(Ellipsis)
    reader = _Reader(x.spec.shape)
    joins = any(map(_is_array, items))
    for item in items:
        if item is Ellipsis:
            reader.skip(x.ndim - consumed)
        else:
            reader.add(item, joins=joins)
    return reader.selection(x)


def selection_of(name: str, x: Value, index: object) -> Selection:
    """Read what *index* picks of *x*; errors start with *name*."""
    try:
        return _select(x, index)
    except (ShapeError, DTypeError, OptionError) as error:
        raise type(error)(f"{name}: {error}") from None


@public
def getitem(x: Operand, index: object) -> Value:
    """Index *x* by NumPy's rules, which is what ``x[index]`` does.

    Integers, slices, Ellipsis and None give a view. Arrays, lists and nodes of integers pick
    elements; bools are masks. A mask computed in the graph gives a length known only when the
    graph runs. A fixed index outside a fixed length is an AxisError here, a computed one an
    IndexError when the graph runs.

    >>> getitem(Value([1.0, 2.0, 3.0]), slice(1, None))
    Value(data=[2. 3.], grad=None)
    """
    return selection_of("getitem", as_value(x), index).pick()


def _positions(name: str, indices: object) -> Array | Value | int | Length:
    """Read an operand that must be integers."""
    try:
        found = _read_item(indices)
    except (DTypeError, OptionError, ShapeError) as error:
        raise type(error)(f"{name}: {error}") from None
    if found is None or found is Ellipsis or isinstance(found, slice) or _is_mask(found):
        raise DTypeError(f"{name}: indices must be integers, got {indices!r:.60}.")
    result: Array | Value | int | Length = found
    return result


@implements(np.take)
def take(a: Operand, indices: object, axis: int | None = None, mode: str = "raise") -> Value:
    """Pick elements of *a* along *axis* by integers, by default from all elements in a row.

    With *mode* ``"wrap"`` an index counts on from the start, with ``"clip"`` it stops at the ends;
    ``"raise"`` refuses one out of range.

    >>> take(Value([1.0, 2.0, 3.0]), [0, 0, 2])
    Value(data=[1. 1. 3.], grad=None)
    """
    node = as_value(a)
    if axis is None:
        node, axis = ravel(node), 0
    place = normalize_axis(axis, node.ndim)
    found = _positions("take", indices)
    length = node.spec.shape[place]
    if mode == "wrap":
        wrap: Any = remainder if _symbolic(found, length) else np.remainder
        found = wrap(found, length)
    elif mode == "clip":
        low: Any = maximum if _symbolic(found, length) else np.maximum
        high: Any = minimum if _symbolic(found, length) else np.minimum
        found = high(low(found, 0), length - 1)
    elif mode != "raise":
        raise OptionError(f'take: mode must be "raise", "wrap" or "clip", got {mode!r}.')
    return selection_of("take", node, (*(slice(None),) * place, found)).pick()


def _symbolic(found: object, length: Dim) -> bool:
    return isinstance(found, (Value, Length)) or isinstance(length, Length)


@implements(np.take_along_axis)
def take_along_axis(arr: Operand, indices: object, axis: int | None = -1) -> Value:
    """Pick along *axis*, in each line of *arr*, the elements that *indices* names.

    *indices* has as many axes as *arr*, and the other axes broadcast. Without an axis both are
    vectors: *arr* is laid out in a row.

    >>> take_along_axis(Value([[1.0, 2.0], [3.0, 4.0]]), [[1], [0]], axis=1)
    Value(data=[[2.] [3.]], grad=None)
    """
    node, found = as_value(arr), _positions("take_along_axis", indices)
    if axis is None:
        node, axis = ravel(node), 0
    places = as_value(found)
    if places.ndim != node.ndim:
        raise ShapeError(
            f"take_along_axis: indices have {places.ndim} axes and the operand has {node.ndim}."
        )
    along = normalize_axis(axis, node.ndim)
    length = node.spec.shape[along]
    if isinstance(found, np.ndarray) and isinstance(length, int):
        outside = (found < -length) | (found >= length)
        if outside.any():
            raise AxisError(
                f"take_along_axis: index {found[outside][0]} is out of range for axis {along} of"
                f" length {length}."
            )
    others = [(*n.spec.shape[:along], 1, *n.spec.shape[along + 1 :]) for n in (node, places)]
    shape = broadcast_shapes(*others)
    node = broadcast_to(node, (*shape[:along], length, *shape[along + 1 :]))
    wanted = (*shape[:along], places.spec.shape[along], *shape[along + 1 :])
    return gather_along(node, broadcast_to(places, wanted), axis=along)


def _as_mask(condition: Operand) -> Value:
    node = as_value(condition)
    if node.spec.dtype.kind == "b":
        return node
    if node.op is CONSTANT:
        return constant(node.attrs["value"] != 0)
    differ: Value = not_equal(node, 0)
    return differ


@implements(np.compress)
def compress(condition: Operand, a: Operand, axis: int | None = None) -> Value:
    """Keep the slices of *a* along *axis* where the vector *condition* is true.

    Without an axis the elements of *a* in a row are meant. What lies beyond a shorter condition is
    dropped.

    >>> compress([True, False, True], Value([1.0, 2.0, 3.0]))
    Value(data=[1. 3.], grad=None)
    """
    node, mask = as_value(a), _as_mask(condition)
    if mask.ndim != 1:
        raise ShapeError(f"compress: a condition is a vector, got {format_shape(mask.shape)}.")
    if axis is None:
        node, axis = ravel(node), 0
    place = normalize_axis(axis, node.ndim)
    length = mask.spec.shape[0]
    if compare(length, node.spec.shape[place]) is False:
        node = cut(node, place, 0, length)
    return selection_of("compress", node, (*(slice(None),) * place, mask)).pick()


@implements(np.extract)
def extract(condition: Operand, arr: Operand) -> Value:
    """Give the elements of *arr* where *condition* is true, in a row."""
    return compress(ravel(_as_mask(condition)), arr)


@implements(np.nonzero)
def nonzero(a: Operand) -> tuple[Value, ...]:
    """Give the indices of the elements of *a* that are not zero, one int64 vector per axis.

    Their common length is known only when the graph runs. There is no derivative.

    >>> nonzero(Value([0.0, 2.0, 3.0]))[0]
    Value(data=[1 2], grad=None)
    """
    node = as_value(a)
    if node.ndim == 0:
        raise ShapeError("nonzero: a value without axes has no indices; use atleast_1d.")
    return _places(node.attrs["value"] if node.op is CONSTANT else node)


@implements(np.flatnonzero)
def flatnonzero(a: Operand) -> Value:
    """Give the places, counted in row-major order, of the elements of *a* that are not zero."""
    return nonzero(ravel(a))[0]


@implements(np.argwhere)
def argwhere(a: Operand) -> Value:
    """Give the indices of the elements of *a* that are not zero, one row each."""
    result: Value = call("stack", nonzero(a), axis=1)
    return result
