"""Layers one after another and around shortcuts: names, sharing, copies, bad input."""

import copy
import pickle

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn

X = lg.placeholder(("batch", 3), dtype="float32", name="x")


def model(seed=0, **options):
    rng = np.random.default_rng(seed)
    return nn.Sequential(
        nn.Linear(3, 4, seed=rng, **options), nn.ReLU(), nn.Linear(4, 2, seed=rng, **options)
    )


def test_sequences_of_layers():
    layers = model()
    assert [path for path, _ in layers.named_parameters()] == [
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
    ]
    assert len(layers) == 3
    assert isinstance(layers[1], nn.ReLU)
    assert next(iter(layers)) is layers[0]
    assert layers[:1][0] is layers[0]
    assert layers.append(lambda x: 2 * x) is layers
    assert len(layers) == 4
    named = nn.Sequential({"first": nn.Linear(3, 2), "last": nn.Tanh()})
    assert [path for path, _ in named.named_parameters()] == ["first.weight", "first.bias"]
    assert named["last"](0.0).data == 0.0


def test_no_layers_are_the_identity():
    assert nn.Sequential()(3.0).data == 3.0


def test_one_layer_twice_shares_its_parameters():
    layer = nn.Linear(3, 3, dtype="float64")
    twice = nn.Sequential(layer, layer)
    assert len(twice.parameters()) == 2
    x = np.random.default_rng(0).normal(size=(2, 3))
    np.testing.assert_allclose(twice(x).data, x @ layer.weight.data @ layer.weight.data)
    loss = twice(x).sum()
    loss.backward()
    expected = x.T @ np.ones((2, 3)) @ layer.weight.data.T
    expected += (x @ layer.weight.data).T @ np.ones((2, 3))
    np.testing.assert_allclose(layer.weight.grad, expected)


def test_shortcuts():
    inner = nn.Linear(3, 3, dtype="float64")
    x = np.ones((2, 3))
    np.testing.assert_allclose(nn.Residual(inner)(x).data, inner(x).data + x)
    narrow = nn.Linear(3, 2, dtype="float64")
    assert nn.Residual(narrow, nn.Linear(3, 2, dtype="float64", seed=1))(x).shape == (2, 2)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_compute_the_same_and_share_nothing(copied):
    first = model()
    second = copied(first)
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(first(x).data, second(x).data)
    second[0].weight.data = np.zeros((3, 4))
    assert first[0].weight.data.any()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nn.Sequential(3), lg.OptionError, "Sequential: 0 must be a module or a function"),
        (lambda: nn.Sequential(nn.ReLU), lg.OptionError, r"did you mean ReLU\(...\)"),
        (lambda: nn.Residual(nn.Linear(3, 2))(X), lg.ShapeError, r"inner result is .*what came"),
        (lambda: nn.Residual(None), lg.OptionError, "Residual: inner must be"),
    ],
)
def test_bad_calls_name_the_container(call, error, words):
    with pytest.raises(error, match=words):
        call()
