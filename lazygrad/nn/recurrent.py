"""Recurrent layers: cells that take one step, and layers that loop over time.

Parameters are laid out as PyTorch's are, so that its weights can be copied: matrices of shape
(gates * hidden, inputs) and (gates * hidden, hidden), with the gates in the order input, forget,
cell, output for LSTM, and reset, update, new for GRU.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from ..autodiff import scan
from ..errors import OptionError, ShapeError
from ..ir.value import Value, constant
from ..ops import (
    astype,
    broadcast_to,
    concatenate,
    relu,
    reshape,
    sigmoid,
    split,
    stack,
    swapaxes,
    tanh,
)
from ..spec import differs, product
from .dropout import Dropout
from .module import Module, generator, parameter
from .operands import count, float_dtype, float_operand, known, rate_between, require_length

if TYPE_CHECKING:
    from ..lengths import Length
    from ..spec import DTypeLike

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]

State: TypeAlias = tuple[Value, ...]
_NONLINEARITIES: dict[str, Callable[[Value], Value]] = {"tanh": tanh, "relu": relu}


class _Cell(Module):
    """What cells share: two matrices, two biases, and the check of what comes in."""

    gates: ClassVar[int]
    states: ClassVar[int] = 1

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
        seed: int | np.random.Generator = 0,
    ) -> None:
        name = type(self).__name__
        self.inputs = count(name, "inputs", inputs)
        self.hidden = count(name, "hidden", hidden)
        self.dtype = float_dtype(name, dtype)
        rng, bound, rows = generator(seed), 1 / sqrt(self.hidden), self.gates * self.hidden

        def drawn(*shape: int) -> Value:
            return parameter(rng.uniform(-bound, bound, shape), dtype=dtype)

        self.input_weight = drawn(rows, self.inputs)
        self.hidden_weight = drawn(rows, self.hidden)
        self.input_bias = drawn(rows) if bias else None
        self.hidden_bias = drawn(rows) if bias else None

    def forward(self, x: Any, state: Any = None) -> Any:
        """Write the state after one step from (batch, inputs); zeros come before the first."""
        name = type(self).__name__
        node = float_operand(name, x, self.dtype)
        if node.ndim != 2:
            raise ShapeError(f"{name}: needs the axes (batch, inputs), got {node.spec}.")
        require_length(name, node, 1, self.inputs, "inputs")
        before = _read_state(name, state, self.states, (node.shape[0], self.hidden), node.dtype)
        return _shown_state(self.step(self.project(node), before))

    @abstractmethod
    def project(self, x: Value) -> Value:
        """Give what a step needs of its input; for all steps at once it is one matrix product."""

    @abstractmethod
    def step(self, projected: Value, state: State) -> State:
        """Give the state after one step; its first entry is also the step's output."""

    def _projected(self, x: Value, *biases: Value | None) -> Value:
        given = [bias for bias in biases if bias is not None]
        # Rows of all steps go into one product instead of one for each step.
        rows = x if x.ndim == 2 else reshape(x, (product(x.shape[:-1]), x.shape[-1]))
        result = rows @ self.input_weight.T
        if x.ndim > 2:
            result = reshape(result, (*x.shape[:-1], result.shape[-1]))
        # Biases are added to each other first: that is the smaller sum.
        return (
            result
            if not given
            else result + (given[0] if len(given) == 1 else sum(given[1:], given[0]))
        )

    def extra_repr(self) -> str:
        """Say the widths of input and state."""
        return f"{self.inputs}, {self.hidden}" + (
            "" if self.input_bias is not None else ", bias=False"
        )


class RNNCell(_Cell):
    """One step of a plain recurrent layer: ``tanh(W x + b + V h + c)``, or with relu.

    >>> cell = RNNCell(3, 2)
    >>> cell(np.ones((5, 3), "f4")).shape
    (5, 2)
    """

    gates = 1

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        nonlinearity: str = "tanh",
        bias: bool = True,
        dtype: DTypeLike = np.float32,
        seed: int | np.random.Generator = 0,
    ) -> None:
        if nonlinearity not in _NONLINEARITIES:
            raise OptionError(
                f"{type(self).__name__}: nonlinearity must be 'tanh' or 'relu',"
                f" got {nonlinearity!r}."
            )
        super().__init__(inputs, hidden, bias=bias, dtype=dtype, seed=seed)
        self.nonlinearity = nonlinearity

    def project(self, x: Value) -> Value:
        """Give the part of the sum that doesn't depend on the state."""
        return self._projected(x, self.input_bias, self.hidden_bias)

    def step(self, projected: Value, state: State) -> State:
        """Give the state after one step."""
        (before,) = state
        return (_NONLINEARITIES[self.nonlinearity](projected + before @ self.hidden_weight.T),)


