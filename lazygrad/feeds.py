"""The door: arrays fed by name become arrays of the declared dtypes, and lengths become numbers.

Knows placeholders; knows nothing of schedules. The caller's arrays are never written here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from .errors import (
    FeedError,
    LazygradError,
    MissingFeedError,
    ShapeError,
    UnknownFeedError,
)
from .ir.arrays import cast_array, plain_array
from .ir.describe import describe, label
from .ir.graph import Graph
from .ir.op import Array
from .ir.value import PLACEHOLDER, Value
from .lengths import solve
from .spec import format_shape

__all__ = ["bind_lengths", "feedable", "missing_feeds", "read_feed", "unknown_feed"]


def feedable(graph: Graph) -> dict[str, Value]:
    """Find the placeholders that may be fed, used or not: a gradient may not depend on all of them.

    Those are the placeholders of the graph, and of the forward nodes that it is a derivative of.
    """
    found = graph.placeholders
    seen: set[int] = set()
    stack = list(graph.outputs)
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        stack.extend(node.operands)
        if node.origin is not None:
            stack.append(node.origin)
        if node.op is PLACEHOLDER:
            found.setdefault(str(node.name), node)
    return found


def read_feed(placeholder: Value, data: object) -> Array:
    """Give *data* as an array of the placeholder's dtype and rank, without copying if it is one.

    Raises DTypeError for what can't be cast without loss of kind, ShapeError for another rank.
    """
    if isinstance(data, Value):
        rows = dict.fromkeys(f"  {label(node)}: {describe(node)}" for node in (placeholder, data))
        raise FeedError(
            "\n".join(
                [f"feed {placeholder.name!r}: got a graph node; feed its value, x.data.", *rows]
            )
        )
    try:
        array = cast_array(plain_array(data), placeholder.spec.dtype)
    except LazygradError as error:
        raise _refused(placeholder, type(error), str(error)) from None
    if len(array.shape) != len(placeholder.spec.shape):
        raise _refused(placeholder, ShapeError, _rank_text(placeholder, array))
    return array


def _rank_text(placeholder: Value, array: Array) -> str:
    declared, came = placeholder.spec.shape, array.shape
    text = (
        f"expected {len(declared)} axes, {format_shape(declared)},"
        f" got {len(came)}, {format_shape(came)}."
    )
    if len(came) == len(declared) - 1:
        return text + " Is the batch axis missing? x[None] adds one."
    if len(came) == len(declared) + 1 and 1 in came:
        return text + " An axis of length 1 can be dropped with x.squeeze(axis)."
    return text


def _refused(placeholder: Value, kind: type[LazygradError], text: str) -> LazygradError:
    return kind(f"feed {placeholder.name!r}: {text}\n  {placeholder.name}: {describe(placeholder)}")


def bind_lengths(fed: Iterable[tuple[Value, Array]]) -> dict[str, int]:
    """Work out the named lengths from the shapes that were fed.

    Raises ShapeError where an array's shape contradicts its placeholder's or another feed.
    """
    pairs = list(fed)
    bindings: dict[str, int] = {}
    giver: dict[str, str] = {}
    waiting = [(p, a, axis) for p, a in pairs for axis in range(len(a.shape))]
    while waiting:
        later = []
        for placeholder, array, axis in waiting:
            declared = placeholder.spec.shape[axis]
            before = set(bindings)
            fits = (
                declared == array.shape[axis]
                if type(declared) is int
                else solve(declared, array.shape[axis], bindings)
            )
            if fits is None:
                later.append((placeholder, array, axis))
            elif not fits:
                raise _mismatch(placeholder, array, axis, bindings, giver)
            for name in bindings.keys() - before:
                giver[name] = str(placeholder.name)
        if len(later) == len(waiting):
            placeholder, _, axis = later[0]
            raise ShapeError(
                f"the length {placeholder.spec.shape[axis]} of {placeholder.name!r} can't be"
                f" worked out from what was fed.\n  {describe(placeholder)}"
            )
        waiting = later
    return bindings


def _mismatch(
    placeholder: Value,
    array: Array,
    axis: int,
    bindings: Mapping[str, int],
    giver: Mapping[str, str],
) -> LazygradError:
    declared = placeholder.spec.shape[axis]
    text = (
        f"expected {format_shape(placeholder.spec.shape)}, got {format_shape(array.shape)}:"
        f" axis {axis} has length {array.shape[axis]}, not {declared}"
    )
    known = [name for name in getattr(declared, "names", ()) if name in bindings]
    for name in known:
        text += f" ({name} is {bindings[name]}, from feed {giver.get(name, name)!r})"
    if sorted(map(str, placeholder.spec.shape)) == sorted(map(str, array.shape)):
        text += "; the axes seem to be in another order"
    return _refused(placeholder, ShapeError, text + ".")


def unknown_feed(name: str, placeholders: Mapping[str, Value]) -> UnknownFeedError:
    """Word the refusal of a name that no placeholder has, with the nearest known one."""
    folded = {key.lower(): key for key in placeholders}
    close = difflib.get_close_matches(name.lower(), list(folded), n=1)
    hint = f" Did you mean {folded[close[0]]!r}?" if close else ""
    if not placeholders:
        return UnknownFeedError(f"{name!r} was fed, but this graph has no placeholders.")
    known = "\n".join(f"  {key}: {describe(node)}" for key, node in placeholders.items())
    return UnknownFeedError(f"no placeholder is named {name!r}.{hint} The placeholders:\n{known}")


def missing_feeds(missing: Sequence[Value], fed: Iterable[str]) -> MissingFeedError:
    """Word the refusal to run without placeholders that are needed, all of them at once."""
    names = ", ".join(repr(node.name) for node in missing)
    rows = "\n".join(f"  {node.name}: {describe(node)}" for node in missing)
    given = ", ".join(map(repr, fed)) or "nothing"
    return MissingFeedError(f"no feed for {names}; fed: {given}. Needed:\n{rows}")
