"""Whether two lengths are equal, and what is taken for granted where that shows only later.

Holds the comparison and the record of what it assumed. Must not know how a length is made up, how
text is read or how names are bound.
"""

from __future__ import annotations

from contextvars import ContextVar, Token

from .algebra import Dim

__all__ = ["collecting", "compare", "same"]


def compare(a: Dim, b: Dim) -> bool | None:
    """Tell whether two lengths are equal; None if that can be known only later.

    >>> batch, time = map(lg.Length.named, ("batch", "time"))
    >>> compare(batch, batch), compare(batch, batch + 1), compare(batch, time)
    (True, False, None)
    """
    if a == b:
        return True
    return False if isinstance(a - b, int) else None


class _Collector:
    """The context of `collecting`."""

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens: list[Token[list[tuple[Dim, Dim]] | None]] = []

    def __enter__(self) -> list[tuple[Dim, Dim]]:
        pairs: list[tuple[Dim, Dim]] = []
        self._tokens.append(_assumptions.set(pairs))
        return pairs

    def __exit__(self, *error: object) -> None:
        _assumptions.reset(self._tokens.pop())


_assumptions: ContextVar[list[tuple[Dim, Dim]] | None] = ContextVar("assumptions", default=None)


def collecting() -> _Collector:
    """Collect what `same` assumes inside the block, as a list of pairs.

    >>> batch, time = map(lg.Length.named, ("batch", "time"))
    >>> with collecting() as pairs:
    ...     same(batch, time)
    True
    >>> pairs
    [(Length('batch'), Length('time'))]
    """
    return _Collector()


def same(a: Dim, b: Dim) -> bool:
    """Tell whether two lengths may be equal, and note the pair if that is only assumed.

    >>> batch = lg.Length.named("batch")
    >>> same(batch, batch + 1)
    False
    """
    answer = compare(a, b)
    if answer is not None:
        return answer
    pairs = _assumptions.get()
    if pairs is not None:
        pairs.append((a, b))
    return True
