"""What is known of a value before it is computed: shape and dtype, and how they combine.

Knows lengths and NumPy's dtypes; knows nothing of nodes or arrays' contents.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from .errors import AxisError, DTypeError, OptionError, ShapeError
from .lengths import Dim, Length, compare, is_static, same

__all__ = [
    "DType",
    "DTypeLike",
    "Shape",
    "Spec",
    "TupleSpec",
    "as_dtype",
    "as_shape",
    "broadcast_shapes",
    "cotangent_dtype",
    "differs",
    "format_shape",
    "normalize_axes",
    "normalize_axis",
    "product",
    "require_same_shape",
]

Shape: TypeAlias = tuple[Dim, ...]
DType: TypeAlias = "np.dtype[np.generic]"
DTypeLike: TypeAlias = "str | type | np.dtype[np.generic]"


class Spec:
    """Shape and dtype of one array.

    >>> Spec((2, 3), np.dtype("float32"))
    float32[2, 3]
    """

    __slots__ = ("dtype", "is_static", "shape")

    def __init__(self, shape: Shape, dtype: DType) -> None:
        self.shape = shape
        self.dtype = dtype
        self.is_static = is_static(shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __eq__(self, other: object) -> bool:
        if type(other) is not Spec:
            return NotImplemented
        return self.dtype == other.dtype and self.shape == other.shape

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        return f"{self.dtype.name}{format_shape(self.shape)}"

    def __reduce__(self) -> tuple[type[Spec], tuple[Shape, DType]]:
        return Spec, (self.shape, self.dtype)


TupleSpec: TypeAlias = tuple[Spec, ...]


def format_shape(shape: Sequence[Dim]) -> str:
    """Write a shape as ``[2, batch]``; a scalar's is ``[]``."""
    return "[" + ", ".join(str(length) for length in shape) + "]"


def product(lengths: Iterable[Dim]) -> Dim:
    """Multiply lengths; the number of elements of a shape."""
    result: Dim = 1
    for length in lengths:
        result = result * length
    return result


def as_shape(shape: object) -> Shape:
    """Read a user's shape: an integer, a name, None, a Length, or a sequence of them.

    >>> as_shape(("batch", 3))
    (Length('batch'), 3)
    """
    entries = shape if isinstance(shape, (tuple, list)) else (shape,)
    return tuple(_as_length(entry) for entry in entries)


def _as_length(entry: object) -> Dim:
    if entry is None:
        return Length.fresh()
    if isinstance(entry, Length):
        return entry
    if isinstance(entry, str):
        if not entry:
            raise ShapeError("a length's name must not be empty.")
        return Length.named(entry)
    if isinstance(entry, (bool, np.bool_)) or not hasattr(entry, "__index__"):
        raise ShapeError(
            f"a length must be an integer, a name or None, not {entry!r} ({type(entry).__name__})."
        )
    length = int(entry.__index__())
    if length < 0:
        raise ShapeError(f"a length must not be negative, got {length}.")
    return length


@lru_cache(maxsize=256)
def _supported(dtype: DType) -> bool:
    return dtype.kind in "biuf" and dtype.isnative


def as_dtype(dtype: DTypeLike) -> DType:
    """Read a user's dtype; complex, object, text and time types are refused."""
    try:
        result = np.dtype(dtype)
    except TypeError as error:
        raise DTypeError(f"{dtype!r} is not a dtype: {error}.") from None
    if not result.isnative:
        result = result.newbyteorder("=")
    if _supported(result):
        return result
    if result.kind == "c":
        raise DTypeError(f"complex values are not supported yet, got {result.name}.")
    raise DTypeError(f"dtype {result.name} is not supported; use a bool, integer or float dtype.")


@lru_cache(maxsize=256)
def cotangent_dtype(dtype: DType) -> DType:
    """Dtype of a node's gradient: its own, and float64 where it holds integers."""
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


def broadcast_shapes(*shapes: Shape) -> Shape:
    """Combine shapes by NumPy's rule; of symbolic lengths only a literal 1 stretches."""
    if len(shapes) == 2 and shapes[0] == shapes[1]:
        return shapes[0]
    rank = max(map(len, shapes), default=0)
    result: list[Dim] = []
    for axis in range(-rank, 0):
        length: Dim = 1
        for shape in shapes:
            if -axis > len(shape):
                continue
            other = shape[axis]
            if type(other) is int and other == 1:
                continue
            if type(length) is int and length == 1:
                length = other
            elif not same(length, other):
                listed = " and ".join(format_shape(shape) for shape in shapes)
                raise ShapeError(
                    f"shapes {listed} don't broadcast:"
                    f" axis {axis} has lengths {length} and {other}."
                )
        result.append(length)
    return tuple(result)


def require_same_shape(a: Shape, b: Shape, what: str) -> None:
    """Raise a ShapeError about *what* unless the shapes can be equal."""
    if len(a) != len(b) or not all(same(i, j) for i, j in zip(a, b, strict=True)):
        raise ShapeError(f"{what}, got {format_shape(a)} and {format_shape(b)}.")


def normalize_axis(axis: object, ndim: int) -> int:
    """Count a possibly negative axis from the front.

    >>> normalize_axis(-1, 3)
    2
    """
    if isinstance(axis, (bool, np.bool_)) or not hasattr(axis, "__index__"):
        raise OptionError(f"axis must be an integer, got {axis!r}.")
    index = int(axis.__index__())
    if not -ndim <= index < ndim:
        legal = f"{-ndim} to {ndim - 1}" if ndim else "none, the operand is a scalar"
        raise AxisError(f"axis {index} is out of range; legal: {legal}.")
    return index % ndim


def normalize_axes(axes: object, ndim: int) -> tuple[int, ...]:
    """Read ``axis=``: None means every axis; duplicates are refused."""
    if axes is None:
        return tuple(range(ndim))
    entries = axes if isinstance(axes, (tuple, list)) else (axes,)
    result = tuple(normalize_axis(axis, ndim) for axis in entries)
    if len(set(result)) != len(result):
        raise OptionError(f"axis {axes!r} names an axis twice.")
    return result


def differs(a: Dim, b: Dim) -> bool:
    """Whether two lengths are known to be different."""
    return compare(a, b) is False
