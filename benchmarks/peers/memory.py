"""W15: the memory that training steps take at their peak, each engine in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from ..results import Row
from ..timing import Engine
from .by_tensorflow import tensorflow_module
from .contest import OURS, Contest, jax_module, package_of

__all__ = ["memory"]

NAMES = ("W3", "W6", "W9")
STEPS = 5
MEBIBYTE = 2**20


def _contests() -> list[Contest]:
    from . import networks, perceptrons

    return [*perceptrons.contests(), *networks.contests()]


def _peak(make: Callable[[], Engine], package: str) -> int:
    """Bytes at the peak of some steps beyond what the imported libraries take."""
    if package == "jax":
        # What every program of JAX takes: its backend, and a first compilation.
        module = jax_module()
        module.jit(lambda x: x + 1)(1.0)
    elif package == "tensorflow":
        tensorflow_module().constant(0.0)
    elif package != OURS and package != "numpy":
        import_module(package)
    before = _kibibytes("VmRSS")
    engine = make()
    for _ in range(STEPS):
        engine()
    # Unlike what getrusage tells, this begins anew with the process.
    return 1024 * (_kibibytes("VmHWM") - before)


def _kibibytes(fact: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{fact}:"))


def _in_a_process(name: str, engine: str) -> int:
    command = [sys.executable, "-m", __spec__.name, name, engine]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def memory(peers: tuple[str, ...]) -> list[Row]:
    """Peak memory beside the best of the others; Linux alone tells it."""
    if not sys.platform.startswith("linux"):
        return []
    rows = []
    for contest in [c for name in NAMES for c in _contests() if c.name.startswith(name)]:
        engines = [n for n in contest.engines if n == OURS or (n in peers and contest.is_there(n))]
        found = {engine: _in_a_process(contest.name, engine) for engine in engines}
        ours = found.pop(OURS)
        if not found:
            continue
        best = min(found, key=found.__getitem__)
        rows.append(
            Row(
                name=f"W15 {contest.name}, MiB {ours / MEBIBYTE:.1f}",
                ratio=found[best] / ours,
                goal=">= 1 x",
                reached=found[best] >= ours,
                note=", ".join(f"{n} {b / MEBIBYTE:.1f} MiB" for n, b in found.items()),
            )
        )
    return rows


if __name__ == "__main__":
    chosen = next(contest for contest in _contests() if contest.name == sys.argv[1])
    print(_peak(chosen.engines[sys.argv[2]], package_of(sys.argv[2])))
