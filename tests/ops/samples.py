"""Operands for operations that need particular shapes, dtypes or indices; grouped by family.

An entry maps an operation's name to a function that gives cases, each a list of operand arrays
and the attributes. Float operands come as float64; the tests convert them to other floats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Case = tuple[list[np.ndarray], dict[str, Any]]

SAMPLES: dict[str, Callable[[np.random.Generator], list[Case]]] = {}


def sample(*names: str):
    """Register the decorated function as the cases of operations."""

    def mark(cases: Callable[[np.random.Generator], list[Case]]):
        for name in names:
            SAMPLES[name] = cases
        return cases

    return mark


# Elementwise


@sample("ldexp")
def _ldexp(rng: np.random.Generator) -> list[Case]:
    return [
        ([rng.standard_normal((3, 4)), rng.integers(-3, 4, (3, 4))], {}),
        ([rng.standard_normal((3, 1)), rng.integers(-3, 4, 4)], {}),
        ([rng.standard_normal(()), np.asarray(2)], {}),
        ([rng.standard_normal((0, 4)), np.asarray(2)], {}),
    ]


@sample("where")
def _where(rng: np.random.Generator) -> list[Case]:
    condition = rng.random((3, 4)) < 0.5
    x, y = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    return [
        ([condition, x, y], {}),
        ([condition[0], x, y], {}),
        ([condition, x[0], y[:, :1]], {}),
        ([np.asarray(True), x, y], {}),
        ([condition[:1, :1], np.asarray(2.0), np.asarray(3.0)], {}),
        ([condition[:0], x[:0], y[:0]], {}),
    ]


# Shape


@sample("reshape")
def _reshape(rng: np.random.Generator) -> list[Case]:
    return [
        ([rng.standard_normal((3, 4))], {"shape": (2, 6)}),
        ([rng.standard_normal((1, 4))], {"shape": (4,)}),
        ([rng.standard_normal(())], {"shape": (1, 1)}),
        ([rng.standard_normal((0, 4))], {"shape": (2, 0)}),
    ]


@sample("permute")
def _permute(rng: np.random.Generator) -> list[Case]:
    return [
        ([rng.standard_normal((3, 4))], {"axes": (1, 0)}),
        ([rng.standard_normal((2, 3, 4))], {"axes": (1, 2, 0)}),
        ([rng.standard_normal(())], {"axes": ()}),
        ([rng.standard_normal((0, 4))], {"axes": (1, 0)}),
    ]


@sample("broadcast_to")
def _broadcast_to(rng: np.random.Generator) -> list[Case]:
    return [
        ([rng.standard_normal((1, 4))], {"shape": (3, 4)}),
        ([rng.standard_normal((4,))], {"shape": (2, 3, 4)}),
        ([rng.standard_normal(())], {"shape": (2, 3)}),
        ([rng.standard_normal((1, 4))], {"shape": (0, 4)}),
    ]


# Order and running totals


@sample("_take_order", "_put_order")
def _order(rng: np.random.Generator) -> list[Case]:
    table = rng.standard_normal((3, 4))
    row = rng.standard_normal(5)
    return [
        ([table, rng.standard_normal((3, 4)).argsort(1)], {"axis": 1}),
        ([table, rng.standard_normal((3, 4)).argsort(0)], {"axis": 0}),
        ([row, rng.standard_normal(5).argsort()], {"axis": 0}),
        ([table[:0], table[:0].argsort(1)], {"axis": 1}),
    ]


@sample("_recurrence")
def _recurrence(rng: np.random.Generator) -> list[Case]:
    a, b = rng.standard_normal((2, 3, 4))
    a[1, 2] = 0
    return [
        ([a, b], {"axis": 0, "reverse": False}),
        ([a, b], {"axis": 1, "reverse": True}),
        ([a[0], b[0]], {"axis": 0, "reverse": True}),
        ([a[:, :1], b[:, :1]], {"axis": 1, "reverse": False}),
        ([a[:0], b[:0]], {"axis": 0, "reverse": False}),
    ]


@sample("searchsorted")
def _searchsorted(rng: np.random.Generator) -> list[Case]:
    row, v = np.sort(rng.standard_normal(5)), rng.standard_normal((2, 3))
    return [
        ([row, v], {"side": "left"}),
        ([row, row], {"side": "right"}),
        ([row[:0], np.asarray(1.0)], {"side": "left"}),
    ]


@sample("_spread")
def _spread(rng: np.random.Generator) -> list[Case]:
    q = (0.0, 0.3, 1.0)
    return [
        ([rng.standard_normal((3, 2))], {"q": q, "length": 5}),
        ([rng.standard_normal(3)], {"q": q, "length": 1}),
        ([rng.standard_normal((3, 2))], {"q": q, "length": 0}),
        ([rng.standard_normal((3, 0))], {"q": q, "length": 4}),
    ]
