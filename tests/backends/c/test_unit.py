"""What a translation unit has once: equal kernels, and lists of calls that stay short."""

import re

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain

try:
    find_toolchain()
except CompilerError as reason:
    pytest.skip(f"there is no C compiler: {reason}", allow_module_level=True)

DATA = np.linspace(-1.0, 1.0, 300)


def kernels(program):
    return set(re.findall(r"void (kernel_\d+)\(", program.source))


def chain(x, count, numbers):
    for i in range(count):
        x = lg.tanh(x * numbers[i % len(numbers)] + 0.25)
    return x


def expected(x, count, numbers):
    for i in range(count):
        x = np.tanh(x * numbers[i % len(numbers)] + 0.25)
    return x


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_kernels_that_differ_in_constants_alone_are_compiled_once(dtype):
    x = lg.placeholder((300,), dtype=dtype, name="x")
    data = DATA.astype(dtype)
    same, other = [0.5], np.linspace(0.5, 1.5, 999).tolist()
    repeating = lg.compile(chain(x, 500, same), backend="c")
    differing = lg.compile(chain(x, 500, other), backend="c")
    bound = 500 * np.finfo(dtype).eps
    np.testing.assert_allclose(repeating(x=data), expected(data, 500, same), bound)
    np.testing.assert_allclose(differing(x=data), expected(data, 500, other), bound)
    assert kernels(differing) == kernels(repeating)
    assert len(set(re.findall(r"\bconstants_\d+\[\]", differing.source))) > 1


def test_constants_of_a_long_kernel_keep_their_dtypes():
    x = lg.placeholder((300,), dtype="float32", name="x")
    n = lg.placeholder((300,), dtype="int64", name="n")
    y, k = x, n
    for i in range(40):
        k = k * 3 + i
        y = lg.where(k > 7 * i, y * 0.5, y + k.astype("float32") * 1e-9)
    program = lg.compile([y, k], backend="c")
    data, counts = DATA.astype("float32"), np.arange(300) - 150
    found, numbers = program(x=data, n=counts)
    a, b = data, counts
    with np.errstate(over="ignore"):
        for i in range(40):
            b = b * 3 + i
            a = np.where(b > 7 * i, a * np.float32(0.5), a + b.astype("f4") * np.float32(1e-9))
    np.testing.assert_array_equal(numbers, b)
    np.testing.assert_allclose(found, a, 1e-5)
    assert {"c_float[0]", "c_int64_t[0]"} <= set(re.findall(r"c_\w+\[0\]", program.source))


def steps_apart(x, count):
    """Steps that no kernel can be made of: products of small matrices."""
    for _ in range(count):
        x = x @ x * 0.5 + 0.125
    return x


@pytest.mark.parametrize("timed", [False, True])
def test_long_lists_of_calls_are_cut_into_pieces(timed):
    x = lg.placeholder((3, 3), name="x")
    program = lg.compile(steps_apart(x, 60), backend="c")
    data = np.full((3, 3), 0.1)
    value = data
    for _ in range(60):
        value = value @ value * 0.5 + 0.125
    np.testing.assert_allclose(program(x=data), value, 1e-12)
    assert "segment_0_1(at)" in program.source
    if timed:
        assert program.profile(x=data).count("matmul") >= 60
    run = program.bind(x=data)
    run()
    np.testing.assert_allclose(run.out, value, 1e-12)


def test_a_failure_in_a_piece_names_its_step():
    x = lg.placeholder((8,), name="x")
    place = lg.placeholder((2,), dtype="int64", name="place")
    y = lg.take(steps_apart(x.reshape(2, 4)[:, :2], 40).reshape(4), place)
    program = lg.compile(y, backend="c")
    assert program(x=np.zeros(8), place=[0, 3]).shape == (2,)
    assert "segment_0_1(at)" in program.source
    with pytest.raises(lg.LazygradError, match="gather") as caught:
        program(x=np.zeros(8), place=[0, 4])
    assert "test_unit.py" in str(caught.value)
    assert program(x=np.zeros(8), place=[0, 3]).shape == (2,)


def test_short_lists_stay_whole():
    x = lg.placeholder((3, 3), name="x")
    program = lg.compile(steps_apart(x, 8), backend="c")
    program(x=np.eye(3))
    assert "segment_0_0" not in program.source
