"""How a node is spoken of in errors. Reads nodes; builds none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import GraphError, OperationError, SymbolicError
from ..location import Location
from ..spec import Spec

if TYPE_CHECKING:
    from .op import Op
    from .value import Value

__all__ = ["describe", "failed_operation", "label", "located", "symbolic_error"]


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


def located(error: GraphError, op: Op | str, operands: Sequence[Value]) -> GraphError:
    """Say, around an inference error, who was given what and where each operand was made."""
    name = op if isinstance(op, str) else op.name
    labels = [label(operand) for operand in operands]
    rows = dict.fromkeys(
        f"  {text}: {describe(operand)}"
        for text, operand in zip(labels, operands, strict=True)
        if not _is_number(operand)
    )
    return type(error)("\n".join([f"{name}({', '.join(labels)}): {error}", *rows]))


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
        f"{what} of {name!r} is not known while the graph is built: {instead}\n"
        f"  {name}: {describe(value)}"
    )
