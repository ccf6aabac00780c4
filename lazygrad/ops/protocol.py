"""What NumPy's own calls mean on nodes: ufuncs with their methods, and questions about specs.

Knows which public function answers each; computes nothing itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DTypeError, GraphError, OptionError
from ..ir.describe import located, worded
from ..ir.op import FUNCTIONS, NUMPY_FUNCTIONS, Operand, call, implements
from ..ir.value import Value, as_value
from ..lengths import Dim, Length
from ..spec import DType, DTypeLike, Shape, as_dtype, as_shape, normalize_axes, product
from .arithmetic import add, astype, positive, zeros_like as computed_zeros
from .shape import broadcast_to, reshape

__all__ = ["conjugate", "copy", "full_like", "ones_like", "zeros_like"]

_REDUCTIONS: Mapping[np.ufunc, str] = {
    np.add: "sum",
    np.multiply: "prod",
    np.maximum: "max",
    np.minimum: "min",
    np.logical_and: "all",
    np.logical_or: "any",
}
_ACCUMULATIONS: Mapping[np.ufunc, str] = {
    np.add: "cumsum",
    np.multiply: "cumprod",
    np.maximum: "cummax",
    np.minimum: "cummin",
}
_REASONS: Mapping[np.ufunc, str] = {np.isnat: " Nodes hold no dates or times."}
_DEFAULTS: Mapping[str, object] = {
    "casting": "same_kind",
    "order": "K",
    "subok": True,
    "where": True,
    "initial": np._NoValue,
    "signature": None,
    "sig": None,
}
_INSTEAD: Mapping[str, str] = {
    "where": "choose with lazygrad.where(condition, result, otherwise).",
    "initial": "combine the result with the initial value.",
}


def numpy_ufunc(
    ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Value | tuple[Value, ...]:
    """Answer NumPy's call of a ufunc, or of one of its methods, on nodes."""
    name = f"np.{ufunc.__name__}" if method == "__call__" else f"np.{ufunc.__name__}.{method}"
    try:
        return _answered(name, ufunc, method, inputs, options)
    except GraphError as error:
        if error.fact:
            raise
        raise located(error, name, [x for x in inputs if isinstance(x, Value)]) from None


FUNCTIONS["numpy_ufunc"] = numpy_ufunc


