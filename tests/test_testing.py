"""The gradient check finds wrong derivatives, says what is wrong, and accepts right ones."""

import re

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.errors import (
    DisconnectedError,
    DTypeError,
    GradientCheckError,
    MissingFeedError,
    OptionError,
    ShapeError,
    UnknownFeedError,
)
from lazygrad.ops.forms import elementwise, general
from lazygrad.testing import GradientReport, check_gradient


@pytest.fixture
def x():
    return lg.Value([0.3, -1.0, 4.0], name="x")


def test_the_report_says_what_was_compared(x):
    report = check_gradient(lg.tanh(x) * x, x)
    assert isinstance(report, GradientReport)
    assert report.order == 2
    assert report.methods == ("complex step", "complex step")
    assert max(report.forward_errors) < 1e-12
    assert max(report.reverse_errors) < 1e-12
    text = str(report)
    assert text.startswith("multiply with respect to x, 3 directions:\n  order 1: forward mode")
    with pytest.raises(AttributeError):
        report.name = "y"


def test_differences_take_over_where_a_kernel_is_not_analytic(x):
    report = check_gradient(lg.absolute(x) * x, x)
    assert report.methods[0] == "central differences"
    assert report.forward_errors[0] < 1e-8


def test_structures_and_orders(x):
    w = lg.Value(2.0, name="w")
    assert check_gradient(x**3 * w, [x, w], order=3).order == 3
    assert check_gradient([x * w, x + w], {"a": x, "b": w}).leaves == ("x", "w")
    assert check_gradient({"s": x.sum()}, (x,), directions=1).directions == 1


def test_placeholders_are_fed():
    a = lg.placeholder(("batch", 3), name="a")
    w = lg.Value(np.ones(3), name="w")
    y = lg.tanh(a @ w).sum() / a.shape[0]
    check_gradient(y, [a, w], {"a": np.arange(6.0).reshape(2, 3) / 6})


def test_narrow_floats_are_checked_in_float64():
    x = lg.Value(np.array([0.5, 2.0], np.float32), name="x")
    report = check_gradient(lg.exp(x) / (x.astype("float32") * 3.0), x)
    assert max(report.forward_errors) < 1e-10


def test_integers_are_read_over_the_reals():
    a = lg.Value(3, name="a")
    assert check_gradient(a * a + 2 * a, a).forward_errors[0] < 1e-12


def test_what_is_constant_by_declaration_is_held(x):
    check_gradient(lg.stop_gradient(x) * x, x)
    check_gradient(lg.where(lg.stop_gradient(lg.absolute(x)) > 0.5, lg.absolute(x), 0), x)


def test_the_branch_not_taken(x):
    check_gradient(lg.where(x > 0, lg.sqrt(x), 0.0), x)


def test_lengths_known_only_when_it_runs(x):
    p = lg.placeholder(("n", 3), name="p")
    check_gradient(lg.exp(x[x > 0]).sum(), x)
    picked = lg.tanh(p[p[:, 0] > 0]).sum(0) * x
    check_gradient(picked, [p, x], {"p": np.arange(12.0).reshape(4, 3) / 10 - 0.35})


def test_through_a_loop(x):
    w = lg.Value([0.5, 1.0, -1.0], name="w")
    rows = lg.Value(np.random.default_rng(0).standard_normal((4, 3)), name="rows")
    last, kept = lg.scan(lambda carry, row: (lg.tanh(carry * w + row), carry * row), x, rows)
    check_gradient([last, kept], [w, x, rows])


def test_a_wrong_rule_is_found_and_named(x):
    wrong = elementwise(
        "test_wrong_exp", np.exp, diff=lambda t, y, x: t * y * 1.001, doc="Wrong exp."
    )
    w = lg.Value([1.0, 2.0, 3.0], name="w")
    with pytest.raises(GradientCheckError) as caught:
        check_gradient(w * wrong(x), [w, x])
    text = str(caught.value)
    assert "check_gradient(multiply), order 1: forward mode disagrees with the complex step" in text
    assert re.search(r"forward mode: [-\d.]+\n  complex step: [-\d.]+\n", text)
    assert "allowed 1.0e-09" in text
    assert re.search(r"x: float64\[3\]   variable 'x', test_testing.py:\d+", text)
    assert "w: float64" not in text


def test_a_wrong_transpose_is_found(x):
    wrong = general(
        "test_wrong_transpose",
        lambda x, out: np.multiply(x, 2.0, out=out),
        infer=lambda x: x,
        vjp=lambda g, y, x: (3.0 * g,),
        jvp=lambda t, y, x: 2.0 * t[0],
        doc="Twice.",
    )
    with pytest.raises(
        GradientCheckError, match=r"reverse mode disagrees with forward mode; <u, Jv>"
    ):
        check_gradient(wrong(x), x)


def test_a_wrong_second_derivative_is_found(x):
    slope = elementwise(
        "test_wrong_slope", np.exp, diff=lambda t, y, x: t * y * 1.001, doc="exp, wrong once more."
    )
    outer = elementwise("test_exp", np.exp, diff=lambda t, y, x: t * slope(x), doc="exp.")
    with pytest.raises(GradientCheckError, match=r"order 2: forward mode disagrees"):
        check_gradient(outer(x), x)
    check_gradient(outer(x), x, order=1)


def test_derivatives_that_are_not_finite_are_refused():
    x = lg.Value([0.0, 1.0], name="x")
    with pytest.raises(GradientCheckError):
        check_gradient(lg.sqrt(x), x)


def test_tolerance_and_seed(x):
    near = elementwise("test_near_exp", np.exp, diff=lambda t, y, x: t * y * 1.001, doc="exp.")
    check_gradient(near(x), x, tolerance=1e-2, order=1)
    a, b = (check_gradient(lg.tanh(x), x, seed=7) for _ in range(2))
    assert a == b


def test_refusals(x):
    a = lg.placeholder((2,), name="a")
    with pytest.raises(DisconnectedError, match="doesn't depend on a"):
        check_gradient(x, [x, a], {"a": [1.0, 2.0]})
    with pytest.raises(MissingFeedError, match=r"feeds=\{'a': ...\}"):
        check_gradient(a * 2.0, a)
    with pytest.raises(UnknownFeedError, match="no placeholder 'b'; there are: a"):
        check_gradient(a * 2.0, a, {"a": [1.0, 2.0], "b": 1.0})
    with pytest.raises(ShapeError, match=r"a was fed \[3\]"):
        check_gradient(a * 2.0, a, {"a": [1.0, 2.0, 3.0]})
    with pytest.raises(DTypeError, match="has no derivative"):
        check_gradient(x > 0, x)
    with pytest.raises(OptionError, match="must be positive, got 0, 3"):
        check_gradient(x, x, order=0)
