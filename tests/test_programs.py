"""Programs: structure of results, simultaneous updates, whole state, what they tell."""

import copy
import gc
import itertools
import pickle
import signal
import weakref

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import compiler
from lazygrad.backends import blocks


@pytest.fixture
def x():
    return lg.placeholder(("n", 3), name="x")


DATA = np.arange(6.0).reshape(2, 3)


# Structure of outputs.


def test_one_output(x):
    np.testing.assert_array_equal(lg.compile(x * 2)(x=DATA), DATA * 2)


def test_a_list_a_tuple_and_a_dict(x):
    for make in (list, tuple):
        result = lg.compile(make([x.sum(), x.max()]))(x=DATA)
        assert type(result) is make
        assert result == make([15.0, 5.0])
    result = lg.compile({"total": x.sum(), "top": x.max()})(x=DATA)
    assert type(result) is dict
    assert list(result.items()) == [("total", 15.0), ("top", 5.0)]


def test_no_outputs(x):
    assert lg.compile([])() == []
    assert lg.compile(())() == ()
    assert lg.compile({})() == {}


def test_one_in_a_list_stays_a_list(x):
    assert lg.compile([x.sum()])(x=DATA) == [15.0]


def test_the_structure_is_read_once(x):
    outputs = [x.sum()]
    f = lg.compile(outputs)
    outputs.append(x.max())
    assert f(x=DATA) == [15.0]
    named = {"a": x.sum()}
    g = lg.compile(named)
    named["b"] = x.max()
    assert g(x=DATA) == {"a": 15.0}


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (3, "got 3"),
        ("x", "got 'x'"),
        (None, "got None"),
        ([1], "got 1 among them"),
        ({"a": None}, "got None among them"),
        ([[1]], r"got \[1\] among them"),
    ],
)
def test_outputs_that_are_no_nodes_are_refused(outputs, words):
    with pytest.raises(lg.OptionError, match="outputs must be.*" + words):
        lg.compile(outputs)


def test_outputs_that_are_the_same_a_leaf_or_a_view_are_arrays_of_their_own(x):
    w = lg.Value(np.ones((2, 3)))
    h = x * 2
    f = lg.compile([h, h, x, x, w, w, w.T, x.T, h[0], x[1:], w.reshape(-1), x.sum(), x.sum()])
    fed = DATA.copy()
    results = f(x=fed)
    arrays = [r for r in results if isinstance(r, np.ndarray)]
    assert len(arrays) == 11
    for a, b in itertools.combinations([*arrays, fed, w.data], 2):
        assert not np.shares_memory(a, b)
    for array in arrays:
        array[...] = -1
    again = f(x=fed)
    np.testing.assert_array_equal(again[0], DATA * 2)
    np.testing.assert_array_equal(again[2], DATA)
    np.testing.assert_array_equal(again[4], np.ones((2, 3)))
    np.testing.assert_array_equal(again[9], DATA[1:])
    np.testing.assert_array_equal(results[0], np.full((2, 3), -1.0))


# Updates.


def test_a_swap():
    a, b = lg.Value([1.0, 2.0]), lg.Value([3.0, 4.0])
    for updates in ({a: b, b: a}, [(b, a), (a, b)]):
        lg.compile([], updates=updates)()
    np.testing.assert_array_equal(a.data, [1.0, 2.0])
    lg.compile([], updates={a: b, b: a})()
    np.testing.assert_array_equal(a.data, [3.0, 4.0])
    np.testing.assert_array_equal(b.data, [1.0, 2.0])


def test_a_swap_through_views():
    a, b = lg.Value([[1.0, 2.0], [3.0, 4.0]]), lg.Value([[5.0, 6.0], [7.0, 8.0]])
    old_a, old_b = a.data.copy(), b.data.copy()
    lg.compile([], updates={a: b.T, b: a[::-1]})()
    np.testing.assert_array_equal(a.data, old_b.T)
    np.testing.assert_array_equal(b.data, old_a[::-1])


def test_a_variable_turned_over_onto_itself():
    a = lg.Value(np.arange(9.0).reshape(3, 3))
    lg.compile([], updates={a: a.T})()
    np.testing.assert_array_equal(a.data, np.arange(9.0).reshape(3, 3).T)
    lg.compile([], updates={a: a[::-1]})()
    np.testing.assert_array_equal(a.data, np.arange(9.0).reshape(3, 3).T[::-1])


