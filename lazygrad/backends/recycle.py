"""Arrays that belong to the caller, used again once the caller has dropped them.

Knows reference counts; knows nothing of schedules.
"""

from __future__ import annotations

from sys import getrefcount

import numpy as np

from ..ir.op import Array
from ..spec import DType

__all__ = ["HELD", "OutputPool"]


class OutputPool:
    """Two arrays for one output: the caller holds one result while the next run fills the other."""

    __slots__ = ("array", "dtype", "shape", "spare")

    def __init__(self, shape: tuple[int, ...], dtype: DType) -> None:
        self.shape = shape
        self.dtype = dtype
        self.array: Array = np.empty(shape, dtype)
        self.spare: Array | None = None

    def other(self) -> Array:
        """Give an array that nobody holds, because somebody holds the current one."""
        spare = self.spare
        # Held by this name and the attribute, as the current one is where it is tested.
        if spare is None or getrefcount(spare) > HELD:
            spare = np.empty(self.shape, self.dtype)
        self.spare = self.array
        self.array = spare
        return spare


def _unheld() -> int:
    """Count the references to an array that only a pool and one local name hold."""
    pool = OutputPool((1,), np.dtype(np.float64))
    array = pool.array
    return getrefcount(array)


# Measured, since interpreters count differently.
HELD = 1 << 30
HELD = _unheld()
