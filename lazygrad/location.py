"""Where in the user's code a node was made. Knows frames and files; knows nothing of graphs."""

from __future__ import annotations

import contextlib
import os
import sys
from types import TracebackType
from typing import NamedTuple

__all__ = ["Location", "passed_user_code", "user_location"]

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
# Programs shipped inside the package are users of the library like anybody else's.
_USERS = (_PACKAGE + "examples" + os.sep, _PACKAGE + "demo.py")
# Before Python 3.11 an error that leaves a `with` block has passed through this file.
_CONTEXTS = contextlib.__file__


class Location(NamedTuple):
    """A file and a line number; prints as ``train.py:12``, in a notebook as ``In[3]:12``."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{_cell(self.file) or os.path.basename(self.file)}:{self.line}"


def _cell(file: str) -> str | None:
    """Name the cell of a notebook that was compiled from *file*, whose own name is a number."""
    interactive = sys.modules.get("IPython")
    shell = None if interactive is None else interactive.get_ipython()
    named = None if shell is None else shell.compile.format_code_name(file)
    return None if named is None else str(named[1])


def _is_users(file: str) -> bool:
    return not file.startswith(_PACKAGE) or file.startswith(_USERS)


def passed_user_code(trace: TracebackType | None) -> bool:
    """Whether an error came up through a function of the user's, such as the body of a loop."""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if _is_users(file) and file != _CONTEXTS:
            return True
        trace = trace.tb_next
    return False


def user_location() -> Location | None:
    """Give the innermost frame outside this package, or None when there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if _is_users(file):
            return Location(file, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]
    return None
