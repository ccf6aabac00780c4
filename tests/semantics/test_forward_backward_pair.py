"""Forward takes a snapshot; backward can be repeated on it and never mixes old with new."""

import signal
import warnings

import numpy as np
import pytest

import lazygrad as lg


@pytest.fixture
def x():
    return lg.placeholder(("n", 2), name="x", requires_grad=True)


@pytest.fixture
def w():
    return lg.Value(np.array([[1.0, -2.0], [3.0, 0.5]]), name="w")


DATA = np.array([[1.0, 2.0], [-3.0, 4.0], [0.5, -1.0]])


def test_forward_returns_the_data_of_the_root(x, w):
    y = lg.tanh(x @ w)
    result = y.forward(x=DATA)
    np.testing.assert_allclose(result, np.tanh(DATA @ w.data), 1e-14)
    np.testing.assert_array_equal(y.data, result)


def test_backward_is_idempotent(x, w):
    y = (lg.tanh(x @ w) ** 2).sum()
    y.forward(x=DATA)
    y.backward()
    first = x.grad.copy(), w.grad.copy()
    for _ in range(5):
        y.backward()
        np.testing.assert_array_equal(x.grad, first[0])
        np.testing.assert_array_equal(w.grad, first[1])
    np.testing.assert_allclose(y.data, (np.tanh(DATA @ w.data) ** 2).sum(), 1e-14)


def test_backward_overwrites_and_accumulates_when_asked(x, w):
    y = (x @ w).sum()
    y.forward(x=DATA)
    y.backward()
    once = w.grad.copy()
    y.backward()
    np.testing.assert_array_equal(w.grad, once)
    y.backward(accumulate=True)
    np.testing.assert_array_equal(w.grad, 2 * once)
    y.backward(accumulate=True)
    np.testing.assert_array_equal(w.grad, 3 * once)
    y.backward()
    np.testing.assert_array_equal(w.grad, once)


def test_accumulating_over_several_roots(w):
    a, b = w.sum(), (w * w).sum()
    a.backward()
    b.backward(accumulate=True)
    np.testing.assert_array_equal(w.grad, 1 + 2 * w.data)


def test_the_first_accumulation_starts_from_nothing(w):
    y = w.sum()
    y.backward(accumulate=True)
    np.testing.assert_array_equal(w.grad, np.ones((2, 2)))


def test_all_ones_start_a_root_of_any_shape(w):
    (w * 3).backward()
    np.testing.assert_array_equal(w.grad, np.full((2, 2), 3.0))
    w.backward()
    np.testing.assert_array_equal(w.grad, np.ones((2, 2)))


def test_a_seed_starts_it_otherwise(x, w):
    y = x @ w
    y.forward(x=DATA)
    seed = np.arange(6.0).reshape(3, 2)
    y.backward(seed=seed)
    np.testing.assert_allclose(w.grad, DATA.T @ seed)
    np.testing.assert_array_equal(y.grad, seed)
    y.backward()
    np.testing.assert_allclose(w.grad, DATA.T @ np.ones((3, 2)))
    y.backward(seed=seed.tolist())
    seed[:] = 0
    np.testing.assert_array_equal(y.grad, np.arange(6.0).reshape(3, 2))


@pytest.mark.parametrize(
    ("seed", "error", "words"),
    [
        (np.ones((2, 2)), lg.ShapeError, r"must have its shape, \[3, 2\], got \[2, 2\]"),
        (1.0, lg.ShapeError, r"must have its shape, \[3, 2\], got \[\]"),
        ("text", lg.DTypeError, "text"),
        (np.ones((3, 2)) * 1j, lg.DTypeError, "complex"),
        (None, None, ""),
    ],
)
def test_a_seed_that_does_not_fit_is_refused(x, w, seed, error, words):
    y = x @ w
    y.forward(x=DATA)
    if error is not None:
        with pytest.raises(error, match=words):
            y.backward(seed=seed)
    y.backward(seed=None)
    np.testing.assert_allclose(w.grad, DATA.T @ np.ones((3, 2)))


