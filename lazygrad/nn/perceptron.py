"""Neurons, layers of them, and multi-layer perceptrons: the smallest models."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import OptionError, ShapeError
from ..ir.value import Value
from ..ops import relu
from .initializers import Initializer, uniform, zeros
from .linear import Linear
from .module import Module, generator, parameter
from .operands import count, float_dtype, float_operand, require_length

if TYPE_CHECKING:
    from ..spec import DTypeLike

__all__ = ["MLP", "Layer", "Neuron"]


def _from_minus_one_to_one() -> Initializer:
    return uniform(-1.0, 1.0)


class Neuron(Module):
    """``relu(x @ weight + bias)`` with one output, for the last axis of *x*.

    Parameters
    ----------
    inputs
        How many numbers it sums.
    nonlin
        Whether relu is applied.
    dtype, seed
        As in `Linear`; float64 by default. Weights are drawn evenly from -1 to 1, the bias is 0.

    Examples
    --------
    >>> neuron = Neuron(2, seed=0)
    >>> neuron([1.0, -1.0]).shape, len(neuron.parameters())
    ((), 2)
    """

    def __init__(
        self,
        inputs: int,
        nonlin: bool = True,
        *,
        dtype: DTypeLike = np.float64,
        seed: int | np.random.Generator = 0,
    ) -> None:
        self.inputs = count("Neuron", "inputs", inputs)
        self.nonlin = bool(nonlin)
        self.dtype = float_dtype("Neuron", dtype)
        self.weight = parameter(
            _from_minus_one_to_one()((self.inputs,), generator(seed)), dtype=dtype
        )
        self.bias = parameter(0.0, dtype=dtype)

    def forward(self, x: Any) -> Value:
        """Write the neuron's output: *x* without its last axis."""
        node = float_operand("Neuron", x, self.dtype)
        if node.ndim == 0:
            raise ShapeError(f"Neuron: needs an axis of {self.inputs} numbers, got {node.spec}.")
        require_length("Neuron", node, -1, self.inputs, "numbers")
        total = node @ self.weight + self.bias
        return relu(total) if self.nonlin else total

    def extra_repr(self) -> str:
        """Say how many inputs, and whether relu is applied."""
        return str(self.inputs) + ("" if self.nonlin else ", nonlin=False")


class Layer(Linear):
    """So many neurons side by side, in one matrix: `Linear`, with relu unless told otherwise.

    >>> Layer(3, 4, seed=0)([1.0, 2.0, 3.0]).shape
    (4,)
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        nonlin: bool = True,
        *,
        dtype: DTypeLike = np.float64,
        seed: int | np.random.Generator = 0,
    ) -> None:
        super().__init__(
            inputs,
            outputs,
            weight_initializer=_from_minus_one_to_one(),
            bias_initializer=zeros(),
            dtype=dtype,
            seed=seed,
        )
        self.nonlin = bool(nonlin)

    def forward(self, x: Any) -> Value:
        """Write the outputs of all neurons along the last axis."""
        total = super().forward(x)
        return relu(total) if self.nonlin else total

    def extra_repr(self) -> str:
        """Say the widths, and whether relu is applied."""
        return super().extra_repr() + ("" if self.nonlin else ", nonlin=False")


class MLP(Module):
    """Layers one after another, with relu after all but the last.

    Parameters
    ----------
    inputs
        How many numbers come in.
    outputs
        The width of each layer. A last one of width 1 gives scores without an axis of length 1.
    dtype, seed
        As in `Neuron`.

    Examples
    --------
    >>> model = MLP(2, [16, 16, 1], seed=1337)
    >>> model(np.zeros((100, 2))).shape, model.count_parameters()
    ((100,), 337)
    """

    def __init__(
        self,
        inputs: int,
        outputs: Sequence[int],
        *,
        dtype: DTypeLike = np.float64,
        seed: int | np.random.Generator = 0,
    ) -> None:
        widths = [inputs, *outputs]
        if len(widths) < 2:
            raise OptionError("MLP: needs the width of at least one layer.")
        rng, last = generator(seed), len(outputs) - 1
        self.layers = [
            Layer(width, height, nonlin=place != last, dtype=dtype, seed=rng)
            for place, (width, height) in enumerate(pairwise(widths))
        ]

    def forward(self, x: Any) -> Value:
        """Write the scores of (..., inputs)."""
        for layer in self.layers:
            x = layer(x)
        return x[..., 0] if self.layers[-1].outputs == 1 else x  # type: ignore[no-any-return]
