import itertools
import re
import time

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends import numpy as backend
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import OperationError, ShapeError
from lazygrad.ir.graph import Graph
from lazygrad.ir.value import as_value
from tests.schedule.drawn import Drawn

pytestmark = pytest.mark.usefixtures("_on_numpy")

TRAINING = """\
def run(f0):
    dot(f0, v2, v3)  # matmul, test_numpy.py:N
    square(v4, v5)  # square, test_numpy.py:N
    add_reduce(v5, 0, k, v6, False)  # sum, test_numpy.py:N
    w7 = permute(f0)  # permute, test_numpy.py:N
    dot(w7, v3, v9)  # matmul, test_numpy.py:N
    multiply(v8, v10, v11)  # multiply, test_numpy.py:N
    cell.version += 1
    deque(map(call, commits), 0)
    return (v6[()], )

"""

VIEWS = """\
def run(f0):
    o4 = pool4.array
    if getrefcount(o4) > N: o4 = pool4.other()
    w1 = permute(f0)  # permute, test_numpy.py:N
    multiply(w1, v2, v3)  # multiply, test_numpy.py:N
    exp(v3, o4)  # exp, test_numpy.py:N
    add_reduce(f0, (0, 1), k, v5, False)  # sum, test_numpy.py:N
    multiply(v2, v5, v6)  # multiply, test_numpy.py:N
    return (o4.view(), v6[()], )

"""

FORMS = ["straight", "split", "looped"]


@pytest.fixture
def form(request, monkeypatch):
    use(monkeypatch, request.param)
    return request.param


def use(monkeypatch, form):
    """Let programs of any length be written in one of the three forms."""
    limits = {"straight": (10**6, 10**6), "split": (4, 10**6), "looped": (2, 2)}[form]
    monkeypatch.setattr(backend, "LINES_PER_FUNCTION", limits[0])
    monkeypatch.setattr(backend, "LOOPED_STEPS", limits[1])


every_form = pytest.mark.parametrize("form", FORMS, indirect=True)


def x(*shape, **options):
    return lg.placeholder(shape, name="x", **options)


def chain(node, count):
    for i in range(count):
        node = lg.sin(node) if i % 2 else node + 0.1
    return node


def chained(array, count):
    for i in range(count):
        array = np.sin(array) if i % 2 else array + 0.1
    return array


def written(program):
    """The source, without numbers of lines and of references, which others decide."""
    return re.sub(r"(test_numpy\.py:|> )\d+", r"\1N", program.source)


class TestSource:
    def test_a_step_of_training(self):
        a, w = x(3, 2), lg.Value(np.zeros(2), name="weights")
        loss = lg.sum(lg.square(a @ w))
        f = lg.compile(loss, updates={w: w - 0.1 * (a.T @ (a @ w))})
        assert written(f) == TRAINING

    def test_results_views_and_chains(self):
        a = x(2, 3)
        f = lg.compile([lg.exp(a.T * 2.0), a.shape[0] * lg.sum(a)])
        assert written(f) == VIEWS

    @pytest.mark.parametrize(
        "name", ["a\nb = 1/0", '"""', "'", "# not", "\\", "\r", "\u2028x()", "\0", "run", "v0", "é"]
    )
    def test_names_stay_in_comments(self, name):
        a = lg.placeholder((2,), name=name)
        named = lg.Value(np.ones(2), name=name + "w")
        f = lg.compile([lg.exp(a) * named, a, named])
        results = f(**{name: np.zeros(2)})
        np.testing.assert_array_equal(results[0], np.ones(2))
        code = [line.split("  # ")[0] for line in f.source.splitlines()]
        for line in code:
            assert re.fullmatch(r"(    )*[\w(\[\]), .:=>]*", line), line
        compile("\n".join(code), "without comments", "exec")

    def test_comments_name_the_step_and_the_line(self):
        a = lg.exp(x(2))
        f = lg.compile(a * 2.0)
        assert re.search(r"^    exp\(f0, .*\)  # exp, test_numpy\.py:\d+$", f.source, re.M)

    def test_long_comments_are_cut(self):
        a = lg.placeholder((2,), name="n" * 500)
        assert max(map(len, lg.compile([a + 1.0, a]).source.splitlines())) < 140

    def test_own_operations_never_shadow_the_names_of_the_code(self):
        def f0(a):
            return a + 1.0

        a = x(3)
        node = a
        for name in ("run", "f0", "o1", "v1", "np", "pool1", "commits", "call", "deque", "k"):
            node = lg.custom_op(f0, name=name)(node)
        np.testing.assert_array_equal(lg.compile(node)(x=np.zeros(3)), np.full(3, 10.0))


