"""Nodes as formulas: in Python, and in LaTeX. Knows what operations say of how they are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from ..ir.graph import Graph
from ..ir.op import Notation, Trait
from ..ir.printing import write_attribute, write_number
from ..ir.value import CONSTANT, ITEM, LENGTH, Value
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

    They make a column of a vector for a matrix product, or a vector of its result: beside a matrix
    a vector stands as it is. Or they give a number a shape that nobody misses where it is read; but
    those in *kept* say what shape a result has.
    """
    users = graph.users()
    found = _vectors(graph, users)

    def says_shape(user: Value) -> bool:
        return Trait.KEEPS_ORDER in user.op.traits and id(user) not in found

    def is_missed(number: Value, user: Value) -> bool:
        if _spreads(user, number):
            return False
        if not set(number.spec.shape) <= {1}:
            return True
        if Trait.ELEMENTWISE not in user.op.traits:
            return not says_shape(user)
        return not all(says_shape(each) or _spreads(each, user) for each in users[id(user)])

    numbers: set[int] = set()
    for node in reversed(graph.nodes):
        if Trait.KEEPS_ORDER not in node.op.traits or id(node) in kept:
            continue
        if _below(node).spec.shape != ():
            continue
        readers = users[id(node)]
        if all(id(each) in numbers or not is_missed(node, each) for each in readers):
            numbers.add(id(node))
            found[id(node)] = node.operands[0]
    return found


def _vectors(graph: Graph, users: Mapping[int, Sequence[Value]]) -> dict[int, Value]:
    """Find what makes columns and rows of vectors for products, and vectors of their results."""
    products = {
        id(node): sides
        for node in graph.nodes
        if node.op.family == "bilinear"
        and (sides := _vector_sides(node))
        and all(_drops(user, len(sides)) for user in users[id(node)])
    }
    # What else reads a column needs it as one, and then its products are not those of vectors.
    while True:
        lost = {
            key
            for key, sides in products.items()
            if any(id(user) not in products for side in sides for user in users[id(side)])
        }
        if not lost:
            break
        for key in lost:
            del products[key]
    found = {id(side): side.operands[0] for sides in products.values() for side in sides}
    for node in graph.nodes:
        if id(node) in products:
            found |= {id(user): node for user in users[id(node)]}
    return found


def _vector_sides(product: Value) -> list[Value]:
    """List the operands of a product that are a vector: as a row on the left, a column right."""
    left, right = product.operands
    return [
        side
        for side, axis in ((left, 0), (right, 1))
        if Trait.KEEPS_ORDER in side.op.traits
        and len(side.operands[0].spec.shape) == 1
        and len(side.spec.shape) == 2
        and side.spec.shape[axis] == 1
        and side.spec.shape[1 - axis] == side.operands[0].spec.shape[0]
    ]


def _drops(user: Value, count: int) -> bool:
    """Whether a node leaves out so many axes of length 1 of what it reads."""
    if Trait.KEEPS_ORDER not in user.op.traits:
        return False
    before, after = user.operands[0].spec.shape, user.spec.shape
    squeezed = [length for length in before if length != 1]
    return len(after) == len(before) - count and squeezed == [n for n in after if n != 1]


def _below(node: Value) -> Value:
    while Trait.KEEPS_ORDER in node.op.traits:
        node = node.operands[0]
    return node


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
        operands = [self._operand(operand, node) for operand in node.operands]
        if node.op is ITEM:
            index = node.attrs["index"]
            return Formula(f"{operands[0].text}[{index}]", f"{{{operands[0].latex}}}_{{{index}}}")
        notation = node.op.written(tuple(o.spec for o in node.operands), node.attrs)
        if notation is None:
            return _call(node, operands)
        factors = [self.shown(operand).spec.shape for operand in node.operands]
        times = r"\odot" if all(factors) else _times(operands)
        return _filled(notation, operands, times)

    def _operand(self, operand: Value, reader: Value) -> Formula:
        shown = self.shown(operand)
        # Beside others a number may stand for an array of one element, but nowhere else.
        is_array = shown.op is CONSTANT and shown.spec.shape != ()
        if is_array and not {Trait.ELEMENTWISE, Trait.KEEPS_ORDER} & reader.op.traits:
            return self.named(shown) or _constant(shown)
        return self.formula(shown)


def _constant(node: Value) -> Formula:
    """Write a constant as an array."""
    array = node.attrs["value"]
    text = f"constant({array.tolist()})" if array.size <= _MOST_OPERANDS else _described(node)
    return Formula(text, r"\mathrm{constant}")


def _described(node: Value) -> str:
    return f"{node.op.name} {format_spec(node)}"


def _leaf(node: Value) -> Formula:
    if node.op is CONSTANT:
        array = node.attrs["value"]
        if array.size == 1:
            return _number(write_number(array.reshape(())[()]))
        return _constant(node)
    if node.op is LENGTH:
        text = str(node.attrs["length"])
        return Formula(text, rf"\mathrm{{{escape_latex(text)}}}")
    text = _described(node)
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
