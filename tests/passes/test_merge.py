import numpy as np
import pytest

import lazygrad as lg
from lazygrad.ir.graph import Graph
from lazygrad.ir.op import Op, Trait
from lazygrad.ir.text import parse
from lazygrad.ir.value import make
from lazygrad.passes.merge import merge_equal_nodes
from lazygrad.spec import Spec


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "x: f8[3]; a = exp(x); b = exp(x); return add(a, b)",
            "x: f8[3]; a = exp(x); return add(a, a)",
        ),
        (
            "x: f8[3]; y: f8[3]; return add(x, y), add(y, x), subtract(x, y), subtract(y, x)",
            "x: f8[3]; y: f8[3]; a = add(x, y); return a, a, subtract(x, y), subtract(y, x)",
        ),
        (
            "x: f8[3]; return sum(x, axes=(0,), keepdims=True), sum(x, axes=(0,), keepdims=False)",
            "x: f8[3]; return sum(x, axes=(0,), keepdims=True), sum(x, axes=(0,), keepdims=False)",
        ),
        (
            "x: f8[3]; return add(x, 0.0), add(x, -0.0), add(x, 0.0)",
            "x: f8[3]; a = add(x, 0.0); return a, add(x, -0.0), a",
        ),
    ],
    ids=["equal", "commutative", "attributes", "signed zeros"],
)
def test_text(before, after):
    assert str(merge_equal_nodes(parse(before))) == str(parse(after))


def test_equal_chains_merge_whole():
    x = lg.placeholder((3,), name="x")
    graph = merge_equal_nodes(Graph([lg.tanh(lg.exp(x)), lg.tanh(lg.exp(x))]))
    assert graph.outputs[0] is graph.outputs[1]
    assert len(graph) == 3


def test_variables_are_never_merged():
    a, b = lg.Value(np.zeros(2)), lg.Value(np.zeros(2))
    assert len(merge_equal_nodes(Graph([a + b]))) == 3


def test_true_and_one_are_different_constants():
    x = lg.placeholder((2,), dtype="bool", name="x")
    graph = merge_equal_nodes(Graph([lg.logical_and(x, True), lg.add(x, np.int64(1))]))
    assert sum(node.op.name == "constant" for node in graph.nodes) == 2


def test_draws_are_never_merged():
    spec = Spec((3,), np.dtype(np.float64))
    draw = Op(
        name="draw",
        family="random",
        infer=lambda: spec,
        kernel=np.copyto,
        traits=frozenset({Trait.STATEFUL}),
        doc="Something else each time.",
    )
    graph = merge_equal_nodes(Graph([make(draw, (), {}, spec), make(draw, (), {}, spec)]))
    assert graph.outputs[0] is not graph.outputs[1]


def test_a_graph_without_equal_nodes_is_given_back():
    graph = parse("x: f8[3]; return add(exp(x), 1.0)")
    assert merge_equal_nodes(graph) is graph
