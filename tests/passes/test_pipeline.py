import itertools
import time

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.errors import OptionError
from lazygrad.ir.graph import Graph
from lazygrad.passes import EXACT_PASSES, FAST_PASSES, PASSES, Pass, optimize, pipeline


def same(graph):
    return graph


def test_a_pass_must_come_after_those_it_builds_on():
    with pytest.raises(OptionError, match="'second' must come after 'first'"):
        pipeline(Pass("second", same, after=("first",)), Pass("first", same))


def test_names_are_unique():
    with pytest.raises(OptionError, match="'a' stands in the recipe twice"):
        pipeline(Pass("a", same), Pass("a", same))


def test_exact_passes_leave_out_the_stable_table():
    assert "rewrite stably" in {step.name for step in PASSES}
    assert "rewrite stably" not in {step.name for step in EXACT_PASSES}
    assert "rewrite fast" not in {step.name for step in PASSES}
    assert "rewrite fast" in {step.name for step in FAST_PASSES}


def test_watch_sees_every_pass():
    seen = []
    x = lg.placeholder((3,), name="x")
    graph = Graph([x * 1 + x * 1])
    result = optimize(graph, watch=lambda step, before, after: seen.append((step, before, after)))
    assert [step for step, _, _ in seen] == list(PASSES)
    assert seen[0][1] is graph
    assert seen[-1][2] is result
    assert all(after is before for (_, _, after), (_, before, _) in itertools.pairwise(seen))


def test_nothing_to_do_gives_the_same_graph():
    x = lg.placeholder((3,), name="x")
    graph = Graph([lg.tanh(x) + 2.0])
    assert optimize(graph) is graph


@pytest.mark.parametrize(
    "passes", [EXACT_PASSES, PASSES, FAST_PASSES], ids=["exact", "all", "fast"]
)
def test_a_training_step_gets_smaller_and_keeps_its_specs(passes):
    x = lg.placeholder(("batch", 2), dtype="float32", name="x")
    w, b = lg.Value(np.ones((2, 3), np.float32)), lg.Value(np.zeros(3, np.float32))
    loss = lg.mean(lg.relu(x @ w + b) ** 2) + 0.1 * sum((p * p).sum() for p in (w, b))
    graph = Graph([loss, *lg.grad(loss, [w, b])])
    after = optimize(graph, passes)
    assert [node.spec for node in after.outputs] == [node.spec for node in graph.outputs]
    assert len(after) < 0.85 * len(graph)
    assert not any(node.op.name == "zeros_like" for node in after.nodes)


def test_time_is_linear():
    def seconds(length):
        x = lg.placeholder((8,), name="x", requires_grad=True)
        y = x
        for i in range(length):
            y = lg.tanh(y * 1.01) if i % 2 else lg.relu(y + x)
        graph = Graph([y, *lg.grad(y.sum(), [x])])
        times = []
        for _ in range(3):
            start = time.process_time()
            optimize(graph)
            times.append(time.process_time() - start)
        return min(times)

    short, long = seconds(300), seconds(3000)
    assert long < 40 * short
