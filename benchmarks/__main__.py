"""Run benchmarks, print a table and write JSON: ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import lazygrad as lg

from . import DROPPED, STALE, THREADS, restart
from .chain import run_chain
from .hessian import run_hessian
from .imports import run_import, slowest_modules
from .moons import run_compiled, run_first_result, run_forward_backward
from .networks import run_networks
from .peers.run import PEERS, run_peers
from .plot import plot
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
    parser.add_argument("--plot", metavar="PATH", help="draw the ratios there, with matplotlib")
    parser.add_argument(
        "--peers",
        type=_peers,
        metavar="A,B",
        help=f"whom `peers` compares with: {', '.join(PEERS)}",
    )
    parser.add_argument(
        "--threads",
        type=_threads,
        metavar="N,M",
        default=(THREADS,),
        help="threads of BLAS and of all engines; several give a run each (default 1)",
    )
    parser.add_argument(
        "--explain", action="store_true", help="list the modules that take longest to import"
    )
    return parser


def _threads(text: str) -> tuple[int, ...]:
    if not all(part.isdecimal() and int(part) for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"expected whole numbers from 1 on, got {text!r}")
    return tuple(map(int, text.split(",")))


def _peers(text: str) -> tuple[str, ...]:
    found = tuple(text.split(","))
    unknown = [name for name in found if name not in PEERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {', '.join(PEERS)}")
    return found


def _run_each(arguments: Sequence[str], counts: Sequence[int]) -> list[dict[str, Any]]:
    """Run the same command once for each number of threads, and give what each has written."""
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            path = Path(folder) / "results.json"
            own = ["--threads", str(count), "--json", str(path)]
            command = [sys.executable, "-m", __spec__.parent, *arguments, *own]
            subprocess.run(command, check=True)
            runs.append(json.loads(path.read_text()))
    return runs


def _written(runs: Sequence[Mapping[str, Any]], options: argparse.Namespace) -> None:
    if options.json is not None:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(runs[0] if len(runs) == 1 else list(runs), file, indent=2)
            file.write("\n")
    if options.plot is not None:
        plot(runs, options.plot)


def main() -> int:
    parser = _parser()
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    if len(options.threads) > 1:
        chosen = ["--quick"] if options.quick else []
        chosen += ["--peers", ",".join(options.peers)] if options.peers else []
        _written(_run_each([*options.names, *chosen], options.threads), options)
        return 0
    if DROPPED:
        print(f"left out of the environment: {', '.join(DROPPED)}")
    (threads,) = options.threads
    if STALE or threads != THREADS:
        restart(threads)
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
        if name == "peers" and options.peers:
            rows += run_peers(options.quick, options.peers)
        else:
            rows += BENCHMARKS[name](options.quick)
    print(table(rows))
    _written([{**facts, "rows": records(rows)}], options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
