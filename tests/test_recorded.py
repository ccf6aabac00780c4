"""What is built inside a ``with`` is drawn, in kittygrad's colours."""

import re
import shutil

import numpy as np
import pytest

import lazygrad as lg

GREEN, BROWN, YELLOW, BLUE = "#d1e4cf", "#c5b9b7", "#ffefc7", "#a9d8ee"


def boxes(source):
    """The label, fill and style of every box, by its id."""
    found = re.findall(
        r'(\w\d+) \[label="?(.*?)"? color="#\w+" fillcolor="(#\w+)" style="?([\w,]+)', source
    )
    return {name: (label, fill, style) for name, label, fill, style in found}


def test_leaves_results_and_backward_nodes():
    with lg.CompGraph() as dot:
        x = lg.Value([1.0, 2.0], name="x")
        k = lg.constant([3.0, 4.0])
        y = lg.tanh(x * k)
    found = boxes(dot.source)
    assert found == {
        "t0": ("x\\nfloat64[2]", GREEN, "filled"),
        "b0": ("AccumulateGrad", BLUE, "rounded,filled"),
        "t1": ("Tensor\\nfloat64[2]", YELLOW, "filled"),
        "t2": ("Tensor\\nfloat64[2]", BROWN, "filled"),
        "o2": ("multiply", BROWN, "rounded,filled"),
        "b2": ("MultiplyBackward", BLUE, "rounded,filled"),
        "t3": ("Tensor\\nfloat64[2]", BROWN, "filled"),
        "o3": ("tanh", BROWN, "rounded,filled"),
        "b3": ("TanhBackward", BLUE, "rounded,filled"),
    }
    assert y.requires_grad
    source = dot.source
    assert 't0 -> b0 [color="#22709a" dir=back' in source
    assert 't3 -> b3 [color="#22709a" constraint=false style=dashed]' in source
    assert 'b3 -> b2 [color="#22709a" constraint=false]' in source
    assert 'b2 -> b0 [color="#22709a" constraint=false]' in source
    assert "strict digraph" in source
    assert source.count("rank=same") == 3


def test_without_gradients_all_is_yellow():
    with lg.CompGraph() as dot, lg.no_grad():
        lg.exp(lg.constant([1.0]) * 2.0)
    assert {fill for _, fill, _ in boxes(dot.source).values()} == {YELLOW}


def test_it_may_start_in_the_middle_of_a_graph():
    x = lg.Value([1.0, 2.0])
    y = lg.exp(x)
    with lg.CompGraph() as dot:
        lg.sin(y)
    found = boxes(dot.source)
    assert [label for label, _, _ in found.values()] == [
        "Tensor\\nfloat64[2]",
        "Tensor\\nfloat64[2]",
        "sin",
        "SinBackward",
    ]


def test_what_runs_inside_is_not_built_by_the_user():
    with lg.CompGraph() as dot:
        x = lg.Value([1.0, 2.0])
        y = lg.sum(x * x)
        y.backward()
        y.forward()
        lg.compile(y)(), y.data, lg.grad(y, x), repr(y)
    labels = [label for label, _, _ in boxes(dot.source).values()]
    assert sum(label == "multiply" for label in labels) == 1
    assert sum(label == "sum" for label in labels) == 1
    assert len(labels) == 2 + 3 + 3


def test_recordings_nest_and_end():
    with lg.CompGraph() as outer:
        a = lg.exp(lg.Value(1.0))
        with lg.CompGraph() as inner:
            lg.sin(a)
        lg.cos(a)
    lg.tanh(a)
    assert "sin" in inner.source
    assert "cos" not in inner.source
    assert "cos" in outer.source
    assert "tanh" not in outer.source
    with pytest.raises(lg.OptionError, match="recording already"), outer, outer:
        pass


def test_an_error_inside_ends_the_recording():
    dot = lg.CompGraph()

    def fail():
        with dot:
            lg.exp(lg.Value(1.0))
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail()
    lg.sin(lg.Value(1.0))
    assert "exp" in dot.source
    assert "sin" not in dot.source


def test_colours_and_graphviz_attributes():
    with lg.CompGraph(leaf_color="#123456", graph_attr={"rankdir": "LR"}) as dot:
        lg.exp(lg.Value(1.0))
    assert 'color="#123456"' in dot.source
    assert "rankdir=LR" in dot.source
    with pytest.raises(lg.OptionError, match="no option 'leaf_colour'"):
        lg.CompGraph(leaf_colour="#123456")


def test_text_and_nothing_at_all():
    with lg.CompGraph() as dot:
        pass
    assert str(dot) == "nothing was built"
    assert "digraph" in dot.source
    with lg.CompGraph() as dot:
        lg.exp(lg.placeholder((2,), name="x"))
    assert str(dot) == "exp -> float64[2]\n└─ x: placeholder float64[2]"


def test_a_picture_in_the_middle_is_drawn_anew_at_the_end():
    with lg.CompGraph() as dot:
        x = lg.exp(lg.Value(1.0))
        assert "tanh" not in dot.source
        lg.tanh(x)
    assert "tanh" in dot.source


def test_too_much_is_refused():
    with lg.CompGraph() as dot:
        x = lg.Value(1.0)
        for _ in range(1200):
            x = lg.exp(x)
    with pytest.raises(lg.OptionError, match=r"1,201 nodes were built"):
        dot.source
    assert "no picture" in dot._repr_mimebundle_()["text/plain"]


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz's dot is missing")
def test_it_shows_itself():
    with lg.CompGraph() as dot:
        lg.sum(lg.Value(np.ones((2, 2))) @ lg.Value(np.ones(2)))
    assert dot._repr_mimebundle_()["image/svg+xml"].startswith("<svg")
