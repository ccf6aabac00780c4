"""Layers that leave out activations at random while a model is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import OptionError, ShapeError
from ..ir.value import Value, constant
from ..ops import where, zeros_like
from ..random import stream
from .module import Module
from .operands import float_operand, rate_between

if TYPE_CHECKING:
    from ..lengths import Length

__all__ = ["ChannelDropout", "Dropout"]


class Dropout(Module):
    """Zero a part of the entries in training, and scale up the rest; Srivastava et al. (2014).

    Each call of a program, or of ``forward``, leaves out other entries; within one call, forward
    and backward see the same. In evaluation the layer gives its operand as it came.

    Parameters
    ----------
    rate
        The probability of an entry to be left out, from 0 to 1.
    seed
        An integer, or a generator that gives one. Layers of one seed leave out the same entries of
        arrays of one shape: give each its own, or all of them one generator.

    Examples
    --------
    >>> layer = Dropout(0.5, seed=0).train()
    >>> sorted(set(layer(np.ones(100)).data.tolist()))
    [0.0, 2.0]
    >>> layer.eval()([1.0, 2.0]).data
    array([1., 2.])
    """

    def __init__(self, rate: float, seed: int | np.random.Generator) -> None:
        name = type(self).__name__
        self.rate = rate_between(name, "rate", rate)
        if isinstance(seed, np.random.Generator):
            seed = int(seed.integers(2**63))
        try:
            self._stream = stream(seed)
        except OptionError as error:
            raise OptionError(f"{name}: {str(error).removeprefix('stream: ')}") from None
        # A buffer: saved with the model, so that a resumed run goes on to new draws.
        self.calls = self._stream.counter

    def forward(self, x: Any) -> Value:
        """Write *x* with a part of its entries left out; its shape stays."""
        node = x if isinstance(x, Value) else constant(x)
        node = float_operand(type(self).__name__, node, node.dtype if _is_float(node) else "f4")
        if self.rate == 0:
            return node
        if self.rate == 1:
            return self.by_mode(zeros_like(node), node)
        is_kept = self._stream.bernoulli(self._mask_shape(node), 1 - self.rate)
        return self.by_mode(where(is_kept, node * (1 / (1 - self.rate)), 0.0), node)

    def _mask_shape(self, x: Value) -> tuple[int | Length, ...]:
        return x.shape

    def extra_repr(self) -> str:
        """Say the rate."""
        return f"{self.rate:g}"


class ChannelDropout(Dropout):
    """Leave out whole channels: of (batch, channels, ...) all further axes together.

    >>> kept = ChannelDropout(0.5, seed=0).train()(np.ones((1, 50, 4))).data
    >>> bool((kept == kept[..., :1]).all())
    True
    """

    def _mask_shape(self, x: Value) -> tuple[int | Length, ...]:
        if x.ndim < 2:
            raise ShapeError(
                f"ChannelDropout: needs the axes (batch, channels, ...), got {x.spec}."
            )
        return (*x.shape[:2], *(1 for _ in x.shape[2:]))


def _is_float(x: Value) -> bool:
    return x.dtype.kind == "f"
