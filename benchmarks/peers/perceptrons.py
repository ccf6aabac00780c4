"""W1 to W3: perceptrons, by gradient descent or Adam, on a new batch in each step."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad import nn, optim

from ..timing import Engine
from . import by_tensorflow, by_tinygrad, by_torch
from .contest import (
    BETAS,
    EPSILON,
    OURS,
    Batch,
    Contest,
    by_gradient_descent,
    endless,
    jax_module,
)

__all__ = ["contests"]


def weights(widths: tuple[int, ...], dtype: str) -> list[np.ndarray]:
    """A matrix and a vector for each layer, the same for all engines."""
    rng = np.random.default_rng(0)
    found: list[np.ndarray] = []
    for width, height in pairwise(widths):
        found.append((rng.normal(size=(width, height)) / np.sqrt(width)).astype(dtype))
        found.append(np.zeros(height, dtype))
    return found


def batches(widths: tuple[int, ...], rows: int, dtype: str) -> list[Batch]:
    """Eight batches; targets are classes, or -1 and 1 where there is one output."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(8):
        x = rng.normal(size=(rows, widths[0])).astype(dtype)
        if widths[-1] == 1:
            t: np.ndarray = rng.choice([-1.0, 1.0], rows).astype(dtype)
        else:
            t = rng.integers(0, widths[-1], rows)
        found.append({"x": x, "t": t})
    return found


def our_step(
    widths: tuple[int, ...], rows: int, dtype: str, method: str, rate: float
) -> Callable[[], Engine]:
    def make() -> Engine:
        parameters = [lg.Value(p, name=f"p{i}") for i, p in enumerate(weights(widths, dtype))]
        given = batches(widths, rows, dtype)
        x = lg.placeholder((rows, widths[0]), dtype=dtype, name="x")
        t = lg.placeholder((rows,), dtype=str(given[0]["t"].dtype), name="t")
        h = x
        for i in range(0, len(parameters), 2):
            h = h @ parameters[i] + parameters[i + 1]
            h = lg.relu(h) if i + 2 < len(parameters) else h
        if widths[-1] == 1:
            loss = lg.mean(lg.relu(1 - t * h.reshape(-1)))
        else:
            loss = nn.cross_entropy(h, t)
        chosen = getattr(optim, method)(rate)
        step = lg.compile(loss, updates=chosen.minimize(loss, parameters), backend="c")
        feeds = endless(given)
        return lambda: step(**next(feeds))

    return make


def jax_loss(parameters: list[Any], x: Any, t: Any) -> Any:
    jax = jax_module()
    h = x
    for i in range(0, len(parameters), 2):
        h = h @ parameters[i] + parameters[i + 1]
        h = jax.nn.relu(h) if i + 2 < len(parameters) else h
    if parameters[-1].shape == (1,):
        return jax.numpy.mean(jax.nn.relu(1 - t * h.reshape(-1)))
    scores = jax.nn.log_softmax(h)
    return -jax.numpy.mean(jax.numpy.take_along_axis(scores, t[:, None], axis=1))


def jax_adam(widths: tuple[int, ...], rows: int, dtype: str, rate: float) -> Callable[[], Engine]:
    def make() -> Engine:
        jax = jax_module()
        jnp = jax.numpy

        def step(state: Any, batch: Batch) -> Any:
            values, firsts, seconds, count = state
            found, gradients = jax.value_and_grad(jax_loss)(values, **batch)
            count = count + 1
            size = (rate * jnp.sqrt(1 - BETAS[1] ** count) / (1 - BETAS[0] ** count)).astype(dtype)
            small = (EPSILON * jnp.sqrt(1 - BETAS[1] ** count)).astype(dtype)
            b1, b2 = (np.asarray(b, dtype) for b in BETAS)
            pairs = [*zip(values, firsts, seconds, gradients, strict=True)]
            firsts = [b1 * m + (1 - b1) * g for _, m, _, g in pairs]
            seconds = [b2 * v + (1 - b2) * g * g for _, _, v, g in pairs]
            moments = zip(values, firsts, seconds, strict=True)
            values = [p - size * m / (jnp.sqrt(v) + small) for p, m, v in moments]
            return found, (values, firsts, seconds, count)

        compiled = jax.jit(step, donate_argnums=0)
        start = weights(widths, dtype)
        state = (
            [jnp.array(p) for p in start],
            [jnp.zeros(p.shape, dtype) for p in start],
            [jnp.zeros(p.shape, dtype) for p in start],
            jnp.array(0.0),
        )
        feeds = endless(batches(widths, rows, dtype))

        def engine() -> float:
            nonlocal state
            found, state = compiled(state, next(feeds))
            return float(found)

        return engine

    return make


