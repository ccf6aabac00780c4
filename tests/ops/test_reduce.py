"""Edges of reductions: ties, zeros, NaN, emptiness, dtypes, lengths, errors."""

import numpy as np
import pytest
from scipy import special

import lazygrad as lg
from lazygrad.autodiff import grad, hvp, jvp
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import AxisError, OptionError, ShapeError
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


REDUCTIONS = [
    "sum",
    "mean",
    "prod",
    "max",
    "min",
    "var",
    "std",
    "all",
    "any",
    "count_nonzero",
    "ptp",
    "nansum",
    "nanmean",
    "nanprod",
    "nanmax",
    "nanmin",
    "nanvar",
    "nanstd",
    "median",
]


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", "int64", "float16", "float32", "float64"]
)
def test_values_and_dtypes_are_numpys(name, dtype):
    if name == "ptp" and dtype == "bool":
        return
    x = TABLE.astype(dtype) if dtype[0] != "u" else np.abs(TABLE).astype(dtype)
    theirs, ours = getattr(np, name), getattr(lg, name)
    for axis in (None, 0, -1, (0, 1), (1, 0)):
        for keepdims in (False, True):
            node = ours(Value(x), axis=axis, keepdims=keepdims)
            expected = np.asarray(theirs(x, axis=axis, keepdims=keepdims))
            assert node.spec.shape == expected.shape
            assert node.spec.dtype == expected.dtype, (axis, keepdims)
            tolerance = 5e-3 if dtype == "float16" else 1e-5 if dtype == "float32" else 1e-13
            np.testing.assert_allclose(run(node), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean", "var", "std", "median"])
def test_numpys_function_and_the_method_mean_ours(name):
    x = Value(TABLE)
    expected = getattr(np, name)(TABLE, 0)
    np.testing.assert_allclose(run(getattr(np, name)(x, 0)), expected)
    np.testing.assert_allclose(run(getattr(x, name)(0)), expected)


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "all", "any"])
def test_scalars_and_no_axes_at_all(name):
    x = np.array(2.0)
    assert run(getattr(lg, name)(Value(x))) == getattr(np, name)(x)
    node = getattr(lg, name)(Value(TABLE), axis=())
    np.testing.assert_array_equal(run(node), getattr(np, name)(TABLE, axis=()))


def test_empty_reductions_are_numpys():
    empty = Value(np.zeros((0, 3)))
    np.testing.assert_array_equal(run(lg.sum(empty, 0)), np.zeros(3))
    np.testing.assert_array_equal(run(lg.prod(empty, 0)), np.ones(3))
    assert run(lg.all(empty))
    assert not run(lg.any(empty))
    for function in (lg.mean, lg.var, lg.std, lg.median, lg.nanmean):
        assert np.isnan(run(function(empty, 0))).all()
    for function in (lg.max, lg.min, lg.ptp, lg.argmax, lg.logsumexp):
        assert function(empty, axis=1).spec.shape == (0,)
        with pytest.raises(ShapeError, match=r"axis 0 of \[0, 3\] has length 0"):
            function(empty, axis=0)
    for function in (lg.sum, lg.prod, lg.mean, lg.var):
        assert gradient(function, np.zeros((0, 3))).shape == (0, 3)


def test_axes_are_checked():
    x = Value(TABLE)
    with pytest.raises(AxisError, match="axis 2 is out of range"):
        lg.max(x, axis=2)
    with pytest.raises(OptionError, match="names an axis twice"):
        lg.prod(x, axis=(0, -2))
    with pytest.raises(OptionError, match="axis must be an integer"):
        lg.argmax(x, axis=(0, 1))
    with pytest.raises(OptionError, match="unexpected keyword argument 'initial'"):
        np.max(x, initial=0)
    with pytest.raises(OptionError, match="unexpected keyword argument 'where'"):
        np.sum(x, where=True)
    with pytest.raises(OptionError, match="unexpected keyword argument 'mean'"):
        np.var(x, mean=0)


