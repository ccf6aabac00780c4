"""Edges of softmax and its logarithm: infinities, large scores, emptiness, storage, lengths."""

import numpy as np
import pytest
from scipy import special

import lazygrad as lg
from lazygrad.autodiff import grad, hvp, jvp
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import AxisError
from lazygrad.ir.graph import Graph
from lazygrad.ir.op import OUT, In, lookup
from lazygrad.ir.value import Value, placeholder

INF = np.inf
SCORES = np.array([[1.0, -2.0, 0.5], [1e4, 0.0, 1e4], [3.0, -INF, 1.0], [-1e5, -1e5, -1e5]])


def run(node, feeds=None, lengths=None):
    with np.errstate(all="ignore"):
        return interpret(Graph([node]), feeds or {}, lengths or {})[0]


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [-1, 0, None, (0, 1)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_are_scipys(name, axis, dtype):
    x = SCORES.astype(dtype)
    for array in (x, x.T):
        node = getattr(lg, name)(Value(array), axis)
        assert node.spec.dtype == dtype
        expected = getattr(special, name)(array, axis)
        np.testing.assert_allclose(run(node), expected, rtol=1e-6, atol=1e-7)


def test_large_scores_keep_their_digits():
    x = np.array([1e8, 1e8], np.float32)
    np.testing.assert_allclose(run(lg.log_softmax(Value(x))), np.full(2, np.log(0.5)), rtol=1e-7)


def test_rows_without_a_finite_peak_are_nan():
    x = Value(np.array([[-INF, -INF], [INF, 0.0], [np.nan, 0.0]]))
    assert np.isnan(run(lg.softmax(x))[[0, 1, 2], [0, 0, 0]]).all()
    assert np.isnan(run(lg.log_softmax(x))[0]).all()


def test_integers_scalars_and_nothing():
    assert lg.softmax(Value([1, 2])).spec.dtype == np.float64
    np.testing.assert_allclose(run(lg.softmax(Value([1, 2]))), special.softmax([1, 2]))
    assert run(lg.softmax(Value(3.0), axis=None)) == 1
    for shape in ((0, 3), (3, 0)):
        assert run(lg.softmax(Value(np.zeros(shape)))).shape == shape
        assert run(lg.log_softmax(Value(np.zeros(shape)))).shape == shape
    with pytest.raises(AxisError, match="axis -1 is out of range; legal: none"):
        lg.softmax(Value(3.0))


def test_masked_scores_have_derivative_zero():
    leaf = Value(SCORES)
    weight = np.arange(12.0).reshape(4, 3)
    y = special.softmax(SCORES, 1)
    expected = y * (weight - (weight * y).sum(1, keepdims=True))
    np.testing.assert_allclose(run(grad(lg.softmax(leaf), leaf, seed=weight)), expected, atol=1e-15)
    expected = weight - y * weight.sum(1, keepdims=True)
    found = run(grad(lg.log_softmax(leaf), leaf, seed=weight))
    np.testing.assert_allclose(found, expected, atol=1e-13)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_derivatives_are_torchs(name, axis):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    x, weight, t = rng.normal(size=(3, 2, 3))

    def theirs(v):
        v = v.reshape(-1) if axis is None else v
        return (getattr(torch, name)(v, axis or 0).reshape(2, 3) * torch.tensor(weight)).sum()

    leaf = Value(x)
    total = lg.sum(getattr(lg, name)(leaf, axis) * weight)
    expected = torch.autograd.functional.jacobian(theirs, torch.tensor(x)).numpy()
    np.testing.assert_allclose(run(grad(total, leaf)), expected, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(run(jvp(total, leaf, t)), (expected * t).sum(), rtol=1e-10)
    _, expected = torch.autograd.functional.hvp(theirs, torch.tensor(x), torch.tensor(t))
    np.testing.assert_allclose(run(hvp(total, leaf, t)), expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_the_direct_call_computes_the_same(name):
    op = lookup(name)
    for x in (SCORES, SCORES.T, np.zeros((0, 3))):
        node = getattr(lg, name)(Value(x), 1)
        bound = op.bound_call((node.operands[0].spec,), node.spec, node.attrs)
        out = np.array(x, order="C") if 0 in op.reusable else np.full(x.shape, np.nan)
        places = {In(0): out if 0 in op.reusable else x, OUT: out}
        bound.function(
            *[places.get(e, e) if isinstance(e, In) or e is OUT else e for e in bound.arguments]
        )
        np.testing.assert_array_equal(out, run(node))


def test_lengths_known_later():
    x = placeholder(("batch", 3), name="x", requires_grad=True)
    feeds, lengths, fixed = {"x": SCORES}, {"batch": 4}, Value(SCORES)
    for function in (lg.softmax, lg.log_softmax, lambda v: lg.softmax(v, 0)):
        y, same = function(x), function(fixed)
        np.testing.assert_array_equal(run(y, feeds, lengths), run(same))
        np.testing.assert_array_equal(
            run(grad(y, x, seed=SCORES > 0), feeds, lengths),
            run(grad(same, fixed, seed=SCORES > 0)),
        )
