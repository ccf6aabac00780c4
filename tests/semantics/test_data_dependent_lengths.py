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


def test_the_words_of_a_mismatch_are_those_of_fed_lengths(x):
    other = lg.placeholder(("m",), name="other")
    planned = lg.compile(lg.placeholder(("k",), name="one") + other)
    with pytest.raises(lg.ShapeError) as fed:
        planned(one=[1.0], other=[1.0, 2.0])
    running = lg.compile(x[x > 0] + other)
    with pytest.raises(lg.ShapeError) as found:
        running(x=[1.0], other=[1.0, 2.0])
    assert "needs equal lengths: k is 1 and m is 2" in str(fed.value)
    assert "needs equal lengths:" in str(found.value)
    assert "is 1 and m is 2" in str(found.value)
    assert str(found.value).startswith("add (test_data_dependent_lengths.py:")


def test_two_masks_of_different_lengths(x):
    f = lg.compile(x[x > 0] * x[x < 0])
    np.testing.assert_array_equal(f(x=[1.0, -2.0, 3.0, -4.0]), [-2.0, -12.0])
    with pytest.raises(lg.ShapeError, match=r"is 2 and .* is 1\."):
        f(x=[1.0, -2.0, 3.0])
    np.testing.assert_array_equal(f(x=[1.0, -2.0]), [-2.0])


def test_a_length_that_depends_on_two_of_them(x):
    joined = lg.concatenate([x[x > 0], x[x < 0] * 10])
    f = lg.compile([joined, joined + lg.placeholder((3,), name="y"), joined.sum()])
    picked, moved, total = f(x=[1.0, -2.0, 3.0], y=[1.0, 1.0, 1.0])
    np.testing.assert_array_equal(picked, [1.0, 3.0, -20.0])
    np.testing.assert_array_equal(moved, [2.0, 4.0, -19.0])
    assert total == -16.0
    with pytest.raises(lg.ShapeError, match="needs equal lengths"):
        f(x=[1.0, 0.0, 3.0], y=[1.0, 1.0, 1.0])


def test_the_length_as_a_number(x):
    positive = x[x > 0]
    f = lg.compile(positive.sum() / positive.shape[0])
    assert f(x=[1.0, -1.0, 3.0]) == 2.0
    assert lg.compile(positive.mean())(x=[4.0, -1.0, 2.0]) == 3.0
    assert np.isnan(lg.compile(positive.mean())(x=[-1.0]))


def test_gradients_through_what_meets_another_length(x):
    y = lg.placeholder((2,), name="y", requires_grad=True)
    loss = (x[x > 0] * y).sum()
    f = lg.compile(lg.grad(loss, [x, y]))
    gx, gy = f(x=[1.0, -1.0, 2.0], y=[5.0, 7.0])
    np.testing.assert_array_equal(gx, [5.0, 0.0, 7.0])
    np.testing.assert_array_equal(gy, [1.0, 2.0])
    with pytest.raises(lg.ShapeError, match="needs equal lengths"):
        f(x=[1.0, 1.0, 2.0], y=[5.0, 7.0])


def test_rows_of_a_matrix():
    m = lg.placeholder(("n", 3), name="m", requires_grad=True)
    w = lg.Value(np.arange(6.0).reshape(3, 2))
    rows = m[m.sum(1) > 0]
    y = (rows @ w).sum(0)
    f = lg.compile([rows, y, lg.grad(y.sum(), m), lg.grad(y.sum(), w)])
    for n in (4, 1, 0):
        data = np.random.default_rng(n).standard_normal((n, 3))
        kept = data.sum(1) > 0
        found, total, gm, gw = f(m=data)
        np.testing.assert_array_equal(found, data[kept])
        np.testing.assert_allclose(total, (data[kept] @ w.data).sum(0), atol=1e-14)
        np.testing.assert_allclose(gm, kept[:, None] * w.data.sum(1))
        np.testing.assert_allclose(gw, np.repeat(data[kept].sum(0)[:, None], 2, 1), atol=1e-14)


def test_forward_and_backward_check_too(x):
    y = x[x > 0] * lg.Value([1.0, 2.0])
    total = y.sum()
    total.forward(x=[1.0, 2.0, -1.0])
    total.backward()
    np.testing.assert_array_equal(x.grad, [1.0, 2.0, 0.0])
    with pytest.raises(lg.LazygradError):
        total.forward(x=[1.0, 2.0, 3.0])


def test_a_stack_is_reshaped(x):
    pairs = x[x > 0].reshape(-1, 2)
    f = lg.compile(pairs.sum(1))
    np.testing.assert_array_equal(f(x=[1.0, 2.0, -1.0, 3.0, 4.0]), [3.0, 7.0])
    with pytest.raises(lg.LazygradError):
        f(x=[1.0, 2.0, 3.0])


def test_a_mask_inside_a_loop():
    xs = lg.Value([[1.0, -1.0, 2.0], [-1.0, -1.0, 5.0], [-1.0, -2.0, -3.0]])
    total, sums = lg.scan(
        lambda c, row: (c + row[row > 0].sum(), (row[row > 0] ** 2).sum()), 0.0, xs
    )
    assert total.data == 8.0
    np.testing.assert_array_equal(sums.data, [5.0, 25.0, 0.0])
    np.testing.assert_array_equal(lg.grad(total, xs).data, xs.data > 0)
    with pytest.raises(lg.ShapeError, match="keep their shape from step to step"):
        lg.scan(lambda c, row: (c, row[row > 0]), 0.0, xs)


def test_a_loop_over_what_a_mask_picked(x):
    w = lg.Value(2.0)
    total, sums = lg.scan(lambda c, e: (c * w + e, c), 0.0, x[x > 0])
    f = lg.compile([total, sums, *lg.grad(total, [x, w])])
    total, sums, gx, gw = f(x=[1.0, -1.0, 3.0, 2.0])
    assert total == 12.0
    np.testing.assert_array_equal(sums, [0.0, 1.0, 5.0])
    np.testing.assert_array_equal(gx, [4.0, 0.0, 2.0, 1.0])
    assert gw == 7.0
    total, sums, gx, gw = f(x=[-1.0])
    assert (total, sums.shape, gw) == (0.0, (0,), 0.0)