@pytest.mark.parametrize("zeros", [[], [1], [0, 2], [0, 1, 4, 8]])
@pytest.mark.parametrize("axes", [None, 0, 1, (1, 0)])
def test_prod_is_differentiated_at_zeros(zeros, axes):
    torch = pytest.importorskip("torch")
    x = np.array([[1.5, -2.0, 0.7, 3.0], [2.0, 0.3, -1.1, 0.9], [0.4, 1.2, 5.0, -0.6]])
    x.reshape(-1)[zeros] = 0
    weight = np.arange(1.0, 5.0)[: 1 if axes in (None, (1, 0)) else x.shape[1 - axes]]

    def theirs(t):
        # Factor after factor, since zeros are what is tested.
        factors = t.unbind(axes) if isinstance(axes, int) else t.reshape(12, 1).unbind(0)
        result = factors[0]
        for factor in factors[1:]:
            result = result * factor
        return (result * torch.tensor(weight)).sum()

    def ours(v):
        return lg.sum(lg.prod(v, axes) * weight)

    expected = torch.autograd.functional.jacobian(theirs, torch.tensor(x)).numpy()
    np.testing.assert_allclose(gradient(ours, x), expected, rtol=1e-12)
    hessian = torch.autograd.functional.hessian(theirs, torch.tensor(x)).reshape(12, 12).numpy()
    direction = np.linspace(-1, 1, 12)
    leaf = Value(x)
    product = run(hvp(ours(leaf), leaf, direction.reshape(3, 4)))
    np.testing.assert_allclose(product.reshape(-1), hessian @ direction, rtol=1e-11, atol=1e-12)
    t = np.cos(np.arange(12.0)).reshape(3, 4)
    np.testing.assert_allclose(run(jvp(ours(leaf), leaf, t)), (expected * t).sum())


def test_third_derivative_of_prod_at_three_zeros():
    leaf = Value(np.array([0.0, 0.0, 0.0, 2.0]))
    result = lg.prod(leaf)
    for place in range(3):
        result = lg.sum(grad(result, leaf) * np.eye(4)[place])
    assert run(result) == 2.0


def test_prod_of_integers_is_differentiated_over_the_reals():
    np.testing.assert_array_equal(gradient(lg.prod, np.array([2, 0, 3])), [0.0, 6.0, 0.0])
    assert gradient(lg.prod, np.array([2, 3])).dtype == np.float64


def test_ties_share_and_nan_stays():
    x = np.array([[1.0, 5.0, 5.0], [NAN, 1.0, 2.0], [7.0, 7.0, 7.0]])
    third = 1 / 3
    expected = [[0, 0.5, 0.5], [NAN] * 3, [third] * 3]
    np.testing.assert_allclose(gradient(lambda v: lg.max(v, 1), x), expected)
    np.testing.assert_allclose(gradient(lambda v: -lg.min(-v, 1), x), expected)
    leaf = Value(x)
    tangents = run(jvp(lg.max(leaf, 1), leaf, np.array([[9.0, 1, 3], [1, 1, 1], [0, 0, 3]])))
    np.testing.assert_array_equal(tangents, [2, NAN, 1])
    np.testing.assert_array_equal(gradient(lg.max, np.array([3, 3, 1])), [0.5, 0.5, 0])
    np.testing.assert_array_equal(gradient(lg.max, np.array([INF, 1.0])), [1, 0])


def test_argmax_takes_the_first_and_flattens():
    x = np.array([[1.0, 5.0, 5.0], [NAN, 9.0, NAN]])
    for ours, theirs in ((lg.argmax, np.argmax), (lg.argmin, np.argmin)):
        for axis in (None, 0, -1):
            for keepdims in (False, True):
                node = ours(Value(x), axis=axis, keepdims=keepdims)
                expected = theirs(x, axis=axis, keepdims=keepdims)
                assert node.spec.dtype == expected.dtype
                np.testing.assert_array_equal(run(node), expected)
    assert run(lg.argmax(Value(4.0))) == 0


