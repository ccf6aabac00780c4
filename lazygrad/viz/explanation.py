"""A gradient as equations: the records, and how they are written one below the other.

Knows formulas as text; knows nothing of how they come about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..ir.value import Value

__all__ = ["Equation", "Explanation", "Term"]

# Beyond this width what a term comes from follows right after it.
_WIDTH = 60

# A notebook takes long over more formulas than these, and nobody reads them.
_MOST_SET = 100


@dataclass(frozen=True)
class Term:
    """A term of a sum, and the forward nodes that it comes from.

    Of a derivative these are the nodes whose rules made it; `place` says their operations and the
    user's lines.
    """

    text: str
    latex: str
    origins: tuple[Value, ...] = ()
    place: str = ""


@dataclass(frozen=True)
class Equation:
    """A value and the terms whose sum it is; `node` is the forward node that it is about."""

    name: str
    latex_name: str
    terms: tuple[Term, ...]
    node: Value

    @property
    def text(self) -> str:
        """The equation in Python."""
        return f"{self.name} = {' + '.join(term.text for term in self.terms)}"

    @property
    def latex(self) -> str:
        """The equation in LaTeX."""
        return f"{self.latex_name} = {' + '.join(term.latex for term in self.terms)}"


@dataclass(frozen=True)
class Explanation:
    """The derivative of one node with respect to another, as it is built.

    ``str`` is a text to read, with the forward operations and the user's lines that each term
    comes from; in a notebook the LaTeX is shown.
    """

    title: str
    forward: tuple[Equation, ...]
    backward: tuple[Equation, ...]
    whole: Equation | None
    """All in one equation, where that is short enough to read."""

    @property
    def equations(self) -> tuple[Equation, ...]:
        """All equations: of forward values, of what flows back, and the whole."""
        whole = () if self.whole is None else (self.whole,)
        return (*self.forward, *self.backward, *whole)

    @property
    def latex(self) -> str:
        """The equations in LaTeX, one a line, aligned."""
        lines = [
            f"{each.latex_name} &= {' + '.join(term.latex for term in each.terms)}"
            for each in self.equations
        ]
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield self.title
        parts = [
            ("forward", self.forward),
            ("backward, d_v for the derivative by v", self.backward),
        ]
        for heading, equations in parts:
            if equations:
                yield ""
                yield f"{heading}:"
                yield from _table(equations)
        if self.whole is not None:
            yield ""
            yield "in one line:"
            yield f"  {self.whole.text}"

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex}\n$$"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        text = {"text/plain": str(self)}
        if len(self.equations) > _MOST_SET:
            return text
        return {"text/latex": self._repr_latex_(), **text}


def _table(equations: Sequence[Equation]) -> Iterator[str]:
    rows: list[tuple[str, str]] = []
    for equation in equations:
        for count, term in enumerate(equation.terms):
            start = f"{equation.name} =" if not count else " " * len(equation.name) + " +"
            rows.append((f"  {start} {term.text}", term.place))
    width = min(max(len(text) for text, _ in rows), _WIDTH)
    for text, place in rows:
        yield f"{text.ljust(width)}   from {place}".rstrip() if place else text
