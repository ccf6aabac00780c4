"""Losses: edges, reductions, bad input."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lazygrad as lg
from lazygrad import nn

NUMBERS = {
    "mse": (nn.mse, lambda p, t: (p - t) ** 2),
    "mae": (nn.mae, lambda p, t: abs(p - t)),
    "huber": (nn.huber, lambda p, t: np.where(abs(p - t) < 1, (p - t) ** 2 / 2, abs(p - t) - 0.5)),
    "log_cosh": (nn.log_cosh, lambda p, t: np.log(np.cosh(p - t))),
    "hinge": (nn.hinge, lambda p, t: np.maximum(0, 1 - p * t)),
    "poisson": (nn.poisson, lambda p, t: np.exp(p) - t * p),
    "with_logits": (
        nn.binary_cross_entropy_with_logits,
        lambda p, t: np.log1p(np.exp(p)) - t * p,
    ),
}
EACH = pytest.mark.parametrize("name", NUMBERS)


@EACH
def test_reductions(name):
    loss, expected = NUMBERS[name]
    rng = np.random.default_rng(0)
    p, t = rng.normal(size=(3, 4)), rng.uniform(0, 1, (3, 4))
    np.testing.assert_allclose(loss(p, t, reduction="none").data, expected(p, t), rtol=1e-12)
    np.testing.assert_allclose(loss(p, t, reduction="sum").data, expected(p, t).sum())
    np.testing.assert_allclose(loss(p, t).data, expected(p, t).mean())
    with pytest.raises(lg.OptionError, match="reduction must be 'mean', 'sum' or 'none', got 'x'"):
        loss(p, t, reduction="x")


@EACH
def test_a_stretched_operand_warns_with_both_shapes_and_the_line(name):
    loss, _ = NUMBERS[name]
    x = lg.placeholder(("batch", 1), name="x")
    with pytest.warns(
        lg.BroadcastWarning, match=r"shape \[batch, 1\], the target \[batch\]"
    ) as got:
        loss(x, lg.placeholder(("batch",), name="t"))
    assert got[0].filename == __file__
    loss(x, 1.0)
    loss(x, lg.placeholder(("other", 1), name="t"))


@EACH
def test_targets_take_on_the_dtype_of_the_prediction(name):
    loss, _ = NUMBERS[name]
    x = lg.placeholder(("batch",), dtype="float32", name="x")
    for dtype in ("float64", "int64", "uint8", "bool"):
        assert loss(x, lg.placeholder(("batch",), dtype=dtype, name="t")).dtype == np.float32
    assert loss(x, lg.Value(np.ones(3), name="w")).dtype == np.float64


# The count that poisson expects overflows, as it should.
@pytest.mark.parametrize("name", [name for name in NUMBERS if name != "poisson"])
@pytest.mark.parametrize("size", [1e4, -1e4, 88.0, -88.0])
def test_large_predictions_have_finite_losses_and_gradients(name, size):
    loss, _ = NUMBERS[name]
    x = lg.Value(np.full(3, size, np.float32))
    y = loss(x, np.array([0.0, 0.5, 1.0], np.float32))
    y.backward()
    if abs(size) < 100 or name != "mse":
        assert np.isfinite(y.data)
    assert np.isfinite(x.grad).all()


@EACH
def test_nan_is_never_hidden(name):
    loss, _ = NUMBERS[name]
    assert np.isnan(loss([1.0, np.nan], [1.0, 1.0]).data)
    assert np.isnan(loss([1.0, 1.0], [1.0, np.nan]).data)


def test_rmse_has_a_gradient_without_errors_and_keeps_its_dtype():
    x = lg.Value([1.0, 2.0])
    nn.rmse(x, [1.0, 2.0]).backward()
    np.testing.assert_array_equal(x.grad, [0.0, 0.0])
    y = lg.placeholder(("batch",), dtype="float32", name="y")
    assert nn.rmse(y, lg.placeholder(("batch",), name="t")).dtype == np.float32
    assert nn.rmse(y, 0.0).dtype == np.float32


def test_rmse_is_the_root():
    assert nn.rmse([1.0, 5.0], [1.0, 2.0]).data == pytest.approx(np.sqrt(4.5))


def test_probabilities_of_0_and_1_have_a_finite_loss():
    x = lg.Value([0.0, 1.0, 0.0, 1.0])
    loss = nn.binary_cross_entropy(x, [0.0, 1.0, 1.0, 0.0], reduction="none")
    np.testing.assert_array_equal(loss.data, [0, 0, 100, 100])
    loss.backward()
    assert np.isfinite(x.grad).all()


def test_divergence_of_equal_distributions_is_0_and_zeros_count_nothing():
    p = np.array([[0.2, 0.8, 0.0]])
    with np.errstate(divide="ignore"):
        logs = np.log(p)
    assert nn.kl_div(logs, p, reduction="sum").data == 0.0
    x = lg.Value(p)
    nn.kl_div(np.log([[0.5, 0.25, 0.25]]), x, reduction="batchmean").backward()
    assert np.isfinite(x.grad).all()


# Classes

SCORES = np.random.default_rng(1).normal(size=(5, 4))
LABELS = np.array([0, 3, 1, 1, 2])


def logs():
    return SCORES - np.log(np.exp(SCORES).sum(1, keepdims=True))


def test_labels_and_probabilities_agree():
    expected = -logs()[np.arange(5), LABELS]
    for dtype in ("int64", "int8", "uint8"):
        got = nn.cross_entropy(SCORES, LABELS.astype(dtype), reduction="none").data
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    shares = np.eye(4)[LABELS]
    got = nn.cross_entropy(SCORES, shares, reduction="none").data
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    np.testing.assert_allclose(nn.nll(logs(), LABELS).data, expected.mean())


def test_the_class_axis_can_be_any():
    scores = np.random.default_rng(2).normal(size=(2, 3, 4))
    labels = np.array([[0, 1, 2, 0], [1, 1, 0, 2]])
    moved = np.moveaxis(scores, 1, -1)
    for loss in (nn.cross_entropy, nn.nll, nn.multiclass_hinge):
        got = loss(scores, labels, axis=1, reduction="none").data
        np.testing.assert_array_equal(got, loss(moved, labels, reduction="none").data)


def test_ignored_labels_have_neither_loss_nor_gradient():
    x = lg.Value(SCORES)
    ignored = np.where(LABELS == 1, -100, LABELS)
    loss = nn.cross_entropy(x, ignored, ignore_index=-100)
    keep = LABELS != 1
    np.testing.assert_allclose(loss.data, -logs()[np.arange(5), LABELS][keep].mean())
    loss.backward()
    assert (x.grad[~keep] == 0).all()
    assert (x.grad[keep] != 0).all()
    assert np.isnan(nn.cross_entropy(x, np.full(5, 7), ignore_index=7).data)
    assert nn.cross_entropy(x, np.full(5, 7), ignore_index=7, reduction="sum").data == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scores_of_any_size_are_finite(dtype):
    scores = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 9999.5]], dtype)
    x = lg.Value(scores)
    loss = nn.cross_entropy(x, np.array([0, 2]), reduction="none")
    np.testing.assert_allclose(loss.data, [0, 0.5 + np.log1p(np.exp(-0.5))], rtol=1e-6)
    loss.backward()
    assert np.isfinite(x.grad).all()
    closed = lg.Value(np.array([[0.0, -np.inf, 1.0]], dtype))
    loss = nn.cross_entropy(closed, np.array([0]))
    loss.backward()
    assert np.isfinite(loss.data)
    assert closed.grad[0, 1] == 0


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.nll, nn.multiclass_hinge])
@pytest.mark.parametrize("label", [-1, 4, 100])
def test_labels_out_of_range_are_named(loss, label):
    x = lg.placeholder(("batch", 4), name="x")
    t = lg.placeholder(("batch",), dtype="int64", name="t")
    program = lg.compile(loss(x, t))
    labels = LABELS.copy()
    labels[2] = label
    with pytest.raises(lg.OperationError, match=f"label {label} at .2. is outside 0 to 3") as got:
        program(x=SCORES, t=labels)
    assert loss.__name__ in str(got.value)
    assert "test_losses.py" in str(got.value)
    assert np.isfinite(program(x=SCORES, t=LABELS))


def test_an_empty_batch_has_no_mean():
    x = lg.placeholder(("batch", 4), name="x")
    t = lg.placeholder(("batch",), dtype="int64", name="t")
    empty = {"x": np.zeros((0, 4)), "t": np.zeros(0, np.int64)}
    assert np.isnan(lg.compile(nn.cross_entropy(x, t))(**empty))
    assert lg.compile(nn.cross_entropy(x, t, reduction="sum"))(**empty) == 0


X = lg.placeholder(("batch", 4), name="x")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: nn.cross_entropy(X, lg.placeholder(("batch", 1), dtype="int64", name="t")),
            lg.ShapeError,
            r"cross_entropy\(x, t\): for a prediction of float64\[batch, 4\] labels need the shape"
            r" \[batch\], got int64\[batch, 1\]",
        ),
        (
            lambda: nn.cross_entropy(X, lg.placeholder(("batch",), name="t")),
            lg.ShapeError,
            "needs probabilities of its shape, or integer labels, got",
        ),
        (
            lambda: nn.nll(X, lg.placeholder(("batch",), name="t")),
            lg.DTypeError,
            r"nll\(x, t\): labels are integers, got float64.*\n.*placeholder 'x', test_losses.py",
        ),
        (
            lambda: nn.cross_entropy(SCORES, LABELS, weight=[1.0, 2.0]),
            lg.ShapeError,
            "weight needs one number for each of 4 classes",
        ),
        (
            lambda: nn.cross_entropy(SCORES, LABELS, label_smoothing=2),
            lg.OptionError,
            "label_smoothing must be from 0 to 1, got 2",
        ),
        (
            lambda: nn.cross_entropy(SCORES, np.eye(4)[LABELS], ignore_index=0),
            lg.OptionError,
            "ignore_index is for labels",
        ),
        (lambda: nn.cross_entropy(1.0, 0), lg.ShapeError, "needs an axis of classes"),
        (lambda: nn.cross_entropy(SCORES, LABELS, axis=2), lg.AxisError, "axis 2"),
        (lambda: nn.huber(1.0, 1.0, delta=0), lg.OptionError, "huber: delta must be positive"),
        (lambda: nn.mse(X, ["a"]), lg.DTypeError, "^mse.*text can't be"),
        (lambda: nn.kl_div(0.0, 1.0, reduction="batchmean"), lg.OptionError, "needs a batch axis"),
        (lambda: nn.multiclass_hinge(SCORES, LABELS, margin=0), lg.OptionError, "margin"),
    ],
)
def test_bad_calls_name_the_loss(call, error, words):
    with pytest.raises(error, match=words):
        call()


@settings(max_examples=20)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_the_order_of_a_batch_and_its_parts_do_not_matter(rows, seed):
    rng = np.random.default_rng(seed)
    x = lg.placeholder(("batch", 4), name="x")
    t = lg.placeholder(("batch",), dtype="int64", name="t")
    program = lg.compile(nn.cross_entropy(x, t, reduction="sum"))
    data, labels = rng.normal(size=(rows, 4)), rng.integers(0, 4, rows)
    whole = program(x=data, t=labels)
    order = rng.permutation(rows)
    np.testing.assert_allclose(program(x=data[order], t=labels[order]), whole, rtol=1e-12)
    cut = rng.integers(0, rows + 1)
    parts = program(x=data[:cut], t=labels[:cut]) + program(x=data[cut:], t=labels[cut:])
    np.testing.assert_allclose(parts, whole, rtol=1e-12)
