"""The loop of a scan around the steps of its body, as source. Knows names and positions.

Carries that are arrays go from step to step in two buffers: one step reads the one and fills the
other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..schedule.bodies import BodySchedule

__all__ = ["Loop", "worded"]


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop over the operands ``a0, a1, ...`` whose results go into the arrays ``t0, t1, ...``."""

    body: BodySchedule
    carries: int
    xs: int
    operands: int
    length: int
    reverse: bool

    @property
    def arguments(self) -> str:
        """The arguments of the function: the operands, and the tuple of results."""
        return ", ".join([*(f"a{i}" for i in range(self.operands)), "out"])

    @property
    def outputs(self) -> tuple[int, ...]:
        """The values that the carries have after a step."""
        return self.body.schedule.sections[0].outputs

    def before(self) -> list[str]:
        """Write what comes before the first step."""
        lines = [f"({''.join(f't{i}, ' for i in range(len(self.outputs + self.body.rows)))}) = out"]
        lines += [f"c{i} = a{i}" for i in range(self.carries)]
        for number, i in self._fed():
            if i >= self.carries + self.xs and i < self.operands:
                lines.append(f"f{number} = a{i}")
        lines += [f"o{number}, s{number} = buffers{number}" for number in self._buffered()]
        steps = f"{self.length - 1}, -1, -1" if self.reverse else f"{self.length}"
        return [*lines, f"for step in range({steps}):"]

    def first(self) -> list[str]:
        """Write what comes first in each step."""
        lines = []
        for number, i in self._fed():
            if i < self.carries:
                lines.append(f"f{number} = c{i}")
            elif i < self.carries + self.xs:
                # Of numbers, too, an array.
                place = "step" if self.body.schedule.specs[number].shape else "step, ..."
                lines.append(f"f{number} = a{i}[{place}]")
            elif i == self.operands:
                lines.append(f"f{number} = np.asarray(step)")
        return lines

    def last(self, names: Mapping[int, str]) -> list[str]:
        """Write what comes last in each step: results are noted and carries handed on."""
        lines = [f"t{self.carries + i}[step] = {names[n]}" for i, n in enumerate(self.body.rows)]
        targets = [f"c{i}" for i in range(self.carries)]
        values = [
            names[number] if number in self._buffered() else f"{names[number]}.copy()"
            for number in self.outputs
        ]
        for number in self._buffered():
            targets += [f"o{number}", f"s{number}"]
            values += [f"s{number}", f"o{number}"]
        return [*lines, f"{', '.join(targets)} = {', '.join(values)}"] if targets else lines

    def after(self) -> list[str]:
        """Write what comes after the last step."""
        return [f"np.copyto(t{i}, c{i})" for i in range(self.carries)]

    def _fed(self) -> list[tuple[int, int]]:
        feeds = zip(self.body.schedule.feeds, self.body.feeds, strict=True)
        return [(number, i) for (_, number), i in feeds]

    def _buffered(self) -> list[int]:
        specs = self.body.schedule.specs
        return [number for number in self.outputs if specs[number].shape != ()]


def worded(
    run: Callable[..., None], failure: Callable[[Exception], Exception]
) -> Callable[..., None]:
    """Let a loop raise what *failure* makes of an exception in its body."""

    def loop(*arrays: Any) -> None:
        try:
            run(*arrays)
        except Exception as error:
            told = failure(error)
            raise told from told.__cause__

    return loop
