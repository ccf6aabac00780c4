"""Run the contests."""

from __future__ import annotations

import sys

from ..results import Row
from . import chains, derivatives, formulas, networks, perceptrons
from .contest import Contest, on_few_cores, run
from .first import first_results
from .memory import memory
from .peak import peak
from .sizes import sizes

__all__ = ["PEERS", "USUAL", "run_peers"]

USUAL = (
    "numpy",
    "jax",
    "torch",
    "tensorflow",
    "tensorflow-xla",
    "tinygrad",
    "pytensor",
    "casadi",
)
"""The peers of a run that names none; ``torch.compile`` takes minutes to warm up."""

PEERS = (*USUAL, "torch-compile")


def run_peers(quick: bool, peers: tuple[str, ...] = USUAL) -> list[Row]:
    """Training steps and small programs against NumPy by hand and seven other engines."""
    on_few_cores()
    rows = peak()
    contests: list[Contest] = [
        *perceptrons.contests(),
        *networks.contests(),
        *formulas.contests(),
        *derivatives.contests(),
        *chains.contests(quick),
    ]
    for contest in contests:
        print(f"  {contest.name}", file=sys.stderr, flush=True)
        rows.append(run(contest, peers, rounds=5 if quick else 21))
    print("  W10, W11, W14 and W15 in new processes or caches", file=sys.stderr, flush=True)
    rows += first_results(quick, peers)
    rows += sizes(quick, peers)
    rows += chains.compile_times(quick)
    return [*rows, *memory(peers)]
