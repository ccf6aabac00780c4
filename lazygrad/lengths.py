"""Lengths of axes: integers, and canonical polynomials over names that are bound later.

Holds the arithmetic, the text form and the binding of lengths. Must not know of arrays, specs,
nodes or programs; of lazygrad it imports nothing but its errors.
"""

from __future__ import annotations

import math
import operator
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar, Token
from functools import lru_cache
from typing import Any, NoReturn, TypeAlias, TypeVar

from lazygrad.errors import ShapeError

__all__ = [
    "Dim",
    "Length",
    "Shape",
    "collecting",
    "compare",
    "evaluate",
    "fresh",
    "is_static",
    "maximum",
    "minimum",
    "name",
    "parse_length",
    "same",
    "solve",
    "substitute",
    "substitute_shape",
]

_ANONYMOUS = re.compile(r"[?#][A-Za-z_]*[0-9]+")
_BARE = re.compile(r"(?!(?:min|max)\b)[^\W\d]\w*")
_TOKEN = re.compile(
    rf"(?P<integer>[0-9]+)|(?P<anonymous>{_ANONYMOUS.pattern})|(?P<call>(?:min|max)\s*\()"
    rf"|(?P<name>{_BARE.pattern})|`(?P<quoted>(?:[^`]|``)+)`|(?P<sign>//|[-+*%(),])"
)


class _Atom(str):
    """Something a polynomial can't look into; it is its own canonical text, so it sorts fast."""

    __slots__ = ("kind", "least", "names", "operands")
    kind: str
    operands: tuple[Dim, ...]
    names: frozenset[str]
    least: int | None


# A product of atoms, sorted, each as often as its power. The empty product is the constant's.
_Monomial: TypeAlias = tuple[_Atom, ...]
_Terms: TypeAlias = tuple[tuple[_Monomial, int], ...]


_Result = TypeVar("_Result")


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
        if _ANONYMOUS.fullmatch(text):
            raise ShapeError(f"the name {text!r} is kept for lengths without a name; use another")
        return _single(_name_atom(text))

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
        return _single(_name_atom(f"{'#' if data else '?'}{prefix}{_numbers.take()}"))

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
        return {text: _single(_name_atom(text)) for text in self.names}

    @property
    def is_data_dependent(self) -> bool:
        """Whether the length is known only in the middle of a run."""
        return any(text[0] == "#" and _ANONYMOUS.fullmatch(text) for text in self.names)

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

    def __reduce__(self) -> tuple[Callable[[str], Dim], tuple[str]]:
        return parse_length, (str(self),)

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


