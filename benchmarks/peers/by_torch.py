"""The workloads in PyTorch: functions of parameters, eager or through ``torch.compile``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import THREADS
from ..timing import Engine
from .contest import Batch, endless

__all__ = [
    "block_loss",
    "chain_loss",
    "image_loss",
    "perceptron_loss",
    "recurrent_loss",
    "torch_module",
    "torch_steps",
]


def torch_module() -> Any:
    """PyTorch with as many threads as the benchmark has."""
    import torch

    torch.set_num_threads(THREADS)
    return torch


def torch_steps(
    loss: Callable[..., Any],
    start: Sequence[np.ndarray],
    method: str,
    rate: float,
    batches: Sequence[Batch],
) -> dict[str, Callable[[], Engine]]:
    """The engines of PyTorch for ``loss(torch, parameters, **batch)``, by name."""

    def maker(is_compiled: bool) -> Callable[[], Engine]:
        def make() -> Engine:
            torch = torch_module()
            parameters = [torch.tensor(p, requires_grad=True) for p in start]
            options = {"fused": True} if method == "Adam" else {"foreach": True}
            optimizer = getattr(torch.optim, method)(parameters, lr=rate, **options)

            def run(x: Any, t: Any) -> Any:
                return loss(torch, parameters, x, t)

            forward = torch.compile(run) if is_compiled else run
            feeds = endless(batches)

            def engine() -> float:
                batch = next(feeds)
                optimizer.zero_grad(set_to_none=True)
                found = forward(torch.from_numpy(batch["x"]), torch.from_numpy(batch["t"]))
                found.backward()
                optimizer.step()
                return float(found.detach())

            return engine

        return make

    return {"torch": maker(False), "torch-compile": maker(True)}


def perceptron_loss(torch: Any, parameters: list[Any], x: Any, t: Any) -> Any:
    h = x
    for i in range(0, len(parameters), 2):
        h = torch.addmm(parameters[i + 1], h, parameters[i])
        h = torch.relu(h) if i + 2 < len(parameters) else h
    if parameters[-1].shape == (1,):
        return torch.relu(1 - t * h.reshape(-1)).mean()
    return torch.nn.functional.cross_entropy(h, t)


def chain_loss(torch: Any, a: Any, b: Any, c: Any) -> Any:
    return (torch.tanh(a * b + c) * torch.sigmoid(a - b) * torch.exp(-c * c)).sum()


def recurrent_loss(torch: Any, parameters: list[Any], x: Any, t: Any) -> Any:
    table, inputs, states, input_bias, state_bias, head, head_bias = parameters
    h = torch.nn.functional.embedding(x, table)
    first = torch.zeros((1, x.shape[0], 128))
    rows, _ = torch.gru(
        h, first, [inputs, states, input_bias, state_bias], True, 1, 0.0, True, False, True
    )
    scores = rows @ head + head_bias
    return torch.nn.functional.cross_entropy(scores.reshape(-1, 64), t.reshape(-1))


def image_loss(torch: Any, parameters: list[Any], x: Any, t: Any) -> Any:
    functional = torch.nn.functional
    first, first_bias, second, second_bias, head, head_bias = parameters
    h = functional.max_pool2d(torch.relu(functional.conv2d(x, first, first_bias)), 2)
    h = functional.max_pool2d(torch.relu(functional.conv2d(h, second, second_bias)), 2)
    return functional.cross_entropy(torch.addmm(head_bias, h.flatten(1), head), t)


def block_loss(paths: list[str]) -> Callable[..., Any]:
    """The loss of a transformer block whose parameters have these paths."""

    def loss(torch: Any, parameters: list[Any], x: Any, t: Any) -> Any:
        functional = torch.nn.functional
        p = dict(zip(paths, parameters, strict=True))

        def norm(h: Any, name: str) -> Any:
            scale, shift = p[f"block.{name}.scale"], p[f"block.{name}.shift"]
            return functional.layer_norm(h, (128,), scale, shift)

        rows, tokens, width = x.shape
        mixed = functional.linear(
            x, p["block.attention.input_weight"], p["block.attention.input_bias"]
        )
        q, k, v = (part.reshape(rows, tokens, 4, 32).transpose(1, 2) for part in mixed.chunk(3, -1))
        joined = functional.scaled_dot_product_attention(q, k, v)
        joined = joined.transpose(1, 2).reshape(rows, tokens, width)
        joined = functional.linear(
            joined, p["block.attention.output_weight"], p["block.attention.output_bias"]
        )
        h = norm(x + joined, "attention_norm")
        wide = torch.relu(functional.linear(h, p["block.inner_weight"], p["block.inner_bias"]))
        narrow = functional.linear(wide, p["block.outer_weight"], p["block.outer_bias"])
        h = norm(h + narrow, "feedforward_norm")
        scores = h @ p["head.weight"] + p["head.bias"]
        return functional.cross_entropy(scores.reshape(-1, 10), t.reshape(-1))

    return loss
