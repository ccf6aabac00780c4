"""What users of the five ancestors expect, and what went wrong there.

Where the design says otherwise, the test shows our behaviour; `docs/differs.md` says why.
"""

import warnings

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import testing


def matrix_times_vector():
    a, b = lg.Value(shape=(2, 2), name="a"), lg.Value(shape=(2,), name="b")
    return a, b, lg.relu(a @ b)


FEEDS = {"a": np.array([[2.0, 3.0], [5.0, 4.0]]), "b": np.array([1.0, -1.0])}


def gradients(y, *leaves):
    y.backward()
    return [leaf.grad for leaf in leaves]


class TestLazyValues:
    def test_the_first_example(self):
        a, b, c = matrix_times_vector()
        np.testing.assert_array_equal(c.forward(**FEEDS), [0, 1])
        c.backward()
        np.testing.assert_array_equal(c.grad, [1, 1])
        np.testing.assert_array_equal(a.grad, [[0, 0], [1, -1]])
        np.testing.assert_array_equal(b.grad, [5, 4])

    def test_the_first_example_in_integers_keeps_their_dtype_and_prints_it(self):
        a, b = lg.Value([[2, 3], [5, 4]]), lg.Value([1, -1])
        c = (a @ b).relu()
        assert repr(c) == "Value(data=[0 1], grad=None)"
        c.backward()
        assert c.data.dtype == np.int64
        assert a.grad.dtype == np.float64
        np.testing.assert_array_equal(a.grad, [[0, 0], [1, -1]])
        np.testing.assert_array_equal(b.grad, [5, 4])

    def test_backward_of_an_array_is_the_gradient_of_its_sum(self):
        x = lg.Value([[1.0, 2.0], [3.0, 4.0]])
        of_array, of_sum = gradients(x**3, x)[0], gradients((x**3).sum(), x)[0]
        np.testing.assert_array_equal(of_array, of_sum)

    def test_each_backward_stands_alone(self):
        a, _, c = matrix_times_vector()
        c.forward(**FEEDS)
        c.backward()
        first = a.grad
        c.backward()
        np.testing.assert_array_equal(a.grad, first)

    def test_forward_and_backward_alternate_thousands_of_times(self):
        x, w = lg.placeholder((), name="x"), lg.Value(3.0)
        y = w * x**2
        for number in range(2_000):
            assert y.forward(x=float(number)) == 3.0 * number**2
            y.backward()
            assert w.grad == float(number**2)

    def test_without_placeholders_a_value_is_there_at_once(self):
        assert (lg.Value(2.0) * 3 + 1).data == 7.0

    def test_an_absent_feed_becomes_nan_with_one_warning_that_names_it(self):
        _, _, c = matrix_times_vector()
        c.forward(**FEEDS)
        with pytest.warns(lg.MissingFeedWarning, match="no feed for 'b', filled with NaN") as seen:
            result = c.forward(a=FEEDS["a"])
        assert len(seen) == 1
        assert np.isnan(result).all()

    def test_nan_passes_through_relu(self):
        x = lg.placeholder((), name="x")
        assert np.isnan(lg.relu(x).forward(missing="nan"))

    def test_backward_before_forward_warns_and_gives_nan(self):
        a, _, c = matrix_times_vector()
        with pytest.warns(lg.MissingFeedWarning, match="no feed for 'a', 'b'"):
            c.backward()
        assert np.isnan(a.grad).all()

    def test_backward_before_forward_is_silent_where_nothing_is_awaited(self):
        x = lg.Value(3.0)
        assert gradients(x * x, x) == [6.0]

    def test_the_topology_is_computed_once(self):
        _, _, c = matrix_times_vector()
        c.forward(**FEEDS)
        schedule = c.schedule
        c.backward()
        c.forward(**FEEDS)
        assert c.schedule is schedule

    def test_changed_parameters_take_effect_at_the_next_forward(self):
        x, w = lg.placeholder((2,), name="x"), lg.Value([1.0, 1.0])
        y = (x * w).sum()
        assert y.forward(x=[2.0, 3.0]) == 5.0
        w.data -= [0.5, 0.0]
        assert y.forward(x=[2.0, 3.0]) == 4.0
        w.data = [0.0, 1.0]
        assert y.forward(x=[2.0, 3.0]) == 3.0

    def test_feeding_one_root_leaves_the_other_as_it_was(self):
        x = lg.placeholder((), name="x")
        shared = x * 2
        one, other = shared + 1, shared * 10
        one.forward(x=1.0)
        other.forward(x=2.0)
        assert (one.data, other.data, shared.data) == (3.0, 40.0, 4.0)
        one.forward(x=5.0)
        assert (one.data, other.data, shared.data) == (11.0, 40.0, 10.0)

    def test_intermediate_values_and_feeds_are_readable_after_the_loss_ran(self):
        x, w = lg.placeholder((3,), name="x"), lg.Value(2.0)
        prediction = x * w
        loss = ((prediction - 1) ** 2).mean()
        loss.forward(x=[1.0, 2.0, 3.0])
        np.testing.assert_array_equal(prediction.data, [2, 4, 6])
        np.testing.assert_array_equal(x.data, [1, 2, 3])
        loss.backward()
        np.testing.assert_allclose(prediction.grad, [2 / 3, 2, 10 / 3])

    def test_contract_pairs_the_last_axis_with_the_first_and_so_inwards(self):
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 3, 5))
        expected = np.einsum("ijk,kjl->il", a, b)
        np.testing.assert_allclose(lg.contract(lg.Value(a), b, 2).data, expected)
        outer = np.multiply.outer(a[0], b[0])
        np.testing.assert_allclose(lg.contract(lg.Value(a[0]), b[0], 0).data, outer)
        assert lg.contract(lg.Value(2.0), 3.0, 0).data == 6.0

    def test_tensordot_pairs_axes_as_numpy_does(self):
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(3, 4, 5))
        np.testing.assert_allclose(lg.tensordot(lg.Value(a), b, 2).data, np.tensordot(a, b, 2))

    @pytest.mark.parametrize(
        ("function", "at", "value", "slope"),
        [
            (lg.log, -1.0, np.nan, np.nan),
            (lg.log, 0.0, -np.inf, np.inf),
            (lg.log1p, -2.0, np.nan, np.nan),
            (lg.log1p, -1.0, -np.inf, np.inf),
            (lg.arctanh, 1.0, np.inf, np.inf),
            (lg.arctanh, -1.0, -np.inf, np.inf),
            (lg.arctanh, 2.0, np.nan, np.nan),
            (lg.arcsin, 1.0, np.pi / 2, np.inf),
            (lg.arcsin, 2.0, np.nan, np.nan),
        ],
    )
    def test_edges_of_domains(self, function, at, value, slope):
        x = lg.Value(at)
        y = function(x)
        np.testing.assert_allclose(y.data, value)
        np.testing.assert_array_equal(gradients(y, x), [slope])


