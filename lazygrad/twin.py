"""The unoptimised twin of a program: computed node by node beside it, and compared.

Passes, fusion and compiled code may change the rounding of a result, and nothing else. Knows graphs
and the plain interpreter; is told how to run what it is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .backends.interpreter import interpret
from .errors import MiscompileError
from .ir.cell import Cell
from .ir.describe import describe, label
from .ir.graph import Graph
from .ir.op import Array, Trait
from .ir.value import Value

__all__ = ["Twin"]

# Of what is read, in units of the coarsest dtype's last place; and how often that is tried.
_NOISE = 16
_TRIES = 3


class Twin:
    """Computes what a program should give.

    Parameters
    ----------
    graph
        The graph before any pass: first the results, then the new values of `updated`.
    updated
        The cells that a run writes.
    cells
        All cells that it reads or writes.
    """

    def __init__(self, graph: Graph, updated: Sequence[Cell], cells: Sequence[Cell]) -> None:
        self.graph = graph
        self.updated = updated
        self.cells = list({id(cell): cell for cell in (*updated, *cells)}.values())

    def check(
        self,
        feeds: Mapping[str, Array],
        lengths: Mapping[str, int],
        run: Callable[[], tuple[Any, ...]],
        compiled: Callable[[Sequence[Value]], Sequence[Any]],
    ) -> tuple[Any, ...]:
        """Run a program and its twin from the same state; give the program's results.

        *compiled* gives the values of nodes as a program of theirs computes them. Raises
        MiscompileError, with all state as it was, where a result or an update differs.
        """
        before = [cell.array.copy() for cell in self.cells]
        held = dict(zip(map(id, self.cells), before, strict=True))
        given = {name: array.copy() for name, array in feeds.items()}
        with np.errstate(all="ignore"):
            expected = interpret(self.graph, given, lengths, held)
        results = run()
        found = [*results, *(cell.array for cell in self.updated)]
        if all(_agree(a, b) for a, b in zip(found, expected, strict=True)):
            return results
        sway = self._sway(self.graph, given, lengths, held, expected)
        if all(_agree(a, b, s) for a, b, s in zip(found, expected, sway, strict=True)):
            return results
        for cell, array in zip(self.cells, before, strict=True):
            cell.array[...] = array
            cell.written()
        node, a, b = self._first(given, lengths, held, compiled, found, expected, sway)
        for cell, array in zip(self.cells, before, strict=True):
            cell.array[...] = array
        raise MiscompileError(_told(node, np.asarray(a), np.asarray(b)))

    def _first(
        self,
        feeds: Mapping[str, Array],
        lengths: Mapping[str, int],
        held: Mapping[int, Array],
        compiled: Callable[[Sequence[Value]], Sequence[Any]],
        found: Sequence[Any],
        expected: Sequence[Any],
        sway: Sequence[Array],
    ) -> tuple[Value, Any, Any]:
        """Give the first node whose value differs, and both values."""
        nodes = [
            node
            for node in self.graph.nodes
            if Trait.LEAF not in node.op.traits and not node.several
        ]
        with np.errstate(all="ignore"):
            plain = interpret(Graph(nodes), feeds, lengths, held)
        own = self._sway(Graph(nodes), feeds, lengths, held, plain)
        for node, a, b, width in zip(nodes, compiled(nodes), plain, own, strict=True):
            if not _agree(a, b, width):
                return node, a, b
        # Only where nothing looks at the values in between.
        four = zip(self.graph.outputs, found, expected, sway, strict=True)
        return next((node, a, b) for node, a, b, width in four if not _agree(a, b, width))

    def _sway(
        self,
        graph: Graph,
        feeds: Mapping[str, Array],
        lengths: Mapping[str, int],
        held: Mapping[int, Array],
        values: Sequence[Any],
    ) -> list[Array]:
        """Tell how far rounding may carry values: how far small changes of all that is read do."""
        floats = [n.spec.dtype for n in graph.nodes if not n.several and n.spec.dtype.kind == "f"]
        steps = (float(np.finfo(dtype).eps) for dtype in floats)  # type: ignore[type-var]
        noise = _NOISE * max(steps, default=0.0)
        rng = np.random.default_rng(0)

        def changed(array: Array) -> Array:
            if array.dtype.kind != "f":
                return array
            moved: Array = array * (1 + noise * rng.standard_normal(array.shape))
            return np.asarray(moved, array.dtype)

        sway = [np.zeros(np.shape(value)) for value in values]
        for _ in range(_TRIES):
            near = {name: changed(array) for name, array in feeds.items()}
            cells = {key: changed(array) for key, array in held.items()}
            with np.errstate(all="ignore"):
                others = interpret(graph, near, lengths, cells)
                for width, value, other in zip(sway, values, others, strict=True):
                    if np.asarray(value).dtype.kind == "f" and np.shape(value) == np.shape(other):
                        np.fmax(width, np.abs(np.subtract(value, other, dtype=float)), out=width)
        return sway


def _agree(found: Any, expected: Any, sway: Array | float = 0.0) -> bool:
    """Whether values differ by no more than rounding may.

    That is half the digits, at the array's size, and several times its *sway*.
    """
    a, b = np.asarray(found), np.asarray(expected)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if b.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    # A stable form may be finite where the plain one overflows.
    is_mended = np.isfinite(a) & ~np.isfinite(b)
    same = (a == b) | (np.isnan(a) & np.isnan(b)) | is_mended
    size = np.abs(b[np.isfinite(b)]).max(initial=0)
    with np.errstate(all="ignore"):
        near = np.abs(a - b) <= np.sqrt(np.finfo(b.dtype).eps) * size + 100 * np.max(
            sway, initial=0
        )
    return bool((same | near).all())


def _told(node: Value, found: Array, expected: Array) -> str:
    text = f"{label(node)} is not what its expression says.\n  {describe(node)}"
    if found.shape == expected.shape:
        with np.errstate(all="ignore"):
            wrong = ~((found == expected) | (np.isnan(found) & np.isnan(expected)))
        place = tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.any() else ()
        at = f" at {list(place)}" if place else ""
        text += f"\n  {found[place]!s} instead of {expected[place]!s}{at}"
    return text + "\n  All state is as it was before the call."
