"""The same elements laid out anew: pad, tile, repeat, roll, triangles and the trace."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DTypeError, OptionError, ShapeError
from ..ir.op import Array, Operand, Trait, implements
from ..ir.value import Value, as_value
from ..lengths import Dim, Length, same
from ..spec import DType, DTypeLike, Spec, normalize_axis
from .batching import batch_by_broadcasting, batch_by_shifting
from .forms import NodeFunction, general, linear
from .indexing import take
from .reduce import sum as sum_axes
from .shape import broadcast_to, diagonal, expand_dims, ravel, reshape
from .slices import slice_node

__all__ = ["pad", "repeat", "roll", "tile", "trace", "tril", "triu"]

Widths = tuple[tuple[Dim, Dim], ...]


def _pad_infer(x: Spec, *, widths: Widths, values: tuple[tuple[Any, Any], ...]) -> Spec:
    shape = [before + n + after for n, (before, after) in zip(x.shape, widths, strict=True)]
    return Spec(tuple(shape), x.dtype)


def _pad(
    x: Array,
    out: Array,
    *,
    widths: tuple[tuple[int, int], ...],
    values: tuple[tuple[Any, Any], ...],
) -> None:
    inner = [slice(before, before + n) for n, (before, _) in zip(x.shape, widths, strict=True)]
    out[tuple(inner)] = x
    for axis, ((before, after), (low, high)) in enumerate(zip(widths, values, strict=True)):
        # Earlier axes are padded over their whole length already, later ones not yet.
        low_end = [slice(None)] * axis + [slice(0, before)] + inner[axis + 1 :]
        high_end = list(low_end)
        high_end[axis] = slice(out.shape[axis] - after, None)
        out[tuple(low_end)] = low
        out[tuple(high_end)] = high


def _pad_inner(g: Value, x: Value, widths: Widths) -> Value:
    lengths = zip(widths, x.spec.shape, strict=True)
    return slice_node(g, tuple((before, 1, length) for (before, _), length in lengths))


def _pad_jvp(t: Value, y: Value, x: Value, *, widths: Widths, values: object) -> Value:
    return _pad_node(t, widths=widths, values=((0, 0),) * x.ndim)


_pad_node: NodeFunction = general(
    "pad",
    _pad,
    infer=_pad_infer,
    batch=lambda flags, x, *, widths, values: _pad_node(
        x, widths=((0, 0), *widths), values=((0, 0), *values)
    ),
    vjp=(lambda g, y, x, *, widths, values: _pad_inner(g, x, widths),),
    jvp=(_pad_jvp,),
    family="shape",
    traits=(Trait.LINEAR, Trait.MOVES_MASK),
    cost=lambda out, *specs, **attrs: 0,
    variants=(
        {"widths": ((1, 2), (0, 1)), "values": ((0, 0), (0, 0))},
        {"widths": ((1, 0), (2, 1)), "values": ((1, 2), (3, 4))},
    ),
    doc="The operand with constants before and after it along each axis.",
)


def _pairs(name: str, given: object, ndim: int) -> tuple[tuple[Any, Any], ...]:
    """Read NumPy's ways to give a pair per axis: one number, one pair, or all of them."""
    if isinstance(given, dict):
        pairs: list[Any] = [(0, 0)] * ndim
        for axis, pair in given.items():
            pairs[normalize_axis(axis, ndim)] = pair
        given = pairs
    if not isinstance(given, (tuple, list, np.ndarray)):
        return ((given, given),) * ndim
    entries = [
        tuple(entry) if isinstance(entry, (tuple, list, np.ndarray)) else (entry,)
        for entry in given
    ]
    if all(len(entry) == 1 for entry in entries) and len(entries) <= 2 and len(entries) > 0:
        flat = [entry[0] for entry in entries]
        if not isinstance(given[0], (tuple, list, np.ndarray)):
            return ((flat[0], flat[-1]),) * ndim
    if len(entries) not in (1, ndim) or any(len(entry) not in (1, 2) for entry in entries):
        raise OptionError(
            f"pad: {name} must be a number, a pair, or a pair for each of {ndim} axes,"
            f" got {given!r}."
        )
    full = [(entry[0], entry[-1]) for entry in entries]
    return tuple(full * ndim if len(full) == 1 else full)


def _width(width: object) -> Dim:
    if isinstance(width, Length):
        return width
    if isinstance(width, bool) or not hasattr(width, "__index__"):
        raise OptionError(f"pad: a width must be an integer, got {width!r}.")
    count = operator.index(width)
    if count < 0:
        raise OptionError(f"pad: a width must not be negative, got {count}.")
    return count


