"""Nodes as formulas: in Python, and in LaTeX. Knows what operations say of how they are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from ..ir.graph import Graph
from ..ir.op import Notation, Trait
from ..ir.printing import write_attribute, write_number
from ..ir.value import CONSTANT, ITEM, LENGTH, Value
from ..lengths import Dim
from .summary import clean, format_spec

__all__ = ["ATOM", "Formula", "FormulaWriter", "escape_latex", "latex_name", "seen_through"]

ATOM = 6
"""How tightly what needs no parentheses binds."""

# What LaTeX has a name of its own for.
_FUNCTION = re.compile("arccos|arcsin|arctan|cosh?|det|exp|log|max|min|sinh?|tanh?")
_GREEK = re.compile(
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau"
    "|upsilon|phi|chi|psi|omega"
)
_SPECIAL = {
    "\\": r"\backslash ",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\wedge ",
    "~": r"\sim ",
    " ": r"\ ",
    "'": r"\prime ",
    "`": r"\prime ",
    '"': r"\prime\prime ",
}
_SLOT = re.compile(r"\{(x|y|z|times)(?::([1-6]))?\}")
_LONGEST_NAME = 32
_MOST_OPERANDS = 8


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula as text and as LaTeX, and how tightly each binds."""

    text: str
    latex: str
    binds: int = ATOM
    latex_binds: int = ATOM


def escape_latex(text: str) -> str:
    r"""Write a text so that LaTeX's mathematics shows it letter by letter.

    >>> escape_latex("a_b{c}")
    'a\\_b\\{c\\}'
    """
    return "".join(_SPECIAL.get(sign, sign if sign.isprintable() else "?") for sign in text)


def latex_name(name: str) -> str:
    r"""Write a name in LaTeX: a letter as it is, Greek ones by name, a word upright.

    >>> latex_name("w"), latex_name("loss"), latex_name("theta"), latex_name("x_1")
    ('w', '\\mathrm{loss}', '\\theta', '\\mathrm{x\\_1}')
    """
    if len(name) == 1 and name.isascii() and name.isalpha():
        return name
    if _GREEK.fullmatch(name):
        return "\\" + name
    return rf"\mathrm{{{escape_latex(clean(name, _LONGEST_NAME))}}}"


def seen_through(graph: Graph, kept: Collection[int]) -> dict[int, Value]:
    """Find the nodes in whose place formulas show their operand, by their ids.

    They make a column of a vector, or the other way, for a matrix product, beside which a vector
    stands as it is; or give a number a shape that nobody misses where it is read, which the nodes
    in *kept* don't.
    """
    users = graph.users()
    found: dict[int, Value] = {}
    for node in reversed(graph.nodes):
        if Trait.KEEPS_ORDER not in node.op.traits:
            continue
        operand, readers = node.operands[0], users[id(node)]
        is_number = id(node) not in kept and _below(node).spec.shape == ()
        is_as_long = _squeezed(operand) == _squeezed(node)
        if is_number:
            is_missed = not all(id(each) in found or _spreads(each, node) for each in readers)
            is_seen_through = not is_missed or (is_as_long and not _squeezed(node))
        else:
            beside = (operand, *readers)
            is_seen_through = is_as_long and any(each.op.family == "bilinear" for each in beside)
        if is_seen_through:
            found[id(node)] = operand
    return found


def _below(node: Value) -> Value:
    while Trait.KEEPS_ORDER in node.op.traits:
        node = node.operands[0]
    return node


def _squeezed(node: Value) -> list[Dim]:
    return [length for length in node.spec.shape if length != 1]


def _spreads(user: Value, node: Value) -> bool:
    """Whether another operand alone gives an elementwise operation its shape."""
    return Trait.ELEMENTWISE in user.op.traits and any(
        each.spec.shape == user.spec.shape and _below(each).spec.shape != ()
        for each in user.operands
        if each is not node
    )


