"""Which parts of a gradient get a name, and the equation of each.

Reads nodes that its caller has differentiated; differentiates nothing.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..ir.graph import Graph, ancestors
from ..ir.op import Writes
from ..ir.value import CONSTANT, LENGTH, Value
from .explanation import Equation, Explanation, Term
from .formula import Formula, FormulaWriter, latex_name, seen_through
from .summary import clean

__all__ = ["Flow", "explained"]

# So many operations stand in one line at most.
_LONGEST, _LONGEST_WHOLE = 8, 12
_LONGEST_NAME = 32


@dataclass(frozen=True)
class Flow:
    """What flows back to a forward node: the sum, and its terms with the nodes that they come from.

    `node` is the forward node as it was written, what flows may have been simplified since.
    """

    node: Value
    total: Value
    terms: tuple[tuple[Value, Value | None], ...]


def explained(
    loss: Value, wrt: Value, now: Sequence[tuple[Value, Value]], flows: Sequence[Flow]
) -> Explanation:
    """Write the derivative of *loss* by *wrt*.

    *now* pairs the forward nodes, as they were written, with what they have become.
    """
    return _Writing(loss, wrt, now, flows).explanation()


class _Writing:
    """Chooses which nodes get a name, and writes an equation for each of them."""

    def __init__(
        self, loss: Value, wrt: Value, now: Sequence[tuple[Value, Value]], flows: Sequence[Flow]
    ) -> None:
        self.loss, self.wrt = loss, wrt
        self.flows = {id(flow.node): flow for flow in flows}
        became = {id(node): found for node, found in now}
        roots = self._roots([became[id(loss)], self.flows[id(wrt)].total])
        graph = Graph(roots)
        self.through = seen_through(graph, {id(root) for root in roots[:2]})
        self.hidden = {key for key, node in became.items() if id(node) in self.through}
        self.now = {key: self.shown(node) for key, node in became.items()}
        self.result, self.goal = self.shown(roots[0]), self.shown(roots[1])
        self.forward: dict[int, int] = {}
        """The forward nodes as they are now, with the first that became them."""
        for key, node in self.now.items():
            self.forward.setdefault(id(node), key)
        self.nodes = self._reached(graph)
        self.given = {*self.forward, *(id(node) for node in ancestors([self.result]))}
        """What is there without any derivative, operations with several results too."""
        self.names: dict[int, Formula] = {}
        self.used: set[str] = set()
        self.labels: dict[int, str] = {}
        """The users' own names by the ids of nodes as they are now."""
        for node, _ in now:
            if node.name is not None:
                self.labels.setdefault(id(self.now[id(node)]), node.name)
        self.labels.setdefault(id(self.result), "loss")
        taken = set(self.labels.values())
        self.free = (name for name in _free_names() if name not in taken)
        self.asides: set[int] = set()
        """What is neither a forward value nor flows back to one, but has a name all the same."""
        self.asked: set[int] = set()
        """What formulas have been asked to call by its name."""
        self.writer = FormulaWriter(self._named, self.shown)

    def _roots(self, roots: list[Value]) -> list[Value]:
        """Add the terms of all sums on the way; what flows back elsewhere is not written."""
        terms_of: dict[int, list[Value]] = {}
        for flow in self.flows.values():
            terms_of.setdefault(id(flow.total), []).extend(term for term, _ in flow.terms)
        found = dict.fromkeys(map(id, roots))
        seen: set[int] = set()
        stack = list(roots)
        while stack:
            node = stack.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            stack += node.operands
            for term in terms_of.get(id(node), ()):
                if id(term) not in found:
                    found[id(term)] = None
                    roots.append(term)
                stack.append(term)
        return roots

    def shown(self, node: Value) -> Value:
        """Give the node that is written in the place of another."""
        while id(node) in self.through:
            node = self.through[id(node)]
        return node

    def explanation(self) -> Explanation:
        for node in self.nodes:
            if not node.operands and not _is_number(node):
                self._name(node, self.labels.get(id(node)))
        own = self.now[id(self.wrt)]
        if id(own) not in self.names:
            self._name(own, self.labels.get(id(own)))
        goal = self._cotangent_name(self.wrt)
        whole = self._whole(goal)
        self._name_where(lambda node: id(node) in self.given)
        # A leaf that its user named needs no words.
        silent = {id(node) for node in self.nodes if not node.operands} & self.labels.keys()
        said = [n for n in self.nodes if id(n) in self.names and id(n) not in silent]
        forward = [self._forward(node) for node in said if id(node) in self.given]
        back = self._name_backward(goal)
        back |= {id(node): None for node in said if id(node) not in self.given}
        self.asked.clear()
        equations = []
        if id(self.goal) not in back:
            terms = self._terms(self.flows[id(self.wrt)])
            equations.append(Equation(goal.text, goal.latex, terms, self.wrt))
        # The inside of a sum that is written term by term is not asked for by what was written
        # so far.
        equations.extend(
            self._backward(node, back[id(node)])
            for node in reversed(self.nodes)
            if id(node) in back and (back[id(node)] is not None or id(node) in self.asked)
        )
        return Explanation(
            f"d {self._text_of(self.loss)}/d {self._text_of(self.wrt)}: {self.wrt.spec}",
            tuple(forward),
            tuple(reversed(equations)),
            whole,
        )

    def _reached(self, graph: Graph) -> list[Value]:
        """List what the formulas are about, operands first."""
        seen: set[int] = set()
        stack = [self.shown(root) for root in graph.outputs]
        while stack:
            node = stack.pop()
            if id(node) not in seen:
                seen.add(id(node))
                stack += [self.shown(operand) for operand in node.operands]
        return [node for node in graph.nodes if id(node) in seen]

    # Names.

    def _named(self, node: Value) -> Formula | None:
        self.asked.add(id(node))
        return self.names.get(id(node))

    def _name(self, node: Value, label: str | None) -> None:
        wanted = clean(label, _LONGEST_NAME) if label is not None else None
        text = self._unused(next(self.free) if wanted is None else wanted)
        self.names[id(node)] = Formula(text, latex_name(text))

    def _unused(self, name: str) -> str:
        while name in self.used:
            stem, _, number = name.rpartition("_")
            is_counted = bool(stem) and number.isdecimal()
            name = f"{stem}_{int(number) + 1}" if is_counted else f"{name}_2"
        self.used.add(name)
        return name

    def _text_of(self, node: Value) -> str:
        found = self.names.get(id(self.now[id(node)]))
        return found.text if found is not None else node.op.name

    def _cotangent_name(self, node: Value) -> Formula:
        """Name what flows back to a forward node."""
        above, below = (self.names.get(id(self.now[id(each)])) for each in (self.loss, node))
        top = latex_name(self.labels[id(self.result)]) if above is None else above.latex
        bottom = Formula(node.op.name, latex_name(node.op.name)) if below is None else below
        latex = rf"\frac{{\partial {top}}}{{\partial {bottom.latex}}}"
        return Formula(self._unused(f"d_{bottom.text}"), latex, latex_binds=5)

    def _whole(self, goal: Formula) -> Equation | None:
        size: dict[int, int] = {}
        for node in self.nodes:
            below = [id(self.shown(operand)) for operand in node.operands]
            size[id(node)] = bool(below) + sum(size[key] for key in below)
        if size[id(self.goal)] > _LONGEST_WHOLE:
            return None
        formula = self.writer.formula(self.goal)
        name = f"d {clean(self.labels[id(self.result)], _LONGEST_NAME)}/d {self._text_of(self.wrt)}"
        return Equation(name, goal.latex, (Term(formula.text, formula.latex),), self.wrt)

    def _name_where(self, is_meant: Callable[[Value], bool]) -> list[Value]:
        """Name nodes that users named, and what is read more than once or long; give them."""
        uses = Counter(id(self.shown(o)) for node in self.nodes for o in node.operands)
        size: dict[int, int] = {}
        chosen = []
        for node in self.nodes:
            key = id(node)
            below = [id(self.shown(operand)) for operand in node.operands]
            size[key] = bool(below) + sum(0 if k in self.names else size[k] for k in below)
            if key in self.names or not node.operands or not is_meant(node):
                continue
            is_shared = uses[key] > 1 and not self._is_plain(node)
            if key in self.labels or is_shared or size[key] > _LONGEST:
                self._name(node, self.labels.get(key))
                chosen.append(node)
        return chosen

    def _is_plain(self, node: Value) -> bool:
        """Whether a node is written out wherever it is read: a leaf seen otherwise, a number."""
        below = [self.shown(operand) for operand in node.operands]
        is_view = node.op.writes is Writes.VIEW and not below[0].operands
        return is_view or all(map(_is_number, below))

    def _name_backward(self, goal: Formula) -> dict[int, Flow | None]:
        """Name what flows back to named forward nodes, and what else is read more than once."""
        found: dict[int, Flow | None] = {}
        # What flows back may be a forward value.
        new = {id(node) for node in self.nodes if node.operands and id(node) not in self.given}
        if id(self.goal) in new:
            self.names[id(self.goal)] = goal
            found[id(self.goal)] = self.flows[id(self.wrt)]
        for key, flow in self.flows.items():
            total, node = self.shown(flow.total), self.now[key]
            is_free = id(total) in new and id(total) not in self.names
            # Several forward nodes may have become one, what flows to the others is part of its.
            is_own = self.forward[id(node)] == key and id(node) in self.names
            if is_free and is_own and not self._is_plain(total):
                self.names[id(total)] = self._cotangent_name(flow.node)
                found[id(total)] = flow
        for node in self._name_where(lambda node: id(node) not in self.given):
            found[id(node)] = None
            self.asides.add(id(node))
        return found

    # Equations.

    def _forward(self, node: Value) -> Equation:
        name, formula = self.names[id(node)], self.writer.expression(node)
        place = "" if node.line is None else str(node.line)
        return Equation(
            name.text, name.latex, (Term(formula.text, formula.latex, (), place),), node
        )

    def _backward(self, node: Value, flow: Flow | None) -> Equation:
        name = self.names[id(node)]
        if flow is None:
            return Equation(name.text, name.latex, (self._term(node, None, True),), node)
        return Equation(name.text, name.latex, self._terms(flow), flow.node)

    def _terms(self, flow: Flow) -> tuple[Term, ...]:
        total = self.shown(flow.total)
        return tuple(
            self._term(shown, origin, shown is total and id(total) not in self.given)
            for shown, origin in ((self.shown(term), origin) for term, origin in flow.terms)
        )

    def _term(self, node: Value, origin: Value | None, is_whole: bool) -> Term:
        formula = self.writer.expression(node) if is_whole else self.writer.formula(node)
        origins = self._origins(node, is_whole) or ((origin,) if origin is not None else ())
        names = dict.fromkeys(_called(each) for each in origins)
        lines = dict.fromkeys(str(each.line) for each in origins if each.line is not None)
        return Term(formula.text, formula.latex, origins, ", ".join([*names, *lines]))

    def _origins(self, node: Value, is_whole: bool) -> tuple[Value, ...]:
        """List the forward nodes whose rules made what is written out for a node."""
        found: dict[int, Value] = {}
        stack = [node]
        while stack:
            each = stack.pop()
            is_root = each is node and (is_whole or id(each) in self.asides)
            is_named = id(each) in self.names and not is_root
            if is_named or id(each) in self.given:
                continue
            origin = each.origin
            if origin is not None and id(origin) not in self.hidden:
                found[id(origin)] = origin
            stack += [self.shown(operand) for operand in each.operands]
        return tuple(sorted(found.values(), key=lambda origin: origin.serial))


def _is_number(node: Value) -> bool:
    return node.op is LENGTH or (node.op is CONSTANT and node.attrs["value"].size == 1)


def _called(node: Value) -> str:
    return node.op.name if node.name is None else f"{clean(node.name, 24)} = {node.op.name}"


def _free_names() -> Iterator[str]:
    """Give names for what has none; d stands for derivatives."""
    yield from "abcfghkmnpqrstuvwxyz"
    yield from (f"v_{number}" for number in itertools.count(1))
