"""Products that contract axes: matmul and its relatives.

Whatever pairs axes of two operands becomes one matrix product, so that BLAS does the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from ..errors import DTypeError, GraphError, OptionError, ShapeError
from ..ir.describe import located
from ..ir.op import OUT, Array, Attrs, Call, In, Notation, Operand, implements, public
from ..ir.value import Value, as_value
from ..lengths import Dim, collecting, same
from ..spec import Spec, broadcast_shapes, format_shape, normalize_axes, normalize_axis, product
from .arithmetic import multiply
from .batching import aligned, batch_by_broadcasting
from .forms import NodeFunction, bilinear
from .shape import expand_dims, matrix_transpose, reshape, squeeze, transpose

__all__ = [
    "contract",
    "cross",
    "dot",
    "inner",
    "kron",
    "matmul",
    "outer",
    "tensordot",
    "vdot",
    "vecdot",
]


def _matmul_infer(a: Spec, b: Spec) -> Spec:
    if not same(a.shape[-1], b.shape[-2]):
        raise ShapeError(_inner_lengths(a.shape[-1], b.shape[-2]))
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return Spec((*batch, a.shape[-2], b.shape[-1]), product_dtype("matmul", a, b))


def _inner_lengths(a: Dim, b: Dim) -> str:
    return f"inner lengths differ, {a} and {b}."


def product_dtype(name: str, a: Spec, b: Spec) -> np.dtype[np.generic]:
    """Dtype of a sum of products, as NumPy's matmul has it."""
    try:
        result: np.dtype[np.generic] = np.matmul.resolve_dtypes((a.dtype, b.dtype, None))[-1]
    except TypeError:
        raise DTypeError(f"there is no {name} of {a.dtype.name} and {b.dtype.name}.") from None
    return result


