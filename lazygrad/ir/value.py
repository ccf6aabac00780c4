"""One node of a graph. Knows its operation, operands and spec; knows nothing of how it is run.

A node is immutable and points only at its operands, so a graph lives exactly as long as somebody
holds one of its results, and no reference cycles arise. What ``.data``, ``.grad``, ``forward`` and
``backward`` do is installed from above by `install_runtime`.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn, Protocol, cast

import numpy as np

from ..errors import DTypeError, GraphError, OptionError
from ..lengths import Dim, Length, collecting
from ..location import Location, user_location
from ..spec import DType, DTypeLike, Shape, Spec, TupleSpec, as_dtype, as_shape
from .arrays import integer_limits, plain_array
from .cell import Cell
from .describe import describe, label, located, worded
from .flat import deep_copy, reduce_node
from .methods import ArrayMethods
from .op import Array, Attrs, Op, Operand, Trait, Writes, call, register

__all__ = [
    "CONSTANT",
    "ITEM",
    "LENGTH",
    "PLACEHOLDER",
    "VARIABLE",
    "Runtime",
    "Value",
    "apply",
    "as_value",
    "checked_name",
    "constant",
    "gradients_enabled",
    "install_runtime",
    "item",
    "literal",
    "make",
    "no_grad",
    "originating",
    "placeholder",
    "recording",
    "scope",
    "variable",
    "weak_operands",
    "with_gradients",
]


def _leaf(name: str, doc: str) -> Op:
    def no_kernel(*arrays: Array, **attrs: object) -> Array:
        raise OptionError(f"a {name} is bound, not computed.")

    def no_inference(*specs: Spec, **attrs: object) -> Spec:
        raise OptionError(f"a {name} states its own spec.")

    return register(
        Op(
            name=name,
            family="leaf",
            infer=no_inference,
            kernel=no_kernel,
            traits=frozenset({Trait.LEAF}),
            doc=doc,
        )
    )


PLACEHOLDER = _leaf("placeholder", "A value fed by name at each run.")
VARIABLE = _leaf("variable", "A value that lives in a cell and can be written.")
CONSTANT = _leaf("constant", "A fixed array.")
LENGTH = _leaf("length", "The length of an axis as a number.")

ITEM = register(
    Op(
        name="item",
        family="leaf",
        infer=lambda spec, *, index: spec[index],
        kernel=lambda results, *, index: results[index],
        writes=Writes.VIEW,
        doc="One result of an operation that has several.",
    )
)


class Runtime(Protocol):
    """What the floors above do for a node that somebody looks at."""

    def data(self, value: Value) -> Any:
        """Give the node's current value."""

    def grad(self, value: Value) -> Any:
        """Give the gradient of the most recent backward, or None."""

    def forward(self, value: Value, feeds: dict[str, object], missing: str) -> Any:
        """Run the graph up to the node."""

    def backward(self, value: Value, seed: object, accumulate: bool) -> None:
        """Fill the gradients of everything below the node."""

    def schedule(self, value: Value) -> Any:
        """Give the node's cached schedule."""

    def show(self, value: Value) -> str:
        """Write the node for people."""


_runtime: list[Runtime] = []


def install_runtime(runtime: Runtime) -> None:
    """Say, once, what looking at a node does."""
    _runtime[:] = [runtime]


class _Ambient(threading.local):
    """What surrounds the nodes that are made in this thread."""

    origin: Value | None = None
    """The forward node whose derivative is being written."""
    made: list[Value] | None = None
    """Where nodes are noted, if somebody records them."""


_ambient = _Ambient()
_scope: ContextVar[tuple[str, ...]] = ContextVar("scope", default=())
_gradients: ContextVar[bool] = ContextVar("gradients", default=True)
_serials = itertools.count()


