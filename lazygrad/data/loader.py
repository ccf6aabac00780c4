"""Batches of a dataset, epoch after epoch, prepared ahead in a background thread.

Knows arrays only. An order depends on seed and epoch alone, so two integers say where a loader is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextvars import copy_context
from operator import index
from queue import SimpleQueue
from threading import Event, Semaphore, Thread, current_thread
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..errors import OptionError
from .columns import Columns, positive
from .dataset import Dataset

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["DataLoader"]

Transform: TypeAlias = "Callable[[Columns], Mapping[str, npt.ArrayLike]]"
Batch: TypeAlias = "dict[str, npt.ArrayLike]"
Prepare: TypeAlias = "Callable[[int], Batch]"
Ready: TypeAlias = "SimpleQueue[tuple[Batch, BaseException | None]]"


class DataLoader:
    """Go through a dataset in batches, each a dict that feeds placeholders by name.

    One ``for`` is one epoch: it goes through the batches that are left of the epoch and counts the
    epoch on at its end. Leaving it early, by ``break`` or an error, stops the thread; the next
    ``for`` takes up the same epoch after the last batch that was given. An error in the thread
    is raised where its batch would have come, and the next ``for`` tries that batch again.

    Parameters
    ----------
    dataset : Dataset or mapping of str to array
        Rows to go through. Batches are copies.
    batch_size : int
        Rows per batch. The last batch is smaller if the length is no multiple of it.
    shuffle : bool
        Draw a random order of the rows for each epoch, from *seed* and the number of the epoch.
    seed : int
        The same seed gives the same orders.
    drop_last : bool
        Leave a last smaller batch out.
    prefetch : int
        How many batches the thread prepares ahead; 0 prepares each when it is asked for, without
        a thread.
    transform : callable, optional
        Called in the thread with each batch, a dict that it may write into; gives the mapping that
        takes its place. For a resumed run to be exact, it must depend on the batch alone.

    Examples
    --------
    >>> data = lg.data.Dataset(x=np.arange(5.0), t=[0, 1, 0, 1, 0])
    >>> loader = lg.data.DataLoader(data, batch_size=2, seed=1)
    >>> len(loader), [len(batch["x"]) for batch in loader]
    (3, [2, 2, 1])
    >>> for batch in loader:
    ...     break
    >>> loader.state()
    {'epoch': 1, 'position': 1}
    """

    def __init__(
        self,
        dataset: Dataset | Mapping[str, npt.ArrayLike],
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        prefetch: int = 2,
        transform: Transform | None = None,
    ) -> None:
        self.dataset = dataset if isinstance(dataset, Dataset) else Dataset(dataset)
        self.batch_size = positive("DataLoader", "batch_size", batch_size)
        self.shuffle = shuffle
        self.seed = positive("DataLoader", "seed", seed, least=0)
        self.drop_last = drop_last
        self.prefetch = positive("DataLoader", "prefetch", prefetch, least=0)
        if transform is not None and not callable(transform):
            raise TypeError(
                f"DataLoader: transform is a {type(transform).__name__}, expected a function."
            )
        self.transform = transform
        self._epoch = 0
        self._position = 0
        self._walks = 0

    def __len__(self) -> int:
        """Count the batches of a whole epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + bool(rest and not self.drop_last)

    def __repr__(self) -> str:
        return (
            f"DataLoader({self.dataset!r}, batch_size={self.batch_size}, shuffle={self.shuffle}, "
            f"seed={self.seed}, epoch={self._epoch}, position={self._position})"
        )

    def state(self) -> dict[str, int]:
        """Say where the loader is: the epoch, and how many of its batches were given.

        Inside the loop the batch at hand counts as given.

        >>> loader = lg.data.DataLoader({"x": np.arange(6)}, 2, shuffle=True)
        >>> _ = next(iter(loader))
        >>> loader.state()
        {'epoch': 0, 'position': 1}
        """
        return {"epoch": self._epoch, "position": self._position}

    def restore(self, state: Mapping[str, int]) -> None:
        """Go to where `state` was called, on this loader or one made alike.

        A loop that is under way can't go on after this. A state from after the last batch, inside
        the loop, gives a loop without batches, which ends the epoch.

        >>> loader = lg.data.DataLoader({"x": np.arange(6)}, 2)
        >>> loader.restore({"epoch": 3, "position": 2})
        >>> [batch["x"] for batch in loader]
        [array([4, 5])]
        """
        if state.keys() != {"epoch", "position"}:
            raise OptionError(
                f"restore: the state has {', '.join(map(str, state)) or 'nothing'}, "
                "expected epoch and position."
            )
        epoch, position = index(state["epoch"]), index(state["position"])
        if epoch < 0:
            raise OptionError(f"restore: epoch is {epoch}, expected at least 0.")
        if not 0 <= position <= len(self):
            raise OptionError(
                f"restore: position is {position}, expected 0 to {len(self)}, the batches of "
                "an epoch; was the state saved with another batch size or dataset?"
            )
        self._epoch, self._position = epoch, position
        self._walks += 1

    def __iter__(self) -> Iterator[Batch]:
        self._walks += 1
        walk, start, end = self._walks, self._position, len(self)
        batches = _prepared(self._prepare(), start, end, self.prefetch)
        try:
            for position in range(start, end):
                batch = next(batches)
                self._check_walk(walk)
                self._position = position + 1
                yield batch
                self._check_walk(walk)
        finally:
            batches.close()
        self._epoch, self._position = self._epoch + 1, 0

    def _check_walk(self, walk: int) -> None:
        if walk != self._walks:
            raise RuntimeError(
                "DataLoader: this loop can't go on, since another one was begun or a state was "
                "restored; loops inside each other need a loader each."
            )

    def _prepare(self) -> Prepare:
        """Give the function of this epoch that makes the batch at a position.

        It doesn't hold the loader, so that a thread doesn't keep it alive.
        """
        columns, size, transform = self.dataset.arrays, self.batch_size, self.transform
        order: npt.NDArray[np.int64] | None = None
        if self.shuffle:
            # Spawn keys keep (seed, epoch) apart for all seeds; a list of the two would not.
            sequence = np.random.SeedSequence(self.seed, spawn_key=(self._epoch,))
            order = np.random.default_rng(sequence).permutation(len(self.dataset))

        def prepare(position: int) -> Batch:
            rows = slice(position * size, (position + 1) * size)
            batch = {
                name: column[rows].copy() if order is None else column[order[rows]]
                for name, column in columns.items()
            }
            if transform is None:
                return {**batch}
            given = transform(batch)
            if not isinstance(given, Mapping):
                raise TypeError(
                    f"DataLoader: transform gave a {type(given).__name__}, "
                    "expected a mapping of names to arrays."
                )
            return dict(given)

        return prepare


