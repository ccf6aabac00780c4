"""Convolutions in C against NumPy: windows read where they lie, in every form and precision."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain

try:
    find_toolchain()
except CompilerError as reason:
    pytest.skip(f"there is no C compiler: {reason}", allow_module_level=True)

CASES = [
    ((4, 1, 28, 28), (8, 1, 3, 3), {}),
    ((2, 8, 13, 13), (16, 8, 3, 3), {"padding": "same"}),
    ((2, 3, 9, 9), (5, 3, 3, 3), {"padding": 1, "stride": 2}),
    ((2, 4, 9, 9), (6, 2, 3, 3), {"groups": 2}),
    ((2, 3, 20), (4, 3, 5), {"dilation": 2}),
    ((2, 3, 9, 9), (40, 3, 5, 5), {}),
    ((2, 3, 9, 9), (7, 3, 1, 1), {}),
    ((3, 40, 6, 40), (2, 40, 3, 3), {}),
    ((1, 2, 5, 6, 7), (3, 2, 2, 3, 2), {}),
    ((64, 9, 9), (3, 64, 3, 3), {}),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "kernel", "options"), CASES)
def test_values_and_gradients(shape, kernel, options, dtype):
    rng = np.random.default_rng(0)
    x = lg.placeholder(shape, dtype=dtype, name="x", requires_grad=True)
    start = (rng.standard_normal(kernel) / np.sqrt(np.prod(kernel[1:]))).astype(dtype)
    w = lg.Value(start)
    y = lg.conv(x, w, **options)
    loss = lg.mean(lg.tanh(y) * y)
    data = rng.standard_normal(shape).astype(dtype)
    outputs = [loss, y, *lg.grad(loss, [x, w])]
    given = lg.compile(outputs, backend="c")(x=data)
    # In float64 by NumPy alone, whose products are copied windows.
    wide = lg.placeholder(shape, name="x", requires_grad=True)
    kernels = lg.Value(start.astype("float64"))
    z = lg.conv(wide, kernels, **options)
    loss = lg.mean(lg.tanh(z) * z)
    wanted = lg.compile([loss, z, *lg.grad(loss, [wide, kernels])], backend="numpy")(
        x=data.astype("float64")
    )
    tolerance = 500 * np.finfo(dtype).eps
    for one, other in zip(given, wanted, strict=True):
        scale = np.abs(other).max()
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * scale)


def test_deep_windows_are_added_up_in_passes():
    rng = np.random.default_rng(1)
    data, kernels = rng.standard_normal((2, 40, 4, 30)), rng.standard_normal((12, 40, 3, 3))
    x = lg.placeholder(data.shape, name="x")
    program = lg.compile(lg.conv(x, lg.Value(kernels)), backend="c")
    wanted = np.zeros((2, 12, 2, 28))
    for i in range(3):
        for j in range(3):
            seen = data[:, :, i : i + 2, j : j + 28]
            wanted += np.einsum("nchw,oc->nohw", seen, kernels[:, :, i, j])
    np.testing.assert_allclose(program(x=data), wanted, rtol=1e-12, atol=1e-11)
    assert "rows_at" in program.source


def test_bias_and_activation_after_a_convolution_of_one_image():
    rng = np.random.default_rng(2)
    data, kernels = rng.standard_normal((1, 2, 9)), rng.standard_normal((4, 2, 3))
    x, bias = lg.placeholder(data.shape, name="x"), lg.Value(rng.standard_normal((4, 1)))
    output = lg.relu(lg.conv(x, lg.Value(kernels)) + bias)
    program = lg.compile(output, backend="c")
    wanted = sum(
        np.einsum("ncp,oc->nop", data[:, :, i : i + 7], kernels[:, :, i]) for i in range(3)
    )
    np.testing.assert_allclose(program(x=data), np.maximum(wanted + bias.data, 0), rtol=1e-12)
    assert "epilogue_" in program.source
    assert "flops" in program.explain()
