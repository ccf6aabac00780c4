"""A gradient as formulas: what the forward nodes are, and what flows back to each of them.

Reads nodes that its caller has differentiated; differentiates nothing.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..ir.graph import Graph, ancestors
from ..ir.op import Trait, Writes
from ..ir.value import CONSTANT, LENGTH, PLACEHOLDER, VARIABLE, Value
from .formula import Formula, FormulaWriter, latex_name, seen_through
from .summary import clean

__all__ = ["Equation", "Explanation", "Term", "explained"]

# So many operations stand in one line at most.
_LONGEST, _LONGEST_WHOLE = 8, 12
_LONGEST_NAME = 32


@dataclass(frozen=True)
class Term:
    """A term of a sum, and the forward nodes that it comes from.

    Of a derivative these are the nodes whose rules made it; `place` says their operations and the
    user's lines.
    """

    text: str
    latex: str
    origins: tuple[Value, ...] = ()
    place: str = ""


@dataclass(frozen=True)
class Equation:
    """A value and the terms whose sum it is; `node` is the forward node that it is about."""

    name: str
    latex_name: str
    terms: tuple[Term, ...]
    node: Value

    @property
    def text(self) -> str:
        """The equation in Python."""
        return f"{self.name} = {' + '.join(term.text for term in self.terms)}"

    @property
    def latex(self) -> str:
        """The equation in LaTeX."""
        return f"{self.latex_name} = {' + '.join(term.latex for term in self.terms)}"


@dataclass(frozen=True)
class Explanation:
    """The derivative of one node with respect to another, as it is built.

    ``str`` is a text to read, with the forward operations and the user's lines that each term
    comes from; in a notebook the LaTeX is shown.
    """

    title: str
    forward: tuple[Equation, ...]
    backward: tuple[Equation, ...]
    whole: Equation | None
    """All in one equation, where that is short enough to read."""

    @property
    def equations(self) -> tuple[Equation, ...]:
        """All equations: of forward values, of what flows back, and the whole."""
        whole = () if self.whole is None else (self.whole,)
        return (*self.forward, *self.backward, *whole)

    @property
    def latex(self) -> str:
        """The equations in LaTeX, one a line, aligned."""
        lines = [
            f"{each.latex_name} &= {' + '.join(term.latex for term in each.terms)}"
            for each in self.equations
        ]
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield self.title
        parts = [
            ("forward", self.forward),
            ("backward, d_v for the derivative by v", self.backward),
        ]
        for heading, equations in parts:
            if equations:
                yield ""
                yield f"{heading}:"
                yield from _table(equations)
        if self.whole is not None:
            yield ""
            yield "in one line:"
            yield f"  {self.whole.text}"

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex}\n$$"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/latex": self._repr_latex_(), "text/plain": str(self)}


def _table(equations: Sequence[Equation]) -> Iterator[str]:
    rows: list[tuple[str, str]] = []
    for equation in equations:
        for count, term in enumerate(equation.terms):
            start = f"{equation.name} =" if not count else " " * len(equation.name) + " +"
            rows.append((f"  {start} {term.text}", term.place))
    width = min(max(len(text) for text, _ in rows), 60)
    for text, place in rows:
        yield f"{text.ljust(width)}   from {place}".rstrip() if place else text


def explained(
    loss: Value, wrt: Value, now: Mapping[int, Value], cotangents: Mapping[int, Value]
) -> Explanation:
    """Write the derivative of *loss* by *wrt*.

    *now* gives what each forward node has become, and *cotangents* what flows back to it, both by
    the id of the node as the user wrote it.
    """
    return _Writing(loss, wrt, now, cotangents).explanation()


class _Writing:
    """Chooses which nodes get a name, and writes an equation for each of them."""

    def __init__(
        self,
        loss: Value,
        wrt: Value,
        now: Mapping[int, Value],
        cotangents: Mapping[int, Value],
    ) -> None:
        self.loss, self.wrt = loss, wrt
        # What flows back elsewhere doesn't count as a reader.
        graph = Graph([now[id(loss)], cotangents[id(wrt)]])
        self.through = seen_through(graph, {id(now[id(loss)]), id(cotangents[id(wrt)])})
        self.hidden = {key for key, node in now.items() if id(node) in self.through}
        self.now = {key: self.shown(node) for key, node in now.items()}
        self.cotangents = {key: self.shown(node) for key, node in cotangents.items()}
        self.originals = {id(node): node for node in ancestors([loss])}
        self.result, self.goal = self.now[id(loss)], self.cotangents[id(wrt)]
        self.forward = {id(node) for node in self.now.values()}
        self.nodes = self._reached(graph)
        self.names: dict[int, Formula] = {}
        self.used: set[str] = set()
        taken = {node.name for node in self.nodes}
        self.free = (name for name in _free_names() if name not in taken)
        self.asides: set[int] = set()
        """What is neither a forward value nor flows back to one, but has a name all the same."""
        self.writer = FormulaWriter(lambda node: self.names.get(id(node)), self.shown)

    def shown(self, node: Value) -> Value:
        """Give the node that is written in the place of another."""
        while id(node) in self.through:
            node = self.through[id(node)]
        return node

    def explanation(self) -> Explanation:
        labels = self._labels()
        for node in self.nodes:
            if node.op in (PLACEHOLDER, VARIABLE) or (not node.operands and not _is_number(node)):
                self._name(node, labels.get(id(node)))
        goal = self._cotangent_name(self.wrt)
        whole = self._whole(goal)
        forward = self._name_forward(labels)
        back = self._name_backward(goal)
        equations = [self._equation(node, None) for node in forward]
        equations += [self._equation(node, back[id(node)]) for node in self._backward(back)]
        if self.names.get(id(self.goal)) != goal:
            term = self._term(self.goal, True)
            equations.append(Equation(goal.text, goal.latex, (term,), self.wrt))
        count = sum(id(node) in self.forward for node in forward)
        return Explanation(
            f"d {self._text_of(self.loss)}/d {self._text_of(self.wrt)}: {self.wrt.spec}",
            tuple(equations[:count]),
            tuple(equations[count:]),
            whole,
        )

    def _reached(self, graph: Graph) -> list[Value]:
        """List what the formulas are about, operands first."""
        seen: set[int] = set()
        stack = [self.result, self.goal]
        while stack:
            node = stack.pop()
            if id(node) not in seen:
                seen.add(id(node))
                stack += [self.shown(operand) for operand in node.operands]
        return [node for node in graph.nodes if id(node) in seen]

    # Names.

    def _labels(self) -> dict[int, str]:
        """Give the users' own names by the ids of nodes as they are now."""
        labels = {id(node): node.name for node in self.nodes if node.name is not None}
        labels.setdefault(id(self.result), "loss")
        return labels

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
        top = latex_name(self.loss.name or "loss") if above is None else above.latex
        bottom = Formula(node.op.name, latex_name(node.op.name)) if below is None else below
        latex = rf"\frac{{\partial {top}}}{{\partial {bottom.latex}}}"
        return Formula(self._unused(f"d_{bottom.text}"), latex, latex_binds=5)

    def _sizes(self, named: Mapping[int, object]) -> dict[int, int]:
        """Count the operations that each formula shows, those of *named* ones as none."""
        size: dict[int, int] = {}
        for node in self.nodes:
            below = [id(self.shown(operand)) for operand in node.operands]
            size[id(node)] = bool(below) + sum(0 if key in named else size[key] for key in below)
        return size

    def _whole(self, goal: Formula) -> Equation | None:
        if self._sizes({})[id(self.goal)] > _LONGEST_WHOLE:
            return None
        top, bottom = self._text_of(self.loss), self._text_of(self.wrt)
        return Equation(
            f"d {self.loss.name or 'loss'}/d {bottom}" if top else "",
            goal.latex,
            (self._term(self.goal, False),),
            self.wrt,
        )

    def _name_forward(self, labels: Mapping[int, str]) -> list[Value]:
        """Name forward nodes: those that users named, and what is read more than once."""
        return self._name_where(labels, lambda node: id(node) in self.forward)

    def _name_where(
        self, labels: Mapping[int, str], is_meant: Callable[[Value], bool]
    ) -> list[Value]:
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
            if key in labels or is_shared or size[key] > _LONGEST:
                self._name(node, labels.get(key))
                chosen.append(node)
        return chosen

    def _is_plain(self, node: Value) -> bool:
        """Whether a node is written out wherever it is read: a leaf seen otherwise, a number."""
        below = [self.shown(operand) for operand in node.operands]
        is_view = node.op.writes is Writes.VIEW and not below[0].operands
        return is_view or all(map(_is_number, below))

    def _name_backward(self, goal: Formula) -> dict[int, Value | None]:
        """Name what flows back to named forward nodes, and what else is read more than once."""
        found: dict[int, Value | None] = {}
        reached = {id(node): node for node in self.nodes}
        if self.goal.operands and id(self.goal) not in self.names:
            self.names[id(self.goal)] = goal
            found[id(self.goal)] = self.wrt
        for key, node in self.cotangents.items():
            original = self.originals[key]
            is_free = id(node) in reached and id(node) not in self.names and bool(node.operands)
            if is_free and id(self.now[key]) in self.names and not self._is_plain(node):
                self.names[id(node)] = self._cotangent_name(original)
                found[id(node)] = original
        for node in self._name_where({}, lambda node: id(node) not in self.forward):
            found[id(node)] = None
            self.asides.add(id(node))
        return found

    def _backward(self, back: Mapping[int, Value | None]) -> list[Value]:
        return [node for node in self.nodes if id(node) in back]

    # Equations.

    def _equation(self, node: Value, target: Value | None) -> Equation:
        name = self.names[id(node)]
        is_backward = id(node) not in self.forward
        addends = self._addends(node, target) if is_backward else [node]
        terms = tuple(self._term(each, is_backward, whole=each is node) for each in addends)
        return Equation(name.text, name.latex, terms, node if target is None else target)

    def _addends(self, node: Value, target: Value | None) -> list[Value]:
        """Give what was added up because several operations read the forward node."""
        found, stack = [], [node]
        while stack:
            each = stack.pop()
            is_open = each is node or id(each) not in self.names
            if target is not None and is_open and each.origin is target and _is_sum(each):
                stack += [self.shown(operand) for operand in reversed(each.operands)]
            else:
                found.append(each)
        return found

    def _term(self, node: Value, is_backward: bool, whole: bool = False) -> Term:
        write = self.writer.expression if whole else self.writer.formula
        formula = write(node)
        origins = self._origins(node, whole) if is_backward else ()
        names = dict.fromkeys(_called(origin) for origin in origins)
        lined = origins if is_backward else (node,)
        lines = dict.fromkeys(str(each.line) for each in lined if each.line is not None)
        return Term(formula.text, formula.latex, origins, ", ".join([*names, *lines]))

    def _origins(self, node: Value, whole: bool) -> tuple[Value, ...]:
        """List the forward nodes whose rules made what is written out for a node."""
        found: dict[int, Value] = {}
        stack = [node]
        while stack:
            each = stack.pop()
            is_root = each is node and (whole or id(each) in self.asides)
            is_named = id(each) in self.names and not is_root
            if is_named or id(each) in self.forward:
                continue
            origin = each.origin
            if origin is not None and id(origin) not in self.hidden:
                found[id(origin)] = origin
            stack += [self.shown(operand) for operand in each.operands]
        return tuple(sorted(found.values(), key=lambda origin: origin.serial))


def _is_sum(node: Value) -> bool:
    return {Trait.COMMUTATIVE, Trait.LINEAR} <= node.op.traits


def _is_number(node: Value) -> bool:
    return node.op is LENGTH or (node.op is CONSTANT and node.attrs["value"].size == 1)


def _called(node: Value) -> str:
    return node.op.name if node.name is None else f"{clean(node.name, 24)} = {node.op.name}"


def _free_names() -> Iterator[str]:
    """Give names for what has none; d stands for derivatives."""
    yield from "abcfghkmnpqrstuvwxyz"
    yield from (f"v_{number}" for number in itertools.count(1))
