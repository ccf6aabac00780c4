"""The estimators pass scikit-learn's own checks, and work in its tools."""

import pickle

import numpy as np
import pytest

import lazygrad as lg

pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra 'sklearn')")

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from lazygrad.sklearn import LazyClassifier, LazyRegressor

POINTS, CLASSES = lg.data.moons(120, seed=0)


ESTIMATORS = [
    LazyClassifier((16,), learning_rate=0.02, epochs=60),
    LazyRegressor((16,), learning_rate=0.02, epochs=60),
]
CHECKS = [pair for estimator in ESTIMATORS for pair in estimator_checks_generator(estimator)]


@pytest.mark.parametrize(
    ("estimator", "check"),
    CHECKS,
    ids=[f"{type(e).__name__}-{getattr(c, 'func', c).__name__}" for e, c in CHECKS],
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_classes_may_be_text():
    names = np.array(["left", "right"])[CLASSES]
    estimator = LazyClassifier((16, 16), learning_rate=0.02, epochs=80, random_state=0)
    assert estimator.fit(POINTS, names).score(POINTS, names) > 0.95
    assert list(estimator.classes_) == ["left", "right"]
    chances = estimator.predict_proba(POINTS[:5])
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)
    assert len(estimator.loss_curve_) == estimator.n_iter_


def test_several_targets_at_once():
    x = np.linspace(-1, 1, 80)[:, None]
    y = np.stack([x[:, 0] ** 2, 100 + 5 * x[:, 0]], axis=1)
    estimator = LazyRegressor((32,), learning_rate=0.02, random_state=0).fit(x, y)
    assert estimator.predict(x).shape == (80, 2)
    assert estimator.score(x, y) > 0.95


def test_the_same_state_gives_the_same_and_copies_predict_the_same():
    first, second = (
        LazyClassifier((8,), epochs=5, dropout=0.2, random_state=3).fit(POINTS, CLASSES)
        for _ in range(2)
    )
    expected = first.predict_proba(POINTS)
    np.testing.assert_array_equal(expected, second.predict_proba(POINTS))
    np.testing.assert_array_equal(expected, pickle.loads(pickle.dumps(first)).predict_proba(POINTS))
    np.testing.assert_array_equal(expected, first.predict_proba(POINTS))
    assert not hasattr(clone(first), "model_")


def test_pipelines_and_searches():
    pipeline = make_pipeline(
        StandardScaler(), LazyClassifier((16,), learning_rate=0.05, epochs=30, random_state=0)
    )
    assert cross_val_score(pipeline, POINTS, CLASSES, cv=3).mean() > 0.85
    search = GridSearchCV(
        LazyClassifier((8,), epochs=20, random_state=0), {"learning_rate": [1e-5, 0.05]}, cv=2
    )
    assert search.fit(POINTS, CLASSES).best_params_ == {"learning_rate": 0.05}


def test_wrong_options_are_named_when_it_is_fitted():
    with pytest.raises(lg.OptionError, match=r"LazyClassifier: activation must be one of .*'sin'"):
        LazyClassifier(activation="sin").fit(POINTS, CLASSES)
