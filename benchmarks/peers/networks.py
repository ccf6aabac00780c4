"""W5, W6 and W9: a GRU over text, a network of images, a transformer block; by gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad import nn, optim

from ..timing import Engine
from . import by_tensorflow, by_tinygrad, by_torch
from .contest import OURS, Batch, Contest, by_gradient_descent, endless, jax_module

__all__ = ["contests"]

RATE = 0.01


def our_step(
    model: Callable[[np.random.Generator], nn.Module], batches: list[Batch], classes: int
) -> tuple[Callable[[], Engine], dict[str, np.ndarray]]:
    """The engine, and the weights that it starts from, by path."""
    made = model(np.random.default_rng(0))
    start = {path: value.data.copy() for path, value in made.named_parameters()}

    def make() -> Engine:
        x, t = batches[0]["x"], batches[0]["t"]
        fed = lg.placeholder(x.shape, dtype=str(x.dtype), name="x")
        labels = lg.placeholder(t.shape, dtype="int64", name="t")
        loss = nn.cross_entropy(made(fed).reshape(-1, classes), labels.reshape(-1))
        step = lg.compile(loss, updates=optim.SGD(RATE).minimize(loss), backend="c")
        feeds = endless(batches)
        return lambda: step(**next(feeds))

    return make, start


def cross_entropy(jax: Any, scores: Any, t: Any) -> Any:
    rows = jax.nn.log_softmax(scores.reshape(t.size, -1))
    return -jax.numpy.mean(jax.numpy.take_along_axis(rows, t.reshape(-1, 1), axis=1))


class Recurrent(nn.Module):
    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        self.embedding = nn.Embedding(64, 128, seed=rng)
        self.gru = nn.GRU(128, 128, seed=rng)
        self.head = nn.Linear(128, 64, seed=rng)

    def forward(self, x: lg.Value) -> lg.Value:
        return self.head(self.gru(self.embedding(x))[0])


def recurrent_loss(parameters: list[Any], x: Any, t: Any) -> Any:
    jax = jax_module()
    table, inputs, states, input_bias, state_bias, head, head_bias = parameters
    projected = table[x] @ inputs.T + input_bias

    def cell(h: Any, row: Any) -> Any:
        own = h @ states.T + state_bias
        reset = jax.nn.sigmoid(row[:, :128] + own[:, :128])
        update = jax.nn.sigmoid(row[:, 128:256] + own[:, 128:256])
        new = jax.numpy.tanh(row[:, 256:] + reset * own[:, 256:])
        h = (1 - update) * new + update * h
        return h, h

    start = jax.numpy.zeros((x.shape[0], 128), "float32")
    _, rows = jax.lax.scan(cell, start, projected.swapaxes(0, 1))
    return cross_entropy(jax, rows.swapaxes(0, 1) @ head + head_bias, t)


def images(rng: np.random.Generator) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, seed=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, seed=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 10, seed=rng),
    )


def image_loss(parameters: list[Any], x: Any, t: Any) -> Any:
    jax = jax_module()
    first, first_bias, second, second_bias, head, head_bias = parameters

    def layer(h: Any, w: Any, b: Any) -> Any:
        h = jax.lax.conv_general_dilated(h, w, (1, 1), "VALID") + b[:, None, None]
        h = jax.nn.relu(h)
        window = (1, 1, 2, 2)
        return jax.lax.reduce_window(h, -np.inf, jax.lax.max, window, window, "VALID")

    h = layer(layer(x, first, first_bias), second, second_bias)
    return cross_entropy(jax, h.reshape(len(h), -1) @ head + head_bias, t)


class Block(nn.Module):
    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        self.block = nn.TransformerEncoderLayer(128, 4, feedforward=512, seed=rng)
        self.head = nn.Linear(128, 10, seed=rng)

    def forward(self, x: lg.Value) -> lg.Value:
        return self.head(self.block(x))


def block_loss(paths: list[str]) -> Callable[..., Any]:
    def loss(parameters: list[Any], x: Any, t: Any) -> Any:
        jax = jax_module()
        jnp = jax.numpy
        p = dict(zip(paths, parameters, strict=True))

        def norm(h: Any, name: str) -> Any:
            h = h - h.mean(-1, keepdims=True)
            h = h / jnp.sqrt((h * h).mean(-1, keepdims=True) + np.float32(1e-5))
            return h * p[f"block.{name}.scale"] + p[f"block.{name}.shift"]

        rows, tokens, width = x.shape
        mixed = x @ p["block.attention.input_weight"].T + p["block.attention.input_bias"]
        q, k, v = (
            part.reshape(rows, tokens, 4, 32).swapaxes(1, 2) for part in jnp.split(mixed, 3, -1)
        )
        scores = jax.nn.softmax(q * np.float32(32**-0.5) @ k.swapaxes(-1, -2), axis=-1)
        joined = (scores @ v).swapaxes(1, 2).reshape(rows, tokens, width)
        joined = joined @ p["block.attention.output_weight"].T + p["block.attention.output_bias"]
        h = norm(x + joined, "attention_norm")
        wide = jax.nn.relu(h @ p["block.inner_weight"].T + p["block.inner_bias"])
        narrow = wide @ p["block.outer_weight"].T + p["block.outer_bias"]
        h = norm(h + narrow, "feedforward_norm")
        return cross_entropy(jax, h @ p["head.weight"] + p["head.bias"], t)

    return loss


def contests() -> list[Contest]:
    rng = np.random.default_rng(1)

    def drawn(shape: tuple[int, ...], labels: tuple[int, ...], classes: int) -> list[Batch]:
        return [
            {
                "x": rng.normal(size=shape).astype("float32"),
                "t": rng.integers(0, classes, labels),
            }
            for _ in range(4)
        ]

    texts = [
        {"x": rng.integers(0, 64, (16, 64)), "t": rng.integers(0, 64, (16, 64))} for _ in range(4)
    ]
    found = []
    pictures, tokens = drawn((64, 1, 28, 28), (64,), 10), drawn((8, 64, 128), (8, 64), 10)
    for name, goal, model, losses, batches, classes in [
        ("W5 GRU 128, 64 steps, batch 16", 1.4, Recurrent, recurrent_losses, texts, 64),
        ("W6 CNN, batch 64", 1.4, images, image_losses, pictures, 10),
        ("W9 transformer block", 1.3, Block, block_losses, tokens, 10),
    ]:
        ours, start = our_step(model, batches, classes)
        loss, values = losses(list(start)), list(start.values())
        engines = {OURS: ours, "jax": by_gradient_descent(loss["jax"], values, RATE, batches)}
        rest = "SGD", RATE, batches
        engines |= by_torch.torch_steps(loss["torch"], values, *rest)
        turned = by_tensorflow.channels_last(values)
        engines |= by_tensorflow.tensorflow_steps(loss["tensorflow"], turned, *rest)
        if "tinygrad" in loss:
            engines |= by_tinygrad.tinygrad_steps(loss["tinygrad"], values, *rest)
        found.append(Contest(name, goal, engines, 1e-4))
    return found


def recurrent_losses(paths: list[str]) -> dict[str, Callable[..., Any]]:
    """The losses by package; tinygrad, which knows no loops, compiles this one for minutes."""
    return {
        "jax": recurrent_loss,
        "torch": by_torch.recurrent_loss,
        "tensorflow": by_tensorflow.recurrent_loss,
    }


def image_losses(paths: list[str]) -> dict[str, Callable[..., Any]]:
    return {
        "jax": image_loss,
        "torch": by_torch.image_loss,
        "tensorflow": by_tensorflow.image_loss,
        "tinygrad": by_tinygrad.image_loss,
    }


def block_losses(paths: list[str]) -> dict[str, Callable[..., Any]]:
    return {
        "jax": block_loss(paths),
        "torch": by_torch.block_loss(paths),
        "tensorflow": by_tensorflow.block_loss(paths),
        "tinygrad": by_tinygrad.block_loss(paths),
    }
