"""A node with no placeholder below it has its value when asked."""

import numpy as np
import pytest

import lazygrad as lg


def test_it_has_its_value_when_asked():
    a, b = lg.Value([[2, 3], [5, 4]]), lg.Value([1, -1])
    c = (a @ b).relu()
    np.testing.assert_array_equal(c.data, [0, 1])
    assert str(c) == "Value(data=[0 1], grad=None)"
    assert c.grad is None


def test_it_is_recomputed_when_a_leaf_changed():
    w = lg.Value([1.0, 2.0])
    y = (w * 3).sum()
    assert y.data == 9.0
    w.data = [2.0, 2.0]
    assert y.data == 12.0
    w.data -= 1.0
    assert y.data == 6.0
    w.data[0] = 5.0
    assert y.data == 18.0
    live = w.data
    live[:] = 0
    assert y.data == 0.0


def test_it_is_recomputed_after_forward_and_backward_too():
    w = lg.Value([1.0, 2.0])
    y = (w * w).sum()
    assert y.forward() == 5.0
    y.backward()
    w.data = [3.0, 0.0]
    assert y.data == 9.0
    y.backward()
    np.testing.assert_array_equal(w.grad, [6.0, 0.0])


def test_it_is_recomputed_when_a_program_updated_a_leaf():
    w = lg.Value([1.0, 2.0])
    y = w * 2
    np.testing.assert_array_equal(y.data, [2.0, 4.0])
    step = lg.compile([], updates={w: w + 1})
    step()
    np.testing.assert_array_equal(y.data, [4.0, 6.0])
    y.forward()
    step()
    np.testing.assert_array_equal(y.data, [6.0, 8.0])


def test_no_warning_for_nan_and_infinities():
    x = lg.Value([-1.0, 0.0])
    np.testing.assert_array_equal(lg.log(x).data, [np.nan, -np.inf])
    np.testing.assert_array_equal(lg.log(x).forward(), [np.nan, -np.inf])


def test_numbers_come_from_it():
    x = lg.Value([2.0])
    assert float(x * 2) == 4.0
    assert int(x * 2) == 4
    assert (x * 2).item() == 4.0
    with pytest.raises(lg.ShapeError, match="only a value with one element converts"):
        float(lg.Value([1.0, 2.0]))


def test_with_a_placeholder_below_it_has_none():
    x = lg.placeholder((2,), name="x")
    y = x * 2
    with pytest.raises(lg.SymbolicError, match=r"depends on feeds; call forward\(x=\.\.\.\)"):
        y.data
    assert str(y) == "Value(multiply: float64[2])"
    assert y.grad is None
    y.forward(x=[1.0, 2.0])
    np.testing.assert_array_equal(y.data, [2.0, 4.0])
    np.testing.assert_array_equal(x.data, [1.0, 2.0])
    assert str(y) == "Value(data=[2. 4.], grad=None)"
    with pytest.raises(lg.SymbolicError, match="float"):
        float(x.sum())


def test_data_of_a_variable_is_live_and_of_anything_else_a_copy():
    w = lg.Value([1.0, 2.0])
    y = w * 2
    assert w.data is w.data
    y.data[:] = 7
    np.testing.assert_array_equal(y.data, [2.0, 4.0])
    fixed = lg.constant([1.0, 2.0])
    fixed.data[:] = 7
    np.testing.assert_array_equal(fixed.data, [1.0, 2.0])


def test_value_copies_at_the_door():
    array = np.ones(2)
    w, y = lg.Value(array), lg.Value([0.0, 0.0]) + array
    array[:] = 5
    np.testing.assert_array_equal(w.data, [1.0, 1.0])
    np.testing.assert_array_equal(y.data, [1.0, 1.0])


def test_the_address_shape_and_dtype_of_a_variable_never_change():
    w = lg.Value(np.ones((2, 2), "float32"))
    live = w.data
    w.data = np.zeros((2, 2))
    lg.compile([], updates={w: w + 3})()
    assert w.data is live
    assert live.dtype == np.float32
    np.testing.assert_array_equal(live, np.full((2, 2), 3.0))
    with pytest.raises(
        lg.ShapeError, match=r"the data of variable: new data must have shape \[2, 2\]"
    ):
        w.data = np.zeros(4)
