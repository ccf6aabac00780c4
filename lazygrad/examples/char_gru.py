"""A character model with a GRU: learns from a text, then writes one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad import nn, optim

from .characters import corpus, draw, options, train, windows

__all__ = ["Model", "main"]

_WIDTH, _LENGTH, _BATCH = 192, 64, 32


class Model(nn.Module):
    """Characters to vectors, a recurrent layer, and scores of the next character."""

    def __init__(self, characters: int, rng: np.random.Generator) -> None:
        self.embedding = nn.Embedding(characters, 64, seed=rng)
        self.recurrent = nn.GRU(64, _WIDTH, seed=rng)
        self.scores = nn.Linear(_WIDTH, characters, seed=rng)

    def forward(self, x: lg.Value, state: lg.Value | None = None) -> tuple[lg.Value, lg.Value]:
        """Give scores after each character of (batch, time), and the state at the end."""
        outputs, last = self.recurrent(self.embedding(x), state)
        return self.scores(outputs), last


def main(arguments: Sequence[str] | None = None) -> str:
    """Train, and give a text that the model wrote."""
    chosen = options("char_gru", __doc__, arguments, steps=1500)
    rng = np.random.default_rng(chosen.seed)
    alphabet, codes = corpus(chosen.data)

    x = lg.placeholder(("batch", "time"), dtype="int64", name="x")
    t = lg.placeholder(("batch", "time"), dtype="int64", name="t")
    state = lg.placeholder((1, "batch", _WIDTH), dtype="float32", name="state")
    model = Model(len(alphabet), rng)
    logits, _ = model(x)
    loss = nn.cross_entropy(logits, t)
    optimizer = optim.Adam(optim.schedules.Cosine(4e-3, steps=chosen.steps), clip_norm=1.0)
    step = lg.compile(loss, updates=optimizer.minimize(loss))
    train(step, windows(codes, _LENGTH, _BATCH, rng), chosen.steps, chosen.quiet)

    logits, last = model(x, state)
    following = lg.compile({"logits": logits[0, -1], "state": last})
    memory = np.zeros((1, 1, _WIDTH), np.float32)

    def logits_after(given: Any) -> Any:
        nonlocal memory
        result = following(x=given[None], state=memory)
        memory = result["state"]
        return result["logits"]

    written = alphabet.decode(draw(logits_after, alphabet.encode("\n"), chosen.characters, rng))
    print(written.strip())
    return written


if __name__ == "__main__":
    main()
