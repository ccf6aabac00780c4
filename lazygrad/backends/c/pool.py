"""The threads that machine code shares long loops with: one pool for a process.

Knows the pool's one function; knows nothing of programs. The pool is C of its own, compiled and
cached like a program.
"""

from __future__ import annotations

import ctypes
from importlib.resources import files

from .cache import library
from .toolchain import Toolchain

__all__ = ["parts_runner", "pool_source"]


def pool_source() -> str:
    """Give the pool as C."""
    return files(__package__).joinpath("pool.c").read_text(encoding="utf-8")


def parts_runner(toolchain: Toolchain) -> int:
    """Give the address of what runs the parts of a loop on several threads.

    Raises CompilerError where it can't be built or loaded.
    """
    function = library(pool_source(), toolchain).free.run_parts
    return ctypes.cast(function, ctypes.c_void_p).value or 0
