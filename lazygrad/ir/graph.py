"""A frozen graph: the nodes below some results, operands before users. Knows no derivatives.

Walks are loops: a chain of a hundred thousand nodes is an ordinary graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from ..errors import DuplicateNameError
from ..lengths import Dim
from .describe import describe
from .flat import Flat, deep_copy, flatten, restore_nodes
from .op import call
from .printing import print_graph
from .value import PLACEHOLDER, VARIABLE, Value, make

__all__ = ["Assumption", "Graph", "ancestors"]

Assumption = tuple[Dim, Dim, Value]
"""Two lengths that must be equal once they are known, and the node that needs it."""


def ancestors(results: Iterable[Value], stop: Iterable[Value] = ()) -> list[Value]:
    """List the nodes that *results* depend on, themselves included, operands before users.

    Nodes in *stop* are listed where they are reached, but not what lies below them.
    """
    seen: dict[int, Value] = {}
    barrier = {id(node) for node in stop}
    stack = list(results)
    while stack:
        node = stack.pop()
        key = id(node)
        if key in seen:
            continue
        seen[key] = node
        if key not in barrier:
            stack.extend(node.operands)
    # A node is younger than its operands, so age is a valid order, and the one of writing.
    return sorted(seen.values(), key=attrgetter("serial"))


class Graph:
    """Results and everything below them, in an order that computes operands first.

    Parameters
    ----------
    outputs
        The results, in order.
    inputs
        Leaves that stand for arguments (of a loop body, of parsed text); may be empty.
    assumptions
        Equalities of lengths that building took for granted; by default those of the nodes.

    Examples
    --------
    >>> x = Value(shape=(3,), name="x")
    >>> [node.op.name for node in Graph([x * x + 1.0]).nodes]
    ['placeholder', 'multiply', 'constant', 'add']
    """

    __slots__ = ("__weakref__", "assumptions", "inputs", "nodes", "outputs")

    def __init__(
        self,
        outputs: Sequence[Value],
        inputs: Sequence[Value] = (),
        assumptions: tuple[Assumption, ...] | None = None,
    ) -> None:
        self.outputs = tuple(outputs)
        self.inputs = tuple(inputs)
        self.nodes = tuple(ancestors((*self.inputs, *self.outputs)))
        self.assumptions = assumptions if assumptions is not None else _assumptions(self.nodes)

    @property
    def placeholders(self) -> dict[str, Value]:
        """The placeholders by name, loop arguments left out."""
        result: dict[str, Value] = {}
        arguments = {id(node) for node in self.inputs}
        for node in self.nodes:
            if node.op is not PLACEHOLDER or id(node) in arguments:
                continue
            name = str(node.name)
            if result.setdefault(name, node) is not node:
                raise DuplicateNameError(
                    f"two placeholders are named {name!r}, so a feed of that name is ambiguous.\n"
                    f"  {describe(result[name])}\n  {describe(node)}"
                )
        return result

    @property
    def variables(self) -> list[Value]:
        """The leaves that live in cells."""
        return [node for node in self.nodes if node.op is VARIABLE]

    def rebuild(self, visit: Callable[[Value], Value]) -> Graph:
        """Give the graph with each node replaced by what *visit* makes of it.

        Nodes are visited operands first and see the replaced operands; leaves are visited too.
        A graph of which nothing is replaced is given as it is.
        """
        moved: dict[int, Value] = {}
        for node in self.nodes:
            now = node
            # Most passes leave most nodes alone, so only those that changed are looked up.
            if moved:
                for operand in node.operands:
                    if id(operand) in moved:
                        now = node.with_operands(
                            tuple([moved.get(id(each), each) for each in node.operands])
                        )
                        break
            result = visit(now)
            if result is not node:
                moved[id(node)] = result
        if not moved:
            return self
        outputs = [moved.get(id(node), node) for node in self.outputs]
        return Graph(outputs, self.inputs, self.assumptions)

    def replacing(self, replaced: dict[int, Value]) -> Graph:
        """Give the graph whose results are the replacements of this one's."""
        return Graph([replaced[id(node)] for node in self.outputs], self.inputs, self.assumptions)

    def users(self) -> dict[int, list[Value]]:
        """List, by the id of each node, the nodes that use it, once per use."""
        result: dict[int, list[Value]] = {id(node): [] for node in self.nodes}
        for node in self.nodes:
            for operand in node.operands:
                result[id(operand)].append(node)
        return result

    def __len__(self) -> int:
        return len(self.nodes)

    def __copy__(self) -> Graph:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Graph:
        deep_copy(make, self._roots(), memo)
        return Graph(
            [memo[id(node)] for node in self.outputs],
            [memo[id(node)] for node in self.inputs],
            tuple((a, b, memo[id(node)]) for a, b, node in self.assumptions),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        pairs = [(a, b) for a, b, _ in self.assumptions]
        return _restore, (flatten(self._roots()), len(self.outputs), len(self.inputs), pairs)

    def _roots(self) -> list[Value]:
        return [*self.outputs, *self.inputs, *[node for _, _, node in self.assumptions]]

    def __str__(self) -> str:
        return print_graph(self)

    def _repr_mimebundle_(self, **options: object) -> dict[str, str]:
        bundle: dict[str, str] = call("notebook", self)
        return bundle

    def __repr__(self) -> str:
        specs = ", ".join(str(node.spec) for node in self.outputs)
        return f"<graph of {len(self.nodes)} nodes giving {specs or 'nothing'}>"


def _assumptions(nodes: Iterable[Value]) -> tuple[Assumption, ...]:
    return tuple((a, b, node) for node in nodes for a, b in node.assumptions)


def _restore(flat: Flat, outputs: int, inputs: int, pairs: Sequence[tuple[Dim, Dim]]) -> Graph:
    roots = restore_nodes(make, flat)
    arguments, users = roots[outputs : outputs + inputs], roots[outputs + inputs :]
    assumptions = tuple((a, b, node) for (a, b), node in zip(pairs, users, strict=True))
    return Graph(roots[:outputs], arguments, assumptions)
