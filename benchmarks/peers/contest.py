"""A workload in several engines, which must agree with the first before any is timed."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np

from .. import THREADS
from ..results import Row
from ..timing import Engine, interleaved, spread

__all__ = [
    "BETAS",
    "EPSILON",
    "OURS",
    "Batch",
    "Contest",
    "by_gradient_descent",
    "endless",
    "jax_module",
    "nothing_cached",
    "on_few_cores",
    "package_of",
    "run",
]

OURS = "lazygrad"
BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Of Adam."""
CHECKED_STEPS = 3
Batch = dict[str, np.ndarray]


@dataclass
class Contest:
    """One workload.

    Attributes
    ----------
    engines
        By name what gives an engine: a function without arguments that does one step and gives a
        number or an array to compare. The first engine is the reference.
    goal
        How many times as fast as the best other one we want to be.
    tolerance
        Relative, of what engines give in their first steps.
    """

    name: str
    goal: float
    engines: Mapping[str, Callable[[], Engine]]
    tolerance: float = 1e-4

    def is_there(self, engine: str) -> bool:
        """Whether an engine's package is, and what that needs."""
        package = package_of(engine)
        if package == "tinygrad" and shutil.which("clang") is None:
            return False
        return package in (OURS, "numpy") or find_spec(package) is not None


def package_of(engine: str) -> str:
    """The package that an engine comes from, of which there may be several."""
    return engine.partition("-")[0]


def endless(batches: Sequence[Batch]) -> Iterator[Batch]:
    """The batches, again and again."""
    return itertools.cycle(batches)


def jax_module() -> Any:
    """JAX with both precisions."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def on_few_cores() -> None:
    """Keep the process on as many cores as there are threads: no option binds all engines."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])


@contextmanager
def nothing_cached() -> Iterator[None]:
    """Let machine code be compiled as in a new process of a new user."""
    from lazygrad.backends.c import cache

    loaded, before = cache._loaded, os.environ.get("LAZYGRAD_CACHE_DIR")
    with tempfile.TemporaryDirectory() as empty:
        os.environ["LAZYGRAD_CACHE_DIR"] = empty
        cache._loaded = {}
        try:
            yield
        finally:
            cache._loaded = loaded
            if before is None:
                del os.environ["LAZYGRAD_CACHE_DIR"]
            else:
                os.environ["LAZYGRAD_CACHE_DIR"] = before


def by_gradient_descent(
    loss: Callable[..., Any], parameters: list[np.ndarray], rate: float, batches: Sequence[Batch]
) -> Callable[[], Engine]:
    """The engine of JAX for ``loss(parameters, **batch)``: one jitted step on donated buffers."""

    def make() -> Engine:
        jax = jax_module()
        rates = [np.asarray(rate, p.dtype) for p in parameters]

        def step(values: list[Any], batch: Batch) -> Any:
            found, gradients = jax.value_and_grad(loss)(values, **batch)
            pairs = zip(values, rates, gradients, strict=True)
            return found, [value - rate * g for value, rate, g in pairs]

        compiled = jax.jit(step, donate_argnums=0)
        state = [jax.numpy.array(p) for p in parameters]
        feeds = endless(batches)

        def engine() -> float:
            nonlocal state
            found, state = compiled(state, next(feeds))
            return float(found)

        return engine

    return make


def run(contest: Contest, peers: Sequence[str], rounds: int) -> Row:
    """Check the engines against the first, time them in turns, and name the best of the others."""
    names = [n for n in contest.engines if n == OURS or (n in peers and contest.is_there(n))]
    engines = {name: contest.engines[name]() for name in names}
    expected = None
    for name, engine in engines.items():
        found = [np.array(engine(), copy=True) for _ in range(CHECKED_STEPS)]
        if expected is None:
            expected = found
            continue
        for step, (a, b) in enumerate(zip(found, expected, strict=True)):
            scale = np.abs(b).max() or 1.0
            if not (np.abs(a - b) <= contest.tolerance * scale).all():
                raise AssertionError(f"{contest.name}: {name} gives {a}, not {b}, in step {step}")
    seconds = interleaved(engines, rounds)
    medians = {name: median(times) for name, times in seconds.items()}
    others = {name: time for name, time in medians.items() if name != OURS}
    if not others:
        return Row(name=contest.name, ours=medians[OURS], note="no peer is installed")
    best = min(others, key=others.__getitem__)
    ratio = others[best] / medians[OURS]
    low, high = spread([b / a for a, b in zip(seconds[OURS], seconds[best], strict=True)])
    return Row(
        name=contest.name,
        ours=medians[OURS],
        theirs=others[best],
        ratio=ratio,
        low=low,
        high=high,
        goal=f">= {contest.goal:g} x",
        reached=ratio >= contest.goal,
        note=", ".join(
            f"{n} {1e6 * t:.4g} us" for n, t in sorted(others.items(), key=lambda p: p[1])
        ),
    )
