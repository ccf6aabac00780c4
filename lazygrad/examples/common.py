"""What the examples share: their command line, their data, and pictures."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import lazygrad as lg
from lazygrad.compiler import BACKENDS

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Images", "count", "images", "parse", "parser", "pyplot", "text"]

Images = tuple["npt.NDArray[np.float32]", "npt.NDArray[np.int64]"]
"""Images of shape (rows, 1, height, width) with values from 0 to 1, and their labels."""


def parser(name: str, description: str | None, *, epochs: int = 0) -> argparse.ArgumentParser:
    """Make a command line with the options that every example has."""
    made = argparse.ArgumentParser(
        prog=f"python -m lazygrad.examples.{name}",
        description=(description or "").partition("\n")[0],
    )
    made.add_argument("--backend", choices=BACKENDS, help="what runs the programs")
    made.add_argument("--quiet", action="store_true", help="show no progress bar")
    if epochs:
        made.add_argument(
            "--epochs", type=count, default=epochs, metavar="N", help="default: %(default)s"
        )
    return made


def parse(
    command_line: argparse.ArgumentParser, arguments: Sequence[str] | None
) -> argparse.Namespace:
    """Read the arguments, and let every program of this process run on the chosen backend."""
    options = command_line.parse_args(arguments)
    if options.backend is not None:
        os.environ["LAZYGRAD_BACKEND"] = options.backend
    return options


def count(text: str) -> int:
    """Read a whole number from 1 on, from a command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def images(folder: Path | None, seed: int = 0) -> tuple[str, Images, Images]:
    """Give the name of a data set of digits, images to train on, and others to test on.

    *folder* holds MNIST's files; whatever pairs of images and labels are there are used. If these
    are the test files alone, four of five images are trained on. Without a folder it is the 1,797
    small images that the library brings.
    """
    if folder is None:
        digits, labels = lg.data.digits()
        pixels = (digits.reshape(-1, 1, 8, 8) / 16).astype(np.float32)
        return "UCI digits", *_split(pixels, labels.astype(np.int64), seed)
    found = {part: _mnist(folder, part) for part in ("train", "t10k")}
    train, test = found["train"], found["t10k"]
    if test is None:
        raise SystemExit(f"{folder} doesn't hold MNIST's t10k-images-idx3-ubyte and its labels.")
    if train is None:
        return "MNIST's test images", *_split(*test, seed)
    return "MNIST", train, test


def _split(
    pixels: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], seed: int
) -> tuple[Images, Images]:
    parts = lg.data.train_test_split(pixels, labels, test_fraction=0.2, seed=seed)
    train_pixels, test_pixels, train_labels, test_labels = parts
    return (train_pixels, train_labels), (test_pixels, test_labels)


def _mnist(folder: Path, part: str) -> Images | None:
    paths = []
    for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        names = [f"{part}-{kind}", f"{part}-{kind}.gz", f"{part}-{kind.replace('-idx', '.idx')}"]
        there = [folder / name for name in names if (folder / name).is_file()]
        if not there:
            return None
        paths.append(there[0])
    pixels, labels = map(lg.data.read_idx, paths)
    return (pixels[:, None] / 255).astype(np.float32), labels.astype(np.int64)


def text(path: Path | None) -> tuple[str, str]:
    """Give the name of a text, and the text: a file's, or the language reference of Python."""
    if path is not None:
        return path.name, path.read_text(encoding="utf-8")
    topics = import_module("pydoc_data.topics").topics
    return "Python's help topics", "\n".join(topics[name] for name in sorted(topics))


def pyplot() -> Any:
    """Import matplotlib for drawing into files; it comes with the extra ``demo``."""
    try:
        import matplotlib as mpl
    except ImportError:
        raise SystemExit(
            'The picture needs matplotlib: pip install "lazygrad[demo]", or --output "".'
        ) from None
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    return plt
