"""``lg.draw``: every option on every example, and what a notebook shows."""

import re
import shutil
from base64 import b64decode

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn
from lazygrad.ir.graph import Graph
from lazygrad.ir.text import parse
from tests.viz.examples import EXAMPLES, Blocks, blocks, numbers, perceptron, training

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz's dot is missing")

OPTIONS = [
    {},
    {"values": True},
    {"gradients": True},
    {"values": True, "gradients": True},
    {"constants": True},
    {"depth": 0},
    {"depth": 1, "fold": False},
    {"limit": 3},
    {"rankdir": "BT"},
    {"format": "png"},
    {"schedule": True},
    {"schedule": True, "limit": 2},
    {"profile": True},
]
LENGTHS = {"perceptron": {"batch": 3}, "training": {"batch": 3}, "blocks": {"batch": 3}}


@needs_dot
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_option_on_every_example(name, options):
    what = EXAMPLES[name]()
    if options.get("schedule") or options.get("profile"):
        options = {**options, "lengths": LENGTHS.get(name, {})}
    if options.get("gradients") and name == "empty graph":
        with pytest.raises(lg.OptionError, match="gradients=True needs a result"):
            lg.draw(what, **options)
        return
    drawing = lg.draw(what, **options)
    assert drawing.source.startswith("digraph lazygrad {")
    assert drawing.svg().startswith("<svg")
    bundle = drawing._repr_mimebundle_()
    kind = "image/png" if options.get("format") == "png" else "image/svg+xml"
    assert set(bundle) == {kind, "text/plain"}
    assert bundle["text/plain"] == str(drawing)
    if kind == "image/png":
        assert b64decode(bundle[kind]).startswith(b"\x89PNG")


def edges(source):
    return set(re.findall(r"(n\d+) -> (n\d+)", source))


class TestValues:
    def test_data_and_gradients_after_a_run(self):
        loss = perceptron()
        loss.forward(x=np.ones((3, 2), "f4"), t=np.ones(3, "f4"))
        loss.backward()
        source = lg.draw(loss, values=True).source
        assert re.search(
            r"0.weight\\nvariable · float32\[2, 4\]\\ndata = \(2, 4\).*?grad = ", source
        )
        # What machine code or NumPy kept to itself is there too.
        boxes = re.findall(r'label="float32\[.*?"', source)
        assert len(boxes) >= 6
        assert all("data = " in box for box in boxes)
        assert "data = " not in lg.draw(loss).source

    def test_before_any_run_there_are_variables_alone(self):
        source = lg.draw(perceptron(), values=True).source
        assert source.count("data = ") == 4
        assert "grad = " not in source

    def test_intermediate_values_are_right(self):
        x = lg.placeholder((2,), name="x", requires_grad=True)
        y = lg.exp(x)
        z = lg.sum(y * 3.0)
        z.forward(x=[0.0, 1.0])
        z.backward()
        source = lg.draw(z, values=True).source
        assert "data = [1, 2.718]\\ngrad = [3, 3]" in source
        assert "data = [3, 8.155]\\ngrad = [1, 1]" in source

    def test_blocks_with_values_are_not_folded(self):
        assert "x 5" in lg.draw(blocks()).source
        assert "x 5" not in lg.draw(blocks(), values=True).source


class TestGradients:
    def test_every_derivative_node_is_tied_to_its_origin(self):
        source = lg.draw(perceptron(), gradients=True).source
        derived = set(re.findall(r'(n\d+) \[label=[^\n]*fillcolor="#F7E6F0"', source))
        ties = re.findall(r"(n\d+) -> (n\d+) \[arrowhead=none[^\n]*style=dashed", source)
        assert derived
        # The seed, which starts the walk, is of no operation.
        assert derived - {target for _, target in ties} == set()
        assert not derived & {origin for origin, _ in ties}
        assert source.count("gradient of ") == 4

    def test_gradients_stand_in_the_layers_of_what_they_are_of(self):
        source = lg.draw(perceptron(), gradients=True).source
        frame = source[source.index('label="2: Linear"') :]
        frame = frame[: frame.index("}")]
        assert 'fillcolor="#F7E6F0"' in frame
        assert frame.count("matmul") == 3

    def test_a_program_shows_its_own(self):
        program = training()
        source = lg.draw(program).source
        assert source == lg.draw(program, gradients=True).source
        assert "new 0.weight" in source
        assert "dir=back" in source
        assert len(program.graph) == len(training().graph)

    def test_nothing_to_differentiate_is_said(self):
        x = lg.placeholder((2,), name="x")
        for node in (x * 2.0, lg.Value([1, 2]) > 1):
            with pytest.raises(lg.OptionError, match="gradients=True needs a result"):
                lg.draw(node, gradients=True)

    def test_closed_layers_have_a_box_for_each_direction(self):
        source = lg.draw(perceptron(), gradients=True, depth=0).source
        assert "Sequential\\n17 parameters" in source
        assert "Sequential, backward" in source


