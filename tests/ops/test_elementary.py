"""Values against NumPy, derivatives against the complex step, and what happens at domain edges."""

import math

import numpy as np
import pytest

from lazygrad.autodiff import grad
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import DTypeError
from lazygrad.ir.graph import Graph
from lazygrad.ir.op import NUMPY_FUNCTIONS, lookup
from lazygrad.ir.value import Value
from lazygrad.ops import elementary

UNARY = [
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "sin", "cos", "tan",
    "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh",
    "deg2rad", "rad2deg",
]  # fmt: skip
BINARY = ["arctan2", "hypot", "logaddexp", "logaddexp2"]
# Those that NumPy can't compute for complex arguments, over others that it can.
COMPLEX = {
    "cbrt": lambda z: z ** (1 / 3),
    "deg2rad": lambda z: z * (math.pi / 180),
    "rad2deg": lambda z: z * (180 / math.pi),
    "arctan2": lambda y, x: np.log((x + 1j * y) / np.sqrt(x * x + y * y)) / 1j,
    "hypot": lambda x, y: np.sqrt(x * x + y * y),
    "logaddexp": lambda x, y: np.log(np.exp(x) + np.exp(y)),
    "logaddexp2": lambda x, y: np.log2(np.exp2(x) + np.exp2(y)),
}


def run(*nodes):
    with np.errstate(all="ignore"):
        return interpret(Graph(nodes), {})


def derivatives(function, at, count):
    """Give the derivatives of orders 0 to *count* of a function of one variable."""
    x = Value(np.asarray(at, np.float64))
    found = [function(x)]
    for _ in range(count):
        found.append(grad(found[-1], x, unused="zero"))
    return run(*found)


def samples(name, count=7):
    rng = np.random.default_rng(3)
    return [rng.uniform(low, high, count) for low, high in lookup(name).domain]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.int64, np.uint8, np.bool_])
@pytest.mark.parametrize("name", UNARY + BINARY)
def test_values_and_dtypes_are_numpys(name, dtype):
    ufunc = getattr(np, name)
    arrays = [np.array([0, 1, 1, 0]).astype(dtype), np.array([1, 0, 1, 0]).astype(dtype)]
    arrays = arrays[: ufunc.nin]
    (result,) = run(ufunc(*map(Value, arrays)))
    with np.errstate(all="ignore"):
        expected = ufunc(*arrays)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("name", UNARY + BINARY)
def test_first_derivatives_agree_with_the_complex_step(name):
    function = COMPLEX.get(name, getattr(np, name))
    points = samples(name)
    leaves = [Value(point) for point in points]
    found = run(*grad(getattr(elementary, name)(*leaves), leaves))
    for i, derivative in enumerate(found):
        moved = [p + 1e-30j if i == j else p + 0j for j, p in enumerate(points)]
        # arctan2's logarithm has its value where the others have their imaginary part.
        step = function(*moved).imag / 1e-30
        if name == "arctan2":
            y, x = points
            step = (x if i == 0 else -y) / (x * x + y * y)
        np.testing.assert_allclose(derivative, step, rtol=1e-13)


