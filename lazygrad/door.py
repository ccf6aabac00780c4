"""The quick check of feeds: exactly the declared arrays, of the shapes that are planned.

What doesn't pass it is checked in full elsewhere. Knows executables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from .backends.executable import Executable

__all__ = ["Door", "closed", "doors_of"]

Door: TypeAlias = "Callable[[dict[str, object]], tuple[Any, ...] | None]"
"""Takes feeds by name, and gives None for those that need the full check."""


def closed(feeds: dict[str, object]) -> None:
    """Let nothing through without the full check: there is no plan yet."""


def doors_of(executable: Executable) -> tuple[Door, Door]:
    """Make two doors that let through exactly the declared arrays, of the shapes that are planned.

    The first gives these arrays, in order; the second runs the executable on them at once.
    """
    schedule, shapes = executable.schedule, executable.plan.shapes
    expected = [
        (name, shapes[number], schedule.specs[number].dtype) for name, number in schedule.feeds
    ]
    # Binding the few checks to names once makes a door as quick as the language allows.
    namespace: dict[str, Any] = {"array_type": np.ndarray, "run": executable.sections["run"]}
    tests, names = [f"len(feeds) == {len(expected)}"], []
    reads = []
    for i, (name, shape, dtype) in enumerate(expected):
        namespace[f"name{i}"], namespace[f"shape{i}"], namespace[f"dtype{i}"] = name, shape, dtype
        reads.append(f"        a{i} = feeds[name{i}]")
        tests.append(
            f"type(a{i}) is array_type and a{i}.shape == shape{i} and a{i}.dtype is dtype{i}"
        )
        names.append(f"a{i}, ")
    arrays = "".join(names)
    checks = ["    try:", "        pass", *reads, "    except KeyError:", "        return None"]
    checks.append(f"    if {' and '.join(tests)}:")
    for name, end in (("door", f"({arrays})"), ("running_door", f"run({arrays})")):
        exec("\n".join([f"def {name}(feeds):", *checks, f"        return {end}"]), namespace)
    # Among their own globals the functions would outlive their program until garbage is collected.
    return namespace.pop("door"), namespace.pop("running_door")
