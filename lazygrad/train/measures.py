"""What is measured on every batch, and how it adds up to the numbers of an epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from ..errors import OptionError
from ..ir.value import Value
from .metrics import Metric

__all__ = ["Measure", "Measures", "Sums"]

Measure: TypeAlias = "Value | Metric"
"""A mean over rows, a node without axes; or sums with what is made of them."""


class Measures:
    """The loss and the metrics by name, and the nodes that a program computes for them."""

    def __init__(self, loss: Value, metrics: Mapping[str, Measure]) -> None:
        if "loss" in metrics:
            raise OptionError("fit: a metric can't be named 'loss'.")
        self.by_name: dict[str, Measure] = {"loss": loss, **metrics}
        self.nodes: dict[str, Value] = {}
        for name, measure in self.by_name.items():
            parts = measure.terms if isinstance(measure, Metric) else {"": measure}
            for part, node in parts.items():
                self.nodes[_joined(name, part)] = _checked(name, node)

    @property
    def names(self) -> list[str]:
        """The names of the loss and the metrics."""
        return list(self.by_name)


class Sums:
    """What was measured so far: means are added up weighted by rows, terms as they are."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures
        self._weighted = {
            name for name, measure in measures.by_name.items() if isinstance(measure, Value)
        }
        self.totals = dict.fromkeys(measures.nodes, 0.0)
        self.rows = 0

    def add(self, numbers: Mapping[str, Any], rows: int) -> None:
        """Take on the numbers of a batch of so many rows."""
        totals, weighted = self.totals, self._weighted
        for name, number in numbers.items():
            totals[name] += float(number) * rows if name in weighted else float(number)
        self.rows += rows

    def results(self, prefix: str = "") -> dict[str, float]:
        """Give the loss and the metrics of all batches together."""
        found = {}
        for name, measure in self._measures.by_name.items():
            if isinstance(measure, Metric):
                sums = {part: self.totals[_joined(name, part)] for part in measure.terms}
                found[prefix + name] = _finished(measure, sums)
            else:
                found[prefix + name] = self.totals[name] / (self.rows or math.nan)
        return found

    def state(self) -> dict[str, Any]:
        """Give what was added up, for a checkpoint."""
        return {"totals": self.totals, "rows": self.rows}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take on what `state` gave."""
        self.totals.update({name: float(state["totals"][name]) for name in self.totals})
        self.rows = int(state["rows"])


def _joined(name: str, part: str) -> str:
    return f"{name}.{part}" if part else name


def _finished(metric: Metric, sums: Mapping[str, float]) -> float:
    try:
        return float(metric.finish(sums))
    except ZeroDivisionError:
        return math.nan


def _checked(name: str, node: object) -> Value:
    if not isinstance(node, Value) or node.shape != ():
        what = node.spec if isinstance(node, Value) else type(node).__name__
        raise OptionError(f"fit: {name} must be a node without axes, got {what}; take its mean.")
    return node
