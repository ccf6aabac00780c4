"""Pooling and convolution in C against NumPy: windows that touch, overlap and leave gaps."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain

try:
    find_toolchain()
except CompilerError as reason:
    pytest.skip(f"there is no C compiler: {reason}", allow_module_level=True)

IMAGES = lg.placeholder((2, 3, 9, 8), dtype="float32", name="x", requires_grad=True)
ROWS = lg.placeholder((2, 4, 11), name="x", requires_grad=True)


def images(rng):
    return rng.integers(-3, 4, (2, 3, 9, 8)).astype("float32")


def rows(rng):
    return rng.normal(size=(2, 4, 11))


CASES = {
    "max": (IMAGES, images, lambda x: nn.MaxPool2d(2)(x)),
    "max, overlapping, with ties": (IMAGES, images, lambda x: nn.MaxPool2d(3, stride=1)(x)),
    "max, with gaps": (IMAGES, images, lambda x: nn.MaxPool2d(2, stride=3)(x)),
    "max, padded": (IMAGES, images, lambda x: nn.MaxPool2d(3, stride=2, padding=1)(x)),
    "average": (IMAGES, images, lambda x: nn.AvgPool2d(2)(x)),
    "average, overlapping": (IMAGES, images, lambda x: nn.AvgPool2d(3, stride=1, padding=1)(x)),
    "max of rows": (ROWS, rows, lambda x: nn.MaxPool1d(3, stride=2)(x)),
    "convolution": (IMAGES, images, lambda x: nn.Conv2d(3, 5, 3, seed=0)(x)),
    "convolution with steps": (
        IMAGES,
        images,
        lambda x: nn.Conv2d(3, 6, 3, stride=2, padding=1, dilation=2, groups=3, seed=0)(x),
    ),
    "convolution of rows": (
        ROWS,
        rows,
        lambda x: nn.Conv1d(4, 3, 5, padding="same", dtype="float64", seed=0)(x),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_as_numpy(name):
    x, draw, layer = CASES[name]
    y = layer(x)
    leaves = [x, *[n for n in lg.ir.graph.Graph([y]).variables if n.requires_grad]]
    outputs = [y, *lg.grad((y * y * y).sum(), leaves)]
    data = draw(np.random.default_rng(0))
    plain = lg.compile(outputs, backend="numpy")(x=data)
    compiled = lg.compile(outputs, backend="c")
    results = compiled(x=data)
    for one, other in zip(plain, results, strict=True):
        scale = np.abs(one).max()
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6 * scale)


def test_nan_in_a_window():
    data = images(np.random.default_rng(0))
    data[0, 0, 2, 3] = np.nan
    y = nn.MaxPool2d(2)(IMAGES)
    outputs = [y, lg.grad(y.sum(), IMAGES)]
    plain = lg.compile(outputs, backend="numpy")(x=data)
    compiled = lg.compile(outputs, backend="c")(x=data)
    for one, other in zip(plain, compiled, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_network_of_images_is_one_segment():
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, seed=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 3 * 3, 5, seed=rng),
    )
    labels = lg.placeholder((2,), dtype="int64", name="t")
    loss = nn.cross_entropy(model(IMAGES), labels)
    step = lg.compile(loss, updates=lg.optim.SGD(0.1).minimize(loss), backend="c")
    step(x=images(rng), t=np.array([0, 4]))
    python = step.source.split("/* Written")[0]
    assert "max_patches" not in python
    assert "matmul" not in python
