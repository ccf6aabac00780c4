"""Convolution and pooling against PyTorch: results and all gradients."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra 'peers')")
pytestmark = pytest.mark.peers
F8 = {"dtype": torch.float64}
RNG = np.random.default_rng(0)
SPATIAL = {1: (11,), 2: (7, 9), 3: (5, 6, 4)}


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-9, atol=1e-11)


def compare(ours, theirs, x, named_batch=True):
    rng = np.random.default_rng(1)
    for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        drawn = rng.normal(size=other.shape)
        parameter.data, other.data = drawn, torch.tensor(drawn)
    leaf = lg.placeholder(("batch" if named_batch else x.shape[0], *x.shape[1:]), name="x")
    given = torch.tensor(x, requires_grad=True)
    expected = theirs(given)
    seed = rng.normal(size=expected.shape)
    expected.backward(torch.tensor(seed))
    y = ours(leaf)
    t = lg.placeholder(y.shape, name="t")
    gradients = lg.grad((t * y).sum(), [leaf, *ours.parameters()])
    got, gradient, *others = lg.compile([y, *gradients])(x=x, t=seed)
    close(got, expected)
    close(gradient, given.grad)
    for found, other in zip(others, theirs.parameters(), strict=True):
        close(found, other.grad)


CONVOLUTIONS = [
    (2, 4, 6, 3, {}),
    (2, 4, 6, (3, 1), {"padding": 1, "stride": 2}),
    (2, 4, 6, 2, {"padding": "same"}),
    (2, 4, 6, 3, {"padding": "same", "dilation": 2}),
    (2, 4, 6, (2, 3), {"groups": 2, "stride": (2, 1), "padding": (0, 2), "dilation": (1, 2)}),
    (2, 4, 4, 3, {"groups": 4, "bias": False}),
    (2, 4, 64, (7, 9), {}),
    (2, 4, 6, 1, {"stride": 3}),
    (1, 3, 5, 4, {"padding": 2, "stride": 3}),
    (1, 4, 6, 3, {"groups": 2, "dilation": 3}),
    (3, 2, 3, 2, {"stride": (1, 2, 1), "padding": 1}),
    (3, 2, 4, (1, 3, 2), {"groups": 2, "padding": "same"}),
]


# PyTorch warns of a copy that it makes.
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@pytest.mark.parametrize(("rank", "inputs", "outputs", "kernel", "options"), CONVOLUTIONS, ids=str)
def test_convolution(rank, inputs, outputs, kernel, options):
    ours = getattr(nn, f"Conv{rank}d")(inputs, outputs, kernel, dtype="float64", **options)
    theirs = getattr(torch.nn, f"Conv{rank}d")(inputs, outputs, kernel, **options, **F8)
    compare(ours, theirs, RNG.normal(size=(3, inputs, *SPATIAL[rank])))


TRANSPOSES = [
    (2, 4, 6, 3, {}),
    (2, 4, 6, (3, 2), {"stride": 2, "padding": 1, "output_padding": 1}),
    (2, 4, 6, 3, {"groups": 2, "dilation": 2, "stride": (1, 3)}),
    (1, 3, 2, 4, {"stride": 3, "padding": 2, "bias": False}),
    (3, 2, 3, 2, {"stride": 2}),
]


@pytest.mark.parametrize(("rank", "inputs", "outputs", "kernel", "options"), TRANSPOSES, ids=str)
def test_transposed_convolution(rank, inputs, outputs, kernel, options):
    name = f"ConvTranspose{rank}d"
    ours = getattr(nn, name)(inputs, outputs, kernel, dtype="float64", **options)
    theirs = getattr(torch.nn, name)(inputs, outputs, kernel, **options, **F8)
    compare(ours, theirs, RNG.normal(size=(3, inputs, *SPATIAL[rank])))


MAXIMA = [
    (2, 2, {}),
    (2, (3, 2), {"stride": (1, 2), "padding": 1}),
    (2, 2, {"stride": 3, "dilation": 2}),
    (2, 3, {"ceil_mode": True, "padding": 1}),
    (1, 4, {"stride": 2}),
    (3, 2, {"padding": 1}),
]


@pytest.mark.parametrize(("rank", "kernel", "options"), MAXIMA, ids=str)
def test_max_pool(rank, kernel, options):
    ours = getattr(nn, f"MaxPool{rank}d")(kernel, **options)
    theirs = getattr(torch.nn, f"MaxPool{rank}d")(kernel, **options)
    # Without ties, where PyTorch takes the first and lazygrad shares.
    compare(ours, theirs, RNG.normal(size=(3, 2, *SPATIAL[rank])))


AVERAGES = [
    (2, 2, {}),
    (2, (3, 2), {"stride": (1, 2), "padding": 1}),
    (2, 3, {"ceil_mode": True, "padding": 1, "count_include_pad": False}),
    (2, 3, {"ceil_mode": True, "padding": 1}),
    (1, 4, {"stride": 2, "padding": 2, "count_include_pad": False}),
    (3, 2, {}),
]


@pytest.mark.parametrize(("rank", "kernel", "options"), AVERAGES, ids=str)
def test_average_pool(rank, kernel, options):
    ours = getattr(nn, f"AvgPool{rank}d")(kernel, **options)
    theirs = getattr(torch.nn, f"AvgPool{rank}d")(kernel, **options)
    compare(ours, theirs, RNG.normal(size=(3, 2, *SPATIAL[rank])))


@pytest.mark.parametrize(
    ("rank", "size"), [(1, 4), (1, 11), (2, 1), (2, (3, 5)), (2, (None, 3)), (3, (2, 3, 4))]
)
def test_adaptive_average_pool(rank, size):
    ours = getattr(nn, f"AdaptiveAvgPool{rank}d")(size)
    theirs = getattr(torch.nn, f"AdaptiveAvgPool{rank}d")(size)
    compare(ours, theirs, RNG.normal(size=(3, 2, *SPATIAL[rank])))


def test_global_pools():
    compare(
        nn.GlobalAvgPool(),
        torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()),
        RNG.normal(size=(3, 2, 7, 9)),
    )
    compare(
        nn.GlobalMaxPool(),
        torch.nn.Sequential(torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten()),
        RNG.normal(size=(3, 2, 7, 9)),
    )


def test_hessian_products_of_a_network():
    """Forward over reverse, where torch differentiates twice."""
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(2, 1, 6, 6)), rng.normal(size=(2, 1, 3, 3))
    v = rng.normal(size=w.shape)
    weight = lg.Value(w)
    y = (lg.tanh(lg.max_pool(lg.conv(x, weight, padding=1), (2, 2))) ** 3).sum()
    got = lg.compile(lg.grad((lg.grad(y, weight) * v).sum(), weight))()
    given = torch.tensor(w, requires_grad=True)
    z = torch.nn.functional.conv2d(torch.tensor(x), given, padding=1)
    z = (torch.tanh(torch.nn.functional.max_pool2d(z, 2)) ** 3).sum()
    (first,) = torch.autograd.grad(z, given, create_graph=True)
    (second,) = torch.autograd.grad((first * torch.tensor(v)).sum(), given)
    close(got, second)
