"""The rewrite tables, by what they promise of every value that they touch.

`EXACT`: the same bits, for every float, infinities and signed zeros included; NaN stays NaN,
though its own sign may change. `STABLE`: no less accurate, and finite where the pattern overflows.
`FAST`, off unless asked for: rounding may change, and NaN or the sign of a zero may be lost.

More particular rules stand first. A rule between two expressions needs only its line here; one
about attributes has a function below the tables' imports.
"""

from __future__ import annotations

import math

import numpy as np

from ..ir.value import Value
from ..lengths import Length
from ..ops.activations import sigmoid, softplus
from ..ops.arithmetic import (
    absolute,
    add,
    astype,
    divide,
    fabs,
    fmax,
    fmin,
    invert,
    less,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    multiply,
    negative,
    positive,
    power,
    reciprocal,
    relu,
    square,
    where,
)
from ..ops.control import copy, stop_gradient
from ..ops.elementary import exp, expm1, log, log1p, sqrt
from ..ops.probabilities import log_softmax, softmax
from ..ops.reduce import sum as sum_axes
from ..ops.shape import broadcast_to, flip, reshape, transpose
from .rewrite import Rule, built, rule, wildcard
from .uniform import full, number_of

__all__ = ["EXACT", "FAST", "STABLE"]

x, y, z = wildcard("x"), wildcard("y"), wildcard("z")
condition = wildcard("condition", dtype=np.bool_)
integer = wildcard("x", dtype=np.int64)
row, matrix = wildcard("x", shape=(2,)), wildcard("x", shape=(2, 3))
c, d = wildcard("c", fixed=True), wildcard("d", fixed=True)
unsigned = wildcard("x", where=lambda x: _never_negative_zero(x))
real = wildcard("x", where=lambda x: x.spec.dtype.kind == "f")


# Operations whose result is never -0.0, and those where it isn't if no operand's is.
_UNSIGNED = frozenset({"absolute", "fabs", "square", "exp", "exp2", "sigmoid", "softplus"})
_KEEP_UNSIGNED = frozenset({"add", "sum", "sqrt", "reshape", "permute", "broadcast_to"})
_DEPTH = 4


def _never_negative_zero(x: Value, depth: int = _DEPTH) -> bool:
    """Whether a node is known never to hold -0.0, to which adding 0 makes a difference."""
    if x.spec.dtype.kind != "f" or x.op.name in _UNSIGNED:
        return True
    if x.op.name == "multiply" and x.operands[0] is x.operands[1]:
        return True
    return (
        depth > 0
        and x.op.name in _KEEP_UNSIGNED
        and all(_never_negative_zero(operand, depth - 1) for operand in x.operands)
    )


# Operations whose result is never below zero, and those where it isn't if no operand is.
_NONNEGATIVE = frozenset({*_UNSIGNED, "sqrt", "relu"})
_KEEP_NONNEGATIVE = frozenset({*_KEEP_UNSIGNED, "multiply", "divide", "max", "maximum", "minimum"})


def _never_below(x: Value, c: Value) -> bool:
    """Whether a node is known to be NaN or at least the number c, which is 0 or less."""
    return (number_of(c) or 0) <= 0 and x.spec.dtype.kind == "f" and _never_negative(x, _DEPTH)


def _never_negative(x: Value, depth: int) -> bool:
    if x.op.name in _NONNEGATIVE:
        return True
    if x.op.name == "multiply" and x.operands[0] is x.operands[1]:
        return True
    number = number_of(x)
    if number is not None:
        return number >= 0
    return (
        depth > 0
        and x.op.name in _KEEP_NONNEGATIVE
        and all(_never_negative(operand, depth - 1) for operand in x.operands)
    )


def _alike(x: Value, **others: Value) -> bool:
    """Whether all have one dtype: the negative of a smaller integer may wrap around."""
    return all(other.spec.dtype == x.spec.dtype for other in others.values())


def _alike_floats(x: Value, **others: Value) -> bool:
    """Whether all have one dtype, and that of floats."""
    return x.spec.dtype.kind == "f" and _alike(x, **others)


def _equally_shaped(x: Value, y: Value) -> bool:
    """Whether both are floats of one dtype and shape: a sign never moves to a larger array."""
    return _alike_floats(x, y=y) and x.spec.shape == y.spec.shape


def _inverts_exactly(x: Value, c: Value) -> bool:
    """Whether multiplying by 1 / c gives the bits of dividing by c: c is a power of two."""
    number = number_of(c)
    if c.spec.dtype.kind != "f" or x.spec.dtype != c.spec.dtype or not number:
        return False
    if not math.isfinite(number) or abs(math.frexp(number)[0]) != 0.5:
        return False
    smallest = float(np.finfo(c.spec.dtype).smallest_normal)  # type: ignore[type-var]
    return smallest <= abs(1 / number) <= 1 / smallest and abs(number) >= smallest