class FormulaWriter:
    """Writes nodes as formulas over those that have a name.

    *named* gives the formula that stands for a node, or None for one that is written out; *shown*
    gives the node that is written in the place of another.
    """

    def __init__(
        self, named: Callable[[Value], Formula | None], shown: Callable[[Value], Value]
    ) -> None:
        self.named = named
        self.shown = shown

    def formula(self, node: Value) -> Formula:
        """Write a node: by its name, or by what is below it."""
        node = self.shown(node)
        return self.named(node) or self.expression(node)

    def expression(self, node: Value) -> Formula:
        """Write what a node is, even if it has a name."""
        node = self.shown(node)
        if not node.operands:
            return _leaf(node)
        operands = [self.formula(operand) for operand in node.operands]
        if node.op is ITEM:
            index = node.attrs["index"]
            return Formula(f"{operands[0].text}[{index}]", f"{{{operands[0].latex}}}_{{{index}}}")
        notation = node.op.written(tuple(o.spec for o in node.operands), node.attrs)
        if notation is None:
            return _call(node, operands)
        factors = [self.shown(operand).spec.shape for operand in node.operands]
        times = r"\odot" if all(factors) else _times(operands)
        return _filled(notation, operands, times)


def _leaf(node: Value) -> Formula:
    if node.op is CONSTANT:
        array = node.attrs["value"]
        if array.size == 1:
            return _number(write_number(array.reshape(())[()]))
        if array.size <= _MOST_OPERANDS:
            return Formula(f"constant({array.tolist()})", r"\mathrm{constant}")
    if node.op is LENGTH:
        text = str(node.attrs["length"])
        return Formula(text, rf"\mathrm{{{escape_latex(text)}}}")
    text = f"{node.op.name} {format_spec(node)}"
    return Formula(text, rf"\mathrm{{{escape_latex(text)}}}")


def _number(text: str) -> Formula:
    text = text.removesuffix(".0")
    latex = text.replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")
    mantissa, e, exponent = latex.partition("e")
    if e:
        latex = rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
    negative = text.startswith("-")
    return Formula(text, latex, 4 if negative else ATOM, 2 if negative else 3 if e else ATOM)


def _call(node: Value, operands: Sequence[Formula]) -> Formula:
    name = clean(node.op.name, _LONGEST_NAME).lstrip("_")
    command = (
        f"\\{name}" if _FUNCTION.fullmatch(name) else rf"\operatorname{{{escape_latex(name)}}}"
    )
    texts = [operand.text for operand in operands]
    latex = [operand.latex for operand in operands]
    if len(operands) > _MOST_OPERANDS:
        texts[_MOST_OPERANDS - 2 : -1] = ["…"]
        latex[_MOST_OPERANDS - 2 : -1] = [r"\ldots"]
    for key, value in node.attrs.items():
        if value is None or value is False:
            continue
        shown = "{…}" if hasattr(value, "outputs") else clean(write_attribute(value), 40)
        texts.append(f"{key}={shown}")
        latex.append(rf"\mathrm{{{escape_latex(key)}}}=\mathrm{{{escape_latex(shown)}}}")
    return Formula(f"{name}({', '.join(texts)})", rf"{command}\left({', '.join(latex)}\right)")


def _times(operands: Sequence[Formula]) -> str:
    """Choose what stands between a number and what it multiplies: nothing, where that is clear."""
    return r"\cdot" if operands[-1].latex[:1].isdecimal() else r"\,"


def _filled(notation: Notation, operands: Sequence[Formula], times: str) -> Formula:
    by_name = dict(zip("xyz", operands, strict=False))

    def in_text(slot: re.Match[str]) -> str:
        operand = by_name[slot[1]]
        least = int(slot[2] or 0)
        return f"({operand.text})" if operand.binds < least else operand.text

    def in_latex(slot: re.Match[str]) -> str:
        if slot[1] == "times":
            return times
        operand = by_name[slot[1]]
        if operand.latex_binds < int(slot[2] or 0):
            return rf"\left({operand.latex}\right)"
        # A command or an exponent takes what stands in braces.
        before = slot.string[: slot.start()][-1:]
        needs_braces = before.isalpha() or before in ("}", "^", "_")
        return f"{{{operand.latex}}}" if needs_braces else operand.latex

    return Formula(
        _SLOT.sub(in_text, notation.text),
        _SLOT.sub(in_latex, notation.latex),
        notation.binds,
        notation.binds if notation.latex_binds is None else notation.latex_binds,
    )
