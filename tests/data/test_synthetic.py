"""Computed data sets: where points lie, what the seed decides, and bad arguments."""

import numpy as np
import pytest

from lazygrad.data import blobs, moons, spirals


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


@pytest.mark.parametrize("make", [spirals, blobs])
@pytest.mark.parametrize("samples", [3, 4, 5, 300])
def test_spirals_and_blobs_share_rows_among_classes(make, samples):
    points, labels = make(samples)
    assert points.shape == (samples, 2)
    assert (points.dtype, labels.dtype) == (np.float64, np.int64)
    assert sorted(np.bincount(labels).tolist()) == [(samples + k) // 3 for k in range(3)]
    again, labels_again = make(samples, seed=0)
    assert np.array_equal(points, again)
    assert np.array_equal(labels, labels_again)
    assert not np.array_equal(points, make(samples, seed=1)[0])


def test_without_noise_spirals_are_one_arm_turned():
    points, labels = spirals(400, classes=4, noise=0)
    arms = [points[labels == k] @ np.array([1, 1j]) for k in range(4)]
    arms = [arm[np.argsort(np.abs(arm))] for arm in arms]
    for k, arm in enumerate(arms):
        np.testing.assert_allclose(arm, arms[0] * 1j**k, atol=1e-12)
        assert np.abs(arm).min() > 0
        assert np.abs(arm).max() == pytest.approx(1)


def test_blobs_lie_around_their_centers():
    centers = np.array([[0.0, 5.0, 1.0], [9.0, -5.0, 2.0]])
    points, labels = blobs(20_000, centers, deviation=[0.5, 2.0], seed=2)
    for k, deviation in enumerate([0.5, 2.0]):
        cloud = points[labels == k]
        np.testing.assert_allclose(cloud.mean(axis=0), centers[k], atol=0.1)
        np.testing.assert_allclose(cloud.std(axis=0), deviation, rtol=0.05)


def test_drawn_centers_depend_on_the_seed_only():
    def centers(samples):
        points, labels = blobs(samples, 4, deviation=0)
        return [points[labels == k][0].tolist() for k in range(4)]

    assert centers(4) == centers(50)


def test_bad_arguments_of_spirals_and_blobs_are_named():
    with pytest.raises(ValueError, match="spirals: samples is 2, expected at least 3"):
        spirals(2)
    with pytest.raises(ValueError, match="spirals: classes is 0"):
        spirals(classes=0)
    with pytest.raises(ValueError, match="spirals: noise is inf"):
        spirals(noise=float("inf"))
    with pytest.raises(ValueError, match="blobs: samples is 2, expected at least 3"):
        blobs(2)
    with pytest.raises(ValueError, match=r"blobs: centers has shape \[3\]"):
        blobs(centers=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"blobs: deviation has shape \[2\], expected .*\[3\]"):
        blobs(deviation=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"blobs: deviation is -1\.0"):
        blobs(deviation=[1.0, -1.0, 1.0])
    with pytest.raises(TypeError):
        blobs(centers=2.5)
