"""The storage of a leaf. Knows arrays and versions; knows nothing of nodes.

A cell's shape, dtype and address never change. `version` counts the writes that went through the
cell; an array handed out to the user can be written behind the cell's back, so `synchronize`
compares it with a copy of its bytes as long as somebody may hold it.
"""

from __future__ import annotations

from sys import getrefcount

import numpy as np

from ..errors import ShapeError
from ..spec import format_shape
from .arrays import cast_array, plain_array
from .op import Array

__all__ = ["Cell", "is_held"]


class _Holder:
    __slots__ = ("array",)

    def __init__(self, array: Array) -> None:
        self.array = array


# What getrefcount says of an array that only an attribute holds; measured, as interpreters differ.
_PROBE = _Holder(np.empty(1))
_UNHELD = getrefcount(_PROBE.array)


def is_held(cell: Cell) -> bool:
    """Whether anybody but the cell holds the array, or a view of it."""
    return getrefcount(cell.array) > _UNHELD


class Cell:
    """One array that a leaf stands for, with the number of times it was written."""

    __slots__ = ("__weakref__", "_bytes", "_lent", "array", "version")

    def __init__(self, array: Array) -> None:
        self.array = array
        self.version = 0
        self._lent = False
        self._bytes: bytes | None = None

    def lend(self) -> Array:
        """Give the live array to the user, who may write into it."""
        if self._bytes is None:
            self._bytes = self.array.tobytes()
        self._lent = True
        return self.array

    def write(self, data: object) -> None:
        """Copy *data* into the cell; shapes must be equal and the dtype must hold the values.

        Raises ShapeError or DTypeError, as feeds do, with the cell left as it was.
        """
        if data is self.array:
            self.written()
            return
        array = plain_array(data)
        if array.shape != self.array.shape:
            raise ShapeError(
                f"new data must have shape {format_shape(self.array.shape)},"
                f" got {format_shape(array.shape)}."
            )
        np.copyto(self.array, cast_array(array, self.array.dtype))
        self.written()

    def written(self) -> None:
        """Count a write."""
        self.version += 1
        self._bytes = None

    def synchronize(self) -> int:
        """Count a write that happened through a lent array, and give the current version."""
        if not self._lent:
            return self.version
        held = is_held(self)
        if self._bytes is not None:
            now = self.array.tobytes()
            if now != self._bytes:
                self.version += 1
            self._bytes = now
        elif held:
            self._bytes = self.array.tobytes()
        if not held:
            self._lent = False
            self._bytes = None
        return self.version

    def __reduce__(self) -> tuple[object, tuple[Array, int]]:
        return _restore_cell, (self.array, self.version)

    def __deepcopy__(self, memo: dict[int, object]) -> Cell:
        return _restore_cell(self.array.copy(), self.version)


def _restore_cell(array: Array, version: int) -> Cell:
    cell = Cell(np.ascontiguousarray(array).reshape(array.shape))
    cell.version = version
    return cell