class TestScalars:
    def test_the_sanity_check_of_the_scalar_engines(self):
        x = lg.Value(-4.0)
        z = 2 * x + 2 + x
        q = lg.relu(z) + z * x
        h = lg.relu(z * z)
        y = h + q + q * x
        assert y.data == -20.0
        assert gradients(y, x) == [46.0]

    def test_the_longer_chain_of_the_scalar_engines(self):
        a, b = lg.Value(-4.0), lg.Value(2.0)
        c = a + b
        d = a * b + b**3
        c += c + 1
        c += 1 + c + (-a)
        d += d * 2 + (b + a).relu()
        d += 3 * d + (b - a).relu()
        e = c - d
        f = e**2
        g = f / 2.0
        g += 10.0 / f
        np.testing.assert_allclose(g.data, 24.70408163265306, rtol=1e-14)
        expected = [138.83381924198252, 645.5772594752186]
        np.testing.assert_allclose(gradients(g, a, b), expected, rtol=1e-14)

    def test_powers_and_a_relu(self):
        a, b = lg.Value(1.5), lg.Value(-4.0)
        y = a**3 / 5 + (b**2).relu()
        np.testing.assert_allclose(y.data, 16.675)
        np.testing.assert_allclose(gradients(y, a, b), [1.35, -8.0])

    def test_a_polynomial_of_two_scalars(self):
        x, y = lg.Value(3.0), lg.Value(4.0)
        assert gradients(x * x * y + y + 2, x, y) == [24.0, 10.0]

    @pytest.mark.parametrize(
        ("function", "value", "slope"),
        [
            (lambda x: x + 3, 5.0, 1.0),
            (lambda x: 3 + x, 5.0, 1.0),
            (lambda x: x - 3, -1.0, 1.0),
            (lambda x: 3 - x, 1.0, -1.0),
            (lambda x: x * 3, 6.0, 3.0),
            (lambda x: 3 * x, 6.0, 3.0),
            (lambda x: x / 4, 0.5, 0.25),
            (lambda x: 4 / x, 2.0, -1.0),
            (lambda x: x**3, 8.0, 12.0),
            (lambda x: 3**x, 9.0, 9 * np.log(3)),
            (lambda x: -x, -2.0, -1.0),
        ],
    )
    def test_plain_numbers_on_either_side(self, function, value, slope):
        x = lg.Value(2.0)
        y = function(x)
        assert y.data == value
        np.testing.assert_allclose(gradients(y, x), [slope])

    def test_the_sum_of_a_list_of_nodes_starts_from_the_number_0(self):
        nodes = [lg.Value(float(number)) for number in range(4)]
        total = sum(nodes)
        assert total.data == 6.0
        assert gradients(total, *nodes) == [1.0] * 4

    @pytest.mark.parametrize(
        ("function", "slope"),
        [
            (lambda x: x + x, 2.0),
            (lambda x: x - x, 0.0),
            (lambda x: x * x, 6.0),
            (lambda x: x / x, 0.0),
            (lambda x: 2 * x + 5 * x, 7.0),
            (lambda x: x**x, 27 * (1 + np.log(3))),
            (lambda x: (x * 2) ** 2, 24.0),
        ],
    )
    def test_a_node_used_twice_gets_both_contributions(self, function, slope):
        x = lg.Value(3.0)
        np.testing.assert_allclose(gradients(function(x), x), [slope], atol=1e-15)