class TestSteps:
    def test_of_a_program_that_was_not_called(self):
        source = lg.draw(training(), schedule=True).source
        assert "float32[batch, 4]" in source
        assert "Arena" not in source

    def test_of_lengths(self):
        source = lg.draw(training(), schedule=True, lengths={"batch": 7}).source
        assert "float32[7, 4]" in source
        assert "Arena of" in source
        with pytest.raises(lg.OptionError, match="the lengths of this program are batch"):
            lg.draw(training(), schedule=True, lengths={"rows": 7})

    def test_of_the_latest_call(self):
        program = training()
        program(x=np.ones((6, 2), "f4"), t=np.ones(6, "f4"))
        assert "float32[6, 4]" in lg.draw(program, schedule=True).source

    def test_the_text_is_the_table(self):
        program = training()
        assert str(lg.draw(program, schedule=True)) == program.explain()

    def test_of_nodes_and_graphs(self):
        for what in (numbers(), [numbers(), numbers()], Graph([numbers()])):
            assert "multiply" in lg.draw(what, schedule=True).source

    def test_a_profile_on_feeds_changes_nothing(self):
        program = training()
        feeds = {"x": np.ones((6, 2), "f4"), "t": np.ones(6, "f4")}
        before = {node: node.data.copy() for node in program.graph.variables}
        source = lg.draw(program, profile=True, feeds=feeds).source
        assert "GB/s" in source
        assert "runs on numpy" in source
        assert "timed on zeros" not in source
        for node, data in before.items():
            np.testing.assert_array_equal(node.data, data)
        # The times are kept, and shown again.
        measured = program.profiled
        assert lg.draw(program, profile=True).source == source
        assert program.profiled is measured

    def test_a_profile_without_feeds(self):
        program = training()
        with pytest.raises(lg.OptionError, match="needs feeds="):
            lg.draw(program, profile=True)
        source = lg.draw(program, profile=True, lengths={"batch": 4}).source
        assert "timed on zeros" in source


class TestModules:
    def test_before_a_call_the_tree_of_layers(self):
        model = Blocks(3)
        drawing = lg.draw(model)
        assert "blocks.0: Sequential   x 3" in drawing.source
        assert str(drawing) == repr(model)

    def test_on_inputs(self):
        source = lg.draw(Blocks(3), ("rows", 4)).source
        assert "input0\\nplaceholder · float32[rows, 4]" in source
        assert "blocks.0 to blocks.2: Sequential   x 3" in source
        with pytest.raises(lg.OptionError, match="Blocks can't be called with 2 inputs"):
            lg.draw(Blocks(3), ("rows", 4), (2,))

    def test_the_latest_call_as_long_as_its_result_is_held(self):
        model = Blocks(3)
        out = model(lg.placeholder(("batch", 4), dtype="float32", name="fed"))
        assert "fed" in lg.draw(model).source
        assert "fed" in lg.draw(model.last).source
        del out
        assert "fed" not in lg.draw(model).source

    def test_steps_of_a_module(self):
        model = Blocks(3)
        assert "last.weight" in lg.draw(model, (5, 4), schedule=True).source
        with pytest.raises(lg.OptionError, match="has steps once it is called"):
            lg.draw(model, schedule=True)

    def test_gradients_of_a_module(self):
        assert "gradient of last.weight" in lg.draw(Blocks(3), (5, 4), gradients=True).source

    def test_a_module_with_several_results(self):
        gru = nn.GRU(3, 4)
        assert lg.draw(gru, (2, 5, 3)).source.count("peripheries=2") == 2

    def test_modules_are_pickled_and_copied_without_their_pictures(self):
        import copy
        import pickle

        model = Blocks(2)
        out = model(np.ones((1, 4), "f4"))
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert other.drawn_nodes() == []
        assert model.drawn_nodes()[0] is out


