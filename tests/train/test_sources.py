"""Where batches come from, and going back to a place among them."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.train.sources import Source, in_order, rows_of

ARRAYS = {"x": np.arange(10.0), "t": np.arange(10)}


def taken(source, epoch, count=None):
    found = []
    for batch in source.epoch(epoch):
        found.append(batch["x"].tolist())
        if len(found) == count:
            break
    return found


def test_arrays_are_shuffled_anew_each_epoch():
    source = Source(ARRAYS, 4, seed=1)
    first, second = taken(source, 0), taken(source, 1)
    assert [len(batch) for batch in first] == [4, 4, 2]
    for epoch in (first, second):
        assert sorted(row for batch in epoch for row in batch) == list(range(10))
    assert first != second
    assert len(source) == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: Source(ARRAYS, 3, seed=2),
        lambda: Source([{"x": np.array([float(i)])} for i in range(5)], None, 0),
        lambda: Source(lambda epoch: [{"x": np.array([epoch, i])} for i in range(5)], None, 0),
    ],
    ids=["arrays", "batches", "function"],
)
def test_a_place_can_be_gone_back_to(make):
    first = make()
    taken(first, 0)
    taken(first, 1, count=2)
    state = first.state()
    rest = taken(first, 1)
    other = make()
    other.restore(state)
    assert other.position == 2
    assert taken(other, 1) == rest
    assert taken(other, 2) == taken(first, 2)


def test_rows_are_counted_by_the_first_array_with_axes():
    assert rows_of({"scale": 2.0, "x": np.zeros((3, 2))}) == 3
    assert rows_of({"scale": 2.0}) == 1


def test_to_look_at_data_it_is_taken_in_order():
    batches = list(in_order(ARRAYS, 4))
    assert [batch["x"].tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize(
    ("data", "size", "words"),
    [
        (3, None, "must be arrays by name, a loader"),
        ([ARRAYS], 4, "batch_size cuts arrays"),
        (iter([ARRAYS]), None, "only once"),
    ],
)
def test_other_data_is_refused(data, size, words):
    with pytest.raises(lg.OptionError, match=words):
        Source(data, size, 0)


def test_a_place_of_something_else_is_refused():
    with pytest.raises(lg.OptionError, match="the place in the data is"):
        Source([ARRAYS], None, 0).restore({"page": 3})
