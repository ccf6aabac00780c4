"""Lengths of axes: integers, and canonical polynomials over names that are bound later.

Must not know of arrays, specs, nodes or programs; of lazygrad it imports nothing but its errors.
"""

from .algebra import Dim, Length, Shape, fresh, maximum, minimum, name
from .assumptions import collecting, compare, same
from .binding import evaluate, is_static, solve, substitute, substitute_shape
from .text import parse_length

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
