"""The command line: the demonstration learns and draws, the facts are there."""

import subprocess
import sys

import pytest

from lazygrad.__main__ import main


def test_demo_learns_and_draws(tmp_path, capsys):
    assert main(["demo", "--output", str(tmp_path / "new"), "--quiet"]) == 0
    printed = capsys.readouterr()
    accuracy = float(printed.out.split("held-out accuracy: ")[1].split()[0])
    assert accuracy >= 0.97
    assert "epoch" not in printed.err
    (picture,) = (tmp_path / "new").iterdir()
    assert str(picture) in printed.out
    text = picture.read_text()
    for name in ("x", "t", "w0", "b1", "log_softmax"):
        assert name in text


def test_demo_shows_its_progress(tmp_path, capsys):
    main(["demo", "--output", str(tmp_path), "--epochs", "2"])
    assert "2/2" in capsys.readouterr().err


@pytest.mark.usefixtures("_on_numpy")
def test_demo_writes_the_graph_as_text_where_dot_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    main(["demo", "--output", str(tmp_path), "--epochs", "1", "--quiet"])
    printed = capsys.readouterr()
    assert "digits_graph.dot" in printed.out
    assert len(printed.err.splitlines()) == 1
    assert (tmp_path / "digits_graph.dot").read_text().startswith("digraph")


def test_the_same_demo_gives_the_same_accuracy(tmp_path, capsys):
    for _ in range(2):
        main(["demo", "--output", str(tmp_path), "--epochs", "1", "--quiet"])
    first, _, second, _ = capsys.readouterr().out.splitlines()
    assert first == second


def test_demo_says_where_it_can_not_write(tmp_path, capsys):
    taken = tmp_path / "taken"
    taken.write_text("")
    with pytest.raises(SystemExit, match="1"):
        main(["demo", "--output", str(taken), "--epochs", "1", "--quiet"])
    assert capsys.readouterr().err.startswith("lazygrad demo: can't write the graph: ")


@pytest.mark.parametrize("epochs", ["0", "-1", "many"])
def test_demo_refuses_epochs_that_are_no_count(epochs, capsys):
    with pytest.raises(SystemExit):
        main(["demo", f"--epochs={epochs}"])
    assert f"expected a whole number from 1 on, got '{epochs}'" in capsys.readouterr().err


def test_info_says_versions_backends_and_threads(capsys, monkeypatch):
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    for word in (
        "lazygrad:",
        "Python:",
        "NumPy:",
        "BLAS:",
        "backends:",
        "numpy",
        "C compiler:",
        "cores:",
        "dot:",
    ):
        assert word in text
    assert "OPENBLAS_NUM_THREADS=1" in text
    assert "warning" not in text


def test_info_says_what_is_missing(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("lazygrad.__main__._OPTIONAL", ("no-such-package",))
    main(["info"])
    text = capsys.readouterr().out
    assert "no-such-package:" in text
    assert "missing: pictures are written as .dot files" in text


@pytest.mark.parametrize("name", ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"])
def test_info_warns_of_settings_that_slow_down_products(name, capsys, monkeypatch):
    monkeypatch.setenv(name, "7")
    main(["info"])
    assert f"warning: {name}=7 is set" in capsys.readouterr().out


def test_without_a_command_the_help_is_printed():
    ran = subprocess.run(
        [sys.executable, "-m", "lazygrad"], capture_output=True, text=True, check=True
    )
    assert "usage: lazygrad" in ran.stdout
    assert "demo" in ran.stdout
    assert "info" in ran.stdout
