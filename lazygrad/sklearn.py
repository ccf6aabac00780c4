"""Estimators for scikit-learn: multi-layer perceptrons, trained by compiled steps.

Needs scikit-learn, the extra ``sklearn``. They follow its conventions: parameters are what the
constructor takes, what is learned ends in an underscore, and they work in pipelines and searches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import nn, optim, train
from .compiler import Program, compile
from .errors import OptionError
from .ir.value import Value, placeholder
from .ops import softmax

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
except ImportError as error:
    raise ImportError(
        'lazygrad.sklearn needs scikit-learn 1.6 or newer: pip install "lazygrad[sklearn]"'
    ) from error

__all__ = ["LazyClassifier", "LazyRegressor"]

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class _Perceptron(BaseEstimator):  # type: ignore[misc]
    """What both estimators share: a network on standardized columns, and its training."""

    def __init__(
        self,
        hidden: Sequence[int] = (100,),
        activation: str = "relu",
        *,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        dropout: float = 0.0,
        batch_size: int = 64,
        epochs: int = 200,
        patience: int | None = 10,
        tolerance: float = 1e-4,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.batch_size = batch_size
        self.epochs = epochs
        self.patience = patience
        self.tolerance = tolerance
        self.random_state = random_state
        self.verbose = verbose

    def _network(self, inputs: int, outputs: int, rng: np.random.Generator) -> nn.Sequential:
        if self.activation not in _ACTIVATIONS:
            raise OptionError(
                f"{type(self).__name__}: activation must be one of"
                f" {', '.join(map(repr, _ACTIVATIONS))}, got {self.activation!r}."
            )
        model, width = nn.Sequential(), inputs
        for units in self.hidden:
            model.append(nn.Linear(width, units, dtype="float64", seed=rng))
            model.append(_ACTIVATIONS[self.activation]())
            if self.dropout:
                model.append(nn.Dropout(self.dropout, seed=rng))
            width = units
        return model.append(nn.Linear(width, outputs, dtype="float64", seed=rng))

    def _train(
        self, columns: Any, targets: Any, outputs: int, loss_of: Callable[[Value, Value], Value]
    ) -> Value:
        """Train a new network, and give its scores as a node over the placeholder ``x``."""
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        rng = np.random.default_rng(seed)
        self.mean_ = columns.mean(axis=0)
        deviation = columns.std(axis=0)
        self.deviation_ = np.where(deviation > 0, deviation, 1.0)
        x = placeholder(("batch", columns.shape[1]), name="x")
        t = placeholder(("batch", *targets.shape[1:]), dtype=targets.dtype, name="t")
        self.model_ = self._network(columns.shape[1], outputs, rng)
        scores: Value = self.model_((x - self.mean_) / self.deviation_)
        history = train.fit(
            self.model_,
            loss_of(scores, t),
            {"x": columns, "t": targets},
            optimizer=optim.AdamW(self.learning_rate, weight_decay=self.weight_decay),
            epochs=self.epochs,
            batch_size=min(self.batch_size, len(columns)),
            patience=self.patience,
            min_delta=self.tolerance,
            seed=seed,
            quiet=not self.verbose,
        )
        self.loss_curve_ = history["loss"] if history.epochs else []
        self.n_iter_ = history.epochs
        return scores

    def _computed(self, program: str, X: Any) -> Any:  # noqa: N803  # scikit-learn's name
        check_is_fitted(self)
        columns = validate_data(self, X, reset=False, dtype=np.float64)
        run: Program = getattr(self, program)
        return run(x=columns)


class LazyClassifier(ClassifierMixin, _Perceptron):  # type: ignore[misc]
    """A multi-layer perceptron that tells classes apart.

    Columns are standardized; the loss is the cross entropy, the optimizer AdamW.

    Parameters
    ----------
    hidden : sequence of int
        The widths of the hidden layers.
    activation : str
        ``"relu"``, ``"elu"``, ``"gelu"``, ``"silu"``, ``"tanh"`` or ``"identity"``.
    learning_rate, weight_decay : float
        Of the optimizer.
    dropout : float
        The part of the hidden units that is left out in training.
    batch_size, epochs : int
        Rows per update, and how often to go through the rows at most.
    patience : int or None
        Stop after so many epochs in which the training loss didn't fall by *tolerance*.
    tolerance : float
        By how much an epoch must be better to count as better.
    random_state : int, RandomState or None
        Decides the first weights, the order of the rows, and dropout.
    verbose : bool
        Whether a progress bar is shown.

    Attributes
    ----------
    classes_ : array of shape (classes,)
    model_ : `lazygrad.nn.Sequential`
    loss_curve_ : list of float, one an epoch
    n_iter_ : int, how many epochs were run

    Examples
    --------
    >>> points, classes = lg.data.moons(200, seed=0)
    >>> estimator = LazyClassifier((16, 16), epochs=60, random_state=0, learning_rate=0.01)
    >>> bool(estimator.fit(points, classes).score(points, classes) > 0.95)
    True
    """

    def fit(self, X: Any, y: Any) -> LazyClassifier:  # noqa: N803  # scikit-learn's name
        """Train on rows *X* of shape (rows, features) and their classes *y*."""
        columns, labels = validate_data(self, X, y, dtype=np.float64)
        labels = column_or_1d(labels, warn=True)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        codes = codes.astype(np.int64)
        scores = self._train(columns, codes, len(self.classes_), nn.cross_entropy)
        self.program_ = compile(softmax(scores, axis=-1))
        return self

    def predict_proba(self, X: Any) -> Any:  # noqa: N803  # scikit-learn's name
        """Give the probability of each class, (rows, classes), in the order of ``classes_``."""
        return self._computed("program_", X)

    def predict(self, X: Any) -> Any:  # noqa: N803  # scikit-learn's name
        """Give the most probable class of each row."""
        chances = self._computed("program_", X)
        return self.classes_[chances.argmax(axis=1)]


class LazyRegressor(RegressorMixin, _Perceptron):  # type: ignore[misc]
    """A multi-layer perceptron that predicts numbers; parameters as `LazyClassifier`'s.

    Columns and targets are standardized; the loss is the squared error.

    Attributes
    ----------
    model_ : `lazygrad.nn.Sequential`
    loss_curve_ : list of float, one an epoch
    n_iter_ : int, how many epochs were run

    Examples
    --------
    >>> x = np.linspace(-2, 2, 100)[:, None]
    >>> estimator = LazyRegressor((32,), random_state=0, learning_rate=0.01)
    >>> bool(estimator.fit(x, np.sin(2 * x[:, 0])).score(x, np.sin(2 * x[:, 0])) > 0.9)
    True
    """

    def fit(self, X: Any, y: Any) -> LazyRegressor:  # noqa: N803  # scikit-learn's name
        """Train on rows *X* of shape (rows, features) and targets of shape (rows, [outputs])."""
        columns, targets = validate_data(
            self, X, y, dtype=np.float64, multi_output=True, y_numeric=True
        )
        targets = np.asarray(targets, dtype=np.float64)
        if targets.ndim == 2 and targets.shape[1] == 1:
            targets = column_or_1d(targets, warn=True)
        centre, deviation = targets.mean(axis=0), targets.std(axis=0)
        deviation = np.where(deviation > 0, deviation, 1.0)
        is_one = targets.ndim == 1
        normal = (targets - centre) / deviation
        scores = self._train(
            columns,
            normal,
            1 if is_one else targets.shape[1],
            lambda scores, t: nn.mse(scores[:, 0] if is_one else scores, t),
        )
        found = scores[:, 0] if is_one else scores
        self.program_ = compile(found * deviation + centre)
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803  # scikit-learn's name
        """Give the predictions of each row."""
        return self._computed("program_", X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
