"""Random numbers as nodes: streams of draws from a seed.

There is no global state and no seed by default: the same seed gives the same numbers, in any
program, on any machine with the same version of NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .errors import DTypeError, OptionError, ShapeError
from .ir.describe import worded
from .ir.op import Operand
from .ir.value import Value, as_value
from .lengths import Dim, Length
from .ops.arithmetic import add, astype, less, multiply, subtract
from .ops.indexing import take
from .ops.random import random_draw
from .ops.reduce import argmax
from .spec import (
    DType,
    DTypeLike,
    Shape,
    as_dtype,
    as_shape,
    broadcast_shapes,
    differs,
    format_shape,
    normalize_axis,
    product,
)

__all__ = ["Stream", "stream"]

# Of what falls between the bounds, at least this part, or drawing again would take long.
_LEAST_ACCEPTED = 0.01


@dataclass(frozen=True, eq=False, repr=False)
class Stream:
    """A source of random draws; made by `stream`.

    Each draw that is made is a node with numbers of its own. A draw keeps its numbers within a
    call of ``forward`` or of a program, in the backward pass too, and has new ones in the next:
    every call counts the streams that it uses up by one. ``.data`` of a draw shows the numbers of
    the most recent ``forward`` above it; else those of the stream's most recent call, and before
    the first call those that it will draw.

    The shape comes first; parameters have NumPy's names, and may be nodes unless said otherwise,
    through which gradients flow. Without a shape it is that of the parameters, broadcast. The
    dtype is by default that of the parameters that are nodes or float arrays, else float64.

    A stream is copied, pickled and saved with its count of calls, ``counter``.
    """

    seed: int
    counter: Value
    """The variable that counts the calls: int64, without axes."""
    _made: list[int] = field(default_factory=lambda: [0])

    @property
    @worded
    def made(self) -> int:
        """How many draws have been made."""
        return self._made[0]

    @worded
    def normal(
        self,
        shape: object = None,
        loc: Operand = 0.0,
        scale: Operand = 1.0,
        *,
        dtype: DTypeLike | None = None,
    ) -> Value:
        """Draw from the normal distribution.

        >>> stream(7).normal((2, 3)).spec
        float64[2, 3]
        """
        return self._scaled("normal", shape, dtype, loc, scale)

    @worded
    def truncated_normal(
        self,
        shape: object = None,
        loc: Operand = 0.0,
        scale: Operand = 1.0,
        *,
        low: float = -2.0,
        high: float = 2.0,
        dtype: DTypeLike | None = None,
    ) -> Value:
        """Draw from the normal distribution, cut at *low* and *high* times the scale from *loc*.

        The bounds are numbers; an OptionError is raised where less than a hundredth of the
        distribution lies between them.

        >>> bool(abs(stream(7).truncated_normal((100,))).max().data <= 2)
        True
        """
        low, high = float(low), float(high)
        inside = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
        if not inside >= _LEAST_ACCEPTED:
            raise OptionError(
                f"truncated_normal: between low={low:g} and high={high:g} lies less than a"
                " hundredth of the normal distribution."
            )
        return self._scaled("truncated_normal", shape, dtype, loc, scale, (low, high))

    @worded
    def uniform(
        self,
        shape: object = None,
        low: Operand = 0.0,
        high: Operand = 1.0,
        *,
        dtype: DTypeLike | None = None,
    ) -> Value:
        """Draw evenly from *low* up to *high*, which is left out."""
        if _is_number(low) and _is_number(high):
            if not low <= high:  # type: ignore[operator]
                raise OptionError(f"uniform: low is {low}, above high, {high}.")
            return self._scaled("uniform", shape, dtype, low, high - low)  # type: ignore[operator]
        return self._scaled("uniform", shape, dtype, low, subtract(high, low))

    @worded
    def exponential(
        self, shape: object = None, scale: Operand = 1.0, *, dtype: DTypeLike | None = None
    ) -> Value:
        """Draw from the exponential distribution with mean *scale*."""
        return self._scaled("exponential", shape, dtype, 0.0, scale)

    @worded
    def gumbel(
        self,
        shape: object = None,
        loc: Operand = 0.0,
        scale: Operand = 1.0,
        *,
        dtype: DTypeLike | None = None,
    ) -> Value:
        """Draw from the Gumbel distribution: ``loc - scale * log(e)`` of an exponential e."""
        return self._scaled("gumbel", shape, dtype, loc, scale)

    @worded
    def bernoulli(self, shape: object = None, p: Operand = 0.5) -> Value:
        """Draw bools that are True with probability *p*; no gradient flows to *p*.

        >>> stream(7).bernoulli((4,), 0.0)
        Value(data=[False False False False], grad=None)
        """
        if _is_number(p) and not 0 <= p <= 1:  # type: ignore[operator]
            raise OptionError(f"bernoulli: p is a probability, from 0 to 1, got {p}.")
        fitted = _fitted_shape("bernoulli", shape, p)
        drawn = self._draw("uniform", fitted, np.dtype(np.float64))
        result: Value = less(drawn, p)
        return result

    @worded
    def integers(
        self,
        shape: object,
        low: int | Length,
        high: int | Length | None = None,
        *,
        dtype: DTypeLike = np.int64,
    ) -> Value:
        """Draw integers from *low* up to *high*, which is left out; from 0 where only one is given.

        The bounds are integers or lengths, such as ``x.shape[0]``.

        >>> stream(7).integers((4,), 1).data
        array([0, 0, 0, 0])
        """
        start, stop = (0, low) if high is None else (low, high)
        bounds = (_bound("low", start), _bound("high", stop))
        kind = as_dtype(dtype)
        if kind.kind not in "iu":
            raise DTypeError(f"integers: dtype must be an integer type, got {kind.name}.")
        limits = np.iinfo(kind)  # type: ignore[type-var]
        if isinstance(bounds[0], int) and isinstance(bounds[1], int):
            if bounds[0] >= bounds[1]:
                raise OptionError(f"integers: low is {bounds[0]}, not below high, {bounds[1]}.")
            if bounds[0] < limits.min or bounds[1] - 1 > limits.max:
                raise OptionError(
                    f"integers: {bounds[0]} to {bounds[1] - 1} doesn't fit {kind.name}."
                )
        return self._draw("integers", _shape("integers", shape), kind, bounds)

    @worded
    def permutation(self, x: Operand | Length, *, axis: int = 0) -> Value:
        """Shuffle: the numbers below an integer or length *x*, or an array's entries along *axis*.

        >>> sorted(stream(7).permutation(4).data.tolist())
        [0, 1, 2, 3]
        """
        if _is_length(x):
            return self._draw("permutation", (_count("permutation", x),), np.dtype(np.int64))
        node = as_value(x)
        if node.ndim == 0:
            raise ShapeError(
                f"permutation: needs an integer or an axis to shuffle, got {node.spec}."
            )
        axis = normalize_axis(axis, node.ndim)
        places = self._draw("permutation", (node.shape[axis],), np.dtype(np.int64))
        return take(node, places, axis=axis)

    @worded
    def choice(
        self, a: Operand | Length, shape: object = (), *, replace: bool = True, axis: int = 0
    ) -> Value:
        """Pick entries along *axis* of an array, or of the numbers below an integer or length *a*.

        All are equally likely. Without *replace*, no entry comes twice.

        >>> sorted(stream(7).choice([5.0, 6.0, 7.0], 3, replace=False).data.tolist())
        [5.0, 6.0, 7.0]
        """
        node = None if _is_length(a) else as_value(a)
        if node is not None and node.ndim == 0:
            raise ShapeError(f"choice: needs an integer or an axis to pick from, got {node.spec}.")
        if node is None:
            length = _count("choice", a)
        else:
            axis = normalize_axis(axis, node.ndim)
            length = node.shape[axis]
        wanted = _shape("choice", shape)
        if replace:
            places = self._draw("integers", wanted, np.dtype(np.int64), (0, length))
        else:
            number = product(wanted)
            if isinstance(number, int) and isinstance(length, int) and number > length:
                raise OptionError(f"choice: can't pick {number} of {length} without replace.")
            shuffled = self._draw("permutation", (length,), np.dtype(np.int64))
            places = shuffled[:number].reshape(wanted)
        return places if node is None else take(node, places, axis=axis)

    @worded
    def categorical(self, logits: Operand, *, axis: int = -1) -> Value:
        """Draw positions along *axis*, each with the probability that ``softmax(logits)`` gives it.

        By the Gumbel-max trick: the largest of the logits plus Gumbel noise. No gradient flows.

        >>> stream(7).categorical([[0.0, 100.0], [100.0, 0.0]])
        Value(data=[1 0], grad=None)
        """
        node = as_value(logits)
        noisy = self.gumbel(node.shape, node)
        return argmax(noisy, axis=axis)

    def _draw(
        self, distribution: str, shape: Shape, dtype: DType, parameters: tuple[object, ...] = ()
    ) -> Value:
        number = self._made[0]
        self._made[0] += 1
        return random_draw(
            self.counter,
            key=(self.seed, number),
            shape=shape,
            dtype=dtype,
            distribution=distribution,
            parameters=parameters,
        )

    def _scaled(
        self,
        distribution: str,
        shape: object,
        dtype: DTypeLike | None,
        loc: Operand,
        scale: Operand,
        parameters: tuple[object, ...] = (),
    ) -> Value:
        """Draw with location 0 and scale 1, and move and stretch it by ordinary operations."""
        if _is_number(scale) and not scale >= 0:  # type: ignore[operator]
            raise OptionError(f"{distribution}: scale must not be negative, got {scale}.")
        fitted = _fitted_shape(distribution, shape, loc, scale)
        kind = _dtype_beside(loc, scale) if dtype is None else as_dtype(dtype)
        if kind.kind != "f":
            raise DTypeError(f"{distribution}: dtype must be a float type, got {kind.name}.")
        drawn = self._draw(distribution, fitted, kind, parameters)
        if not (_is_number(scale) and scale == 1):
            drawn = multiply(drawn, scale)
        if not (_is_number(loc) and loc == 0):
            drawn = add(loc, drawn)
        return astype(drawn, kind)

    def __repr__(self) -> str:
        return f"<random stream {self.seed}, {self.made} draws, call {int(self.counter.data)}>"


@worded
def stream(seed: int) -> Stream:
    """Start a stream of random draws.

    *seed* is an integer from 0 to 2**64 - 1. Draws are numbered as they are made, so the same
    code with the same seed gives the same numbers.

    >>> rng = stream(7)
    >>> noise = rng.normal((3,))
    >>> bool((noise.forward() == noise.forward()).any())
    False
    """
    if isinstance(seed, (bool, np.bool_)) or not hasattr(seed, "__index__"):
        raise OptionError(f"a seed is an integer, got {seed!r}.")
    number = int(seed.__index__())
    if not 0 <= number < 2**64:
        raise OptionError(f"a seed is an integer from 0 to 2**64 - 1, got {number}.")
    counter = Value(np.int64(0), requires_grad=False, name=f"calls_of_stream_{number}")
    return Stream(number, counter)


def _is_number(operand: object) -> bool:
    return isinstance(operand, (int, float))


def _is_length(operand: object) -> bool:
    return isinstance(operand, (int, np.integer, Length)) and not isinstance(operand, bool)


def _count(name: str, given: object) -> Dim:
    (length,) = _shape(name, (given,))
    return length


def _shape(name: str, shape: object) -> Shape:
    entries = shape if isinstance(shape, (tuple, list)) else (shape,)
    if any(entry is None for entry in entries):
        raise ShapeError(f"{name}: a draw needs known or named lengths, got {shape!r}.")
    try:
        return as_shape(shape)
    except ShapeError as error:
        raise ShapeError(f"{name}: {error}") from None


def _fitted_shape(name: str, shape: object, *parameters: Operand) -> Shape:
    """Give the shape of a draw; the parameters must broadcast to it."""
    shapes = [as_value(parameter).spec.shape for parameter in parameters]
    try:
        joint = broadcast_shapes(*shapes)
        if shape is None:
            return joint
        wanted = _shape(name, shape)
        whole = broadcast_shapes(wanted, joint)
    except ShapeError as error:
        raise error if str(error).startswith(name) else ShapeError(f"{name}: {error}") from None
    if len(whole) != len(wanted) or any(map(differs, whole, wanted)):
        raise ShapeError(
            f"{name}: parameters of shape {format_shape(joint)} don't broadcast to"
            f" {format_shape(wanted)}."
        )
    return wanted


def _dtype_beside(*parameters: Operand) -> DType:
    """Give the joint float dtype of the parameters that have one, else float64."""
    dtypes = [
        as_value(parameter).spec.dtype
        for parameter in parameters
        if not isinstance(parameter, (int, float, Length)) or isinstance(parameter, np.generic)
    ]
    floats = [dtype for dtype in dtypes if dtype.kind == "f"]
    return np.result_type(*floats) if floats else np.dtype(np.float64)


def _bound(name: str, bound: object) -> int | Length:
    if isinstance(bound, Length):
        return bound
    if isinstance(bound, (bool, Value)) or not hasattr(bound, "__index__"):
        what = f"a {bound.spec} node" if isinstance(bound, Value) else repr(bound)
        raise OptionError(f"integers: {name} must be an integer or a length, got {what}.")
    convert: Callable[[], int] = bound.__index__
    return int(convert())
