"""One table of what a derivative is where calculus leaves it open, for every spelling."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.interpreter import interpret
from lazygrad.ir.graph import Graph

NAN, INF = np.nan, np.inf

# What is written, at which point, its derivative. A list is a vector; the derivative is its sum's.
CONVENTIONS = {
    # At 0 relu, absolute value and norm have derivative 0.
    "relu": (lambda x: lg.relu(x), 0.0, 0.0),
    "x.relu()": (lambda x: x.relu(), [-1.0, 0.0, 2.0], [0.0, 0.0, 1.0]),
    "relu(-0.0)": (lambda x: lg.relu(x), -0.0, 0.0),
    "maximum(x, 0)": (lambda x: lg.maximum(x, 0), 0.0, 0.0),
    "maximum(0, x)": (lambda x: lg.maximum(0, x), 0.0, 0.0),
    "maximum(x, 0.0) of an array": (lambda x: lg.maximum(x, np.zeros(2)), [0.0, 1.0], [0.0, 1.0]),
    "np.maximum(x, 0)": (lambda x: np.maximum(x, 0), 0.0, 0.0),
    "np.maximum(0, x)": (lambda x: np.maximum(0, x), 0.0, 0.0),
    "minimum(x, 0)": (lambda x: lg.minimum(x, 0), 0.0, 0.0),
    "fmax(x, 0)": (lambda x: lg.fmax(x, 0), 0.0, 0.0),
    "fmin(x, 0)": (lambda x: lg.fmin(x, 0), 0.0, 0.0),
    "where(x > 0, x, 0)": (lambda x: lg.where(x > 0, x, 0), 0.0, 0.0),
    "x * (x > 0)": (lambda x: x * (x > 0), 0.0, 0.0),
    "abs(x)": (abs, 0.0, 0.0),
    "absolute": (lambda x: lg.absolute(x), 0.0, 0.0),
    "np.abs": (np.abs, [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]),
    "fabs": (lambda x: lg.fabs(x), 0.0, 0.0),
    "where(x < 0, -x, x)": (lambda x: lg.where(x < 0, -x, x), 0.0, 1.0),
    "norm": (lambda x: lg.norm(x), [0.0, 0.0], [0.0, 0.0]),
    "norm of rows": (
        lambda x: lg.norm(x, axis=1),
        [[0.0, 0.0], [3.0, 4.0]],
        [[0.0, 0.0], [0.6, 0.8]],
    ),
    # Ties share equally between operands that both vary, and in reductions.
    "maximum(x, x)": (lambda x: lg.maximum(x, x), 2.0, 1.0),
    "maximum(x, y) tie": (lambda x: lg.maximum(x[0], x[1]), [2.0, 2.0], [0.5, 0.5]),
    "minimum(x, y) tie": (lambda x: lg.minimum(x[0], x[1]), [2.0, 2.0], [0.5, 0.5]),
    "fmax(x, y) tie": (lambda x: lg.fmax(x[0], x[1]), [2.0, 2.0], [0.5, 0.5]),
    "x.max()": (lambda x: x.max(), [1.0, 3.0, 3.0, 3.0], [0.0, 1 / 3, 1 / 3, 1 / 3]),
    "x.min()": (lambda x: x.min(), [1.0, 3.0, 1.0, 3.0], [0.5, 0.0, 0.5, 0.0]),
    "max(x)": (lambda x: lg.max(x), [3.0, 3.0], [0.5, 0.5]),
    "np.max": (np.max, [3.0, 3.0], [0.5, 0.5]),
    "max along an axis": (
        lambda x: x.max(axis=1),
        [[1.0, 1.0], [2.0, 1.0]],
        [[0.5, 0.5], [1.0, 0.0]],
    ),
    # clip: 1 strictly inside, 0 on its bounds and beyond.
    "clip": (lambda x: lg.clip(x, -1, 1), [-2.0, -1.0, 0.0, 1.0, 2.0], [0.0, 0.0, 1.0, 0.0, 0.0]),
    "x.clip": (lambda x: x.clip(0, 6), [0.0, 3.0, 6.0], [0.0, 1.0, 0.0]),
    "np.clip": (lambda x: np.clip(x, 0, 6), [0.0, 3.0, 6.0], [0.0, 1.0, 0.0]),
    "clip from below": (lambda x: lg.clip(x, 0, None), [0.0, 3.0], [0.0, 1.0]),
    # Steps have derivative 0 everywhere.
    "sign": (lambda x: lg.sign(x), [-1.0, 0.0, 1.0], [0.0, 0.0, 0.0]),
    "floor": (lambda x: lg.floor(x), [0.0, 0.5, 1.0], [0.0, 0.0, 0.0]),
    "ceil": (lambda x: lg.ceil(x), [0.0, 0.5, 1.0], [0.0, 0.0, 0.0]),
    "trunc": (lambda x: lg.trunc(x), [0.0, 0.5, 1.0], [0.0, 0.0, 0.0]),
    "rint": (lambda x: lg.rint(x), [0.0, 0.5, 1.0], [0.0, 0.0, 0.0]),
    "round": (lambda x: lg.round(x), [0.0, 0.5, 1.0], [0.0, 0.0, 0.0]),
    "x // 2": (lambda x: x // 2, [0.0, 1.0, 2.0], [0.0, 0.0, 0.0]),
    "x % 2": (lambda x: x % 2, [0.0, 1.0, 2.0], [1.0, 1.0, 1.0]),
    "heaviside": (lambda x: lg.heaviside(x, 0.5), [-1.0, 0.0], [0.0, 0.0]),
    "astype int": (lambda x: x.astype("int64"), [0.0, 1.5], [0.0, 0.0]),
    # At the edge of a domain the derivative is its limit, outside NaN like the value.
    "sqrt at 0": (lambda x: lg.sqrt(x), 0.0, INF),
    "sqrt outside": (lambda x: lg.sqrt(x), -1.0, NAN),
    "x**0.5 at 0": (lambda x: x**0.5, 0.0, INF),
    "x**0.5 outside": (lambda x: x**0.5, -1.0, NAN),
    "log at 0": (lambda x: lg.log(x), 0.0, INF),
    "log outside": (lambda x: lg.log(x), -1.0, NAN),
    "log2 outside": (lambda x: lg.log2(x), -1.0, NAN),
    "log10 outside": (lambda x: lg.log10(x), -1.0, NAN),
    "log1p outside": (lambda x: lg.log1p(x), -2.0, NAN),
    "arctanh outside": (lambda x: lg.arctanh(x), 2.0, NAN),
    "arccosh outside": (lambda x: lg.arccosh(x), 0.5, NAN),
    "arccosh outside, negative": (lambda x: lg.arccosh(x), -2.0, NAN),
    "arcsin outside": (lambda x: lg.arcsin(x), 2.0, NAN),
    "arccos outside": (lambda x: lg.arccos(x), -2.0, NAN),
    "1 / x at 0": (lambda x: 1 / x, 0.0, -INF),
    # Powers at 0.
    "x**0 at 0": (lambda x: x**0, 0.0, 0.0),
    "x**1 at 0": (lambda x: x**1, 0.0, 1.0),
    "x**2 at 0": (lambda x: x**2, 0.0, 0.0),
    "x**2.0 at 0": (lambda x: x**2.0, 0.0, 0.0),
    "x**3 at 0": (lambda x: x**3, 0.0, 0.0),
    "x**y at 0, y = 0": (lambda x: x ** lg.constant([0.0]), [0.0], [0.0]),
    "x**y at 0, y = 1": (lambda x: x ** lg.constant([1.0]), [0.0], [1.0]),
    "x**y at 0, y = 2": (lambda x: x ** lg.constant([2.0]), [0.0], [0.0]),
    "np.power(x, 2)": (lambda x: np.power(x, 2), 0.0, 0.0),
    "np.square": (np.square, 0.0, 0.0),
    "0**y": (lambda y: 0.0**y, 2.0, 0.0),
    "0**y at 0": (lambda y: 0.0**y, 0.0, -INF),
    "(-1)**y": (lambda y: (-1.0) ** y, 2.0, NAN),
    "negative base, literal exponent": (lambda x: x**3, -2.0, 12.0),
    "negative base, exponent a node": (lambda x: x ** lg.constant([3.0]), [-2.0], [12.0]),
    # A branch not taken is silent.
    "where(x > 0, sqrt(x), 0)": (
        lambda x: lg.where(x > 0, lg.sqrt(x), 0),
        [-1.0, 0.0, 4.0],
        [0.0, 0.0, 0.25],
    ),
    "where(x > 0, log(x), x)": (
        lambda x: lg.where(x > 0, lg.log(x), x),
        [-1.0, 0.0, 4.0],
        [1.0, 1.0, 0.25],
    ),
    "sqrt(x)[1:]": (lambda x: lg.sqrt(x)[1:], [0.0, 4.0], [0.0, 0.25]),
}

# The derivative at NaN is NaN, for what passes NaN through.
NAN_SPELLINGS = {
    "relu": lambda x: lg.relu(x),
    "maximum(x, 0)": lambda x: lg.maximum(x, 0),
    "maximum(0, x)": lambda x: lg.maximum(0, x),
    "minimum(x, 0)": lambda x: lg.minimum(x, 0),
    "maximum(x, x)": lambda x: lg.maximum(x, x),
    "abs": abs,
    "fabs": lambda x: lg.fabs(x),
    "clip": lambda x: lg.clip(x, -1, 1),
    "max": lambda x: x.max(),
    "min": lambda x: x.min(),
    "norm": lambda x: lg.norm(x),
    "sqrt": lambda x: lg.sqrt(x),
    "log": lambda x: lg.log(x),
    "log2": lambda x: lg.log2(x),
    "log10": lambda x: lg.log10(x),
    "log1p": lambda x: lg.log1p(x),
    "arctanh": lambda x: lg.arctanh(x),
    "arccosh": lambda x: lg.arccosh(x),
    "arcsin": lambda x: lg.arcsin(x),
    "tanh": lambda x: lg.tanh(x),
    "sigmoid": lambda x: lg.sigmoid(x),
    "softplus": lambda x: lg.softplus(x),
    "x**2": lambda x: x**2,
    "x**0.5": lambda x: x**0.5,
    "2**x": lambda x: 2.0**x,
    "x * x": lambda x: x * x,
    "1 / x": lambda x: 1 / x,
    "exp": lambda x: lg.exp(x),
    "logsumexp": lambda x: lg.logsumexp(x),
}


def both_modes(function, at):
    """The gradient of the sum, by the reverse walk and by forward walks along each axis."""
    x = lg.Value(np.asarray(at, dtype=np.float64))
    y = function(x)
    reverse = lg.grad(y, x)
    tangents = [
        lg.jvp(y, x, unit.reshape(x.shape)).sum() for unit in np.eye(max(1, int(np.prod(x.shape))))
    ]
    with np.errstate(all="ignore"):
        found = interpret(Graph([reverse, *tangents]), {})
    return found[0], np.reshape(found[1:], x.shape)


@pytest.mark.parametrize("spelling", CONVENTIONS)
def test_convention(spelling):
    function, at, expected = CONVENTIONS[spelling]
    reverse, forward = both_modes(function, at)
    np.testing.assert_allclose(reverse, expected, rtol=1e-12)
    np.testing.assert_allclose(forward, expected, rtol=1e-12)


@pytest.mark.parametrize("spelling", NAN_SPELLINGS)
@pytest.mark.parametrize("shape", [(), (3,)])
def test_derivative_at_nan_is_nan(spelling, shape):
    reverse, forward = both_modes(NAN_SPELLINGS[spelling], np.full(shape, np.nan))
    assert np.isnan(reverse).all()
    assert np.isnan(forward).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relu_and_its_spellings_agree_in_every_dtype(dtype):
    x = lg.Value(np.array([-1.0, -0.0, 0.0, 2.0], dtype))
    for y in (lg.relu(x), lg.maximum(x, 0), lg.maximum(0, x), lg.where(x > 0, x, 0)):
        g = lg.grad(y, x)
        assert g.dtype == dtype
        np.testing.assert_array_equal(interpret(Graph([g]), {})[0], [0, 0, 0, 1])


def test_sort_is_stable_at_ties():
    x = lg.Value([2.0, 1.0, 2.0, 1.0])
    g = lg.grad(lg.sort(x), x, seed=np.array([10.0, 20.0, 30.0, 40.0]))
    np.testing.assert_array_equal(interpret(Graph([g]), {})[0], [30, 10, 40, 20])


def test_a_tie_between_an_array_and_a_broadcast_operand():
    x, y = lg.Value([1.0, 1.0, 0.0]), lg.Value(1.0)
    gx, gy = lg.grad(lg.maximum(x, y), [x, y])
    found = interpret(Graph([gx, gy]), {})
    np.testing.assert_array_equal(found[0], [0.5, 0.5, 0.0])
    assert found[1] == 2.0
