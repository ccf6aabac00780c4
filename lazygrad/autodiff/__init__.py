"""Derivatives of graphs, as graphs."""

from .derivatives import grad, hvp, jvp, value_and_grad, vjp
from .matrices import hessian, jacobian
from .scan import scan

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "scan", "value_and_grad", "vjp"]
