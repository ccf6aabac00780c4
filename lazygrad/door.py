"""The quick check of feeds: exactly the declared arrays, of the shapes that are planned.

What doesn't pass it is checked in full elsewhere. Knows executables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .backends.executable import Executable
from .ir.op import Array

__all__ = ["closed", "door_of"]


def closed(feeds: dict[str, object]) -> None:
    """Let nothing through without the full check: there is no plan yet."""


def door_of(executable: Executable) -> Callable[[dict[str, object]], tuple[Array, ...] | None]:
    """Make the quick check: exactly the declared arrays, of the shapes that are planned."""
    schedule, shapes = executable.schedule, executable.plan.shapes
    expected = [
        (name, shapes[number], schedule.specs[number].dtype) for name, number in schedule.feeds
    ]
    count = len(expected)
    array_type = np.ndarray
    # Binding the few checks to names once makes the door as quick as the language allows.
    namespace: dict[str, Any] = {"array_type": array_type}
    tests, names = [f"len(feeds) == {count}"], []
    lines = ["def door(feeds):", "    try:", "        pass"]
    for i, (name, shape, dtype) in enumerate(expected):
        namespace[f"name{i}"], namespace[f"shape{i}"], namespace[f"dtype{i}"] = name, shape, dtype
        lines.append(f"        a{i} = feeds[name{i}]")
        tests.append(
            f"type(a{i}) is array_type and a{i}.shape == shape{i} and a{i}.dtype is dtype{i}"
        )
        names.append(f"a{i}, ")
    lines += ["    except KeyError:", "        return None"]
    lines += [f"    if {' and '.join(tests)}:", f"        return ({''.join(names)})"]
    exec("\n".join(lines), namespace)
    # Among its own globals the function would outlive its program until garbage is collected.
    door: Callable[[dict[str, object]], tuple[Array, ...] | None] = namespace.pop("door")
    return door
