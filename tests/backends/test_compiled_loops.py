"""The compiled loop around a body: who owns which storage, and what is written per step."""

from __future__ import annotations

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends import numpy as backend
from lazygrad.backends.interpreter import interpret
from lazygrad.ir.graph import Graph

XS = np.arange(12.0).reshape(4, 3)


def check(*nodes):
    """Compare a program, called twice, with the interpreter; give its results."""
    program = lg.compile(list(nodes))
    expected = interpret(Graph(nodes), {})
    for _ in range(2):
        found = program()
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)
            assert np.shape(a) == np.shape(b)
    return found


def test_what_goes_in_is_left_as_it_was():
    h, x = lg.Value(np.ones(3)), lg.Value(XS)
    last, _ = lg.scan(lambda c, e: (c * 2 + e, None), h, x)
    check(last, h, x)
    np.testing.assert_array_equal(h.data, np.ones(3))
    np.testing.assert_array_equal(x.data, XS)


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
@pytest.mark.parametrize("shape", [(), (3,), (2, 0)])
@pytest.mark.parametrize("reverse", [False, True])
def test_any_number_of_steps(steps, shape, reverse):
    x = lg.Value(np.random.default_rng(0).standard_normal((steps, *shape)))
    carry, rows = lg.scan(
        lambda c, e: ((c[1], c[0] + e), (c[0], e, c[1] * e)),
        (lg.Value(np.ones(shape)), lg.Value(np.zeros(shape))),
        x,
        reverse=reverse,
    )
    check(*carry, *rows)


def test_the_carry_before_and_after_as_results():
    x = lg.Value(XS)
    last, rows = lg.scan(lambda c, e: (lambda n: (n, (c, n, n)))(c + e), lg.Value(np.ones(3)), x)
    check(last, *rows)


def test_carries_that_nobody_reads_or_that_stay_as_they_are():
    x = lg.Value(XS)
    carries, _ = lg.scan(
        lambda c, e: ((e, c[1], e * 2, lg.constant([7.0, 8.0, 9.0])), None),
        (np.zeros(3), np.ones(3), np.zeros(3), np.zeros(3)),
        x,
    )
    check(*carries)


def test_numbers_as_elements_and_carries_are_swapped_safely():
    x = lg.Value([1.0, 2.0, 3.0])
    carries, rows = lg.scan(lambda c, e: ((c[1] * e, c[0]), c[0] + e), (1.0, 2.0), x)
    check(*carries, rows)


def test_results_of_a_view():
    x = lg.Value(XS)
    last, rows = lg.scan(lambda c, e: (e[::-1], (c[:2], e.reshape(3, 1))), np.zeros(3), x)
    check(last, *rows)


def test_operations_with_several_results_as_carries():
    a = lg.Value(np.random.default_rng(1).standard_normal((3, 3)))

    def body(c, e):
        q, r = lg.linalg.qr(c + e)
        return r @ q, (q, r)

    last, rows = lg.scan(body, a, lg.Value(np.ones((3, 3, 3))))
    check(last, *rows)


def test_a_body_longer_than_a_function():
    def body(c, e):
        for i in range(backend.LINES_PER_FUNCTION + 50):
            c = c * (1 - 1e-4) + e if i % 2 else c - e
        return c, c

    check(*lg.scan(body, lg.Value(np.ones(3)), lg.Value(XS)))


def test_a_failed_run_leaves_the_program_usable():
    steps = []

    @lg.custom_op(name="fails_in_the_third_step")
    def failing(x):
        steps.append(1)
        if len(steps) == 3:
            raise RuntimeError("third")
        return x * 2

    last, _ = lg.scan(lambda c, e: (failing(c) + e, None), np.ones(3), lg.Value(XS))
    f = lg.compile(last)
    with pytest.raises(lg.OperationError, match="third"):
        f()
    expected = np.ones(3)
    for row in XS:
        expected = expected * 2 + row
    np.testing.assert_array_equal(f(), expected)


def test_a_mask_of_the_body_gives_errors_at_its_line():
    x = lg.Value([[1.0, -1.0], [1.0, 1.0]])
    w = lg.Value([2.0])
    total, _ = lg.scan(lambda c, e: (c + (e[e > 0] * lg.broadcast_to(w, (1,))).sum(), None), 0.0, x)
    assert lg.compile(total)() == 6.0
    pair = lg.Value([2.0, 3.0])
    total, _ = lg.scan(lambda c, e: (c + (e[e > 0] * pair).sum(), None), 0.0, x)
    with pytest.raises(lg.ShapeError, match=r"needs equal lengths"):
        lg.compile(total)()
