"""The reverse walk: from the cotangents of results to those of everything below them.

Adds nodes; computes nothing. Rules never undo broadcasting: the walk sums every contribution to
its operand's shape and gives it the operand's cotangent dtype.

A cotangent may carry a mask: the places where its node reaches the result at all. `where` and
indexing make masks, and an elementwise rule is then applied only inside, so that a branch not
taken contributes nothing, not even the NaN that 0 * inf would be. Sums and operations that move
elements hand the mask on; contractions and other reductions end it as plain zeros. Whether a
cotangent happens to be zero is never asked: second derivatives at a zero residual would vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..ir.graph import ancestors
from ..ir.op import Op, Trait
from ..ir.value import ITEM, Value, originating
from ..ops.arithmetic import astype, logical_and, logical_or, where, zeros_like
from ..ops.reduce import sum as sum_axes
from ..ops.shape import broadcast_to, reshape
from ..spec import Shape, Spec, cotangent_dtype

__all__ = [
    "Cotangent",
    "Mask",
    "active_nodes",
    "is_differentiable",
    "parts_of",
    "pull_back",
    "sum_to",
]


class Mask:
    """A boolean node that is built when first needed, from those of the masks it comes from."""

    __slots__ = ("_build", "_parents", "_value")

    def __init__(self, build: Callable[..., Value], *parents: Mask) -> None:
        self._build = build
        self._parents = parents
        self._value: Value | None = None

    @property
    def value(self) -> Value:
        """The boolean node."""
        # Masks of a long chain of choices hang on each other as deeply as the chain is long.
        stack = [self]
        while stack:
            mask = stack[-1]
            missing = [parent for parent in mask._parents if parent._value is None]
            if missing and mask._value is None:
                stack.extend(missing)
                continue
            stack.pop()
            if mask._value is None:
                mask._value = mask._build(*[parent._value for parent in mask._parents])
        result: Value = self._value  # type: ignore[assignment]
        return result


@dataclass(frozen=True, slots=True)
class Cotangent:
    """What flows back to a node, and where it may be anything but a plain zero."""

    value: Value
    mask: Mask | None = None


def is_differentiable(op: Op, operand: int) -> bool:
    """Whether a derivative flows from *op* to operand number *operand*."""
    if op is ITEM:
        return True
    rules = op.vjp
    if rules is None:
        return False
    return callable(rules) or rules[operand] is not None


def active_nodes(nodes: Sequence[Value], wrt: Sequence[Value]) -> set[int]:
    """Find, among ordered *nodes*, the ids of those that depend differentiably on *wrt*."""
    active = {id(node) for node in wrt}
    for node in nodes:
        if id(node) in active or node._stopped:
            continue
        for index, operand in enumerate(node.operands):
            if id(operand) in active and is_differentiable(node.op, index):
                active.add(id(node))
                break
    return active


def _broadcast_axes(wide: Shape, narrow: Shape) -> tuple[int, ...]:
    """List the axes of *wide* along which *narrow* was stretched to it."""
    extra = len(wide) - len(narrow)
    stretched = tuple(
        axis + extra
        for axis, length in enumerate(narrow)
        if length == 1 and wide[axis + extra] != 1
    )
    return (*range(extra), *stretched)


def sum_to(g: Value, spec: Spec) -> Value:
    """Sum a cotangent over the axes along which its operand was broadcast."""
    if g.spec.shape != spec.shape:
        axes = _broadcast_axes(g.spec.shape, spec.shape)
        g = reshape(sum_axes(g, axis=axes) if axes else g, spec.shape)
    return astype(g, cotangent_dtype(spec.dtype))


def _any_to(mask: Value, shape: Shape) -> Value:
    """Say of each element of a broadcast operand whether any of its copies is in the mask."""
    if mask.spec.shape == shape:
        return mask
    axes = _broadcast_axes(mask.spec.shape, shape)
    return reshape(sum_axes(mask, axis=axes) > 0 if axes else mask, shape)


def pull_back(
    outputs: Sequence[Value], seeds: Sequence[Value], wrt: Sequence[Value]
) -> list[Value | None]:
    """Give the cotangent of each node in *wrt*, or None where nothing differentiable leads to it.

    *seeds* are the cotangents of *outputs*, of their shapes and cotangent dtypes. Of nodes in *wrt*
    that depend on each other each gets its own whole cotangent, as if it were asked for alone.
    """
    nodes = ancestors(outputs)
    active = active_nodes(nodes, wrt)
    pending: dict[int, list[Cotangent]] = {}
    for output, seed in zip(outputs, seeds, strict=True):
        if id(output) in active:
            pending.setdefault(id(output), []).append(Cotangent(seed))
    targets = {id(node) for node in wrt}
    found: dict[int, Value] = {}
    partial: dict[int, dict[int, list[Cotangent]]] = {}
    for node in reversed(nodes):
        if node.several:
            results = partial.pop(id(node), None)
            if results is not None:
                with originating(node):
                    _pull_tuple(node, results, active, pending)
            continue
        contributions = pending.pop(id(node), None)
        if contributions is None:
            continue
        with originating(node):
            cotangent = _merged(contributions)
            if id(node) in targets:
                found[id(node)] = cotangent.value
            if node.op is ITEM:
                results = partial.setdefault(id(node.operands[0]), {})
                results.setdefault(node.attrs["index"], []).append(cotangent)
                continue
            for index, part in _contributions(node, cotangent, active):
                pending.setdefault(id(node.operands[index]), []).append(part)
    return [found.get(id(node)) for node in wrt]


def _merged(contributions: list[Cotangent]) -> Cotangent:
    """Add contributions up; their masks merge as a union, and no mask means everywhere."""
    total = contributions[0]
    for part in contributions[1:]:
        total = Cotangent(total.value + part.value, _union(total.mask, part.mask))
    return total


def _union(a: Mask | None, b: Mask | None) -> Mask | None:
    if a is None or b is None:
        return None
    return a if a is b else Mask(logical_or, a, b)


def _pull_tuple(
    node: Value,
    results: dict[int, list[Cotangent]],
    active: set[int],
    pending: dict[int, list[Cotangent]],
) -> None:
    count = len(node.spec)  # type: ignore[arg-type]
    if node.op.vjp is None or id(node) not in active:
        return
    cotangents = tuple(_merged(results[i]).value if i in results else None for i in range(count))
    wanted = [index for index, operand in enumerate(node.operands) if id(operand) in active]
    for index, part in parts_of(node, cotangents, wanted):
        operand = node.operands[index]
        if part is not None:
            pending.setdefault(id(operand), []).append(Cotangent(sum_to(part, operand.spec)))


def _contributions(
    node: Value, cotangent: Cotangent, active: set[int]
) -> list[tuple[int, Cotangent]]:
    """Apply the node's rules to its cotangent, for each operand that leads to a leaf asked for."""
    op = node.op
    wanted = [
        index
        for index, operand in enumerate(node.operands)
        if id(operand) in active and is_differentiable(op, index)
    ]
    if not wanted or node._stopped:
        return []
    masked = (
        cotangent.mask is not None
        and Trait.ELEMENTWISE in op.traits
        and Trait.LINEAR not in op.traits
    )
    result = []
    for index, part in parts_of(node, cotangent.value, wanted):
        if part is None:
            continue
        if masked:
            part = where(cotangent.mask.value, part, zeros_like(part))  # type: ignore[union-attr]
        mask = _moved_mask(node, index, cotangent.mask)
        result.append((index, Cotangent(sum_to(part, node.operands[index].spec), mask)))
    return result