class _Numbers:
    """Numbers for lengths without a name; no number is given twice, nor one already read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def take(self) -> int:
        with self._lock:
            self._last += 1
            return self._last

    def skip(self, number: int) -> None:
        with self._lock:
            self._last = max(self._last, number)


_numbers = _Numbers()


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


def is_static(shape: Iterable[Dim]) -> bool:
    """Tell whether every length is an integer.

    >>> is_static((3, 4)), is_static((name("batch"), 4))
    (True, False)
    """
    for dim in shape:
        if type(dim) is not int:
            return False
    return True


def evaluate(dim: Dim, bindings: Mapping[str, int]) -> int:
    """Give the integer that a length is under `bindings`.

    >>> evaluate(2 * name("batch") + 1, {"batch": 3})
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

    >>> substitute(name("batch") * name("time"), {"batch": 3})
    Length('3*time')
    """
    if isinstance(dim, int) or dim.names.isdisjoint(bindings):
        return dim
    return _replace(dim, bindings)


def substitute_shape(shape: Shape, bindings: Mapping[str, Dim]) -> Shape:
    """Put lengths in the place of names in every length of a shape.

    >>> substitute_shape((name("batch"), 4), {"batch": 3})
    (3, 4)
    """
    if is_static(shape):
        return shape
    return tuple([substitute(dim, bindings) for dim in shape])


def compare(a: Dim, b: Dim) -> bool | None:
    """Tell whether two lengths are equal; None if that can be known only later.

    >>> batch, time = name("batch"), name("time")
    >>> compare(batch, batch), compare(batch, batch + 1), compare(batch, time)
    (True, False, None)
    """
    if a == b:
        return True
    return False if isinstance(a - b, int) else None


class _Collector:
    """The context of `collecting`."""

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens: list[Token[list[tuple[Dim, Dim]] | None]] = []

    def __enter__(self) -> list[tuple[Dim, Dim]]:
        pairs: list[tuple[Dim, Dim]] = []
        self._tokens.append(_assumptions.set(pairs))
        return pairs

    def __exit__(self, *error: object) -> None:
        _assumptions.reset(self._tokens.pop())


_assumptions: ContextVar[list[tuple[Dim, Dim]] | None] = ContextVar("assumptions", default=None)


def collecting() -> _Collector:
    """Collect what `same` assumes inside the block, as a list of pairs.

    >>> with collecting() as pairs:
    ...     same(name("batch"), name("time"))
    True
    >>> pairs
    [(Length('batch'), Length('time'))]
    """
    return _Collector()


def same(a: Dim, b: Dim) -> bool:
    """Tell whether two lengths may be equal, and note the pair if that is only assumed.

    >>> same(name("batch"), name("batch") + 1)
    False
    """
    answer = compare(a, b)
    if answer is not None:
        return answer
    pairs = _assumptions.get()
    if pairs is not None:
        pairs.append((a, b))
    return True


def solve(declared: Dim, actual: int, bindings: dict[str, int]) -> bool | None:
    """Bind the one unbound name of `declared` so that it is `actual`; None if that must wait.

    >>> bindings = {}
    >>> solve(2 * name("batch") + 1, 7, bindings), bindings
    (True, {'batch': 3})
    """
    left = substitute(declared, bindings)
    if isinstance(left, int):
        return left == actual
    monomial, count = left._terms[0]
    rest = left - _length(((monomial, count),))
    if len(monomial) != 1 or monomial[0].kind != "name" or not isinstance(rest, int):
        return None
    value, remainder = divmod(actual - rest, count)
    if remainder or value < 0:
        return False
    (unbound,) = monomial[0].names
    bindings[unbound] = value
    return True


def parse_length(text: str) -> Dim:
    """Read a length from the text that `str` gives for it.

    >>> parse_length("(batch + 1)//2") == (name("batch") + 1) // 2
    True
    """
    values: list[Dim] = []
    # Signs and opened brackets that wait for their operands: which, where, how many values before.
    waiting: list[tuple[str, int, int]] = []
    wants_value = True
    for kind, token, position in _tokens(text):
        if (kind != "sign" or token in ("(", "-")) and wants_value:
            if kind == "call" or kind == "sign":
                waiting.append(("negate" if token == "-" else token, position, len(values)))
                continue
            values.append(_read_value(kind, token, text, position))
            wants_value = False
            continue
        if kind != "sign" or token == "(" or wants_value:
            _reject(text, position)
        binding = _BINDING.get(token, 0)
        while waiting and _BINDING.get(waiting[-1][0], -1) >= binding:
            _apply(waiting.pop(), values, text)
        if binding:
            waiting.append((token, position, len(values)))
            wants_value = True
            continue
        if not waiting or (token == "," and waiting[-1][0] == "("):
            _reject(text, position)
        wants_value = token == ","
        if wants_value:
            continue
        opened, _, before = waiting.pop()
        operands = values[before:]
        if opened != "(" and len(operands) < 2:
            _reject(text, position)
        values[before:] = [_extreme(opened, operands) if opened != "(" else operands[0]]
    while waiting and not wants_value and waiting[-1][0] in _BINDING:
        _apply(waiting.pop(), values, text)
    if waiting or wants_value:
        _reject(text, len(text))
    return values[0]


_BINDING = {"+": 1, "-": 1, "*": 2, "//": 2, "%": 2, "negate": 3}
_MEANING: dict[str, Callable[[Any, Any], Dim]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}


def _reject(text: str, position: int) -> NoReturn:
    found = repr(text[position]) if position < len(text) else "the end"
    raise ValueError(f"{text!r} is not a length: unexpected {found} at position {position}.")


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            _reject(text, position)
        kind, token = match.lastgroup, match[match.lastgroup]
        yield kind, token[:3] if kind == "call" else token, position
        position = match.end()


def _read_value(kind: str, token: str, text: str, position: int) -> Dim:
    if kind == "integer":
        return int(token)
    if kind == "anonymous":
        _numbers.skip(int(re.sub("[^0-9]", "", token)))
        return _single(_name_atom(token))
    called = token.replace("``", "`") if kind == "quoted" else token
    if _ANONYMOUS.fullmatch(called):
        _reject(text, position)
    return _single(_name_atom(called))


def _apply(sign: tuple[str, int, int], values: list[Dim], text: str) -> None:
    symbol, position, _ = sign
    right = values.pop()
    if symbol == "negate":
        values.append(-right)
        return
    if symbol in ("//", "%") and isinstance(right, int) and right == 0:
        _reject(text, position)
    values.append(_MEANING[symbol](values.pop(), right))


def _length(terms: _Terms) -> Length:
    length = object.__new__(Length)
    length._terms = terms
    length._hash = length._names = length._text = None
    return length


def _single(atom: _Atom) -> Length:
    return _length((((atom,), 1),))


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


def _terms_of(dim: Dim) -> _Terms:
    return dim._terms if isinstance(dim, Length) else (((), int(dim)),)


def _add(a: Length, b: Dim) -> Dim:
    total = dict(a._terms)
    for monomial, count in _terms_of(b):
        total[monomial] = total.get(monomial, 0) + count
    return _build(total)


def _multiply(a: Length, b: Dim) -> Dim:
    total: dict[_Monomial, int] = {}
    for left, left_count in a._terms:
        for right, right_count in _terms_of(b):
            monomial = tuple(sorted(left + right))
            total[monomial] = total.get(monomial, 0) + left_count * right_count
    return _build(total)


def _constant(dim: Dim) -> int:
    monomial, count = _terms_of(dim)[-1]
    return 0 if monomial else count


@lru_cache(maxsize=4096)
def _name_atom(text: str) -> _Atom:
    bare = (_BARE.fullmatch(text) and text.isidentifier()) or _ANONYMOUS.fullmatch(text)
    atom = _Atom(text if bare else "`" + text.replace("`", "``") + "`")
    atom.kind, atom.operands, atom.names, atom.least = "name", (), frozenset((text,)), 0
    return atom


def _compound(kind: str, operands: tuple[Dim, ...]) -> Length:
    if kind == "//":
        text = "//".join(_bracketed(dim) for dim in operands)
    else:
        text = f"{kind}({', '.join(map(str, operands))})"
    atom = _Atom(text)
    atom.kind, atom.operands = kind, operands
    atom.names = frozenset().union(*[dim.names for dim in operands if isinstance(dim, Length)])
    atom.least = _lower_of(kind, operands)
    return _single(atom)


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
    for monomial, count in _terms_of(dim):
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
    monomial, count = _terms_of(dim)[0]
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


def _lone(dim: Dim, kind: str) -> _Atom | None:
    """Give the atom of that kind, if the length is it plus something without another."""
    found = [
        monomial[0]
        for monomial, count in _terms_of(dim)
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
            rest = dim - _single(atom)
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
    common = set(_terms_of(kept[0])).intersection(*[_terms_of(dim) for dim in kept[1:]])
    shared = {monomial: count for monomial, count in common if monomial}
    shared[()] = max(constants) if kind == "max" else min(constants)
    outside = _build(shared)
    if outside != 0:
        return _extreme(kind, [dim - outside for dim in kept]) + outside
    return _compound(kind, tuple(sorted(kept, key=lambda dim: (isinstance(dim, int), str(dim)))))


def _divide(numerator: Dim, divisor: Dim) -> Dim:
    if isinstance(divisor, int) and divisor == 0:
        raise ZeroDivisionError(f"the length {numerator} divided by zero")
    if _terms_of(divisor)[0][1] < 0:
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
    terms = _terms_of(divisor)
    lead, size = terms[0]
    quotient: dict[_Monomial, int] = {}
    left = dict(_terms_of(numerator))
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
    above, below = _terms_of(numerator), _terms_of(divisor)
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
    return inner + (numerator - _single(atom)) * inner_divisor, inner_divisor * divisor


def _replace(length: Length, bindings: Mapping[str, Dim]) -> Dim:
    values: dict[_Atom, Dim] = {}
    waiting = _atoms(length)
    while waiting:
        atom = waiting[-1]
        needed = [inner for dim in atom.operands for inner in _atoms(dim) if inner not in values]
        if needed:
            waiting.extend(needed)
            continue
        waiting.pop()
        if atom not in values:
            values[atom] = _replace_atom(atom, values, bindings)
    return _expand(length, values)


def _replace_atom(atom: _Atom, values: dict[_Atom, Dim], bindings: Mapping[str, Dim]) -> Dim:
    if atom.kind == "name":
        (text,) = atom.names
        return bindings[text] if text in bindings else _single(atom)
    operands = [_expand(dim, values) for dim in atom.operands]
    if atom.kind != "//":
        return _extreme(atom.kind, operands)
    if isinstance(operands[1], int) and operands[1] == 0:
        bound = sorted(atom.names.intersection(bindings))
        given = ", ".join(f"{text} = {bindings[text]}" for text in bound)
        raise ShapeError(f"the length {atom} divides by zero where {given}.")
    return _divide(operands[0], operands[1])


def _atoms(dim: Dim) -> list[_Atom]:
    return [atom for monomial, _ in _terms_of(dim) for atom in monomial]


def _expand(dim: Dim, values: Mapping[_Atom, Dim]) -> Dim:
    total: Dim = 0
    for monomial, count in _terms_of(dim):
        product: Dim = count
        for atom in monomial:
            product = product * values[atom]
        total = total + product
    return total
