"""What the classifiers of digits share: their command line and their training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import lazygrad as lg
from lazygrad import nn, optim, train

from .common import images, parse, parser

__all__ = ["classify"]

_BATCH = 64


def classify(
    name: str,
    description: str | None,
    arguments: Sequence[str] | None,
    *,
    model_of: Callable[[tuple[int, int], np.random.Generator], nn.Module],
    epochs: int,
) -> float:
    """Train what *model_of* makes for images of a height and width; give the test accuracy."""
    command_line = parser(name, description, epochs=epochs)
    command_line.add_argument("--data", type=Path, metavar="DIR", help="MNIST's files")
    command_line.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    options = parse(command_line, arguments)
    data_name, (train_x, train_t), (test_x, test_t) = images(options.data)
    print(f"{data_name}: {len(train_x)} images to train, {len(test_x)} to test")

    rng = np.random.default_rng(options.seed)
    size = train_x.shape[2:]
    x = lg.placeholder(("batch", 1, *size), dtype="float32", name="x")
    t = lg.placeholder(("batch",), dtype="int64", name="t")
    model = model_of(size, rng)
    logits = model(x)
    loss = nn.cross_entropy(logits, t)
    steps = options.epochs * -(-len(train_x) // _BATCH)
    history = train.fit(
        model,
        loss,
        {"x": train_x, "t": train_t},
        optimizer=optim.Adam(optim.schedules.OneCycle(4e-3, steps=steps)),
        epochs=options.epochs,
        batch_size=_BATCH,
        metrics={"accuracy": train.accuracy(logits, t)},
        validation={"x": test_x, "t": test_t},
        seed=options.seed,
        quiet=options.quiet,
    )
    accuracy = history["validation_accuracy"][-1]
    print(f"accuracy on the test images: {accuracy:.4f}")
    return accuracy
