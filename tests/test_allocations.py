"""A warm call allocates no array once the caller has dropped the results of the one before."""

import tracemalloc

import numpy as np
import pytest

import lazygrad as lg

# The domain in which NumPy registers the memory of arrays.
NUMPY_DOMAIN = 389047
# NumPy's iterator may take a buffer of 8,192 elements for each of two operands that broadcast.
ITERATION_BUFFERS = 2 * 8192 * 8
CALLS = 5


def allocated(run):
    """Give the largest number of bytes that NumPy held at once during warm calls, beyond before.

    Other threads of the process may allocate meanwhile, those of a test runner too; so the least of
    several rounds counts.
    """
    for _ in range(3):
        run()
    tracemalloc.start(1)
    try:
        rounds = [calls(run) for _ in range(3)]
    finally:
        tracemalloc.stop()
    assert min(kept for kept, _ in rounds) <= 1024
    return min(peak for _, peak in rounds)


def calls(run):
    """Give what a call leaves behind at most, and what it holds at once at most."""
    kept = peak = 0
    for _ in range(CALLS):
        before = traced()
        tracemalloc.reset_peak()
        run()
        # The peak is over all domains; what Python's own objects take is small change.
        peak = max(peak, tracemalloc.get_traced_memory()[1] - before)
        kept = max(kept, traced() - before)
    return kept, peak


def traced():
    return tracemalloc.get_traced_memory()[0]


def numpy_growth(run):
    """Give the bytes of arrays that are still there after warm calls, by line."""
    for _ in range(3):
        run()
    tracemalloc.start(1)
    try:
        run()
        first = tracemalloc.take_snapshot()
        for _ in range(CALLS):
            run()
        second = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    only = [tracemalloc.DomainFilter(True, NUMPY_DOMAIN)]
    growth = second.filter_traces(only).compare_to(first.filter_traces(only), "lineno")
    return sum(statistic.size_diff for statistic in growth)


N = 60_000
"""So many elements that an array of any dtype is larger than all else that a call may take."""


def mlp(dtype):
    random = np.random.default_rng(0)
    x = lg.placeholder(("n", 50), dtype=dtype, name="x")
    t = lg.placeholder(("n", 10), dtype=dtype, name="t")
    w = lg.Value(random.normal(size=(50, 60)).astype(dtype))
    b = lg.Value(np.zeros(60, dtype))
    v = lg.Value(random.normal(size=(60, 10)).astype(dtype))
    loss = ((lg.relu(x @ w + b) @ v - t) ** 2).mean()
    g = lg.grad(loss, [w, b, v])
    step = lg.compile(loss, updates=[(p, p - 0.001 * d) for p, d in zip((w, b, v), g, strict=True)])
    feeds = {"x": np.ones((4000, 50), dtype), "t": np.zeros((4000, 10), dtype)}
    return lambda: step(**feeds)


def cross_entropy(dtype):
    x = lg.placeholder((N, 10), dtype=dtype, name="x")
    t = lg.placeholder((N,), dtype="int64", name="t")
    w = lg.Value(np.ones((10, 10), dtype))
    logits = x @ w
    chosen = (t[:, None] == np.arange(10)).astype(dtype)
    loss = -(lg.log_softmax(logits, axis=-1) * chosen).sum(axis=1).mean()
    step = lg.compile(loss, updates={w: w - 0.1 * lg.grad(loss, w)})
    feeds = {"x": np.ones((N, 10), dtype), "t": np.zeros(N, "int64")}
    return lambda: step(**feeds)


def softmax_by_hand(dtype):
    x = lg.placeholder((N, 10), dtype=dtype, name="x")
    t = lg.placeholder((N, 10), dtype=dtype, name="t")
    w = lg.Value(np.ones((10, 10), dtype))
    logits = x @ w
    shifted = logits - logits.max(axis=1, keepdims=True)
    loss = -(t * (shifted - lg.log(lg.exp(shifted).sum(axis=1, keepdims=True)))).sum(axis=1).mean()
    step = lg.compile(loss, updates={w: w - 0.1 * lg.grad(loss, w)})
    feeds = {"x": np.ones((N, 10), dtype), "t": np.ones((N, 10), dtype)}
    return lambda: step(**feeds)


def chain(dtype):
    x = lg.placeholder((N,), dtype=dtype, name="x")
    y = lg.tanh(x * 2 + 1) * lg.exp(-x * x) / (1 + lg.sqrt(abs(x))) - lg.where(x > 0, x, 0)
    f = lg.compile(y)
    data = np.ones(N, dtype)
    return lambda: f(x=data)


def several_results(dtype):
    x = lg.placeholder((N,), dtype=dtype, name="x")
    f = lg.compile([x, x * 2, x[::-1], (x * 2).sum(), x * 2])
    data = np.ones(N, dtype)
    return lambda: f(x=data)


def reductions(dtype):
    x = lg.placeholder((600, 400), dtype=dtype, name="x")
    f = lg.compile(
        [
            x.sum(),
            x.sum(axis=0),
            x.mean(axis=1, keepdims=True),
            x.max(axis=0),
            x.min(),
            x.prod(axis=1),
            x.argmax(axis=1),
            (x > 0).all(axis=0),
            x.T.sum(axis=0),
            lg.exp(x).sum(axis=1),
        ]
    )
    data = np.ones((600, 400), dtype)
    return lambda: f(x=data)


