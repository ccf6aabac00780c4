"""Every message says who, what came, what was expected, and the line of the user."""

import inspect
import warnings

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import errors, testing


def here():
    """Name the line that calls this, as messages do."""
    frame = inspect.currentframe().f_back
    return f"test_errors.py:{frame.f_lineno}"


def text_of(error, function, *arguments, **options):
    with pytest.raises(error) as caught:
        function(*arguments, **options)
    assert type(caught.value) is error
    text = str(caught.value)
    assert text == text.strip()
    assert text.split("\n")[0].endswith((".", ":"))
    return text


def says(text, sentence, *rows):
    """Whether a text says *sentence* first, perhaps after the function called, and *rows* below."""
    first, *below = text.split("\n")
    said = first if first == sentence else first.partition("): ")[2]
    assert said == sentence
    assert [row for row in below if row in rows] == [*rows]
    return True


# The tree.


def test_every_error_is_exported_and_documented():
    for name in errors.__all__:
        assert getattr(lg, name) is getattr(errors, name)
        assert getattr(errors, name).__doc__
        assert name in errors.__doc__


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ShapeError", ValueError),
        ("AxisError", IndexError),
        ("DTypeError", TypeError),
        ("OptionError", ValueError),
        ("DisconnectedError", ValueError),
        ("DuplicateNameError", ValueError),
        ("SymbolicError", TypeError),
        ("ParseError", ValueError),
        ("MissingFeedError", TypeError),
        ("UnknownFeedError", TypeError),
        ("StaleForwardError", RuntimeError),
        ("OperationError", RuntimeError),
        ("GradientCheckError", AssertionError),
    ],
)
def test_errors_are_lazygrads_and_pythons(name, builtin):
    kind = getattr(lg, name)
    assert issubclass(kind, lg.LazygradError)
    assert issubclass(kind, builtin)


# ShapeError.


def test_operands_that_do_not_fit_are_named_with_their_lines():
    x, line_x = lg.placeholder((32, 784), dtype="float32", name="x"), here()
    w, line_w = lg.Value(np.zeros((768, 10), "float32"), name="w"), here()
    assert text_of(lg.ShapeError, lambda: x @ w) == (
        "matmul(x, w): inner lengths differ, 784 and 768.\n"
        f"  x: float32[32, 784]   placeholder 'x', {line_x}\n"
        f"  w: float32[768, 10]   variable 'w', {line_w}"
    )


def test_shapes_that_do_not_broadcast():
    x = lg.placeholder(("batch", 4), name="x")
    text = text_of(lg.ShapeError, lambda: np.tanh(x) + np.ones(3))
    assert text.split("\n")[0] == (
        "add(tanh, constant): shapes [batch, 4] and [3] don't broadcast:"
        " axis -1 has lengths 4 and 3."
    )
    assert f"  tanh: float64[batch, 4]   tanh, {here().split(':')[0]}" in text


def test_the_error_is_raised_at_the_line_of_the_user():
    x = lg.placeholder((3,), name="x")
    with pytest.raises(lg.ShapeError) as caught:
        x + np.ones(4)
    assert str(caught.traceback[0].path) == __file__


def test_reshape_counts_elements():
    w = lg.Value(np.zeros((3, 2)), name="w")
    text = text_of(lg.ShapeError, w.reshape, 4, 2)
    assert text.startswith(
        "reshape(w): [3, 2] has 6 elements and [4, 2] has 8.\n  w: float64[3, 2]"
    )


def test_lengths_that_turn_out_different():
    x, y = lg.placeholder(("n",), name="x"), lg.placeholder(("m",), name="y")
    total, line = x + y, here()
    text = text_of(lg.ShapeError, lg.compile(total), x=[1.0], y=[1.0, 2.0])
    assert text == f"add ({line}) needs equal lengths: n is 1 and m is 2."


def test_a_feed_of_another_shape():
    x, line = lg.placeholder(("n", 3), name="images"), here()
    f = lg.compile(x.sum())
    assert text_of(lg.ShapeError, f, images=np.ones((2, 4))) == (
        "feed 'images': expected [n, 3], got [2, 4]: axis 1 has length 4, not 3.\n"
        f"  images: float64[n, 3]   placeholder 'images', {line}"
    )
    assert "x[None] adds one" in text_of(lg.ShapeError, f, images=np.ones(3))
    assert "x.squeeze(axis)" in text_of(lg.ShapeError, f, images=np.ones((2, 3, 1)))


