"""Attention: lengths bound later, masks, bad input."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn

DATA = np.random.default_rng(0).normal(size=(2, 5, 6))


def test_one_program_for_any_batch_and_length():
    layer = nn.TransformerEncoderLayer(6, 2, feedforward=8, dtype="float64")
    x = lg.placeholder(("batch", "time", 6), name="x")
    y = layer(x, causal=True)
    program = lg.compile([y, *lg.grad((y**2).sum(), layer.parameters())])
    whole = program(x=DATA)[0]
    for steps in (1, 3):
        part = program(x=DATA[:1, :steps])[0]
        # No place sees a later one, so what comes after doesn't matter.
        np.testing.assert_allclose(part, whole[:1, :steps], rtol=1e-10)


def test_weights_are_shares_and_masks_leave_keys_out():
    layer = nn.MultiHeadAttention(6, 2, dtype="float64")
    mask = np.zeros((2, 5), bool)
    mask[:, 3:] = True
    _, weights = layer(DATA, key_mask=mask, causal=True, with_weights=True)
    got = weights.data
    np.testing.assert_allclose(got.sum(-1), 1.0)
    assert (got[..., 3:] == 0).all()
    assert (np.triu(np.ones((5, 5)), 1) * got == 0).all()


def test_a_mask_of_added_numbers_is_the_boolean_one():
    layer = nn.MultiHeadAttention(6, 2, dtype="float64")
    mask = np.triu(np.ones((5, 5), bool), 1)
    added = np.where(mask, -np.inf, 0.0)
    first, second = layer(DATA, mask=mask).data, layer(DATA, mask=added).data
    np.testing.assert_allclose(first, second, rtol=1e-12)
    np.testing.assert_allclose(first, layer(DATA, causal=True).data, rtol=1e-12)


def test_permuted_keys_give_the_same():
    layer = nn.MultiHeadAttention(6, 3, dtype="float64")
    order = np.array([3, 0, 4, 1, 2])
    first = layer(DATA, DATA + 1).data
    np.testing.assert_allclose(layer(DATA, (DATA + 1)[:, order]).data, first, rtol=1e-12)


@pytest.mark.usefixtures("_on_numpy")
def test_dropout_is_for_training():
    layer = nn.TransformerEncoderLayer(6, 2, feedforward=8, dropout=0.5, dtype="float64")
    assert (layer.train()(DATA).data != layer.eval()(DATA).data).any()
    x = lg.placeholder(("batch", "time", 6), name="x")
    np.testing.assert_array_equal(lg.compile(layer(x))(x=DATA), layer(DATA).data)


F4 = np.ones((2, 5, 6), np.float32)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.MultiHeadAttention(6, 4), "4 heads don't divide 6 features"),
        (lambda: nn.MultiHeadAttention(6, 2)(F4[0]), r"the query needs the axes \(batch, time"),
        (lambda: nn.MultiHeadAttention(4, 2)(F4), "expected 4 features of the query"),
        (lambda: nn.MultiHeadAttention(6, 2)(F4, value=F4), "values came without keys"),
        (lambda: nn.MultiHeadAttention(6, 2)(F4, F4[:1]), "queries and keys have batches of 2"),
        (
            lambda: nn.MultiHeadAttention(6, 2)(F4, mask=np.zeros((4, 5), bool)),
            r"mask needs the axes \(queries, keys\).* got bool\[4, 5\]",
        ),
        (
            lambda: nn.MultiHeadAttention(6, 2)(F4, key_mask=np.zeros(5, bool)),
            r"key_mask needs the axes \(batch, keys\)",
        ),
        (
            lambda: nn.MultiHeadAttention(6, 2)(F4, mask=np.zeros((5, 5), int)),
            "a mask holds bools, or floats to add, got int64",
        ),
        (
            lambda: nn.TransformerEncoderLayer(6, 2, activation="sin"),
            "activation must be one of 'relu', 'gelu', 'gelu_tanh', or a function, got 'sin'",
        ),
    ],
)
def test_errors_name_the_layer(make, words):
    with pytest.raises(lg.GraphError, match=words):
        make()
