"""One node computed by its kernel, on arrays at hand. Knows no graph, no plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..lengths import Length, evaluate, solve
from ..spec import Spec
from .op import Array, Attrs, Trait, Writes
from .value import Value

__all__ = ["bind_lengths", "compute_node", "concrete_attrs"]

_NO_LENGTHS: Mapping[str, int] = {}


def compute_node(
    node: Value, operands: Sequence[Any], lengths: Mapping[str, int] = _NO_LENGTHS
) -> Any:
    """Run one node's kernel on arrays; several results come as a tuple.

    *lengths* gives the named lengths in its spec and attributes.
    """
    op = node.op
    # What says its own length only when it has run can't be told that length.
    shaped = Trait.DATA_SHAPED in op.traits
    attrs = node.attrs if shaped else concrete_attrs(node.attrs, lengths)
    if op.writes is not Writes.OUT:
        return op.kernel(*operands, **attrs)
    out = (
        tuple(_empty(spec, lengths) for spec in node.specs)
        if node.several
        else _empty(node.spec, lengths)
    )
    op.kernel(*operands, out=out, **attrs)
    return out


def _empty(spec: Spec, lengths: Mapping[str, int]) -> Array:
    return np.empty(tuple(evaluate(length, lengths) for length in spec.shape), spec.dtype)


def concrete_attrs(attrs: Attrs, lengths: Mapping[str, int]) -> Attrs:
    """Replace symbolic lengths in attributes by numbers."""
    return {name: _concrete(value, lengths) for name, value in attrs.items()}


def _concrete(value: Any, lengths: Mapping[str, int]) -> Any:
    if isinstance(value, Length):
        return evaluate(value, lengths)
    if type(value) is tuple:
        return tuple(_concrete(entry, lengths) for entry in value)
    return value


def bind_lengths(node: Value, results: Array | tuple[Array, ...], lengths: dict[str, int]) -> None:
    """Note the lengths that a node has shown by running."""
    specs: Any = node.spec
    pairs = (
        [(specs, results)] if isinstance(results, np.ndarray) else zip(specs, results, strict=True)
    )
    for spec, result in pairs:
        for declared, actual in zip(spec.shape, result.shape, strict=True):
            solve(declared, actual, lengths)
