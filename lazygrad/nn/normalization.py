"""Layers that bring activations to mean 0 and variance 1, and then scale and shift them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import OptionError, ShapeError
from ..ir.value import Value
from ..ops import (
    astype,
    greater,
    maximum,
    mean,
    reshape,
    sqrt,
    square,
    stop_gradient,
    sum as total,
    where,
    with_update,
)
from .module import Module, buffer, parameter
from .operands import count, float_dtype, float_operand, known, rate_between, require_length, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..spec import DTypeLike

__all__ = ["BatchNorm", "GroupNorm", "LayerNorm", "RMSNorm"]


class _Normalization(Module):
    """What these layers share: epsilon, and a scale and a shift that may be left out."""

    scale: Value | None
    shift: Value | None

    def __init__(
        self, shape: tuple[int, ...], epsilon: float, scale: bool, shift: bool, dtype: DTypeLike
    ) -> None:
        name = type(self).__name__
        if not float(epsilon) >= 0:
            raise OptionError(f"{name}: epsilon must not be negative, got {epsilon}.")
        self.epsilon = float(epsilon)
        self.dtype = float_dtype(name, dtype)
        self.scale = parameter(np.ones(shape), dtype=dtype) if scale else None
        self.shift = parameter(np.zeros(shape), dtype=dtype) if shift else None

    def _operand(self, x: Any) -> Value:
        return float_operand(type(self).__name__, x, self.dtype)

    def _scaled(self, normal: Value, around: Sequence[int] | None = None) -> Value:
        """Scale and shift; *around* is the shape that lays the features along their axis."""
        for entry, is_factor in ((self.scale, True), (self.shift, False)):
            if entry is not None:
                laid = entry if around is None else reshape(entry, tuple(around))
                normal = normal * laid if is_factor else normal + laid
        return normal


class BatchNorm(_Normalization):
    """Normalise each feature over the batch and all other axes; Ioffe and Szegedy (2015).

    In training the statistics are those of the batch (the variance divided by the number of
    entries), and every call of a program, and every ``forward``, moves the running ones towards
    them: ``running = (1 - momentum) * running + momentum * batch``, with the variance divided by
    one less than the number of entries, as PyTorch has it. In evaluation the running ones are
    used, and nothing is updated.

    A layer that was frozen uses the running ones in training too, and keeps them.

    A batch with a single entry for each feature has no variance. Where that is known when the
    expression is written in training mode it is refused with a ShapeError; where the lengths are
    bound later the result is the shift, and the running variance stays as it was. An empty batch
    leaves both as they were.

    Parameters
    ----------
    features
        The length of the feature axis.
    axis
        The axis of the features: 1, which suits rows of features and images with the channels
        before height and width, or for example -1.
    epsilon
        Added to the variance, against division by zero.
    momentum
        The part of the batch's statistics in the running ones.
    affine
        Whether the result is scaled and shifted by parameters.

    Examples
    --------
    >>> norm = BatchNorm(2, dtype="float64").train()
    >>> norm([[1.0, 0.0], [3.0, 4.0]]).data.round(3)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> norm.eval()([[1.0, 0.0]]).data.round(3)
    array([[1., 0.]])
    """

    def __init__(
        self,
        features: int,
        *,
        axis: int = 1,
        epsilon: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.features = count("BatchNorm", "features", features)
        super().__init__((self.features,), epsilon, affine, affine, dtype)
        self.axis = int(axis)
        self.momentum = rate_between("BatchNorm", "momentum", momentum)
        self.running_mean = buffer(np.zeros(self.features), dtype=dtype)
        self.running_variance = buffer(np.ones(self.features), dtype=dtype)

    def forward(self, x: Any) -> Value:
        """Write the normalised *x*; its shape stays."""
        node = self._operand(x)
        if not -node.ndim <= self.axis < node.ndim or node.ndim < 2:
            raise ShapeError(
                f"BatchNorm: needs a batch axis and the features along axis {self.axis},"
                f" got {node.spec}."
            )
        place = self.axis % node.ndim
        require_length("BatchNorm", node, place, self.features)
        axes = tuple(axis for axis in range(node.ndim) if axis != place)
        entries: Any = 1
        for axis in axes:
            entries = entries * node.shape[axis]
        if known(entries) == 1 and self.training and not self.frozen:
            raise ShapeError(
                f"BatchNorm: one entry for each feature has no variance to train with, got"
                f" {node.spec}; give a larger batch, or call eval() first."
            )
        around = tuple(self.features if axis == place else 1 for axis in range(node.ndim))
        steady = self._brought(
            node - reshape(self.running_mean, around),
            reshape(self.running_variance, around),
            around,
        )
        if self.frozen:
            return steady
        centre = mean(node, axis=axes, keepdims=True)
        centered = node - centre
        squares = square(centered)
        spread = mean(squares, axis=axes, keepdims=True)
        trained = self._brought(centered, spread, around)
        return self.by_mode(self._kept(trained, node, centre, squares, axes, entries), steady)

    def _brought(self, centered: Value, variance: Value, around: tuple[int, ...]) -> Value:
        """Divide by the deviation, scale and shift; what has one number a feature comes first."""
        deviation = sqrt(variance + self.epsilon)
        if self.scale is None or self.shift is None:
            return centered / deviation
        return centered * (reshape(self.scale, around) / deviation) + reshape(self.shift, around)

    def _kept(
        self,
        result: Value,
        node: Value,
        centre: Value,
        squares: Value,
        axes: tuple[int, ...],
        entries: Any,
    ) -> Value:
        """Let the running statistics move towards those of the batch when *result* is computed."""
        unbiased = total(squares, axis=axes) / maximum(entries - 1, 1)
        for running, batch, least in (
            (self.running_mean, reshape(centre, (self.features,)), 0),
            (self.running_variance, unbiased, 1),
        ):
            moved = running + self.momentum * (stop_gradient(batch) - running)
            kept = where(greater(entries, least), moved, running)
            result = with_update(result, running, astype(kept, self.dtype))
        return result

    def extra_repr(self) -> str:
        """Say the number of features and the options."""
        return (
            f"{self.features}, axis={self.axis}, epsilon={self.epsilon:g},"
            f" momentum={self.momentum:g}"
        )


class LayerNorm(_Normalization):
    """Normalise over the last axes, each entry of the batch for itself; Ba et al. (2016).

    Parameters
    ----------
    features
        The length of the last axis, or a tuple with the lengths of the last axes.
    epsilon
        Added to the variance, against division by zero.
    affine, bias
        Whether the result is scaled and shifted by parameters; without *bias* only scaled.

    Examples
    --------
    >>> LayerNorm(2, dtype="float64")([[1.0, 3.0]]).data.round(3)
    array([[-1.,  1.]])
    """

    def __init__(
        self,
        features: int | Sequence[int],
        *,
        epsilon: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.features = _lengths("LayerNorm", features)
        super().__init__(self.features, epsilon, affine, affine and bias, dtype)

    def forward(self, x: Any) -> Value:
        """Write the normalised *x*; its shape stays."""
        node = self._operand(x)
        axes = _last_axes("LayerNorm", node, self.features)
        centered = node - mean(node, axis=axes, keepdims=True)
        spread = mean(square(centered), axis=axes, keepdims=True)
        return self._scaled(centered / sqrt(spread + self.epsilon))

    def extra_repr(self) -> str:
        """Say the lengths that are normalised over, and epsilon."""
        return f"{shown(self.features)}, epsilon={self.epsilon:g}"


class RMSNorm(_Normalization):
    """Divide by the root of the mean square over the last axes; Zhang and Sennrich (2019).

    *features* is the length of the last axis, or a tuple with those of the last axes; *epsilon* is
    added to the mean square; *affine* says whether the result is scaled by a parameter.

    >>> RMSNorm(2, dtype="float64", epsilon=0.0)([[1.0, 7.0]]).data.round(3)
    array([[0.2, 1.4]])
    """

    def __init__(
        self,
        features: int | Sequence[int],
        *,
        epsilon: float = 1e-6,
        affine: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.features = _lengths("RMSNorm", features)
        super().__init__(self.features, epsilon, affine, False, dtype)

    def forward(self, x: Any) -> Value:
        """Write the normalised *x*; its shape stays."""
        node = self._operand(x)
        axes = _last_axes("RMSNorm", node, self.features)
        power = mean(square(node), axis=axes, keepdims=True)
        return self._scaled(node / sqrt(power + self.epsilon))

    def extra_repr(self) -> str:
        """Say the lengths that are normalised over, and epsilon."""
        return f"{shown(self.features)}, epsilon={self.epsilon:g}"


class GroupNorm(_Normalization):
    """Normalise groups of features over all axes but the batch; Wu and He (2018).

    Parameters
    ----------
    groups
        How many groups the features form; it divides *features*.
    features
        The length of the feature axis.
    axis
        The axis of the features; the first axis is the batch.
    epsilon
        Added to the variance, against division by zero.
    affine
        Whether the result is scaled and shifted by parameters, one of each for a feature.

    Examples
    --------
    >>> GroupNorm(1, 2, dtype="float64")([[1.0, 3.0]]).data.round(3)
    array([[-1.,  1.]])
    """

    def __init__(
        self,
        groups: int,
        features: int,
        *,
        axis: int = 1,
        epsilon: float = 1e-5,
        affine: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.groups = count("GroupNorm", "groups", groups)
        self.features = count("GroupNorm", "features", features)
        if self.features % self.groups:
            raise OptionError(
                f"GroupNorm: {self.groups} groups don't divide {self.features} features."
            )
        super().__init__((self.features,), epsilon, affine, affine, dtype)
        self.axis = int(axis)

    def forward(self, x: Any) -> Value:
        """Write the normalised *x*; its shape stays."""
        node = self._operand(x)
        place = self.axis % node.ndim if -node.ndim <= self.axis < node.ndim else 0
        if place == 0:
            raise ShapeError(
                f"GroupNorm: needs a batch axis and, after it, the features along axis"
                f" {self.axis}, got {node.spec}."
            )
        require_length("GroupNorm", node, place, self.features)
        shape = node.shape
        parted = (self.groups, self.features // self.groups)
        grouped = reshape(node, (*shape[:place], *parted, *shape[place + 1 :]))
        axes = tuple(axis for axis in range(1, grouped.ndim) if axis != place)
        centered = grouped - mean(grouped, axis=axes, keepdims=True)
        spread = mean(square(centered), axis=axes, keepdims=True)
        normal = reshape(centered / sqrt(spread + self.epsilon), shape)
        around = [self.features if axis == place else 1 for axis in range(node.ndim)]
        return self._scaled(normal, around)

    def extra_repr(self) -> str:
        """Say the numbers of groups and features, and the options."""
        return f"{self.groups}, {self.features}, axis={self.axis}, epsilon={self.epsilon:g}"


def _lengths(layer: str, features: int | Sequence[int]) -> tuple[int, ...]:
    entries = tuple(features) if isinstance(features, (tuple, list)) else (features,)
    lengths = tuple(count(layer, "features", entry) for entry in entries)
    if not lengths:
        raise OptionError(f"{layer}: needs at least one axis to normalise over, got {features!r}.")
    return lengths


def _last_axes(layer: str, x: Value, lengths: tuple[int, ...]) -> tuple[int, ...]:
    if x.ndim < len(lengths):
        raise ShapeError(f"{layer}: expected last axes of {list(lengths)}, got {x.spec}.")
    axes = tuple(range(x.ndim - len(lengths), x.ndim))
    for axis, length in zip(axes, lengths, strict=True):
        require_length(layer, x, axis, length)
    return axes
