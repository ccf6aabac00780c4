"""The four ways to declare an operation: elementwise, linear, bilinear and general.

Each fills an `Op` record, adds it to the table, and gives the function that makes its nodes.
Knows records and specs; knows no particular operation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from ..errors import DTypeError, OptionError
from ..ir.op import (
    FUNCTIONS,
    NUMPY_FUNCTIONS,
    OUT,
    Attrs,
    Call,
    In,
    JointRule,
    Notation,
    Op,
    Operand,
    Part,
    Rule,
    Rules,
    Trait,
    Writes,
    register,
)
from ..ir.value import Value, apply
from ..spec import DType, Spec, as_dtype, broadcast_shapes, product
from .batching import batch_by_broadcasting

__all__ = ["NodeFunction", "bilinear", "elementwise", "general", "linear", "node_function"]

NodeFunction: TypeAlias = Callable[..., Value]
Infer: TypeAlias = Callable[..., Any]


def node_function(op: Op, *, is_public: bool = True) -> NodeFunction:
    """Give the function that applies *op* to operands, documented by the record."""

    def build(*operands: Operand, **attrs: Any) -> Value:
        return apply(op, *operands, **attrs)

    build.__name__ = build.__qualname__ = op.name
    build.__doc__ = op.doc
    build.op = op  # type: ignore[attr-defined]
    if is_public and not op.name.startswith("_"):
        # What `apply` raises is worded already.
        FUNCTIONS[op.name] = build
    return build


@lru_cache(maxsize=4096)
def _ufunc_dtype(ufunc: np.ufunc, dtypes: tuple[DType, ...]) -> DType:
    try:
        result: DType = ufunc.resolve_dtypes((*dtypes, *(None,) * ufunc.nout))[-1]
    except TypeError:
        listed = " and ".join(dtype.name for dtype in dtypes)
        raise DTypeError(f"there is no {ufunc.__name__} of {listed}.") from None
    return as_dtype(result)


def elementwise(
    name: str,
    kernel: Callable[..., Any],
    *,
    diff: Rule | Rules | None,
    doc: str,
    dtype: Callable[..., DType] | None = None,
    operands: int = 1,
    traits: Sequence[Trait] = (),
    reusable: tuple[int, ...] | None = None,
    support: Callable[..., Value | None] | None = None,
    c: str | None = None,
    notation: Notation | Callable[..., Notation | None] | None = None,
    array_api: str | None = None,
    cost: int = 1,
    domain: Sequence[tuple[float, float]] | tuple[float, float] = (-3.0, 3.0),
    variants: tuple[Attrs, ...] = ({},),
    call: Callable[..., Call] | None = None,
) -> NodeFunction:
    """Declare an operation that works element by element, broadcasting its operands.

    Its Jacobian is diagonal, so one rule per operand serves both modes: ``(t, y, *xs, **attrs)``
    gives what tangent or cotangent *t* becomes. *kernel* is a ufunc, or a function with the
    ufunc's convention ``(*arrays, out)``, which then also needs *dtype*, ``(*dtypes) -> dtype``.
    """
    ufunc = kernel if isinstance(kernel, np.ufunc) else None
    is_ufunc = ufunc is not None
    count = operands if ufunc is None else ufunc.nin
    intervals: Any = (domain,) * count if isinstance(domain[0], float) else tuple(domain)

    def infer(*specs: Spec, **attrs: Any) -> Spec:
        if len(specs) != count:
            raise OptionError(f"wants {count} operand{'s' * (count != 1)}, got {len(specs)}.")
        if attrs and dtype is None:
            raise OptionError(f"has no option {', '.join(attrs)}.")
        shape = broadcast_shapes(*[spec.shape for spec in specs])
        dtypes = tuple(spec.dtype for spec in specs)
        if dtype is not None:
            return Spec(shape, dtype(*dtypes, **attrs))
        return Spec(shape, _ufunc_dtype(ufunc, dtypes))

    rules: Rules | None = (diff,) if callable(diff) else diff
    op = register(
        Op(
            name=name,
            family="elementwise",
            infer=infer,
            kernel=kernel,
            doc=doc,
            vjp=rules,
            jvp=rules,
            support=support,
            batch=batch_by_broadcasting(name),
            call=call,
            reusable=tuple(range(count)) if reusable is None and is_ufunc else reusable or (),
            cost=lambda out, *specs, **attrs: cost * product(out.shape),
            traits=frozenset({Trait.ELEMENTWISE, *traits}),
            c=c,
            notation=notation,
            array_api=array_api or (name if is_ufunc else None),
            domain=intervals,
            variants=variants,
        )
    )
    function = node_function(op)
    if is_ufunc:
        NUMPY_FUNCTIONS[kernel] = function
    return function


def linear(
    name: str,
    kernel: Callable[..., Any],
    *,
    infer: Infer,
    transpose: Rule,
    doc: str,
    writes: Writes = Writes.OUT,
    traits: Sequence[Trait] = (),
    support: Callable[..., Value | None] | None = None,
    batch: Callable[..., Value | None] | None = None,
    call: Callable[..., Call] | None = None,
    cost: Callable[..., Any] | None = None,
    c: str | None = None,
    start: str | None = None,
    notation: Notation | Callable[..., Notation | None] | None = None,
    array_api: str | None = None,
    domain: tuple[tuple[float, float], ...] = ((-3.0, 3.0),),
    variants: tuple[Attrs, ...] = ({},),
    is_public: bool = False,
) -> NodeFunction:
    """Declare an operation that is linear in operand 0; further operands only say where.

    The tangent map is the operation itself; *transpose* is ``(g, x, *rest, **attrs)``.
    """

    def vjp(g: Value, y: Value, x: Value, *rest: Value, **attrs: Any) -> tuple[Value | None, ...]:
        return (transpose(g, x, *rest, **attrs), *(None,) * len(rest))

    def jvp(
        tangents: Sequence[Value | None], y: Value, x: Value, *rest: Value, **attrs: Any
    ) -> Value | None:
        return None if tangents[0] is None else apply(op, tangents[0], *rest, **attrs)

    op = register(
        Op(
            name=name,
            family="linear",
            infer=infer,
            kernel=kernel,
            doc=doc,
            writes=writes,
            vjp=vjp,
            jvp=jvp,
            support=support,
            batch=batch,
            call=call,
            cost=cost or (lambda out, *specs, **attrs: 0),
            traits=frozenset({Trait.LINEAR, *traits}),
            c=c,
            start=start,
            notation=notation,
            array_api=array_api,
            domain=domain,
            variants=variants,
        )
    )
    return node_function(op, is_public=is_public)


def bilinear(
    name: str,
    kernel: Callable[..., Any],
    *,
    infer: Infer,
    transpose: tuple[Rule, Rule],
    doc: str,
    batch: Callable[..., Value | None] | None = None,
    call: Callable[..., Call] | None = None,
    cost: Callable[..., Any] | None = None,
    c: str | None = None,
    notation: Notation | Callable[..., Notation | None] | None = None,
    array_api: str | None = None,
    domain: tuple[tuple[float, float], ...] = ((-3.0, 3.0), (-3.0, 3.0)),
    variants: tuple[Attrs, ...] = ({},),
    is_public: bool = False,
) -> NodeFunction:
    """Declare an operation linear in each of two operands; say the two transposes.

    Each transpose is ``(g, a, b, **attrs)``; the tangent map is ``op(t, b) + op(a, t)``.
    """

    def left(g: Value, y: Value, a: Value, b: Value, **attrs: Any) -> Value | None:
        return transpose[0](g, a, b, **attrs)

    def right(g: Value, y: Value, a: Value, b: Value, **attrs: Any) -> Value | None:
        return transpose[1](g, a, b, **attrs)

    def left_tangent(t: Value, y: Value, a: Value, b: Value, **attrs: Any) -> Value:
        return apply(op, t, b, **attrs)

    def right_tangent(t: Value, y: Value, a: Value, b: Value, **attrs: Any) -> Value:
        return apply(op, a, t, **attrs)

    op = register(
        Op(
            name=name,
            family="bilinear",
            infer=infer,
            kernel=kernel,
            doc=doc,
            vjp=(left, right),
            jvp=(left_tangent, right_tangent),
            batch=batch,
            call=call,
            cost=cost or (lambda out, *specs, **attrs: 0),
            c=c,
            notation=notation,
            array_api=array_api,
            domain=domain,
            variants=variants,
        )
    )
    return node_function(op, is_public=is_public)


def general(
    name: str,
    kernel: Callable[..., Any],
    *,
    infer: Infer,
    vjp: Rules | JointRule | None,
    jvp: Rules | JointRule | None,
    doc: str,
    family: str = "general",
    writes: Writes = Writes.OUT,
    traits: Sequence[Trait] = (),
    support: Callable[..., Value | None] | None = None,
    batch: Callable[..., Value | None] | None = None,
    call: Callable[..., Call] | None = None,
    reusable: tuple[int, ...] = (),
    cost: Callable[..., Any] | None = None,
    c: str | None = None,
    start: str | None = None,
    parts: Callable[..., tuple[Part, ...]] | None = None,
    notation: Notation | Callable[..., Notation | None] | None = None,
    array_api: str | None = None,
    domain: tuple[tuple[float, float], ...] = ((-3.0, 3.0),),
    variants: tuple[Attrs, ...] = ({},),
    is_public: bool = False,
) -> NodeFunction:
    """Declare an operation that is none of the other three; say both rules.

    A tuple of rules has one per operand: ``(g, y, *xs, **attrs)`` for *vjp* and
    ``(t, y, *xs, **attrs)`` for *jvp*. A single function answers for all operands at once:
    *vjp* gives a tuple, *jvp* takes the tuple of tangents (None where there is none).
    """
    op = register(
        Op(
            name=name,
            family=family,
            infer=infer,
            kernel=kernel,
            doc=doc,
            writes=writes,
            vjp=vjp,
            jvp=jvp,
            support=support,
            batch=batch,
            call=call,
            reusable=reusable,
            cost=cost or (lambda out, *specs, **attrs: product(out.shape)),
            traits=frozenset(traits),
            c=c,
            start=start,
            parts=parts,
            notation=notation,
            array_api=array_api,
            domain=domain,
            variants=variants,
        )
    )
    return node_function(op, is_public=is_public)


def reduce_call(ufunc: np.ufunc) -> Callable[[tuple[Spec, ...], Spec, Attrs], Call]:
    """Say that an operation over ``axes`` is a ufunc's reduction, called without a wrapper."""

    def rule(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
        axes = attrs["axes"]
        axis = axes[0] if len(axes) == 1 else axes
        return Call(ufunc.reduce, (In(0), axis, spec.dtype, OUT, attrs["keepdims"]))

    return rule
