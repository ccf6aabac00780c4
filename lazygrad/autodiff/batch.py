"""Run a part of a graph for many inputs at once: each operation over one more leading axis.

What loops over basis vectors do one by one becomes a few large products. Adds nodes; computes
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..ir.graph import ancestors
from ..ir.value import ITEM, Value, item
from ..ops.shape import broadcast_to
from ..spec import Spec, TupleSpec

__all__ = ["LARGEST_BATCH", "batched"]

LARGEST_BATCH = 1 << 26
"""Bytes that one batched value may take; beyond, a loop is the better way."""


def batched(outputs: Sequence[Value], inputs: Mapping[Value, Value]) -> list[Value] | None:
    """Give *outputs* with each of *inputs* replaced by a node with one more leading axis.

    Every result has that axis. None where an operation has no rule, or a value would be too large.
    """
    count = next(iter(inputs.values())).spec.shape[0]
    replaced: dict[int, Value] = {id(old): new for old, new in inputs.items()}
    for node in ancestors(outputs, stop=inputs):
        is_batched = [id(operand) in replaced for operand in node.operands]
        if id(node) in replaced or not any(is_batched):
            continue
        operands = [replaced.get(id(operand), operand) for operand in node.operands]
        result = _batched_node(node, is_batched, operands)
        if result is None or _bytes(result) > LARGEST_BATCH:
            return None
        replaced[id(node)] = result
    return [
        replaced[id(node)]
        if id(node) in replaced
        else broadcast_to(node, (count, *node.spec.shape))
        for node in outputs
    ]


def _batched_node(
    node: Value, is_batched: Sequence[bool], operands: Sequence[Value]
) -> Value | None:
    if node.op is ITEM:
        return item(operands[0], node.attrs["index"])
    if node.op.batch is None or not all(spec.is_static for spec in _specs(node)):
        return None
    return node.op.batch(is_batched, *operands, **node.attrs)


def _specs(node: Value) -> tuple[Spec, ...]:
    spec: Spec | TupleSpec = node.spec
    return spec if isinstance(spec, tuple) else (spec,)


def _bytes(node: Value) -> int:
    lengths = [(spec.dtype.itemsize, *spec.shape) for spec in _specs(node)]
    return sum(int(math.prod(each)) for each in lengths)
