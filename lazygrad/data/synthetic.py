"""Data sets that are computed instead of stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["moons"]


def moons(
    samples: int = 100,
    noise: float = 0.1,
    seed: int | np.random.Generator | None = 0,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Two half circles that reach into each other, in random order.

    Parameters
    ----------
    samples : int
        How many points in all; an odd one goes to class 1.
    noise : float
        Standard deviation of the normal noise on each coordinate.
    seed : int, Generator or None
        The same integer gives the same points. A Generator is drawn from. None is different each
        time.

    Returns
    -------
    points : float64 array of shape (samples, 2)
    labels : int64 array of shape (samples,)
        0 for the upper half circle, 1 for the lower one.

    Examples
    --------
    >>> points, labels = moons(samples=6)
    >>> points.shape, labels.dtype, int(labels.sum())
    ((6, 2), dtype('int64'), 3)
    """
    if samples < 2:
        raise ValueError(f"moons: samples is {samples}, expected at least 2, one of each class.")
    if not noise >= 0:
        raise ValueError(f"moons: noise is {noise}, expected a standard deviation, 0 or more.")
    upper = np.linspace(0, np.pi, samples // 2)
    lower = np.linspace(0, np.pi, samples - samples // 2)
    points = np.concatenate(
        [
            np.stack([np.cos(upper), np.sin(upper)], axis=1),
            np.stack([1 - np.cos(lower), 0.5 - np.sin(lower)], axis=1),
        ]
    )
    labels = np.repeat(np.array([0, 1], dtype=np.int64), [len(upper), len(lower)])
    generator = np.random.default_rng(seed)
    order = generator.permutation(samples)
    return points[order] + generator.normal(scale=noise, size=points.shape), labels[order]
