import pytest

from .imports import import_times


@pytest.mark.benchmark(group="import lazygrad and numpy, in a new process")
def test_import(benchmark):
    benchmark.pedantic(import_times, rounds=5, warmup_rounds=1)
