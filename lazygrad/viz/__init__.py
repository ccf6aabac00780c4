"""Pictures and tables of graphs. Reads what it is handed; computes nothing."""

from .draw import draw_graph
from .drawing import Drawing
from .tree import to_text_tree

__all__ = ["Drawing", "draw_graph", "to_text_tree"]
