"""Differences, slopes and areas, against NumPy."""

import numpy as np
import pytest

from lazygrad.autodiff import grad
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import AxisError, OptionError, ShapeError
from lazygrad.ir.graph import Graph
from lazygrad.ir.value import Value, placeholder

A = np.random.default_rng(1).normal(size=(5, 6))
PLACES = np.array([0.0, 0.5, 2.0, 2.25, 4.0, 7.0])


def run(*nodes):
    return interpret(Graph(nodes), {})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n": 0},
        {"n": 2, "axis": 0},
        {"n": 9},
        {"prepend": 0.0},
        {"append": np.ones((5, 2)), "axis": 1},
        {"prepend": 1.0, "append": 2.0, "axis": 0},
    ],
)
def test_diff(options):
    found, expected = run(np.diff(Value(A), **options))[0], np.diff(A, **options)
    np.testing.assert_array_equal(found, expected)


def test_diff_of_bools_and_integers():
    for a in (np.array([True, True, False]), np.array([1, 5, 2])):
        found = run(np.diff(Value(a)))[0]
        assert found.dtype == np.diff(a).dtype
        np.testing.assert_array_equal(found, np.diff(a))


def test_diff_refuses():
    with pytest.raises(OptionError, match=r"diff.*: n must not be negative, got -1"):
        np.diff(Value(A), -1)
    with pytest.raises(ShapeError, match=r"diff.*: the operand has no axes"):
        np.diff(Value(1.0))
    with pytest.raises(AxisError, match="axis 2 is out of range"):
        np.diff(Value(A), axis=2)


def test_ediff1d():
    np.testing.assert_array_equal(run(np.ediff1d(Value(A)))[0], np.ediff1d(A))
    found = run(np.ediff1d(Value(A), to_end=[1.0, 2.0], to_begin=-1.0))[0]
    np.testing.assert_array_equal(found, np.ediff1d(A, to_end=[1.0, 2.0], to_begin=-1.0))


@pytest.mark.parametrize("options", [{}, {"dx": 0.5}, {"axis": 0}, {"x": PLACES}, {"x": A + 3}])
def test_trapezoid(options):
    found = run(np.trapezoid(Value(A), **options))[0]
    np.testing.assert_allclose(found, np.trapezoid(A, **options), rtol=1e-14)


def test_trapezoid_of_integers_and_its_derivatives():
    assert run(np.trapezoid(Value([1, 2, 4])))[0] == 4.5
    y, x = Value(A[0]), Value(PLACES)
    area = np.trapezoid(y, x)
    found = run(*grad(area, [y, x]))
    h = np.diff(PLACES)
    np.testing.assert_allclose(found[0], (np.append(h, 0) + np.insert(h, 0, 0)) / 2)
    means = (A[0][1:] + A[0][:-1]) / 2
    np.testing.assert_allclose(found[1], np.insert(means, 0, 0) - np.append(means, 0))


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize(
    ("spacings", "options"),
    [
        ((), {}),
        ((0.5,), {}),
        ((0.5, PLACES), {}),
        ((PLACES,), {"axis": 1}),
        ((2.0,), {"axis": (1, 0)}),
    ],
)
def test_gradient(spacings, options, edge_order):
    found = np.gradient(Value(A), *spacings, edge_order=edge_order, **options)
    expected = np.gradient(A, *spacings, edge_order=edge_order, **options)
    assert isinstance(found, tuple) == isinstance(expected, tuple)
    if isinstance(expected, tuple):
        np.testing.assert_allclose(run(*found), expected, rtol=1e-12)
    else:
        np.testing.assert_allclose(run(found)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("edge_order", [1, 2])
def test_gradient_of_the_fewest_samples(edge_order):
    a = np.array([1, 4, 10])[: edge_order + 1]
    found = run(np.gradient(Value(a), edge_order=edge_order))[0]
    np.testing.assert_array_equal(found, np.gradient(a, edge_order=edge_order))


def test_gradient_refuses():
    with pytest.raises(ShapeError, match=r"gradient.*: axis 0 has 1 samples; edge_order=1 needs 2"):
        np.gradient(Value([1.0]))
    with pytest.raises(OptionError, match=r"gradient.*: edge_order must be 1 or 2, got 3"):
        np.gradient(Value(A), edge_order=3)
    with pytest.raises(OptionError, match=r"gradient.*: 2 axes need as many spacings, got 3"):
        np.gradient(Value(A), 1.0, 1.0, 1.0)


def test_symbolic_lengths():
    x = placeholder(("time", 3), name="x")
    nodes = [np.diff(x, axis=0), np.gradient(x, axis=0), np.trapezoid(x, axis=0)]
    assert [str(node.shape[0]) for node in nodes] == ["time - 1", "time", "3"]
    found = interpret(Graph(nodes), {"x": A[:, :3]}, {"time": 5})
    np.testing.assert_allclose(found[0], np.diff(A[:, :3], axis=0))
    np.testing.assert_allclose(found[1], np.gradient(A[:, :3], axis=0))
    np.testing.assert_allclose(found[2], np.trapezoid(A[:, :3], axis=0))
