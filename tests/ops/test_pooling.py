"""Pooling: ties, NaN, edges, integers, named lengths."""

import numpy as np
import pytest

import lazygrad as lg


def gradient(function, x):
    leaf = lg.Value(np.asarray(x, float))
    y = function(leaf)
    y.backward()
    return leaf.grad


def test_equal_largest_elements_share_the_derivative():
    got = gradient(lambda x: lg.max_pool(x, (2,)), [3.0, 3.0, 1.0, 5.0])
    np.testing.assert_array_equal(got, [0.5, 0.5, 0.0, 1.0])
    got = gradient(lambda x: lg.max_pool(x, (2,), stride=1), [1.0, 3.0, 3.0, 0.0])
    np.testing.assert_array_equal(got, [0.0, 1.5, 1.5, 0.0])


def test_nan_is_kept_and_its_derivative_is_nan():
    x = np.array([np.nan, 1.0, 2.0, 0.0])
    np.testing.assert_array_equal(lg.max_pool(x, (2,)).data, [np.nan, 2.0])
    got = gradient(lambda v: lg.max_pool(v, (2,)), x)
    np.testing.assert_array_equal(got, [np.nan, np.nan, 1.0, 0.0])


def test_padding_is_never_the_largest():
    x = -np.ones((1, 3, 3))
    assert (lg.max_pool(x, (3, 3), padding=1, stride=1).data == -1).all()
    np.testing.assert_array_equal(
        lg.max_pool(np.array([-5, -7, -6]), (2,), padding=1).data, [-5, -6]
    )


def test_infinities():
    x = np.array([-np.inf, -np.inf, np.inf, 1.0])
    np.testing.assert_array_equal(lg.max_pool(x, (2,)).data, [-np.inf, np.inf])
    got = gradient(lambda v: lg.max_pool(v, (2,)), x)
    np.testing.assert_array_equal(got, [0.5, 0.5, 1.0, 0.0])


def test_second_derivatives_are_those_of_what_is_picked():
    x = lg.Value([1.0, 2.0, 5.0, 4.0])
    y = (lg.max_pool(x, (2,)) ** 3).sum()
    np.testing.assert_array_equal(lg.compile(lg.hessian(y, x))(), np.diag([0.0, 12.0, 30.0, 0.0]))
    linear = lg.max_pool(x, (2,)).sum()
    np.testing.assert_array_equal(lg.compile(lg.hessian(linear, x))(), np.zeros((4, 4)))


def test_named_lengths_and_empty_batches():
    x = lg.placeholder(("batch", "length"), name="x")
    for pooled in (lg.max_pool(x, (2,)), lg.avg_pool(x, (3,), padding=1, count_include_pad=False)):
        program = lg.compile([pooled, lg.grad((pooled**2).sum(), x)])
        for shape in ((2, 6), (3, 7), (0, 4)):
            data = np.random.default_rng(0).normal(size=shape)
            value, slope = program(x=data)
            assert (len(value), slope.shape) == (shape[0], shape)


def test_large_batches_are_worked_on_in_blocks():
    x = np.random.default_rng(0).normal(size=(300, 4, 8, 8))
    leaf = lg.Value(x)
    y = lg.max_pool(leaf, (2, 2))
    y.backward(seed=np.arange(float(y.data.size)).reshape(y.shape))
    windows = x.reshape(300, 4, 4, 2, 4, 2)
    largest = windows.max((3, 5), keepdims=True)
    np.testing.assert_array_equal(y.data, largest[:, :, :, 0, :, 0])
    seeds = np.arange(float(y.data.size)).reshape(largest.shape)
    np.testing.assert_array_equal(leaf.grad.reshape(windows.shape), (windows == largest) * seeds)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "uint8", "bool"])
def test_dtypes(dtype):
    x = np.array([[0, 1, 1, 0]]).astype(dtype)
    assert lg.max_pool(x, (2,)).data.dtype == dtype
    expected = dtype if dtype.startswith("float") else "float64"
    got = lg.avg_pool(x, (2,)).data
    assert got.dtype == expected
    np.testing.assert_array_equal(got, [[0.5, 0.5]])


def test_adaptive_averages_cover_everything_evenly():
    x = np.arange(7.0)
    np.testing.assert_allclose(
        lg.adaptive_avg_pool(x, (3,)).data, [x[0:3].mean(), x[2:5].mean(), x[4:7].mean()]
    )
    np.testing.assert_array_equal(lg.adaptive_avg_pool(x, (None,)).data, x)
    with pytest.raises(lg.ShapeError, match="known, positive lengths"):
        lg.adaptive_avg_pool(lg.placeholder((2, "n"), name="x"), (2,))
