"""Two half moons, told apart by a network 2-16-16-1 with a maximum-margin loss.

Starts from the points and the weights of micrograd's notebook, and comes to its losses.
The decision boundary is drawn into a PNG.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

import lazygrad as lg
from lazygrad import nn, optim

from .common import parse, parser, pyplot

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Network", "boundary", "main", "points"]

_STEPS = 100


def points(
    rng: np.random.RandomState,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Draw 100 points of two half circles and their classes, -1 and 1, as scikit-learn does."""
    angles = np.linspace(0, np.pi, 50)
    upper = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    lower = np.stack([1 - np.cos(angles), 1 - np.sin(angles) - 0.5], axis=1)
    order = np.arange(100)
    rng.shuffle(order)
    noise = rng.normal(scale=0.1, size=(100, 2))
    classes = np.repeat([-1.0, 1.0], 50)
    return np.concatenate([upper, lower])[order] + noise, classes[order]


class Network(nn.Module):
    """Two hidden layers of 16 units, and a score without an activation."""

    def __init__(self, rng: np.random.RandomState) -> None:
        self.weights = [
            nn.parameter(rng.uniform(-1, 1, shape), dtype="float64")
            for shape in ((2, 16), (16, 16), (16,))
        ]
        self.biases = [nn.parameter(np.zeros(s), dtype="float64") for s in ((16,), (16,), ())]

    def forward(self, x: lg.Value) -> lg.Value:
        """Give the scores of points."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = lg.relu(x @ weight + bias)
        return x @ self.weights[-1] + self.biases[-1]


def main(arguments: Sequence[str] | None = None) -> list[float]:
    """Train, draw the boundary, and give the losses."""
    command_line = parser("moons", __doc__)
    command_line.add_argument(
        "--output", default="moons.png", metavar="PNG", help='of the boundary; "" for none'
    )
    options = parse(command_line, arguments)

    rng = np.random.RandomState(1337)
    data, classes = points(rng)
    model = Network(rng)

    x = lg.placeholder(("batch", 2), name="x")
    t = lg.placeholder(("batch",), name="t")
    score = model(x)
    penalty = sum(lg.sum(parameter**2) for parameter in model.parameters())
    loss = nn.hinge(score, t) + 1e-4 * penalty
    accuracy = lg.mean((score > 0) == (t > 0))

    rates = (1 - 0.9 * step / _STEPS for step in range(_STEPS))
    optimizer = optim.SGD(rates, parameters=model.parameters())
    train = lg.compile({"loss": loss, "accuracy": accuracy}, updates=optimizer.minimize(loss))

    losses = []
    with tqdm(range(_STEPS), unit="step", disable=options.quiet) as progress:
        for _ in progress:
            optimizer.advance()
            result = train(x=data, t=classes)
            losses.append(float(result["loss"]))
            progress.set_postfix(
                loss=f"{result['loss']:.6f}", accuracy=f"{result['accuracy']:.0%}", refresh=False
            )
    print(f"loss {losses[0]:.6f} at first, {losses[-1]:.6f} at last")
    print(f"accuracy {result['accuracy']:.0%} of {len(data)} points")
    if options.output:
        path = boundary(lg.compile(score), data, classes, Path(options.output))
        print(f"the boundary is drawn in {path}")
    return losses


def boundary(score: lg.Program, data: Any, classes: Any, path: Path) -> Path:
    """Draw where the score changes its sign, and the points, into a file."""
    plt = pyplot()
    low, high = data.min(axis=0) - 0.5, data.max(axis=0) + 0.5
    first, second = np.meshgrid(
        np.linspace(low[0], high[0], 300), np.linspace(low[1], high[1], 300)
    )
    height = score(x=np.stack([first.ravel(), second.ravel()], axis=1)).reshape(first.shape)
    figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
    # Blue and orange are told apart by colour-blind eyes too.
    axes.contourf(first, second, height, levels=[-np.inf, 0, np.inf], colors=["#cfe3f3", "#fbe0c4"])
    axes.contour(first, second, height, levels=[0], colors="#555555", linewidths=1.5)
    for value, colour, marker in ((-1, "#1f77b4", "o"), (1, "#d95f02", "^")):
        chosen = data[classes == value]
        axes.scatter(*chosen.T, c=colour, marker=marker, s=28, label=f"class {value}", lw=0)
    axes.set(xlabel="$x_1$", ylabel="$x_2$", title="Two half moons and the boundary between them")
    axes.legend(loc="upper right")
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


if __name__ == "__main__":
    main()
