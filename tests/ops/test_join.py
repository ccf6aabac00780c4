"""Joining and splitting against NumPy's."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import AxisError, OptionError, ShapeError
from lazygrad.ir.graph import Graph
from lazygrad.testing import check_gradient

X = np.arange(12.0).reshape(3, 4) + 1
Y = -np.arange(8.0).reshape(2, 4)
CUBE = np.arange(60.0).reshape(3, 4, 5)


def run(node, lengths=None, **feeds):
    return interpret(Graph([node]), feeds, lengths or {})[0]


def same(node, expected):
    assert node.shape == expected.shape
    assert node.dtype == expected.dtype
    assert np.array_equal(run(node), expected)


@pytest.mark.parametrize(
    ("function", "arrays"),
    [
        (lambda a: np.concatenate(a), [X, Y]),
        (lambda a: np.concatenate(a, axis=1), [X, X[:, :1], X[:, :0]]),
        (lambda a: np.concatenate(a, axis=None), [X, Y]),
        (lambda a: np.concatenate(a, axis=-1), [X, X]),
        (lambda a: np.stack(a), [X, X]),
        (lambda a: np.stack(a, axis=-1), [X, 2 * X]),
        (lambda a: np.stack(a, 1), [X[0], X[1], X[2]]),
        (lambda a: np.stack(a), [np.float64(1), np.float64(2)]),
        (lambda a: np.vstack(a), [X, X[0]]),
        (lambda a: np.hstack(a), [X[0], X[1, :2]]),
        (lambda a: np.hstack(a), [X, X]),
        (lambda a: np.dstack(a), [X, X]),
        (lambda a: np.dstack(a), [X[0], X[1]]),
        (lambda a: np.column_stack(a), [X[:, 0], X]),
        (lambda a: np.append(a[0], a[1]), [X, Y]),
        (lambda a: np.append(a[0], a[1], axis=0), [X, Y]),
    ],
)
def test_joining(function, arrays):
    nodes = [lg.Value(array) for array in arrays]
    y = function(nodes)
    same(y, function(arrays))
    check_gradient(y, nodes, directions=1)


def test_dtypes_are_promoted_and_cotangents_are_not():
    x, y = lg.Value(np.ones(2, np.float32)), lg.Value(np.ones(3))
    joined = lg.concatenate([x, y, np.array([1, 2])])
    assert joined.dtype == np.float64
    assert [g.dtype.name for g in lg.grad(joined.sum(), [x, y])] == ["float32", "float64"]
    same(lg.concatenate([np.array([True]), np.array([2], np.int8)]), np.array([1, 2], np.int8))
    same(lg.concatenate([lg.Value(X), Y], dtype=np.float32), np.concatenate([X, Y]).astype("f4"))


def test_one_node_twice():
    x = lg.Value([1.0, 2.0])
    y = lg.concatenate([x, x * x, x])
    assert run(lg.grad((y * y).sum(), x)).tolist() == [8.0, 40.0]


def test_joining_symbolic_lengths():
    x, y = lg.placeholder(("n", 4), name="x"), lg.placeholder(("m", 4), name="y")
    z = lg.concatenate([x, y, x])
    assert str(z.shape[0]) == "m + 2*n"
    lengths = {"n": 3, "m": 2}
    assert np.array_equal(run(z, lengths, x=X, y=Y), np.concatenate([X, Y, X]))
    g = lg.grad((z * z).sum(), [x, y])
    assert np.array_equal(run(g[0], lengths, x=X, y=Y), 4 * X)
    assert np.array_equal(run(g[1], lengths, x=X, y=Y), 2 * Y)
    assert lg.stack([x, x], 1).shape[1:] == (2, 4)


def test_joining_errors():
    with pytest.raises(ShapeError, match=r"on axis 1.*operand 0 has length 4 and operand 1 has 3"):
        lg.concatenate([lg.Value(X), np.ones((3, 3))])
    with pytest.raises(ShapeError, match=r"operand 0 has 2 axes and operand 1 has 1"):
        lg.concatenate([lg.Value(X), np.ones(3)])
    with pytest.raises(ShapeError, match=r"values without axes can't be joined; use stack"):
        lg.concatenate([lg.Value(1.0), 2.0])
    with pytest.raises(OptionError, match=r"concatenate: needs one array or more"):
        lg.concatenate([])
    with pytest.raises(OptionError, match=r"stack: takes a list of arrays, got int"):
        lg.stack(3)
    with pytest.raises(AxisError, match=r"axis 2 is out of range"):
        lg.concatenate([lg.Value(X)], axis=2)
    with pytest.raises(ShapeError, match=r"all shapes must be equal, but operand 0 is float64"):
        lg.stack([lg.Value(X), X[0]])


@pytest.mark.parametrize(
    "function",
    [
        lambda a: np.split(a, 2, axis=1),
        lambda a: np.split(a, [1, 3], axis=1),
        lambda a: np.split(a, [1, 9], axis=0),
        lambda a: np.split(a, np.array([-1]), axis=2),
        lambda a: np.array_split(a, 3, axis=2),
        lambda a: np.array_split(a, 7, axis=0),
        lambda a: np.hsplit(a, 2),
        lambda a: np.vsplit(a, 3),
        lambda a: np.dsplit(a, 5),
        lambda a: np.dsplit(a, [2]),
    ],
)
def test_splitting(function):
    x = lg.Value(CUBE)
    parts, expected = function(x), function(CUBE)
    assert len(parts) == len(expected)
    for part, array in zip(parts, expected, strict=True):
        same(part, array)
    check_gradient(sum((part * part).sum() * i for i, part in enumerate(parts, 1)), x, directions=1)


def test_unstack():
    x = lg.Value(CUBE)
    for axis in (0, 1, -1):
        for part, array in zip(lg.unstack(x, axis=axis), np.moveaxis(CUBE, axis, 0), strict=True):
            same(part, array)
    with pytest.raises(OptionError, match=r"unstack.*: axis 0 has length n; it must be a number"):
        lg.unstack(lg.placeholder(("n",), name="x"))


def test_splitting_symbolic_lengths():
    x = lg.placeholder(("n",), name="x")
    a = np.arange(8.0)
    for n in (4, 8):
        for part, array in zip(lg.split(x, 4), np.split(a[:n], 4), strict=True):
            assert np.array_equal(run(part, {"n": n}, x=a[:n]), array)
    for n in (0, 1, 5, 8):
        for part, array in zip(lg.array_split(x, 3), np.array_split(a[:n], 3), strict=True):
            assert np.array_equal(run(part, {"n": n}, x=a[:n]), array)


def test_splitting_errors():
    x = lg.Value(X)
    with pytest.raises(
        ShapeError, match=r"axis 1 of length 4 can't be split into 3 equal parts; us"
    ):
        lg.split(x, 3, axis=1)
    with pytest.raises(OptionError, match=r"the number of parts must be at least 1, got 0"):
        lg.array_split(x, 0)
    with pytest.raises(ShapeError, match=r"dsplit.*: needs three axes or more"):
        lg.dsplit(x, 2)


@pytest.mark.parametrize("indexing", ["xy", "ij"])
@pytest.mark.parametrize("sparse", [False, True])
def test_meshgrid(indexing, sparse):
    arrays = [np.arange(2.0), np.arange(3.0), np.arange(4)]
    for count in (0, 1, 2, 3):
        nodes = [lg.Value(array) for array in arrays[:count]]
        grids = lg.meshgrid(*nodes, indexing=indexing, sparse=sparse)
        expected = np.meshgrid(*arrays[:count], indexing=indexing, sparse=sparse)
        for grid, array in zip(grids, expected, strict=True):
            same(grid, array)
    with pytest.raises(OptionError, match=r'indexing must be "xy" or "ij", got "yx"|yx'):
        lg.meshgrid(lg.Value(X[0]), indexing="yx")


@pytest.mark.parametrize(
    "function",
    [
        lambda a: np.delete(a, 1, axis=0),
        lambda a: np.delete(a, [0, -1], axis=1),
        lambda a: np.delete(a, slice(None, None, 2), axis=1),
        lambda a: np.delete(a, 3),
        lambda a: np.delete(a, [], axis=0),
        lambda a: np.insert(a, 1, 7.0, axis=0),
        lambda a: np.insert(a, 1, [7.0, 8.0, 9.0, 10.0], axis=0),
        lambda a: np.insert(a, 2, [7.0, 8.0, 9.0], axis=1),
        lambda a: np.insert(a, [1, 1, 3], 0.5, axis=1),
        lambda a: np.insert(a, [2], [[7.0], [8.0], [9.0]], axis=1),
        lambda a: np.insert(a, -1, 7.0),
        lambda a: np.insert(a, 4, 7.0, axis=1),
        lambda a: np.insert(a, 2, [7.0, 8.0]),
        lambda a: np.insert(a, slice(0, 2), 7.0, axis=0),
    ],
)
def test_delete_and_insert(function):
    x = lg.Value(X)
    y = function(x)
    same(y, function(X))
    check_gradient(y, x, directions=1)


def test_insert_takes_nodes_and_keeps_the_dtype():
    v = lg.Value([2.0, 3.0])
    y = lg.insert(lg.Value([1.0, 4.0]), 1, v)
    assert run(y).tolist() == [1, 2, 3, 4]
    assert run(lg.grad((y * y).sum(), v)).tolist() == [4, 6]


def test_edit_errors():
    x = lg.Value(X)
    with pytest.raises(AxisError, match=r"delete.*: 5 is out of range for length 3"):
        lg.delete(x, 5, axis=0)
    with pytest.raises(AxisError, match=r"insert.*: \[9\] is out of range for length 4"):
        lg.insert(x, [9], 1.0, axis=1)
    with pytest.raises(OptionError, match=r"delete.*: axis 0 has length n; it must be a number"):
        lg.delete(lg.placeholder(("n",), name="x"), 0, axis=0)
    with pytest.raises(OptionError, match=r"the places must be known when building, not a node"):
        lg.delete(x, lg.Value(np.array(1)), axis=0)
