"""Which boxes a picture has."""

import re

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn
from lazygrad.ir.graph import Graph
from lazygrad.viz import picture_of_graph
from lazygrad.viz.arrange import arrange
from lazygrad.viz.groups import Gathering, Group
from tests.viz.examples import Blocks, blocks, perceptron


def arranged(nodes, **options):
    graph = Graph(nodes if isinstance(nodes, list) else [nodes])
    return graph, arrange(graph, graph.nodes, **options)


def groups_of(members, open_only=False):
    for member in members:
        if isinstance(member, Group):
            yield member
            if not (open_only and member.is_closed):
                yield from groups_of(member.members, open_only)


def labels(made):
    return [(group.label, group.times) for group in groups_of(made.top)]


def test_every_layer_is_a_group_and_every_node_has_a_holder():
    graph, made = arranged(perceptron())
    assert [label for label, _ in labels(made)] == [
        "Sequential",
        "0: Linear",
        "1: ReLU",
        "2: Linear",
    ]
    assert all(made.of(node) is node for node in graph.nodes)
    inside = {n.name for g in groups_of(made.top) for n in g.nodes if n.name}
    # Parameters stand with the layer that uses them, placeholders outside.
    assert inside == {"0.weight", "0.bias", "2.weight", "2.bias"}


@pytest.mark.parametrize(
    ("depth", "shown"),
    [
        (0, {"Blocks"}),
        (1, {"blocks.0 to blocks.4: Sequential", "last: Linear"}),
        (2, {"blocks.0.0: Linear", "blocks.0.1: Tanh", "blocks.0.2: LayerNorm"}),
        (None, set()),
        (9, set()),
    ],
)
def test_layers_beyond_a_depth_are_closed(depth, shown):
    _, made = arranged(blocks(), depth=depth)
    closed = {group.label for group in groups_of(made.top, open_only=True) if group.is_closed}
    assert closed == shown


def test_equal_blocks_in_a_row_are_one():
    graph, made = arranged(blocks(12))
    assert ("blocks.0 to blocks.11: Sequential", 12) in labels(made)
    (folded,) = [g for g in groups_of(made.top) if g.times == 12]
    # Eleven blocks stand for the first, node by node.
    assert len(made.first) == 11 * len(folded.nodes)
    for node in graph.nodes:
        stands_for = made.first.get(id(node), node)
        assert (node.op, node.spec) == (stands_for.op, stands_for.spec)
        assert made.is_shown(stands_for)
    assert "x 12" in picture_of_graph(graph).source


def test_a_folded_row_is_fed_from_outside_and_leads_on():
    source = picture_of_graph(Graph([blocks(12)]), depth=1).source
    ids = dict(re.findall(r'^\s+(n\d+) \[label="?(\w+)', source, re.MULTILINE))
    edges = {(ids[a], ids[b]) for a, b in re.findall(r"(n\d+) -> (n\d+)", source)}
    assert edges == {("x", "blocks"), ("blocks", "last"), ("last", "result")}


def test_blocks_are_kept_apart_on_demand():
    _, made = arranged(blocks(4), fold=False)
    assert not made.first
    assert sum("Sequential" in label for label, _ in labels(made)) == 4


def unlike_width():
    model = nn.Sequential(*[nn.Linear(i, i + 1, seed=0) for i in range(2, 8)])
    return model(lg.placeholder((3, 2), dtype="float32", name="x"))


def unlike_number():
    x = lg.placeholder((3, 2), name="x")
    for i in range(6):
        with lg.scope(f"block {i}: Block"):
            x = lg.tanh(x * float(i)) + 1.0
    return x


def read_in_between():
    x = lg.placeholder((3, 2), name="x")
    kept = []
    for i in range(6):
        with lg.scope(f"block {i}: Block"):
            x = lg.tanh(lg.exp(x)) + 1.0
        kept.append(x)
    return lg.concatenate(kept)


def beside_each_other():
    x = lg.placeholder((3, 2), name="x")
    found = []
    for i in range(6):
        with lg.scope(f"block {i}: Block"):
            found.append(lg.tanh(lg.exp(x)) + 1.0)
    return lg.concatenate(found)


def fed_by_others():
    x = lg.placeholder((3, 2), name="x")
    others = [lg.placeholder((3, 2), name=f"other {i}") for i in range(6)]
    for i in range(6):
        with lg.scope(f"block {i}: Block"):
            x = lg.tanh(lg.exp(x)) + others[i]
    return x


@pytest.mark.parametrize(
    "make", [unlike_width, unlike_number, read_in_between, beside_each_other, fed_by_others]
)
def test_what_only_looks_alike_is_not_folded(make):
    _, made = arranged(make())
    assert not made.first
    assert all(times == 1 for _, times in labels(made))


