"""Jacobians and Hessians, at once where every operation can be batched and else in a loop."""

from __future__ import annotations

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.autodiff import batch, matrices
from lazygrad.errors import DisconnectedError, DTypeError, OptionError, ShapeError
from lazygrad.ir.graph import ancestors
from lazygrad.ir.op import Trait

RNG = np.random.default_rng(11)
X, W = RNG.standard_normal((2, 3)), RNG.standard_normal((3, 4))


def loops(node):
    return [n for n in ancestors([node]) if Trait.LOOPS in n.op.traits]


@pytest.fixture(params=["at once", "in a loop"])
def way(request, monkeypatch):
    """Run a test both ways."""
    if request.param == "in a loop":
        monkeypatch.setattr(matrices, "batched", lambda *args: None)
    return request.param


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def network(m, x, w):
    """A small function written alike in lazygrad and torch."""
    return m.tanh(x @ w) * m.exp(-(x * x).sum()) + (m.sin(w) @ w.T)[:2, :1]


@pytest.mark.parametrize("mode", [None, "reverse", "forward"])
def test_jacobian_of_one_leaf(way, torch, mode):
    x, w = lg.Value(X), lg.Value(W)
    found = lg.jacobian(network(lg, x, w), x, mode=mode)
    expected = torch.autograd.functional.jacobian(
        lambda t: network(torch, t, torch.tensor(W)), torch.tensor(X)
    )
    assert found.shape == (2, 4, 2, 3)
    np.testing.assert_allclose(found.data, expected.numpy(), atol=1e-12)
    assert bool(loops(found)) == (way == "in a loop")


def test_jacobians_have_the_structure_of_wrt(way, torch):
    x, w = lg.Value(X), lg.Value(W)
    y = network(lg, x, w)
    expected = torch.autograd.functional.jacobian(
        lambda t, v: network(torch, t, v), (torch.tensor(X), torch.tensor(W))
    )
    listed = lg.jacobian(y, [x, w])
    named = lg.jacobian(y, {"w": w, "x": x})
    assert type(listed) is list
    assert list(named) == ["w", "x"]
    assert type(lg.jacobian(y, (x, w))) is tuple
    for found, one in zip(
        (listed[0], listed[1], named["w"], named["x"]),
        (expected[0], expected[1], expected[1], expected[0]),
        strict=True,
    ):
        np.testing.assert_allclose(found.data, one.numpy(), atol=1e-12)


def test_hessian_of_one_leaf(way, torch):
    x, w = lg.Value(X), lg.constant(W)
    found = lg.hessian(network(lg, x, w).sum(), x)
    expected = torch.autograd.functional.hessian(
        lambda t: network(torch, t, torch.tensor(W)).sum(), torch.tensor(X)
    )
    assert found.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(found.data, expected.numpy(), atol=1e-12)


def test_hessian_of_several_leaves_is_a_table_of_blocks(way, torch):
    x, w = lg.Value(X), lg.Value(W)
    y = (network(lg, x, w) ** 2).sum()
    found = lg.hessian(y, {"x": x, "w": w})
    expected = torch.autograd.functional.hessian(
        lambda t, v: (network(torch, t, v) ** 2).sum(), (torch.tensor(X), torch.tensor(W))
    )
    for i, row in enumerate("xw"):
        for j, column in enumerate("xw"):
            block = found[row][column]
            np.testing.assert_allclose(block.data, expected[i][j].numpy(), atol=1e-10)
    np.testing.assert_allclose(
        found["x"]["w"].data, found["w"]["x"].data.transpose(2, 3, 0, 1), atol=1e-12
    )


def test_scalars(way):
    x = lg.Value(0.7)
    np.testing.assert_allclose(lg.jacobian(lg.sin(x), x).data, np.cos(0.7))
    np.testing.assert_allclose(lg.hessian(lg.sin(x), x).data, -np.sin(0.7))
    v = lg.Value([1.0, 2.0])
    assert lg.jacobian((v * x).sum(), x).shape == ()
    np.testing.assert_allclose(lg.jacobian(v * x, x).data, [1.0, 2.0])
    np.testing.assert_allclose(lg.jacobian((v * x).sum(), v).data, [0.7, 0.7])