def numpy_step(widths: tuple[int, ...], rows: int, dtype: str, rate: float) -> Callable[[], Engine]:
    """Gradient descent by hand, with updates in place and results into buffers where it is easy."""

    def make() -> Engine:
        parameters = weights(widths, dtype)
        feeds = endless(batches(widths, rows, dtype))
        size = np.asarray(rate, dtype)

        def engine() -> float:
            batch = next(feeds)
            x, t = batch["x"], batch["t"]
            inputs = []
            h = x
            for i in range(0, len(parameters), 2):
                inputs.append(h)
                h = np.dot(h, parameters[i])
                h += parameters[i + 1]
                if i + 2 < len(parameters):
                    np.maximum(h, 0, out=h)
            if widths[-1] == 1:
                margin = np.maximum(1 - t * h[:, 0], 0)
                found = margin.mean()
                g = ((margin > 0) * -t / np.asarray(rows, dtype))[:, None]
            else:
                h -= h.max(axis=1, keepdims=True)
                picked = h[np.arange(rows), t]
                np.exp(h, out=h)
                total = h.sum(axis=1, keepdims=True)
                found = (np.log(total[:, 0]) - picked).mean()
                h /= total
                h[np.arange(rows), t] -= 1
                h /= np.asarray(rows, dtype)
                g = h
            for i in reversed(range(0, len(parameters), 2)):
                to_weight, to_bias = np.dot(inputs[i // 2].T, g), g.sum(axis=0)
                if i:
                    g = np.dot(g, parameters[i].T)
                    g *= inputs[i // 2] > 0
                to_weight *= size
                to_bias *= size
                parameters[i] -= to_weight
                parameters[i + 1] -= to_bias
            return float(found)

        return engine

    return make


def pytensor_step(
    widths: tuple[int, ...], rows: int, dtype: str, rate: float
) -> Callable[[], Engine]:
    """Gradient descent by PyTensor with Numba; shared variables are updated in place."""

    def make() -> Engine:
        import pytensor
        import pytensor.tensor as pt

        parameters = [pytensor.shared(p) for p in weights(widths, dtype)]
        given = batches(widths, rows, dtype)
        x = pt.matrix("x", dtype=dtype)
        t = pt.vector("t", dtype=str(given[0]["t"].dtype))
        h: Any = x
        for i in range(0, len(parameters), 2):
            h = h @ parameters[i] + parameters[i + 1]
            h = pt.maximum(h, np.asarray(0, dtype)) if i + 2 < len(parameters) else h
        if widths[-1] == 1:
            one = np.asarray(1, dtype)
            loss = pt.maximum(one - t * h.reshape((-1,)), np.asarray(0, dtype)).mean()
        else:
            loss = -pt.special.log_softmax(h, axis=1)[pt.arange(rows), t].mean()
        pairs = zip(parameters, pytensor.grad(loss, parameters), strict=True)
        size = np.asarray(rate, dtype)
        updates = [(p, (p - size * g).astype(dtype)) for p, g in pairs]
        step = pytensor.function([x, t], loss, updates=updates, mode="NUMBA", trust_input=True)
        feeds = endless(given)

        def engine() -> float:
            batch = next(feeds)
            return float(step(batch["x"], batch["t"]))

        return engine

    return make


def contests() -> list[Contest]:
    found = []
    for widths, rows, dtype, method, rate, goal, name in [
        ((2, 16, 16, 1), 100, "float64", "SGD", 0.05, 2.5, "W1 moons, float64"),
        ((2, 16, 16, 1), 100, "float32", "SGD", 0.05, 2.5, "W1 moons, float32"),
        ((784, 128, 10), 128, "float32", "SGD", 0.01, 1.2, "W2 MLP 784-128-10, batch 128"),
        ((784, 128, 10), 32, "float32", "SGD", 0.01, 1.2, "W2 batch 32"),
        ((784, 128, 10), 128, "float32", "Adam", 1e-4, 1.2, "W2 batch 128, Adam"),
        ((1024, 1024, 1024, 10), 256, "float32", "Adam", 1e-5, 1.0, "W3 MLP 1024, batch 256, Adam"),
    ]:
        facts = (widths, rows, dtype)
        start, given = weights(widths, dtype), batches(*facts)
        engines = {OURS: our_step(*facts, method, rate)}
        if method == "SGD":
            engines["numpy"] = numpy_step(*facts, rate)
            engines["jax"] = by_gradient_descent(jax_loss, start, rate, given)
            engines["pytensor"] = pytensor_step(*facts, rate)
        else:
            engines["jax"] = jax_adam(*facts, rate)
        rest = start, method, rate, given
        engines |= by_torch.torch_steps(by_torch.perceptron_loss, *rest)
        engines |= by_tensorflow.tensorflow_steps(by_tensorflow.perceptron_loss, *rest)
        engines |= by_tinygrad.tinygrad_steps(by_tinygrad.perceptron_loss, *rest)
        found.append(Contest(name, goal, engines, 1e-9 if dtype == "float64" else 1e-4))
    return found
