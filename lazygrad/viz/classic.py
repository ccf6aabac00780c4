"""The two ways in which lazygrad's smaller ancestors drew their graphs of numbers.

Records are micrograd's: one of data and gradient for each value, an ellipse for each operation.
Tables are MiniGrad's: a table of value, gradient and operation for each value, the result on top.
Reads a graph and the values and gradients that it is handed. Arrays are summarised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import OptionError
from ..ir.graph import Graph
from ..ir.value import ITEM, Value
from .draw import Annotations
from .labels import INK, PAGE, html_table
from .summary import clean, fixed_number, format_spec, summarize

if TYPE_CHECKING:
    import graphviz

__all__ = ["picture_of_records", "picture_of_tables"]

_LIMIT = 1000

# What the ancestors write for operations; others are written by their names.
_SYMBOLS = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "power": "**",
    "matmul": "@",
    "negative": "-",
    "relu": "ReLU",
    "permute": "T",
}


def _symbol(node: Value) -> str:
    return _SYMBOLS.get(node.op.name, clean(node.op.name, 32))


def _number(data: object) -> str:
    """Write a number with four places, as the ancestors do, and an array in one line."""
    array = np.asarray(data)
    if array.ndim == 0 and array.dtype.kind in "iuf":
        return f"{array.item():.4f}"
    return summarize(data)


def _facts(node: Value, annotations: Annotations) -> tuple[str, str]:
    """Say what is known of a node's data and gradient."""
    known = annotations.get(id(node), {})
    number = fixed_number(node)
    data = _number(known["data"]) if "data" in known else number or format_spec(node)
    return data, _number(known.get("grad"))


def picture_of_records(
    graph: Graph, annotations: Annotations, *, rankdir: str = "LR"
) -> graphviz.Digraph:
    """Draw a record ``data | grad`` for each value, and an ellipse for each operation.

    >>> x = Value(2.0)
    >>> source = picture_of_records(Graph([x * x]), {}).source
    >>> "ellipse" in source, "grad none" in source
    (True, True)
    """
    picture = _blank(graph, rankdir)
    picture.attr("node", style="filled", fillcolor="#FFFFFF")
    places = {id(node): place for place, node in enumerate(graph.nodes)}
    for place, node in enumerate(graph.nodes):
        data, grad = _facts(node, annotations)
        picture.node(f"n{place}", label=_record([f"data {data}", f"grad {grad}"]), shape="record")
        if node.operands:
            picture.node(f"o{place}", label=_plain(_symbol(node)), shape="ellipse")
            picture.edge(f"o{place}", f"n{place}")
        for operand in node.operands:
            picture.edge(f"n{places[id(operand)]}", f"o{place}")
    return picture


def _blank(graph: Graph, rankdir: str) -> graphviz.Digraph:
    """Give a picture without boxes, of a graph that is small enough for one with all of them."""
    import graphviz

    if len(graph) > _LIMIT:
        raise OptionError(
            f"the graph has {len(graph):,} nodes, and a picture with all of them holds at most"
            f" {_LIMIT:,}; lg.draw gathers those of larger graphs."
        )
    picture = graphviz.Digraph("lazygrad")
    picture.attr(rankdir=rankdir, bgcolor="transparent")
    picture.attr("edge", color=PAGE)
    picture.attr("node", fontcolor=INK)
    return picture


def _plain(text: str) -> str:
    import graphviz

    label: str = graphviz.nohtml(str(graphviz.escape(text.replace("&", "&amp;"))))
    return label


def _record(fields: list[str]) -> str:
    """Join the fields of a record, in which braces, bars and angles would mean something."""
    import graphviz

    shown = []
    for field in fields:
        text = str(graphviz.escape(field.replace("&", "&amp;")))
        for sign in "{}|<>":
            text = text.replace(sign, f"\\{sign}")
        shown.append(text)
    label: str = graphviz.nohtml("{ " + " | ".join(shown) + " }")
    return label


def picture_of_tables(graph: Graph, annotations: Annotations) -> graphviz.Digraph:
    """Draw a table of value, gradient and operation for each value, the result on top.

    >>> x = Value(2.0)
    >>> source = picture_of_tables(Graph([x * x]), {}).source
    >>> "rankdir=BT" in source, source.count("n0 -> n1")
    (True, 1)
    """
    picture = _blank(graph, "BT")
    places = {id(node): place for place, node in enumerate(graph.nodes)}
    white = {"bgcolor": "#FFFFFF"}
    for place, node in enumerate(graph.nodes):
        data, grad = _facts(node, annotations)
        footer = {"bgcolor": "#C2EBFF", "color": "#004261", "face": "Courier"}
        text = _symbol(node)
        if node.op.name == "power" and (exponent := fixed_number(node.operands[1])):
            text = f"^{exponent}"
        elif node.op is ITEM:
            text = f"result {node.attrs['index']}"
        if not node.operands:
            footer, text = {"bgcolor": "#C9C9C9", "face": "Courier"}, "input"
            if node.name is not None:
                text = f"input {clean(node.name, 24)}"
        table = html_table(
            [[(f"value {data}", white)], [(f"grad {grad}", white)], [(text, footer)]],
            border="0",
            cellborder="1",
            cellspacing="0",
            cellpadding="4",
        )
        picture.node(f"n{place}", label=table, shape="plaintext")
        for operand in dict.fromkeys(places[id(operand)] for operand in node.operands):
            picture.edge(f"n{operand}", f"n{place}")
    return picture
