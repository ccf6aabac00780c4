import sys
import threading

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends import numpy as backend
from lazygrad.backends.recycle import HELD, OutputPool


def address(array):
    return array.__array_interface__["data"][0]


def taken(pool):
    """Take an array as generated code does."""
    array = pool.array
    if sys.getrefcount(array) > HELD:
        array = pool.other()
    return array


@pytest.fixture(params=["straight", "split"])
def program(request, monkeypatch):
    if request.param == "split":
        monkeypatch.setattr(backend, "LINES_PER_FUNCTION", 2)
    x = lg.placeholder((100,), name="x")
    return lg.compile([x + 1.0, lg.tanh(lg.exp(x) * 2.0)])


class TestPool:
    def test_what_was_dropped_comes_back(self):
        pool = OutputPool((3,), np.dtype("f4"))
        first = address(taken(pool))
        assert address(taken(pool)) == first
        assert taken(pool).shape == (3,)
        assert taken(pool).dtype == np.float32

    def test_what_is_held_does_not(self):
        pool = OutputPool((3,), np.dtype("f8"))
        held = [taken(pool) for _ in range(5)]
        assert len({address(array) for array in held}) == 5

    def test_two_alternate_while_the_last_one_is_held(self):
        pool = OutputPool((3,), np.dtype("f8"))
        result, seen = None, []
        for _ in range(6):
            result = taken(pool)
            seen.append(address(result))
        assert seen[:2] * 3 == seen
        assert seen[0] != seen[1]

    def test_a_view_counts(self):
        pool = OutputPool((4,), np.dtype("f8"))
        view = taken(pool)[1:][::-1]
        assert address(taken(pool)) != address(view.base)
        del view


def test_dropped_results_come_back_at_once(program):
    data = np.zeros(100)
    first = [address(r) for r in program(x=data)]
    for _ in range(3):
        assert [address(r) for r in program(x=data)] == first


def test_results_alternate_while_the_last_ones_are_held(program):
    results, seen = None, []
    for i in range(6):
        results = program(x=np.full(100, float(i)))
        seen.append(address(results[0]))
    assert seen[0] == seen[2] == seen[4]
    assert seen[1] == seen[3] == seen[5]
    assert seen[0] != seen[1]


def test_each_result_is_recycled_by_itself(program):
    first, second = program(x=np.zeros(100))
    place = address(second)
    del second
    _, again = program(x=np.zeros(100))
    assert address(again) == place
    np.testing.assert_array_equal(first, np.ones(100))


def test_held_results_and_views_of_them_stay(program):
    held = []
    for i in range(8):
        results = program(x=np.full(100, float(i)))
        held.append([results[0], results[0][::2].T, memoryview(results[0])][i % 3])
        del results
    for i, array in enumerate(held):
        np.testing.assert_array_equal(np.asarray(array), i + 1.0)


def test_results_go_on_living_after_the_program():
    x = lg.placeholder((3,), name="x")
    result = lg.compile(x + 1.0)(x=np.zeros(3))
    np.testing.assert_array_equal(result, np.ones(3))
    result += 1
    assert result.flags.writeable


def test_a_thread_that_holds_a_result_keeps_it(program):
    wrong = []

    def work(value):
        for i in range(200):
            number = value + i
            result = program(x=np.full(100, number))[0]
            if not (result == number + 1).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(1000.0 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_plans_of_other_lengths_have_results_of_their_own():
    x = lg.placeholder(("rows",), name="x")
    f = lg.compile(x + 1.0)
    a = f(x=np.zeros(3))
    b = f(x=np.zeros(4))
    np.testing.assert_array_equal(f(x=np.full(3, 5.0)), 6.0)
    np.testing.assert_array_equal(a, np.ones(3))
    np.testing.assert_array_equal(b, np.ones(4))
