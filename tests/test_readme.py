"""Every Python block in the README and the docs runs; in sessions, what is printed is checked."""

import doctest
import re
import shutil
from pathlib import Path

import pytest

import lazygrad

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
TEXT = re.compile(r"<text[^>]*>(.*?)</text>")
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def blocks(text):
    """The Python blocks of a page, each with the number of the line above it."""
    for found in BLOCK.finditer(text):
        yield found[1], text.count("\n", 0, found.start(1))


def run(page, text):
    """Run the blocks of a page one after the other, in one namespace."""
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    names = {}
    for block, line in blocks(text):
        if ">>>" in block:
            session = doctest.DocTestParser().get_doctest(block, names, page, page, line)
            runner.run(session, clear_globs=False)
            names.update(session.globs)
        else:
            exec(compile("\n" * line + block, page, "exec"), names)
    return runner.summarize(verbose=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = run(page.name, page.read_text(encoding="utf-8"))
    assert results.failed == 0


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs graphviz's program dot")
def test_the_picture_of_the_readme_is_what_its_example_draws(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("README.md", (ROOT / "README.md").read_text(encoding="utf-8"))
    # Places differ between versions of dot.
    drawn, shown = (
        sorted(TEXT.findall(picture.read_text(encoding="utf-8")))
        for picture in (tmp_path / "gradient.svg", ROOT / "docs/static/gradient.svg")
    )
    assert drawn == shown, f"copy {tmp_path / 'gradient.svg'} to docs/static"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_says_the_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "\npip install . && python -m lazygrad demo\n" in text
    assert '\npip install -e ".[test]" && python -m pytest\n' in text


def test_the_example_of_the_package_runs():
    results = doctest.testmod(lazygrad, optionflags=FLAGS)
    assert results.attempted > 0
    assert results.failed == 0


def test_a_public_name_is_listed_once():
    assert sorted(lazygrad.__all__) == sorted(set(lazygrad.__all__))


def test_every_floor_of_the_package_is_in_the_design_page():
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    for path in (ROOT / "lazygrad").iterdir():
        if path.suffix == ".py" or (path / "__init__.py").is_file():
            shown = path.name if path.suffix == ".py" else path.name + "/"
            assert f"`{shown}`" in text, f"docs/design.md doesn't say on which floor {shown} is"
