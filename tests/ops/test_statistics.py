"""Edges of statistics and norms: kinks, divisors, weights, NaN left out, lengths, errors."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.autodiff import grad, jvp
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import OptionError, ShapeError
from lazygrad.ir.graph import Graph
from lazygrad.ir.value import Value, placeholder

NAN, INF = np.nan, np.inf
TABLE = np.array([[3.0, -1.0, 2.0], [0.5, 4.0, -2.5]])


def run(node, feeds=None, lengths=None):
    with np.errstate(all="ignore"):
        return interpret(Graph([node]), feeds or {}, lengths or {})[0]


def gradient(function, x, order=1):
    """Give the derivative of a function's sum at *x*; of order 2, that of the gradient's sum."""
    leaf = Value(np.asarray(x))
    result = function(leaf)
    for _ in range(order):
        result = grad(result, leaf)
    return run(result)


def test_std_at_equal_values_has_derivative_zero():
    x = np.full((2, 3), 2.0)
    for function in (lg.std, lg.nanstd, lambda v: lg.std(v, 1, ddof=1)):
        np.testing.assert_array_equal(gradient(function, x), np.zeros((2, 3)))
        np.testing.assert_array_equal(gradient(function, x, order=2), np.zeros((2, 3)))
    leaf = Value(x)
    assert run(jvp(lg.std(leaf), leaf, TABLE)) == 0
    assert np.isnan(gradient(lg.std, np.array([1.0, NAN]))).all()


def test_divisors_of_variance():
    x = Value(TABLE)
    for name in ("var", "std", "nanvar", "nanstd"):
        ours, theirs = getattr(lg, name), getattr(np, name)
        for ddof in (0, 1, 1.5):
            np.testing.assert_allclose(run(ours(x, 1, ddof=ddof)), theirs(TABLE, 1, ddof=ddof))
        np.testing.assert_allclose(run(ours(x, 1, correction=1)), theirs(TABLE, 1, ddof=1))
        with pytest.raises(OptionError, match="give ddof= or correction=, not both"):
            ours(x, ddof=1, correction=1)
        with pytest.raises(OptionError, match="ddof must be a number, got 'n'"):
            ours(x, ddof="n")
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning):
        expected = np.var(TABLE, 0, ddof=2)
    np.testing.assert_array_equal(run(lg.var(x, 0, ddof=2)), expected)
    assert np.isnan(run(lg.nanvar(x, 0, ddof=3))).all()


def test_average():
    w = np.array([1.0, 2.0, 4.0])
    x = Value(TABLE)
    np.testing.assert_allclose(run(lg.average(x, 1, w)), np.average(TABLE, 1, w))
    full = np.abs(TABLE)
    np.testing.assert_allclose(run(lg.average(x, weights=full)), np.average(TABLE, weights=full))
    cube, weights = np.arange(24.0).reshape(2, 3, 4), np.arange(8.0).reshape(4, 2) + 1
    np.testing.assert_allclose(
        run(lg.average(Value(cube), (2, 0), weights)), np.average(cube, (2, 0), weights)
    )
    np.testing.assert_allclose(run(lg.average(Value([1, 2]), weights=[1, 3])), 1.75)
    leaf = Value(w)
    np.testing.assert_allclose(
        run(grad(lg.average(TABLE[0], weights=leaf), leaf)),
        (TABLE[0] - np.average(TABLE[0], weights=w)) / w.sum(),
    )
    with pytest.raises(ShapeError, match=r"average.*: weights \[3\] fit neither \[2, 3\] nor"):
        lg.average(x, weights=w)
    with pytest.raises(ShapeError, match=r"average.*: weights must have the lengths of axis=0"):
        lg.average(x, 0, w)


@pytest.mark.parametrize("order", [None, 0, 1, 2, 3, -1, 0.5, INF, -INF])
def test_norms_of_vectors(order):
    for axis in (0, -1):
        for keepdims in (False, True):
            node = lg.norm(Value(TABLE), order, axis, keepdims)
            np.testing.assert_allclose(run(node), np.linalg.norm(TABLE, order, axis, keepdims))
    vector = np.linalg.vector_norm(Value(TABLE), ord=2 if order is None else order)
    np.testing.assert_allclose(run(vector), np.linalg.norm(TABLE.reshape(-1), order))


@pytest.mark.parametrize("order", [None, "fro", 1, -1, INF, -INF])
def test_norms_of_matrices(order):
    stack = np.stack([TABLE, -2 * TABLE, TABLE + 1])
    for axis in ((1, 2), (2, 0), (-1, -2)):
        for keepdims in (False, True):
            node = np.linalg.norm(Value(stack), order, axis, keepdims)
            np.testing.assert_allclose(run(node), np.linalg.norm(stack, order, axis, keepdims))
    np.testing.assert_allclose(run(lg.norm(Value(TABLE), order)), np.linalg.norm(TABLE, order))


def test_norm_at_zero_and_its_errors():
    zero = np.zeros(3)
    for order in (None, 1, 2, 3):
        np.testing.assert_array_equal(gradient(lambda v, o=order: lg.norm(v, o), zero), zero)
    np.testing.assert_array_equal(gradient(lg.norm, zero, order=2), zero)
    np.testing.assert_allclose(gradient(lg.norm, np.array([3.0, 4.0])), [0.6, 0.8])
    assert np.isnan(gradient(lg.norm, np.array([NAN, 4.0]))).all()
    assert run(lg.norm(Value(TABLE[None]))) == np.linalg.norm(TABLE)
    with pytest.raises(OptionError, match="of matrices ord is None, 'fro', 1, -1, inf or -inf"):
        lg.norm(Value(TABLE), 2)
    with pytest.raises(OptionError, match="of vectors ord is a number, got 'fro'"):
        lg.norm(Value(zero), "fro")
    with pytest.raises(ShapeError, match="ord=1 needs one axis or two"):
        lg.norm(Value(np.zeros((2, 2, 2))), 1)


@pytest.mark.parametrize(
    "name", ["nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd"]
)
@pytest.mark.filterwarnings("ignore")
def test_nan_is_left_out(name):
    rows = np.array([[1.0, NAN, 3.0], [NAN, NAN, NAN], [NAN, 2.0, NAN]])
    for axis in (None, 0, 1):
        expected = getattr(np, name)(rows, axis=axis)
        np.testing.assert_allclose(run(getattr(lg, name)(Value(rows), axis)), expected)
    x = Value(np.array([4.0, -1.0, 9.0, 16.0]))
    found = run(grad(getattr(lg, name)(lg.sqrt(x)), x))
    kept = Value(np.array([4.0, 9.0, 16.0]))
    expected = run(grad(getattr(lg, name.removeprefix("nan"))(lg.sqrt(kept)), kept))
    np.testing.assert_allclose(found, np.insert(expected, 1, 0))


def test_variance_over_a_length_known_later():
    x = placeholder(("batch",), name="x")
    data = np.array([1.0, 2.0, 4.0], np.float32)
    feeds, lengths = {"x": data}, {"batch": 3}
    np.testing.assert_allclose(run(lg.var(x, ddof=1), feeds, lengths), np.var(data, ddof=1))
    assert lg.var(placeholder(("n",), dtype="float32", name="y"), ddof=1).spec.dtype == np.float32
    with pytest.raises(OptionError, match=r"ddof must be whole, got 0\.5"):
        lg.var(x, ddof=0.5)