def test_bad_options_are_refused():
    y = numbers()
    for options, text in [
        ({"rankdir": "up"}, "rankdir must be one of"),
        ({"format": "gif"}, "format must be one of svg, png, pdf, got 'gif'"),
        ({"limit": 0}, "limit must be an int from 2 on, got 0"),
        ({"limit": 5.0}, "limit must be an int"),
        ({"depth": -1}, "depth must be an int from 0 on, got -1"),
        ({"depth": True}, "depth must be an int"),
    ]:
        with pytest.raises(lg.OptionError, match=text):
            lg.draw(y, **options)
    with pytest.raises(lg.OptionError, match="only a module is called on inputs"):
        lg.draw(y, y)
    for what in ([], [1], "x", None, {"a": 3}):
        with pytest.raises(lg.OptionError, match="give a node, several nodes"):
            lg.draw(what)


def test_several_nodes_in_any_collection():
    a, b = numbers(), numbers()
    sources = [lg.draw(what).source for what in ([a, b], (a, b), {"p": a, "q": b}, iter([a, b]))]
    assert len(set(sources)) == 1


def test_keys_name_the_results_of_a_program():
    program = lg.compile({"value": numbers(), "double": lg.exp(numbers())})
    source = lg.draw(program).source
    assert 'label="value\\nc\\nfloat64[]"' in source
    assert 'label="double\\nfloat64[]"' in source


def test_save_without_a_suffix_takes_the_format(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    written = lg.draw(numbers(), format="png").save(tmp_path / "picture")
    assert written == tmp_path / "picture.dot"


@needs_dot
def test_save_without_a_suffix(tmp_path):
    written = lg.draw(numbers(), format="png").save(tmp_path / "picture")
    assert written.read_bytes().startswith(b"\x89PNG")


class TestNotebooks:
    @needs_dot
    @pytest.mark.parametrize("name", EXAMPLES)
    def test_everything_shows_itself(self, name):
        for thing in [each] if not isinstance(each := EXAMPLES[name](), list) else each:
            bundle = thing._repr_mimebundle_()
            is_leaf = isinstance(thing, lg.Value) and not thing.operands
            assert ("image/svg+xml" in bundle) is not is_leaf
            assert bundle["text/plain"] == (str if isinstance(thing, Graph) else repr)(thing)

    @needs_dot
    def test_modules_show_themselves(self):
        model = Blocks(2)
        bundle = model._repr_mimebundle_()
        assert "blocks.0: Sequential" in bundle["image/svg+xml"]
        assert bundle["text/plain"] == repr(model)

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_without_dot_there_is_text(self, name, monkeypatch):
        monkeypatch.setattr(shutil, "which", lambda name: None)
        for thing in [each] if not isinstance(each := EXAMPLES[name](), list) else each:
            (text,) = thing._repr_mimebundle_().values()
            assert text
        assert "Sequential" in Blocks(2)._repr_mimebundle_()["text/plain"]

    def test_without_graphviz_there_is_text(self, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "graphviz", None)
        assert set(numbers()._repr_mimebundle_()) == {"text/plain"}

    def test_a_huge_graph_is_text(self):
        node = lg.placeholder((2,), name="x")
        for _ in range(20_001):
            node = lg.exp(node)
        for thing in (node, Graph([node])):
            bundle = thing._repr_mimebundle_()
            assert set(bundle) == {"text/plain"}
            assert "20,002 nodes are drawn only where lg.draw asks for it" in bundle["text/plain"]
            assert len(bundle["text/plain"]) < 3_000_000

    def test_a_stale_or_broken_node_is_text_at_least(self):
        x = lg.placeholder((2,), name="x")
        w = lg.Value(np.ones(2))
        y = lg.exp(x * w) + 1.0
        y.forward(x=[1.0, 2.0])
        w.data = np.zeros(2)
        assert y._repr_mimebundle_()["text/plain"].startswith("Value(")

    @needs_dot
    def test_small_graphs_show_values(self):
        y = numbers()
        assert "data = 16" in y._repr_mimebundle_()["image/svg+xml"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_printed_graph_is_read_back(name):
    thing = EXAMPLES[name]()
    if isinstance(thing, lg.Program):
        thing = thing.graph
    graph = (
        thing if isinstance(thing, Graph) else Graph(thing if isinstance(thing, list) else [thing])
    )
    assert str(parse(str(graph))) == str(graph)
