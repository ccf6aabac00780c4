"""A trace: the stages of one program, as text, as a page to step through, in a notebook."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from ..errors import OptionError
from .difference import MOST_DRAWN
from .page import render_page, visible
from .stages import Stage

__all__ = ["Trace"]

_LONGEST_LINE = 160
_MOST_LINES = 200


@dataclass(frozen=True)
class Trace:
    """What became of a program, from what was written to the code that runs.

    ``str`` is a text for terminals: the first graph whole, then what each stage changed.
    """

    title: str
    stages: tuple[Stage, ...]
    program: object = field(repr=False)
    """The compiled program, to be called."""

    def html(self, *, limit: int = MOST_DRAWN) -> str:
        """Give the page: one text, that asks nobody for anything when it is opened.

        Pictures hold at most *limit* nodes; of large graphs they show what changed and what is
        next to it. Where ``dot`` is missing there are none. Long texts are cut, which is said.
        """
        return render_page(self.title, self.stages, limit)

    def save(self, path: str | os.PathLike[str], *, limit: int = MOST_DRAWN) -> Path:
        """Write the page, or with a name in ``.txt`` the text, and give the path.

        Raises OptionError for a name that ends otherwise than in ``.html`` or ``.txt``.
        """
        target = Path(path)
        suffix = target.suffix.lower()
        if suffix not in (".html", ".txt"):
            raise OptionError(f"{target.name!r}: the name of a trace ends in .html or .txt.")
        content = str(self) + "\n" if suffix == ".txt" else self.html(limit=limit)
        target.write_text(content, encoding="utf-8")
        return target

    def __str__(self) -> str:
        return "\n".join(self._text())

    def _text(self) -> Iterator[str]:
        yield visible(self.title)
        for number, stage in enumerate(self.stages, 1):
            yield ""
            yield f"{number}. {visible(stage.name)}: {stage.summary()}"
            if not stage.has_changed:
                continue
            yield f"   {visible(stage.said)}"
            yield from self._lines(number - 1, stage)

    def _lines(self, index: int, stage: Stage) -> Iterator[str]:
        if stage.unit == "lines":
            yield f"   (in .stages[{index}].text)"
            return
        shown = stage.text_lines(only_changes=stage.before is not None and stage.unit == "nodes")
        for count, line in enumerate(shown):
            if count == _MOST_LINES:
                yield f"   … the rest is in .stages[{index}].text"
                return
            line = visible(line)
            cut = line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"
            yield f"   {cut}".rstrip()

    def _repr_html_(self) -> str | None:
        return self._repr_mimebundle_().get("text/html")

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        text = str(self)
        try:
            # In a frame of its own the page's style and script touch nothing else.
            page = escape(self.html(), quote=True)
            frame = (
                f'<iframe srcdoc="{page}" sandbox="allow-scripts" title="{escape(self.title)}"'
                ' style="width: 100%; height: 44rem; border: 1px solid #8885"></iframe>'
            )
            return {"text/html": frame, "text/plain": text}
        except Exception as error:
            # A notebook shows what there is; an error here would hide the cell's result.
            return {"text/plain": f"{text}\n\n(no page: {error})"}
