import numpy as np
import pytest

import lazygrad as lg
from lazygrad.ir.graph import Graph, ancestors
from lazygrad.ir.op import Trait
from lazygrad.schedule.order import frugal_order, peak_bytes
from tests.schedule.drawn import Drawn


def names(order):
    return [node.op.name for node in order if Trait.LEAF not in node.op.traits]


@pytest.mark.parametrize("seed", range(200))
def test_operands_come_first_and_the_peak_is_never_above_that_of_writing(seed):
    drawn = Drawn(seed, count=40)
    results = drawn.nodes(3)
    if seed % 2:
        loss = drawn.loss()
        results = [loss, *lg.grad(loss, drawn.variables, unused="zero")]
    written = ancestors(results)
    order = frugal_order(results, set())
    place = {id(node): i for i, node in enumerate(order)}
    assert sorted(place) == sorted(map(id, written))
    assert len(order) == len(written)
    for node in order:
        for operand in node.operands:
            assert place[id(operand)] < place[id(node)]
    assert peak_bytes(order, results) <= peak_bytes(written, results)


def test_gradients_of_weights_sink_to_where_their_operands_are():
    # Written last, they would keep all activations and all cotangents alive together.
    x = lg.placeholder((64, 64), name="x")
    weights = [lg.Value(np.zeros((64, 64))) for _ in range(8)]
    activations, cotangents = [x], []
    for w in weights:
        activations.append(lg.tanh(activations[-1] @ w))
    g = activations[-1]
    for w in reversed(weights):
        cotangents.append(g)
        g = g @ w.T
    pairs = zip(activations[:-1], reversed(cotangents), strict=True)
    results = [lg.sum(a.T @ c) for a, c in pairs]
    order = frugal_order(results, set())
    assert peak_bytes(order, results) < 0.75 * peak_bytes(ancestors(results), results)


def test_a_wide_fan_out_is_summed_as_it_comes():
    x = lg.placeholder((1000,), name="x")
    wide = [lg.exp(x * float(i)) for i in range(20)]
    results = [lg.sum(node) for node in wide]
    order = frugal_order(results, set())
    assert peak_bytes(ancestors(results), results) > 160_000
    assert peak_bytes(order, results) < 20_000


def test_a_tie_keeps_the_order_of_writing():
    x = lg.placeholder((4,), name="x")
    a, b, c = lg.tanh(x), lg.exp(x), lg.sin(x)
    results = [c + b, a]
    assert names(frugal_order(results, set())) == ["tanh", "exp", "sin", "add"]
    found = map(id, frugal_order(results, set()))
    assert list(found) == list(map(id, ancestors(results)))


def test_what_is_done_is_left_out_and_noted():
    x = lg.placeholder((4,), name="x")
    a = lg.exp(x)
    b = lg.tanh(a)
    done: set[int] = set()
    assert names(frugal_order([a], done)) == ["exp"]
    assert names(frugal_order([b], done)) == ["tanh"]
    assert done == {id(x), id(a), id(b)}
    assert frugal_order([a, b], done) == []


def test_views_count_for_what_they_look_into():
    x = lg.placeholder((1000,), name="x")
    base = lg.exp(x)
    head = base[:1]
    late = lg.tanh(x)
    results = [lg.sum(late), head]
    nodes = ancestors(results)
    assert peak_bytes(nodes, results) == 16_008


def test_unknown_lengths_count_as_something():
    x = lg.placeholder(("rows",), name="x")
    y = lg.exp(x)
    assert peak_bytes(Graph([y]).nodes, [y]) > 0


def test_a_length_known_in_mid_run_is_shown_before_it_is_used():
    x = lg.placeholder((5,), name="x")
    picked = x[x > 0]
    results = [lg.sum(picked * 2.0), lg.mean(lg.exp(picked))]
    order = names(frugal_order(results, set()))
    assert order.index("nonzero") < order.index("exp")
    assert len(order) == len(names(ancestors(results)))


def test_a_long_graph_keeps_the_order_of_writing():
    x = lg.placeholder((2,), name="x")
    y = x
    for _ in range(5_000):
        y = lg.tanh(y)
    order = frugal_order([y], set())
    assert all(a is b for a, b in zip(order, ancestors([y]), strict=True))
