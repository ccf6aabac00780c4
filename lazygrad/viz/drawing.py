"""A picture that shows itself in a notebook and saves itself to a file.

``dot``, graphviz's program, renders it; without that program there is still its source and a tree
of text.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OperationError, OptionError
from ..ir.graph import Graph
from .draw import Annotations, draw_graph
from .tree import to_text_tree

if TYPE_CHECKING:
    import graphviz

__all__ = ["Drawing"]

_TEXT_FORMATS = {".dot", ".gv"}
_RENDERED_FORMATS = {".svg", ".png", ".pdf"}
_TIMEOUT = 60.0


class Drawing:
    """The picture of one graph.

    Parameters are those of `draw_graph`; *timeout* is how many seconds ``dot`` may take. Nothing is
    drawn before it is asked for.

    >>> from lazygrad.ir.value import Value
    >>> x = Value(shape=(3,), name="x")
    >>> print(Drawing(Graph([x + 1.0])))
    add -> float64[3]
    ├─ x: placeholder float64[3]
    └─ 1: float64
    """

    def __init__(
        self,
        graph: Graph,
        annotations: Annotations | None = None,
        *,
        rankdir: str = "LR",
        limit: int = 1000,
        timeout: float = _TIMEOUT,
    ) -> None:
        self.graph = graph
        self.annotations = annotations
        self.rankdir = rankdir
        self.limit = limit
        self.timeout = timeout

    @cached_property
    def digraph(self) -> graphviz.Digraph:
        """The picture as a graphviz object; a graph over the limit raises an OptionError."""
        return draw_graph(self.graph, self.annotations, rankdir=self.rankdir, limit=self.limit)

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
        text = self._render("svg").decode("utf-8")
        # What precedes the element is a declaration that no place inside a page may have.
        return text[text.index("<svg") :]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture as .svg, .png, .pdf, .dot or .gv, and give the path written.

        Where ``dot`` is missing, a .dot file is written beside it instead, which one line on
        standard error says.
        """
        target = Path(path)
        suffix = target.suffix.lower()
        if suffix not in _TEXT_FORMATS | _RENDERED_FORMATS:
            known = ", ".join(sorted(_TEXT_FORMATS | _RENDERED_FORMATS))
            raise OptionError(f"{target.name!r}: the name of a picture ends in one of {known}.")
        if suffix in _RENDERED_FORMATS and shutil.which("dot") is None:
            written = target.with_suffix(".dot")
            print(
                f"graphviz's program `dot` is not installed: wrote {written} instead of {target}",
                file=sys.stderr,
            )
            target, suffix = written, ".dot"
        if suffix in _TEXT_FORMATS:
            target.write_text(self.source, encoding="utf-8")
        elif suffix == ".svg":
            target.write_text(self.svg(), encoding="utf-8")
        else:
            target.write_bytes(self._render(suffix[1:]))
        return target

    def _render(self, format: str) -> bytes:
        program = shutil.which("dot")
        if program is None:
            raise OperationError(
                "graphviz's program `dot` is not installed, so nothing can be rendered;"
                " .source has the picture's text and print() shows it as a tree."
            )
        try:
            done = subprocess.run(
                [program, f"-T{format}"],
                input=self.source.encode("utf-8"),
                capture_output=True,
                timeout=self.timeout,
                check=True,
            )
        except subprocess.TimeoutExpired:
            raise OperationError(
                f"`dot` took longer than {self.timeout:g} s over {len(self.graph)} nodes;"
                " draw a part of the graph, or save it as .dot."
            ) from None
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode("utf-8", "replace").strip().splitlines()
            raise OperationError(
                f"`dot` failed with exit code {error.returncode}: {reason[0] if reason else '-'}"
            ) from None
        return done.stdout

    def __str__(self) -> str:
        return to_text_tree(self.graph, self.annotations, limit=self.limit)

    def __repr__(self) -> str:
        return f"<drawing of {len(self.graph)} nodes>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        try:
            return {"image/svg+xml": self.svg(), "text/plain": str(self)}
        except Exception as error:
            # A notebook shows what there is; an error here would hide the cell's result.
            return {"text/plain": f"{self}\n\n(no picture: {error})"}
