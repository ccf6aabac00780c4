"""The C compiler of this machine: which one, with which flags, and what is known of its results.

Knows nothing of programs. A compiler is looked for once; what is found is a value that says what a
cached library depends on.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

__all__ = ["CompilerError", "Toolchain", "find_toolchain", "run_compiler"]

# No option may change what NaN, infinities, signed zeros and the order of operations mean: sums
# become vectors because the code says so, and only products and our own functions use fma.
_FLAGS = (
    "-std=gnu11",
    "-O3",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-strict-aliasing",
    "-fwrapv",
    "-fopenmp-simd",
    "-pthread",
    "-fPIC",
    "-shared",
    "-w",
)
_COMPILERS = ("cc", "gcc", "clang")
_PROBE_SECONDS = 20.0


class CompilerError(Exception):
    """No machine code could be made; says why. Never reaches users but as a warning."""


@dataclass(frozen=True)
class Toolchain:
    """A C compiler: how it is called, and what its results depend on beside the source."""

    command: tuple[str, ...]
    flags: tuple[str, ...]
    identity: str
    vector_bytes: int


def find_toolchain() -> Toolchain:
    """Find the compiler that ``LAZYGRAD_CC`` names, else the first there is.

    Raises CompilerError where there is none that works.
    """
    return _toolchain(os.environ.get("LAZYGRAD_CC", ""), os.environ.get("PATH", ""))


@lru_cache(maxsize=8)
def _toolchain(asked: str, path: str) -> Toolchain:
    if asked:
        try:
            commands = [tuple(shlex.split(asked))]
        except ValueError as error:
            raise CompilerError(f"LAZYGRAD_CC is {asked!r}: {error}") from None
    else:
        commands = [(name,) for name in _COMPILERS if shutil.which(name, path=path)]
        if find_spec("ziglang") is not None:
            commands.append((sys.executable, "-m", "ziglang", "cc"))
    reasons = []
    for command in commands:
        try:
            return _described(command)
        except CompilerError as error:
            reasons.append(str(error))
    raise CompilerError("; ".join(reasons) or "there is no C compiler: cc, gcc, clang or ziglang")


def _described(command: tuple[str, ...]) -> Toolchain:
    """Ask a compiler who it is and which machine it would compile for."""
    version = run_compiler((*command, "--version"), _PROBE_SECONDS)
    native = (
        "-mcpu=native" if platform.machine().lower() in ("arm64", "aarch64") else "-march=native"
    )
    target = run_compiler((*command, native, "-dM", "-E", "-x", "c", os.devnull), _PROBE_SECONDS)
    flags = (*_FLAGS, native, *_wide(target), *_straight(target))
    width = 64 if "__AVX512F__" in target else 32 if "__AVX__" in target else 16
    identity = "\n".join((*command, version, target, platform.platform()))
    return Toolchain(command, flags, identity, width)


def _wide(macros: str) -> tuple[str, ...]:
    """Ask for whole vectors, of which compilers use half by default on some machines."""
    return ("-mprefer-vector-width=512",) if "__AVX512F__" in macros else ()


def _straight(macros: str) -> tuple[str, ...]:
    """Keep gcc from following conditions where nothing branches, which only makes more masks."""
    return () if "__clang__" in macros else ("-fno-thread-jumps",)


def run_compiler(arguments: tuple[str, ...], seconds: float, cwd: Path | None = None) -> str:
    """Run a compiler to its end; give what it printed. Raises CompilerError where it fails."""
    try:
        done = subprocess.run(
            arguments,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise CompilerError(f"{arguments[0]} took longer than {seconds:g} s") from None
    except OSError as error:
        raise CompilerError(f"{arguments[0]} can't be run: {error}") from None
    if done.returncode < 0:
        raise CompilerError(f"{arguments[0]} was killed by signal {-done.returncode}")
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        said = lines[0] if lines else "nothing"
        raise CompilerError(f"{arguments[0]} failed with code {done.returncode}: {said:.200}")
    return done.stdout
