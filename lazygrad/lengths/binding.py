"""What lengths are once their names are bound, and what bindings follow from a number.

Holds evaluation, substitution and the solving of one equation. Must not know how canonical forms
come about, how text is read, nor of arrays, specs, nodes or programs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..errors import ShapeError
from .algebra import Atom, Dim, Length, Shape, combine, expand, inner_first, single, terms_of

__all__ = ["evaluate", "is_static", "solve", "substitute", "substitute_shape"]


def is_static(shape: Iterable[Dim]) -> bool:
    """Tell whether every length is an integer.

    >>> batch = lg.Length.named("batch")
    >>> is_static((3, 4)), is_static((batch, 4))
    (True, False)
    """
    # A plain loop takes half the time of `all`, and every node asks.
    for dim in shape:  # noqa: SIM110
        if type(dim) is not int:
            return False
    return True


def evaluate(dim: Dim, bindings: Mapping[str, int]) -> int:
    """Give the integer that a length is under `bindings`.

    >>> evaluate(2 * lg.Length.named("batch") + 1, {"batch": 3})
    7
    """
    if isinstance(dim, int):
        return dim
    missing = sorted(text for text in dim.names if text not in bindings)
    if missing:
        known = ", ".join(f"{text} = {value}" for text, value in bindings.items()) or "nothing"
        unbound = ", ".join(f"`{text}`" for text in missing)
        raise ShapeError(f"the length {dim} needs {unbound}; bound so far: {known}.")
    value = _replace(dim, bindings)
    assert isinstance(value, int)
    return value


def substitute(dim: Dim, bindings: Mapping[str, Dim]) -> Dim:
    """Put lengths in the place of names; names that aren't bound stay.

    >>> substitute(lg.Length.named("batch") * lg.Length.named("time"), {"batch": 3})
    Length('3*time')
    """
    if isinstance(dim, int) or dim.names.isdisjoint(bindings):
        return dim
    return _replace(dim, bindings)


def substitute_shape(shape: Shape, bindings: Mapping[str, Dim]) -> Shape:
    """Put lengths in the place of names in every length of a shape.

    >>> substitute_shape((lg.Length.named("batch"), 4), {"batch": 3})
    (3, 4)
    """
    if is_static(shape):
        return shape
    return tuple([substitute(dim, bindings) for dim in shape])


def solve(declared: Dim, actual: int, bindings: dict[str, int]) -> bool | None:
    """Bind the one unbound name of `declared` so that it is `actual`; None if that must wait.

    >>> bindings = {}
    >>> solve(2 * lg.Length.named("batch") + 1, 7, bindings), bindings
    (True, {'batch': 3})
    """
    left = substitute(declared, bindings)
    if isinstance(left, int):
        return left == actual
    (monomial, count), *others = terms_of(left)
    if len(monomial) != 1 or monomial[0].kind != "name" or any(atoms for atoms, _ in others):
        return None
    value, remainder = divmod(actual - sum(constant for _, constant in others), count)
    if remainder or value < 0:
        return False
    (unbound,) = monomial[0].names
    bindings[unbound] = value
    return True


def _replace(length: Length, bindings: Mapping[str, Dim]) -> Dim:
    values: dict[Atom, Dim] = {}
    for atom in inner_first(length):
        values[atom] = _replace_atom(atom, values, bindings)
    return expand(terms_of(length), values.__getitem__)


def _replace_atom(atom: Atom, values: Mapping[Atom, Dim], bindings: Mapping[str, Dim]) -> Dim:
    if atom.kind == "name":
        (text,) = atom.names
        return bindings[text] if text in bindings else single(atom)
    operands = [expand(terms_of(dim), values.__getitem__) for dim in atom.operands]
    if atom.kind == "//" and isinstance(operands[1], int) and operands[1] == 0:
        bound = sorted(atom.names.intersection(bindings))
        given = ", ".join(f"{text} = {bindings[text]}" for text in bound)
        raise ShapeError(f"the length {atom} divides by zero where {given}.")
    return combine(atom.kind, operands)