class Value(ArrayMethods):
    """A node: data that exists, data to be fed, or an operation on other nodes.

    Parameters
    ----------
    data
        Anything NumPy reads as a bool, integer or float array; copied. The node is then a
        variable, whose data can be changed through ``.data``.
    shape, name
        Instead of data: a placeholder of this shape, fed by this name.
    dtype
        Element type; by default the data's own, and float64 for a placeholder.
    requires_grad
        Whether ``backward`` gives it a gradient; by default yes, except for bools.

    Examples
    --------
    >>> Value([1.0, 2.0]) * 3
    Value(data=[3. 6.], grad=None)
    """

    __slots__ = (
        "__weakref__",
        "_evaluation",
        "_gradient",
        "_stopped",
        "_watchers",
        "assumptions",
        "attrs",
        "cell",
        "line",
        "name",
        "op",
        "operands",
        "origin",
        "requires_grad",
        "scope",
        "serial",
        "spec",
    )

    op: Op
    operands: tuple[Value, ...]
    attrs: Attrs
    spec: Spec
    name: str | None
    cell: Cell | None
    requires_grad: bool
    line: Location | None
    scope: tuple[str, ...]
    origin: Value | None
    serial: int
    assumptions: tuple[tuple[Dim, Dim], ...]
    _stopped: bool
    _evaluation: Any
    _gradient: Any
    _watchers: Any

    def __init__(
        self,
        data: object = None,
        *,
        shape: object = None,
        dtype: DTypeLike | None = None,
        name: str | None = None,
        requires_grad: bool | None = None,
    ) -> None:
        try:
            if (data is None) == (shape is None):
                raise OptionError("give either data, or shape and name for a placeholder.")
            if data is None:
                if name is None:
                    raise OptionError("a placeholder needs a name, by which it is fed.")
                spec = Spec(as_shape(shape), as_dtype(np.float64 if dtype is None else dtype))
                _initialize(self, PLACEHOLDER, (), {}, spec, name=checked_name(name))
            else:
                array = np.array(
                    plain_array(data), dtype=None if dtype is None else as_dtype(dtype), order="C"
                )
                spec = Spec(array.shape, array.dtype)
                _initialize(self, VARIABLE, (), {}, spec, name=name, cell=Cell(array))
            self.requires_grad = _may_require_grad(spec.dtype, requires_grad)
        except GraphError as error:
            raise located(error, "Value" if name is None else f"Value {name!r}", ()) from None

    @property
    def several(self) -> bool:
        """Whether the operation gives a tuple of results, which `item` nodes take apart."""
        return isinstance(cast(object, self.spec), tuple)

    @property
    def specs(self) -> TupleSpec:
        """The spec of every result."""
        return cast(TupleSpec, self.spec) if self.several else (self.spec,)

    @property
    def shape(self) -> Shape:
        """Lengths of the axes: integers, or symbolic lengths."""
        return self.spec.shape

    @shape.setter
    def shape(self, shape: object) -> None:
        raise AttributeError(
            f"the shape of {label(self)} can't be set, nodes are immutable; x.reshape(...) gives a"
            f" new node.\n  {label(self)}: {describe(self)}"
        )

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.spec.shape)

    @property
    def data(self) -> Any:
        """The node's value: of a variable the live array, of other nodes the latest result."""
        return _runtime[0].data(self)

    @data.setter
    def data(self, data: object) -> None:
        if self.cell is None:
            raise OptionError(
                f"{label(self)} is computed or fed; only a variable's data can be set.\n"
                f"  {label(self)}: {describe(self)}"
            )
        try:
            self.cell.write(data)
        except GraphError as error:
            text = f"the data of {label(self)}: {error}\n  {label(self)}: {describe(self)}"
            raise type(error)(text) from None

    @property
    def grad(self) -> Any:
        """Gradient of the most recent backward of a node above this one, or None."""
        return _runtime[0].grad(self)

    def forward(self, /, *unnamed: NoReturn, missing: str = "warn", **feeds: object) -> Any:
        """Run the graph below this node, with each placeholder fed by its name.

        A placeholder left out is filled with NaN and warned about (``missing="warn"``), filled
        silently (``"nan"``), or refused with a MissingFeedError (``"raise"``). Returns the
        node's value: an array of the caller's own, a NumPy scalar where it has no axes.
        """
        if unnamed:
            raise TypeError(
                f"forward: feeds are named, forward(x=...), not positional: {unnamed!r:.50}."
            )
        return _runtime[0].forward(self, feeds, missing)

    def backward(self, *unnamed: NoReturn, seed: object = None, accumulate: bool = False) -> None:
        """Set ``.grad`` below this node from its most recent forward.

        *seed* is the cotangent of this node, of its shape; all ones by default, which for an
        array is the gradient of its sum. Gradients are replaced, or with *accumulate* added to.
        """
        if unnamed:
            raise TypeError(
                f"backward: the seed is named, seed=..., not positional: {unnamed!r:.50}."
            )
        _runtime[0].backward(self, seed, accumulate)

    @property
    def schedule(self) -> Any:
        """The steps that compute this node; made once."""
        return _runtime[0].schedule(self)

    def __repr__(self) -> str:
        return _runtime[0].show(self)

    def _repr_mimebundle_(self, **options: object) -> dict[str, str]:
        bundle: dict[str, str] = call("notebook", self)
        return bundle

    def __copy__(self) -> Value:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Value:
        return deep_copy(make, (self,), memo)[0]

    def __reduce__(self) -> tuple[Any, ...]:
        return reduce_node(make, self)

    def with_operands(self, operands: tuple[Value, ...]) -> Value:
        """Copy this node onto other operands of the same specs."""
        node = object.__new__(Value)
        # Passes spend most of their time here, so nothing is called.
        node.op, node.operands, node.attrs, node.spec = self.op, operands, self.attrs, self.spec
        node.line, node.scope, node.origin = self.line, self.scope, self.origin
        node.requires_grad, node._stopped = self.requires_grad, self._stopped
        node.name = node.cell = node._evaluation = node._gradient = node._watchers = None
        node.assumptions = ()
        node.serial = next(_serials)
        return node


