"""The length itself: a canonical polynomial over names, with floor division, min and max as atoms.

Holds the arithmetic, the canonical form and its text. Must not know how text is read or
how names are bound, nor of arrays, specs, nodes or programs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NoReturn, TypeAlias, TypeVar

from ..errors import ShapeError
from .names import ANONYMOUS, avoid, quoted, unused

__all__ = [
    "Atom",
    "Dim",
    "Length",
    "Shape",
    "combine",
    "expand",
    "fresh",
    "inner_first",
    "maximum",
    "minimum",
    "name",
    "recall",
    "single",
    "terms_of",
]


class Atom(str):
    """What a polynomial can't look into: a name, or floor division, min or max of lengths.

    It is its own canonical text, so it sorts fast.
    """

    __slots__ = ("kind", "least", "names", "operands")
    kind: str
    operands: tuple[Dim, ...]
    names: frozenset[str]
    least: int | None


# A product of atoms, sorted, each as often as its power. The empty product is the constant's.
_Monomial: TypeAlias = tuple[Atom, ...]
_Terms: TypeAlias = tuple[tuple[_Monomial, int], ...]
# A length's atoms, the inner ones first, and then its own terms, atoms being told by their places.
_Places: TypeAlias = tuple[tuple[tuple[int, ...], int], ...]
_Parts: TypeAlias = tuple[tuple[str, str | tuple[_Places, ...]], ...]

_Result = TypeVar("_Result")
_Key = TypeVar("_Key")


def _operator(compute: Callable[[Length, Dim], _Result]) -> Callable[[Length, Dim], _Result]:
    def method(self: Length, other: Dim) -> _Result:
        if not isinstance(other, (int, Length)):
            return NotImplemented
        return compute(self, other)

    return method


class Length:
    """A length known only later: a polynomial with integer coefficients over names.

    Operations give a plain `int` as soon as the result is constant. A named length is taken to
    be at least 0, a divisor at least 1.

    >>> batch = Length.named("batch")
    >>> (2 * batch + 3) // 2
    Length('batch + 1')
    >>> batch - batch
    0
    """

    __slots__ = ("__weakref__", "_hash", "_names", "_terms", "_text")
    # NumPy would take a Length for an element of an object array; this makes it step back.
    __array_ufunc__ = None

    _terms: _Terms
    _hash: int | None
    _names: frozenset[str] | None
    _text: str | None

    @classmethod
    def named(cls, text: str) -> Length:
        """Give the length called `text`.

        >>> Length.named("batch")
        Length('batch')
        """
        if not isinstance(text, str):
            raise TypeError(f"a length's name is a string, not {text!r}")
        if not text:
            raise ShapeError("a length's name is empty; give it a name, or None for a fresh one")
        if ANONYMOUS.fullmatch(text):
            raise ShapeError(f"the name {text!r} is kept for lengths without a name; use another")
        return single(_name_atom(text))

    @classmethod
    def fresh(cls, prefix: str = "", *, data: bool = False) -> Length:
        """Make a length that equals no other: `?1`, `?rows2`, or `#3` if known only in mid-run.

        >>> Length.fresh() == Length.fresh()
        False
        >>> Length.fresh(data=True).is_data_dependent
        True
        """
        if not re.fullmatch(r"[A-Za-z_]*", prefix):
            raise ShapeError(f"a fresh length's prefix is letters and underscores, not {prefix!r}")
        return single(_name_atom(unused(prefix, data=data)))

    @property
    def names(self) -> frozenset[str]:
        """The names the length depends on."""
        if self._names is None:
            atoms = (atom.names for monomial, _ in self._terms for atom in monomial)
            self._names = frozenset().union(*atoms)
        return self._names

    @property
    def by_name(self) -> dict[str, Length]:
        """The names the length depends on, each as a length of its own."""
        return {text: single(_name_atom(text)) for text in self.names}

    @property
    def is_data_dependent(self) -> bool:
        """Whether the length is known only in the middle of a run."""
        return any(text[0] == "#" and ANONYMOUS.fullmatch(text) for text in self.names)

    def __str__(self) -> str:
        if self._text is None:
            self._text = _write(self._terms)
        return self._text

    def __repr__(self) -> str:
        return f"Length({str(self)!r})"

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(self._terms)
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Length) and self._terms == other._terms)

    def __copy__(self) -> Length:
        return self

    def __deepcopy__(self, memo: object) -> Length:
        return self

    def __reduce__(self) -> tuple[Callable[[_Parts, _Places], Dim], tuple[_Parts, _Places]]:
        return _restore, _take_apart(self)

    def __neg__(self) -> Length:
        return _length(tuple([(monomial, -count) for monomial, count in self._terms]))

    __add__ = __radd__ = _operator(lambda a, b: _add(a, b))
    __sub__ = _operator(lambda a, b: _add(a, -b))
    __rsub__ = _operator(lambda a, b: _add(-a, b))
    __mul__ = __rmul__ = _operator(lambda a, b: _multiply(a, b))
    __floordiv__ = _operator(lambda a, b: _divide(a, b))
    __rfloordiv__ = _operator(lambda a, b: _divide(b, a))
    __mod__ = _operator(lambda a, b: a - _divide(a, b) * b)
    __rmod__ = _operator(lambda a, b: b - _divide(b, a) * a)
    __lt__ = _operator(lambda a, b: _difference(a, b, "<") < 0)
    __le__ = _operator(lambda a, b: _difference(a, b, "<=") <= 0)
    __gt__ = _operator(lambda a, b: _difference(a, b, ">") > 0)
    __ge__ = _operator(lambda a, b: _difference(a, b, ">=") >= 0)

    def __pow__(self, power: int) -> Dim:
        if not isinstance(power, int):
            return NotImplemented
        if power < 0:
            raise ShapeError(f"({self})**{power}: the power of a length can't be negative")
        result: Dim = 1
        for _ in range(power):
            result = result * self
        return result

    def __bool__(self) -> bool:
        _refuse(f"bool({self})", self)

    def __index__(self) -> int:
        _refuse(f"index({self})", self)

    def __int__(self) -> int:
        _refuse(f"int({self})", self)

    def __float__(self) -> float:
        _refuse(f"float({self})", self)


Dim: TypeAlias = int | Length
Shape: TypeAlias = tuple[Dim, ...]


name = Length.named
fresh = Length.fresh


def maximum(a: Dim, b: Dim) -> Dim:
    """Give the greater of two lengths.

    >>> maximum(name("batch"), name("batch") + 1)
    Length('batch + 1')
    """
    return _extreme("max", (a, b))


def minimum(a: Dim, b: Dim) -> Dim:
    """Give the smaller of two lengths.

    >>> minimum(name("batch"), 3)
    Length('min(batch, 3)')
    """
    return _extreme("min", (a, b))


def recall(text: str) -> Length:
    """Give the length of a name that was made before, also one without a name.

    >>> recall("?rows2") == recall("?rows2"), recall("?rows2") == fresh("rows")
    (True, False)
    """
    avoid(text)
    return single(_name_atom(text))


def single(atom: Atom) -> Length:
    """Give the length that is one atom."""
    return _length((((atom,), 1),))


def terms_of(dim: Dim) -> _Terms:
    """Give the sum that a length is: products of atoms, sorted, and how often each is taken."""
    return dim._terms if isinstance(dim, Length) else (((), int(dim)),)


def combine(kind: str, operands: Sequence[Dim]) -> Dim:
    """Apply what an atom of that kind stands for: `//`, `min` or `max`.

    >>> combine("//", (name("batch") * 2, 2))
    Length('batch')
    """
    return _divide(*operands) if kind == "//" else _extreme(kind, operands)


def inner_first(length: Dim) -> list[Atom]:
    """List the atoms that a length is made of, each after those in its operands.

    >>> inner_first((name("batch") + 1) // 2)
    ['batch', '(batch + 1)//2']
    """
    found: dict[Atom, None] = {}
    waiting = _atoms(length)
    while waiting:
        operands = waiting[-1].operands
        needed = [atom for dim in operands for atom in _atoms(dim) if atom not in found]
        if needed:
            waiting.extend(needed)
        else:
            found[waiting.pop()] = None
    return list(found)


def expand(terms: Iterable[tuple[tuple[_Key, ...], int]], value: Callable[[_Key], Dim]) -> Dim:
    """Sum up terms with a value in the place of each factor.

    >>> expand([(("a", "b"), 2), ((), 1)], {"a": 3, "b": name("batch")}.__getitem__)
    Length('6*batch + 1')
    """
    total: Dim = 0
    for factors, count in terms:
        product: Dim = count
        for factor in factors:
            product = product * value(factor)
        total = total + product
    return total


def _length(terms: _Terms) -> Length:
    length = object.__new__(Length)
    length._terms = terms
    length._hash = length._names = length._text = None
    return length


def _rank(term: tuple[_Monomial, int]) -> tuple[int, _Monomial]:
    # The highest degree first, then the first name: a monomial order, as division needs.
    return -len(term[0]), term[0]


def _build(counts: dict[_Monomial, int]) -> Dim:
    terms = [term for term in counts.items() if term[1]]
    if not terms:
        return 0
    if len(terms) > 1:
        terms.sort(key=_rank)
    if not terms[0][0]:
        return terms[0][1]
    return _length(tuple(terms))


def _add(a: Length, b: Dim) -> Dim:
    total = dict(a._terms)
    for monomial, count in terms_of(b):
        total[monomial] = total.get(monomial, 0) + count
    return _build(total)


def _multiply(a: Length, b: Dim) -> Dim:
    total: dict[_Monomial, int] = {}
    for left, left_count in a._terms:
        for right, right_count in terms_of(b):
            monomial = tuple(sorted(left + right))
            total[monomial] = total.get(monomial, 0) + left_count * right_count
    return _build(total)


def _constant(dim: Dim) -> int:
    monomial, count = terms_of(dim)[-1]
    return 0 if monomial else count


@lru_cache(maxsize=4096)
def _name_atom(text: str) -> Atom:
    atom = Atom(quoted(text))
    atom.kind, atom.operands, atom.names, atom.least = "name", (), frozenset((text,)), 0
    return atom


def _compound(kind: str, operands: tuple[Dim, ...]) -> Length:
    if kind == "//":
        text = "//".join(_bracketed(dim) for dim in operands)
    else:
        text = f"{kind}({', '.join(map(str, operands))})"
    atom = Atom(text)
    atom.kind, atom.operands = kind, operands
    atom.names = frozenset().union(*[dim.names for dim in operands if isinstance(dim, Length)])
    atom.least = _lower_of(kind, operands)
    return single(atom)


def _lower_of(kind: str, operands: tuple[Dim, ...]) -> int | None:
    bounds = [_lower(dim) for dim in operands]
    known = [bound for bound in bounds if bound is not None]
    if kind == "max":
        return max(known, default=None)
    if len(known) < len(bounds):
        return None
    if kind == "min":
        return min(known)
    if isinstance(operands[1], int):
        return known[0] // operands[1]
    return 0 if min(known) >= 0 else None


def _lower(dim: Dim) -> int | None:
    """Give an integer that the length is never below, if one is plain to see."""
    total = 0
    for monomial, count in terms_of(dim):
        for atom in monomial:
            if count < 0 or atom.least is None or atom.least < 0:
                return None
            count *= atom.least
        total += count
    return total


def _is_nonnegative(dim: Dim) -> bool:
    bound = _lower(dim)
    return bound is not None and bound >= 0


def _bracketed(dim: Dim) -> str:
    monomial, count = terms_of(dim)[0]
    plain = isinstance(dim, Length) and len(dim._terms) == len(monomial) == count == 1
    if (plain and monomial[0].kind != "//") or (isinstance(dim, int) and dim >= 0):
        return str(dim)
    return f"({dim})"


def _write(terms: _Terms) -> str:
    text = ""
    if terms[0][1] < 0:
        terms = tuple(sorted(terms, key=lambda term: term[1] < 0))
    for monomial, count in terms:
        sign = (" - " if count < 0 else " + ") if text else ("-" if count < 0 else "")
        factors = [f"({atom})" if atom.kind == "//" else str(atom) for atom in monomial]
        if abs(count) != 1 or not monomial:
            factors.insert(0, str(abs(count)))
        # A minus in front would bind tighter than the division.
        bare = len(factors) == len(monomial) == 1 and sign != "-"
        text += sign + (str(monomial[0]) if bare else "*".join(factors))
    return text


def _refuse(what: str, length: Dim) -> NoReturn:
    raise TypeError(
        f"{what} can't be decided: the length `{length}` is known only when the program runs. "
        "Build with an integer instead, or compare after feeding."
    )


def _difference(a: Length, b: Dim, sign: str) -> int:
    difference = a - b
    if isinstance(difference, Length):
        _refuse(f"{a} {sign} {b}", a)
    return difference


def _lone(dim: Dim, kind: str) -> Atom | None:
    """Give the atom of that kind, if the length is it plus something without another."""
    found = [
        monomial[0]
        for monomial, count in terms_of(dim)
        if count == len(monomial) == 1 and monomial[0].kind == kind
    ]
    return found[0] if len(found) == 1 else None


def _extreme(kind: str, given: Iterable[Dim]) -> Dim:
    waiting = list(given)
    if all(type(dim) is int for dim in waiting):
        return max(waiting) if kind == "max" else min(waiting)
    kept: list[Dim] = []
    while waiting:
        dim = waiting.pop()
        if not isinstance(dim, (int, Length)):
            raise TypeError(f"{kind} of lengths takes integers and lengths, not {dim!r}")
        atom = _lone(dim, kind)
        if atom is not None:
            rest = dim - single(atom)
            waiting.extend([operand + rest for operand in atom.operands])
            continue
        gaps = [dim - other if kind == "max" else other - dim for other in kept]
        if any(_is_nonnegative(-gap) for gap in gaps):
            continue
        kept = [other for other, gap in zip(kept, gaps, strict=True) if not _is_nonnegative(gap)]
        kept.append(dim)
    if len(kept) == 1:
        return kept[0]
    constants = [_constant(dim) for dim in kept]
    common = set(terms_of(kept[0])).intersection(*[terms_of(dim) for dim in kept[1:]])
    shared = {monomial: count for monomial, count in common if monomial}
    shared[()] = max(constants) if kind == "max" else min(constants)
    outside = _build(shared)
    if outside != 0:
        return _extreme(kind, [dim - outside for dim in kept]) + outside
    return _compound(kind, tuple(sorted(kept, key=lambda dim: (isinstance(dim, int), str(dim)))))


def _divide(numerator: Dim, divisor: Dim) -> Dim:
    if isinstance(divisor, int) and divisor == 0:
        raise ZeroDivisionError(f"the length {numerator} divided by zero")
    if terms_of(divisor)[0][1] < 0:
        numerator, divisor = -numerator, -divisor
    whole: Dim = 0
    before: tuple[Dim, Dim] | None = None
    while before != (numerator, divisor):
        if isinstance(numerator, int) and (numerator == 0 or isinstance(divisor, int)):
            return whole + (numerator // divisor if numerator else 0)
        before = numerator, divisor
        quotient, numerator = _split(numerator, divisor)
        whole = whole + quotient
        numerator, divisor = _unnest(*_cancel(numerator, divisor))
    return whole + _compound("//", (numerator, divisor))


def _split(numerator: Dim, divisor: Dim) -> tuple[Dim, Dim]:
    """Give quotient and remainder of a division of polynomials."""
    terms = terms_of(divisor)
    lead, size = terms[0]
    quotient: dict[_Monomial, int] = {}
    left = dict(terms_of(numerator))
    while True:
        found = [
            term
            for term in left.items()
            if term[1] // size and len(_without(term[0], lead)) == len(term[0]) - len(lead)
        ]
        if not found:
            break
        top, count = min(found, key=_rank)
        factor, count = _without(top, lead), count // size
        quotient[factor] = count
        for monomial, scale in terms:
            product = tuple(sorted(monomial + factor))
            left[product] = left.get(product, 0) - scale * count
    remainder = _build(left)
    # Against a sum, a partial division would trade time//(batch + time) for something longer.
    if len(terms) > 1 and isinstance(remainder, Length):
        return 0, numerator
    return _build(quotient), remainder


def _without(monomial: _Monomial, part: _Monomial) -> _Monomial:
    left = list(monomial)
    for atom in part:
        if atom in left:
            left.remove(atom)
    return tuple(left)


def _cancel(numerator: Dim, divisor: Dim) -> tuple[Dim, Dim]:
    """Take out what divides both, as (6*n*k + 3)//(4*k) has 2."""
    above, below = terms_of(numerator), terms_of(divisor)
    common = math.gcd(*[c for _, c in below], *[c for monomial, c in above if monomial])
    # What is left of the constant is under one step of the numerator, if the divisor is positive.
    if _constant(numerator) % common and not _is_nonnegative(divisor):
        common = 1
    above = tuple([(monomial, c // common) for monomial, c in above if c // common])
    below = tuple([(monomial, c // common) for monomial, c in below])
    shared = below[0][0]
    for monomial, _ in above + below:
        shared = _without(shared, _without(shared, monomial))
    return (
        _build({_without(monomial, shared): c for monomial, c in above}),
        _build({_without(monomial, shared): c for monomial, c in below}),
    )


def _unnest(numerator: Dim, divisor: Dim) -> tuple[Dim, Dim]:
    """Write (x//a + y)//b as (x + a*y)//(a*b), which holds for positive divisors."""
    atom = _lone(numerator, "//")
    if atom is None or not _is_nonnegative(divisor):
        return numerator, divisor
    inner, inner_divisor = atom.operands
    if not _is_nonnegative(inner_divisor):
        return numerator, divisor
    return inner + (numerator - single(atom)) * inner_divisor, inner_divisor * divisor


def _atoms(dim: Dim) -> list[Atom]:
    return [atom for monomial, _ in terms_of(dim) for atom in monomial]


def _take_apart(length: Length) -> tuple[_Parts, _Places]:
    atoms = inner_first(length)
    places = {atom: place for place, atom in enumerate(atoms)}

    def stored(dim: Dim) -> _Places:
        return tuple([(tuple([places[a] for a in factors]), n) for factors, n in terms_of(dim)])

    def given(atom: Atom) -> str | tuple[_Places, ...]:
        return tuple(map(stored, atom.operands)) or next(iter(atom.names))

    return tuple([(atom.kind, given(atom)) for atom in atoms]), stored(length)


def _restore(parts: _Parts, own: _Places) -> Dim:
    """Build a length from what `_take_apart` gave, by the rules for canonical forms of today."""
    built: list[Dim] = []
    for kind, given in parts:
        if isinstance(given, str):
            built.append(recall(given))
        else:
            built.append(combine(kind, [expand(terms, built.__getitem__) for terms in given]))
    return expand(own, built.__getitem__)
