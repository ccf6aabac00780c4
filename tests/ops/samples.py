"""Operands for operations that need particular shapes, dtypes or indices; grouped by family.

An entry maps an operation's name to a function that gives cases, each a list of operand arrays
and the attributes. Float operands come as float64; the tests convert them to other floats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.lengths import Length

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


@sample("diagonal")
def _diagonal(rng: np.random.Generator) -> list[Case]:
    x = rng.standard_normal((3, 4, 2))
    return [
        ([x], {"offset": 0, "axis1": 0, "axis2": 1}),
        ([x], {"offset": 1, "axis1": 2, "axis2": 1}),
        ([x], {"offset": -5, "axis1": 0, "axis2": 1}),
        ([x[:0]], {"offset": 0, "axis1": 0, "axis2": 2}),
    ]


@sample("set_diagonal")
def _set_diagonal(rng: np.random.Generator) -> list[Case]:
    x = rng.standard_normal((2, 3))
    return [
        ([x], {"shape": (3, 4, 2), "offset": 0, "axis1": 0, "axis2": 1}),
        ([x], {"shape": (2, 4, 5), "offset": -1, "axis1": 1, "axis2": 2}),
        ([x[0]], {"shape": (5, 5), "offset": 2, "axis1": 0, "axis2": 1}),
        ([x[0, :0]], {"shape": (0, 5), "offset": 2, "axis1": 0, "axis2": 1}),
    ]


@sample("concatenate")
def _concatenate(rng: np.random.Generator) -> list[Case]:
    x, y = rng.standard_normal((3, 4)), rng.standard_normal((2, 4))
    return [
        ([x, y], {"axis": 0}),
        ([x, x, y[:0]], {"axis": 0}),
        ([x, x[:, :1], np.ones((3, 2), int)], {"axis": 1}),
        ([x], {"axis": 0}),
    ]


@sample("pad")
def _pad(rng: np.random.Generator) -> list[Case]:
    x = rng.standard_normal((3, 4))
    return [
        ([x], {"widths": ((1, 2), (0, 1)), "values": ((0, 0), (0, 0))}),
        ([x], {"widths": ((1, 2), (3, 1)), "values": ((1, 2), (3, 4))}),
        ([x[:0]], {"widths": ((1, 0), (0, 0)), "values": ((1, 2), (3, 4))}),
    ]


@sample("roll")
def _roll(rng: np.random.Generator) -> list[Case]:
    x = rng.standard_normal((3, 4))
    return [
        ([x], {"shifts": (1,), "axes": (0,)}),
        ([x], {"shifts": (-2, 8), "axes": (1, 0)}),
        ([x], {"shifts": (3,), "axes": (0,)}),
        ([x[:0]], {"shifts": (-2, 5), "axes": (1, 0)}),
    ]


@sample("triangle")
def _triangle(rng: np.random.Generator) -> list[Case]:
    x = rng.standard_normal((2, 3, 4))
    return [
        ([x[..., :rows, :]], {"k": k, "upper": upper})
        for rows, k, upper in [(3, 0, False), (3, 1, True), (3, -1, True), (0, 0, True)]
    ]


@sample("windows")
def _windows(rng: np.random.Generator) -> list[Case]:
    x = rng.standard_normal((2, 5, 6))
    return [
        ([x], {"axes": (1, 2), "window": (2, 3), "stride": (1, 1), "dilation": (1, 1)}),
        ([x], {"axes": (2, 1), "window": (2, 5), "stride": (2, 1), "dilation": (1, 1)}),
        ([x[:0]], {"axes": (1,), "window": (2,), "stride": (1,), "dilation": (2,)}),
    ]


@sample("sparse_windows")
def _sparse_windows(rng: np.random.Generator) -> list[Case]:
    x = rng.standard_normal((2, 5, 6))
    return [
        ([x], {"axes": (1, 2), "window": (2, 3), "stride": (3, 1), "dilation": (1, 2)}),
        ([x], {"axes": (2,), "window": (1,), "stride": (2,), "dilation": (1,)}),
    ]


@sample("overlap_add")
def _overlap_add(rng: np.random.Generator) -> list[Case]:
    x = rng.standard_normal((2, 4, 4, 2, 3))
    attrs = {"shape": (2, 5, 6), "axes": (1, 2), "window": (2, 3)}
    return [
        ([x], {**attrs, "stride": (1, 1), "dilation": (1, 1)}),
        ([x[:, :2, :2]], {**attrs, "stride": (3, 1), "dilation": (1, 2)}),
    ]


# Indexing


@sample("slice")
def _slice(rng: np.random.Generator) -> list[Case]:
    x = rng.standard_normal((3, 4))
    return [
        ([x], {"index": ((2, -1, 3), None, 1)}),
        ([x], {"index": ((0, 2, 2), (1, 1, 0))}),
        ([x], {"index": ((1, 1, 2), (0, 1, 4))}),
        ([x], {"index": (2, 3)}),
        ([x[0, 0]], {"index": (None,)}),
    ]


@sample("unslice")
def _unslice(rng: np.random.Generator) -> list[Case]:
    x = rng.standard_normal((3, 1, 4))
    return [
        ([x], {"index": ((4, -2, 3), None, 1, (0, 2, 4)), "shape": (5, 2, 8)}),
        ([x[0, 0, 0]], {"index": (1, 2), "shape": (2, 3)}),
        ([x[:0, 0]], {"index": ((0, 1, 0), (0, 1, 4)), "shape": (2, 4)}),
    ]


@sample("slice_set")
def _slice_set(rng: np.random.Generator) -> list[Case]:
    x, y = rng.standard_normal((3, 4)), rng.standard_normal((2, 1))
    return [
        ([x, y], {"index": ((2, -2, 2), None, 1)}),
        ([x, y[0, 0]], {"index": (1, 2)}),
        ([x, x[:0]], {"index": ((0, 1, 0), (0, 1, 4))}),
    ]


def _indices() -> list[tuple[tuple[int, ...], list[np.ndarray], dict[str, Any]]]:
    """Shapes of operands, integer operands, and the attributes that go with them."""
    rows, columns = np.array([2, 0, -1, 2]), np.array([1, 1, 3, 1])
    lone = {"axes": (0,), "place": 0, "unique": False}
    return [
        ((3, 4), [rows], lone),
        ((3, 4), [np.array([2, 0])], {**lone, "unique": True}),
        ((3, 4), [np.array([[3, -1], [0, 0]], np.int8)], {**lone, "axes": (1,), "place": 0}),
        ((2, 3, 4), [rows, columns], {"axes": (1, 2), "place": 1, "unique": False}),
        ((3, 2, 4), [rows[:, None], columns], {"axes": (0, 2), "place": 0, "unique": False}),
        ((3, 2, 4), [rows, np.array(1)], {"axes": (0, 1), "place": 1, "unique": False}),
        ((3, 4), [np.array(1)], {**lone, "unique": True}),
        ((3, 4), [rows[:0]], lone),
        ((200, 20), [np.arange(-150, 150) % 200 - 100], lone),
    ]


def _picked(shape: tuple[int, ...], indices: list[np.ndarray], attrs: dict[str, Any]) -> tuple:
    rest = [n for i, n in enumerate(shape) if i not in attrs["axes"]]
    broadcast = np.broadcast_shapes(*[index.shape for index in indices])
    return (*rest[: attrs["place"]], *broadcast, *rest[attrs["place"] :])


@sample("gather")
def _gather(rng: np.random.Generator) -> list[Case]:
    return [([rng.standard_normal(shape), *indices], attrs) for shape, indices, attrs in _indices()]


@sample("scatter_add")
def _scatter_add(rng: np.random.Generator) -> list[Case]:
    return [
        ([rng.standard_normal(_picked(shape, indices, attrs)), *indices], {**attrs, "shape": shape})
        for shape, indices, attrs in _indices()
    ]


@sample("scatter_set")
def _scatter_set(rng: np.random.Generator) -> list[Case]:
    return [
        (
            [
                rng.standard_normal(shape),
                rng.standard_normal(_picked(shape, indices, attrs)),
                *indices,
            ],
            {**attrs, "repeats": True},
        )
        for shape, indices, attrs in _indices()[:-1]
    ]


@sample("last_writes")
def _last_writes(rng: np.random.Generator) -> list[Case]:
    return [
        (indices, {"shape": shape, "axes": attrs["axes"], "place": attrs["place"]})
        for shape, indices, attrs in _indices()
    ]


@sample("gather_along")
def _gather_along(rng: np.random.Generator) -> list[Case]:
    x = rng.standard_normal((3, 4))
    return [
        ([x, rng.integers(-4, 4, (3, 7))], {"axis": 1}),
        ([x, rng.integers(-4, 4, (3, 1))], {"axis": 1}),
        ([x, rng.integers(0, 3, (2, 4))], {"axis": 0}),
        ([x, rng.integers(0, 3, (0, 4))], {"axis": 0}),
    ]


@sample("add_along")
def _add_along(rng: np.random.Generator) -> list[Case]:
    x = rng.standard_normal((3, 4))
    return [
        ([x, rng.integers(-5, 5, (3, 4))], {"axis": 1, "length": 5}),
        ([x[:, :1], rng.integers(-5, 5, (3, 1))], {"axis": 1, "length": 5}),
        ([x, rng.integers(0, 2, (3, 4))], {"axis": 0, "length": 2}),
    ]


@sample("nonzero")
def _nonzero(rng: np.random.Generator) -> list[Case]:
    length = {"length": Length.fresh(data=True)}
    return [([rng.random((3, 4)) < 0.5], length), ([rng.standard_normal(3)], length)]


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


# Products and linear algebra

# Their derivative is that along symmetric changes of the operand.
SYMMETRIC = {"cholesky", "eigh"}


@sample("cross")
def _cross(rng: np.random.Generator) -> list[Case]:
    return [
        ([rng.standard_normal(3), rng.standard_normal(3)], {}),
        ([rng.standard_normal((4, 3)), rng.standard_normal((2, 1, 3))], {}),
        ([rng.standard_normal((0, 3)), rng.standard_normal(3)], {}),
    ]


def _regular(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape) + 3 * np.eye(shape[-1])


_SQUARES = [(1, 1), (3, 3), (2, 3, 3), (0, 3, 3), (0, 0)]


@sample("inv", "det", "slogdet", "cofactor")
def _square(rng: np.random.Generator) -> list[Case]:
    return [([_regular(rng, *shape)], {}) for shape in _SQUARES]


@sample("cofactor_change")
def _cofactor_change(rng: np.random.Generator) -> list[Case]:
    return [([_regular(rng, *shape), rng.standard_normal(shape)], {}) for shape in _SQUARES]


@sample("solve")
def _solve(rng: np.random.Generator) -> list[Case]:
    shapes = [((3, 3), (3, 2)), ((2, 3, 3), (3, 1)), ((3, 3), (2, 3, 2)), ((0, 3, 3), (3, 2))]
    return [([_regular(rng, *a), rng.standard_normal(b)], {}) for a, b in shapes]


@sample("pinv")
def _pinv(rng: np.random.Generator) -> list[Case]:
    shapes = [(3, 3), (2, 4), (2, 4, 3), (0, 4, 3)]
    return [([rng.standard_normal(s)], {"rcond": None, "hermitian": False}) for s in shapes]


@sample("cholesky", "eigh")
def _positive(rng: np.random.Generator) -> list[Case]:
    factors = [rng.standard_normal(shape) for shape in _SQUARES]
    return [([a @ np.swapaxes(a, -1, -2) + np.eye(a.shape[-1])], {}) for a in factors]


@sample("svd")
def _svd(rng: np.random.Generator) -> list[Case]:
    return [([rng.standard_normal(s)], {}) for s in [(3, 3), (2, 3), (3, 2), (2, 3, 2), (0, 3, 2)]]


@sample("qr")
def _qr(rng: np.random.Generator) -> list[Case]:
    return [([rng.standard_normal(s)], {}) for s in [(1, 1), (3, 3), (3, 2), (2, 3, 2), (0, 3, 2)]]


# Loops


@sample("scan")
def _scan(rng: np.random.Generator) -> list[Case]:
    weight, start = lg.constant(rng.standard_normal(3)), rng.standard_normal(3)
    rows = rng.standard_normal((5, 3))

    def body(carry: lg.Value, row: lg.Value) -> tuple[lg.Value, lg.Value]:
        return lg.tanh(carry * weight + row), carry * row

    cases = []
    for reverse in (False, True):
        last, _ = lg.scan(body, start, rows, reverse=reverse)
        node = last.operands[0]
        cases.append(([np.asarray(operand) for operand in node.operands], node.attrs))
    return cases


@sample("add_patches")
def _add_patches(rng: np.random.Generator) -> list[Case]:
    cases = []
    for inner, outer, length in (
        (((2, 1),), ((3, 1),), 4),
        (((2, 4), (2, 1)), ((2, 4), (3, 1)), 12),
        (((2, 2),), ((2, 3),), 9),
        ((), ((3, 2),), 6),
    ):
        shape = (2, *(n for n, _ in inner), *(n for n, _ in outer))
        attrs = {"inner": inner, "outer": outer, "length": length}
        cases.append(([rng.standard_normal(shape)], attrs))
    return cases


@sample("sum_patches", "max_patches")
def _pooled(rng: np.random.Generator) -> list[Case]:
    return [
        ([rng.standard_normal((2, length))], {"inner": inner, "outer": outer})
        for inner, outer, length in (
            (((2, 1),), ((3, 1),), 4),
            (((2, 4), (2, 1)), ((2, 4), (3, 1)), 12),
            (((2, 1),), ((2, 3),), 6),
        )
    ]


@sample("max_share")
def _max_share(rng: np.random.Generator) -> list[Case]:
    return [
        ([rng.standard_normal((2, *(n for n, _ in attrs["outer"]))), x], attrs)
        for (x,), attrs in _pooled(rng)
    ]


@sample("max_gather")
def _max_gather(rng: np.random.Generator) -> list[Case]:
    return [([rng.standard_normal(x.shape), x], attrs) for (x,), attrs in _pooled(rng)]


# Random draws


@sample("random_draw")
def _random_draw(rng: np.random.Generator) -> list[Case]:
    counter = np.asarray(3, np.int64)
    rest = {"key": (0, 1), "distribution": "normal", "parameters": ()}
    return [
        ([counter], {"shape": shape, "dtype": np.dtype(dtype), **rest})
        for shape in ((3, 4), (), (0, 4))
        for dtype in (np.float64, np.float32)
    ]


# Control


@sample("with_update")
def _with_update(rng: np.random.Generator) -> list[Case]:
    return [
        ([rng.standard_normal(shape), rng.standard_normal(2), rng.standard_normal(2)], {})
        for shape in ((3, 4), (), (0, 4))
    ]


@sample("by_mode")
def _by_mode(rng: np.random.Generator) -> list[Case]:
    return [
        ([np.asarray(flag), rng.standard_normal(shape), rng.standard_normal(shape)], {})
        for flag in (True, False)
        for shape in ((3, 4), (), (0, 4))
    ]


@sample("within")
def _within(rng: np.random.Generator) -> list[Case]:
    return [
        ([rng.integers(0, 8, shape)], {"stop": 8, "what": "index"})
        for shape in ((3, 4), (), (0, 4))
    ]
