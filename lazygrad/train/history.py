"""What a training run came to, epoch by epoch. Knows numbers and names alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Best", "History"]


class Best(NamedTuple):
    """The best epoch, counted from 0, and the monitored value there."""

    epoch: int
    value: float


@dataclass
class History:
    """Numbers of each epoch by name, and how the run ended; made by `fit`.

    >>> history = History("loss")
    >>> for loss in (3.0, 1.0, 2.0):
    ...     history.add({"loss": loss})
    >>> history["loss"], history.best
    ([3.0, 1.0, 2.0], Best(epoch=1, value=1.0))
    """

    monitor: str = "loss"
    """The number that says which epoch is best."""
    larger_is_better: bool = False
    min_delta: float = 0.0
    """By how much a value must be better than the best to count as better."""
    values: dict[str, list[float]] = field(default_factory=dict)
    """For each name one number an epoch."""
    steps: int = 0
    """How many updates were made."""
    interrupted: bool = False
    """Whether the run was stopped by Ctrl-C."""
    stopped: str = ""
    """Why the run ended: ``"epochs"``, ``"patience"``, ``"callback"`` or ``"interrupt"``."""

    @property
    def epochs(self) -> int:
        """How many epochs were finished."""
        return max(map(len, self.values.values()), default=0)

    @property
    def best(self) -> Best | None:
        """The best epoch by the monitored number; None before there is one."""
        found: Best | None = None
        for epoch, value in enumerate(self.values.get(self.monitor, ())):
            # NaN is better than nothing, and worse than anything else.
            if found is None or found.value != found.value or self._is_better(value, found.value):
                found = Best(epoch, value)
        return found

    @property
    def waited(self) -> int:
        """How many epochs went by since the best one."""
        best = self.best
        return 0 if best is None else self.epochs - 1 - best.epoch

    def _is_better(self, value: float, before: float) -> bool:
        if self.larger_is_better:
            return value > before + self.min_delta
        return value < before - self.min_delta

    def __getitem__(self, name: str) -> list[float]:
        return self.values[name]

    def add(self, row: Mapping[str, float]) -> None:
        """Take on the numbers of an epoch."""
        for name, value in row.items():
            self.values.setdefault(name, []).append(float(value))

    def state(self) -> dict[str, Any]:
        """Give what a run goes on from, for a checkpoint."""
        return {"values": self.values, "steps": self.steps}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take on what `state` gave."""
        self.values = {str(name): list(values) for name, values in state["values"].items()}
        self.steps = int(state["steps"])

    def __str__(self) -> str:
        end = f", stopped by {self.stopped}" if self.stopped not in ("", "epochs") else ""
        lines = [f"{self.epochs} epochs, {self.steps} steps{end}"]
        best = self.best
        lines += [f"  {name}: {values[-1]:.6g}" for name, values in self.values.items() if values]
        if best is not None:
            lines.append(f"  best {self.monitor}: {best.value:.6g} in epoch {best.epoch}")
        return "\n".join(lines)
