"""What grad, vjp, jvp and hvp take and give."""

import re

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.autodiff.forward import push_forward
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import DisconnectedError, DTypeError, OptionError, ShapeError
from lazygrad.ir.graph import Graph, ancestors
from lazygrad.ir.value import no_grad, scope
from lazygrad.ops.forms import general, linear
from lazygrad.spec import Spec


def numbers(*nodes, **feeds):
    with np.errstate(all="ignore"):
        found = interpret(Graph(list(nodes)), feeds)
    return found[0] if len(found) == 1 else found


@pytest.fixture
def x():
    return lg.Value([1.0, 2.0, 3.0], name="x")


@pytest.fixture
def w():
    return lg.Value([4.0, 5.0, 6.0], name="w")


# Structure


def test_the_result_has_the_structure_of_wrt(x, w):
    y = (x * w).sum()
    assert isinstance(lg.grad(y, x), lg.Value)
    assert type(lg.grad(y, [x, w])) is list
    assert type(lg.grad(y, (x, w))) is tuple
    found = lg.grad(y, {"b": w, "a": x})
    assert list(found) == ["b", "a"]
    np.testing.assert_array_equal(numbers(found["a"]), [4, 5, 6])
    np.testing.assert_array_equal(numbers(found["b"]), [1, 2, 3])
    assert lg.grad(y, []) == []


def test_wrt_may_be_a_generator(x, w):
    found = lg.grad((x * w).sum(), (leaf for leaf in (x, w)))
    assert type(found) is list
    np.testing.assert_array_equal(numbers(found[1]), [1, 2, 3])


def test_value_and_grad_gives_the_node_itself(x):
    y = (x * x).sum()
    value, g = lg.value_and_grad(y, x)
    assert value is y
    np.testing.assert_array_equal(numbers(g), [2, 4, 6])


def test_vjp_of_several_outputs_by_name(x, w):
    outputs = {"product": x * w, "sum": x + w}
    seeds = {"sum": np.ones(3), "product": np.array([1.0, 0.0, 0.0])}
    gx, gw = lg.vjp(outputs, (x, w), seeds)
    np.testing.assert_array_equal(numbers(gx), [5, 1, 1])
    np.testing.assert_array_equal(numbers(gw), [2, 1, 1])


def test_jvp_has_the_structure_of_the_outputs_and_takes_tangents_by_name(x, w):
    found = lg.jvp({"p": x * w, "s": x + w}, {"w": w, "x": x}, {"x": np.ones(3), "w": np.zeros(3)})
    assert list(found) == ["p", "s"]
    np.testing.assert_array_equal(numbers(found["p"]), [4, 5, 6])


def test_jvp_of_an_output_that_does_not_depend_is_zero(x, w):
    t = lg.jvp(w * 2.0, x, np.ones(3))
    assert t.spec == w.spec
    np.testing.assert_array_equal(numbers(t), 0)


def test_hvp_keeps_the_structure(x, w):
    y = (x * x * w).sum()
    found = lg.hvp(y, {"x": x, "w": w}, {"w": np.zeros(3), "x": np.ones(3)})
    np.testing.assert_array_equal(numbers(found["x"]), [8, 10, 12])
    np.testing.assert_array_equal(numbers(found["w"]), [2, 4, 6])


def test_hvp_inside_no_grad_of_an_outside_graph(x):
    y = (x * x * x).sum()
    with no_grad():
        h = lg.hvp(y, x, np.ones(3))
    np.testing.assert_array_equal(numbers(h), [6, 12, 18])
    assert not h.requires_grad


# Refusals


def test_disconnected_names_the_leaf_and_its_line(x, w):
    with pytest.raises(DisconnectedError) as caught:
        lg.grad((x * x).sum(), [x, w])
    text = str(caught.value)
    assert "sum doesn't depend on w through differentiable operations" in text
    assert 'unused="zero", grad gives zeros instead' in text
    assert re.search(r"w: float64\[3\]   variable 'w', test_derivatives.py:\d+", text)


def test_unused_zero_gives_zeros(x, w):
    found = lg.grad((x * x).sum(), [x, w], unused="zero")
    assert found[1].spec == w.spec
    np.testing.assert_array_equal(numbers(found[1]), [0, 0, 0])


def test_comparisons_disconnect(x):
    with pytest.raises(DisconnectedError):
        lg.grad((x > 0).astype("float64").sum(), x)


def test_unused_takes_two_words_only(x):
    with pytest.raises(OptionError, match='"raise" or "zero", got \'none\''):
        lg.grad(x.sum(), x, unused="none")


