"""Kernels over large arrays, block by block and on several threads, against the interpreter."""

import traceback
import warnings
from functools import partial

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn, optim
from lazygrad.backends import blocks
from lazygrad.backends.interpreter import interpret
from lazygrad.backends.numpy import bind
from lazygrad.schedule.buffers import plan
from lazygrad.schedule.fuse import fuse
from tests import test_programs, test_random_graphs as random_graphs
from tests.schedule.drawn import Drawn


def make_small(monkeypatch, block_bytes):
    """Let arrays of a few elements count as large, and as long work."""
    monkeypatch.setattr(blocks, "LEAST_BYTES", 32)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(blocks, "LEAST_SHARED", 1)
    monkeypatch.setattr(blocks, "FEWEST_SHARED", 2)


pytestmark = pytest.mark.usefixtures("_on_numpy")


@pytest.fixture
def small(monkeypatch):
    """Let blocks hold three elements."""
    make_small(monkeypatch, 24)


def formula(a, b, c):
    return lg.tanh(a * b + c) * lg.sigmoid(a - b) * lg.exp(-c * c)


def leaves(shape, dtype="float64"):
    return [lg.placeholder(shape, dtype=dtype, name=name, requires_grad=True) for name in "abc"]


def feeds(shape, dtype="float64"):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(dtype) for name in "abc"}


def loops(program):
    return program.source.count("[part]:")


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
    nodes = leaves((1100, 1000), "float32")
    value = formula(*nodes)
    program = lg.compile([value, value.mean()])
    data = feeds((1100, 1000), "float32")
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


X = lg.placeholder((6, 7, 5), name="x", requires_grad=True)
ROW = lg.placeholder((5,), name="row", requires_grad=True)
COLUMN = lg.placeholder((6, 7, 1), name="column", requires_grad=True)
FIRST = lg.placeholder((6, 1, 1), name="first", requires_grad=True)
NARROW = lg.placeholder((40, 3), dtype="float32", name="narrow", requires_grad=True)
WHOLE = lg.placeholder((6, 7, 5), dtype="int64", name="whole")


def fed():
    rng = np.random.default_rng(3)
    found = {node.name: rng.normal(size=node.shape) for node in (X, ROW, COLUMN, FIRST)}
    found["narrow"] = rng.normal(size=(40, 3)).astype("float32")
    found["whole"] = rng.integers(-3, 4, (6, 7, 5))
    return found


def with_gradients(value, *leaves):
    total = (value * value * 0.5 + value).sum()
    return [value, total, *lg.grad(total, leaves)]


def norm(x, axis):
    centred = x - x.mean(axis=axis, keepdims=True)
    return centred / lg.sqrt((centred**2).mean(axis=axis, keepdims=True) + 1e-5)


