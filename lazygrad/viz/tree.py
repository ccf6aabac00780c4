"""A graph as an indented tree of text, for terminals and machines without ``dot``."""

from __future__ import annotations

from ..ir.graph import Graph
from ..ir.value import CONSTANT, ITEM, LENGTH, PLACEHOLDER, VARIABLE, Value
from .summary import clean, describe_attrs, fixed_number, format_spec, summarize

__all__ = ["to_text_tree"]

# Beyond this indentation stays as it is: a chain is as long as its graph.
_DEEPEST = 30


def to_text_tree(graph: Graph, annotations: object = None, *, limit: int = 1000) -> str:
    """Write *graph* as a tree: each result, and below each node its operands.

    A node that was written before is named by its number and not opened again. After *limit*
    lines the rest is counted only. *annotations* are as in `draw_graph`.

    >>> x = Value(shape=(3,), name="x")
    >>> y = x * x
    >>> print(to_text_tree(Graph([y + y])))
    add -> float64[3]
    ├─ multiply -> float64[3]   #1
    │  ├─ x: placeholder float64[3]
    │  └─ x: placeholder float64[3]
    └─ see #1
    """
    rows = annotations if isinstance(annotations, dict) else {}
    numbers = _numbered(graph)
    lines: list[str] = []
    seen: set[int] = set()
    # Each entry is a node, its lines' indentation, and the branch drawn before its first line.
    stack: list[tuple[Value, str, str, int]] = [(n, "", "", 0) for n in reversed(graph.outputs)]
    while stack and len(lines) < limit:
        node, indent, branch, depth = stack.pop()
        number = numbers.get(id(node))
        if id(node) in seen and node.operands:
            lines.append(f"{indent}{branch}see #{number}")
            continue
        seen.add(id(node))
        mark = f"   #{number}" if number is not None else ""
        shown = rows.get(id(node), {}) if fixed_number(node) is None else {}
        notes = "".join(
            f"   {clean(str(label), 12)} = {summarize(data)}" for label, data in shown.items()
        )
        lines.append(f"{indent}{branch}{_line(node)}{mark}{notes}")
        below = indent + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
        if depth >= _DEEPEST:
            below = indent
        for place, operand in reversed(list(enumerate(node.operands))):
            is_last = place == len(node.operands) - 1
            stack.append((operand, below, "└─ " if is_last else "├─ ", depth + 1))
    left = len(graph) - len(seen)
    if stack and left:
        lines.append(f"… and {left} more nodes")
    return "\n".join(lines)


def _numbered(graph: Graph) -> dict[int, int]:
    """Number the computed nodes that are met more than once."""
    uses: dict[int, int] = {}
    for node in (*graph.outputs, *[o for n in graph.nodes for o in n.operands]):
        uses[id(node)] = uses.get(id(node), 0) + 1
    shared = [node for node in graph.nodes if node.operands and uses.get(id(node), 0) > 1]
    return {id(node): number for number, node in enumerate(shared, 1)}


def _line(node: Value) -> str:
    spec = format_spec(node)
    name = f"{clean(node.name)}: " if node.name is not None else ""
    if (number := fixed_number(node)) is not None:
        return f"{number}: {node.dtype.name}"
    if node.op in (PLACEHOLDER, VARIABLE, CONSTANT, LENGTH):
        return f"{name}{node.op.name} {spec}"
    if node.op is ITEM:
        return f"{name}result {node.attrs['index']} -> {spec}"
    attrs = describe_attrs(node.attrs)
    return f"{name}{clean(node.op.name, 32)}{f'({attrs})' if attrs else ''} -> {spec}"
