"""Results as a picture: how many times as fast as the best other one, and what was the goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["plot"]

OURS, GOAL, EVEN = "#0072b2", "#d55e00", "#888888"


def plot(runs: Sequence[Mapping[str, Any]], path: str) -> None:
    """Draw the ratios of one or several runs, a panel each, into a file of any usual format."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    runs = [{**run, "rows": [r for r in run["rows"] if r["ratio"]]} for run in runs]
    tallest = max(len(run["rows"]) for run in runs)
    figure, panels = pyplot.subplots(
        1, len(runs), figsize=(9 * len(runs), 1 + 0.32 * tallest), squeeze=False
    )
    for run, panel in zip(runs, panels[0], strict=True):
        rows = run["rows"][::-1]
        places = range(len(rows))
        panel.barh(places, [row["ratio"] for row in rows], color=OURS, height=0.6)
        goals = [(p, _goal(row["goal"])) for p, row in zip(places, rows, strict=True)]
        for place, goal in goals:
            if goal is not None:
                panel.plot([goal, goal], [place - 0.4, place + 0.4], color=GOAL, linewidth=2)
        for place, row in zip(places, rows, strict=True):
            panel.annotate(f" {row['ratio']:.2f}", (row["ratio"], place), va="center", fontsize=8)
        panel.axvline(1, color=EVEN, linewidth=1)
        panel.set_xscale("log")
        panel.margins(x=0.12)
        panel.set_yticks(list(places), [row["name"] for row in rows], fontsize=8)
        panel.set_xlabel(
            "times as good as the best other, products as shares of the peak; orange: the goal"
        )
        panel.set_title(f"{run['threads']} thread{'s' if run['threads'] > 1 else ''}")
        panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _goal(text: str) -> float | None:
    return float(text.removeprefix(">= ").removesuffix(" x")) if text.startswith(">=") else None
