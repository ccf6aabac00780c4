"""Programs bound to arrays: read and filled where they lie, and refused where that can't be."""

import gc
import pickle

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import bound
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain

try:
    find_toolchain()
    HAS_COMPILER = True
except CompilerError:
    HAS_COMPILER = False

native = pytest.mark.skipif(not HAS_COMPILER, reason="there is no C compiler")
X = lg.placeholder(("n", 3), name="x")
SCALE = lg.placeholder((), name="scale")


@native
def test_runs_read_and_fill_the_callers_arrays():
    program = lg.compile({"y": lg.tanh(X * SCALE), "total": (X * SCALE).sum()})
    x, scale = np.ones((4, 3)), np.array(2.0)
    y, total = np.zeros((4, 3)), np.zeros(())
    run = program.bind(x=x, scale=scale, out={"y": y, "total": total})
    assert run.out["y"] is y
    assert run() is None
    np.testing.assert_allclose(y, np.tanh(2), rtol=1e-15)
    assert total == 24
    x[0], scale[...] = 3.0, 1.0
    run()
    np.testing.assert_allclose(y, np.tanh(x), rtol=1e-15)
    assert total == x.sum()


@native
def test_arrays_for_results_are_made_where_none_are_given():
    run = lg.compile([X * 2, X.sum(axis=0)]).bind(x=np.ones((2, 3)))
    assert [array.shape for array in run.out] == [(2, 3), (3,)]
    run()
    np.testing.assert_array_equal(run.out[0], 2)
    np.testing.assert_array_equal(run.out[1], [2, 2, 2])


@native
def test_a_run_is_one_foreign_call():
    run = lg.compile(lg.relu(X @ np.eye(3))).bind(x=np.ones((1, 3)))
    assert run.func.__name__.startswith("entry_")
    assert run.source.count("int segment_") == 1


@native
def test_any_number_of_runs_of_one_library_and_their_entries_are_given_back():
    program = lg.compile(X * 3)
    feeds = [np.full((1, 3), float(i)) for i in range(20)]
    for _ in range(3):
        runs = [program.bind(x=x) for x in feeds]
        for run in runs:
            run()
        assert [run.out[0, 0] for run in runs] == [3.0 * i for i in range(20)]
        kinds = {run.func.__name__[:5] if hasattr(run.func, "__name__") else "" for run in runs}
        assert "entry" in kinds
        del runs, run


@native
def test_variables_are_read_and_updated_where_they_live():
    w = lg.Value(np.zeros(3), name="w")
    loss = ((X @ w - 1) ** 2).sum()
    optimizer = lg.optim.SGD(0.1)
    step = lg.compile(loss, updates=optimizer.minimize(loss, [w]))
    other = lg.Value(np.zeros(3), name="w")
    same = ((X @ other - 1) ** 2).sum()
    plain = lg.compile(same, updates=lg.optim.SGD(0.1).minimize(same, [other]), backend="numpy")
    x = np.random.default_rng(0).normal(size=(5, 3)) * 0.3
    run = step.bind(x=x)
    before = w.cell.version
    for _ in range(4):
        run()
        assert run.out == pytest.approx(float(plain(x=x)), rel=1e-12)
    np.testing.assert_allclose(w.data, other.data, rtol=1e-12)
    assert w.cell.version > before
    optimizer.rate = 0.0
    kept = w.data.copy()
    run()
    np.testing.assert_array_equal(w.data, kept)


@native
def test_two_bound_runs_of_one_program_have_memory_of_their_own():
    program = lg.compile(lg.exp(X @ np.eye(3)) @ np.ones((3, 2)))
    first, second = np.zeros((2, 3)), np.ones((2, 3))
    a, b = program.bind(x=first), program.bind(x=second)
    a()
    b()
    np.testing.assert_allclose(a.out, 3.0)
    np.testing.assert_allclose(b.out, 3 * np.e)
    assert program(x=first)[0, 0] == pytest.approx(3.0)


@native
def test_the_arrays_live_as_long_as_the_run():
    run = lg.compile(X.sum(axis=1)).bind(x=np.arange(6.0).reshape(2, 3))
    gc.collect()
    run()
    np.testing.assert_array_equal(run.out, [3, 12])


@native
def test_an_integer_outside_is_named():
    rows = lg.placeholder((2,), dtype="int64", name="rows")
    index = np.array([0, 1])
    run = lg.compile(X[rows].sum()).bind(x=np.ones((2, 3)), rows=index)
    run()
    assert run.out == 6
    index[0] = 7
    with pytest.raises(lg.OperationError, match="index 7 is out of bounds"):
        run()
    index[0] = 1
    run()
    assert run.out == 6


