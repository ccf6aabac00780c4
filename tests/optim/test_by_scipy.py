"""SciPy's minimizers on a loss."""

import sys

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import optim

pytest.importorskip("scipy", reason="SciPy is not installed (extra 'scipy')")


@pytest.fixture
def rosenbrock():
    x = lg.variable([-1.2, 1.0], name="x")
    y = lg.variable(0.5, name="y")
    return x, y, 100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2 + (y - 2.0) ** 4 + y * y


@pytest.mark.parametrize(
    "method", ["L-BFGS-B", "BFGS", "CG", "Newton-CG", "trust-ncg", "trust-krylov", "Nelder-Mead"]
)
def test_finds_the_optimum_and_leaves_it_in_the_variables(rosenbrock, method):
    x, y, loss = rosenbrock
    result = optim.minimize_scipy(loss, method=method, options={"maxiter": 2000})
    assert result.success
    np.testing.assert_array_equal(np.append(x.data, y.data), result.x)
    np.testing.assert_allclose(x.data, [1.0, 1.0], atol=1e-3)
    assert 4 * (y.data - 2.0) ** 3 + 2 * y.data == pytest.approx(0.0, abs=1e-2)


def test_feeds_float32_and_some_of_the_parameters():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 3))
    truth = points @ [1.0, -2.0, 3.0] + 0.5
    x = lg.placeholder(("batch", 3), dtype="float32", name="x")
    t = lg.placeholder(("batch",), dtype="float32", name="direction")
    w = lg.variable(np.zeros(3), dtype="float32", name="w")
    b = lg.variable(0.0, dtype="float32", name="b")
    loss = ((x @ w + b - t) ** 2).mean()
    feeds = {"x": points, "direction": truth}
    result = optim.minimize_scipy(loss, [w], feeds=feeds)
    assert result.x.dtype == np.float64
    assert b.data == 0.0
    optim.minimize_scipy(loss, feeds=feeds, method="Newton-CG")
    np.testing.assert_allclose(w.data, [1.0, -2.0, 3.0], atol=1e-3)
    assert (w.data.dtype, b.data.dtype) == (np.float32, np.float32)
    assert b.data == pytest.approx(0.5, abs=1e-3)


def test_bounds_are_handed_on(rosenbrock):
    x, _, loss = rosenbrock
    optim.minimize_scipy(loss, [x], bounds=[(None, 0.5), (None, None)])
    np.testing.assert_allclose(x.data, [0.5, 0.25], atol=1e-5)


def test_an_error_leaves_the_parameters_as_they_were(rosenbrock):
    x, _, loss = rosenbrock

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optim.minimize_scipy(loss, callback=stop)
    np.testing.assert_array_equal(x.data, [-1.2, 1.0])


def test_errors_name_the_function(rosenbrock):
    x, _, loss = rosenbrock
    other = lg.variable(1.0, name="other")
    with pytest.raises(lg.DisconnectedError, match="doesn't depend on other"):
        optim.minimize_scipy(loss, [x, other])
    with pytest.raises(lg.ShapeError, match=r"minimize_scipy: the loss must be one number, got"):
        optim.minimize_scipy(x * x)


def test_a_missing_scipy_is_said(rosenbrock, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(
        ImportError, match=r'needs SciPy, an extra: pip install "lazygrad\[scipy\]"'
    ):
        optim.minimize_scipy(rosenbrock[2])