class TestArrays:
    def test_two_by_two_arithmetic(self):
        a, b = lg.Value(np.full((2, 2), 2.0)), lg.Value(np.full((2, 2), 3.0))
        np.testing.assert_array_equal((a + b).data, np.full((2, 2), 5))
        np.testing.assert_array_equal((a * b).data, np.full((2, 2), 6))
        np.testing.assert_array_equal((a @ b[0]).data, [12, 12])
        np.testing.assert_array_equal(gradients((a[0] * b).sum(), a)[0], [[6, 6], [0, 0]])

    def test_repeated_indices_add_up(self):
        x = lg.Value([1.0, 2.0, 3.0])
        np.testing.assert_array_equal(gradients(x[[0, 1, 1]], x)[0], [1, 2, 0])

    def test_a_mask_computed_in_the_graph_is_an_index(self):
        x = lg.Value([1.0, -2.0, 3.0])
        chosen = x[x > 0]
        np.testing.assert_array_equal(chosen.data, [1, 3])
        np.testing.assert_array_equal(gradients(chosen**2, x)[0], [2, 0, 6])

    def test_broadcast_gradients_have_their_operands_shapes(self):
        a, b = lg.Value(np.ones((2, 1, 2))), lg.Value(np.ones((2, 1)))
        ga, gb = gradients(a * b, a, b)
        np.testing.assert_array_equal(ga, np.full((2, 1, 2), 2))
        np.testing.assert_array_equal(gb, np.full((2, 1), 4))

    def test_batched_matmul_gradients_have_their_operands_shapes(self):
        rng = np.random.default_rng(0)
        a = lg.Value(rng.normal(size=(2, 1, 2, 3, 4)))
        b = lg.Value(rng.normal(size=(2, 1, 4, 1)))
        assert (a @ b).shape == (2, 2, 2, 3, 1)
        ga, gb = gradients(a @ b, a, b)
        assert ga.shape == a.shape
        assert gb.shape == b.shape
        testing.check_gradient((a @ b).sum(), [a, b])

    @pytest.mark.parametrize(
        ("function", "slope"),
        [
            (lambda array, v: array + v, np.ones((2, 2))),
            (lambda array, v: array - v, -np.ones((2, 2))),
            (lambda array, v: array * v, np.full((2, 2), 2)),
            (lambda array, v: array / v, np.full((2, 2), -2)),
            (lambda array, v: array @ v, np.full((2, 2), 4)),
        ],
    )
    def test_an_array_on_the_left_stays_in_the_graph(self, function, slope):
        v = lg.Value(np.ones((2, 2)))
        y = function(np.full((2, 2), 2.0), v)
        assert isinstance(y, lg.Value)
        np.testing.assert_array_equal(gradients(y, v)[0], slope)

    def test_integers_have_gradients_over_the_reals(self):
        a, b = lg.Value(2), lg.Value(3)
        y = a + a * b
        assert y.data == 8
        assert gradients(y, a, b) == [4.0, 2.0]

    def test_a_product_with_the_identity(self):
        x, y = lg.Value(np.eye(3)), lg.Value([[1.0, 1.0, -1.0]])
        gx, gy = gradients(y.dot(x).sum(), x, y)
        np.testing.assert_array_equal(gy, np.ones((1, 3)))
        np.testing.assert_array_equal(gx, [[1, 1, 1], [1, 1, 1], [-1, -1, -1]])

    def test_the_gradient_check_passes_on_two_layers_and_a_log_softmax(self):
        rng = np.random.default_rng(1)
        x = rng.normal(size=(3, 5))
        w, v = lg.Value(rng.normal(size=(5, 4))), lg.Value(rng.normal(size=(4, 3)))
        testing.check_gradient(lg.log_softmax(lg.relu(x @ w) @ v, axis=-1), [w, v])

    def test_the_jacobian_of_two_layers_and_a_log_softmax_is_the_one_of_differences(self):
        rng = np.random.default_rng(1)
        w, start = rng.normal(size=(4, 3)), rng.normal(size=4)
        x = lg.placeholder((4,), name="x")
        y = lg.log_softmax(lg.relu(x) @ w, axis=-1)
        program = lg.compile({"y": y, "jacobian": lg.jacobian(y, x)})
        step = 1e-6
        columns = [
            (program(x=start + move)["y"] - program(x=start - move)["y"]) / (2 * step)
            for move in step * np.eye(4)
        ]
        np.testing.assert_allclose(program(x=start)["jacobian"], np.transpose(columns), atol=1e-8)

    def test_the_standard_deviation_of_a_sample_needs_correction_1(self):
        a = lg.Value([1.0, 2.0, 3.0])
        b = lg.std(a, correction=1)
        c = b * lg.dot(a, a)
        np.testing.assert_allclose(c.data, 14.0)
        ga, gb = gradients(c, a, b)
        np.testing.assert_allclose(ga, [-5, 4, 13])
        np.testing.assert_allclose(gb, 14.0)
        np.testing.assert_allclose(lg.std(a).data, np.std([1.0, 2.0, 3.0]))

    def test_dtypes_are_those_of_numpy_and_not_float32_by_default(self):
        assert lg.Value([1.0]).dtype == np.float64
        assert lg.Value([1]).dtype == np.int64
        assert (lg.Value(np.float32(1.0)) * 2.0).dtype == np.float32
        assert lg.exp(lg.Value([1])).dtype == np.float64

    def test_a_sum_over_no_axes_changes_nothing(self):
        x = lg.Value([[1.0, 2.0]])
        np.testing.assert_array_equal(x.sum(axis=()).data, [[1, 2]])

    @pytest.mark.parametrize("reduction", [lg.sum, lg.mean, lg.var, lg.std])
    def test_a_repeated_axis_and_one_out_of_range_are_refused(self, reduction):
        x = lg.Value(np.ones((2, 3)))
        with pytest.raises(lg.OptionError, match=r"\(0, 0\) names an axis twice"):
            reduction(x, axis=(0, 0))
        with pytest.raises(IndexError, match="axis 5 is out of range; legal: -2 to 1"):
            reduction(x, axis=5)