class LSTMCell(_Cell):
    """One step of long short-term memory: gives (h, c); Hochreiter and Schmidhuber (1997).

    >>> h, c = LSTMCell(3, 2)(np.ones((5, 3), "f4"))
    >>> h.shape, c.shape
    ((5, 2), (5, 2))
    """

    gates = 4
    states = 2

    def project(self, x: Value) -> Value:
        """Give the part of the gates that doesn't depend on the state."""
        return self._projected(x, self.input_bias, self.hidden_bias)

    def step(self, projected: Value, state: State) -> State:
        """Give (h, c) after one step."""
        before, memory = state
        sums = split(projected + before @ self.hidden_weight.T, 4, axis=-1)
        entering, kept, given = sigmoid(sums[0]), sigmoid(sums[1]), sigmoid(sums[3])
        memory = kept * memory + entering * tanh(sums[2])
        return given * tanh(memory), memory


class GRUCell(_Cell):
    """One step of a gated recurrent unit; Cho et al. (2014), with the reset after the product.

    >>> GRUCell(3, 2)(np.ones((5, 3), "f4")).shape
    (5, 2)
    """

    gates = 3

    def project(self, x: Value) -> Value:
        """Give the part of the gates that doesn't depend on the state."""
        return self._projected(x, self.input_bias)

    def step(self, projected: Value, state: State) -> State:
        """Give the state after one step."""
        (before,) = state
        own = before @ self.hidden_weight.T
        if self.hidden_bias is not None:
            own = own + self.hidden_bias
        reset_x, update_x, new_x = split(projected, 3, axis=-1)
        reset_h, update_h, new_h = split(own, 3, axis=-1)
        fresh = tanh(new_x + sigmoid(reset_x + reset_h) * new_h)
        return (fresh + sigmoid(update_x + update_h) * (before - fresh),)


class _Recurrent(Module):
    """What the layers share: a cell for each layer and direction, and the loop over time."""

    cell: ClassVar[type[_Cell]]

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        layers: int = 1,
        both_directions: bool = False,
        bias: bool = True,
        dropout: float = 0.0,
        time_axis: int = 1,
        unroll: bool = False,
        dtype: DTypeLike = np.float32,
        seed: int | np.random.Generator = 0,
        **options: Any,
    ) -> None:
        name = type(self).__name__
        self.inputs = count(name, "inputs", inputs)
        self.hidden = count(name, "hidden", hidden)
        self.layers = count(name, "layers", layers)
        if time_axis not in (0, 1):
            raise OptionError(f"{name}: time_axis must be 1 or 0, got {time_axis!r}.")
        self.time_axis = int(time_axis)
        self.both_directions = bool(both_directions)
        self.unroll = bool(unroll)
        rate, rng = rate_between(name, "dropout", dropout), generator(seed)
        widths = [self.inputs, *[self.hidden * self.directions] * (self.layers - 1)]
        self.cells = [
            self.cell(width, self.hidden, bias=bias, dtype=dtype, seed=rng, **options)
            for width in widths
            for _ in range(self.directions)
        ]
        self.dtype = self.cells[0].dtype
        self.dropouts = [Dropout(rate, rng) for _ in range(self.layers - 1)] if rate else []

    @property
    def directions(self) -> int:
        """How many directions each layer runs in: 1 or 2."""
        return 2 if self.both_directions else 1

    def forward(self, x: Any, state: Any = None) -> tuple[Value, Any]:
        """Write the outputs of all steps, (batch, time, directions * hidden), and the last state.

        The state has the shape (layers * directions, batch, hidden), forward before backward in
        each layer; for LSTM it is a pair of them, (h, c). Without one, zeros come first.
        """
        name = type(self).__name__
        node = float_operand(name, x, self.dtype)
        if node.ndim != 3:
            axes = "(batch, time, features)" if self.time_axis else "(time, batch, features)"
            raise ShapeError(f"{name}: needs the axes {axes}, got {node.spec}.")
        require_length(name, node, 2, self.inputs)
        sequence, time_axis = node, self.time_axis
        shape = (len(self.cells), node.shape[1 - time_axis], self.hidden)
        first = _read_state(name, state, self.cell.states, shape, node.dtype)
        last: list[State] = []
        for layer in range(self.layers):
            outputs = []
            if layer and self.dropouts:
                sequence = self.dropouts[layer - 1](sequence)
            for direction in range(self.directions):
                place = len(last)
                before = tuple(part[place] for part in first)
                cell = self.cells[place]
                # What a step reads is moved to the front after the product, which wants rows.
                projected = swapaxes(cell.project(sequence), 0, time_axis)
                row, after = self._run(cell, projected, before, bool(direction))
                outputs.append(row)
                last.append(after)
            sequence = outputs[0] if len(outputs) == 1 else concatenate(outputs, axis=-1)
            time_axis = 0
        final = tuple(stack(parts) for parts in zip(*last, strict=True))
        return swapaxes(sequence, 0, 1) if self.time_axis else sequence, _shown_state(final)

    def _run(
        self, cell: _Cell, projected: Value, first: State, backwards: bool
    ) -> tuple[Value, State]:
        """Run one cell along the first axis; give its output at every step and its last state."""
        if not self.unroll:

            def body(state: State, x: Value) -> tuple[State, Value]:
                after = cell.step(x, state)
                return after, after[0]

            last, outputs = scan(body, first, projected, reverse=backwards)
            return outputs, last
        steps = known(projected.shape[0])
        if not steps:
            raise ShapeError(
                f"{type(self).__name__}: unroll needs a known number of steps, and at least one,"
                f" got {projected.spec}."
            )
        state, rows = first, []
        for step in reversed(range(steps)) if backwards else range(steps):
            state = cell.step(projected[step], state)
            rows.append(state[0])
        return stack(rows[::-1] if backwards else rows), state

    def extra_repr(self) -> str:
        """Say the widths and the options."""
        text = f"{self.inputs}, {self.hidden}, layers={self.layers}"
        return text + (", both_directions=True" if self.both_directions else "")


