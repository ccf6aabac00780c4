"""The command line and the data of the examples."""

import gzip
import os
import struct

import numpy as np
import pytest

from lazygrad.examples import common


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", rng.integers(256, size=(20, 4, 5)))
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", np.arange(20) % 10)
    return tmp_path


def test_without_a_folder_it_is_the_digits_of_the_library():
    name, (train_x, train_t), (test_x, test_t) = common.images(None)
    assert name == "UCI digits"
    assert train_x.shape == (1438, 1, 8, 8)
    assert len(test_x) == len(test_t) == 359
    assert train_x.dtype == np.float32
    assert (train_x.min(), train_x.max()) == (0.0, 1.0)
    assert train_t.dtype == np.int64


def test_test_files_alone_are_split(folder):
    name, (train_x, train_t), (test_x, test_t) = common.images(folder)
    assert name == "MNIST's test images"
    assert train_x.shape == (16, 1, 4, 5)
    assert test_x.shape == (4, 1, 4, 5)
    assert sorted([*train_t, *test_t]) == sorted(np.arange(20) % 10)


def test_all_four_files_are_used_as_they_are(folder):
    write_idx(folder / "train-images-idx3-ubyte.gz", np.full((3, 4, 5), 255))
    write_idx(folder / "train-labels-idx1-ubyte.gz", np.array([1, 2, 3]))
    name, (train_x, train_t), (test_x, _) = common.images(folder)
    assert name == "MNIST"
    np.testing.assert_array_equal(train_x, np.ones((3, 1, 4, 5)))
    np.testing.assert_array_equal(train_t, [1, 2, 3])
    assert len(test_x) == 20


def test_a_folder_without_the_files_says_so(tmp_path):
    with pytest.raises(SystemExit, match="doesn't hold MNIST's"):
        common.images(tmp_path)


def test_the_text_is_a_file_or_pythons_help(tmp_path):
    path = tmp_path / "verse.txt"
    path.write_text("Über allen Gipfeln", encoding="utf-8")
    assert common.text(path) == ("verse.txt", "Über allen Gipfeln")
    name, written = common.text(None)
    assert name == "Python's help topics"
    assert len(written) > 100_000


def test_the_backend_is_for_every_program(monkeypatch):
    monkeypatch.delenv("LAZYGRAD_BACKEND", raising=False)
    common.parse(common.parser("moons", "What it does."), [])
    assert "LAZYGRAD_BACKEND" not in os.environ
    monkeypatch.setenv("LAZYGRAD_BACKEND", "")
    common.parse(common.parser("moons", "What it does."), ["--backend", "numpy"])
    assert os.environ["LAZYGRAD_BACKEND"] == "numpy"


@pytest.mark.parametrize("words", [["--backend", "fortran"], ["--epochs", "0"], ["--epochs", "x"]])
def test_wrong_options_are_refused(words, capsys):
    with pytest.raises(SystemExit):
        common.parse(common.parser("moons", "What it does.", epochs=3), words)
    assert words[1] in capsys.readouterr().err


def test_help_is_the_first_line_of_the_file(capsys):
    with pytest.raises(SystemExit):
        common.parse(common.parser("moons", "What it does.\n\nMore."), ["--help"])
    printed = capsys.readouterr().out
    assert "What it does." in printed
    assert "More." not in printed
