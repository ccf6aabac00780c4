"""Our own elementary functions against mpmath: at most 4 units in the last place, everywhere."""

import ctypes
import math
from functools import lru_cache

import mpmath
import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.c import unit
from lazygrad.backends.c.cache import library
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain

try:
    TOOLCHAIN = find_toolchain()
except CompilerError as reason:
    pytest.skip(f"there is no C compiler: {reason}", allow_module_level=True)

TYPES = {"float": np.float32, "double": np.float64}
EXACT = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "sqrt": mpmath.sqrt,
    "c_exp2": lambda x: mpmath.power(2, x),
    "c_log2": lambda x: mpmath.log(x, 2),
    "c_log10": mpmath.log10,
    "c_cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "sin": mpmath.sin,
    "sin_near": mpmath.sin,
    "cos_near": mpmath.cos,
    "cos": mpmath.cos,
    "c_tan": mpmath.tan,
    "c_arcsin": mpmath.asin,
    "c_arccos": mpmath.acos,
    "c_arctan": mpmath.atan,
    "c_sinh": mpmath.sinh,
    "c_cosh": mpmath.cosh,
    "c_arcsinh": mpmath.asinh,
    "c_arccosh": mpmath.acosh,
    "c_arctanh": mpmath.atanh,
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
}
# Infinities, NaN, zeros: exp(-inf) and so on, as the C standard has them.
SPECIAL = {
    "exp": [math.inf, 0.0, math.nan, 1.0, 1.0],
    "expm1": [math.inf, -1.0, math.nan, 0.0, -0.0],
    "log": [math.inf, math.nan, math.nan, -math.inf, -math.inf],
    "log1p": [math.inf, math.nan, math.nan, 0.0, -0.0],
    "sin_near": [math.nan, math.nan, math.nan, 0.0, -0.0],
    "cos_near": [math.nan, math.nan, math.nan, 1.0, 1.0],
    "tanh": [1.0, -1.0, math.nan, 0.0, -0.0],
    "sigmoid": [1.0, 0.0, math.nan, 0.5, 0.5],
    "softplus": [math.inf, 0.0, math.nan, math.log(2), math.log(2)],
    "sqrt": [math.inf, math.nan, math.nan, 0.0, -0.0],
}
DOMAINS = {
    "log": (0, math.inf),
    "log1p": (-1, math.inf),
    "sqrt": (0, math.inf),
    "c_log2": (0, math.inf),
    "c_log10": (0, math.inf),
    "c_arcsin": (-1, 1),
    "c_arccos": (-1, 1),
    "c_arccosh": (1, math.inf),
    "c_arctanh": (-1, 1),
}


@lru_cache(maxsize=1)
def compiled():
    loops = [
        f"void all_{name}_{kind}(const {kind} *restrict x, {kind} *restrict y, int64_t n)"
        f" {{ for (int64_t i = 0; i < n; i++) y[i] = {name}_{kind}(x[i]); }}"
        for name in EXACT
        for kind in TYPES
    ]
    return library("\n".join([unit.Unit(16, TOOLCHAIN.vector_bytes).text, *loops]), TOOLCHAIN)


def computed(name, kind, x):
    y = np.empty_like(x)
    run = getattr(compiled().free, f"all_{name}_{kind}")
    run.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    run(x.ctypes.data, y.ctypes.data, x.size)
    return y


