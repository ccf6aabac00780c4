"""What a history says of a run."""

import numpy as np
import pytest

from lazygrad.train import Best, History


def of(values, **options):
    history = History("loss", **options)
    for value in values:
        history.add({"loss": value, "accuracy": -value})
    return history


def test_the_best_epoch_and_how_long_ago_it_was():
    history = of([3.0, 1.0, 2.0, 1.0])
    assert history.best == Best(1, 1.0)
    assert (history.epochs, history.waited) == (4, 2)
    assert history["accuracy"] == [-3.0, -1.0, -2.0, -1.0]


def test_better_may_be_larger_or_by_a_margin():
    assert of([1.0, 3.0, 2.0], larger_is_better=True).best == Best(1, 3.0)
    assert of([1.0, 0.95, 0.8], min_delta=0.1).best == Best(2, 0.8)


def test_nan_is_worse_than_anything_and_better_than_nothing():
    assert of([np.nan, 2.0, np.nan]).best == Best(1, 2.0)
    assert of([np.nan]).best.epoch == 0


def test_before_the_first_epoch_there_is_nothing():
    history = of([])
    assert (history.best, history.epochs, history.waited) == (None, 0, 0)
    with pytest.raises(KeyError):
        history["loss"]


def test_it_goes_on_from_its_state():
    history = of([3.0, 1.0])
    history.steps = 8
    other = History("loss")
    other.restore(history.state())
    assert (other.values, other.steps, other.best) == (history.values, 8, history.best)


def test_it_prints_itself():
    assert str(of([3.0, 1.5])).splitlines() == [
        "2 epochs, 0 steps",
        "  loss: 1.5",
        "  accuracy: -1.5",
        "  best loss: 1.5 in epoch 1",
    ]
