"""Learning rates as functions of the number of updates done so far.

Each is a record and an expression: called with the node that counts updates it gives the node of
the rate, so that it runs inside a compiled program; called with a number it gives a float. The
first update has count 0. `ReduceOnPlateau` alone looks at what came out of a program, from outside.
Knows nodes and numbers; knows optimizers only by their rates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeAlias, overload

import numpy as np

import lazygrad as lg
from lazygrad.errors import OptionError

from .checks import at_least_zero, below_one, count, more_than_zero, number

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "OneCycle",
    "Piecewise",
    "Polynomial",
    "ReduceOnPlateau",
    "Schedule",
    "Step",
    "WarmRestarts",
    "WarmUp",
]

Steps: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


class Schedule:
    """A rate for every count of updates; subclasses write `formula`.

    A schedule of your own is a subclass, or any function from the node of the count to the node of
    the rate.

    >>> halving = Step(0.8, every=2, factor=0.5)
    >>> halving(0), halving(3)
    (0.8, 0.4)
    >>> steps = lg.placeholder((), dtype="int64", name="steps")
    >>> lg.compile(halving(steps))(steps=3)
    np.float64(0.4)
    """

    def formula(self, step: lg.Value) -> lg.Value:
        """Write the rate for a float64 node that holds the count of updates."""
        raise NotImplementedError(f"{type(self).__name__} needs a formula(step).")

    @overload
    def __call__(self, step: lg.Value) -> lg.Value: ...

    @overload
    def __call__(self, step: int) -> float: ...

    @overload
    def __call__(self, step: Steps) -> Steps: ...

    def __call__(self, step: lg.Value | int | Steps) -> lg.Value | float | Steps:
        """Give the rate: a node for a node, a float for an integer, an array for an array."""
        if isinstance(step, lg.Value):
            return self.formula(step.astype(np.float64))
        counts = np.asarray(step)
        if counts.dtype.kind not in "iu" or (counts < 0).any():
            name = type(self).__name__
            raise OptionError(f"{name}: a step is an integer of at least 0, got {step!r:.60}.")
        rates: Steps = np.asarray(self.formula(lg.constant(counts, dtype=np.float64)).data)
        return rates if counts.ndim else float(rates)

    def _check(self, **checks: Any) -> None:
        """Replace fields by what their checks make of them."""
        for name, check in checks.items():
            said = f"{type(self).__name__}: {name}"
            object.__setattr__(self, name, check(said, getattr(self, name)))


def _falling(part: lg.Value) -> lg.Value:
    """Fall from 1 to 0 along half a wave while *part* goes from 0 to 1."""
    return 0.5 * (1.0 + lg.cos(math.pi * part))


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate always."""

    rate: float

    def __post_init__(self) -> None:
        self._check(rate=at_least_zero)

    def formula(self, step: lg.Value) -> lg.Value:
        """Write the rate."""
        return self.rate + 0.0 * step


