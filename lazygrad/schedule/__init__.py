"""From a graph to numbered steps and places in memory."""
