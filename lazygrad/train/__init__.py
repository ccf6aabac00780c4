"""Training: the loop, its history, metrics, and checkpoints. On public names only."""

from .checkpoint import Checkpoint, load, save
from .fit import fit, predict
from .history import Best, History
from .metrics import Metric, accuracy, mae, r2, top_k_accuracy

__all__ = [
    "Best",
    "Checkpoint",
    "History",
    "Metric",
    "accuracy",
    "fit",
    "load",
    "mae",
    "predict",
    "r2",
    "save",
    "top_k_accuracy",
]