class TestForms:
    @pytest.mark.parametrize("seed", range(60))
    def test_all_give_what_the_interpreter_gives(self, seed, monkeypatch):
        found = []
        for form in FORMS:
            use(monkeypatch, form)
            found.append(self.results_of_three_calls(seed))
        straight, *others = found
        for other in others:
            for one, same in zip(straight, other, strict=True):
                np.testing.assert_array_equal(one, same, strict=True)

    def results_of_three_calls(self, seed):
        """Results and new values of variables, compared with the interpreter's."""
        drawn, rng = Drawn(seed), np.random.default_rng(seed)
        outputs, updates = drawn.nodes(4), drawn.updates()
        program = lg.compile(outputs, updates=updates, train=True)
        rows = drawn.lengths.get("rows", 3)
        held, copies = [], []
        for _ in range(3):
            feeds = {
                "x": rng.standard_normal((rows, 4)),
                "y": rng.standard_normal((rows, 4)).astype("float32"),
                "z": rng.standard_normal((4, 4)),
            }
            feeds = {name: feeds[name] for name in program.graph.placeholders}
            with np.errstate(all="ignore"):
                expected = interpret(program.graph, feeds, drawn.lengths)
            expected = [np.array(array) for array in expected]
            results = program(**feeds)
            new = [w.data.copy() for w, _ in updates]
            for one, other in zip([*results, *new], expected, strict=True):
                np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-5)
            held += [*results, *new]
            copies += [np.array(array) for array in (*results, *new)]
        for one, copy in zip(held, copies, strict=True):
            np.testing.assert_array_equal(one, copy)
        return copies

    @pytest.mark.parametrize("count", [2_500, 7_000])
    def test_long_programs_are_split_into_functions(self, count):
        began = time.perf_counter()
        f = lg.compile(chain(x(2), count))
        for data in (np.zeros(2), np.ones(2)):
            np.testing.assert_array_equal(f(x=data), chained(data, count))
        functions = re.findall(r"^def (\w+)", f.source, re.M)
        assert functions == [*(f"run_{i}" for i in range(-(-(count + 2) // 2_000))), "run"]
        longest = max(len(part.splitlines()) for part in f.source.split("def "))
        assert longest <= 2_000 + 4
        assert time.perf_counter() - began < 20

    def test_very_long_programs_are_looped(self):
        count = 20_100
        f = lg.compile(chain(x(2), count))
        for data in (np.zeros(2), np.ones(2)):
            np.testing.assert_array_equal(f(x=data), chained(data, count))
        assert len(f.source.splitlines()) < 20
        assert "for function, arguments, index in" in f.source

    def test_a_long_forward_and_backward(self):
        w = lg.Value(np.full(2, 0.3))
        a = x(2)
        y = chain(w * a, 2_500)
        y.forward(x=np.ones(2))
        first = y.data
        y.backward()
        gradient = w.grad
        y.backward()
        np.testing.assert_array_equal(w.grad, gradient)
        np.testing.assert_array_equal(first, chained(np.full(2, 0.3), 2_500))

    @every_form
    def test_results_without_axes_and_several_results(self, form):
        a, s = x(4, 3), lg.placeholder((), name="s")
        q, r = lg.linalg.qr(a)
        f = lg.compile([q @ r, s, lg.sum(a) * s, lg.argmax(a), q, a[0, 0]])
        data = np.random.default_rng(0).standard_normal((4, 3))
        product, same, total, best, own, corner = f(x=data, s=2.0)
        np.testing.assert_allclose(product, data, atol=1e-12)
        assert (same, corner) == (2.0, data[0, 0])
        assert total == pytest.approx(2.0 * data.sum())
        assert [type(v) for v in (same, total, best, corner)] == [
            np.float64, np.float64, np.int64, np.float64
        ]  # fmt: skip
        assert own.base is None or own.base.base is None

    @every_form
    def test_lengths_known_in_mid_run(self, form):
        a = x(6)
        picked = lg.exp(a[a > 0])
        f = lg.compile([picked, lg.sum(picked) / picked.shape[0], a[a < 0][::-1] * 2.0])
        for data in (np.arange(6.0) - 2, np.ones(6), -np.ones(6), np.arange(6.0)):
            one, mean, other = f(x=data)
            np.testing.assert_array_equal(one, np.exp(data[data > 0]))
            np.testing.assert_array_equal(other, data[data < 0][::-1] * 2)
            with np.errstate(invalid="ignore"):
                np.testing.assert_array_equal(mean, one.sum() / np.float64(len(one)))

    @every_form
    def test_loops(self, form):
        a, w = x(5, 2), lg.Value(np.full(2, 0.5))
        last, all_of_them = lg.scan(lambda c, row: (lg.tanh(c * w + row), c), np.zeros(2), a)
        f = lg.compile([last, all_of_them, lg.sum(last)])
        data = np.random.default_rng(1).standard_normal((5, 2))
        carry, seen = np.zeros(2), []
        for row in data:
            seen.append(carry)
            carry = np.tanh(carry * 0.5 + row)
        for _ in range(2):
            results = f(x=data)
            np.testing.assert_allclose(results[0], carry)
            np.testing.assert_allclose(results[1], seen)

    @every_form
    def test_profile_in_every_form(self, form):
        w = lg.Value(np.zeros(3))
        f = lg.compile(chain(x(3) + w, 20), updates={w: w + 1.0})
        assert "us a run" in f.profile(x=np.zeros(3), repeat=2)
        np.testing.assert_array_equal(w.data, 0.0)


class TestErrors:
    def failing(self):
        @lg.custom_op(name="tests.fails")
        def fails(a):
            if (a > 100).any():
                raise ZeroDivisionError("too large")
            return a

        return fails

    @every_form
    def test_what_a_kernel_raises_names_the_operation_and_the_line(self, form):
        a, w = x(3), lg.Value(np.zeros(3))
        node = self.failing()(a * 2.0 + w)
        f = lg.compile(chain(node, 9), updates={w: w + node})
        f(x=np.zeros(3))
        before = w.data.copy()
        with pytest.raises(OperationError) as caught:
            f(x=np.array([0.0, 1e6, 0.0]))
        text = str(caught.value)
        assert "tests.fails(float64[3])" in text
        assert "test_numpy.py:" in text
        assert "ZeroDivisionError: too large" in text
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        np.testing.assert_array_equal(w.data, before)
        np.testing.assert_array_equal(f(x=np.zeros(3)), chained(before, 9))

    @every_form
    def test_inside_a_loop(self, form):
        fails = self.failing()
        a, w = x(4), lg.Value(0.0)
        last, _ = lg.scan(lambda c, v: (fails(c + v), None), 0.0, a)
        f = lg.compile(last, updates={w: w + last})
        assert f(x=np.ones(4)) == 4.0
        with pytest.raises(OperationError, match=r"tests\.fails.*test_numpy\.py:\d+.*too large"):
            f(x=np.array([1.0, 200.0, 1.0, 1.0]))
        assert w.data == 4.0
        assert f(x=np.ones(4)) == 4.0

    @every_form
    def test_what_depends_on_lengths_alone(self, form):
        a, w = lg.placeholder(("rows",), name="x"), lg.Value(0.0)
        rows = as_value(a.shape[0])
        node = lg.sum(a) * lg.power(rows, rows - 5)
        f = lg.compile(node, updates={w: w + node})
        with pytest.raises(OperationError, match=r"power\(.*test_numpy\.py:\d+.*ValueError"):
            f(x=np.ones(3))
        assert w.data == 0.0
        assert f(x=np.ones(6)) == 36.0

    @every_form
    def test_lengths_that_turn_out_different_in_mid_run(self, form):
        a, b = x(4), lg.placeholder((3,), name="y")
        w = lg.Value(np.zeros(3))
        f = lg.compile([], updates={w: w + b + lg.sum(a[a > 0] + b)})
        f(x=np.array([1.0, 1.0, 1.0, -1.0]), y=np.zeros(3))
        before = w.data.copy()
        with pytest.raises(ShapeError, match=r"needs equal lengths"):
            f(x=np.ones(4), y=np.zeros(3))
        np.testing.assert_array_equal(w.data, before)


class TestFeeds:
    DATA = np.arange(12.0).reshape(3, 4)

    @pytest.mark.parametrize(
        "make",
        [
            lambda d: np.asfortranarray(d),
            lambda d: d[::-1][::-1],
            lambda d: np.ascontiguousarray(d[::-1, ::-1])[::-1, ::-1],
            lambda d: np.repeat(d, 2, axis=1)[:, ::2],
            lambda d: d.astype(">f8"),
            lambda d: (
                np.frombuffer(b"\0" + d.tobytes(), np.uint8)[1:].view(np.float64).reshape(3, 4)
            ),
            lambda d: d.tolist(),
        ],
        ids=["fortran", "twice", "negative strides", "steps", "big endian", "unaligned", "list"],
    )
    @every_form
    def test_any_layout(self, make, form):
        a = x(3, 4)
        w = lg.Value(np.ones((3, 4)))
        f = lg.compile([a + w, a.T @ a, a.reshape(-1), a[::-1], lg.sum(a)], updates={w: a})
        fed = make(self.DATA)
        if isinstance(fed, np.ndarray):
            fed.flags.writeable = False
        for expected in (1.0, self.DATA):
            results = f(x=fed)
            np.testing.assert_array_equal(results[0], self.DATA + expected)
            np.testing.assert_array_equal(results[1], self.DATA.T @ self.DATA)
            np.testing.assert_array_equal(results[2], self.DATA.reshape(-1))
            np.testing.assert_array_equal(results[3], self.DATA[::-1])
            assert results[4] == self.DATA.sum()
        np.testing.assert_array_equal(w.data, self.DATA)

    @every_form
    def test_a_feed_that_is_the_cell_being_updated(self, form):
        a, w, v = x(4), lg.Value(np.arange(4.0)), lg.Value(np.zeros(4))
        f = lg.compile([a, a * 2.0, lg.sum(a)], updates={w: w * 2.0 + a[::-1], v: w - a})
        expected = np.arange(4.0)
        same, double, total = f(x=w.data)
        np.testing.assert_array_equal(same, expected)
        np.testing.assert_array_equal(double, expected * 2)
        assert total == 6.0
        np.testing.assert_array_equal(w.data, expected * 2 + expected[::-1])
        np.testing.assert_array_equal(v.data, np.zeros(4))

    @pytest.mark.parametrize("flip", [1, -1])
    def test_a_feed_taken_over_by_the_cell_that_it_is(self, flip):
        a, w = x(4), lg.Value(np.arange(4.0))
        f = lg.compile([], updates={w: a})
        f(x=w.data[::flip])
        f(x=w.data[::flip])
        np.testing.assert_array_equal(w.data, np.arange(4.0))
        f(x=w.data[::-1])
        np.testing.assert_array_equal(w.data, np.arange(4.0)[::-1])

    def test_feeds_that_overlap(self):
        base = np.arange(10.0)
        a, b = x(5), lg.placeholder((5,), name="y")
        f = lg.compile([a + b, a * b[::-1], lg.sum(a) + b])
        results = f(x=base[:5], y=base[6:1:-1])
        np.testing.assert_array_equal(results[0], base[:5] + base[6:1:-1])
        np.testing.assert_array_equal(results[1], base[:5] * base[2:7])
        np.testing.assert_array_equal(base, np.arange(10.0))

    def test_feeding_results_back_while_holding_them(self):
        f = lg.compile(x(3) * 2.0)
        history = [np.ones(3)]
        for _ in range(6):
            history.append(f(x=history[-1]))
        np.testing.assert_array_equal(np.stack(history)[:, 0], 2.0 ** np.arange(7))

    @every_form
    def test_empty_arrays(self, form):
        a = lg.placeholder(("rows", 3), name="x")
        f = lg.compile([a + 1.0, lg.sum(a, axis=0), a.T @ a, a.reshape(-1), lg.sum(a), lg.exp(a).T])
        results = f(x=np.zeros((0, 3)))
        assert [np.shape(r) for r in results] == [(0, 3), (3,), (3, 3), (0,), (), (3, 0)]
        np.testing.assert_array_equal(results[2], np.zeros((3, 3)))
        np.testing.assert_array_equal(f(x=np.ones((2, 3)))[1], [2.0, 2.0, 2.0])


class TestUpdates:
    @every_form
    def test_all_right_sides_read_the_old_values(self, form):
        a, b, c = (lg.Value(np.full(3, float(i))) for i in (1, 2, 3))
        f = lg.compile([a, b, c], updates={a: b, b: c + a, c: c - a * b})
        results = f()
        for result, value in zip(results, (1.0, 2.0, 3.0), strict=True):
            np.testing.assert_array_equal(result, value)
        for variable, value in zip((a, b, c), (2.0, 4.0, 1.0), strict=True):
            np.testing.assert_array_equal(variable.data, value)

    @every_form
    def test_swapped_and_turned_over(self, form):
        a, b = lg.Value(np.arange(4.0).reshape(2, 2)), lg.Value(np.ones((2, 2)))
        f = lg.compile([a.T, lg.sum(a[0])], updates={a: b.T, b: a.T})
        turned, total = f()
        np.testing.assert_array_equal(turned, [[0.0, 2.0], [1.0, 3.0]])
        assert total == 1.0
        np.testing.assert_array_equal(a.data, np.ones((2, 2)))
        np.testing.assert_array_equal(b.data, [[0.0, 2.0], [1.0, 3.0]])
        a.data = np.arange(4.0).reshape(2, 2)
        lg.compile([], updates={a: a.T})()
        np.testing.assert_array_equal(a.data, [[0.0, 2.0], [1.0, 3.0]])

    @every_form
    def test_a_result_that_is_also_the_new_value(self, form):
        w = lg.Value(np.zeros(3))
        new = w + 1.0
        f = lg.compile([new, new[::-1], lg.sum(new), new], updates={w: new})
        for i in (1.0, 2.0, 3.0):
            results = f()
            for result in (results[0], results[1], results[3]):
                np.testing.assert_array_equal(result, np.full(3, i))
                result[...] = 99
            assert results[2] == 3 * i
            np.testing.assert_array_equal(w.data, np.full(3, i))

    @every_form
    def test_versions_count_once_a_call(self, form):
        a, b = lg.Value(np.zeros(3)), lg.Value(np.zeros(3))
        f = lg.compile([], updates={a: a + 1.0, b: a})
        for i in range(1, 4):
            f()
            assert (a.cell.version, b.cell.version) == (i, i)

    def test_variables_of_no_axes_and_of_no_elements(self):
        a, b = lg.Value(1.0), lg.Value(np.zeros((0, 2)))
        f = lg.compile([a, b], updates={a: a * 2.0, b: b + a})
        first, empty = f()
        assert (first, a.data) == (1.0, 2.0)
        assert empty.shape == (0, 2)

    @every_form
    def test_neither_outputs_nor_work(self, form):
        assert lg.compile([])() == []
        assert lg.compile({})() == {}
        w = lg.Value(np.zeros(2))
        lg.compile([], updates={w: w})()
        np.testing.assert_array_equal(w.data, np.zeros(2))
        fixed = lg.constant([1.0, 2.0])
        one, other, scalar = lg.compile([fixed, fixed, lg.constant(3)])()
        one[:] = 0
        np.testing.assert_array_equal(other, [1.0, 2.0])
        assert scalar == 3
        np.testing.assert_array_equal(lg.compile(fixed)(), [1.0, 2.0])


# Each of these would be wrong if a step wrote over what it still reads. Equal nodes are merged.
OVERWRITING = {
    "an operand twice": lambda a, b: lg.exp(a) - lg.exp(a) * lg.exp(a),
    "both sides": lambda a, b: lg.exp(a) + lg.exp(a),
    "its transpose": lambda a, b: lg.exp(a) + lg.exp(a).T,
    "its mirror": lambda a, b: lg.exp(a) * lg.exp(a)[::-1],
    "wider": lambda a, b: lg.exp(a) + lg.exp(b),
    "narrower": lambda a, b: lg.exp(b).astype("float64") + a,
    "to bool": lambda a, b: (lg.exp(a) > 1.0) & (lg.tanh(a) > 0.0),
    "row": lambda a, b: lg.sum(lg.exp(a), axis=0) + lg.exp(a) * 2.0,
    "column": lambda a, b: lg.exp(lg.exp(a)[:, :1]) + lg.tanh(a),
    "where": lambda a, b: lg.where(lg.exp(a) > 1.0, lg.tanh(a), lg.exp(a) + 1.0),
    "where both": lambda a, b: lg.where(a > 0.0, lg.sin(a), lg.sin(a)),
    "clip": lambda a, b: lg.clip(lg.sin(a), lg.cos(a) - 1.0, lg.cos(a) * 1.0),
    "clip itself": lambda a, b: lg.clip(lg.exp(a), lg.exp(a), lg.exp(a)),
    "written from its own mirror": lambda a, b: lg.exp(a).at[:, :2].set(lg.exp(a)[:, 2:] * 1.0),
    "written from its own view": lambda a, b: lg.exp(a).at[1:].set(lg.exp(a)[:-1]),
    "sort": lambda a, b: lg.sort(lg.exp(a), axis=0) - lg.sort(lg.tanh(a)),
    "softmax": lambda a, b: lg.softmax(lg.softmax(a * 2.0, axis=0), axis=-1),
    "relu": lambda a, b: lg.relu(lg.relu(a - 1.0) - 0.5) * lg.sigmoid(lg.sigmoid(a)),
}


class TestInPlace:
    @pytest.mark.parametrize("case", OVERWRITING)
    @every_form
    def test_gives_what_the_interpreter_gives(self, case, form):
        a, b = x(4, 4), lg.placeholder((4, 4), dtype="float32", name="y")
        node = OVERWRITING[case](a, b)
        results = [lg.sum(node, axis=0), node * 1.0 if node.dtype != bool else node]
        rng = np.random.default_rng(0)
        feeds = {"x": rng.standard_normal((4, 4)), "y": rng.standard_normal((4, 4)).astype("f4")}
        program = lg.compile(results)
        feeds = {name: feeds[name] for name in program.graph.placeholders}
        expected = [np.array(r) for r in interpret(Graph(results), feeds)]
        for _ in range(2):
            for one, other in zip(program(**feeds), expected, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-6)


def test_no_two_results_share_memory_in_any_form(monkeypatch):
    for form in FORMS:
        use(monkeypatch, form)
        drawn = Drawn(3)
        program = lg.compile([*drawn.pool[-10:], *drawn.pool[:7]])
        rows = drawn.lengths.get("rows", 3)
        feeds = {"x": np.ones((rows, 4)), "y": np.ones((rows, 4), "float32"), "z": np.ones((4, 4))}
        arrays = [r for r in program(**feeds) if np.ndim(r)] + [*feeds.values()]
        arrays += [w.data for w in drawn.variables]
        for one, other in itertools.combinations(arrays, 2):
            assert not np.shares_memory(one, other)
