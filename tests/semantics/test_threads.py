"""Programs may be shared by threads; blocks such as no_grad belong to their context."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import lazygrad as lg


def in_threads(function, count=4):
    """Call *function* with 0, 1, ... at once in as many threads, and give what they return."""
    barrier = threading.Barrier(count)

    def work(i):
        barrier.wait()
        return function(i)

    with ThreadPoolExecutor(count) as pool:
        return [*pool.map(work, range(count))]


@pytest.fixture(autouse=True)
def _quick_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_one_program_called_from_four_threads():
    x = lg.placeholder(("n", 8), name="x")
    w = lg.Value(np.arange(64.0).reshape(8, 8))
    f = lg.compile([lg.tanh(x @ w).sum(axis=0), x * 2, x.sum()])

    def work(i):
        wrong = 0
        for n in range(1, 200):
            data = np.full((n % 5 + i, 8), i + n * 0.001)
            a, b, c = f(x=data)
            expected = np.tanh(data @ w.data).sum(axis=0)
            wrong += not np.allclose(a, expected) or not np.array_equal(b, data * 2)
            wrong += not np.isclose(c, data.sum())
        return wrong

    assert in_threads(work) == [0, 0, 0, 0]


def test_results_held_by_threads_are_not_overwritten():
    x = lg.placeholder((100,), name="x")
    f = lg.compile(x + 1)

    def work(i):
        held = [f(x=np.full(100, 1000.0 * i + n)) for n in range(200)]
        return all((r == 1000.0 * i + n + 1).all() for n, r in enumerate(held))

    assert all(in_threads(work))


def test_updates_from_threads_all_count():
    w = lg.Value(np.zeros(50))
    x = lg.placeholder((50,), name="x")
    step = lg.compile(w.sum(), updates={w: w + x})
    in_threads(lambda i: [step(x=np.full(50, i + 1.0)) for _ in range(100)] and None)
    np.testing.assert_array_equal(w.data, np.full(50, 1000.0))


def test_errors_in_one_thread_leave_the_others_alone():
    x = lg.placeholder((3,), name="x")
    k = lg.placeholder((), dtype="int64", name="k")
    f = lg.compile(x[k])

    def work(i):
        right = 0
        for _ in range(100):
            if i % 2:
                with pytest.raises(lg.OperationError):
                    f(x=np.arange(3.0), k=7)
                right += 1
            else:
                right += f(x=np.arange(3.0), k=2) == 2.0
        return right

    assert in_threads(work) == [100] * 4


def test_graphs_are_built_and_compiled_in_threads():
    w = lg.Value(np.arange(4.0))

    def work(i):
        total = 0.0
        for n in range(20):
            x = lg.placeholder((4,), name="x")
            y = ((x * w) ** 2 + i).sum()
            f = lg.compile([y, lg.grad(y, w)])
            value, gradient = f(x=np.full(4, float(n)))
            total += value == ((n * w.data) ** 2 + i).sum()
            total += np.allclose(gradient, 2 * n * n * w.data)
        return total

    assert in_threads(work) == [40.0] * 4


def test_nodes_of_their_own_go_forward_and_backward_in_threads():
    def work(i):
        w = lg.Value(np.full(3, i + 1.0))
        x = lg.placeholder((3,), name="x")
        y = (x * w * w).sum()
        right = 0
        for n in range(50):
            right += y.forward(x=np.full(3, float(n))) == 3 * n * (i + 1.0) ** 2
            y.backward()
            right += np.array_equal(w.grad, np.full(3, 2.0 * n * (i + 1)))
        return right

    assert in_threads(work) == [100] * 4


def test_no_grad_and_scope_belong_to_their_thread():
    inside, asked = threading.Event(), threading.Event()
    found = {}

    def other():
        inside.wait(10)
        node = lg.Value(1.0) * 2
        found["other"] = node.requires_grad, node.scope
        asked.set()

    thread = threading.Thread(target=other)
    thread.start()
    with lg.no_grad(), lg.scope("encoder"):
        inside.set()
        asked.wait(10)
        node = lg.Value(1.0) * 2
        found["own"] = node.requires_grad, node.scope
    thread.join()
    assert found == {"other": (True, ()), "own": (False, ("encoder",))}


def test_a_program_does_not_change_numpys_error_state():
    x = lg.placeholder((2,), name="x")
    f = lg.compile(lg.log(x))
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(f(x=[-1.0, 0.0]), [np.nan, -np.inf])
        assert np.geterr()["divide"] == "raise"
        with pytest.raises(FloatingPointError):
            np.log(np.zeros(1))


FORKING = """
import os, sys, threading
import numpy as np
import lazygrad as lg
x = lg.placeholder(("n", 50), name="x")
w = lg.Value(np.ones((50, 50)))
f = lg.compile(x @ w, updates={w: w * 1.0})
y = (x @ w).sum()
f(x=np.ones((3, 50))); y.forward(x=np.ones((3, 50)))
stop = threading.Event()
def busy():
    while not stop.is_set():
        f(x=np.ones((4, 50)))
for forked in range(5):
    child = os.fork()
    if child == 0:
        for n in (3, 4, 7):
            assert (f(x=np.ones((n, 50))) == 50).all()
            assert y.forward(x=np.ones((n, 50))) == n * 2500
            y.backward()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    assert (f(x=np.ones((3, 50))) == 50).all()
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_programs_run_after_a_fork():
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORKING], capture_output=True, text=True, timeout=120
    )
    assert result.stdout == "done\n", result.stderr


FORKING_WHILE_BUSY = """
import os, threading, warnings
import numpy as np
import lazygrad as lg
warnings.simplefilter("ignore", DeprecationWarning)
x = lg.placeholder((200, 200), name="x")
f = lg.compile(lg.exp(x) * 2 + 1)
data = np.ones((200, 200))
f(x=data)
stop = threading.Event()
def busy():
    while not stop.is_set():
        f(x=data)
thread = threading.Thread(target=busy)
thread.start()
for _ in range(10):
    child = os.fork()
    if child == 0:
        f(x=data)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
stop.set()
thread.join()
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_while_another_thread_runs_the_program():
    result = subprocess.run(
        [sys.executable, "-c", FORKING_WHILE_BUSY], capture_output=True, text=True, timeout=30
    )
    assert result.stdout == "done\n", result.stderr