def _prepared(prepare: Prepare, start: int, end: int, ahead: int) -> Generator[Batch, None, None]:
    """Give the batches from *start* to *end*, up to *ahead* of them prepared in a thread."""
    if not ahead:
        for position in range(start, end):
            yield prepare(position)
        return
    ready: Ready = SimpleQueue()
    room, stopped = Semaphore(ahead), Event()
    work = (_work, prepare, range(start, end), room, ready, stopped)
    # In the consumer's context, so that np.errstate holds with a thread as it does without.
    thread = Thread(target=copy_context().run, args=work, name="lazygrad-loader", daemon=True)
    try:
        if start < end:
            thread.start()
        for _ in range(start, end):
            batch, error = ready.get()
            room.release()
            if error is not None:
                try:
                    raise error
                finally:
                    # The error holds this frame; if the frame held it, only the collector would
                    # free the two, and the batches with them.
                    del error
            yield batch
    finally:
        stopped.set()
        room.release()
        # The collector may close this in the thread itself. When the interpreter ends, the thread
        # is frozen and would never be done.
        if thread.is_alive() and thread is not current_thread() and not sys.is_finalizing():
            thread.join()


def _work(
    prepare: Prepare, positions: range, room: Semaphore, ready: Ready, stopped: Event
) -> None:
    """Prepare batch after batch while there is room, up to the first error."""
    for position in positions:
        room.acquire()
        if stopped.is_set():
            return
        try:
            ready.put((prepare(position), None))
        except BaseException as error:
            ready.put(({}, error))
            return
