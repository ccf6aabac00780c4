import re
import shutil
import subprocess
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.errors import OperationError, OptionError
from lazygrad.ir.graph import Graph
from lazygrad.ir.op import lookup
from lazygrad.ir.value import Value, apply, constant, placeholder
from lazygrad.viz import Drawing, picture_of_graph, to_text_tree
from lazygrad.viz.summary import clean, describe_attrs, summarize

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz's dot is missing")


def lines(source: str) -> list[str]:
    """Give nodes and edges without their colours."""
    found = [line.strip() for line in source.splitlines() if line.startswith("\tn")]
    found = [line for line in found if not line.startswith("node [")]
    return [
        re.sub(
            r' (?:color|fillcolor|style|labeldistance|labelfontsize)=(?:"[^"]*"|\S+?)(?=[ \]])',
            "",
            line,
        )
        for line in found
    ]


def texts(svg: str) -> list[str]:
    return ["".join(e.itertext()) for e in ET.fromstring(svg).iter() if e.tag.endswith("}text")]


def drawing(graph, annotations=None, timeout=60.0, format="svg", **options):
    return Drawing(
        lambda: picture_of_graph(graph, annotations, **options),
        lambda: to_text_tree(graph, annotations),
        f"{len(graph)} nodes",
        format=format,
        timeout=timeout,
    )


def small_graph():
    x = placeholder(("batch", 3), name="x")
    w = Value(np.ones((3, 2)), name="w")
    y = lg.tanh(x @ w - constant([1.0, 2.0]))
    loss = lg.sum(y * 2.0)
    loss.name = "loss"
    return Graph([loss])


def test_source():
    assert lines(picture_of_graph(small_graph()).source) == [
        'n0 [label="x\\nplaceholder · float64[batch, 3]" shape=box]',
        'n1 [label="w\\nvariable · float64[3, 2]" shape=box3d]',
        "n2 [label=matmul shape=box]",
        'n3 [label="subtract(·, float64[2])" shape=box]',
        "n4 [label=tanh shape=box]",
        'n5 [label="multiply(·, 2)" shape=box]',
        'n6 [label="sum\\naxes=(0, 1)" shape=box]',
        'n7 [label="loss\\nfloat64[]" peripheries=2 shape=box]',
        "n0 -> n2 [headlabel=1]",
        "n1 -> n2 [headlabel=2]",
        'n2 -> n3 [label="float64[batch, 2]"]',
        'n3 -> n4 [label="float64[batch, 2]"]',
        'n4 -> n5 [label="float64[batch, 2]"]',
        'n5 -> n6 [label="float64[batch, 2]"]',
        "n6 -> n7",
    ]


def test_kinds_of_leaves_differ_in_shape_or_colour():
    arg, x = placeholder((1,), name="arg"), placeholder((1,), name="x")
    graph = Graph([arg + x + Value([1.0], name="w") + constant([1.0], name="c")], [arg])
    source = picture_of_graph(graph).source
    looks = {
        tuple(re.findall(r'(?:shape|fillcolor|style)=(?:"[^"]*"|\w+)', line))
        for line in source.splitlines()
        if re.search(r"argument|placeholder|variable|constant", line)
    }
    assert len(looks) == 4


def test_annotations_open_a_box_with_their_rows():
    a, b = Value(2.0, name="a"), Value(np.arange(6.0), name="b")
    c = a * b
    graph = Graph([lg.sum(c)])
    rows = {
        id(a): {"data": np.float64(2.0), "grad": None},
        id(c): {"data": np.arange(6.0) * 2, "grad": np.ones(6)},
    }
    source = lines(picture_of_graph(graph, rows).source)
    assert 'n0 [label="a\\nvariable · float64[]\\ndata = 2\\ngrad = none" shape=box3d]' in source
    assert (
        'n3 [label="float64[6]\\ndata = (6,)  0 to 10, mean 5, 16.7 % zeros'
        '\\ngrad = (6,)  all 1" shape=box]' in source
    )
    assert "n2 -> n3" in source


def test_several_results_are_told_apart():
    x = placeholder((2,), name="x", requires_grad=True)
    y = lg.tanh(x)
    source = picture_of_graph(Graph([y, lg.grad(y, x), x])).source
    assert 'label="result 0\\n' in source
    assert 'label="result 1\\n' in source
    assert source.count("peripheries=2") == 3


def test_a_value_used_twice_at_one_place_has_two_edges_and_one_label():
    x = lg.exp(placeholder((2,), name="x"))
    source = lines(picture_of_graph(Graph([x * x])).source)
    assert [line for line in source if line.startswith("n1 -> n2")] == [
        'n1 -> n2 [label="float64[2]"]',
        "n1 -> n2",
    ]


def test_every_id_is_a_number():
    ids = set(
        re.findall(r"^\t(\w+) (?:\[|->)", picture_of_graph(small_graph()).source, re.MULTILINE)
    )
    assert all(re.fullmatch(r"n\d+|graph|node|edge", one) for one in ids)


