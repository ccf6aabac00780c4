"""Runs of elementwise steps over large arrays, block by block, against the interpreter."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends import blocks
from lazygrad.backends.interpreter import interpret

pytestmark = pytest.mark.usefixtures("_on_numpy")


@pytest.fixture
def small(monkeypatch):
    """Let arrays of a few elements count as large, and blocks hold three of them."""
    monkeypatch.setattr(blocks, "LEAST_BYTES", 32)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 24)


def formula(a, b, c):
    return lg.tanh(a * b + c) * lg.sigmoid(a - b) * lg.exp(-c * c)


def leaves(shape, dtype="float64"):
    return [lg.placeholder(shape, dtype=dtype, name=name, requires_grad=True) for name in "abc"]


def feeds(shape, dtype="float64"):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(dtype) for name in "abc"}


def loops(program):
    return program.source.count("for block, first, last")


@pytest.mark.parametrize("size", [4, 8, 9, 100])
def test_a_formula_and_its_gradients(small, size):
    nodes = leaves((size,))
    y = formula(*nodes).sum()
    outputs = [y, *lg.grad(y, nodes)]
    program = lg.compile(outputs)
    data = feeds((size,))
    for _ in range(2):
        got = program(**data)
        assert loops(program) == 1
        expected = interpret(lg.Graph(outputs), data)
        np.testing.assert_allclose(got[0], expected[0], rtol=1e-14)
        for ours, theirs in zip(got[1:], expected[1:], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-16)


def test_real_sizes(monkeypatch):
    nodes = leaves((700, 500), "float32")
    value = formula(*nodes)
    program = lg.compile([value, value.mean()])
    data = feeds((700, 500), "float32")
    got = program(**data)
    assert loops(program) == 1
    monkeypatch.setattr(blocks, "LEAST_BYTES", 1 << 40)
    plain = lg.compile([value, value.mean()])
    expected = plain(**data)
    assert loops(plain) == 0
    np.testing.assert_array_equal(got[0], expected[0])
    assert got[1] == pytest.approx(expected[1], rel=1e-6)


def test_named_lengths_shapes_and_strides(small):
    nodes = leaves(("rows", 3))
    y = formula(*nodes) + nodes[0][:, :1]
    program = lg.compile([y, (y * 2.0).T])
    for rows in (1, 5, 20):
        data = feeds((rows, 3))
        data["b"] = np.asfortranarray(data["b"])
        data["c"] = data["c"][::-1]
        got = program(**data)
        expected = interpret(lg.Graph([y, (y * 2.0).T]), data, {"rows": rows})
        for ours, theirs in zip(got, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_results_are_the_callers(small):
    nodes = leaves((30,))
    program = lg.compile(formula(*nodes) * 2.0)
    data = feeds((30,))
    first = program(**data)
    kept = first.copy()
    data["a"] += 1.0
    second = program(**data)
    np.testing.assert_array_equal(first, kept)
    assert not np.shares_memory(first, second)


def test_updates_see_old_values(small):
    w, v = lg.Value(np.arange(10.0), name="w"), lg.Value(np.ones(10), name="v")
    new_v = 0.9 * v + 0.1 * (w * w)
    program = lg.compile((w * v).sum(), updates={v: new_v, w: w - 0.5 * new_v / (1.0 + v * v)})
    expected_w, expected_v = w.data.copy(), v.data.copy()
    for _ in range(3):
        total = program()
        assert total == pytest.approx((expected_w * expected_v).sum())
        fresh = 0.9 * expected_v + 0.1 * expected_w**2
        expected_w = expected_w - 0.5 * fresh / (1.0 + expected_v**2)
        expected_v = fresh
        np.testing.assert_allclose(w.data, expected_w, rtol=1e-13)
        np.testing.assert_allclose(v.data, expected_v, rtol=1e-13)


def test_steps_between_that_read_or_are_read(small):
    (x,) = leaves((12,))[:1]
    y = lg.exp(x) + 1.0
    ordered = lg.sort(y)
    z = y * 2.0 - lg.flip(y) * ordered[0]
    total = (z * z).sum()
    outputs = [z / total, lg.cumsum(y), total]
    data = {"a": feeds((12,))["a"]}
    got = lg.compile(outputs)(**data)
    for ours, theirs in zip(got, interpret(lg.Graph(outputs), data), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)


def test_random_chains(small):
    seed = 5
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    for _ in range(60):
        nodes = leaves((11,))
        values = [*nodes, lg.constant(np.float64(rng.normal()))]
        for _ in range(25):
            one, other = (values[rng.integers(len(values))] for _ in range(2))
            made = [
                lambda a=one, b=other: a * b,
                lambda a=one, b=other: a - b,
                lambda a=one: lg.tanh(a),
                lambda a=one, b=other: lg.maximum(a, b),
                lambda a=one, b=other: lg.where(a > b, a, 0.5 * b),
                lambda a=one: lg.tanh(a).sum(),
                lambda a=one, b=nodes[0]: lg.roll(a + 0.0 * b, 2),
            ][rng.integers(7)]()
            values.append(made)
        outputs = [values[i] for i in rng.choice(np.arange(4, len(values)), 4, replace=False)]
        data = feeds((11,))
        found = lg.compile(outputs)(**{n: data[n] for n in lg.Graph(outputs).placeholders})
        for ours, theirs in zip(found, interpret(lg.Graph(outputs), data), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