def test_a_feed_with_its_axes_in_another_order():
    x = lg.placeholder((8, 3, 4), name="x")
    text = text_of(lg.ShapeError, lg.compile(x.sum()), x=np.ones((8, 4, 3)))
    assert "axis 1 has length 4, not 3; the axes seem to be in another order." in text


def test_a_feed_that_contradicts_another():
    x, t = lg.placeholder(("n",), name="x"), lg.placeholder(("n",), name="t")
    text = text_of(lg.ShapeError, lg.compile(x + t), x=[1.0, 2.0], t=[1.0])
    assert "axis 0 has length 1, not n (n is 2, from feed 'x')." in text


def test_new_data_of_another_shape():
    w, line = lg.Value(np.zeros(3), name="w"), here()
    assert text_of(lg.ShapeError, setattr, w, "data", np.zeros(4)) == (
        "the data of w: new data must have shape [3], got [4].\n"
        f"  w: float64[3]   variable 'w', {line}"
    )


# AxisError.


def test_an_axis_out_of_range():
    x = lg.placeholder(("n", 4), name="x")
    assert "axis 2 is out of range; legal: -2 to 1." in text_of(lg.AxisError, lambda: x.sum(axis=2))
    scalar = x.sum()
    assert "legal: none, the operand is a scalar" in text_of(
        lg.AxisError, lambda: scalar.sum(axis=0)
    )


def test_an_index_out_of_range():
    x = lg.placeholder(("n", 4), name="x")
    text = text_of(lg.AxisError, lambda: x[:, 7])
    assert "index 7 is out of range for axis 1 of length 4" in text
    text = text_of(lg.AxisError, lambda: x[0, 0, 0])
    assert "too many indices: 3 for float64[n, 4], which has 2 axes" in text


# DTypeError.


def test_an_operation_that_a_dtype_does_not_have():
    x = lg.placeholder((2,), name="x")
    text = text_of(lg.DTypeError, lambda: ~x)
    assert text.startswith(
        "invert(x): there is no invert of float64.\n  x: float64[2]   placeholder 'x'"
    )


def test_what_is_no_number():
    x = lg.placeholder((2,), name="x")
    assert "NoneType is not an array of numbers" in text_of(lg.DTypeError, lambda: x + None)
    assert "text can't be computed with" in text_of(lg.DTypeError, lambda: x + "a")
    assert "2001 bits is too large" in text_of(lg.DTypeError, lambda: x + np.asarray(2**2000))
    assert "is not a dtype" in text_of(lg.DTypeError, x.astype, "double trouble")


def test_a_feed_that_would_lose_information():
    t, line = lg.placeholder((2,), dtype="int64", name="labels"), here()
    assert text_of(lg.DTypeError, lg.compile(t + 1), labels=[0.5, 1.0]) == (
        "feed 'labels': float64 data can't become int64 without losing information;"
        " convert it yourself if that is meant.\n"
        f"  labels: int64[2]   placeholder 'labels', {line}"
    )


def test_a_root_without_anything_differentiable():
    x = lg.placeholder((2,), name="x")
    y, line = x * 2, here()
    assert text_of(lg.DTypeError, y.backward) == (
        "multiply requires no gradient: no leaf below it does.\n"
        f"  multiply: float64[2]   multiply, {line}"
    )


# OptionError.


def test_arguments_outside_their_values():
    x = lg.placeholder((2, 3), name="x")
    assert text_of(lg.OptionError, lg.Value).startswith(
        "Value: give either data, or shape and name"
    )
    assert "a name must be a non-empty string, got ''" in text_of(
        lg.OptionError, lg.placeholder, (2,), name=""
    )
    assert "axis must be an integer, got 'rows'" in text_of(
        lg.OptionError, lambda: x.sum(axis="rows")
    )
    assert "names an axis twice" in text_of(lg.OptionError, lambda: x.sum(axis=(0, 0)))
    text = text_of(lg.OptionError, lg.grad, x.sum(), x, unused="maybe")
    assert says(text, 'unused must be "raise" or "zero", got \'maybe\'.')


