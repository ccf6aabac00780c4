"""Kernels over large arrays, block by block: which there are, and how a domain is divided.

A step at a time, each result of a large array goes out to memory and comes back. Here a kernel
works on one block of its domain after another: what only the kernel reads lives in scratch of the
size of a block. Blocks are gathered into parts, which threads may share. Knows schedules, plans and
shapes; how a kernel is written is for `block_writer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import ceil, prod
from typing import TypeAlias

import numpy as np

from ..ir.op import Op, Trait, Writes
from ..schedule.buffers import Plan, plan as make_plan
from ..schedule.fuse import Terms, fuse
from ..schedule.kernel import Kernel, kernel_of, squeezed
from ..schedule.steps import Schedule, Step
from ..spec import Spec

__all__ = [
    "BLOCK_BYTES",
    "COMBINING",
    "FEWEST_SHARED",
    "LEAST_BYTES",
    "LEAST_SHARED",
    "MOST_PARTS",
    "Axes",
    "Division",
    "divided",
    "in_blocks",
    "is_shared",
    "most_parts",
    "operand_axes",
    "result_axes",
]

LEAST_BYTES = 1 << 22
"""Smaller arrays stay in the cache by themselves."""

BLOCK_BYTES = 1 << 19
"""Of one array; a few of them fit into the second level of the cache."""

MOST_PARTS = 32
"""Of one kernel. Reductions over blocks keep a result for each."""

LEAST_SHARED = 1 << 21
"""Elements times operations, functions counted several times, from which threads pay."""

FEWEST_SHARED = 8
"""Blocks, below which threads would wait for each other for longer than they help."""

_FUNCTION_WEIGHT = 4

COMBINING: dict[str, np.ufunc] = {
    "sum": np.add,
    "prod": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "all": np.logical_and,
    "any": np.logical_or,
}
"""What makes one result of two, for each reduction."""

Axes: TypeAlias = "tuple[int | None, ...]"
"""For each axis of a shape, the axis of the domain that it is; None where its length is 1."""


def in_blocks(schedule: Schedule, plan: Plan, threads: int) -> tuple[Schedule, Plan]:
    """Give a schedule with kernels over what is large, and its plan.

    Kernels may write cells themselves, so no feed may be the live array of one. Where nothing is
    large all stays as it is.
    """
    if not _has_large(schedule, plan):
        return schedule, plan
    is_worth = partial(_is_worth, threads=threads)
    terms = Terms(_is_blocked, LEAST_BYTES, BLOCK_BYTES, keeps_rows=True, is_worth=is_worth)
    fused = fuse(schedule, plan, terms)
    if not any(map(kernel_of, fused.steps)):
        return schedule, plan
    return fused, make_plan(fused, plan.lengths, feeds_apart=True)


def _has_large(schedule: Schedule, plan: Plan) -> bool:
    return any(
        _may_block(step.op) and plan.bytes_of(schedule, number) >= LEAST_BYTES
        for step in schedule.steps
        for number in (step.writes[0], *step.reads)
    )


def _may_block(op: Op) -> bool:
    return Trait.ELEMENTWISE in op.traits or op.name in COMBINING or op.parts is not None


def _is_blocked(step: Step, specs: Sequence[Spec]) -> bool:
    """Whether a step does to each block what it does to the whole."""
    if step.op.writes is not Writes.OUT or len(step.writes) != 1:
        return False
    return Trait.ELEMENTWISE in step.op.traits or step.op.name in COMBINING


def _work(kernel: Kernel) -> int:
    """Count elements times operations."""
    return sum(
        prod(kernel.domain[: s.depth]) * (_FUNCTION_WEIGHT if _is_function(s.step.op) else 1)
        for s in kernel.statements
    )


def _is_function(op: Op) -> bool:
    return "(" in (op.c or "(")


def is_shared(kernel: Kernel, division: Division) -> bool:
    """Whether blocks are so many, and take so long, that threads pay."""
    return len(division.starts) >= FEWEST_SHARED and _work(kernel) >= LEAST_SHARED


def most_parts(kernel: Kernel, division: Division, results: Iterable[Sequence[int]]) -> int:
    """Say into how many parts blocks are gathered, where *results* are kept for each.

    Together these are smaller than what they are reduced from.
    """
    size = prod(kernel.domain)
    most = min((size // (4 * prod(shape)) for shape in results), default=MOST_PARTS)
    return max(1, min(most, MOST_PARTS, len(division.starts)))


def _is_worth(kernel: Kernel, threads: int) -> bool:
    """Whether something stays in the cache, or a function is worth threads."""
    full = len(kernel.domain)
    count = sum(s.depth == full or Trait.REDUCES in s.step.op.traits for s in kernel.statements)
    is_function = any(_is_function(s.step.op) for s in kernel.statements)
    return count > 1 or (threads > 1 and is_function and _work(kernel) >= LEAST_SHARED)


# How a domain is divided.


@dataclass(frozen=True)
class Division:
    """Blocks of a domain: single places on the first axes, and a stretch of `axis`."""

    axis: int
    length: int
    rest: int
    """The length of the last stretch."""
    starts: tuple[tuple[int, ...], ...]
    """Of each block, on the axes up to `axis`."""
    whole: int
    """The length of `axis`."""

    @property
    def lengths(self) -> list[int]:
        """The lengths that stretches have: that of full blocks, and that of last ones."""
        return list(dict.fromkeys((self.length, self.rest)))

    def is_last(self, block: int) -> bool:
        """Whether a block's stretch is the last one."""
        return self.starts[block][-1] + self.length >= self.whole

    def part(self, number: int, parts: int) -> range:
        """Give the blocks of one part."""
        count = len(self.starts)
        return range(number * count // parts, (number + 1) * count // parts)

    def shapes(self, shape: Sequence[int], axes: Axes) -> list[tuple[int, ...]]:
        """Give the shape that an array has in a full block, and in a last one."""

        def length(own: int, axis: int | None, stretch: int) -> int:
            if axis is None or axis > self.axis:
                return own
            return stretch if axis == self.axis else 1

        return [
            tuple(length(own, axis, stretch) for own, axis in zip(shape, axes, strict=True))
            for stretch in self.lengths
        ]

    def pattern(self, axes: Axes) -> Axes:
        """Say which axes of an array are divided, up to the last that is."""
        divided = tuple(a if a is not None and a <= self.axis else None for a in axes)
        while divided and divided[-1] is None:
            divided = divided[:-1]
        return divided

    def slices(self, pattern: Axes, block: int) -> slice | tuple[slice, ...]:
        """Give what part of an array a block goes over."""
        *single, first = self.starts[block]
        stop = min(first + self.length, self.whole)
        own = [*(slice(i, i + 1) for i in single), slice(first, stop)]
        found = tuple(slice(None) if axis is None else own[axis] for axis in pattern)
        return found[0] if len(found) == 1 else found


def divided(kernel: Kernel, itemsize: int) -> Division:
    """Divide the domain of a kernel, whose widest value has so many bytes an element."""
    if not kernel.domain:
        return Division(-1, 1, 1, ((0,),), 1)
    domain, most = kernel.domain, max(1, BLOCK_BYTES // itemsize)
    axis = 0
    # Rows are in one block, as a whole.
    last = min(kernel.outer, len(domain)) - 1
    while axis < last and prod(domain[axis + 1 :]) > most:
        axis += 1
    pieces = ceil(domain[axis] / max(1, most // prod(domain[axis + 1 :])))
    length = ceil(domain[axis] / pieces)
    starts = product(*map(range, domain[:axis]), range(0, domain[axis], length))
    rest = domain[axis] - (ceil(domain[axis] / length) - 1) * length
    return Division(axis, length, rest, tuple(starts), domain[axis])


def _domain_axes(walked: Sequence[int]) -> Axes:
    """Say which axis of the domain each axis of a shape is that a step goes through."""
    return tuple(
        len(squeezed(walked[:i])) if length != 1 else None for i, length in enumerate(walked)
    )


def operand_axes(shape: Sequence[int], walked: Sequence[int]) -> Axes:
    """Say which axes of the domain those of an operand are, where it broadcasts to a shape."""
    axes = _domain_axes(walked)[len(walked) - len(shape) :]
    return tuple(None if length == 1 else axis for length, axis in zip(shape, axes, strict=True))


def result_axes(step: Step, walked: Sequence[int]) -> Axes:
    """Say which axes of the domain those of a step's result are."""
    axes = _domain_axes(walked)
    if Trait.REDUCES not in step.op.traits:
        return axes
    gone = step.attrs["axes"]
    if step.attrs["keepdims"]:
        return tuple(None if i in gone else axis for i, axis in enumerate(axes))
    return tuple(axis for i, axis in enumerate(axes) if i not in gone)
