"""Each result is an array of its own, writable, and never overwritten by a later call."""

import gc
import itertools

import numpy as np
import pytest

import lazygrad as lg


@pytest.fixture
def x():
    return lg.placeholder((3, 4), name="x")


DATA = np.arange(12.0).reshape(3, 4)


def every_kind(x):
    w = lg.Value(np.ones((3, 4)), name="w")
    fixed = lg.constant(np.ones((3, 4)))
    h = x * 2 + w
    return w, [x, x, w, w, w.T, fixed, fixed * 1, h, h, h.T, h[1:], h.reshape(-1), x[0], x.T, h + 1]


def test_results_share_memory_with_nothing(x):
    w, nodes = every_kind(x)
    fed = DATA.copy()
    results = lg.compile(nodes)(x=fed)
    for a, b in itertools.combinations([*results, fed, w.data], 2):
        assert not np.shares_memory(a, b)
    for result in results:
        assert result.flags.writeable
        result[...] = -1
    np.testing.assert_array_equal(fed, DATA)
    np.testing.assert_array_equal(w.data, np.ones((3, 4)))
    np.testing.assert_array_equal(lg.compile(nodes[5])(), np.ones((3, 4)))


def test_results_that_are_held_are_never_overwritten(x):
    _, nodes = every_kind(x)
    f = lg.compile(nodes)
    held, copies = [], []
    for i in range(6):
        results = f(x=DATA * i)
        held.append(results)
        copies.append([np.array(r) for r in results])
        if i == 3:
            held[1], copies[1] = [], []
    for results, expected in zip(held, copies, strict=True):
        for a, b in zip(results, expected, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "keep",
    [
        lambda r: r[1:],
        lambda r: r.T,
        lambda r: r.reshape(-1)[2:5],
        lambda r: memoryview(r),
        lambda r: r.view(np.int64),
        lambda r: iter(r),
        lambda r: np.lib.stride_tricks.sliding_window_view(r, 2, axis=1),
        lambda r: r.__array_interface__ and np.asarray(memoryview(r)),
        lambda r: np.ma.array(r, copy=False),
    ],
)
def test_holding_a_view_holds_the_result(x, keep):
    f = lg.compile(x + 1)
    view = keep(f(x=DATA))
    gc.collect()
    for i in range(3):
        f(x=DATA * 100 * (i + 1))
    seen = np.array(list(view) if hasattr(view, "__next__") else view)
    if seen.dtype == np.int64:
        seen = seen.view(float)
    assert seen.max() <= 12.0


def test_results_may_be_fed_back(x):
    f = lg.compile(x * 2)
    r = f(x=DATA)
    for _ in range(4):
        r = f(x=r)
    np.testing.assert_array_equal(r, DATA * 32)
    np.testing.assert_array_equal(f(x=f(x=f(x=DATA))), DATA * 8)


def test_what_the_user_does_to_a_result_stays_with_it(x):
    f = lg.compile(x + 1)
    r = f(x=DATA)
    r.flags.writeable = False
    del r
    r = f(x=DATA)
    assert r.flags.writeable
    r += 100
    del r
    for _ in range(3):
        np.testing.assert_array_equal(f(x=DATA), DATA + 1)


def test_dropped_results_are_used_again(x):
    f = lg.compile(x + 1)
    addresses = {f(x=DATA).ctypes.data for _ in range(10)}
    assert len(addresses) <= 2
    r, addresses = None, set()
    for _ in range(10):
        r = f(x=DATA)
        addresses.add(r.ctypes.data)
    assert len(addresses) <= 2


def test_results_without_axes_are_numpy_scalars(x):
    f = lg.compile([x.sum(), x.sum().astype("float32"), x.argmax(), (x > 3).any()])
    a, b, c, d = f(x=DATA)
    assert type(a) is np.float64
    assert type(b) is np.float32
    assert type(c) is np.int64
    assert type(d) is np.bool_
    assert type(x.sum().forward(x=DATA)) is np.float64
    assert type(lg.Value(2.0).sum().data) is np.float64
    scalar = lg.placeholder((), name="s")
    w = lg.Value(3.0)
    s, v, r = lg.compile([scalar, w, lg.constant(2.0)])(s=5)
    assert (type(s), type(v), type(r)) == (np.float64,) * 3
    assert (s, v, r) == (5.0, 3.0, 2.0)


def test_results_of_nodes_belong_to_the_user_too(x):
    y = x * 2
    a = y.forward(x=DATA)
    b = y.forward(x=DATA + 1)
    np.testing.assert_array_equal(a, DATA * 2)
    b[:] = 0
    np.testing.assert_array_equal(y.data, (DATA + 1) * 2)
    y.data[:] = 0
    np.testing.assert_array_equal(y.data, (DATA + 1) * 2)
    x.data[:] = 0
    np.testing.assert_array_equal(x.data, DATA + 1)


def test_a_root_that_is_a_leaf(x):
    fed = DATA.copy()
    r = x.forward(x=fed)
    assert not np.shares_memory(r, fed)
    w = lg.Value(np.ones(2))
    r = w.forward()
    assert not np.shares_memory(r, w.data)
    w.backward()
    w.grad[:] = 7
    w.backward()
    np.testing.assert_array_equal(w.grad, [1.0, 1.0])


def test_empty_results(x):
    f = lg.compile([x[:0], x[:, :0].sum(axis=1)])
    a, b = f(x=DATA)
    assert a.shape == (0, 4)
    np.testing.assert_array_equal(b, np.zeros(3))
