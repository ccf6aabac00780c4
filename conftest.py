"""What all tests share: the package, imported once, names for docstring examples, fixed draws."""

import gc
import signal
from collections.abc import Iterator

import hypothesis
import numpy as np
import pytest

import lazygrad as lg

# The same examples in every run; `pytest --hypothesis-profile=searching` looks for new ones.
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None)
hypothesis.settings.register_profile("searching", derandomize=False, deadline=None)
hypothesis.settings.load_profile("fixed")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests compile out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAZYGRAD_CACHE_DIR", str(tmp_path_factory.mktemp("lazygrad")))
        yield


@pytest.fixture(autouse=True)
def _docstring_names(doctest_namespace: dict[str, object]) -> None:
    names = ("Value", "compile", "constant", "no_grad", "placeholder")
    doctest_namespace.update({name: getattr(lg, name) for name in names}, lg=lg, np=np)


@pytest.fixture
def _on_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what is true of the NumPy backend alone: its source, its steps, its bits."""
    monkeypatch.setenv("LAZYGRAD_BACKEND", "numpy")


@pytest.fixture
def _alarms_interrupt() -> Iterator[None]:
    """Let SIGALRM raise KeyboardInterrupt, as Ctrl-C does.

    Python only reports what a finalizer raises, so nothing may be collected when one comes.
    """

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    signal.signal(signal.SIGALRM, before)