def test_a_rotation_of_many():
    values = [lg.Value(np.full(3, float(i))) for i in range(7)]
    step = lg.compile([], updates=[(values[i], values[i - 1]) for i in range(7)])
    for _ in range(3):
        step()
    assert [v.data[0] for v in values] == [4.0, 5.0, 6.0, 0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("seed", range(30))
def test_right_sides_read_old_values_whatever_they_are(seed):
    random = np.random.default_rng(seed)
    variables = [lg.Value(random.normal(size=(3, 3)), name=f"w{i}") for i in range(4)]
    x = lg.placeholder((3, 3), name="x")

    def term(read):
        choice = random.integers(9)
        a, b = (read[i] for i in random.integers(len(read), size=2))
        if choice == 0:
            return a
        if choice == 1:
            return a.T
        if choice == 2:
            return a + b
        if choice == 3:
            return a - b.T * 0.5
        if choice == 4:
            return a @ b * 0.1
        if choice == 5:
            return np.tanh(a)
        if choice == 6:
            return a * 0.9 + b @ a * 0.01
        if choice == 7:
            return np.where(a > 0, a, b)
        return a[::-1] * 2.0

    pairs = [(variable, term([*variables, x])) for variable in variables]
    random.shuffle(pairs)
    outputs = [x.sum(), *([pairs[0][1], variables[0], pairs[1][0].sum()] if seed % 2 else [])]
    step = lg.compile(outputs, updates=pairs)
    check = lg.compile([*(new for _, new in pairs), *outputs])
    # Feeding the live array of a variable is the hardest case: the update writes what is fed.
    for fed in (random.normal(size=(3, 3)), variables[0].data, variables[1].data.T):
        expected = check(x=fed)
        results = step(x=fed)
        for (variable, _), value in zip(pairs, expected, strict=False):
            np.testing.assert_array_equal(variable.data, value)
        for result, value in zip(results, expected[len(pairs) :], strict=True):
            np.testing.assert_array_equal(result, value)


def test_outputs_read_old_values(x):
    w = lg.Value(np.zeros(3))
    step = lg.compile([w, w + 1, w.sum()], updates={w: w + 1})
    for n in range(3):
        a, b, c = step()
        np.testing.assert_array_equal(a, np.full(3, n))
        np.testing.assert_array_equal(b, np.full(3, n + 1))
        assert c == 3 * n


def test_a_variable_updated_and_given_out():
    w = lg.Value([1.0, 2.0])
    new = w * 2
    step = lg.compile({"old": w, "new": new}, updates={w: new})
    first, second = step(), step()
    np.testing.assert_array_equal(first["old"], [1.0, 2.0])
    np.testing.assert_array_equal(first["new"], [2.0, 4.0])
    np.testing.assert_array_equal(second["old"], [2.0, 4.0])
    np.testing.assert_array_equal(w.data, [4.0, 8.0])
    second["new"][:] = 0
    np.testing.assert_array_equal(w.data, [4.0, 8.0])


def test_an_update_is_written_into_the_variable_itself():
    w = lg.Value(np.ones(1000))
    x = lg.placeholder((1000,), name="x")
    step = lg.compile([], updates={w: w - 0.1 * x})
    step(x=np.ones(1000))
    assert step.planned().plan.direct
    np.testing.assert_allclose(w.data, np.full(1000, 0.9))


def test_one_right_side_for_two_variables():
    a, b = lg.Value([1.0, 2.0]), lg.Value([3.0, 4.0])
    total = a + b
    lg.compile([], updates={a: total, b: total})()
    np.testing.assert_array_equal(a.data, [4.0, 6.0])
    np.testing.assert_array_equal(b.data, [4.0, 6.0])


def test_an_update_that_reads_a_result_handed_out():
    w = lg.Value([1.0, 2.0])
    x = lg.placeholder((2,), name="x")
    g = x * x
    step = lg.compile(g, updates={w: w - g})
    np.testing.assert_array_equal(step(x=[1.0, 2.0]), [1.0, 4.0])
    np.testing.assert_array_equal(w.data, [0.0, -2.0])


def test_a_variable_that_nothing_reads_is_updated():
    w, x = lg.Value([1.0, 2.0]), lg.placeholder((2,), name="x")
    lg.compile([], updates={w: x})(x=[5.0, 6.0])
    np.testing.assert_array_equal(w.data, [5.0, 6.0])
    lg.compile([], updates={w: lg.constant([7.0, 8.0])})()
    np.testing.assert_array_equal(w.data, [7.0, 8.0])


def test_variables_without_axes_and_of_integers():
    step_number, rate = lg.Value(0), lg.Value(1.0)
    step = lg.compile(rate, updates={step_number: step_number + 1, rate: rate / (step_number + 2)})
    assert [step() for _ in range(3)] == [1.0, 0.5, 0.5 / 3]
    assert step_number.data == 3


def test_momentum():
    random = np.random.default_rng(0)
    w, v = lg.Value(random.normal(size=5)), lg.Value(np.zeros(5))
    x = lg.placeholder((5,), name="x")
    g = lg.grad(((w - x) ** 2).sum(), w)
    new = 0.9 * v + g
    step = lg.compile([], updates={v: new, w: w - 0.1 * new})
    plain_w, plain_v = w.data.copy(), np.zeros(5)
    for _ in range(10):
        data = random.normal(size=5)
        step(x=data)
        plain_v = 0.9 * plain_v + 2 * (plain_w - data)
        plain_w = plain_w - 0.1 * plain_v
    np.testing.assert_allclose(w.data, plain_w)
    np.testing.assert_allclose(v.data, plain_v)


# An error leaves all state as it was.


def test_an_index_out_of_range_leaves_all_state_as_it_was():
    w, n = lg.Value(np.arange(4.0)), lg.Value(0)
    k = lg.placeholder((), dtype="int64", name="k")
    step = lg.compile(w[k], updates={n: n + 1, w: w + w[k]})
    for _ in range(2):
        with pytest.raises(lg.OperationError, match=r"made at test_programs.py:\d+.*IndexError.*7"):
            step(k=7)
        np.testing.assert_array_equal(w.data, np.arange(4.0))
        assert n.data == 0
    assert step(k=1) == 1.0
    np.testing.assert_array_equal(w.data, np.arange(4.0) + 1)
    assert n.data == 1


@pytest.mark.parametrize("turn", [1, -1])
def test_a_failure_in_the_last_step_of_an_update_leaves_all_state_as_it_was(turn):
    n, w = lg.Value([2, 3]), lg.Value([1.0, 2.0])
    k = lg.placeholder((), dtype="int64", name="k")
    step = lg.compile([], updates=[(w, w + 1), (n, n**k)][::turn])
    with pytest.raises(lg.OperationError, match="negative integer powers"):
        step(k=-1)
    np.testing.assert_array_equal(w.data, [1.0, 2.0])
    np.testing.assert_array_equal(n.data, [2, 3])
    step(k=2)
    np.testing.assert_array_equal(w.data, [2.0, 3.0])
    np.testing.assert_array_equal(n.data, [4, 9])


def test_a_refused_feed_leaves_all_state_as_it_was(x):
    w = lg.Value(np.zeros(3))
    step = lg.compile([], updates={w: w + x.sum(axis=0)})
    for bad in ({}, {"x": np.ones((2, 4))}, {"x": "text"}, {"y": DATA}):
        with pytest.raises(lg.LazygradError):
            step(**bad)
    np.testing.assert_array_equal(w.data, np.zeros(3))
    step(x=DATA)
    np.testing.assert_array_equal(w.data, DATA.sum(axis=0))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda w, x: {w: w.sum()}, lg.ShapeError, r"the update of w has shape \[\], not \[3\]"),
        (lambda w, x: {w: x}, lg.ShapeError, r"has shape \[n, 3\], not \[3\]"),
        (
            lambda w, x: {w: w.astype("float32")},
            lg.DTypeError,
            r"the update of w is float32, the variable float64; convert it with \.astype",
        ),
        (lambda w, x: [(w, w), (w, w + 1)], lg.OptionError, "w is updated twice"),
        (lambda w, x: {x: x}, lg.OptionError, "only variables can be updated, got x"),
        (lambda w, x: {w * 2: w}, lg.OptionError, "only variables can be updated, got multiply"),
        (lambda w, x: {"w": w}, lg.OptionError, "only variables can be updated, got 'w'"),
        (lambda w, x: {w: 3.0}, lg.OptionError, "the update of w must be a node, got 3.0"),
        (lambda w, x: [w], lg.OptionError, "pairs of a variable and its new value, got w"),
        (lambda w, x: 3, lg.OptionError, "updates must be a dict or a list of pairs, got 3"),
    ],
)
def test_updates_that_do_not_fit_are_refused(x, make, error, words):
    w = lg.Value(np.zeros(3), name="w")
    with pytest.raises(error, match=words) as caught:
        lg.compile([], updates=make(w, x))
    if error is not lg.OptionError:
        assert str(caught.value).count("test_programs.py:") >= 2


