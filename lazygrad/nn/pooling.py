"""Pooling layers: the largest element or the average of windows, or of whole channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ..errors import OptionError, ShapeError
from ..ir.value import Value, as_value
from ..ops import adaptive_avg_pool, avg_pool, global_avg_pool, global_max_pool, max_pool
from .module import Module
from .operands import PerAxis, count, float_operand, per_axis, shown, spatial_axes

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
]


class _Pool(Module):
    """What pools share: windows over the last axes of (batch, channels, *spatial)."""

    rank: ClassVar[int]

    def __init__(self, kernel_size: PerAxis, stride: PerAxis | None, **options: Any) -> None:
        self.kernel_size = per_axis(type(self).__name__, "kernel_size", kernel_size, self.rank)
        self.stride = (
            self.kernel_size
            if stride is None
            else per_axis(type(self).__name__, "stride", stride, self.rank)
        )
        self.options = options

    def extra_repr(self) -> str:
        """Say the window and what else isn't plain."""
        text = f"kernel_size={shown(self.kernel_size)}"
        if self.stride != self.kernel_size:
            text += f", stride={shown(self.stride)}"
        plain = {"padding": 0, "dilation": 1, "ceil_mode": False, "count_include_pad": True}
        for name, value in self.options.items():
            text += "" if value == plain[name] else f", {name}={value!r}"
        return text


