"""The runs of one node: its sections, and the snapshot of its most recent forward.

The snapshot (feeds, versions of the variables, random counters) is what backward is run from, as
often as it is asked for. An evaluation knows its node only weakly, and nodes know the evaluations
above them only weakly, so that dropping a node frees everything. It knows nothing of the properties
and methods through which it is reached.
"""

from __future__ import annotations

import itertools
import warnings
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .autodiff.derivatives import filled
from .autodiff.reverse import pull_back
from .backends.executable import Executable
from .backends.interpreter import interpret
from .errors import (
    DTypeError,
    LazygradError,
    MissingFeedWarning,
    OptionError,
    ShapeError,
    StaleForwardError,
)
from .executors import Entry
from .feeds import bind_lengths, feedable, missing_feeds, read_feed, unknown_feed
from .ir.arrays import cast_array, plain_array
from .ir.describe import describe, label
from .ir.graph import Graph, ancestors
from .ir.op import Array, Trait
from .ir.value import PLACEHOLDER, Value, constant, placeholder
from .lengths import is_static, substitute_shape
from .ops.random import counters_of
from .pairs import Pair
from .passes import mode_flags, settle_mode
from .schedule.steps import Schedule
from .spec import cotangent_dtype, format_shape

__all__ = ["Evaluation", "latest_gradient", "own", "watching"]

_ticks = itertools.count(1)
# No user's placeholder can have this name: it holds what no feed can spell.
_SEED = "\0seed"


