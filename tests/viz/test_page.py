"""The page of a trace: safe for any name, of bounded size, and working in a browser."""

import base64
import hashlib
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lazygrad as lg
from lazygrad import nn, optim
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain
from lazygrad.errors import OptionError
from lazygrad.ir.printing import write_name
from lazygrad.viz.page import visible
from lazygrad.viz.summary import clean
from tests.viz.browser import Browser, needs_browser

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz's dot is missing")
NASTY = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'`&<>",
    "a\nb\x00c\x1b[31m",
    "\u202egnp.exe",
    "]]>--><!--",
    "${title} $title {x}",
    "\\n0 -> n1\\",
    "n" * 10_000,
    "\ud800",
    "é日本🎉",
]


class Page(HTMLParser):
    """The elements of a page with their attributes, and its texts outside style and script."""

    EMPTY = frozenset({"meta", "input"})

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.inside = {"style": "", "script": ""}
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in self.inside:
            self.inside[self.open[-1]] += data
        else:
            self.texts.append(data)

    def skeleton(self):
        return [(tag, tuple(attrs)) for tag, attrs in self.elements]


def trace_named(name, program="step"):
    x = lg.placeholder(("batch", 2), name=name)
    w = lg.Value([1.0, 2.0], name=name + "w")
    with lg.scope(name):
        loss = lg.sum(lg.tanh(x @ w) * 1.0)
    updates = {w: w - 0.5 * lg.grad(loss, w)}
    return lg.trace_compile(
        loss, updates=updates, name=program, lengths={"batch": 4}, backend="numpy"
    )


def backend_there():
    """C where there is a compiler, so that pages have all stages."""
    try:
        find_toolchain()
    except CompilerError:
        return "numpy"
    return "c"


def moons():
    x = lg.placeholder(("batch", 2), name="x")
    t = lg.placeholder(("batch",), name="t")
    rng = np.random.default_rng(0)
    w, v = lg.Value(rng.normal(size=(2, 16)), name="w"), lg.Value(rng.normal(size=16), name="v")
    score = lg.relu(x @ w) @ v
    loss = lg.mean(lg.softplus(score) - t * score)
    updates = {p: p - 0.5 * g for p, g in zip([w, v], lg.grad(loss, [w, v]), strict=True)}
    return lg.trace_compile(
        loss, updates=updates, name="moons", lengths={"batch": 32}, backend=backend_there()
    )


# What stands in it.


