"""The progress bar of an epoch. Knows numbers and names alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

__all__ = ["Bar"]

_SECONDS_BETWEEN_TEXTS = 0.2


class Bar:
    """A progress bar of one epoch, or none; counts batches."""

    def __init__(self, title: str, total: int, quiet: bool) -> None:
        self._bar: Any = None
        self._next = 0.0
        if not quiet:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=total or None, desc=title, unit="batch")

    def move(self, position: int) -> None:
        """Start at a position."""
        if self._bar is not None and position:
            self._bar.update(position)

    def step(self, texts: Callable[[], dict[str, str]]) -> None:
        """Go on by a batch; numbers are written a few times a second."""
        if self._bar is None:
            return
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _SECONDS_BETWEEN_TEXTS
            self._bar.set_postfix(texts(), refresh=False)
        self._bar.update()

    def end(self, texts: dict[str, str]) -> None:
        """Write the numbers of the whole epoch."""
        if self._bar is not None:
            self._bar.set_postfix(texts)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