TORTURE = [
    ("<lambda>", "<lambda>"),
    ("<b>bold</b>", "<b>bold</b>"),
    ("a:b", "a:b"),
    ("x\\", "x\\"),
    ("\\N \\G \\n", "\\N \\G \\n"),
    ("quote\"'", "quote\"'"),
    ("new\nline\r\ttab", "new line tab"),
    ("\x00\x1b[31mred", "[31mred"),
    ("&lt;&amp;&#65;", "&lt;&amp;&#65;"),
    ("{a|b}", "{a|b}"),
    ("\ud800", "(blank)"),
    ("\u202eabc", "abc"),
    ("</text><script>alert(1)</script>", "</text><script>alert(1)</script>"),
    ("]]> -->", "]]> -->"),
    ("漢字 é", "漢字 é"),
    ("node", "node"),
    ("x" * 10_000, "x" * 24 + "…" + "x" * 23),
]


@needs_dot
@pytest.mark.parametrize(("name", "shown"), TORTURE, ids=range(len(TORTURE)))
def test_any_name_is_drawn_letter_by_letter(name, shown):
    graph = Graph([lg.exp(placeholder((2,), name=name))])
    svg = drawing(graph).svg()
    found = [text.replace("\xa0", " ") for text in texts(svg)]
    assert found == [shown, "placeholder · float64[2]", "exp", "result", "float64[2]"]
    assert not [e for e in ET.fromstring(svg).iter() if e.tag.endswith("script")]


@needs_dot
def test_labels_of_every_kind_are_escaped():
    op = lookup("exp")
    nasty = '<&"\\N>'
    x = placeholder((nasty,), name="x")
    y = apply(op, x)
    graph = Graph([y])
    found = texts(drawing(graph, {id(y): {nasty: nasty}}).svg())
    assert f"float64[`{nasty}`]" in found
    assert f"{nasty} = {nasty}" in found


@needs_dot
def test_svg_stands_alone():
    svg = drawing(small_graph()).svg()
    assert svg.startswith("<svg")
    root = ET.fromstring(svg)
    for element in root.iter():
        assert not element.tag.endswith(("script", "image", "foreignObject"))
        for key, value in element.attrib.items():
            assert "href" not in key
            assert "://" not in value


def test_a_notebook_says_why_there_is_no_picture():
    def refused():
        raise OptionError("too much of it")

    bundle = Drawing(refused, lambda: "the text", "it")._repr_mimebundle_()
    assert bundle == {"text/plain": "the text\n\n(no picture: too much of it)"}


def test_attributes_are_cut_at_the_end():
    shown = describe_attrs({"axes": (0, 1), "keepdims": False, "shape": (3,) * 8, "more": 1})
    assert shown == "axes=(0, 1), shape=(3, 3, 3, 3, 3, 3, 3, 3), …"


def test_large_graphs_are_laid_out_in_haste():
    node = placeholder((2,), name="x")
    for _ in range(200):
        node = lg.exp(node)
    assert "nslimit=2" in picture_of_graph(Graph([node])).source
    assert "nslimit" not in picture_of_graph(small_graph()).source


def test_directions():
    assert "rankdir=TB" in picture_of_graph(small_graph(), rankdir="TB").source
    with pytest.raises(OptionError, match="rankdir must be one of LR, TB, RL, BT, got 'XX'"):
        picture_of_graph(small_graph(), rankdir="XX")


def test_text_tree():
    assert to_text_tree(small_graph()) == "\n".join(
        [
            "loss: sum(axes=(0, 1)) -> float64[]",
            "└─ multiply -> float64[batch, 2]",
            "   ├─ tanh -> float64[batch, 2]",
            "   │  └─ subtract -> float64[batch, 2]",
            "   │     ├─ matmul -> float64[batch, 2]",
            "   │     │  ├─ x: placeholder float64[batch, 3]",
            "   │     │  └─ w: variable float64[3, 2]",
            "   │     └─ constant float64[2]",
            "   └─ 2: float64",
        ]
    )


def test_text_tree_opens_a_shared_node_once():
    y = Value(1.0)
    for _ in range(60):
        y = y + y
    tree = to_text_tree(Graph([y]))
    assert len(tree.splitlines()) == 122 - 1
    assert "see #1" in tree


def test_text_tree_of_a_long_chain_is_cut():
    node = placeholder((2,), name="x")
    for _ in range(5000):
        node = lg.exp(node)
    tree = to_text_tree(Graph([node]), limit=100).splitlines()
    assert len(tree) == 101
    assert tree[-1] == "… and 4901 more nodes"
    assert max(map(len, tree)) < 150


