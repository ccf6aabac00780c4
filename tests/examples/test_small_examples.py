"""Examples that are done in a second: they come to what they promise."""

import sys

import pytest

from lazygrad.examples import linear_regression, logistic_regression, newton


def test_robust_losses_find_the_line_and_the_squared_one_does_not(capsys):
    lines = linear_regression.main(["--quiet", "--output", ""])
    assert set(lines) == {"rmse", "mae", "huber"}
    for name in ("mae", "huber"):
        slope, intercept = lines[name]
        assert slope == pytest.approx(2.0, abs=0.15)
        assert intercept == pytest.approx(-1.0, abs=0.25)
    assert lines["rmse"][1] > -0.5
    assert "by huber:" in capsys.readouterr().out


def test_the_paths_of_the_losses_are_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="the picture needs the extra demo")
    path = tmp_path / "paths.png"
    linear_regression.main(["--quiet", "--output", str(path)])
    assert path.read_bytes().startswith(b"\x89PNG")


def test_logistic_regression_by_lbfgs(capsys):
    pytest.importorskip("scipy", reason="the minimizer is SciPy's")
    assert logistic_regression.main(["--quiet"]) >= 0.94
    assert "UCI digits" in capsys.readouterr().out


def test_without_scipy_it_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "scipy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(SystemExit, match=r"lazygrad\[scipy\]"):
        logistic_regression.main(["--quiet"])


def test_newton_converges_quadratically(capsys):
    norms = newton.main(["--quiet"])
    assert norms[-1] < 1e-9
    # From where it is near, each step squares what is left, up to a factor.
    assert norms[6] < 50 * norms[5] ** 2
    assert norms[7] < 50 * norms[6] ** 2 + 1e-12
    assert "accuracy 100.0%" in capsys.readouterr().out
