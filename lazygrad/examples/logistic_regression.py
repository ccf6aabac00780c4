"""Logistic regression of handwritten digits by L-BFGS; SciPy gets value and gradient at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

import lazygrad as lg
from lazygrad import nn, optim

from .common import images, parse, parser

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> float:
    """Fit, and give the accuracy on images that were not fitted."""
    command_line = parser("logistic_regression", __doc__)
    command_line.add_argument("--data", type=Path, metavar="DIR", help="MNIST's files")
    command_line.add_argument("--decay", type=float, default=1e-3, help="default: %(default)s")
    options = parse(command_line, arguments)
    name, (train_x, train_t), (test_x, test_t) = images(options.data)
    print(f"{name}: {len(train_x)} images to fit, {len(test_x)} to test")

    features = int(np.prod(train_x.shape[1:]))
    x = lg.placeholder(("batch", features), name="x")
    t = lg.placeholder(("batch",), dtype="int64", name="t")
    model = nn.Linear(features, 10, dtype="float64")
    logits = model(x)
    loss = nn.cross_entropy(logits, t) + options.decay * lg.sum(model.weight**2)

    feeds = {"x": train_x.reshape(-1, features), "t": train_t}
    with tqdm(unit="iteration", disable=options.quiet) as progress:
        try:
            found = optim.minimize_scipy(
                loss,
                feeds=feeds,
                options={"maxiter": 200},
                callback=lambda vector: progress.update(),
            )
        except ImportError as error:
            raise SystemExit(str(error)) from None
    predict = lg.compile(lg.argmax(logits, axis=1))
    accuracy = float(np.mean(predict(x=test_x.reshape(-1, features)) == test_t))
    print(f"loss {found.fun:.6f} after {found.nit} iterations and {found.nfev} evaluations")
    print(f"accuracy on the test images: {accuracy:.4f}")
    return accuracy


if __name__ == "__main__":
    main()
