"""W11: how long an import takes, and how much is installed for it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import lazygrad

from ..results import Row
from .contest import OURS, package_of

__all__ = ["sizes"]

SCRIPT = "from time import perf_counter as now; a = now(); import {}; print(now() - a)"
MEBIBYTE = 2**20


def _seconds(package: str, rounds: int) -> float:
    def once() -> float:
        command = [sys.executable, "-c", SCRIPT.format(package)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    once()
    return median(once() for _ in range(rounds))


def _own_bytes(package: str) -> int:
    if package == OURS:
        folder = Path(lazygrad.__file__).parent
        files = [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc"]
        return sum(p.stat().st_size for p in files)
    listed = distribution(package).files or []
    paths = [Path(str(entry.locate())) for entry in listed if entry.suffix != ".pyc"]
    return sum(path.stat().st_size for path in paths if path.is_file())


def _needed(package: str, known: dict[str, None]) -> None:
    """List a package and what it needs, without extras."""
    name = re.split(r"[^\w.-]", package, maxsplit=1)[0].lower().replace("_", "-")
    if name in known:
        return
    try:
        required = distribution(name).requires or []
    except PackageNotFoundError:
        return
    known[name] = None
    for line in required:
        if "extra ==" not in line:
            _needed(line, known)


def _bytes(package: str) -> int:
    known: dict[str, None] = {}
    _needed(packages_distributions().get(package, [package])[0], known)
    return sum(map(_own_bytes, known))


def sizes(quick: bool, peers: tuple[str, ...]) -> list[Row]:
    """Seconds of an import, NumPy's included, and bytes installed with all that is needed."""
    rows = []
    for name in dict.fromkeys([OURS, *(package_of(n) for n in peers if n != "numpy")]):
        if find_spec(name) is None:
            continue
        size = _bytes(name)
        own = f"{_own_bytes(name) / MEBIBYTE:.1f} MiB of its own" if name == OURS else ""
        note = f"{size / MEBIBYTE:.0f} MiB installed" + (f", {own}" if own else "")
        seconds = _seconds(name, 3 if quick else 9)
        rows.append(Row(name=f"W11 import {name}", ours=seconds, note=note))
    return rows