def _is_float_constant(x: Value, c: Value) -> bool:
    """Whether c is a float other than zero, of x's dtype."""
    return c.spec.dtype == x.spec.dtype and c.spec.dtype.kind == "f" and bool(number_of(c))


def _merged_permutes(node: Value, x: Value) -> Value | None:
    inner, outer = node.operands[0].attrs["axes"], node.attrs["axes"]
    axes = tuple(inner[axis] for axis in outer)
    return x if axes == tuple(range(len(axes))) else built(node, node.op, x, axes=axes)


def _merged_shapes(node: Value, x: Value) -> Value:
    return built(node, node.op, x, **node.attrs)


def _same_shape(node: Value, x: Value) -> Value | None:
    return x if node.spec.shape == x.spec.shape else None


def _same_dtype(node: Value, x: Value) -> Value | None:
    return x if node.spec.dtype == x.spec.dtype else None


def _identity_permute(node: Value, x: Value) -> Value | None:
    axes = node.attrs["axes"]
    return x if axes == tuple(range(len(axes))) else None


def _widening_once(node: Value, x: Value) -> Value | None:
    first, between, last = x.spec.dtype, node.operands[0].spec.dtype, node.spec.dtype
    if not np.can_cast(first, between, "safe"):
        return None
    # A float holds all integers of half its width; NumPy calls it safe for those of its own.
    if between.kind == "f" and first.kind in "iu" and first.itemsize >= between.itemsize:
        return None
    # How floats out of range become integers depends on the width.
    if between.kind == "f" and last.kind in "iu":
        return None
    return built(node, node.op, x, dtype=last)


def _flipped_twice(node: Value, x: Value) -> Value | None:
    return x if node.attrs == node.operands[0].attrs else None


def _sum_over_nothing(node: Value, x: Value) -> Value | None:
    return x if node.attrs["axes"] == () and node.spec == x.spec else None


def _log_of_softmax(node: Value, x: Value) -> Value:
    return built(node, log_softmax(row).op, x, **node.operands[0].attrs)


def _sum_of_zeros(node: Value, x: Value) -> Value | None:
    number = number_of(x)
    is_zero = number == 0 and math.copysign(1.0, number) == 1.0
    return _uniform(node, 0) if is_zero else None


def _repeated(node: Value, c: Value) -> Value | None:
    number = number_of(c)
    return None if number is None or c.spec.dtype != node.spec.dtype else _uniform(node, number)


def _uniform(node: Value, number: float) -> Value | None:
    """Give one number everywhere in the place of *node*, whose lengths must not depend on data."""
    if any(isinstance(n, Length) and n.is_data_dependent for n in node.spec.shape):
        return None
    return full(node, number)


