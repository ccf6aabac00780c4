"""Handwritten digits told apart by a network with two convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lazygrad import nn

from .classify import classify

__all__ = ["convolutional", "main"]


def convolutional(size: tuple[int, int], rng: np.random.Generator) -> nn.Module:
    """Make a network of 16 and 32 channels, each followed by a pool of 2 by 2."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding="same", seed=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding="same", seed=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3, seed=rng),
        nn.Linear(32 * (size[0] // 4) * (size[1] // 4), 10, seed=rng),
    )


def main(arguments: Sequence[str] | None = None) -> float:
    """Train, and give the accuracy on the test images."""
    return classify("mnist_cnn", __doc__, arguments, model_of=convolutional, epochs=8)


if __name__ == "__main__":
    main()