@dataclass(frozen=True)
class Step(Schedule):
    """Multiply the rate by *factor* after *every* so many updates."""

    rate: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        self._check(rate=at_least_zero, every=count, factor=at_least_zero)

    def formula(self, step: lg.Value) -> lg.Value:
        """Write the rate."""
        return self.rate * self.factor ** (step // self.every)


@dataclass(frozen=True)
class Piecewise(Schedule):
    """Go to the next of *rates* at each of the *boundaries*, which are counts of updates.

    >>> Piecewise(boundaries=(10, 20), rates=(1.0, 0.5, 0.1))(10)
    0.5
    """

    boundaries: Sequence[int]
    rates: Sequence[float]

    def __post_init__(self) -> None:
        self._check(
            boundaries=lambda what, given: tuple(count(what, each, 0) for each in given),
            rates=lambda what, given: tuple(at_least_zero(what, each) for each in given),
        )
        if len(self.rates) != len(self.boundaries) + 1:
            raise OptionError(
                f"Piecewise: {len(self.boundaries)} boundaries need {len(self.boundaries) + 1}"
                f" rates, got {len(self.rates)}."
            )
        if any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise OptionError(f"Piecewise: the boundaries must rise, got {self.boundaries}.")

    def formula(self, step: lg.Value) -> lg.Value:
        """Write the rate."""
        rate = self.rates[0] + 0.0 * step
        for boundary, following in zip(self.boundaries, self.rates[1:], strict=True):
            rate = lg.where(step >= boundary, following, rate)
        return rate


@dataclass(frozen=True)
class Exponential(Schedule):
    """Multiply the rate by *factor* after each update."""

    rate: float
    factor: float

    def __post_init__(self) -> None:
        self._check(rate=at_least_zero, factor=at_least_zero)

    def formula(self, step: lg.Value) -> lg.Value:
        """Write the rate."""
        return self.rate * self.factor**step


@dataclass(frozen=True)
class Polynomial(Schedule):
    """Go from *rate* to *end* in *steps* updates, as a power of what remains, and stay there."""

    rate: float
    steps: int
    end: float = 0.0
    power: float = 1.0

    def __post_init__(self) -> None:
        self._check(rate=at_least_zero, steps=count, end=at_least_zero, power=more_than_zero)

    def formula(self, step: lg.Value) -> lg.Value:
        """Write the rate."""
        rest = 1.0 - lg.minimum(step, float(self.steps)) / self.steps
        return self.end + (self.rate - self.end) * rest**self.power


@dataclass(frozen=True)
class Cosine(Schedule):
    """Fall from *rate* to *end* in *steps* updates along half a cosine, and stay there."""

    rate: float
    steps: int
    end: float = 0.0

    def __post_init__(self) -> None:
        self._check(rate=at_least_zero, steps=count, end=at_least_zero)

    def formula(self, step: lg.Value) -> lg.Value:
        """Write the rate."""
        part = lg.minimum(step, float(self.steps)) / self.steps
        return self.end + (self.rate - self.end) * _falling(part)


@dataclass(frozen=True)
class WarmRestarts(Schedule):
    """Fall along half a cosine again and again (Loshchilov and Hutter 2017).

    The first fall takes *period* updates, each later one *multiply* times as many as the last.
    """

    rate: float
    period: int
    multiply: int = 1
    end: float = 0.0

    def __post_init__(self) -> None:
        self._check(rate=at_least_zero, period=count, multiply=count, end=at_least_zero)

    def formula(self, step: lg.Value) -> lg.Value:
        """Write the rate."""
        if self.multiply == 1:
            part = (step % self.period) / self.period
        else:
            times = float(self.multiply)

            def start(fall: lg.Value) -> lg.Value:
                return self.period * (times**fall - 1.0) / (times - 1.0)

            guess = lg.floor(
                lg.log(step * (times - 1.0) / self.period + 1.0) / math.log(self.multiply)
            )
            # The logarithm of a restart may be rounded to either side of the whole number.
            guess = lg.where(step < start(guess), guess - 1.0, guess)
            fall = lg.where(step >= start(guess + 1.0), guess + 1.0, guess)
            part = (step - start(fall)) / (self.period * times**fall)
        return self.end + (self.rate - self.end) * _falling(part)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Rise to *peak* and fall far below the start, once (Smith and Topin 2018).

    The first rate is ``peak / divide``, the last, at count ``steps - 1``, is
    ``peak / divide / final_divide``; *warm_up* is the part of the steps that rises; *shape* is
    ``"cosine"`` or ``"linear"``.
    """

    peak: float
    steps: int
    warm_up: float = 0.3
    divide: float = 25.0
    final_divide: float = 1e4
    shape: str = "cosine"

    def __post_init__(self) -> None:
        self._check(
            peak=at_least_zero,
            steps=count,
            warm_up=below_one,
            divide=more_than_zero,
            final_divide=more_than_zero,
        )
        if self.shape not in ("cosine", "linear"):
            raise OptionError(f'OneCycle: shape must be "cosine" or "linear", got {self.shape!r}.')
        if self.warm_up * self.steps <= 1:
            raise OptionError(
                f"OneCycle: warm_up {self.warm_up:g} of {self.steps} steps leaves no step that"
                " rises; expected more than 1."
            )

    def formula(self, step: lg.Value) -> lg.Value:
        """Write the rate."""
        top, last = self.warm_up * self.steps - 1.0, self.steps - 1.0
        first = self.peak / self.divide
        rising = self._between(first, self.peak, lg.minimum(step, top) / top)
        part = (lg.clip(step, top, last) - top) / (last - top)
        return lg.where(
            step <= top, rising, self._between(self.peak, first / self.final_divide, part)
        )

    def _between(self, start: float, end: float, part: lg.Value) -> lg.Value:
        if self.shape == "linear":
            return start + (end - start) * part
        return end + (start - end) * _falling(part)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """Rise evenly to the first rate of *then* in *steps* updates, and go on with *then*.

    *then* is a schedule, which starts from its own count 0, or a rate; *start* is the first rate as
    a fraction of the one reached.

    >>> WarmUp(Exponential(1.0, 0.5), steps=4)(np.arange(7))
    array([0.  , 0.25, 0.5 , 0.75, 1.  , 0.5 , 0.25])
    """

    then: Schedule | float
    steps: int
    start: float = 0.0

    def __post_init__(self) -> None:
        self._check(
            then=lambda what, given: given if isinstance(given, Schedule) else Constant(given),
            steps=count,
            start=at_least_zero,
        )

    def formula(self, step: lg.Value) -> lg.Value:
        """Write the rate."""
        then = self.then
        assert isinstance(then, Schedule), "a number was made a schedule"
        goal = then(0)
        rising = goal * (self.start + (1.0 - self.start) / self.steps * step)
        following = then.formula(lg.maximum(step - self.steps, 0.0))
        return lg.where(step < self.steps, rising, following)


class _HasRates(Protocol):
    """What a plateau changes."""

    @property
    def rates(self) -> tuple[float, ...]: ...

    @rates.setter
    def rates(self, rates: Sequence[float]) -> None: ...


@dataclass
class ReduceOnPlateau:
    """Multiply an optimizer's rates by *factor* when a metric has stopped getting better.

    Parameters
    ----------
    optimizer
        Whose ``rates`` are written; they must be plain rates, not schedules.
    factor, least
        What a rate is multiplied by, and below which it doesn't fall.
    patience
        How many looks without a better metric are borne.
    threshold
        By which part of the best a metric must be better to count as better.
    larger_is_better
        For an accuracy; by default the metric is a loss.
    cooldown
        How many looks after a reduction are not counted.

    Examples
    --------
    >>> from lazygrad import optim
    >>> opt = optim.SGD(0.1)
    >>> plateau = ReduceOnPlateau(opt, factor=0.5, patience=0)
    >>> plateau.look(3.0), plateau.look(3.0), opt.rate
    (False, True, 0.05)
    """

    optimizer: _HasRates
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    larger_is_better: bool = False
    cooldown: int = 0
    least: float = 0.0
    best: float | None = None
    waited: int = 0
    cooling: int = 0

    def __post_init__(self) -> None:
        self.factor = below_one("ReduceOnPlateau: factor", self.factor)
        self.patience = count("ReduceOnPlateau: patience", self.patience, 0)
        self.threshold = at_least_zero("ReduceOnPlateau: threshold", self.threshold)
        self.cooldown = count("ReduceOnPlateau: cooldown", self.cooldown, 0)
        self.least = at_least_zero("ReduceOnPlateau: least", self.least)

    def look(self, metric: object) -> bool:
        """Take the newest metric, and say whether the rates were reduced."""
        # A metric that is NaN or infinite is not better than anything.
        now = float(metric)  # type: ignore[arg-type]
        if self._is_better(now):
            self.best, self.waited = now, 0
        else:
            self.waited += 1
        if self.cooling:
            self.cooling, self.waited = self.cooling - 1, 0
        if self.waited <= self.patience:
            return False
        self.waited, self.cooling = 0, self.cooldown
        before = self.optimizer.rates
        self.optimizer.rates = [min(rate, max(rate * self.factor, self.least)) for rate in before]
        return self.optimizer.rates != before

    def _is_better(self, now: float) -> bool:
        if self.best is None:
            return math.isfinite(now)
        margin = self.threshold * abs(self.best)
        return now > self.best + margin if self.larger_is_better else now < self.best - margin

    def state(self) -> dict[str, float | None]:
        """Give what it remembers, for a checkpoint."""
        return {name: getattr(self, name) for name in ("best", "waited", "cooling")}

    def restore(self, state: Mapping[str, float | None]) -> None:
        """Take on what `state` gave."""
        if state.keys() != self.state().keys():
            names = [field.name for field in fields(self)[-3:]]
            raise OptionError(f"ReduceOnPlateau: its state is {names}, got {list(state)}.")
        best = state["best"]
        self.best = None if best is None else number("ReduceOnPlateau: best", best)
        self.waited = count("ReduceOnPlateau: waited", state["waited"], 0)
        self.cooling = count("ReduceOnPlateau: cooling", state["cooling"], 0)
