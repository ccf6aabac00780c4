"""`fit` and `predict`: a model, its data by name, and the loop around its compiled update."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler import Program, compile
from ..errors import OptionError
from ..ir.value import Value
from ..nn.module import Module
from .checkpoint import Path
from .history import History
from .interrupts import Interrupts
from .loop import Minimizer, Plateau, Run
from .measures import Measure, Measures
from .sources import Data, Source, in_order, rows_of

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["fit", "predict"]


def fit(
    model: Module,
    loss: Value,
    data: Data,
    *,
    optimizer: Minimizer,
    epochs: int = 1,
    batch_size: int | None = None,
    seed: int = 0,
    validation: Data | None = None,
    metrics: Mapping[str, Measure] | None = None,
    monitor: str | None = None,
    larger_is_better: bool = False,
    patience: int | None = None,
    min_delta: float = 0.0,
    plateau: Plateau | None = None,
    best: Path | None = None,
    restore_best: bool = False,
    checkpoint: Path | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    callbacks: Sequence[Callable[[History], object]] = (),
    quiet: bool = False,
) -> History:
    """Train a model: compile the update once, and run it on every batch of every epoch.

    Parameters
    ----------
    model
        Whose state is saved; what is trained is what *optimizer* finds below *loss*.
    loss
        A node without axes; batches feed the placeholders below it by name.
    data
        Arrays by name, cut into batches in a new order each epoch; a `lazygrad.data.DataLoader`;
        a list of batches; or a function that gives the batches of an epoch from its number.
    optimizer
        From `lazygrad.optim`.
    epochs
        How often to go through the data, those of a run that is resumed included.
    batch_size, seed
        For *data* that is arrays: rows per batch, by default 32, and the seed of the orders.
    validation
        Data to measure on after each epoch, in evaluation mode; like *data*.
    metrics
        More to measure, by name: nodes without axes, which like the loss are averaged over batches
        weighted by rows, or a `Metric`, such as `r2` gives.
    monitor, larger_is_better, min_delta
        The number that says which epoch is best, by default the loss, that of the validation if
        there is one (``"validation_loss"``); which way is better; and by how much at least.
    patience
        Stop after so many epochs without a better one.
    plateau
        An `lazygrad.optim.ReduceOnPlateau`, which looks at the monitored number each epoch.
    best, restore_best
        A file for the checkpoint of the best epoch, and whether the model has its state at the end.
    checkpoint, checkpoint_every
        A file for the checkpoint after each epoch, and after each so many updates.
    resume
        Go on from the file *checkpoint* if it is there: the same bits as without a break, as long
        as the data is the same.
    callbacks
        Called with the history after each epoch; True as an answer ends the training.
    quiet
        No progress bar.

    Returns
    -------
    History
        Of each epoch, every number by name. After Ctrl-C it is marked as interrupted; the update
        that was under way is finished.

    Raises
    ------
    NonFiniteError
        If the loss becomes NaN or infinite. The text names the operation where it began; the model
        has the weights from before that update.

    Examples
    --------
    >>> from lazygrad import nn, optim
    >>> class Line(nn.Module):
    ...     def __init__(self):
    ...         self.slope = nn.parameter(0.0)
    ...     def forward(self, x):
    ...         return self.slope * x
    >>> model = Line()
    >>> x, t = (lg.placeholder(("batch",), dtype="float32", name=name) for name in "xt")
    >>> loss = ((model(x) - t) ** 2).mean()
    >>> numbers = np.arange(4, dtype="float32")
    >>> history = fit(
    ...     model, loss, {"x": numbers, "t": 2 * numbers}, optimizer=optim.SGD(0.1), epochs=20,
    ...     quiet=True,
    ... )
    >>> round(float(model.slope.data), 4), history.best.epoch
    (2.0, 15)
    """
    for name, count in (
        ("epochs", epochs),
        ("patience", patience),
        ("checkpoint_every", checkpoint_every),
    ):
        if count is not None and (type(count) is not int or count < (name != "epochs")):
            raise OptionError(f"fit: {name} must be a positive integer, got {count!r}.")
    if (resume or checkpoint_every is not None) and checkpoint is None:
        raise OptionError("fit: resume and checkpoint_every need checkpoint=, the file.")
    if restore_best and best is None:
        raise OptionError("fit: restore_best needs best=, the file.")
    measures = Measures(loss, metrics or {})
    if monitor is None:
        monitor = "loss" if validation is None else "validation_loss"
    names = measures.names
    known = [*names, *(f"validation_{name}" for name in names if validation is not None)]
    if monitor not in known:
        raise OptionError(f"fit: monitor must be one of {', '.join(known)}, got {monitor!r}.")
    run = Run(
        model,
        measures,
        optimizer,
        Source(data, batch_size, seed),
        History(monitor, larger_is_better, min_delta),
        validation=validation,
        batch_size=batch_size,
        plateau=plateau,
        best=best,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        quiet=quiet,
    )
    if resume and checkpoint is not None and os.path.exists(checkpoint):
        run.resume(checkpoint)
    with Interrupts() as interrupts:
        try:
            run.go(epochs, patience, callbacks, interrupts)
        except KeyboardInterrupt:
            interrupts.asked = True
    if interrupts.asked:
        run.history.interrupted, run.history.stopped = True, "interrupt"
    if restore_best and run.history.best is not None:
        run.take_best()
    return run.history


def predict(
    output: Value | Program, data: Data, *, batch_size: int | None = None
) -> npt.NDArray[Any]:
    """Compute a node, in evaluation mode, for every row of *data*, and join the results in order.

    *data* is arrays by name, cut into batches of by default 256 rows, or batches. The node has one
    row for each row that is fed.

    >>> x = lg.placeholder(("batch",), name="x")
    >>> predict(x * 2, {"x": [1.0, 2.0, 3.0]}, batch_size=2)
    array([2., 4., 6.])
    """
    program = output if isinstance(output, Program) else compile(output, train=False)
    parts = []
    for batch in in_order(data, batch_size):
        result = np.asarray(program(**batch))
        if result.shape[:1] != (rows_of(batch),):
            raise OptionError(
                f"predict: {rows_of(batch)} rows were fed and the result has shape {result.shape},"
                " not one row for each."
            )
        parts.append(result)
    if not parts:
        raise OptionError("predict: the data has no batches.")
    return np.concatenate(parts)
