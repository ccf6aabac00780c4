"""Products that read the windows of a convolution where they lie, instead of a copy of them.

A window is a view: its elements lie in the image, at steps of their own along several axes. Laid
out as the columns or the rows of a matrix they would have to be copied. A product that copies its
right operand piece by piece anyhow can take the pieces from the image. Knows schedules of kernels,
for one set of lengths; writes no code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

import numpy as np

from ..ir.compute import concrete_attrs
from ..ir.op import Array, Op, lookup
from ..lengths import Dim
from ..spec import Spec
from .buffers import Plan
from .kernel import kernel_of
from .steps import Schedule, Section, Step

__all__ = ["read_patches", "right_axes"]

_PATCHES = frozenset({"patches", "sparse_patches"})

_Axes = tuple[tuple[int, ...], ...]


def read_patches(schedule: Schedule, plan: Plan) -> Schedule:
    """Give the schedule in which products look into images themselves, where nothing else does.

    *schedule* is what `fuse` gave for the lengths of *plan*, a plan of it.
    """
    views = {step.writes[0]: step for step in schedule.steps if step.is_view}
    held = {number for _, number in schedule.updates}
    for section in schedule.sections:
        held.update(section.outputs, section.kept)
    copies = {}
    for step in schedule.steps:
        source = _copied_patches(step, views, plan)
        if source is not None:
            copies[step.writes[0]] = _Copy(step, source, {step.writes[0]: _single(plan, source)})
    for step in schedule.steps:
        for number in step.reads:
            for copy in copies.values():
                if number in copy.seen:
                    copy.look(step, number, plan)
    found = [copy for copy in copies.values() if copy.is_replaceable(held)]
    return _without(schedule, found) if found else schedule


def right_axes(step: Step) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Say which axes of the right operand are rows and columns of a product; None for a plain one.

    Those before them are of a stack.
    """
    return (
        None if step.op is not _gathering_matmul() else (step.attrs["rows"], step.attrs["columns"])
    )


def _single(plan: Plan, number: int) -> _Axes:
    return tuple((axis,) for axis in range(len(plan.shapes[number] or ())))


def _copied_patches(step: Step, views: dict[int, Step], plan: Plan) -> int | None:
    """Give the patches that a step does nothing but copy, or None."""
    kernel = kernel_of(step)
    if kernel is None or len(kernel.statements) != 1 or len(kernel.stored) != 1:
        return None
    copy = kernel.statements[0].step
    source = views.get(copy.reads[0])
    if copy.op.name != "copy" or source is None or source.op.name not in _PATCHES:
        return None
    levels = concrete_attrs(source.attrs, plan.lengths)["outer"]
    # Windows that lie side by side are read as vectors.
    is_dense = bool(levels) and levels[-1][1] == 1
    return copy.reads[0] if is_dense else None


@dataclass
class _Copy:
    """A step that copies patches, and who looks at the copy: by which axes of the patches.

    `seen` has, for the copy and each view of it, the axes of the patches that each axis stands for;
    an empty entry where a view can't be told so.
    """

    step: Step
    source: int
    seen: dict[int, _Axes | None]

    def __post_init__(self) -> None:
        self.products: list[tuple[Step, _Axes]] = []
        self.is_seen_otherwise = False

    def look(self, step: Step, number: int, plan: Plan) -> None:
        """Note that a step reads the copy, or a view of it."""
        axes = self.seen[number]
        if step.is_view:
            self.seen[step.writes[0]] = None if axes is None else _viewed(step, axes, plan)
        elif axes is None or not _can_look_in(step, number, axes):
            self.is_seen_otherwise = True
        else:
            self.products.append((step, axes))

    def is_replaceable(self, held: set[int]) -> bool:
        """Whether all that see the copy are products that can do without."""
        return not self.is_seen_otherwise and bool(self.products) and not held & set(self.seen)


def _can_look_in(step: Step, number: int, axes: _Axes) -> bool:
    is_right = step.op.name == "matmul" and step.reads[1] == number and step.reads[0] != number
    return is_right and len(axes) >= 2 and axes[:-2] == tuple((i,) for i in range(len(axes) - 2))


def _viewed(step: Step, axes: _Axes, plan: Plan) -> _Axes | None:
    """Say which axes of the patches a view shows as one each."""
    attrs = concrete_attrs(step.attrs, plan.lengths)
    if step.op.name == "permute":
        return tuple(axes[axis] for axis in attrs["axes"])
    if step.op.name != "reshape":
        return None
    before, after = plan.shapes[step.reads[0]], plan.shapes[step.writes[0]]
    return None if before is None or after is None else _merged(before, after, axes)


def _merged(before: Sequence[int], after: Sequence[int], axes: _Axes) -> _Axes | None:
    """Say which axes a reshape joins; None where it splits one.

    >>> _merged((2, 3, 4), (6, 4), ((0,), (1,), (2,)))
    ((0, 1), (2,))
    """
    groups: list[tuple[int, ...]] = []
    place = 0
    for length in after:
        group: tuple[int, ...] = ()
        size = 1
        while place < len(before) and (size < length or not group):
            size *= before[place]
            group += axes[place]
            place += 1
        if size != length:
            return None
        groups.append(group)
    rest = before[place:]
    if prod(rest) != 1 or not groups:
        return None
    groups[-1] += tuple(axis for group in axes[place:] for axis in group)
    return tuple(groups)


def _without(schedule: Schedule, found: Sequence[_Copy]) -> Schedule:
    """Leave out copies, with the views of them, and let products look into images."""
    gone = {number for copy in found for number in copy.seen}
    looking = {
        product.writes[0]: replace(
            product,
            op=_gathering_matmul(),
            reads=(product.reads[0], copy.source),
            attrs={"rows": axes[-2], "columns": axes[-1]},
        )
        for copy in found
        for product, axes in copy.products
    }
    steps: list[Step] = []
    sections: list[Section] = []
    start = 0
    for section in schedule.sections:
        for step in schedule.steps[start : section.stop]:
            steps += [] if step.writes[0] in gone else [looking.get(step.writes[0], step)]
        sections.append(replace(section, stop=len(steps)))
        start = section.stop
    return replace(schedule, steps=tuple(steps), sections=tuple(sections))


@lru_cache(maxsize=1)
def _gathering_matmul() -> Op:
    plain = lookup("matmul")

    def cost(out: Spec, a: Spec, patches: Spec, **axes: object) -> Dim:
        # The depth is that of the left operand.
        count: Dim = plain.cost(out, a, patches)
        return count

    return replace(plain, kernel=_multiply, call=None, cost=cost)


def _multiply(
    a: Array, patches: Array, out: Array, *, rows: tuple[int, ...], columns: tuple[int, ...]
) -> None:
    """Multiply with a matrix laid out anew: the plain meaning of such a product."""
    stack = tuple(range(patches.ndim - len(rows) - len(columns)))
    lengths = [patches.shape[axis] for axis in stack]
    lengths += [prod(patches.shape[axis] for axis in axes) for axes in (rows, columns)]
    laid = patches.transpose(*stack, *rows, *columns).reshape(lengths)
    np.matmul(a, laid, out=out)
