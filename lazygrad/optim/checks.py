"""What a number given to an optimizer or a schedule may be. Knows numbers only."""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import index
from typing import TypeAlias

from lazygrad.errors import OptionError

__all__ = [
    "Check",
    "at_least_zero",
    "below_one",
    "count",
    "fractions",
    "more_than_zero",
    "number",
    "switch",
]

Check: TypeAlias = Callable[[str, object], object]
"""``(what, given)`` gives what was given as the number that it is, or raises an OptionError."""


def number(what: str, given: object) -> float:
    """Read one finite number."""
    try:
        found = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise OptionError(f"{what} must be a number, got {given!r:.60}.") from None
    if not math.isfinite(found):
        raise OptionError(f"{what} must be finite, got {found}.")
    return found


def at_least_zero(what: str, given: object) -> float:
    """Read a number that isn't negative."""
    found = number(what, given)
    if found < 0:
        raise OptionError(f"{what} must be at least 0, got {found:g}.")
    return found


def more_than_zero(what: str, given: object) -> float:
    """Read a positive number."""
    found = number(what, given)
    if found <= 0:
        raise OptionError(f"{what} must be more than 0, got {found:g}.")
    return found


def below_one(what: str, given: object) -> float:
    """Read a number of at least 0 and less than 1."""
    found = number(what, given)
    if not 0 <= found < 1:
        raise OptionError(f"{what} must be at least 0 and less than 1, got {found:g}.")
    return found


def fractions(what: str, given: object) -> tuple[float, float]:
    """Read two numbers of at least 0 and less than 1."""
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise OptionError(f"{what} must be two numbers, got {given!r:.60}.")
    return below_one(f"{what}[0]", given[0]), below_one(f"{what}[1]", given[1])


def switch(what: str, given: object) -> bool:
    """Read True or False."""
    if not isinstance(given, bool):
        raise OptionError(f"{what} must be True or False, got {given!r:.60}.")
    return given


def count(what: str, given: object, least: int = 1) -> int:
    """Read an integer of at least *least*."""
    try:
        found = index(given)  # type: ignore[arg-type]
    except TypeError:
        raise OptionError(f"{what} must be an integer, got {given!r:.60}.") from None
    if found < least:
        raise OptionError(f"{what} must be at least {least}, got {found}.")
    return found
