"""Affine layers, tables, shapes: edges and bad input."""

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


def test_the_same_seed_gives_the_same_model():
    for a, b in zip(model(1).parameters(), model(1).parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    assert (model(1)[0].weight.data != model(2)[0].weight.data).any()


def test_initializers_can_be_chosen():
    layer = nn.Linear(
        3, 3, weight_initializer=nn.initializers.identity(), bias_initializer=nn.initializers.ones()
    )
    np.testing.assert_array_equal(layer(np.zeros((1, 3), np.float32)).data, [[1, 1, 1]])


def test_an_empty_batch_and_integers():
    program = lg.compile(model()(X))
    assert program(x=np.zeros((0, 3))).shape == (0, 2)
    assert model()(np.ones((2, 3), np.uint8)).data.dtype == np.float32


def test_wide_data_warns_once_with_the_line():
    layer = nn.Linear(3, 2)
    x = lg.placeholder((1, 3), name="wide")
    with pytest.warns(lg.PrecisionWarning, match="Linear: float64 data 'wide' meets") as got:
        [layer(x) for _ in range(3)]
    assert len(got) == 1
    assert got[0].filename == __file__


def test_lookups():
    table = nn.Embedding(4, 2, seed=0)
    t = lg.placeholder(("batch",), dtype="int64", name="t")
    program = lg.compile(table(t))
    np.testing.assert_array_equal(program(t=[3, 0, 3]), table.weight.data[[3, 0, 3]])
    for index in (-1, 4):
        with pytest.raises(lg.OperationError, match=f"Embedding: index {index} at .1. is outside"):
            program(t=[0, index])
    assert program(t=np.zeros(0, np.int64)).shape == (0, 2)
    assert table(2).shape == (2,)


def test_flatten_with_named_lengths():
    x = lg.placeholder(("batch", 2, "width"), name="x")
    assert lg.compile(nn.Flatten()(x))(x=np.zeros((3, 2, 5))).shape == (3, 10)
    assert lg.compile(nn.Flatten(0)(x))(x=np.zeros((3, 2, 5))).shape == (30,)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: model()(lg.placeholder(("batch", 4), dtype="float32", name="wide")),
            lg.ShapeError,
            r"Linear: expected 3 features along axis -1, got 4 in float32\[batch, 4\]"
            r".\n  in the layer 0: Linear",
        ),
        (lambda: nn.Linear(3, 2)(np.float32(1)), lg.ShapeError, "needs an axis of 3 features"),
        (lambda: nn.Linear(0, 2), lg.OptionError, "Linear: inputs must be a positive integer"),
        (lambda: nn.Linear(2, 2, dtype=int), lg.DTypeError, "Linear: dtype must be a float type"),
        (lambda: nn.Linear(3, 2)(["a"]), lg.DTypeError, "text can't be computed with"),
        (lambda: nn.Embedding(3, 2)(np.ones(2)), lg.DTypeError, "Embedding: looks up integers"),
        (
            lambda: nn.Embedding(3, 2, padding_index=3),
            lg.OptionError,
            "padding_index must be from 0 to 2, got 3",
        ),
        (lambda: nn.Flatten(2)(np.ones((2, 3))), lg.ShapeError, "Flatten: there is no axis 2"),
    ],
)
def test_bad_calls_name_the_layer(call, error, words):
    with pytest.raises(error, match=words):
        call()
