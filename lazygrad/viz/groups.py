"""Groups of nodes, one for each layer inside the layers around it. Reads the scopes of nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..ir.value import CONSTANT, LENGTH, PLACEHOLDER, VARIABLE, Value

__all__ = ["Gathering", "Group", "Holder", "counted", "is_leaf", "tree_of_groups"]


@dataclass(eq=False)
class Group:
    """The nodes of one layer, and of the layers inside it; *times* of a row of equal ones."""

    label: str
    level: int
    members: list[Holder] = field(default_factory=list)
    nodes: list[Value] = field(default_factory=list)
    times: int = 1
    is_closed: bool = False
    is_backward: bool = False
    """Whether it holds what differentiates, and what comes after."""
    is_frame: bool = False
    """Whether it only stands around a row of groups that repeats."""
    paths: frozenset[tuple[str, ...]] = frozenset()
    """The scopes that it stands for: its own, and those of the ones that are folded into it."""


@dataclass(eq=False)
class Gathering:
    """Nodes that follow each other, in one box."""

    nodes: list[Value]


Holder: TypeAlias = "Value | Group | Gathering"


def is_leaf(node: Value) -> bool:
    """Whether a node is fed, held or fixed, not computed."""
    return not node.operands and node.op in (CONSTANT, LENGTH, PLACEHOLDER, VARIABLE)


def tree_of_groups(
    nodes: Sequence[Value], is_backward: Callable[[Value], bool]
) -> tuple[list[Holder], dict[tuple[str, ...], Group]]:
    """Group nodes by their scopes: what stands at the top, and each group by its path.

    Leaves stand where they are used, and placeholders at the top. What is backward has groups of
    its own, whose paths begin with ``"backward"``.
    """
    return _tree(nodes, _homes(nodes, is_backward))


def _homes(
    nodes: Sequence[Value], is_backward: Callable[[Value], bool]
) -> dict[int, tuple[str, ...]]:
    """Give the path of groups that each node stands in; leaves stand where they are used."""
    homes: dict[int, tuple[str, ...]] = {}
    used: dict[int, tuple[str, ...] | None] = {}
    for node in nodes:
        if not is_leaf(node):
            mark = ("backward",) if is_backward(node) else ()
            path = (*mark, *node.scope) if node.scope else ()
            homes[id(node)] = path
            for operand in node.operands:
                if not path or not is_leaf(operand) or (mark and used.get(id(operand))):
                    continue
                before = used.get(id(operand))
                used[id(operand)] = path if before is None else _common(before, path)
    for node in nodes:
        if is_leaf(node):
            homes[id(node)] = () if node.op is PLACEHOLDER else used.get(id(node)) or ()
    return homes


def _common(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    count = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    return a[: min(len(a), len(b)) if count is None else count]


def _tree(
    nodes: Sequence[Value], homes: dict[int, tuple[str, ...]]
) -> tuple[list[Holder], dict[tuple[str, ...], Group]]:
    top: list[Holder] = []
    groups: dict[tuple[str, ...], Group] = {}
    # Parameters are older than what is computed, so groups come in the order of what computes.
    for node in sorted(nodes, key=is_leaf):
        path = homes[id(node)]
        is_back = path[:1] == ("backward",)
        members = top
        for end in range(2 if is_back else 1, len(path) + 1):
            group = groups.get(path[:end])
            if group is None:
                group = groups[path[:end]] = Group(path[end - 1], end - 1 - is_back)
                group.paths, group.is_backward = frozenset({path[is_back:end]}), is_back
                members.append(group)
            members = group.members
    for node in nodes:
        path = homes[id(node)]
        around = [groups[path[:end]] for end in range(1, len(path) + 1) if path[:end] in groups]
        for group in around:
            group.nodes.append(node)
        (around[-1].members if around else top).append(node)
    return top, groups


def counted(nodes: Sequence[Value], most: int = 3) -> list[str]:
    """Say in lines how many operations there are, and which."""
    names = Counter(node.op.name for node in nodes if not is_leaf(node))
    total = sum(names.values())
    shown = [f"{count:,} {name}" for name, count in names.most_common(most)]
    if len(names) > most:
        shown.append(f"{sum(n for _, n in names.most_common()[most:]):,} others")
    return [f"{total:,} operation{'s' * (total != 1)}", ", ".join(shown)]
