"""Train a classifier of handwritten digits: declare it once, differentiate, compile, run by name.

``python -m lazygrad demo`` runs this file. It uses nothing but the library's public names.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from tqdm import tqdm

import lazygrad as lg
from lazygrad import Value

__all__ = ["cross_entropy", "main", "momentum", "perceptron"]


def perceptron(x: Value, sizes: Sequence[int], seed: int = 0) -> tuple[Value, list[Value]]:
    """Build layers of these sizes on *x*, with ReLU between them; give the result and weights."""
    rng = np.random.default_rng(seed)
    parameters: list[Value] = []
    for layer, (width, height) in enumerate(pairwise(sizes)):
        if parameters:
            x = lg.relu(x)
        scale = np.sqrt(2 / width)
        w = lg.variable(rng.normal(0, scale, (width, height)), dtype="float32", name=f"w{layer}")
        b = lg.variable(np.zeros(height), dtype="float32", name=f"b{layer}")
        parameters += [w, b]
        x = x @ w + b
    return x, parameters


def cross_entropy(logits: Value, labels: Value) -> Value:
    """Average the negative log-probability that each row of *logits* gives its label."""
    scores = lg.take_along_axis(lg.log_softmax(logits, axis=1), labels[:, None], axis=1)
    return -lg.mean(scores)


def momentum(
    loss: Value, parameters: Sequence[Value], rate: float = 0.05, decay: float = 0.9
) -> dict[Value, Value]:
    """Give gradient descent with momentum as the values that variables take on in a step."""
    updates = {}
    for parameter, gradient in zip(parameters, lg.grad(loss, parameters), strict=True):
        velocity = lg.variable(np.zeros_like(parameter.data))
        updates[velocity] = decay * velocity - rate * gradient
        updates[parameter] = parameter + updates[velocity]
    return updates


def main(output: Path = Path(), epochs: int = 30, quiet: bool = False) -> float:
    """Train, draw the graph into the folder *output*, and give the held-out accuracy."""
    images, labels = lg.data.digits()
    train_x, test_x, train_t, test_t = lg.data.train_test_split(images / 16, labels)

    # Declare. Nothing is computed yet; the batch may have any length.
    x = lg.placeholder(("batch", 64), dtype="float32", name="x")
    t = lg.placeholder(("batch",), dtype="int64", name="t")
    logits, parameters = perceptron(x, sizes=(64, 256, 10))
    loss = cross_entropy(logits, t)

    # Compile. Forward, backward and update are one program.
    step = lg.compile(loss, updates=momentum(loss, parameters))
    predict = lg.compile(logits.argmax(axis=1))

    # Run, with minibatches by name.
    rng = np.random.default_rng(0)
    with tqdm(range(epochs), unit="epoch", disable=quiet) as progress:
        for _ in progress:
            losses = [
                step(**batch)
                for batch in lg.data.minibatches(
                    x=train_x, t=train_t, batch_size=32, shuffle=True, seed=rng
                )
            ]
            progress.set_postfix(loss=f"{np.mean(losses):.4f}", refresh=False)

    accuracy = float(np.mean(predict(x=test_x) == test_t))
    print(f"held-out accuracy: {accuracy:.3f} of {len(test_t)} digits")
    picture = lg.draw(loss).save(output / "digits_graph.svg")
    print(f"the graph is drawn in {picture}")
    return accuracy
