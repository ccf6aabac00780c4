"""Copy and pickle graphs as flat lists of records, without recursion over the graph.

Placeholders and variables are pickled as objects, so values pickled together share them; other
nodes are records that name their operation and count their operands. Knows records; the function
that makes a node is handed in, as nodes use this module.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ..errors import OptionError
from ..location import Location
from ..spec import Spec, TupleSpec
from .cell import Cell
from .op import Attrs, Trait, lookup, table

if TYPE_CHECKING:
    from ..lengths import Dim
    from .value import Value

__all__ = [
    "Flat",
    "Maker",
    "Record",
    "deep_copy",
    "deep_copy_attrs",
    "flatten",
    "reduce_node",
    "restore_leaf",
    "restore_node",
    "restore_nodes",
]

Maker: TypeAlias = "Callable[..., Value]"
"""``(op, operands, attrs, spec, *, name, cell, like)`` makes a node."""


class Record(NamedTuple):
    """One node: its operation by name, its operands by number, and what it carries."""

    op: str
    operands: tuple[int, ...]
    attrs: Attrs
    spec: Spec | TupleSpec
    name: str | None
    requires_grad: bool
    stopped: bool
    line: Location | None
    scope: tuple[str, ...]
    assumptions: tuple[tuple[Dim, Dim], ...]
    cell: Cell | None


class Flat(NamedTuple):
    """Nodes in order, each a record or a leaf, and where some of them came from."""

    nodes: list[Value | tuple[Any, ...]]
    origins: list[tuple[int, int]]
    roots: tuple[int, ...]


@dataclass(slots=True)
class _Facts:
    """What a restored node takes over from the one it was."""

    line: Location | None
    scope: tuple[str, ...]
    origin: Value | None
    requires_grad: bool
    _stopped: bool


def _below(roots: Iterable[Value], known: dict[int, Any]) -> list[Value]:
    """List *roots* and the nodes below them, operands first, but none whose id is *known*."""
    found: dict[int, Value] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if id(node) not in found and id(node) not in known:
            found[id(node)] = node
            stack.extend(node.operands)
    return sorted(found.values(), key=lambda node: node.serial)


def _is_shared(node: Value) -> bool:
    """Whether a leaf is itself and no other: it is fed by name, or has a cell."""
    if node.operands:
        return False
    return node.cell is not None or (Trait.LEAF in node.op.traits and not node.attrs)


def flatten(roots: Sequence[Value]) -> Flat:
    """Write *roots* and everything below them as a flat list.

    An operation that isn't in the table by its name is refused with an OptionError.
    """
    nodes = _below(roots, {})
    places = {id(node): place for place, node in enumerate(nodes)}
    same: dict[Hashable, Any] = {}
    records: list[Value | tuple[Any, ...]] = [
        node
        if _is_shared(node)
        else tuple(_record(node, tuple([places[id(o)] for o in node.operands]), same))
        for node in nodes
    ]
    origins = [
        (place, places[id(node.origin)])
        for place, node in enumerate(nodes)
        if node.origin is not None and id(node.origin) in places
    ]
    return Flat(records, origins, tuple([places[id(root)] for root in roots]))


def _record(node: Value, operands: tuple[int, ...], same: dict[Hashable, Any]) -> Record:
    op = node.op
    if table().get(op.name) is not op:
        raise OptionError(
            f"the operation {op.name!r} can't be pickled: operations go by name, and no registered"
            " operation of that name is this one. Register it under a name of its own."
        )
    spec, line = node.spec, node.line
    # Pickle writes an object once; equal specs and lines are made the same object.
    return Record(
        op.name,
        operands,
        node.attrs,
        same.setdefault(spec, spec),
        node.name,
        node.requires_grad,
        node._stopped,
        line if line is None else same.setdefault(("line", line), line),
        same.setdefault(("scope", node.scope), node.scope),
        node.assumptions,
        node.cell,
    )


def _remake(make: Maker, record: Record, operands: tuple[Value, ...]) -> Value:
    try:
        op = lookup(record.op)
    except OptionError as error:
        raise OptionError(
            f"{error} Import the module that registers it, then load again."
        ) from None
    attrs = record.attrs
    if "value" in attrs and Trait.LEAF in op.traits:
        # Pickle forgets that a constant's array is not to be written.
        attrs["value"].flags.writeable = False
    facts = _Facts(record.line, record.scope, None, record.requires_grad, record.stopped)
    spec, cell = record.spec, record.cell
    node = make(op, operands, attrs, spec, name=record.name, cell=cell, like=facts)
    node.assumptions = record.assumptions
    return node


def restore_nodes(make: Maker, flat: Flat) -> list[Value]:
    """Make the roots of a flat list, and everything below them, anew."""
    nodes: list[Value] = []
    for entry in flat.nodes:
        if not isinstance(entry, tuple):
            nodes.append(entry)
            continue
        record = Record(*entry)
        nodes.append(_remake(make, record, tuple([nodes[place] for place in record.operands])))
    for place, origin in flat.origins:
        nodes[place].origin = nodes[origin]
    return [nodes[place] for place in flat.roots]


def restore_node(make: Maker, flat: Flat) -> Value:
    """Make the only root of a flat list."""
    return restore_nodes(make, flat)[0]


def restore_leaf(make: Maker, record: tuple[Any, ...]) -> Value:
    """Make a placeholder or variable."""
    return _remake(make, Record(*record), ())


def reduce_node(make: Maker, node: Value) -> tuple[Callable[..., Value], tuple[Any, ...]]:
    """Say to pickle how *node* is made again."""
    if _is_shared(node):
        return restore_leaf, (make, tuple(_record(node, (), {})))
    return restore_node, (make, flatten((node,)))


def deep_copy(make: Maker, roots: Sequence[Value], memo: dict[int, Any]) -> list[Value]:
    """Copy *roots* and everything below them, cells included; what *memo* has is shared."""
    nodes = _below(roots, memo)
    for node in nodes:
        operands = tuple([memo[id(operand)] for operand in node.operands])
        cell = node.cell if node.cell is None else copy.deepcopy(node.cell, memo)
        attrs = deep_copy_attrs(node.attrs, memo)
        spec = node.spec
        twin = make(node.op, operands, attrs, spec, name=node.name, cell=cell, like=node)
        twin.assumptions = node.assumptions
        memo[id(node)] = twin
    for node in nodes:
        twin = memo[id(node)]
        twin.origin = None if node.origin is None else memo.get(id(node.origin))
    return [memo[id(root)] for root in roots]


def deep_copy_attrs(attrs: Attrs, memo: dict[int, Any]) -> Attrs:
    """Copy attributes; graphs among them are copied, all else can't change and is shared."""
    return {
        name: copy.deepcopy(value, memo) if hasattr(value, "outputs") else value
        for name, value in attrs.items()
    }
