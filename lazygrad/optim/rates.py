"""Where an optimizer's rate comes from: a variable, a schedule, a sequence, or a node.

Knows nodes and schedules; knows nothing of parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias, cast

import numpy as np

import lazygrad as lg
from lazygrad.errors import OptionError

from .checks import at_least_zero

__all__ = ["Rate", "RateSource"]

Rate: TypeAlias = "float | Callable[[lg.Value], lg.Value] | Iterable[float] | lg.Value"
"""A number, a schedule, rates one by one, or a node such as a placeholder without axes."""


def _is_sequence(rate: object) -> bool:
    if isinstance(rate, (str, bytes)) or (isinstance(rate, np.ndarray) and rate.ndim == 0):
        return False
    return isinstance(rate, Iterable)


class RateSource:
    """One rate: its node for expressions, its number for people.

    Parameters
    ----------
    owner
        What errors call the optimizer.
    rate
        See `Rate`.
    name
        Of the variable that holds the rate, if it has one.
    """

    def __init__(self, owner: str, rate: object, name: str) -> None:
        self._owner = owner
        self._schedule: Callable[[lg.Value], lg.Value] | None = None
        self._rates: Iterator[object] | None = None
        self._variable: lg.Value | None = None
        self._node: lg.Value | None = None
        # The first of a sequence is there before anybody has advanced to it.
        self._taken, self._is_ahead = 0, False
        if isinstance(rate, lg.Value):
            if rate.shape != () or rate.dtype.kind != "f":
                raise OptionError(f"{owner}: a rate is one float, got a node of {rate.spec}.")
            self._node = rate
        elif callable(rate):
            self._schedule = rate
        elif _is_sequence(rate):
            self._rates = iter(cast("Iterable[object]", rate))
            self._variable = self._held(self._next(), name)
            self._is_ahead = True
        else:
            self._variable = self._held(rate, name)

    def _held(self, rate: object, name: str) -> lg.Value:
        variable = lg.variable(at_least_zero(f"{self._owner}: the rate", rate), name=name)
        variable.requires_grad = False
        return variable

    @property
    def variable(self) -> lg.Value | None:
        """The variable of the optimizer's own that holds the rate, if there is one."""
        return self._variable

    def node(self, step: lg.Value) -> lg.Value:
        """Give the rate of the update after *step* updates."""
        if self._schedule is None:
            found = self._node if self._variable is None else self._variable
            assert found is not None, "a rate without a schedule is held somewhere"
            return found
        rate = self._schedule(step)
        if not isinstance(rate, lg.Value) or rate.shape != ():
            what = rate.spec if isinstance(rate, lg.Value) else type(rate).__name__
            raise OptionError(
                f"{self._owner}: a schedule gives one number as a node, got {what}; it is called"
                " with the node that counts updates."
            )
        return rate

    def read(self, step: lg.Value | None) -> float:
        """Give the rate of the next update as a number; *step* counts those done."""
        if self._schedule is None:
            return float(self.node(lg.constant(0)))
        return float(self.node(lg.constant(0 if step is None else int(step))))

    def write(self, rate: object) -> None:
        """Change the rate. Raises OptionError where it isn't a number that can be changed."""
        if self._schedule is not None:
            raise OptionError(
                f"{self._owner}: the rate is given by {self._schedule!r:.60}; make the optimizer"
                " with a number to set it."
            )
        found = at_least_zero(f"{self._owner}: the rate", rate)
        target = self._node if self._variable is None else self._variable
        assert target is not None, "a rate without a schedule is held somewhere"
        target.data = found

    def advance(self) -> None:
        """Go on to the next rate of a sequence; does nothing where there is none."""
        if self._rates is None or self._variable is None:
            return
        if self._is_ahead:
            self._is_ahead = False
            return
        self._variable.data = at_least_zero(f"{self._owner}: the rate", self._next())

    def _next(self) -> object:
        assert self._rates is not None, "only a sequence of rates is advanced"
        try:
            rate = next(self._rates)
        except StopIteration:
            raise OptionError(
                f"{self._owner}: the rates ran out; {self._taken} were given."
            ) from None
        self._taken += 1
        return rate
