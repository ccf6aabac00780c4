"""The record of everything known about one operation, and the table of them.

Knows specs and plain functions; knows nothing of graphs, passes or backends. Adding an operation
means adding one record: every later floor reads its facts here and asks traits, never names.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from ..errors import OptionError
from ..spec import Spec, TupleSpec
from .describe import worded

if TYPE_CHECKING:
    from .value import Value

__all__ = [
    "FUNCTIONS",
    "NUMPY_FUNCTIONS",
    "OUT",
    "Array",
    "Attrs",
    "Call",
    "In",
    "JointRule",
    "Notation",
    "Op",
    "Operand",
    "Part",
    "Rule",
    "Rules",
    "Trait",
    "Writes",
    "call",
    "implements",
    "lookup",
    "public",
    "public_later",
    "register",
    "table",
]

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
Attrs: TypeAlias = "dict[str, Any]"
Operand: TypeAlias = "Value | Array | float | int | bool | list[Any] | tuple[Any, ...]"

_Function = TypeVar("_Function", bound="Callable[..., Any]")

Rule: TypeAlias = "Callable[..., Value | None]"
"""``(g, y, *xs, **attrs)``: what flows to one operand, written with lazygrad's own operations."""

Rules: TypeAlias = "tuple[Rule | None, ...]"
"""One rule per operand; None says that nothing differentiable flows there."""

JointRule: TypeAlias = "Callable[..., tuple[Value | None, ...] | Value | None]"
"""One rule for all operands, where rules per operand would repeat work."""


class Writes(enum.Enum):
    """What a kernel does about its result."""

    OUT = "fills the array given as out"
    VIEW = "gives a view of operand 0"
    FRESH = "allocates its own result"


class Trait(enum.Enum):
    """What passes and schedules may ask of an operation."""

    # Members are single objects; Enum's own hash is a Python call, and traits are asked often.
    __hash__ = object.__hash__

    LEAF = "has no operands and stands for itself"
    ELEMENTWISE = "each result element reads the operand elements of the same place"
    COMMUTATIVE = "op(a, b) is op(b, a)"
    IDEMPOTENT = "op(op(x)) is op(x)"
    INVOLUTION = "op(op(x)) is x"
    LINEAR = "zero cotangents stay plain zeros, whatever the operands hold"
    MOVES_MASK = "its transpose moves a mask as it moves a cotangent"
    NEEDS_CONTIGUOUS = "is a view only of an operand that lies in row-major order"
    KEEPS_ORDER = "is a view with the operand's order, where shapes agree but for axes of length 1"
    STATEFUL = "two equal nodes may give different results: never merged, never folded"
    DRAWS = "a random draw, whose operand 0 counts the calls"
    SWITCHES = "gives operand 1 in training mode, else operand 2; operand 0 is the mode's flag"
    UPDATES = "gives operand 0, and lets variable operand 1 take on operand 2 when a run ends"
    LOOPS = "runs the graph in its attribute body once per step"
    REDUCES = "combines the elements along its attribute axes, in any order"
    DATA_SHAPED = "its result's lengths are known only when it has run"


class _Out(enum.Enum):
    OUT = "out"


OUT = _Out.OUT
"""Stands for the result array in the arguments of a Call."""


@dataclass(frozen=True)
class In:
    """Stands for one operand in the arguments of a Call."""

    index: int


@dataclass(frozen=True)
class Call:
    """A kernel bound to its attributes: a function and its positional arguments.

    `In(i)` stands for operand *i*, `OUT` for the result, and everything else for itself.
    """

    function: Callable[..., object]
    arguments: tuple[object, ...]
    out_by_name: bool = False
    """Whether the result is passed as ``out=`` after the arguments."""


# NumPy 2.4 warns about, and slows down, a positional third argument of these.
_OUT_BY_NAME = (np.maximum, np.minimum)


@dataclass(frozen=True, slots=True)
class Notation:
    """How an operation is written in formulas: as Python, and as LaTeX.

    ``{x}``, ``{y}`` are its operands. ``{x:3}`` puts one in parentheses unless it binds as tightly
    as that: 1 comparisons, 2 sums, 3 products, 4 signs, and in LaTeX matrix products, 5 powers and
    LaTeX's fractions, 6 what stands alone. The whole binds as `binds` says, in LaTeX as
    `latex_binds` where that is another. ``{times}`` in LaTeX is what stands between factors.
    """

    text: str
    latex: str
    binds: int = 6
    latex_binds: int | None = None


Part: TypeAlias = "tuple[str, tuple[int, ...], Attrs]"
"""An operation's name, operands and attributes. Operands are counted: the whole's, then parts."""

