"""Schedules of loop bodies, each made once however often its loop is bound."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from ..ir.graph import Graph
from ..passes import optimize
from .lower import lower
from .steps import Schedule

__all__ = ["BodySchedule", "body_schedule"]

_made: WeakKeyDictionary[Graph, BodySchedule] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class BodySchedule:
    """The schedule of a body, which hands out the carries and keeps the rows.

    `feeds` holds for each of the schedule's feeds its position among the body's inputs, `rows` the
    numbers of the values that are results of each step.
    """

    schedule: Schedule
    feeds: tuple[int, ...]
    rows: tuple[int, ...]


def body_schedule(body: Graph, carries: int) -> BodySchedule:
    """Give the schedule of a body, of whose outputs the first are *carries*."""
    if body not in _made:
        optimized = optimize(body)
        carried, rows = optimized.outputs[:carries], optimized.outputs[carries:]
        lowered = lower(optimized, [("run", carried)], kept=rows)
        position = {id(node): i for i, node in enumerate(body.inputs)}
        _made[body] = BodySchedule(
            lowered.schedule,
            tuple(position[id(node)] for node in lowered.placeholders),
            tuple(lowered.number_of[id(node)] for node in rows),
        )
    return _made[body]
