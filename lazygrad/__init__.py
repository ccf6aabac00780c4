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

from . import autodiff, data, errors, linalg, ops, random
from . import evaluator as _evaluator
from .autodiff import *  # noqa: F403
from .compiler import Program, compile  # noqa: A004
from .drawing import draw
from .errors import *  # noqa: F403
from .ir.graph import Graph
from .ir.value import Value, constant, no_grad, placeholder, scope, variable
from .lengths import Length
from .ops import *  # noqa: F403
from .spec import Spec

__version__ = "0.1.0"

__all__ = [  # noqa: PLE0604
    "Graph",
    "Length",
    "Program",
    "Spec",
    "Value",
    "compile",
    "constant",
    "data",
    "draw",
    "linalg",
    "no_grad",
    "placeholder",
    "random",
    "scope",
    "variable",
    *autodiff.__all__,
    *errors.__all__,
    *ops.__all__,
]

del _evaluator
