"""Convolution and pooling layers: initial weights, reprs, bad input."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn

IMAGES = np.ones((2, 3, 8, 9), np.float32)


def network(seed=0):
    rng = np.random.default_rng(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding="same", seed=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, 5, seed=rng),
    )


def test_a_network_for_any_batch():
    x = lg.placeholder(("batch", 3, 8, 9), dtype="float32", name="x")
    model = network()
    program = lg.compile([model(x), *lg.grad(model(x).sum(), model.parameters())])
    for rows in (2, 5, 0):
        assert program(x=np.ones((rows, 3, 8, 9)))[0].shape == (rows, 5)


def test_weights_have_the_layout_and_the_fans_of_their_kind():
    layer = nn.Conv2d(4, 6, (3, 5), groups=2)
    assert layer.weight.shape == (6, 2, 3, 5)
    bound = np.sqrt(6 / (2 * 15 + 3 * 15))
    assert 0.9 * bound < abs(layer.weight.data).max() <= bound
    assert nn.ConvTranspose2d(4, 6, (3, 5), groups=2).weight.shape == (4, 3, 3, 5)
    assert nn.Conv1d(2, 3, 4, bias=False).bias is None


def test_the_same_seed_gives_the_same_network():
    for a, b in zip(network(1).parameters(), network(1).parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)


def test_reprs_say_what_is_not_plain():
    assert repr(nn.Conv2d(1, 2, 3)) == "Conv2d(1, 2, kernel_size=3)"
    layer = nn.Conv2d(2, 4, (3, 1), stride=2, padding="same", groups=2, bias=False)
    assert repr(layer) == (
        "Conv2d(2, 4, kernel_size=(3, 1), stride=2, padding='same', groups=2, bias=False)"
    )
    assert repr(nn.MaxPool2d(2, stride=1, padding=1)) == (
        "MaxPool2d(kernel_size=2, stride=1, padding=1)"
    )


def test_integer_images_into_float_layers():
    images = np.full((1, 3, 8, 9), 255, np.uint8)
    assert network()(images).data.dtype == np.float32
    assert nn.AvgPool2d(2)(images).data.dtype == np.float32
    assert nn.GlobalAvgPool()(images).data[0, 0] == 255
    assert nn.MaxPool2d(2)(images).data.dtype == np.uint8


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Conv2d(4, 2, 3)(IMAGES), "Conv2d: expected 4 channels along axis 1, got 3"),
        (lambda: nn.Conv2d(3, 2, 3)(IMAGES[0]), r"axes \(batch, channels, height, width\), got"),
        (lambda: nn.Conv1d(3, 2, 3)(IMAGES), r"Conv1d: needs the axes \(batch, channels, length\)"),
        (lambda: nn.Conv2d(3, 2, 9)(IMAGES), "reaches over 9 elements doesn't fit(.|\n)*Conv2d"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "Conv2d: 2 groups don't divide 3 inputs"),
        (lambda: nn.Conv2d(4, 3, 3, groups=2), "Conv2d: 2 groups don't divide 3 outputs"),
        (lambda: nn.Conv2d(3, 2, (3, 3, 3)), "kernel_size needs one number for each of 2 axes"),
        (lambda: nn.Conv3d(3, 2, 0), "Conv3d: kernel_size must be a positive integer, got 0"),
        (lambda: nn.Conv2d(3, 2, 3, dtype="int8"), "Conv2d: dtype must be a float type"),
        (lambda: nn.MaxPool2d(2)(IMAGES[0]), "MaxPool2d: needs the axes"),
        (lambda: nn.AvgPool2d((2, 2, 2)), "AvgPool2d: kernel_size needs one number for each of 2"),
        (lambda: nn.GlobalAvgPool()(IMAGES[0, 0]), "GlobalAvgPool: needs the axes"),
        (lambda: nn.AdaptiveAvgPool2d((1, 2, 3)), "AdaptiveAvgPool2d: size needs one number"),
        (lambda: nn.AdaptiveAvgPool1d(0), "size must be a positive integer, got 0"),
    ],
)
def test_errors_name_the_layer(make, words):
    with pytest.raises(lg.GraphError, match=words):
        make()
