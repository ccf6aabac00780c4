"""Products with epilogues in C against NumPy: tiles that are whole, cut, turned, deep, stacked."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import optim
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain

try:
    find_toolchain()
except CompilerError as reason:
    pytest.skip(f"there is no C compiler: {reason}", allow_module_level=True)

LENGTHS = [1, 2, 5, 8, 17, 33, 40]


def check(outputs, expected, feeds, dtype, folded=True):
    program = lg.compile(outputs, backend="c")
    results = program(**feeds)
    assert ("epilogue_" in program.source) == folded
    tolerance = 200 * np.finfo(dtype).eps
    for result, wanted in zip(results, expected, strict=True):
        assert result.dtype == wanted.dtype
        np.testing.assert_allclose(result, wanted, rtol=tolerance, atol=tolerance)


def softened(z):
    return np.maximum(z, 0) + np.tanh(z)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", LENGTHS)
@pytest.mark.parametrize("depth", [1, 6])
def test_tiles_of_every_size(rows, depth, dtype):
    rng = np.random.default_rng(rows)
    data = rng.standard_normal((rows, depth)).astype(dtype)
    x = lg.placeholder(data.shape, dtype=dtype, name="x")
    outputs, expected = [], []
    for columns in LENGTHS:
        w = rng.standard_normal((depth, columns)).astype(dtype)
        b = rng.standard_normal(columns).astype(dtype)
        z = x @ w + lg.Value(b)
        outputs += [lg.relu(z) + lg.tanh(z)]
        expected += [softened(data @ w + b)]
    check(outputs, expected, {"x": data}, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_operands_by_row_by_column_and_whole(dtype):
    rng = np.random.default_rng(1)
    shapes = {"x": (21, 30), "w": (30, 19), "row": (19,), "column": (21, 1), "whole": (21, 19)}
    arrays = {name: rng.standard_normal(s).astype(dtype) for name, s in shapes.items()}
    x, w, row, column, whole = (
        lg.placeholder(shape, dtype=dtype, name=name) for name, shape in shapes.items()
    )
    outputs = [(x @ w) * row + column * whole - 0.5]
    a = arrays
    expected = [(a["x"] @ a["w"]) * a["row"] + a["column"] * a["whole"] - np.asarray(0.5, dtype)]
    check(outputs, expected, arrays, dtype)


@pytest.mark.parametrize("shape", [(5, 300, 40), (70, 300, 40), (6, 900, 700), (300, 700, 9)])
def test_deep_products_wait_in_a_result(shape):
    rows, depth, columns = shape
    rng = np.random.default_rng(2)
    data = rng.standard_normal((rows, depth)).astype("f4")
    w = (rng.standard_normal((depth, columns)) / depth).astype("f4")
    b = rng.standard_normal(columns).astype("f4")
    x = lg.placeholder(data.shape, dtype="float32", name="x")
    z = x @ w + lg.Value(b)
    outputs = [lg.relu(z) + lg.tanh(z), z > 0.0]
    plain = (data.astype("f8") @ w + b).astype("f4")
    far = np.abs(plain) > 1e-5
    program = lg.compile(outputs, backend="c")
    soft, above = program(x=data)
    assert "epilogue_" in program.source
    np.testing.assert_allclose(soft, softened(plain), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(above[far], (plain > 0)[far])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_turned_operands_and_results_seen_turned(dtype):
    rng = np.random.default_rng(3)
    data = rng.standard_normal((24, 50)).astype(dtype)
    w = rng.standard_normal((3, 24)).astype(dtype)
    x = lg.placeholder(data.shape, dtype=dtype, name="x")
    b = rng.standard_normal(3).astype(dtype)
    c = rng.standard_normal((50, 1)).astype(dtype)
    outputs = [lg.exp(0.1 * (x.T @ lg.Value(w).T)) + lg.Value(b), lg.Value(w) @ x + 1.0]
    outputs.append(lg.relu(x.T @ lg.Value(w[:1].T) - lg.Value(c)))
    expected = [np.exp(np.asarray(0.1, dtype) * (data.T @ w.T)) + b, w @ data + 1]
    expected.append(np.maximum(data.T @ w[:1].T - c, 0))
    expected = [array.astype(dtype) for array in expected]
    check(outputs, expected, {"x": data}, dtype)


@pytest.mark.parametrize(
    "shapes",
    [
        ((4, 5, 6), (6, 7), (7,)),
        ((4, 5, 6), (6, 7), (4, 5, 7)),
        ((4, 5, 6), (6, 7), (5, 7)),
        ((4, 5, 6), (6, 7), (4, 1, 1)),
        ((4, 5, 6), (4, 6, 7), (4, 1, 7)),
        ((2, 3, 5, 6), (3, 6, 9), (2, 1, 5, 9)),
        ((3, 1, 6), (6, 40), (3, 1, 40)),
        ((3, 9, 6), (3, 6, 1), (3, 9, 1)),
    ],
)
def test_stacks(shapes):
    rng = np.random.default_rng(4)
    a, b, c = (rng.standard_normal(shape) for shape in shapes)
    x, y = lg.placeholder(a.shape, name="x"), lg.placeholder(b.shape, name="y")
    check([lg.relu(x @ y + lg.Value(c))], [np.maximum(a @ b + c, 0)], {"x": a, "y": b}, "float64")


def test_sines_of_numbers_far_from_zero():
    rng = np.random.default_rng(5)
    a, w = rng.standard_normal((20, 6)), rng.standard_normal((6, 18))
    a[7] *= 1e9
    x = lg.placeholder(a.shape, name="x")
    z = (a[:, :, None] * w).sum(axis=1)
    given = lg.compile(lg.sin(x @ w) + 1.0, backend="c")(x=a)
    near = np.abs(z) < 1e3
    np.testing.assert_allclose(given[near], np.sin(z[near]) + 1, rtol=1e-12, atol=1e-12)
    assert ((given >= 0) & (given <= 2)).all()
    assert np.ptp(given[7]) > 0.5


@pytest.mark.parametrize("rule", [optim.SGD(0.1), optim.Adam(0.05)], ids=["SGD", "Adam"])
@pytest.mark.parametrize("batch", [4, 300])
def test_updates_after_the_product_that_gives_the_gradient(rule, batch):
    rng = np.random.default_rng(6)
    start = rng.standard_normal((12, 10))
    data, target = rng.standard_normal((batch, 12)), rng.standard_normal((batch, 10))
    trained = []
    for backend in ("numpy", "c"):
        x, t = lg.placeholder((batch, 12), name="x"), lg.placeholder((batch, 10), name="t")
        w = lg.Value(start)
        loss = lg.mean((lg.tanh(x @ w) - t) ** 2)
        step = lg.compile(loss, updates=rule.minimize(loss, [w]), backend=backend)
        losses = [step(x=data, t=target) for _ in range(5)]
        trained.append((losses, w.data.copy()))
    np.testing.assert_allclose(trained[0][0], trained[1][0], rtol=1e-10)
    np.testing.assert_allclose(trained[0][1], trained[1][1], rtol=1e-9, atol=1e-11)


def test_a_weight_that_is_used_twice_is_not_written_early():
    rng = np.random.default_rng(7)
    start, data = rng.standard_normal((6, 6)), rng.standard_normal((5, 6))
    trained = []
    for backend in ("numpy", "c"):
        x, w = lg.placeholder((5, 6), name="x"), lg.Value(start)
        v = lg.Value(start + 1)
        # Each update reads the other's weight through a product.
        updates = {w: w - 0.1 * (x.T @ (x @ v)), v: v - 0.1 * (v @ w)}
        step = lg.compile(lg.sum(x @ w @ v), updates=updates, backend=backend)
        trained.append(([step(x=data) for _ in range(3)], w.data.copy(), v.data.copy()))
    for given, wanted in zip(*trained, strict=True):
        np.testing.assert_allclose(given, wanted, rtol=1e-9)


def test_bits_do_not_depend_on_threads():
    rng = np.random.default_rng(8)
    data = rng.standard_normal((256, 300)).astype("f4")
    w, b = rng.standard_normal((300, 200)).astype("f4"), rng.standard_normal(200).astype("f4")
    x = lg.placeholder(data.shape, dtype="float32", name="x")
    output = lg.tanh(x @ w + lg.Value(b))
    runs = [lg.compile(output, backend="c", threads=n)(x=data) for n in (1, 2, 3)]
    for run in runs[1:]:
        np.testing.assert_array_equal(run.view("i4"), runs[0].view("i4"))
