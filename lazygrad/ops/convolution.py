"""Convolution over any number of spatial axes, and its transpose.

Windows are laid out as the columns of a matrix, so that one matrix product does the work; the
derivatives are products too, and put windows back where they came from.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import NamedTuple, NoReturn, TypeAlias

from ..errors import OptionError, ShapeError
from ..ir.describe import located
from ..ir.op import Operand, public
from ..ir.value import Value, as_value
from ..lengths import Dim, Length, maximum, same
from ..spec import format_shape, product
from .layout import pad
from .patches import Level, Levels, add_patches, lengths_of, reach, take_patches
from .products import matmul
from .shape import reshape, transpose
from .slices import slice_node, whole
from .window import Integers, covers_axis, per_axis

__all__ = ["conv", "conv_transpose"]

Pairs: TypeAlias = "tuple[tuple[Dim, Dim], ...]"

# Columns may hold this many times as many elements as needed, to be copied in longer runs.
_MOST_WIDE = 2
# From this many output channels per place on, one product over all images beats one for each.
_FEW_PLACES = 8


def spans_of(kernel: Sequence[int], dilation: Sequence[int]) -> Integers:
    """Give how far windows reach along each axis."""
    return tuple((width - 1) * gap + 1 for width, gap in zip(kernel, dilation, strict=True))


def read_padding(
    function: str, given: object, lengths: Sequence[Dim], spans: Integers, stride: Integers
) -> Pairs:
    """Read how much to pad each spatial axis before and after."""
    count = len(spans)
    if isinstance(given, str):
        if given == "valid":
            return ((0, 0),) * count
        if given != "same":
            raise OptionError(
                f'{function}: padding must be "same", "valid", numbers or pairs, got {given!r}.'
            )
        totals = (
            _same_total(length, span, step)
            for length, span, step in zip(lengths, spans, stride, strict=True)
        )
        return tuple((total // 2, total - total // 2) for total in totals)
    if isinstance(given, (tuple, list)) and any(isinstance(pair, (tuple, list)) for pair in given):
        if len(given) != count or any(
            not isinstance(pair, (tuple, list)) or len(pair) != 2 for pair in given
        ):
            raise OptionError(
                f"{function}: padding {given!r:.60} must have one number, or one pair (before,"
                f" after), for each of {count} spatial {'axis' if count == 1 else 'axes'}."
            )
        flat = [entry for pair in given for entry in pair]
        read = per_axis(function, "padding", flat, 2 * count, 0)
        return tuple(zip(read[::2], read[1::2], strict=True))
    return tuple((width, width) for width in per_axis(function, "padding", given, count, 0))


def _same_total(length: Dim, span: int, step: int) -> Dim:
    """Pad so much that there is one window per *step* elements, the last one perhaps short."""
    if step == 1:
        return span - 1
    return maximum(((length + step - 1) // step - 1) * step + span - length, 0)


def padded(x: Value, widths: Pairs, fill: float = 0) -> Value:
    """Pad the last axes of *x*."""
    lead = x.ndim - len(widths)
    return pad(x, ((0, 0),) * lead + widths, constant_values=fill)


class Windows(NamedTuple):
    """Windows over the last axes of an array, as levels of those axes merged into one."""

    spatial: tuple[Dim, ...]
    inner: Levels
    outer: Levels
    counts: tuple[Dim, ...]
    covers: bool

    @property
    def length(self) -> Dim:
        """How many elements the merged axes have."""
        return product(self.spatial)

    @property
    def wide(self) -> Levels:
        """One level in place of all outer ones: every place from the first to the last window.

        It runs on through the ends of rows, where there is no window.
        """
        return ((reach(self.outer), 1),)

    @property
    def is_wide(self) -> bool:
        """Whether copying, and adding up, long runs beats short ones with nothing needless."""
        places, run = product(self.counts), self.wide[0][0]
        if not (isinstance(places, int) and isinstance(run, int) and self.outer):
            return False
        steps = [step for length, step in self.outer if length != 1]
        return len(steps) > 1 and min(steps) == 1 and run <= _MOST_WIDE * places


def windows_over(
    spatial: Sequence[Dim], kernel: Integers, stride: Integers, dilation: Integers
) -> Windows:
    """Describe the windows of an array that is padded already."""
    spans = spans_of(kernel, dilation)
    counts = tuple(
        (length - span) // step + 1
        for length, span, step in zip(spatial, spans, stride, strict=True)
    )
    inner: list[Level] = []
    outer: list[Level] = []
    covers = True
    for i, count in enumerate(counts):
        row = product(spatial[i + 1 :])
        inner.append((kernel[i], row * dilation[i]))
        outer.append((count, row * stride[i]))
        covers = covers and covers_axis(spatial[i], kernel[i], stride[i], dilation[i])
    return Windows(tuple(spatial), tuple(inner), tuple(outer), counts, covers)


def merged(x: Value, count: int) -> Value:
    """Merge the last *count* axes into one."""
    shape = x.spec.shape
    split = x.ndim - count
    return reshape(x, (*shape[:split], product(shape[split:])))


def check_fit(
    function: str, node: Value, lengths: Sequence[Dim], spans: Sequence[int], given: Sequence[Dim]
) -> None:
    """Refuse windows that are longer than what they slide over."""
    for i, (length, span) in enumerate(zip(lengths, spans, strict=True)):
        if isinstance(length, int) and length < span:
            before = "" if length == given[i] else f" ({given[i]} before padding)"
            raise located(
                ShapeError(
                    f"a window that reaches over {span} elements doesn't fit spatial axis {i}"
                    f" of length {length}{before}."
                ),
                function,
                (node,),
            )


def _refuse(function: str, text: str, x: Value, w: Value) -> NoReturn:
    raise located(ShapeError(text), function, (x, w))


def _kernel_shape(function: str, x: Value, w: Value) -> Integers:
    if w.ndim < 3:
        _refuse(
            function,
            f"the kernel needs two channel axes and at least one spatial axis, got {w.spec}.",
            x,
            w,
        )
    kernel = w.spec.shape[2:]
    if any(isinstance(length, Length) for length in kernel) or 0 in kernel:
        _refuse(
            function,
            f"the kernel's spatial lengths must be known and positive, got {format_shape(kernel)}.",
            x,
            w,
        )
    if x.ndim < len(kernel) + 1:
        _refuse(
            function,
            f"a kernel over {len(kernel)} spatial axes needs an input with a channel axis before"
            f" them, {len(kernel) + 1} axes or more; got {x.spec}.",
            x,
            w,
        )
    return tuple(operator.index(length) for length in kernel)


def _split_channels(function: str, length: Dim, groups: int, what: str, x: Value, w: Value) -> Dim:
    part = length // groups
    if not same(part * groups, length):
        _refuse(function, f"{length} {what} can't be split into {groups} groups.", x, w)
    return part


def _grouped(x: Value, axis: int, groups: int, part: Dim) -> Value:
    if groups == 1:
        return x
    shape = x.spec.shape
    return reshape(x, (*shape[:axis], groups, part, *shape[axis + 1 :]))


@public
def conv(
    x: Operand,
    w: Operand,
    *,
    stride: object = 1,
    padding: object = 0,
    dilation: object = 1,
    groups: int = 1,
) -> Value:
    """Slide the kernels *w* over the last axes of *x* and sum products (a cross-correlation).

    Parameters
    ----------
    x
        Shape ``(..., channels in, *spatial)``, with any number of leading axes.
    w
        Shape ``(channels out, channels in // groups, *kernel)``, one length per spatial axis.
    stride
        How far a window lies from the next one; one number, or one per spatial axis.
    padding
        Zeros before and after each spatial axis: a number, one per axis, a pair (before, after)
        per axis, ``"valid"`` for none, or ``"same"`` for ``ceil(length / stride)`` windows.
    dilation
        How far the elements of a window lie from each other.
    groups
        Into how many groups the channels are split; each has kernels of its own.

    The result has shape ``(..., channels out, *counts)``, where an axis of length n, padded, has
    ``(n - (kernel - 1) * dilation - 1) // stride + 1`` windows.

    >>> conv(Value([[1.0, 2.0, 4.0, 8.0]]), Value([[[1.0, -1.0]]]))
    Value(data=[[-1. -2. -4.]], grad=None)
    """
    x, w = as_value(x), as_value(w)
    kernel = _kernel_shape("conv", x, w)
    count = len(kernel)
    steps = per_axis("conv", "stride", stride, count)
    gaps = per_axis("conv", "dilation", dilation, count)
    (groups,) = per_axis("conv", "groups", (groups,), 1)
    axis = x.ndim - count - 1
    spatial, channels, outputs = x.spec.shape[axis + 1 :], x.spec.shape[axis], w.spec.shape[0]
    part_in = _split_channels("conv", channels, groups, "input channels", x, w)
    part_out = _split_channels("conv", outputs, groups, "output channels", x, w)
    if not same(part_in, w.spec.shape[1]):
        each = "" if groups == 1 else f", {part_in} in each of {groups} groups"
        _refuse(
            "conv", f"the input has {channels} channels{each}; the kernel wants {w.shape[1]}.", x, w
        )
    spans = spans_of(kernel, gaps)
    whole_x = padded(x, read_padding("conv", padding, spatial, spans, steps))
    lengths = whole_x.spec.shape[axis + 1 :]
    check_fit("conv", x, lengths, spans, spatial)
    windows = windows_over(lengths, kernel, steps, gaps)
    flat = _grouped(merged(whole_x, count), axis, groups, part_in)
    rows = (part_out, part_in * product(kernel))
    matrix = reshape(w, rows if groups == 1 else (groups, *rows))
    places = product(windows.counts)
    is_known = isinstance(places, int) and isinstance(outputs, int)
    if groups == 1 and is_known and 0 < places * _FEW_PLACES <= outputs:
        return _by_one_product(flat, matrix, windows)
    result = _by_columns(flat, matrix, windows)
    return reshape(result, (*x.spec.shape[:axis], outputs, *windows.counts))


def _by_columns(flat: Value, matrix: Value, windows: Windows) -> Value:
    """Multiply kernels with the windows of each image, laid out as columns."""
    outer = windows.wide if windows.is_wide else windows.outer
    taken = take_patches(flat, windows.inner, outer, windows.covers)
    lead, channels = flat.spec.shape[:-2], flat.spec.shape[-2]
    entries = channels * product(lengths_of(windows.inner))
    columns = reshape(taken, (*lead, entries, product(lengths_of(outer))))
    result = matmul(matrix, columns)
    if windows.is_wide:
        # What lies between the rows gets a cotangent of zero, so no mask is needed.
        return take_patches(result, (), windows.outer, True)
    return result


def _by_one_product(flat: Value, matrix: Value, windows: Windows) -> Value:
    """Multiply the windows of all images, laid out as rows, with the kernels."""
    taken = take_patches(flat, windows.inner, windows.outer, windows.covers)
    lead, count = flat.ndim - 2, len(windows.inner)
    order = (*range(lead), *range(lead + 1 + count, taken.ndim), *range(lead, lead + 1 + count))
    places, entries = product(windows.counts), matrix.spec.shape[1]
    rows = reshape(transpose(taken, order), (product(flat.spec.shape[:-2]) * places, entries))
    result = matmul(rows, transpose(matrix))
    shaped = reshape(result, (*flat.spec.shape[:-2], *windows.counts, matrix.spec.shape[0]))
    return transpose(shaped, (*range(lead), shaped.ndim - 1, *range(lead, shaped.ndim - 1)))


@public
def conv_transpose(
    x: Operand,
    w: Operand,
    *,
    stride: object = 1,
    padding: object = 0,
    output_padding: object = 0,
    dilation: object = 1,
    groups: int = 1,
) -> Value:
    """Add kernels, times the elements of *x*, into the places that `conv` would read them from.

    Parameters
    ----------
    x
        Shape ``(..., channels in, *spatial)``, with any number of leading axes.
    w
        Shape ``(channels in, channels out // groups, *kernel)``, one length per spatial axis.
    stride, dilation, groups
        As in `conv`.
    padding
        How much to cut off before and after each spatial axis: a number, one per axis, or pairs.
    output_padding
        How much longer to make each spatial axis at its end; less than stride or dilation.

    An axis of length n becomes ``(n - 1) * stride + (kernel - 1) * dilation + 1`` long, plus the
    output padding, less the padding.

    >>> conv_transpose(Value([[1.0, 2.0]]), Value([[[1.0, 10.0]]]), stride=2)
    Value(data=[[ 1. 10.  2. 20.]], grad=None)
    """
    x, w = as_value(x), as_value(w)
    name = "conv_transpose"
    kernel = _kernel_shape(name, x, w)
    count = len(kernel)
    steps = per_axis(name, "stride", stride, count)
    gaps = per_axis(name, "dilation", dilation, count)
    extra = per_axis(name, "output_padding", output_padding, count, 0)
    (groups,) = per_axis(name, "groups", (groups,), 1)
    if isinstance(padding, str):
        raise OptionError(f"{name}: padding must be numbers or pairs, got {padding!r}.")
    for more, step, gap in zip(extra, steps, gaps, strict=True):
        if more >= max(step, gap):
            raise OptionError(
                f"{name}: output_padding must be less than stride or dilation,"
                f" got {more} with stride {step} and dilation {gap}."
            )
    axis = x.ndim - count - 1
    spatial, channels = x.spec.shape[axis + 1 :], x.spec.shape[axis]
    if not same(channels, w.spec.shape[0]):
        _refuse(name, f"the input has {channels} channels; the kernel wants {w.shape[0]}.", x, w)
    part_in = _split_channels(name, channels, groups, "input channels", x, w)
    part_out = w.spec.shape[1]
    spans = spans_of(kernel, gaps)
    cut = read_padding(name, padding, spatial, spans, steps)
    canvas = tuple(
        (length - 1) * step + span + more
        for length, step, span, more in zip(spatial, steps, spans, extra, strict=True)
    )
    kept = tuple(n - before - after for n, (before, after) in zip(canvas, cut, strict=True))
    if any(isinstance(n, int) and n < 1 for n in kept):
        raise located(
            ShapeError(f"padding {padding!r} leaves nothing of {format_shape(canvas)}."),
            name,
            (x, w),
        )
    windows = windows_over(canvas, kernel, steps, gaps)
    # The output padding is shorter than a step, or read by no window.
    windows = windows._replace(
        counts=spatial,
        outer=tuple((n, s) for n, (_, s) in zip(spatial, windows.outer, strict=True)),
    )
    flat = _grouped(merged(x, count), axis, groups, part_in)
    outer = windows.outer
    if windows.is_wide:
        outer = windows.wide
        spread = reshape(flat, (*flat.spec.shape[:-1], *spatial))
        flat = add_patches(spread, inner=(), outer=windows.outer, length=outer[0][0])
    columns = (part_in, part_out * product(kernel))
    matrix = reshape(w, columns if groups == 1 else (groups, *columns))
    order = (1, 0) if groups == 1 else (0, 2, 1)
    result = matmul(transpose(matrix, order), flat)
    outputs = part_out * groups
    lead = x.spec.shape[:axis]
    split = reshape(result, (*lead, outputs, *kernel, *lengths_of(outer)))
    whole_y = add_patches(split, inner=windows.inner, outer=outer, length=windows.length)
    shaped = reshape(whole_y, (*lead, outputs, *canvas))
    return slice_node(
        shaped,
        (
            *map(whole, (*lead, outputs)),
            *((before, 1, n) for n, (before, _) in zip(kept, cut, strict=True)),
        ),
    )