GOOD = np.ones((4, 3))


@native
@pytest.mark.parametrize(
    ("feeds", "error", "words"),
    [
        ({}, lg.MissingFeedError, "x"),
        ({"x": GOOD, "z": GOOD}, lg.UnknownFeedError, "z"),
        ({"x": GOOD.tolist()}, lg.DTypeError, "'x' must be a NumPy array, got list"),
        ({"x": GOOD.astype("f4")}, lg.DTypeError, "'x' must be float64, got float32"),
        ({"x": GOOD.astype(">f8")}, lg.DTypeError, "'x' must be float64, got >f8"),
        ({"x": np.ones((4, 6))[:, ::2]}, lg.OptionError, "must lie in one piece"),
        ({"x": np.asfortranarray(GOOD)}, lg.OptionError, "must lie in one piece"),
        ({"x": np.ones((4, 4))}, lg.ShapeError, "x"),
    ],
)
def test_feeds_that_cannot_be_borrowed(feeds, error, words):
    with pytest.raises(error, match=words):
        lg.compile(lg.exp(X)).bind(**feeds)


@native
def test_outputs_that_cannot_be_filled():
    program = lg.compile(lg.exp(X))
    frozen = np.zeros((4, 3))
    frozen.flags.writeable = False
    for out, error, words in [
        (np.zeros((3, 4)), lg.ShapeError, r"out must have shape \[4, 3\], got \[3, 4\]"),
        (np.zeros((4, 3), "f4"), lg.DTypeError, "out must be float64"),
        (frozen, lg.OptionError, "out can't be written to"),
        (GOOD, lg.OptionError, "output 0 shares memory with the feed 'x'"),
        ([np.zeros((4, 3))], lg.DTypeError, "out must be a NumPy array, got list"),
    ]:
        with pytest.raises(error, match=words):
            program.bind(x=GOOD, out=out)
    both = lg.compile([X * 2, X * 3])
    memory = np.zeros((6, 3))
    with pytest.raises(lg.OptionError, match="output 1 shares memory with another output"):
        both.bind(x=GOOD, out=[memory[:4], memory[2:]])
    with pytest.raises(lg.OptionError, match="a list of 2 arrays"):
        both.bind(x=GOOD, out=memory)
    with pytest.raises(lg.OptionError, match="a dict with y"):
        lg.compile({"y": X}).bind(x=GOOD, out={"z": memory})
    w = lg.Value(np.ones((4, 3)), name="w")
    with pytest.raises(lg.OptionError, match="shares memory with a variable"):
        lg.compile(X * w).bind(x=GOOD, out=w.data)
    with pytest.raises(lg.OptionError, match="'x' shares memory with a variable that is updated"):
        lg.compile(X.sum(), updates={w: w + X}).bind(x=w.data)


@native
def test_python_steps_are_refused_unless_allowed():
    program = lg.compile(lg.sort(X, axis=0) * 2)
    with pytest.raises(lg.OptionError, match=r"sort \(test_bound.py:\d+\) would run in Python"):
        program.bind(x=GOOD)
    x = np.random.default_rng(0).normal(size=(4, 3))
    run = program.bind(x=x, python_steps=True)
    run()
    np.testing.assert_allclose(run.out, np.sort(x, axis=0) * 2)


def test_without_a_compiler(monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CC", "/no/such/compiler")
    w = lg.Value(np.ones(3), name="w")
    program = lg.compile(X @ w, updates={w: w * 2})
    with pytest.raises(lg.OptionError, match="no machine code to be had"):
        program.bind(x=GOOD)
    run = program.bind(x=GOOD, python_steps=True)
    run()
    run()
    np.testing.assert_array_equal(run.out, np.full(4, 6.0))


def test_lengths_that_depend_on_data_are_refused():
    x = lg.placeholder((5,), name="x")
    with pytest.raises(lg.OptionError, match="length that depends on data"):
        lg.compile(x[x > 0]).bind(x=np.ones(5), python_steps=True)


@native
def test_binding_leaves_the_program_as_it_was():
    program = pickle.loads(pickle.dumps(lg.compile(X * 2)))
    program.bind(x=GOOD)
    assert program.plans_made == 0
    assert isinstance(program.bind(x=GOOD), bound.BoundProgram)
