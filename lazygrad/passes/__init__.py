"""What makes a graph smaller without changing what it computes."""

from .pipeline import EXACT_PASSES, PASSES, Pass, optimize

__all__ = ["EXACT_PASSES", "PASSES", "Pass", "optimize"]
