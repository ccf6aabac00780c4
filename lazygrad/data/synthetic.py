"""Data sets that are computed instead of stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import OptionError, ShapeError
from .columns import positive

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["blobs", "moons", "spirals"]


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
        raise OptionError(f"moons: samples is {samples}, expected at least 2, one of each class.")
    _check_deviation("moons", "noise", noise)
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


def spirals(
    samples: int = 300,
    classes: int = 3,
    noise: float = 0.03,
    seed: int | np.random.Generator | None = 0,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Spiral arms around the origin, one for each class, in random order.

    An arm runs from the origin (left out, since all arms meet there) to the unit circle, and turns
    by 4 radians on the way.

    Parameters
    ----------
    samples : int
        How many points in all, at least one for each class; the last classes get one more where
        they can't all have equally many.
    classes : int
        How many arms.
    noise : float
        Standard deviation of the normal noise on each coordinate.
    seed : int, Generator or None
        The same integer gives the same points. A Generator is drawn from. None is different each
        time.

    Returns
    -------
    points : float64 array of shape (samples, 2)
    labels : int64 array of shape (samples,)
        The arm of each point, from 0.

    Examples
    --------
    >>> points, labels = spirals(samples=10)
    >>> points.shape, np.bincount(labels)
    ((10, 2), array([3, 3, 4]))
    """
    count = positive("spirals", "classes", classes)
    labels = _labels("spirals", samples, count)
    _check_deviation("spirals", "noise", noise)
    sizes = np.bincount(labels, minlength=count)
    radius = np.concatenate([np.arange(1, size + 1) / size for size in sizes])
    angle = 2 * np.pi * labels / count + 4 * radius
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(labels))
    return points[order] + generator.normal(scale=noise, size=points.shape), labels[order]


def blobs(
    samples: int = 100,
    centers: int | npt.ArrayLike = 3,
    deviation: float | npt.ArrayLike = 1.0,
    seed: int | np.random.Generator | None = 0,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Normal clouds of points around centers, one for each class, in random order.

    Parameters
    ----------
    samples : int
        How many points in all, at least one for each center; the last classes get one more where
        they can't all have equally many.
    centers : int or array of shape (classes, features)
        The centers; or how many to draw in the plane, uniformly from -10 to 10. Drawn ones depend
        on the seed only.
    deviation : float or array of shape (classes,)
        Standard deviation of each coordinate, of all clouds or of each.
    seed : int, Generator or None
        The same integer gives the same points. A Generator is drawn from. None is different each
        time.

    Returns
    -------
    points : float64 array of shape (samples, features)
    labels : int64 array of shape (samples,)
        The center of each point, from 0.

    Examples
    --------
    >>> points, labels = blobs(6, centers=[[0, 0, 0], [5, 5, 5]], deviation=0.1)
    >>> points.shape, points[labels == 1].mean().round()
    ((6, 3), np.float64(5.0))
    """
    generator = np.random.default_rng(seed)
    if np.ndim(centers) == 0:
        count = positive("blobs", "centers", centers)  # type: ignore[arg-type]
        places = generator.uniform(-10, 10, size=(count, 2))
    else:
        places = np.asarray(centers, np.float64)
    if places.ndim != 2 or not places.size or not np.isfinite(places).all():
        raise ShapeError(
            f"blobs: centers has shape {list(places.shape)}, "
            "expected a number or finite coordinates, [classes, features]."
        )
    spread = np.asarray(deviation, np.float64)
    if spread.shape not in ((), (len(places),)):
        raise ShapeError(
            f"blobs: deviation has shape {list(spread.shape)}, "
            f"expected one number or one for each center, [{len(places)}]."
        )
    for number in spread.flat:
        _check_deviation("blobs", "deviation", float(number))
    labels = _labels("blobs", samples, len(places))[generator.permutation(samples)]
    scale = np.broadcast_to(spread, len(places))[labels, None]
    return places[labels] + generator.normal(size=(samples, places.shape[1])) * scale, labels


def _labels(caller: str, samples: int, classes: int) -> npt.NDArray[np.int64]:
    """Give each class its number of rows, one class after the other."""
    if samples < classes:
        raise OptionError(
            f"{caller}: samples is {samples}, expected at least {classes}, one of each class."
        )
    sizes = [(samples + place) // classes for place in range(classes)]
    return np.repeat(np.arange(classes, dtype=np.int64), sizes)


def _check_deviation(caller: str, name: str, deviation: float) -> None:
    if not 0 <= deviation < float("inf"):
        raise OptionError(
            f"{caller}: {name} is {deviation}, expected a standard deviation, 0 or more."
        )
