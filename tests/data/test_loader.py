"""The loader: same batches with a thread as without, exact resume, and no thread left behind."""

import copy
import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, strategies as st

from lazygrad.data import DataLoader, Dataset, minibatches

PREFETCH = pytest.mark.parametrize("prefetch", [0, 1, 2, 50])


def rows_of(loader):
    """The rows of each batch of one epoch."""
    return [batch["x"].tolist() for batch in loader]


def loader_of(length=10, batch_size=3, **options):
    return DataLoader({"x": np.arange(length)}, batch_size, **options)


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "lazygrad-loader"]


@pytest.fixture(autouse=True)
def _no_thread_stays():
    yield
    assert threads() == []


@given(
    length=st.integers(0, 20),
    batch_size=st.integers(1, 25),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    prefetch=st.integers(0, 3),
)
def test_an_epoch_has_every_row_once(length, batch_size, shuffle, drop_last, prefetch):
    loader = loader_of(length, batch_size, shuffle=shuffle, drop_last=drop_last, prefetch=prefetch)
    batches = rows_of(loader)
    expected = minibatches(x=np.arange(length), batch_size=batch_size, drop_last=drop_last)
    sizes = [len(batch["x"]) for batch in expected]
    assert [len(batch) for batch in batches] == sizes
    assert len(loader) == len(sizes)
    rows = [row for batch in batches for row in batch]
    assert len(set(rows)) == sum(sizes)
    if not shuffle:
        assert rows == list(range(sum(sizes)))
    assert loader.state() == {"epoch": 1, "position": 0}