def test_float32_stays_float32(way):
    x = lg.Value(np.float32([1.0, 2.0]))
    for found in (lg.jacobian(x * x, x), lg.hessian((x**3).sum(), x)):
        assert found.dtype == np.float32
        assert found.data.dtype == np.float32


def test_no_elements(way):
    x = lg.Value(np.zeros((0, 2)))
    assert lg.jacobian(x * 2, x).data.shape == (0, 2, 0, 2)
    assert lg.hessian((x**2).sum(), x).data.shape == (0, 2, 0, 2)


@pytest.mark.parametrize("mode", [None, "reverse", "forward"])
def test_symbolic_lengths(mode):
    x = lg.placeholder(("n",), name="x", requires_grad=True)
    w = lg.Value(W)
    y = lg.tanh(x[:, None] * w[0]).sum(1) * x.sum()
    f = lg.compile(lg.jacobian(y, x, mode=mode))
    h = lg.compile(lg.hessian(y.sum(), x))
    for n in (3, 1, 5):
        data = np.linspace(-1.0, 1.0, n)
        v = lg.Value(data)
        same = lg.tanh(v[:, None] * w[0]).sum(1) * v.sum()
        np.testing.assert_allclose(f(x=data), lg.jacobian(same, v).data, atol=1e-12)
        np.testing.assert_allclose(h(x=data), lg.hessian(same.sum(), v).data, atol=1e-12)


def test_of_a_loop(torch):
    x, h = lg.Value(X), lg.Value(W[0])
    last, _ = lg.scan(lambda c, e: (lg.tanh(c * e.sum()) + c, None), h, x)

    def written(t):
        c = torch.tensor(W[0])
        for row in t:
            c = torch.tanh(c * row.sum()) + c
        return c

    expected = torch.autograd.functional.jacobian(written, torch.tensor(X))
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(lg.jacobian(last, x, mode=mode).data, expected, atol=1e-12)
    curvature = torch.autograd.functional.hessian(lambda t: written(t).sum(), torch.tensor(X))
    np.testing.assert_allclose(lg.hessian(last.sum(), x).data, curvature, atol=1e-12)


