"""Operations of the user's own: NumPy functions as nodes, with their derivatives.

Knows how such a function becomes a record in the table of operations; knows no particular one.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ..errors import DisconnectedError, OptionError, ShapeError
from ..ir.op import OUT, Array, Attrs, Call, In, Op, Operand, register, table
from ..ir.value import Value, apply, as_value, item, weak_operands
from ..lengths import Length
from ..spec import (
    Shape,
    Spec,
    TupleSpec,
    as_dtype,
    as_shape,
    broadcast_shapes,
    cotangent_dtype,
    format_shape,
)
from .arithmetic import zeros_like
from .shape import broadcast_to

__all__ = ["Function", "custom_op"]

Results: TypeAlias = "Value | tuple[Value, ...]"
_Nodes: TypeAlias = "Value | tuple[Value | None, ...]"
_Build = TypeVar("_Build", bound="Callable[..., Any]")

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")

_origins: dict[str, tuple[str, str]] = {}
"""Of each registered custom operation, the module and qualified name that it came from."""


def custom_op(
    function: Callable[..., Any] | None = None,
    *,
    result: Callable[..., Any] | None = None,
    vjp: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
    vjp_numpy: Callable[..., Any] | None = None,
    nondifferentiable: Sequence[str] = (),
    name: str | None = None,
) -> Any:
    """Make an operation of a function on NumPy arrays; a decorator.

    The function's positional parameters are operands: nodes, arrays or numbers for the caller,
    read-only arrays inside, which it must not keep. Its keyword-only parameters are attributes:
    numbers, strings, lengths, tuples of them or anything else hashable. It returns an array, or a
    tuple of them, which is copied.

    Parameters
    ----------
    result
        ``(*specs, **attributes)`` gives the result's `Spec`, or a tuple of them for several
        results. By default the operands' broadcast shape and promoted dtype; numbers then take on
        the dtype of the other operands.
    vjp
        ``(g, y, *operands, **attributes)`` gives, for the cotangent *g* of the result *y*, the
        cotangent of each operand as a tuple, None where nothing flows. All are nodes, so it is
        written with lazygrad's operations, and derivatives of any order follow. With several
        results *g* and *y* are tuples, and what is absent in *g* is None. What was broadcast is
        summed afterwards.
    jvp
        ``(tangents, y, *operands, **attributes)`` gives the tangent of *y*; *tangents* is a tuple,
        None where absent. By default it is derived from *vjp*.
    vjp_numpy
        Instead of *vjp*, the same on arrays, an absent *g* being zeros; called when the gradient is
        computed. It has no derivative itself: second derivatives and forward mode raise
        DisconnectedError.
    nondifferentiable
        Names of operands to which no gradient flows. With *vjp_numpy* the integer and bool
        operands are among them.
    name
        The name in tables, errors and text; by default the function's. Operations are pickled by
        name. Defining one again, from the same place, replaces it; taking another's name raises
        an OptionError. A lambda without a name can't be pickled.

    Without *vjp* or *vjp_numpy* nothing flows through the operation, as through a comparison.

    What the function raises comes out as the cause of an OperationError.

    >>> @custom_op(vjp=lambda g, y, x, *, n: (g * n * x ** (n - 1),))
    ... def my_power(x, *, n):
    ...     return x**n
    >>> x = Value(3.0)
    >>> y = my_power(x, n=2)
    >>> y.backward(); x
    Value(data=3.0, grad=6.0)
    """
    if function is None:
        return lambda given: custom_op(
            given,
            result=result,
            vjp=vjp,
            jvp=jvp,
            vjp_numpy=vjp_numpy,
            nondifferentiable=nondifferentiable,
            name=name,
        )
    called = _checked_name(function, name)
    signature = inspect.signature(function)
    positional = _operand_names(signature)
    for operand in nondifferentiable:
        if operand not in positional:
            raise OptionError(f"{called}: there is no operand {operand!r} in {tuple(positional)}.")
    if vjp is not None and vjp_numpy is not None:
        raise OptionError(f"{called}: give vjp or vjp_numpy, not both.")
    if jvp is not None and vjp is None:
        raise OptionError(f"{called}: jvp needs vjp beside it.")
    still = frozenset(positional.index(operand) for operand in nondifferentiable)
    origin = (function.__module__, function.__qualname__)
    kept = name is not None or function.__name__ != "<lambda>"
    rule = None if vjp is None else _reverse_rule(called, vjp, still)
    if vjp_numpy is not None:
        rule = _opaque_rule(called, vjp_numpy, still, origin if kept else None)
    op = _record(
        called,
        function,
        _inference(called, result),
        inspect.getdoc(function) or f"The custom operation {called}.",
        vjp=rule,
        jvp=None if jvp is None else _forward_rule(jvp),
    )
    if kept:
        _register(op, origin)
    return _node_function(op, function, signature, weak=result is None)


def _checked_name(function: Callable[..., Any], name: object) -> str:
    if name is None:
        return "custom" if function.__name__ == "<lambda>" else function.__name__
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise OptionError(
            f"an operation's name is an identifier, or several and dots, not {name!r}."
        )
    return name


def _operand_names(signature: inspect.Signature) -> list[str]:
    keyword = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in signature.parameters.values() if p.kind not in keyword]


def _register(op: Op, origin: tuple[str, str]) -> None:
    before = table().get(op.name)
    if before is not None and _origins.get(op.name) != origin:
        whose = "lazygrad's own" if op.name not in _origins else ".".join(_origins[op.name])
        raise OptionError(
            f"custom_op: the name {op.name!r} is taken, by {whose}; give another as name=."
        )
    register(op, replacing=before)
    _origins[op.name] = origin


def _node_function(op: Op, function: _Build, signature: inspect.Signature, *, weak: bool) -> _Build:
    """Give the function that the user calls on nodes."""

    @functools.wraps(function)
    def build(*operands: Operand, **attrs: Any) -> Results:
        try:
            bound = signature.bind(*operands, **attrs)
        except TypeError as error:
            raise TypeError(f"{op.name}: {error}") from None
        bound.apply_defaults()
        return _applied(op, bound.args, bound.kwargs, weak)

    build.op = op  # type: ignore[attr-defined]
    return build  # type: ignore[return-value]


def _applied(op: Op, operands: Sequence[Any], attrs: Attrs, weak: bool) -> Results:
    for key, value in attrs.items():
        if not _is_hashable(value):
            raise OptionError(
                f"{op.name}: the attribute {key} can't be hashed, got {type(value).__name__};"
                " give a tuple, or make an array an operand."
            )
    if any(operand is None for operand in operands):
        raise OptionError(f"{op.name}: None is no operand.")
    node = apply(op, *(weak_operands(operands) if weak else operands), **attrs)
    return _items(node)


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _items(node: Value) -> Results:
    if not isinstance(node.spec, tuple):
        return node
    return tuple(item(node, i) for i in range(len(node.spec)))


def _record(
    name: str,
    function: Callable[..., Any],
    infer: Callable[..., Spec | TupleSpec],
    doc: str,
    *,
    vjp: Callable[..., Any] | None,
    jvp: Callable[..., Any] | None,
) -> Op:
    # A prefix keeps the user's names apart from the variables of generated code.
    safe = "custom_" + re.sub(r"\W", "_", name)

    def kernel(*arrays: Array, out: Array | tuple[Array, ...], **attrs: Any) -> None:
        _fill(name, out, function(*map(_read_only, arrays), **attrs))

    def call(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
        def run(*arrays: Any) -> None:
            kernel(*arrays[:-1], out=arrays[-1], **attrs)

        run.__name__ = safe
        return Call(run, (*(In(i) for i in range(len(specs))), OUT))

    kernel.__name__ = safe
    return Op(
        name=name,
        family="custom",
        infer=infer,
        kernel=kernel,
        doc=doc,
        vjp=vjp,
        jvp=jvp,
        call=call,
    )


def _read_only(array: Array) -> Array:
    view: Array = np.asarray(array).view()
    view.flags.writeable = False
    return view


def _fill(name: str, out: Array | tuple[Array, ...], returned: Any) -> None:
    """Copy what a function returned, which must be as declared."""
    if not isinstance(out, tuple):
        _copy(f"{name} returned", out, returned)
        return
    if not isinstance(returned, (tuple, list)) or len(returned) != len(out):
        came = len(returned) if isinstance(returned, (tuple, list)) else type(returned).__name__
        raise TypeError(f"{name} must return a tuple of {len(out)} arrays, got {came}")
    for position, (target, array) in enumerate(zip(out, returned, strict=True)):
        _copy(f"result {position} of {name} is", target, array)


def _copy(what: str, out: Array, returned: object) -> None:
    if returned is None:
        raise TypeError(f"{what} None, declared is {out.dtype.name}{format_shape(out.shape)}")
    array = np.asarray(returned)
    if array.shape != out.shape or not np.can_cast(array.dtype, out.dtype, "same_kind"):
        raise TypeError(
            f"{what} {array.dtype.name}{format_shape(array.shape)},"
            f" declared is {out.dtype.name}{format_shape(out.shape)}"
        )
    np.copyto(out, array, casting="same_kind")


def _inference(name: str, result: Callable[..., Any] | None) -> Callable[..., Spec | TupleSpec]:
    def infer(*specs: Spec, **attrs: Any) -> Spec | TupleSpec:
        if result is None:
            if not specs:
                raise OptionError("without operands the result must be declared, as result=.")
            dtype = np.result_type(*[spec.dtype for spec in specs])
            return Spec(broadcast_shapes(*[spec.shape for spec in specs]), dtype)
        known = _length_names([spec.shape for spec in specs]) | _length_names(attrs.values())
        given = result(*specs, **attrs)
        if given and isinstance(given, (tuple, list)):
            return tuple(_read_spec(spec, known) for spec in given)
        return _read_spec(given, known)

    return infer


def _read_spec(spec: object, known: set[str]) -> Spec:
    if not isinstance(spec, Spec):
        raise OptionError(f"result must give a Spec or a tuple of them, got {spec!r}.")
    if any(length is None for length in spec.shape):
        raise ShapeError("the result's lengths must be known or made from the operands'.")
    shape: Shape = as_shape(spec.shape)
    strange = sorted(_length_names([shape]) - known)
    if strange:
        raise ShapeError(
            f"the result has the length {strange[0]}, which no operand has; lengths must be made"
            " from the operands'."
        )
    return Spec(shape, as_dtype(spec.dtype))


def _length_names(values: Any) -> set[str]:
    """Collect the names in symbolic lengths, in tuples too."""
    found: set[str] = set()
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, tuple):
            waiting.extend(value)
        elif isinstance(value, Length):
            found |= set(value.names)
    return found


def _reverse_rule(
    name: str, rule: Callable[..., Any], still: frozenset[int]
) -> Callable[..., tuple[Value | None, ...]]:
    """Wrap a user's rule: several results as items, parts checked."""

    def vjp(g: _Nodes, y: Value, *xs: Value, **attrs: Any) -> tuple[Value | None, ...]:
        parts = rule(g, _items(y), *xs, **attrs)
        if not isinstance(parts, (tuple, list)):
            parts = (parts,)
        if len(parts) != len(xs):
            raise OptionError(
                f"{name}: vjp must give one entry for each of {len(xs)} operands, got {len(parts)}."
            )
        return tuple(
            None if part is None or place in still else _fitted(name, place, as_value(part), x)
            for place, (part, x) in enumerate(zip(parts, xs, strict=True))
        )

    return vjp


