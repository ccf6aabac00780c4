"""Lengths of axes: numbers, names, anonymous; checked when a node is made, or when bound."""

import numpy as np
import pytest

import lazygrad as lg


def declared(*shape, name="x", **options):
    return lg.placeholder(shape, name=name, **options)


def test_a_length_is_an_integer_a_name_or_anonymous():
    x = declared(3, "batch", None)
    assert x.shape[0] == 3
    assert str(x.shape[1]) == "batch"
    assert isinstance(x.shape[2], lg.Length)
    assert lg.compile(x * 1)(x=np.ones((3, 2, 4))).shape == (3, 2, 4)


def test_each_anonymous_length_is_one_of_its_own():
    x, y = declared(None), declared(None, name="y")
    assert x.shape != y.shape
    f = lg.compile([x.sum(), y.sum()])
    assert f(x=np.ones(2), y=np.ones(5)) == [2.0, 5.0]


def test_lengths_that_are_known_to_differ_are_refused_when_the_node_is_made():
    with pytest.raises(lg.ShapeError, match="axis -1 has lengths 3 and 4"):
        declared(3) + declared(4, name="y")
    x = declared("n")
    with pytest.raises(lg.ShapeError, match="axis -1 has lengths n - 1 and n - 2"):
        x[1:] + x[:-2]


def test_equal_forms_are_fine():
    x = declared("n")
    y = x[1:] + x[:-1]
    np.testing.assert_array_equal(lg.compile(y)(x=[1.0, 2.0, 4.0]), [3.0, 6.0])
    z = lg.concatenate([x, x]).reshape(2, x.shape[0])
    assert z.shape == (2, x.shape[0])


def test_everything_else_is_checked_when_lengths_are_bound():
    f = lg.compile(declared("n") + declared("m", name="y"))
    np.testing.assert_array_equal(f(x=[1.0, 2.0], y=[1.0, 2.0]), [2.0, 4.0])
    with pytest.raises(lg.ShapeError, match=r"test_lengths.py:\d+.* n is 2 and m is 3"):
        f(x=[1.0, 2.0], y=[1.0, 2.0, 3.0])
    np.testing.assert_array_equal(f(x=[1.0], y=[2.0]), [3.0])


def test_only_a_literal_one_broadcasts():
    one, named, y = declared(1, name="one"), declared("n"), declared("m", name="y")
    assert lg.compile(one + y)(one=[1.0], y=[1.0, 2.0]).shape == (2,)
    f = lg.compile(named + y)
    with pytest.raises(lg.ShapeError, match="n is 1 and m is 3"):
        f(x=[1.0], y=[1.0, 2.0, 3.0])
    with pytest.raises(lg.ShapeError, match="n is 1 and m is 3"):
        (named + y).forward(x=[1.0], y=[1.0, 2.0, 3.0])


def test_one_name_is_one_length_in_all_feeds():
    f = lg.compile(declared("n", 2).sum() + declared("n", name="y").sum())
    with pytest.raises(
        lg.ShapeError, match=r"feed 'y': expected \[n\], got \[3\].*n is 4, from feed 'x'"
    ):
        f(x=np.ones((4, 2)), y=np.ones(3))


def test_a_length_in_an_expression_is_a_weak_integer():
    x = declared("n", dtype="float32")
    mean = x.sum() / x.shape[0]
    assert mean.dtype == np.float32
    f = lg.compile([mean, x * x.shape[0] + 1])
    mean, scaled = f(x=np.array([1, 2, 6], "float32"))
    assert (mean, mean.dtype) == (3.0, np.float32)
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled, [4, 7, 19])


def test_attributes_may_hold_lengths():
    x = declared("n", "m")
    f = lg.compile([x.reshape(-1), x.reshape(x.shape[1], x.shape[0]), lg.zeros_like(x).sum()])
    flat, swapped, zero = f(x=np.arange(6.0).reshape(2, 3))
    assert (flat.shape, swapped.shape, zero) == ((6,), (3, 2), 0.0)


def test_lengths_are_polynomials_with_floor_division():
    x = declared("n")
    assert (2 * x.shape[0] + 3) // 2 == x.shape[0] + 1
    pairs = x[: x.shape[0] // 2 * 2].reshape(-1, 2).sum(axis=1)
    f = lg.compile(pairs)
    np.testing.assert_array_equal(f(x=np.arange(5.0)), [1.0, 5.0])
    np.testing.assert_array_equal(f(x=np.arange(6.0)), [1.0, 5.0, 9.0])


def test_a_length_given_by_a_form_is_solved_for():
    n = lg.Length.named("n")
    f = lg.compile(lg.placeholder((2 * n + 1,), name="x").sum() * n)
    assert f(x=np.ones(7)) == 21.0
    with pytest.raises(lg.ShapeError):
        f(x=np.ones(6))


def test_a_program_plans_anew_for_each_set_of_lengths():
    f = lg.compile((declared("n") * 2).sum())
    for n in (1, 4, 2, 4, 1):
        assert f(x=np.ones(n)) == 2.0 * n
    assert f.plans_made == 3


def test_a_program_keeps_a_bounded_number_of_plans():
    f = lg.compile((declared("n") * 2).sum())
    for n in range(100):
        assert f(x=np.ones(n)) == 2.0 * n
    assert f.plans_made == 100
    f(x=np.ones(99))
    assert f.plans_made == 100
    f(x=np.ones(0))
    assert f.plans_made == 101


def test_gradients_of_a_node_follow_the_lengths_of_its_feeds():
    x, w = declared("n"), lg.Value(2.0)
    y = (x * w).sum()
    for n in (3, 1, 5, 0, 3):
        assert y.forward(x=np.ones(n)) == 2.0 * n
        y.backward()
        assert w.grad == n


def test_a_length_that_nothing_fed_gives_is_refused():
    x = declared("n")
    f = lg.compile(lg.ones_like(x) * x.shape[0])
    with pytest.raises(lg.ShapeError, match="the length n comes from no placeholder"):
        f()
    g = lg.compile([x.sum(), lg.ones_like(x) * x.shape[0]])
    with pytest.raises(lg.MissingFeedError, match=r"no feed for 'x'(.|\n)*test_lengths.py:\d+"):
        g()
    np.testing.assert_array_equal(g(x=[5.0, 6.0])[1], [2.0, 2.0])


@pytest.mark.parametrize("bad", [-1, 2.5, "", True, [1.5], object()])
def test_what_is_no_length_is_refused(bad):
    with pytest.raises(lg.ShapeError, match="length"):
        lg.placeholder((bad,) if not isinstance(bad, list) else bad, name="x")