def test_options_and_operands_that_an_operation_does_not_have():
    x = lg.placeholder((2,), name="x")
    assert text_of(lg.OptionError, lambda: lg.exp(x, where=x > 0)).startswith(
        "exp(x): has no option where.\n"
    )
    assert "wants 1 operand, got 0." in text_of(lg.OptionError, lg.exp)
    assert text_of(lg.OptionError, lg.add, x).startswith("add(x): wants 2 operands, got 1.")


def test_updates_name_the_variable_and_both_lines():
    w, line = lg.Value(np.zeros(3), name="w"), here()
    new, line_new = w.astype("float32"), here()
    assert says(
        text_of(lg.DTypeError, lg.compile, [], updates={w: new}),
        "the update of w is float32, the variable float64; convert it with .astype.",
        f"  w: float64[3]   variable 'w', {line}",
        f"  astype: float32[3]   astype, {line_new}",
    )


# DisconnectedError.


def test_a_leaf_that_nothing_differentiable_leads_to():
    w, line = lg.Value(np.ones(2), name="w"), here()
    other = lg.Value(1.0)
    y = (w > 0).sum() * other
    assert says(
        text_of(lg.DisconnectedError, lg.grad, y, w),
        "multiply doesn't depend on w through differentiable operations;"
        ' with unused="zero", grad gives zeros instead.',
        f"  w: float64[2]   variable 'w', {line}",
    )


# DuplicateNameError.


def test_two_placeholders_of_one_name_are_shown_with_both_lines():
    a, line_a = lg.placeholder((2,), name="x"), here()
    b, line_b = lg.placeholder((3,), name="x"), here()
    assert says(
        text_of(lg.DuplicateNameError, lg.compile, [a, b]),
        "two placeholders are named 'x', so a feed of that name is ambiguous.",
        f"  float64[2]   placeholder 'x', {line_a}",
        f"  float64[3]   placeholder 'x', {line_b}",
    )


# SymbolicError.


def test_a_question_to_a_node_names_it_and_what_to_write_instead():
    x, line = lg.placeholder(("n",), name="x"), here()
    assert text_of(lg.SymbolicError, bool, x) == (
        "the truth of 'x' is not known while the graph is built: choose with"
        " lazygrad.where(condition, a, b), look at x.data, or find a node by `is`.\n"
        f"  x: float64[n]   placeholder 'x', {line}"
    )
    assert "NumPy would lose its gradient" in text_of(lg.SymbolicError, np.asarray, x)
    assert "x = x.at[...].set(v)" in text_of(lg.SymbolicError, x.__setitem__, 0, 1.0)
    y, line = x * 2, here()
    text = text_of(lg.SymbolicError, lambda: y.data)
    assert "call forward(x=...) on it or on a node above" in text
    assert line in text


# ParseError.


def test_text_that_cannot_be_read_is_pointed_at():
    with pytest.raises(lg.ParseError) as caught:
        lg.parse("x: float64[3]\na = ekp(x)\nreturn a\n")
    text = str(caught.value)
    assert text.startswith("line 2, column 5: 'ekp' is not an operation; did you mean exp")
    assert "    a = ekp(x)\n        ^" in text


# Feeds.


def test_an_unknown_feed_suggests_the_nearest_name():
    x, line = lg.placeholder((2,), name="images"), here()
    y = x * 2
    for run in (lg.compile(y), y.forward):
        assert text_of(lg.UnknownFeedError, run, image=[1.0, 2.0]) == (
            "no placeholder is named 'image'. Did you mean 'images'? The placeholders:\n"
            f"  images: float64[2]   placeholder 'images', {line}"
        )
    assert "Did you mean" not in text_of(lg.UnknownFeedError, run, zebra=1.0)


