"""A training run, update by update: its programs, its data, and what is kept of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ..compiler import compile
from ..errors import CheckpointError, NonFiniteError, OptionError
from ..ir.value import Value
from ..nn.module import Module
from .bar import Bar
from .checkpoint import Path, Positioned, Stateful, load, save
from .divergence import Rewind
from .history import History
from .interrupts import Interrupts
from .measures import Measures, Sums
from .sources import Batch, Data, Source, in_order, rows_of

__all__ = ["Minimizer", "Plateau", "Run"]


class Minimizer(Stateful, Protocol):
    """What training needs of an optimizer."""

    @property
    def rate(self) -> float:
        """The rate of the next update, as a number."""

    def minimize(self, loss: Value) -> Sequence[tuple[Value, Value]]:
        """Give the updates of one step."""

    def advance(self) -> None:
        """Go on to the next rate of a sequence."""


class Plateau(Positioned, Protocol):
    """What lowers the rate when a number has stopped getting better."""

    def look(self, metric: object) -> bool:
        """Take the newest number."""


class Run:
    """One call of `fit`: the programs, the data, and how far it came."""

    def __init__(
        self,
        model: Module,
        measures: Measures,
        optimizer: Minimizer,
        source: Source,
        history: History,
        *,
        validation: Data | None,
        batch_size: int | None,
        plateau: Plateau | None,
        best: Path | None,
        checkpoint: Path | None,
        checkpoint_every: int | None,
        quiet: bool,
    ) -> None:
        self.history = history
        self._model = model
        self._measures = measures
        self._optimizer = optimizer
        self._source = source
        self._validation, self._batch_size = validation, batch_size
        self._plateau, self._best = plateau, best
        self._checkpoint, self._checkpoint_every = checkpoint, checkpoint_every
        self._quiet = quiet
        updates = optimizer.minimize(measures.nodes["loss"])
        self._train = compile(measures.nodes, updates=updates, name="fit")
        self._evaluate = compile(measures.nodes, train=False, name="evaluate")
        self._rewind = Rewind(self._train, lambda numbers: float(numbers["loss"]))
        self._sums = Sums(measures)
        state = optimizer.state_variables().values()
        self._written = [v for v in state if v.shape == () and v.dtype.kind == "f"]

    def go(
        self,
        epochs: int,
        patience: int | None,
        callbacks: Sequence[Callable[[History], object]],
        interrupts: Interrupts,
    ) -> None:
        """Run the epochs that are left, until something ends it."""
        history = self.history
        history.stopped = "epochs"
        while history.epochs < epochs:
            if patience is not None and history.waited >= patience:
                history.stopped = "patience"
                return
            if not self._epoch(epochs, interrupts):
                return
            answers = [callback(history) for callback in callbacks]
            if any(answer is True for answer in answers):
                history.stopped = "callback"
                return
            if interrupts.asked:
                return

    def _epoch(self, epochs: int, interrupts: Interrupts) -> bool:
        """Run what is left of an epoch; False if an interrupt came before its end."""
        number = self.history.epochs
        # Callbacks and the plateau may have written variables since.
        self._rewind.mark()
        bar = Bar(f"epoch {number + 1}/{epochs}", len(self._source), self._quiet)
        bar.move(self._source.position)
        try:
            for batch in self._source.epoch(number):
                self._update(batch)
                bar.step(self._texts)
                every = self._checkpoint_every
                if every is not None and self.history.steps % every == 0:
                    self._save(self._checkpoint)
                if interrupts.asked:
                    return False
            if not self._sums.rows:
                raise OptionError(f"fit: the data has no rows in epoch {number + 1}.")
            row = self._sums.results()
            if self._validation is not None:
                measured = self._measured(self._validation, interrupts)
                if measured is None:
                    return False
                row.update(measured)
            bar.end({name: f"{value:.4g}" for name, value in row.items()})
        finally:
            bar.close()
        self._end_epoch(row)
        return True

    def _update(self, batch: Batch) -> None:
        before = self._rates()
        self._optimizer.advance()
        if self._rates() != before:
            self._rewind.mark()
        self._rewind.note(batch)
        numbers = self._train(**batch)
        self.history.steps += 1
        if not math.isfinite(numbers["loss"]):
            self._diverged(float(numbers["loss"]))
        self._sums.add(numbers, rows_of(batch))

    def _rates(self) -> list[float]:
        """Give the numbers that an optimizer may write by itself."""
        return [float(variable.cell.array) for variable in self._written if variable.cell]

    def _texts(self) -> dict[str, str]:
        texts = {name: f"{value:.4g}" for name, value in self._sums.results().items()}
        return {**texts, "rate": f"{self._optimizer.rate:.3g}"}

    def _diverged(self, loss: float) -> None:
        """Leave the model as it was before the first bad update, and say where it went wrong."""
        report = self._rewind.find()
        text = f"fit: the loss is {loss} in step {self.history.steps}, epoch"
        text += f" {self.history.epochs + 1}."
        if report is None:
            text += " The same updates made again don't repeat it."
        error = NonFiniteError(text if report is None else f"{text}\n{report}")
        error.report, error.history = report, self.history
        raise error

    def _measured(self, data: Data, interrupts: Interrupts) -> dict[str, float] | None:
        """Measure on the validation data; None after an interrupt."""
        sums = Sums(self._measures)
        size = self._batch_size if isinstance(data, Mapping) else None
        for batch in in_order(data, size):
            sums.add(self._evaluate(**batch), rows_of(batch))
            if interrupts.asked:
                return None
        if not sums.rows:
            raise OptionError("fit: the validation data has no rows.")
        return sums.results("validation_")

    def _end_epoch(self, row: Mapping[str, float]) -> None:
        history = self.history
        history.add(row)
        self._sums = Sums(self._measures)
        monitored = history[history.monitor][-1]
        if self._plateau is not None:
            self._plateau.look(monitored)
        found = history.best
        if self._best is not None and found is not None and found.epoch == history.epochs - 1:
            self._save(self._best)
        if self._checkpoint is not None:
            self._save(self._checkpoint)

    def _save(self, path: Path | None) -> None:
        assert path is not None, "there are no saves without a file"
        extra = {
            "history": self.history.state(),
            "sums": self._sums.state(),
            "plateau": None if self._plateau is None else dict(self._plateau.state()),
            "evaluations": self._evaluate.calls(),
        }
        save(
            path,
            model=self._model,
            optimizer=self._optimizer,
            program=self._train,
            loader=self._source,
            step=self.history.steps,
            extra=extra,
        )

    def resume(self, path: Path) -> None:
        """Go to where a checkpoint was saved; nothing is changed by one that doesn't fit."""
        plateau = None if self._plateau is None else dict(self._plateau.state())
        saved = load(path)
        try:
            self.history.restore(saved.extra["history"])
            self._sums.restore(saved.extra["sums"])
            self._evaluate.restore_calls(saved.extra["evaluations"])
            if self._plateau is not None:
                self._plateau.restore(saved.extra["plateau"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{saved.path} was not saved by this fit: {error!r}.") from None
        try:
            load(
                path,
                model=self._model,
                optimizer=self._optimizer,
                program=self._train,
                loader=self._source,
            )
        except CheckpointError:
            if self._plateau is not None and plateau is not None:
                self._plateau.restore(plateau)
            raise
        # A sequence of rates is gone through up to where it was.
        rates = self._rates()
        for _ in range(saved.step):
            self._optimizer.advance()
        for variable, rate in zip(self._written, rates, strict=True):
            variable.data = rate

    def take_best(self) -> None:
        """Give the model the state of the best epoch."""
        assert self._best is not None, "it was saved"
        load(self._best, model=self._model)