def test_a_row_of_different_layers_that_repeats_has_a_frame():
    layers = [layer for _ in range(6) for layer in (nn.Linear(4, 4, seed=0), nn.ReLU())]
    out = nn.Sequential(*layers)(lg.placeholder((3, 4), dtype="float32", name="x"))
    _, made = arranged(out)
    (frame,) = [group for group in groups_of(made.top) if group.times > 1]
    assert (frame.times, frame.is_frame) == (6, True)
    assert [member.label for member in frame.members] == ["0: Linear", "1: ReLU"]


def test_random_draws_do_not_keep_blocks_apart():
    model = nn.Sequential(
        *[nn.Sequential(nn.Linear(4, 4, seed=0), nn.Dropout(0.5, seed=i)) for i in range(4)]
    )
    _, made = arranged(model(lg.placeholder((3, 4), dtype="float32", name="x")))
    assert any(times == 4 for _, times in labels(made))


def test_derivatives_of_equal_blocks_are_folded_with_them():
    out = blocks(6).sum()
    leaves = [n for n in Graph([out]).nodes if n.requires_grad and not n.operands]
    graph = Graph([out, *lg.grad(out, leaves)])
    titles = ["", *(f"gradient of {leaf.name}" for leaf in leaves)]
    source = picture_of_graph(graph, titles=titles, mirrored=True).source
    # The derivative of the first block ends with its weight.
    assert (source.count("x 6"), source.count("x 5")) == (1, 1)
    # A box of what all blocks hand out names the first few.
    assert source.count("and 3 more") == 4
    weights = [leaf for leaf in leaves if "weight" in leaf.name]
    some = Graph([out, *lg.grad(out, weights[::2])])
    # Were the blocks drawn once, the derivatives of all of them would lead to that one.
    assert " x " not in picture_of_graph(some, mirrored=True).source


def chain(length):
    node = lg.placeholder((2,), name="x")
    for _ in range(length):
        node = lg.exp(node)
    return node


def test_a_large_graph_is_gathered_and_says_so():
    graph, made = arranged(chain(1000), limit=50)
    assert made.size <= 50
    gatherings = [member for member in made.top if isinstance(member, Gathering)]
    assert sum(len(g.nodes) for g in gatherings) == 1000
    assert all(id(node) in made.holder for node in graph.nodes)
    picture = picture_of_graph(graph, limit=50)
    assert "1,001 nodes in" in picture.source
    assert "more than 50. Draw a part, or raise limit=." in picture.source
    assert "25 operations" in picture.source
    assert "nodes in" not in picture_of_graph(graph, limit=2000).source


def test_closing_layers_comes_before_gathering():
    _, made = arranged(blocks(20), fold=False, limit=60)
    assert made.size <= 60
    assert not any(isinstance(member, Gathering) for member in made.top)
    assert "nodes in" in made.caption


def test_everything_connected_with_everything_becomes_few_boxes():
    rng = np.random.default_rng(0)
    pool = [lg.placeholder((2,), name="x")]
    for _ in range(2000):
        a, b = rng.integers(0, len(pool), 2)
        pool.append(pool[a] + pool[b])
    graph, made = arranged(sum(pool[-20:]))
    source = picture_of_graph(graph).source
    assert source.count("->") <= 120
    assert made.size < 40


def test_many_variables_and_inputs_are_gathered_too():
    total = sum(lg.placeholder((2,), name=f"x{i}") * lg.Value(np.ones(2)) for i in range(300))
    _, made = arranged(total, limit=30)
    assert made.size <= 45
    assert all(made.holder[id(node)] is not None for node in Graph([total]).nodes)


def test_scopes_within_scopes_without_end():
    def inside(depth, x):
        if not depth:
            return lg.exp(x)
        with lg.scope(f"s{depth}"):
            return inside(depth - 1, x * 2.0)

    _, made = arranged(inside(50, lg.placeholder((2,), name="x")))
    assert max(g.level for g in groups_of(made.top, open_only=True)) <= 12


def test_a_module_that_is_called_twice_is_one_group():
    layer = nn.Linear(4, 4, seed=0)
    x = lg.placeholder((3, 4), dtype="float32", name="x")
    _, made = arranged(layer(lg.tanh(layer(x))))
    assert labels(made) == [("Linear", 1)]
    assert picture_of_graph(Graph([layer(lg.tanh(layer(x)))]), depth=0).source.count("->") == 4


def test_the_same_module_gives_the_same_picture_again():
    model = Blocks(3)
    shape = lg.placeholder(("batch", 4), dtype="float32", name="x")
    first, second = (picture_of_graph(Graph([model(shape)])).source for _ in range(2))
    assert first == second
