"""A picture that shows itself in a notebook and saves itself to a file.

``dot``, graphviz's program, renders it; without that program there is still its source and a
text. Knows nothing of what is drawn.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OperationError, OptionError

if TYPE_CHECKING:
    import graphviz

__all__ = ["FORMATS", "Drawing", "checked_format", "notebook_bundle"]

FORMATS = ("svg", "png", "pdf")
"""What ``dot`` is asked to render."""

_TEXT_FORMATS = ("dot", "gv")
_TIMEOUT = 60.0
# A layout without frames, with straight lines, that is found quickly.
_ROUGH = (
    "-Gclusterrank=none",
    "-Gsplines=line",
    "-Gnslimit=1",
    "-Gnslimit1=1",
    "-Gmclimit=0.1",
)
# A cell of a notebook that shows a node should not wait for its picture for long.
_PATIENCE = 20.0
_MOST_LINES = 60


def checked_format(format: str) -> str:
    """Refuse what is no format of a picture."""
    if format not in FORMATS:
        raise OptionError(f"format must be one of {', '.join(FORMATS)}, got {format!r}.")
    return format


class Drawing:
    """A picture: its source, its text, its files.

    Nothing is drawn before it is asked for.

    Parameters
    ----------
    make
        Gives the picture as a graphviz object.
    text
        Gives what stands for it where nothing can be rendered, and in ``print``.
    what
        What is drawn, in a few words.
    format
        ``"svg"``, ``"png"`` or ``"pdf"``: what a notebook shows, and ``save`` writes to a path
        without a suffix.
    timeout
        How many seconds ``dot`` may take.

    Examples
    --------
    >>> import graphviz
    >>> picture = Drawing(lambda: graphviz.Digraph("empty"), lambda: "nothing", "nothing")
    >>> print(picture), print(picture.source)
    nothing
    digraph empty {
    }
    <BLANKLINE>
    (None, None)
    """

    def __init__(
        self,
        make: Callable[[], graphviz.Digraph],
        text: Callable[[], str],
        what: str,
        *,
        format: str = "svg",
        timeout: float = _TIMEOUT,
    ) -> None:
        self._make = make
        self._text = text
        self._what = what
        self.format = checked_format(format)
        self.timeout = timeout

    @cached_property
    def digraph(self) -> graphviz.Digraph:
        """The picture as a graphviz object."""
        return self._make()

    def __getattr__(self, name: str) -> Any:
        """Do what else a graphviz object does: ``render``, ``view``, ``pipe``, ``body``."""
        if name.startswith("_") or name == "digraph":
            raise AttributeError(f"a drawing has no attribute {name!r}")
        return getattr(self.digraph, name)

    @property
    def source(self) -> str:
        """The picture in graphviz's language."""
        return str(self.digraph.source)

    def svg(self) -> str:
        """Render the picture; raises OperationError where ``dot`` is missing or fails."""
        text = self._render("svg", self.timeout).decode("utf-8")
        # What precedes the element is a declaration that no place inside a page may have.
        return text[text.index("<svg") :]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture as .svg, .png, .pdf, .dot or .gv, and give the path written.

        Where ``dot`` is missing, a .dot file is written beside it instead, which one line on
        standard error says.
        """
        target = Path(path)
        if not target.suffix:
            target = target.with_name(f"{target.name}.{self.format}")
        suffix = target.suffix.lower()[1:]
        if suffix not in (*_TEXT_FORMATS, *FORMATS):
            known = ", ".join(f".{name}" for name in sorted((*_TEXT_FORMATS, *FORMATS)))
            raise OptionError(f"{target.name!r}: the name of a picture ends in one of {known}.")
        if suffix in FORMATS and shutil.which("dot") is None:
            written = target.with_suffix(".dot")
            print(
                f"graphviz's program `dot` is not installed: wrote {written} instead of {target}",
                file=sys.stderr,
            )
            target, suffix = written, "dot"
        if suffix in _TEXT_FORMATS:
            target.write_text(self.source, encoding="utf-8")
        elif suffix == "svg":
            target.write_text(self.svg(), encoding="utf-8")
        else:
            target.write_bytes(self._render(suffix, self.timeout))
        return target

    def _render(self, format: str, timeout: float) -> bytes:
        program = shutil.which("dot")
        if program is None:
            raise OperationError(
                "graphviz's program `dot` is not installed, so nothing can be rendered;"
                " .source has the picture's text and print() shows it as text."
            )
        source = self.source.encode("utf-8")
        try:
            return _rendered([program, f"-T{format}"], source, timeout / 2)
        except subprocess.SubprocessError:
            # Frames within frames make some layouts fail, or take for ever.
            pass
        try:
            return _rendered([program, f"-T{format}", *_ROUGH], source, timeout / 2)
        except subprocess.TimeoutExpired:
            raise OperationError(
                f"`dot` took longer than {timeout:g} s over {self._what};"
                " draw a part of it, or save it as .dot."
            ) from None
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode("utf-8", "replace").strip().splitlines()
            raise OperationError(
                f"`dot` failed with exit code {error.returncode}: {reason[0] if reason else '-'}"
            ) from None

    def __str__(self) -> str:
        return self._text()

    def __repr__(self) -> str:
        return f"<drawing of {self._what}>"

    def _picture(self) -> dict[str, str]:
        """Render what a notebook shows, in less time than a file may take."""
        rendered = self._render(self.format, min(self.timeout, _PATIENCE))
        if self.format == "svg":
            text = rendered.decode("utf-8")
            return {"image/svg+xml": text[text.index("<svg") :]}
        kind = "image/png" if self.format == "png" else "application/pdf"
        return {kind: b64encode(rendered).decode("ascii")}

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return notebook_bundle(lambda: self, lambda: str(self))


def _rendered(command: list[str], source: bytes, timeout: float) -> bytes:
    done = subprocess.run(command, input=source, capture_output=True, timeout=timeout, check=True)
    return done.stdout


def notebook_bundle(draw: Callable[[], Drawing], text: Callable[[], str]) -> dict[str, str]:
    """Give what a notebook shows: a picture and *text*, or the picture's text; never an error."""
    drawing = None
    try:
        drawing = draw()
        return {**drawing._picture(), "text/plain": text()}
    except Exception as error:
        # An error here would hide the cell's result.
        shown = text() if drawing is None else str(drawing)
        lines = shown.split("\n")
        if len(lines) > _MOST_LINES:
            more = len(lines) - _MOST_LINES
            shown = "\n".join([*lines[:_MOST_LINES], f"… and {more:,} more lines"])
        return {"text/plain": f"{shown}\n\n(no picture: {error})"}
