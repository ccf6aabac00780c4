"""The optimizers: each one's state and its update of one parameter. Knows nodes and its options.

Formulas are PyTorch's where PyTorch has the method.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

import lazygrad as lg
from lazygrad.errors import OptionError

from .checks import Check, at_least_zero, below_one, fractions, more_than_zero, switch
from .optimizer import Array, Optimizer, Parameters, State
from .rates import Rate

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Lion", "RMSProp"]


def _zeros(parameter: lg.Value) -> Array:
    return np.zeros(parameter.shape, parameter.dtype)


def _decayed(gradient: lg.Value, parameter: lg.Value, decay: float) -> lg.Value:
    """Add the gradient of ``decay / 2 * sum(parameter ** 2)``."""
    return gradient + decay * parameter if decay else gradient


def _shrunk(parameter: lg.Value, rate: lg.Value, decay: float) -> lg.Value:
    """Shrink a parameter apart from its gradient (Loshchilov and Hutter 2019)."""
    return parameter * (1.0 - rate * decay) if decay else parameter


class SGD(Optimizer):
    """Gradient descent, plain, with momentum, or with Nesterov's.

    ``velocity = momentum * velocity + (1 - dampening) * gradient`` (the first time without
    dampening), then ``parameter -= rate * velocity``; with Nesterov's momentum
    ``parameter -= rate * (gradient + momentum * velocity)``. *weight_decay* adds
    ``weight_decay * parameter`` to the gradient. Other parameters are as in `Optimizer`.

    >>> w = lg.variable([1.0, 2.0], name="w")
    >>> loss = (w * w).sum()
    >>> train = lg.compile(loss, updates=SGD(0.25).minimize(loss))
    >>> train(), train()
    (np.float64(5.0), np.float64(1.25))
    """

    checks: ClassVar[Mapping[str, Check]] = {
        "momentum": below_one,
        "dampening": at_least_zero,
        "nesterov": switch,
        "weight_decay": at_least_zero,
    }
    momentum: float
    dampening: float
    nesterov: bool
    weight_decay: float

    def __init__(
        self,
        rate: Rate,
        *,
        momentum: float = 0.0,
        dampening: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        parameters: Parameters | None = None,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(
            rate,
            parameters=parameters,
            clip_value=clip_value,
            clip_norm=clip_norm,
            options={
                "momentum": momentum,
                "dampening": dampening,
                "nesterov": nesterov,
                "weight_decay": weight_decay,
            },
        )

        self._require_momentum()

    def _require_momentum(self) -> None:
        if self.nesterov and (not self.momentum or self.dampening):
            raise OptionError(
                f"{self.name}: Nesterov's momentum needs a momentum and no dampening, got"
                f" momentum={self.momentum:g}, dampening={self.dampening:g}."
            )

    def initial_state(self, parameter: lg.Value) -> Mapping[str, Array]:
        """Start with no velocity."""
        self._require_momentum()
        return {"velocity": _zeros(parameter)} if self.momentum else {}

    def update(
        self, parameter: lg.Value, gradient: lg.Value, state: State, rate: lg.Value, step: lg.Value
    ) -> tuple[lg.Value, State]:
        """Go along the velocity."""
        gradient = _decayed(gradient, parameter, self.weight_decay)
        if not self.momentum:
            return parameter - rate * gradient, {}
        added = gradient
        if self.dampening:
            share = lg.where(step == 1, 1.0, 1.0 - self.dampening).astype(gradient.dtype)
            added = share * gradient
        velocity = self.momentum * state["velocity"] + added
        direction = gradient + self.momentum * velocity if self.nesterov else velocity
        return parameter - rate * direction, {"velocity": velocity}


class RMSProp(Optimizer):
    """Divide gradients by the root of their running mean square (Tieleman and Hinton 2012).

    ``square = smoothing * square + (1 - smoothing) * gradient ** 2``; the direction is
    ``gradient / (sqrt(square) + epsilon)``, of which *momentum* may be kept; *centered* subtracts
    the square of the running mean. Other parameters are as in `SGD` and `Optimizer`.
    """

    checks: ClassVar[Mapping[str, Check]] = {
        "smoothing": below_one,
        "epsilon": more_than_zero,
        "momentum": below_one,
        "centered": switch,
        "weight_decay": at_least_zero,
    }
    smoothing: float
    epsilon: float
    momentum: float
    centered: bool
    weight_decay: float

    def __init__(
        self,
        rate: Rate = 0.01,
        *,
        smoothing: float = 0.99,
        epsilon: float = 1e-8,
        momentum: float = 0.0,
        centered: bool = False,
        weight_decay: float = 0.0,
        parameters: Parameters | None = None,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(
            rate,
            parameters=parameters,
            clip_value=clip_value,
            clip_norm=clip_norm,
            options={
                "smoothing": smoothing,
                "epsilon": epsilon,
                "momentum": momentum,
                "centered": centered,
                "weight_decay": weight_decay,
            },
        )

    def initial_state(self, parameter: lg.Value) -> Mapping[str, Array]:
        """Start with means of zero."""
        slots = ["square", *["mean"] * self.centered, *["velocity"] * bool(self.momentum)]
        return {slot: _zeros(parameter) for slot in slots}

    def update(
        self, parameter: lg.Value, gradient: lg.Value, state: State, rate: lg.Value, step: lg.Value
    ) -> tuple[lg.Value, State]:
        """Go along the scaled gradient."""
        gradient = _decayed(gradient, parameter, self.weight_decay)
        keep, add = self.smoothing, 1.0 - self.smoothing
        new = {"square": keep * state["square"] + add * (gradient * gradient)}
        spread = new["square"]
        if self.centered:
            new["mean"] = keep * state["mean"] + add * gradient
            # Rounding can bring the variance of equal gradients below zero.
            spread = lg.maximum(spread - new["mean"] * new["mean"], 0.0)
        direction = gradient / (lg.sqrt(spread) + self.epsilon)
        if self.momentum:
            direction = new["velocity"] = self.momentum * state["velocity"] + direction
        return parameter - rate * direction, new


class Adagrad(Optimizer):
    """Divide gradients by the root of the sum of all their squares (Duchi et al. 2011).

    The rate is divided by ``1 + rate_decay * (step - 1)``; the sums start from *initial*. Other
    parameters are as in `RMSProp` and `Optimizer`.
    """

    checks: ClassVar[Mapping[str, Check]] = {
        "rate_decay": at_least_zero,
        "initial": at_least_zero,
        "epsilon": more_than_zero,
        "weight_decay": at_least_zero,
    }
    rate_decay: float
    initial: float
    epsilon: float
    weight_decay: float

    def __init__(
        self,
        rate: Rate = 0.01,
        *,
        rate_decay: float = 0.0,
        initial: float = 0.0,
        epsilon: float = 1e-10,
        weight_decay: float = 0.0,
        parameters: Parameters | None = None,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(
            rate,
            parameters=parameters,
            clip_value=clip_value,
            clip_norm=clip_norm,
            options={
                "rate_decay": rate_decay,
                "initial": initial,
                "epsilon": epsilon,
                "weight_decay": weight_decay,
            },
        )

    def initial_state(self, parameter: lg.Value) -> Mapping[str, Array]:
        """Start the sums."""
        return {"sum": _zeros(parameter) + np.asarray(self.initial, parameter.dtype)}

    def update(
        self, parameter: lg.Value, gradient: lg.Value, state: State, rate: lg.Value, step: lg.Value
    ) -> tuple[lg.Value, State]:
        """Go along the scaled gradient."""
        gradient = _decayed(gradient, parameter, self.weight_decay)
        if self.rate_decay:
            rate = rate / (1.0 + self.rate_decay * (step - 1)).astype(rate.dtype)
        total = state["sum"] + gradient * gradient
        return parameter - rate * (gradient / (lg.sqrt(total) + self.epsilon)), {"sum": total}


class Adam(Optimizer):
    """Running mean over the root of the running mean square (Kingma and Ba 2015).

    ``m = b1 * m + (1 - b1) * g``, ``v = b2 * v + (1 - b2) * g ** 2`` and, with both divided by
    ``1 - b ** step``, ``parameter -= rate * m / (sqrt(v) + epsilon)``. *amsgrad* takes the largest
    ``v`` so far (Reddi et al. 2018). Other parameters are as in `SGD` and `Optimizer`.

    >>> w = lg.variable([1.0, 2.0], name="w")
    >>> loss = (w * w).sum()
    >>> opt = Adam(0.1)
    >>> train = lg.compile(loss, updates=opt.minimize(loss))
    >>> list(opt.state_variables())
    ['adam.rate', 'adam.step', 'adam.m.w', 'adam.v.w']
    """

    checks: ClassVar[Mapping[str, Check]] = {
        "betas": fractions,
        "epsilon": more_than_zero,
        "weight_decay": at_least_zero,
        "amsgrad": switch,
    }
    betas: tuple[float, float]
    epsilon: float
    weight_decay: float
    amsgrad: bool

    def __init__(
        self,
        rate: Rate = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        parameters: Parameters | None = None,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(
            rate,
            parameters=parameters,
            clip_value=clip_value,
            clip_norm=clip_norm,
            options={
                "betas": betas,
                "epsilon": epsilon,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
            },
        )

    def initial_state(self, parameter: lg.Value) -> Mapping[str, Array]:
        """Start with means of zero."""
        slots = ["m", "v", *["largest"] * self.amsgrad]
        return {slot: _zeros(parameter) for slot in slots}

    def update(
        self, parameter: lg.Value, gradient: lg.Value, state: State, rate: lg.Value, step: lg.Value
    ) -> tuple[lg.Value, State]:
        """Go along the corrected mean."""
        gradient = _decayed(gradient, parameter, self.weight_decay)
        return self._moved(parameter, parameter, gradient, state, rate, step)

    def _moved(
        self,
        parameter: lg.Value,
        start: lg.Value,
        gradient: lg.Value,
        state: State,
        rate: lg.Value,
        step: lg.Value,
    ) -> tuple[lg.Value, State]:
        """Go from *start* along the corrected mean."""
        first, second = self.betas
        new = {
            "m": first * state["m"] + (1.0 - first) * gradient,
            "v": second * state["v"] + (1.0 - second) * (gradient * gradient),
        }
        square = new["v"]
        if self.amsgrad:
            square = new["largest"] = lg.maximum(state["largest"], square)
        # The corrections are applied to numbers, not to arrays: the root of the second one
        # multiplies numerator and denominator.
        count = step.astype(np.float64)
        root = lg.sqrt(1.0 - second**count)
        size = rate * (root / (1.0 - first**count)).astype(parameter.dtype)
        epsilon = (self.epsilon * root).astype(parameter.dtype)
        return start - size * new["m"] / (lg.sqrt(square) + epsilon), new


class AdamW(Adam):
    """Adam whose weight decay is apart from the gradient (Loshchilov and Hutter 2019).

    The parameter is multiplied by ``1 - rate * weight_decay`` first. All else is as in `Adam`.
    """

    def __init__(
        self,
        rate: Rate = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        parameters: Parameters | None = None,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(
            rate,
            betas=betas,
            epsilon=epsilon,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            parameters=parameters,
            clip_value=clip_value,
            clip_norm=clip_norm,
        )

    def update(
        self, parameter: lg.Value, gradient: lg.Value, state: State, rate: lg.Value, step: lg.Value
    ) -> tuple[lg.Value, State]:
        """Shrink, then go along the corrected mean."""
        start = _shrunk(parameter, rate, self.weight_decay)
        return self._moved(parameter, start, gradient, state, rate, step)


class Lion(Optimizer):
    """Steps of one size, by the sign of a running mean (Chen et al. 2023).

    ``parameter -= rate * (sign(b1 * m + (1 - b1) * g) + weight_decay * parameter)``, then
    ``m = b2 * m + (1 - b2) * g``. Other parameters are as in `Optimizer`.
    """

    checks: ClassVar[Mapping[str, Check]] = {"betas": fractions, "weight_decay": at_least_zero}
    betas: tuple[float, float]
    weight_decay: float

    def __init__(
        self,
        rate: Rate = 1e-4,
        *,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        parameters: Parameters | None = None,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(
            rate,
            parameters=parameters,
            clip_value=clip_value,
            clip_norm=clip_norm,
            options={"betas": betas, "weight_decay": weight_decay},
        )

    def initial_state(self, parameter: lg.Value) -> Mapping[str, Array]:
        """Start with a mean of zero."""
        return {"m": _zeros(parameter)}

    def update(
        self, parameter: lg.Value, gradient: lg.Value, state: State, rate: lg.Value, step: lg.Value
    ) -> tuple[lg.Value, State]:
        """Go one step along the signs."""
        first, second = self.betas
        direction = lg.sign(first * state["m"] + (1.0 - first) * gradient)
        mean = second * state["m"] + (1.0 - second) * gradient
        return _shrunk(parameter, rate, self.weight_decay) - rate * direction, {"m": mean}
