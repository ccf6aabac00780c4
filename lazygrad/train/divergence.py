"""How training gets back to where NaN began: recent batches, and the state that they met.

Copying the state before every update would cost as much as many updates do, so it is copied now
and then, and the updates since are made again: a program repeats itself bit for bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..compiler import Program
from ..nan_search import NanReport

__all__ = ["Rewind"]

_MOST_STEPS = 16
_MOST_BYTES = 2**26


class _Stretch:
    """A copy of the state, and the batches that came after it."""

    def __init__(self, state: list[Any]) -> None:
        self.state = state
        self.batches: list[Mapping[str, Any]] = []
        self.room = _MOST_STEPS


class Rewind:
    """The last two stretches of a training program's run; *loss_of* picks the loss of a result."""

    def __init__(self, program: Program, loss_of: Callable[[Any], float]) -> None:
        self._program = program
        self._loss_of = loss_of
        self._variables = program.graph.variables
        # Looking at the arrays as they are lends them to nobody.
        self._live = [variable.cell.array for variable in self._variables if variable.cell]
        self._stretches: deque[_Stretch] = deque(maxlen=2)

    def mark(self) -> None:
        """Begin a new stretch: call it when variables were written from outside the program."""
        old = self._stretches[0] if len(self._stretches) == 2 else None
        state = [array.copy() for array in self._live] if old is None else old.state
        for kept, array in zip(state, self._live, strict=True):
            np.copyto(kept, array)
        self._stretches.append(_Stretch(state))

    def note(self, batch: Mapping[str, Any]) -> None:
        """Take note of a batch, before the update that it makes."""
        if not self._stretches or len(self._stretches[-1].batches) >= self._stretches[-1].room:
            self.mark()
        stretch = self._stretches[-1]
        if not stretch.batches:
            size = sum(getattr(array, "nbytes", 1024) for array in batch.values())
            stretch.room = max(1, min(_MOST_STEPS, _MOST_BYTES // (size + 1)))
        stretch.batches.append(batch)

    def find(self) -> NanReport | None:
        """Go back to before the first bad update, leave the state there, and look where it began.

        Where the same updates made again don't go wrong, None, with the oldest state kept.
        """
        for stretch in self._stretches:
            self._restore(stretch.state)
            for place, batch in enumerate(stretch.batches):
                if self._is_good(batch):
                    continue
                self._restore(stretch.state)
                for earlier in stretch.batches[:place]:
                    self._program(**earlier)
                return self._program.find_nan(**batch)
        if self._stretches:
            self._restore(self._stretches[0].state)
        return None

    def _is_good(self, batch: Mapping[str, Any]) -> bool:
        """Make an update, and say whether the loss and what was finite before are finite."""
        before = [_is_finite(array) for array in self._live]
        loss = self._loss_of(self._program(**batch))
        after = [_is_finite(array) for array in self._live]
        return bool(np.isfinite(loss)) and before == after

    def _restore(self, state: list[Any]) -> None:
        for variable, array in zip(self._variables, state, strict=True):
            variable.data = array


def _is_finite(array: Any) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
