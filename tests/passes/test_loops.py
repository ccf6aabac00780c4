"""Passes that make loops fewer and smaller; values stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.interpreter import interpret
from lazygrad.ir.graph import Graph
from lazygrad.ir.op import Trait
from lazygrad.passes import optimize
from lazygrad.passes.loops import merge_loops, prune_loops
from lazygrad.passes.merge import merge_equal_nodes

RNG = np.random.default_rng(7)
XS, W, H = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 3)), RNG.standard_normal(3)


def loops(graph):
    return [node for node in graph.nodes if Trait.LOOPS in node.op.traits]


def same_values(graph, other):
    for a, b in zip(interpret(graph, {}), interpret(other, {}), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def leaves():
    return lg.Value(W), lg.Value(H), lg.Value(XS)


def steps(w):
    def body(h, x):
        h = lg.tanh(h @ w + x)
        return h, (h.sum(), h * x)

    return body


def test_a_gradient_has_one_loop_forward_and_one_backward(leaves):
    w, h, x = leaves
    last, (sums, products) = lg.scan(steps(w), h, x)
    loss = (last**2).sum() + (sums * 2).sum() + products.sum()
    graph = Graph([loss, last, sums, *lg.grad(loss, leaves)])
    assert len(loops(graph)) == 3
    merged = merge_loops(graph)
    assert len(loops(merged)) == 2
    same_values(graph, merged)
    assert {loop.attrs["reverse"] for loop in loops(merged)} == {False, True}
    pruned = prune_loops(merged)
    assert len(loops(pruned)) == 2
    same_values(graph, pruned)


def test_second_derivatives_share_loops_too(leaves):
    w, h, x = leaves
    last, _ = lg.scan(steps(w), h, x)
    loss = (last**2).sum()
    graph = Graph([loss, *lg.grad(loss, leaves), *lg.hvp(loss, leaves, [W, H, XS])])
    optimized = optimize(graph)
    # Values, those with tangents, what the tangents keep; cotangents, those with tangents.
    assert len(loops(optimized)) <= 5
    for a, b in zip(interpret(graph, {}), interpret(optimized, {}), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_other_operands_make_another_loop(leaves):
    w, h, x = leaves
    body = steps(w)
    graph = Graph([lg.scan(body, h, x)[0], lg.scan(body, h, x * 2)[0]])
    assert len(loops(merge_loops(graph))) == 2


def test_results_that_nobody_reads_are_dropped(leaves):
    w, h, x = leaves
    last, (sums, products) = lg.scan(steps(w), h, x)
    for kept, count in (([last], 1), ([sums], 2), ([last, products], 2), ([], 0)):
        graph = Graph([*kept, x])
        pruned = prune_loops(graph)
        assert [len(loop.spec) for loop in loops(pruned)] == [count] * bool(count)
        same_values(graph, pruned)


def test_carries_that_only_unread_results_need_are_dropped(leaves):
    w, h, x = leaves
    (a, b), _ = lg.scan(lambda c, e: ((c[0] + e, c[1] @ w + c[0]), None), (h, h), x)
    graph = Graph([a])
    (loop,) = loops(prune_loops(graph))
    assert loop.attrs["carries"] == 1
    assert len(loop.operands) == 2
    same_values(graph, prune_loops(graph))
    graph = Graph([b])
    (loop,) = loops(prune_loops(graph))
    assert loop.attrs["carries"] == 2
    same_values(graph, prune_loops(graph))


def test_sequences_and_outer_values_that_nobody_reads_are_dropped(leaves):
    w, h, x = leaves
    last, rows = lg.scan(lambda c, e: (c + e["a"], e["b"] @ w), h, {"a": x, "b": x * 2})
    (loop,) = loops(prune_loops(Graph([last])))
    assert (loop.attrs["carries"], loop.attrs["xs"], len(loop.operands)) == (1, 1, 2)
    (loop,) = loops(prune_loops(Graph([rows])))
    assert (loop.attrs["carries"], loop.attrs["xs"], len(loop.operands)) == (0, 1, 2)
    same_values(Graph([rows]), prune_loops(Graph([rows])))


def test_a_carry_that_another_one_reads_stays():
    (a, b, c), _ = lg.scan(lambda s, _: ((s[1], s[2], s[2] * 2), None), (1.0, 2.0, 3.0), length=4)
    for node in (a, b, c):
        same_values(Graph([node]), prune_loops(Graph([node])))
    assert loops(prune_loops(Graph([c])))[0].attrs["carries"] == 1


def test_a_step_number_that_nobody_reads_is_dropped():
    stream = lg.random.stream(3)
    total, draws = lg.scan(lambda c, _: (c + 1.0, stream.normal(())), 0.0, length=3)
    (loop,) = loops(prune_loops(Graph([total])))
    assert not loop.attrs["counted"]
    (loop,) = loops(prune_loops(Graph([draws])))
    assert loop.attrs["counted"]


def test_loops_without_steps_keep_what_goes_in(leaves):
    _w, h, _ = leaves
    last, rows = lg.scan(lambda c, e: (c * e, c), h, lg.Value(np.zeros((0, 3))))
    graph = Graph([last, *lg.grad(last.sum() + rows.sum(), [h])])
    same_values(graph, optimize(graph))


def test_equal_loops_become_one(leaves):
    w, h, x = leaves
    last = lg.scan(steps(w), h, x)[0]
    again = lg.grad((last**2).sum(), w) + lg.grad((last**2).sum(), w)
    optimized = optimize(Graph([again]))
    assert len(loops(optimized)) == 2
    same_values(Graph([again]), merge_loops(merge_equal_nodes(Graph([again]))))


def test_gradients_asked_for_one_by_one_share_one_loop(leaves):
    w, h, x = leaves
    loss = (lg.scan(steps(w), h, x)[0] ** 2).sum()
    graph = Graph([loss, *[lg.grad(loss, leaf) for leaf in leaves]])
    optimized = optimize(graph)
    assert len(loops(optimized)) == 2
    same_values(graph, optimized)


def test_the_same_loop_written_twice_runs_once(leaves):
    w, h, x = leaves
    graph = Graph([lg.scan(steps(w), h, x)[0], lg.scan(steps(w), h, x)[1][0] * 2])
    optimized = optimize(graph)
    assert len(loops(optimized)) == 1
    same_values(graph, optimized)


def test_loops_that_differ_in_a_constant_stay_apart(leaves):
    _, h, x = leaves
    graph = Graph([lg.scan(lambda c, e, k=k: (c * k + e, None), h, x)[0] for k in (0.5, 0.25)])
    assert len(loops(optimize(graph))) == 2
    same_values(graph, optimize(graph))


def test_loops_in_loops_are_shared_too(leaves):
    _, _h, x = leaves

    def outer(c, row):
        return lg.scan(lambda d, e: (lg.sin(d * e), None), c, row)[0], None

    first = lg.scan(outer, lg.Value(0.3), x)[0]
    again = lg.scan(outer, first.operands[0].operands[0], x)[0]
    optimized = optimize(Graph([first + again]))
    assert len(loops(optimized)) == 1
    same_values(Graph([first + again]), optimized)


def test_a_graph_without_loops_is_given_as_it_is():
    graph = Graph([lg.Value(1.0) * 2])
    assert merge_loops(graph) is graph
    assert prune_loops(graph) is graph
