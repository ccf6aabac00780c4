"""Forward and backward of one node as one schedule of two sections over shared slots.

Knows the floors below; knows nothing of snapshots or of who asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .autodiff.derivatives import filled
from .autodiff.reverse import pull_back
from .backends.executable import Executable
from .executors import Entry, Executors, checked_backend, checked_threads
from .ir.cell import Cell
from .ir.graph import Graph, ancestors
from .ir.value import Value
from .ops.random import counters_of
from .passes import optimize, settle_mode, take_updates
from .schedule.lower import lower
from .schedule.steps import Schedule

__all__ = ["Pair"]


class Pair:
    """The two sections, where their values live, and the executables for the lengths met so far.

    Parameters
    ----------
    root
        The node that forward computes and backward starts from. It is not held.
    leaves
        Nodes whose gradients backward gives, where anything differentiable leads to them.
    shown
        Nodes whose values can be read after forward, whatever is done later.
    seed
        The node that stands for the cotangent of the root; None is all ones.
    """

    def __init__(
        self,
        root: Value,
        leaves: Sequence[Value],
        shown: Sequence[Value] = (),
        seed: Value | None = None,
    ) -> None:
        inner = ancestors([root])
        start = filled(root.spec, 1.0) if leaves and seed is None else seed
        found = pull_back([root], [start], leaves) if start is not None else []
        gradients = [g for g in found if g is not None]
        self.gradient_of = [
            id(leaf) for leaf, g in zip(leaves, found, strict=False) if g is not None
        ]
        # The nodes below the root come along, so that the schedule's numbers for them are known.
        count = 1 + len(gradients)
        settled = settle_mode(Graph([root, *gradients, *inner]), None)
        drawing = counters_of(ancestors(settled.outputs[:1]))
        self.counters = [node.cell for node in drawing if node.cell is not None]
        """Cells that count the calls of the random draws that a forward makes in this mode."""
        whole, updated = take_updates(settled, live=count)
        graph = optimize(whole)
        tracked = dict(zip(map(id, inner), graph.outputs[count:], strict=False))
        new = graph.outputs[count + len(inner) :]
        lowered = lower(
            graph,
            [("forward", graph.outputs[:1]), ("backward", graph.outputs[1:count])],
            kept=[*(tracked[id(node)] for node in (root, *shown)), *new],
        )
        self.updates = [
            (variable.cell, lowered.number_of[id(node)])
            for variable, node in zip(updated, new, strict=True)
            if variable.cell is not None
        ]
        """Cells that a forward writes when it has run, and the numbers of their new values."""
        self.schedule: Schedule = lowered.schedule
        self.fed = lowered.placeholders
        self.cells: list[Cell] = [node.cell for node in lowered.variables if node.cell is not None]
        stop = self.schedule.sections[0].stop
        late = {number for step in self.schedule.steps[stop:] for number in step.writes}
        numbers = {key: lowered.number_of.get(id(node), -1) for key, node in tracked.items()}
        self.number_of = {
            key: number for key, number in numbers.items() if number >= 0 and number not in late
        }
        self._executors = Executors(
            self.schedule,
            self.cells,
            checked_backend(None),
            checked_threads(None),
            feeds_kept=True,
        )

    def entry(self, lengths: Mapping[str, int]) -> Entry:
        """Give the executable for these lengths, and for how many more calls it is that."""
        return self._executors.entry(lengths)

    def count(self, entry: Entry) -> None:
        """Count a forward, after which another backend may run the next one."""
        if entry.left:
            entry.left -= 1
        elif entry.left is not None:
            self._executors.promote(entry)

    def readable(self, executable: Executable, node: int) -> int:
        """Give the number of a node (by id) whose value is still there after forward, or -1."""
        number = self.number_of.get(node, -1)
        is_there = number in executable.arrays and number not in executable.plan.lost
        base = executable.plan.storage[number].base
        return number if is_there and base not in executable.plan.lost else -1
