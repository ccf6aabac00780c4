"""None over the graph: a chain of 100,000 nodes is an ordinary graph."""

import sys

import numpy as np
import pytest

import lazygrad as lg

LONG = 100_000


@pytest.fixture(scope="module")
def chain():
    x = lg.placeholder((), name="x", requires_grad=True)
    y = x
    for _ in range(LONG):
        y = -y
    return x, y


@pytest.fixture(autouse=True)
def _shallow_stack():
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(400)
    yield
    sys.setrecursionlimit(before)


def test_it_builds_and_prints(chain):
    _, y = chain
    graph = lg.Graph([y])
    assert len(graph) == LONG + 1
    text = str(graph)
    assert text.count("negative(") == LONG
    assert "negative" in repr(y)
    assert repr(graph) == f"<graph of {LONG + 1} nodes giving float64[]>"


def test_it_differentiates(chain):
    x, y = chain
    g = lg.grad(y, x)
    assert len(lg.Graph([g])) > LONG / 2
    assert lg.jvp(y, x, 1.0).shape == ()


def test_it_compiles_and_runs(chain):
    x, y = chain
    f = lg.compile([y, lg.grad(y, x)])
    assert f(x=2.0) == [2.0, 1.0]
    assert len(f.source) > 0


def test_steps_that_are_not_simplified_run_too():
    x = lg.placeholder((3,), name="x", requires_grad=True)
    y = x
    for _ in range(LONG):
        y = lg.sin(y)
    f = lg.compile(y)
    expected = np.array([0.1, 1.0, 2.0])
    for _ in range(LONG):
        np.sin(expected, out=expected)
    np.testing.assert_allclose(f(x=[0.1, 1.0, 2.0]), expected, 1e-13)


def test_it_goes_forward_and_backward(chain):
    x, y = chain
    assert y.forward(x=3.0) == 3.0
    y.backward()
    assert x.grad == 1.0


def test_a_value_is_computed_when_asked():
    y = lg.Value(1.0)
    for _ in range(20_000):
        y = y + 1.0
    assert y.data == 20_001.0


def test_it_is_dropped():
    y = lg.Value(1.0)
    for _ in range(LONG):
        y = y + 1.0
    del y


def test_a_long_chain_of_choices_differentiates():
    x = lg.placeholder((2,), name="x")
    y = x
    for _ in range(2_000):
        y = lg.where(y > 0, y * 0.999, y)
    g = lg.compile(lg.grad(y.sum(), x))(x=[1.0, -1.0])
    np.testing.assert_allclose(g, [0.999**2000, 1.0])
