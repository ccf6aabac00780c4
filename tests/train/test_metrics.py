"""Metrics against NumPy's plain formulas and scikit-learn's."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import train

RNG = np.random.default_rng(0)
SCORES, LABELS = RNG.normal(size=(40, 6)), RNG.integers(0, 6, 40)


def test_accuracy_of_classes():
    expected = (SCORES.argmax(1) == LABELS).mean()
    assert train.accuracy(SCORES, LABELS).data == expected
    assert train.accuracy(SCORES.T, LABELS, axis=0).data == expected
    assert train.accuracy(SCORES.argmax(1), LABELS).data == expected


def test_accuracy_of_yes_and_no():
    score, yes = RNG.normal(size=40), RNG.integers(0, 2, 40)
    expected = ((score > 0) == (yes > 0)).mean()
    for target in (yes, yes.astype(float), yes.astype(bool)):
        assert train.accuracy(score, target).data == expected
    chance = 1 / (1 + np.exp(-score))
    assert train.accuracy(chance, yes, threshold=0.5).data == expected


@pytest.mark.parametrize("k", [1, 2, 5, 6, 9])
def test_top_k(k):
    order = np.argsort(-SCORES, axis=1)[:, :k]
    expected = (order == LABELS[:, None]).any(1).mean()
    assert train.top_k_accuracy(SCORES, LABELS, k).data == pytest.approx(expected)


def test_against_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    target, guess = RNG.normal(5, 2, 50), RNG.normal(5, 2, 50)
    assert train.r2(guess, target).value.data == pytest.approx(metrics.r2_score(target, guess))
    assert train.mae(guess, target).data == pytest.approx(
        metrics.mean_absolute_error(target, guess)
    )
    assert train.top_k_accuracy(SCORES, LABELS, 3).data == pytest.approx(
        metrics.top_k_accuracy_score(LABELS, SCORES, k=3, labels=range(6))
    )


def test_r2_of_equal_targets_and_of_named_lengths():
    x, t = (lg.placeholder(("batch",), dtype="float32", name=name) for name in "xt")
    program = lg.compile(train.r2(x, t).value)
    assert program(x=[1.0, 2.0], t=[1.0, 2.0]) == 1.0
    assert not np.isfinite(program(x=[1.0, 2.0], t=[1.0, 1.0]))


X = lg.placeholder(("batch", 4), name="x")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: train.accuracy(X, np.zeros((3, 2, 2), int)), lg.ShapeError, r"accuracy\(x"),
        (lambda: train.accuracy(SCORES, LABELS[:3]), lg.ShapeError, "doesn't fit a target"),
        (lambda: train.top_k_accuracy(SCORES, LABELS, 0), lg.OptionError, "k must be a positive"),
        (lambda: train.top_k_accuracy(SCORES, SCORES), lg.DTypeError, "labels are integers"),
        (lambda: train.top_k_accuracy(SCORES, SCORES.astype(int)), lg.ShapeError, "don't fit"),
        (lambda: train.r2(X, np.zeros(3)), lg.ShapeError, "r2"),
    ],
)
def test_bad_calls_name_the_metric(call, error, words):
    with pytest.raises(error, match=words):
        call()
