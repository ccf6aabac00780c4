"""What ``import lazygrad`` adds to ``import numpy``."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

from .results import Row, duration, measured

SCRIPT = """
from time import perf_counter, process_time
a = perf_counter()
import numpy
b, worked = perf_counter(), process_time()
import lazygrad
print(b - a, perf_counter() - b, process_time() - worked)
"""


def import_times() -> tuple[float, ...]:
    """Seconds of importing NumPy, then lazygrad, and of the processor on the latter."""
    output = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True
    ).stdout
    return tuple(map(float, output.split()))


def run_import(quick: bool) -> list[Row]:
    """``import lazygrad`` beyond ``import numpy``, in new processes."""
    import_times()
    found = [import_times() for _ in range(7 if quick else 21)]
    numpy_seconds, ours, worked = (list(times) for times in zip(*found, strict=True))
    note = f"processor {duration(median(worked))}; import numpy {duration(median(numpy_seconds))}"
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