class Evaluation:
    """The runs of one node: its pairs, and the snapshot of its most recent forward."""

    def __init__(self, root: Value) -> None:
        self._root = weakref.ref(root)
        graph = Graph([root])
        self.placeholders = graph.placeholders
        self._variables = [(node, node.cell) for node in graph.variables if node.cell is not None]
        counters = {id(node) for node in counters_of(graph.nodes)}
        self._counters = [cell for node, cell in self._variables if id(node) in counters]
        self._variables = [pair for pair in self._variables if id(pair[0]) not in counters]
        leaves = [node for node in graph.nodes if node.requires_grad and not node.operands]
        self._leaves: list[Value] = leaves if root.requires_grad else []
        self._shown: list[Value] = []
        self._flags = [node.cell for node in mode_flags(graph) if node.cell is not None]
        # What runs write themselves doesn't make a forward stale.
        written = {id(n.operands[1]) for n in graph.nodes if Trait.UPDATES in n.op.traits}
        self._variables = [
            (node, cell)
            for node, cell in self._variables
            if cell not in self._flags and id(node) not in written
        ]
        self._pairs: dict[tuple[int, ...], Pair] = {}
        self._seeded = False
        self._modes = self._current_modes()
        self.schedule: Schedule = self._pair.schedule
        self._entry: Entry | None = None
        self._filled: Executable | None = None
        self._is_outgrown = False
        """Whether more was asked for than the pairs give: the next forward makes new ones."""
        self._lengths: dict[str, int] = {}
        self._feeds: dict[str, Array] = {}
        self._versions: list[int] = []
        self._counts: list[Array] = []
        self._seed: Array | None = None
        self.gradients: dict[int, Any] = {}
        self.forward_tick = 0
        self.backward_tick = 0
        reference = weakref.ref(self)
        for node in graph.nodes:
            living = (
                [] if node._watchers is None else [w for w in node._watchers if w() is not None]
            )
            node._watchers = [*living, reference]

    @property
    def _node(self) -> Value:
        root = self._root()
        assert root is not None, "a node holds its evaluation, so it is there"
        return root

    @property
    def _pair(self) -> Pair:
        key = (self._seeded, *self._modes)
        if key not in self._pairs:
            root = self._node
            seed = None
            if self._seeded:
                dtype = cotangent_dtype(root.spec.dtype)
                seed = placeholder(root.spec.shape, dtype=dtype, name=_SEED)
            self._pairs[key] = Pair(root, self._leaves, self._shown, seed)
        return self._pairs[key]

    def _current_modes(self) -> tuple[int, ...]:
        return tuple([int(cell.array) for cell in self._flags])

    def forward(self, feeds: Mapping[str, object], missing: str) -> Any:
        """Take a new snapshot, and run the forward section on it."""
        if missing not in ("warn", "nan", "raise"):
            raise OptionError(f'missing must be "warn", "nan" or "raise", got {missing!r}.')
        modes = self._current_modes()
        if self._is_outgrown:
            self._is_outgrown = False
            self._pairs.clear()
            self._filled = None
        if modes != self._modes or not self._refilled(feeds):
            self._modes = modes
            self._feed(feeds, missing)
        self._count()
        self._versions = [cell.synchronize() for _, cell in self._variables]
        self._counts = [cell.array.copy() for cell in self._counters]
        result = self._run("forward")[0]
        for cell in self._pair.counters:
            cell.array += 1
            cell.written()
        self._update()
        self.forward_tick = next(_ticks)
        return result

    def _count(self) -> None:
        """Count this forward, which may be the first that machine code runs."""
        entry = self._entry
        assert entry is not None, "there are feeds by now"
        if entry.left is not None:
            self._pair.count(entry)
            if entry.executable is not self._filled:
                self._fill(entry.executable, self._feeds)

    def _update(self) -> None:
        """Let variables take on what the graph gives them, all of them from the old values."""
        assert self._filled is not None
        arrays = self._filled.arrays
        taken = [(cell, arrays[number].copy()) for cell, number in self._pair.updates]
        for cell, array in taken:
            cell.write(array)

    def _refilled(self, feeds: Mapping[str, object]) -> bool:
        """Copy feeds where they are of exactly the planned shapes and dtypes; say whether."""
        if self._filled is None or len(feeds) != len(self._feeds):
            return False
        for name, kept in self._feeds.items():
            data = feeds.get(name)
            if type(data) is not np.ndarray or data.dtype != kept.dtype or data.shape != kept.shape:
                return False
        self.forward_tick = 0
        for name, kept in self._feeds.items():
            kept[...] = feeds[name]
        return True

    def _feed(self, feeds: Mapping[str, object], missing: str) -> None:
        """Check and copy feeds in full, and plan for their lengths; on an error nothing changes."""
        known = self.placeholders
        if not feeds.keys() <= known.keys():
            known = feedable(Graph([self._node]))
        for name in feeds:
            if name not in known:
                raise unknown_feed(name, known)
        given = {name: read_feed(known[name], data) for name, data in feeds.items()}
        lengths = bind_lengths((known[name], array) for name, array in given.items())
        absent = [node for name, node in self.placeholders.items() if name not in feeds]
        if absent and missing == "raise":
            raise missing_feeds(absent, feeds)
        for node in absent:
            given[str(node.name)] = _not_a_number(node, lengths, feeds)
        if absent and missing == "warn":
            rows = "\n".join(f"  {node.name}: {describe(node)}" for node in absent)
            names = ", ".join(repr(node.name) for node in absent)
            warnings.warn(
                f"no feed for {names}, filled with NaN.\n{rows}", MissingFeedWarning, stacklevel=5
            )
        self._entry = self._pair.entry(lengths)
        self._fill(self._entry.executable, given)
        self._lengths = lengths

    def _fill(self, executable: Executable, given: Mapping[str, Array]) -> None:
        """Copy feeds into the arrays of an executable, which from now on is the current one.

        Until its forward section has run, as far as an interrupt lets it, there is no forward.
        """
        self.forward_tick = 0
        arrays = {name: executable.arrays[number] for name, number in executable.schedule.feeds}
        kept: dict[str, Array] = {}
        for name, array in given.items():
            kept[name] = arrays[name] if name in arrays else np.empty_like(array)
            np.copyto(kept[name], array)
        self._feeds = kept
        self._filled = executable

    def _run(self, section: str) -> tuple[Any, ...]:
        executable = self._filled
        assert executable is not None
        try:
            return executable.sections[section]()  # type: ignore[no-any-return]
        except Exception as error:
            self.forward_tick = 0
            failure = executable.failure(error)
            raise failure from failure.__cause__

    @property
    def counts(self) -> dict[int, Array]:
        """The counts of calls that the most recent forward drew with, by the id of their cell."""
        return {id(cell): count for cell, count in zip(self._counters, self._counts, strict=True)}

    @property
    def lengths(self) -> Mapping[str, int]:
        """The named lengths of the most recent forward."""
        return self._lengths

    def is_current(self) -> bool:
        """Whether there is a forward, and no variable has changed since."""
        return self.forward_tick > 0 and self._changed() is None

    def _changed(self) -> Value | None:
        versions = [cell.synchronize() for _, cell in self._variables]
        if versions == self._versions:
            return None
        pairs = zip(versions, self._versions, strict=True)
        return self._variables[[now != then for now, then in pairs].index(True)][0]

    def _require_current(self, what: str) -> None:
        changed = self._changed()
        if changed is not None:
            raise StaleForwardError(
                f"{label(changed)} changed after forward, so {what} would mix old and new values;"
                f" call forward again first.\n  {label(changed)}: {describe(changed)}"
            )

    def _rerun(self, what: str) -> None:
        """Run forward again from the snapshot, in the pair that is wanted now."""
        self._require_current(what)
        tick = self.forward_tick
        self._entry = self._pair.entry(self._lengths)
        self._fill(self._entry.executable, self._feeds)
        counts = [cell.array.copy() for cell in self._counters]
        for cell, count in zip(self._counters, self._counts, strict=True):
            np.copyto(cell.array, count)
        try:
            self._run("forward")
        finally:
            for cell, count in zip(self._counters, counts, strict=True):
                np.copyto(cell.array, count)
        self.forward_tick = tick

    def backward(self, seed: object, accumulate: bool) -> None:
        """Run the backward section on the snapshot, with the seed given or all ones."""
        root = self._node
        if not root.requires_grad:
            raise DTypeError(
                f"{label(root)} requires no gradient: {_without_gradient(root)}.\n"
                f"  {label(root)}: {describe(root)}"
            )
        read = None if seed is None else self._read_seed(seed)
        if not self.placeholders and not self.is_current():
            self.forward({}, "raise")
        elif not self.forward_tick:
            self.forward({}, "warn")
        self._require_current("backward")
        if self._seeded is not (read is not None):
            self._seeded = read is not None
            self._rerun("backward")
        self._seed = read
        found = self._pull()
        for leaf in self._leaves:
            gradient = found.get(id(leaf))
            before = latest_gradient(leaf) if accumulate else None
            if gradient is not None and before is not None:
                gradient = found[id(leaf)] = before + gradient
            # A leaf keeps its gradient when the node that it came from is dropped.
            if gradient is not None and not leaf.operands:
                leaf._gradient = gradient
        self.gradients = found
        self.backward_tick = next(_ticks)

    def _pull(self) -> dict[int, Any]:
        """Run the backward section, and give what it finds by the ids of nodes."""
        if self._seed is not None and self._filled is not None:
            for name, number in self._filled.schedule.feeds:
                if name == _SEED:
                    np.copyto(self._filled.arrays[number], self._seed)
        return dict(zip(self._pair.gradient_of, self._run("backward"), strict=True))

    def _read_seed(self, seed: object) -> Array:
        root = self._node
        try:
            array = cast_array(plain_array(seed), cotangent_dtype(root.spec.dtype))
        except LazygradError as error:
            text = f"the seed of {label(root)}: {error}\n  {label(root)}: {describe(root)}"
            raise type(error)(text) from None
        shape = substitute_shape(root.spec.shape, self._lengths)
        if not is_static(shape) or array.shape != shape:
            raise ShapeError(
                f"the seed of {label(root)} must have its shape, {format_shape(shape)},"
                f" got {format_shape(array.shape)}.\n  {label(root)}: {describe(root)}"
            )
        own: Array = array.copy()
        return own

    def value_of(self, node: Value) -> Any:
        """Give a node's value in the most recent forward; it is recomputed if it was not kept."""
        assert self._filled is not None
        number = self._pair.readable(self._filled, id(node))
        if number < 0 and node.op is PLACEHOLDER and node.name in self._feeds:
            return own(self._feeds[node.name])
        if number >= 0:
            return own(self._filled.arrays[number])
        self._require_current(f"the value of {label(node)}")
        self._shown.append(node)
        self._is_outgrown = True
        return self._interpreted([node])[0]

    def _interpreted(self, nodes: Sequence[Value]) -> list[Any]:
        """Compute nodes from the snapshot."""
        with np.errstate(all="ignore"):
            # The root comes along: what makes a length known in mid-run may lie beside the node.
            settled = settle_mode(Graph([*nodes, self._node]), None)
            found = interpret(settled, self._feeds, self._lengths, self.counts)
        return [own(np.asarray(array)) for array in found[:-1]]

    def recall(self, nodes: Sequence[Value]) -> dict[int, dict[str, Any]]:
        """Give data and gradients of nodes below the root, computed once more; nothing is kept.

        By the ids of nodes: ``data`` in the most recent forward, and ``grad`` if the most recent
        backward came after it. Nothing where a variable has changed since.
        """
        if not self.forward_tick or self._changed() is not None:
            return {}
        single = [node for node in nodes if not node.several]
        facts = {
            id(node): {"data": data}
            for node, data in zip(single, self._interpreted(single), strict=True)
        }
        if self.backward_tick < self.forward_tick:
            return facts
        wanted = [node for node in single if node.operands and node.requires_grad]
        pulled = pull_back([self._node], [self._start()], wanted)
        pairs = [(id(n), g) for n, g in zip(wanted, pulled, strict=True) if g is not None]
        gradients = self._interpreted([gradient for _, gradient in pairs])
        for (key, _), gradient in zip(pairs, gradients, strict=True):
            facts[key]["grad"] = gradient
        return facts

    def _start(self) -> Value:
        """Give the cotangent that the most recent backward started from."""
        return filled(self._node.spec, 1.0) if self._seed is None else constant(self._seed)

    def peek(self, node: Value) -> Any:
        """Give a node's value in the most recent forward if it is still there, else None."""
        if self._filled is None or not self.forward_tick:
            return None
        number = self._pair.readable(self._filled, id(node))
        return None if number < 0 else own(self._filled.arrays[number])

    def gradient_of(self, node: Value) -> Any:
        """Give a node's gradient in the most recent backward, computing it if it wasn't yet."""
        if id(node) in self.gradients:
            return self.gradients[id(node)]
        if not node.operands or not node.requires_grad:
            return None
        what = f"the gradient of {label(node)}"
        self._require_current(what)
        if node is self._node:
            ones = np.ones(np.shape(self.value_of(node)), cotangent_dtype(node.spec.dtype))
            return own(ones if self._seed is None else self._seed)
        self._leaves.append(node)
        self._is_outgrown = True
        (found,) = pull_back([self._node], [self._start()], [node])
        self.gradients[id(node)] = None if found is None else self._interpreted([found])[0]
        return self.gradients[id(node)]