def _fill_number(value: object, dtype: DType) -> float | int | bool:
    if isinstance(value, Value) or np.ndim(value) != 0:  # type: ignore[arg-type]
        raise OptionError("pad: constant_values must be numbers; join with concatenate instead.")
    number = np.asarray(value)
    if not np.can_cast(number.dtype, dtype, "same_kind") and number.astype(dtype) != number:
        raise DTypeError(f"pad: the value {value!r} doesn't fit {dtype.name}.")
    fill: float | int | bool = number.astype(dtype).item()
    return fill


@implements(np.pad)
def pad(
    array: Operand, pad_width: object, mode: str = "constant", *, constant_values: object = 0
) -> Value:
    """Lengthen the axes of *array* at both ends by *pad_width*.

    *mode* says with what: ``"constant"``, or along axes of known length ``"edge"``, ``"reflect"``,
    ``"symmetric"`` or ``"wrap"``, as NumPy has them.

    >>> pad(Value([1.0, 2.0]), (1, 2))
    Value(data=[0. 1. 2. 0. 0.], grad=None)
    """
    node = as_value(array)
    widths = tuple(
        (_width(low), _width(high)) for low, high in _pairs("pad_width", pad_width, node.ndim)
    )
    if all(width == (0, 0) for width in widths):
        return node
    if mode == "constant":
        values = tuple(
            (_fill_number(low, node.spec.dtype), _fill_number(high, node.spec.dtype))
            for low, high in _pairs("constant_values", constant_values, node.ndim)
        )
        return _pad_node(node, widths=widths, values=values)
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise OptionError(
            f'pad: mode must be "constant", "edge", "reflect", "symmetric" or "wrap", got {mode!r}.'
        )
    for axis, width in enumerate(widths):
        if width == (0, 0):
            continue
        length = node.spec.shape[axis]
        if isinstance(length, Length) or any(isinstance(w, Length) for w in width):
            raise OptionError(f"pad: mode {mode!r} needs a known length, axis {axis} has {length}.")
        if length == 0:
            raise ShapeError(f"pad: axis {axis} of length 0 has nothing to pad with.")
        places = np.pad(np.arange(length), width, mode=mode)  # type: ignore[call-overload]
        node = take(node, places, axis=axis)
    return node


@implements(np.tile)
def tile(A: Operand, reps: object) -> Value:  # noqa: N803  NumPy's name
    """Repeat the whole of *A* as often as *reps* says along each axis.

    >>> tile(Value([1.0, 2.0]), 2)
    Value(data=[1. 2. 1. 2.], grad=None)
    """
    node = as_value(A)
    counts: list[Any] = list(reps) if isinstance(reps, (tuple, list, np.ndarray)) else [reps]
    counts = [_count("tile", count) for count in counts]
    shape = [1] * (len(counts) - node.ndim) + list(node.spec.shape)
    counts = [1] * (len(shape) - len(counts)) + counts
    if all(count == 1 for count in counts):
        return reshape(node, shape)
    thin = [n for length in shape for n in (1, length)]
    wide = [n for pair in zip(counts, shape, strict=True) for n in pair]
    total = [count * length for count, length in zip(counts, shape, strict=True)]
    return reshape(broadcast_to(reshape(node, thin), tuple(wide)), total)


def _count(name: str, count: object) -> Dim:
    if isinstance(count, Length):
        return count
    if isinstance(count, (bool, Value)) or not hasattr(count, "__index__"):
        raise OptionError(f"{name}: a number of repeats must be an integer, got {count!r:.60}.")
    number = operator.index(count)
    if number < 0:
        raise OptionError(f"{name}: a number of repeats must not be negative, got {number}.")
    return number


@implements(np.repeat)
def repeat(a: Operand, repeats: object, axis: int | None = None) -> Value:
    """Repeat each element of *a* along *axis*, by default of all elements in a row.

    *repeats* is one number, or one per element.

    >>> repeat(Value([1.0, 2.0]), 2)
    Value(data=[1. 1. 2. 2.], grad=None)
    """
    node = as_value(a)
    if axis is None:
        node, axis = ravel(node), 0
    place = normalize_axis(axis, node.ndim)
    shape = node.spec.shape
    if not isinstance(repeats, (Value, Length)) and np.ndim(repeats) == 1:  # type: ignore[arg-type]
        counts = [_count("repeat", count) for count in repeats]  # type: ignore[attr-defined]
        if len(counts) != 1:
            return _repeat_each(node, counts, place)
        repeats = counts[0]
    count = _count("repeat", repeats)
    wide = (*shape[: place + 1], count, *shape[place + 1 :])
    merged = (*shape[:place], shape[place] * count, *shape[place + 1 :])
    return reshape(broadcast_to(expand_dims(node, place + 1), wide), merged)


def _repeat_each(node: Value, counts: Sequence[Dim], axis: int) -> Value:
    shape = node.spec.shape
    if not same(shape[axis], len(counts)):
        raise ShapeError(f"repeat: {len(counts)} repeats for axis {axis} of length {shape[axis]}.")
    known = reshape(node, (*shape[:axis], len(counts), *shape[axis + 1 :]))
    return take(known, np.repeat(np.arange(len(counts)), counts), axis=axis)  # type: ignore[arg-type]


