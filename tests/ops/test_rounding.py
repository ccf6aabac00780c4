"""Rounding, clipping and taking apart: NumPy's values, and the conventions of derivatives."""

import math

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.autodiff import grad
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import DisconnectedError, DTypeError, OptionError
from lazygrad.ir.graph import Graph
from lazygrad.ir.value import Value, placeholder
from lazygrad.ops import clip

EDGES = np.array([-np.inf, -2.5, -2.0, -0.3, -0.0, 0.0, 0.5, 1.5, 3.0, 1e300, np.inf, np.nan])


def run(*nodes):
    with np.errstate(all="ignore"):
        return interpret(Graph(nodes), {})


def same(found, expected):
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    if found.dtype.kind == "f":
        numbers = ~np.isnan(found)
        np.testing.assert_array_equal(np.signbit(found)[numbers], np.signbit(expected)[numbers])


@pytest.mark.parametrize("decimals", [-1, 0, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.int64])
def test_round(dtype, decimals):
    x = np.array([0, 1, 15, 25, 99]).astype(dtype)
    if x.dtype.kind == "f":
        x = x / np.array(8, dtype)
    same(run(np.round(Value(x), decimals))[0], np.round(x, decimals))
    same(run(np.around(Value(x), decimals=decimals))[0], np.round(x, decimals))


def test_round_and_fix_have_derivative_zero():
    x = Value([0.26, 1.5])
    found = run(*[grad(y, x) for y in (np.round(x, 1), round(x), np.fix(x), np.trunc(x))])
    assert not np.any(found)
    same(run(np.fix(Value(EDGES)))[0], np.trunc(EDGES))


def test_round_of_bools_is_numpys():
    x = np.array([True, False])
    same(run(np.round(Value(x)))[0], np.round(x))
    with pytest.raises(DTypeError, match=r"bool has no 2 decimals"):
        np.round(Value(x), 2)


def test_decimals_must_be_an_integer():
    with pytest.raises(OptionError, match=r"round.*: decimals must be an integer, got 1\.5"):
        np.round(Value(1.0), 1.5)


BOUNDS = [(0, 1), (-1.5, None), (None, 2), (2, 1), (np.array(-1.0), np.array([[0.5], [2.0]]))]


@pytest.mark.parametrize("low_high", BOUNDS)
def test_clip_values(low_high):
    for x in (EDGES, EDGES[:-3].astype(np.float32)):
        (found,) = run(np.clip(Value(x), *low_high))
        assert found.dtype == np.clip(x, *low_high).dtype
        # Of two zeros NumPy's maximum may give either.
        np.testing.assert_array_equal(found, np.clip(x, *low_high))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64])
def test_clip_of_integers(dtype):
    x = np.array([0, 5, 100], dtype)
    for low, high in [(1, 50), (-1000, 50), (1, 1000), (0.5, None), (None, None)]:
        same(run(np.clip(Value(x), low, high))[0], np.clip(x, low, high))
    low = Value(np.array([1, 2, 3], dtype))
    same(run(clip(Value(x), min=low))[0], np.array([1, 5, 100], dtype))
    same(run(clip(Value(x), max=low))[0], np.array([0, 2, 3], dtype))


@pytest.mark.parametrize(
    "spell",
    [
        lambda x: np.clip(x, 0, 1),
        lambda x: x.clip(0, 1),
        lambda x: np.clip(x, a_min=0, a_max=1),
        lambda x: clip(x, min=0, max=1),
        lambda x: x.clip(min=0).clip(max=1),
        lambda x: clip(x, np.zeros(7), np.ones(7)),
        lambda x: clip(x, Value(0.0), Value(np.ones(7))),
        lambda x: clip(clip(x, min=Value(0.0)), max=Value(1.0)),
    ],
)
def test_clip_has_slope_one_strictly_inside(spell):
    x = Value([-1.0, 0.0, 0.5, 1.0, 2.0, math.nan, math.inf])
    y = spell(x)
    found, second = run(grad(y, x), grad(grad(y * y, x), x))
    np.testing.assert_array_equal(found, [0, 0, 1, 0, 0, math.nan, 0])
    np.testing.assert_array_equal(second, [0, 0, 2, 0, 0, math.nan, 0])


def test_a_computed_bound_gets_what_lies_strictly_beyond_it():
    x = Value([-1.0, 0.0, 0.5, 1.0, 2.0])
    low, high = Value(0.0), Value(np.ones(5))
    both = grad(clip(x, low, high), [low, high])
    alone = [grad(clip(x, min=low), low), grad(clip(x, max=high), high)]
    found = run(*both, *alone)
    for i in (0, 2):
        assert found[i] == 1
        np.testing.assert_array_equal(found[i + 1], [0, 0, 0, 0, 1])
    # Where the bounds cross, the upper one is the result.
    low, high = Value(3.0), Value(1.0)
    assert run(*grad(clip(Value(0.0), low, high), [low, high])) == [0, 1]


