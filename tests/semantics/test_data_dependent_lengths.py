"""A boolean mask computed in the graph gives a length that is known only in mid-run."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.schedule.buffers import Kind


@pytest.fixture
def x():
    return lg.placeholder(("n",), name="x", requires_grad=True)


def test_a_mask_picks_as_many_as_it_is_true(x):
    positive = x[x > 0]
    assert positive.shape[0].is_data_dependent
    f = lg.compile([positive, positive.sum(), positive * 2 + 1])
    for data in ([1.0, -1.0, 2.0], [-1.0], [3.0, 3.0, 3.0], []):
        array = np.asarray(data, float)
        picked, total, moved = f(x=array)
        np.testing.assert_array_equal(picked, array[array > 0])
        assert total == array[array > 0].sum()
        np.testing.assert_array_equal(moved, array[array > 0] * 2 + 1)


def test_its_gradient_scatters_back(x):
    y = (x[x > 0] ** 2).sum()
    y.forward(x=[1.0, -1.0, 3.0])
    y.backward()
    np.testing.assert_array_equal(x.grad, [2.0, 0.0, 6.0])
    y.forward(x=[-1.0, -2.0])
    y.backward()
    np.testing.assert_array_equal(x.grad, [0.0, 0.0])


def test_the_same_mask_gives_the_same_length(x):
    mask = x > 0
    both = x[mask] + (x * 10)[mask]
    np.testing.assert_array_equal(lg.compile(both)(x=[1.0, -1.0, 2.0]), [11.0, 22.0])


def test_equality_with_another_length_is_checked_in_mid_run(x):
    y = x[x > 0] + lg.placeholder((2,), name="y")
    f = lg.compile(y)
    np.testing.assert_array_equal(f(x=[1.0, -1.0, 2.0], y=[1.0, 1.0]), [2.0, 3.0])
    for data in ([1.0, 2.0, 3.0], [1.0]):
        with pytest.raises(lg.LazygradError, match=r"test_data_dependent_lengths.py:\d+"):
            f(x=data, y=[1.0, 1.0])
    np.testing.assert_array_equal(f(x=[1.0, -1.0, 2.0], y=[1.0, 1.0]), [2.0, 3.0])


def test_a_length_that_turns_out_to_be_one_does_not_broadcast(x):
    y = lg.Value([1.0, 1.0])
    for node in (x[x > 0] + y, (x[x > 0] + y) * 2, x[x > 0] + x[x < 0]):
        f = lg.compile(node)
        with pytest.raises(lg.ShapeError, match=r"add \(test_data_.*py:\d+\) needs equal lengths"):
            f(x=[1.0, -1.0, -2.0])
        with pytest.raises(lg.ShapeError, match="needs equal lengths"):
            node.forward(x=[1.0, -1.0, -2.0])
    assert f(x=[1.0, -3.0, 0.0]).tolist() == [-2.0]


def test_its_value_and_gradient_can_be_asked_for(x):
    picked = x[x > 0]
    doubled = picked * 2
    y = doubled.sum()
    y.forward(x=[1.0, -1.0, 3.0])
    np.testing.assert_array_equal(picked.data, [1.0, 3.0])
    np.testing.assert_array_equal(doubled.data, [2.0, 6.0])
    y.backward()
    np.testing.assert_array_equal(doubled.grad, [1.0, 1.0])
    np.testing.assert_array_equal(picked.grad, [2.0, 2.0])


def test_an_error_in_mid_run_leaves_variables_as_they_were(x):
    w = lg.Value([1.0, 1.0])
    f = lg.compile([], updates={w: w + x[x > 0]})
    with pytest.raises(lg.LazygradError):
        f(x=[1.0, 2.0, 3.0])
    np.testing.assert_array_equal(w.data, [1.0, 1.0])
    f(x=[1.0, 2.0, -3.0])
    np.testing.assert_array_equal(w.data, [2.0, 3.0])


def test_results_belong_to_the_user(x):
    f = lg.compile([x[x > 0], x[x > 0]])
    a, b = f(x=[1.0, 2.0])
    assert not np.shares_memory(a, b)
    a[:] = 7
    c, _ = f(x=[3.0, 4.0])
    np.testing.assert_array_equal(a, [7.0, 7.0])
    np.testing.assert_array_equal(b, [1.0, 2.0])
    np.testing.assert_array_equal(c, [3.0, 4.0])


def test_what_follows_a_reduction_is_planned_again(x):
    f = lg.compile(x * x[x > 0].sum())
    np.testing.assert_array_equal(f(x=[1.0, -1.0, 2.0]), [3.0, -3.0, 6.0])
    planned = f.planned(n=3).plan
    of_data = [storage for storage in planned.storage if storage.kind is Kind.FRESH]
    assert planned.shapes.count(None) == len(of_data)
    assert planned.storage[-1].kind is Kind.OUTPUT


def test_a_constant_mask_gives_a_known_length(x):
    fixed = lg.placeholder((3,), name="y")[np.array([True, False, True])]
    assert fixed.shape == (2,)
