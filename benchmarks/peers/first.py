"""W10: from nothing to the first result, and to the compiled one, with nothing cached."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np

import lazygrad as lg
from lazygrad import nn, optim

from ..results import Row
from ..timing import spread
from .contest import Batch, Contest, jax_module, nothing_cached
from .networks import Block, Recurrent, contests as networks
from .perceptrons import contests as perceptrons

__all__ = ["first_results"]

MOST_SECONDS = 0.03


def _dense(rng: np.random.Generator) -> nn.Module:
    return nn.Sequential(nn.Linear(784, 128, seed=rng), nn.ReLU(), nn.Linear(128, 10, seed=rng))


def _ours(model: Callable[..., nn.Module], batch: Batch, classes: int, backend: str) -> float:
    """Seconds from the model to the first loss of a training step."""
    began = perf_counter()
    made = model(np.random.default_rng(0))
    x = lg.placeholder(batch["x"].shape, dtype=str(batch["x"].dtype), name="x")
    t = lg.placeholder(batch["t"].shape, dtype="int64", name="t")
    loss = nn.cross_entropy(made(x).reshape(-1, classes), t.reshape(-1))
    step = lg.compile(loss, updates=optim.SGD(0.01).minimize(loss), backend=backend)
    step(**batch)
    return perf_counter() - began


def _compiled(model: Callable[..., nn.Module], batch: Batch, classes: int) -> float:
    with nothing_cached():
        return _ours(model, batch, classes, "c")


def _theirs(contest: Contest) -> float:
    jax_module().clear_caches()
    began = perf_counter()
    contest.engines["jax"]()()
    return perf_counter() - began


def first_results(quick: bool, peers: tuple[str, ...]) -> list[Row]:
    """Seconds to the first result on NumPy, and to the first compiled one against JAX's."""
    rng = np.random.default_rng(0)
    dense = {"x": rng.normal(size=(128, 784)).astype("f4"), "t": rng.integers(0, 10, 128)}
    text = {"x": rng.integers(0, 64, (16, 64)), "t": rng.integers(0, 64, (16, 64))}
    tokens = {"x": rng.normal(size=(8, 64, 128)).astype("f4"), "t": rng.integers(0, 10, (8, 64))}
    known = {contest.name[:2]: contest for contest in [*perceptrons()[2:3], *networks()]}
    rows = []
    for name, model, batch, classes in [
        ("W2", _dense, dense, 10),
        ("W5", Recurrent, text, 64),
        ("W9", Block, tokens, 10),
    ]:
        rounds = 3 if quick else 7
        first = [_ours(model, batch, classes, "auto") for _ in range(rounds)]
        low, high = spread(first)
        rows.append(
            Row(
                name=f"W10 {name}, first result",
                ours=median(first),
                low=low,
                high=high,
                goal=f"< {1e3 * MOST_SECONDS:g} ms",
                reached=median(first) < MOST_SECONDS,
            )
        )
        if "jax" not in peers or not known[name].is_there("jax"):
            continue
        ours = [_compiled(model, batch, classes) for _ in range(rounds)]
        theirs = [_theirs(known[name]) for _ in range(rounds)]
        ratio = median(theirs) / median(ours)
        low, high = spread([b / a for a, b in zip(ours, theirs, strict=True)])
        rows.append(
            Row(
                name=f"W10 {name}, first compiled",
                ours=median(ours),
                theirs=median(theirs),
                ratio=ratio,
                low=low,
                high=high,
                goal=">= 1 x",
                reached=ratio >= 1,
                note="jax",
            )
        )
    return rows
