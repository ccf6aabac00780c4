"""Derivatives as users ask for them: grad, vjp, jvp and products with the Hessian.

Each gives ordinary nodes, so it can be differentiated again, compiled, drawn and fed by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import DisconnectedError, DTypeError, OptionError, ShapeError
from ..ir.describe import describe, label, worded
from ..ir.value import Value, as_value, constant, originating, with_gradients
from ..lengths import same
from ..ops.arithmetic import astype
from ..ops.shape import broadcast_to
from ..spec import Spec, cotangent_dtype, format_shape
from .forward import push_forward
from .reverse import pull_back

__all__ = [
    "Leaves",
    "Structured",
    "differentiable",
    "filled",
    "flatten",
    "grad",
    "hvp",
    "jvp",
    "matched",
    "seed_for",
    "unflatten",
    "value_and_grad",
    "vjp",
]

Leaves: TypeAlias = "Value | Sequence[Value] | Mapping[Any, Value]"
"""One node, several, or several by name; a result per node comes in the same structure."""


Structured: TypeAlias = Any
"""A node, or a list, tuple or dict of nodes: the structure of what was asked for."""


def flatten(nodes: Leaves, what: str) -> list[Value]:
    """List the nodes of one node, a sequence or a mapping."""
    if isinstance(nodes, Value):
        return [nodes]
    if not isinstance(nodes, Iterable):
        raise OptionError(f"{what} must be a node or several, got {type(nodes).__name__}.")
    found = list(nodes.values()) if isinstance(nodes, Mapping) else list(nodes)
    for node in found:
        if not isinstance(node, Value):
            raise OptionError(f"{what} must be nodes, got {type(node).__name__}.")
    return found


def unflatten(nodes: Leaves, values: Sequence[Value]) -> Structured:
    """Give *values* the structure of *nodes*."""
    if isinstance(nodes, Value):
        return values[0]
    if isinstance(nodes, Mapping):
        return dict(zip(nodes, values, strict=True))
    return tuple(values) if type(nodes) is tuple else list(values)


def matched(nodes: Leaves, count: int, given: object, what: str) -> list[object]:
    """List what was *given* for each of *nodes*, in their order: by key where they have keys."""
    if isinstance(nodes, Value):
        return [given]
    if isinstance(nodes, Mapping):
        if not isinstance(given, Mapping) or given.keys() != nodes.keys():
            came = list(given) if isinstance(given, Mapping) else type(given).__name__
            raise OptionError(f"{what} need the keys {list(nodes)}, got {came}.")
        return [given[key] for key in nodes]
    if isinstance(given, (Value, Mapping)) or not isinstance(given, Iterable):
        raise OptionError(f"{what} must be a sequence of {count}, got {type(given).__name__}.")
    listed = list(given)
    if len(listed) != count:
        raise OptionError(f"{what} must be one for each of {count} nodes, got {len(listed)}.")
    return listed


def filled(spec: Spec, number: float) -> Value:
    """Give a node of *spec*'s shape and cotangent dtype that holds one number everywhere."""
    return broadcast_to(constant(number, dtype=cotangent_dtype(spec.dtype)), spec.shape)


def _zeros_from(origin: Value, spec: Spec) -> Value:
    """Give the zeros of a derivative of *origin*, which knows what may be fed."""
    with originating(origin):
        return filled(spec, 0.0)


def seed_for(node: Value, seed: object, what: str) -> Value:
    """Read a user's cotangent or tangent for *node*: its shape, its cotangent dtype."""
    given = as_value(seed)
    shape, came = node.spec.shape, given.spec.shape
    if len(shape) != len(came) or not all(map(same, shape, came)):
        raise ShapeError(
            f"the {what} of {label(node)} must have its shape, {format_shape(shape)},"
            f" got {format_shape(came)}.\n  {label(node)}: {describe(node)}"
        )
    return astype(given, cotangent_dtype(node.spec.dtype))


def differentiable(node: Value) -> Value:
    """Give *node* if it holds numbers; raise a DTypeError if bools or several results."""
    if node.several or node.spec.dtype.kind == "b":
        raise DTypeError(f"a {node.spec} has no derivative.\n  {label(node)}: {describe(node)}")
    return node


