"""Closeness, choice, polynomials and tables, against NumPy."""

import math

import numpy as np
import pytest

from lazygrad.autodiff import grad
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import DTypeError, OptionError, ShapeError
from lazygrad.ir.graph import Graph
from lazygrad.ir.value import Value

ODD = np.array([1.0, 1.0 + 1e-9, -2.0, 0.0, np.inf, -np.inf, np.nan])


def run(*nodes):
    with np.errstate(all="ignore"):
        return interpret(Graph(nodes), {})


@pytest.mark.parametrize("equal_nan", [False, True])
def test_isclose(equal_nan):
    a, b = ODD[:, None], ODD
    found = run(np.isclose(Value(a), b, equal_nan=equal_nan))[0]
    np.testing.assert_array_equal(found, np.isclose(a, b, equal_nan=equal_nan))
    assert run(np.allclose(Value(ODD), ODD, equal_nan=equal_nan))[0] == equal_nan


def test_isclose_of_unsigned_integers_does_not_wrap():
    a, b = np.array([0, 5], np.uint8), np.array([1, 5], np.uint8)
    np.testing.assert_array_equal(run(np.isclose(Value(a), b))[0], [False, True])


def test_select_takes_the_first_that_holds():
    a = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    x = Value(a)
    y = np.select([x > 1, x > -1.5], [x * x, 3 * x], default=7.0)
    value, slope = run(y, grad(y, x))
    np.testing.assert_array_equal(value, np.select([a > 1, a > -1.5], [a * a, 3 * a], 7.0))
    np.testing.assert_array_equal(slope, [0, 3, 3, 3, 4])


def test_select_keeps_nan_out_of_gradients():
    x = Value([-1.0, 0.0, 4.0])
    (slope,) = run(grad(np.select([x > 1], [np.sqrt(x)], 0.0), x))
    np.testing.assert_array_equal(slope, [0, 0, 0.25])


def test_select_refuses():
    x = Value([1.0])
    with pytest.raises(OptionError, match=r"select.*: 1 conditions need as many choices, got 2"):
        np.select([x > 0], [x, x])
    with pytest.raises(DTypeError, match=r"select.*: conditions must be bool, got float64\[1\]"):
        np.select([x], [x])


@pytest.mark.parametrize("p", [[], [2], [1.0, -2.0, 0.5], np.array([1, 2], np.int32)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_polyval(p, dtype):
    a = np.arange(6).reshape(2, 3).astype(dtype)
    found, expected = run(np.polyval(p, Value(a)))[0], np.polyval(p, a)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_polyval_derivatives():
    p, x = Value([1.0, -2.0, 0.5]), Value([2.0, 3.0])
    y = np.polyval(p, x)
    found = run(*grad(y, [p, x]), grad(grad(y, x), x))
    np.testing.assert_array_equal(found[0], [4 + 9, 2 + 3, 2])
    np.testing.assert_array_equal(found[1], [2, 4])
    np.testing.assert_array_equal(found[2], [2, 2])


PLACES = np.array([-1.0, 0.0, 0.5, 3.0])
VALUES = np.array([2.0, -1.0, 4.0, 1.5])
AT = np.array([[-5.0, -1.0, -0.3, 0.0], [0.2, 0.5, 2.9, 3.0], [3.1, np.inf, -np.inf, np.nan]])


@pytest.mark.parametrize("ends", [{}, {"left": 7.0}, {"left": 7.0, "right": -7.0}])
def test_interp(ends):
    for x in (AT, AT[0, 2], AT[:0]):
        (found,) = run(np.interp(Value(x), PLACES, VALUES, **ends))
        np.testing.assert_allclose(found, np.interp(x, PLACES, VALUES, **ends), rtol=1e-15)


def test_interp_of_one_place():
    (found,) = run(np.interp(Value(AT), [0.5], [2.0], left=-1.0))
    expected = np.interp(AT, [0.5], [2.0], left=-1.0)
    # NumPy gives the value even at NaN.
    np.testing.assert_array_equal(found[:2], expected[:2])


def test_interp_derivatives():
    at = np.array([-5.0, -0.3, 0.0, 0.2, 2.9, 3.0, 9.0])
    leaves = [Value(at), Value(PLACES), Value(VALUES)]
    found = run(*grad(np.interp(*leaves), leaves))
    slopes = np.diff(VALUES) / np.diff(PLACES)
    np.testing.assert_allclose(found[0], [0, slopes[0], slopes[1], slopes[1], slopes[2], 0, 0])
    step = 1e-6
    for i, at_step in ((1, PLACES), (2, VALUES)):
        for j in range(4):
            moved = [[at, PLACES, VALUES][k].copy() for k in range(3)]
            if i == 1 and j in (1, 3):
                continue  # a sample lies on this place
            moved[i][j] += step
            above = np.interp(*moved).sum()
            moved[i][j] -= 2 * step
            below = np.interp(*moved).sum()
            assert found[i][j] == pytest.approx((above - below) / (2 * step), abs=1e-8)
        assert at_step.shape == found[i].shape


def test_interp_refuses():
    x = Value([1.0])
    with pytest.raises(OptionError, match=r"interp.*: period= is not supported"):
        np.interp(x, PLACES, VALUES, period=math.tau)
    with pytest.raises(
        ShapeError, match=r"interp.*: xp and fp need one shape, got \[4\] and \[3\]"
    ):
        np.interp(x, PLACES, VALUES[:3])
    with pytest.raises(ShapeError, match=r"interp.*: xp and fp are empty"):
        np.interp(x, [], [])
