"""Optimizers and schedules of their rates, built on public names only.

An update is an expression, so that forward, backward, clipping, schedule and update are compiled
into one program:

>>> from lazygrad import optim
>>> w = lg.variable([1.0, 2.0], name="w")
>>> loss = (w * w).sum()
>>> opt = optim.Adam(optim.schedules.Cosine(0.1, steps=100), clip_norm=1.0)
>>> train = lg.compile(loss, updates=opt.minimize(loss))
>>> train()
np.float64(5.0)
"""

from __future__ import annotations

from . import schedules as schedules
from .by_scipy import minimize_scipy
from .clipping import clip_by_global_norm, clip_by_value, global_norm
from .methods import SGD, Adagrad, Adam, AdamW, Lion, RMSProp
from .optimizer import Group, Optimizer

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Group",
    "Lion",
    "Optimizer",
    "RMSProp",
    "clip_by_global_norm",
    "clip_by_value",
    "global_norm",
    "minimize_scipy",
    "schedules",
]
