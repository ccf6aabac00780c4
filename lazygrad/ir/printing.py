"""Write a graph as text that `parse` reads back. Knows nodes; knows nothing of reading.

One line per node, operands first::

    x: float64[batch, 3]
    w: variable float64[3, 2]
    a = matmul(x, w)
    b = sum(a, axes=(0,), keepdims=False)
    return b

A name before a colon is the leaf's own. Before an equals sign, names such as `a`, `b`, `ab` or
`v702` are the printer's, for nodes without a name; a node that really has such a name stands in
backquotes. Numbers that one node uses stand in its call.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..lengths import Length
from ..spec import DType, Spec
from .op import Array, Op, Trait
from .value import CONSTANT, ITEM, LENGTH, PLACEHOLDER, VARIABLE, Value

if TYPE_CHECKING:
    from .graph import Graph

__all__ = [
    "AUTOMATIC",
    "DTYPES",
    "RESERVED",
    "GraphPrinter",
    "literal_dtype",
    "print_graph",
    "write_attribute",
    "write_name",
    "write_number",
]

AUTOMATIC = re.compile(r"[a-z]{1,2}|v[0-9]{3,}")
"""The names that the printer gives to nodes without one."""

_WORDS = (
    "argument constant inf length named nan no_grad requires_grad return slice variable"
    " False None True"
)
RESERVED = frozenset(_WORDS.split())
"""Words that text reads for itself, so that a node's name of that spelling is quoted."""

_CODES = "b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8"
_NAMES = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 int uint float"
    " byte ubyte short ushort intc uintc intp uintp long ulong longlong ulonglong"
    " half single double longdouble"
)
DTYPES: dict[str, DType] = {
    **{name: np.dtype(name) for name in f"{_CODES} {_NAMES}".split()},
    np.dtype(np.longdouble).name: np.dtype(np.longdouble),
}
"""Every dtype that text can name, short codes included."""

# Up to here a constant's elements are written one by one.
_SMALL = 16


def print_graph(graph: Graph, *, full: bool = False) -> str:
    """Write *graph* as text, one node per line.

    Constants of more than 16 elements are abbreviated and variables' contents left out, unless
    *full* is true; `parse` gives variables without contents zeros.

    >>> from lazygrad.ir.graph import Graph
    >>> from lazygrad.ir.value import placeholder
    >>> x = placeholder(("batch", 3), name="x")
    >>> print(print_graph(Graph([x + 1.0])))
    x: float64[batch, 3]
    a = add(x, 1.0)
    return a
    """
    return "\n".join(GraphPrinter(graph, full).lines())


def write_name(name: str) -> str:
    """Write a name as it is if it is an identifier, else escaped in backquotes."""
    if name.isidentifier() and name not in RESERVED:
        return name
    return _quoted(name)


def _quoted(name: str) -> str:
    text = json.dumps(name, ensure_ascii=not name.isprintable())[1:-1]
    return "`" + text.replace('\\"', '"').replace("`", "\\u0060") + "`"


def write_number(number: object) -> str:
    """Write a number so that reading it at its dtype gives it back exactly.

    >>> write_number(np.float32(0.1)), write_number(np.int8(-3)), write_number(np.bool_(True))
    ('0.1', '-3', 'True')
    """
    return str(number)


def literal_dtype(op: Op | None, others: Sequence[DType], text: str) -> DType:
    """Dtype of a bare number beside operands of dtypes *others*: as weak as in an expression."""
    if text in ("True", "False"):
        return np.dtype(np.bool_)
    kind = int if re.fullmatch(r"-?[0-9]+", text) else float
    if op is not None and others and Trait.ELEMENTWISE in op.traits:
        return np.result_type(*others, kind(1))
    return np.dtype(kind)


