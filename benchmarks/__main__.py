"""Run benchmarks, print a table and write JSON: ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable

import numpy as np

import lazygrad as lg

from . import DROPPED, STALE, THREADS, restart
from .chain import run_chain
from .hessian import run_hessian
from .imports import run_import, slowest_modules
from .moons import run_compiled, run_first_result, run_forward_backward
from .networks import run_networks
from .peers.run import run_peers
from .results import Row, records, table

BENCHMARKS: dict[str, Callable[[bool], list[Row]]] = {
    "compiled": run_compiled,
    "forward-backward": run_forward_backward,
    "first-result": run_first_result,
    "import": run_import,
    "chain": run_chain,
    "hessian": run_hessian,
    "networks": run_networks,
    "peers": run_peers,
}


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:<18}{run.__doc__}" for name, run in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Compare lazygrad with what else one would use; ratios above 1 are ours.",
        epilog=f"benchmarks:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="benchmark", help="which to run; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no chain of 100,000")
    parser.add_argument("--json", metavar="PATH", help="write the results there too")
    parser.add_argument("--threads", type=int, default=THREADS, help="threads of BLAS (default 1)")
    parser.add_argument(
        "--explain", action="store_true", help="list the modules that take longest to import"
    )
    return parser


def main() -> int:
    parser = _parser()
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    if options.threads < 1:
        parser.error(f"--threads must be at least 1, got {options.threads}")
    if DROPPED:
        print(f"left out of the environment: {', '.join(DROPPED)}")
    if STALE or options.threads != THREADS:
        restart(options.threads)
    if options.explain:
        print(slowest_modules())
        return 0
    facts = {
        "lazygrad": lg.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": THREADS,
    }
    print(", ".join(f"{name} {fact}" for name, fact in facts.items()))
    rows: list[Row] = []
    for name in options.names or BENCHMARKS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows += BENCHMARKS[name](options.quick)
    print(table(rows))
    if options.json is not None:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({**facts, "rows": records(rows)}, file, indent=2)
            file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
