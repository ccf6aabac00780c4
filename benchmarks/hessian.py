"""Gradient and Hessian of a function of 100 parameters, as a Newton step needs them.

The function is a logistic regression on 200 samples with a quadratic and a periodic penalty.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

import lazygrad as lg

from .results import Row, compared, duration
from .timing import interleaved

try:
    import autograd
    import autograd.numpy as autograd_numpy
except ImportError:
    autograd = None

PARAMETERS, SAMPLES = 100, 200

_random = np.random.default_rng(0)
_root = _random.normal(size=(PARAMETERS, PARAMETERS))
PENALTY = _root @ _root.T / PARAMETERS
POINTS = _random.normal(size=(SAMPLES, PARAMETERS))
SIGNS = np.sign(_random.normal(size=SAMPLES))
START = _random.normal(size=PARAMETERS)

Newton = Callable[[], "tuple[np.ndarray, np.ndarray]"]


def reference() -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian, derived by hand."""
    margins = SIGNS * (POINTS @ START)
    wrong = 1 / (1 + np.exp(margins))
    gradient = -(POINTS.T @ (SIGNS * wrong)) / SAMPLES
    gradient += 0.01 * (PENALTY @ START + np.sin(2 * START))
    hessian = (POINTS.T * (wrong * (1 - wrong))) @ POINTS / SAMPLES
    hessian += 0.01 * (PENALTY + np.diag(2 * np.cos(2 * START)))
    return gradient, hessian


def by_lazygrad() -> Newton:
    w = lg.placeholder((PARAMETERS,), name="w")
    losses = lg.mean(lg.logaddexp(0.0, -SIGNS * (POINTS @ w)))
    penalties = 0.5 * (w @ PENALTY @ w) + lg.sum(lg.sin(w) ** 2)
    f = losses + 0.01 * penalties
    program = lg.compile((lg.grad(f, w), lg.hessian(f, w)), backend="numpy")
    return lambda: program(w=START)


def by_autograd() -> Newton:
    def f(w):
        losses = autograd_numpy.mean(autograd_numpy.logaddexp(0.0, -SIGNS * (POINTS @ w)))
        penalties = 0.5 * (w @ PENALTY @ w) + autograd_numpy.sum(autograd_numpy.sin(w) ** 2)
        return losses + 0.01 * penalties

    gradient, hessian = autograd.grad(f), autograd.hessian(f)
    return lambda: (gradient(START), hessian(START))


ENGINES = {"lazygrad": by_lazygrad, "autograd": by_autograd}


def checked(name: str) -> Newton:
    """An engine that agrees with the reference."""
    engine = ENGINES[name]()
    for found, expected in zip(engine(), reference(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=name)
    return engine


def run_hessian(quick: bool) -> list[Row]:
    """Gradient and Hessian of a 100-parameter function, compiled once, against autograd."""
    label = "gradient and Hessian, 100 parameters"
    if autograd is None:
        return [Row(name=label, goal=">= 50 x", note="skipped: autograd is not installed")]
    began = perf_counter()
    by_lazygrad()()
    first = perf_counter() - began
    engines = {name: checked(name) for name in ENGINES}
    seconds = interleaved(engines, rounds=5 if quick else 15)
    note = f"build to first result {duration(first)}"
    return [compared(label, seconds["lazygrad"], seconds["autograd"], least=50, note=note)]