def test_a_float64_seed_of_a_float32_root(w):
    y = w.astype("float32") * 2
    y.backward(seed=np.full((2, 2), 0.5))
    np.testing.assert_array_equal(w.grad, np.ones((2, 2)))


def test_feeds_are_copied_into_the_snapshot(x, w):
    y = (x @ w * x).sum()
    fed = DATA.copy()
    y.forward(x=fed)
    y.backward()
    expected = x.grad.copy()
    fed[:] = 99
    y.backward()
    np.testing.assert_array_equal(x.grad, expected)
    np.testing.assert_array_equal(x.data, DATA)


def test_data_is_of_the_most_recent_forward_of_a_root_above(x, w):
    h = x @ w
    first, second = h.sum(), (h * 2).sum()
    first.forward(x=DATA)
    np.testing.assert_array_equal(h.data, DATA @ w.data)
    second.forward(x=DATA * 2)
    np.testing.assert_allclose(h.data, 2 * DATA @ w.data)
    np.testing.assert_array_equal(x.data, 2 * DATA)
    assert first.data == (DATA @ w.data).sum()
    first.forward(x=DATA * 3)
    np.testing.assert_allclose(h.data, 3 * DATA @ w.data)


def test_grad_is_of_the_most_recent_backward_of_a_root_above(x, w):
    h = x @ w
    first, second = h.sum(), (h * 2).sum()
    first.forward(x=DATA)
    second.forward(x=DATA)
    first.backward()
    np.testing.assert_array_equal(h.grad, np.ones((3, 2)))
    second.backward()
    np.testing.assert_array_equal(h.grad, np.full((3, 2), 2.0))
    np.testing.assert_allclose(w.grad, 2 * DATA.T @ np.ones((3, 2)))
    first.backward()
    np.testing.assert_array_equal(h.grad, np.ones((3, 2)))
    np.testing.assert_allclose(w.grad, DATA.T @ np.ones((3, 2)))
    assert first.grad == 1.0


def test_asking_for_an_older_gradient_does_not_make_it_the_latest(x, w):
    h = x @ w
    k = h * 3
    first, second = k.sum(), (w * 5).sum()
    first.forward(x=DATA)
    first.backward()
    second.backward()
    np.testing.assert_array_equal(h.grad, np.full((3, 2), 3.0))
    np.testing.assert_array_equal(w.grad, np.full((2, 2), 5.0))


def test_a_gradient_outlives_its_root(w):
    (w * 3).sum().backward()
    np.testing.assert_array_equal(w.grad, np.full((2, 2), 3.0))


def test_every_node_between_can_be_asked_for(x, w):
    a = x @ w
    b = lg.exp(a)
    c = b + 1
    y = (c * c).sum()
    y.forward(x=DATA)
    y.backward()
    np.testing.assert_allclose(a.data, DATA @ w.data)
    np.testing.assert_allclose(b.data, np.exp(DATA @ w.data))
    np.testing.assert_allclose(c.grad, 2 * c.data)
    np.testing.assert_allclose(b.grad, 2 * c.data)
    np.testing.assert_allclose(a.grad, 2 * c.data * b.data)
    y.forward(x=2 * DATA)
    np.testing.assert_allclose(b.data, np.exp(2 * DATA @ w.data))
    y.backward()
    np.testing.assert_allclose(a.grad, 2 * c.data * b.data)


def test_a_parameter_that_changed_is_refused_not_mixed(x, w):
    y = (x @ w * w.sum()).sum()
    changes = [
        lambda: setattr(w, "data", w.data * 2),
        lambda: w.data.__isub__(1.0),
        lambda: w.data.__setitem__(0, 7.0),
        lambda: np.multiply(w.data, 2, out=w.data),
        lg.compile([], updates={w: w + 1}),
    ]
    for change in changes:
        y.forward(x=DATA)
        change()
        message = r"w changed after forward, so backward would mix(.|\n)*test_forward_backward"
        with pytest.raises(lg.StaleForwardError, match=message):
            y.backward()
        y.forward(x=DATA)
        y.backward()


