"""What holds for models of every kind: batches, orders, modes, saved weights."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lazygrad as lg
from lazygrad import nn, train

F8 = {"dtype": "float64"}


def perceptron(rng):
    return nn.Sequential(
        nn.Linear(3, 5, seed=rng, **F8),
        nn.BatchNorm(5, **F8),
        nn.GELU(),
        nn.Dropout(0.5, seed=rng),
        nn.Residual(nn.Sequential(nn.LayerNorm(5, **F8), nn.Linear(5, 5, seed=rng, **F8))),
        nn.Linear(5, 2, seed=rng, **F8),
    )


def convolutional(rng):
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding="same", seed=rng, **F8),
        nn.GroupNorm(2, 4, **F8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 2, stride=2, seed=rng, **F8),
        nn.ChannelDropout(0.5, seed=rng),
        nn.GlobalAvgPool(),
    )


class Last(nn.Module):
    """The last output of a recurrent layer with dropout between its two layers."""

    def __init__(self, rng):
        self.layer = nn.GRU(3, 4, layers=2, dropout=0.5, both_directions=True, seed=rng, **F8)

    def forward(self, x):
        return self.layer(x)[0][:, -1]


def transformer(rng):
    return nn.TransformerEncoderLayer(6, 2, feedforward=7, dropout=0.5, seed=rng, **F8)


MODELS = {
    perceptron: (3,),
    convolutional: (2, 4, 6),
    Last: (5, 3),
    transformer: (4, 6),
}
EACH = pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
CACHE = {}


def prepared(make):
    """A model that has seen some data, its input, and its prediction as a program."""
    if make not in CACHE:
        model = make(np.random.default_rng(0))
        x = lg.placeholder(("batch", *MODELS[make]), name="x")
        y = model(x)
        loss = (y**2).mean()
        step = lg.compile(loss, updates=lg.optim.SGD(0.01).minimize(loss))
        rng = np.random.default_rng(1)
        for _ in range(3):
            step(x=rng.normal(size=(6, *MODELS[make])))
        CACHE[make] = model, x, y, lg.compile(y)
    return CACHE[make]


def drawn(make, rows, seed):
    return np.random.default_rng(seed).normal(size=(rows, *MODELS[make]))


SEEDS = st.integers(0, 2**32 - 1)


@EACH
@settings(max_examples=15)
@given(rows=st.integers(1, 7), seed=SEEDS, data=st.data())
def test_a_prediction_is_row_by_row(make, rows, seed, data):
    _, _, _, predict = prepared(make)
    x = drawn(make, rows, seed)
    whole = predict(x=x)
    assert len(whole) == rows
    cut = data.draw(st.integers(0, rows))
    parts = np.concatenate([predict(x=x[:cut]), predict(x=x[cut:])])
    np.testing.assert_allclose(parts, whole, rtol=1e-10, atol=1e-12)
    order = data.draw(st.permutations(range(rows)))
    np.testing.assert_allclose(predict(x=x[order]), whole[order], rtol=1e-10, atol=1e-12)
    batches = train.predict(predict, {"x": x}, batch_size=data.draw(st.integers(1, 8)))
    np.testing.assert_allclose(batches, whole, rtol=1e-10, atol=1e-12)


@EACH
def test_evaluation_is_repeatable_and_training_is_not(make):
    model, _, y, predict = prepared(make)
    data = drawn(make, 5, 2)
    model.eval()
    first, second = y.forward(x=data), y.forward(x=data)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(predict(x=data), first, rtol=1e-12)
    model.train()
    assert (y.forward(x=data) != y.forward(x=data)).any()
    np.testing.assert_allclose(predict(x=data), predict(x=data), rtol=0)


@EACH
@settings(max_examples=5)
@given(seed=SEEDS)
def test_saved_weights_predict_the_same(make, seed):
    model, _, _, predict = prepared(make)
    data = drawn(make, 4, seed)
    other = make(np.random.default_rng(seed))
    x = lg.placeholder(("batch", *MODELS[make]), name="x")
    again = lg.compile(other(x))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        train.save(path, model=model)
        train.load(path, model=other)
    np.testing.assert_array_equal(again(x=data), predict(x=data))


@EACH
def test_gradients_of_a_batch_are_the_mean_of_those_of_its_rows(make):
    model, _, _, _ = prepared(make)
    x = lg.placeholder(("batch", *MODELS[make]), name="x")
    y = model(x)
    loss = lg.mean(lg.sum(y**2, axis=tuple(range(1, y.ndim))))
    parameters = model.parameters()
    program = lg.compile(lg.grad(loss, parameters), train=False)
    data = drawn(make, 4, 3)
    whole = program(x=data)
    rows = [program(x=data[i : i + 1]) for i in range(4)]
    for place, gradient in enumerate(whole):
        mean = sum(row[place] for row in rows) / 4
        np.testing.assert_allclose(gradient, mean, rtol=1e-8, atol=1e-11)


@EACH
def test_an_empty_batch_has_an_empty_prediction(make):
    _, _, y, predict = prepared(make)
    assert predict(x=drawn(make, 0, 0)).shape == (0, *y.shape[1:])


@EACH
def test_nan_in_one_row_stays_in_that_row(make):
    _, _, _, predict = prepared(make)
    data = drawn(make, 3, 4)
    expected = predict(x=data)
    data[1] = np.nan
    got = predict(x=data)
    assert np.isnan(got[1]).all()
    np.testing.assert_allclose(got[[0, 2]], expected[[0, 2]], rtol=1e-10)
