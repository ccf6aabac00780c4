"""How the first weights of a layer are drawn: functions of a shape and a seed.

Knows arrays only. An initializer that scales with the size of a layer reads two numbers, its fans:
how many inputs one output sums over, and how many outputs one input goes into.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import erf, exp, pi, prod, sqrt
from typing import Any, TypeAlias

import numpy as np

from ..errors import OptionError, ShapeError
from .module import generator

__all__ = [
    "Initializer",
    "constant",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "truncated_normal",
    "uniform",
    "zeros",
]

Array: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Fans: TypeAlias = tuple[int, int]
Draw: TypeAlias = "Callable[[tuple[int, ...], np.random.Generator, Fans], Array]"

# A normal distribution is cut here, in its own deviations; Glorot and others left the tails.
_CUT = 2.0


@dataclass(frozen=True)
class Initializer:
    """Draws arrays; made by the functions of this module.

    Parameters
    ----------
    name
        What its repr shows.
    draw
        ``(shape, generator, (fan_in, fan_out))`` gives a float64 array.

    Examples
    --------
    >>> normal(deviation=0.1)((2, 3), seed=0).shape
    (2, 3)
    """

    name: str
    draw: Draw

    def __call__(
        self,
        shape: int | Sequence[int],
        seed: int | np.random.Generator,
        *,
        fans: Fans | None = None,
    ) -> Array:
        """Draw a float64 array of a shape; the same seed gives the same array.

        *fans* is (inputs that one output sums over, outputs that one input goes into). By default
        they are read from the shape: two axes are (inputs, outputs), more are those of a
        convolution, ``(outputs, inputs, *kernel)``.
        """
        lengths = (shape,) if isinstance(shape, (int, np.integer)) else tuple(map(int, shape))
        drawn = self.draw(lengths, generator(seed), fans or _fans(lengths))
        return np.asarray(drawn, dtype=np.float64)

    def __repr__(self) -> str:
        return self.name


def _fans(shape: tuple[int, ...]) -> Fans:
    if len(shape) < 2:
        return (shape[0] if shape else 1), 1
    if len(shape) == 2:
        return shape
    field = prod(shape[2:])
    return shape[1] * field, shape[0] * field


def uniform(low: float = -0.1, high: float = 0.1) -> Initializer:
    """Draw evenly from *low* up to *high*.

    >>> uniform(0, 1)
    uniform(low=0, high=1)
    """
    if not low <= high:
        raise OptionError(f"uniform: low is {low}, above high, {high}.")
    return Initializer(
        f"uniform(low={low:g}, high={high:g})",
        lambda shape, rng, fans: rng.uniform(low, high, shape),
    )


def normal(mean: float = 0.0, deviation: float = 0.01) -> Initializer:
    """Draw from the normal distribution.

    >>> normal(deviation=2.0)
    normal(mean=0, deviation=2)
    """
    _require_spread("normal", deviation)
    return Initializer(
        f"normal(mean={mean:g}, deviation={deviation:g})",
        lambda shape, rng, fans: rng.normal(mean, deviation, shape),
    )


def truncated_normal(deviation: float = 0.01) -> Initializer:
    """Draw from a normal distribution around 0 whose tails beyond two deviations are cut off.

    *deviation* is that of what is drawn; the distribution that is cut is about 1.14 times as wide.

    >>> array = truncated_normal(1.0)(10_000, seed=0)
    >>> bool(abs(array.std() - 1) < 0.02), bool(abs(array).max() < 2.28)
    (True, True)
    """
    _require_spread("truncated_normal", deviation)
    return Initializer(
        f"truncated_normal(deviation={deviation:g})",
        lambda shape, rng, fans: deviation * _cut_normal(shape, rng),
    )


def glorot_uniform(gain: float = 1.0) -> Initializer:
    """Draw evenly with the variance ``2 gain**2 / (fan_in + fan_out)``.

    Glorot and Bengio (2010), equation 16: it keeps variances alike forward and backward.

    >>> bool(abs(glorot_uniform()((2, 4), seed=0)).max() <= 1)
    True
    """
    return _scaled("glorot_uniform", gain, _evenly, lambda fans: 2 / sum(fans))


def glorot_normal(gain: float = 1.0) -> Initializer:
    """Draw from a cut normal distribution with the variance of `glorot_uniform`.

    >>> glorot_normal()
    glorot_normal()
    """
    return _scaled("glorot_normal", gain, _normally, lambda fans: 2 / sum(fans))


def he_uniform(gain: float = 1.0) -> Initializer:
    """Draw evenly with the variance ``2 gain**2 / fan_in``, for layers before a ReLU.

    He et al. (2015), equation 10.

    >>> he_uniform(0.5)
    he_uniform(gain=0.5)
    """
    return _scaled("he_uniform", gain, _evenly, lambda fans: 2 / fans[0])


def he_normal(gain: float = 1.0) -> Initializer:
    """Draw from a cut normal distribution with the variance of `he_uniform`.

    >>> he_normal()((4, 2), seed=0).shape
    (4, 2)
    """
    return _scaled("he_normal", gain, _normally, lambda fans: 2 / fans[0])


def lecun_uniform(gain: float = 1.0) -> Initializer:
    """Draw evenly with the variance ``gain**2 / fan_in``; LeCun et al. (1998), section 4.6.

    >>> lecun_uniform()
    lecun_uniform()
    """
    return _scaled("lecun_uniform", gain, _evenly, lambda fans: 1 / fans[0])


def lecun_normal(gain: float = 1.0) -> Initializer:
    """Draw from a cut normal distribution with the variance of `lecun_uniform`.

    It is what SELU wants; Klambauer et al. (2017).

    >>> lecun_normal()
    lecun_normal()
    """
    return _scaled("lecun_normal", gain, _normally, lambda fans: 1 / fans[0])


def orthogonal(gain: float = 1.0) -> Initializer:
    """Draw a matrix whose rows or columns, whichever are fewer, are orthonormal, times *gain*.

    Saxe et al. (2014). Of more than two axes all but the first count as one.

    >>> q = orthogonal()((2, 5), seed=0)
    >>> bool(np.allclose(q @ q.T, np.eye(2)))
    True
    """

    def draw(shape: tuple[int, ...], rng: np.random.Generator, fans: Fans) -> Array:
        if len(shape) < 2:
            raise ShapeError(f"orthogonal: needs at least two axes, got the shape {list(shape)}.")
        rows, columns = shape[0], prod(shape[1:])
        q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
        # With this choice of signs every orthogonal matrix is equally likely; Mezzadri (2007).
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return gain * (q if rows >= columns else q.T).reshape(shape)

    return Initializer(_named("orthogonal", gain), draw)


def constant(value: float) -> Initializer:
    """Give the same number everywhere.

    >>> from lazygrad.nn import initializers
    >>> initializers.constant(0.5)(2, seed=0)
    array([0.5, 0.5])
    """
    return Initializer(
        f"constant({value:g})", lambda shape, rng, fans: np.full(shape, float(value))
    )


def zeros() -> Initializer:
    """Give zeros.

    >>> zeros()(2, seed=0)
    array([0., 0.])
    """
    return Initializer("zeros()", lambda shape, rng, fans: np.zeros(shape))


def ones() -> Initializer:
    """Give ones.

    >>> ones()(2, seed=0)
    array([1., 1.])
    """
    return Initializer("ones()", lambda shape, rng, fans: np.ones(shape))


def identity(gain: float = 1.0) -> Initializer:
    """Give a matrix of *gain* on the diagonal and zeros elsewhere, square or not.

    >>> identity()((2, 3), seed=0)
    array([[1., 0., 0.],
           [0., 1., 0.]])
    """

    def draw(shape: tuple[int, ...], rng: np.random.Generator, fans: Fans) -> Array:
        if len(shape) != 2:
            raise ShapeError(f"identity: needs two axes, got the shape {list(shape)}.")
        return gain * np.eye(*shape)

    return Initializer(_named("identity", gain), draw)


def _scaled(
    name: str,
    gain: float,
    draw: Callable[[tuple[int, ...], np.random.Generator, float], Array],
    variance_of: Callable[[Fans], float],
) -> Initializer:
    _require_spread(name, gain, "gain")

    def scaled(shape: tuple[int, ...], rng: np.random.Generator, fans: Fans) -> Array:
        if min(fans) < 1:
            raise ShapeError(f"{name}: the shape {list(shape)} has nothing to draw.")
        return draw(shape, rng, gain * sqrt(variance_of(fans)))

    return Initializer(_named(name, gain), scaled)


def _evenly(shape: tuple[int, ...], rng: np.random.Generator, deviation: float) -> Array:
    bound = deviation * sqrt(3)
    return rng.uniform(-bound, bound, shape)


def _normally(shape: tuple[int, ...], rng: np.random.Generator, deviation: float) -> Array:
    return deviation * _cut_normal(shape, rng)


def _cut_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw from the normal distribution without its tails, scaled back to the deviation 1."""
    drawn = rng.normal(size=shape)
    outside = abs(drawn) > _CUT
    while outside.any():
        drawn[outside] = rng.normal(size=int(outside.sum()))
        outside = abs(drawn) > _CUT
    inside = erf(_CUT / sqrt(2))
    return drawn / sqrt(1 - 2 * _CUT * exp(-(_CUT**2) / 2) / sqrt(2 * pi) / inside)


def _named(name: str, gain: float) -> str:
    return f"{name}()" if gain == 1 else f"{name}(gain={gain:g})"


def _require_spread(name: str, spread: float, what: str = "deviation") -> None:
    if not spread >= 0:
        raise OptionError(f"{name}: {what} must not be negative, got {spread}.")
