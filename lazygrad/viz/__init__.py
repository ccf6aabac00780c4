"""Pictures and tables of graphs. Reads what it is handed; computes nothing."""

from .classic import picture_of_records, picture_of_tables
from .draw import Annotations, checked_direction, picture_of_graph
from .drawing import Drawing, checked_format, notebook_bundle
from .layers import Layered, picture_of_layers
from .steps import picture_of_steps, slot_colours
from .tree import to_text_tree

__all__ = [
    "Annotations",
    "Drawing",
    "Layered",
    "checked_direction",
    "checked_format",
    "notebook_bundle",
    "picture_of_graph",
    "picture_of_layers",
    "picture_of_records",
    "picture_of_steps",
    "picture_of_tables",
    "slot_colours",
    "to_text_tree",
]