def test_bool_has_no_derivative(x):
    flag = lg.Value([True, False, True], name="flag")
    with pytest.raises(DTypeError, match=r"a bool\[3\] has no derivative"):
        lg.grad((x * flag).sum(), flag)
    with pytest.raises(DTypeError, match=r"a bool\[3\] has no derivative"):
        lg.grad(x > 0, x)


def test_a_seed_must_have_the_shape_of_its_node(x):
    y = x * x
    with pytest.raises(
        ShapeError, match=r"cotangent of multiply must have its shape, \[3\], got \[2\]"
    ):
        lg.grad(y, x, seed=np.ones(2))
    with pytest.raises(ShapeError, match=r"tangent of x must have its shape, \[3\], got \[1\]"):
        lg.jvp(y, x, np.ones(1))


def test_seeds_must_match_their_nodes_in_number_and_names(x, w):
    with pytest.raises(OptionError, match="one for each of 2 nodes, got 1"):
        lg.vjp([x * w, x + w], x, [np.ones(3)])
    with pytest.raises(OptionError, match=r"tangents need the keys \['x'\], got \['w'\]"):
        lg.jvp(x * w, {"x": x}, {"w": np.ones(3)})


def test_wrt_must_be_nodes(x):
    with pytest.raises(OptionError, match="wrt must be nodes, got ndarray"):
        lg.grad(x.sum(), [np.ones(3)])
    with pytest.raises(OptionError, match="wrt must be a node or several, got float"):
        lg.grad(x.sum(), 1.0)
    with pytest.raises(OptionError, match="y must be a node, got float"):
        lg.grad(1.0, x)


# Dtypes


def test_integer_leaves_get_float64_gradients():
    a, b = lg.Value(2, name="a"), lg.Value(3, name="b")
    da, db = lg.grad(a + a * b, [a, b])
    assert da.dtype == db.dtype == np.float64
    assert (numbers(da), numbers(db)) == (4.0, 2.0)


def test_integers_are_read_over_the_reals():
    x = lg.Value(np.array([100, -100], np.int8))
    np.testing.assert_array_equal(numbers(lg.grad(lg.square(x), x)), [200.0, -200.0])
    np.testing.assert_array_equal(numbers(lg.grad(x**2, x)), [200.0, -200.0])


def test_float32_stays_float32():
    x = lg.Value(np.ones((2, 3), np.float32))
    y = (lg.tanh(x * 2.0) @ np.ones((3, 1), np.float32)).mean()
    g = lg.grad(y, x)
    assert g.dtype == np.float32
    assert {node.dtype for node in ancestors([g])} == {np.dtype(np.float32)}


def test_mixed_floats_give_each_leaf_its_own_dtype():
    x, w = lg.Value(np.ones(2, np.float32)), lg.Value(np.ones(2))
    gx, gw = lg.grad((x * w).sum(), [x, w])
    assert (gx.dtype, gw.dtype) == (np.float32, np.float64)
    assert lg.jvp(x * w, x, np.ones(2)).dtype == np.float64


def test_a_seed_of_another_float_is_converted():
    x = lg.Value(np.ones(2, np.float32))
    assert lg.grad(x * x, x, seed=np.ones(2)).dtype == np.float32


# Which nodes


def test_with_respect_to_an_intermediate_node(x):
    h = x * x
    y = (h * h).sum()
    np.testing.assert_array_equal(numbers(lg.grad(y, h)), [2, 8, 18])


def test_with_respect_to_the_output_itself(x):
    y = x * x
    np.testing.assert_array_equal(numbers(lg.grad(y, y)), [1, 1, 1])
    np.testing.assert_array_equal(numbers(lg.jvp(y, y, [1.0, 2.0, 3.0])), [1, 2, 3])


def test_nodes_that_depend_on_each_other_get_their_whole_derivative(x):
    h = x * x
    y = (h * x).sum()
    gx, gh = lg.grad(y, [x, h])
    np.testing.assert_array_equal(numbers(gx), numbers(lg.grad(y, x)))
    np.testing.assert_array_equal(numbers(gh), [1, 2, 3])
    t = numbers(lg.jvp(y, [x, h], [np.ones(3), np.ones(3)]))
    assert t == numbers(gx).sum() + numbers(gh).sum()


def test_a_node_asked_for_twice(x):
    a, b = lg.grad((x * x).sum(), [x, x])
    np.testing.assert_array_equal(*numbers(a, b))
    t = lg.jvp(x * x, [x, x], [np.ones(3), np.ones(3)])
    np.testing.assert_array_equal(numbers(t), [4, 8, 12])


