"""The NumPy face of a node: operators, methods and protocols, each a call by name.

Knows the names of public functions; knows nothing of what they do. A function registered as
public is a method of every node without a line here; what stands here has a NumPy signature to
keep, or is an operator.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import OptionError, SymbolicError
from ..lengths import Length
from .describe import describe, label, located, symbolic_error
from .op import FUNCTIONS, NUMPY_FUNCTIONS, Array, call

if TYPE_CHECKING:
    from ..spec import DTypeLike, Shape
    from .value import Value

__all__ = ["ArrayMethods"]

build: Callable[..., Value] = call
"""`call` for public functions that give a node."""


class ArrayMethods:
    """Operators and methods of a node, after those of a NumPy array."""

    __slots__ = ()

    if TYPE_CHECKING:
        # What the record that carries these methods has.
        op: Any
        attrs: Any

        @property
        def shape(self) -> Shape: ...  # noqa: D102

        @property
        def ndim(self) -> int: ...  # noqa: D102

    def __add__(self, other: object) -> Value:
        return build("add", self, other)

    def __radd__(self, other: object) -> Value:
        return build("add", other, self)

    def __sub__(self, other: object) -> Value:
        return build("subtract", self, other)

    def __rsub__(self, other: object) -> Value:
        return build("subtract", other, self)

    def __mul__(self, other: object) -> Value:
        return build("multiply", self, other)

    def __rmul__(self, other: object) -> Value:
        return build("multiply", other, self)

    def __truediv__(self, other: object) -> Value:
        return build("divide", self, other)

    def __rtruediv__(self, other: object) -> Value:
        return build("divide", other, self)

    def __floordiv__(self, other: object) -> Value:
        return build("floor_divide", self, other)

    def __rfloordiv__(self, other: object) -> Value:
        return build("floor_divide", other, self)

    def __mod__(self, other: object) -> Value:
        return build("remainder", self, other)

    def __rmod__(self, other: object) -> Value:
        return build("remainder", other, self)

    def __divmod__(self, other: object) -> tuple[Value, Value]:
        quotient, rest = call("divmod", self, other)
        return quotient, rest

    def __rdivmod__(self, other: object) -> tuple[Value, Value]:
        quotient, rest = call("divmod", other, self)
        return quotient, rest

    def __pow__(self, other: object, modulus: object = None) -> Value:
        if modulus is not None:
            raise TypeError("pow of a node takes no modulus; write x ** y % modulus.")
        return build("power", self, other)

    def __rpow__(self, other: object) -> Value:
        return build("power", other, self)

    def __matmul__(self, other: object) -> Value:
        return build("matmul", self, other)

    def __rmatmul__(self, other: object) -> Value:
        return build("matmul", other, self)

    def __neg__(self) -> Value:
        return build("negative", self)

    def __pos__(self) -> Value:
        return build("positive", self)

    def __abs__(self) -> Value:
        return build("absolute", self)

    def __invert__(self) -> Value:
        return build("invert", self)

    def __and__(self, other: object) -> Value:
        return build("bitwise_and", self, other)

    def __rand__(self, other: object) -> Value:
        return build("bitwise_and", other, self)

    def __or__(self, other: object) -> Value:
        return build("bitwise_or", self, other)

    def __ror__(self, other: object) -> Value:
        return build("bitwise_or", other, self)

    def __xor__(self, other: object) -> Value:
        return build("bitwise_xor", self, other)

    def __rxor__(self, other: object) -> Value:
        return build("bitwise_xor", other, self)

    def __lshift__(self, other: object) -> Value:
        return build("left_shift", self, other)

    def __rlshift__(self, other: object) -> Value:
        return build("left_shift", other, self)

    def __rshift__(self, other: object) -> Value:
        return build("right_shift", self, other)

    def __rrshift__(self, other: object) -> Value:
        return build("right_shift", other, self)

    def __lt__(self, other: object) -> Value:
        return build("less", self, other)

    def __le__(self, other: object) -> Value:
        return build("less_equal", self, other)

    def __gt__(self, other: object) -> Value:
        return build("greater", self, other)

    def __ge__(self, other: object) -> Value:
        return build("greater_equal", self, other)

    def __eq__(self, other: object) -> Value:  # type: ignore[override]
        return build("equal", self, other)

    def __ne__(self, other: object) -> Value:  # type: ignore[override]
        return build("not_equal", self, other)

    # Nodes are found by identity, in dicts and sets too, although == is elementwise.
    __hash__ = object.__hash__

    def __round__(self, decimals: int = 0) -> Value:
        return build("round", self, decimals)

    def __getitem__(self, index: object) -> Value:
        return build("getitem", self, index)

    def __setitem__(self, index: object, data: object) -> None:
        raise SymbolicError(
            "nodes are immutable, so x[...] = v can't be done in place; write"
            " x = x.at[...].set(v), which gives a new node.\n  x: " + describe(self)  # type: ignore[arg-type]
        )

    @property
    def at(self) -> Any:
        """Functional updates: ``x.at[index].set(v)``, ``.add``, ``.multiply``, ``.min``..."""
        return call("at", self)

    @property
    def T(self) -> Value:
        """The axes in reverse order."""
        return build("transpose", self)

    @property
    def mT(self) -> Value:
        """The last two axes swapped."""
        return build("matrix_transpose", self)

    @property
    def size(self) -> Any:
        """Number of elements."""
        return call("size", self)

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError(f"a node without axes has no length.\n  {_described(self)}")
        if isinstance(self.shape[0], Length):
            raise symbolic_error(self, "the length", "use x.shape[0] in expressions.")  # type: ignore[arg-type]
        return self.shape[0]

    def __iter__(self) -> Iterator[Value]:
        if self.ndim == 0:
            raise TypeError(f"a node without axes can't be iterated over.\n  {_described(self)}")
        if isinstance(self.shape[0], Length):
            raise symbolic_error(self, "the number of rows", "use lazygrad.scan to loop over them.")  # type: ignore[arg-type]
        return (call("getitem", self, row) for row in range(self.shape[0]))

    def __bool__(self) -> bool:
        raise symbolic_error(
            self,  # type: ignore[arg-type]
            "the truth",
            "choose with lazygrad.where(condition, a, b), look at x.data, or find a node by `is`.",
        )

    def __contains__(self, element: object) -> bool:
        raise symbolic_error(self, "membership", "use (x == element).any().")  # type: ignore[arg-type]

    def __index__(self) -> int:
        raise symbolic_error(
            self,  # type: ignore[arg-type]
            "the integer value",
            "index with the node itself (x[i], x.take(i)), or look at int(x.data).",
        )

    def __float__(self) -> float:
        return float(np.asarray(call("concrete", self, "float")).item())

    def __int__(self) -> int:
        return int(np.asarray(call("concrete", self, "int")).item())

    def __format__(self, text: str) -> str:
        if not text:
            return str(self)
        return format(np.asarray(call("concrete", self, "number")).item(), text)

    def item(self) -> Any:
        """Give the value of a single-element node as a Python number."""
        return np.asarray(call("concrete", self, "item")).item()

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        if self.op.name == "constant":
            return np.array(self.attrs["value"], dtype=dtype, copy=True)
        raise symbolic_error(
            self,  # type: ignore[arg-type]
            "the array",
            "NumPy would lose its gradient. Use x.data for its value,"
            " np.stack([...]) to gather nodes into one.",
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if kwargs.pop("out", None) is not None:
            fact = (
                "out= would write a node's value into an array; leave out= away and use the node"
                " that the call gives."
            )
            nodes = [x for x in inputs if isinstance(x, ArrayMethods)]
            raise located(SymbolicError(fact), f"np.{ufunc.__name__}", nodes)  # type: ignore[arg-type]
        return build("numpy_ufunc", ufunc, method, inputs, kwargs)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        meaning = NUMPY_FUNCTIONS.get(function)
        if meaning is None:
            raise TypeError(
                f"{_numpy_name(function)} has no meaning on lazygrad nodes."
                + _suggestion(function.__name__)
            )
        try:
            return meaning(*args, **kwargs)
        except TypeError as error:
            if "unexpected keyword argument" in str(error):
                raise OptionError(f"{_numpy_name(function)} on a node: {error}.") from None
            raise

    def __getattr__(self, name: str) -> Any:
        # NumPy's other names of a function, such as abs for absolute, are methods too.
        other = None if name.startswith("_") else NUMPY_FUNCTIONS.get(getattr(np, name, None))
        function = None if name.startswith("_") else FUNCTIONS.get(name, other)
        if function is None:
            raise AttributeError(f"a lazygrad node has no attribute {name!r}." + _suggestion(name))
        return lambda *args, **options: function(self, *args, **options)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *FUNCTIONS})

    def astype(self, dtype: DTypeLike) -> Value:
        """Convert to another element type."""
        return build("astype", self, dtype)

    def copy(self) -> Value:
        """Give a node of equal value."""
        return build("copy", self)

    def reshape(self, *shape: Any) -> Value:
        """Give the elements in row-major order another shape; -1 is worked out."""
        return build("reshape", self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Value:
        """Reorder the axes; without arguments, reverse them."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None
        return build("transpose", self, order)


def _described(node: Any) -> str:
    return f"{label(node)}: {describe(node)}"


def _numpy_name(function: Any) -> str:
    return f"{function.__module__}.{function.__name__}".replace("numpy", "np", 1)


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(name, list(FUNCTIONS), n=1)
    return f" Did you mean lazygrad.{close[0]}?" if close else ""
