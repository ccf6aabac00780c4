"""Errors come at the user's line where the fault is known there; all texts are tried elsewhere."""

import inspect

import numpy as np
import pytest

import lazygrad as lg


def line():
    return inspect.currentframe().f_back.f_lineno


def test_a_fault_known_while_building_is_raised_there():
    x = lg.placeholder((3,), name="x")
    with pytest.raises(lg.ShapeError) as caught:
        x @ np.ones((4, 2))
    expected = line() - 1
    assert caught.traceback[0].lineno + 1 == expected


def test_it_says_who_what_was_given_what_was_expected_and_where():
    x, made = lg.placeholder((3,), name="x"), line()
    with pytest.raises(lg.ShapeError) as caught:
        lg.compile(x * 2)(x=np.ones(4))
    text = str(caught.value)
    for fact in ("feed 'x'", "got [4]", "expected [3]", f"test_errors.py:{made}"):
        assert fact in text


def test_a_fault_known_while_running_names_the_line_of_the_node():
    x, k = lg.placeholder((3,), name="x"), lg.placeholder((), dtype="int64", name="k")
    picked, made = x[k], line()
    for root in (picked, picked * 2 + 1, lg.grad((picked * picked).sum(), x)):
        with pytest.raises(lg.OperationError, match=f"made at test_errors.py:{made}"):
            lg.compile(root)(x=np.ones(3), k=9)
        with pytest.raises(lg.OperationError, match=f"made at test_errors.py:{made}"):
            root.forward(x=np.ones(3), k=9)


def test_lines_in_scopes_and_comprehensions():
    with lg.scope("encoder"):
        nodes, made = [lg.Value(np.ones(i)) for i in (2, 3)], line()
    with pytest.raises(lg.ShapeError, match=f"test_errors.py:{made}"):
        nodes[0] + nodes[1]
    assert nodes[0].scope == ("encoder",)