def test_stop_gradient_and_no_grad(x):
    with no_grad():
        fixed = x * x
    np.testing.assert_array_equal(numbers(lg.grad((fixed * x).sum(), x)), [1, 4, 9])
    np.testing.assert_array_equal(numbers(lg.jvp(fixed * x, x, np.ones(3))), [1, 4, 9])
    with pytest.raises(DisconnectedError):
        lg.grad(fixed.sum(), x)
    if hasattr(lg, "stop_gradient"):
        g = lg.grad((lg.stop_gradient(x * x) * x).sum(), x)
        np.testing.assert_array_equal(numbers(g), [1, 4, 9])


def test_with_respect_to_a_node_made_without_gradients(x):
    with no_grad():
        h = x * x
    np.testing.assert_array_equal(numbers(lg.grad((h * h).sum(), h)), [2, 8, 18])


# Orders


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivatives_of_tanh(order):
    at = 0.7
    polynomial = np.polynomial.Polynomial([0.0, 1.0])
    for _ in range(order):
        polynomial = polynomial.deriv() * np.polynomial.Polynomial([1.0, 0.0, -1.0])
    x = lg.Value(at)
    y = lg.tanh(x)
    for _ in range(order):
        y = lg.grad(y, x)
    assert numbers(y) == pytest.approx(polynomial(np.tanh(at)), rel=1e-12)
    forward = lg.tanh(x)
    for _ in range(order):
        forward = lg.jvp(forward, x, 1.0)
    assert numbers(forward) == pytest.approx(polynomial(np.tanh(at)), rel=1e-12)


def test_a_zero_residual_keeps_its_second_derivative():
    x = lg.Value(1.0)
    y = (x - 1.0) ** 2
    g = lg.grad(y, x)
    assert numbers(g) == 0.0
    assert numbers(lg.grad(g, x)) == 2.0
    assert numbers(lg.hvp(y, x, 1.0)) == 2.0


# Shapes of graphs


def test_a_leaf_in_both_operands():
    x = lg.Value(3.0)
    assert numbers(lg.grad(x * x, x)) == 6.0
    assert numbers(lg.grad(x - x, x)) == 0.0
    assert numbers(lg.grad(x / x, x)) == pytest.approx(0.0, abs=1e-16)
    assert numbers(lg.grad(x**x, x)) == pytest.approx(27.0 * (np.log(3.0) + 1.0))
    a = lg.Value([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(numbers(lg.grad(a @ a, a)), [[7, 11], [9, 13]])


def test_a_leaf_used_a_thousand_times():
    x = lg.Value(0.5)
    total = x * 0.0
    for _ in range(1000):
        total = total + lg.tanh(x)
    assert numbers(lg.grad(total, x)) == pytest.approx(1000 * (1 - np.tanh(0.5) ** 2))


def test_a_deep_diamond_takes_linear_time():
    x = lg.Value(1.0 + 2.0**-40)
    y = x
    for _ in range(60):
        y = y + y
    g, t = lg.grad(y, x), lg.jvp(y, x, 1.0)
    assert len(ancestors([g, t])) < 1000
    assert numbers(g) == numbers(t) == 2.0**60


def test_a_long_chain_differentiates_without_recursion():
    x = lg.Value(0.5)
    y = x
    for _ in range(100_000):
        y = y * 1.0
    assert numbers(lg.grad(y, x)) == 1.0
    assert numbers(lg.jvp(y, x, 1.0)) == 1.0


def test_a_long_chain_of_choices_keeps_its_masks_without_recursion():
    x = lg.Value([0.0, 4.0])
    y = lg.sqrt(x)
    for _ in range(3000):
        y = lg.where(np.array([False, True]), y, 0.0)
    np.testing.assert_array_equal(numbers(lg.grad(y, x)), [0.0, 0.25])


def test_many_masked_uses_of_one_node():
    x = lg.Value([0.0, 4.0])
    root = lg.sqrt(x)
    total = sum(lg.where(np.array([False, True]), root, 0.0) for _ in range(3000))
    np.testing.assert_array_equal(numbers(lg.grad(total, x)), [0.0, 750.0])


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 4), (1, 4)),
        ((3, 1), (1, 4)),
        ((2, 3), (3,)),
        ((), (2, 2)),
        ((1, 1), (2, 3, 4)),
        ((0, 4), (1, 4)),
    ],
)
def test_broadcast_operands_get_the_sum(a, b):
    rng = np.random.default_rng(0)
    x, y = lg.Value(rng.standard_normal(a)), lg.Value(rng.standard_normal(b))
    gx, gy = lg.grad(x * y, [x, y])
    shape = np.broadcast_shapes(a, b)
    for g, own, other in ((gx, x, y), (gy, y, x)):
        wide = np.broadcast_to(other.cell.array, shape)
        extra = len(shape) - own.ndim
        axes = (*range(extra), *(i + extra for i, n in enumerate(own.shape) if n == 1))
        expected = wide.sum(axis=axes).reshape(own.shape) if axes else wide
        np.testing.assert_allclose(numbers(g), expected)


