"""What a program is asked for: outputs in a structure, updates in pairs, each checked.

Knows nodes; knows nothing of what becomes of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from .errors import DTypeError, OptionError, ShapeError
from .ir.describe import describe, label
from .ir.graph import Graph
from .ir.value import VARIABLE, Value
from .ops.random import counters_of
from .spec import format_shape

__all__ = [
    "Outputs",
    "Updates",
    "checked_updates",
    "counting_updates",
    "flattened",
    "one_update_each",
]

Outputs: TypeAlias = "Value | Sequence[Value] | Mapping[str, Value]"
Updates: TypeAlias = "Mapping[Value, Value] | Sequence[tuple[Value, Value]]"


def flattened(
    outputs: Outputs,
) -> tuple[list[Value], Callable[[tuple[Any, ...]], Any]]:
    """List the nodes of a structure, and give the function that restores it around results."""
    if isinstance(outputs, Value):
        return [outputs], lambda results: results[0]
    if isinstance(outputs, Mapping):
        nodes = list(outputs.values())
        structure: Callable[[tuple[Any, ...]], Any] = partial(_by_key, tuple(outputs))
    else:
        if not isinstance(outputs, Sequence) or isinstance(outputs, str):
            raise OptionError(
                f"outputs must be a node, or a list, tuple or dict of nodes, got {_shown(outputs)}."
            )
        nodes = list(outputs)
        structure = list if isinstance(outputs, list) else _same
    for node in nodes:
        if not isinstance(node, Value):
            raise OptionError(f"outputs must be nodes, got {_shown(node)} among them.")
    return nodes, structure


def _by_key(keys: tuple[str, ...], results: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(keys, results, strict=True))


def _same(results: tuple[Any, ...]) -> tuple[Any, ...]:
    return results


def checked_updates(updates: Updates) -> list[tuple[Value, Value]]:
    """Give updates as pairs, each of a variable and a node of its shape and dtype."""
    if not isinstance(updates, (Mapping, Sequence)):
        raise OptionError(f"updates must be a dict or a list of pairs, got {_shown(updates)}.")
    pairs = list(updates.items() if isinstance(updates, Mapping) else updates)
    seen: set[int] = set()
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise OptionError(
                "updates must be a dict, or a list of pairs of a variable and its new value, got"
                f" {_shown(pair)} among them."
            )
        old, new = pair
        if not isinstance(old, Value) or old.op is not VARIABLE:
            raise OptionError(f"only variables can be updated, got {_shown(old)}.")
        if id(old) in seen:
            raise OptionError(f"{label(old)} is updated twice.")
        seen.add(id(old))
        if not isinstance(new, Value):
            raise OptionError(f"the update of {label(old)} must be a node, got {_shown(new)}.")
        if new.spec.shape != old.spec.shape:
            raise ShapeError(
                f"the update of {label(old)} has shape {format_shape(new.spec.shape)},"
                f" not {format_shape(old.spec.shape)}."
            )
        if new.spec.dtype != old.spec.dtype:
            raise DTypeError(
                f"the update of {label(old)} is {new.spec.dtype.name}, the variable"
                f" {old.spec.dtype.name}; convert it with .astype."
            )
    return pairs


def counting_updates(graph: Graph, pairs: list[tuple[Value, Value]]) -> list[tuple[Value, Value]]:
    """Give one count more, as an update, for each stream of random draws that is used."""
    own = {id(old) for old, _ in pairs}
    return [(node, node + 1) for node in counters_of(graph.nodes) if id(node) not in own]


def one_update_each(pairs: list[tuple[Value, Value]]) -> list[tuple[Value, Value]]:
    """Refuse a variable that both the user's updates and the graph write."""
    seen: set[int] = set()
    for old, _ in pairs:
        if id(old) in seen:
            raise OptionError(
                f"{label(old)} is updated by the graph and by updates=.\n  {describe(old)}"
            )
        seen.add(id(old))
    return pairs


def _shown(thing: object) -> str:
    return f"{label(thing)}, a {thing.op.name}" if isinstance(thing, Value) else f"{thing!r:.60}"
