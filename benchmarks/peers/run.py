"""Run the contests."""

from __future__ import annotations

import sys

from ..results import Row
from . import formulas, networks, perceptrons
from .contest import on_few_cores, run
from .first import first_results

__all__ = ["PEERS", "run_peers"]

PEERS = ("numpy", "jax", "pytensor", "casadi")


def run_peers(quick: bool) -> list[Row]:
    """Training steps and small programs against NumPy by hand, JAX, PyTensor, CasADi."""
    on_few_cores()
    rows = []
    for contest in [*perceptrons.contests(), *networks.contests(), *formulas.contests()]:
        print(f"  {contest.name}", file=sys.stderr, flush=True)
        rows.append(run(contest, PEERS, rounds=5 if quick else 21))
    print("  W10 first results", file=sys.stderr, flush=True)
    return [*rows, *first_results(quick, PEERS)]
