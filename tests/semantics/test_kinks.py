"""What a derivative is where calculus leaves it open, in programs; the whole table is elsewhere."""

import numpy as np
import pytest

import lazygrad as lg


@pytest.mark.parametrize(
    ("expression", "at", "derivative"),
    [
        (lg.relu, [-1.0, 0.0, 1.0, np.nan], [0.0, 0.0, 1.0, np.nan]),
        (abs, [-1.0, 0.0, 1.0, np.nan], [-1.0, 0.0, 1.0, np.nan]),
        (lambda x: lg.maximum(x, 0), [-1.0, 0.0, 1.0], [0.0, 0.0, 1.0]),
        (lambda x: lg.maximum(x, x), [2.0], [1.0]),
        (lambda x: lg.clip(x, -1, 1), [-1.0, 0.5, 1.0, np.nan], [0.0, 1.0, 0.0, np.nan]),
        (lambda x: x.max(), [3.0, 3.0, 1.0], [0.5, 0.5, 0.0]),
        (lg.norm, [0.0, 0.0], [0.0, 0.0]),
        (lg.log, [-1.0], [np.nan]),
        (lg.arccosh, [0.0], [np.nan]),
        (lambda x: (lg.sort(x) * np.array([1.0, 2.0])).sum(), [3.0, 3.0], [1.0, 2.0]),
    ],
)
def test_conventions_hold_in_programs_and_pairs(expression, at, derivative):
    x = lg.placeholder((len(at),), name="x", requires_grad=True)
    y = expression(x).sum()
    program = lg.compile(lg.grad(y, x))
    y.forward(x=at)
    y.backward()
    for gradient in (program(x=at), x.grad):
        np.testing.assert_allclose(gradient, derivative)
