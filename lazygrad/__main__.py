"""``python -m lazygrad``: a demonstration, and facts about the installation."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import lazygrad as lg

from . import demo
from .backends.c.toolchain import CompilerError, find_toolchain
from .executors import BACKENDS, usable_cores

__all__ = ["main"]

_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
# Settings that make OpenBLAS choose code for another processor, which can be much slower.
_SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
_OPTIONAL = ("graphviz", "tqdm", "safetensors", "scipy", "scikit-learn", "matplotlib")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "demo":
        try:
            options.output.mkdir(parents=True, exist_ok=True)
            demo.main(options.output, options.epochs, options.quiet)
        except OSError as error:
            parser.exit(1, f"lazygrad demo: can't write the graph: {error}\n")
    elif options.command == "info":
        print("\n".join(_facts()))
    else:
        parser.print_help()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lazygrad", description="A compiler for NumPy expressions, with derivatives."
    )
    parser.add_argument("--version", action="version", version=f"lazygrad {lg.__version__}")
    commands = parser.add_subparsers(dest="command", title="commands")

    text = "train a classifier of handwritten digits and draw its graph; takes a few seconds"
    command = commands.add_parser("demo", help=text, description=text.capitalize() + ".")
    command.add_argument(
        "--output", type=Path, default=Path(), metavar="DIR", help="where digits_graph.svg goes"
    )
    command.add_argument(
        "--epochs", type=_count, default=30, metavar="N", help="how often to see every digit (30)"
    )
    command.add_argument("--quiet", action="store_true", help="show no progress bar")

    text = "versions, backends, threads and optional packages"
    commands.add_parser("info", help=text, description=text.capitalize() + ".")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def _facts() -> Iterator[str]:
    blas = _blas()
    yield _row("lazygrad", lg.__version__)
    yield _row("Python", f"{platform.python_version()} ({platform.python_implementation()})")
    yield _row("NumPy", f"{np.__version__}, BLAS: {blas}")
    yield _row("platform", platform.platform())
    yield _row("backends", ", ".join(BACKENDS))
    yield _row("C compiler", _compiler())
    threads = os.environ.get("LAZYGRAD_THREADS") or "as many as cores"
    yield _row("cores", str(usable_cores()))
    yield _row("threads", threads)
    settings = [f"{name}={os.environ[name]}" for name in _THREADS if name in os.environ]
    yield _row("BLAS threads", ", ".join(settings) or "as many as BLAS chooses")
    for package in _OPTIONAL:
        yield _row(package, _version(package))
    yield _row("dot", shutil.which("dot") or "missing: pictures are written as .dot files")
    for name in _SLOWING:
        if name in os.environ:
            yield f"warning: {name}={os.environ[name]} is set, which can slow down matrix products."


def _row(what: str, text: str) -> str:
    return f"{what + ':':15}{text}"


def _blas() -> str:
    build: Any = np.show_config(mode="dicts")
    found = build.get("Build Dependencies", {}).get("blas", {})
    return f"{found.get('name', 'unknown')} {found.get('version', '')}".strip()


def _compiler() -> str:
    try:
        found = find_toolchain()
    except CompilerError as error:
        return f"none: {error}"
    version = found.identity.splitlines()[len(found.command)]
    return f"{' '.join(found.command)}, {version}, vectors of {found.vector_bytes} bytes"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


if __name__ == "__main__":
    raise SystemExit(main())
