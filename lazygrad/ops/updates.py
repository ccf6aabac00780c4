"""Functional updates: ``x.at[index].set(v)`` and its kin give a new node. Writes into nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

import numpy as np

from ..errors import DTypeError, GraphError, OptionError, ShapeError
from ..ir.describe import located
from ..ir.op import Operand, public
from ..ir.value import CONSTANT, Value, as_value
from ..spec import format_shape
from .arithmetic import astype, divide, maximum, minimum, multiply
from .forms import NodeFunction
from .indexing import Selection, selection_of
from .scatter import scatter_add, scatter_set
from .shape import broadcast_to, reshape
from .slices import is_whole, slice_node, slice_set

__all__ = ["at"]


def _update(method: Callable[[_Places, Operand], Value]) -> Callable[[_Places, Operand], Value]:
    """Make the errors of an update name it, its operands and their lines."""
    name = f"at[...].{method.__name__}"

    @wraps(method)
    def call(places: _Places, values: Operand) -> Value:
        try:
            return method(places, values)
        except GraphError as error:
            given = (values,) if isinstance(values, Value) else ()
            raise located(error, name, (places.value, *given)) from None

    return call


@dataclass(frozen=True, slots=True)
class _Places:
    """Some places of a value, to be given other values there: ``x.at[index]``."""

    value: Value
    index: object

    def _selected(self, name: str) -> Selection:
        return selection_of(f"at[...].{name}", self.value, self.index)

    @_update
    def set(self, values: Operand) -> Value:
        """Give the value with *values* at these places; of repeated ones the last counts."""
        where = self._selected("set")
        return self._write(where, self._fitting("set", where, values), repeats=True)

    @_update
    def add(self, values: Operand) -> Value:
        """Give the value with *values* added at these places; repeated ones add up."""
        where = self._selected("add")
        given = self._fitting("add", where, values)
        if where.unique:
            return self._write(where, where.pick() + given, repeats=False)
        inner = slice_node(where.base, where.index)
        values = inner + scatter_add(
            given,
            *where.arrays,
            shape=inner.spec.shape,
            axes=where.axes,
            place=where.place,
            unique=False,
        )
        return self._put_back(where, values)

    @_update
    def multiply(self, values: Operand) -> Value:
        """Give the value multiplied by *values* at these places, which must be distinct."""
        return self._combine("multiply", multiply, values)

    @_update
    def divide(self, values: Operand) -> Value:
        """Give the value divided by *values* at these places, which must be distinct."""
        if self.value.spec.dtype.kind != "f":
            raise DTypeError(
                f"at[...].divide: a quotient is a float, which {self.value.spec} can't hold;"
                " convert it with .astype(float) first."
            )
        return self._combine("divide", divide, values)

    @_update
    def min(self, values: Operand) -> Value:
        """Give the value lowered to *values* at these places, which must be distinct."""
        return self._combine("min", minimum, values)

    @_update
    def max(self, values: Operand) -> Value:
        """Give the value raised to *values* at these places, which must be distinct."""
        return self._combine("max", maximum, values)

    def _combine(self, name: str, function: NodeFunction, values: Operand) -> Value:
        where = self._selected(name)
        if not where.unique and all(array.op is CONSTANT for array in where.arrays):
            raise OptionError(
                f"at[...].{name}: an index is repeated; {name} needs distinct places."
            )
        given = self._fitting(name, where, values)
        return self._write(where, function(where.pick(), given), repeats=False)

    def _fitting(self, name: str, where: Selection, values: Operand) -> Value:
        """Give *values* the shape of the places and the dtype of the value."""
        dtype = self.value.spec.dtype
        weak = isinstance(values, (bool, int, float)) and not isinstance(values, np.generic)
        given = as_value(values)
        rank = "biuf".index
        fits = (
            rank(given.spec.dtype.kind) <= rank(dtype.kind.replace("u", "i"))
            if weak
            else np.can_cast(given.spec.dtype, dtype, "same_kind")
        )
        if not fits:
            raise DTypeError(
                f"at[...].{name}: {given.spec} can't be written into {self.value.spec};"
                " convert one of them with .astype(...)."
            )
        given = as_value(values, dtype) if weak else astype(given, dtype)
        try:
            return broadcast_to(given, where.shape)
        except ShapeError as error:
            raise ShapeError(f"the index picks {format_shape(where.shape)}. {error.fact}") from None

    def _write(self, where: Selection, values: Value, *, repeats: bool) -> Value:
        if where.arrays:
            values = scatter_set(
                slice_node(where.base, where.index),
                values,
                *where.arrays,
                axes=where.axes,
                place=where.place,
                unique=where.unique,
                repeats=repeats,
            )
            return self._put_back(where, values)
        return reshape(slice_set(where.base, values, where.index), self.value.spec.shape)

    def _put_back(self, where: Selection, inner: Value) -> Value:
        """Give the value with another one for the view that its arrays index."""
        if not is_whole(where.index, where.base.spec.shape):
            inner = slice_set(where.base, inner, where.index)
        return reshape(inner, self.value.spec.shape)


@dataclass(frozen=True, slots=True)
class _At:
    """Gives the places of a value: ``at(x)[index]``."""

    value: Value

    def __getitem__(self, index: object) -> _Places:
        return _Places(self.value, index)


@public
def at(x: Operand) -> _At:
    """Give functional updates of *x*: ``at(x)[index].set(v)``, also ``x.at[index].set(v)``.

    `set`, `add`, `multiply`, `divide`, `min` and `max` give a new node and leave *x* as it is.
    Where an index is repeated, `add` adds every one, `set` takes the last, which alone gets the
    derivative, and the others refuse.

    >>> at(Value([1.0, 2.0]))[0].set(5.0)
    Value(data=[5. 2.], grad=None)
    """
    return _At(as_value(x))
