"""Which leaves get gradients, and how to keep one from flowing."""

import asyncio

import numpy as np
import pytest

import lazygrad as lg


def test_values_require_gradients_and_fed_or_fixed_ones_do_not():
    assert lg.Value([1.0]).requires_grad
    assert lg.Value(shape=(2,), name="x").requires_grad
    assert lg.variable([1.0]).requires_grad
    assert not lg.placeholder((2,), name="x").requires_grad
    assert not lg.constant([1.0]).requires_grad


def test_unless_asked():
    assert not lg.Value([1.0], requires_grad=False).requires_grad
    assert lg.placeholder((2,), name="x", requires_grad=True).requires_grad


def test_results_require_one_if_an_operand_does():
    x, w = lg.placeholder((2,), name="x"), lg.Value([1.0, 2.0])
    assert (x * w).requires_grad
    assert not (x * 2).requires_grad
    assert not (w > 1).requires_grad
    assert not w.argmax().requires_grad


def test_leaves_that_do_not_require_one_get_none():
    x, w = lg.placeholder((2,), name="x"), lg.Value([1.0, 2.0])
    still = lg.Value([3.0, 4.0], requires_grad=False)
    y = (x * w * still).sum()
    y.forward(x=[1.0, 1.0])
    y.backward()
    assert x.grad is None
    assert still.grad is None
    np.testing.assert_array_equal(w.grad, [3.0, 4.0])


def test_grad_may_be_asked_for_any_node():
    x = lg.placeholder((2,), name="x")
    h = x * x
    g = lg.grad((h * 3).sum(), [x, h])
    a, b = lg.compile(g)(x=[1.0, 2.0])
    np.testing.assert_array_equal(a, [6.0, 12.0])
    np.testing.assert_array_equal(b, [3.0, 3.0])


def test_no_grad_as_a_block():
    w = lg.Value([1.0, 2.0])
    with lg.no_grad():
        inside = w * 3
    assert not inside.requires_grad
    assert (w * 3).requires_grad
    (inside * w).backward()
    np.testing.assert_array_equal(w.grad, [3.0, 6.0])
    with pytest.raises(lg.DisconnectedError):
        lg.grad(inside.sum(), w)


def test_no_grad_as_a_decorator():
    @lg.no_grad()
    def triple(x):
        return x * 3

    w = lg.Value(2.0)
    assert not triple(w).requires_grad
    assert not triple(w).requires_grad
    assert (w * 3).requires_grad


def test_no_grad_ends_with_an_error_inside():
    w = lg.Value(2.0)
    with pytest.raises(ZeroDivisionError), lg.no_grad():
        1 / 0
    assert (w * 3).requires_grad


def test_no_grad_belongs_to_a_context():
    async def inside():
        with lg.no_grad():
            await asyncio.sleep(0)
            made = lg.Value(1.0) * 2
            await asyncio.sleep(0)
            return made.requires_grad

    async def outside():
        await asyncio.sleep(0)
        return (lg.Value(1.0) * 2).requires_grad

    async def both():
        return await asyncio.gather(inside(), outside())

    assert asyncio.run(both()) == [False, True]


def test_stop_gradient():
    x = lg.Value(3.0)
    (x * lg.stop_gradient(x)).backward()
    assert x.grad == 3.0
    y = lg.stop_gradient(x * 2) + 0
    assert y.data == 6.0
    with pytest.raises(lg.DisconnectedError):
        lg.grad(y, x)
    assert lg.jvp(x * lg.stop_gradient(x), x, 1.0).data == 3.0


def test_a_leaf_used_twice_gets_the_sum():
    x = lg.Value([1.0, 2.0])
    (x * x + x).backward()
    np.testing.assert_array_equal(x.grad, [3.0, 5.0])
