"""The headers that units are written on: which functions they have, and which of them code needs.

Knows the headers' text; knows nothing of programs.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

__all__ = ["NEAR", "OWN", "header", "needed_headers"]

# Each may use those before it.
_ALL = ("elementary", "exponential", "error", "trigonometric", "hyperbolic", "power")


@cache
def header(name: str) -> str:
    """Give the text of a header."""
    return files(__package__).joinpath(f"{name}.h").read_text(encoding="utf-8")


def _form(names: list[str]) -> re.Pattern[str]:
    return re.compile(rf"\b({'|'.join(names)})_\{{t\}}")


_CALLED = re.findall(r"^CALLED\w*\((\w+)\)", "\n".join(map(header, _ALL)), re.MULTILINE)

OWN = _form(_CALLED)
"""Functions, as forms have them, that can be called as ``called_...`` instead of inlined."""

NEAR = _form([name.removesuffix("_near") for name in _CALLED if name.endswith("_near")])
"""Functions, as forms have them, that have a quicker form for numbers near 0."""


@cache
def _defined(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"^(?:INLINE \w+|#define) (\w+)", header(name), re.MULTILINE))


@cache
def _used(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", header(name)))


def needed_headers(code: str) -> str:
    """Give the headers that define what code uses, in an order in which they can stand.

    >>> "sinh_double" in needed_headers("y = called_sinh_double(x);")
    True
    >>> "sinh_double" in needed_headers("y = x * x;")
    False
    """
    used = {word.removeprefix("called_") for word in re.findall(r"\w+", code)}
    needed = []
    for name in reversed(_ALL[1:]):
        if not used.isdisjoint(_defined(name)):
            needed.append(name)
            used |= _used(name)
    return "\n".join(map(header, (_ALL[0], *reversed(needed))))
