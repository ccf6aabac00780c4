"""A character model with a small transformer: learns from a text, then writes one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad import nn, optim

from .characters import corpus, draw, options, train, windows

__all__ = ["Model", "main"]

_WIDTH, _HEADS, _LAYERS, _LENGTH, _BATCH = 128, 4, 2, 64, 16


class Model(nn.Module):
    """Characters and places to vectors, transformer layers, and scores of the next character."""

    def __init__(self, characters: int, rng: np.random.Generator) -> None:
        self.embedding = nn.Embedding(characters, _WIDTH, seed=rng)
        self.places = nn.parameter(rng.normal(scale=0.02, size=(_LENGTH, _WIDTH)))
        self.layers = [
            nn.TransformerEncoderLayer(
                _WIDTH,
                _HEADS,
                feedforward=4 * _WIDTH,
                activation="gelu_tanh",
                norm_first=True,
                seed=rng,
            )
            for _ in range(_LAYERS)
        ]
        self.norm = nn.LayerNorm(_WIDTH)
        self.scores = nn.Linear(_WIDTH, characters, seed=rng)

    def forward(self, x: lg.Value) -> lg.Value:
        """Give scores after each character of (batch, time)."""
        hidden = self.embedding(x) + self.places[: x.shape[1]]
        for layer in self.layers:
            hidden = layer(hidden, causal=True)
        scores: lg.Value = self.scores(self.norm(hidden))
        return scores


def main(arguments: Sequence[str] | None = None) -> str:
    """Train, and give a text that the model wrote."""
    chosen = options("char_transformer", __doc__, arguments, steps=3000)
    rng = np.random.default_rng(chosen.seed)
    alphabet, codes = corpus(chosen.data)

    x = lg.placeholder(("batch", "time"), dtype="int64", name="x")
    t = lg.placeholder(("batch", "time"), dtype="int64", name="t")
    model = Model(len(alphabet), rng)
    logits = model(x)
    loss = nn.cross_entropy(logits, t)
    rate = optim.schedules.WarmUp(optim.schedules.Cosine(3e-3, steps=chosen.steps), steps=100)
    optimizer = optim.AdamW(rate, clip_norm=1.0)
    step = lg.compile(loss, updates=optimizer.minimize(loss))
    train(step, windows(codes, _LENGTH, _BATCH, rng), chosen.steps, chosen.quiet)

    following = lg.compile(logits[0, -1])
    context = np.empty(0, np.int64)

    def logits_after(given: Any) -> Any:
        nonlocal context
        context = np.concatenate([context, given])[-_LENGTH:]
        return following(x=context[None])

    written = alphabet.decode(draw(logits_after, alphabet.encode("\n"), chosen.characters, rng))
    print(written.strip())
    return written


if __name__ == "__main__":
    main()
