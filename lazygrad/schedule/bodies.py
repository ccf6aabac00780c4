"""Schedules of loop bodies, each made once however often its loop is bound."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from ..ir.graph import Graph
from ..passes import optimize
from .lower import lower
from .steps import Schedule

__all__ = ["body_schedule"]

_made: WeakKeyDictionary[Graph, tuple[Schedule, tuple[int, ...]]] = WeakKeyDictionary()


def body_schedule(body: Graph) -> tuple[Schedule, tuple[int, ...]]:
    """Give the schedule of a body, and for each of its feeds the position among the body's inputs."""
    if body not in _made:
        optimized = optimize(body)
        lowered = lower(optimized, [("run", optimized.outputs)])
        position = {id(node): i for i, node in enumerate(body.inputs)}
        feeds: Sequence[int] = [position[id(node)] for node in lowered.placeholders]
        _made[body] = lowered.schedule, tuple(feeds)
    return _made[body]