def test_all_missing_feeds_are_named_at_once():
    x, line_x = lg.placeholder((2,), name="x"), here()
    y, line_y = lg.placeholder((2,), name="y"), here()
    z = lg.placeholder((2,), name="z")
    f = lg.compile(x + y + z)
    assert text_of(lg.MissingFeedError, f, z=[1.0, 2.0]) == (
        "no feed for 'x', 'y'; fed: 'z'. Needed:\n"
        f"  x: float64[2]   placeholder 'x', {line_x}\n"
        f"  y: float64[2]   placeholder 'y', {line_y}"
    )


def test_a_node_that_is_fed():
    x, line = lg.placeholder((2,), name="x"), here()
    text = text_of(lg.FeedError, lg.compile(x * 2), x=x)
    assert text.startswith("feed 'x': ")
    assert "feed its value, x.data" in text
    assert line in text


def test_the_warning_for_a_missing_feed():
    x, line = lg.placeholder((2,), name="x"), here()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (x * 2).forward()
        expected = int(here().split(":")[1]) - 1
    assert str(caught[0].message) == (
        f"no feed for 'x', filled with NaN.\n  x: float64[2]   placeholder 'x', {line}"
    )
    assert caught[0].category is lg.MissingFeedWarning
    assert (caught[0].filename, caught[0].lineno) == (__file__, expected)


# While running.


def test_a_changed_parameter_is_named():
    w, line = lg.Value(np.ones(2), name="weights"), here()
    x = lg.placeholder((2,), name="x")
    y = (w * w * x).sum()
    y.forward(x=[1.0, 2.0])
    w.data = w.data * 2
    assert text_of(lg.StaleForwardError, y.backward) == (
        "weights changed after forward, so backward would mix old and new values;"
        " call forward again first.\n"
        f"  weights: float64[2]   variable 'weights', {line}"
    )


def test_an_operation_that_fails_names_its_line_and_keeps_the_cause():
    w = lg.Value(np.ones((3, 2)))
    k = lg.placeholder((), dtype="int64", name="k")
    y, line = w[k] * 2, here()
    for run in (lg.compile(y), y.forward):
        with pytest.raises(lg.OperationError) as caught:
            run(k=5)
        assert str(caught.value) == (
            f"gather(float64[3, 2], int64[]), made at {line}, raised IndexError: index 5 is out of"
            " bounds for axis 0 with size 3"
        )
        assert isinstance(caught.value.__cause__, IndexError)


def test_a_value_that_cannot_be_computed_says_where_it_was_made():
    singular, line = lg.linalg.inv(lg.Value(np.zeros((2, 2)))), here()
    for ask in (lambda: singular.data, singular.forward, lg.compile(singular)):
        with pytest.raises(lg.OperationError) as caught:
            ask()
        assert str(caught.value) == (
            f"inv(float64[2, 2]), made at {line}, raised LinAlgError: Singular matrix"
        )


def test_a_gradient_that_fails_its_check():
    assert issubclass(lg.GradientCheckError, AssertionError)
    assert any(callable(getattr(testing, name)) for name in testing.__all__)


# Names.


def test_unknown_names_suggest_known_ones():
    x = lg.placeholder((2,), name="x")
    with pytest.raises(AttributeError) as caught:
        x.sqroot()
    assert str(caught.value).startswith("a lazygrad node has no attribute 'sqroot'.")
    with pytest.raises(AttributeError, match=r"Did you mean lazygrad\.reshape"):
        x.reshap(2)
    with pytest.raises(TypeError, match=r"np\.histogram has no meaning on lazygrad nodes"):
        np.histogram(x)


def test_lines_are_those_of_the_user_in_functions_too():
    def layer(x, width):
        return x @ lg.Value(np.ones((width, 2)))

    x = lg.placeholder((2, 3), name="x")
    with pytest.raises(lg.ShapeError) as caught:
        layer(x, 4)
    line = layer.__code__.co_firstlineno + 1
    assert f"variable: float64[4, 2]   variable, test_errors.py:{line}" in str(caught.value)


def test_a_failure_in_a_gradient_names_the_forward_line():
    x = lg.placeholder((2, 2), name="x")
    y, line = lg.linalg.inv(x), here()
    g = lg.grad(y.sum(), x)
    with pytest.raises(lg.OperationError, match=line):
        lg.compile(g)(x=np.zeros((2, 2)))
