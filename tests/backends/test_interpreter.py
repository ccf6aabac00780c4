import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.interpreter import interpret
from lazygrad.ir.compute import compute_node
from lazygrad.ir.graph import Graph


def run(outputs, feeds=None, **options):
    return interpret(Graph(outputs), feeds or {}, **options)


A = np.random.default_rng(0).standard_normal((3, 4))
B = np.random.default_rng(1).standard_normal((4, 2))


@pytest.mark.parametrize(
    ("function", "eager"),
    [
        (lambda a, b: a @ b, lambda a, b: a @ b),
        (lambda a, b: lg.exp(a).T, lambda a, b: np.exp(a).T),
        (lambda a, b: lg.sum(a, axis=0) * 2, lambda a, b: a.sum(axis=0) * 2),
        (lambda a, b: a[1:, ::-1], lambda a, b: a[1:, ::-1]),
        (lambda a, b: a[a > 0], lambda a, b: a[a > 0]),
        (
            lambda a, b: lg.concatenate([a.T, b], axis=1),
            lambda a, b: np.concatenate([a.T, b], axis=1),
        ),
        (lambda a, b: lg.linalg.qr(a)[1], lambda a, b: np.linalg.qr(a)[1]),
        (lambda a, b: lg.where(a > 0, a, 0.0), lambda a, b: np.where(a > 0, a, 0.0)),
        (lambda a, b: a.at[0].set(1.0), lambda a, b: np.vstack([np.ones((1, 4)), a[1:]])),
    ],
)
def test_gives_what_numpy_gives(function, eager):
    a, b = lg.placeholder((3, 4), name="a"), lg.placeholder((4, 2), name="b")
    (result,) = run([function(a, b)], {"a": A, "b": B})
    np.testing.assert_allclose(result, eager(A, B), rtol=1e-12)


def test_lengths_by_name():
    a = lg.placeholder(("rows", 4), name="a")
    total, rows = run([lg.sum(a, axis=1), a * a.shape[0]], {"a": A}, lengths={"rows": 3})
    np.testing.assert_allclose(total, A.sum(axis=1))
    np.testing.assert_allclose(rows, A * 3)


def test_lengths_known_in_mid_run():
    a = lg.placeholder((3, 4), name="a")
    picked = a[a > 0]
    (mean,) = run([lg.sum(picked) / picked.shape[0]], {"a": A})
    assert mean == pytest.approx(A[A > 0].mean())


def test_variables_read_their_cells_or_what_is_held_for_them():
    w = lg.Value(np.ones(3))
    assert run([w * 2.0])[0].tolist() == [2.0, 2.0, 2.0]
    assert run([w * 2.0], held={id(w.cell): np.arange(3.0)})[0].tolist() == [0.0, 2.0, 4.0]


def test_feeds_are_cast_and_never_written():
    a = lg.placeholder((3,), dtype="float32", name="a")
    fed = np.arange(3)
    fed.flags.writeable = False
    (result,) = run([lg.exp(a)], {"a": fed})
    assert result.dtype == np.float32


def test_each_node_runs_once():
    a = lg.placeholder((3,), name="a")
    shared = lg.exp(a)
    ran = []

    def compute(node, operands, lengths):
        ran.append(node.op.name)
        return compute_node(node, operands, lengths)

    interpret(Graph([shared + shared, shared]), {"a": np.zeros(3)}, compute=compute)
    assert sorted(ran) == ["add", "exp"]


def test_a_long_chain():
    a = lg.placeholder((), name="a")
    node = a
    for _ in range(5_000):
        node = node + 1.0
    assert run([node], {"a": np.array(0.0)})[0] == 5_000.0