def test_text_tree_shows_annotations():
    x = Value([1.0, 2.0], name="x")
    assert to_text_tree(Graph([x]), {id(x): {"data": x.cell.array}}) == (
        "x: variable float64[2]   data = [1, 2]"
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (None, "none"),
        (True, "True"),
        (3, "3"),
        (3.14159265, "3.142"),
        (np.float32(1e-10), "1e-10"),
        (float("nan"), "nan"),
        (np.zeros((0, 2)), "(0, 2)  empty"),
        (np.array([1.5, -2.0]), "[1.5, -2]"),
        (np.arange(10), "(10,)  0 to 9, mean 4.5, 10 % zeros"),
        (np.full((2, 3), 7.0), "(2, 3)  all 7"),
        (np.array([[1.0, np.nan, np.inf, 3.0]]), "(1, 4)  1 to 3, mean 2, 25 % NaN, 25 % infinite"),
        (np.full((2, 3), np.nan), "(2, 3)  all NaN"),
        (np.array([0.0, 0, 0, 0, -np.inf]), "(5,)  0 where finite, 20 % infinite"),
        (
            np.r_[np.zeros(1), np.arange(1.0, 2000.0)],
            "(2000,)  0 to 1999, mean 999.5, <0.1 % zeros",
        ),
        (np.eye(3, dtype=bool), "(3, 3)  3 of 9 true"),
        ("a\nb", "a b"),
        (object, "<class 'object'>"),
    ],
)
def test_arrays_in_one_line(data, text):
    assert summarize(data) == text


def test_clean_keeps_both_ends():
    assert clean("a" * 5 + "b" * 5, 5) == "aa…bb"
    assert clean("\n") == "(blank)"


@needs_dot
@pytest.mark.parametrize(
    ("name", "start"), [("g.svg", b"<svg"), ("g.PNG", b"\x89PNG"), ("g.pdf", b"%PDF")]
)
def test_save_renders_by_extension(tmp_path, name, start):
    path = drawing(small_graph()).save(tmp_path / name)
    assert path == tmp_path / name
    assert path.read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["g.dot", "g.gv"])
def test_save_source(tmp_path, name):
    picture = drawing(small_graph())
    assert picture.save(str(tmp_path / name)).read_text("utf-8") == picture.source


def test_save_refuses_other_extensions(tmp_path):
    with pytest.raises(OptionError, match=r"'g.docx': the name of a picture ends in one of .dot, "):
        drawing(small_graph()).save(tmp_path / "g.docx")


class TestWithoutDot:
    @pytest.fixture(autouse=True)
    def no_dot(self, monkeypatch):
        monkeypatch.setattr(shutil, "which", lambda name: None)

    def test_save_writes_the_source_beside_and_says_so(self, tmp_path, capsys):
        path = drawing(small_graph()).save(tmp_path / "graph.svg")
        assert path == tmp_path / "graph.dot"
        assert path.read_text("utf-8").startswith("digraph")
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert "`dot` is not installed: wrote" in message

    def test_svg_says_what_is_missing(self):
        with pytest.raises(OperationError, match="`dot` is not installed"):
            drawing(small_graph()).svg()

    def test_a_notebook_shows_the_tree(self):
        picture = drawing(small_graph())
        (text,) = picture._repr_mimebundle_().values()
        assert text.startswith(to_text_tree(small_graph()) + "\n\n(no picture: graphviz's program")


@needs_dot
def test_a_notebook_shows_svg_and_text():
    bundle = drawing(small_graph())._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"image/svg+xml", "text/plain"}
    assert bundle["image/svg+xml"].startswith("<svg")


def test_a_slow_or_failing_dot_is_reported(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/dot")

    def slow(*args, **options):
        assert options["timeout"] == 1.5
        raise subprocess.TimeoutExpired("dot", 1.5)

    def failing(*args, **options):
        raise subprocess.CalledProcessError(1, "dot", stderr=b"Error: syntax\nmore")

    picture = drawing(small_graph(), timeout=3)
    monkeypatch.setattr(subprocess, "run", slow)
    with pytest.raises(OperationError, match=r"`dot` took longer than 3 s over 9 nodes"):
        picture.svg()
    monkeypatch.setattr(subprocess, "run", failing)
    with pytest.raises(OperationError, match="`dot` failed with exit code 1: Error: syntax"):
        picture.svg()
    assert set(picture._repr_mimebundle_()) == {"text/plain"}


@needs_dot
def test_a_layout_that_fails_is_done_again_roughly(monkeypatch):
    run, given = subprocess.run, []

    def fails_first(command, **options):
        given.append(command)
        if len(given) == 1:
            raise subprocess.CalledProcessError(1, command, stderr=b"trouble")
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", fails_first)
    assert drawing(small_graph()).svg().startswith("<svg")
    assert "-Gclusterrank=none" not in given[0]
    assert "-Gclusterrank=none" in given[1]


def test_str_and_repr():
    picture = drawing(small_graph())
    assert str(picture) == to_text_tree(small_graph())
    assert repr(picture) == "<drawing of 9 nodes>"