@pytest.mark.parametrize("name", UNARY)
def test_second_derivatives_agree_with_differences_of_first_ones(name):
    function = getattr(elementary, name)
    (points,) = samples(name)
    step = 1e-6
    second = derivatives(function, points, 2)[2]
    above = derivatives(function, points + step, 1)[1]
    below = derivatives(function, points - step, 1)[1]
    np.testing.assert_allclose(second, (above - below) / (2 * step), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "at", "value", "slope"),
    [
        ("log", -1.0, math.nan, math.nan),
        ("log", 0.0, -math.inf, math.inf),
        ("log2", -1.0, math.nan, math.nan),
        ("log2", 0.0, -math.inf, math.inf),
        ("log10", -1.0, math.nan, math.nan),
        ("log10", 0.0, -math.inf, math.inf),
        ("log1p", -2.0, math.nan, math.nan),
        ("log1p", -1.0, -math.inf, math.inf),
        ("sqrt", -1.0, math.nan, math.nan),
        ("sqrt", 0.0, 0.0, math.inf),
        ("cbrt", 0.0, 0.0, math.inf),
        ("cbrt", -8.0, -2.0, 1 / 12),
        ("arcsin", 1.0, math.pi / 2, math.inf),
        ("arcsin", 1.5, math.nan, math.nan),
        ("arccos", -1.0, math.pi, -math.inf),
        ("arccos", -1.5, math.nan, math.nan),
        ("arccosh", 1.0, 0.0, math.inf),
        ("arccosh", 0.5, math.nan, math.nan),
        ("arccosh", -2.0, math.nan, math.nan),
        ("arctanh", 1.0, math.inf, math.inf),
        ("arctanh", -1.0, -math.inf, math.inf),
        ("arctanh", 1.5, math.nan, math.nan),
        ("arctanh", -1.5, math.nan, math.nan),
        ("exp", -math.inf, 0.0, 0.0),
        ("tanh", 100.0, 1.0, 0.0),
    ],
)
def test_edges_of_domains(name, at, value, slope):
    found = derivatives(getattr(elementary, name), at, 1)
    np.testing.assert_allclose(found, [value, slope], rtol=1e-14)


@pytest.mark.parametrize("name", ["log", "log2", "log10", "log1p", "arctanh", "arccosh", "sqrt"])
def test_outside_a_domain_derivatives_of_every_order_are_nan(name):
    assert np.isnan(derivatives(getattr(elementary, name), -3.0, 3)).all()


def test_power_outside_its_domain():
    x, y = Value([-2.0, -2.0, 0.0, 0.0, 0.0]), Value([0.5, 3.0, 2.0, 1.0, 0.0])
    value, base, exponent = run(x**y, *grad(x**y, [x, y]))
    np.testing.assert_array_equal(value, [math.nan, -8, 0, 0, 1])
    np.testing.assert_array_equal(base, [math.nan, 12, 0, 1, 0])
    np.testing.assert_array_equal(exponent, [math.nan, math.nan, 0, 0, -math.inf])


def test_integers_are_differentiated_over_the_reals():
    # Each intermediate of these rules would wrap around in int8.
    for name, slope in [
        ("arctan", 1 / (1 + 100.0**2)),
        ("arcsinh", 1 / math.sqrt(1 + 100.0**2)),
        ("log1p", 1 / 101),
        ("arccosh", 1 / math.sqrt(100.0**2 - 1)),
    ]:
        x = Value(np.array(100, np.int8))
        (found,) = run(grad(getattr(elementary, name)(x), x))
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, slope, rtol=2e-3)  # NumPy computes these in float16
    x = Value(np.array(127, np.int8))
    assert run(grad(np.log1p(x), x))[0] == pytest.approx(1 / 128, rel=2e-3)
    (found,) = run(grad(x**2, x))
    assert found == 254
    (found,) = run(grad(np.power(x, 3), x))
    assert found == 3 * 127**2


def test_small_results_keep_their_digits():
    assert derivatives(elementary.expm1, -50.0, 1)[1] == np.exp(-50.0)
    x = Value(np.float64(1 - 2.0**-53))
    (found,) = run(grad(np.arcsin(x), x))
    np.testing.assert_allclose(found, 2.0**26 * (1 + 2.0**-55), rtol=1e-15)


def test_arctan2_and_hypot_neither_overflow_nor_vanish():
    for scale in (1e-200, 1e200):
        y, x = Value(3.0 * scale), Value(4.0 * scale)
        found = run(*grad(np.arctan2(y, x), [y, x]), *grad(np.hypot(y, x), [y, x]))
        np.testing.assert_allclose(found, [0.16 / scale, -0.12 / scale, 0.6, 0.8], rtol=1e-14)


