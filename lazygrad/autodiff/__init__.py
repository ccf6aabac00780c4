"""Derivatives of graphs, as graphs."""

from .derivatives import grad, hvp, jvp, value_and_grad, vjp

__all__ = ["grad", "hvp", "jvp", "value_and_grad", "vjp"]
