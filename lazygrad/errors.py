"""The exception tree. Knows nothing of values, graphs or arrays.

The tree, with what each is for and the built-in exception that it also is:

    LazygradError
    ├── GraphError                 an expression that can't be built
    │   ├── ShapeError             lengths or ranks don't fit                  (a ValueError)
    │   │   └── AxisError          an axis that the operand doesn't have       (an IndexError)
    │   ├── DTypeError             an element type that can't be used          (a TypeError)
    │   ├── OptionError            an argument outside its allowed values      (a ValueError)
    │   ├── DisconnectedError      no differentiable path to a leaf            (a ValueError)
    │   ├── DuplicateNameError     two placeholders share a name               (a ValueError)
    │   ├── SymbolicError          Python asked a node for a concrete answer   (a TypeError)
    │   └── ParseError             graph text that can't be read               (a ValueError)
    ├── FeedError                  what was fed doesn't fit the graph
    │   ├── MissingFeedError       a needed placeholder got nothing            (a TypeError)
    │   └── UnknownFeedError       a name that no placeholder has              (a TypeError)
    ├── StaleForwardError          state changed between forward and backward  (a RuntimeError)
    ├── ModeError                  neither training nor evaluation was chosen  (a RuntimeError)
    ├── CheckpointError            a file that can't be loaded into a model    (a ValueError)
    ├── NonFiniteError             training came to NaN or infinity            (an ArithmeticError)
    ├── OperationError             an operation failed while running           (a RuntimeError)
    ├── MiscompileError            a compiled program differs from its graph   (an AssertionError)
    └── GradientCheckError         a derivative disagrees with its check       (an AssertionError)

    BackendWarning                 the backend asked for can't be used         (a UserWarning)
    BroadcastWarning               a loss stretches one of its operands        (a UserWarning)
    MissingFeedWarning             ``Value.forward`` went on with NaN          (a UserWarning)
    PrecisionWarning               float64 data meets float32 parameters       (a UserWarning)
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AxisError",
    "BackendWarning",
    "BroadcastWarning",
    "CheckpointError",
    "DTypeError",
    "DisconnectedError",
    "DuplicateNameError",
    "FeedError",
    "GradientCheckError",
    "GraphError",
    "LazygradError",
    "MiscompileError",
    "MissingFeedError",
    "MissingFeedWarning",
    "ModeError",
    "NonFiniteError",
    "OperationError",
    "OptionError",
    "ParseError",
    "PrecisionWarning",
    "ShapeError",
    "StaleForwardError",
    "SymbolicError",
    "UnknownFeedError",
]


class LazygradError(Exception):
    """Root of every error that lazygrad raises on purpose."""


class GraphError(LazygradError):
    """An expression can't be built."""

    fact = ""
    """What is wrong, without who was called with what; empty where the text says nothing else."""


class ShapeError(GraphError, ValueError):
    """Lengths or ranks of operands don't fit each other or the operation."""


class AxisError(ShapeError, IndexError):
    """An axis or index lies outside what the operand has."""


class DTypeError(GraphError, TypeError):
    """An element type can't be used here."""


class OptionError(GraphError, ValueError):
    """An argument lies outside its allowed values."""


class DisconnectedError(GraphError, ValueError):
    """A gradient was asked for a value that the result doesn't depend on differentiably."""


class DuplicateNameError(GraphError, ValueError):
    """Two different placeholders of one graph share a name."""


class SymbolicError(GraphError, TypeError):
    """Python asked a graph node for something only known when the graph runs."""


class ParseError(GraphError, ValueError):
    """Graph text can't be read back."""


class FeedError(LazygradError):
    """What was fed doesn't fit the graph."""


class MissingFeedError(FeedError, TypeError):
    """A placeholder that the asked results need was not fed."""


class UnknownFeedError(FeedError, TypeError):
    """A name was fed that no placeholder of the graph has."""


class StaleForwardError(LazygradError, RuntimeError):
    """A parameter changed after ``forward``, so its ``backward`` would mix old and new values."""


class ModeError(LazygradError, RuntimeError):
    """A layer behaves differently in training, and nobody said which of the two is meant."""


class CheckpointError(LazygradError, ValueError):
    """A file is no checkpoint, is damaged, or doesn't fit what it is loaded into."""


class NonFiniteError(LazygradError, ArithmeticError):
    """Training came to NaN or infinity."""

    report: Any = None
    """What was found of the first operation that gave it; None where it doesn't come again."""
    history: Any = None
    """The run up to there."""


class OperationError(LazygradError, RuntimeError):
    """An operation failed while the graph was running."""


class MiscompileError(LazygradError, AssertionError):
    """A compiled program gave something else than its graph, computed node by node."""


class GradientCheckError(LazygradError, AssertionError):
    """A derivative disagrees with an independent computation of it."""


class BroadcastWarning(UserWarning):
    """A loss compares operands of different shapes, so one of them is stretched."""


class PrecisionWarning(UserWarning):
    """Data of float64 meets parameters of float32, so everything after is computed in float64."""


class BackendWarning(UserWarning):
    """The backend that was asked for can't be used, so another one runs the program."""


class MissingFeedWarning(UserWarning):
    """``Value.forward`` was called without a placeholder, which was filled with NaN."""