def interrupted_steps(step, values, times, longest):
    """Run a step again and again into interrupts, and give how often all values were updated."""
    random, interrupted = np.random.default_rng(0), 0
    for _ in range(times):
        # The alarm may also ring while it is being turned off.
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, longest))
                for _ in range(100_000):
                    step()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupted += 1
        counts = {float(v) for value in values for v in np.unique(value.data)}
        assert len(counts) == 1, counts
    assert interrupted > times / 4
    return counts.pop()


@pytest.mark.usefixtures("_alarms_interrupt")
def test_an_interrupt_leaves_every_variable_updated_equally_often():
    values = [lg.Value(np.zeros(n)) for n in (1, 10, 1000, 20_000)]
    values += [lg.Value(0), lg.Value(np.zeros((3, 3)))]
    updates = {v: v + 1 for v in values[:4]}
    updates[values[4]] = values[4] + 1
    updates[values[5]] = lg.relu(values[5] + 1)
    step = lg.compile(values[0] * 2, updates=updates)
    step()
    count = interrupted_steps(step, values, 400, 3e-4)
    assert step()[0] == 2 * count


@pytest.mark.usefixtures("_alarms_interrupt")
@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_among_large_updates_waits_for_all_of_them(monkeypatch, threads):
    monkeypatch.setattr(blocks, "LEAST_BYTES", 1 << 12)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1 << 13)
    monkeypatch.setattr(blocks, "LEAST_SHARED", 1)
    values = [lg.Value(np.zeros(n)) for n in (10, 20_000, 30_000)]
    updates = {v: (v * 1.5 + 1) - v * 0.5 for v in values}
    step = lg.compile((), updates=updates, backend="numpy", threads=threads)
    step()
    assert "write_together" in step.source
    interrupted_steps(step, values, 150, 2e-3)