def test_symbolic_lengths_are_summed_away():
    x = lg.placeholder(("batch", 3), name="x")
    b = lg.Value(np.zeros(3))
    g = lg.grad(lg.tanh(x + b).sum(), b)
    assert g.shape == (3,)
    found = interpret(Graph([g]), {"x": np.zeros((5, 3))}, {"batch": 5})[0]
    np.testing.assert_array_equal(found, [5, 5, 5])


# What derivative nodes carry


def test_origin_line_and_scope_are_those_of_the_forward_node(x):
    with scope("layer"):
        h = lg.tanh(x)
    y = (h * h).sum()
    g = lg.grad(y, x)
    made = [node for node in ancestors([g]) if node.origin is h]
    assert any(node is g for node in made)
    for node in made:
        assert node.line == h.line
        assert node.scope == ("layer",)
    for node in ancestors([lg.jvp(h, x, np.ones(3))]):
        assert node.origin is None or node.origin is h


# Rules of other shapes


def test_forward_mode_of_an_operation_with_a_reverse_rule_only(x):
    scaled = general(
        "test_only_reverse",
        lambda x, y, out: np.multiply(x, y * y, out=out),
        infer=lambda x, y: x,
        vjp=(lambda g, z, x, y: g * y * y, lambda g, z, x, y: 2.0 * g * x * y),
        jvp=None,
        doc="x y^2.",
    )
    w = lg.Value([4.0, 5.0, 6.0])
    t = numbers(lg.jvp(scaled(x, w), [x, w], [np.ones(3), np.ones(3)]))
    np.testing.assert_allclose(t, [16 + 8, 25 + 20, 36 + 36])
    with no_grad():
        t = numbers(lg.jvp(scaled(x, w), [x], [np.ones(3)]))
    np.testing.assert_allclose(t, 0)


def test_two_items_of_the_same_result_add_up(x):
    from lazygrad.ir.value import item

    twice = general(
        "test_twice",
        lambda x, out: (np.multiply(x, 2.0, out=out[0]), np.multiply(x, 3.0, out=out[1])),
        infer=lambda x: (x, x),
        vjp=lambda g, y, x: (
            sum(c * part for c, part in zip((2.0, 3.0), g, strict=True) if part is not None),
        ),
        jvp=lambda t, y, x: (2.0 * t[0], 3.0 * t[0]),
        doc="2 x and 3 x.",
    )
    node = twice(x)
    first, again = item(node, 0), item(node, 0)
    np.testing.assert_array_equal(numbers(lg.grad((first + again).sum(), x)), [4, 4, 4])
    np.testing.assert_array_equal(numbers(lg.jvp(item(node, 1), x, np.ones(3))), [3, 3, 3])


def test_an_index_operand_alone_gives_no_tangent(x):
    shift = linear(
        "test_shift",
        lambda x, by, out: np.copyto(out, np.roll(x, int(by))),
        infer=lambda x, by: Spec(x.shape, x.dtype),
        transpose=lambda g, x, by: shift(g, -by),
        doc="Rolled.",
    )
    by = lg.Value(1, name="by")
    y = shift(lg.constant([1.0, 2.0, 3.0]), by)
    assert push_forward([y], [by], [lg.constant(1.0)]) == [None]
    with pytest.raises(DisconnectedError):
        lg.grad(y, by)


@pytest.mark.parametrize(
    "derivative",
    [
        lambda y, x: lg.grad(y, lg.Value([1.0, 2.0, 3.0]), unused="zero"),
        lambda y, x: lg.grad(lg.grad(y, x), x, unused="zero"),
        lambda y, x: lg.hvp(y, x, [1.0, 1.0, 1.0]),
        lambda y, x: lg.jvp(lg.grad(y, x), x, [1.0, 1.0, 1.0]),
    ],
)
def test_zeros_still_take_the_feeds_of_what_they_are_derived_from(derivative):
    x = lg.placeholder((3,), name="x")
    program = lg.compile(derivative((x * [1.0, 2.0, 3.0]).sum(), x))
    np.testing.assert_array_equal(program(x=np.ones(3)), np.zeros(3))
    np.testing.assert_array_equal(program(), np.zeros(3))
