"""Compiled libraries on disk: found by what they were made of, in a directory of the user's alone.

A library's name is a digest of its source, its flags and the compiler's identity. It is written
under another name and renamed, so nobody sees half of one and nothing needs a lock: of two
processes that build the same, the later rename wins. Beside it lies a digest of its bytes, so that
a corrupted one is built again instead of loaded.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..threads import share
from .toolchain import CompilerError, Toolchain, run_compiler
from .unit import ENTRIES

__all__ = ["Library", "cache_directory", "libraries", "library"]

_BUILD_SECONDS = 120.0
_loaded: dict[str, Library] = {}
_lock = threading.Lock()


def _after_fork() -> None:
    """Free the lock of a thread that a child process doesn't have."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Library:
    """Compiled functions, to be called with the interpreter free for other threads, or not."""

    def __init__(self, opened: ctypes.CDLL) -> None:
        self.free = opened
        self.held = ctypes.PyDLL(opened._name, handle=opened._handle)
        self.entries = list(range(ENTRIES))
        """Which of its functions without arguments nobody uses."""


def library(source: str, toolchain: Toolchain) -> Library:
    """Give the library that *source* compiles to, built now or before.

    Raises CompilerError where it can't be built or loaded.
    """
    return libraries([source], toolchain)[0]


def libraries(sources: Sequence[str], toolchain: Toolchain) -> list[Library]:
    """Give the library of each source; those that have to be built are built side by side.

    Raises CompilerError where one can't be built or loaded; others that were built stay loaded.
    """
    keys = [_key(source, toolchain) for source in sources]
    with _lock:
        missing = [pair for pair in zip(keys, sources, strict=True) if pair[0] not in _loaded]

        def load(part: int, place: int) -> None:
            key, source = missing[part]
            _loaded[key] = Library(_found_or_built(key, source, toolchain))

        if missing:
            share(load, len(missing), len(missing))
        return [_loaded[key] for key in keys]


def _key(source: str, toolchain: Toolchain) -> str:
    text = "\0".join((source, *toolchain.flags, toolchain.identity))
    return hashlib.sha256(text.encode()).hexdigest()


def cache_directory() -> Path:
    """Give the directory of compiled libraries, made with access for this user alone.

    It is ``LAZYGRAD_CACHE_DIR``, else the system's place for caches. Raises CompilerError where it
    belongs to somebody else, or others may write to it.
    """
    asked = os.environ.get("LAZYGRAD_CACHE_DIR", "")
    path = Path(asked) if asked else _system_caches() / "lazygrad"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = path.stat()
    except OSError as error:
        raise CompilerError(f"the cache {path} can't be used: {error}") from None
    if hasattr(os, "getuid") and facts.st_uid != os.getuid():
        raise CompilerError(f"the cache {path} belongs to another user")
    if os.name == "posix" and facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CompilerError(f"the cache {path} can be written by other users")
    return path


def _system_caches() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    if given and Path(given).is_absolute():
        return Path(given)
    try:
        home = Path.home()
    except RuntimeError as error:
        raise CompilerError(f"there is no home directory for a cache: {error}") from None
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def _found_or_built(key: str, source: str, toolchain: Toolchain) -> ctypes.CDLL:
    try:
        directory = cache_directory()
    except CompilerError as reason:
        # Without a cache there is still a program: from a directory that lives as long as loading.
        return _built_elsewhere(source, toolchain, reason)
    path = directory / f"{key}.so"
    if _is_whole(path):
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            path.unlink(missing_ok=True)
    try:
        with _workshop(directory) as shop:
            built = _build(source, toolchain, shop)
            digest = shop / "digest"
            digest.write_text(_digest(built))
            os.replace(digest, path.with_suffix(".sha256"))
            os.replace(built, path)
    except OSError as error:
        return _built_elsewhere(source, toolchain, CompilerError(f"{directory}: {error}"))
    return _opened(path)


def _built_elsewhere(source: str, toolchain: Toolchain, reason: CompilerError) -> ctypes.CDLL:
    try:
        with tempfile.TemporaryDirectory(prefix="lazygrad-", ignore_cleanup_errors=True) as name:
            return _opened(_build(source, toolchain, Path(name)))
    except OSError as error:
        raise CompilerError(f"{reason}; nor can a temporary directory: {error}") from None


@contextmanager
def _workshop(directory: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=directory, ignore_cleanup_errors=True) as name:
        yield Path(name)


def _build(source: str, toolchain: Toolchain, shop: Path) -> Path:
    text, built = shop / "program.c", shop / "program.so"
    text.write_text(source)
    arguments = (*toolchain.command, *toolchain.flags, "-o", str(built), str(text), "-lm")
    run_compiler(arguments, _BUILD_SECONDS, shop)
    if not built.exists():
        raise CompilerError(f"{toolchain.command[0]} has written nothing")
    return built


def _opened(path: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        # The file may have a name that is never the same.
        reason = str(error).replace(str(path), "the library")
        raise CompilerError(f"what was compiled can't be loaded: {reason}") from None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_whole(path: Path) -> bool:
    """Whether a library is there with the bytes that it was written with."""
    try:
        return _digest(path) == path.with_suffix(".sha256").read_text()
    except (OSError, UnicodeDecodeError):
        return False
