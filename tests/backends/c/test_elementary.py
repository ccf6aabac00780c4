"""Our own elementary functions against mpmath: at most 4 units in the last place, everywhere."""

import ctypes
import math
from functools import lru_cache

import mpmath
import numpy as np
import pytest

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
    "exp2": lambda x: mpmath.power(2, x),
    "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "arcsin": mpmath.asin,
    "arccos": mpmath.acos,
    "arctan": mpmath.atan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "arcsinh": mpmath.asinh,
    "arccosh": mpmath.acosh,
    "arctanh": mpmath.atanh,
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
}
# Infinities, NaN, zeros: exp(-inf) and so on, as the C standard has them.
SPECIAL = {
    "exp": [math.inf, 0.0, math.nan, 1.0, 1.0],
    "expm1": [math.inf, -1.0, math.nan, 0.0, -0.0],
    "log": [math.inf, math.nan, math.nan, -math.inf, -math.inf],
    "log1p": [math.inf, math.nan, math.nan, 0.0, -0.0],
    "tanh": [1.0, -1.0, math.nan, 0.0, -0.0],
    "sigmoid": [1.0, 0.0, math.nan, 0.5, 0.5],
    "softplus": [math.inf, 0.0, math.nan, math.log(2), math.log(2)],
    "sqrt": [math.inf, math.nan, math.nan, 0.0, -0.0],
}
DOMAINS = {
    "log": (0, math.inf),
    "log1p": (-1, math.inf),
    "sqrt": (0, math.inf),
    "log2": (0, math.inf),
    "log10": (0, math.inf),
    "arcsin": (-1, 1),
    "arccos": (-1, 1),
    "arccosh": (1, math.inf),
    "arctanh": (-1, 1),
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
    x = x[np.abs(x) < 1e6] if name in ("exp2", "sinh", "cosh", "softplus", "sigmoid", "erfc") else x
    y = computed(name, kind, x)
    info = np.finfo(dtype)
    with mpmath.workprec(120 if name not in ("sin", "cos", "tan") else 1200):
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
