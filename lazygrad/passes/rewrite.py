"""Rewrites as a table of patterns and results, both written as ordinary expressions.

A pattern is an expression over wildcards, which stand for any node. Its numbers stand for
constants of that value, whatever their dtype; its commutative operations match both ways round.
A rule applies only where the result has exactly the spec of the node it replaces, so that a
broadcast never gets lost. Knows nodes; knows no particular operation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from ..errors import LazygradError
from ..ir.graph import Graph
from ..ir.op import Attrs, Op, Trait
from ..ir.value import CONSTANT, Value, make, weak_operands
from ..lengths import collecting
from ..spec import DTypeLike, Shape, Spec
from .fold import folded
from .uniform import is_broadcast, number_of, without_broadcast

__all__ = ["WILDCARD", "Rule", "Table", "built", "rule", "wildcard"]

Result: TypeAlias = "Value | Callable[..., Value | None]"

# How often one node may be rewritten: tables are meant to end, and a mistake must not hang.
_TIMES = 16


def _no_kernel(*arrays: object, **attrs: object) -> object:
    raise LazygradError("a wildcard is matched, not computed.")


WILDCARD = Op(
    name="wildcard",
    family="leaf",
    infer=_no_kernel,  # type: ignore[arg-type]
    kernel=_no_kernel,
    traits=frozenset({Trait.LEAF}),
    doc="Stands for any node in a pattern.",
)


def wildcard(
    name: str,
    *,
    shape: Shape = (),
    dtype: DTypeLike = np.float64,
    where: Callable[[Value], bool] | None = None,
    fixed: bool = False,
) -> Value:
    """Make a leaf of patterns that stands for any node, or any of which *where* is true.

    A *fixed* one stands for constants that hold one number throughout. *shape* and *dtype* only
    let the pattern be written with operations that ask for some; they restrict nothing.
    """
    attrs = {"where": where, "fixed": fixed}
    return make(WILDCARD, (), attrs, Spec(shape, np.dtype(dtype)), name=name)


@dataclass(frozen=True, slots=True)
class _Tree:
    """A pattern with its commutative operations settled one way round."""

    op: Op
    children: tuple[_Tree, ...] = ()
    attrs: Attrs | None = None
    name: str = ""
    number: float | int | bool = 0
    where: Callable[[Value], bool] | None = None
    fixed: bool = False

    def may_match(self, op: Op) -> bool:
        """Whether a node of this operation may match, as far as can be said without it."""
        if self.op is WILDCARD and not self.fixed:
            return True
        return op is self.op or (self.op in (CONSTANT, WILDCARD) and _may_be_number(op))

    def matches(self, node: Value, found: dict[str, Value]) -> bool:
        """Whether *node* matches; wildcards are noted in *found*."""
        if self.op is WILDCARD:
            if found.setdefault(self.name, node) is not node:
                return False
            if self.fixed and number_of(node) is None:
                return False
            return self.where is None or self.where(node)
        if self.op is CONSTANT:
            return _is_number(node, self.number)
        if node.op is not self.op or len(node.operands) != len(self.children):
            return False
        if self.attrs is not None and self.attrs != node.attrs:
            return False
        for child, operand in zip(self.children, node.operands, strict=True):
            if not child.matches(operand, found):
                return False
        return True


def _may_be_number(op: Op) -> bool:
    return op is CONSTANT or is_broadcast(op)


def _is_number(node: Value, number: float | int | bool) -> bool:
    found = number_of(node)
    if found is None or found != number:
        return False
    # 0.0 equals -0.0, but adding it does not leave everything as it is.
    return number != 0 or math.copysign(1.0, found) == math.copysign(1.0, number)


@dataclass(frozen=True, eq=False)
class Rule:
    """One rewrite: where *pattern* is found, and *where* holds of its wildcards, put *result*."""

    name: str
    pattern: Value
    result: Result
    where: Callable[..., bool] | None = None
    trees: tuple[_Tree, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # A result that is worked out by a function reads the attributes of what was matched.
        any_attrs = not isinstance(self.result, Value)
        object.__setattr__(self, "trees", tuple(_trees(self.pattern, any_attrs)))


def rule(
    name: str, pattern: Value, result: Result, *, where: Callable[..., bool] | None = None
) -> Rule:
    """Say that *pattern* may be replaced by *result*, an expression over the same wildcards.

    *where* gets the wildcards' nodes by name and may refuse. A *result* that is a function gets
    the matched node, then the wildcards' nodes by name; attributes in the pattern then match
    any, and it may give None to refuse.
    """
    return Rule(name, pattern, result, where)


def _trees(pattern: Value, any_attrs: bool) -> list[_Tree]:
    if pattern.op is WILDCARD:
        return [_Tree(WILDCARD, name=str(pattern.name), **pattern.attrs)]
    if pattern.op is CONSTANT:
        return [_Tree(CONSTANT, number=pattern.attrs["value"].item())]
    attrs = None if any_attrs else pattern.attrs
    orders: list[tuple[Value, ...]] = [pattern.operands]
    if Trait.COMMUTATIVE in pattern.op.traits and pattern.operands[0] is not pattern.operands[1]:
        orders.append(pattern.operands[::-1])
    return [
        _Tree(pattern.op, children, attrs)
        for order in orders
        for children in product(*[_trees(operand, any_attrs) for operand in order])
    ]


def built(node: Value, op: Op, *operands: object, **attrs: Any) -> Value:
    """Apply *op* in the place of *node*: the new node takes over its line, scope and origin."""
    nodes = weak_operands(operands) if Trait.ELEMENTWISE in op.traits else operands
    with collecting():
        spec = op.infer(*[operand.spec for operand in nodes], **attrs)  # type: ignore[attr-defined]
    return make(op, nodes, attrs, spec, like=node)  # type: ignore[arg-type]


class Table:
    """Rules that are tried together, the first that fits winning.

    >>> from lazygrad.ops.arithmetic import negative
    >>> x = wildcard("x")
    >>> table = Table([rule("two signs", negative(negative(x)), x)])
    >>> v = Value(shape=(3,), name="v")
    >>> print(table.apply(Graph([-(-v) + 1])))
    v: float64[3] requires_grad
    a = add(v, 1.0)
    return a
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._roots: dict[Op, list[tuple[Rule, _Tree]]] = {}
        for each in self.rules:
            for tree in each.trees:
                self._roots.setdefault(tree.op, []).append((each, tree))
        # By the operations of a node and of its operands, so that most nodes cost one look-up.
        self._candidates: dict[tuple[Op, ...], tuple[tuple[Rule, _Tree], ...]] = {}

    def apply(self, graph: Graph) -> Graph:
        """Rewrite every node of *graph* until no rule fits it."""
        return graph.rebuild(self.simplified)

    def simplified(self, node: Value, times: int = _TIMES) -> Value:
        """Rewrite one node, and those made on the way, at most so many times."""
        operands = node.operands
        if len(operands) == 1:
            key: tuple[Op, ...] = (node.op, operands[0].op)
        elif len(operands) == 2:
            key = (node.op, operands[0].op, operands[1].op)
        else:
            key = (node.op, *[operand.op for operand in operands])
        candidates = self._candidates.get(key)
        if candidates is None:
            candidates = self._candidates[key] = self._fitting(key)
        if not candidates or not times:
            return node
        for each, tree in candidates:
            found: dict[str, Value] = {}
            if tree.matches(node, found) and (each.where is None or each.where(**found)):
                result = self._result(each, node, found, times - 1)
                if result is not None and result.spec == node.spec:
                    return self.simplified(result, times - 1)
        return node

    def _fitting(self, key: tuple[Op, ...]) -> tuple[tuple[Rule, _Tree], ...]:
        return tuple(
            (each, tree)
            for each, tree in self._roots.get(key[0], ())
            if len(tree.children) == len(key) - 1
            and all(child.may_match(op) for child, op in zip(tree.children, key[1:], strict=True))
        )

    def _result(self, each: Rule, node: Value, found: dict[str, Value], times: int) -> Value | None:
        try:
            if callable(each.result):
                return each.result(node, **found)
            result = self._instance(each.result, each.result, node, found, times)
        except LazygradError:
            # What the pattern allows, the result may refuse for shapes or dtypes of its own.
            return None
        # A number alone has no neighbour to take its dtype and shape from.
        return result if isinstance(result, Value) else None

    def _instance(
        self, result: Value, root: Value, node: Value, found: dict[str, Value], times: int
    ) -> Value | float | int | bool:
        if result.op is WILDCARD:
            matched = found[str(result.name)]
            return without_broadcast(matched) if result.attrs["fixed"] else matched
        if result.op is CONSTANT:
            number: float | int | bool = result.attrs["value"].item()
            return number
        operands = [
            self._instance(operand, root, node, found, times) for operand in result.operands
        ]
        new = folded(built(node, result.op, *operands, **result.attrs))
        return new if result is root else self.simplified(new, times)
