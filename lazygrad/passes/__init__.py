"""What makes a graph smaller without changing what it computes."""

from .mode import mode_flags, settle_mode, take_updates
from .pipeline import EXACT_PASSES, FAST_PASSES, PASSES, Pass, Watch, optimize, pipeline

__all__ = [
    "EXACT_PASSES",
    "FAST_PASSES",
    "PASSES",
    "Pass",
    "Watch",
    "mode_flags",
    "optimize",
    "pipeline",
    "settle_mode",
    "take_updates",
]
