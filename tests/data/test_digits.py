"""The packaged digits: what they hold, and that each call gives arrays of its own."""

from importlib.resources import files

import numpy as np

from lazygrad.data import digits


def test_shapes_and_dtypes():
    images, labels = digits()
    assert images.shape == (1797, 64)
    assert images.dtype == np.float32
    assert labels.shape == (1797,)
    assert labels.dtype == np.int64


def test_values_are_those_of_the_original():
    images, labels = digits()
    assert images.min() == 0
    assert images.max() == 16
    assert np.array_equal(images, np.round(images))
    assert images.sum(dtype=np.float64) == 561_718
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_first_image_is_a_zero():
    images, labels = digits()
    assert labels[0] == 0
    assert images[0].reshape(8, 8).tolist() == [
        [0, 0, 5, 13, 9, 1, 0, 0],
        [0, 0, 13, 15, 10, 15, 5, 0],
        [0, 3, 15, 2, 0, 11, 8, 0],
        [0, 4, 12, 0, 0, 8, 8, 0],
        [0, 5, 8, 0, 0, 9, 8, 0],
        [0, 4, 11, 0, 1, 12, 7, 0],
        [0, 2, 14, 5, 10, 12, 0, 0],
        [0, 0, 6, 13, 10, 0, 0, 0],
    ]


def test_a_call_is_not_changed_by_writing_into_an_earlier_result():
    first = digits()
    first.images[:] = -1
    first.labels[:] = -1
    second = digits()
    assert second.images.min() == 0
    assert second.labels.min() == 0


def test_the_attribution_is_packaged():
    text = files("lazygrad.data").joinpath("DIGITS.md").read_text(encoding="utf-8")
    for part in ("Alpaydin", "Kaynak", "CC BY 4.0", "10.24432/C50P49"):
        assert part in text