def arguments(dtype, domain, count):
    """Numbers of every size, many near 0, 1 and the ends of ranges, inside the domain."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2 ** (8 * dtype.itemsize), count, dtype=f"u{dtype.itemsize}")
    info = np.finfo(dtype)
    parts = [
        bits.view(dtype),
        rng.normal(size=count // 2) * 10,
        rng.uniform(-1, 1, count // 2),
        rng.uniform(-110, 110, count // 4),
        1 + rng.normal(size=count // 4) * 1e-3,
        np.geomspace(float(info.tiny), 1, count // 8),
        float(info.smallest_subnormal) * np.arange(1, 20),
        [float(info.max), -float(info.max), float(info.tiny), 709.7, -745.1, 88.7, -103.9],
    ]
    with np.errstate(all="ignore"):
        x = np.concatenate([np.asarray(part).astype(dtype) for part in parts])
    x = x[np.isfinite(x)]
    return x[(x > domain[0]) & (x < domain[1])]


def ulps(y, exact, info):
    """The distance of a number from the exact value, in units in its last place."""
    if abs(exact) >= mpmath.mpf(float(info.max)) * (1 + mpmath.mpf(float(info.eps)) / 4):
        return 0.0 if math.isinf(y) and (y > 0) == (exact > 0) else math.inf
    if not math.isfinite(y):
        return math.inf
    exponent = mpmath.floor(mpmath.log(abs(exact), 2)) if exact else 0
    size = mpmath.mpf(2) ** exponent * mpmath.mpf(float(info.eps))
    size = max(size, mpmath.mpf(float(info.smallest_subnormal)))
    return float(abs(mpmath.mpf(y) - exact) / size)


def worst(name, kind, count):
    dtype = np.dtype(TYPES[kind])
    x = arguments(dtype, DOMAINS.get(name, (-math.inf, math.inf)), count)
    # Beyond this the exact value alone would take mpmath minutes.
    x = x[np.abs(x) <= (1e6 if kind == "float" else 1e9)] if "_near" in name else x
    x = (
        x[np.abs(x) < 1e6]
        if name in ("c_exp2", "c_sinh", "c_cosh", "softplus", "sigmoid", "erfc")
        else x
    )
    y = computed(name, kind, x)
    info = np.finfo(dtype)
    is_turning = name in ("sin", "cos", "sin_near", "cos_near", "c_tan")
    with mpmath.workprec(1200 if is_turning else 120):
        distances = [
            ulps(float(b), _exact(name, float(a)), info) for a, b in zip(x, y, strict=True)
        ]
    place = int(np.argmax(distances))
    return distances[place], x[place]


def _exact(name, a):
    # What over- or underflows by far needs no exact value.
    if name in ("exp", "expm1") and abs(a) > 2000:
        return mpmath.mpf("1e5000") if a > 0 else mpmath.mpf(0 if name == "exp" else -1)
    return EXACT[name](mpmath.mpf(a))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", EXACT)
def test_within_4_units_in_the_last_place(name, kind):
    distance, where = worst(name, kind, 400)
    assert distance <= 4, f"{name}({where!r}) is {distance:.2f} ulp off"


@pytest.mark.deep
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", SPECIAL)
def test_within_4_units_in_the_last_place_at_many_places(name, kind):
    distance, where = worst(name, kind, 20_000)
    assert distance <= 4, f"{name}({where!r}) is {distance:.2f} ulp off"


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", SPECIAL)
def test_infinities_nan_and_signed_zeros(name, kind):
    dtype = TYPES[kind]
    x = np.array([math.inf, -math.inf, math.nan, 0.0, -0.0], dtype)
    # A whole vector, and what is left over, take different paths.
    y = computed(name, kind, np.tile(x, 13)).reshape(13, 5)
    for row in y:
        np.testing.assert_array_equal(row, np.array(SPECIAL[name], dtype))
        np.testing.assert_array_equal(np.signbit(row[3:]), np.signbit(SPECIAL[name][3:]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sine_far_from_0_among_others(dtype):
    x = lg.placeholder((1000,), dtype=dtype, name="x")
    w = lg.Value(np.linspace(-5, 5, 1000).astype(dtype))
    outputs = [lg.sin(x) + lg.cos(2 * x), (lg.sin(x) * lg.cos(x)).sum()]
    # The update is written where it is read, which can't be done twice.
    program = lg.compile(outputs, updates={w: lg.sin(w * 2)}, backend="c")
    data = np.linspace(-30, 30, 1000).astype(dtype)
    for far in (0.0, 3e7, 1e20, np.inf, np.nan):
        data[500] = far
        before = w.data.copy()
        first, total = program(x=data)
        with np.errstate(invalid="ignore"):
            expected = np.sin(data) + np.cos(2 * data)
            both = (np.sin(data) * np.cos(data)).astype("float64").sum()
        bound = 20 * np.finfo(dtype).eps
        np.testing.assert_allclose(first, expected, rtol=0, atol=bound)
        np.testing.assert_allclose(total, both, rtol=0, atol=1000 * bound)
        np.testing.assert_allclose(w.data, np.sin(before * 2), rtol=0, atol=bound)
