"""The plain interpreter: each node computed by its kernel, nothing shared, nothing planned.

The oracle that compiled programs are tested against, and what folds constants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..ir.cell import Cell
from ..ir.compute import bind_lengths, compute_node
from ..ir.graph import Graph
from ..ir.op import Array, Trait
from ..ir.value import CONSTANT, LENGTH, VARIABLE
from ..lengths import evaluate

__all__ = ["compute_node", "interpret"]

_NO_LENGTHS: Mapping[str, int] = {}
_NOTHING_HELD: Mapping[int, Array] = {}


def interpret(
    graph: Graph,
    feeds: Mapping[str, Array],
    lengths: Mapping[str, int] = _NO_LENGTHS,
    held: Mapping[int, Array] = _NOTHING_HELD,
    compute: Callable[..., Any] = compute_node,
) -> list[Any]:
    """Compute a graph's outputs from arrays by name; *lengths* gives the named lengths.

    *held* gives, by the id of their cells, arrays that stand for variables' own; *compute* runs a
    node, as `compute_node` does.
    """
    known: dict[int, Any] = {}
    lengths = dict(lengths)
    for node in graph.nodes:
        if node.op is CONSTANT:
            known[id(node)] = node.attrs["value"]
        elif node.op is VARIABLE:
            cell: Cell = node.cell  # type: ignore[assignment]
            known[id(node)] = held.get(id(cell), cell.array)
        elif node.op is LENGTH:
            known[id(node)] = np.asarray(evaluate(node.attrs["length"], lengths), node.spec.dtype)
        elif not node.operands and node.name in feeds:
            known[id(node)] = np.asarray(feeds[str(node.name)], node.spec.dtype)
        else:
            operands = [known[id(operand)] for operand in node.operands]
            known[id(node)] = compute(node, operands, lengths)
            if Trait.DATA_SHAPED in node.op.traits:
                bind_lengths(node, known[id(node)], lengths)
    return [known[id(node)] for node in graph.outputs]
