"""Feeds go by name and are checked at the door; all kinds of data are tried in another file."""

import numpy as np
import pytest

import lazygrad as lg


@pytest.fixture
def graph():
    x = lg.placeholder(("n", 2), dtype="float32", name="features")
    t = lg.placeholder(("n",), dtype="int8", name="targets")
    return x.sum(axis=1) + t


@pytest.mark.parametrize(
    ("feeds", "error", "words"),
    [
        ({"feature": 1.0}, lg.UnknownFeedError, "Did you mean 'features'"),
        ({"features": np.ones((2, 3))}, lg.ShapeError, r"expected \[n, 2\], got \[2, 3\]"),
        ({"targets": [1.5, 2.0]}, lg.DTypeError, "float64 data can't become int8"),
        ({"targets": [1, 300]}, lg.DTypeError, "values from 1 to 300 don't fit int8"),
        ({"targets": [1, 2, 3]}, lg.ShapeError, "n is 2, from feed 'features'"),
        ({"targets": ["cat", "dog"]}, lg.DTypeError, "class indices"),
    ],
)
def test_an_error_names_placeholder_line_what_came_and_what_was_meant(graph, feeds, error, words):
    good = {"features": np.ones((2, 2)), "targets": [1, 2]}
    for run in (lg.compile(graph), graph.forward):
        with pytest.raises(error, match=words) as caught:
            run(**{**good, **feeds})
        assert "test_feeds.py:" in str(caught.value)
        assert any(f"placeholder {name!r}" in str(caught.value) for name in good)
        np.testing.assert_array_equal(run(**good), [3.0, 4.0])


def test_bool_to_any_integer_to_float_float_to_float_integer_to_integer(graph):
    f = lg.compile(graph)
    for features in (np.ones((2, 2), bool), np.ones((2, 2), int), np.ones((2, 2), "float64")):
        for targets in (np.array([True, False]), np.array([1, 0]), np.array([1, 0], np.uint64)):
            result = f(features=features, targets=targets)
            np.testing.assert_array_equal(result, [3.0, 2.0])
            assert result.dtype == np.float32


@pytest.mark.parametrize("length", [3, "n"])
def test_a_gradient_that_does_not_depend_on_a_placeholder_may_still_be_fed_it(length):
    x, t = lg.placeholder((length,), name="x"), lg.placeholder((length,), name="t")
    linear = (2 * x + t).sum()
    g = lg.grad(linear, x)
    f = lg.compile(g)
    for _ in range(2):
        np.testing.assert_array_equal(f(x=[1.0, 2.0, 3.0], t=np.ones(3)), [2.0, 2.0, 2.0])
        np.testing.assert_array_equal(f(x=np.ones(3)), [2.0, 2.0, 2.0])
        np.testing.assert_array_equal(g.forward(x=[1.0, 2.0, 3.0]), [2.0, 2.0, 2.0])
    square = lg.grad(lg.grad((x * x).sum(), x).sum(), x)
    np.testing.assert_array_equal(lg.compile(square)(x=np.ones(3)), [2.0, 2.0, 2.0])
    with pytest.raises(lg.UnknownFeedError, match="no placeholder is named 'y'"):
        f(x=np.ones(3), y=1.0)
    with pytest.raises(lg.ShapeError, match="feed 'x'"):
        f(x=np.ones((3, 3)))
    if length == "n":
        with pytest.raises(lg.MissingFeedError, match="no feed for 'x'"):
            lg.compile(g)()
