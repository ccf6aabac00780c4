"""Methods that PyTorch doesn't have, and corners of those that it has."""

import numpy as np

import lazygrad as lg
from lazygrad import optim


def test_lion_follows_its_paper():
    rng = np.random.default_rng(0)
    w = lg.variable(rng.normal(size=5), name="w")
    g = lg.placeholder((5,), name="g")
    opt = optim.Lion(0.01, betas=(0.8, 0.95), weight_decay=0.1)
    train = lg.compile([], updates=opt.apply([(w, g)]))
    expected, mean = w.data.copy(), np.zeros(5)
    for _ in range(20):
        gradient = rng.normal(size=5)
        train(g=gradient)
        sign = np.sign(0.8 * mean + 0.2 * gradient)
        expected = expected - 0.01 * (sign + 0.1 * expected)
        mean = 0.95 * mean + 0.05 * gradient
    np.testing.assert_allclose(w.data, expected, 1e-12)


def test_a_first_step_of_adam_is_as_long_as_the_rate():
    w = lg.variable([1e-3, -1e3, 0.0], name="w")
    before = w.data.copy()
    loss = (w * w).sum()
    lg.compile(loss, updates=optim.Adam(0.1, epsilon=1e-12).minimize(loss))()
    np.testing.assert_allclose(w.data - before, [-0.1, 0.1, 0.0], 1e-8)


def test_centered_rmsprop_of_equal_gradients_stays_finite():
    w = lg.variable(np.full(3, 1.0), dtype="float32", name="w")
    opt = optim.RMSProp(1e-6, smoothing=0.1, centered=True)
    loss = (w * lg.constant([0.1, 0.3, 1e3], dtype="float32")).sum()
    train = lg.compile(loss, updates=opt.minimize(loss))
    for _ in range(50):
        train()
    assert np.isfinite(w.data).all()
