"""What the names of lengths look like, and numbers for lengths without a name.

Must not know what a length is.
"""

from __future__ import annotations

import re
import threading

__all__ = ["ANONYMOUS", "BARE", "avoid", "quoted", "unused"]

ANONYMOUS = re.compile(r"[?#][A-Za-z_]*([0-9]+)")
"""Names for lengths without one; those with `#` are known only in mid-run."""

BARE = re.compile(r"(?!(?:min|max)\b)[^\W\d]\w*")
"""Names that text shows as they are, if they are identifiers."""


class _Numbers:
    """Numbers for lengths without a name; no number is given twice, nor one already read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def take(self) -> int:
        with self._lock:
            self._last += 1
            return self._last

    def skip(self, number: int) -> None:
        with self._lock:
            self._last = max(self._last, number)


_numbers = _Numbers()


def unused(prefix: str, *, data: bool) -> str:
    """Make an anonymous name that was never seen before."""
    return f"{'#' if data else '?'}{prefix}{_numbers.take()}"


def avoid(text: str) -> None:
    """Take care that `unused` never gives a name that came from elsewhere."""
    match = ANONYMOUS.fullmatch(text)
    if match is not None:
        _numbers.skip(int(match[1]))


def quoted(text: str) -> str:
    """Write a name as it stands in a length's text.

    >>> quoted("batch"), quoted("two words"), quoted("max")
    ('batch', '`two words`', '`max`')
    """
    bare = (BARE.fullmatch(text) and text.isidentifier()) or ANONYMOUS.fullmatch(text)
    return text if bare else "`" + text.replace("`", "``") + "`"
