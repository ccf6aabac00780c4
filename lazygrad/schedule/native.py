"""The schedule that machine code is written for: kernels, and products with what goes with them.

Knows the order of the steps that lead there; each is a file of its own.
"""

from __future__ import annotations

from .buffers import Plan, plan as make_plan
from .epilogue import fold_epilogues
from .fuse import fuse
from .patches import read_patches
from .steps import Schedule

__all__ = ["native_schedule"]


def native_schedule(schedule: Schedule, plan: Plan) -> Schedule:
    """Fuse steps into kernels, for the lengths of *plan*; products take in what they can."""
    fused = fuse(schedule, plan)
    if not any(step.op.name == "matmul" for step in fused.steps):
        return fused
    # No number of a value is changed by either, so one plan is enough.
    placed = make_plan(fused, plan.lengths)
    return fold_epilogues(read_patches(fused, placed), placed)
