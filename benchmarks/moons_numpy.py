"""One training step of the moons MLP, written by hand as plain NumPy expressions: the baseline.

It is what an experienced NumPy user writes: no ``out=``, no buffers kept between steps.
``python -m benchmarks.moons_numpy`` times it.
"""

from functools import partial
from timeit import repeat

import numpy as np
import numpy.typing as npt

from lazygrad.data import moons

Array = npt.NDArray[np.floating]


class MoonsNumpy:
    """An MLP 2-16-16-1 with ReLU and mean hinge loss, trained by gradient descent.

    Attributes
    ----------
    w1, b1, w2, b2, w3, b3 : float arrays of shapes (2, 16), (16,), (16, 16), (16,), (16, 1), (1,)
        Weights from a normal distribution of variance 2 / inputs; biases zero. Updated in place.

    Examples
    --------
    >>> x, y = batch(dtype="float32")
    >>> model = MoonsNumpy(dtype="float32")
    >>> bool(model.step(x, y) > model.step(x, y))
    True
    """

    def __init__(self, *, seed: int = 0, dtype: npt.DTypeLike = "float64", rate: float = 0.1):
        generator = np.random.default_rng(seed)

        def weights(inputs: int, outputs: int) -> Array:
            scale = np.sqrt(2 / inputs)
            return generator.normal(scale=scale, size=(inputs, outputs)).astype(dtype)

        self.rate = rate
        self.w1, self.b1 = weights(2, 16), np.zeros(16, dtype)
        self.w2, self.b2 = weights(16, 16), np.zeros(16, dtype)
        self.w3, self.b3 = weights(16, 1), np.zeros(1, dtype)

    def step(self, x: Array, y: Array) -> np.floating:
        """Update all parameters from one batch, and return the loss before the update.

        Parameters
        ----------
        x : float array of shape (batch, 2)
        y : float array of shape (batch, 1)
            Targets, -1 or 1, in the dtype of the parameters.
        """
        h1 = np.maximum(x @ self.w1 + self.b1, 0)
        h2 = np.maximum(h1 @ self.w2 + self.b2, 0)
        margin = 1 - y * (h2 @ self.w3 + self.b3)
        loss = np.mean(np.maximum(margin, 0))

        d3 = -y * (margin > 0) / len(x)
        d2 = d3 @ self.w3.T * (h2 > 0)
        d1 = d2 @ self.w2.T * (h1 > 0)

        self.w3 -= self.rate * (h2.T @ d3)
        self.b3 -= self.rate * d3.sum(axis=0)
        self.w2 -= self.rate * (h1.T @ d2)
        self.b2 -= self.rate * d2.sum(axis=0)
        self.w1 -= self.rate * (x.T @ d1)
        self.b1 -= self.rate * d1.sum(axis=0)
        return loss


def batch(
    samples: int = 100, *, seed: int = 0, dtype: npt.DTypeLike = "float64"
) -> tuple[Array, Array]:
    """The moons: points of shape (samples, 2), targets -1 or 1 of shape (samples, 1)."""
    points, labels = moons(samples, seed=seed)
    return points.astype(dtype), (2.0 * labels[:, None] - 1).astype(dtype)


def main() -> None:
    for dtype in ("float64", "float32"):
        x, y = batch(dtype=dtype)
        model = MoonsNumpy(dtype=dtype)
        times = repeat(partial(model.step, x, y), number=2_000, repeat=15)
        microseconds = [1e6 * seconds / 2_000 for seconds in times]
        print(
            f"{dtype}: {min(microseconds):.1f} us/step at best, "
            f"{np.median(microseconds):.1f} in the median"
        )


if __name__ == "__main__":
    main()