def _without_gradient(root: Value) -> str:
    """Say why a node requires no gradient."""
    if root.spec.dtype.kind == "b":
        return "a bool has none"
    if any(node.requires_grad for node in ancestors([root])):
        return "no leaf that requires one leads to it through differentiable operations"
    return "no leaf below it does"


def own(array: Array) -> Any:
    """Give a value as the caller's own: a NumPy scalar, or a copy."""
    return array[()] if array.shape == () else array.copy()


def _not_a_number(node: Value, lengths: Mapping[str, int], fed: Mapping[str, object]) -> Array:
    shape = substitute_shape(node.spec.shape, lengths)
    if not is_static(shape) or node.spec.dtype.kind != "f":
        raise missing_feeds([node], fed)
    return np.full(shape, np.nan, node.spec.dtype)


def watching(value: Value) -> list[Evaluation]:
    """List the evaluations of the nodes above *value* that are alive."""
    found = (watcher() for watcher in value._watchers or ())
    return [evaluation for evaluation in found if evaluation is not None]


def latest_gradient(value: Value) -> Any:
    """Give the gradient from the most recent backward above *value* if it is there, else None."""
    if not value.operands:
        return value._gradient
    ran = [e for e in watching(value) if e.backward_tick]
    latest = max(ran, key=lambda e: e.backward_tick, default=None)
    return None if latest is None else latest.gradients.get(id(value))