def test_float16_is_averaged_in_float32():
    x = np.full(70_000, 3.0, np.float16)
    assert run(lg.mean(Value(x))) == np.mean(x) == 3
    assert run(lg.var(Value(x))) == 0
    assert gradient(lg.mean, x).dtype == np.float16


def test_logsumexp():
    x = np.array([[1.0, 2.0, -INF], [-INF] * 3, [INF, 0.0, 1.0], [1e4, 1e4, 0.0], [NAN, 1.0, 2.0]])
    with np.errstate(all="ignore"):
        expected = special.logsumexp(x, axis=1)
    np.testing.assert_allclose(run(lg.logsumexp(Value(x), 1)), expected)
    assert lg.logsumexp(Value(x), 1, True).spec.shape == (5, 1)
    assert lg.logsumexp(Value(np.arange(3, dtype=np.int8))).spec.dtype == np.float64
    rows = x[[0, 3]]
    np.testing.assert_allclose(
        gradient(lambda v: lg.logsumexp(v, 1), rows), special.softmax(rows, axis=1)
    )
    leaf = Value(np.array([0.3, -1.0, 2.0]))
    p = special.softmax(leaf.cell.array)
    hessian = np.diag(p) - np.outer(p, p)
    v = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(run(hvp(lg.logsumexp(leaf), leaf, v)), hessian @ v)


def test_a_row_of_nothing_that_is_not_chosen_gives_no_nan():
    x = Value(np.array([[1.0, 2.0], [-INF, -INF]]))
    total = lg.where(np.array([True, False]), lg.logsumexp(x, 1), 0.0)
    np.testing.assert_allclose(run(grad(total, x))[1], [0, 0])


@pytest.mark.parametrize(
    "name", ["mean", "prod", "max", "var", "std", "logsumexp", "norm", "median"]
)
def test_lengths_known_later(name):
    x = placeholder(("batch", 3), name="x", requires_grad=True)
    node = getattr(lg, name)(x, axis=0) * 1.0
    assert node.spec.shape == (3,)
    data = np.random.default_rng(0).normal(size=(5, 3))
    fixed = Value(data)
    same = getattr(lg, name)(fixed, axis=0) * 1.0
    feeds, lengths = {"x": data}, {"batch": 5}
    np.testing.assert_allclose(run(node, feeds, lengths), run(same))
    np.testing.assert_allclose(run(grad(node, x), feeds, lengths), run(grad(same, fixed)))
    whole = getattr(lg, name)(x)
    np.testing.assert_allclose(run(whole, feeds, lengths), run(getattr(lg, name)(fixed)))
    np.testing.assert_allclose(
        run(grad(whole, x), feeds, lengths), run(grad(getattr(lg, name)(fixed), fixed))
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda v: lg.var(v, 1, ddof=1),
        lambda v: lg.std(v, 0),
        lambda v: lg.norm(v, 3, 1),
        lambda v: lg.norm(v, None, 0),
        lambda v: lg.ptp(v, 1),
        lambda v: lg.nanstd(v, 0),
        lambda v: lg.prod(v, 1),
    ],
)
def test_derivatives_against_differences(function):
    direction = np.random.default_rng(1).normal(size=TABLE.shape)
    step = 1e-6

    def along(at):
        return run(function(Value(TABLE + at * direction)))

    leaf = Value(TABLE)
    numeric = (along(step) - along(-step)) / (2 * step)
    np.testing.assert_allclose(run(jvp(function(leaf), leaf, direction)), numeric, rtol=1e-6)
    weight = np.random.default_rng(2).normal(size=numeric.shape)
    pulled = run(grad(function(leaf), leaf, seed=weight))
    np.testing.assert_allclose((pulled * direction).sum(), (numeric * weight).sum(), rtol=1e-6)

    def gradient_along(at):
        leaf = Value(TABLE + at * direction)
        return run(grad(function(leaf), leaf, seed=weight))

    twice = (gradient_along(step) - gradient_along(-step)) / (2 * step)
    found = run(hvp(lg.sum(function(leaf) * weight), leaf, direction))
    np.testing.assert_allclose(found, twice, rtol=1e-5, atol=1e-7)
