"""Clipping of gradients, as expressions. Knows nodes only."""

from __future__ import annotations

from collections.abc import Sequence

import lazygrad as lg
from lazygrad.errors import OptionError

from .checks import more_than_zero

__all__ = ["clip_by_global_norm", "clip_by_value", "global_norm"]

_MARGIN = 1e-6
"""Keeps the quotient finite where all gradients are zero; PyTorch's number."""


def _nodes(what: str, gradients: Sequence[lg.Value]) -> list[lg.Value]:
    if isinstance(gradients, lg.Value):
        raise OptionError(f"{what}: gradients are a list of nodes, got one node.")
    found = list(gradients)
    for gradient in found:
        if not isinstance(gradient, lg.Value):
            raise OptionError(f"{what}: gradients are nodes, got {type(gradient).__name__}.")
    if not found:
        raise OptionError(f"{what}: there are no gradients.")
    return found


def global_norm(gradients: Sequence[lg.Value]) -> lg.Value:
    """Give the Euclidean norm of all gradients as one vector, a node without axes.

    >>> global_norm([lg.Value([3.0, 0.0]), lg.Value(4.0)])
    Value(data=5.0, grad=None)
    """
    first, *others = [(g * g).sum() for g in _nodes("global_norm", gradients)]
    for other in others:
        first = first + other
    return lg.sqrt(first)


def clip_by_global_norm(gradients: Sequence[lg.Value], norm: float) -> list[lg.Value]:
    """Scale all gradients by one factor, so that their `global_norm` is at most *norm*.

    The factor is ``min(1, norm / (global_norm + 1e-6))``, as in ``torch.nn.utils.clip_grad_norm_``.

    >>> clip_by_global_norm([lg.Value([3.0, 0.0]), lg.Value(4.0)], norm=10.0)
    [Value(data=[3. 0.], grad=None), Value(data=4.0, grad=None)]
    """
    most = more_than_zero("clip_by_global_norm: norm", norm)
    found = _nodes("clip_by_global_norm", gradients)
    factor = lg.minimum(most / (global_norm(found) + _MARGIN), 1.0)
    return [gradient * factor.astype(gradient.dtype) for gradient in found]


def clip_by_value(gradients: Sequence[lg.Value], limit: float) -> list[lg.Value]:
    """Bound every element of every gradient by ``-limit`` and *limit*.

    >>> clip_by_value([lg.Value([3.0, -0.5])], limit=1.0)
    [Value(data=[ 1.  -0.5], grad=None)]
    """
    most = more_than_zero("clip_by_value: limit", limit)
    return [lg.clip(gradient, -most, most) for gradient in _nodes("clip_by_value", gradients)]
