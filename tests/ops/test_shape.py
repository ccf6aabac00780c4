"""Axes and elements moved about, against NumPy's."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import AxisError, OptionError, ShapeError
from lazygrad.ir.graph import Graph
from lazygrad.testing import check_gradient

X = np.arange(24.0).reshape(2, 3, 4)


def run(node, lengths=None, **feeds):
    return interpret(Graph([node]), feeds, lengths or {})[0]


@pytest.mark.parametrize(
    "function",
    [
        lambda a: np.ravel(a),
        lambda a: a.flatten(),
        lambda a: a.ravel(),
        lambda a: np.swapaxes(a, 0, -1),
        lambda a: a.swapaxes(1, 1),
        lambda a: np.moveaxis(a, 0, -1),
        lambda a: np.moveaxis(a, [0, 1], [-1, 0]),
        lambda a: np.moveaxis(a, (2, 0), (0, 1)),
        lambda a: np.rollaxis(a, 2),
        lambda a: np.rollaxis(a, 0, 3),
        lambda a: np.rollaxis(a, 1, -1),
        lambda a: np.atleast_1d(a),
        lambda a: np.flip(a),
        lambda a: np.flip(a, 1),
        lambda a: np.flip(a, (0, -1)),
        lambda a: np.flip(a, ()),
        lambda a: np.fliplr(a),
        lambda a: np.flipud(a),
        *[lambda a, k=k: np.rot90(a, k) for k in range(-1, 5)],
        *[lambda a, k=k: np.rot90(a, k, (2, 0)) for k in range(4)],
        lambda a: np.diagonal(a),
        lambda a: np.diagonal(a, 1, 2, 1),
        lambda a: np.diagonal(a, -9),
        lambda a: a.diagonal(-1, 0, 2),
        lambda a: np.diag(a[0]),
        lambda a: np.diag(a[0], 2),
        lambda a: np.diag(a[0, 0]),
        lambda a: np.diag(a[0, 0], -2),
        lambda a: np.diagflat(a[0], 1),
        lambda a: np.broadcast_arrays(a, a[0, :, :1])[1],
    ],
)
def test_is_numpy_s(function):
    x = lg.Value(X)
    y, expected = function(x), function(X)
    assert y.shape == expected.shape
    assert np.array_equal(run(y), expected)
    check_gradient(y, x, directions=1)
    assert np.array_equal(run(function(lg.Value(X > 7))), function(X > 7))


@pytest.mark.parametrize("a", [X, X[0], X[0, 0], X[0, 0, 0], X[:0]])
def test_at_least(a):
    for function in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
        assert np.array_equal(run(function(lg.Value(a))), function(a))
        assert function(lg.Value(a)).shape == function(a).shape
    pair = np.atleast_2d(lg.Value(a), lg.Value(1.0))
    assert isinstance(pair, tuple)
    assert pair[1].shape == (1, 1)


def test_views():
    x = lg.Value(X)
    for y in (lg.flip(x), lg.rot90(x), lg.diagonal(x), lg.ravel(x), lg.swapaxes(x, 0, 1)):
        assert np.shares_memory(run(y), x.cell.array)


def test_size():
    x = lg.placeholder(("n", 3), name="x")
    assert str(x.size) == "3*n"
    assert np.size(lg.Value(X)) == 24
    assert lg.Value(X).size == 24
    assert np.size(lg.Value(X), 1) == 3


def test_symbolic_lengths():
    x = lg.placeholder(("n", "m"), name="x")
    a = X[0]
    lengths = {"n": 3, "m": 4}
    for function in (np.ravel, np.flip, np.rot90, np.diagonal, np.diag, np.diagflat):
        assert np.array_equal(run(function(x), lengths, x=a), function(a))
        y = function(x)
        assert np.array_equal(
            run(lg.grad((y * y).sum(), x), lengths, x=a),
            2 * (np.diag(a.diagonal()) @ np.eye(3, 4) if y.op.name == "diagonal" else a),
        )
    assert str(lg.diagonal(x).shape[0]) == "min(m, n)"
    v = lg.placeholder(("n",), name="v")
    assert str(lg.diag(v, -2).shape[0]) == "n + 2"


def test_elements_off_the_diagonal_get_no_nan():
    x = lg.Value([[4.0, 0.0], [-1.0, 9.0]])
    with np.errstate(all="ignore"):
        g = run(lg.grad(lg.diagonal(lg.sqrt(x)).sum(), x))
    assert g.tolist() == [[1 / 4, 0], [0, 1 / 6]]


def test_errors():
    x = lg.Value(X)
    with pytest.raises(OptionError, match=r"ravel.*: the order is row-major; order='F'"):
        lg.ravel(x, order="F")
    with pytest.raises(AxisError, match=r"axis 3 is out of range"):
        lg.swapaxes(x, 0, 3)
    with pytest.raises(OptionError, match=r"moveaxis.*: 2 axes .* can't go to 1 places"):
        lg.moveaxis(x, (0, 1), 0)
    with pytest.raises(OptionError, match=r"rollaxis.*: start 4 must lie in -3 to 3"):
        lg.rollaxis(x, 0, 4)
    with pytest.raises(OptionError, match=r"rot90.*: two axes span the plane"):
        lg.rot90(x, 1, (0, 1, 2))
    with pytest.raises(ShapeError, match=r"diagonal: needs two axes or more, got float64\[\]"):
        lg.diagonal(1.0)
    with pytest.raises(OptionError, match=r"axis1 and axis2 are the same axis, 1"):
        lg.diagonal(x, 0, 1, -2)
    with pytest.raises(ShapeError, match=r"diag.*: takes a vector or a matrix"):
        lg.diag(x)


def test_broadcasting_to_a_length_that_may_be_equal():
    x = lg.placeholder(("n",), name="x")
    y = lg.broadcast_to(x[:2], (3, 2))
    assert len(y.assumptions) == 1
    assert run(y, {"n": 4}, x=np.arange(4.0)).tolist() == [[0, 1]] * 3
    with pytest.raises(ShapeError, match=r"\[n\] can't be broadcast to \[n \+ 1\]"):
        lg.broadcast_to(x, (x.shape[0] + 1,))
