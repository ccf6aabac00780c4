"""Words for pictures: one line for an array, a name, or attributes. Knows no drawing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..ir.printing import write_attribute
from ..ir.value import CONSTANT, LENGTH, Value

__all__ = [
    "clean",
    "describe_attrs",
    "fixed_number",
    "format_spec",
    "summarize",
]


def format_spec(node: Value) -> str:
    """Write what a node holds: dtype and shape, of several results each."""
    spec: Any = node.spec
    return clean(", ".join(map(str, spec)) if type(spec) is tuple else str(spec), 60)


def clean(text: str, limit: int = 48) -> str:
    r"""Make *text* one short printable line: controls become spaces, the middle gives way.

    >>> clean("a\nb\x00"), clean("x" * 100, 9)
    ('a b', 'xxxx…xxxx')
    """
    # Only what can be shown is looked at, however long the text is.
    if len(text) > 4 * limit:
        text = text[: 2 * limit] + text[-2 * limit :]
        is_cut = True
    else:
        is_cut = False
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    shown = " ".join(shown.split())
    if len(shown) <= limit and not is_cut:
        return shown or "(blank)"
    head, tail = limit // 2, limit - limit // 2 - 1
    return f"{shown[:head]}…{shown[-tail:]}"


def _number(number: float | int | bool) -> str:
    # Plus 0 makes 0 of -0.
    return str(number) if isinstance(number, bool) else f"{number + 0:.4g}"


def summarize(data: object) -> str:
    """Say an array in one line: a number, a few numbers, or shape, range, mean and shares.

    >>> summarize(np.float32(2)), summarize(np.arange(3)), summarize(None)
    ('2', '[0, 1, 2]', 'none')
    >>> summarize(np.arange(12.0).reshape(3, 4))
    '(3, 4)  0 to 11, mean 5.5, 8.33 % zeros'
    """
    if data is None:
        return "none"
    if isinstance(data, str):
        return clean(data)
    array = np.asarray(data)
    if array.dtype.kind not in "biuf":
        return clean(str(data))
    if array.ndim == 0:
        return _number(array.item())
    if array.ndim == 1 and 0 < array.size <= 4:
        return f"[{', '.join(_number(entry) for entry in array.tolist())}]"
    return f"{array.shape}  {_range(array)}"


def _range(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
    if array.size == 0:
        return "empty"
    if array.dtype.kind == "b":
        return f"{int(np.count_nonzero(array))} of {array.size} true"
    finite = array[np.isfinite(array)]
    parts: list[str] = []
    if finite.size:
        low, high = finite.min().item(), finite.max().item()
        if low == high:
            whole = finite.size == array.size
            parts = [f"all {_number(low)}" if whole else f"{_number(low)} where finite"]
        else:
            mean = finite.mean(dtype=np.float64).item()
            parts = [f"{_number(low)} to {_number(high)}", f"mean {_number(mean)}"]
            parts += _share(int(np.count_nonzero(array == 0)), array.size, "zeros")
    if array.dtype.kind == "f":
        missing = int(np.count_nonzero(np.isnan(array)))
        parts += _share(missing, array.size, "NaN")
        parts += _share(array.size - finite.size - missing, array.size, "infinite")
    return ", ".join(parts)


def _share(count: int, size: int, what: str) -> list[str]:
    """Say a share in percent; all of it only if it is all."""
    if not count:
        return []
    if count == size:
        return [f"all {what}"]
    percent = 100 * count / size
    text = "<0.1" if percent < 0.1 else ">99.9" if percent > 99.9 else f"{percent:.3g}"
    return [f"{text} % {what}"]


def fixed_number(node: Value) -> str | None:
    """Give the text of a number that can stand inside an operation, or None."""
    if node.name is not None:
        return None
    if node.op is CONSTANT and node.spec.shape == ():
        return _number(node.attrs["value"].item())
    return clean(str(node.attrs["length"]), 24) if node.op is LENGTH else None


def describe_attrs(attrs: Mapping[str, object], limit: int = 40) -> str:
    """Write attributes on one line, as many as fit; flags that are off are left out."""
    shown = ""
    for name, value in attrs.items():
        if value is None or value is False:
            continue
        text = "{…}" if hasattr(value, "outputs") else clean(write_attribute(value), limit)
        if shown and len(shown) + len(name) + len(text) > limit:
            return shown + ", …"
        shown += f"{', ' if shown else ''}{clean(name)}={text}"
    return shown
