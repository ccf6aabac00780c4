"""The graph: operations, nodes, and their text."""
