"""Minibatches and splits: every row once, rows stay together, and errors name the arrays."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from lazygrad.data import minibatches, train_test_split
from lazygrad.errors import ShapeError


@given(
    length=st.integers(0, 40),
    batch_size=st.integers(1, 50),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
)
def test_every_row_comes_once_and_stays_together(length, batch_size, shuffle, drop_last):
    x = np.arange(2.0 * length).reshape(length, 2)
    t = np.arange(length)
    batches = list(
        minibatches(x=x, t=t, batch_size=batch_size, shuffle=shuffle, seed=0, drop_last=drop_last)
    )
    rest = length % batch_size
    sizes = [batch_size] * (length // batch_size) + [rest] * bool(rest and not drop_last)
    assert [len(batch["t"]) for batch in batches] == sizes
    rows = [row for batch in batches for row in batch["t"].tolist()]
    assert len(set(rows)) == len(rows) == sum(sizes)
    for batch in batches:
        assert np.array_equal(batch["x"], x[batch["t"]])
    if not shuffle:
        assert rows == list(range(sum(sizes)))


def test_dtypes_ranks_and_order_of_names_are_kept():
    images = np.zeros((5, 3, 2), np.float32)
    (batch,) = minibatches(t=np.zeros(5, np.int16), x=images, batch_size=8)
    assert list(batch) == ["t", "x"]
    assert batch["x"].shape == (5, 3, 2)
    assert batch["x"].dtype == np.float32
    assert batch["t"].dtype == np.int16


def test_lists_become_arrays():
    (batch,) = minibatches(x=[[1.0, 2.0], [3.0, 4.0]], batch_size=2)
    assert isinstance(batch["x"], np.ndarray)


def test_a_mask_is_not_lost():
    masked = np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False])
    (batch,) = minibatches(x=masked, batch_size=3)
    assert np.ma.is_masked(batch["x"])


def test_shuffled_batches_never_share_the_callers_memory():
    x = np.arange(6)
    for batch in minibatches(x=x, batch_size=2, shuffle=True, seed=0):
        assert not np.shares_memory(batch["x"], x)


def test_the_seed_decides_the_order():
    def order(seed):
        batches = minibatches(x=np.arange(50), batch_size=7, shuffle=True, seed=seed)
        return np.concatenate([batch["x"] for batch in batches]).tolist()

    assert order(3) == order(3)
    assert order(3) != order(4)
    assert order(None) != order(None)
    epochs = np.random.default_rng(3)
    first, second = order(epochs), order(epochs)
    assert first == order(3)
    assert first != second


def test_names_like_options_come_through_the_mapping():
    options = {"seed": np.arange(3), "batch_size": np.arange(3), "arrays": np.arange(3)}
    (batch,) = minibatches(options, named=np.arange(3), batch_size=3)
    assert list(batch) == ["seed", "batch_size", "arrays", "named"]
    (batch,) = minibatches(arrays=np.arange(3), batch_size=3)
    assert list(batch) == ["arrays"]


def test_a_name_given_twice_is_refused():
    with pytest.raises(TypeError, match="'x' is given twice, in the mapping and by keyword"):
        minibatches({"x": np.arange(3)}, x=np.arange(3), batch_size=1)


def test_faults_are_raised_by_the_call_not_by_the_first_batch():
    with pytest.raises(ShapeError) as error:
        minibatches(x=np.zeros((10, 64), np.float32), t=np.zeros(9, np.int64), batch_size=2)
    assert str(error.value) == (
        "minibatches: lengths differ, x has 10 rows and t has 9.\n"
        "  x: float32[10, 64]\n"
        "  t: int64[9]"
    )


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="minibatches: no arrays are given"):
        minibatches(batch_size=2)
    with pytest.raises(ShapeError, match="minibatches: x is a scalar, expected an array"):
        minibatches(x=3.0, batch_size=2)
    with pytest.raises(ValueError, match="batch_size is 0, expected at least 1"):
        minibatches(x=np.arange(3), batch_size=0)
    with pytest.raises(TypeError, match="float"):
        minibatches(x=np.arange(3), batch_size=2.0)


@given(length=st.integers(2, 60), test_fraction=st.floats(0.05, 0.95))
def test_a_split_has_every_row_once_and_keeps_rows_together(length, test_fraction):
    held_out = round(test_fraction * length)
    x = np.arange(3 * length).reshape(length, 3)
    t = np.arange(length)
    if not 0 < held_out < length:
        with pytest.raises(ValueError, match="expected some for each"):
            train_test_split(x, t, test_fraction=test_fraction)
        return
    x_train, x_test, t_train, t_test = train_test_split(x, t, test_fraction=test_fraction)
    assert len(t_test) == held_out
    assert sorted([*t_train.tolist(), *t_test.tolist()]) == list(range(length))
    assert np.array_equal(x_train, x[t_train])
    assert np.array_equal(x_test, x[t_test])


def test_a_split_is_the_same_each_time_and_another_with_another_seed():
    (train, test), (again, _) = train_test_split(np.arange(100)), train_test_split(np.arange(100))
    assert np.array_equal(train, again)
    assert len(test) == 20
    assert not np.array_equal(train, train_test_split(np.arange(100), seed=1)[0])


def test_a_split_copies():
    x = np.arange(10)
    assert not any(np.shares_memory(part, x) for part in train_test_split(x))


def test_a_bad_split_is_named():
    with pytest.raises(ValueError, match="train_test_split: no arrays are given"):
        train_test_split()
    with pytest.raises(ShapeError, match="array 0 has 4 rows and array 1 has 5"):
        train_test_split(np.arange(4), np.arange(5))
    for fraction in (0, 1, -0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="expected more than 0, less than 1"):
            train_test_split(np.arange(4), test_fraction=fraction)
    with pytest.raises(ValueError, match="of 3 rows leaves 3 for training and 0 for the test"):
        train_test_split(np.arange(3), test_fraction=0.1)


def test_a_split_by_name_is_two_dicts():
    x, t = np.arange(20).reshape(10, 2), np.arange(10)
    x_train, x_test, t_train, t_test = train_test_split(x, t)
    for train, test in (train_test_split(x=x, t=t), train_test_split({"x": x, "t": t})):
        assert np.array_equal(train["x"], x_train)
        assert np.array_equal(test["x"], x_test)
        assert np.array_equal(train["t"], t_train)
        assert np.array_equal(test["t"], t_test)
    train, test = train_test_split({"seed": t}, x=x)
    assert list(train) == list(test) == ["seed", "x"]


def test_a_split_is_by_position_or_by_name():
    for arrays, named in [([np.arange(3)], {"t": [1]}), ([{"x": [1]}, {"t": [1]}], {})]:
        with pytest.raises(TypeError, match="expected all by position or all by name"):
            train_test_split(*arrays, **named)


@given(
    classes=st.lists(st.integers(0, 4), min_size=2, max_size=60),
    test_fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 3),
)
def test_a_stratified_split_gives_each_class_its_share(classes, test_fraction, seed):
    held_out = round(test_fraction * len(classes))
    if not 0 < held_out < len(classes):
        return
    rows = np.arange(len(classes))
    train, test = train_test_split(
        rows, test_fraction=test_fraction, seed=seed, stratify=np.array(classes)
    )
    assert len(test) == held_out
    assert sorted([*train.tolist(), *test.tolist()]) == rows.tolist()
    counts = np.bincount(classes, minlength=5)
    kept = np.bincount(np.array(classes)[test], minlength=5)
    assert (np.abs(kept - test_fraction * counts) < 1).all()


def test_a_stratified_split_takes_names_of_classes_and_mixes_them():
    names = np.repeat(["cat", "dog"], 50)
    _, test = train_test_split(names, test_fraction=0.4, stratify=names)
    assert sorted(test.tolist()) == ["cat"] * 20 + ["dog"] * 20
    assert len(set(test[:20].tolist())) == 2


def test_classes_that_dont_fit_are_named():
    with pytest.raises(ShapeError, match=r"stratify has shape \[3\], expected .*, \[4\]"):
        train_test_split(np.arange(4), test_fraction=0.5, stratify=[0, 1, 2])
