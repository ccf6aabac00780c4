"""One result per row, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from .timing import spread


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one comparison found; times are medians, in seconds.

    Attributes
    ----------
    ratio
        How many times as fast as theirs, by the medians; `low` and `high` are the quartiles of
        the ratios within rounds. None where there is nobody to compare with, and then `low` and
        `high` are the quartiles of our times.
    reached
        Whether the goal was; None where there is no goal.
    """

    name: str
    ours: float | None = None
    theirs: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    goal: str = ""
    reached: bool | None = None
    note: str = ""


def compared(
    name: str, ours: list[float], theirs: list[float], *, least: float, note: str = ""
) -> Row:
    """Compare two engines over rounds; the goal is to be *least* times as fast as theirs."""
    ratio = median(theirs) / median(ours)
    low, high = spread([b / a for a, b in zip(ours, theirs, strict=True)])
    return Row(
        name=name,
        ours=median(ours),
        theirs=median(theirs),
        ratio=ratio,
        low=low,
        high=high,
        goal=f">= {least:g} x",
        reached=ratio >= least,
        note=note,
    )


def measured(name: str, ours: list[float], *, most: float | None = None, note: str = "") -> Row:
    """Report times; the goal, if there is one, is to take *most* seconds."""
    low, high = spread(ours)
    return Row(
        name=name,
        ours=median(ours),
        low=low,
        high=high,
        goal="" if most is None else f"< {duration(most)}",
        reached=None if most is None else median(ours) < most,
        note=note,
    )


def duration(seconds: float | None) -> str:
    """Write seconds with the unit that suits them."""
    if seconds is None:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def _cells(row: Row) -> tuple[str, ...]:
    if row.ratio is None:
        ratio = ""
        between = "" if row.low is None else f"{duration(row.low)} .. {duration(row.high)}"
    else:
        ratio = f"{row.ratio:.2f} x"
        between = "" if row.low is None else f"{row.low:.2f} .. {row.high:.2f}"
    reached = {True: "yes", False: "NO", None: ""}[row.reached]
    ours, theirs = duration(row.ours), duration(row.theirs)
    return row.name, ours, theirs, ratio, between, row.goal, reached, row.note


HEADINGS = ("benchmark", "ours", "theirs", "ratio", "half lie in", "goal", "reached", "")


def table(rows: Sequence[Row]) -> str:
    """Write rows under each other, with headings."""
    cells = [HEADINGS, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in cells]
    return "\n".join(line.rstrip() for line in lines)


def records(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Give rows as what JSON can hold."""
    return [asdict(row) for row in rows]
