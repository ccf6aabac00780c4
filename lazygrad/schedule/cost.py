"""What a schedule costs, told from sizes alone: never from a clock, so that it is always the same.

The numbers are round figures of how NumPy runs on machines of today. Only their size matters: they
decide from which call on compiling pays.
"""

from __future__ import annotations

from ..ir.op import Trait
from ..lengths import evaluate
from ..spec import Spec
from .bodies import body_schedule
from .buffers import Plan, is_data_dependent, plan as make_plan
from .steps import Schedule, Step

__all__ = ["flops_of", "predicted_seconds"]

_CALL_SECONDS = 0.45e-6
_PRODUCT_RATE = 6e10
_ELEMENT_RATE = 2e9
_BYTE_RATE = 1e10


def flops_of(schedule: Schedule, plan: Plan, step: Step) -> int:
    """Count the floating-point operations of a step, 0 where its lengths depend on data."""
    numbers = (step.writes[0], *step.reads)
    if any(plan.shapes[number] is None for number in numbers):
        return 0
    out, *specs = (
        Spec(plan.shapes[number] or (), schedule.specs[number].dtype) for number in numbers
    )
    # The body of a loop has lengths by name.
    return evaluate(step.op.cost(out, *specs, **step.attrs), plan.lengths)


def predicted_seconds(schedule: Schedule, plan: Plan) -> float:
    """Predict how long NumPy takes for one run."""
    return sum(_step_seconds(schedule, plan, s) for s in schedule.steps if not s.is_view)


def _step_seconds(schedule: Schedule, plan: Plan, step: Step) -> float:
    given = [step.attrs["length"], *step.attrs["lengths"]] if Trait.LOOPS in step.op.traits else []
    if given and not any(map(is_data_dependent, given)):
        lengths = dict(
            zip(
                step.attrs["names"],
                (evaluate(n, plan.lengths) for n in step.attrs["lengths"]),
                strict=True,
            )
        )
        body = body_schedule(step.attrs["body"], step.attrs["carries"]).schedule
        times = evaluate(step.attrs["length"], plan.lengths)
        return _CALL_SECONDS + times * predicted_seconds(body, make_plan(body, lengths))
    moved = sum(plan.bytes_of(schedule, number) for number in (*step.reads, *step.writes))
    rate = _PRODUCT_RATE if step.op.family == "bilinear" else _ELEMENT_RATE
    return _CALL_SECONDS + max(moved / _BYTE_RATE, flops_of(schedule, plan, step) / rate)