EXACT: tuple[Rule, ...] = (
    # Arithmetic with the numbers that change nothing.
    rule("times one", x * 1, x),
    rule("over one", x / 1, x),
    rule("minus zero", x - 0.0, x),
    rule("plus negative zero", x + -0.0, x),
    rule("plus zero", unsigned + 0.0, x),
    rule("to the power one", power(x, 1.0), x),
    rule("positive", positive(x), x),
    rule("copy", copy(x), x),
    rule("stop gradient", stop_gradient(x), x),
    # Signs.
    rule("two signs", negative(negative(x)), x),
    rule("plus a negative", x + negative(y), x - y, where=_alike),
    rule("minus a negative", x - negative(y), x + y, where=_alike),
    rule("two signs in a product", negative(x) * negative(y), x * y, where=_alike),
    rule("one sign in a product", negative(x) * y, negative(x * y), where=_equally_shaped),
    rule("two signs in a quotient", negative(x) / negative(y), x / y, where=_alike_floats),
    rule("sign of a multiple", negative(multiply(c, x)), multiply(negative(c), x), where=_alike),
    rule("multiple of a sign", multiply(c, negative(x)), multiply(negative(c), x), where=_alike),
    rule("sign of a quotient", negative(x / c), x / negative(c), where=_alike_floats),
    rule("times minus one", real * -1.0, negative(x)),
    rule("absolute of a sign", absolute(negative(real)), absolute(x)),
    rule("square of a sign", square(negative(x)), square(x)),
    rule("square of an absolute", square(absolute(x)), square(x)),
    # Doing it again.
    rule("absolute twice", absolute(absolute(x)), absolute(x)),
    rule("fabs of an absolute", fabs(absolute(x)), absolute(x)),
    rule("relu twice", relu(relu(x)), relu(x)),
    rule("maximum of one", maximum(x, x), x),
    rule("minimum of one", minimum(x, x), x),
    rule("fmax of one", fmax(x, x), x),
    rule("fmin of one", fmin(x, x), x),
    rule("and of one", logical_and(condition, condition), condition),
    rule("or of one", logical_or(condition, condition), condition),
    rule("not twice", logical_not(logical_not(condition)), condition),
    rule("invert twice", invert(invert(integer)), integer),
    # Choices.
    rule("either way", where(condition, x, x), x),
    rule("always", where(True, x, y), x),
    rule("never", where(False, x, y), y),
    rule("always a number", where(True, c, y), lambda node, c, y: _repeated(node, c)),
    rule("never another", where(False, x, c), lambda node, x, c: _repeated(node, c)),
    rule("where not", where(logical_not(condition), x, y), where(condition, y, x)),
    rule("where not in bits", where(invert(condition), x, y), where(condition, y, x)),
    rule("same choice first", where(condition, where(condition, x, y), z), where(condition, x, z)),
    rule("same choice last", where(condition, x, where(condition, y, z)), where(condition, x, z)),
    rule("never below", less(x, c), lambda node, x, c: _uniform(node, 0), where=_never_below),
    # Division by a power of two.
    rule("over a power of two", divide(x, c), multiply(x, reciprocal(c)), where=_inverts_exactly),
    # Shapes and dtypes.
    rule("permutes", transpose(transpose(matrix)), _merged_permutes),
    rule("reshapes", reshape(reshape(matrix, (3, 2)), (6,)), _merged_shapes),
    rule("broadcasts", broadcast_to(broadcast_to(row, (3, 2)), (4, 3, 2)), _merged_shapes),
    rule("own shape", reshape(matrix, (6,)), _same_shape),
    rule("own broadcast", broadcast_to(row, (3, 2)), _same_shape),
    rule("own order", transpose(matrix), _identity_permute),
    rule("own dtype", astype(x, np.float32), _same_dtype),
    rule("widened on the way", astype(astype(x, np.float32), np.float16), _widening_once),
    rule("flips", flip(flip(row)), _flipped_twice),
    rule("sum over nothing", sum_axes(row, ()), _sum_over_nothing),
    rule("sum of zeros", sum_axes(row, (0,)), _sum_of_zeros),
)

STABLE: tuple[Rule, ...] = (
    rule("softplus", log(1 + exp(x)), softplus(x)),
    rule("softplus by log1p", log1p(exp(x)), softplus(x)),
    rule("gradient of softplus", y / (1 + exp(x)) * exp(x), y * sigmoid(x)),
    rule("sigmoid", 1 / (1 + exp(negative(x))), sigmoid(x)),
    rule("sigmoid by reciprocal", reciprocal(1 + exp(negative(x))), sigmoid(x)),
    rule("sigmoid of exponentials", exp(x) / (1 + exp(x)), sigmoid(x)),
    rule("log of softmax", log(softmax(row)), _log_of_softmax),
    rule("log of sigmoid", log(sigmoid(x)), negative(softplus(negative(x)))),
    rule("log of the rest of sigmoid", log(1 - sigmoid(x)), negative(softplus(x))),
    rule("log of one plus", log(1 + real), log1p(x)),
    rule("log of one minus", log(1 - real), log1p(negative(x))),
    rule("exponential less one", exp(real) - 1, expm1(x)),
    rule("log of exponential", log(exp(real)), x),
    rule("root of a square", sqrt(square(real)), absolute(x)),
    rule("root of a product", sqrt(real * real), absolute(x)),
    rule("to the power two", power(real, 2.0), square(x)),
    rule("to the power three", power(real, 3.0), square(x) * x),
    rule("to the power minus one", power(real, -1.0), reciprocal(x)),
)

FAST: tuple[Rule, ...] = (
    rule("plus zero", x + 0.0, x),
    rule("zero times", x * 0.0, lambda node, x: _uniform(node, 0)),
    rule("minus itself", x - x, lambda node, x: _uniform(node, 0)),
    rule("over itself", x / x, lambda node, x: _uniform(node, 1)),
    rule("exponential of log", exp(log(real)), x),
    rule("root", power(real, 0.5), sqrt(x)),
    rule("multiples", multiply(c, multiply(d, real)), multiply(c * d, x)),
    rule("sums with numbers", add(c, add(d, real)), add(c + d, x)),
    rule("over a number", divide(x, c), multiply(x, reciprocal(c)), where=_is_float_constant),
)
