"""Functional updates against NumPy's assignments."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import AxisError, DTypeError, OptionError, ShapeError
from lazygrad.ir.graph import Graph
from lazygrad.testing import check_gradient

X = np.arange(12.0).reshape(3, 4) + 1
KEYS = [
    np.s_[1],
    np.s_[1:, ::-2],
    np.s_[:],
    np.s_[...],
    np.s_[0, 0],
    np.s_[[2, 0]],
    np.s_[:, [1, 3]],
    np.s_[[0, 1], [1, 2]],
    np.s_[1:, [0, 2]],
    np.s_[None, 1],
    X > 4,
    np.s_[5:],
    True,
]


def run(node, lengths=None, **feeds):
    return interpret(Graph([node]), feeds, lengths or {})[0]


def assigned(key, update):
    result = X.copy()
    result[key] = update(result[key])
    return result


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_is_numpy_s_assignment(key):
    x = lg.Value(X)
    v = np.random.default_rng(0).uniform(1, 9, X[key].shape)
    node = lg.Value(v)
    for y, update in [
        (x.at[key].set(node), lambda old: v),
        (x.at[key].add(node), lambda old: old + v),
        (x.at[key].multiply(node), lambda old: old * v),
        (x.at[key].divide(node), lambda old: old / v),
        (x.at[key].min(node), lambda old: np.minimum(old, v)),
        (x.at[key].max(node), lambda old: np.maximum(old, v)),
    ]:
        assert y.shape == X.shape
        np.testing.assert_allclose(run(y), assigned(key, update))
        check_gradient(y, [x, node], directions=1)
    assert np.array_equal(run(x), X)


def test_broadcast_values_and_numbers():
    x = lg.Value(X)
    assert np.array_equal(run(x.at[1:].set(5)), assigned(np.s_[1:], lambda old: 5))
    assert np.array_equal(
        run(x.at[1:].set([1, 2, 3, 4])), assigned(np.s_[1:], lambda _: [1, 2, 3, 4])
    )
    v = lg.Value(2.0)
    assert run(lg.grad(x.at[1:].set(v).sum(), v)) == 8


def test_set_with_repeated_indices_keeps_the_last():
    x, v = lg.Value(np.zeros(4)), lg.Value([1.0, 2.0, 3.0, 4.0])
    for i in ([1, 1, 3, 1], lg.Value(np.array([1, 1, 3, -3]))):
        y = x.at[i].set(v)
        assert run(y).tolist() == [0, 4, 0, 3]
        assert run(lg.grad(y.sum(), v)).tolist() == [0, 0, 1, 1]
        assert run(lg.grad(y.sum(), x)).tolist() == [1, 0, 1, 0]
        check_gradient(y, [x, v], directions=1)


def test_add_with_repeated_indices_adds_every_one():
    x, v = lg.Value(np.zeros((4, 2))), lg.Value(np.arange(6.0).reshape(3, 2))
    for i in ([1, 1, 3], lg.Value(np.array([1, -3, 3]))):
        y = x.at[i].add(v)
        assert run(y).tolist() == [[0, 0], [2, 4], [0, 0], [4, 5]]
        check_gradient(y, [x, v], directions=1)


def test_others_refuse_repeated_indices():
    x = lg.Value(np.ones(4))
    for name in ("multiply", "divide", "min", "max"):
        with pytest.raises(OptionError, match=f"{name}.*: an index is repeated; {name} needs dist"):
            getattr(x.at[[1, 1]], name)(2.0)
        computed = getattr(x.at[lg.Value(np.array([1, 1]))], name)(2.0)
        with pytest.raises(IndexError, match="an index is repeated"):
            run(computed)
        distinct = getattr(x.at[lg.Value(np.array([1, 3]))], name)(lg.Value([2.0, 3.0]))
        run(distinct)
        check_gradient(distinct, x, directions=1)


def test_what_was_there_gets_no_gradient_not_even_nan():
    x = lg.Value([-1.0, 0.0, 4.0])
    for key in (np.s_[:2], [0, 1], lg.Value(np.array([1, 0])), lg.Value([True, True, False])):
        y = lg.sqrt(x).at[key].set(7.0)
        with np.errstate(all="ignore"):
            assert run(lg.grad(y.sum(), x)).tolist() == [0, 0, 0.25]


def test_computed_mask():
    x = lg.placeholder((4,), name="x")
    a = np.array([1.0, -2.0, 3.0, -4.0])
    assert run(x.at[x < 0].set(0.0), x=a).tolist() == [1, 0, 3, 0]
    assert run(x.at[x < 0].multiply(2.0), x=a).tolist() == [1, -4, 3, -8]


def test_symbolic_length():
    x = lg.placeholder(("n",), name="x")
    a = np.arange(4.0)
    assert run(x.at[-1].set(9.0), {"n": 4}, x=a).tolist() == [0, 1, 2, 9]
    y = x.at[1:].add(x[:-1])
    assert run(y, {"n": 4}, x=a).tolist() == [0, 1, 3, 5]
    assert run(lg.grad(y.sum(), x), {"n": 4}, x=a).tolist() == [2, 2, 2, 1]


def test_dtypes():
    small = lg.Value(np.ones(3, np.float32))
    assert small.at[0].set(2.0).dtype == np.float32
    assert small.at[0].add(lg.Value(np.ones(()))).dtype == np.float32
    whole = lg.Value(np.arange(3))
    assert run(whole.at[[0, 0]].add(5)).tolist() == [10, 1, 2]
    assert run(lg.Value([True, False]).at[1].set(True)).tolist() == [True, True]
    with pytest.raises(
        DTypeError, match=r"at\[...\].set.*: float64\[\] can't be written into int64"
    ):
        whole.at[0].set(1.5)
    with pytest.raises(DTypeError, match=r"divide.*: a quotient is a float, which int64"):
        whole.at[0].divide(2)


def test_errors():
    x = lg.Value(X)
    with pytest.raises(AxisError, match=r"at\[...\].set.*: index 7 is out of range for axis 0"):
        x.at[7].set(1.0)
    with pytest.raises(ShapeError, match=r"at\[...\].add.*: the index picks \[4\]"):
        x.at[0].add(np.ones(3))
