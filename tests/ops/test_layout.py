"""Padding, repeating, rolling and triangles against NumPy's."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import DTypeError, OptionError, ShapeError
from lazygrad.ir.graph import Graph
from lazygrad.testing import check_gradient

X = np.arange(12.0).reshape(3, 4) + 1


def run(node, lengths=None, **feeds):
    return interpret(Graph([node]), feeds, lengths or {})[0]


def agrees(function, *arrays):
    """Compare a function of nodes with NumPy's, and its derivative with differences."""
    nodes = [lg.Value(array) for array in arrays]
    y, expected = function(*nodes), function(*arrays)
    assert y.shape == expected.shape
    assert y.dtype == expected.dtype
    assert np.array_equal(run(y), expected)
    if y.dtype.kind == "f":
        check_gradient(y, nodes, directions=1)


@pytest.mark.parametrize(
    "width", [0, 2, (1,), (1, 2), [(1, 2)], ((0, 1), (2, 0)), ((1,), (2,)), {1: (1, 2)}, [[1], [0]]]
)
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_pad(width, mode):
    if isinstance(width, dict) and np.lib.NumpyVersion(np.__version__) < "2.3.0":
        pytest.skip("NumPy takes no dict here")
    agrees(lambda a: np.pad(a, width, mode=mode), X)


@pytest.mark.parametrize("values", [3.0, (1, 2), ((1, 2), (3, 4)), ((1,), (2,))])
def test_pad_constants(values):
    agrees(lambda a: np.pad(a, ((1, 2), (2, 1)), constant_values=values), X)
    agrees(lambda a: np.pad(a, ((1, 2), (2, 1)), constant_values=values), X.astype(int))
    cube = np.arange(8).reshape(2, 2, 2)
    agrees(lambda a: np.pad(a, 1, constant_values=values if len(np.shape(values)) < 2 else 0), cube)


def test_pad_edges():
    agrees(lambda a: np.pad(a, (2, 1)), np.zeros(0))
    agrees(lambda a: np.pad(a, (2, 1), constant_values=True), np.zeros((1, 2), bool))
    agrees(lambda a: np.pad(a, 9, mode="reflect"), np.arange(3.0))
    x = lg.placeholder(("n", 2), name="x")
    y = lg.pad(x, ((1, x.shape[0]), (0, 1)))
    assert str(y.shape[0]) == "2*n + 1"
    a = np.ones((3, 2))
    assert np.array_equal(run(y, {"n": 3}, x=a), np.pad(a, ((1, 3), (0, 1))))
    assert np.array_equal(run(lg.grad((y * y).sum(), x), {"n": 3}, x=a), 2 * a)


def test_pad_errors():
    x = lg.Value(X)
    with pytest.raises(OptionError, match=r"a width must not be negative, got -1"):
        lg.pad(x, -1)
    with pytest.raises(OptionError, match=r"pad_width must be .* for each of 2 axes"):
        lg.pad(x, ((1, 1), (1, 1), (1, 1)))
    with pytest.raises(OptionError, match=r'mode must be "constant", .* got "mean"|mean'):
        lg.pad(x, 1, mode="mean")
    with pytest.raises(DTypeError, match=r"the value 0.5 doesn't fit int64"):
        lg.pad(lg.Value([1]), 1, constant_values=0.5)
    with pytest.raises(OptionError, match=r"constant_values must be numbers"):
        lg.pad(x, 1, constant_values=lg.Value(1.0))
    with pytest.raises(OptionError, match=r"mode 'edge' needs a known length, axis 0 has n"):
        lg.pad(lg.placeholder(("n",), name="x"), 1, mode="edge")
    with pytest.raises(ShapeError, match=r"axis 0 of length 0 has nothing to pad with"):
        lg.pad(np.zeros(0), 1, mode="edge")


@pytest.mark.parametrize("reps", [0, 1, 2, (2,), (2, 3), (2, 1, 3), (1, 2, 1, 1), ()])
def test_tile(reps):
    agrees(lambda a: np.tile(a, reps), X)
    agrees(lambda a: np.tile(a, reps), np.float64(2.0))