class TestState:
    def test_an_augmented_assignment_makes_a_new_node(self):
        x = lg.Value(2.0)
        y = x
        y *= 3
        assert y is not x
        assert (x.data, y.data) == (2.0, 6.0)
        assert gradients(y * x, x) == [12.0]

    def test_an_item_is_set_in_a_copy(self):
        x = lg.Value([1.0, 2.0, 3.0])
        with pytest.raises(lg.SymbolicError, match=r"x = x.at\[...\].set\(v\)"):
            x[1] = 5.0
        y = x.at[1].multiply(5.0)
        np.testing.assert_array_equal(y.data, [1, 10, 3])
        np.testing.assert_array_equal(gradients(y, x)[0], [1, 5, 1])

    def test_a_parameter_changed_after_forward_gives_no_mixed_gradient(self):
        x, w = lg.placeholder((), name="x"), lg.Value(2.0, name="w")
        y = w * w * x
        y.forward(x=3.0)
        w.data = 5.0
        with pytest.raises(lg.StaleForwardError, match="w changed after forward"):
            y.backward()
        y.forward(x=3.0)
        assert gradients(y, w) == [30.0]

    def test_a_write_never_changes_shape_or_dtype(self):
        w = lg.Value([1.0, 2.0])
        with pytest.raises(lg.ShapeError):
            w.data = [1.0, 2.0, 3.0]
        w.data = np.array([3, 4])
        assert w.data.dtype == np.float64

    def test_any_node_starts_backward_as_often_as_asked(self):
        x = lg.Value([1.0, 2.0])
        middle = x * 3
        end = middle**2
        np.testing.assert_array_equal(gradients(middle, x)[0], [3, 3])
        np.testing.assert_array_equal(gradients(end, x)[0], [18, 36])
        np.testing.assert_array_equal(gradients(middle, x)[0], [3, 3])

    def test_a_seed_of_another_shape_or_without_real_numbers_is_refused(self):
        x = lg.Value([1.0, 2.0])
        y = x * x
        with pytest.raises(lg.ShapeError, match=r"must have its shape, \[2\], got \[3\]"):
            y.backward(seed=np.ones(3))
        with pytest.raises(TypeError, match="complex128"):
            y.backward(seed=np.ones(2) * 1j)
        y.backward(seed=np.array([1, 10]))
        np.testing.assert_array_equal(x.grad, [2, 40])

    def test_backward_of_what_requires_no_gradient_is_refused(self):
        with lg.no_grad():
            y = lg.Value(2.0) * 3
        with pytest.raises(lg.DTypeError, match="requires no gradient"):
            y.backward()

    def test_no_grad_nests_decorates_and_ends_with_an_exception(self):
        @lg.no_grad()
        def doubled(x):
            return x * 2

        x = lg.Value(1.0)
        assert not doubled(x).requires_grad
        with pytest.raises(KeyError), lg.no_grad(), lg.no_grad():
            raise KeyError
        assert (x * 2).requires_grad