def test_operations_without_a_rule_go_through_a_loop():
    @lg.custom_op(vjp=lambda g, y, x: (g * 3 * x**2,))
    def third_power(x):
        return x**3

    x = lg.Value([1.0, 2.0])
    found = lg.jacobian(third_power(x) * 2, x)
    np.testing.assert_allclose(found.data, np.diag([6.0, 24.0]))
    # Its reverse rule is made of operations that can be batched; the operation itself is outside.
    assert not loops(found)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: lg.sort(x * x, axis=1),
        lambda x: lg.softmax(x, axis=0),
        lambda x: lg.linalg.inv(x @ x.T + 2 * np.eye(3)),
        lambda x: lg.linalg.solve(x @ x.T + 2 * np.eye(3), x),
        lambda x: lg.linalg.eigh(x @ x.T)[0],
        lambda x: lg.linalg.cholesky(x @ x.T + np.eye(3)),
        lambda x: lg.linalg.det(x @ x.T + np.eye(3)),
        lambda x: lg.cumprod(x, axis=1),
        lambda x: x[[0, 2, 2], [1, 1, 3]] ** 2,
        lambda x: x.at[[0, 1], 2].add(x[:2, 0] ** 2),
        lambda x: lg.concatenate([x, lg.pad(x, 1)[:3, :4] ** 2]),
        lambda x: x.max(1) * x.min(0)[:3],
        lambda x: lg.prod(x, axis=0),
        lambda x: lg.where(x > 0, lg.exp(x), x),
        lambda x: lg.roll(lg.triu(x[:, :3]), 1, 0) @ x,
        lambda x: lg.logsumexp(x, axis=1),
        lambda x: lg.median(x * x, axis=1),
        lambda x: lg.cross(x[:, :3], x[:, 1:] ** 2),
        lambda x: lg.sliding_windows(x * x, (2, 2)).max((-1, -2)),
    ],
)
def test_both_ways_and_both_modes_agree(function, monkeypatch):
    x = lg.Value(np.random.default_rng(2).standard_normal((3, 4)))
    y = function(x)
    weights = np.cos(np.arange(np.prod(y.shape))).reshape(y.shape)

    def found():
        nodes = [
            lg.jacobian(y, x, mode="forward"),
            lg.jacobian(y, x, mode="reverse"),
            lg.hessian((y * weights).sum(), x),
        ]
        return nodes, lg.compile(nodes)()

    nodes, at_once = found()
    assert not any(map(loops, nodes))
    monkeypatch.setattr(matrices, "batched", lambda *args: None)
    _, looped = found()
    np.testing.assert_allclose(at_once[0], at_once[1], atol=1e-11)
    for one, other in zip(at_once, looped, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


def test_what_would_be_too_large_goes_through_a_loop(monkeypatch):
    x = lg.Value(np.linspace(0.0, 1.0, 40))
    expected = lg.jacobian(lg.sin(x), x)
    assert not loops(expected)
    for module in (batch, matrices):
        monkeypatch.setattr(module, "LARGEST_BATCH", 1000)
    found = lg.jacobian(lg.sin(x), x)
    assert loops(found)
    np.testing.assert_allclose(found.data, expected.data, atol=1e-15)


def test_the_shorter_mode_is_chosen():
    x = lg.Value(np.ones(50))
    assert len(ancestors([lg.jacobian(x.sum(), x)])) < 20
    wide, tall = lg.Value(np.ones((2, 50))), lg.Value(np.ones(2))
    sizes = [product(n.shape) for n in ancestors([lg.jacobian(wide @ x * tall, x)])]
    assert max(sizes) <= 2 * 2 * 50


def product(shape):
    return int(np.prod(shape))


def test_in_programs_with_feeds_and_updates():
    x = lg.placeholder((3,), name="x", requires_grad=True)
    w = lg.Value(np.ones(3))
    y = lg.sin(x * w)
    f = lg.compile(lg.jacobian(y, x), updates={w: w * 2})
    np.testing.assert_allclose(f(x=[0.0, 1.0, 2.0]), np.diag(np.cos([0.0, 1.0, 2.0])))
    np.testing.assert_allclose(f(x=[0.0, 1.0, 2.0]), np.diag(2 * np.cos([0.0, 2.0, 4.0])))


def test_newtons_method(way):
    x = lg.Value([3.0, -2.0])
    away = x - np.array([1.0, 2.0])
    y = (away**4 + away**2).sum() + lg.exp(x[0] - x[1] + 1) - x[0] + x[1]
    step = lg.linalg.solve(lg.hessian(y, x), lg.grad(y, x))
    f = lg.compile(y, updates={x: x - step})
    for _ in range(20):
        f()
    np.testing.assert_allclose(x.data, [1.0, 2.0], atol=1e-9)


def test_what_is_refused():
    x = lg.Value([1.0, 2.0])
    other = lg.Value([1.0])
    with pytest.raises(DisconnectedError):
        lg.hessian((x**2).sum(), [x, other])
    with pytest.raises(DTypeError):
        lg.jacobian(x > 1, x)
    with pytest.raises(OptionError, match="mode"):
        lg.jacobian(x, x, mode="backward")
    with pytest.raises(ShapeError, match=r"hessian.*: y must be one number"):
        lg.hessian(x, x)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_constant_matrices_take_the_feeds_of_what_they_are_derived_from(mode):
    x = lg.placeholder((3,), name="x")
    jacobian = lg.compile(lg.jacobian(2 * x, x, mode=mode))
    np.testing.assert_array_equal(jacobian(x=np.ones(3)), 2 * np.eye(3))
    hessian = lg.compile(lg.hessian((2 * x).sum(), x))
    np.testing.assert_array_equal(hessian(x=np.ones(3)), np.zeros((3, 3)))


def test_matrices_of_what_is_no_node_are_refused():
    x = lg.Value([1.0, 2.0])
    with pytest.raises(lg.OptionError, match=r"jacobian.*: y must be a node, got float"):
        lg.jacobian(3.0, x)
    with pytest.raises(lg.OptionError, match=r"hessian.*: y must be a node, got float"):
        lg.hessian(3.0, x)
