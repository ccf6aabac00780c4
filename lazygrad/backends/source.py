"""What a step looks like in source: which values can be written down, and under which names."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ..ir.op import Trait
from ..lengths import Length, evaluate
from ..schedule.buffers import is_data_dependent
from ..schedule.steps import Step

__all__ = [
    "Line",
    "evaluate_with",
    "function_name",
    "holds_data_length",
    "is_plain",
    "needs_data_length",
]

Line: TypeAlias = "tuple[str, Step | None]"
"""A line of source, and the step that fails where it fails."""


def evaluate_with(length: Length, fixed: dict[str, int], known: dict[str, int]) -> int:
    """Give a length of which some names are fixed and the others have just become known."""
    return evaluate(length, {**fixed, **known})


def needs_data_length(step: Step) -> bool:
    """Whether a step's attributes hold lengths that are known only in the middle of a run."""
    return Trait.DATA_SHAPED not in step.op.traits and any(
        holds_data_length(value) for value in step.attrs.values()
    )


def holds_data_length(value: object) -> bool:
    """Whether an attribute is or holds a length that is known only in the middle of a run."""
    if type(value) is tuple:
        return any(map(holds_data_length, value))
    return is_data_dependent(value)


def is_plain(value: object) -> bool:
    """Whether a value can stand in source as Python writes it."""
    if type(value) is tuple:
        return all(map(is_plain, value))
    return value is None or type(value) in (int, bool)


def function_name(function: object, step: Step) -> str:
    """Give the name that a step's function goes by in source."""
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", "")
    if isinstance(owner, np.ufunc):
        return f"{owner.__name__}_{name}"
    return name if name.isidentifier() and not name.startswith("<") else step.op.name
