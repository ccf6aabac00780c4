"""Loops in C against NumPy: carries, rows, both directions, loops in loops, and their gradients."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain
from lazygrad.ir.graph import Graph

try:
    find_toolchain()
except CompilerError as reason:
    pytest.skip(f"there is no C compiler: {reason}", allow_module_level=True)

XS = lg.placeholder(("steps", 3), name="xs", requires_grad=True)
START = lg.placeholder((3,), name="start", requires_grad=True)
STACK = lg.placeholder((4, 5, 6), dtype="float32", name="stack", requires_grad=True)
RNG = np.random.default_rng(0)
FEEDS = {
    "xs": RNG.normal(size=(7, 3)),
    "start": RNG.normal(size=3),
    "stack": RNG.normal(size=(4, 5, 6)).astype(np.float32),
}
W = RNG.normal(size=(6, 6)).astype(np.float32) * 0.3


def summed(state, row):
    state = lg.tanh(state + row)
    return state, state * 2


def inner(state, row):
    total, _ = lg.scan(lambda t, e: (t * 0.5 + e * row, t), state, row * np.ones((4, 1)))
    return total, total.sum()


def two(carry, row):
    a, b = carry
    return (a + row.sum(), b * row), (a * 2, b)


def swapped(carry, row):
    a, b = carry
    return (b, a), a + b + row


LOOPS = {
    "rows and carry": lambda: lg.scan(summed, START, XS),
    "from the end": lambda: lg.scan(summed, START, XS, reverse=True),
    "a loop in a loop": lambda: lg.scan(inner, START, XS),
    "carries that change places": lambda: lg.scan(swapped, (START, START * 2), XS),
    "numbers as carries": lambda: lg.scan(two, (lg.constant(0.5), START), XS),
    "rows that are not in one piece": lambda: lg.scan(
        lambda h, row: (lg.tanh(h @ W + row), h), np.zeros((4, 6), np.float32), STACK.swapaxes(0, 1)
    ),
    "a carry that is not in one piece": lambda: lg.scan(
        lambda h, row: (h * row, h.sum()), STACK[0].T, STACK[1].reshape(5, 6, 1)
    ),
    "what is the same for all": lambda: lg.scan(
        lambda h, row: (h + row * lg.exp(START), h), START, XS
    ),
    "integers": lambda: lg.scan(lambda n, row: (n + 1, row * n), lg.constant(0), XS),
}


def flat(results):
    if isinstance(results, (list, tuple)):
        return [leaf for each in results for leaf in flat(each)]
    return [results]


@pytest.mark.parametrize("name", LOOPS)
def test_as_numpy(name):
    outputs = flat(LOOPS[name]())
    floats = [node for node in outputs if node.dtype.kind == "f"]
    root = sum((lg.sum(node * node) for node in floats), start=lg.constant(0.0))
    outputs += lg.grad(
        root,
        [leaf for leaf in (XS, START, STACK) if any(leaf is node for node in Graph([root]).nodes)],
    )
    results = []
    for backend in ("numpy", "c"):
        program = lg.compile(outputs, backend=backend)
        feeds = {key: FEEDS[key] for key, _ in program.schedule.feeds}
        results.append([*program(**feeds), *program(**feeds)])
    assert "for (int64_t step" in program.source
    for plain, compiled in zip(*results, strict=True):
        np.testing.assert_allclose(plain, compiled, rtol=2e-5, atol=1e-6)


def test_a_body_with_a_python_step_is_a_python_step():
    total, _ = lg.scan(lambda h, row: (lg.sort(h + row), h), START, XS)
    program = lg.compile(total * 2, backend="c")
    given = {"xs": FEEDS["xs"], "start": FEEDS["start"]}
    plain = lg.compile(total * 2, backend="numpy")
    np.testing.assert_array_equal(program(**given), plain(**given))
    assert "for (int64_t step" not in program.source


def test_no_steps_at_all():
    total, rows = lg.scan(summed, START, XS)
    program = lg.compile([total * 1.0, rows], backend="c")
    found, none = program(xs=np.zeros((0, 3)), start=FEEDS["start"])
    np.testing.assert_array_equal(found, FEEDS["start"])
    assert none.shape == (0, 3)


def test_an_integer_outside_in_a_body_is_named():
    index = lg.placeholder((7,), dtype="int64", name="index")
    total, _ = lg.scan(lambda h, i: (h + START[i], h), lg.constant(0.0), index)
    program = lg.compile(total, backend="c")
    good = np.zeros(7, np.int64)
    assert program(index=good, start=np.ones(3)) == 7
    with pytest.raises(lg.OperationError, match="index 3 is out of bounds"):
        program(index=np.array([0, 1, 2, 3, 0, 0, 0]), start=np.ones(3))
    assert program(index=good, start=np.ones(3)) == 7
