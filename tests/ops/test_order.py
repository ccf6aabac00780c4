"""Edges of sorting and order statistics: ties, NaN, emptiness, masks, lengths, errors."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.autodiff import grad, jvp
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import AxisError, OptionError, ShapeError
from lazygrad.ir.graph import Graph
from lazygrad.ir.value import Value, placeholder

TABLE = np.array([[3.0, -1.0, 2.0, 2.0], [0.5, 4.0, -2.5, 7.0], [9.0, 1.0, 0.0, 5.0]])


def run(node, feeds=None, lengths=None):
    with np.errstate(all="ignore"):
        return interpret(Graph([node]), feeds or {}, lengths or {})[0]


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float64"])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_sorting_is_numpys(dtype, axis):
    x = np.abs(TABLE).astype(dtype)
    for array in (x, x.T, x[:, ::-1], x[:0]):
        for node, expected in (
            (lg.sort(Value(array), axis), np.sort(array, axis)),
            (lg.argsort(Value(array), axis), np.argsort(array, axis, kind="stable")),
        ):
            assert (node.spec.shape, node.spec.dtype) == (expected.shape, expected.dtype)
            np.testing.assert_array_equal(run(node), expected)


def test_a_derivative_goes_back_to_where_its_element_came_from():
    weight = np.arange(12.0).reshape(3, 4)
    leaf = Value(TABLE)
    for axis in (0, 1):
        order = np.argsort(TABLE, axis, kind="stable")
        expected = np.zeros((3, 4))
        np.put_along_axis(expected, order, weight, axis)
        y = lg.sort(leaf, axis)
        np.testing.assert_array_equal(run(grad(lg.sum(y * weight), leaf)), expected)
        np.testing.assert_array_equal(
            run(jvp(y, leaf, weight)), np.take_along_axis(weight, order, axis)
        )
        cubes = lg.sum(y**3 * weight)
        second = run(grad(grad(cubes, leaf), leaf))
        np.testing.assert_allclose(second, 6 * TABLE * expected)
    ties = Value(np.array([1.0, 1.0, 0.0]))
    np.testing.assert_array_equal(
        run(grad(lg.sort(ties), ties, seed=np.array([1.0, 2, 3]))), [2, 3, 1]
    )


def test_an_element_that_is_not_chosen_gives_no_nan():
    x = Value(np.array([4.0, 0.0, -1.0]))
    roots = lg.sort(lg.sqrt(x))
    chosen = lg.sum(lg.where(np.array([False, True, False]), roots, 0.0))
    np.testing.assert_array_equal(run(grad(chosen, x)), [0.25, 0, 0])


def test_nan_is_last():
    x = np.array([np.nan, 1.0, -np.inf, np.inf])
    np.testing.assert_array_equal(run(np.sort(Value(x))), np.sort(x))
    np.testing.assert_array_equal(run(np.argsort(Value(x))), [2, 1, 3, 0])


def test_arguments_are_checked():
    x = Value(TABLE)
    with pytest.raises(OptionError, match=r"sort.*: there is no kind='bubble'"):
        lg.sort(x, kind="bubble")
    with pytest.raises(AxisError, match="axis 2 is out of range"):
        lg.argsort(x, 2)
    with pytest.raises(OptionError, match=r"partition.*: kth=4 is out of range for length 4"):
        np.partition(x, 4)
    with pytest.raises(OptionError, match='side is "left" or "right", got \'up\''):
        lg.searchsorted(x, 1.0, side="up")
    with pytest.raises(ShapeError, match=r"must have one axis, got \[3, 4\]"):
        lg.searchsorted(x, 1.0)
    with pytest.raises(OptionError, match=r"quantile.*: q must lie between 0 and 1, got 1\.5"):
        lg.quantile(x, 1.5)
    with pytest.raises(OptionError, match=r'percentile.*: only method="linear"'):
        np.percentile(x, 50, method="nearest")
    with pytest.raises(OptionError, match="q must be numbers, not a node"):
        lg.quantile(x, Value(0.5))


def test_partition_puts_its_elements_in_place():
    found = run(np.partition(Value(TABLE), (1, -1), axis=1))
    np.testing.assert_array_equal(found[:, [1, 3]], np.sort(TABLE, 1)[:, [1, 3]])


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2), (2, 1), ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_quantiles_are_numpys(axis, keepdims):
    x = np.stack([TABLE, TABLE[::-1] * 2 + 1])
    for q in (0, 0.3, 0.5, 1.0, [0.1, 0.9], [[0.25], [0.5]]):
        node = np.quantile(Value(x), q, axis, keepdims=keepdims)
        expected = np.quantile(x, q, axis=axis, keepdims=keepdims)
        assert node.spec.shape == expected.shape
        np.testing.assert_allclose(run(node), expected, rtol=1e-14)
        per_cent = np.percentile(Value(x), np.multiply(q, 100), axis, keepdims=keepdims)
        np.testing.assert_allclose(run(per_cent), expected, rtol=1e-12)
    node = np.median(Value(x), axis, keepdims=keepdims)
    np.testing.assert_array_equal(run(node), np.median(x, axis, keepdims=keepdims))


def test_medians_of_odd_things():
    assert run(lg.median(Value(3.0))) == 3
    assert run(lg.median(Value([1, 2]))) == 1.5
    assert run(lg.median(Value(np.array([np.inf, np.inf])))) == np.inf
    assert lg.median(Value(np.ones(3, np.float32))).spec.dtype == np.float32
    assert np.isnan(run(lg.median(Value(np.zeros((0, 2))), 0))).all()
    leaf = Value(np.array([[1.0, np.nan, 2.0], [5.0, 1.0, 2.0]]))
    np.testing.assert_array_equal(run(lg.median(leaf, 1)), [np.nan, 2])
    found = run(grad(lg.median(leaf, 1), leaf))
    assert np.isnan(found[0]).any()
    np.testing.assert_array_equal(found[1], [0, 0, 1])


def test_quantiles_share_the_derivative_between_neighbours():
    leaf = Value(np.array([4.0, 0.0, 1.0]))
    np.testing.assert_allclose(run(grad(lg.quantile(leaf, 0.6), leaf)), [0.2, 0, 0.8])
    found = run(jvp(lg.quantile(leaf, [0.6, 1.0]), leaf, np.array([1.0, 5, 2])))
    np.testing.assert_allclose(found, [1.8, 1])


def test_searchsorted_is_numpys():
    row, v = np.array([1.0, 2.0, 2.0, 3.0]), np.array([[0.0, 2.0], [2.5, np.nan]])
    for side in ("left", "right"):
        node = np.searchsorted(Value(row), v, side)
        assert node.spec.dtype == np.searchsorted(row, v).dtype
        np.testing.assert_array_equal(run(node), np.searchsorted(row, v, side))
    assert run(lg.searchsorted(row, Value(2.0))) == 1


def test_lengths_known_later():
    x = placeholder(("batch", 4), name="x", requires_grad=True)
    feeds, lengths, fixed = {"x": TABLE}, {"batch": 3}, Value(TABLE)
    for function in (
        lambda v: lg.sort(v, 0) ** 2,
        lambda v: lg.sort(v, None) ** 2,
        lambda v: lg.median(v, 0),
        lambda v: lg.quantile(v, [0.2, 0.7]),
    ):
        y, same = function(x), function(fixed)
        np.testing.assert_array_equal(run(y, feeds, lengths), run(same))
        np.testing.assert_array_equal(run(grad(y, x), feeds, lengths), run(grad(same, fixed)))
    empty = run(lg.median(x, 0), {"x": TABLE[:0]}, {"batch": 0})
    np.testing.assert_array_equal(empty, np.full(4, np.nan))
