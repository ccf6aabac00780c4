"""The forward walk: from the tangents of leaves to those of results.

Adds nodes; computes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ir.graph import ancestors
from ..ir.op import Trait
from ..ir.value import ITEM, Value, constant, originating, with_gradients
from ..ops.arithmetic import astype
from ..ops.shape import broadcast_to
from ..spec import cotangent_dtype
from .reverse import active_nodes, is_differentiable, parts_of, pull_back, sum_to

__all__ = ["Tangents", "push_forward"]

Tangents = Sequence["Value | None"]


def push_forward(
    outputs: Sequence[Value], wrt: Sequence[Value], tangents: Sequence[Value]
) -> list[Value | None]:
    """Give the tangent of each output, or None where it doesn't depend on *wrt*.

    *tangents* are those of *wrt*, of their shapes and cotangent dtypes. The tangent of a node in
    *wrt* that depends on others in *wrt* is added to what flows to it from them.
    """
    nodes = ancestors((*outputs, *wrt))
    active = active_nodes(nodes, wrt)
    known: dict[int, Value] = {}
    for node, tangent in zip(wrt, tangents, strict=True):
        known[id(node)] = known[id(node)] + tangent if id(node) in known else tangent
    depending = _depending(nodes, active)
    several: dict[int, Tangents | None] = {}
    for node in nodes:
        if id(node) not in depending:
            continue
        with originating(node):
            if node.several:
                several[id(node)] = _joint(node, known)  # type: ignore[assignment]
                continue
            found = _item(node, several) if node.op is ITEM else _tangent(node, known)
            if found is None:
                continue
            found = astype(broadcast_to(found, node.spec.shape), cotangent_dtype(node.spec.dtype))
            known[id(node)] = known[id(node)] + found if id(node) in known else found
    return [known.get(id(output)) for output in outputs]


def _depending(nodes: Sequence[Value], active: set[int]) -> set[int]:
    """Find the active nodes to which a tangent flows from an operand."""
    return {
        id(node)
        for node in nodes
        if id(node) in active
        and not node._stopped
        and any(id(operand) in active for operand in node.operands)
    }


def _item(node: Value, several: dict[int, Tangents | None]) -> Value | None:
    tangents = several.get(id(node.operands[0]))
    return None if tangents is None else tangents[node.attrs["index"]]


def _joint(node: Value, known: dict[int, Value]) -> Value | Tangents | None:
    tangents = tuple(
        known.get(id(operand)) if is_differentiable(node.op, index) else None
        for index, operand in enumerate(node.operands)
    )
    if all(tangent is None for tangent in tangents):
        return None
    if node.op.jvp is None:
        return _from_reverse(node, tangents)
    return node.op.jvp(tangents, node, *node.operands, **node.attrs)  # type: ignore[operator]


def _tangent(node: Value, known: dict[int, Value]) -> Value | None:
    rules = node.op.jvp
    if rules is None or callable(rules):
        return _joint(node, known)  # type: ignore[return-value]
    total: Value | None = None
    for index, operand in enumerate(node.operands):
        tangent = known.get(id(operand))
        if tangent is None or not is_differentiable(node.op, index):
            continue
        if Trait.ELEMENTWISE in node.op.traits:
            tangent = broadcast_to(tangent, node.spec.shape)
        part = rules[index](tangent, node, *node.operands, **node.attrs)  # type: ignore[misc]
        if part is not None:
            total = part if total is None else total + part
    return total


def _from_reverse(node: Value, tangents: Tangents) -> Value | Tangents | None:
    """Push tangents through an operation that states its reverse rule only.

    Its cotangents are linear in *u*, the cotangent of the result, and the transpose of that map is
    the tangent map, whatever *u* is.
    """
    is_tuple = node.several
    specs = node.spec if is_tuple else (node.spec,)
    starts = [
        broadcast_to(constant(0.0, dtype=cotangent_dtype(spec.dtype)), spec.shape)
        for spec in specs  # type: ignore[union-attr]
    ]
    moved = [index for index, tangent in enumerate(tangents) if tangent is not None]
    with with_gradients():
        parts = parts_of(node, tuple(starts) if is_tuple else starts[0], moved)
        pairs = [
            (sum_to(part, node.operands[index].spec), tangents[index])
            for index, part in parts
            if part is not None
        ]
    found = pull_back(
        [part for part, _ in pairs],
        [tangent for _, tangent in pairs],  # type: ignore[misc]
        starts,
    )
    return found if is_tuple else found[0]
