"""One-hot rows and standardized columns: corners of dtype and range, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

import lazygrad as lg
from lazygrad.data import one_hot, standardize


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64", "uint64"])
def test_one_hot_takes_every_integer_dtype(dtype):
    labels = np.array([[1, 0], [0, 1]], dtype)
    rows = one_hot(labels, 2)
    assert rows.dtype == np.float32
    assert rows.shape == (2, 2, 2)
    assert np.array_equal(rows.argmax(-1), labels)
    assert (rows.sum(-1) == 1).all()


def test_one_hot_of_a_scalar_and_of_nothing():
    assert one_hot(2, 3, "int8").tolist() == [0, 0, 1]
    assert one_hot([], 3).shape == (0, 3)
    assert one_hot(np.zeros((2, 0), int), 3).shape == (2, 0, 3)


def test_one_hot_names_the_label_that_is_outside():
    with pytest.raises(lg.OptionError, match=r"label 3 at \[1, 0\] is outside 0 to 2"):
        one_hot([[0, 1], [3, 2]], 3)
    with pytest.raises(lg.OptionError, match="label -1 is outside 0 to 2"):
        one_hot(-1, 3)
    with pytest.raises(lg.OptionError, match="label 255"):
        one_hot(np.array([255], np.uint8), 10)
    with pytest.raises(lg.DTypeError, match=r"labels is float64\[1\], expected integers"):
        one_hot([1.0], 3)
    with pytest.raises(lg.OptionError, match="classes is 0"):
        one_hot([], 0)
    with pytest.raises(lg.OptionError, match="labels has masked entries"):
        one_hot(np.ma.masked_array([0, 1], mask=[True, False]), 2)


@given(arrays(np.float64, (7, 3), elements=st.floats(-1e6, 1e6)))
def test_train_has_mean_0_and_deviation_1_or_0(x):
    result, scale = standardize(x)
    assert np.isfinite(result).all()
    constant = (x == x[0]).all(axis=0)
    assert (result[:, constant] == 0).all()
    np.testing.assert_allclose(scale.invert(result), x, rtol=1e-9, atol=1e-9)
    # The squares of deviations below 1e-150 are denormal or 0.
    wide = np.ptp(x, axis=0) > np.maximum(1e-3 * np.abs(x).max(axis=0), 1e-150)
    np.testing.assert_allclose(result[:, wide].mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(result[:, wide].std(axis=0), 1, rtol=1e-9)


def test_a_constant_whose_computed_mean_is_rounded_becomes_0():
    x = np.full((3, 1), 0.1)
    assert x.mean() != 0.1
    result, other, scale = standardize(x, [[1.1]])
    assert result.tolist() == [[0.0]] * 3
    assert scale.deviation.tolist() == [1.0]
    np.testing.assert_allclose(other, 1.0)


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e200])
def test_numbers_whose_squares_leave_the_range_stay_finite(size):
    result, _ = standardize(np.array([-size, size]))
    np.testing.assert_allclose(result, [-1, 1])


@pytest.mark.parametrize(
    ("given", "expected"),
    [("float16", "float16"), ("float32", "float32"), ("uint8", "float64"), ("bool", "float64")],
)
def test_float_dtypes_are_kept_and_others_become_float64(given, expected):
    x = np.array([[0, 1], [1, 0]], given)
    result, _ = standardize(x)
    assert result.dtype == expected
    assert result.tolist() == [[-1, 1], [1, -1]]
    assert x.tolist() == [[0, 1], [1, 0]]


def test_float32_is_computed_in_float64():
    result, _ = standardize(np.float32([1e7, 1e7 + 1] * 50_000))
    np.testing.assert_array_equal(np.abs(result), 1)


def test_others_use_the_numbers_of_train():
    train, test, scale = standardize([[0.0], [2.0]], [[4.0]])
    assert (train.tolist(), test.tolist()) == ([[-1.0], [1.0]], [[3.0]])
    assert scale.apply([4.0]).tolist() == [3.0]
    assert scale.apply(np.full((5, 6, 1), 4.0)).shape == (5, 6, 1)


def test_images_are_standardized_pixel_by_pixel():
    images = np.random.default_rng(0).normal(size=(20, 3, 4))
    result, scale = standardize(images)
    assert scale.mean.shape == (3, 4)
    np.testing.assert_allclose(result, (images - images.mean(0)) / images.std(0))


def test_what_cant_be_standardized_is_named():
    with pytest.raises(lg.OptionError, match=r"train has nan at \[1, 0\]"):
        standardize([[1.0], [np.nan]])
    with pytest.raises(lg.ShapeError, match=r"train is float64\[0, 2\], expected at least one row"):
        standardize(np.zeros((0, 2)))
    with pytest.raises(lg.ShapeError, match=r"array 2 is float64\[4, 3\]"):
        standardize(np.zeros((4, 2)), np.zeros((4, 2)), np.zeros((4, 3)))
    with pytest.raises(lg.DTypeError, match="train is complex128"):
        standardize([1j])
    with pytest.raises(lg.OptionError, match="train has masked entries"):
        standardize(np.ma.masked_array([0.0, 1.0], mask=[True, False]))
    _, scale = standardize(np.zeros((4, 2)))
    with pytest.raises(lg.ShapeError, match=r"apply: x is float64\[3\], expected rows of shape"):
        scale.apply(np.zeros(3))
    with pytest.raises(lg.ShapeError, match="invert: x is"):
        scale.invert(1.0)
