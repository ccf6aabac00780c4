"""W14: chains of operations on a vector of 1,000, and the gradients: build, compile, step."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

import lazygrad as lg

from ..chain import FACTOR, OFFSET, START
from ..results import Row, measured
from ..timing import Engine
from .by_tensorflow import tensorflow_function, tensorflow_module
from .by_torch import torch_module
from .contest import OURS, Contest, jax_module, nothing_cached

__all__ = ["compile_times", "contests"]

LENGTHS = (100, 1_000, 10_000)
# JAX takes minutes to compile more than these, and PyTensor as many.
MOST_FOR_COMPILERS = 1_000


def constants(count: int, differ: bool) -> np.ndarray:
    """The number of each operation that has one; all the same, or no two."""
    rng = np.random.default_rng(4)
    spread = 1e-3 * rng.uniform(-1, 1, count) if differ else np.zeros(count)
    kinds = np.arange(count) % 5
    return np.where(kinds == 2, FACTOR, OFFSET) + spread


def chain(x: Any, module: Any, count: int, differ: bool) -> Any:
    """Sine, exponential, product, sum and hyperbolic tangent in turns."""
    y = x
    for i, number in enumerate(constants(count, differ).tolist()):
        kind = i % 5
        if kind == 2:
            y = y * number
        elif kind == 3:
            y = y + number
        else:
            y = (module.sin, module.exp, None, None, module.tanh)[kind](y)
    return y


def our_program(count: int, differ: bool) -> lg.Program:
    x = lg.placeholder(START.shape, name="x", requires_grad=True)
    return lg.compile(lg.grad(chain(x, lg, count, differ).sum(), x), backend="c")


def contest(count: int, differ: bool) -> Contest:
    def ours() -> Engine:
        program = our_program(count, differ)
        return lambda: program(x=START)

    def by_hand() -> Engine:
        numbers = constants(count, differ).tolist()

        def engine() -> np.ndarray:
            results = [START]
            for i, number in enumerate(numbers):
                kind, y = i % 5, results[-1]
                if kind == 2:
                    y = y * number
                elif kind == 3:
                    y = y + number
                else:
                    y = (np.sin, np.exp, None, None, np.tanh)[kind](y)  # type: ignore[misc]
                results.append(y)
            g = np.ones_like(START)
            for i in reversed(range(count)):
                kind = i % 5
                if kind == 0:
                    g = g * np.cos(results[i])
                elif kind == 1:
                    g = g * results[i + 1]
                elif kind == 2:
                    g = g * numbers[i]
                elif kind == 4:
                    g = g * (1 - results[i + 1] * results[i + 1])
            return g

        return engine

    def jax() -> Engine:
        module = jax_module()

        def total(x: Any) -> Any:
            return chain(x, module.numpy, count, differ).sum()

        compiled = module.jit(module.grad(total))
        return lambda: np.asarray(compiled(START))

    def torch() -> Engine:
        module = torch_module()
        x = module.tensor(START, requires_grad=True)

        def engine() -> np.ndarray:
            (found,) = module.autograd.grad(chain(x, module, count, differ).sum(), x)
            return np.asarray(found)

        return engine

    def tensorflow(is_compiled: bool) -> Engine:
        tf = tensorflow_module()

        def gradient(x: Any) -> Any:
            return tf.gradients(tf.reduce_sum(chain(x, tf, count, differ)), x)[0]

        run = tensorflow_function(tf, gradient, is_compiled, START)
        return lambda: run(tf.constant(START)).numpy()

    engines: dict[str, Callable[[], Engine]] = {OURS: ours, "numpy": by_hand, "torch": torch}
    engines["tensorflow"] = lambda: tensorflow(False)
    if count <= MOST_FOR_COMPILERS:
        engines["jax"] = jax
        engines["tensorflow-xla"] = lambda: tensorflow(True)
    kind = "all differ" if differ else "a pattern repeats"
    return Contest(f"W14 {count:,} operations, {kind}", 2.0, engines, 1e-6)


def contests(quick: bool) -> list[Contest]:
    """Steps of chains whose pattern repeats; and, unless it is to be quick, of long ones."""
    lengths = LENGTHS[:2] if quick else LENGTHS
    return [contest(count, differ=False) for count in lengths]


def compile_times(quick: bool) -> list[Row]:
    """Seconds from nothing to the first result on C, with an empty cache."""
    rows = []
    for differ, kind in ((False, "a pattern repeats"), (True, "all differ")):
        for count in LENGTHS[:2] if quick else LENGTHS:
            with nothing_cached():
                began = perf_counter()
                our_program(count, differ)(x=START)
                took = perf_counter() - began
            most = (10.0 if differ else 2.0) if count == LENGTHS[-1] else None
            rows.append(measured(f"W14 {count:,} compiled, {kind}", [took], most=most))
    return rows