@PREFETCH
def test_each_epoch_has_an_order_of_its_own_from_seed_and_epoch(prefetch):
    loader, again = (loader_of(30, shuffle=True, seed=5, prefetch=p) for p in (prefetch, 2))
    epochs = [rows_of(loader) for _ in range(3)]
    assert epochs == [rows_of(again) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert epochs[0] != rows_of(loader_of(30, shuffle=True, seed=6))


def test_a_seed_above_32_bits_is_no_epoch_of_another_seed():
    first = loader_of(30, shuffle=True, seed=0)
    first.restore({"epoch": 1, "position": 0})
    assert rows_of(first) != rows_of(loader_of(30, shuffle=True, seed=2**32))


@given(st.integers(0, 12), st.integers(0, 3), st.booleans())
def test_a_restored_loader_goes_on_with_the_same_batches(steps, prefetch, drop_last):
    def stream(loader):
        while True:
            for batch in loader:
                yield batch["x"].tolist(), loader.state()

    def new():
        return loader_of(shuffle=True, seed=1, prefetch=prefetch, drop_last=drop_last)

    whole = stream(new())
    expected = [next(whole) for _ in range(20)]
    whole.close()
    resumed = new()
    if steps:
        resumed.restore(expected[steps - 1][1])
    rest = stream(resumed)
    assert [next(rest) for _ in range(20 - steps)] == expected[steps:]
    rest.close()


def test_a_state_is_plain_integers():
    loader = loader_of()
    next(iter(loader))
    assert {name: type(number) for name, number in loader.state().items()} == {
        "epoch": int,
        "position": int,
    }
    loader.restore({"epoch": np.int64(2), "position": np.array(1)})
    assert loader.state() == {"epoch": 2, "position": 1}
    assert all(type(number) is int for number in loader.state().values())


def test_a_state_from_the_last_batch_ends_its_epoch_first():
    loader = loader_of(6)
    for _ in loader:
        state = loader.state()
    assert state == {"epoch": 0, "position": 2}
    loader.restore(state)
    assert rows_of(loader) == []
    assert rows_of(loader) == [[0, 1, 2], [3, 4, 5]]


@PREFETCH
def test_a_loop_left_early_stops_the_thread_and_is_taken_up(prefetch):
    loader = loader_of(prefetch=prefetch)
    for _ in loader:
        break
    assert threads() == []
    assert rows_of(loader) == [[3, 4, 5], [6, 7, 8], [9]]
    assert len(rows_of(loader)) == 4


def test_an_iterator_that_is_dropped_stops_the_thread():
    iterator = iter(loader_of(1000))
    next(iterator)
    assert len(threads()) == 1
    del iterator
    assert threads() == []


def test_an_iterator_that_is_never_asked_starts_no_thread():
    iterator = iter(loader_of())
    assert threads() == []
    del iterator


@PREFETCH
def test_an_error_comes_where_its_batch_would_have_come(prefetch):
    broken = True

    def fail_at_six(batch):
        if broken and 6 in batch["x"]:
            raise KeyError("six")
        return batch

    loader = loader_of(transform=fail_at_six, prefetch=prefetch)
    batches = iter(loader)
    assert [next(batches)["x"].tolist() for _ in range(2)] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(KeyError, match="six") as error:
        next(batches)
    assert loader.state() == {"epoch": 0, "position": 2}
    assert error.traceback[-1].name == "fail_at_six"
    assert threads() == []
    broken = False
    assert rows_of(loader) == [[6, 7, 8], [9]]


@PREFETCH
def test_a_transform_cant_end_the_epoch_silently(prefetch):
    def stop(batch):
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        rows_of(loader_of(transform=stop, prefetch=prefetch))


@PREFETCH
def test_an_exit_in_the_thread_reaches_the_consumer(prefetch):
    def leave(batch):
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        rows_of(loader_of(transform=leave, prefetch=prefetch))


def test_an_error_in_the_loop_leaves_no_thread():
    def train(loader):
        for _ in loader:
            1 / 0

    loader = loader_of()
    with pytest.raises(ZeroDivisionError):
        train(loader)
    assert loader.state() == {"epoch": 0, "position": 1}


@PREFETCH
def test_a_transform_sees_whole_batches_and_may_write_into_them(prefetch):
    def halve(batch):
        batch["x"] //= 2
        return {**batch, "rows": len(batch["x"])}

    x = np.arange(5)
    loader = DataLoader({"x": x}, 2, transform=halve, prefetch=prefetch)
    batches = [(batch["x"].tolist(), batch["rows"]) for batch in loader]
    assert batches == [([0, 0], 2), ([1, 1], 2), ([2], 1)]
    assert x.tolist() == [0, 1, 2, 3, 4]


def test_batches_never_share_the_callers_memory():
    x = np.arange(6)
    for shuffle in (False, True):
        for batch in DataLoader({"x": x}, 4, shuffle=shuffle):
            assert not np.shares_memory(batch["x"], x)


def test_the_thread_works_ahead_but_not_further_than_asked():
    made = []

    def record(batch):
        made.append(int(batch["x"][0]))
        return batch

    iterator = iter(loader_of(100, 1, transform=record, prefetch=3))
    next(iterator)
    deadline = time.monotonic() + 10
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    assert made == [0, 1, 2, 3]
    iterator.close()


@PREFETCH
def test_the_consumers_error_state_holds_in_the_thread(prefetch):
    loader = DataLoader(
        {"x": np.zeros(2)}, 1, transform=lambda batch: {"x": 1 / batch["x"]}, prefetch=prefetch
    )
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        list(loader)


def test_a_second_loop_or_a_restore_ends_the_first():
    loader = loader_of()
    first = iter(loader)
    next(first)
    second = iter(loader)
    assert next(second)["x"].tolist() == [3, 4, 5]
    with pytest.raises(RuntimeError, match="this loop can't go on"):
        next(first)
    loader.restore({"epoch": 0, "position": 0})
    with pytest.raises(RuntimeError, match="this loop can't go on"):
        next(second)
    assert loader.state() == {"epoch": 0, "position": 0}


def test_a_loader_copies_and_pickles_with_its_place():
    loader = loader_of(shuffle=True)
    next(iter(loader))
    copies = [copy.deepcopy(loader), pickle.loads(pickle.dumps(loader))]
    rest = rows_of(loader)
    assert [rows_of(other) for other in copies] == [rest, rest]


def test_a_program_that_ends_inside_a_loop_ends():
    program = (
        "import numpy as np, lazygrad as lg\n"
        "iterator = iter(lg.data.DataLoader({'x': np.arange(1000)}, 1))\n"
        "next(iterator)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], timeout=60, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_bad_arguments_are_named():
    data = Dataset(x=np.arange(4))
    with pytest.raises(ValueError, match="DataLoader: batch_size is 0, expected at least 1"):
        DataLoader(data, 0)
    with pytest.raises(ValueError, match="prefetch is -1, expected at least 0"):
        DataLoader(data, 1, prefetch=-1)
    with pytest.raises(ValueError, match="seed is -1, expected at least 0"):
        DataLoader(data, 1, seed=-1)
    with pytest.raises(TypeError, match="transform is a int, expected a function"):
        DataLoader(data, 1, transform=3)
    with pytest.raises(TypeError, match="transform gave a list, expected a mapping"):
        list(DataLoader(data, 1, transform=lambda batch: [1]))
    loader = DataLoader(data, 2)
    with pytest.raises(ValueError, match="position is 3, expected 0 to 2"):
        loader.restore({"epoch": 0, "position": 3})
    with pytest.raises(ValueError, match="epoch is -1"):
        loader.restore({"epoch": -1, "position": 0})
    with pytest.raises(ValueError, match="the state has step, expected epoch and position"):
        loader.restore({"step": 0})
    assert loader.state() == {"epoch": 0, "position": 0}