def _roll(x: Array, out: Array, *, shifts: tuple[int, ...], axes: tuple[int, ...]) -> None:
    pieces: list[list[tuple[slice, slice]]] = [[(slice(None), slice(None))] for _ in x.shape]
    for shift, axis in zip(shifts, axes, strict=True):
        length = x.shape[axis]
        offset = shift % length if length else 0
        if offset:
            pieces[axis] = [
                (slice(offset, None), slice(None, -offset)),
                (slice(None, offset), slice(-offset, None)),
            ]
    for chosen in itertools.product(*pieces):
        out[tuple(to for to, _ in chosen)] = x[tuple(origin for _, origin in chosen)]


_roll_node: NodeFunction = linear(
    "roll",
    _roll,
    infer=lambda x, *, shifts, axes: x,
    transpose=lambda g, x, *, shifts, axes: _roll_node(
        g, shifts=tuple(-shift for shift in shifts), axes=axes
    ),
    traits=(Trait.MOVES_MASK,),
    array_api="roll",
    variants=({"shifts": (1,), "axes": (0,)}, {"shifts": (-2, 5), "axes": (1, 0)}),
    batch=batch_by_shifting("roll"),
    doc="The elements moved along axes, those that leave one end coming back at the other.",
)


@implements(np.roll)
def roll(a: Operand, shift: object, axis: object = None) -> Value:
    """Move the elements of *a* by *shift* places along *axis*, round the end to the start.

    Without an axis the elements in a row are meant.

    >>> roll(Value([1.0, 2.0, 3.0]), 1)
    Value(data=[3. 1. 2.], grad=None)
    """
    node = as_value(a)
    if axis is None:
        return reshape(roll(ravel(node), shift, 0), node.spec.shape)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,)
    totals: dict[int, Dim] = {}
    for count, place in np.broadcast(shifts, axes):
        if not isinstance(count, Length) and not hasattr(count, "__index__"):
            raise OptionError(f"roll: a shift must be an integer, got {count}.")
        number = count if isinstance(count, Length) else operator.index(count)
        where = normalize_axis(place, node.ndim)
        totals[where] = totals.get(where, 0) + number
    moved = {where: total for where, total in totals.items() if total != 0}
    if not moved:
        return node
    return _roll_node(node, shifts=tuple(moved.values()), axes=tuple(moved))


def _triangle(x: Array, out: Array, *, k: int, upper: bool) -> None:
    rows, columns = x.shape[-2:]
    kept = np.tri(rows, columns, k - 1 if upper else k, dtype=bool)
    out.fill(0)
    np.copyto(out, x, where=~kept if upper else kept)


def _triangle_infer(x: Spec, *, k: int, upper: bool) -> Spec:
    if x.ndim < 2:
        raise ShapeError(f"a triangle needs two axes or more, got {x}.")
    return x


_triangle_node: NodeFunction = linear(
    "triangle",
    _triangle,
    infer=_triangle_infer,
    transpose=lambda g, x, *, k, upper: _triangle_node(g, k=k, upper=upper),
    support=lambda index, x, **attrs: _triangle_node(
        broadcast_to(as_value(True), x.spec.shape), **attrs
    ),
    traits=(Trait.IDEMPOTENT,),
    variants=({"k": 0, "upper": False}, {"k": 1, "upper": True}, {"k": -1, "upper": True}),
    batch=batch_by_broadcasting("triangle"),
    doc="The last two axes with zeros on one side of a diagonal.",
)


@implements(np.tril)
def tril(m: Operand, k: int = 0) -> Value:
    """Put zeros above diagonal *k* of the last two axes.

    >>> tril(Value([[1.0, 2.0], [3.0, 4.0]]))
    Value(data=[[1. 0.] [3. 4.]], grad=None)
    """
    return _triangle_node(_matrix(m), k=operator.index(k), upper=False)


@implements(np.triu)
def triu(m: Operand, k: int = 0) -> Value:
    """Put zeros below diagonal *k* of the last two axes."""
    return _triangle_node(_matrix(m), k=operator.index(k), upper=True)


def _matrix(m: Operand) -> Value:
    """Give a vector as the rows of a square, as NumPy's triangles take it."""
    node = as_value(m)
    return broadcast_to(node, node.spec.shape * 2) if node.ndim == 1 else node


@implements(np.trace)
def trace(
    a: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: DTypeLike | None = None
) -> Value:
    """Add up the elements on a diagonal of two axes.

    >>> trace(Value([[1.0, 2.0], [3.0, 4.0]]))
    Value(data=5.0, grad=None)
    """
    return sum_axes(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)
