"""Parts of one piece of work, shared among threads of Python: one pool for a process.

NumPy works on large arrays without holding the interpreter, so threads that call it run at once.
Knows functions that take the number of a part; knows nothing of arrays.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeAlias

import numpy as np

__all__ = ["Work", "share", "write_together"]


class Work:
    """Parts of which each is done by one of several threads: ``function(part, place, *arguments)``.

    Each thread has a *place* of its own, below *threads*.
    """

    def __init__(
        self, function: Callable[..., object], parts: int, threads: int, *arguments: Any
    ) -> None:
        self.function = function
        self.parts = parts
        self.threads = min(threads, parts)
        self.arguments = arguments
        self.next = 0
        self.helping = 0
        self.error: BaseException | None = None
        self.lock = threading.Lock()
        self.is_over = threading.Lock()
        self.is_over.acquire()

    def take(self, place: int) -> None:
        """Do one part after another, until none is left."""
        while True:
            with self.lock:
                part = self.next
                self.next += 1
            if part >= self.parts:
                return
            self.function(part, place, *self.arguments)

    def help(self, place: int) -> None:
        """Do parts on a thread of the pool, unless all have begun before it comes."""
        with self.lock:
            if self.next >= self.parts:
                return
            self.helping += 1
        try:
            self.take(place)
        except BaseException as error:
            self.stop()
            self.error = error
        with self.lock:
            self.helping -= 1
            if not self.helping and self.is_over.locked():
                self.is_over.release()

    def stop(self) -> None:
        """Let no further part begin."""
        with self.lock:
            self.next = self.parts

    def finish(self) -> None:
        """Wait for what threads of the pool have to do, and raise what they raised.

        They write where the next call will, so an interrupt is raised when they are done.
        """
        interrupt: BaseException | None = None
        while True:
            try:
                while self.next < self.parts or self.helping:
                    # Not for ever: an interrupt may come when the lock has just been taken.
                    self.is_over.acquire(timeout=1.0)
                break
            except BaseException as error:
                interrupt = error
        # A thread may still come by, and must not keep arrays alive.
        self.arguments = ()
        raised, self.error = interrupt or self.error, None
        if raised is not None:
            raise raised


_Task: TypeAlias = "tuple[tuple[Work, ...], int]"
"""Works that a thread helps with one after another, and its place in all of them."""


def _serve(queue: SimpleQueue[_Task]) -> None:
    # What runs is quiet on the thread that asks, too.
    np.seterr(all="ignore")
    while True:
        works, place = queue.get()
        for work in works:
            if place < work.threads:
                work.help(place)
        del works, work


class _Pool:
    """Threads that wait for work. They are daemons: nothing waits for them at the end."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[_Task] = SimpleQueue()
        self.lock = threading.Lock()
        self.started = 0

    def reach(self, count: int) -> int:
        """Start threads until there are so many, and give how many there are."""
        with self.lock:
            while self.started < count:
                thread = threading.Thread(
                    target=_serve, args=(self.queue,), name="lazygrad", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError:
                    # There are as many as there can be, or the interpreter is about to end.
                    break
                self.started += 1
            return self.started


_pool = _Pool()


def share(function: Callable[..., object], parts: int, threads: int, *arguments: Any) -> None:
    """Do all parts, on this thread and on others of the pool.

    Raises what a part raises; the parts that have begun by then are over, and no other begins.
    """
    work = Work(function, parts, threads, *arguments)
    try:
        _pool.reach(work.threads - 1)
        for place in range(1, work.threads):
            _pool.queue.put(((work,), place))
        work.take(0)
    finally:
        work.stop()
        work.finish()


def write_together(works: tuple[Work, ...], calls: Iterable[Callable[[], object]]) -> None:
    """Make calls and do works, of which none can fail: all of them, or none.

    The works are done on threads of the pool, where no interrupt comes, and the calls are made
    inside one C call. An interrupt is raised when all is done. No two works use a place at once.
    """
    call: Any = partial.__call__
    count = max(work.threads for work in works)
    began: list[bool] = []
    if _pool.reach(count):
        starts = [partial(_pool.queue.put, (works, place)) for place in range(count)]
    else:
        starts = [partial(work.take, 0) for work in works]
    try:
        deque(map(call, (partial(began.append, True), *starts, *calls)), 0)
    finally:
        try:
            _finish(works, began)
        finally:
            # An interrupt may come right before the first wait.
            _finish(works, began)


def _finish(works: tuple[Work, ...], began: list[bool]) -> None:
    for work in works if began else ():
        work.finish()


def _after_fork() -> None:
    """Forget threads that a child process doesn't have."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
