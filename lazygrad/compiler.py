"""``compile``: from nodes to a program that runs by name, again and again.

Holds the program, its bounded set of plans, and nothing else that changes. Knows every floor
below; knows nothing of layers.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn
from weakref import WeakSet

import numpy as np

from .backends.executable import Executable
from .bound import BoundProgram, bound, checked_feed, checked_output
from .door import Door, closed, doors_of
from .errors import OptionError, ShapeError
from .executors import BACKENDS, PLANS_KEPT, Entry, Executors, checked_backend, checked_threads
from .feeds import bind_lengths, feedable, missing_feeds, read_feed, unknown_feed
from .ir.describe import label, worded
from .ir.graph import Graph
from .ir.op import Array, call
from .ir.value import Value
from .nan_search import NanReport, find_nan
from .passes import Watch, optimize, settle_mode, take_updates
from .report import Memory, Profile, explain_table, measured, memory_of, outline_table
from .requests import (
    Outputs,
    Updates,
    checked_updates,
    counting_updates,
    flattened,
    one_update_each,
)
from .schedule.buffers import Plan, plan
from .schedule.lower import lower
from .schedule.steps import Schedule
from .twin import Twin

__all__ = ["BACKENDS", "PLANS_KEPT", "Program", "compile"]


@worded
def compile(
    outputs: Outputs,
    *,
    updates: Updates = (),
    train: bool | None = None,
    name: str | None = None,
    backend: str | None = None,
    threads: int | None = None,
    check: bool = False,
) -> Program:
    """Compile nodes into a program that is called with feeds by name.

    Parameters
    ----------
    outputs
        One node, a list or tuple, or a mapping of nodes; results keep this structure.
    updates
        Variables and the nodes whose values they take on at the end of each call, as a mapping
        or as pairs. All right sides read the old values.
    train
        Which branch of `by_mode` runs; by default that of training if there are updates.
    name
        What the program is called in tables and pictures.
    backend
        What runs it: ``"numpy"``, ``"c"`` (compiled, from the first call on) or ``"auto"``, which
        begins on NumPy and moves to C after as many calls as make compiling worth it. By default
        what the environment variable ``LAZYGRAD_BACKEND`` says, else ``"auto"``.
    threads
        How many threads share long work, never short work; results don't depend on it.
        By default what the environment variable ``LAZYGRAD_THREADS`` says, else as many as there
        are cores for this process. BLAS, which NumPy's products run on, has threads of its own.
    check
        Whether every call is also computed node by node, as the graph was written, and compared:
        slow, and for finding out whether a wrong result is lazygrad's fault. Where more than
        rounding differs, MiscompileError names the first node, and no state is changed.

    Raises
    ------
    OptionError
        If there is no such backend, there are no threads, or an update is none of a variable.

    Examples
    --------
    >>> x = placeholder(("batch",), name="x")
    >>> double = compile({"sum": (2 * x).sum()})
    >>> double(x=[1.0, 2.0])
    {'sum': np.float64(6.0)}
    """
    return Program(outputs, updates, train, name, backend, threads, check)


class Program:
    """A compiled graph: call it with feeds by name. Made by `compile`; safe to share by threads."""

    def __init__(
        self,
        outputs: Outputs,
        updates: Updates,
        train: bool | None,
        name: str | None,
        backend: str | None = None,
        threads: int | None = None,
        check: bool = False,
        watch: Watch | None = None,
    ) -> None:
        self.name = name
        self.backend = checked_backend(backend)
        self._threads = threads
        self._outputs = outputs
        nodes, self._structure = flattened(outputs)
        pairs = checked_updates(updates)
        self._updates: Updates = tuple(pairs)
        self.train = bool(pairs) if train is None else bool(train)
        graph = Graph([*nodes, *(new for _, new in pairs)])
        counting = counting_updates(settle_mode(graph, self.train), pairs)
        pairs += counting
        self.graph = Graph([*graph.outputs, *(new for _, new in counting)])
        self._placeholders = self.graph.placeholders
        settled, found = take_updates(settle_mode(self.graph, self.train))
        optimized = optimize(settled, watch=watch)
        count = len(nodes)
        updated = [*(old for old, _ in pairs), *found]
        lowered = lower(
            optimized,
            [("run", optimized.outputs[:count])],
            one_update_each(list(zip(updated, optimized.outputs[count:], strict=True))),
        )
        self.optimized = optimized
        self.numbers = lowered.number_of
        self.schedule: Schedule = lowered.schedule
        self._fed = lowered.placeholders
        self._variables = lowered.variables
        self._profile: Profile | None = None
        self._cells = [node.cell for node in lowered.variables if node.cell is not None]
        self.lengths = self.schedule.named_lengths
        written = [node.cell for node in updated if node.cell is not None]
        self._twin = Twin(settled, written, self._cells) if check else None
        self._forget_plans()
        _programs.add(self)

    def _forget_plans(self) -> None:
        """Start without plans, and with a lock that nobody holds."""
        # A program that a custom operation calls from inside itself is refused, not waited for.
        self._lock = threading.RLock()
        threads = checked_threads(self._threads)
        self._executors = Executors(self.schedule, self._cells, self.backend, threads)
        self._door: Door = closed
        self._running_door: Door = closed
        self._run: Callable[..., tuple[Any, ...]] | None = None
        self._entry: Entry | None = None

    def __call__(self, /, *unnamed: NoReturn, **feeds: object) -> Any:
        """Run once; give the results in the structure that was compiled.

        Each result is an array of the caller's own, or a NumPy scalar where it has no axes.
        Raises MissingFeedError, UnknownFeedError, ShapeError or DTypeError for feeds that don't
        fit, and OperationError where an operation fails; the program stays usable.
        """
        if unnamed:
            raise TypeError(f"feeds are named, program(x=...), not positional: {unnamed!r:.50}.")
        with self._lock:
            entry = self._entry
            try:
                results = self._running_door(feeds)
            except Exception as error:
                _fail(entry, error)
            if results is None:
                results = self._thoroughly(feeds)
        return self._structure(results)

    def _thoroughly(self, feeds: dict[str, object]) -> tuple[Any, ...]:
        """Run a call that has to be counted, compared, or whose feeds need the full check."""
        arguments = self._door(feeds)
        if arguments is None:
            arguments = self._enter(feeds)
        entry: Entry = self._entry  # type: ignore[assignment]
        if entry.left is not None:
            self._count(entry)
        if self._twin is not None:
            return self._compared(self._twin, feeds)
        try:
            return self._run(*arguments)  # type: ignore[misc]
        except Exception as error:
            _fail(entry, error)

    def _compared(self, twin: Twin, feeds: Mapping[str, object]) -> tuple[Any, ...]:
        """Run once, beside the twin."""
        read, lengths = self._read(feeds)
        arguments = tuple(read[str(node.name)] for node in self._fed)

        def compiled(nodes: Sequence[Value]) -> Sequence[Any]:
            program = Program(list(nodes), (), self.train, None, self.backend, self._threads)
            needed = {str(node.name) for node in program._fed}
            results: Sequence[Any] = program(**{name: read[name] for name in needed})
            return results

        return twin.check(read, lengths, lambda: self._run(*arguments), compiled)  # type: ignore[misc]

    def _enter(self, feeds: Mapping[str, object]) -> tuple[Array, ...]:
        """Check feeds in full, and switch to the plan for their lengths."""
        read, lengths = self._read(feeds)
        self._switch(self._executors.entry(lengths))
        return tuple(read[str(node.name)] for node in self._fed)

    def _read(self, feeds: Mapping[str, object]) -> tuple[dict[str, Array], dict[str, int]]:
        """Check feeds in full, and give them as arrays, with the lengths that they show."""
        for key in feeds:
            if key not in self._placeholders:
                self._placeholders = feedable(self.graph)
            if key not in self._placeholders:
                raise unknown_feed(key, self._placeholders)
        missing = [node for node in self._fed if node.name not in feeds]
        if missing:
            raise missing_feeds(missing, feeds)
        read = {key: read_feed(self._placeholders[key], data) for key, data in feeds.items()}
        lengths = bind_lengths((self._placeholders[key], array) for key, array in read.items())
        self._check_lengths(lengths, feeds)
        return read, lengths

    def _check_lengths(self, lengths: Mapping[str, int], feeds: Mapping[str, object]) -> None:
        unknown = self.lengths - lengths.keys()
        if unknown:
            givers = [
                node
                for node in feedable(self.graph).values()
                if any(name in getattr(n, "names", ()) for n in node.shape for name in unknown)
            ]
            if not givers:
                names = ", ".join(sorted(unknown))
                raise ShapeError(
                    f"the length {names} comes from no placeholder of this graph; give an output"
                    " that depends on one with that length."
                )
            raise missing_feeds(givers, feeds)

    def _switch(self, entry: Entry) -> None:
        if entry is self._entry and self._door is not closed:
            return
        # An interrupt in between must not leave the door of one plan before another.
        self._door = self._running_door = closed
        self._entry, self._run = entry, entry.executable.sections["run"]
        self._door, running_door = doors_of(entry.executable)
        if entry.left is None and self._twin is None:
            self._running_door = running_door

    def _count(self, entry: Entry) -> None:
        """Count a call on NumPy; when there were enough, compile."""
        if entry.left:
            entry.left -= 1
            return
        self._executors.promote(entry)
        self._door = self._running_door = closed
        self._switch(entry)

    def planned(self, **lengths: int) -> Executable:
        """Plan for named lengths before any call, and give the executable.

        Raises OptionError unless each length that the program needs is given, and no other.

        >>> x = placeholder(("batch", 4), name="x")
        >>> compile(x * 2 + 1, backend="numpy").planned(batch=3).plan.arena_bytes
        128
        """
        for name, length in lengths.items():
            if type(length) is not int or length < 0:
                raise OptionError(f"planned: {name} must be a length, got {length!r}.")
        if lengths.keys() != self.lengths:
            given = ", ".join(lengths) or "nothing"
            needed = ", ".join(sorted(self.lengths)) or "none"
            raise OptionError(f"planned: the lengths of this program are {needed}; given: {given}.")
        with self._lock:
            self._switch(self._executors.entry(lengths))
            return self._latest

    def bind(
        self, /, *, out: Any = None, python_steps: bool = False, **feeds: Array
    ) -> BoundProgram:
        """Bind the program to arrays, and give what runs it on them: one call of machine code.

        Parameters
        ----------
        out
            Arrays for the results, in the structure that was compiled; new ones if left out.
        python_steps
            Whether steps may run in Python between machine code, or all of them where there is no
            compiler.
        **feeds
            Arrays by name, of exactly the placeholder's dtype, in row-major order. They are kept,
            and read where they lie in each run.

        Raises
        ------
        MissingFeedError, UnknownFeedError, ShapeError, DTypeError
            If arrays don't fit.
        OptionError
            If an array is not in one piece, an output shares memory with anything else, or a step
            would run in Python.

        Examples
        --------
        >>> x = placeholder((2,), name="x")
        >>> data = np.zeros(2)
        >>> run = compile((x * x).sum()).bind(x=data, python_steps=True)
        >>> data[:] = 3.0, 4.0
        >>> run()
        >>> run.out
        array(25.)
        """
        for key in feeds:
            if key not in self._placeholders:
                raise unknown_feed(key, self._placeholders)
        missing = [node for node in self._fed if node.name not in feeds]
        if missing:
            raise missing_feeds(missing, feeds)
        for key, array in feeds.items():
            checked_feed(self._placeholders[key], array)
        lengths = bind_lengths((self._placeholders[key], array) for key, array in feeds.items())
        self._check_lengths(lengths, feeds)
        placed = plan(self.schedule, lengths)
        outputs = self._outputs_for(out, placed)
        made = bound(
            self.schedule,
            placed,
            self._cells,
            feeds,
            outputs,
            python_steps,
            self._executors.threads,
        )
        made.feeds = feeds
        made.out = self._structure(tuple(outputs))
        return made

    def _outputs_for(self, out: Any, placed: Plan) -> list[Array]:
        """Give an array for each result, out of a structure of them or new."""
        numbers = self.schedule.sections[0].outputs
        shapes = [placed.shapes[number] for number in numbers]
        if None in shapes:
            raise OptionError("bind: a result has a length that depends on data.")
        facts = [
            (s or (), self.schedule.specs[n].dtype) for s, n in zip(shapes, numbers, strict=True)
        ]
        if out is None:
            return [np.empty(shape, dtype) for shape, dtype in facts]
        if isinstance(self._outputs, Value):
            places, given = [""], [out]
        elif isinstance(self._outputs, Mapping):
            if not isinstance(out, Mapping) or out.keys() != self._outputs.keys():
                raise OptionError(f"bind: out must be a dict with {', '.join(self._outputs)}.")
            places = [f"[{key!r}]" for key in self._outputs]
            given = [out[key] for key in self._outputs]
        else:
            if not isinstance(out, (list, tuple)) or len(out) != len(facts):
                raise OptionError(f"bind: out must be a list of {len(facts)} arrays.")
            places, given = [f"[{i}]" for i in range(len(facts))], list(out)
        return [
            checked_output(array, shape, dtype, place)
            for array, (shape, dtype), place in zip(given, facts, places, strict=True)
        ]

    def calls(self) -> list[list[object]]:
        """Give what decides which backend runs the next calls, as JSON can hold it.

        For each set of lengths: the lengths, and after how many more calls C takes over.
        """
        with self._lock:
            return self._executors.calls()

    def restore_calls(self, calls: Sequence[Sequence[Any]]) -> None:
        """Go on where `calls` was asked for: the same calls then give the same bits.

        Raises ValueError or TypeError for what `calls` doesn't give.
        """
        pairs = []
        for lengths, left in calls:
            is_count = left is None or (type(left) is int and left >= 0)
            if not is_count or not isinstance(lengths, Mapping):
                raise ValueError(f"not the lengths and a count: {lengths!r:.60}, {left!r:.20}")
            pairs.append(({str(name): int(length) for name, length in lengths.items()}, left))
        with self._lock:
            self._executors.restore(pairs)
            self._door = self._running_door = closed
            self._entry, self._run = None, None

    @property
    def plans_made(self) -> int:
        """How many sets of lengths have been planned so far, those made again included."""
        return self._executors.made

    @property
    def _latest(self) -> Executable:
        if self._entry is not None:
            return self._entry.executable
        if self.lengths:
            names = sorted(self.lengths)
            listed = ", ".join(f"{name}=..." for name in names)
            raise OptionError(
                f"no lengths are known yet for {', '.join(names)}; call the program, or plan it"
                f" with program.planned({listed}) first."
            )
        return self.planned()

    @property
    def source(self) -> str:
        """The code that runs, Python and C, for the lengths of the latest call."""
        return self._latest.source

    @property
    def memory(self) -> Memory:
        """Bytes by purpose, for the lengths of the latest call."""
        return memory_of(self._latest)

    def explain(self) -> str:
        """Write the schedule as a table: what each step computes, shape, slot, bytes, flops.

        For the lengths of the latest call; before any, sizes are given in terms of the lengths.
        Once the program was profiled for these lengths, times and rates are there too.
        """
        if self._entry is None and self.lengths:
            return outline_table(self.schedule, self.name, sorted(self.lengths), self.variables)
        profile = self.profiled
        return explain_table(self._latest, self.name, self.variables, profile)

    def profile(self, /, repeat: int | None = None, **feeds: object) -> str:
        """Time every step on these feeds, leaving all state as it was, and write the table.

        What is timed is what runs a call now: NumPy, or machine code, kernel by kernel; *repeat*
        times, by default 20 times or as often as goes into a tenth of a second. `explain` shows
        the times from then on.
        """
        if repeat is not None and repeat < 1:
            raise OptionError(f"profile: repeat must be at least 1, got {repeat}.")
        with self._lock:
            arguments = self._enter(feeds)
            entry: Entry = self._entry  # type: ignore[assignment]
            timed = self._executors.timed(entry)
            self._profile = measured(timed, entry.backend, arguments, repeat)
            return self.explain()

    @property
    def profiled(self) -> Profile | None:
        """The times of the latest `profile`, if it was of what runs now."""
        found, entry = self._profile, self._entry
        if found is None or entry is None or found.backend != entry.backend:
            return None
        return found if found.lengths == entry.executable.plan.lengths else None

    @property
    def executable(self) -> Executable | None:
        """What runs, for the lengths of the latest call; None where these are not known yet."""
        return None if self._entry is None and self.lengths else self._latest

    @property
    def variables(self) -> list[str | None]:
        """The names of the variables, in the order of the schedule's cells."""
        return [node.name for node in self._variables]

    @property
    def titles(self) -> list[str]:
        """What the results of `graph` are, where that is known: keys, and new values."""
        names = [node.name or "" for node in flattened(self._outputs)[0]]
        keys = list(self._outputs) if isinstance(self._outputs, Mapping) else names
        return [*map(str, keys), *(f"new {label(old)}" for old, _ in self._updates)]

    def find_nan(
        self, /, *, nan: bool = True, inf: bool = True, **feeds: object
    ) -> NanReport | None:
        """Find what gives NaN or infinity first on these feeds, leaving all state as it was.

        Variables and feeds that hold NaN are named first. Else it is the first operation, forward
        or backward, with NaN in its result and none in its operands (*nan*), or infinity (*inf*).
        Infinity that was there from the start counts where nothing else is found, and never in a
        constant. None where there is nothing. ``str`` of the report is a text for people.

        >>> x = placeholder((2,), name="x")
        >>> found = compile((x - x / x.sum()).sum()).find_nan(x=[1.0, -1.0])
        >>> found.operation, str(found.operands[1])
        ('divide', 'sum: float64[], from 0 to 0')
        """
        with self._lock:
            read, lengths = self._read(feeds)
            return find_nan(self.optimized, read, lengths, nan, inf)

    def __reduce__(self) -> Any:
        check = self._twin is not None
        return Program, (
            self._outputs,
            self._updates,
            self.train,
            self.name,
            self.backend,
            self._threads,
            check,
        )

    def _repr_mimebundle_(self, **options: object) -> dict[str, str]:
        bundle: dict[str, str] = call("notebook", self)
        return bundle

    def __repr__(self) -> str:
        feeds = ", ".join(f"{node.name}: {node.spec}" for node in self._fed)
        name = "program" if self.name is None else f"program {self.name!r}"
        return f"<{name}({feeds}), {len(self.schedule.steps)} steps>"


def _fail(entry: Entry | None, error: Exception) -> NoReturn:
    """Raise what says which step failed. A step may have called the program for other lengths."""
    assert entry is not None, "nothing runs before there is an entry"
    failure = entry.executable.failure(error)
    raise failure from failure.__cause__


_programs: WeakSet[Program] = WeakSet()


def _after_fork() -> None:
    """Free programs of what threads that a child process doesn't have were doing with them."""
    for program in _programs:
        program._forget_plans()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
