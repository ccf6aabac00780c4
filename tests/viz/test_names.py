"""Whatever a name is, it is shown, and nothing of it is taken for a command."""

import re
import shutil
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings, strategies as st

import lazygrad as lg
from lazygrad import nn
from lazygrad.nn.layer import Layer
from lazygrad.viz import picture_of_layers
from lazygrad.viz.drawing import Drawing
from lazygrad.viz.summary import clean

pytestmark = pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz's dot is missing")

NASTY = [
    "<lambda>",
    "<b>bold</b>",
    "a:b",
    "x\\",
    "\\N\\G\\l\\r",
    "quote\"s '",
    "new\nline\x00\x1b[31m",
    "&lt;&amp;&#65;&",
    "{a|b}<p>",
    "\ud800\u202e\ufeff",
    "</TD></TABLE>>",
    "</text><script>alert(1)</script>",
    "]]> --> <!-- <![CDATA[",
    "%s {0} $x `y`",
    "n0 -> n1; n0 [URL=x]",
    "漢字 é 🙂",
    "x" * 10_000,
    " ",
]
NAMES = st.one_of(
    st.text(min_size=1, max_size=40),
    st.text("<>&;\\|{}[]\"'`:#/-!NGlr \n\t\x00", min_size=1, max_size=20),
    st.sampled_from(NASTY),
)
SHOWN = {"graph", "svg", "g", "title", "polygon", "text", "path", "ellipse", "polyline"}


def named(name):
    """A model, its graph and a program in which everything that can be has this name."""
    x = lg.placeholder((2, 3), name=name)
    w = lg.Value([1.0, 2.0, 3.0], name=name)
    with lg.scope(f"{name}: {name}"):
        y = lg.exp(x @ w)
        y.name = name
        z = lg.tanh(y)
    return lg.sum(z), x, w


def every_picture(name):
    loss, _, w = named(name)
    yield lg.draw(loss)
    yield lg.draw(loss, gradients=True, depth=0)
    yield lg.draw(loss, limit=2)
    yield lg.draw_dot(loss)
    yield lg.draw_graph(loss)
    program = lg.compile({name: loss}, updates={w: w * 2.0}, name=name, backend="numpy")
    yield lg.draw(program)
    yield lg.draw(program, schedule=True)
    yield lg.draw(program, schedule=True, limit=2)
    with lg.CompGraph() as dot:
        named(name)
    yield dot
    layer = Layer(name, name, ((name, name, 3),) * 8, (Layer(name, name, (), ()),))
    yield Drawing(lambda: picture_of_layers(layer), lambda: "", "layers")


def read(drawing):
    """Render, and give the texts; nothing in the picture may act or point outside."""
    svg = drawing.svg()
    texts = []
    for element in ET.fromstring(svg).iter():
        tag = element.tag.rpartition("}")[2]
        assert tag in SHOWN
        for key, value in element.attrib.items():
            assert not re.search(r"href|^on|style|src", key), key
            assert "url(" not in value
            assert "://" not in value
        if tag == "text":
            texts.append("".join(element.itertext()).replace("\xa0", " "))
        if tag == "title":
            # Ids and what graphviz calls its frames, nothing of the user's.
            assert re.fullmatch(
                r"lazygrad|cluster_\d+|[nobt]\d+(->[nobt]\d+)?", "".join(element.itertext())
            )
    assert "<!ENTITY" not in svg
    return texts


def words(text):
    return " ".join(text.split())


@pytest.mark.parametrize("name", NASTY, ids=range(len(NASTY)))
def test_every_picture_shows_every_name(name):
    for drawing in every_picture(name):
        shown = [words(text) for text in read(drawing)]
        assert shown
    loss, _, _ = named(name)
    shown = [words(text) for text in read(lg.draw(loss))]
    assert shown.count(clean(name)) == 3, "placeholder, variable, named node"


@settings(max_examples=25)
@given(name=NAMES)
def test_names_are_shown_letter_by_letter(name):
    loss, _, _ = named(name)
    shown = [words(text) for text in read(lg.draw(loss))]
    assert shown.count(words(clean(name))) >= 3


@settings(max_examples=6)
@given(name=NAMES)
def test_no_name_breaks_a_picture(name):
    for drawing in every_picture(name):
        assert read(drawing)


@settings(max_examples=200)
@given(name=NAMES)
def test_ids_are_numbers_whatever_the_names(name):
    loss, _, _ = named(name)
    source = lg.draw(loss, gradients=True).source
    without_strings = re.sub(r'"(?:\\.|[^"\\])*"', '""', source)
    ids = re.findall(r"^\t+(\w+)(?: \[| -> (\w+))", without_strings, re.MULTILINE)
    found = {one for pair in ids for one in pair if one}
    assert all(re.fullmatch(r"n\d+|graph|node|edge", one) for one in found)


@settings(max_examples=200)
@given(name=NAMES)
def test_a_text_is_one_short_printable_line(name):
    text = clean(name)
    assert 0 < len(text) <= 48
    assert text.isprintable()


def test_a_module_with_an_odd_class_name():
    kind = type("Od<d>\\", (nn.Sequential,), {})
    model = kind(nn.Linear(2, 2, seed=0))
    assert any("Od<d>\\" in text for text in read(lg.draw(model)))
    loss = model(lg.placeholder((1, 2), dtype="float32", name="x"))
    assert any("Od<d>\\" in text for text in read(lg.draw(loss)))
