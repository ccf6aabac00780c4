"""Initializers against the statistics that their formulas promise."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.nn import initializers

LINEAR = (300, 500)
CONVOLUTION = (40, 30, 5, 3)
SCALED = {
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
}


@pytest.mark.parametrize("kind", ["uniform", "normal"])
@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize(
    ("shape", "fans"), [(LINEAR, (300, 500)), (CONVOLUTION, (450, 600))], ids=["linear", "conv"]
)
def test_scaled_initializers_have_their_variance(name, kind, shape, fans):
    drawn = getattr(initializers, f"{name}_{kind}")(gain=1.5)(shape, seed=0)
    variance = 1.5**2 * SCALED[name](*fans)
    assert drawn.shape == shape
    assert drawn.var() == pytest.approx(variance, rel=0.05)
    assert abs(drawn.mean()) < 5 * np.sqrt(variance / drawn.size)
    limit = np.sqrt(3) if kind == "uniform" else 2 / 0.87962566
    assert abs(drawn).max() <= limit * np.sqrt(variance) * (1 + 1e-7)


def test_fans_can_be_said():
    drawn = initializers.he_normal()((100, 100), 0, fans=(10_000, 1))
    assert drawn.std() == pytest.approx(np.sqrt(2 / 10_000), rel=0.05)


def test_plain_distributions():
    drawn = initializers.uniform(2.0, 4.0)(20_000, seed=1)
    assert (drawn.min() >= 2, drawn.max() < 4) == (True, True)
    assert drawn.mean() == pytest.approx(3.0, abs=0.02)
    drawn = initializers.normal(5.0, 0.5)(20_000, seed=1)
    assert (drawn.mean(), drawn.std()) == (pytest.approx(5, abs=0.02), pytest.approx(0.5, rel=0.02))
    drawn = initializers.truncated_normal(0.5)(20_000, seed=1)
    assert drawn.std() == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (6, 6), (5, 2, 3)])
def test_orthogonal_rows_or_columns(shape):
    q = initializers.orthogonal(gain=2.0)(shape, seed=0).reshape(shape[0], -1) / 2
    product = q @ q.T if shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)


def test_orthogonal_has_no_preferred_sign():
    signs = [initializers.orthogonal()((1, 1), seed).item() for seed in range(200)]
    assert 60 < sum(sign > 0 for sign in signs) < 140


@pytest.mark.parametrize("name", initializers.__all__)
def test_the_same_seed_gives_the_same_and_a_generator_goes_on(name):
    if name == "Initializer":
        return
    factory = getattr(initializers, name)
    initializer = factory(2.0) if name == "constant" else factory()
    assert initializer((3, 4), 7).dtype == np.float64
    np.testing.assert_array_equal(initializer((3, 4), 7), initializer((3, 4), 7))
    assert name in repr(initializer)
    if name not in ("constant", "zeros", "ones", "identity"):
        rng = np.random.default_rng(7)
        first, second = initializer((3, 4), rng), initializer((3, 4), rng)
        np.testing.assert_array_equal(first, initializer((3, 4), 7))
        assert (first != second).any()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: initializers.normal(deviation=-1), "normal: deviation must not be negative"),
        (lambda: initializers.truncated_normal(-1), "truncated_normal: deviation must not be"),
        (lambda: initializers.he_normal(-1), "he_normal: gain must not be negative, got -1"),
        (lambda: initializers.uniform(2, 1), "uniform: low is 2, above high, 1"),
        (lambda: initializers.identity()(3, 0), r"identity: needs two axes, got the shape \[3\]"),
        (lambda: initializers.orthogonal()(3, 0), "orthogonal: needs at least two axes"),
        (lambda: initializers.glorot_normal()((0, 3), 0), r"glorot_normal: the shape \[0, 3\]"),
    ],
)
def test_errors_name_the_initializer(make, words):
    with pytest.raises(lg.GraphError, match=words):
        make()
