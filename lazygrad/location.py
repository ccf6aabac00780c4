"""Where in the user's code a node was made. Knows frames and files; knows nothing of graphs."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

__all__ = ["Location", "user_location"]

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
# Programs shipped inside the package are users of the library like anybody else's.
_USERS = (_PACKAGE + "examples" + os.sep, _PACKAGE + "demo.py")


class Location(NamedTuple):
    """A file and a line number; prints as ``train.py:12``."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}"


def user_location() -> Location | None:
    """Give the innermost frame outside this package, or None when there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_PACKAGE) or file.startswith(_USERS):
            return Location(file, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]
    return None