class _MaxPool(_Pool):
    def __init__(
        self,
        kernel_size: PerAxis,
        *,
        stride: PerAxis | None = None,
        padding: object = 0,
        dilation: PerAxis = 1,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(
            kernel_size, stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
        )

    def forward(self, x: Any) -> Value:
        """Write the largest element of each window of ``(batch, channels, *spatial)``."""
        node = _image(self, x)
        return max_pool(node, self.kernel_size, stride=self.stride, **self.options)


class MaxPool1d(_MaxPool):
    """The largest element of each window of (batch, channels, length); as `MaxPool2d`.

    >>> MaxPool1d(2)(np.ones((5, 3, 10), "f4")).shape
    (5, 3, 5)
    """

    rank = 1


class MaxPool2d(_MaxPool):
    """The largest element of each window of images (batch, channels, height, width).

    Equal largest elements share the derivative; NaN where a window holds one.

    Parameters
    ----------
    kernel_size
        Of a window: a number for all axes, or one for each.
    stride
        How far a window lies from the next one; by default as far as it is long.
    padding
        Elements around the image that are never the largest.
    dilation
        How far the elements of a window lie from each other.
    ceil_mode
        Whether a last window may reach past the end.

    Examples
    --------
    >>> MaxPool2d(2)(np.ones((5, 3, 10, 12), "f4")).shape
    (5, 3, 5, 6)
    """

    rank = 2


class MaxPool3d(_MaxPool):
    """The largest element of each window of (batch, channels, depth, height, width).

    >>> MaxPool3d(2)
    MaxPool3d(kernel_size=2)
    """

    rank = 3


class _AvgPool(_Pool):
    def __init__(
        self,
        kernel_size: PerAxis,
        *,
        stride: PerAxis | None = None,
        padding: object = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(
            kernel_size,
            stride,
            padding=padding,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
        )

    def forward(self, x: Any) -> Value:
        """Write the average of each window of ``(batch, channels, *spatial)``."""
        node = float_operand(type(self).__name__, _image(self, x), _dtype_of(x))
        return avg_pool(node, self.kernel_size, stride=self.stride, **self.options)


class AvgPool1d(_AvgPool):
    """The average of each window of (batch, channels, length); as `AvgPool2d`.

    >>> AvgPool1d(2)([[[1.0, 3.0, 5.0, 9.0]]]).data
    array([[[2., 7.]]])
    """

    rank = 1


class AvgPool2d(_AvgPool):
    """The average of each window of images (batch, channels, height, width).

    Parameters
    ----------
    kernel_size, stride, ceil_mode
        As in `MaxPool2d`.
    padding
        Zeros around the image.
    count_include_pad
        Whether these count as elements.

    Examples
    --------
    >>> AvgPool2d(2, padding=1)(np.ones((5, 3, 10, 12), "f4")).shape
    (5, 3, 6, 7)
    """

    rank = 2


class AvgPool3d(_AvgPool):
    """The average of each window of (batch, channels, depth, height, width).

    >>> AvgPool3d(2, stride=1)
    AvgPool3d(kernel_size=2, stride=1)
    """

    rank = 3


class _Adaptive(Module):
    rank: ClassVar[int]

    def __init__(self, size: int | Sequence[int | None]) -> None:
        entries = tuple(size) if isinstance(size, (tuple, list)) else (size,) * self.rank
        name = type(self).__name__
        if len(entries) != self.rank:
            raise OptionError(
                f"{name}: size needs one number, or None, for each of {self.rank} axes,"
                f" got {size!r}."
            )
        self.size = tuple(None if n is None else count(name, "size", n) for n in entries)

    def forward(self, x: Any) -> Value:
        """Average the spatial axes of ``(batch, channels, *spatial)`` down to a size."""
        node = float_operand(type(self).__name__, _image(self, x), _dtype_of(x))
        return adaptive_avg_pool(node, self.size)

    def extra_repr(self) -> str:
        """Say the size."""
        return str(self.size[0] if len(set(self.size)) == 1 else self.size)


class AdaptiveAvgPool1d(_Adaptive):
    """Averages that bring (batch, channels, length) to a length.

    >>> AdaptiveAvgPool1d(2)([[[1.0, 3.0, 5.0]]]).data
    array([[[2., 4.]]])
    """

    rank = 1


class AdaptiveAvgPool2d(_Adaptive):
    """Averages that bring images to a height and width; None keeps an axis as it is.

    >>> AdaptiveAvgPool2d((1, None))(np.ones((5, 3, 10, 12), "f4")).shape
    (5, 3, 1, 12)
    """

    rank = 2


class AdaptiveAvgPool3d(_Adaptive):
    """Averages that bring (batch, channels, depth, height, width) to a size.

    >>> AdaptiveAvgPool3d(1)
    AdaptiveAvgPool3d(1)
    """

    rank = 3


class GlobalAvgPool(Module):
    """The average of each channel: ``(batch, channels, *spatial)`` becomes ``(batch, channels)``.

    >>> GlobalAvgPool()(np.ones((5, 3, 10, 12), "f4")).shape
    (5, 3)
    """

    def forward(self, x: Any) -> Value:
        """Write the average over all axes after the channels."""
        node = float_operand("GlobalAvgPool", _channelled(self, x), _dtype_of(x))
        return global_avg_pool(node, node.ndim - 2)


class GlobalMaxPool(Module):
    """The largest of each channel: ``(batch, channels, *spatial)`` becomes ``(batch, channels)``.

    >>> GlobalMaxPool()([[[1.0, 3.0]]]).data
    array([[3.]])
    """

    def forward(self, x: Any) -> Value:
        """Write the maximum over all axes after the channels."""
        node = _channelled(self, x)
        return global_max_pool(node, node.ndim - 2)


def _dtype_of(x: Any) -> Any:
    """Give the dtype that a pool, which has no parameters, keeps or brings integers to."""
    dtype = x.dtype if isinstance(x, Value) else np.asarray(x).dtype
    return dtype if dtype.kind == "f" else np.float32


def _image(layer: Any, x: Any) -> Value:
    node = as_value(x)
    if node.ndim != layer.rank + 2:
        axes = spatial_axes(layer.rank)
        raise ShapeError(
            f"{type(layer).__name__}: needs the axes (batch, channels, {axes}), got {node.spec}."
        )
    return node


def _channelled(layer: Module, x: Any) -> Value:
    node = as_value(x)
    if node.ndim < 3:
        raise ShapeError(
            f"{type(layer).__name__}: needs the axes (batch, channels, ...), got {node.spec}."
        )
    return node
