"""Nodes never change: in-place spellings give new ones, or say what to write."""

import numpy as np
import pytest

import lazygrad as lg

SIGNS = ["+", "-", "*", "/", "//", "%", "**", "@", "&", "|", "^", "<<", ">>"]


@pytest.mark.parametrize("sign", SIGNS)
def test_augmented_assignment_rebinds_the_name(sign):
    kind = "int64" if sign in ("&", "|", "^", "<<", ">>") else "float64"
    x = lg.Value(np.array([[3, 1], [2, 5]], kind))
    before = x
    scope = {"x": x, "y": np.array([[1, 2], [2, 1]], kind)}
    exec(f"x {sign}= y", scope)
    assert scope["x"] is not before
    np.testing.assert_array_equal(before.data, np.array([[3, 1], [2, 5]], kind))
    expected = eval(f"a {sign} y", {"a": before.data, "y": scope["y"]})
    np.testing.assert_array_equal(scope["x"].data, expected)


def test_earlier_results_keep_what_they_were_made_of():
    x = lg.placeholder((2,), name="x")
    y = x * 2
    f = lg.compile(y)
    x += 10
    np.testing.assert_array_equal(f(x=[1.0, 2.0]), [2.0, 4.0])


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("set", [1.0, 7.0, 3.0]),
        ("add", [1.0, 9.0, 3.0]),
        ("multiply", [1.0, 14.0, 3.0]),
        ("min", [1.0, 2.0, 3.0]),
        ("max", [1.0, 7.0, 3.0]),
    ],
)
def test_at_gives_new_values(method, expected):
    x = lg.Value([1.0, 2.0, 3.0])
    y = getattr(x.at[1], method)(7.0)
    np.testing.assert_array_equal(y.data, expected)
    np.testing.assert_array_equal(x.data, [1.0, 2.0, 3.0])


def test_item_assignment_says_what_to_write():
    x = lg.placeholder((3,), name="x")
    with pytest.raises(
        lg.SymbolicError, match=r"x = x\.at\[\.\.\.\]\.set\(v\)(.|\n)*test_append_only"
    ):
        x[0] = 1.0
    with pytest.raises(lg.SymbolicError, match="immutable"):
        x[0] += 1.0
    with pytest.raises((TypeError, AttributeError)):
        del x[0]


@pytest.mark.parametrize("name", ["shape", "dtype", "ndim", "T", "schedule"])
def test_facts_cannot_be_assigned(name):
    with pytest.raises(AttributeError):
        setattr(lg.Value([1.0]), name, None)


def test_unknown_attributes_cannot_be_made_up():
    with pytest.raises(AttributeError):
        lg.Value([1.0]).date = [2.0]


def test_only_data_of_a_variable_can_be_set():
    x = lg.placeholder((2,), name="x")
    for node in (x, x * 2, lg.constant([1.0, 2.0])):
        with pytest.raises(lg.OptionError, match="only a variable's data can be set"):
            node.data = [1.0, 2.0]
    with pytest.raises(AttributeError):
        x.grad = 0.0
