import pytest

from .hessian import ENGINES, autograd, checked


@pytest.mark.benchmark(group="gradient and Hessian, 100 parameters")
@pytest.mark.parametrize("name", ENGINES)
def test_newton_step(benchmark, name):
    if name == "autograd" and autograd is None:
        pytest.skip("autograd is not installed")
    benchmark(checked(name))