def _initialize(
    node: Value,
    op: Op,
    operands: tuple[Value, ...],
    attrs: Attrs,
    spec: Spec,
    *,
    name: str | None = None,
    cell: Cell | None = None,
    like: Value | None = None,
) -> None:
    node.op = op
    node.operands = operands
    node.attrs = attrs
    node.spec = spec
    node.name = name
    node.cell = cell
    node.assumptions = ()
    node._evaluation = None
    node._gradient = None
    node._watchers = None
    node.serial = next(_serials)
    if _ambient.made is not None:
        _ambient.made.append(node)
    if like is not None:
        node.line, node.scope, node.origin = like.line, like.scope, like.origin
        node._stopped = like._stopped
        node.requires_grad = like.requires_grad
        return
    origin = _ambient.origin
    node.origin = origin
    if origin is None:
        node.line = user_location()
        node.scope = _scope.get()
    else:
        node.line, node.scope = origin.line, origin.scope
    node._stopped = not _gradients.get()
    node.requires_grad = False
    if not node._stopped and (op.vjp is not None or op is ITEM):
        for operand in operands:
            if operand.requires_grad:
                node.requires_grad = True
                break


def make(
    op: Op,
    operands: tuple[Value, ...],
    attrs: Attrs,
    spec: Spec,
    *,
    name: str | None = None,
    cell: Cell | None = None,
    like: Value | None = None,
) -> Value:
    """Make a node from checked parts; *like* lends it its line, scope and origin."""
    node = object.__new__(Value)
    _initialize(node, op, operands, attrs, spec, name=name, cell=cell, like=like)
    return node


def checked_name(name: object) -> str:
    """Refuse names that are no text or empty."""
    if not isinstance(name, str) or not name:
        raise OptionError(f"a name must be a non-empty string, got {name!r}.")
    return name


def _may_require_grad(dtype: DType, asked: bool | None) -> bool:
    if dtype.kind != "b":
        return asked is None or bool(asked)
    if asked:
        raise DTypeError("a bool value has no gradient; leave requires_grad out.")
    return False


def placeholder(
    shape: object,
    *,
    dtype: DTypeLike = np.float64,
    name: str,
    requires_grad: bool = False,
) -> Value:
    """Declare a value that is fed by *name* at each run.

    *shape* holds integers, names of lengths (``"batch"``) or None for an anonymous length.

    >>> placeholder(("batch", 3), name="x").spec
    float64[batch, 3]
    """
    try:
        return Value(shape=shape, dtype=dtype, name=name, requires_grad=requires_grad)
    except GraphError as error:
        raise located(error, f"placeholder {name!r}", ()) from None


@worded
def variable(data: object, *, dtype: DTypeLike | None = None, name: str | None = None) -> Value:
    """Make a leaf that holds a copy of *data* in a cell and requires a gradient."""
    return Value(data, dtype=dtype, name=name)


@worded
def constant(data: object, *, dtype: DTypeLike | None = None, name: str | None = None) -> Value:
    """Make a leaf whose copy of *data* never changes, so that the compiler may fold it.

    >>> np.asarray(constant([1, 2]))
    array([1, 2])
    """
    array = np.array(plain_array(data), dtype=None if dtype is None else as_dtype(dtype), order="C")
    array.flags.writeable = False
    return make(CONSTANT, (), {"value": array}, Spec(array.shape, array.dtype), name=name)


def literal(value: Value) -> float | int | bool | None:
    """Give the number that a constant without axes holds, or None for any other node."""
    if value.op is CONSTANT and value.spec.shape == ():
        number: float | int | bool = value.attrs["value"].item()
        return number
    return None


