"""Recurrent layers: loops of any length, unrolling, states, bad input."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn

DATA = np.random.default_rng(0).normal(size=(3, 5, 2))


@pytest.mark.parametrize("made", [nn.RNN, nn.LSTM, nn.GRU])
def test_one_program_for_sequences_of_any_length(made):
    layer = made(2, 4, layers=2, both_directions=True, dtype="float64")
    x = lg.placeholder(("batch", "time", 2), name="x")
    outputs, state = layer(x)
    last = state[0] if made is nn.LSTM else state
    program = lg.compile([outputs, last])
    for rows, steps in ((3, 5), (1, 1), (2, 4)):
        got, final = program(x=DATA[:rows, :steps])
        assert got.shape == (rows, steps, 8)
        # The last state of each direction is the output where that direction ends.
        np.testing.assert_array_equal(final[2], got[:, -1, :4])
        np.testing.assert_array_equal(final[3], got[:, 0, 4:])


@pytest.mark.parametrize("made", [nn.RNN, nn.LSTM, nn.GRU])
def test_unrolled_and_looped_are_the_same(made):
    looped, unrolled = (made(2, 4, dtype="float64", unroll=u, seed=3) for u in (False, True))
    x = lg.Value(DATA)
    first, second = looped(x)[0], unrolled(x)[0]
    np.testing.assert_allclose(first.data, second.data, rtol=1e-12)
    gradients = [lg.compile(lg.grad((y**2).sum(), x))() for y in (first, second)]
    np.testing.assert_allclose(*gradients, rtol=1e-10)


def test_a_sequence_in_two_parts_goes_on_from_the_state():
    layer = nn.LSTM(2, 4, layers=2, dtype="float64")
    whole, last = layer(DATA)
    _, between = layer(DATA[:, :2])
    rest, final = layer(DATA[:, 2:], between)
    np.testing.assert_allclose(rest.data, whole.data[:, 2:], rtol=1e-12)
    for a, b in zip(final, last, strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-12)


def test_the_time_axis_may_come_first():
    first, second = nn.GRU(2, 4, dtype="float64"), nn.GRU(2, 4, time_axis=0, dtype="float64")
    np.testing.assert_array_equal(
        first(DATA)[0].data, second(np.swapaxes(DATA, 0, 1))[0].data.swapaxes(0, 1)
    )


def test_dropout_between_layers_is_for_training():
    layer = nn.GRU(2, 4, layers=2, dropout=0.5, dtype="float64")
    with pytest.raises(lg.ModeError, match=r"dropouts.0: Dropout"):
        layer(DATA)[0].data
    assert (layer.train()(DATA)[0].data != layer.eval()(DATA)[0].data).any()
    np.testing.assert_array_equal(layer(DATA)[0].data, layer(DATA)[0].data)


def test_layers_and_directions_start_apart():
    layer = nn.GRU(4, 4, layers=2, both_directions=True)
    weights = [cell.hidden_weight.data for cell in layer.cells]
    assert all((a != b).any() for a in weights for b in weights if a is not b)
    again = nn.GRU(4, 4, layers=2, both_directions=True)
    for a, b in zip(layer.parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)


def test_integers_and_one_step():
    assert nn.GRU(2, 4)(np.ones((3, 1, 2), np.uint8))[0].data.dtype == np.float32
    assert nn.RNNCell(2, 4)(np.ones((3, 2), np.int64)).dtype == np.float32


F4 = np.ones((3, 5, 2), np.float32)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.GRU(2, 4)(F4[0]), r"GRU: needs the axes \(batch, time, features\), got"),
        (lambda: nn.LSTM(3, 4)(F4), r"LSTM: expected 3 features along axis 2, got 2"),
        (lambda: nn.RNN(2, 4, nonlinearity="sin"), "nonlinearity must be 'tanh' or 'relu'"),
        (lambda: nn.GRU(2, 0), "GRU: hidden must be a positive integer, got 0"),
        (lambda: nn.GRU(2, 4, time_axis=2), "GRU: time_axis must be 1 or 0, got 2"),
        (lambda: nn.GRU(2, 4)(F4, F4), r"GRU: the state needs the shape \[1, 3, 4\]"),
        (lambda: nn.LSTM(2, 4)(F4, F4), r"LSTM: the state is a pair, \(h, c\)"),
        (lambda: nn.GRU(2, 4, dtype="int32"), "GRUCell: dtype must be a float type, got int32"),
        (
            lambda: nn.RNN(2, 4, unroll=True)(
                lg.placeholder((1, "time", 2), dtype="float32", name="x")
            ),
            "RNN: unroll needs a known number of steps",
        ),
    ],
)
def test_errors_name_the_layer(make, words):
    with pytest.raises(lg.GraphError, match=words):
        make()
