"""Reading a length from its text, by Python's precedence.

Holds the tokens and the parser; what a length's text is, the algebra decides. Must not know how
canonical forms come about or how names are bound.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from .algebra import Dim, combine, recall
from .names import ANONYMOUS, BARE

__all__ = ["parse_length"]

_TOKEN = re.compile(
    rf"(?P<integer>[0-9]+)|(?P<anonymous>{ANONYMOUS.pattern})|(?P<call>(?:min|max)\s*\()"
    rf"|(?P<name>{BARE.pattern})|`(?P<quoted>(?:[^`]|``)+)`|(?P<sign>//|[-+*%(),])"
)

_BINDING = {"+": 1, "-": 1, "*": 2, "//": 2, "%": 2, "negate": 3}
_MEANING: dict[str, Callable[[Any, Any], Dim]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}


def parse_length(text: str) -> Dim:
    """Read a length from the text that `str` gives for it.

    >>> 2 * parse_length("(batch + 1)//2")
    Length('2*((batch + 1)//2)')
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
        values[before:] = [combine(opened, operands) if opened != "(" else operands[0]]
    while waiting and not wants_value and waiting[-1][0] in _BINDING:
        _apply(waiting.pop(), values, text)
    if waiting or wants_value:
        _reject(text, len(text))
    return values[0]


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
    if kind != "quoted":
        return recall(token)
    called = token.replace("``", "`")
    if ANONYMOUS.fullmatch(called):
        _reject(text, position)
    return recall(called)


def _apply(sign: tuple[str, int, int], values: list[Dim], text: str) -> None:
    symbol, position, _ = sign
    right = values.pop()
    if symbol == "negate":
        values.append(-right)
        return
    if symbol in ("//", "%") and isinstance(right, int) and right == 0:
        _reject(text, position)
    values.append(_MEANING[symbol](values.pop(), right))
