"""The first NaN or infinity of a program, named."""

import numpy as np
import pytest

import lazygrad as lg


def x(*shape):
    return lg.placeholder(shape, name="x")


def line_of(text):
    """The number of the line of this file that holds *text* first."""
    with open(__file__, encoding="utf-8") as file:
        return next(i for i, line in enumerate(file, 1) if text in line)


def test_the_operation_is_named_with_its_line_and_ranges():
    a = x("rows", 2)
    w = lg.Value([3.0, 0.5], name="w")
    y = lg.log(a * w)  # the forward culprit
    program = lg.compile((y * 2.0).sum())
    found = program.find_nan(x=[[1.0, 2.0], [-1.0, 4.0]])
    assert (found.operation, found.backward, found.reaches_result) == ("log", False, True)
    assert found.line.line == line_of("# the forward culprit")
    (operand,) = found.operands
    assert (operand.name, operand.low, operand.high) == ("multiply", -3.0, 3.0)
    assert (found.result.nan, found.result.inf) == (0.25, 0.0)
    text = str(found)
    assert text.splitlines()[0] == "log gives NaN first:"
    assert "y = lg.log(a * w)" in text
    assert "25% NaN" in text
    assert "from -3 to 3" in text


def test_nothing_is_found_where_all_is_finite():
    assert lg.compile(lg.log(x(2)).sum()).find_nan(x=[1.0, 2.0]) is None


def test_a_gradient_is_named_after_its_forward_node():
    w = lg.Value([0.0, 1.0], name="w")
    loss = lg.sqrt(w * w).sum()  # the backward culprit
    program = lg.compile(loss, updates={w: w - 0.1 * lg.grad(loss, w)})
    found = program.find_nan()
    assert found.backward
    assert found.name == "sqrt"
    assert found.line.line == line_of("# the backward culprit")
    assert "in the gradient of sqrt" in str(found)
    np.testing.assert_array_equal(w.data, [0.0, 1.0])


def test_variables_and_feeds_are_named_before_operations():
    w = lg.Value([np.nan, 1.0], name="w")
    program = lg.compile((lg.log(x(2)) * w).sum())
    found = program.find_nan(x=[-1.0, 1.0])
    assert (found.operation, found.name, found.result.nan) == ("variable", "w", 0.5)
    assert str(found).startswith("variable 'w' holds NaN:")
    w.data = [1.0, 1.0]
    found = program.find_nan(x=[np.nan, -1.0])
    assert (found.operation, found.name) == ("feed", "x")


def test_infinity_and_nan_are_looked_for_apart():
    a = x(2)
    big = lg.exp(a)
    program = lg.compile((big - big.max()).sum())
    found = program.find_nan(x=[1.0, 1000.0])
    assert (found.operation, found.result.inf) == ("exp", 0.5)
    # Infinity minus infinity is where NaN begins.
    assert program.find_nan(inf=False, x=[1.0, 1000.0]).operation == "subtract"
    assert program.find_nan(nan=False, inf=False, x=[1.0, 1000.0]) is None


def test_an_infinite_constant_is_meant():
    masked = lg.where(x(3) > 0, x_ := lg.placeholder((3,), name="y"), -np.inf)
    program = lg.compile(lg.exp(masked).sum())
    assert x_.name == "y"
    assert program.find_nan(x=[1.0, -1.0, 1.0], y=[0.0, 0.0, 0.0]) is None


def test_what_makes_a_result_bad_goes_before_what_is_masked():
    a = x(2)
    safe = lg.where(a > 0, lg.sqrt(a), 0.0)
    program = lg.compile(safe.sum())
    found = program.find_nan(x=[-1.0, 4.0])
    assert (found.operation, found.reaches_result) == ("sqrt", False)
    assert "reaches no result" in str(found)
    both = lg.compile((safe + lg.arccosh(a)).sum())
    found = both.find_nan(x=[-1.0, 4.0])
    assert (found.operation, found.reaches_result) == ("arccosh", True)


@pytest.mark.parametrize(("reverse", "step"), [(False, 3), (True, 4)])
def test_a_loop_says_the_step_and_the_operation(reverse, step):
    def body(carry, row):
        now = carry + lg.log(row)  # inside the loop
        return now, now

    _, sums = lg.scan(body, 0.0, x(6), reverse=reverse)
    found = lg.compile(sums).find_nan(x=[1.0, 2.0, 3.0, -1.0, -2.0, 1.0])
    assert (found.operation, found.step) == ("log", step)
    assert found.line.line == line_of("# inside the loop")
    assert f"in step {step} of a loop" in str(found)


def test_a_loop_over_named_lengths():
    def body(carry, row):
        return carry + lg.log(row).sum() / row.shape[0], carry

    total, _ = lg.scan(body, 0.0, x("steps", "n"))
    found = lg.compile(total).find_nan(x=[[1.0, 2.0], [3.0, -1.0]])
    assert (found.operation, found.step, found.operands[0].kind) == ("log", 1, "float64[2]")


def test_a_gradient_in_a_loop():
    w = lg.Value(0.0, name="w")

    def body(carry, row):
        return carry + lg.sqrt(row * w), row

    total, _ = lg.scan(body, 0.0, x(3))
    found = lg.compile(lg.grad(total, w)).find_nan(x=[1.0, 2.0, 3.0])
    assert found.backward


def test_state_and_streams_stay():
    stream = lg.random.stream(3)
    w = lg.Value(np.ones(4), name="w")
    loss = (w * stream.normal((4,))).sum()
    program = lg.compile(loss, updates={w: w - 0.1 * lg.grad(loss, w)})
    program()
    before, count = w.data.copy(), stream.counter.data.copy()
    assert program.find_nan() is None
    np.testing.assert_array_equal(w.data, before)
    assert stream.counter.data == count


def test_long_programs():
    y = a = x(2)
    for _ in range(30_000):
        y = y + a
    found = lg.compile(lg.log(-y).sum()).find_nan(x=[1.0, 1.0])
    assert found.operation == "log"


def test_infinity_that_a_variable_starts_with_is_named_last():
    best = lg.variable(np.inf, name="best")
    a = x(2)
    loss = lg.log(a).sum()
    program = lg.compile(loss, updates={best: lg.minimum(best, loss)})
    assert program.find_nan(x=[1.0, 2.0]) is None
    assert program.find_nan(x=[1.0, -2.0]).operation == "log"
    found = lg.compile(best + a).find_nan(x=[1.0, 2.0])
    assert (found.operation, found.name) == ("variable", "best")


def test_lengths_known_only_in_mid_run():
    a = x("n")
    found = lg.compile(lg.log(a[a > -2.0]).sum()).find_nan(x=[1.0, -1.0, -3.0])
    assert found.operation == "log"
    assert found.result.kind == "float64[2]"


def test_unknown_and_missing_feeds_are_refused():
    program = lg.compile(x(2) * 2.0)
    with pytest.raises(lg.UnknownFeedError):
        program.find_nan(x=[1.0, 1.0], y=1.0)
    with pytest.raises(lg.MissingFeedError):
        program.find_nan()


def test_two_results_of_one_operation():
    m = lg.placeholder((2, 2), name="m")
    values, vectors = lg.linalg.eigh(m)
    program = lg.compile([lg.sqrt(values).sum(), vectors])
    assert program.find_nan(m=[[1.0, 0.0], [0.0, -1.0]]).operation == "sqrt"
