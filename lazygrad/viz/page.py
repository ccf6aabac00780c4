"""One page of HTML to step through the stages of a program, with all that it needs inside.

Every word of the user's is cut, made visible and escaped; script, style and pictures stand in the
page itself, and its policy lets nothing else run or be loaded.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from ..errors import LazygradError
from .changes import KEPT, Line
from .difference import DifferencePicture
from .stages import MARKS, Stage

__all__ = ["render_page", "visible"]

# So many bytes of text a stage, of source code more, and of pictures together: below 5 MB in all.
_STAGE_BYTES, _SOURCE_BYTES, _PICTURE_BYTES = 100_000, 400_000, 1_500_000
_LONGEST_LINE = 240
# Unchanged lines beside changed ones, where not all can be shown.
_BESIDE = 3
_TIMEOUT = 20.0


def visible(text: str, limit: int | None = None) -> str:
    r"""Show what can't be seen as a sign for it, and cut the middle out of what is too long.

    >>> visible("a\x00b\u202ec"), visible("x" * 100, 9)
    ('a\ufffdb\ufffdc', 'xxxx…xxxx')
    """
    if limit is not None and len(text) > limit:
        text = f"{text[: limit // 2]}…{text[len(text) - (limit - limit // 2 - 1) :]}"
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def render_page(title: str, stages: Sequence[Stage], limit: int) -> str:
    """Write the page of some stages, with pictures of at most *limit* nodes."""
    script = _part("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
        f" script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    pictures = _Pictures(limit)
    return Template(_part("page.html")).substitute(
        policy=policy,
        title=_shown(title),
        summary=escape(_summary(stages)),
        style=_part("page.css"),
        script=script,
        links="\n".join(_link(number, stage) for number, stage in enumerate(stages, 1)),
        stages="\n".join(
            _section(number, stage, pictures) for number, stage in enumerate(stages, 1)
        ),
    )


@cache
def _part(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _shown(text: str) -> str:
    return escape(visible(text, _LONGEST_LINE))


def _summary(stages: Sequence[Stage]) -> str:
    """Say how much there is at the first stage of each kind, and at the last."""
    found: dict[str, list[int]] = {}
    for stage in stages:
        found.setdefault(stage.unit, []).append(stage.after)
    nodes, steps = found.get("nodes", []), found.get("steps", [])
    parts = [f"{max(nodes):,} nodes"] if nodes else []
    parts += [f"{nodes[-1]:,} after all passes"] if nodes else []
    parts += [f"{steps[0]:,} steps"] if steps else []
    parts += [f"{steps[-1]:,} with kernels"] if len(steps) > 1 else []
    return " → ".join(parts)


def _link(number: int, stage: Stage) -> str:
    idle = "" if stage.has_changed else ' class="idle"'
    if stage.before is None:
        count = f"{stage.after:,}"
    else:
        less = stage.after - stage.before
        count = f"{less:+,}".replace("-", "\N{MINUS SIGN}") if less else "·"
        if not less and stage.has_changed:
            count = "~"
    return (
        f'<li><a href="#stage-{number}"{idle}><span>{_shown(stage.name)}<span class="hits"></span>'
        f'</span><span class="count">{count}</span></a></li>'
    )


def _section(number: int, stage: Stage, pictures: _Pictures) -> str:
    drawn, note = pictures.picture(stage)
    name = _shown(stage.name)
    parts = [
        f'<section id="stage-{number}" data-name="{name}" aria-labelledby="title-{number}">',
        f'<h2 id="title-{number}" tabindex="-1"><span class="number">{number}</span>{name}</h2>',
        f'<p class="said">{escape(visible(stage.said))}</p>',
        _chips(stage),
        note and f'<p class="note">{escape(note)}</p>',
        stage.chart and _chart(stage),
        '<div class="both drawn">' if drawn else '<div class="both">',
    ]
    if stage.lines:
        parts += [
            f'<div class="lines" role="region" tabindex="0" aria-label="{name}, lines">',
            *_rows(stage),
            "</div>",
        ]
    parts += [drawn, "</div>", "</section>"]
    return "\n".join(part for part in parts if part)


def _chips(stage: Stage) -> str:
    if stage.before is None:
        texts = [("", f"{stage.after:,} {stage.unit}")]
    else:
        texts = [("", f"{stage.before:,} → {stage.after:,} {stage.unit}")]
        if not stage.has_changed:
            texts.append(("", "nothing to do here"))
    texts += [
        (change, f"{_mark(change)} {count:,} {change}")
        for change, count in stage.counts.items()
        if count
    ]
    if any(line.backward for line in stage.lines):
        texts.append(("backward", "∂ part of a derivative"))
    return f'<ul class="chips">{"".join(_chip(*each) for each in texts)}</ul>'


def _chip(kind: str, text: str) -> str:
    return f'<li class="{kind}">{escape(text)}</li>' if kind else f"<li>{escape(text)}</li>"


def _mark(change: str) -> str:
    return MARKS.get(change, "~").replace("-", "\N{MINUS SIGN}").strip()


def _chart(stage: Stage) -> str:
    keys = "".join(
        f'<span class="swatch {kind}"></span>{kind}'
        for kind in ("forward", "backward", "update")
        if f'class="slot {kind}"' in stage.chart
    )
    return (
        '<figure class="chart"><figcaption><b>Slots over time.</b> A rectangle is a value: where'
        " it lies, from the step that makes it to the last that reads it. Below, what is there at"
        f' once is added up.<span class="keys">{keys}</span></figcaption>{stage.chart}</figure>'
    )


def _rows(stage: Stage) -> Iterator[str]:
    """Give the lines as rows, cut where there are too many; changed ones go first."""
    left = _SOURCE_BYTES if stage.unit == "lines" else _STAGE_BYTES
    rows = [_row(line) for line in stage.lines]
    if sum(map(len, rows)) > left:
        near = {
            other
            for i, line in enumerate(stage.lines)
            if line.change != KEPT
            for other in range(i - _BESIDE, i + _BESIDE + 1)
        }
        order = sorted(range(len(rows)), key=lambda i: (i not in near, i))
        kept: set[int] = set()
        for i in order:
            left -= len(rows[i])
            if left < 0:
                break
            kept.add(i)
        yield from _gathered(rows, kept)
        return
    yield from rows


def _gathered(rows: Sequence[str], kept: set[int]) -> Iterator[str]:
    hidden = 0
    for i, row in enumerate(rows):
        if i not in kept:
            hidden += 1
            continue
        if hidden:
            yield _cut(hidden)
            hidden = 0
        yield row
    if hidden:
        yield _cut(hidden)


def _cut(count: int) -> str:
    return f'<div class="row kept head"><span class="mark">⋮</span>{count:,} lines left out</div>'


def _row(line: Line) -> str:
    before, after = line.before.split("\n"), line.text.split("\n")
    texts = [escape(visible(text, _LONGEST_LINE)) for text in after]
    old = [f"<del>{escape(visible(t, _LONGEST_LINE))}</del>" for t in before if line.before]
    if len(before) == len(after) == 1 and old:
        shown = (visible(text, _LONGEST_LINE) for text in (line.before, line.text))
        old[0], texts[0] = _differing(*shown)
    number = "" if line.number is None else f' data-n="{line.number}"'
    rows = [_one_row("changed", "\N{MINUS SIGN}", text) for text in old]
    for place, text in enumerate(texts):
        end = ""
        if not place and line.backward:
            end += '<span class="d" title="part of a derivative">∂</span>'
        if not place and line.place:
            end += f'<span class="place">{_shown(line.place)}</span>'
        is_head = text.endswith(":") or text.startswith("return")
        kind = f"{line.change} head" if is_head else line.change
        rows.append(_one_row(kind, _mark(line.change), text, end, number))
    return "".join(rows)


def _one_row(kind: str, mark: str, text: str, end: str = "", number: str = "") -> str:
    return (
        f'<div class="row {kind}"{number}><span class="mark">{mark}</span>'
        f'<span class="text">{text}</span>{end}</div>'
    )


def _differing(old: str, new: str) -> tuple[str, str]:
    """Mark the words in which two lines differ."""
    before, after = (re.findall(r"\w+|\W", text) for text in (old, new))
    was, now = "", ""
    for tag, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        gone, come = escape("".join(before[i:j])), escape("".join(after[k:m]))
        was += gone if tag == "equal" or not gone else f"<del>{gone}</del>"
        now += come if tag == "equal" or not come else f"<ins>{come}</ins>"
    return was, now


class _Pictures:
    """Renders the pictures of stages, as long as there is room for them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.left = _PICTURE_BYTES
        self.trouble = ""

    def picture(self, stage: Stage) -> tuple[str, str]:
        """Give a stage's picture as an element, and what is to be said instead, or of it."""
        if not stage.has_changed or stage.unit != "nodes":
            return "", ""
        source = stage.picture(self.limit)
        if not source:
            return "", f"More than {self.limit:,} nodes to draw: there is no picture."
        if self.trouble:
            return "", self.trouble
        try:
            drawn = _without_ids(DifferencePicture(source, _TIMEOUT).svg())
        except LazygradError as error:
            self.trouble = f"There is no picture: {error}"
            return "", self.trouble
        if len(drawn) > self.left:
            return "", "The page is full: there is no picture."
        self.left -= len(drawn)
        label = f"The graph after {stage.name}"
        figure = (
            '<figure class="graph"><button type="button" class="size" aria-pressed="false" hidden>'
            "Full size</button>"
            + drawn.replace("<svg ", f'<svg role="img" aria-label="{_shown(label)}" ', 1)
            + "</figure>"
        )
        is_part = source.count("[label=") < stage.after / 2
        return figure, "The picture shows what changed, and what is next to it." if is_part else ""


def _without_ids(svg: str) -> str:
    """Drop graphviz's own ids, which would be there once a picture, its titles and comments."""
    svg = re.sub(r"<title>.*?</title>|<!--.*?-->", "", svg, flags=re.DOTALL)
    return re.sub(r' id="[^"]*"', "", svg)