@pytest.mark.parametrize(
    ("repeats", "axis"),
    [(2, None), (2, 0), (0, 1), ([1, 0, 2], 0), ([3], 1), ([1, 0, 2, 1], -1), (1, 1)],
)
def test_repeat(repeats, axis):
    agrees(lambda a: np.repeat(a, repeats, axis=axis), X)


def test_repeats_of_symbolic_lengths():
    x = lg.placeholder(("n", 2), name="x")
    a = np.arange(6.0).reshape(3, 2)
    assert np.array_equal(run(lg.tile(x, (2, 1)), {"n": 3}, x=a), np.tile(a, (2, 1)))
    y = lg.repeat(x, x.shape[0], axis=0)
    assert str(y.shape[0]) == "n*n"
    assert np.array_equal(run(y, {"n": 3}, x=a), np.repeat(a, 3, axis=0))
    y = lg.repeat(x, [2, 0, 1], axis=0)
    assert np.array_equal(run(y, {"n": 3}, x=a), np.repeat(a, [2, 0, 1], axis=0))
    with pytest.raises(ShapeError, match=r"repeat.*: 2 repeats for axis 0 of length 3"):
        lg.repeat(lg.Value(X), [1, 2], axis=0)
    with pytest.raises(
        OptionError, match=r"tile.*: a number of repeats must not be negative, got -1"
    ):
        lg.tile(x, -1)


@pytest.mark.parametrize(
    ("shift", "axis"),
    [
        (1, None),
        (-5, None),
        (1, 0),
        (-2, 1),
        (7, -1),
        ((1, 2), (0, 1)),
        (1, (0, 1)),
        ((1, 1), (0, 0)),
        (0, 0),
        ((1, 2), 1),
    ],
)
def test_roll(shift, axis):
    agrees(lambda a: np.roll(a, shift, axis=axis), X)
    agrees(lambda a: np.roll(a, shift, axis=axis), X[:0])


def test_roll_by_a_length():
    x = lg.placeholder(("n",), name="x")
    y = lg.roll(x, x.shape[0] // 2)
    for n in (0, 1, 4, 5):
        a = np.arange(float(n))
        assert np.array_equal(run(y, {"n": n}, x=a), np.roll(a, n // 2))
        g = run(lg.grad((y * np.float64(2) * y).sum(), x), {"n": n}, x=a)
        assert np.array_equal(g, 4 * a)
    with pytest.raises(OptionError, match=r"roll.*: a shift must be an integer"):
        lg.roll(x, 0.5, 0)


@pytest.mark.parametrize("k", [-4, -1, 0, 1, 9])
def test_triangles(k):
    for a in (X, X[:, :1], X[:0], np.arange(8).reshape(2, 2, 2), X[0]):
        agrees(lambda x: np.tril(x, k), a)
        agrees(lambda x: np.triu(x, k), a)
    x = lg.placeholder(("n", "m"), name="x")
    lengths = {"n": 3, "m": 4}
    assert np.array_equal(run(lg.tril(x, k), lengths, x=X), np.tril(X, k))


def test_triangle_leaves_no_nan_outside():
    x = lg.Value([[0.0, 1.0], [4.0, 9.0]])
    with np.errstate(all="ignore"):
        g = run(lg.grad(lg.triu(lg.sqrt(x), 1).sum(), x))
    assert g.tolist() == [[0, 0.5], [0, 0]]
    with pytest.raises(ShapeError, match=r"a triangle needs two axes or more"):
        lg.tril(1.0)


@pytest.mark.parametrize("offset", [-3, -1, 0, 2])
def test_trace(offset):
    agrees(lambda a: np.trace(a, offset), X)
    agrees(lambda a: np.trace(a, offset, 2, 0), np.arange(24.0).reshape(2, 3, 4))
    agrees(lambda a: np.trace(a, offset), X.astype(np.int8))
    assert lg.trace(lg.Value(X), dtype=np.float32).dtype == np.float32
