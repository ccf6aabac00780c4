import pytest

from .moons import TRAINERS, checked, first_result


@pytest.mark.parametrize("name", TRAINERS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_step(benchmark, name, dtype):
    benchmark.group = f"moons step, {dtype}"
    benchmark(checked(name, dtype).step)


@pytest.mark.benchmark(group="moons step, build to first result")
def test_first_result(benchmark):
    checked("compiled", "float64")
    benchmark(first_result)