# Plans.


def test_a_step_that_calls_its_program_for_other_lengths_may_still_fail():
    calls = []

    @lg.custom_op
    def nested(x):
        if len(x) == 3 and calls:
            calls.pop()(x=np.zeros(5))
            raise ValueError("after the other call")
        return x * 2

    program = lg.compile(nested(lg.placeholder(("n",), name="x")) + 1)
    for n in (3, 5):
        np.testing.assert_array_equal(program(x=np.ones(n)), np.full(n, 3.0))
    program(x=np.ones(3))
    calls.append(program)
    with pytest.raises(lg.OperationError, match=r"nested.*test_programs\.py.*after the other call"):
        program(x=np.ones(3))
    np.testing.assert_array_equal(program(x=np.ones(3)), np.full(3, 3.0))


def test_the_number_of_plans_is_bounded(x):
    f = lg.compile(x * 2)
    seen = [weakref.ref(f.planned(n=n)) for n in range(1, 60)]
    gc.collect()
    assert sum(ref() is not None for ref in seen) <= compiler.PLANS_KEPT + 1
    for n in (1, 59, 30):
        np.testing.assert_array_equal(f(x=np.ones((n, 3))), np.full((n, 3), 2.0))


@pytest.mark.usefixtures("_on_numpy")
def test_planned_plans_before_any_call(x):
    f = lg.compile((x * 2 + 1).sum())
    executable = f.planned(n=100)
    assert executable.plan.lengths == {"n": 100}
    assert f.memory.arena >= 2400
    assert f(x=np.ones((100, 3))) == 900.0
    assert f.plans_made == 1


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        ({}, "the lengths of this program are n; given: nothing"),
        ({"m": 3}, "the lengths of this program are n; given: m"),
        ({"n": 3, "m": 3}, "given: n, m"),
        ({"n": -1}, "n must be a length, got -1"),
        ({"n": 2.0}, r"n must be a length, got 2\.0"),
        ({"n": "2"}, "n must be a length, got '2'"),
    ],
)
def test_planned_refuses_lengths_that_do_not_fit(x, lengths, words):
    f = lg.compile(x * 2)
    with pytest.raises(lg.OptionError, match="planned: .*" + words):
        f.planned(**lengths)
    assert f.planned(n=2)


