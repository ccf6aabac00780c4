"""Which backend runs which call: told by counts and sizes, so that it is the same every time."""

import gc
import os
import pickle
import threading
import warnings

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import executors
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain
from lazygrad.schedule.buffers import plan
from lazygrad.schedule.cost import predicted_seconds

try:
    find_toolchain()
except CompilerError as reason:
    pytest.skip(f"there is no C compiler: {reason}", allow_module_level=True)

X = lg.placeholder(("n", 3), name="x")


def is_native(program):
    return "segment_0" in program.source


def counted(program, most=10, **feeds):
    """Call until machine code runs; give the number of the first call that it ran."""
    for i in range(1, most + 1):
        program(**feeds)
        if is_native(program):
            return i
    return None


@pytest.fixture
def _at_three(monkeypatch):
    monkeypatch.setattr(executors, "_LAST_CALL", 3)


@pytest.mark.usefixtures("_at_three")
def test_auto_moves_at_a_call_number_for_each_set_of_lengths():
    program = lg.compile(lg.exp(X).sum(), backend="auto")
    assert counted(program, x=np.ones((2, 3))) == 3
    assert counted(program, x=np.ones((4, 3))) == 3
    program(x=np.ones((2, 3)))
    assert is_native(program)


@pytest.mark.usefixtures("_at_three")
def test_calls_with_other_lengths_in_between_do_not_count():
    program = lg.compile(lg.exp(X).sum(), backend="auto")
    for _ in range(2):
        program(x=np.ones((2, 3)))
        program(x=np.ones((5, 3)))
        assert not is_native(program)
    program(x=np.ones((2, 3)))
    assert is_native(program)


@pytest.mark.usefixtures("_at_three")
def test_at_most_four_sets_of_lengths_move():
    program = lg.compile(lg.exp(X).sum(), backend="auto")
    moved = [counted(program, most=4, x=np.ones((n, 3))) for n in range(1, 7)]
    assert moved == [3, 3, 3, 3, None, None]


def test_the_call_number_follows_from_the_cost():
    small = lg.compile(lg.exp(X).sum(), backend="auto")
    assert small.planned(n=2) is not None
    assert small._entry.left == executors._LAST_CALL - 1
    wide = lg.placeholder((512, 512), name="w")
    large = lg.compile((wide @ wide @ wide).sum(), backend="auto")
    seconds = predicted_seconds(large.schedule, plan(large.schedule, {}))
    assert large.planned() is not None
    assert large._entry.left == int(np.ceil(0.2 / seconds)) - 1
    assert 2 <= large._entry.left < 1000


def test_long_programs_move_later_and_very_long_ones_never(monkeypatch):
    x = lg.placeholder((100_000,), name="x")
    y = x
    for _ in range(50):
        y = lg.sin(y) * 2
    program = lg.compile(y, backend="auto")
    seconds = predicted_seconds(program.schedule, plan(program.schedule, {}))
    assert program.planned() is not None
    steps = len(program.schedule.steps)
    assert program._entry.left == max(2, int(np.ceil(0.005 * steps / seconds))) - 1
    monkeypatch.setattr(executors, "_MOST_STEPS", steps - 1)
    other = lg.compile(y, backend="auto")
    assert other.planned() is not None
    assert other._entry.left is None


def test_the_backend_that_is_asked_for_runs():
    x = np.ones((2, 3))
    assert not is_native(lg.compile(lg.exp(X), backend="numpy").planned(n=2))
    assert is_native(lg.compile(lg.exp(X), backend="c").planned(n=2))
    program = pickle.loads(pickle.dumps(lg.compile(lg.exp(X), backend="c")))
    np.testing.assert_allclose(program(x=x), np.exp(x), rtol=1e-14)
    assert is_native(program)


