"""Basic indexing as views: the record of a slice, its transpose, and writing into it.

An index is canonical when it is a tuple with one entry per axis of the operand, and None wherever
the result gets a new axis of length 1. An entry is a length (the axis is dropped), or
``(start, step, length)`` with *start* counted from the front. All of them may be symbolic.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from ..errors import AxisError, OptionError, ShapeError
from ..ir.op import Array, Attrs, Call, In, Trait, Writes
from ..ir.value import Value, as_value
from ..lengths import Dim, Length, maximum, minimum, same
from ..spec import Shape, Spec, cotangent_dtype, format_shape
from .arithmetic import zeros_like
from .batching import repeated
from .forms import NodeFunction, general, linear
from .shape import broadcast_to

__all__: list[str] = []

Range: TypeAlias = tuple[Dim, Dim, Dim]
Entry: TypeAlias = "Dim | Range | None"
Index: TypeAlias = tuple[Entry, ...]
Attr: TypeAlias = Any
"""The value of an attribute."""


def python_index(index: Index, shape: Sequence[int]) -> tuple[Any, ...]:
    """Write a canonical index, by now of integers only, as NumPy takes it for an array of *shape*.

    An entry outside its axis, which only a symbolic length can hide until now, is an AxisError.
    """
    result: list[Any] = []
    axis = 0
    for entry in index:
        if entry is None:
            result.append(None)
            continue
        length = shape[axis]
        if isinstance(entry, tuple):
            result.append(_python_slice(entry, axis, length))
        else:
            position = operator.index(entry)
            if not 0 <= position < length:
                raise AxisError(f"index {position} is outside axis {axis} of length {length}.")
            result.append(position)
        axis += 1
    # Integers alone would give a number instead of a view.
    return (*result, Ellipsis)


def _python_slice(entry: Range, axis: int, length: int) -> slice:
    start, step, count = map(operator.index, entry)
    if count == 0:
        return slice(0, 0)
    last = start + step * (count - 1)
    if count < 0 or not (0 <= start < length and 0 <= last < length):
        raise AxisError(
            f"a slice of {count} elements from {start} in steps of {step} doesn't fit"
            f" axis {axis} of length {length}."
        )
    stop = last + step
    return slice(start, None if stop < 0 else stop, step)


def whole(length: Dim) -> Range:
    """Give the entry that keeps an axis of *length* as it is."""
    return (0, 1, length)


def is_whole(index: Index, shape: Shape) -> bool:
    """Whether a canonical index keeps every axis as it is and adds none."""
    return len(index) == len(shape) and all(
        entry == whole(length) for entry, length in zip(index, shape, strict=True)
    )


def sliced_shape(index: Index) -> Shape:
    """Give the shape of what a canonical index picks."""
    lengths: list[Dim] = []
    for entry in index:
        if entry is None:
            lengths.append(1)
        elif isinstance(entry, tuple):
            lengths.append(entry[2])
    return tuple(lengths)


def _call_view(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
    if not specs[0].is_static:
        return Call(lambda x: x[python_index(attrs["index"], x.shape)], (In(0),))
    return Call(operator.getitem, (In(0), python_index(attrs["index"], specs[0].shape)))  # type: ignore[arg-type]


def _support(number: int, /, x: Value, **attrs: Attr) -> Value:
    here = broadcast_to(as_value(True), sliced_shape(attrs["index"]))
    return _unslice(here, shape=x.spec.shape, **attrs)


def _batched_index(x: Value, index: Index) -> Index:
    return (whole(x.spec.shape[0]), *index)


_slice: NodeFunction = linear(
    "slice",
    lambda x, *, index: x[python_index(index, x.shape)],
    infer=lambda x, *, index: Spec(sliced_shape(index), x.dtype),
    transpose=lambda g, x, *, index: _unslice(g, shape=x.spec.shape, index=index),
    writes=Writes.VIEW,
    support=_support,
    batch=lambda flags, x, *, index: _slice(x, index=_batched_index(x, index)),
    call=_call_view,
    variants=({"index": ((2, -1, 3), None, 1)}, {"index": ((0, 2, 2), (1, 1, 0))}),
    doc="The elements that integers, slices and new axes pick.",
)


def _fill(x: Array, out: Array, *, index: Index, shape: Shape) -> None:
    out.fill(0)
    out[python_index(index, out.shape)] = x


_unslice: NodeFunction = linear(
    "unslice",
    _fill,
    infer=lambda x, *, index, shape: Spec(shape, x.dtype),
    transpose=lambda g, x, *, index, shape: _slice(g, index=index),
    batch=lambda flags, x, *, index, shape: _unslice(
        x, index=_batched_index(x, index), shape=(x.spec.shape[0], *shape)
    ),
    traits=(Trait.MOVES_MASK,),
    variants=({"index": ((4, -1, 3), None, 1, (0, 2, 4)), "shape": (5, 2, 8)},),
    doc="Zeros with the elements that an index picks filled.",
)


def _replace(x: Array, y: Array, out: Array, *, index: Index) -> None:
    np.copyto(out, x)
    out[python_index(index, out.shape)] = y


def _replace_infer(x: Spec, y: Spec, *, index: Index) -> Spec:
    shape = sliced_shape(index)
    fits = len(shape) == y.ndim and all(map(same, shape, y.shape))
    if not fits or x.dtype != y.dtype:
        raise ShapeError(f"the index picks {Spec(shape, x.dtype)}, but {y} is to be written there.")
    return x


def _replace_vjp(g: Value, y: Value, x: Value, v: Value, *, index: Index) -> tuple[Value, Value]:
    inside = _slice(g, index=index)
    return _slice_set(g, zeros_like(inside), index=index), inside


def _replace_jvp(
    tangents: Sequence[Value | None], y: Value, x: Value, v: Value, *, index: Index
) -> Value:
    tx, tv = tangents
    if tx is None:
        assert tv is not None
        return _unslice(tv, index=index, shape=x.spec.shape)
    return _slice_set(tx, zeros(v.spec) if tv is None else tv, index=index)


def _replace_support(number: int, /, x: Value, v: Value, *, index: Index) -> Value:
    if number == 1:
        return broadcast_to(as_value(True), v.spec.shape)
    everywhere = broadcast_to(as_value(True), x.spec.shape)
    return _slice_set(everywhere, broadcast_to(as_value(False), v.spec.shape), index=index)


def _replace_batch(is_batched: Sequence[bool], x: Value, v: Value, *, index: Index) -> Value:
    whole_x, whole_v = repeated(is_batched, (x, v))
    return _slice_set(whole_x, whole_v, index=_batched_index(whole_x, index))


def zeros(spec: Spec) -> Value:
    """Give the tangent of a node of *spec* that doesn't move."""
    return broadcast_to(as_value(0.0, cotangent_dtype(spec.dtype)), spec.shape)


