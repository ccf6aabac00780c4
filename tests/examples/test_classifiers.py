"""The classifiers learn the digits that the library brings."""

import pytest

from lazygrad.examples import mnist_cnn, mnist_mlp


@pytest.mark.parametrize(
    ("example", "epochs", "least"), [(mnist_mlp, 8, 0.94), (mnist_cnn, 8, 0.94)]
)
def test_a_classifier_learns_the_digits(example, epochs, least, capsys):
    accuracy = example.main(["--quiet", "--epochs", str(epochs)])
    assert accuracy >= least
    printed = capsys.readouterr()
    assert "UCI digits: 1438 images to train, 359 to test" in printed.out
    assert printed.err == ""


def test_progress_is_shown(capsys):
    mnist_mlp.main(["--epochs", "1"])
    assert "23/23" in capsys.readouterr().err
