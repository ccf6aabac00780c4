"""The branch not taken contributes nothing to a gradient, not even NaN."""

import numpy as np
import pytest

import lazygrad as lg


def gradients(expression, data):
    """Give the gradient of the sum, by a program, by a pair, and by forward mode."""
    data = np.asarray(data, float)
    x = lg.placeholder(data.shape, name="x", requires_grad=True)
    y = expression(x)
    program = lg.compile(lg.grad(y.sum(), x))
    y.sum().forward(x=data)
    total = y.sum()
    total.forward(x=data)
    total.backward()
    found = [program(x=data), x.grad]
    if y.shape == x.shape:
        found.append(lg.compile(lg.jvp(y, x, np.ones(data.shape)))(x=data))
    return found


def check(expression, data, expected):
    for gradient in gradients(expression, data):
        np.testing.assert_allclose(gradient, expected)


def test_the_example_of_the_contract():
    check(lambda x: lg.where(x > 0, lg.sqrt(x), 0), [-1.0, 0.0, 4.0], [0.0, 0.0, 0.25])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (lambda x: lg.where(x > 0, lg.log(x), x), [1.0, 1.0, 0.25]),
        (lambda x: lg.where(x > 0, 1 / x, 0), [0.0, 0.0, -0.0625]),
        (lambda x: lg.where(x > 0, lg.log(lg.sqrt(x)), 0), [0.0, 0.0, 0.125]),
        (lambda x: lg.where(x <= 0, 0, x**0.5), [0.0, 0.0, 0.25]),
        (lambda x: np.where(x > 0, np.sqrt(x), 0), [0.0, 0.0, 0.25]),
        (lambda x: lg.where(x > 0, lg.sqrt(x).reshape(3), 0), [0.0, 0.0, 0.25]),
        (lambda x: lg.where(x > 0, lg.where(x > 1, lg.sqrt(x), 0), 0), [0.0, 0.0, 0.25]),
    ],
)
def test_spellings(expression, expected):
    check(expression, [-1.0, 0.0, 4.0], expected)


def test_slices_and_indexing_carry_the_mask():
    check(lambda x: lg.sqrt(x)[1:].sum(), [0.0, 1.0, 4.0], [0.0, 0.5, 0.25])
    check(lambda x: lg.log(x)[np.array([2])].sum(), [0.0, -1.0, 4.0], [0.0, 0.0, 0.25])
    check(lambda x: lg.sqrt(x)[x > 0].sum(), [0.0, 1.0, 4.0], [0.0, 0.5, 0.25])


def test_a_branch_that_is_taken_elsewhere_still_counts():
    with np.errstate(all="ignore"):
        found = gradients(lambda x: lg.where(x > 0, lg.sqrt(x), 0) + lg.sqrt(x), [0.0, 4.0])
    for gradient in found:
        np.testing.assert_allclose(gradient, [np.inf, 0.5])


def test_nan_in_the_branch_taken_stays():
    for gradient in gradients(lambda x: lg.where(x < 0, lg.log(x), 0), [-1.0, 1.0]):
        np.testing.assert_array_equal(gradient, [np.nan, 0.0])


def test_second_derivatives_at_a_zero_residual_do_not_vanish():
    x = lg.Value(np.array([1.0, 2.0]))
    residual = lg.where(x > 0, x * x - x.data.copy() ** 2, 0)
    y = (residual * residual).sum()
    g = lg.grad(y, x)
    np.testing.assert_array_equal(g.data, [0.0, 0.0])
    h = lg.grad(g.sum(), x)
    np.testing.assert_allclose(h.data, 8 * np.array([1.0, 4.0]))


def test_second_derivatives_are_safe_too():
    x = lg.placeholder((3,), name="x")
    g = lg.grad(lg.where(x > 0, lg.sqrt(x), 0).sum(), x)
    h = lg.compile(lg.grad(g.sum(), x))(x=[-1.0, 0.0, 4.0])
    np.testing.assert_allclose(h, [0.0, 0.0, -0.25 * 4.0**-1.5])


def test_select_is_as_safe():
    if not hasattr(lg, "select"):
        pytest.skip("there is no select")
    check(
        lambda x: lg.select([x > 1, x > 0], [lg.sqrt(x), lg.log(x)], 0),
        [-1.0, 0.0, 0.5, 4.0],
        [0.0, 0.0, 2.0, 0.25],
    )