class RNN(_Recurrent):
    """Plain recurrent layers over (batch, time, features).

    Parameters
    ----------
    inputs, hidden
        The length of the feature axis, and of the state.
    nonlinearity
        ``"tanh"`` or ``"relu"``.
    layers
        How many layers stand on each other.
    both_directions
        Whether each layer also runs from the last step to the first; outputs are side by side.
    bias
        Whether there are biases.
    dropout
        The part of the outputs that is left out between layers in training.
    time_axis
        Where the time axis is in inputs and outputs: 1, or 0 for (time, batch, features).
    unroll
        Whether the steps are written out instead of looped over; their number must be known.

    Examples
    --------
    >>> outputs, last = RNN(3, 4)(np.ones((2, 5, 3), "f4"))
    >>> outputs.shape, last.shape
    ((2, 5, 4), (1, 2, 4))
    """

    cell = RNNCell

    def __init__(
        self, inputs: int, hidden: int, *, nonlinearity: str = "tanh", **options: Any
    ) -> None:
        super().__init__(inputs, hidden, nonlinearity=nonlinearity, **options)


class LSTM(_Recurrent):
    """Long short-term memory over (batch, time, features); parameters as `RNN`'s.

    >>> outputs, (h, c) = LSTM(3, 4, layers=2, both_directions=True)(np.ones((2, 5, 3), "f4"))
    >>> outputs.shape, h.shape, c.shape
    ((2, 5, 8), (4, 2, 4), (4, 2, 4))
    """

    cell = LSTMCell


class GRU(_Recurrent):
    """Gated recurrent units over (batch, time, features); parameters as `RNN`'s.

    >>> outputs, last = GRU(3, 4, time_axis=0)(np.ones((5, 2, 3), "f4"))
    >>> outputs.shape, last.shape
    ((5, 2, 4), (1, 2, 4))
    """

    cell = GRUCell


def _read_state(
    layer: str, given: Any, parts: int, shape: tuple[int | Length, ...], dtype: np.dtype[Any]
) -> State:
    """Give the state as a tuple of nodes: zeros for None, else as given, of the right shape."""
    if given is None:
        return (broadcast_to(constant(np.zeros((), dtype)), shape),) * parts
    entries = tuple(given) if parts > 1 and isinstance(given, (tuple, list)) else (given,)
    if len(entries) != parts:
        raise OptionError(f"{layer}: the state is a pair, (h, c), got {_named(given)}.")
    nodes = tuple(astype(float_operand(layer, entry, dtype), dtype) for entry in entries)
    for node in nodes:
        fits = node.ndim == len(shape) and not any(map(differs, node.shape, shape))
        if not fits:
            expected = "[" + ", ".join(map(str, shape)) + "]"
            raise ShapeError(f"{layer}: the state needs the shape {expected}, got {node.spec}.")
    return nodes


def _named(given: Any) -> str:
    if isinstance(given, (tuple, list)):
        return f"{len(given)} entries"
    return f"one node of {given.spec}" if isinstance(given, Value) else type(given).__name__


def _shown_state(state: State) -> Any:
    return state if len(state) > 1 else state[0]