def test_the_page_holds_all_it_needs_and_lets_nothing_else_in():
    text = moons().html()
    page = Page(text)
    policy = next(a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a)
    digest = base64.b64encode(hashlib.sha256(page.inside["script"].encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        f"script-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == tags.count("style") == 1
    assert not {"link", "iframe", "object", "embed", "img", "form", "base", "image", "use"} & set(
        tags
    )
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "src" not in attributes
        href = attributes.get("href", "#")
        assert href.startswith("#stage-") or href == "#"
    assert "url(" not in page.inside["style"]
    assert "@import" not in page.inside["style"]
    assert "$" not in re.sub(r"\$\{|\$/", "", page.inside["script"])


def test_every_element_has_an_id_of_its_own_and_what_is_named_is_there():
    page = Page(moons().html())
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for key in ("aria-labelledby", "for"):
            assert attributes.get(key, ids[0]) in ids
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids


def test_stages_are_sections_and_links():
    trace = moons()
    page = Page(trace.html())
    names = [a["data-name"] for tag, a in page.elements if tag == "section"]
    assert names == [stage.name for stage in trace.stages]
    links = [a["href"] for tag, a in page.elements if tag == "a"]
    assert links == [f"#stage-{number}" for number in range(1, len(names) + 1)]


@needs_dot
def test_pictures_and_lines_know_each_other():
    text = moons().html(limit=100)
    for section in re.findall(r"<section.*?</section>", text, re.DOTALL):
        drawn = set(re.findall(r'class="node [^"]*?\bn(\d+)\b', section))
        lines = set(re.findall(r'data-n="(\d+)"', section))
        if drawn:
            assert drawn == lines


def test_what_changed_is_marked():
    text = trace_named("x").html()
    (section,) = re.findall(
        r'<section id="stage-\d+" data-name="merge".*?</section>', text, re.DOTALL
    )
    assert re.search(r'class="row changed"[^>]*>.*?<del>', section)
    assert "<ins>" in section


@pytest.mark.parametrize("name", NASTY, ids=range(len(NASTY)))
def test_a_nasty_name_changes_nothing_but_texts(name):
    page = Page(trace_named(name, name).html(limit=0))
    assert page.skeleton() == Page(trace_named("n" * 300, "n" * 300).html(limit=0)).skeleton()
    assert page.texts.count(visible(f"{name}, compiled", 240)) == 2
    assert all(sign.isprintable() or sign == "\n" for sign in "".join(page.texts))


@settings(max_examples=40)
@given(st.text(min_size=1, max_size=60))
def test_any_name_is_escaped(name):
    text = trace_named(name, name).html(limit=0)
    page = Page(text)
    assert page.skeleton() == Page(trace_named("n" * 300, "n").html(limit=0)).skeleton()
    text.encode("utf-8")


@needs_dot
@pytest.mark.parametrize("name", NASTY, ids=range(len(NASTY)))
def test_pictures_hold_nasty_names(name):
    text = trace_named(name).html(limit=50)
    page = Page(text)
    assert [tag for tag, _ in page.elements].count("svg") > 3
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert clean(write_name(name), 32) in [text.strip() for text in page.texts]


# What it leaves out.


def test_without_dot_the_page_says_so(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda program: None)
    text = trace_named("x").html()
    assert "There is no picture: graphviz&#x27;s program `dot` is not installed" in text
    assert '<svg class="memory"' in text
    assert 'class="row changed"' in text


def test_beyond_the_limit_there_is_no_picture():
    text = trace_named("x").html(limit=3)
    assert "More than 3 nodes to draw: there is no picture." in text
    assert text.count("<svg") == 1


@pytest.mark.parametrize("sign", ["s", "&"])
def test_a_large_program_gives_a_page_of_bounded_size(sign):
    w = node = lg.Value(np.ones(8), name=sign * 400)
    for i in range(1500):
        node = lg.sin(node) * (1.0 + i) + w
    loss = node.sum()
    trace = lg.trace_compile(loss, updates={w: w - lg.grad(loss, w)}, backend="numpy")
    text = trace.html()
    assert len(text.encode()) < 5_000_000
    assert "lines left out" in text
    Page(text)
    assert max(map(len, str(trace).splitlines())) < 200


def test_what_changed_is_kept_where_lines_are_left_out():
    node = lg.placeholder((3,), name="x")
    for _ in range(3000):
        node = lg.sin(node)
    node = lg.cos(node * 1.0)
    for _ in range(3000):
        node = lg.sin(node)
    trace = lg.trace_compile(node, backend="numpy")
    (section,) = re.findall(
        r'<section id="stage-\d+" data-name="rewrite exactly".*?</section>', trace.html(), re.DOTALL
    )
    assert section.count("lines left out") == 2
    assert '<div class="row removed"' in section


# Files and notebooks.


def test_save_writes_the_page_or_the_text(tmp_path):
    trace = trace_named("x")
    assert trace.save(tmp_path / "a.html").read_text(encoding="utf-8") == trace.html()
    assert trace.save(tmp_path / "a.txt").read_text(encoding="utf-8") == f"{trace}\n"
    with pytest.raises(OptionError, match=r"'a\.svg': the name of a trace ends in \.html or \.txt"):
        trace.save(tmp_path / "a.svg")


def test_a_notebook_shows_the_page_in_a_frame():
    trace = trace_named("x")
    bundle = trace._repr_mimebundle_()
    assert bundle["text/plain"] == str(trace)
    frame = Page(bundle["text/html"])
    ((tag, attributes),) = frame.elements
    assert (tag, attributes["sandbox"]) == ("iframe", "allow-scripts")
    assert attributes["srcdoc"] == trace.html()
    assert trace._repr_html_() == bundle["text/html"]


def test_a_notebook_never_gets_an_error(monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("broken")

    monkeypatch.setattr("lazygrad.viz.trace.render_page", broken)
    bundle = trace_named("x")._repr_mimebundle_()
    assert list(bundle) == ["text/plain"]
    assert bundle["text/plain"].endswith("(no page: broken)")


@needs_dot
def test_dot_that_fails_leaves_the_page_without_pictures(monkeypatch):
    def failing(command, **options):
        raise subprocess.TimeoutExpired(command, 1.0)

    monkeypatch.setattr(subprocess, "run", failing)
    text = trace_named("x").html()
    assert "There is no picture: `dot` took longer" in text


def test_the_parts_of_the_page_are_installed_with_it():
    pyproject = Path(__file__).parents[2].joinpath("pyproject.toml").read_text(encoding="utf-8")
    for name in ("html", "css", "js"):
        assert f'"viz/*.{name}"' in pyproject


# In a browser.


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chromium")
    with Browser(folder) as browser:
        yield browser


@pytest.fixture
def opened(browser, tmp_path):
    """Open the page of a trace, and see afterwards that it complained of nothing."""
    files = []

    def open_page(trace):
        path = trace.save(tmp_path / f"{len(files)}.html")
        files.append(path)
        browser.open(path)
        return browser

    browser.complaints.clear()
    browser.asked.clear()
    browser.look()
    yield open_page
    assert browser.complaints == []
    assert browser.asked == [path.as_uri() for path in files]


SHOWN = "sections.filter(s => s.getClientRects().length).map(s => s.dataset.name)"


def shown(browser):
    (name,) = browser.ask(SHOWN)
    return name


@needs_browser
def test_one_steps_through_the_stages(opened):
    trace = moons()
    names = [stage.name for stage in trace.stages]
    browser = opened(trace)
    assert shown(browser) == names[0]
    for name in names[1:]:
        browser.press("ArrowRight")
        assert shown(browser) == name
        assert browser.ask("document.querySelector('nav [aria-current]').innerText").startswith(
            name
        )
    browser.press("ArrowRight")
    assert shown(browser) == names[-1]
    browser.press("Home")
    assert shown(browser) == names[0]
    browser.ask("byId('next').click()")
    assert shown(browser) == names[1]
    browser.ask("byId('back').click()")
    assert shown(browser) == names[0]
    assert browser.ask("byId('back').disabled")
    browser.ask("links[4].click()")
    assert shown(browser) == names[4]
    assert browser.ask("document.activeElement.tagName") == "H2"
    said = browser.ask("byId('said').textContent")
    assert said == f"Stage 5 of {len(names)}: {names[4]}"


@needs_browser
def test_one_finds_lines(opened):
    browser = opened(moons())
    browser.press("/")
    assert browser.ask("document.activeElement.id") == "find"
    for sign in "relu":
        browser.press(sign)
    assert browser.ask("byId('find').value") == "relu"
    assert browser.ask("document.querySelectorAll('section:not([hidden]) .found').length") == 1
    assert browser.ask("links[0].innerText").splitlines()[0] == "written 1 found"
    # In the field, arrows move the cursor.
    browser.press("ArrowRight")
    assert shown(browser) == "written"
    browser.press("Escape")
    browser.press("ArrowRight")
    assert shown(browser) == "updates"


@needs_browser
def test_one_sees_only_what_changed(opened):
    browser = opened(moons())
    browser.ask("show(1, false)")
    seen = "[...sections[1].querySelectorAll('.row')].filter(r => r.getClientRects().length).length"
    every = browser.ask(seen)
    browser.ask("byId('only').click()")
    assert 0 < browser.ask(seen) < every


@needs_browser
@needs_dot
def test_pointing_at_a_line_lights_up_its_node(opened):
    browser = opened(moons())
    event = "new Event('mouseover', {bubbles: true})"
    browser.ask(f"sections[0].querySelector('[data-n]').dispatchEvent({event})")
    assert browser.ask("sections[0].querySelectorAll('.node.lit').length") == 1
    assert browser.ask("sections[0].querySelectorAll('.row.lit').length") == 1
    browser.ask("sections[0].querySelector('.size').click()")
    assert browser.ask("sections[0].querySelector('figure').className") == "graph full"


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 420])
def test_the_page_is_seen_whole_in_light_and_dark(opened, tmp_path, scheme, width):
    browser = opened(moons())
    browser.look(width, 900, scheme)
    # Nothing sticks out sideways.
    assert browser.ask("document.documentElement.scrollWidth") <= width
    ground = browser.ask("getComputedStyle(document.body).backgroundColor")
    bright = sum(map(int, re.findall(r"\d+", ground)[:3])) / 3
    assert (bright > 128) is (scheme == "light")
    picture = tmp_path / "page.png"
    browser.screenshot(picture)
    pixels = image(picture)
    assert pixels.shape[:2] == (900, width)
    # It isn't empty: text and boxes differ from the ground.
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 50


def image(path):
    import matplotlib.image

    return matplotlib.image.imread(path)


@needs_browser
def test_nothing_runs_that_a_name_asks_for(opened):
    trace = trace_named(NASTY[0], NASTY[0])
    browser = opened(trace)
    assert browser.ask("document.scripts.length") == 1
    assert browser.ask("document.querySelector('h1').textContent") == f"{NASTY[0]}, compiled"
    assert browser.ask("document.title") == f"{NASTY[0]}, compiled"


@needs_browser
def test_text_stands_out_from_its_ground(opened):
    """As the guidelines for accessible pages ask: 4.5 to 1 at least."""
    browser = opened(moons())
    for scheme in ("light", "dark"):
        browser.look(scheme=scheme)
        names = ("ink", "soft", "added", "removed", "changed", "backward", "accent")
        grounds = ("card", "page", "added-fill", "removed-fill", "changed-fill", "chosen")
        value = "getComputedStyle(document.documentElement).getPropertyValue('--{}').trim()"
        colours = {n: browser.ask(value.format(n)) for n in (*names, *grounds)}
        pairs = [(n, g) for n in names for g in ("card", "page")]
        pairs += [(n, f"{n}-fill") for n in ("added", "removed", "changed")]
        pairs += [(n, g) for n in ("ink", "soft", "backward") for g in grounds]
        for name, ground in pairs:
            assert contrast(colours[name], colours[ground]) >= 4.5, (scheme, name, ground)


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@needs_browser
@pytest.mark.parametrize("what", ["mlp", "attention"])
def test_pages_of_models(opened, what):
    if what == "mlp":
        x = lg.placeholder(("batch", 64), dtype="float32", name="x")
        t = lg.placeholder(("batch",), dtype="int64", name="t")
        model = nn.Sequential(nn.Linear(64, 16, seed=0), nn.ReLU(), nn.Linear(16, 10, seed=1))
        loss, lengths = nn.cross_entropy(model(x), t), {"batch": 8}
    else:
        tokens = lg.placeholder((2, 5, 8), dtype="float32", name="tokens")
        loss, lengths = lg.mean(nn.MultiHeadAttention(8, 2, seed=0)(tokens) ** 2), None
    updates = optim.Adam(1e-3).minimize(loss)
    trace = lg.trace_compile(loss, updates=updates, lengths=lengths, backend=backend_there())
    browser = opened(trace)
    for _ in trace.stages:
        browser.press("ArrowRight")
    assert shown(browser) == trace.stages[-1].name
    assert unescape(trace.html()).count("<section") == len(trace.stages)
