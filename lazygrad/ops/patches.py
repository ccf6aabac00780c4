"""Patches of a flat axis as views, and their transpose; convolution and pooling stand on them.

An image whose rows lie one after another is one flat axis. The places within a window, and those of
the windows, are then steps along it: a level ``(length, step)`` is an axis of the result whose
neighbours lie *step* apart. A two-dimensional window over rows of width W has the levels
``((height, W), (width, 1))``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..errors import ShapeError
from ..ir.op import Array, Trait, Writes, lookup
from ..ir.value import Value, apply, as_value
from ..lengths import Dim
from ..spec import Spec, product
from .forms import NodeFunction, linear
from .shape import broadcast_to, reshape

__all__: list[str] = []

Level: TypeAlias = "tuple[Dim, Dim]"
Levels: TypeAlias = "tuple[Level, ...]"
_Known: TypeAlias = tuple[tuple[int, int], ...]


def lengths_of(levels: Levels) -> tuple[Dim, ...]:
    """Give the shape of the axes that levels stand for."""
    return tuple(length for length, _ in levels)


def reach(levels: Iterable[Level]) -> Dim:
    """Count the elements from the first that levels touch up to the last one."""
    total: Dim = 1
    for length, step in levels:
        total = total + (length - 1) * step
    return total


def view_of(x: Array, inner: Levels, outer: Levels, writeable: bool = False) -> Array:
    """Look at the last axis of *x* as patches."""
    levels = known_levels((*inner, *outer))
    shape = tuple(length for length, _ in levels)
    if min(shape, default=1) < 1 or int(reach(levels)) > x.shape[-1]:
        raise ShapeError(f"patches {levels} don't fit an axis of length {x.shape[-1]}.")
    step = x.strides[-1]
    strides = tuple(step * gap for _, gap in levels)
    return as_strided(x, (*x.shape[:-1], *shape), (*x.strides[:-1], *strides), writeable=writeable)


def parts_of(view: Array, inner: Levels, outer: Levels) -> Iterator[tuple[Any, Array]]:
    """Give, for each place within a window, its index and the elements at that place."""
    rest = (slice(None),) * len(outer)
    for offsets in itertools.product(*(range(cast("int", length)) for length, _ in inner)):
        index: Any = (Ellipsis, *offsets, *rest)
        yield index, view[index]


def patches_spec(x: Spec, *, inner: Levels, outer: Levels) -> Spec:
    """Give the spec of the patches of the last axis."""
    needed, length = reach((*inner, *outer)), x.shape[-1]
    if isinstance(needed, int) and isinstance(length, int) and needed > length:
        raise ShapeError(f"patches that reach over {needed} elements don't fit {length}.")
    return Spec((*x.shape[:-1], *lengths_of(inner), *lengths_of(outer)), x.dtype)


def known_levels(levels: Levels) -> _Known:
    """Give levels whose lengths are known, as they are when a kernel runs."""
    return cast("_Known", levels)


def are_disjoint(levels: _Known) -> bool:
    """Whether no element lies in two patches: each step is wider than all smaller ones reach."""
    covered = 1
    for length, step in sorted(levels, key=lambda level: level[1]):
        if length > 1:
            if step < covered:
                return False
            covered += (length - 1) * step
    return True


def _add_patches(x: Array, out: Array, *, inner: Levels, outer: Levels, length: int) -> None:
    levels = known_levels((*inner, *outer))
    is_disjoint = are_disjoint(levels)
    if not (is_disjoint and product(lengths_of(levels)) == length):
        out.fill(0)
    if not x.size:
        return
    view = view_of(out, inner, outer, writeable=True)
    if is_disjoint:
        view[...] = x
        return
    for index, target in parts_of(view, inner, outer):
        # Of bools the sum is the logical or.
        np.add(target, x[index], out=target)


def _support(index: int, x: Value, *, inner: Levels, outer: Levels) -> Value:
    shape = patches_spec(x.spec, inner=inner, outer=outer).shape
    here = broadcast_to(as_value(True), shape)
    return add_patches(here, inner=inner, outer=outer, length=x.spec.shape[-1])


def _batched(name: str) -> Callable[..., Value]:
    """Give the rule of an operation that has nothing to do with leading axes."""
    return lambda flags, x, **attrs: apply(lookup(name), x, **attrs)


def _declare(name: str, doc: str, **facts: Any) -> NodeFunction:
    return linear(
        name,
        view_of,
        infer=patches_spec,
        transpose=lambda g, x, **attrs: add_patches(g, length=x.spec.shape[-1], **attrs),
        writes=Writes.VIEW,
        batch=_batched(name),
        doc=doc,
        **facts,
    )


# Patches that together hold every element need no mask of those they hold.
_covering = _declare(
    "patches",
    "Patches of the last axis that together hold every element, along new last axes.",
    traits=(Trait.MOVES_MASK,),
    variants=({"inner": ((2, 1),), "outer": ((3, 1),)},),
)
_skipping = _declare(
    "sparse_patches",
    "Patches of the last axis that may leave out elements, along new last axes.",
    support=_support,
    variants=({"inner": ((2, 1),), "outer": ((1, 2),)},),
)

add_patches: NodeFunction = linear(
    "add_patches",
    _add_patches,
    infer=lambda x, *, inner, outer, length: Spec(
        (*x.shape[: x.ndim - len(inner) - len(outer)], length), x.dtype
    ),
    # Of what a patch holds, and of nothing else, the transpose reads the cotangent.
    transpose=lambda g, x, *, length, **attrs: _skipping(g, **attrs),
    batch=_batched("add_patches"),
    traits=(Trait.MOVES_MASK,),
    cost=lambda out, x, **attrs: product(x.shape),
    doc="A flat last axis of zeros to which patches are added where they were taken from.",
)


def take_patches(x: Value, inner: Levels, outer: Levels, covers: bool) -> Value:
    """Give patches of the last axis of *x*; say whether they are known to hold every element."""
    levels = (*inner, *outer)
    if (
        all(n == 1 or step == 1 for n, step in levels)
        and product(lengths_of(levels)) == (x.spec.shape[-1])
    ):
        moved = sum(n != 1 for n, _ in levels)
        if moved <= 1:
            return reshape(x, (*x.spec.shape[:-1], *lengths_of(levels)))
    apply_patches: Callable[..., Value] = _covering if covers else _skipping
    return apply_patches(x, inner=inner, outer=outer)
