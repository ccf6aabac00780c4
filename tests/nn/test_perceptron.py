"""Neurons and perceptrons."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn


def test_a_perceptron_is_its_formula():
    model = nn.MLP(2, [3, 1], seed=1)
    x = np.random.default_rng(0).normal(size=(5, 2))
    first, last = model.layers
    hidden = np.maximum(x @ first.weight.data + first.bias.data, 0)
    expected = hidden @ last.weight.data[:, 0] + last.bias.data[0]
    np.testing.assert_allclose(model(x).data, expected)
    assert abs(first.weight.data).max() <= 1
    assert not first.bias.data.any()


def test_neurons_take_vectors_and_batches_of_them():
    neuron = nn.Neuron(3, seed=0)
    x = np.ones((4, 3))
    total = neuron.weight.data.sum()
    np.testing.assert_allclose(neuron(x).data, np.full(4, max(total, 0)))
    np.testing.assert_allclose(nn.Neuron(3, nonlin=False, seed=0)(x[0]).data, total)


def test_the_last_layer_has_no_activation_and_a_width():
    assert nn.MLP(2, [4, 3])(np.zeros((5, 2))).shape == (5, 3)
    assert [layer.nonlin for layer in nn.MLP(2, [4, 4, 3]).layers] == [True, True, False]
    assert repr(nn.MLP(2, [1])) == "MLP(\n  (layers.0): Layer(2, 1, nonlin=False)\n)"


def test_a_perceptron_learns():
    points, classes = lg.data.moons(100, seed=0)
    model = nn.MLP(2, [16, 16, 1], seed=0)
    x, t = lg.placeholder(("batch", 2), name="x"), lg.placeholder(("batch",), name="t")
    score = model(x)
    loss = nn.hinge(score, t)
    step = lg.compile(loss, updates=lg.optim.SGD(0.3, momentum=0.9).minimize(loss))
    losses = [step(x=points, t=2 * classes - 1) for _ in range(200)]
    assert losses[-1] < 0.05 < losses[0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nn.MLP(2, []), "MLP: needs the width of at least one layer"),
        (lambda: nn.Neuron(3)(np.ones(2)), "Neuron: expected 3 numbers along axis -1, got 2"),
        (lambda: nn.Neuron(3)(1.0), "Neuron: needs an axis of 3 numbers"),
        (lambda: nn.MLP(2, [3])(np.ones(3)), r"expected 2 features(.|\n)*in the layer layers.0"),
    ],
)
def test_bad_calls_name_the_layer(call, words):
    with pytest.raises(lg.GraphError, match=words):
        call()