_slice_set = general(
    "slice_set",
    _replace,
    infer=_replace_infer,
    vjp=_replace_vjp,
    jvp=_replace_jvp,
    support=_replace_support,
    batch=_replace_batch,
    family="indexing",
    traits=(Trait.LINEAR,),
    reusable=(0,),
    cost=lambda out, *specs, **attrs: 0,
    domain=((-3.0, 3.0), (-3.0, 3.0)),
    doc="The first value with the elements that an index picks replaced by the second.",
)


def slice_node(x: Value, index: Index) -> Value:
    """Apply a canonical index; one that changes nothing gives the node itself."""
    return x if is_whole(index, x.spec.shape) else _slice(x, index=index)


def slice_set(x: Value, v: Value, index: Index) -> Value:
    """Replace what a canonical index picks of *x* by *v*, of the picked shape and x's dtype."""
    return _slice_set(x, v, index=index)


def cut(x: Value, axis: int, start: Dim, length: Dim, step: int = 1) -> Value:
    """Take *length* elements from *start* along one axis."""
    entries: list[Entry] = [whole(n) for n in x.spec.shape]
    entries[axis] = (start, step, length)
    return slice_node(x, tuple(entries))


def is_index(entry: object) -> bool:
    """Whether something can be an integer index: an integer, or a length."""
    if isinstance(entry, Length):
        return True
    return hasattr(entry, "__index__") and not isinstance(
        entry, (bool, np.bool_, np.ndarray, Value)
    )