def moments(dtype):
    x = lg.placeholder((600, 400), dtype=dtype, name="x")
    f = lg.compile([x.var(axis=0), x.std(), lg.logsumexp(x, axis=1), lg.norm(x)])
    data = np.ones((600, 400), dtype)
    return lambda: f(x=data)


def pair(dtype):
    x = lg.placeholder((N,), dtype=dtype, name="x", requires_grad=True)
    w = lg.Value(np.ones(N, dtype))
    y = (lg.tanh(x * w) ** 2).sum()
    data = np.ones(N, dtype)

    def run():
        y.forward(x=data)
        y.backward()

    return run


def shapes(dtype):
    x = lg.placeholder((600, 400), dtype=dtype, name="x")
    y = lg.concatenate([x, x.T.reshape(600, 400)], axis=0)[::2] + lg.broadcast_to(x[0], (600, 400))
    f = lg.compile(lg.pad(y, 1) * 2)
    data = np.ones((600, 400), dtype)
    return lambda: f(x=data)


def optimizer(dtype):
    x = lg.placeholder((N,), dtype=dtype, name="x")
    w, m, v, n = (lg.Value(np.ones(N, dtype)) for _ in range(4))
    g = 2 * (w - x)
    first, second = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
    update = w - 0.01 * first / (lg.sqrt(second) + 1e-8)
    step = lg.compile([], updates={m: first, v: second, w: update, n: w})
    data = np.ones(N, dtype)
    return lambda: step(x=data)


LARGE = 300_000
"""So many elements are gone through block by block, on several threads."""


def large_chain(dtype):
    nodes = [lg.placeholder((LARGE,), dtype=dtype, name=n, requires_grad=True) for n in "abc"]
    a, b, c = nodes
    y = (lg.tanh(a * b + c) * lg.sigmoid(a - b) * lg.exp(-c * c)).sum()
    f = lg.compile([y, *lg.grad(y, nodes)], threads=2)
    feeds = {name: np.ones(LARGE, dtype) for name in "abc"}
    return lambda: f(**feeds)


def large_rows(dtype):
    x = lg.placeholder((LARGE // 100, 100), dtype=dtype, name="x", requires_grad=True)
    scale = lg.Value(np.ones(100, dtype))
    centred = x - x.mean(axis=1, keepdims=True)
    y = centred / lg.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5) * scale
    loss = (lg.softmax(y) * y).sum()
    f = lg.compile([y, *lg.grad(loss, [x, scale])], threads=2)
    data = np.ones((LARGE // 100, 100), dtype)
    return lambda: f(x=data)


def large_optimizer(dtype):
    x = lg.placeholder((4, 300), dtype=dtype, name="x")
    w, m = (lg.Value(np.ones((300, 1000), dtype)) for _ in range(2))
    moment = 0.9 * m + 0.1 * lg.grad(((x @ w) ** 2).mean(), w)
    step = lg.compile([], updates={m: moment, w: w - 0.01 * moment}, threads=2)
    data = np.ones((4, 300), dtype)
    return lambda: step(x=data)


PROGRAMS = {
    "a step of a perceptron": mlp,
    "cross-entropy": cross_entropy,
    "softmax by hand": softmax_by_hand,
    "an elementwise chain": chain,
    "several results": several_results,
    "reductions": reductions,
    "moments": moments,
    "forward and backward": pair,
    "changes of shape": shapes,
    "an optimizer": optimizer,
    "a large chain": large_chain,
    "large rows": large_rows,
    "a large optimizer": large_optimizer,
}


@pytest.mark.parametrize("backend", ["numpy", "c"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_warm_call_allocates_no_array(name, dtype, backend, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_BACKEND", backend)
    # Each thread has buffers of its own; the large programs say themselves that they have two.
    monkeypatch.setenv("LAZYGRAD_THREADS", "1")
    threads = 2 if "large" in name else 1
    run = PROGRAMS[name](dtype)
    assert allocated(run) < threads * ITERATION_BUFFERS + 8192
    assert numpy_growth(run) <= 1024


@pytest.mark.parametrize(
    "pick",
    [
        lambda x, t: x[np.arange(N), t],
        lambda x, t: lg.take_along_axis(x, t[:, None], axis=1)[:, 0],
    ],
    ids=["indexing", "take_along_axis"],
)
def test_picking_takes_no_more_than_what_numpy_makes_of_its_indices(pick):
    x = lg.placeholder((N, 10), name="x")
    t = lg.placeholder((N,), dtype="int64", name="t")
    f = lg.compile(pick(x, t).sum())
    feeds = {"x": np.ones((N, 10)), "t": np.zeros(N, "int64")}
    assert allocated(lambda: f(**feeds)) < 3 * 8 * N
    assert numpy_growth(lambda: f(**feeds)) <= 1024


def test_the_measure_sees_an_array():
    f = lg.compile(lg.placeholder((N,), name="x") * 2)
    data, held = np.ones(N), []
    assert allocated(lambda: np.ones(N) + data) >= 8 * N
    assert numpy_growth(lambda: held.append(f(x=data))) >= 8 * N * CALLS
