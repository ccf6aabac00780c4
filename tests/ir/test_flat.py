import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

import lazygrad as lg
from lazygrad.errors import OptionError
from lazygrad.ir.graph import Graph
from lazygrad.ir.op import _OPS, lookup, register
from lazygrad.ir.value import Value, apply, constant, no_grad, placeholder, scope
from tests.ir.graphs import assert_same_graph, graphs

LENGTH = 100_000


def pickled(thing):
    return pickle.loads(pickle.dumps(thing))


WAYS = [pickled, copy.deepcopy]


@pytest.fixture(scope="module", autouse=True)
def same_table():
    before = dict(_OPS)
    yield
    _OPS.clear()
    _OPS.update(before)


@pytest.fixture(scope="module")
def chain():
    node = placeholder((2,), name="x")
    for _ in range(LENGTH):
        node = lg.exp(node)
    return node


@given(graphs())
@settings(max_examples=60)
def test_pickles_and_deep_copies_are_the_same_graph(graph):
    for way in WAYS:
        again = way(graph)
        assert_same_graph(graph, again)
        assert {id(node) for node in graph.nodes}.isdisjoint(id(node) for node in again.nodes)


@pytest.mark.parametrize("way", WAYS)
def test_a_long_chain(chain, way):
    again = way(chain)
    assert again is not chain
    assert len(Graph([again])) == LENGTH + 1
    assert len(way(Graph([chain]))) == LENGTH + 1


def test_a_copy_is_the_node_itself():
    x = placeholder((2,), name="x")
    y = lg.exp(x)
    graph = Graph([y])
    assert copy.copy(y) is y
    assert copy.copy(graph) is graph


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol(protocol):
    node = Value([1.0], name="w") * placeholder((1,), name="x")
    assert_same_graph(Graph([node]), Graph([pickle.loads(pickle.dumps(node, protocol))]))


@pytest.mark.parametrize("way", WAYS)
def test_leaves_stay_shared_between_values_copied_together(way):
    w, x = Value([1.0], name="w"), placeholder((1,), name="x")
    one, other, alone = way([w * x, w + x, w])
    assert one.operands[0] is other.operands[0] is alone
    assert one.operands[1] is other.operands[1]
    assert alone is not w


def test_a_deep_copy_shares_computed_nodes_too():
    x = placeholder((1,), name="x")
    y = lg.exp(x)
    one, other = copy.deepcopy([y, y + 1.0])
    assert other.operands[0] is one


@pytest.mark.parametrize("way", WAYS)
def test_cells_keep_contents_and_version_and_are_their_own(way):
    w = Value([1.0, 2.0], name="w", dtype="float32")
    w.cell.write([3.0, 4.0])
    again = way(w)
    np.testing.assert_array_equal(again.cell.array, np.float32([3, 4]), strict=True)
    assert again.cell.version == 1
    again.cell.write([0.0, 0.0])
    np.testing.assert_array_equal(w.cell.array, [3, 4])


@pytest.mark.parametrize("way", WAYS)
def test_what_nodes_carry_survives(way):
    x = placeholder(("n", 2), name="x", requires_grad=True)
    other = placeholder(("m", 2), name="other")
    with scope("block"), scope("inner"):
        y = x + other
    with no_grad():
        stopped = lg.exp(y)
    stopped.name = "stopped"
    again = way(stopped)
    inner = again.operands[0]
    assert again.name == "stopped"
    assert again._stopped
    assert not again.requires_grad
    assert inner.requires_grad
    assert not inner._stopped
    assert inner.scope == ("block", "inner")
    assert inner.line == y.line
    assert inner.assumptions == y.assumptions != ()
    assert [leaf.requires_grad for leaf in inner.operands] == [True, False]
    assert not way(Value([1.0], requires_grad=False)).requires_grad


@pytest.mark.parametrize("way", WAYS)
def test_serial_numbers_are_new_and_in_order(way):
    graph = Graph([lg.exp(placeholder((1,), name="x")) + 1.0])
    again = way(graph)
    serials = [node.serial for node in again.nodes]
    assert serials == sorted(serials)
    assert serials[0] > graph.nodes[-1].serial


@pytest.mark.parametrize("way", WAYS)
def test_origins_are_kept_inside_and_dropped_outside(way):
    x = placeholder((2,), name="x", requires_grad=True)
    y = lg.tanh(x)
    graph = Graph([y, lg.grad(y, x)])
    again = way(graph)
    places = {id(node): place for place, node in enumerate(graph.nodes)}
    copies = {id(node): place for place, node in enumerate(again.nodes)}
    expected = [places.get(id(node.origin)) for node in graph.nodes]
    assert [copies.get(id(node.origin)) for node in again.nodes] == expected
    assert any(place is not None for place in expected)
    assert all(node.origin is None or id(node.origin) in copies for node in again.nodes)


@pytest.mark.parametrize("way", WAYS)
def test_graphs_keep_inputs_and_assumptions(way):
    x, y = placeholder(("n",), name="x"), placeholder(("m",), name="y")
    total = x + y
    graph = Graph([lg.exp(x)], [y, x], assumptions=((*total.assumptions[0], total),))
    again = way(graph)
    assert [node.name for node in again.inputs] == ["y", "x"]
    assert again.outputs[0].operands[0] is again.inputs[1]
    a, b, node = again.assumptions[0]
    assert (a, b) == graph.assumptions[0][:2]
    assert node.operands[0] is again.inputs[1]


@pytest.mark.parametrize("way", WAYS)
def test_graphs_in_attributes(way):
    template = lookup("exp")
    op = _OPS.get("_test_body") or register(
        replace(template, name="_test_body", infer=lambda x, *, body: x)
    )
    inner = placeholder((), name="i")
    node = apply(op, placeholder((2,), name="x"), body=Graph([inner + 1.0], [inner]))
    again = way(node)
    body = again.attrs["body"]
    assert body is not node.attrs["body"]
    assert str(body) == str(node.attrs["body"])


@pytest.mark.parametrize("way", WAYS)
def test_constants_stay_unwritable(way):
    again = way(constant([1.0, 2.0]) + 1.0).operands[0]
    with pytest.raises(ValueError, match="read-only"):
        again.attrs["value"][0] = 5.0


def test_an_operation_that_is_not_registered_is_refused():
    unknown = replace(lookup("exp"), name="_test_unnamed")
    node = apply(unknown, placeholder((2,), name="x"))
    with pytest.raises(
        OptionError, match="'_test_unnamed' can't be pickled: operations go by name"
    ):
        pickle.dumps(node)
    impostor = apply(replace(lookup("exp")), placeholder((2,), name="x"))
    with pytest.raises(OptionError, match="'exp' can't be pickled"):
        pickle.dumps(Graph([impostor]))


def test_an_operation_missing_where_it_is_loaded_is_named():
    op = register(replace(lookup("exp"), name="_test_gone"))
    data = pickle.dumps(apply(op, placeholder((2,), name="x")))
    del _OPS["_test_gone"]
    with pytest.raises(OptionError, match=r"'_test_gone'.*Import the module that registers it"):
        pickle.loads(data)
