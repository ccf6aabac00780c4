"""The schedule of a root is made once, and planned once for each set of lengths."""

import gc
import weakref

import numpy as np

import lazygrad as lg


def test_the_schedule_is_made_once():
    x, w = lg.placeholder(("n",), name="x"), lg.Value(2.0)
    y = (x * w).sum()
    schedule = y.schedule
    assert y.schedule is schedule
    for n in (2, 3, 2):
        y.forward(x=np.ones(n))
        y.backward()
        assert y.schedule is schedule


def test_looking_at_nodes_between_leaves_the_schedule():
    x, w = lg.placeholder((2,), name="x"), lg.Value(2.0)
    h = x * w
    y = lg.exp(h).sum()
    schedule = y.schedule
    y.forward(x=np.ones(2))
    y.backward()
    h.data, h.grad
    assert y.schedule is schedule


def test_equal_lengths_use_one_executable():
    x = lg.placeholder(("n",), name="x")
    f = lg.compile(x * 2)
    first = f.planned(n=3)
    f(x=np.ones(3))
    f(x=np.ones(4))
    assert f.planned(n=3) is first
    assert f.plans_made == 2


def test_a_dropped_node_frees_everything():
    w = lg.Value(np.ones(3))
    y = (w * 2).sum()
    y.forward()
    y.backward()
    seen = weakref.ref(y)
    gc.collect()
    gc.disable()
    try:
        del y
        assert seen() is None
    finally:
        gc.enable()


def test_nodes_made_in_a_loop_do_not_pile_up():
    w = lg.Value(np.ones(3))
    gc.collect()
    for _ in range(50):
        (w * 2).sum().backward()
    assert len(w._watchers) <= 2
    np.testing.assert_array_equal(w.grad, [2.0, 2.0, 2.0])