def _matmul_call(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
    # np.dot reaches BLAS with half the overhead of np.matmul, and takes the same dtype only.
    a, b = specs
    if a.dtype != spec.dtype or b.dtype != spec.dtype or b.ndim != 2:
        return Call(np.matmul, (In(0), In(1), OUT))
    return Call(np.dot if a.ndim == 2 else _dot_of_rows, (In(0), In(1), OUT))


def _dot_of_rows(a: Array, b: Array, out: Array) -> None:
    """Multiply a stack with one matrix in one BLAS call, where np.matmul makes one per entry."""
    if a.size and out.size and a.flags.c_contiguous:
        np.dot(a.reshape(-1, a.shape[-1]), b, out.reshape(-1, out.shape[-1]))
    else:
        np.matmul(a, b, out)


def _rows(x: Value) -> Value:
    return reshape(x, (product(x.shape[:-1]), x.shape[-1]))


def _matmul_right(g: Value, a: Value, b: Value) -> Value:
    if b.ndim == 2 and a.ndim > 2:
        # One product instead of a stack of them that would be summed away.
        return _matmul(matrix_transpose(_rows(a)), _rows(g))
    return _matmul(matrix_transpose(a), g)


def _batched_matmul(is_batched: Sequence[bool], a: Value, b: Value) -> Value:
    """Multiply stacks; one matrix times a stack is one product with the stack laid side by side."""
    if is_batched[0] or a.ndim != 2 or b.ndim != 3:
        a, b = aligned(is_batched, (a, b))
        return _matmul(a, b)
    count, inner, columns = b.shape
    rows = reshape(matrix_transpose(b), (count * columns, inner))
    return matrix_transpose(reshape(_matmul(rows, a.T), (count, columns, a.shape[0])))


_matmul: NodeFunction = bilinear(
    "matmul",
    np.matmul,
    infer=_matmul_infer,
    # Broadcast batch axes are summed away by the reverse walk.
    transpose=(lambda g, a, b: _matmul(g, matrix_transpose(b)), _matmul_right),
    batch=_batched_matmul,
    call=_matmul_call,
    cost=lambda out, a, b: 2 * product(out.shape) * a.shape[-1],
    notation=Notation("{x:3} @ {y:4}", r"{x:4} \, {y:4}", 3, 4),
    array_api="matmul",
    doc="The matrix product over the last two axes.",
)


def _refuse(name: str, text: str, *operands: Value) -> NoReturn:
    raise located(ShapeError(text), name, operands)


def _need_axes(name: str, counts: Sequence[int], operands: Sequence[Value]) -> None:
    for node, count in zip(operands, counts, strict=True):
        if node.ndim < count:
            least = "at least one axis" if count == 1 else "at least two axes"
            hint = "; use * for scalars" if count == 1 and node.ndim == 0 else ""
            _refuse(name, f"an operand needs {least}, got {node.spec}{hint}.", *operands)


def _stacked(name: str, a: Value, b: Value, a_is_vector: bool, b_is_vector: bool) -> Value:
    """Multiply stacks of matrices, or of vectors where the last axis is all that is one."""
    first, second = a.shape[-1], b.shape[-1 if b_is_vector else -2]
    if not same(first, second):
        _refuse(name, _inner_lengths(first, second), a, b)
    left = expand_dims(a, -2) if a_is_vector else a
    right = expand_dims(b, -1) if b_is_vector else b
    if a_is_vector or b_is_vector:
        try:
            broadcast_shapes(left.shape[:-2], right.shape[:-2])
        except ShapeError as error:
            raise located(error, name, (a, b)) from None
    result = _matmul(left, right)
    dropped = (-2,) * a_is_vector + (-1,) * b_is_vector
    return squeeze(result, dropped) if dropped else result


@implements(np.matmul, np.linalg.matmul)
def matmul(x1: Operand, x2: Operand) -> Value:
    """Multiply matrices, with NumPy's rules for vectors and leading axes.

    >>> matmul(Value([[1.0, 2.0]]), Value([3.0, 4.0]))
    Value(data=[11.], grad=None)
    """
    a, b = as_value(x1), as_value(x2)
    _need_axes("matmul", (1, 1), (a, b))
    return _stacked("matmul", a, b, a.ndim == 1, b.ndim == 1)


def as_matrix(x: Value, rows: Sequence[int], columns: Sequence[int]) -> Value:
    """Merge axes of *x* into the rows and columns of one matrix, as a view where that is one."""
    shape = x.shape
    height, width = (product(shape[axis] for axis in axes) for axes in (rows, columns))
    if _is_in_order(x, (*columns, *rows)) and not _is_in_order(x, (*rows, *columns)):
        # The transpose of a matrix is a view, and BLAS reads it as it is.
        return matrix_transpose(reshape(x, (width, height)))
    return reshape(transpose(x, (*rows, *columns)), (height, width))


def _is_in_order(x: Value, axes: Sequence[int]) -> bool:
    moved = [axis for axis in axes if x.shape[axis] != 1]
    return moved == sorted(moved)


def _copies(x: Value, free: Sequence[int], contracted: Sequence[int]) -> int:
    is_view = _is_in_order(x, (*free, *contracted)) or _is_in_order(x, (*contracted, *free))
    return 0 if is_view else 1


def pair_axes(name: str, a: Value, b: Value, pairs: Sequence[tuple[int, int]]) -> Value:
    """Sum products over pairs of axes; the axes left are those of *a*, then those of *b*."""
    with collecting() as assumed:
        for i, j in pairs:
            if not same(a.shape[i], b.shape[j]):
                _refuse(
                    name,
                    f"axis {i} of the first has length {a.shape[i]}, axis {j} of the second,"
                    f" which is paired with it, {b.shape[j]}.",
                    a,
                    b,
                )
    free_a = [axis for axis in range(a.ndim) if axis not in [i for i, _ in pairs]]
    free_b = [axis for axis in range(b.ndim) if axis not in [j for _, j in pairs]]
    # The order of the pairs is ours to choose: the one with which fewer operands are copied.
    orders = [sorted(pairs, key=lambda pair: pair[side]) for side in (0, 1)]
    chosen = min(
        orders,
        key=lambda order: (
            _copies(a, free_a, [i for i, _ in order]) + _copies(b, free_b, [j for _, j in order])
        ),
    )
    left = as_matrix(a, free_a, [i for i, _ in chosen])
    right = as_matrix(b, [j for _, j in chosen], free_b)
    shape = (*(a.shape[axis] for axis in free_a), *(b.shape[axis] for axis in free_b))
    return reshape(assuming(_matmul(left, right), assumed), shape)


def assuming(node: Value, pairs: Sequence[tuple[Dim, Dim]]) -> Value:
    """Let a node just made carry equalities of lengths that merging its axes would blur."""
    if pairs:
        node.assumptions = (*node.assumptions, *pairs)
    return node


def _read_axes(name: str, node: Value, axes: object) -> tuple[int, ...]:
    try:
        return normalize_axes(axes, node.ndim)
    except GraphError as error:
        raise located(error, name, (node,)) from None


def _check_count(name: str, count: int, a: Value, b: Value) -> None:
    if not 0 <= count <= min(a.ndim, b.ndim):
        raise located(
            OptionError(f"{count} axes can't be paired, the operands have {a.ndim} and {b.ndim}."),
            name,
            (a, b),
        )


@implements(np.tensordot, np.linalg.tensordot)
def tensordot(a: Operand, b: Operand, axes: object = 2) -> Value:
    """Sum products over axes of *a* and *b*, with NumPy's meaning of *axes*.

    An integer n pairs the last n axes of *a* with the first n of *b*, in order; ``(i, j)`` pairs
    axis or axes i of *a* with j of *b*. See `contract` for the other pairing in use.

    >>> tensordot(Value([1.0, 2.0]), Value([3.0, 4.0]), axes=1)
    Value(data=11.0, grad=None)
    """
    left, right = as_value(a), as_value(b)
    if isinstance(axes, (tuple, list)):
        if len(axes) != 2:
            raise OptionError(f"tensordot: axes must be a number or two sequences, got {axes!r}.")
        first = _read_axes("tensordot", left, axes[0])
        second = _read_axes("tensordot", right, axes[1])
        if len(first) != len(second):
            raise OptionError(
                f"tensordot: {len(first)} axes can't be paired with {len(second)}, got {axes!r}."
            )
        return pair_axes("tensordot", left, right, list(zip(first, second, strict=True)))
    count = _count("tensordot", axes)
    _check_count("tensordot", count, left, right)
    start = left.ndim - count
    return pair_axes("tensordot", left, right, [(start + i, i) for i in range(count)])


def _count(name: str, count: object) -> int:
    if isinstance(count, (bool, np.bool_)) or not hasattr(count, "__index__"):
        raise OptionError(f"{name}: a number of axes must be an integer, got {count!r}.")
    return int(count.__index__())


@public
def contract(a: Operand, b: Operand, n: int) -> Value:
    """Sum products over n axes of each: the last of *a* with the first of *b*, and so inwards.

    The next-to-last axis of *a* goes with the second of *b*, where `tensordot` keeps the order;
    up to one axis the two agree. With n = 0 this is the outer product, also of scalars.

    >>> contract(Value([[1.0, 2.0], [3.0, 4.0]]), Value([[1.0, 0.0], [10.0, 0.0]]), 2)
    Value(data=21.0, grad=None)
    """
    left, right = as_value(a), as_value(b)
    count = _count("contract", n)
    _check_count("contract", count, left, right)
    return pair_axes("contract", left, right, [(left.ndim - 1 - i, i) for i in range(count)])


@implements(np.dot)
def dot(a: Operand, b: Operand) -> Value:
    """Multiply as np.dot does: the last axis of *a* with the last but one (or only one) of *b*.

    >>> dot(Value([1.0, 2.0]), Value([3.0, 4.0]))
    Value(data=11.0, grad=None)
    """
    left, right = as_value(a), as_value(b)
    if left.ndim == 0 or right.ndim == 0:
        return multiply(left, right)
    if right.ndim == 1 or (left.ndim <= 2 and right.ndim == 2):
        return _stacked("dot", left, right, left.ndim == 1, right.ndim == 1)
    return pair_axes("dot", left, right, [(left.ndim - 1, right.ndim - 2)])


@implements(np.inner)
def inner(a: Operand, b: Operand) -> Value:
    """Sum products over the last axes of *a* and *b*."""
    left, right = as_value(a), as_value(b)
    if left.ndim == 0 or right.ndim == 0:
        return multiply(left, right)
    return pair_axes("inner", left, right, [(left.ndim - 1, right.ndim - 1)])


def _flat(x: Value) -> Value:
    return reshape(x, (product(x.shape),))


@implements(np.outer, np.linalg.outer)
def outer(a: Operand, b: Operand) -> Value:
    """Multiply every element of *a* with every element of *b*, both read as vectors.

    >>> outer(Value([1.0, 2.0]), Value([3.0, 4.0]))
    Value(data=[[3. 4.]
                [6. 8.]], grad=None)
    """
    return multiply(expand_dims(_flat(as_value(a)), 1), expand_dims(_flat(as_value(b)), 0))


@implements(np.vdot)
def vdot(a: Operand, b: Operand) -> Value:
    """Sum the products of the elements of *a* and *b*, both read as vectors."""
    left, right = as_value(a), as_value(b)
    sizes = product(left.shape), product(right.shape)
    if not same(*sizes):
        _refuse("vdot", f"the operands have {sizes[0]} and {sizes[1]} elements.", left, right)
    return _stacked("vdot", _flat(left), _flat(right), True, True)


def _moved_last(name: str, x: Value, axis: object) -> Value:
    try:
        place = normalize_axis(axis, x.ndim)
    except GraphError as error:
        raise located(error, name, (x,)) from None
    return transpose(x, (*(i for i in range(x.ndim) if i != place), place))


def _numpy_has(name: str) -> list[object]:
    """Find a function that NumPy has in some versions: matvec and vecmat from 2.2 on."""
    return [getattr(owner, name) for owner in (np, np.linalg) if hasattr(owner, name)]


@implements(*_numpy_has("vecdot"))
def vecdot(x1: Operand, x2: Operand, axis: int = -1) -> Value:
    """Sum the products of *x1* and *x2* along *axis*; the other axes broadcast.

    >>> vecdot(Value([[1.0, 2.0], [3.0, 4.0]]), Value([1.0, 10.0]))
    Value(data=[21. 43.], grad=None)
    """
    a, b = as_value(x1), as_value(x2)
    _need_axes("vecdot", (1, 1), (a, b))
    a, b = (_moved_last("vecdot", x, axis) for x in (a, b))
    return _stacked("vecdot", a, b, True, True)


@implements(*_numpy_has("matvec"))
def matvec(x1: Operand, x2: Operand) -> Value:
    """Multiply matrices with vectors; leading axes broadcast."""
    a, b = as_value(x1), as_value(x2)
    _need_axes("matvec", (2, 1), (a, b))
    return _stacked("matvec", a, b, False, True)


@implements(*_numpy_has("vecmat"))
def vecmat(x1: Operand, x2: Operand) -> Value:
    """Multiply vectors with matrices; leading axes broadcast."""
    a, b = as_value(x1), as_value(x2)
    _need_axes("vecmat", (1, 2), (a, b))
    return _stacked("vecmat", a, b, True, False)


@implements(np.kron)
def kron(a: Operand, b: Operand) -> Value:
    """Replace each element of *a* by its product with all of *b* (the Kronecker product).

    >>> kron(Value([1.0, 10.0]), Value([1.0, 2.0]))
    Value(data=[ 1.  2. 10. 20.], grad=None)
    """
    left, right = as_value(a), as_value(b)
    ndim = max(left.ndim, right.ndim)
    first = (*(1,) * (ndim - left.ndim), *left.shape)
    second = (*(1,) * (ndim - right.ndim), *right.shape)
    blocks = multiply(
        reshape(left, [entry for length in first for entry in (length, 1)]),
        reshape(right, [entry for length in second for entry in (1, length)]),
    )
    return reshape(blocks, [i * j for i, j in zip(first, second, strict=True)])


def _cross_infer(a: Spec, b: Spec) -> Spec:
    for spec in (a, b):
        if not spec.shape or not same(spec.shape[-1], 3):
            raise ShapeError(
                f"vectors must have 3 components, got shapes {format_shape(a.shape)}"
                f" and {format_shape(b.shape)}."
            )
    batch = broadcast_shapes(a.shape[:-1], b.shape[:-1])
    dtype = np.result_type(a.dtype, b.dtype)
    if dtype.kind == "b":
        raise DTypeError("bools can't be subtracted.")
    return Spec((*batch, 3), dtype)


def _cross_kernel(a: Array, b: Array, out: Array) -> None:
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        component = out[..., k]
        np.multiply(a[..., i], b[..., j], out=component)
        np.subtract(component, a[..., j] * b[..., i], out=component)


_cross: NodeFunction = bilinear(
    "cross",
    _cross_kernel,
    infer=_cross_infer,
    # The triple product g . (a x b) is unchanged when its three vectors are rotated.
    transpose=(lambda g, a, b: _cross(b, g), lambda g, a, b: _cross(g, a)),
    cost=lambda out, a, b: 3 * product(out.shape),
    batch=batch_by_broadcasting("cross"),
    doc="The cross product of 3-vectors along the last axis.",
)


@implements(np.cross, np.linalg.cross)
def cross(
    a: Operand,
    b: Operand,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Value:
    """Give the cross product of vectors with three components; the other axes broadcast.

    >>> cross(Value([1.0, 0.0, 0.0]), Value([0.0, 1.0, 0.0]))
    Value(data=[0. 0. 1.], grad=None)
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    left, right = as_value(a), as_value(b)
    _need_axes("cross", (1, 1), (left, right))
    for node, place in ((left, axisa), (right, axisb)):
        length = node.shape[_read_axes("cross", node, place)[0]]
        if not same(length, 3):
            _refuse("cross", f"vectors must have 3 components, got {length}.", left, right)
    result = _cross(_moved_last("cross", left, axisa), _moved_last("cross", right, axisb))
    target = _read_axes("cross", result, axisc)[0]
    order = list(range(result.ndim - 1))
    order.insert(target, result.ndim - 1)
    return transpose(result, tuple(order))