@pytest.mark.usefixtures("_at_three")
def test_without_a_compiler_auto_stays_on_numpy(monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CC", "/no/such/compiler")
    monkeypatch.setattr(executors, "_said", set())
    program = lg.compile(lg.exp(X), backend="auto")
    x = np.ones((2, 3))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        results = [program(x=x) for _ in range(6)]
    assert [w.category for w in told] == [lg.BackendWarning]
    assert told[0].filename == __file__
    for result in results:
        np.testing.assert_array_equal(result, np.exp(x))


def test_training_goes_on_over_the_change(monkeypatch):
    def train(backend):
        w = lg.Value(np.linspace(-1, 1, 6).reshape(3, 2), name="w")
        x = lg.placeholder(("n", 3), name="x")
        loss = lg.mean(lg.tanh(x @ w) ** 2)
        step = lg.compile(loss, updates=lg.optim.Adam(0.1).minimize(loss), backend=backend)
        data = np.random.default_rng(0).normal(size=(20, 3))
        losses = [step(x=data) for _ in range(12)]
        assert is_native(step) == (backend != "numpy")
        return losses, w.data.copy()

    monkeypatch.setattr(executors, "_LAST_CALL", 5)
    losses, weights = train("auto")
    for backend in ("numpy", "c"):
        expected, reached = train(backend)
        np.testing.assert_allclose(losses, expected, rtol=1e-12)
        np.testing.assert_allclose(weights, reached, rtol=1e-12)
    again, same = train("auto")
    assert again == losses
    assert (same == weights).all()


def test_threads_share_a_compiled_program():
    program = lg.compile({"y": lg.tanh(X @ np.eye(3)), "s": X.sum()}, backend="c")
    wrong = []

    def work(number):
        x = np.full((4, 3), float(number))
        for _ in range(200):
            results = program(x=x)
            if not (np.allclose(results["y"], np.tanh(x)) and results["s"] == 12 * number):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_process_goes_on_with_it():
    program = lg.compile(lg.exp(X).sum(), backend="c")
    program(x=np.zeros((2, 3)))
    child = os.fork()
    if child == 0:
        os._exit(0 if program(x=np.zeros((2, 3))) == 6 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_dropped_program_is_freed():
    x = np.ones((2, 3))
    lg.compile(lg.exp(X), backend="c")(x=x)
    gc.collect()
    gc.disable()
    try:
        lg.compile(lg.exp(X), backend="c")(x=x)
        assert gc.collect() == 0
    finally:
        gc.enable()


FEEDS = np.arange(24.0).reshape(4, 6)


@pytest.mark.parametrize(
    "feed",
    [
        FEEDS[:, ::2],
        FEEDS[::-1, :3],
        np.asfortranarray(FEEDS[:, :3]),
        FEEDS[:, :3].astype(">f8"),
        np.frombuffer(b"x" + FEEDS[:, :3].tobytes(), np.uint8)[1:].view(np.float64).reshape(4, 3),
        FEEDS[:, :3].tolist(),
        np.broadcast_to(FEEDS[0, :3], (4, 3)),
        FEEDS[:0, :3],
        FEEDS[:1, :3],
    ],
    ids=[
        "strided",
        "reversed",
        "Fortran",
        "big-endian",
        "unaligned",
        "list",
        "stretched",
        "0",
        "1",
    ],
)
def test_feeds_of_every_form(feed):
    program = lg.compile([lg.exp(X * 0.1), X.sum(axis=0)], backend="c")
    for _ in range(2):
        y, total = program(x=feed)
        np.testing.assert_allclose(y, np.exp(np.asarray(feed) * 0.1), rtol=1e-14)
        np.testing.assert_allclose(total, np.asarray(feed).sum(axis=0), rtol=1e-14)


def test_feeding_the_live_array_of_what_is_updated():
    w = lg.Value(np.arange(3.0), name="w")
    x = lg.placeholder((3,), name="x")
    step = lg.compile((w * x).sum(), updates={w: w + x}, backend="c")
    for _ in range(3):
        before = w.data.copy()
        assert step(x=w.data) == before @ before
        np.testing.assert_array_equal(w.data, 2 * before)
    row = lg.Value(np.arange(6.0), name="row")
    shifted = lg.compile([], updates={row: row + lg.concatenate([x, x])}, backend="c")
    before = row.data.copy()
    shifted(x=row.data[1:4])
    np.testing.assert_array_equal(row.data, before + np.tile(before[1:4], 2))


@pytest.mark.usefixtures("_at_three")
def test_calls_go_on_counting_where_they_were_noted():
    x = np.ones((2, 3))
    first = lg.compile(lg.exp(X).sum(), backend="auto")
    first(x=x)
    noted = first.calls()
    assert noted == [[{"n": 2}, 1]]
    second = lg.compile(lg.exp(X).sum(), backend="auto")
    second.restore_calls(noted)
    assert counted(second, x=x) == 2
    third = lg.compile(lg.exp(X).sum(), backend="auto")
    third.restore_calls(second.calls())
    assert counted(third, x=x) == 1
    assert counted(third, x=np.ones((5, 3))) == 3
    for odd in ([[{"n": 2}, -1]], [[{"n": 2}, True]], [["n", 2]], [[1]], 7, [[{"n": "x"}, 1]]):
        with pytest.raises((TypeError, ValueError)):
            third.restore_calls(odd)
    third(x=x)


@pytest.mark.usefixtures("_at_three")
def test_a_set_of_lengths_that_never_moves_stays_so():
    program = lg.compile(lg.exp(X).sum(), backend="auto")
    for n in range(1, 7):
        counted(program, most=3, x=np.ones((n, 3)))
    again = lg.compile(lg.exp(X).sum(), backend="auto")
    again.restore_calls(program.calls())
    moved = [counted(again, most=4, x=np.ones((n, 3))) for n in range(1, 7)]
    assert moved == [1, 1, 1, 1, None, None]
