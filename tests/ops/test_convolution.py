"""Convolution against sums written out, and its edges: empty batches, named lengths, refusals."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lazygrad as lg


def plain_conv(x, w, stride, padding, dilation, groups):
    """The definition, one output element at a time; x is (channels, *spatial)."""
    rank = w.ndim - 2
    x = np.pad(x, ((0, 0), *padding))
    spans = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilation, strict=True)]
    counts = [(n - s) // q + 1 for n, s, q in zip(x.shape[1:], spans, stride, strict=True)]
    out = np.zeros((w.shape[0], *counts))
    part = w.shape[0] // groups
    for o, *place in itertools.product(range(w.shape[0]), *map(range, counts)):
        group = o // part
        channels = x[group * w.shape[1] : (group + 1) * w.shape[1]]
        cut = tuple(
            slice(place[i] * stride[i], place[i] * stride[i] + spans[i], dilation[i])
            for i in range(rank)
        )
        out[(o, *place)] = (channels[(slice(None), *cut)] * w[o]).sum()
    return out


@settings(max_examples=40)
@given(st.data())
def test_convolution_is_its_definition(data):
    rank = data.draw(st.integers(1, 2))

    def numbers(low, high):
        return tuple(data.draw(st.integers(low, high)) for _ in range(rank))

    kernel, stride, dilation = numbers(1, 3), numbers(1, 3), numbers(1, 2)
    padding = tuple(zip(numbers(0, 2), numbers(0, 2), strict=True))
    groups = data.draw(st.sampled_from([1, 2]))
    extra = numbers(0, 4)
    spatial = tuple((k - 1) * d + 1 + e for k, d, e in zip(kernel, dilation, extra, strict=True))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    x = rng.normal(size=(2, 2 * groups, *spatial))
    w = rng.normal(size=(3 * groups, 2, *kernel))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    got = lg.compile(lg.conv(lg.placeholder(x.shape, name="x"), w, **options))(x=x)
    expected = np.stack([plain_conv(row, w, **options) for row in x])
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def test_the_transpose_is_the_adjoint():
    rng = np.random.default_rng(0)
    w = rng.normal(size=(4, 3, 3, 2))
    x, y = rng.normal(size=(2, 3, 8, 7)), rng.normal(size=(2, 4, 4, 6))
    options = {"stride": (2, 1), "padding": ((1, 1), (0, 0))}
    forward = lg.conv(x, w, **options).data
    assert forward.shape == y.shape
    backward = lg.conv_transpose(y, w, output_padding=(1, 0), **options).data
    assert backward.shape == x.shape
    assert (forward * y).sum() == pytest.approx((x * backward).sum(), rel=1e-12)


@pytest.mark.parametrize("length", [1, 2, 5, 6, 7])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (2, 1), (3, 2), (4, 3)])
def test_same_padding_gives_one_window_per_stride(length, kernel, stride):
    x = lg.conv(np.ones((1, 1, length)), np.ones((1, 1, kernel)), stride=stride, padding="same")
    assert x.shape == (1, 1, -(-length // stride))


def test_named_lengths_and_empty_batches():
    x = lg.placeholder(("batch", 2, "height", "width"), name="x")
    w = lg.Value(np.random.default_rng(0).normal(size=(3, 2, 3, 3)))
    y = lg.conv(x, w, padding=1, stride=2)
    program = lg.compile([y, *lg.grad((y**2).sum(), [x, w])])
    for shape in ((2, 2, 5, 6), (1, 2, 3, 9), (0, 2, 4, 4)):
        data = np.random.default_rng(1).normal(size=shape)
        value, gx, gw = program(x=data)
        assert gx.shape == shape
        assert gw.shape == w.shape
        fixed = lg.Value(data)
        z = lg.conv(fixed, w, padding=1, stride=2)
        np.testing.assert_allclose(value, z.data)
        np.testing.assert_allclose(gx, lg.compile(lg.grad((z**2).sum(), fixed))())


def test_leading_axes_are_any():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 4, 6)), rng.normal(size=(5, 4, 2))
    whole = lg.conv(x, w).data
    assert whole.shape == (2, 3, 5, 5)
    np.testing.assert_allclose(lg.conv(x[1, 2], w).data, whole[1, 2])


def test_jacobians_run_all_directions_at_once():
    rng = np.random.default_rng(0)
    w = lg.Value(rng.normal(size=(2, 1, 2)))
    x = rng.normal(size=(1, 1, 4))
    y = lg.max_pool(lg.conv(x, w, padding=1), (2,))
    jacobian = lg.compile(lg.jacobian(y, w))()
    step = 1e-6
    for index in np.ndindex(*w.shape):
        moved = w.data.copy()
        moved[index] += step
        upper = lg.max_pool(lg.conv(x, moved, padding=1), (2,)).data
        np.testing.assert_allclose(
            (upper - y.data) / step, jacobian[(..., *index)], rtol=1e-4, atol=1e-6
        )


def test_integers_are_convolved_exactly():
    x = np.arange(6).reshape(1, 6)
    got = lg.conv(x, np.array([[[1, 2]]])).data
    np.testing.assert_array_equal(got, [[2, 5, 8, 11, 14]])
    assert got.dtype.kind == "i"


X = lg.placeholder(("batch", 4, 5, 6), name="x")
W = np.ones((8, 4, 3, 3))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: lg.conv(X, np.ones((8, 3, 3, 3))), "the input has 4 channels; the kernel wants 3"),
        (lambda: lg.conv(X, np.ones((8, 4, 7, 3))), "reaches over 7 elements doesn't fit spatial"),
        (lambda: lg.conv(X, np.ones((8, 4))), "at least one spatial axis"),
        (lambda: lg.conv(X, W, stride=0), "stride must be positive integers, got 0"),
        (lambda: lg.conv(X, W, stride=(1, 2, 3)), "one entry for each of 2 spatial axes"),
        (lambda: lg.conv(X, W, padding="full"), '"same", "valid", numbers or pairs, got'),
        (lambda: lg.conv(X, W, padding=-1), "integers of at least 0, got -1"),
        (lambda: lg.conv(X, W, groups=3), "4 input channels can't be split into 3 groups"),
        (lambda: lg.conv_transpose(X, np.ones((3, 4, 2, 2))), "4 channels; the kernel wants 3"),
        (lambda: lg.conv_transpose(X, np.ones((4, 1, 2, 2)), output_padding=1), "less than stride"),
        (lambda: lg.conv_transpose(X, np.ones((4, 1, 2, 2)), padding=9), "leaves nothing"),
        (lambda: lg.max_pool(X, 2), "a tuple with one length per spatial axis"),
        (lambda: lg.max_pool(X, (2, 2), padding=2), "less than the 2 elements"),
        (lambda: lg.max_pool(X, (2, 8)), "reaches over 8 elements"),
        (lambda: lg.adaptive_avg_pool(X, (0, 1)), "positive integers"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(lg.GraphError, match=words):
        call()
