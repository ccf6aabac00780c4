"""The moons MLP 2-16-16-1, batch 100: forward, backward and a step of gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

import lazygrad as lg

from .moons_numpy import MoonsNumpy, batch
from .results import Row, compared, duration, measured
from .timing import calls_for_a_turn, interleaved, no_collection

RATE = 0.1
NAMES = ("w1", "b1", "w2", "b2", "w3", "b3")
CHECKED_STEPS = 5
TOLERANCE = {"float64": 1e-7, "float32": 1e-4}


@dataclass(frozen=True)
class Trainer:
    """A training step, and the parameters as they are now."""

    step: Callable[[], Any]
    parameters: Callable[[], list[np.ndarray]]


def declared(dtype: str) -> tuple[lg.Value, list[lg.Value]]:
    """The loss as a graph, and its parameters."""
    start = MoonsNumpy(dtype=dtype)
    parameters = [lg.Value(getattr(start, name), name=name) for name in NAMES]
    w1, b1, w2, b2, w3, b3 = parameters
    x = lg.placeholder(("batch", 2), dtype=dtype, name="x")
    y = lg.placeholder(("batch", 1), dtype=dtype, name="y")
    h1 = lg.relu(x @ w1 + b1)
    h2 = lg.relu(h1 @ w2 + b2)
    return lg.relu(1 - y * (h2 @ w3 + b3)).mean(), parameters


def updates_of(loss: lg.Value, parameters: list[lg.Value]) -> dict[lg.Value, lg.Value]:
    gradients = lg.grad(loss, parameters)
    return {p: p - RATE * g for p, g in zip(parameters, gradients, strict=True)}


def compiled(dtype: str) -> Trainer:
    """One program for the whole step."""
    loss, parameters = declared(dtype)
    train = lg.compile(loss, updates=updates_of(loss, parameters), backend="numpy")
    x, y = batch(dtype=dtype)
    return Trainer(lambda: train(x=x, y=y), lambda: [p.data for p in parameters])


def forward_backward(dtype: str) -> Trainer:
    """Forward, backward, and the update by the user's own loop."""
    loss, parameters = declared(dtype)
    x, y = batch(dtype=dtype)

    def step() -> Any:
        value = loss.forward(x=x, y=y)
        loss.backward()
        for p in parameters:
            p.data -= RATE * p.grad
        return value

    return Trainer(step, lambda: [p.data for p in parameters])


def by_hand(dtype: str) -> Trainer:
    """Plain NumPy expressions."""
    model = MoonsNumpy(dtype=dtype, rate=RATE)
    x, y = batch(dtype=dtype)
    return Trainer(lambda: model.step(x, y), lambda: [getattr(model, name) for name in NAMES])


TRAINERS = {"compiled": compiled, "forward-backward": forward_backward, "numpy": by_hand}


def reference() -> tuple[list[float], list[np.ndarray]]:
    """Losses and parameters of the first steps, with gradients by central differences."""
    start = MoonsNumpy()
    parameters = [getattr(start, name).copy() for name in NAMES]
    x, y = batch()

    def loss() -> float:
        w1, b1, w2, b2, w3, b3 = parameters
        h1 = np.maximum(x @ w1 + b1, 0)
        h2 = np.maximum(h1 @ w2 + b2, 0)
        return float(np.mean(np.maximum(1 - y * (h2 @ w3 + b3), 0)))

    losses = []
    for _ in range(CHECKED_STEPS):
        losses.append(loss())
        gradients = [_central_differences(loss, p) for p in parameters]
        for p, gradient in zip(parameters, gradients, strict=True):
            p -= RATE * gradient
    return losses, parameters


def _central_differences(loss: Callable[[], float], parameter: np.ndarray) -> np.ndarray:
    gradient = np.empty_like(parameter)
    width = 1e-6
    for index in np.ndindex(parameter.shape):
        kept = parameter[index]
        parameter[index] = kept + width
        above = loss()
        parameter[index] = kept - width
        gradient[index] = (above - loss()) / (2 * width)
        parameter[index] = kept
    return gradient


def checked(name: str, dtype: str) -> Trainer:
    """An engine whose first steps agree with the reference."""
    losses, parameters = reference()
    trainer = TRAINERS[name](dtype)
    found = [trainer.step() for _ in range(CHECKED_STEPS)]
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(found, losses, rtol=tolerance, err_msg=name)
    for p, expected in zip(trainer.parameters(), parameters, strict=True):
        assert p.dtype == dtype
        np.testing.assert_allclose(p, expected, rtol=tolerance, atol=tolerance, err_msg=name)
    return trainer


def _against_numpy(name: str, least: float, quick: bool) -> list[Row]:
    rows = []
    for dtype in ("float64", "float32"):
        engines = {engine: checked(engine, dtype).step for engine in (name, "numpy")}
        seconds = interleaved(engines, rounds=11 if quick else 41)
        label = f"moons step, {name}, {dtype}"
        rows.append(compared(label, seconds[name], seconds["numpy"], least=least))
    return rows


def run_compiled(quick: bool) -> list[Row]:
    """One compiled program for the whole step, against hand-written NumPy."""
    return _against_numpy("compiled", 1.4, quick)


def run_forward_backward(quick: bool) -> list[Row]:
    """The same through forward and backward, against hand-written NumPy."""
    return _against_numpy("forward-backward", 1.0, quick)


def first_result() -> dict[str, float]:
    """Build the graph anew, compile it and call it once: the seconds of each part."""
    x, y = batch()
    began = perf_counter()
    loss, parameters = declared("float64")
    updates = updates_of(loss, parameters)
    built = perf_counter()
    train = lg.compile(loss, updates=updates, backend="numpy")
    made = perf_counter()
    train(x=x, y=y)
    called = perf_counter()
    return {"build": built - began, "compile": made - built, "first call": called - made}


def run_first_result(quick: bool) -> list[Row]:
    """Building the graph, compiling it and the first result."""
    checked("compiled", "float64")
    calls = calls_for_a_turn(first_result)
    found: list[dict[str, float]] = []
    worked = []
    for _ in range(7 if quick else 25):
        with no_collection():
            began = process_time()
            turn = [first_result() for _ in range(calls)]
            worked.append((process_time() - began) / calls)
        found.append({part: sum(t[part] for t in turn) / calls for part in turn[0]})
    parts = {part: [entry[part] for entry in found] for part in found[0]}
    listed = ", ".join(f"{part} {duration(median(times))}" for part, times in parts.items())
    note = f"processor {duration(median(worked))}; {listed}"
    totals = [sum(entry.values()) for entry in found]
    return [measured("moons step, build to first result", totals, most=0.010, note=note)]
