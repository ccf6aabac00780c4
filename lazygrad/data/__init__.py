"""Small data sets that come with the package, files, and minibatches by name.

Knows arrays only: nothing here looks at a graph.
"""

from .batches import minibatches, train_test_split
from .dataset import Dataset
from .digits import Digits, digits
from .idx import read_idx
from .loader import DataLoader
from .preparing import Standardization, one_hot, standardize
from .synthetic import blobs, moons, spirals

__all__ = [
    "DataLoader",
    "Dataset",
    "Digits",
    "Standardization",
    "blobs",
    "digits",
    "minibatches",
    "moons",
    "one_hot",
    "read_idx",
    "spirals",
    "standardize",
    "train_test_split",
]
