"""Where the batches of an epoch come from, whatever the user has. Knows no graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeAlias

import numpy as np

from ..data import DataLoader, Dataset
from ..errors import OptionError

__all__ = ["Batch", "Data", "Source", "in_order", "rows_of"]

Batch: TypeAlias = "Mapping[str, Any]"
Data: TypeAlias = (
    "Mapping[str, Any] | Dataset | DataLoader | Iterable[Batch] | Callable[[int], Iterable[Batch]]"
)
"""Arrays by name; a loader; batches that can be gone through again; or a function that gives the
batches of an epoch, called with its number."""

_BATCH_SIZE = 32


def rows_of(batch: Batch) -> int:
    """Count the rows of a batch: the first length of its first array that has one."""
    for array in batch.values():
        shape = np.shape(array)
        if shape:
            return int(shape[0])
    return 1


def in_order(data: Data, batch_size: int | None) -> Iterable[Batch]:
    """Give batches of arrays in their order, to look at each row once; others as they are."""
    if isinstance(data, (Mapping, Dataset)):
        return DataLoader(data, batch_size or 256, prefetch=0)
    if callable(data):
        return data(0)
    _check("the data", data, batch_size)
    return data


class Source:
    """Batches, epoch after epoch, from a place that can be saved and gone back to."""

    def __init__(self, data: Data, batch_size: int | None, seed: int) -> None:
        self._epoch = 0
        self._position = 0
        if isinstance(data, (Mapping, Dataset)):
            size = _BATCH_SIZE if batch_size is None else batch_size
            data = DataLoader(data, size, shuffle=True, seed=seed, prefetch=0)
        else:
            _check("the data", data, batch_size)
        self._data = data

    def __len__(self) -> int:
        """Count the batches of an epoch; 0 where that is not known."""
        try:
            return len(self._data)  # type: ignore[arg-type]
        except TypeError:
            return 0

    @property
    def position(self) -> int:
        """How many batches of the epoch were given."""
        if isinstance(self._data, DataLoader):
            return self._data.state()["position"]
        return self._position

    def epoch(self, number: int) -> Iterator[Batch]:
        """Give the batches that are left of an epoch."""
        if isinstance(self._data, DataLoader):
            yield from self._data
            return
        batches = self._data(number) if callable(self._data) else self._data
        for batch in islice(batches, self._position, None):
            if not isinstance(batch, Mapping):
                raise OptionError(
                    f"fit: a batch is a dict of arrays by name, got {type(batch).__name__}."
                )
            self._position += 1
            yield batch
        self._position = 0
        self._epoch = number + 1

    def state(self) -> dict[str, int]:
        """Say where it is."""
        if isinstance(self._data, DataLoader):
            return self._data.state()
        return {"epoch": self._epoch, "position": self._position}

    def restore(self, state: Mapping[str, int]) -> None:
        """Go to where `state` was called."""
        if isinstance(self._data, DataLoader):
            self._data.restore(state)
            return
        if state.keys() != {"epoch", "position"}:
            raise OptionError(f"the place in the data is {dict(state)!r:.80}.")
        self._epoch, self._position = int(state["epoch"]), int(state["position"])


def _check(what: str, data: object, batch_size: int | None) -> None:
    if not callable(data) and not isinstance(data, Iterable):
        raise OptionError(
            f"{what} must be arrays by name, a loader, batches, or a function that gives the"
            f" batches of an epoch; got {type(data).__name__}."
        )
    if batch_size is not None:
        raise OptionError(f"batch_size cuts arrays; {what} comes in batches already.")
    if isinstance(data, Iterator):
        raise OptionError(
            f"{what} can be gone through only once; give a function that makes the batches of an"
            " epoch, or a list."
        )