class TestCustomOperations:
    def test_metadata_and_operands_without_gradient(self):
        @lg.custom_op(vjp=lambda g, y, x, weights, *, power: (g * weights * power * x, None))
        def weighted_square(x, weights, *, power):
            return weights * x**power

        x, weights = lg.Value([1.0, 2.0]), lg.Value([3.0, 4.0])
        y = weighted_square(x, weights, power=2)
        np.testing.assert_array_equal(y.data, [3, 16])
        np.testing.assert_array_equal(gradients(y, x)[0], [6, 16])
        assert weights.grad is None
        assert "weighted_square" in str(lg.Graph([y]))

    def test_it_reads_its_operands_and_never_writes_them(self):
        @lg.custom_op(vjp=lambda g, y, x: (g,))
        def careless(x):
            x += 1.0
            return x

        x = lg.Value([1.0, 2.0])
        with pytest.raises(lg.OperationError, match="careless"):
            careless(x).forward()
        np.testing.assert_array_equal(x.data, [1, 2])

    def test_an_exception_inside_disables_nothing_and_names_the_operation(self):
        @lg.custom_op(vjp=lambda g, y, x: (2 * x * g,))
        def refuses_negatives(x):
            if (x < 0).any():
                raise ArithmeticError("negative")
            return x * x

        x, w = lg.placeholder((), name="x"), lg.Value(1.0)
        y = refuses_negatives(w * x)
        with pytest.raises(lg.OperationError, match=r"refuses_negatives.*ArithmeticError: neg"):
            y.forward(x=-1.0)
        assert (w * 2).requires_grad
        assert y.forward(x=3.0) == 9.0
        assert gradients(y, w) == [18.0]