KINDS = {
    "rows beside columns": lambda: with_gradients(lg.tanh(X * ROW + COLUMN) / FIRST, X, ROW),
    "leading axis": lambda: with_gradients(lg.exp(X * FIRST) + COLUMN, FIRST, COLUMN),
    "softmax": lambda: with_gradients(lg.softmax(X), X),
    "softmax over two axes": lambda: with_gradients(lg.softmax(X * 2, axis=(1, 2)), X),
    "softmax over the first axis": lambda: with_gradients(lg.softmax(X * 2, axis=0), X),
    "log_softmax": lambda: with_gradients(lg.log_softmax(X, axis=-1), X),
    "layer norm": lambda: with_gradients(norm(X, -1) * ROW + ROW, X, ROW),
    "norm over rows": lambda: with_gradients(norm(X, (1, 2)) * ROW, X, ROW),
    "norm over the first axis": lambda: with_gradients(norm(X, 0), X),
    "sums": lambda: [
        lg.sum(lg.exp(X) * 2, axis, keepdims=kept)
        for axis in (None, 0, 1, 2, (0, 1), (0, 2), (1, 2), ())
        for kept in (False, True)
    ],
    "extrema": lambda: [
        reduce(lg.square(X) - 0.5, axis)
        for axis in (None, 0, 1, 2, (0, 2))
        for reduce in (lg.max, lg.min, lg.prod)
    ],
    "bools": lambda: [
        reduce(lg.exp(X) > lg.square(X) + bound, axis)
        for axis in (None, 0, 1, (0, 2))
        for bound in (-9.0, 0.5, 99.0)
        for reduce in (lg.all, lg.any, lg.sum)
    ],
    "whole numbers": lambda: [
        (WHOLE * 2 - abs(WHOLE)).sum(axis=0),
        (WHOLE % 3 + 1).prod(axis=1),
        lg.astype(WHOLE, "float32") * 0.5 + lg.astype(X, "float32"),
    ],
    "narrow matrices": lambda: (
        with_gradients(lg.sigmoid(NARROW) * NARROW, NARROW)
        + [lg.sum(NARROW * 2 + 1, axis, keepdims=kept) for axis in (0, 1) for kept in (False, True)]
    ),
    "choices": lambda: with_gradients(lg.where(X > ROW, lg.relu(X), X * COLUMN), X, COLUMN),
    "another shape of the same": lambda: with_gradients(
        lg.tanh(lg.exp(X[:, None] * 0.1) + X[:, None]).squeeze(1) * ROW, X, ROW
    ),
    "a stored value in another shape": lambda: [
        (found := lg.exp(X) + 1),
        lg.tanh(found[:, None]) * ROW,
        lg.sum(found, axis=2),
    ],
    "turned operands": lambda: [lg.tanh(X + X[::-1]) * lg.transpose(X, (0, 2, 1)).sum()],
    "one number a row": lambda: [
        (total := lg.exp(X).sum(axis=-1)),
        lg.log(total + 1) * 2,
        X / lg.sqrt(total)[:, :, None],
    ],
    "lone functions": lambda: [lg.tanh(X), lg.erf(lg.reshape(X, (-1,)))],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block_bytes", [24, 100, 300, 4000])
def test_kinds_of_kernels(monkeypatch, kind, block_bytes):
    make_small(monkeypatch, block_bytes)
    outputs, data = KINDS[kind](), fed()
    needed = {name: data[name] for name in lg.Graph(outputs).placeholders}
    expected = interpret(lg.Graph(outputs), needed)
    programs = [lg.compile(outputs, backend="numpy", threads=n) for n in (1, 2, 5)]
    for _ in range(2):
        first, *others = [program(**needed) for program in programs]
        for ours, theirs in zip(first, expected, strict=True):
            assert ours.dtype == theirs.dtype
            tolerance = 1e-5 if theirs.dtype == np.float32 else 1e-12
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
        for other in others:
            for ours, theirs in zip(other, first, strict=True):
                np.testing.assert_array_equal(ours, theirs)
    assert loops(programs[-1])


def test_special_numbers_pass_through(small):
    x = lg.placeholder((20, 3), name="x")
    outputs = [(x * 1.0).max(axis=0), (-x).min(), (x * 0.5).sum(axis=0), lg.exp(x).sum(axis=1)]
    data = np.full((20, 3), -0.0)
    data[13, 1], data[17, 2] = np.nan, np.inf
    program = lg.compile(outputs, backend="numpy", threads=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = program(x=data)
    assert loops(program)
    expected = interpret(lg.Graph(outputs), {"x": data})
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        # The sign of a NaN is nobody's promise.
        signs = [np.signbit(np.where(np.isnan(value), 0, value)) for value in (ours, theirs)]
        np.testing.assert_array_equal(*signs)


def test_long_rows_are_reduced_in_pieces(small):
    x = lg.placeholder((2, 50), name="x", requires_grad=True)
    y = lg.exp(x) / lg.exp(x).sum(axis=1, keepdims=True)
    outputs = [y, *lg.grad((y * y).sum(), [x])]
    data = {"x": np.random.default_rng(0).normal(size=(2, 50))}
    found = [lg.compile(outputs, backend="numpy", threads=n)(**data) for n in (1, 3)]
    for one, other, theirs in zip(*found, interpret(lg.Graph(outputs), data), strict=True):
        np.testing.assert_allclose(one, theirs, rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("threads", [1, 2])
def test_training_steps(small, threads):
    """Adam writes its cells where they lie, from gradients and what it keeps."""

    def trained(asked, count):
        model = nn.Sequential(nn.Linear(6, 7, seed=1), nn.Tanh(), nn.Linear(7, 4, seed=2))
        x, t = lg.placeholder((9, 6), name="x"), lg.placeholder((9,), dtype="int64", name="t")
        loss = nn.cross_entropy(model(lg.astype(x, "float32")), t)
        program = lg.compile(
            loss,
            updates=optim.Adam(0.01, weight_decay=0.1).minimize(loss),
            backend="numpy",
            threads=count,
        )
        rng = np.random.default_rng(0)
        losses = [program(x=rng.normal(size=(9, 6)), t=rng.integers(0, 4, 9)) for _ in range(asked)]
        return program, losses, [p.data.copy() for p in model.parameters()]

    program, losses, found = trained(5, threads)
    assert "write_together" in program.source
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "LEAST_BYTES", 1 << 40)
        plain, expected_losses, expected = trained(5, 1)
    assert not loops(plain)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_a_feed_that_is_the_live_array_of_what_is_updated(small):
    def step():
        w, v = lg.Value(np.arange(12.0), name="w"), lg.Value(np.ones(12), name="v")
        x = lg.placeholder((12,), name="x")
        new = w * 0.5 + lg.tanh(v)
        program = lg.compile((), updates={w: new - x, v: v + x * lg.exp(-new)}, backend="numpy")
        return program, w, v

    program, w, v = step()
    other, other_w, other_v = step()
    program(x=w.data)
    assert "write_together" in program.source
    other(x=other_w.data.copy())
    np.testing.assert_array_equal(w.data, other_w.data)
    np.testing.assert_array_equal(v.data, other_v.data)
    program(x=w.data[::-1])
    other(x=other_w.data[::-1].copy())
    np.testing.assert_array_equal(w.data, other_w.data)
    np.testing.assert_array_equal(v.data, other_v.data)


@pytest.mark.parametrize("seed", range(40))
def test_updates_whatever_they_read(monkeypatch, seed):
    make_small(monkeypatch, 40)
    monkeypatch.setenv("LAZYGRAD_BACKEND", "numpy")
    monkeypatch.setenv("LAZYGRAD_THREADS", "2")
    # What is a kernel in one program may be a lone step in another, which adds in another order.
    close = partial(np.testing.assert_allclose, rtol=1e-12)
    monkeypatch.setattr(np.testing, "assert_array_equal", close)
    test_programs.test_right_sides_read_old_values_whatever_they_are(seed)


@pytest.mark.parametrize("turn", [1, -1])
def test_a_failure_among_updates_leaves_all_state_as_it_was(small, monkeypatch, turn):
    monkeypatch.setenv("LAZYGRAD_BACKEND", "numpy")
    monkeypatch.setattr(blocks, "LEAST_BYTES", 8)
    test_programs.test_a_failure_in_the_last_step_of_an_update_leaves_all_state_as_it_was(turn)


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_inside_a_block(small, threads):
    x = lg.placeholder((40,), dtype="int64", name="x")
    p = lg.placeholder((40,), dtype="int64", name="p")
    w = lg.Value(np.zeros(40))
    y = x**p
    program = lg.compile((y + 1).sum(), updates={w: w + 1.0 * y}, backend="numpy", threads=threads)
    good, bad = np.full(40, 2), np.full(40, 2)
    bad[31] = -1
    for _ in range(2):
        with pytest.raises(lg.OperationError, match="power") as raised:
            program(x=good, p=bad)
        assert "test_blocks.py" in str(raised.value)
        assert not w.data.any()
    assert program(x=good, p=good) == 200
    assert (w.data == 4).all()
    assert loops(program)
    text = "".join(traceback.format_exception(raised.value.__cause__))
    assert "negative integer powers" in text


def test_pairs_keep_every_step_and_timed_runs_have_kernels(small):
    nodes = leaves((30,))
    y = formula(*nodes).sum()
    data = feeds((30,))
    expected = interpret(lg.Graph([y]), data)[0]
    assert y.forward(**data) == pytest.approx(expected)
    y.backward()
    program = lg.compile(y, backend="numpy")
    assert program(**data) == pytest.approx(expected)
    assert loops(program)
    table = program.profile(repeat=1, **data)
    assert len(table.splitlines()) == 3 + len(program.executable.schedule.steps)
    assert len(program.executable.schedule.steps) < len(program.schedule.steps)
    assert table.count("at bind") < len(program.executable.schedule.steps)


@pytest.mark.parametrize("seed", range(80))
def test_random_graphs(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    make_small(monkeypatch, int(rng.choice([8, 24, 40, 96, 200])))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        drawn = random_graphs.draw(seed)
        lengths, outputs = {"batch": random_graphs.BATCH}, [*drawn.outputs, *drawn.gradients]
        graph = lg.Graph(outputs)
        data = {name: drawn.feeds[name] for name in graph.placeholders}
        want = random_graphs.values_of(graph, data, lengths)
        widths = random_graphs.tolerances(graph, data, lengths, want, seed)
        # Sums in another order cancel to something near 0 instead of 0.
        widths = [
            width + 30 * np.finfo(value.dtype).eps if value.dtype.kind == "f" else width
            for value, width in zip(want, widths, strict=True)
        ]
        found = [lg.compile(outputs, backend="numpy", threads=n)(**data) for n in (1, 2)]
        random_graphs.check_close(found[0], want, widths, f"seed {seed}")
    for one, other in zip(*found, strict=True):
        assert random_graphs.bits(one) == random_graphs.bits(other), f"seed {seed}"


@pytest.mark.parametrize("seed", range(40))
def test_kernels_as_machine_code_has_them(monkeypatch, seed):
    """Kernels of all sizes, with longer rows and more stages than NumPy asks for."""
    drawn = Drawn(seed, count=45)
    program = lg.compile(drawn.nodes(4), train=False, backend="numpy")
    rng = np.random.default_rng(seed)
    rows = drawn.lengths.get("rows", 3)
    data = {name: rng.standard_normal((rows, 4)) for name in "xy"}
    data["y"] = data["y"].astype("float32")
    data["z"] = rng.standard_normal((4, 4))
    given = [data[name] for name, _ in program.schedule.feeds]
    lengths = dict.fromkeys(program.lengths, rows)
    placed = plan(program.schedule, lengths)
    fused = fuse(program.schedule, placed)
    with np.errstate(all="ignore"):
        expected = bind(program.schedule, placed, program._cells).sections["run"](*given)
        monkeypatch.setattr(blocks, "BLOCK_BYTES", int(rng.choice([8, 24, 40, 96])))
        executable = bind(fused, plan(fused, lengths), program._cells)
        found = executable.sections["run"](*given)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-12)


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
