"""The pool of threads that large kernels on NumPy are shared among."""

import gc
import os
import subprocess
import sys
import threading
import time
import warnings
import weakref
from functools import partial

import numpy as np
import pytest

from lazygrad.backends import threads
from lazygrad.backends.threads import Work, share, write_together


def note(done, part, place):
    done.append((part, place))


class Places:
    """Notes where two parts are done in one place at once."""

    def __init__(self):
        self.busy, self.clashes = set(), []

    def work(self, part, place):
        if place in self.busy:
            self.clashes.append(place)
        self.busy.add(place)
        time.sleep(0.0005)
        self.busy.discard(place)


@pytest.mark.parametrize(("parts", "count"), [(1, 1), (1, 4), (7, 2), (40, 3)])
def test_each_part_is_done_once_by_one_of_so_many(parts, count):
    for _ in range(20):
        done = []
        share(partial(note, done), parts, count)
        assert sorted(part for part, _ in done) == [*range(parts)]
        assert {place for _, place in done} <= {*range(count)}


def test_several_threads_are_at_work_at_once():
    met = threading.Barrier(3, timeout=30)

    def meet(part, place):
        met.wait()

    share(meet, 3, 3)


def test_no_two_parts_share_a_place_at_once():
    places = Places()
    share(places.work, 60, 4)
    assert not places.clashes


@pytest.mark.parametrize("bad", [0, 5, 39])
def test_an_error_in_a_part_is_raised_when_all_that_began_is_over(bad):
    running = []

    def work(part, place):
        running.append(part)
        time.sleep(0.0002)
        if part == bad:
            raise ValueError(f"part {part}")
        running.remove(part)

    for _ in range(10):
        running.clear()
        with pytest.raises(ValueError, match=f"part {bad}"):
            share(work, 40, 3)
        assert running == [bad]
    done = []
    share(partial(note, done), 5, 3)
    assert len(done) == 5


def test_an_interrupt_waits_for_parts_that_have_begun():
    main, running = threading.current_thread(), []

    def work(part, place):
        if threading.current_thread() is main:
            while not running:
                time.sleep(0.0002)
            raise KeyboardInterrupt
        running.append(part)
        time.sleep(0.01)
        running.remove(part)

    with pytest.raises(KeyboardInterrupt):
        share(work, 40, 2)
    assert not running


def test_writes_are_all_done_by_other_threads():
    done, calls = [], []
    works = tuple(Work(partial(note, done), parts, 2) for parts in (5, 1))
    write_together(works, (partial(calls.append, 1), partial(calls.append, 2)))
    assert sorted(part for part, _ in done) == [0, 0, 1, 2, 3, 4]
    assert calls == [1, 2]


def test_no_two_writes_share_a_place_at_once():
    places = Places()
    write_together(tuple(Work(places.work, 12, count) for count in (3, 1, 2)), ())
    assert not places.clashes


def test_an_interrupt_among_writes_is_raised_when_they_are_done():
    done = []

    def work(part, place):
        time.sleep(0.005)
        done.append(part)

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_together((Work(work, 8, 2),), (partial(interrupted),))
    assert sorted(done) == [*range(8)]


def test_where_no_thread_can_be_started(monkeypatch):
    def refused(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "_pool", threads._Pool())
    monkeypatch.setattr(threading.Thread, "start", refused)
    done = []
    share(partial(note, done), 6, 3)
    write_together((Work(partial(note, done), 4, 3),), ())
    assert sorted(part for part, _ in done) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 5]


def test_arguments_are_not_kept():
    class Thing:
        pass

    for _ in range(20):
        thing = Thing()
        gone = weakref.ref(thing)
        share(lambda part, place, given: None, 2, 3, thing)
        del thing
        gc.collect()
        assert gone() is None


def test_threads_are_as_quiet_as_what_asks_them():
    def work(part, place):
        np.log(np.zeros(3)) / np.zeros(3)
        time.sleep(0.001)

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error")
        share(work, 20, 3)


def test_several_threads_ask_at_once():
    found = []

    def ask(number):
        done = []
        for _ in range(30):
            share(partial(note, done), 9, 3)
        found.append((number, len(done)))

    asking = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert sorted(found) == [(i, 270) for i in range(4)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_process_has_a_pool_of_its_own():
    done = []
    share(partial(note, done), 9, 2)
    with warnings.catch_warnings():
        # Python 3.12 warns of forks beside threads, which is what this is about.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        met = threading.Barrier(2, timeout=30)
        share(lambda part, place: met.wait(), 2, 2)
        write_together((Work(lambda part, place: met.wait(), 2, 2),), ())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


ENDING = """
import numpy as np
import lazygrad as lg
x = lg.placeholder((3_000_000,), name="x")
f = lg.compile(lg.tanh(x) * lg.exp(x), backend="numpy", threads=3)
f(x=np.ones(3_000_000))
import threading
assert any(thread.name == "lazygrad" for thread in threading.enumerate())
print("done")
"""


def test_nothing_waits_for_the_pool_at_the_end():
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", ENDING], capture_output=True, text=True, timeout=60
    )
    assert (result.stdout, result.stderr) == ("done\n", "")
