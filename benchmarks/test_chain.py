import pytest

import lazygrad as lg

from .chain import build, check


def differentiated_and_compiled(nodes):
    x, y = build(nodes)
    return lg.compile([y, lg.grad(y, x)])


@pytest.mark.parametrize("nodes", [100, 1_000, 10_000])
def test_chain(benchmark, nodes):
    benchmark.group = "chain: build, gradient, compile"
    check(nodes)
    benchmark.pedantic(differentiated_and_compiled, args=(nodes,), rounds=5, warmup_rounds=1)
