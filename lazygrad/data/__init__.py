"""Small data sets that come with the package, and minibatches by name.

Knows arrays only: nothing here looks at a graph.
"""

from lazygrad.data.batches import minibatches, train_test_split
from lazygrad.data.digits import Digits, digits
from lazygrad.data.synthetic import moons

__all__ = ["Digits", "digits", "minibatches", "moons", "train_test_split"]
