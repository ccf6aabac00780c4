"""Run a part of a graph for many inputs at once: each operation over one more leading axis.

What loops over basis vectors do one by one becomes a few large products. Adds nodes; computes
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ir.graph import ancestors
from ..ir.value import Value
from ..lengths import is_static
from ..ops.shape import broadcast_to

__all__ = ["LARGEST_BATCH", "batched"]

LARGEST_BATCH = 1 << 26
"""Bytes that one batched value may take; beyond, a loop is the better way."""


def batched(outputs: Sequence[Value], inputs: Mapping[Value, Value]) -> list[Value] | None:
    """Give *outputs* with each of *inputs* replaced by a node with one more leading axis.

    Every result has that axis. None where an operation has no rule, or a value would be too large.
    """
    lengths = {node.spec.shape[0] for node in inputs.values()}
    (count,) = lengths
    replaced: dict[int, Value] = {id(old): new for old, new in inputs.items()}
    for node in ancestors(outputs, stop=inputs):
        is_batched = [id(operand) in replaced for operand in node.operands]
        if id(node) in replaced or not any(is_batched):
            continue
        if node.op.batch is None or type(node.spec) is tuple or not is_static(node.spec.shape):
            return None
        operands = [replaced.get(id(operand), operand) for operand in node.operands]
        result = node.op.batch(is_batched, *operands, **node.attrs)
        if result is None or _bytes(result) > LARGEST_BATCH:
            return None
        replaced[id(node)] = result
    return [
        replaced[id(node)]
        if id(node) in replaced
        else broadcast_to(node, (count, *node.spec.shape))
        for node in outputs
    ]


def _bytes(node: Value) -> int:
    size = node.spec.dtype.itemsize
    for length in node.spec.shape:
        size *= length  # type: ignore[assignment]
    return size
