"""The error function against mpmath, over the whole range."""

import mpmath
import numpy as np
import pytest

import lazygrad as lg

SPECIAL = [0.0, -0.0, 5e-324, -1e-310, 1e-30, 0.25, 0.84375, -1.25, 1 / 0.35, 6.0, -6.0, 26.5, 28.0]


def points(count=4000):
    rng = np.random.default_rng(3)
    near = rng.uniform(-7, 7, count)
    small = rng.choice([-1, 1], 200) * 10.0 ** rng.uniform(-300, 0, 200)
    return np.concatenate([near, small, rng.uniform(6, 27, 500), SPECIAL])


@pytest.mark.usefixtures("_on_numpy")
@pytest.mark.parametrize("name", ["erf", "erfc"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_within_a_few_units_in_the_last_place(name, dtype):
    x = points().astype(dtype)
    got = lg.compile(getattr(lg, name)(lg.placeholder(x.shape, dtype=dtype, name="x")))(x=x)
    assert got.dtype == dtype
    with mpmath.workdps(40):
        expected = np.array([float(getattr(mpmath, name)(mpmath.mpf(float(v)))) for v in x])
    unit = np.spacing(np.abs(expected).astype(dtype)).astype(np.float64)
    assert (np.abs(got - expected) / unit).max() < (3 if dtype == "float64" else 0.51)


def test_ends_signs_and_nan():
    x = np.array([np.inf, -np.inf, np.nan, 1e300, -1e300, -0.0])
    erf = lg.erf(x).data
    np.testing.assert_array_equal(erf, [1, -1, np.nan, 1, -1, 0])
    assert np.signbit(erf[-1])
    np.testing.assert_array_equal(lg.erfc(x).data, [0, 2, np.nan, 0, 2, 1])


def test_integers_lists_strides_and_empty_arrays():
    assert lg.erf(0).data == 0.0
    assert lg.erf(np.array([1], np.int32)).dtype == np.float64
    assert lg.erf(np.zeros((0, 3))).data.shape == (0, 3)
    x = np.linspace(-3, 3, 40).reshape(8, 5)
    np.testing.assert_array_equal(lg.erf(lg.constant(x).T).data, lg.erf(x).data.T)
    large = np.linspace(-3, 3, 50_001)
    np.testing.assert_array_equal(lg.erf(large).data[::5000], lg.erf(large[::5000]).data)