def _answered(
    name: str, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Value | tuple[Value, ...]:
    if method == "__call__":
        return _called(ufunc, inputs, options)
    if method == "reduce" and ufunc in _REDUCTIONS:
        return _reduced(name, _REDUCTIONS[ufunc], inputs, options)
    if method == "accumulate" and ufunc in _ACCUMULATIONS:
        return _accumulated(name, _ACCUMULATIONS[ufunc], inputs, options)
    if method == "outer" and ufunc.nin == 2 and ufunc.signature is None:
        a, b = as_value(inputs[0]), as_value(inputs[1])
        rows = reshape(a, (*a.spec.shape, *(1,) * b.ndim))
        return _called(ufunc, (rows, b), options)
    hint = " Use x.at[index].add(values)." if (ufunc, method) == (np.add, "at") else ""
    raise TypeError(f"{name} has no meaning on lazygrad nodes; nothing was computed.{hint}")


def _called(
    ufunc: np.ufunc, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Value | tuple[Value, ...]:
    name = f"np.{ufunc.__name__}"
    function = NUMPY_FUNCTIONS.get(ufunc)
    if function is None:
        raise TypeError(
            f"the ufunc {ufunc.__name__} has no meaning on lazygrad nodes; nothing was computed."
            + _REASONS.get(ufunc, _suggestion(ufunc.__name__))
        )
    asked = _options(name, options, ("dtype",))
    dtype = asked.get("dtype")
    if dtype is None:
        plain: Value | tuple[Value, ...] = function(*inputs)
        return plain
    target = as_dtype(dtype)
    result: Value | tuple[Value, ...] = function(
        *[_cast(name, operand, target) for operand in inputs]
    )
    if isinstance(result, tuple) or result.spec.dtype != target:
        raise OptionError(f"{name}: dtype={target.name} is not a dtype of its result on nodes.")
    return result


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(name, list(FUNCTIONS), n=1)
    return f" Did you mean lazygrad.{close[0]}?" if close else ""


def _options(name: str, options: dict[str, Any], taken: Sequence[str]) -> dict[str, Any]:
    """Give the options in *taken*; others must be left at NumPy's defaults."""
    result = {}
    for option, value in options.items():
        if option in taken:
            result[option] = value
        elif option not in _DEFAULTS or not _is_default(value, _DEFAULTS[option]):
            instead = _INSTEAD.get(option, "leave it away.")
            raise OptionError(f"{name}: {option}= is not supported on nodes; {instead}")
    return result


def _is_default(value: object, default: object) -> bool:
    return value is default or (isinstance(value, str) and value == default)


def _cast(name: str, operand: Operand, target: DType) -> Operand:
    """Convert an operand as NumPy's dtype= does; Python numbers follow the others."""
    if isinstance(operand, (bool, int, float)) and not isinstance(operand, np.generic):
        return operand
    node = as_value(operand)
    if not np.can_cast(node.spec.dtype, target, "same_kind"):
        raise DTypeError(f"{name}: {node.spec.dtype.name} can't become dtype={target.name}.")
    return astype(node, target)


def _reduced(name: str, function: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Value:
    asked = _options(name, options, ("axis", "keepdims", "dtype"))
    node: Value = as_value(inputs[0])
    dtype = asked.get("dtype")
    more: dict[str, Any] = {}
    if dtype is not None and function in ("sum", "prod"):
        more["dtype"] = dtype
    elif dtype is not None and function in ("max", "min"):
        node = as_value(_cast(name, node, as_dtype(dtype)))
    elif dtype is not None and as_dtype(dtype).kind != "b":
        raise OptionError(f"{name}: the result is bool, not {as_dtype(dtype).name}.")
    axis = _axis(node, asked.get("axis", 0))
    result: Value = call(function, node, axis=axis, keepdims=asked.get("keepdims", False), **more)
    return result


def _axis(node: Value, axis: object) -> object:
    """Read the axis of a ufunc's method, which for a scalar may be 0 too."""
    return None if node.ndim == 0 and axis in (0, -1) else axis


def _accumulated(
    name: str, function: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Value:
    asked = _options(name, options, ("axis", "dtype"))
    node = as_value(inputs[0])
    if node.ndim == 0:
        raise TypeError(f"{name}: a node without axes can't be accumulated.")
    dtype = asked.get("dtype")
    more = {} if dtype is None else {"dtype": dtype}
    result: Value = call(function, node, axis=asked.get("axis", 0), **more)
    return result


@implements(np.full_like)
def full_like(
    a: Operand, fill_value: Operand, dtype: DTypeLike | None = None, *, shape: object = None
) -> Value:
    """Give *fill_value* everywhere in the shape and dtype of *a*, through which nothing flows.

    *dtype* and *shape* replace those of *a*. A fill value that is a node keeps its gradient.

    >>> full_like(Value([1.0, 2.0]), 3)
    Value(data=[3. 3.], grad=None)
    """
    node = as_value(a)
    target = node.spec.dtype if dtype is None else as_dtype(dtype)
    lengths = node.spec.shape if shape is None else as_shape(shape)
    if isinstance(fill_value, (bool, int, float)):
        fill = as_value(fill_value, target)
    else:
        fill = astype(as_value(fill_value), target)
    if any(isinstance(length, Length) and length.is_data_dependent for length in lengths):
        # Such a length is known to nothing but the array that has it.
        return add(fill, astype(computed_zeros(node), target))
    return broadcast_to(fill, lengths)


@implements(np.zeros_like)
def zeros_like(a: Operand, dtype: DTypeLike | None = None, *, shape: object = None) -> Value:
    """Give zeros in the shape and dtype of *a*."""
    return full_like(a, 0, dtype, shape=shape)


@implements(np.ones_like)
def ones_like(a: Operand, dtype: DTypeLike | None = None, *, shape: object = None) -> Value:
    """Give ones in the shape and dtype of *a*."""
    return full_like(a, 1, dtype, shape=shape)


def _means(numpy_function: Callable[..., Any]) -> Callable[[Any], Any]:
    """Make the decorated function answer a NumPy function that needs no name of its own here."""

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        NUMPY_FUNCTIONS[numpy_function] = worded(function)
        return function

    return mark


@implements(np.copy)
def copy(a: Operand, order: str = "K", subok: bool = False) -> Value:
    """Give a node of equal value, through which gradients flow; *order* has no effect.

    A node never changes and is its own copy; but the data of a variable can be set, and a copy's
    must not be.
    """
    node = as_value(a)
    if node.cell is None:
        return node
    return node | False if node.spec.dtype.kind == "b" else positive(node)


@_means(np.real)
def _real(val: Operand) -> Value:
    return as_value(val)


@_means(np.shape)
def _shape(a: Operand) -> Shape:
    return as_value(a).spec.shape


@_means(np.ndim)
def _ndim(a: Operand) -> int:
    return as_value(a).ndim


@_means(np.size)
def _size(a: Operand, axis: object = None) -> Dim:
    node = as_value(a)
    return product(node.spec.shape[i] for i in normalize_axes(axis, node.ndim))


@_means(np.result_type)
def _result_type(*arrays_and_dtypes: Operand | DTypeLike) -> DType:
    facts: list[Any] = [x.spec.dtype if isinstance(x, Value) else x for x in arrays_and_dtypes]
    return np.result_type(*facts)


@_means(np.iscomplexobj)
def _iscomplexobj(x: Operand) -> bool:
    return False


@_means(np.isrealobj)
def _isrealobj(x: Operand) -> bool:
    return True


@implements(np.conjugate)
def conjugate(x: Operand) -> Value:
    """Give *x* itself, since it is real."""
    return as_value(x)