# What a program tells.


def test_before_the_first_call_lengths_are_asked_for(x):
    f = lg.compile(x * 2)
    for ask in (lambda: f.source, lambda: f.memory):
        with pytest.raises(
            lg.OptionError, match=r"no lengths.*for n;.*program\.planned\(n=\.\.\.\)"
        ):
            ask()
    fixed = lg.compile(lg.placeholder((2,), name="y") * 2)
    assert fixed.explain()
    assert "multiply" in fixed.source
    assert fixed.memory.total > 0


@pytest.mark.usefixtures("_on_numpy")
def test_explain_is_a_table_of_steps_with_the_lines_of_the_user(x):
    w = lg.Value(np.ones((3, 4)), name="w")
    h = lg.tanh(x @ w)
    f = lg.compile(h.sum(), name="forward")
    f(x=DATA)
    lines = f.explain().splitlines()
    assert lines[0].startswith("program 'forward': 3 steps; arena")
    heads = ["step", "computes", "for", "line", "result", "slot", "bytes", "flops"]
    assert lines[1].split() == heads
    assert [line.split("(")[0].split()[1] for line in lines[3:]] == ["matmul", "tanh", "sum"]
    assert all("test_programs.py:" in line for line in lines[3:])
    assert "float64[2, 4]" in lines[3]


def test_memory_by_purpose(x):
    w = lg.Value(np.ones((3, 4)))
    f = lg.compile(lg.exp(lg.tanh(x @ w) * 2), updates={w: w * 2})
    f(x=np.ones((100, 3)))
    memory = f.memory
    assert memory.variables == 96
    assert memory.outputs == 3200
    assert memory.arena <= memory.unshared
    assert memory.total == memory.arena + memory.variables + memory.constants + memory.outputs
    assert "arena" in str(memory)


@pytest.mark.usefixtures("_on_numpy")
def test_the_source_is_python_of_the_latest_lengths(x):
    f = lg.compile(x * 2 + 1)
    f(x=DATA)
    compile(f.source, "source", "exec")
    assert "def run(" in f.source
    assert "test_programs.py:" in f.source


def test_a_profile_changes_no_state(x):
    w, n = lg.Value(np.ones(3)), lg.Value(0)
    f = lg.compile((x * w).sum(), updates={w: w * 2, n: n + 1}, name="step")
    table = f.profile(x=DATA, repeat=7)
    assert table.startswith("program 'step': ")
    assert "mean of 7" in table
    assert "multiply" in table
    np.testing.assert_array_equal(w.data, np.ones(3))
    assert n.data == 0
    assert f(x=DATA) == 15.0
    assert n.data == 1
    with pytest.raises(lg.MissingFeedError):
        f.profile()


def test_a_long_program_is_profiled():
    y = lg.placeholder((2,), name="x")
    for _ in range(1500):
        y = lg.sin(y)
    f = lg.compile(y, backend="numpy")
    assert f.profile(x=[1.0, 2.0], repeat=1).count("sin") >= 1500


def test_many_outputs_of_a_program_of_middling_length():
    y = lg.placeholder((2,), name="x")
    nodes = []
    for _ in range(900):
        y = lg.sin(y)
        nodes.append(y)
    for count in (900, 1):
        results = lg.compile(nodes[-count:])(x=[1.0, 2.0])
        expected = np.array([1.0, 2.0])
        for _ in range(900):
            expected = np.sin(expected)
        np.testing.assert_allclose(results[-1], expected, 1e-13)


