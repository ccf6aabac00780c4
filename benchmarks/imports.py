"""What ``import lazygrad`` adds to ``import numpy``."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

from .results import Row, measured

SCRIPT = """
from time import perf_counter
a = perf_counter()
import numpy
b = perf_counter()
import lazygrad
c = perf_counter()
print(b - a, c - b)
"""


def import_times() -> tuple[float, float]:
    """Seconds of importing NumPy, and then lazygrad, in a new process."""
    output = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True
    ).stdout
    numpy_seconds, ours = map(float, output.split())
    return numpy_seconds, ours


def run_import(quick: bool) -> list[Row]:
    """``import lazygrad`` beyond ``import numpy``, in new processes."""
    import_times()
    found = [import_times() for _ in range(7 if quick else 21)]
    note = f"import numpy: {median(n for n, _ in found) * 1e3:.0f} ms"
    ours = [seconds for _, seconds in found]
    return [measured("import lazygrad beyond numpy", ours, most=0.050, note=note)]


def slowest_modules(count: int = 10) -> str:
    """A table of the modules that take longest by themselves, once NumPy is there."""
    report = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import numpy; import lazygrad"],
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    lines = [line.removeprefix("import time:").split("|") for line in report.splitlines()]
    times = [(int(own), int(total), name) for own, total, name in lines if own.strip().isdigit()]
    # A module is listed after all that it imports.
    after = next(i for i, (_, _, name) in enumerate(times) if name.strip() == "numpy") + 1
    slowest = sorted(times[after:], key=lambda entry: -entry[0])[:count]
    rows = [f"{own / 1e3:8.2f}  {total / 1e3:8.2f}  {name.strip()}" for own, total, name in slowest]
    return "\n".join(["  own ms  total ms  module", *rows])
