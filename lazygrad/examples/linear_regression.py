"""A line through points with outliers, by gradient descent on three losses: rmse, mae and huber.

The squared error is pulled away by the outliers; the other two are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

import lazygrad as lg
from lazygrad import nn, optim

from .common import parse, parser, pyplot

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["LOSSES", "draw", "main", "points"]

LOSSES = {"rmse": nn.rmse, "mae": nn.mae, "huber": nn.huber}
_SLOPE, _INTERCEPT = 2.0, -1.0
_STEPS = 400


def points(seed: int = 0) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Draw 100 points around a line; every tenth lies far above it."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, size=100)
    t = _SLOPE * x + _INTERCEPT + rng.normal(scale=0.3, size=100)
    t[::10] += 12
    return x, t


def main(arguments: Sequence[str] | None = None) -> dict[str, tuple[float, float]]:
    """Fit a line by each loss, draw the paths of the losses, and give slopes and intercepts."""
    command_line = parser("linear_regression", __doc__)
    command_line.add_argument(
        "--output", default="linear_regression.png", metavar="PNG", help='of the paths; "" for none'
    )
    options = parse(command_line, arguments)
    data, targets = points()

    x = lg.placeholder(("batch",), name="x")
    t = lg.placeholder(("batch",), name="t")
    lines, paths = {}, {}
    for name, loss_of in LOSSES.items():
        slope, intercept = lg.variable(0.0, name="slope"), lg.variable(0.0, name="intercept")
        loss = loss_of(slope * x + intercept, t)
        optimizer = optim.Adam(optim.schedules.Cosine(0.1, steps=_STEPS))
        train = lg.compile(loss, updates=optimizer.minimize(loss))
        steps = tqdm(range(_STEPS), desc=f"{name:5}", unit="step", disable=options.quiet)
        paths[name] = [float(train(x=data, t=targets)) for _ in steps]
        lines[name] = (float(slope.data), float(intercept.data))

    print(f"the true line: {_SLOPE:.3f} x {_INTERCEPT:+.3f}")
    for name, (slope_found, intercept_found) in lines.items():
        print(f"by {name + ':':6} {slope_found:8.3f} x {intercept_found:+.3f}")
    if options.output:
        print(f"the paths are drawn in {draw(paths, lines, Path(options.output))}")
    return lines


def draw(paths: dict[str, list[float]], lines: dict[str, tuple[float, float]], path: Path) -> Path:
    """Draw the losses step by step, and the points with the lines, into a file."""
    plt = pyplot()
    x, t = points()
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    right.scatter(x, t, c="#999999", s=14, lw=0, label="points")
    styles = zip(paths, ("#d95f02", "#1f77b4", "#333333"), ("-", "--", ":"), strict=True)
    for name, colour, style in styles:
        left.plot(paths[name], style, color=colour, label=name)
        slope, intercept = lines[name]
        ends = np.array([-3.0, 3.0])
        right.plot(ends, slope * ends + intercept, style, color=colour, label=name)
    left.set(xlabel="step", ylabel="loss", title="The loss on its path")
    right.set(xlabel="$x$", ylabel="$t$", title="The lines")
    left.legend()
    right.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


if __name__ == "__main__":
    main()
