"""The moons: where points lie, what the seed decides, and bad arguments."""

import numpy as np
import pytest

from lazygrad.data import moons


@pytest.mark.parametrize("samples", [2, 3, 100, 101])
def test_shapes_dtypes_and_class_sizes(samples):
    points, labels = moons(samples)
    assert points.shape == (samples, 2)
    assert points.dtype == np.float64
    assert labels.dtype == np.int64
    assert np.bincount(labels).tolist() == [samples // 2, samples - samples // 2]


def test_without_noise_each_class_lies_on_its_half_circle():
    points, labels = moons(200, noise=0)
    upper, lower = points[labels == 0], points[labels == 1]
    np.testing.assert_allclose(np.hypot(upper[:, 0], upper[:, 1]), 1)
    assert (upper[:, 1] >= 0).all()
    np.testing.assert_allclose(np.hypot(lower[:, 0] - 1, lower[:, 1] - 0.5), 1)
    assert (lower[:, 1] <= 0.5).all()


def test_noise_is_the_standard_deviation():
    clean, _ = moons(20_000, noise=0, seed=3)
    noisy, _ = moons(20_000, noise=0.25, seed=3)
    assert np.std(noisy - clean) == pytest.approx(0.25, rel=0.02)


def test_the_seed_decides_everything():
    points, labels = moons(seed=1)
    again, labels_again = moons(seed=1)
    other, _ = moons(seed=2)
    assert np.array_equal(points, again)
    assert np.array_equal(labels, labels_again)
    assert not np.array_equal(points, other)


def test_numpys_global_generator_is_left_alone():
    before = np.random.get_state()[1].tolist()
    moons()
    assert np.random.get_state()[1].tolist() == before


def test_classes_are_mixed():
    _, labels = moons(100)
    assert 0 < labels[:50].sum() < 50


def test_a_generator_is_drawn_from():
    generator = np.random.default_rng(0)
    first, _ = moons(seed=generator)
    second, _ = moons(seed=generator)
    assert not np.array_equal(first, second)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="samples is 1, expected at least 2"):
        moons(samples=1)
    with pytest.raises(ValueError, match=r"noise is -0\.5, expected a standard deviation"):
        moons(noise=-0.5)
    with pytest.raises(ValueError, match="noise is nan"):
        moons(noise=float("nan"))