def test_hypot_at_the_origin_has_derivative_zero_in_every_order():
    x, y = Value(0.0), Value(0.0)
    first = grad(np.hypot(x, y), [x, y])
    second = grad(first[0], [x, y])
    with np.errstate(all="raise"):
        assert interpret(Graph([*first, *second]), {}) == [0, 0, 0, 0]


def test_arctan2_at_the_origin_has_no_derivative():
    x, y = Value(0.0), Value(0.0)
    assert np.isnan(run(*grad(np.arctan2(y, x), [x, y]))).all()


def test_logaddexp_far_apart():
    x, y = Value([1000.0, -math.inf, math.inf]), Value([-1000.0, 0.0, 1.0])
    z = np.logaddexp(x, y)
    value, left, right = run(z, *grad(z, [x, y]))
    np.testing.assert_array_equal(value, [1000, 0, math.inf])
    np.testing.assert_array_equal(left, [1, 0, 1])
    np.testing.assert_array_equal(right, [0, 1, 0])


def test_where_keeps_the_branch_not_taken_out():
    x = Value([-2.0, 0.0, 3.0])
    for function in (np.log, np.log1p, np.arccosh, np.sqrt):
        (found,) = run(grad(np.where(x > 2, function(x), 0.0), x))
        assert np.isfinite(found).all()
        assert found[0] == found[1] == 0


def test_both_ufuncs_of_an_angle_are_one_function():
    assert NUMPY_FUNCTIONS[np.radians] is NUMPY_FUNCTIONS[np.deg2rad] is elementary.radians
    assert NUMPY_FUNCTIONS[np.degrees] is NUMPY_FUNCTIONS[np.rad2deg] is elementary.degrees


def test_float_power_computes_in_float64():
    x = Value(np.array([1, 2], np.int32))
    y = np.float_power(x, -1)
    value, slope = run(y, grad(y, x))
    assert value.dtype == slope.dtype == np.float64
    np.testing.assert_array_equal(value, [1, 0.5])
    np.testing.assert_array_equal(slope, [-1, -0.25])
    assert np.float_power(Value(np.float32(2)), 2).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.bool_])
def test_sinc_values(dtype):
    x = np.array([[0, 1, 2], [1, 0, 3]]).astype(dtype) / np.array(4).astype(dtype).clip(1)
    (found,) = run(np.sinc(Value(x)))
    assert found.dtype == (x.dtype if x.dtype.kind == "f" else np.float64)
    # NumPy below 2.3 gives NaN at 0 in float16.
    expected = np.sinc(x.astype(np.float64))
    np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(found.dtype).eps, atol=1e-16)


def test_sinc_is_smooth_at_zero():
    found = derivatives(np.sinc, 0.0, 4)
    np.testing.assert_allclose(found, [1, 0, -(np.pi**2) / 3, 0, np.pi**4 / 5], rtol=1e-14)


def test_derivatives_of_sinc_are_accurate_near_and_far():
    mpmath = pytest.importorskip("mpmath")
    points = [1e-9, 1e-3, 0.3, 0.317, 0.32, 0.47, 0.48, 0.9, 5.1]
    found = derivatives(np.sinc, points, 3)
    with mpmath.workdps(60):
        for order, row in enumerate(found):
            expected = [
                float(mpmath.diff(lambda z: mpmath.sinc(mpmath.pi * z), point, order))
                for point in map(mpmath.mpf, points)
            ]
            np.testing.assert_allclose(row, expected, rtol=1e-12, atol=1e-14)


def test_a_missing_loop_is_named():
    with pytest.raises(DTypeError, match=r"there is no gcd of float64 and float64"):
        np.gcd(Value(1.0), Value(2.0))


def test_empty_and_zero_dimensional():
    for shape in [(), (0,), (2, 0)]:
        x = Value(np.ones(shape))
        for name in [*UNARY, "sinc"]:
            y = getattr(elementary, name)(x)
            value, slope = run(y, grad(y, x))
            assert value.shape == slope.shape == shape
