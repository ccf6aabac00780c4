"""Sliding windows against NumPy's, with strides, gaps and symbolic lengths."""

import itertools

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import OptionError, ShapeError
from lazygrad.ir.graph import Graph
from lazygrad.testing import check_gradient

X = np.arange(60.0).reshape(3, 4, 5)


def run(node, lengths=None, **feeds):
    return interpret(Graph([node]), feeds, lengths or {})[0]


def windows(a, shape, axes, stride, dilation):
    spans = [(w - 1) * d + 1 for w, d in zip(shape, dilation, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(a, spans, axes)
    key = [slice(None)] * view.ndim
    for i, axis in enumerate(axes):
        key[axis] = slice(None, None, stride[i])
        key[a.ndim + i] = slice(None, None, dilation[i])
    return view[tuple(key)]


@pytest.mark.parametrize("axes", [(1, 2), (2, 0)])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("dilation", [(1, 1), (1, 2)])
def test_windows(axes, shape, stride, dilation):
    x = lg.Value(X)
    spans = [(w - 1) * d + 1 for w, d in zip(shape, dilation, strict=True)]
    if any(span > X.shape[axis] for span, axis in zip(spans, axes, strict=True)):
        with pytest.raises(ShapeError, match=r"doesn't fit axis"):
            lg.sliding_windows(x, shape, axes, stride=stride, dilation=dilation)
        return
    y = lg.sliding_windows(x, shape, axes, stride=stride, dilation=dilation)
    expected = windows(X, shape, axes, stride, dilation)
    assert y.shape == expected.shape
    result = run(y)
    assert np.array_equal(result, expected)
    assert np.shares_memory(result, x.cell.array)
    check_gradient(y, x, directions=1)


def test_through_numpy():
    x = lg.Value(X)
    view = np.lib.stride_tricks.sliding_window_view
    assert np.array_equal(run(view(x, (2, 2), (0, 2))), view(X, (2, 2), (0, 2)))
    assert np.array_equal(run(view(x[0, 0], 3)), view(X[0, 0], 3))


def test_windows_of_strided_operands():
    x = lg.Value(X)
    y = lg.sliding_windows(x.T[::2, ::-1], 2, axis=0)
    expected = np.lib.stride_tricks.sliding_window_view(X.T[::2, ::-1], 2, 0)
    assert np.array_equal(run(y), expected)


def test_symbolic_lengths():
    x = lg.placeholder(("batch", "time"), name="x")
    for window, stride, dilation in itertools.product((1, 3), (1, 2), (1, 2)):
        y = lg.sliding_windows(x, window, 1, stride=stride, dilation=dilation)
        g = lg.grad((y * y).sum(), x)
        for time in (5, 6, 8):
            a = np.random.default_rng(time).normal(size=(2, time))
            lengths = {"batch": 2, "time": time}
            expected = windows(a, (window,), (1,), (stride,), (dilation,))
            assert np.array_equal(run(y, lengths, x=a), expected)
            used = windows(
                np.arange(2 * time).reshape(2, time), (window,), (1,), (stride,), (dilation,)
            )
            counts = np.bincount(used.ravel(), minlength=2 * time).reshape(2, time)
            np.testing.assert_allclose(run(g, lengths, x=a), 2 * a * counts)
    y = lg.sliding_windows(x, 3, 1)
    assert str(y.shape[1]) == "time - 2"
    with pytest.raises((ShapeError, ValueError), match=r"doesn't fit axis 1 of length 2"):
        run(y, {"batch": 2, "time": 2}, x=np.ones((2, 2)))


def test_elements_left_out_get_no_nan():
    x = lg.Value([4.0, 0.0, 9.0, 0.0])
    for options in (
        {"stride": 2, "window_shape": 1},
        {"dilation": 2, "stride": 2, "window_shape": 2},
    ):
        with np.errstate(all="ignore"):
            g = run(lg.grad(lg.sliding_windows(lg.sqrt(x), **options).sum(), x))
        assert g.tolist() == [1 / 4, 0, 1 / 6, 0]


def test_windows_that_hold_everything_need_no_mask():
    x = lg.Value(X)
    for y in (
        lg.sliding_windows(lg.exp(x), 2),
        lg.sliding_windows(lg.exp(x), (2, 5), (1, 2), stride=(2, 3)),
        lg.sliding_windows(lg.exp(lg.placeholder(("n", 5), name="x")), 2, 0),
    ):
        graph = Graph([y])
        leaf = [*graph.variables, *graph.placeholders.values()][0]
        assert "where" not in {node.op.name for node in Graph([lg.grad(y.sum(), leaf)]).nodes}


def test_errors():
    x = lg.Value(X)
    with pytest.raises(
        ShapeError, match=r"window of 5 elements, 1 apart, doesn't fit axis 1 of le"
    ):
        lg.sliding_windows(x, 5, 1)
    with pytest.raises(OptionError, match=r"stride must be positive integers, got 0"):
        lg.sliding_windows(x, 1, 0, stride=0)
    with pytest.raises(
        OptionError, match=r"window_shape \(2, 2\) must have one entry for each of 3"
    ):
        lg.sliding_windows(x, (2, 2))
