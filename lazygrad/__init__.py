"""A compiler for NumPy expressions: declare once, differentiate, run by name as often as you like.

>>> import lazygrad as lg
>>> x = lg.placeholder(("batch", 2), name="x")
>>> w = lg.Value([1.0, -1.0], name="w")
>>> y = lg.relu(x @ w)
>>> y.forward(x=[[2.0, 3.0], [5.0, 4.0]])
array([0., 1.])
>>> y.backward(); w.grad
array([5., 4.])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import numpy

from . import (
    autodiff,
    errors,
    evaluator as _evaluator,
    linalg as linalg,
    ops,
    random as random,
)
from .autodiff import *
from .compiler import Program as Program, compile as compile
from .errors import *
from .ir.graph import Graph as Graph
from .ir.op import NUMPY_FUNCTIONS, public_later
from .ir.value import (
    Value as Value,
    constant as constant,
    no_grad as no_grad,
    placeholder as placeholder,
    scope as scope,
    variable as variable,
)
from .lengths import Length as Length
from .ops import *
from .spec import Spec as Spec

__version__ = "0.1.0"

# A type checker can't read this list; without one, the names above after `as` and of stars are
# public to it.
if TYPE_CHECKING:
    from . import data as data, nn as nn, optim as optim, testing as testing, train as train
    from .drawing import draw as draw, draw_dot as draw_dot, draw_graph as draw_graph
    from .ir.text import parse as parse
    from .recorded import CompGraph as CompGraph
    from .tracing import explain_gradient as explain_gradient, trace_compile as trace_compile
else:
    __all__ = [
        "CompGraph",
        "Graph",
        "Length",
        "Program",
        "Spec",
        "Value",
        "compile",
        "constant",
        "data",
        "draw",
        "draw_dot",
        "draw_graph",
        "explain_gradient",
        "linalg",
        "nn",
        "no_grad",
        "optim",
        "parse",
        "placeholder",
        "random",
        "scope",
        "testing",
        "trace_compile",
        "train",
        "variable",
        *autodiff.__all__,
        *errors.__all__,
        *ops.__all__,
    ]

# What a training loop doesn't need is imported when it is first asked for.
_LATER = {
    "CompGraph": "recorded",
    "data": "data",
    "draw": "drawing",
    "draw_dot": "drawing",
    "draw_graph": "drawing",
    "explain_gradient": "tracing",
    "nn": "nn",
    "optim": "optim",
    "parse": "ir.text",
    "testing": "testing",
    "trace_compile": "tracing",
    "train": "train",
}
public_later("lazygrad.drawing", "draw")
public_later("lazygrad.drawing", "notebook")


def __getattr__(name: str) -> object:
    if name not in _LATER:
        # NumPy's other names of a function, such as abs for absolute, are names of ours too.
        meaning = NUMPY_FUNCTIONS.get(getattr(numpy, name, None))
        if meaning is not None:
            return meaning
        raise AttributeError(f"module 'lazygrad' has no attribute {name!r}")
    module = import_module(f".{_LATER[name]}", __name__)
    return getattr(module, name, module)


del _evaluator