CallRule: TypeAlias = "Callable[[tuple[Spec, ...], Spec, Attrs], Call]"


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Op:
    """Everything lazygrad knows about one operation."""

    name: str
    family: str
    infer: Callable[..., Spec | TupleSpec]
    """``(*specs, **attrs)`` gives the result's spec; raises ShapeError or DTypeError."""
    kernel: Callable[..., Any]
    """``(*arrays, out, **attrs)`` where it writes OUT, else ``(*arrays, **attrs)``."""
    doc: str
    writes: Writes = Writes.OUT
    vjp: Rules | JointRule | None = None
    """``(g, y, *xs, **attrs)``: cotangent of each operand."""
    jvp: Rules | JointRule | None = None
    """Per operand ``(t, y, *xs, **attrs)``: its share of the tangent. Joint: ``(ts, y, *xs)``."""
    support: Callable[..., Value | None] | None = None
    """``(index, *xs, **attrs)``: a mask of where operand *index* reaches the result."""
    batch: Callable[..., Value | None] | None = None
    """``(is_batched, *xs, **attrs)``: the operation over operands with one more leading axis.

    *is_batched* says for each operand whether it has the axis; the result always does. None, or
    a rule that gives None, leaves a batch to a loop.
    """
    call: CallRule | None = None
    """How the NumPy backend calls the kernel; None derives it from `kernel`."""
    reusable: tuple[int, ...] = ()
    """Operands whose storage the kernel may write its result over."""
    cost: Callable[..., Any] = lambda out, *specs, **attrs: 0
    """``(out, *specs, **attrs)``: floating-point operations."""
    traits: frozenset[Trait] = frozenset()
    c: str | None = None
    """The C expression of one element over ``{x}``, ``{y}``; None keeps the NumPy kernel.

    ``{t}`` is the type that it is worked out in, and says that this must be float or double. Of an
    operation that reduces: what makes one partial result of two.
    """
    start: str | None = None
    """What a reduction starts from, in C; ``{lowest}`` and ``{highest}`` are bounds of its type."""
    parts: Callable[..., tuple[Part, ...]] | None = None
    """``(**attrs)``: the operation in simpler ones, for what fuses them; the last is the result."""
    notation: Notation | Callable[..., Notation | None] | None = None
    """How it is written in formulas, or ``(*specs, **attrs)`` that says so; None is ``name(x)``."""
    array_api: str | None = None
    """The name under which array-API libraries have it; None needs a lowering of its own."""
    domain: tuple[tuple[float, float], ...] = ()
    """Per operand, the open interval where tests and docs sample it."""
    variants: tuple[Attrs, ...] = field(default=({},))
    """Attributes under which the op table's tests try the operation."""

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> tuple[Callable[[str], Op], tuple[str]]:
        return lookup, (self.name,)

    def written(self, specs: tuple[Spec, ...], attrs: Attrs) -> Notation | None:
        """Say how the operation is written in formulas, where it has a way of its own."""
        if self.notation is None or isinstance(self.notation, Notation):
            return self.notation
        return self.notation(*specs, **attrs)

    def bound_call(self, specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
        """Give the kernel as a call with its attributes already in place."""
        if self.call is not None:
            return self.call(specs, spec, attrs)
        operands: tuple[object, ...] = tuple(In(i) for i in range(len(specs)))
        function = partial(self.kernel, **attrs) if attrs else self.kernel
        if function in _OUT_BY_NAME:
            return Call(function, operands, out_by_name=True)
        return Call(function, (*operands, OUT) if self.writes is Writes.OUT else operands)


_OPS: dict[str, Op] = {}
FUNCTIONS: dict[str, Callable[..., Any]] = {}
NUMPY_FUNCTIONS: dict[object, Callable[..., Any]] = {}
"""What a NumPy function or ufunc means on nodes; read by the NumPy protocols."""


def register(op: Op, replacing: Op | None = None) -> Op:
    """Add *op* to the table; a second operation of the same name is refused, unless it replaces."""
    if _OPS.get(op.name) is not replacing:
        raise OptionError(f"an operation named {op.name!r} exists already.")
    _OPS[op.name] = op
    return op


def lookup(name: str) -> Op:
    """Find an operation by its name."""
    try:
        return _OPS[name]
    except KeyError:
        raise OptionError(f"there is no operation named {name!r}.") from None


def table() -> Mapping[str, Op]:
    """Give every registered operation by name."""
    return _OPS


def public(function: _Function) -> _Function:
    """Make the decorated function a method of every node, with errors that name it."""
    named = worded(function)
    FUNCTIONS[function.__name__] = named
    return named


def public_later(module: str, name: str) -> None:
    """Let methods find the function *name* of a module that is imported at its first call."""

    def first_call(*operands: object, **options: object) -> Any:
        return getattr(import_module(module), name)(*operands, **options)

    FUNCTIONS[name] = first_call


def implements(*numpy_functions: object) -> Callable[[_Function], _Function]:
    """Make the decorated function the meaning of NumPy functions; also reachable as a method.

    Its parameters are named as NumPy names them, so that keywords pass through unchanged.
    """

    def mark(function: _Function) -> _Function:
        named = public(function)
        for numpy_function in numpy_functions:
            NUMPY_FUNCTIONS[numpy_function] = named
        return named

    return mark


def call(name: str, *operands: object, **options: object) -> Any:
    """Call the public function *name*; how operators and methods reach the floors above."""
    return FUNCTIONS[name](*operands, **options)
