"""A kernel: steps fused into one nest of loops, as a small program over scalars.

Knows steps and shapes, for one set of lengths; knows nothing of how loops are written. Axes of
length 1 are left out everywhere here, so that a column and a vector of rows are the same.

The nest runs over `domain`. Most values vary over all of it. A reduction over the axes from `outer`
on gives one value a row: it is there when the loop over the row is done, and what needs it again
for every element stands in a later *stage*, a further loop over the same row. Softmax has three.
A reduction over other axes, or one that nothing in the kernel reads, is *final*.

A kernel may begin with a product of matrices, whose tiles it goes over as they are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..ir.op import Array, Op, Trait, Writes
from ..spec import DType, Spec
from .steps import Note, Step

__all__ = [
    "Kernel",
    "Statement",
    "axes_within",
    "computing_dtypes",
    "fused_step",
    "has_scalar_form",
    "kernel_of",
    "squeezed",
]

_MANY_FUNCTIONS = 8
_TYPES = frozenset("?bhilqBHILQfd")


@dataclass(frozen=True, slots=True)
class Statement:
    """A step of a kernel: the place of its result in the nest.

    The result varies over the first `depth` axes of the domain. `kept` is None but for a final
    reduction, which keeps these axes of the domain.
    """

    step: Step
    depth: int
    stage: int
    kept: tuple[int, ...] | None = None

    @property
    def number(self) -> int:
        """The value that it gives."""
        return self.step.writes[0]


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """Statements over a domain, in an order in which each finds what it reads.

    `views` are steps that show an inner value in another shape, with the same elements in the same
    order. `stored` are the values that others read; `specs` has the shape of every inner value.
    `product` is the step of a matrix product that goes before the statements, if there is one.
    """

    domain: tuple[int, ...]
    outer: int
    statements: tuple[Statement, ...]
    views: tuple[Step, ...]
    stored: tuple[int, ...]
    specs: Mapping[int, Spec]
    product: Step | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is done, in order: the product, if there is one, and the statements."""
        own = tuple(statement.step for statement in self.statements)
        return own if self.product is None else (self.product, *own)

    @property
    def has_many_functions(self) -> bool:
        """Whether there are more functions than one loop should hold, which waits for each."""
        return sum("(" in (s.step.op.c or "") for s in self.statements) > _MANY_FUNCTIONS

    @property
    def is_pointwise(self) -> bool:
        """Whether every element of what is stored reads that place of the domain alone."""
        full = len(self.domain)
        return all(s.kept is None and s.depth == full and not s.stage for s in self.statements)

    @property
    def aliases(self) -> dict[int, int]:
        """The inner value that each view shows."""
        shown = {view.writes[0]: view.reads[0] for view in self.views}
        found = dict(shown)
        for view, number in found.items():
            while number in shown:
                number = shown[number]
            found[view] = number
        return found

    @property
    def reads(self) -> tuple[int, ...]:
        """The values that come from outside, in the order in which they are read."""
        reads = (n for step in self.steps for n in step.reads)
        return tuple(dict.fromkeys(n for n in reads if n not in self.specs))


def squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    """Leave out axes of length 1.

    >>> squeezed((3, 1, 2))
    (3, 2)
    """
    return tuple(length for length in shape if length != 1)


def axes_within(shape: Sequence[int], whole: Sequence[int]) -> tuple[int, ...]:
    """Say which axes of *whole*, squeezed, those of *shape*, squeezed, are when it broadcasts.

    >>> axes_within((5, 1), (4, 5, 6))
    (1,)
    """
    places: list[int] = []
    count = 0
    for length in whole:
        places.append(count)
        count += length != 1
    start = len(whole) - len(shape)
    return tuple(places[start + i] for i, length in enumerate(shape) if length != 1)


@lru_cache(maxsize=4096)
def _loop_dtypes(ufunc: np.ufunc, given: tuple[DType, ...]) -> tuple[DType, ...]:
    return ufunc.resolve_dtypes((*given, *(None,) * ufunc.nout))