def test_clip_writes_over_either_first_operand():
    kernel = clip(Value(EDGES), Value(EDGES), 0.5).op.kernel
    for position in (0, 1):
        arrays = [EDGES.copy(), np.full_like(EDGES, -1.0), np.full_like(EDGES, 2.0)]
        kernel(*arrays, arrays[position])
        same(arrays[position], np.clip(EDGES, -1.0, 2.0))


def test_a_bound_given_twice_is_refused():
    with pytest.raises(OptionError, match=r"clip.*: both a_min and min were given"):
        clip(Value(1.0), 0, 1, min=0)


def test_clip_of_symbolic_lengths():
    x = placeholder(("batch", 3), name="x")
    assert clip(x, 0, 1).shape == x.shape
    assert clip(x, min=Value([0.0, 1.0, 2.0])).shape == x.shape


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_to_num(dtype):
    x = np.clip(EDGES, -1e30, 1e30).astype(dtype)
    x[[0, -2]] = -np.inf, np.inf
    same(run(np.nan_to_num(Value(x)))[0], np.nan_to_num(x))
    replaced = {"nan": 7.0, "posinf": 1.0, "neginf": 2.0}
    same(run(np.nan_to_num(Value(x), **replaced))[0], np.nan_to_num(x, **replaced))
    leaf = Value(x)
    np.testing.assert_array_equal(run(grad(np.nan_to_num(leaf), leaf))[0], np.isfinite(x))
    whole = np.array([1, 2])
    same(run(np.nan_to_num(Value(whole)))[0], whole)
    with pytest.raises(OptionError, match="can't be written in place"):
        np.nan_to_num(Value(x), copy=False)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.int64])
def test_modf_and_frexp(dtype):
    x = EDGES if dtype is np.float64 else np.array([-7, -1, 0, 1, 6]).astype(dtype)
    for function in (np.modf, np.frexp):
        for found, expected in zip(run(*function(Value(x))), function(x), strict=True):
            if function is np.frexp and expected.dtype.kind == "i":
                found, expected = found[np.isfinite(x)], expected[np.isfinite(x)]
            same(found, expected)


def test_frexp_of_the_smallest_numbers():
    x = np.array([5e-324, -2.5e-310, 1.7e308])
    for found, expected in zip(run(*np.frexp(Value(x))), np.frexp(x), strict=True):
        same(found, expected)


def test_derivatives_of_parts():
    x = Value([-2.0, 0.0, 2.75, 40.0])
    fraction, whole = np.modf(x)
    mantissa, exponent = np.frexp(x)
    scaled = np.ldexp(x, np.array([1, 2, 3, -1]))
    found = run(*[grad(y, x) for y in (fraction, whole, mantissa, scaled)])
    np.testing.assert_array_equal(found[0], np.ones(4))
    np.testing.assert_array_equal(found[1], np.zeros(4))
    np.testing.assert_array_equal(found[2], 0.5 ** np.frexp(x.cell.array)[1])
    np.testing.assert_array_equal(found[3], [2, 4, 8, 0.5])
    with pytest.raises(DisconnectedError):
        grad(exponent, x)


def test_divmod_and_its_derivatives():
    a, b = np.array([7.0, -7.0, 0.9999999999999999 * 3]), np.array([2.0, 2.0, 3.0])
    x, y = Value(a), Value(b)
    quotient, rest = np.divmod(x, y)
    found = run(quotient, rest, grad(quotient, x), *grad(rest, [x, y]), grad(np.fmod(x, y), y))
    same(found[0], np.divmod(a, b)[0])
    same(found[1], np.divmod(a, b)[1])
    np.testing.assert_array_equal(found[2], [0, 0, 0])
    np.testing.assert_array_equal(found[3], [1, 1, 1])
    np.testing.assert_array_equal(found[4], [-3, 4, 0])
    np.testing.assert_array_equal(found[5], [-3, 3, 0])


def test_discrete_functions():
    x, n = Value([1.0, -2.0]), Value(np.array([12, -7]))
    found = run(
        np.nextafter(x, 5.0), np.spacing(x), np.gcd(n, 8), np.lcm(n, 8), np.bitwise_count(n)
    )
    same(found[0], np.nextafter([1.0, -2.0], 5.0))
    same(found[1], np.spacing([1.0, -2.0]))
    same(found[2], np.gcd([12, -7], 8))
    same(found[3], np.lcm([12, -7], 8))
    same(found[4], np.bitwise_count([12, -7]))
    for y in (np.nextafter(x, 5.0), np.spacing(x)):
        with pytest.raises(DisconnectedError):
            grad(y, x)


def test_ldexp_takes_python_integers():
    x = Value(np.array([1.0, 3.0], np.float32))
    for y in (np.ldexp(x, 2), lg.ldexp(x, 2)):
        assert y.dtype == np.float32
        np.testing.assert_array_equal(run(y)[0], [4, 12])
    np.testing.assert_array_equal(run(grad(np.ldexp(x, 2), x))[0], [4, 4])
    with pytest.raises(DTypeError, match="there is no ldexp of"):
        np.ldexp(x, 1.5)
