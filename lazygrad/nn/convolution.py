"""Convolution layers over one to three spatial axes, and their transposes.

Images have the axes (batch, channels, *spatial); weights are laid out as PyTorch's are.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..errors import OptionError, ShapeError
from ..ir.value import Value
from ..ops import conv, conv_transpose, reshape
from .initializers import Initializer, glorot_uniform, zeros
from .module import Module, generator, parameter
from .operands import (
    PerAxis,
    count,
    float_dtype,
    float_operand,
    per_axis,
    require_length,
    shown,
    spatial_axes,
)

if TYPE_CHECKING:
    from ..spec import DTypeLike

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
]


class _Convolution(Module):
    """What both kinds share: weights of so many channels in and out, and a kernel."""

    rank: ClassVar[int]

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: PerAxis,
        *,
        stride: PerAxis = 1,
        padding: object = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        bias: bool = True,
        weight_initializer: Initializer | None = None,
        bias_initializer: Initializer | None = None,
        dtype: DTypeLike = np.float32,
        seed: int | np.random.Generator = 0,
    ) -> None:
        name = type(self).__name__
        self.inputs = count(name, "inputs", inputs)
        self.outputs = count(name, "outputs", outputs)
        self.groups = count(name, "groups", groups)
        for what, channels in (("inputs", self.inputs), ("outputs", self.outputs)):
            if channels % self.groups:
                raise OptionError(f"{name}: {self.groups} groups don't divide {channels} {what}.")
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, self.rank)
        self.stride = per_axis(name, "stride", stride, self.rank)
        self.dilation = per_axis(name, "dilation", dilation, self.rank)
        self.padding = padding
        self.dtype = float_dtype(name, dtype)
        rng, field = generator(seed), prod(self.kernel_size)
        fans = (self.inputs // self.groups * field, self.outputs // self.groups * field)
        draw = weight_initializer or glorot_uniform()
        drawn = draw((*self._channels(), *self.kernel_size), rng, fans=fans)
        self.weight = parameter(drawn, dtype=dtype)
        draw = bias_initializer or zeros()
        self.bias = parameter(draw((self.outputs,), rng), dtype=dtype) if bias else None

    def _channels(self) -> tuple[int, int]:
        return self.outputs, self.inputs // self.groups

    def _operand(self, x: Any) -> Value:
        name = type(self).__name__
        node = float_operand(name, x, self.dtype)
        if node.ndim != self.rank + 2:
            axes = spatial_axes(self.rank)
            raise ShapeError(f"{name}: needs the axes (batch, channels, {axes}), got {node.spec}.")
        require_length(name, node, 1, self.inputs, "channels")
        return node

    def _shifted(self, result: Value) -> Value:
        if self.bias is None:
            return result
        return result + reshape(self.bias, (self.outputs, *(1,) * self.rank))

    def extra_repr(self) -> str:
        """Say the channels, the kernel, and what else isn't plain."""
        text = f"{self.inputs}, {self.outputs}, kernel_size={shown(self.kernel_size)}"
        for what in ("stride", "dilation"):
            given = getattr(self, what)
            if set(given) != {1}:
                text += f", {what}={shown(given)}"
        if self.padding not in (0, "valid"):
            text += f", padding={self.padding!r}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        return text + ("" if self.bias is not None else ", bias=False")


class _Conv(_Convolution):
    def forward(self, x: Any) -> Value:
        """Write the convolution of ``(batch, channels, *spatial)``."""
        result = conv(
            self._operand(x),
            self.weight,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return self._shifted(result)


class Conv1d(_Conv):
    """Kernels that slide over (batch, channels, length); options as `Conv2d`'s.

    >>> Conv1d(3, 4, 2, seed=0)(np.ones((5, 3, 10), "f4")).shape
    (5, 4, 9)
    """

    rank = 1


class Conv2d(_Conv):
    """Kernels that slide over images (batch, channels, height, width).

    Parameters
    ----------
    inputs, outputs
        The numbers of channels before and after.
    kernel_size
        A number for all axes, or one for each.
    stride
        How far a window lies from the next one, likewise.
    padding
        Zeros before and after each axis: a number, one for each axis, pairs, ``"valid"`` for none,
        or ``"same"`` for as many windows as the image, divided by the stride, has places.
    dilation
        How far the elements of a window lie from each other.
    groups
        Into how many groups the channels are split; each has kernels of its own.
    bias
        Whether a number is added to each channel.
    weight_initializer, bias_initializer
        By default `glorot_uniform` and zeros.
    dtype, seed
        As in `Linear`.

    Raises
    ------
    ShapeError
        If the image has other channels or axes, or is smaller than the kernel.

    Examples
    --------
    >>> layer = Conv2d(3, 8, 3, padding="same", seed=0)
    >>> layer(np.ones((5, 3, 10, 12), "f4")).shape
    (5, 8, 10, 12)
    """

    rank = 2


class Conv3d(_Conv):
    """Kernels that slide over (batch, channels, depth, height, width); options as `Conv2d`'s.

    >>> Conv3d(1, 2, 3, stride=2, seed=0)(np.ones((5, 1, 7, 7, 7), "f4")).shape
    (5, 2, 3, 3, 3)
    """

    rank = 3


class _ConvTranspose(_Convolution):
    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: PerAxis,
        *,
        output_padding: PerAxis = 0,
        **options: Any,
    ) -> None:
        super().__init__(inputs, outputs, kernel_size, **options)
        self.output_padding = output_padding

    def _channels(self) -> tuple[int, int]:
        return self.inputs, self.outputs // self.groups

    def forward(self, x: Any) -> Value:
        """Write the transposed convolution of ``(batch, channels, *spatial)``."""
        result = conv_transpose(
            self._operand(x),
            self.weight,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return self._shifted(result)


class ConvTranspose1d(_ConvTranspose):
    """The transpose of `Conv1d`; options as `ConvTranspose2d`'s.

    >>> ConvTranspose1d(3, 4, 2, stride=2, seed=0)(np.ones((5, 3, 10), "f4")).shape
    (5, 4, 20)
    """

    rank = 1


class ConvTranspose2d(_ConvTranspose):
    """Kernels that are added where `Conv2d` would read them, which makes images larger.

    Parameters
    ----------
    inputs, outputs, kernel_size, stride, dilation, groups, bias
        As in `Conv2d`.
    padding
        How much is cut off before and after each axis: a number, one for each axis, or pairs.
    output_padding
        How much longer each axis becomes at its end; less than the stride.
    weight_initializer, bias_initializer, dtype, seed
        As in `Conv2d`.

    Examples
    --------
    >>> layer = ConvTranspose2d(8, 3, 2, stride=2, seed=0)
    >>> layer(np.ones((5, 8, 10, 12), "f4")).shape
    (5, 3, 20, 24)
    """

    rank = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of `Conv3d`; options as `ConvTranspose2d`'s.

    >>> ConvTranspose3d(1, 2, 2, seed=0)(np.ones((5, 1, 3, 3, 3), "f4")).shape
    (5, 2, 4, 4, 4)
    """

    rank = 3