def write_attribute(value: object, indent: str = "", full: bool = False) -> str:
    """Write an attribute: a number, text, dtype, length, graph, or a tuple of such."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is Ellipsis or isinstance(value, (bool, int)):
        return "..." if value is Ellipsis else str(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=not value.isprintable())
    if isinstance(value, np.dtype):
        return str(value.name)
    if isinstance(value, Length):
        text = str(value)
        return f"({text})" if text.lstrip("-") in RESERVED or text in DTYPES else text
    if isinstance(value, tuple):
        entries = [write_attribute(entry, indent, full) for entry in value]
        return f"({entries[0]},)" if len(entries) == 1 else f"({', '.join(entries)})"
    if isinstance(value, slice):
        parts = (value.start, value.stop, value.step)
        return f"slice({', '.join(write_attribute(part) for part in parts)})"
    if hasattr(value, "outputs") and hasattr(value, "nodes"):
        inner = GraphPrinter(value, full, indent + "    ").lines()  # type: ignore[arg-type]
        return "\n".join(["{", *[f"{indent}    {line}" for line in inner], indent + "}"])
    return f"<{type(value).__name__}>"


class GraphPrinter:
    """The labels of one graph's nodes, and its lines.

    *names* are labels that nodes have already, by their ids, and *taken* those that no other node
    may get: so that a node is called the same in one graph and in what is made of it.
    """

    def __init__(
        self,
        graph: Graph,
        full: bool = False,
        indent: str = "",
        names: Mapping[int, str] | None = None,
        taken: Iterable[str] = (),
    ) -> None:
        self.graph = graph
        self.full = full
        self.indent = indent
        self.arguments = {id(node) for node in graph.inputs}
        self.order = [*graph.inputs, *[n for n in graph.nodes if id(n) not in self.arguments]]
        self.inline = self._inlined()
        self.labels = self._labels(names or {}, set(taken))

    def lines(self) -> Iterator[str]:
        """Give every line."""
        for node in self.order:
            if id(node) not in self.inline:
                yield self.statement(node)
        yield self.results()

    def results(self) -> str:
        """Give the last line."""
        results = ", ".join(self._operand(node, None, ()) for node in self.graph.outputs)
        return f"return {results}".rstrip()

    def _inlined(self) -> set[int]:
        """Find the numbers that are used once, and the first item node of each result."""
        uses: dict[int, int] = dict.fromkeys(self.arguments, 2)
        for node in (*self.graph.outputs, *[o for n in self.graph.nodes for o in n.operands]):
            uses[id(node)] = uses.get(id(node), 0) + 1
        found: set[int] = set()
        items: set[tuple[int, int]] = set()
        for node in self.graph.nodes:
            if node.name is not None:
                continue
            if node.op is ITEM and not node._stopped:
                key = id(node.operands[0]), node.attrs["index"]
                if key not in items:
                    items.add(key)
                    found.add(id(node))
            elif _is_number(node) and uses[id(node)] == 1 and not node.requires_grad:
                found.add(id(node))
        return found

    def _labels(self, names: Mapping[int, str], used: set[str]) -> dict[int, str]:
        labels = {id(node): names[id(node)] for node in self.order if id(node) in names}
        taken = {node.name for node in self.order if node.name is not None}
        counts: dict[str, int] = {}
        for node in self.order:
            name = node.name
            if name is None or id(node) in labels:
                continue
            while name in used:
                counts[name] = counts.get(name, 1) + 1
                suffixed = f"{node.name}_{counts[name]}"
                name = suffixed if suffixed not in taken else name
            used.add(name)
            automatic = AUTOMATIC.fullmatch(name) and not _is_declared(node)
            labels[id(node)] = _quoted(name) if automatic else write_name(name)
        free = (name for name in _automatic_names() if name not in used)
        for node in self.order:
            if id(node) not in labels and id(node) not in self.inline:
                labels[id(node)] = next(free)
        return labels

    def statement(self, node: Value) -> str:
        """Give the line of a node that has one: numbers that one node uses don't."""
        label = self.labels[id(node)]
        body = f"{label}: " if _is_declared(node) else f"{label} = "
        if id(node) in self.arguments:
            body += "argument "
        if node.op is PLACEHOLDER:
            body += str(node.spec)
        elif node.op is VARIABLE:
            body += f"variable {node.spec}"
            if self.full and node.cell is not None:
                body += f" = {self._data(node.cell.array)}"
        elif node.op is CONSTANT:
            body += f"constant({self._data(node.attrs['value'])}): {node.spec}"
        else:
            body += self._expression(node)
        return body + self._marks(node, label)

    def _marks(self, node: Value, label: str) -> str:
        marks = ""
        if node.name is not None and label not in (write_name(node.name), _quoted(node.name)):
            marks += f" named {write_name(node.name)}"
        if node.op is VARIABLE:
            return marks + " no_grad" * (node.dtype.kind != "b" and not node.requires_grad)
        if not node.operands:
            return marks + " requires_grad" * node.requires_grad
        return marks + " no_grad" * node._stopped

    def _expression(self, node: Value) -> str:
        if node.op is LENGTH:
            suffix = "" if node.dtype == np.int64 else f": {node.dtype.name}"
            return f"length({node.attrs['length']}){suffix}"
        if node.op is ITEM:
            return f"{self.labels[id(node.operands[0])]}.{node.attrs['index']}"
        others = [
            operand.spec.dtype
            for operand in node.operands
            if type(operand.spec) is Spec and not self._is_literal(operand)
        ]
        parts = [self._operand(operand, node.op, others) for operand in node.operands]
        parts += [
            f"{name}={write_attribute(value, self.indent, self.full)}"
            for name, value in node.attrs.items()
        ]
        # A length that only the run knows gets a new name when it is inferred again.
        known = Trait.DATA_SHAPED not in node.op.traits or type(node.spec) is not Spec
        suffix = "" if known else f": {node.spec}"
        return f"{write_name(node.op.name)}({', '.join(parts)}){suffix}"

    def _is_literal(self, node: Value) -> bool:
        return node.op is CONSTANT and id(node) in self.inline

    def _operand(self, node: Value, op: Op | None, others: Sequence[DType]) -> str:
        if id(node) not in self.inline:
            return self.labels[id(node)]
        if node.op is not CONSTANT:
            return self._expression(node)
        text = write_number(node.attrs["value"][()])
        if literal_dtype(op, others, text) == node.dtype:
            return text
        return f"{text}: {node.dtype.name}"

    def _data(self, array: Array) -> str:
        if array.size <= _SMALL:
            return _nested(array)
        if not self.full:
            return "..."
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        return '"' + base64.b64encode(little.tobytes()).decode() + '"'


def _is_number(node: Value) -> bool:
    return node.op is LENGTH or (node.op is CONSTANT and node.spec.shape == ())


def _is_declared(node: Value) -> bool:
    return node.op is PLACEHOLDER or (node.op is VARIABLE and node.name is not None)


def _nested(array: Array) -> str:
    if array.ndim == 0:
        return write_number(array[()])
    if array.size == 0:
        return "[]"
    return f"[{', '.join(_nested(entry) for entry in np.asarray(array))}]"


def _automatic_names() -> Iterator[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    yield from letters
    yield from (first + second for first in letters for second in letters)
    number = 26 + 26 * 26
    while True:
        yield f"v{number}"
        number += 1
