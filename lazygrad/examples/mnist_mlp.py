"""Handwritten digits told apart by a network with one hidden layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lazygrad import nn

from .classify import classify

__all__ = ["main", "perceptron"]


def perceptron(size: tuple[int, int], rng: np.random.Generator) -> nn.Module:
    """Make a network of 512 hidden units, with dropout."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(size[0] * size[1], 512, seed=rng),
        nn.ReLU(),
        nn.Dropout(0.4, seed=rng),
        nn.Linear(512, 10, seed=rng),
    )


def main(arguments: Sequence[str] | None = None) -> float:
    """Train, and give the accuracy on the test images."""
    return classify("mnist_mlp", __doc__, arguments, model_of=perceptron, epochs=20)


if __name__ == "__main__":
    main()