@worded
def vjp(outputs: Leaves, wrt: Leaves, cotangents: object, *, unused: str = "raise") -> Structured:
    """Pull cotangents of *outputs* back to *wrt*.

    Parameters
    ----------
    outputs, cotangents
        Nodes, one or several, and for each a node or array of its shape.
    wrt
        Nodes, one, a sequence or a mapping; the result has its structure. Where they depend on
        each other, each gets its whole derivative, as if it were asked for alone.
    unused
        ``"raise"`` refuses a node that the outputs don't depend on differentiably with a
        DisconnectedError; ``"zero"`` gives zeros for it.

    >>> x = Value([1.0, 2.0])
    >>> vjp(x * x, x, [1.0, 10.0])
    Value(data=[ 2. 40.], grad=None)
    """
    if unused not in ("raise", "zero"):
        raise OptionError(f'unused must be "raise" or "zero", got {unused!r}.')
    results = [differentiable(node) for node in flatten(outputs, "outputs")]
    leaves = [differentiable(leaf) for leaf in flatten(wrt, "wrt")]
    given = matched(outputs, len(results), cotangents, "cotangents")
    seeds = [seed_for(node, seed, "cotangent") for node, seed in zip(results, given, strict=True)]
    found = pull_back(results, seeds, leaves)
    lost = [leaf for leaf, g in zip(leaves, found, strict=True) if g is None]
    if lost and unused == "raise":
        rows = "\n".join(f"  {label(leaf)}: {describe(leaf)}" for leaf in lost)
        raise DisconnectedError(
            f"{' and '.join(label(node) for node in results)} doesn't depend on"
            f" {', '.join(label(leaf) for leaf in lost)} through differentiable operations;"
            f' with unused="zero", grad gives zeros instead.\n{rows}'
        )
    return unflatten(
        wrt,
        [
            _zeros_from(results[0], leaf.spec) if g is None else g
            for leaf, g in zip(leaves, found, strict=True)
        ],
    )


@worded
def grad(y: Value, wrt: Leaves, *, seed: object = None, unused: str = "raise") -> Structured:
    """Differentiate *y* with respect to *wrt*; of an array, the gradient of its sum.

    The result has the structure of *wrt* and is made of nodes. *seed* replaces the ones that
    start the walk; *unused* is as in `vjp`.

    >>> x = Value(3.0)
    >>> grad(x * x, x)
    Value(data=6.0, grad=None)
    """
    if not isinstance(y, Value):
        raise OptionError(f"grad: y must be a node, got {type(y).__name__}.")
    start = filled(differentiable(y).spec, 1.0) if seed is None else seed
    return vjp(y, wrt, start, unused=unused)


@worded
def value_and_grad(y: Value, wrt: Leaves, *, unused: str = "raise") -> tuple[Value, Structured]:
    """Give *y* together with its gradient.

    >>> x = Value(3.0)
    >>> value_and_grad(x * x, x)
    (Value(data=9.0, grad=None), Value(data=6.0, grad=None))
    """
    return y, grad(y, wrt, unused=unused)


@worded
def jvp(outputs: Leaves, wrt: Leaves, tangents: object) -> Structured:
    """Push tangents of *wrt* forward to *outputs*, whose structure the result has.

    True forward mode: one walk, no reverse pass. An output that doesn't depend on *wrt* has
    tangent zero.

    >>> x = Value([1.0, 2.0])
    >>> jvp(x * x, x, [1.0, 10.0])
    Value(data=[ 2. 40.], grad=None)
    """
    results = [differentiable(node) for node in flatten(outputs, "outputs")]
    leaves = [differentiable(leaf) for leaf in flatten(wrt, "wrt")]
    given = matched(wrt, len(leaves), tangents, "tangents")
    directions = [seed_for(leaf, t, "tangent") for leaf, t in zip(leaves, given, strict=True)]
    found = push_forward(results, leaves, directions)
    return unflatten(
        outputs,
        [
            _zeros_from(node, node.spec) if t is None else t
            for node, t in zip(results, found, strict=True)
        ],
    )


@worded
def hvp(y: Value, wrt: Leaves, vectors: object, *, unused: str = "raise") -> Structured:
    """Multiply the Hessian of *y* with *vectors*, without forming it (Pearlmutter 1994).

    Forward mode over reverse mode: the tangent of the gradient along *vectors*. *unused* is as in
    `vjp`.

    >>> x = Value([1.0, 2.0])
    >>> hvp((x * x * x).sum(), x, [1.0, 10.0])
    Value(data=[  6. 120.], grad=None)
    """
    leaves = flatten(wrt, "wrt")
    given = matched(wrt, len(leaves), vectors, "vectors")
    with with_gradients():
        gradients = grad(y, leaves, unused=unused)
    return unflatten(wrt, jvp(gradients, leaves, given))