def computing_dtypes(op: Op, given: Sequence[DType], result: DType) -> tuple[DType, ...]:
    """Give the dtype in which each operand of an elementwise operation or reduction is read.

    >>> from lazygrad.ir.op import lookup
    >>> integer, real = np.dtype(np.int32), np.dtype(np.float64)
    >>> computing_dtypes(lookup("divide"), [integer, integer], real)
    (dtype('float64'), dtype('float64'))
    """
    if isinstance(op.kernel, np.ufunc):
        return _loop_dtypes(op.kernel, tuple(given))[: len(given)]
    if op.name == "astype" or Trait.REDUCES in op.traits:
        return tuple(given)
    # What chooses reads its condition as it is.
    return tuple(own if own.kind == "b" and len(given) == 3 else result for own in given)


def has_scalar_form(step: Step, specs: Sequence[Spec]) -> bool:
    """Whether a step is one C expression per element, or one that makes one of two.

    C doesn't compare signed with unsigned numbers as NumPy does, and integers must not be divided.
    """
    op = step.op
    if op.c is None or op.writes is not Writes.OUT or len(step.writes) != 1:
        return False
    given = [specs[number].dtype for number in step.reads]
    result = specs[step.writes[0]].dtype
    if not _TYPES.issuperset([result.char, *(dtype.char for dtype in given)]):
        return False
    if not all(dtype.isnative for dtype in (result, *given)):
        return False
    if Trait.REDUCES in op.traits:
        return True
    if Trait.ELEMENTWISE not in op.traits:
        return False
    computing = computing_dtypes(op, given, result)
    if isinstance(op.kernel, np.ufunc) and len(set(computing)) != 1:
        return False
    in_floats = "{t}" in op.c or "/" in op.c
    return not in_floats or all(dtype.char in "fd" for dtype in computing)


def kernel_of(step: Step) -> Kernel | None:
    """Give the kernel that a step stands for, or None for a plain one."""
    kernel = step.attrs.get("kernel") if step.op.family == "fused" else None
    return kernel if isinstance(kernel, Kernel) else None


def fused_step(kernel: Kernel, specs: Sequence[Spec]) -> Step:
    """Give a step that runs a kernel."""
    flops = sum(_flops(step, specs, kernel.specs) for step in kernel.steps)
    op = Op(
        name="fused",
        family="fused",
        infer=lambda *given, **attrs: kernel.specs[kernel.stored[0]],
        kernel=_run,
        doc="Several steps in one nest of loops.",
        cost=lambda out, *given, **attrs: flops,
    )
    names = list(dict.fromkeys(step.note.label for step in kernel.steps))
    label = ", ".join(names) if len(names) <= 3 else f"{names[0]}, ..., {names[-1]}"
    last = kernel.statements[-1].step.note
    note = Note(label, last.line, last.scope, last.backward)
    return Step(op, kernel.reads, kernel.stored, {"kernel": kernel}, note, True)


def _flops(step: Step, specs: Sequence[Spec], inner: Mapping[int, Spec]) -> int:
    out, *given = (inner.get(number, specs[number]) for number in (*step.writes, *step.reads))
    count = step.op.cost(out, *given, **step.attrs)
    return count if isinstance(count, int) else 0


def _run(*arrays: Any, kernel: Kernel) -> None:
    """Run a kernel a step at a time: its plain meaning, which compiled ones are compared with."""
    *operands, out = arrays
    values: dict[int, Array] = dict(zip(kernel.reads, operands, strict=True))
    values.update(zip(kernel.stored, out, strict=True))
    views = {view.writes[0]: view for view in kernel.views}

    def value(number: int) -> Array:
        if number in views:
            view = views[number]
            shown: Array = view.op.kernel(value(view.reads[0]), **view.attrs)
            return shown
        return values[number]

    for step in kernel.steps:
        (number,) = step.writes
        spec = kernel.specs[number]
        target = values.setdefault(number, np.empty(spec.shape, spec.dtype))
        step.op.kernel(*map(value, step.reads), out=target, **step.attrs)
