"""Dropout: what it leaves out, when, and that forward and backward agree."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.nn.dropout import ChannelDropout, Dropout


def test_the_rest_is_scaled_and_the_part_is_right():
    kept = Dropout(0.25, 0).train()(np.ones(20_000)).data
    np.testing.assert_allclose(np.unique(kept), [0.0, 1 / 0.75])
    assert abs((kept == 0).mean() - 0.25) < 0.02


def test_one_mask_forward_and_backward_and_another_in_each_call():
    x = lg.placeholder(("batch", 50), name="x")
    y = Dropout(0.5, seed=3)(x)
    program = lg.compile([y, lg.grad(y.sum(), x)], train=True)
    data = np.full((2, 50), 3.0)
    value, gradient = program(x=data)
    np.testing.assert_array_equal(value, gradient * 3)
    again, _ = program(x=data)
    assert (again != value).any()


def test_forward_and_backward_on_the_fly_agree():
    x = lg.variable(np.full(50, 3.0))
    y = Dropout(0.5, seed=3).train()(x)
    value = y.forward()
    y.backward()
    np.testing.assert_array_equal(value, x.grad * 3)


def test_prediction_leaves_out_nothing_though_the_layer_trains():
    layer = Dropout(0.5, seed=0).train()
    x = lg.placeholder(("batch", 50), name="x")
    data = np.ones((2, 50))
    y = layer(x)
    assert layer.training
    np.testing.assert_array_equal(lg.compile(y)(x=data), data)
    assert int(layer.calls.data) == 0
    np.testing.assert_array_equal(layer.eval()(data).data, data)


@pytest.mark.parametrize(("rate", "expected"), [(0, [1.0, np.nan]), (1.0, [0.0, 0.0])])
def test_rates_at_the_ends(rate, expected):
    x = lg.placeholder((2,), name="x")
    y = Dropout(rate, 0)(x)
    value, gradient = lg.compile([y, lg.grad(y.sum(), x)], train=True)(x=[1.0, np.nan])
    np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(gradient, [1.0 - rate] * 2)
    np.testing.assert_array_equal(lg.compile(y)(x=[1.0, np.nan]), [1.0, np.nan])


def test_what_is_left_out_passes_no_nan():
    layer = Dropout(0.5, 0).train()
    value = layer(np.full(100, np.nan)).data
    assert np.isnan(value).any()
    assert (value == 0).any()


def test_dtypes():
    assert Dropout(0.5, 0).train()(np.ones(3, np.float32)).data.dtype == np.float32
    assert Dropout(0.5, 0).train()(np.ones(3)).data.dtype == np.float64
    assert Dropout(0.5, 0).train()(np.ones(3, np.uint8)).data.dtype == np.float32


def test_the_same_seed_draws_the_same_and_layers_of_one_generator_differ():
    data = np.ones(100)
    np.testing.assert_array_equal(
        Dropout(0.5, 7).train()(data).data, Dropout(0.5, 7).train()(data).data
    )
    rng = np.random.default_rng(0)
    assert (Dropout(0.5, rng).train()(data).data != Dropout(0.5, rng).train()(data).data).any()
    layer = Dropout(0.5, 7).train()
    assert (layer(data).data != layer(data).data).any()


def test_the_count_of_calls_is_state():
    layer = Dropout(0.5, 0)
    assert [name for name, _ in layer.named_buffers()] == ["calls"]
    assert layer.parameters() == []
    draw = lg.compile(layer(np.ones(50)), train=True)
    saved = int(layer.calls.data)
    first = draw()
    draw()
    layer.calls.data = saved
    np.testing.assert_array_equal(draw(), first)


def test_whole_channels():
    value = ChannelDropout(0.5, 0).train()(np.ones((3, 20, 4, 5))).data
    assert value.shape == (3, 20, 4, 5)
    np.testing.assert_array_equal(value, np.broadcast_to(value[:, :, :1, :1], value.shape))
    assert set(np.unique(value)) == {0.0, 2.0}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Dropout(1.5, 0), r"Dropout: rate must be a number from 0 to 1, got 1.5"),
        (lambda: Dropout(0.5, -1), "Dropout: a seed is an integer from 0"),
        (lambda: Dropout(0.5, None), "Dropout: a seed is an integer"),
        (lambda: ChannelDropout(0.5, 0).train()(np.ones(3)), "ChannelDropout: needs the axes"),
    ],
)
def test_errors_name_the_layer(make, words):
    with pytest.raises(lg.GraphError, match=words):
        make()