def parts_of(
    node: Value, g: Value | tuple[Value | None, ...], wanted: Sequence[int]
) -> list[tuple[int, Value | None]]:
    """Apply the rules of the *wanted* operands."""
    rules = node.op.vjp
    if callable(rules):
        joint = rules(g, node, *node.operands, **node.attrs)
        return [(index, joint[index]) for index in wanted]  # type: ignore[index]
    return [
        (index, rules[index](g, node, *node.operands, **node.attrs))  # type: ignore[index, misc]
        for index in wanted
    ]


def _moved_mask(node: Value, index: int, mask: Mask | None) -> Mask | None:
    """Give the mask of an operand's cotangent, from that of its node's."""
    op, operand = node.op, node.operands[index]
    if Trait.ELEMENTWISE in op.traits:
        if op.support is not None:
            made = Mask(lambda: _support(node, index, node.spec.shape))
            mask = made if mask is None else Mask(logical_and, mask, made)
        if mask is None or operand.spec.shape == node.spec.shape:
            return mask
        return Mask(lambda wide: _any_to(wide, operand.spec.shape), mask)
    if mask is None:
        if op.support is None:
            return None
        return Mask(lambda: _support(node, index, operand.spec.shape))
    if op.support is None and Trait.MOVES_MASK not in op.traits:
        return None
    return Mask(lambda whole: _transposed(node, index, whole), mask)


def _support(node: Value, index: int, shape: Shape) -> Value:
    mask: Value = node.op.support(index, *node.operands, **node.attrs)  # type: ignore[misc, assignment]
    return broadcast_to(mask, shape)


def _transposed(node: Value, index: int, mask: Value) -> Value:
    """Send a mask through the transpose of a node that only moves elements."""
    part: Value = parts_of(node, mask, [index])[0][1]  # type: ignore[assignment]
    moved = part if part.spec.dtype.kind == "b" else part != 0
    return _any_to(moved, node.operands[index].spec.shape)
