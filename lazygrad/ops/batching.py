"""How operations run over operands with one more leading axis, the batch: rules that many share.

Each function here makes, for the operation of a name, the rule `batch` of its record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ..ir.op import call as call_public, lookup
from ..ir.value import Value, apply
from ..lengths import Dim

__all__: list[str] = []

BatchRule: TypeAlias = "Callable[..., Value | None]"
Attr: TypeAlias = Any
"""The value of an attribute."""
Flags: TypeAlias = "Sequence[bool]"
"""For each operand, whether it has the batch axis."""


def batch_length(is_batched: Flags, xs: Sequence[Value]) -> Dim:
    """Give the length of the batch axis."""
    return next(x.spec.shape[0] for x, batched in zip(xs, is_batched, strict=True) if batched)


def repeated(is_batched: Flags, xs: Sequence[Value]) -> list[Value]:
    """Give every operand the batch axis: those without it are the same throughout."""
    count = batch_length(is_batched, xs)
    return [
        x if batched else call_public("broadcast_to", x, (count, *x.spec.shape))
        for x, batched in zip(xs, is_batched, strict=True)
    ]


def aligned(is_batched: Flags, xs: Sequence[Value]) -> list[Value]:
    """Put axes of length 1 behind the batch axis of operands of lower rank: so all broadcast."""
    ranks = [x.ndim - batched for x, batched in zip(xs, is_batched, strict=True)]
    return [
        call_public("reshape", x, (x.spec.shape[0], *(1,) * missing, *x.spec.shape[1:]))
        if batched and missing
        else x
        for x, batched, missing in zip(
            xs, is_batched, [max(ranks) - rank for rank in ranks], strict=True
        )
    ]


def batch_by_broadcasting(name: str) -> BatchRule:
    """Rule of an operation whose operands broadcast in all axes but perhaps the last ones."""

    def rule(is_batched: Flags, *xs: Value, **attrs: Attr) -> Value:
        return apply(lookup(name), *aligned(is_batched, xs), **attrs)

    return rule


def batch_by_shifting(name: str) -> BatchRule:
    """Rule of an operation whose attributes name axes, counted from the first, or a shape.

    The axes lie one further on, and the shape begins with the batch.
    """

    def rule(is_batched: Flags, *xs: Value, **attrs: Attr) -> Value:
        count = batch_length(is_batched, xs)
        shifted = {key: _shifted(key, value, count) for key, value in attrs.items()}
        return apply(lookup(name), *repeated(is_batched, xs), **shifted)

    return rule


def _shifted(key: str, value: Attr, count: Dim) -> Attr:
    if key in ("axis", "axis1", "axis2", "place"):
        return value + 1
    if key == "axes":
        return tuple(axis + 1 for axis in value)
    return (count, *value) if key == "shape" else value


def batch_by_repeating(name: str) -> BatchRule:
    """Rule of an operation on the last axes, which needs all the others alike in its operands."""

    def rule(is_batched: Flags, *xs: Value, **attrs: Attr) -> Value:
        return apply(lookup(name), *repeated(is_batched, xs), **attrs)

    return rule