def _fitted(name: str, place: int, part: Value, x: Value) -> Value:
    """Check that a cotangent has its operand's shape, or one that this broadcasts to."""
    if part.spec.shape == ():
        return broadcast_to(part, x.spec.shape)
    try:
        fits = broadcast_shapes(part.spec.shape, x.spec.shape) == part.spec.shape
    except ShapeError:
        fits = False
    if not fits:
        raise ShapeError(f"{name}: vjp gave {part.spec} for operand {place}, which is {x.spec}.")
    return part


def _forward_rule(rule: Callable[..., Any]) -> Callable[..., Any]:
    def jvp(tangents: Sequence[Value | None], y: Value, *xs: Value, **attrs: Any) -> Any:
        return rule(tuple(tangents), _items(y), *xs, **attrs)

    return jvp


def _opaque_rule(
    name: str,
    function: Callable[..., Any],
    still: frozenset[int],
    origin: tuple[str, str] | None,
) -> Callable[..., tuple[Value | None, ...]]:
    """Make a reverse rule of a NumPy function: an operation of its own, without a derivative."""
    own = f"{name}_vjp"

    def compute(
        *arrays: Array, _results: int, _several: bool, _wanted: tuple[int, ...], **attrs: Any
    ) -> tuple[Any, ...]:
        g, y, xs = arrays[:_results], arrays[_results : 2 * _results], arrays[2 * _results :]
        parts = function(g if _several else g[0], y if _several else y[0], *xs, **attrs)
        if not isinstance(parts, (tuple, list)):
            parts = (parts,)
        if len(parts) != len(xs):
            raise TypeError(
                f"the gradient of {name} must have one entry for each of {len(xs)} operands,"
                f" got {len(parts)}"
            )
        for place in _wanted:
            if parts[place] is None:
                raise TypeError(
                    f"the gradient of {name} is None for operand {place}; an operand without"
                    " gradient must be named in nondifferentiable="
                )
        return tuple(_summed(np.asarray(parts[place]), xs[place].shape) for place in _wanted)

    def infer(
        *specs: Spec, _results: int, _several: bool, _wanted: tuple[int, ...], **attrs: Any
    ) -> TupleSpec:
        xs = specs[2 * _results :]
        return tuple(Spec(xs[i].shape, cotangent_dtype(xs[i].dtype)) for i in _wanted)

    def refused(*args: object, **attrs: object) -> Any:
        raise DisconnectedError(
            f"{name}: its gradient is a NumPy function (vjp_numpy=), so there is no second"
            " derivative and no forward mode; give vjp= written with lazygrad's operations."
        )

    op = _record(own, compute, infer, f"The gradient of {name}.", vjp=refused, jvp=refused)
    if origin is not None:
        _register(op, (origin[0], f"{origin[1]}.vjp"))

    def vjp(g: _Nodes, y: Value, *xs: Value, **attrs: Any) -> tuple[Value | None, ...]:
        several = isinstance(g, tuple)
        results: Any = _items(y) if several else (y,)
        cotangents: Any = g if several else (g,)
        seeds = [
            zeros_like(result) if part is None else part
            for part, result in zip(cotangents, results, strict=True)
        ]
        wanted = tuple(
            place for place, x in enumerate(xs) if x.spec.dtype.kind == "f" and place not in still
        )
        if not wanted:
            return (None,) * len(xs)
        hidden = {"_results": len(results), "_several": several, "_wanted": wanted}
        node = apply(op, *seeds, *results, *xs, **hidden, **attrs)
        parts = {place: item(node, i) for i, place in enumerate(wanted)}
        return tuple(parts.get(place) for place in range(len(xs)))

    return vjp


