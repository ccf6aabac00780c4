"""Time engines in turns, so that what else the machine does falls on all of them alike.

Each round gives every engine one turn, and a turn is as many calls as last long enough for the
clock. What is compared is the medians over rounds; the spread is that of the ratios within rounds.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import quantiles
from time import perf_counter, sleep

from . import THREADS

Engine = Callable[[], object]

TURN = 0.025
"""The least seconds of a turn."""

# OpenBLAS's threads spin for some 30 ms after the last call, on the cores of whoever comes next.
REST = 0.1 if THREADS > 1 else 0.0


@contextmanager
def no_collection() -> Iterator[None]:
    """Collect garbage now, and then not until the end."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def timed(engine: Engine, calls: int = 1) -> float:
    """The seconds that so many calls take, each call's share."""
    turns = range(calls)
    began = perf_counter()
    for _ in turns:
        engine()
    return (perf_counter() - began) / calls


def calls_for_a_turn(engine: Engine) -> int:
    """How many calls last at least a turn. Warms the engine up."""
    calls = 1
    with no_collection():
        while True:
            share = timed(engine, calls)
            if share * calls >= TURN:
                return calls
            calls = max(2 * calls, int(1.1 * TURN / share))


def interleaved(engines: Mapping[str, Engine], rounds: int) -> dict[str, list[float]]:
    """The seconds of one call in every round, by engine."""
    calls = {name: calls_for_a_turn(engine) for name, engine in engines.items()}
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(rounds):
        for name, engine in engines.items():
            with no_collection():
                sleep(REST)
                seconds[name].append(timed(engine, calls[name]))
    return seconds


def spread(values: list[float]) -> tuple[float, float]:
    """The quartiles, between which half of the values lie."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high
