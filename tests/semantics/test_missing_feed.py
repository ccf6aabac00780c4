"""A program refuses to run without what it needs; a node goes on with NaN, and says so."""

import numpy as np
import pytest

import lazygrad as lg


@pytest.fixture
def x():
    return lg.placeholder((2,), name="x", requires_grad=True)


@pytest.fixture
def y():
    return lg.placeholder((2,), name="y")


def test_a_program_raises(x, y):
    f = lg.compile(x + y)
    with pytest.raises(
        lg.MissingFeedError, match=r"no feed for 'y'; fed: 'x'(.|\n)*test_missing_feed"
    ):
        f(x=[1.0, 2.0])
    with pytest.raises(lg.MissingFeedError, match="no feed for 'x', 'y'; fed: nothing"):
        f()
    np.testing.assert_array_equal(f(x=[1.0, 2.0], y=[1.0, 1.0]), [2.0, 3.0])


def test_a_node_warns_and_fills_with_nan(x, y):
    z = lg.relu(x * y)
    with pytest.warns(
        lg.MissingFeedWarning, match=r"no feed for 'y', filled with NaN(.|\n)*test_miss"
    ):
        result = z.forward(x=[1.0, 2.0])
    assert np.isnan(result).all()


def test_the_warning_points_at_the_line_of_the_user(x, y):
    with pytest.warns(lg.MissingFeedWarning) as caught:
        (x + y).forward(x=[1.0, 2.0])
    assert caught[0].filename == __file__


def test_nan_reaches_the_result_through_choices(x, y):
    for node in (lg.relu(y), lg.maximum(y, 0), lg.clip(y, 0, 1), abs(y), y.max(), y.sum()):
        assert np.isnan((node + x.sum()).forward(x=[1.0, 2.0], missing="nan")).all()


def test_missing_overrides_either(x, y):
    z = x + y
    assert np.isnan(z.forward(x=[1.0, 2.0], missing="nan")).all()
    with pytest.raises(lg.MissingFeedError, match="no feed for 'y'; fed: 'x'"):
        z.forward(x=[1.0, 2.0], missing="raise")
    with pytest.raises(lg.OptionError, match=r'must be "warn", "nan" or "raise", got .never.'):
        z.forward(x=[1.0, 2.0], missing="never")


def test_a_placeholder_may_be_called_missing():
    x = lg.placeholder((2,), name="missing")
    np.testing.assert_array_equal((x * 2).forward(missing=np.ones(2)), [2.0, 2.0])
    np.testing.assert_array_equal((x * 2).forward(missing=[1.0, 1.0]), [2.0, 2.0])
    np.testing.assert_array_equal(lg.compile(x * 2)(missing=[1.0, 1.0]), [2.0, 2.0])


def test_what_cannot_hold_nan_or_has_no_known_length_is_refused():
    count = lg.placeholder((2,), dtype="int64", name="count")
    with pytest.raises(lg.MissingFeedError, match="no feed for 'count'"):
        (count * 2).forward()
    rows = lg.placeholder(("n",), name="rows")
    with pytest.raises(lg.MissingFeedError, match="no feed for 'rows'"):
        (rows * 2).forward()
    other = lg.placeholder(("n",), name="other")
    with pytest.warns(lg.MissingFeedWarning):
        assert np.isnan((rows + other).forward(other=[1.0])).tolist() == [True]


def test_a_complete_forward_after_an_incomplete_one_gives_numbers(x, y):
    z = x + y
    with pytest.warns(lg.MissingFeedWarning):
        z.forward(x=[1.0, 2.0])
    np.testing.assert_array_equal(z.forward(x=[1.0, 2.0], y=[1.0, 1.0]), [2.0, 3.0])
    with pytest.warns(lg.MissingFeedWarning):
        assert np.isnan(z.forward(x=[1.0, 2.0])).all()


def test_backward_without_forward_warns_too(x, y):
    z = x * y
    with pytest.warns(lg.MissingFeedWarning, match="no feed for 'x', 'y'"):
        z.backward()
    assert np.isnan(x.grad).all()


def test_a_placeholder_that_the_outputs_do_not_use_may_be_fed_or_left_out(x, y):
    f = lg.compile([x * 2, y * 0 + x], updates={})
    g = lg.compile(x * 2)
    assert len(f(x=[1.0, 1.0], y=[1.0, 1.0])) == 2
    np.testing.assert_array_equal(g(x=[1.0, 2.0]), [2.0, 4.0])
    with pytest.raises(lg.UnknownFeedError):
        g(x=[1.0, 2.0], z=[1.0, 2.0])


def test_a_placeholder_that_optimizing_removed_may_be_fed_or_left_out(x, y):
    f = lg.compile(x + lg.zeros_like(y))
    np.testing.assert_array_equal(f(x=[1.0, 2.0]), [1.0, 2.0])


def test_two_placeholders_with_one_name_are_refused(x):
    twin = lg.placeholder((2,), name="x")
    message = r"two placeholders are named 'x'((.|\n)*test_missing_feed.py:\d+){2}"
    with pytest.raises(lg.DuplicateNameError, match=message):
        lg.compile(x + twin)
    with pytest.raises(lg.DuplicateNameError, match=message):
        (x + twin).forward(x=[1.0, 2.0])