def test_a_live_array_held_from_before_forward_is_noticed(x, w):
    live = w.data
    y = (x @ w * w.sum()).sum()
    y.forward(x=DATA)
    y.backward()
    live += 1
    with pytest.raises(lg.StaleForwardError):
        y.backward()
    view = live[0]
    del live
    y.forward(x=DATA)
    view[0] = 3
    with pytest.raises(lg.StaleForwardError):
        y.backward()


def test_a_node_between_keeps_its_old_value_or_is_refused_once_a_parameter_changed(x, w):
    a = x @ w
    b = lg.exp(a)
    y = (b + 1).sum()
    y.forward(x=DATA)
    old = DATA @ w.data
    w.data = w.data + 1
    refused = 0
    for node, value in ((a, old), (b, np.exp(old)), (y, (np.exp(old) + 1).sum())):
        try:
            np.testing.assert_allclose(node.data, value)
        except lg.StaleForwardError:
            refused += 1
    assert refused < 3


def test_writing_equal_bytes_is_no_change_that_matters(x, w):
    y = (x @ w).sum()
    y.forward(x=DATA)
    w.data[:] = w.data.copy()
    y.backward()
    np.testing.assert_allclose(w.grad, DATA.T @ np.ones((3, 2)))


def test_a_refused_forward_leaves_the_snapshot(x, w):
    y = (x @ w).sum()
    y.forward(x=DATA)
    for bad in ({"x": np.ones((2, 3))}, {"z": DATA}, {"x": "text"}):
        with pytest.raises(lg.LazygradError):
            y.forward(**bad)
    np.testing.assert_array_equal(x.data, DATA)
    y.backward()
    np.testing.assert_allclose(w.grad, DATA.T @ np.ones((3, 2)))


def test_a_program_shares_slots_that_a_pair_must_keep():
    x = lg.placeholder((1000,), name="x", requires_grad=True)
    y = x
    for _ in range(50):
        y = lg.tanh(y * 1.1)
    program = lg.compile(y.sum())
    assert program.memory.arena <= 2 * 8000 + 128
    y.forward(x=np.ones(1000))
    y.backward()
    first = x.grad.copy()
    y.backward()
    np.testing.assert_array_equal(first, x.grad)


def test_backward_needs_something_differentiable_below():
    x = lg.placeholder((2,), name="x")
    y = x * 2
    with pytest.raises(lg.DTypeError, match=r"requires no gradient(.|\n)*test_forward_backward"):
        y.backward()


def test_gradients_are_the_users_own(x, w):
    y = (x @ w).sum()
    y.forward(x=DATA)
    y.backward()
    kept = w.grad
    before = kept.copy()
    y.forward(x=2 * DATA)
    y.backward()
    np.testing.assert_array_equal(kept, before)
    np.testing.assert_allclose(w.grad, 2 * before)
    assert w.grad.flags.writeable


@pytest.mark.usefixtures("_alarms_interrupt")
def test_an_interrupted_forward_never_gives_a_mixed_gradient():
    x = lg.placeholder((300,), name="x", requires_grad=True)
    w = lg.Value(np.ones(300))
    y = (lg.tanh(x * w) ** 2).sum()
    data = np.linspace(-1, 1, 300)
    y.forward(x=data)
    random = np.random.default_rng(0)
    interrupted = 0
    for _ in range(300):
        # The alarm may also ring while it is being turned off.
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 2e-4))
                for scale in range(100_000):
                    y.forward(x=data * (scale % 3))
                    y.backward()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupted += 1
        with warnings.catch_warnings():
            # After an interrupted forward there is none, so that its feeds are missing.
            warnings.simplefilter("ignore", lg.MissingFeedWarning)
            y.backward()
        t = np.tanh(x.data)
        np.testing.assert_allclose(w.grad, 2 * t * (1 - t * t) * x.data)
    assert interrupted > 50