def as_value(data: object, dtype: DType | None = None) -> Value:
    """Give a node as it is and anything else as a constant; a Length becomes a number node."""
    if isinstance(data, Value):
        return data
    if isinstance(data, Length):
        spec = Spec((), np.dtype(np.int64) if dtype is None else dtype)
        return make(LENGTH, (), {"length": data}, spec)
    if dtype is None:
        return constant(data)
    if isinstance(data, int) and dtype.kind in "iu":
        least, most = integer_limits(dtype)
        if not least <= data <= most:
            raise DTypeError(f"the number {data} doesn't fit {dtype.name}.")
    return constant(data, dtype=dtype)


def _is_weak(operand: object) -> bool:
    return isinstance(operand, (float, int, Length)) and not isinstance(operand, np.generic)


def weak_operands(operands: Sequence[object]) -> tuple[Value, ...]:
    """Make nodes of operands that combine elementwise; Python numbers take on the others' dtype."""
    strong = [
        operand if isinstance(operand, Value) else None if _is_weak(operand) else as_value(operand)
        for operand in operands
    ]
    dtypes = [node.spec.dtype for node in strong if node is not None]
    return tuple(
        _weak(operand, dtypes) if node is None else node
        for operand, node in zip(operands, strong, strict=True)
    )


def _weak(number: object, dtypes: list[DType]) -> Value:
    sample: object = 1 if isinstance(number, Length) else number
    if not dtypes:
        return as_value(number)
    return as_value(number, np.result_type(*dtypes, sample))  # type: ignore[arg-type]


def apply(op: Op, *operands: Operand, **attrs: Any) -> Value:
    """Make a node that applies *op*; shapes and dtypes are checked here, at the user's line."""
    nodes = operands
    for operand in operands:
        if operand.__class__ is not Value:
            try:
                nodes = (
                    weak_operands(operands)
                    if Trait.ELEMENTWISE in op.traits
                    else tuple(map(as_value, operands))
                )
            except GraphError as error:
                given = [operand for operand in operands if operand.__class__ is Value]
                raise located(error, op, given) from None
            break
    specs = [node.spec for node in nodes]  # type: ignore[union-attr]
    assumptions: list[tuple[Dim, Dim]] = []
    try:
        if attrs or not all(spec.is_static for spec in specs if type(spec) is Spec):
            with collecting() as assumptions:
                spec = op.infer(*specs, **attrs)
        else:
            spec = op.infer(*specs)
    except GraphError as error:
        raise located(error, op, nodes) from None  # type: ignore[arg-type]
    node = make(op, nodes, attrs, spec)  # type: ignore[arg-type]
    if assumptions:
        node.assumptions = tuple(assumptions)
    return node


def item(node: Value, index: int) -> Value:
    """Give result number *index* of an operation that has several."""
    specs: TupleSpec = node.spec  # type: ignore[assignment]
    return make(ITEM, (node,), {"index": index}, specs[index])


@contextmanager
def no_grad() -> Iterator[None]:
    """Make nodes through which no gradient flows; also a decorator.

    >>> with no_grad():
    ...     (Value(2.0) * 3).requires_grad
    False
    """
    token = _gradients.set(False)
    try:
        yield
    finally:
        _gradients.reset(token)


@contextmanager
def with_gradients() -> Iterator[None]:
    """Let gradients through the nodes made here, even inside `no_grad`, as a walk needs."""
    token = _gradients.set(True)
    try:
        yield
    finally:
        _gradients.reset(token)


@contextmanager
def recording(made: list[Value] | None) -> Iterator[None]:
    """Note the nodes that this thread makes inside in a list; None makes an outer one pause."""
    before, _ambient.made = _ambient.made, made
    try:
        yield
    finally:
        _ambient.made = before


def gradients_enabled() -> bool:
    """Whether nodes made now let gradients through."""
    return _gradients.get()


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Group the nodes made inside under *name*, in text and pictures."""
    token = _scope.set((*_scope.get(), checked_name(name)))
    try:
        yield
    finally:
        _scope.reset(token)


@contextmanager
def originating(origin: Value | None) -> Iterator[None]:
    """Say that nodes made inside belong to the derivative of *origin*."""
    before = _ambient.origin
    _ambient.origin = origin
    try:
        yield
    except GraphError as error:
        # The user called a derivative; which operation's rule failed is part of what is wrong.
        error.fact = str(error)
        raise
    finally:
        _ambient.origin = before
