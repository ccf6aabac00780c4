"""Tables of models."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn


def model():
    rng = np.random.default_rng(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 16, seed=rng), nn.ReLU(), nn.Linear(16, 10, seed=rng)
    )


def test_a_perceptron_as_a_table():
    table = model().summary(("batch", 8, 8))
    lines = [line.split() for line in str(table).splitlines()]
    assert lines[0] == ["name", "layer", "output", "dtype", "parameters", "bytes", "flops"]
    assert lines[4] == ["1", "Linear", "[batch,", "16]", "float32", "1,040", "4,160", "2064*batch"]
    assert lines[-1] == ["total", "1,210", "4,840", "2410*batch"]
    assert (table.parameters, table.bytes) == (1210, 4840)
    assert str(table.flops) == "2410*batch"
    fixed = model().summary(np.zeros((32, 8, 8), np.float32))
    assert fixed.flops == 32 * 2410
    assert repr(fixed) == str(fixed)


def test_inner_layers_have_rows_and_totals_count_once():
    layer = nn.TransformerEncoderLayer(8, 2, feedforward=16)
    table = layer.summary((2, 5, 8))
    assert [row.name for row in table.rows] == [
        "",
        "attention",
        "attention_norm",
        "feedforward_norm",
    ]
    assert table.parameters == layer.count_parameters()
    whole = lg.compile(layer(lg.placeholder((2, 5, 8), dtype="float32", name="x")))
    assert table.flops <= 1.5 * sum(
        step.op.cost(
            whole.schedule.specs[step.writes[0]],
            *[whole.schedule.specs[n] for n in step.reads],
            **step.attrs,
        )
        for step in whole.schedule.steps
    )


def test_layers_that_are_used_without_a_call_belong_to_their_owner():
    layer = nn.LSTM(3, 4, layers=2, both_directions=True)
    table = layer.summary(("batch", "time", 3))
    assert table.parameters == layer.count_parameters()
    assert table.rows[0].output == "[batch, time, 8], [4, batch, 4], [4, batch, 4]"


def test_a_shared_layer_has_its_parameters_once():
    layer = nn.Linear(4, 4)
    table = nn.Sequential(layer, layer).summary((1, 4))
    assert [row.parameters for row in table.rows] == [0, 20, 0]
    assert [row.name for row in table.rows] == ["", "0", "0"]


def test_buffers_count_as_bytes_and_frozen_parameters_as_parameters():
    layer = nn.BatchNorm(4).freeze()
    (row,) = layer.summary((2, 4)).rows
    assert (row.parameters, row.bytes) == (8, 64)


def test_a_row_is_of_what_predicts():
    (row,) = nn.Dropout(0.5, seed=0).summary((2, 4)).rows
    assert row.flops == 0


def test_inputs_of_other_dtypes():
    table = nn.Embedding(5, 3, seed=0)
    (row,) = table.summary(lg.Spec(("batch",), "int64")).rows
    assert row.output == "[batch, 3]"


def test_errors_name_the_layer():
    with pytest.raises(lg.ShapeError, match=r"expected 64 features(.|\n)*in the layer 1: Linear"):
        model().summary(("batch", 7, 8))
    with pytest.raises(lg.OptionError, match="Sequential can't be called with 2 inputs"):
        model().summary((1, 8, 8), (1, 2))
    assert model()(np.zeros((1, 8, 8), np.float32)).shape == (1, 10)
