"""Long elementwise kernels, block by block, against NumPy."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain

try:
    find_toolchain()
except CompilerError as reason:
    pytest.skip(f"there is no C compiler: {reason}", allow_module_level=True)

RNG = np.random.default_rng(0)


def long_chain(x, module, count=12):
    y = x
    for i in range(count):
        y = module.tanh(module.sin(y) * 1.5 + i)
        y = module.exp(-y) - x
    return y


def native(outputs, updates=(), **feeds):
    program = lg.compile(outputs, updates=updates, backend="c")
    results = program(**feeds)
    assert "block_sin" in program.source, "the kernel is long enough for blocks"
    return results


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(1,), (7,), (256,), (257,), (3, 100), (40, 50, 60)])
def test_every_length(shape, dtype):
    data = RNG.standard_normal(shape).astype(dtype)
    x = lg.placeholder(shape, dtype=dtype, name="x")
    tolerance = 1e-12 if dtype == "float64" else 1e-3
    if data.size == 1:
        program = lg.compile(long_chain(x, lg), backend="c")
        np.testing.assert_allclose(program(x=data), long_chain(data, np), tolerance)
        return
    found = native(long_chain(x, lg), x=data)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, long_chain(data, np), tolerance, tolerance)


def test_gradients():
    data = RNG.standard_normal(1000)
    x = lg.placeholder((1000,), name="x", requires_grad=True)
    y = long_chain(x, lg, 5)
    found = native([y, lg.grad(y.sum(), x)], x=data)
    expected = lg.compile([y, lg.grad(y.sum(), x)], backend="numpy")(x=data)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, 1e-10)


@pytest.mark.parametrize("far", [2.0**31, 1e300, np.inf, np.nan])
def test_sines_of_numbers_far_from_zero(far):
    data = RNG.standard_normal(600)
    data[[0, 255, 300, 599]] = far
    x = lg.placeholder((600,), name="x")
    with np.errstate(invalid="ignore"):
        expected = np.sin(data)
        for _ in range(10):
            expected = np.sin(expected * 3.0)
    y = lg.sin(x)
    for _ in range(10):
        y = lg.sin(y * 3.0)
    np.testing.assert_allclose(native(y, x=data), expected, 1e-11)


def test_operands_of_other_forms():
    data = {"x": RNG.standard_normal(500), "n": RNG.integers(1, 5, 500)}
    x = lg.placeholder((500,), name="x")
    n = lg.placeholder((500,), dtype="int64", name="n")
    s = lg.placeholder((), name="s")
    f = lg.placeholder((500,), dtype="float32", name="f")

    def formula(x, n, s, f, module):
        y = module.where(x > 0, module.sin(x), module.exp(x * s))
        for _ in range(5):
            y = module.tanh(y + n) + module.exp(-y * y) * f - s
            y = module.where(y > s, y, module.sin(-y))
        return y

    feeds = {**data, "s": np.float64(0.3), "f": RNG.standard_normal(500).astype("float32")}
    found = native(formula(x, n, s, f, lg), **feeds)
    expected = formula(feeds["x"], feeds["n"], feeds["s"], feeds["f"], np)
    np.testing.assert_allclose(found, expected, 1e-11)


def test_updates_that_read_what_they_write_over():
    data = RNG.standard_normal(700)
    a, b = lg.Value(data.copy()), lg.Value(data[::-1].copy())
    step = lg.compile(
        [],
        updates={a: long_chain(a, lg, 5) + b, b: long_chain(b, lg, 5) * a},
        backend="c",
    )
    first, second = data.copy(), data[::-1].copy()
    for _ in range(2):
        step()
        first, second = (
            long_chain(first, np, 5) + second,
            long_chain(second, np, 5) * first,
        )
    assert "block_sin" in step.source
    np.testing.assert_allclose(a.data, first, 1e-9)
    np.testing.assert_allclose(b.data, second, 1e-9)


def test_rows_and_strides_have_loops_of_their_own():
    data = RNG.standard_normal((30, 40))
    x = lg.placeholder((30, 40), name="x")
    turned = lg.compile(long_chain(x.T, lg) + x.T[::-1], backend="c")
    expected = long_chain(data.T, np) + data.T[::-1]
    np.testing.assert_allclose(turned(x=data), expected, 1e-12)
    softened = lg.compile(lg.softmax(long_chain(x, lg)), backend="c")
    exponents = np.exp(long_chain(data, np))
    expected = exponents / exponents.sum(-1, keepdims=True)
    np.testing.assert_allclose(softened(x=data), expected, 1e-11)
