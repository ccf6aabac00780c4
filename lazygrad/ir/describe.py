"""How a node is spoken of in errors. Reads nodes; builds none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..errors import GraphError, OperationError, SymbolicError
from ..location import Location, passed_user_code
from ..spec import Spec

if TYPE_CHECKING:
    from .op import Op
    from .value import Value

__all__ = ["describe", "failed_operation", "label", "located", "symbolic_error", "worded"]

_Function = TypeVar("_Function", bound="Callable[..., Any]")

_MOST_OPERANDS = 8
"""A longer list of operands is cut in a text."""


def _is_number(value: Value) -> bool:
    return value.op.name == "constant" and value.spec.shape == ()


def label(value: Value) -> str:
    """Name a node in a line of text: its name, its number, or its operation."""
    if value.name is not None:
        return value.name
    return f"{value.attrs['value'].item():g}" if _is_number(value) else value.op.name


def describe(value: Value) -> str:
    """Say what a node is and where it was made: ``float32[2]   placeholder 'x', train.py:12``."""
    what = value.op.name if value.name is None else f"{value.op.name} {value.name!r}"
    where = "" if value.line is None else f", {value.line}"
    return f"{value.spec}   {what}{where}"


def _row(value: Value) -> str:
    return f"  {label(value)}: {describe(value)}"


def located(error: GraphError, op: Op | str, operands: Sequence[Value]) -> GraphError:
    """Say, around an error, who was given what and where each operand was made."""
    name = op if isinstance(op, str) else op.name
    shown = operands[:_MOST_OPERANDS]
    labels = [label(operand) for operand in shown]
    fact = error.fact or str(error).removeprefix(f"{name}: ")
    said, *rows = fact.split("\n")
    rows += [_row(operand) for operand in shown if not _is_number(operand)]
    if len(shown) < len(operands):
        labels.append("...")
    called = f"{name}({', '.join(labels)})" if labels else name
    found = type(error)("\n".join([f"{called}: {said}", *dict.fromkeys(rows)]))
    found.fact = fact
    return found


def _nodes_among(arguments: Iterable[object]) -> Iterator[Value]:
    """Give the nodes among a call's arguments, and in the lists and dicts among them."""
    for argument in arguments:
        if isinstance(argument, Mapping):
            yield from _nodes_among((*argument, *argument.values()))
        elif isinstance(argument, (list, tuple)):
            yield from _nodes_among(argument)
        elif hasattr(type(argument), "with_operands"):
            yield cast("Value", argument)


def worded(function: _Function) -> _Function:
    """Make the errors of a function that users call name it, its operands and their lines.

    Of functions that call each other, the one that the user called is named. What went wrong in a
    function of the user's own, such as the body of a loop, was worded there and stays.
    """
    name = function.__name__.strip("_")

    @wraps(function)
    def call(*operands: Any, **options: Any) -> Any:
        try:
            return function(*operands, **options)
        except GraphError as error:
            if passed_user_code(error.__traceback__):
                raise
            nodes = tuple(_nodes_among((*operands, *options.values())))
            text = str(error)
            if text.startswith(f"{name}(") and all(_row(node) in text for node in nodes):
                raise
            raise located(error, name, nodes) from None

    return cast(_Function, call)


def failed_operation(
    name: str, specs: Sequence[Spec], line: Location | None, error: Exception
) -> OperationError:
    """Word what a kernel raised: which operation, on what, made where."""
    shapes = ", ".join(map(str, specs))
    where = "" if line is None else f", made at {line}"
    wrapped = OperationError(f"{name}({shapes}){where}, raised {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


def symbolic_error(value: Value, what: str, instead: str) -> SymbolicError:
    """Word the refusal of a question that only running the graph can answer."""
    name = label(value)
    return SymbolicError(
        f"{what} of {name!r} is not known while the graph is built: {instead}\n{_row(value)}"
    )