class TestMistakesOfTheAncestors:
    def test_sixty_diamonds_in_a_row(self):
        x = y = lg.Value(1.0)
        for _ in range(60):
            y = y + y
        assert y.data == 2.0**60
        assert gradients(y, x) == [2.0**60]

    def test_a_chain_of_a_hundred_thousand_nodes(self):
        x = y = lg.placeholder((), name="x", requires_grad=True)
        for _ in range(50_000):
            y = -(y + 1.0)
        assert y.forward(x=2.0) == 2.0
        assert gradients(y, x) == [1.0]

    @pytest.mark.parametrize("shape", [(1,), (1, 1), (3, 1), (1, 4), (4,), ()])
    def test_lengths_of_1_broadcast_and_sum_back(self, shape):
        x, y = lg.Value(np.ones(shape)), lg.Value(np.full((3, 4), 2.0))
        gx, gy = gradients(x * y, x, y)
        np.testing.assert_array_equal(gx, np.full(shape, 2 * 12 / np.prod(shape)))
        np.testing.assert_array_equal(gy, np.ones((3, 4)))

    def test_a_bias_vector(self):
        b = lg.Value(np.zeros(16))
        np.testing.assert_array_equal(gradients(b + np.ones((100, 16)), b)[0], np.full(16, 100))

    @pytest.mark.parametrize("exponent", [2, 2.0, np.float64(2.0), lg.constant(2.0)])
    def test_the_slope_of_a_square_at_0_is_0(self, exponent):
        x = lg.Value([-1.0, 0.0, 1.0])
        np.testing.assert_array_equal(gradients(x**exponent, x)[0], [-2, 0, 2])

    def test_a_square_takes_no_logarithm_of_its_base(self):
        x = lg.Value(-3.0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert gradients(x**2, x) == [-6.0]
        assert "log" not in str(lg.Graph([lg.grad(x**2, x)]))

    def test_integers_to_the_power_of_minus_1(self):
        x = lg.Value([1, 2, 4])
        for y in (x**-1, 1 / x):
            np.testing.assert_array_equal(y.data, [1, 0.5, 0.25])
            np.testing.assert_array_equal(gradients(y, x)[0], [-1, -0.25, -0.0625])

    def test_a_number_divided_by_integers(self):
        x = lg.Value([1, 2, 4])
        y = 2 / x
        np.testing.assert_array_equal(y.data, [2, 1, 0.5])
        np.testing.assert_array_equal(gradients(y, x)[0], [-2, -0.5, -0.125])

    def test_a_sum_of_a_scalar(self):
        x = lg.Value(3.0)
        assert gradients((x**2).sum(), x) == [6.0]

    def test_backward_from_a_leaf(self):
        x = lg.Value([1.0, 2.0])
        np.testing.assert_array_equal(gradients(x, x)[0], [1, 1])

    def test_a_feed_changed_after_forward_changes_nothing(self):
        x, w = lg.placeholder((2,), name="x"), lg.Value(1.0)
        y = (w * x) ** 2
        fed = np.array([1.0, 2.0])
        y.forward(x=fed)
        fed[:] = 100.0
        assert gradients(y, w) == [10.0]
        np.testing.assert_array_equal(x.data, [1, 2])

    def test_data_is_copied_at_the_door(self):
        array = np.array([1.0, 2.0])
        x = lg.Value(array)
        y = x * array
        array[:] = 100.0
        np.testing.assert_array_equal(y.data, [1, 4])

    def test_two_placeholders_of_one_name_are_refused(self):
        one, other = lg.placeholder((), name="x"), lg.placeholder((), name="x")
        with pytest.raises(lg.DuplicateNameError, match="'x'"):
            (one + other).forward(x=1.0)

    def test_a_softmax_of_large_numbers(self):
        x = lg.Value([[1000.0, 1000.0], [-1000.0, 1000.0]])
        y = lg.softmax(x, axis=-1)
        np.testing.assert_array_equal(y.data, [[0.5, 0.5], [0, 1]])
        np.testing.assert_array_equal(gradients(y[:, 0], x)[0], [[0.25, -0.25], [0, 0]])
        np.testing.assert_array_equal(lg.log_softmax(x, axis=-1).data[1], [-2000, 0])

    def test_a_softmax_row_far_below_another(self):
        x = lg.Value([[1e6, 1e6], [-1e6, -1e6]])
        np.testing.assert_array_equal(lg.softmax(x, axis=-1).data, np.full((2, 2), 0.5))

    def test_a_tanh_of_large_numbers(self):
        x = lg.Value([-100.0, 100.0, 1000.0])
        np.testing.assert_array_equal(lg.tanh(x).data, [-1, 1, 1])
        np.testing.assert_array_equal(gradients(lg.tanh(x), x)[0], [0, 0, 0])

    def test_the_standard_deviation_of_equal_values_has_slope_0(self):
        x = lg.Value([2.0, 2.0, 2.0])
        assert lg.std(x).data == 0.0
        np.testing.assert_array_equal(gradients(lg.std(x), x)[0], [0, 0, 0])

    def test_a_gradient_kept_by_the_user_is_theirs(self):
        x, w = lg.placeholder((2,), name="x"), lg.Value([1.0, 1.0])
        y = w * x
        y.forward(x=[1.0, 2.0])
        kept = gradients(y, w)[0]
        for number in range(4):
            y.forward(x=[float(number), 0.0])
            y.backward()
        np.testing.assert_array_equal(kept, [1, 2])

    @pytest.mark.parametrize(
        ("left", "right"), [((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((5, 2, 3), (3,))]
    )
    def test_matmul_with_one_axis(self, left, right):
        rng = np.random.default_rng(0)
        a, b = lg.Value(rng.normal(size=left)), lg.Value(rng.normal(size=right))
        ga, gb = gradients(a @ b, a, b)
        assert ga.shape == left
        assert gb.shape == right
        testing.check_gradient(a @ b, [a, b])

    def test_the_mean_along_one_axis(self):
        x = lg.Value(np.arange(6.0).reshape(2, 3))
        np.testing.assert_array_equal(x.mean(axis=1).data, [1, 4])
        np.testing.assert_array_equal(gradients(x.mean(axis=0), x)[0], np.full((2, 3), 0.5))


class TestLayersAndOptimizers:
    """What users of the ancestors expect of models; the moons are in tests/examples."""

    def test_the_moons_network_has_337_parameters(self):
        model = lg.nn.MLP(2, [16, 16, 1])
        assert model.count_parameters() == 337
        assert model(np.zeros((100, 2))).shape == (100,)

    def test_a_rate_may_be_a_generator_with_one_rate_a_step(self):
        w = lg.Value(1.0)
        optimizer = lg.optim.SGD((rate for rate in (0.5, 0.25)), parameters=[w])
        loss = 1.0 * w
        for expected in (0.5, 0.25):
            loss.forward()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            assert w.data == expected

    @pytest.mark.parametrize(
        "optimizer", [lg.optim.SGD(0.2), lg.optim.RMSProp(2e-3), lg.optim.Adam(2e-3)], ids=repr
    )
    def test_digits_to_95_percent_by_log_softmax_and_nll(self, optimizer):
        images, labels = lg.data.digits()
        rows, held = lg.data.train_test_split(x=images / 16, t=labels)
        rng = np.random.default_rng(0)
        first = lg.nn.Parameter(rng.uniform(-1, 1, (64, 128)) / np.sqrt(64 * 128) * 8)
        second = lg.nn.Parameter(rng.uniform(-1, 1, (128, 10)) / np.sqrt(1280) * 8)
        x = lg.placeholder(("batch", 64), dtype="float32", name="x")
        t = lg.placeholder(("batch",), dtype="int64", name="t")
        logs = lg.log_softmax(lg.relu(x @ first) @ second, axis=1)
        loss = lg.nn.nll(logs, t)
        step = lg.compile(loss, updates=optimizer.minimize(loss))
        for epoch in range(30):
            for batch in lg.data.minibatches(rows, batch_size=64, shuffle=True, seed=epoch):
                step(**batch)
        guess = lg.compile(logs.argmax(axis=1))(x=held["x"])
        assert np.mean(guess == held["t"]) > 0.95

    def test_a_convolution_takes_any_number_of_leading_axes(self):
        rng = np.random.default_rng(0)
        x, w = rng.normal(size=(2, 3, 2, 6, 5)), rng.normal(size=(4, 2, 3, 2))
        whole = lg.conv(x, w, stride=(2, 1)).data
        np.testing.assert_allclose(whole[1, 2], lg.conv(x[1, 2], w, stride=(2, 1)).data)

    def test_deleting_and_freezing_parameters(self):
        layer = lg.nn.Linear(3, 2)
        assert layer.count_parameters() == 8
        layer.freeze()
        assert (layer.count_parameters(), layer.count_parameters(trainable=True)) == (8, 0)
        layer.unfreeze()
        del layer.bias
        assert [path for path, _ in layer.named_parameters()] == ["weight"]

    def test_nested_names_keep_their_prefixes_and_apply_reaches_all(self):
        inner = lg.nn.Sequential(lg.nn.Linear(2, 2))
        outer = lg.nn.Sequential({"m": inner})
        assert [path for path, _ in outer.named_parameters()] == ["m.0.weight", "m.0.bias"]
        seen = []
        outer.apply(lambda module: seen.append(type(module).__name__))
        assert seen == ["Linear", "Sequential", "Sequential"]