def _bound(bound: object, what: str) -> Dim | None:
    if bound is None:
        return None
    if isinstance(bound, Length):
        return bound
    if not is_index(bound):
        hint = (
            "; take rows by a computed start with x.take(...)" if isinstance(bound, Value) else ""
        )
        raise OptionError(
            f"a slice's {what} must be an integer, a length or None, not"
            f" {bound!r} ({type(bound).__name__}){hint}."
            if not isinstance(bound, Value)
            else f"a slice's {what} must be an integer, a length or None, not a node{hint}."
        )
    return operator.index(bound)  # type: ignore[arg-type]


def _is_negative(bound: Dim) -> bool:
    return bound < 0 if isinstance(bound, int) else maximum(bound, 0) == 0


def read_slice(given: slice, length: Dim) -> Range:
    """Read a slice of an axis of *length* as start, step and count.

    Along a symbolic length, a start that skips elements and a stop counted from the end are taken
    to lie within the axis, so that ``x[1:]`` has length n - 1; a shorter axis is an error when
    the program runs.

    >>> read_slice(slice(1, None), Length.named("n"))
    (1, 1, Length('n - 1'))
    """
    start, stop = _bound(given.start, "start"), _bound(given.stop, "stop")
    step = _bound(given.step, "step")
    if isinstance(step, Length):
        raise OptionError(f"a slice's step must be an integer, not the length {step}.")
    step = 1 if step is None else step
    if step == 0:
        raise OptionError("a slice's step must not be 0.")
    if all(bound is None or isinstance(bound, int) for bound in (start, stop, length)):
        found = range(length)[slice(start, stop, step)]
        return (found.start if len(found) else 0, step, len(found))
    first, span = _forwards(start, stop, length) if step > 0 else _backwards(start, stop, length)
    if start is not None and stop is not None and _is_negative(start) == _is_negative(stop):
        between = (stop - start) * (1 if step > 0 else -1)
        if isinstance(between, int) and between <= 0:
            return (0, step, 0)
    count = (span + abs(step) - 1) // abs(step)
    crosses = start is not None and stop is not None and _is_negative(start) != _is_negative(stop)
    skips = start is not None and _is_negative(start) == (step < 0)
    if isinstance(count, int) or (crosses and not skips):
        count = maximum(count, 0)
    return (first, step, count)


def _forwards(start: Dim | None, stop: Dim | None, length: Dim) -> tuple[Dim, Dim]:
    """Give the first place of a slice, and how far before its end that lies."""
    end = length
    if stop is not None:
        end = length + stop if _is_negative(stop) else minimum(stop, length)
    if start is None:
        return 0, end
    if not _is_negative(start):
        return start, end - start
    first = length + start
    return maximum(first, 0), minimum(end - first, end)


def _backwards(start: Dim | None, stop: Dim | None, length: Dim) -> tuple[Dim, Dim]:
    """Give the first place of a backward slice, and how far after its end that lies."""
    first = length - 1
    if start is not None:
        first = length + start if _is_negative(start) else minimum(start, length - 1)
    if stop is None:
        return first, first + 1
    if not _is_negative(stop):
        return first, first - stop
    return first, minimum(first - (length + stop), first + 1)


def read_position(given: object, axis: int, shape: Shape) -> Dim:
    """Read an integer index of one axis, counted from the front."""
    length = shape[axis]
    position: Dim = given if isinstance(given, Length) else operator.index(given)  # type: ignore[arg-type]
    inside = True
    if isinstance(position, int) and isinstance(length, int):
        inside = -length <= position < length
    elif isinstance(length - position, int):
        inside = length - position > 0
    if not inside:
        raise AxisError(
            f"index {given} is out of range for axis {axis} of length {length}"
            f" of {format_shape(shape)}."
        )
    return length + position if _is_negative(position) else position
