"""The loop of a scan around its compiled body. Knows a callable and positions; no schedules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir.op import Array

__all__ = ["loop_over"]


def loop_over(
    run: Callable[..., tuple[Any, ...]],
    failure: Callable[[Exception], Exception],
    feeds: Sequence[int],
    *,
    carries: int,
    xs: int,
    operands: int,
    length: int,
    reverse: bool,
) -> Callable[..., None]:
    """Give the kernel ``(*operands, out)`` that calls *run* once per step.

    *feeds* says, for each argument of *run*, which input of the body it is: carries first, then
    elements, outer values, and last the step number.
    """
    carried = [(place, i) for place, i in enumerate(feeds) if i < carries]
    sliced = [(place, i) for place, i in enumerate(feeds) if carries <= i < carries + xs]
    fixed = [(place, i) for place, i in enumerate(feeds) if carries + xs <= i < operands]
    counted = [place for place, i in enumerate(feeds) if i == operands]
    order = range(length - 1, -1, -1) if reverse else range(length)

    def loop(*arrays: Any) -> None:
        out: tuple[Array, ...] = arrays[-1]
        carry: Sequence[Any] = arrays[:carries]
        arguments: list[Any] = [None] * len(feeds)
        for place, i in fixed:
            arguments[place] = arrays[i]
        rows = out[carries:]
        try:
            for step in order:
                for place, i in carried:
                    arguments[place] = carry[i]
                for place, i in sliced:
                    arguments[place] = arrays[i][step]
                for place in counted:
                    arguments[place] = np.asarray(step)
                results = run(*arguments)
                carry = results
                for target, row in zip(rows, results[carries:], strict=True):
                    target[step] = row
        except Exception as error:
            worded = failure(error)
            raise worded from worded.__cause__
        for target, last in zip(out[:carries], carry, strict=False):
            np.copyto(target, last)

    return loop
