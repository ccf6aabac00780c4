"""Custom operations: derivatives of every kind, what is refused, and that nothing stays behind."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.errors import DisconnectedError, OperationError, OptionError, ShapeError
from lazygrad.ir import op as ops
from lazygrad.ir.graph import Graph
from lazygrad.ir.value import gradients_enabled
from lazygrad.ops.custom import _origins
from lazygrad.testing import check_gradient


@pytest.fixture(autouse=True)
def _unregistered():
    before = dict(ops._OPS), dict(_origins)
    yield
    for table, kept in zip((ops._OPS, _origins), before, strict=True):
        table.clear()
        table.update(kept)


def power():
    @lg.custom_op(vjp=lambda g, y, x, *, n: (g * n * x ** (n - 1),))
    def my_power(x, *, n=3):
        """Raise to a power."""
        return x**n

    return my_power


def polar(**options):
    """Two results of two operands."""

    def rule(g, y, a, b):
        radius, _ = y
        along, around = (0.0 if part is None else part for part in g)
        return (
            along * a / radius - around * b / radius**2,
            along * b / radius + around * a / radius**2,
        )

    @lg.custom_op(result=lambda a, b: (a, b), **(options or {"vjp": rule}))
    def my_polar(a, b):
        return np.sqrt(a * a + b * b), np.arctan2(b, a)

    return my_polar


def opaque(seen=None):
    def rule(g, y, x, weights, labels, *, scale):
        if seen is not None:
            seen.append((g, y, x))
        return g * scale * weights * np.cos(x), g * scale * np.sin(x), None

    @lg.custom_op(vjp_numpy=rule)
    def my_wave(x, weights, labels, *, scale):
        return scale * weights * np.sin(x)

    return my_wave


def test_a_rule_of_nodes_has_every_order():
    x = lg.Value([1.0, 2.0, -0.5])
    y = power()(x)
    np.testing.assert_allclose(y.data, x.data**3)
    check_gradient(y.sum(), x, order=3)
    np.testing.assert_allclose(lg.hessian(y.sum(), x).data, np.diag(6 * x.data))
    t = lg.jvp(y, x, [1.0, 0.0, 0.0])
    np.testing.assert_allclose(t.data, [3.0, 0.0, 0.0])


def test_attributes_have_defaults_and_are_checked():
    my_power = power()
    x = lg.Value(2.0)
    assert my_power(x).data == 8.0
    assert my_power(x, n=2).data == 4.0
    assert my_power.__name__ == "my_power"
    assert my_power.op.doc == "Raise to a power."
    with pytest.raises(TypeError, match="my_power: got an unexpected keyword argument 'm'"):
        my_power(x, m=2)
    with pytest.raises(TypeError, match="my_power: missing a required argument: 'x'"):
        my_power()
    with pytest.raises(OptionError, match="my_power: the attribute n can't be hashed, got list"):
        my_power(x, n=[1])


def test_numbers_are_weak_and_results_have_the_promoted_dtype():
    total = lg.custom_op(lambda a, b: a + b)
    x = lg.Value(np.float32([1, 2]))
    assert total(x, 2.0).spec == lg.Spec((2,), np.dtype(np.float32))
    assert total(x, np.ones((3, 1))).spec == lg.Spec((3, 2), np.dtype(np.float64))


def test_several_results():
    a, b = lg.Value([1.0, -2.0]), lg.Value([0.5, 3.0])
    radius, angle = polar()(a, b)
    np.testing.assert_allclose(angle.data, np.arctan2(b.data, a.data))
    check_gradient((radius * angle).sum(), [a, b])
    check_gradient(angle.sum(), [a, b])
    program = lg.compile((radius, angle, *lg.grad((radius * angle).sum(), [a, b])))
    np.testing.assert_allclose(program()[0], np.hypot(a.data, b.data))


def test_none_means_no_gradient():
    @lg.custom_op(vjp=lambda g, y, x, index: (g * 2.0, None))
    def twice(x, index):
        return 2 * x

    x, index = lg.Value([1.0]), lg.Value([2.0])
    assert lg.grad(twice(x, index).sum(), x).data == 2.0
    with pytest.raises(DisconnectedError):
        lg.grad(twice(x, index).sum(), index)


def test_without_a_rule_nothing_flows():
    steps = lg.custom_op(lambda x: np.floor(x))
    x = lg.Value([1.5])
    with pytest.raises(DisconnectedError):
        lg.grad(steps(x).sum(), x)
    assert not steps(x).requires_grad


def test_a_numpy_rule_gives_first_derivatives_only():
    seen = []
    my_wave = opaque(seen)
    x, weights = lg.Value([[0.5, 1.0], [2.0, 3.0]]), lg.Value([2.0, 3.0])
    y = my_wave(x, weights, np.array([0, 1]), scale=0.5).sum()
    gx, gw = lg.grad(y, [x, weights])
    np.testing.assert_allclose(gx.data, 0.5 * weights.data * np.cos(x.data))
    np.testing.assert_allclose(gw.data, 0.5 * np.sin(x.data).sum(axis=0))
    assert not seen[0][2].flags.writeable
    y.backward()
    np.testing.assert_allclose(x.grad, gx.data)
    with pytest.raises(DisconnectedError, match=r"my_wave.*: its gradient is a NumPy function"):
        lg.grad(gx.sum(), x)
    with pytest.raises(DisconnectedError, match=r"my_wave: .* no forward mode"):
        lg.jvp(y + x.sum(), x, np.ones((2, 2)))


def test_a_numpy_rule_with_several_results_gets_zeros_for_absent_ones():
    def rule(g, y, a, b):
        radius, _ = y
        return (
            g[0] * a / radius - g[1] * b / radius**2,
            g[0] * b / radius + g[1] * a / radius**2,
        )

    a, b = lg.Value([1.0, -2.0]), lg.Value([0.5, 3.0])
    radius, angle = polar()(a, b)
    other_radius, other_angle = polar(vjp_numpy=rule)(a, b)
    for ours, theirs in [(radius, other_radius), (radius * angle, other_radius * other_angle)]:
        for right, g in zip(
            lg.grad(ours.sum(), [a, b]), lg.grad(theirs.sum(), [a, b]), strict=True
        ):
            np.testing.assert_allclose(g.data, right.data)


def test_a_numpy_rule_must_name_float_operands_without_gradient():
    def rule(g, y, x, c):
        return g, None

    def identity(x, c):
        return x * 1.0

    x, c = lg.Value([1.0]), lg.Value([1.0])
    silent = lg.custom_op(vjp_numpy=rule)(identity)
    with pytest.raises(OperationError, match=r"None for operand 1.*nondifferentiable="):
        lg.compile(lg.grad(silent(x, c).sum(), x))()
    named = lg.custom_op(vjp_numpy=rule, nondifferentiable=("c",))(identity)
    assert lg.compile(lg.grad(named(x, c).sum(), x))() == 1.0
    with pytest.raises(DisconnectedError):
        lg.grad(named(x, c).sum(), c)


def test_returning_the_input_or_a_view_is_safe():
    same = lg.custom_op(lambda x: x, vjp=lambda g, y, x: (g,))
    flipped = lg.custom_op(lambda x: x[::-1])
    x = lg.placeholder((3,), name="x")
    fed = np.array([1.0, 2.0, 3.0])
    program = lg.compile((same(x), flipped(x), same(same(x) + 1)))
    results = program(x=fed)
    np.testing.assert_array_equal(results[1], [3.0, 2.0, 1.0])
    assert not any(np.shares_memory(fed, result) for result in results)


def test_inputs_are_read_only():
    @lg.custom_op
    def careless(x):
        x += 1
        return x

    w = lg.Value([1.0])
    with pytest.raises(OperationError, match=r"careless.*read-only"):
        lg.compile(careless(w))()
    assert w.data == 1.0


@pytest.mark.parametrize(
    ("returned", "text"),
    [
        (lambda x: x[:2], r"returned float64\[2\], declared is float64\[3\]"),
        (lambda x: x + 1j, r"returned complex128\[3\], declared is float64\[3\]"),
        (lambda x: None, r"returned None, declared is float64\[3\]"),
        (lambda x: x.sum(), r"returned float64\[\], declared is float64\[3\]"),
    ],
)
def test_what_is_returned_must_be_as_declared(returned, text):
    wrong = lg.custom_op(returned, name="tests.wrong")
    with pytest.raises(OperationError, match=rf"tests.wrong\(.*test_custom.py:.*{text}"):
        lg.compile(wrong(lg.Value([1.0, 2.0, 3.0])))()


def test_the_number_of_results_must_be_as_declared():
    wrong = lg.custom_op(lambda x: (x,), result=lambda x: (x, x), name="tests.wrong")
    with pytest.raises(OperationError, match=r"tests.wrong must return a tuple of 2 arrays, got 1"):
        lg.compile(wrong(lg.Value(1.0))[0])()


def test_an_exception_inside_names_the_operation_and_leaves_nothing_behind():
    class TroubleError(Exception):
        pass

    @lg.custom_op(vjp=lambda g, y, x: (g,))
    def fragile(x):
        if (x < 0).any():
            raise TroubleError("negative")
        return x

    x = lg.placeholder((2,), name="x")
    w = lg.Value([1.0, 1.0])
    y = fragile(x * w)
    program = lg.compile(y.sum(), updates={w: w + 1})
    for _ in range(2):
        with pytest.raises(OperationError, match=r"fragile\(.*test_custom.py.*negative") as caught:
            program(x=[-1.0, 1.0])
        assert isinstance(caught.value.__cause__, TroubleError)
        with pytest.raises(OperationError, match="fragile") as caught:
            y.forward(x=[-1.0, 1.0])
        assert isinstance(caught.value.__cause__, TroubleError)
    np.testing.assert_array_equal(w.data, [1.0, 1.0])
    assert gradients_enabled()
    assert (w * 2).requires_grad
    assert program(x=[1.0, 2.0]) == 3.0
    np.testing.assert_array_equal(w.data, [2.0, 2.0])
    np.testing.assert_array_equal(y.forward(x=[1.0, 2.0]), [2.0, 4.0])
    y.backward()
    np.testing.assert_array_equal(w.grad, [1.0, 2.0])
    with pytest.raises(OperationError, match="fragile"):
        fragile(lg.Value([-1.0])).data


def test_an_exception_in_a_rule_leaves_nothing_behind():
    def rule(g, y, x):
        raise ValueError("no rule yet")

    broken = lg.custom_op(lambda x: x, vjp=rule)
    w = lg.Value(1.0)
    with pytest.raises(ValueError, match="no rule yet"):
        lg.grad(broken(w), w)
    after = w * 2
    assert after.requires_grad
    assert after.origin is None


def test_rules_are_checked():
    few = lg.custom_op(lambda a, b: a + b, vjp=lambda g, y, a, b: g, name="tests.few")
    flat = lg.custom_op(lambda a: a * 2, vjp=lambda g, y, a: (g.sum(axis=0),), name="tests.flat")
    x = lg.Value(np.ones((2, 3)))
    with pytest.raises(OptionError, match=r"tests.few: vjp must .* 2 operands, got 1"):
        lg.grad(few(x, x).sum(), x)
    with pytest.raises(ShapeError, match=r"tests.flat: vjp gave float64\[3\] for operand 0"):
        lg.grad(flat(x).sum(), x)


def test_names():
    with pytest.raises(OptionError, match="the name 'exp' is taken, by lazygrad's own; give"):
        lg.custom_op(lambda x: x, name="exp")
    first = power()
    assert ops.table()["my_power"] is first.op
    again = power()
    assert ops.table()["my_power"] is again.op
    with pytest.raises(OptionError, match=r"'my_power' is taken, by .*power.<locals>.my_power"):
        lg.custom_op(lambda x: x, name="my_power")
    with pytest.raises(OptionError, match="identifier"):
        lg.custom_op(lambda x: x, name="two words")
    assert ops.table().get("custom") is None
    lg.custom_op(lambda x: x)
    assert ops.table().get("custom") is None


@pytest.mark.parametrize("name", ["v0", "o7", "run_0", "f7", "cell", "a.b", "getrefcount"])
def test_any_name_runs(name):
    x = lg.placeholder((2,), name="x")
    w = lg.Value([1.0, 2.0])
    program = lg.compile(lg.custom_op(lambda x: x * 2, name=name)(x) + w, updates={w: w + x})
    np.testing.assert_array_equal(program(x=[1.0, 2.0]), [3.0, 6.0])
    assert name in program.explain()


def test_declarations_are_checked():
    with pytest.raises(OptionError, match="vjp or vjp_numpy, not both"):
        lg.custom_op(lambda x: x, vjp=lambda g, y, x: g, vjp_numpy=lambda g, y, x: g)
    with pytest.raises(OptionError, match="jvp needs vjp"):
        lg.custom_op(lambda x: x, jvp=lambda t, y, x: t[0])
    with pytest.raises(OptionError, match="no operand 'z' in \\('x',\\)"):
        lg.custom_op(lambda x: x, nondifferentiable=("z",))
    with pytest.raises(OptionError, match="result must give a Spec"):
        lg.custom_op(lambda x: x, result=lambda x: x.shape)(lg.Value(1.0))
    with pytest.raises(ShapeError, match="the length other, which no operand has"):
        lg.custom_op(lambda x: x, result=lambda x: lg.Spec((lg.Length.named("other"),), x.dtype))(
            lg.Value(1.0)
        )
    with pytest.raises(OptionError, match="without operands"):
        lg.custom_op(lambda: 1.0)()
    with pytest.raises(OptionError, match="None is no operand"):
        lg.custom_op(lambda x: x)(None)


def test_symbolic_lengths_and_specs():
    doubled = lg.custom_op(
        lambda x: np.concatenate([x, x]),
        result=lambda x: lg.Spec((2 * x.shape[0], *x.shape[1:]), "float32"),
    )
    x = lg.placeholder(("batch", 2), dtype=np.float32, name="x")
    y = doubled(x)
    assert str(y.spec) == "float32[2*batch, 2]"
    assert lg.compile(y)(x=np.ones((3, 2), np.float32)).shape == (6, 2)
    picked = x[x[:, 0] > 0]
    again = lg.compile(doubled(picked))
    assert again(x=np.float32([[1, 2], [-1, 0]])).shape == (2, 2)


def test_operands_may_be_any_number():
    total = lg.custom_op(lambda *xs: sum(xs), vjp=lambda g, y, *xs: (g,) * len(xs))
    x = lg.Value([1.0, 2.0])
    assert lg.grad(total(x, x, x).sum(), x).data.tolist() == [3.0, 3.0]


def test_own_forward_rule_is_used():
    called = []

    def push(tangents, y, x):
        called.append(True)
        return 2.0 * tangents[0]

    twice = lg.custom_op(lambda x: 2 * x, vjp=lambda g, y, x: (2.0 * g,), jvp=push)
    x = lg.Value([1.0, 2.0])
    check_gradient(twice(x).sum() ** 2, x)
    assert called


def test_copies_and_pickles():
    my_power, my_wave = power(), opaque()
    x = lg.Value([1.0, 2.0])
    y = my_power(x, n=2) + my_wave(x, x, np.array(1), scale=2.0)
    graph = Graph([y, lg.grad(y.sum(), x)])
    for other in (copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):
        for before, after in zip(graph.outputs, other.outputs, strict=True):
            np.testing.assert_array_equal(after.data, before.data)
    nameless = lg.custom_op(lambda x: x)(x)
    np.testing.assert_array_equal(copy.deepcopy(nameless).data, x.data)
    with pytest.raises(OptionError, match="'custom' can't be pickled"):
        pickle.dumps(nameless)


def test_a_class_is_an_operation():
    class Scaled(lg.Function):
        nondifferentiable = ("mask",)

        @staticmethod
        def result(x, mask, *, scale):
            return x, x

        def forward(self, x, mask, *, scale):
            self.save(x, mask)
            self.scale = scale
            return scale * x * mask, x**2

        def backward(self, g, h):
            x, mask = self.saved
            return g * self.scale * mask + 2 * h * x, None

    x = lg.Value([1.0, 2.0])
    first, second = Scaled.apply(x, [0.0, 1.0], scale=3.0)
    assert first.operands[0].op.name == "Scaled"
    np.testing.assert_array_equal(second.data, [1.0, 4.0])
    np.testing.assert_array_equal(lg.grad(first.sum(), x).data, [0.0, 3.0])
    np.testing.assert_array_equal(lg.grad((first + second).sum(), x).data, [2.0, 7.0])
    with pytest.raises(TypeError, match="Scaled: missing a required argument: 'scale'"):
        Scaled.apply(x, x)
