"""The workloads in tinygrad: functions of tensors that ``TinyJit`` records, compiled by clang."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from .. import THREADS
from ..timing import Engine
from .contest import Batch, endless

__all__ = [
    "block_loss",
    "chain_loss",
    "fed",
    "image_loss",
    "perceptron_loss",
    "tinygrad_module",
    "tinygrad_steps",
]


def tinygrad_module() -> Any:
    """The names of tinygrad that are used here, with as many threads as the benchmark has."""
    os.environ["NUM_CPU_THREADS"] = str(THREADS)
    os.environ["DEV"] = "CPU"
    import tinygrad
    from tinygrad.helpers import Context
    from tinygrad.nn import optim

    return SimpleNamespace(
        Tensor=tinygrad.Tensor,
        TinyJit=tinygrad.TinyJit,
        dtypes=tinygrad.dtypes,
        training=Context(TRAINING=1),
        optim=optim,
    )


def fed(tiny: Any, array: np.ndarray) -> Any:
    """An array as a tensor, without a copy; whoever has the array keeps it."""
    dtype = getattr(tiny.dtypes, str(array.dtype))
    return tiny.Tensor.from_blob(array.ctypes.data, array.shape, dtype=dtype, device="CPU")


def tinygrad_steps(
    loss: Callable[..., Any],
    start: Sequence[np.ndarray],
    method: str,
    rate: float,
    batches: Sequence[Batch],
) -> dict[str, Callable[[], Engine]]:
    """The engine of tinygrad for ``loss(parameters, **batch)``, by name."""

    def make() -> Engine:
        tiny = tinygrad_module()
        parameters = [tiny.Tensor(p.copy()).realize() for p in start]
        adam = tiny.optim.Adam(parameters, lr=rate) if method == "Adam" else None

        @tiny.TinyJit
        @tiny.training
        def step(x: Any, t: Any) -> Any:
            found = loss(parameters, x, t)
            if adam is None:
                gradients = found.gradient(*parameters)
                pairs = zip(parameters, gradients, strict=True)
                return found.realize(*(p.assign(p - rate * g) for p, g in pairs))
            adam.zero_grad()
            found.backward()
            return found.realize(*adam.schedule_step())

        feeds = endless(batches)

        def engine() -> float:
            batch = next(feeds)
            return float(step(fed(tiny, batch["x"]), fed(tiny, batch["t"])).item())

        return engine

    return {"tinygrad": make}


def perceptron_loss(parameters: list[Any], x: Any, t: Any) -> Any:
    h = x
    for i in range(0, len(parameters), 2):
        h = h @ parameters[i] + parameters[i + 1]
        h = h.relu() if i + 2 < len(parameters) else h
    if parameters[-1].shape == (1,):
        return (1 - t * h.reshape(-1)).relu().mean()
    return h.sparse_categorical_crossentropy(t)


def chain_loss(a: Any, b: Any, c: Any) -> Any:
    return ((a * b + c).tanh() * (a - b).sigmoid() * (-c * c).exp()).sum()


def image_loss(parameters: list[Any], x: Any, t: Any) -> Any:
    first, first_bias, second, second_bias, head, head_bias = parameters
    h = x.conv2d(first, first_bias).relu().max_pool2d()
    h = h.conv2d(second, second_bias).relu().max_pool2d()
    return (h.flatten(1) @ head + head_bias).sparse_categorical_crossentropy(t)


def block_loss(paths: list[str]) -> Callable[..., Any]:
    """The loss of a transformer block whose parameters have these paths."""

    def loss(parameters: list[Any], x: Any, t: Any) -> Any:
        p = dict(zip(paths, parameters, strict=True))
        rows, tokens, width = x.shape

        def linear(h: Any, weight: str, bias: str) -> Any:
            return h.linear(p[weight].T, p[bias])

        def norm(h: Any, name: str) -> Any:
            return h.layernorm(eps=1e-5) * p[f"block.{name}.scale"] + p[f"block.{name}.shift"]

        mixed = linear(x, "block.attention.input_weight", "block.attention.input_bias")
        q, k, v = (
            part.reshape(rows, tokens, 4, 32).transpose(1, 2) for part in mixed.chunk(3, dim=-1)
        )
        joined = q.scaled_dot_product_attention(k, v).transpose(1, 2).reshape(rows, tokens, width)
        joined = linear(joined, "block.attention.output_weight", "block.attention.output_bias")
        h = norm(x + joined, "attention_norm")
        wide = linear(h, "block.inner_weight", "block.inner_bias").relu()
        h = norm(h + linear(wide, "block.outer_weight", "block.outer_bias"), "feedforward_norm")
        scores = h @ p["head.weight"] + p["head.bias"]
        return scores.reshape(-1, 10).sparse_categorical_crossentropy(t.reshape(-1))

    return loss
