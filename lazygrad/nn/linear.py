"""Layers of one matrix: affine maps, tables of vectors; and those that only change shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DTypeError, OptionError, ShapeError
from ..ir.value import Value, as_value
from ..lengths import Length
from ..ops import reshape, take, where
from ..ops.control import within
from ..spec import product
from .initializers import Initializer, glorot_uniform, normal, zeros
from .module import Module, generator, parameter
from .operands import count, float_dtype, float_operand, require_length

if TYPE_CHECKING:
    from ..spec import DTypeLike

__all__ = ["Embedding", "Flatten", "Identity", "Linear"]


class Linear(Module):
    """``x @ weight + bias`` along the last axis.

    Parameters
    ----------
    inputs, outputs
        The lengths of the last axis before and after.
    bias
        Whether something is added.
    weight_initializer, bias_initializer
        By default `glorot_uniform` and zeros.
    dtype
        Of the parameters.
    seed
        An integer, or a generator that goes on; give layers of a model one generator, since layers
        of one shape and one seed start alike.

    Attributes
    ----------
    weight
        Of shape (inputs, outputs).
    bias
        Of shape (outputs,), or None.

    Raises
    ------
    ShapeError
        If the last axis has another length than *inputs*.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> layer = Linear(3, 2, seed=rng)
    >>> layer(np.ones((5, 3), "f4")).spec
    float32[5, 2]
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        bias: bool = True,
        weight_initializer: Initializer | None = None,
        bias_initializer: Initializer | None = None,
        dtype: DTypeLike = np.float32,
        seed: int | np.random.Generator = 0,
    ) -> None:
        self.inputs = count("Linear", "inputs", inputs)
        self.outputs = count("Linear", "outputs", outputs)
        self.dtype = float_dtype("Linear", dtype)
        rng = generator(seed)
        draw = weight_initializer or glorot_uniform()
        self.weight = parameter(draw((self.inputs, self.outputs), rng), dtype=dtype)
        draw = bias_initializer or zeros()
        self.bias = parameter(draw((self.outputs,), rng), dtype=dtype) if bias else None

    def forward(self, x: Any) -> Value:
        """Write the layer's result; all axes of *x* but the last stay."""
        node = float_operand("Linear", x, self.dtype)
        if node.ndim == 0:
            raise ShapeError(f"Linear: needs an axis of {self.inputs} features, got {node.spec}.")
        require_length("Linear", node, -1, self.inputs)
        result = node @ self.weight
        return result if self.bias is None else result + self.bias

    def extra_repr(self) -> str:
        """Say the widths."""
        return f"{self.inputs}, {self.outputs}" + ("" if self.bias is not None else ", bias=False")


class Embedding(Module):
    """A vector for each of so many entries, looked up by integers.

    Parameters
    ----------
    entries
        How many vectors there are; indices run from 0 to one less.
    features
        How long they are.
    padding_index
        An entry that is zeros and stays so.
    initializer
        By default `normal` with deviation 1.

    Raises
    ------
    DTypeError
        If the indices are not integers.
    OperationError
        If an index is out of range, when the graph runs; negative ones are.

    Examples
    --------
    >>> table = Embedding(10, 4, seed=0)
    >>> table(np.array([[1, 2, 1]])).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        entries: int,
        features: int,
        *,
        padding_index: int | None = None,
        initializer: Initializer | None = None,
        dtype: DTypeLike = np.float32,
        seed: int | np.random.Generator = 0,
    ) -> None:
        self.entries = count("Embedding", "entries", entries)
        self.features = count("Embedding", "features", features)
        if padding_index is not None and not 0 <= padding_index < self.entries:
            raise OptionError(
                f"Embedding: padding_index must be from 0 to {self.entries - 1},"
                f" got {padding_index}."
            )
        self.padding_index = padding_index
        float_dtype("Embedding", dtype)
        draw = initializer or normal(deviation=1.0)
        drawn = draw((self.entries, self.features), generator(seed))
        if padding_index is not None:
            drawn[padding_index] = 0
        self.weight = parameter(drawn, dtype=dtype)

    def forward(self, x: Any) -> Value:
        """Write the vectors of indices: one axis more than *x*, of length *features*."""
        node = as_value(x)
        if node.dtype.kind not in "iu":
            raise DTypeError(f"Embedding: looks up integers, got {node.spec}.")
        found = take(self.weight, within(node, stop=self.entries, what="Embedding: index"), axis=0)
        if self.padding_index is None:
            return found
        return where((node != self.padding_index)[..., None], found, 0.0)

    def extra_repr(self) -> str:
        """Say how many vectors of which length."""
        text = f"{self.entries}, {self.features}"
        return text if self.padding_index is None else f"{text}, padding={self.padding_index}"


class Flatten(Module):
    """Make one axis of all axes from *start* on.

    >>> Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, start: int = 1) -> None:
        self.start = int(start)

    def forward(self, x: Any) -> Value:
        """Write *x* with fewer axes."""
        node = as_value(x)
        if not -node.ndim <= self.start < node.ndim:
            raise ShapeError(f"Flatten: there is no axis {self.start} in {node.spec}.")
        start = self.start % node.ndim
        merged: int | Length = product(node.shape[start:])
        return reshape(node, (*node.shape[:start], merged))

    def extra_repr(self) -> str:
        """Say where it starts."""
        return "" if self.start == 1 else f"start={self.start}"


class Identity(Module):
    """Give the operand as it came.

    >>> Identity()([3.0]).data
    array([3.])
    """

    def forward(self, x: Any) -> Value:
        """Give *x* as a node."""
        return as_value(x)
