"""A chain of elementwise operations on a vector of 1,000: build, differentiate, compile."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

import lazygrad as lg

from .results import Row, duration, measured
from .timing import TURN, no_collection

# The chain comes to rest at 0.3, where five steps have a slope of 0.993: no gradient underflows.
FACTOR = 0.85
OFFSET = float(np.arctanh(0.3) - FACTOR * np.exp(np.sin(0.3)))
START = np.linspace(0.1, 0.5, 1_000)

STEPS: list[Callable[[Any], Any]] = [
    np.sin,
    np.exp,
    lambda v: v * FACTOR,
    lambda v: v + OFFSET,
    np.tanh,
]
SLOPES: list[Callable[[Any, Any], Any]] = [
    lambda x, y: np.cos(x),
    lambda x, y: y,
    lambda x, y: FACTOR,
    lambda x, y: 1.0,
    lambda x, y: 1 - y * y,
]


def reference(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """The value and the gradient of its sum, by hand."""
    x, slope = START, np.ones_like(START)
    for i in range(nodes):
        y = STEPS[i % 5](x)
        slope = slope * SLOPES[i % 5](x, y)
        x = y
    return x, slope


def build(nodes: int) -> tuple[lg.Value, lg.Value]:
    """The start and the end of the chain."""
    x = y = lg.Value(START, name="x")
    for i in range(nodes):
        y = STEPS[i % 5](y)
    return x, y


def stages(nodes: int) -> tuple[dict[str, float], tuple[np.ndarray, np.ndarray]]:
    """Seconds of building, differentiating, compiling and calling a new chain, and its results.

    What the processor worked for all of it stands last.
    """
    idle = process_time()
    began = perf_counter()
    x, y = build(nodes)
    built = perf_counter()
    gradient = lg.grad(y, x)
    differentiated = perf_counter()
    program = lg.compile([y, gradient], backend="numpy")
    made = perf_counter()
    results = program()
    called = perf_counter()
    seconds = {
        "build": built - began,
        "gradient": differentiated - built,
        "compile": made - differentiated,
        "first call": called - made,
        "processor": process_time() - idle,
    }
    return seconds, results


def check(nodes: int) -> None:
    """Compare value and gradient with the reference."""
    for found, expected in zip(stages(nodes)[1], reference(nodes), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def run_chain(quick: bool) -> list[Row]:
    """Chains of 100 to 100,000 operations: build, gradient and compile."""
    rows = []
    share = 0.0
    for nodes in (100, 1_000, 10_000) if quick else (100, 1_000, 10_000, 100_000):
        check(nodes)
        found: list[dict[str, float]] = []
        rounds = 5 if nodes < 10_000 else 3
        while len(found) < rounds or sum(e["processor"] for e in found) < rounds * TURN:
            with no_collection():
                found.append(stages(nodes)[0])
        parts = {part: median(entry[part] for entry in found) for part in found[0]}
        totals = [entry["build"] + entry["gradient"] + entry["compile"] for entry in found]
        before, share = share, median(totals) / nodes
        note = ", ".join(f"{part} {duration(time)}" for part, time in parts.items())
        row = measured(
            f"chain of {nodes:,}",
            totals,
            most={10_000: 2.0, 100_000: 10 * before * 1.5 * 10_000}.get(nodes),
            note=f"{duration(share)} per operation; {note}",
        )
        rows.append(row)
    return rows
