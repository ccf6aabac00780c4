"""Speed comparisons with what else one would use: ``python -m benchmarks``.

Importing this package settles the environment that NumPy reads when it is first imported: nothing
that retunes OpenBLAS (``OPENBLAS_CORETYPE`` and the like slow its products), and as many threads
as ``BENCHMARK_THREADS`` says, by default one.
"""

import os
import sys
from typing import NoReturn

THREADS = int(os.environ.get("BENCHMARK_THREADS", "1"))

_COUNTS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_before = dict(os.environ)

DROPPED = sorted(n for n in os.environ if n.startswith("OPENBLAS_") and n not in _COUNTS)
"""The variables that were there and are not now."""

for _name in DROPPED:
    del os.environ[_name]
os.environ.update(dict.fromkeys(_COUNTS, str(THREADS)))

STALE = "numpy" in sys.modules and dict(os.environ) != _before
"""Whether NumPy had read another environment; only a restart helps then."""


def restart(threads: int = THREADS) -> NoReturn:
    """Start the same command again, in an environment settled for so many threads."""
    counts = dict.fromkeys(_COUNTS, str(threads))
    environment = {**os.environ, **counts, "BENCHMARK_THREADS": str(threads)}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
