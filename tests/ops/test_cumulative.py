"""Edges of running totals: zeros, directions, emptiness, dtypes, lengths known later."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.autodiff import grad, hvp, jvp
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import AxisError
from lazygrad.ir.graph import Graph
from lazygrad.ir.op import lookup
from lazygrad.ir.value import Value, apply, placeholder

TABLE = np.array([[1.5, -2.0, 0.7, 3.0], [2.0, 0.3, -1.1, 0.9], [0.4, 1.2, 5.0, -0.6]])


def run(node, feeds=None, lengths=None):
    with np.errstate(all="ignore"):
        return interpret(Graph([node]), feeds or {}, lengths or {})[0]


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int64", "float16", "float32", "float64"]
)
def test_values_and_dtypes_are_numpys(name, dtype):
    x = np.abs(TABLE).astype(dtype)
    for array in (x, x.T, np.zeros((0, 3), dtype), np.array(3, dtype)):
        for axis in (None, 0, -1):
            if array.ndim == 0 and axis is not None:
                continue
            expected = getattr(np, name)(array, axis)
            node = getattr(np, name)(Value(array), axis)
            assert (node.spec.shape, node.spec.dtype) == (expected.shape, expected.dtype)
            np.testing.assert_array_equal(run(node), expected)
    assert getattr(lg, name)(Value(x), 0, "float32").spec.dtype == np.float32


def test_axes_are_checked():
    with pytest.raises(AxisError, match="axis 2 is out of range"):
        lg.cumsum(Value(TABLE), 2)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("zeros", [[], [1], [0, 2], [0, 1, 4, 8]])
def test_cumprod_is_differentiated_at_zeros(axis, reverse, exclusive, zeros):
    torch = pytest.importorskip("torch")
    x = TABLE.copy()
    x.reshape(-1)[zeros] = 0
    weight = np.sin(np.arange(12.0)).reshape(3, 4)

    def theirs(t):
        rows = list(t.unbind(axis))
        rows = rows[::-1] if reverse else rows
        products = [torch.ones_like(rows[0])]
        for row in rows:
            products.append(products[-1] * row)
        products = products[:-1] if exclusive else products[1:]
        products = products[::-1] if reverse else products
        return (torch.stack(products, axis) * torch.tensor(weight)).sum()

    leaf = Value(x)
    y = apply(lookup("cumprod"), leaf, axis=axis, reverse=reverse, exclusive=exclusive)
    total = lg.sum(y * weight)
    expected = torch.autograd.functional.jacobian(theirs, torch.tensor(x)).numpy()
    np.testing.assert_allclose(run(grad(total, leaf)), expected, rtol=1e-12, atol=1e-14)
    hessian = torch.autograd.functional.hessian(theirs, torch.tensor(x)).reshape(12, 12).numpy()
    direction = np.linspace(-1, 1, 12)
    product = run(hvp(total, leaf, direction.reshape(3, 4))).reshape(-1)
    np.testing.assert_allclose(product, hessian @ direction, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(run(jvp(total, leaf, weight)), (expected * weight).sum(), rtol=1e-12)


def test_cumsum_to_second_order_and_backwards():
    leaf = Value(TABLE)
    total = lg.sum(lg.cumsum(lg.cumsum(leaf, 1) ** 2, 0))
    rows = np.cumsum(TABLE, 1) * np.array([[3.0], [2.0], [1.0]])
    np.testing.assert_allclose(run(grad(total, leaf)), 2 * rows[:, ::-1].cumsum(1)[:, ::-1])


def test_integers_are_differentiated_over_the_reals():
    leaf = Value(np.array([2, 0, 3]))
    np.testing.assert_array_equal(run(grad(lg.cumprod(leaf), leaf)), [1, 2 + 6, 0])
    np.testing.assert_array_equal(run(grad(lg.cumsum(leaf), leaf)), [3, 2, 1])


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (1,), (2, 1)])
def test_derivatives_of_few_elements(shape):
    leaf = Value(np.ones(shape))
    assert run(grad(lg.cumprod(leaf), leaf)).shape == shape
    assert run(grad(grad(lg.cumprod(leaf, 0), leaf), leaf, unused="zero")).shape == shape


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_lengths_known_later(name):
    x = placeholder(("batch", 3), name="x", requires_grad=True)
    feeds, lengths, fixed = {"x": TABLE[:, :3]}, {"batch": 3}, Value(TABLE[:, :3])
    for axis in (None, 0):
        y, same = getattr(lg, name)(x, axis), getattr(lg, name)(fixed, axis)
        np.testing.assert_allclose(run(y, feeds, lengths), run(same))
        np.testing.assert_allclose(
            run(grad(y * y, x), feeds, lengths), run(grad(same * same, fixed))
        )


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "float64"])
def test_running_extrema_are_numpys(axis, dtype):
    x = TABLE.astype(dtype)
    if dtype[0] == "f":
        x[1, 1:3] = np.nan
    for name, ufunc in (("cummax", np.maximum), ("cummin", np.minimum)):
        for array in (x, x.T, x[:0], np.array(3, dtype)):
            if array.ndim == 0 and axis is not None:
                continue
            rows, along = (array.reshape(-1), 0) if axis is None else (array, axis)
            node = getattr(lg, name)(Value(array), axis)
            assert node.spec.dtype == dtype
            np.testing.assert_array_equal(run(node), ufunc.accumulate(rows, along))


def test_a_running_extremum_belongs_to_who_reached_it_first():
    leaf = Value(np.array([1.0, 3.0, 3.0, 2.0, 5.0]))
    found = run(grad(lg.cummax(leaf), leaf, seed=np.array([1.0, 2, 4, 8, 16])))
    np.testing.assert_array_equal(found, [1, 14, 0, 0, 16])
    leaf = Value(np.array([[2.0, 3.0], [1.0, 3.0]]))
    np.testing.assert_array_equal(run(grad(lg.cummin(leaf, 0) ** 2, leaf)), [[4, 12], [2, 0]])
