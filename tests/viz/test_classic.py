"""The ancestors' pictures, without what they got wrong."""

import re
import shutil
import subprocess

import numpy as np
import pytest

import lazygrad as lg
from tests.viz.examples import several


def lines(source):
    return [line.strip() for line in source.splitlines() if re.match(r"\t[no]\d", line)]


def scalar():
    a, b = lg.Value(2.0, name="a"), lg.Value(-3.0)
    return (a * b + 10.0).relu() ** 2


def test_records_of_numbers():
    y = scalar()
    y.backward()
    assert lines(lg.draw_dot(y).source) == [
        'n0 [label="{ data 2.0000 | grad -24.0000 }" shape=record]',
        'n1 [label="{ data -3.0000 | grad 16.0000 }" shape=record]',
        'n2 [label="{ data -6.0000 | grad 8.0000 }" shape=record]',
        'o2 [label="*" shape=ellipse]',
        "o2 -> n2",
        "n0 -> o2",
        "n1 -> o2",
        'n3 [label="{ data 10.0000 | grad none }" shape=record]',
        'n4 [label="{ data 4.0000 | grad 8.0000 }" shape=record]',
        'o4 [label="+" shape=ellipse]',
        "o4 -> n4",
        "n2 -> o4",
        "n3 -> o4",
        'n5 [label="{ data 4.0000 | grad 8.0000 }" shape=record]',
        "o5 [label=ReLU shape=ellipse]",
        "o5 -> n5",
        "n4 -> o5",
        'n6 [label="{ data 2.0000 | grad none }" shape=record]',
        'n7 [label="{ data 16.0000 | grad 1.0000 }" shape=record]',
        'o7 [label="**" shape=ellipse]',
        "o7 -> n7",
        "n5 -> o7",
        "n6 -> o7",
    ]


def test_records_before_backward_and_of_arrays():
    y = lg.relu(lg.Value(np.arange(6.0).reshape(2, 3)) @ lg.Value(np.ones((3, 2)))).sum()
    source = lg.draw_dot(y).source
    assert "data (2, 3)  0 to 5, mean 2.5, 16.7 % zeros | grad none" in source
    assert 'label="@"' in source
    y.backward()
    assert "grad (2, 3)  all 2" in lg.draw_dot(y).source


def test_records_of_placeholders_and_other_directions():
    x = lg.placeholder((2,), name="x")
    assert "data float64[2] | grad none" in lg.draw_dot(x * 2.0, rankdir="TB").source
    assert "rankdir=TB" in lg.draw_dot(x * 2.0, "png", "TB").source
    with pytest.raises(lg.OptionError, match="rankdir must be one of"):
        lg.draw_dot(x, rankdir="up")
    with pytest.raises(lg.OptionError, match="format must be one of"):
        lg.draw_dot(x, format="jpeg")
    with pytest.raises(lg.OptionError, match="draw_dot: give a node"):
        lg.draw_dot(3)


def test_tables_have_the_result_on_top():
    y = scalar()
    y.backward()
    source = lg.draw_graph(y).source
    assert "rankdir=BT" in source
    rows = re.findall(r"n(\d+) \[label=<(.*?)> shape=plaintext", source)
    found = {int(n): re.sub(r"<[^>]*>", "|", text).strip("|") for n, text in rows}
    found = {n: re.sub(r"\|+", " | ", text) for n, text in found.items()}
    assert found[0] == "value 2.0000 | grad -24.0000 | input a"
    assert found[1] == "value -3.0000 | grad 16.0000 | input"
    assert found[3] == "value 10.0000 | grad none | input"
    assert found[7] == "value 16.0000 | grad 1.0000 | ^2"
    assert source.count("#C9C9C9") == 4
    assert source.count("#C2EBFF") == 4


def test_an_edge_is_drawn_once():
    x = lg.Value(3.0)
    assert lg.draw_graph(x * x).source.count("->") == 1
    # Records have one for each operand, as micrograd's.
    assert lg.draw_dot(x * x).source.count("n0 -> o1") == 2


def test_gradients_of_an_earlier_forward_are_not_mixed_with_a_later_one():
    x = lg.placeholder((), name="x", requires_grad=True)
    y = x * x
    z = y * 3.0
    z.forward(x=2.0)
    z.backward()
    assert "data 4.0000 | grad 3.0000" in lg.draw_dot(z).source
    z.forward(x=5.0)
    assert "data 25.0000 | grad none" in lg.draw_dot(z).source
    z.backward()
    assert "data 25.0000 | grad 3.0000" in lg.draw_dot(z).source


def test_a_changed_variable_gives_no_mixed_picture():
    w = lg.Value(2.0, name="w")
    x = lg.placeholder((), name="x")
    y = lg.exp(w * x) * 1.0
    y.forward(x=0.0)
    w.data = 7.0
    source = lg.draw_dot(y).source
    assert "data 7.0000" in source
    assert "data 14" not in source


def test_looking_leaves_runs_as_they_are():
    x = lg.placeholder((3,), name="x", requires_grad=True)
    y = lg.tanh(lg.exp(x) * 2.0).sum()
    y.forward(x=np.zeros(3))
    y.backward()
    schedule, gradient = y.schedule, x.grad.copy()
    for _ in range(3):
        # Only the number 2 has no gradient.
        assert lg.draw_graph(y).source.count("grad none") == 1
    y.forward(x=np.zeros(3))
    y.backward()
    assert y.schedule is schedule
    np.testing.assert_array_equal(x.grad, gradient)


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz's dot is missing")
@pytest.mark.parametrize("draw", [lg.draw_dot, lg.draw_graph])
def test_pictures_are_rendered(draw):
    for node in [scalar(), *several()]:
        assert draw(node).svg().startswith("<svg")
    done = subprocess.run(
        ["dot", "-Tsvg"], input=draw(scalar()).source.encode(), capture_output=True, check=True
    )
    assert not done.stderr


def test_too_large_a_graph_is_refused_with_what_to_do():
    node = lg.Value(1.0)
    for _ in range(1001):
        node = node + 1.0
    for draw in (lg.draw_dot, lg.draw_graph):
        with pytest.raises(lg.OptionError, match=r"2,003 nodes.*at most 1,000.*lg\.draw gathers"):
            draw(node).source