def _summed(part: Array, shape: tuple[int, ...]) -> Array:
    """Sum over the axes along which an operand of *shape* was broadcast, where it was."""
    if part.shape == shape or part.ndim < len(shape):
        return part
    part = part.sum(axis=tuple(range(part.ndim - len(shape))))
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and part.shape[i] != 1)
    return np.asarray(part.sum(axis=axes, keepdims=True) if axes else part)


class Function:
    """A custom operation as a class: `forward` and `backward` on NumPy arrays.

    ``forward(self, *arrays, **attributes)`` may keep what `backward` needs on *self*, or with
    `save`. ``backward(self, *cotangents)`` gives, for a cotangent per result, one array for each
    operand, or None for those named in `nondifferentiable`, or that hold integers or bools. It
    runs after a `forward` of its own on the same arrays. The operation is applied by ``apply``;
    `custom_op` has the rest, and second derivatives.

    >>> class Cube(Function):
    ...     def forward(self, x, *, scale):
    ...         self.save(x, scale)
    ...         return scale * x**3
    ...     def backward(self, g):
    ...         x, scale = self.saved
    ...         return 3 * g * scale * x**2
    >>> x = Value(2.0)
    >>> y = Cube.apply(x, scale=0.5)
    >>> y.backward(); x
    Value(data=2.0, grad=6.0)
    """

    saved: tuple[Any, ...] = ()
    nondifferentiable: tuple[str, ...] = ()
    result: Callable[..., Any] | None = None
    """A static method, as *result* of `custom_op`."""
    _build: Callable[..., Any]

    def save(self, *values: Any) -> None:
        """Keep values for `backward`, which finds them in `saved`."""
        self.saved = values

    def forward(self, *arrays: Any, **attrs: Any) -> Any:
        """Compute the result from arrays."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(self, *cotangents: Any) -> Any:
        """Compute the operands' cotangents."""
        raise NotImplementedError(f"{type(self).__name__}.backward")

    @classmethod
    def apply(cls, *operands: Operand, **attrs: Any) -> Any:
        """Apply the operation to nodes, arrays or numbers."""
        return cls._build(*operands, **attrs)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)

        @functools.wraps(cls.forward)
        def forward(*arrays: Any, **attrs: Any) -> Any:
            return cls().forward(*arrays, **attrs)

        def backward(g: Any, y: Any, *xs: Any, **attrs: Any) -> Any:
            context = cls()
            context.forward(*xs, **attrs)
            return context.backward(*(g if isinstance(g, tuple) else (g,)))

        whole = inspect.signature(cls.forward)
        forward.__signature__ = whole.replace(  # type: ignore[attr-defined]
            parameters=list(whole.parameters.values())[1:]
        )
        forward.__name__, forward.__qualname__ = cls.__name__, cls.__qualname__
        forward.__module__, forward.__doc__ = cls.__module__, cls.__doc__
        cls._build = staticmethod(
            custom_op(
                forward,
                result=cls.result,
                vjp_numpy=backward,
                nondifferentiable=cls.nondifferentiable,
            )
        )
