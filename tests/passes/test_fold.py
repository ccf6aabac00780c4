import numpy as np
import pytest

import lazygrad as lg
from lazygrad.ir.graph import Graph
from lazygrad.ir.op import Op, Trait
from lazygrad.ir.text import parse
from lazygrad.ir.value import make
from lazygrad.passes.fold import fold_constants, materialize_constants
from lazygrad.spec import Spec


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "x: f8[3]; a = constant(2.0): f8; return add(x, exp(multiply(a, 0.0)))",
            "x: f8[3]; return add(x, 1.0)",
        ),
        (
            "x: f8[3]; a = constant([1.0, 2.0]): f8[2]; return sum(a, axes=(0,), keepdims=False)",
            "return constant(3.0): f8",
        ),
        (
            "a = broadcast_to(1.0, shape=(2, 3)); return sum(a, axes=(1,), keepdims=False)",
            "return constant([3.0, 3.0]): f8[2]",
        ),
        ("return broadcast_to(1.0, shape=(2, 3))", "return broadcast_to(1.0, shape=(2, 3))"),
        (
            "x: f8[n]; return broadcast_to(add(1.0, 1.0), shape=(n,))",
            "return broadcast_to(2.0, shape=(n,))",
        ),
        ("v = variable f8[2]; return exp(v)", "v = variable f8[2]; return exp(v)"),
    ],
    ids=["chain", "sum", "broadcast operand", "broadcast stays", "symbolic", "variable"],
)
def test_text(before, after):
    assert str(fold_constants(parse(before))) == str(parse(after))


def test_what_would_grow_stays():
    graph = Graph([lg.concatenate([lg.broadcast_to(1.0, (3000,)), lg.broadcast_to(2.0, (3000,))])])
    assert fold_constants(graph) is graph


def test_draws_are_not_folded():
    spec = Spec((), np.dtype(np.float64))
    draw = Op(
        name="draw",
        family="random",
        infer=lambda x: spec,
        kernel=np.copyto,
        traits=frozenset({Trait.STATEFUL}),
        doc="Something else each time.",
    )
    graph = Graph([make(draw, (lg.constant(1.0),), {}, spec)])
    assert fold_constants(graph) is graph


def test_folding_raises_no_warnings():
    folded = fold_constants(Graph([lg.log(lg.constant(-1.0)), lg.constant(1.0) / 0.0]))
    assert [node.op.name for node in folded.outputs] == ["constant", "constant"]
    assert np.isnan(folded.outputs[0].attrs["value"])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "x: f8[2, 2]; return matmul(broadcast_to(2.0, shape=(2, 2)), x)",
            "x: f8[2, 2]; return matmul(constant([[2.0, 2.0], [2.0, 2.0]]), x)",
        ),
        (
            "x: f8[2, 2]; return add(broadcast_to(2.0, shape=(2, 2)), x)",
            "x: f8[2, 2]; return add(broadcast_to(2.0, shape=(2, 2)), x)",
        ),
    ],
    ids=["strided", "elementwise"],
)
def test_materialize(before, after):
    assert str(materialize_constants(parse(before))) == str(parse(after))


def test_large_constants_are_not_laid_out():
    graph = Graph([lg.broadcast_to(1.0, (100, 100)) @ lg.placeholder((100,), name="x")])
    assert materialize_constants(graph) is graph
