"""The moons come to the losses of micrograd's notebook, and draw their boundary."""

import sys

import pytest

from lazygrad.examples import moons

# Printed by the notebook with six digits, steps 0 to 15 and the last.
LOSSES = [
    "1.581063",
    "1.384858",
    "0.934716",
    "0.727044",
    "0.384791",
    "0.348114",
    "0.269266",
    "0.223788",
    "0.183176",
    "0.183144",
    "0.234310",
    "0.250955",
    "0.189704",
    "0.139192",
    "0.141982",
    "0.159697",
]


def test_moons_come_to_the_losses_of_the_notebook(capsys):
    losses = moons.main(["--quiet", "--output", ""])
    assert [f"{loss:.6f}" for loss in losses[:16]] == LOSSES
    assert f"{losses[-1]:.6f}" == "0.011938"
    printed = capsys.readouterr()
    assert "accuracy 100% of 100 points" in printed.out
    assert printed.err == ""


def test_moons_draw_their_boundary(tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="the picture needs the extra demo")
    path = tmp_path / "boundary.png"
    moons.main(["--output", str(path)])
    assert path.read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr()
    assert str(path) in printed.out
    assert "100/100" in printed.err


def test_pictures_without_matplotlib_say_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit, match=r"lazygrad\[demo\]"):
        moons.main(["--quiet", "--output", str(tmp_path / "a.png")])
    assert not list(tmp_path.iterdir())
