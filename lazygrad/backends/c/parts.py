"""How long work is cut into parts: by its size alone, so that results don't depend on threads.

Knows numbers; knows nothing of what a part does.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Share", "share", "wanted_parts"]

# Handing a part to another thread takes a few microseconds, waking the thread some twenty.
_LEAST_SECONDS = 2e-5
_MOST_PARTS = 64


def wanted_parts(seconds: float) -> int:
    """Say into how many parts work should fall that takes so long on one thread.

    >>> wanted_parts(3e-5), wanted_parts(1e-3), wanted_parts(1.0)
    (1, 50, 64)
    """
    return int(max(min(seconds / _LEAST_SECONDS, _MOST_PARTS), 1))


@dataclass(frozen=True, slots=True)
class Share:
    """A range that falls into `parts` ranges of `size`, the last of which may be shorter."""

    total: int
    size: int
    parts: int

    @property
    def first(self) -> str:
        """Where a part begins, as C."""
        return "0" if self.parts == 1 else "first"

    @property
    def last(self) -> str:
        """Where a part ends, as C."""
        return str(self.total) if self.parts == 1 else "last"

    def bounds(self, part: str = "part") -> list[str]:
        """Declare where a part begins and ends; nothing where there is but one."""
        if self.parts == 1:
            return []
        end = f"first + {self.size}"
        if self.size * self.parts > self.total:
            end = f"{end} < {self.total} ? {end} : {self.total}"
        return [f"const int64_t first = {part} * {self.size}, last = {end};"]


def share(total: int, wanted: int, unit: int = 1) -> Share:
    """Cut a range into about as many parts as are wanted, at multiples of *unit*.

    >>> share(100, 3, 8)
    Share(total=100, size=40, parts=3)
    """
    units = -(-total // unit)
    size = -(-units // max(wanted, 1)) * unit
    return Share(total, size, -(-total // size))