@pytest.mark.parametrize("steps", [1990, 2010, 4500, 21_000])
def test_programs_of_every_length_take_feeds_and_updates(steps):
    y = lg.placeholder(("n",), name="x")
    w = lg.Value(np.zeros(2))
    for _ in range(steps):
        y = lg.sin(y)
    f = lg.compile([y, y.sum()], updates={w: w + y.sum()})
    expected = np.array([1.0, 2.0])
    for _ in range(steps):
        np.sin(expected, out=expected)
    results = [f(x=[1.0, 2.0]) for _ in range(2)]
    for array, total in results:
        np.testing.assert_allclose(array, expected, 1e-13)
        np.testing.assert_allclose(total, expected.sum(), 1e-13)
    assert not np.shares_memory(results[0][0], results[1][0])
    np.testing.assert_allclose(w.data, np.full(2, 2 * expected.sum()))
    f(x=np.zeros(3))


def test_repr_names_feeds(x):
    assert repr(lg.compile(x * 2, name="f")) == "<program 'f'(x: float64[n, 3]), 1 steps>"
    assert repr(lg.compile(x * 2)) == "<program(x: float64[n, 3]), 1 steps>"


# Copies.


def training(x):
    w = lg.Value(np.ones(3), name="w")
    step = lg.compile({"loss": (x * w).sum(), "w": w}, updates={w: w * 2}, name="train")
    return w, step


def test_a_pickled_program_has_the_same_state_and_goes_its_own_way(x):
    w, step = training(x)
    step(x=DATA)
    twin = pickle.loads(pickle.dumps(step))
    first, second = step(x=DATA), twin(x=DATA)
    assert first["loss"] == second["loss"] == 30.0
    np.testing.assert_array_equal(second["w"], np.full(3, 2.0))
    step(x=DATA)
    assert twin(x=DATA)["loss"] == 60.0
    np.testing.assert_array_equal(w.data, np.full(3, 8.0))
    assert repr(twin) == repr(step)


def test_a_deep_copy_goes_its_own_way(x):
    w, step = training(x)
    twin = copy.deepcopy(step)
    step(x=DATA)
    step(x=DATA)
    assert twin(x=DATA)["loss"] == 15.0
    np.testing.assert_array_equal(w.data, np.full(3, 4.0))


def test_a_program_pickled_with_its_variable_shares_it(x):
    w, step = training(x)
    twin_w, twin = pickle.loads(pickle.dumps((w, step)))
    twin(x=DATA)
    np.testing.assert_array_equal(twin_w.data, np.full(3, 2.0))
    np.testing.assert_array_equal(w.data, np.ones(3))


def test_a_dropped_program_frees_everything(x):
    _, step = training(x)
    step(x=DATA)
    seen = weakref.ref(step)
    gc.collect()
    gc.disable()
    try:
        del step
        assert seen() is None
    finally:
        gc.enable()


def test_a_dropped_program_frees_its_arrays_without_the_garbage_collector(x):
    doubled = x * 2
    _, ys = lg.scan(lambda s, row: (s + row, s * row), lg.Value(np.zeros(3)), x)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            lg.compile([doubled, ys])(x=DATA)
        loss = (lg.Value([1.0, 2.0]) ** 2).sum()
        loss.backward()
        del loss
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_the_backend_is_chosen_by_name_or_by_the_environment(monkeypatch):
    x = lg.placeholder((), name="x")
    program = lg.compile(2 * x, backend="numpy")
    assert (program.backend, program(x=2.0)) == ("numpy", 4.0)
    assert pickle.loads(pickle.dumps(program)).backend == "numpy"
    with pytest.raises(lg.OptionError, match="backend is 'fortran'; there is 'auto', 'c', 'numpy'"):
        lg.compile(2 * x, backend="fortran")
    monkeypatch.setenv("LAZYGRAD_BACKEND", "cobol")
    with pytest.raises(lg.OptionError, match="variable LAZYGRAD_BACKEND is 'cobol'"):
        lg.compile(2 * x)
    assert lg.compile(2 * x, backend="numpy")(x=2.0) == 4.0
