"""Steps that move elements, in C against NumPy, and what they say where an integer is wrong."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain

try:
    find_toolchain()
except CompilerError as reason:
    pytest.skip(f"there is no C compiler: {reason}", allow_module_level=True)

X = lg.placeholder((5, 6), name="x", requires_grad=True)
STACK = lg.placeholder((3, 5, 6), dtype="float32", name="s", requires_grad=True)
ROWS = lg.placeholder((4,), dtype="int64", name="rows")
PICK = lg.placeholder((5, 1), dtype="int32", name="pick")
PLACES = lg.placeholder((2, 3), dtype="int64", name="places")
FEEDS = {
    "x": np.arange(30.0).reshape(5, 6) ** 1.5,
    "s": np.arange(90, dtype=np.float32).reshape(3, 5, 6),
    "rows": np.array([4, -1, 0, 2]),
    "pick": np.array([[0], [5], [-1], [3], [3]], np.int32),
    "places": np.array([[0, 1, 2], [-3, -1, 2]]),
}
EXPRESSIONS = {
    "take rows": lambda: X[ROWS],
    "take columns": lambda: X[:, PLACES],
    "take in a stack": lambda: STACK[:, ROWS],
    "take of a transpose": lambda: X.T[ROWS],
    "take along": lambda: lg.take_along_axis(X, PICK, axis=1),
    "embedding and its gradient": lambda: lg.grad((X[ROWS] ** 2).sum(), X),
    "gradient along": lambda: lg.grad((lg.take_along_axis(X, PICK, axis=1) ** 2).sum(), X),
    "gradient in a stack": lambda: lg.grad((STACK[:, PLACES] ** 2).sum(), STACK),
    "slice and its gradient": lambda: lg.grad((X[1:4, ::2] ** 3).sum(), X),
    "backwards": lambda: lg.grad((X[::-2, 5:0:-1] ** 3).sum(), X),
    "join": lambda: lg.concatenate([X * 2, X[:, :2], X.T[:5, :5]], axis=1),
    "join rows": lambda: lg.concatenate([X[:1], X * 2, X[::-1]], axis=0),
    "join others": lambda: lg.concatenate([X, (X > 3).astype("int64")], axis=0),
    "pad": lambda: lg.pad(X * 2, ((1, 2), (0, 3))),
    "pad with ones": lambda: lg.pad(X * 2, 1, constant_values=1.0),
    "pick a number": lambda: X[2, 3] * X,
    "cross-entropy": lambda: lg.nn.cross_entropy(X, PICK[:, 0] % 6),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_as_numpy(name):
    root = EXPRESSIONS[name]()
    if root.requires_grad:
        root = [root, lg.sin(root) * 2]
    results = []
    for backend in ("numpy", "c"):
        program = lg.compile(root, backend=backend)
        feeds = {key: FEEDS[key] for key, _ in program.schedule.feeds}
        results.append(program(**feeds))
    assert "segment_0" in program.source
    for plain, compiled in zip(*[r if isinstance(r, list) else [r] for r in results], strict=True):
        np.testing.assert_allclose(plain, compiled, rtol=1e-6)


def test_whole_steps_are_one_segment():
    w = lg.Value(np.ones((6, 6)), name="w")
    loss = lg.nn.cross_entropy(X @ w, PICK[:, 0] % 6)
    program = lg.compile(loss, updates=lg.optim.SGD(0.1).minimize(loss), backend="c")
    source = program.source
    # The remainder of integers has no C form; nothing else needs Python.
    assert "remainder(" in source
    assert "segment_2" not in source


@pytest.mark.parametrize(
    ("build", "feeds", "words"),
    [
        (lambda: X[ROWS], {"x": FEEDS["x"], "rows": [0, 5, 1, 2]}, "index 5 is out of bounds"),
        (lambda: X[ROWS], {"x": FEEDS["x"], "rows": [0, -6, 1, 2]}, "index -6 is out of bounds"),
        (
            lambda: lg.take_along_axis(X, PICK, axis=1),
            {"x": FEEDS["x"], "pick": FEEDS["pick"] + 2},
            "out of bounds",
        ),
        (
            lambda: lg.nn.cross_entropy(X, PICK[:, 0]),
            {"x": FEEDS["x"], "pick": FEEDS["pick"]},
            "label -1 at .2. is outside 0 to 5",
        ),
    ],
)
def test_an_integer_outside_is_named_with_the_line_and_changes_nothing(build, feeds, words):
    total = lg.Value(np.zeros(()), name="total")
    root = build().sum()
    program = lg.compile(root, updates={total: total + root}, backend="c")
    for _ in range(2):
        with pytest.raises(lg.OperationError, match=words) as caught:
            program(**feeds)
        assert "test_moves.py" in str(caught.value)
        assert total.data == 0
    good = {name: FEEDS[name] if name != "pick" else abs(FEEDS[name]) for name in feeds}
    program(**good)
    assert total.data != 0


def test_a_view_of_what_is_fed_is_named_too():
    program = lg.compile(lg.take_along_axis(X, PICK[::-1].reshape(5, 1), axis=1), backend="c")
    with pytest.raises(lg.OperationError, match="out of bounds"):
        program(x=FEEDS["x"], pick=FEEDS["pick"] + 10)
