"""The packaged handwritten digits. ``DIGITS.md`` beside this file says where they come from."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Digits", "digits"]


class Digits(NamedTuple):
    """Handwritten digits, one per row.

    Attributes
    ----------
    images : float32 array of shape (1797, 64)
        8 x 8 pixels, row after row, whole numbers from 0 (paper) to 16 (ink).
    labels : int64 array of shape (1797,)
        The digit on each image, 0 to 9.
    """

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


def digits() -> Digits:
    """Load the UCI handwritten digits as new arrays, ready offline.

    By E. Alpaydin and C. Kaynak, CC BY 4.0, https://doi.org/10.24432/C50P49.

    Returns
    -------
    Digits
        ``images``, float32 of shape (1797, 64), and ``labels``, int64 of shape (1797,).

    Examples
    --------
    >>> images, labels = digits()
    >>> images.shape, labels[:4]
    ((1797, 64), array([0, 1, 2, 3]))
    """
    packaged = files("lazygrad.data").joinpath("digits.npz")
    with packaged.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return Digits(
            images=stored["images"].astype(np.float32),
            labels=stored["labels"].astype(np.int64),
        )
