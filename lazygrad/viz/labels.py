"""Text inside pictures, shown letter by letter whatever it holds; and the look of the pictures.

Fills are tints of Okabe and Ito's palette, which colour-blind readers can tell apart, under dark
text. What stands on the page itself, edges and their labels, is of a grey that can be read on a
white page and on a black one.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["INK", "PAGE", "STYLES", "defaults", "html_table", "plain_label"]

INK = "#1A1A1A"
"""Text on a fill."""

PAGE = "#7A7A7A"
"""Text and lines on the page."""

STYLES: Mapping[str, Mapping[str, str]] = {
    "placeholder": {"shape": "box", "fillcolor": "#DCEEFB", "color": "#0072B2"},
    "argument": {
        "shape": "box",
        "fillcolor": "#DCEEFB",
        "color": "#0072B2",
        "style": "filled,dashed",
    },
    "variable": {"shape": "box3d", "fillcolor": "#FDE9CC", "color": "#D55E00"},
    "constant": {"shape": "note", "fillcolor": "#F1F1F1", "color": "#767676"},
    "tensor": {"shape": "box", "fillcolor": "#FFFFFF", "color": "#767676"},
    "result": {
        "shape": "box",
        "fillcolor": "#DDF3EA",
        "color": "#009E73",
        "peripheries": "2",
    },
    "operation": {
        "shape": "box",
        "style": "rounded,filled",
        "fillcolor": "#FFFFFF",
        "color": "#4D4D4D",
    },
    "derivative": {
        "shape": "box",
        "style": "rounded,filled",
        "fillcolor": "#F7E6F0",
        "color": "#B0568C",
    },
    "layer": {"shape": "component", "fillcolor": "#FFFBDA", "color": "#8A7F00"},
    "gathered": {"shape": "box", "style": "filled,dashed", "fillcolor": "#FFFFFF", "color": PAGE},
    "cluster": {
        "style": "rounded,filled",
        "fillcolor": "#80808014",
        "color": "#80808090",
        "fontcolor": PAGE,
    },
    "repeated": {
        "style": "rounded,filled,bold",
        "fillcolor": "#E69F0018",
        "color": "#C88A00",
        "fontcolor": PAGE,
    },
}
"""How graphviz draws each kind of box and frame."""

_FONT = "Helvetica,Arial,sans-serif"
# The best layout of a thousand nodes takes dot a minute, one nearly as good a few seconds.
_HASTY = {"nslimit": "2", "nslimit1": "2", "mclimit": "0.5"}
_MANY = 200


def defaults(rankdir: str, size: int, caption: str | None = None) -> dict[str, dict[str, str]]:
    """Give the attributes of a picture with *size* boxes, as graphviz's Digraph takes them."""
    graph = {
        "rankdir": rankdir,
        "bgcolor": "transparent",
        "fontname": _FONT,
        "fontsize": "10",
        "fontcolor": PAGE,
        "nodesep": "0.3",
        "ranksep": "0.45",
        "pad": "0.2",
        **(_HASTY if size > _MANY else {}),
    }
    if caption is not None:
        graph |= {"label": plain_label([caption]), "labelloc": "b", "labeljust": "l"}
    return {
        "graph_attr": graph,
        "node_attr": {
            "fontname": _FONT,
            "fontsize": "11",
            "fontcolor": INK,
            "style": "filled",
            "penwidth": "1.2",
            "height": "0.3",
            "margin": "0.14,0.07",
        },
        "edge_attr": {
            "fontname": _FONT,
            "fontsize": "9",
            "fontcolor": PAGE,
            "color": PAGE,
            "arrowsize": "0.6",
        },
    }


def plain_label(rows: Sequence[str]) -> str:
    """Join lines into a label that graphviz shows letter by letter."""
    import graphviz

    # Entities such as &lt; are read in plain labels too.
    lines = [str(graphviz.escape(row.replace("&", "&amp;"))) for row in rows]
    label: str = graphviz.nohtml("\\n".join(lines))
    return label


def html_table(rows: Iterable[Sequence[tuple[str, Mapping[str, str]]]], **attributes: str) -> str:
    """Lay out cells, pairs of a text and attributes of its ``TD``, as a label of graphviz's.

    A cell's ``face`` and ``bold`` are of its text. Texts and values are escaped.

    >>> html_table([[("a < b", {"BGCOLOR": "#FFFFFF"})]])
    '<<TABLE><TR><TD BGCOLOR="#FFFFFF">a &lt; b</TD></TR></TABLE>>'
    """
    written = []
    for row in rows:
        cells = []
        for text, given in row:
            options = dict(given)
            face, is_bold = options.pop("face", ""), options.pop("bold", "")
            shown = html.escape(text) or " "
            shown = f"<B>{shown}</B>" if is_bold else shown
            shown = f'<FONT FACE="{html.escape(face)}">{shown}</FONT>' if face else shown
            cells.append(f"<TD{_attributes(options)}>{shown}</TD>")
        written.append(f"<TR>{''.join(cells)}</TR>")
    return f"<<TABLE{_attributes(attributes)}>{''.join(written)}</TABLE>>"


def _attributes(given: Mapping[str, str]) -> str:
    return "".join(f' {name.upper()}="{html.escape(value)}"' for name, value in given.items())
