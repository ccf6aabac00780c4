"""Sigmoid and softplus over the whole range, silent and accurate."""

import numpy as np
import pytest

from lazygrad.autodiff import grad
from lazygrad.backends.interpreter import interpret
from lazygrad.ir.graph import Graph
from lazygrad.ir.value import Value
from lazygrad.ops import log_sigmoid, sigmoid, softplus

FLOATS = [np.float16, np.float32, np.float64]


def run(*nodes):
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        return interpret(Graph(nodes), {})


def exact(name, x):
    x = x.astype(np.longdouble)
    with np.errstate(over="ignore"):
        return {
            "sigmoid": 1 / (1 + np.exp(-x)),
            "softplus": np.logaddexp(x, 0),
            "log_sigmoid": -np.logaddexp(-x, 0),
        }[name]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("function", [sigmoid, softplus, log_sigmoid])
def test_accurate_over_the_whole_range(function, dtype):
    limit = -np.log(np.finfo(dtype).smallest_normal)
    x = np.linspace(-limit, limit, 997).astype(dtype)
    (found,) = run(function(Value(x)))
    assert found.dtype == dtype
    expected = exact(function.__name__, x)
    np.testing.assert_allclose(found, expected, rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", FLOATS)
def test_beyond_the_range_silently(dtype):
    x = Value(np.array([-np.inf, -1e4, 1e4, np.inf, np.nan], dtype))
    with np.errstate(under="ignore"):
        ones, ramp, log = run(sigmoid(x), softplus(x), log_sigmoid(x))
    np.testing.assert_array_equal(ones, np.array([0, 0, 1, 1, np.nan], dtype))
    np.testing.assert_array_equal(ramp, np.array([0, 0, 1e4, np.inf, np.nan], dtype))
    np.testing.assert_array_equal(log, np.array([-np.inf, -1e4, 0, 0, np.nan], dtype))


def test_derivatives():
    x = Value(np.array([-40.0, -1.0, 0.0, 2.0, 40.0, np.nan]))
    s, rest = 1 / (1 + np.exp(-x.cell.array)), 1 / (1 + np.exp(x.cell.array))
    first = [grad(f(x), x) for f in (sigmoid, softplus, log_sigmoid)]
    second = [grad(g, x) for g in first]
    found = run(*first, *second)
    expected = [s * rest, s, rest, s * rest * (1 - 2 * s), s * rest, -s * rest]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int8, np.int32, np.int64])
@pytest.mark.parametrize("function", [sigmoid, softplus, log_sigmoid])
def test_integers(function, dtype):
    x = np.array([0, 1, 5]).astype(dtype)
    (found,) = run(function(Value(x)))
    assert found.dtype == np.exp(x).dtype
    eps = np.finfo(found.dtype).eps
    np.testing.assert_allclose(found, exact(function.__name__, x), rtol=8 * eps, atol=eps / 4)


def test_strided_read_only_empty_and_zero_dimensional():
    x = np.arange(12.0).reshape(3, 4).T[::2]
    x.flags.writeable = False
    for array in (x, x[:0], np.array(1.0)):
        out = np.full(array.shape, np.nan)
        for function in (sigmoid, softplus):
            function.op.kernel(array, out)
            np.testing.assert_allclose(out, exact(function.__name__, array).astype(float))
