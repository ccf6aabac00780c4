"""Start pytest again where NumPy was loaded in an environment that slows or speeds it."""

import pytest

from benchmarks import STALE, restart


def pytest_configure(config: pytest.Config) -> None:
    if STALE:
        capture = config.pluginmanager.getplugin("capturemanager")
        if capture is not None:
            capture.suspend_global_capture(in_=True)
        restart()
