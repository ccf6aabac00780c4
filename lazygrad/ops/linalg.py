"""Linear algebra on stacks of matrices: systems, inverses, determinants and powers.

Matrices stand in the last two axes. Integers become float64, as in NumPy. A matrix that LAPACK
refuses raises NumPy's LinAlgError when the graph runs.

The derivatives are those of Giles, "An extended collection of matrix derivative results for
forward and reverse mode algorithmic differentiation" (2008), where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ..errors import DTypeError, OptionError, ShapeError
from ..ir.describe import located
from ..ir.op import NUMPY_FUNCTIONS, Array, Operand, call, implements
from ..ir.value import Value, as_value, item
from ..lengths import Dim, same
from ..spec import Spec, broadcast_shapes, format_shape, product
from .arithmetic import astype, zeros_like
from .batching import batch_by_broadcasting, batch_by_repeating
from .forms import NodeFunction, general
from .products import matmul
from .reduce import sum as sum_axes
from .shape import expand_dims, matrix_transpose, squeeze
from .triangles import identity_matrices

__all__ = ["det", "inv", "slogdet", "solve"]

_ASSUMED_LENGTH = 256
"""What a symbolic length counts as when orders of a chain are compared."""

Parts: TypeAlias = "tuple[Value | None, ...]"


class SlogdetResult(NamedTuple):
    """Sign of a determinant and logarithm of its absolute value."""

    sign: Value
    logabsdet: Value


def lapack_floats(name: str, *operands: Operand) -> list[Value]:
    """Give operands the float dtype that LAPACK works in."""
    nodes = [as_value(operand) for operand in operands]
    for node in nodes:
        if node.dtype.kind == "f" and node.dtype.itemsize not in (4, 8):
            error = DTypeError(f"LAPACK has no {node.dtype.name}; use float32 or float64.")
            raise located(error, name, nodes)
    single = all(node.dtype == np.float32 for node in nodes)
    return [astype(node, np.float32 if single else np.float64) for node in nodes]


def need_matrix(name: str, node: Value) -> None:
    """Refuse a node with fewer than two axes."""
    if node.ndim < 2:
        raise located(ShapeError(f"needs a matrix, got {node.spec}."), name, (node,))


def square_length(x: Spec) -> Dim:
    """Give the length of the sides of square matrices, and refuse others."""
    if len(x.shape) < 2 or not same(x.shape[-1], x.shape[-2]):
        raise ShapeError(f"needs square matrices, got shape {format_shape(x.shape)}.")
    return x.shape[-1]


def same_square(x: Spec, **attrs: object) -> Spec:
    """Infer, for functions from square matrices to matrices of the same size."""
    square_length(x)
    return x


def cubic_cost(out: object, *specs: Spec, **attrs: object) -> Dim:
    """Give the cost of work in proportion to the third power of the side."""
    shape = specs[0].shape
    return product(shape) * shape[-1]


_T = matrix_transpose


def _inner(x: Value, y: Value) -> Value:
    """Sum of elementwise products over the last two axes."""
    return sum_axes(x * y, axis=(-2, -1))


def _over_matrix(x: Value) -> Value:
    return expand_dims(x, (-2, -1))


# Systems and inverses


def _solve_infer(a: Spec, b: Spec) -> Spec:
    n = square_length(a)
    if not same(n, b.shape[-2]):
        raise ShapeError(f"the matrix has {n} rows and the right side {b.shape[-2]}.")
    return Spec((*broadcast_shapes(a.shape[:-2], b.shape[:-2]), n, b.shape[-1]), a.dtype)


def _solve_kernel(a: Array, b: Array, out: Array) -> None:
    if a.ndim > 2 or b.ndim == 2 or b.size == 0:
        np.copyto(out, np.linalg.solve(a, b))
        return
    # One matrix for a stack of right sides: factorized once, with all of them as columns.
    columns = np.moveaxis(b, -2, 0)
    solved = np.linalg.solve(a, columns.reshape(len(a), -1))
    np.copyto(out, np.moveaxis(solved.reshape(columns.shape), 0, -2))


def _solve_vjp(g: Value, y: Value, a: Value, b: Value) -> Parts:
    right = _solve(_T(a), g)
    return -matmul(right, _T(y)), right


def _solve_jvp(tangents: Parts, y: Value, a: Value, b: Value) -> Value | None:
    of_a, of_b = tangents
    right = None if of_a is None else -matmul(of_a, y)
    if of_b is not None:
        right = of_b if right is None else of_b + right
    return None if right is None else _solve(a, right)


_solve: NodeFunction = general(
    "solve",
    _solve_kernel,
    infer=_solve_infer,
    vjp=_solve_vjp,
    jvp=_solve_jvp,
    cost=cubic_cost,
    batch=batch_by_broadcasting("solve"),
    doc="The solution x of a @ x = b.",
)


@implements(np.linalg.solve)
def solve(a: Operand, b: Operand) -> Value:
    """Solve ``a @ x = b``; *b* is a vector if it has one axis, else matrices; the rest broadcasts.

    >>> solve(Value([[2.0, 0.0], [0.0, 4.0]]), Value([2.0, 2.0]))
    Value(data=[1.  0.5], grad=None)
    """
    left, right = lapack_floats("solve", a, b)
    if right.ndim == 0:
        error = ShapeError("the right side needs at least one axis.")
        raise located(error, "solve", (left, right))
    if right.ndim == 1:
        need_matrix("solve", left)
        if not same(left.shape[-1], right.shape[0]):
            fact = f"the matrix has {left.shape[-1]} rows and the right side {right.shape[0]}."
            raise located(ShapeError(fact), "solve", (left, right))
        return squeeze(_solve(left, expand_dims(right, 1)), -1)
    return _solve(left, right)


def _inv_change(t: Value, y: Value) -> Value:
    return -matmul(matmul(y, t), y)


_inv: NodeFunction = general(
    "inv",
    lambda x, out: np.copyto(out, np.linalg.inv(x)),
    infer=same_square,
    vjp=(lambda g, y, x: _inv_change(g, _T(y)),),
    jvp=(lambda t, y, x: _inv_change(t, y),),
    cost=cubic_cost,
    batch=batch_by_broadcasting("inv"),
    doc="The inverse of a matrix.",
)


@implements(np.linalg.inv)
def inv(a: Operand) -> Value:
    """Invert matrices; `solve` is faster and more accurate where a product is wanted.

    >>> inv(Value([[2.0, 0.0], [0.0, 4.0]]))
    Value(data=[[0.5  0.  ]
                [0.   0.25]], grad=None)
    """
    return _inv(*lapack_floats("inv", a))


def _pinv_infer(x: Spec, *, rcond: float | None, hermitian: bool) -> Spec:
    return Spec((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)


def _pinv_kernel(x: Array, out: Array, *, rcond: float | None, hermitian: bool) -> None:
    np.copyto(out, np.linalg.pinv(x, rcond=rcond, hermitian=hermitian))


def _pinv_change(t: Value, y: Value, x: Value) -> Value:
    """Golub and Pereyra (1973): the derivative along t where the rank doesn't change."""
    flipped = _T(t)
    left = matmul(matmul(y, _T(y)), flipped)
    right = matmul(flipped, matmul(_T(y), y))
    return (
        -matmul(matmul(y, t), y)
        + (left - matmul(matmul(left, x), y))
        + (right - matmul(y, matmul(x, right)))
    )


def _pinv_vjp(g: Value, y: Value, x: Value, **attrs: object) -> Value:
    # The derivative of the transposed problem is the transpose of the derivative.
    return _pinv_change(g, _T(y), _T(x))


_pinv: NodeFunction = general(
    "pinv",
    _pinv_kernel,
    infer=_pinv_infer,
    vjp=(_pinv_vjp,),
    jvp=(lambda t, y, x, **attrs: _pinv_change(t, y, x),),
    cost=lambda out, x, **attrs: 10 * product(x.shape) * x.shape[-1],
    variants=({"rcond": None, "hermitian": False},),
    batch=batch_by_broadcasting("pinv"),
    doc="The Moore-Penrose inverse of a matrix.",
)


@implements(np.linalg.pinv)
def pinv(a: Operand, rcond: float | None = None, hermitian: bool = False) -> Value:
    """Give the Moore-Penrose inverse; singular values below ``rcond * largest`` count as zero.

    The derivative is that along changes of *a* that keep its rank: for a matrix of full rank all
    of them; elsewhere the inverse jumps and has no other.
    """
    (node,) = lapack_floats("pinv", a)
    need_matrix("pinv", node)
    limit = None if rcond is None else float(rcond)
    return _pinv(node, rcond=limit, hermitian=bool(hermitian))


# Determinants


def _matrix_to_scalar(x: Spec) -> Spec:
    square_length(x)
    return Spec(x.shape[:-2], x.dtype)


def _det_kernel(x: Array, out: Array) -> None:
    np.copyto(out, np.linalg.det(x))


_det: NodeFunction = general(
    "det",
    _det_kernel,
    infer=_matrix_to_scalar,
    vjp=(lambda g, y, x: _over_matrix(g) * _cofactor(x),),
    jvp=(lambda t, y, x: _inner(_cofactor(x), t),),
    cost=cubic_cost,
    batch=batch_by_broadcasting("det"),
    doc="The determinant of a matrix.",
)


def _finite(x: Array) -> tuple[Array, Array]:
    """Put identities in the place of matrices that LAPACK has no answer for, and say which."""
    broken = np.asarray(~np.isfinite(x).all(axis=(-2, -1)))
    return np.where(broken[..., None, None], np.eye(x.shape[-1], dtype=x.dtype), x), broken


def _products_of_others(s: Array) -> Array:
    """Multiply, for each entry of the last axis, all the other entries."""
    before, after = np.ones_like(s), np.ones_like(s)
    np.cumprod(s[..., :-1], axis=-1, out=before[..., 1:])
    np.cumprod(s[..., :0:-1], axis=-1, out=after[..., -2::-1])
    return before * after


def _signed_svd(x: Array) -> tuple[Array, Array, Array, Array]:
    """Give the factors, and in front the sign that their orthogonal parts contribute."""
    u, s, vh = np.linalg.svd(x)
    sign = np.sign(np.linalg.det(u) * np.linalg.det(vh))
    return sign[..., None, None], u, s, vh


def _cofactor_kernel(x: Array, out: Array) -> None:
    if out.size == 0:
        return
    matrices, broken = _finite(x)
    if not _cofactor_from_inverse(matrices, out):
        sign, u, s, vh = _signed_svd(matrices)
        np.matmul(sign * u * _products_of_others(s)[..., None, :], vh, out)
    out[broken] = np.nan


def _cofactor_from_inverse(x: Array, out: Array) -> bool:
    """Compute it as det(x) * inv(x).T, ten times as fast, where that is accurate."""
    try:
        inverse = np.linalg.inv(x)
    except np.linalg.LinAlgError:
        return False
    determinant = np.linalg.det(x)
    spread = np.abs(x).sum(-1).max(-1) * np.abs(inverse).sum(-1).max(-1)
    tiny = np.finfo(x.dtype).tiny
    usable = np.isfinite(determinant) & (np.abs(determinant) >= tiny)
    # Up to this condition, a third of the digits is lost at most.
    if not (usable & (spread < np.finfo(x.dtype).eps ** (-1 / 3))).all():
        return False
    np.multiply(determinant[..., None, None], np.swapaxes(inverse, -1, -2), out=out)
    return True


_cofactor: NodeFunction = general(
    "cofactor",
    _cofactor_kernel,
    infer=same_square,
    # It is a gradient, so its own derivative is symmetric: forward and reverse are one.
    vjp=(lambda g, y, x: _cofactor_change(x, g),),
    jvp=(lambda t, y, x: _cofactor_change(x, t),),
    cost=lambda out, x: 20 * cubic_cost(out, x),
    batch=batch_by_broadcasting("cofactor"),
    doc="The matrix of cofactors, the determinant's gradient; right at every rank.",
)


def _cofactor_change_kernel(x: Array, t: Array, out: Array) -> None:
    """In the basis of the singular vectors, each entry is a product of all s but one or two."""
    if out.size == 0:
        return
    matrices, broken = _finite(x)
    sign, u, s, vh = _signed_svd(matrices)
    turned = np.swapaxes(u, -1, -2) @ t @ np.swapaxes(vh, -1, -2)
    others = np.zeros_like(turned)
    for i in range(s.shape[-1]):
        without = s.copy()
        without[..., i] = 1
        others[..., i, :] = _products_of_others(without)
        others[..., i, i] = 0
    diagonal = np.einsum("...ii->...i", turned)
    inside = -others * np.swapaxes(turned, -1, -2)
    np.einsum("...ii->...i", inside)[...] = (others @ diagonal[..., None])[..., 0]
    np.matmul(sign * u @ inside, vh, out)
    out[broken] = np.nan


def _third(x: Value, t: Value, s: Value) -> Value:
    """Differentiate (<C, t> C - C t' C) / det(x), which the change along t is, along s."""
    c, along_s, change = _cofactor(x), _cofactor_change(x, s), _cofactor_change(x, t)
    scale = 1 / _over_matrix(_det(x))
    flipped = _T(t)
    numerator = (
        _over_matrix(_inner(along_s, t)) * c
        + _over_matrix(_inner(c, t)) * along_s
        - matmul(matmul(along_s, flipped), c)
        - matmul(matmul(c, flipped), along_s)
    )
    return (numerator - change * _over_matrix(_inner(c, s))) * scale


_cofactor_change: NodeFunction = general(
    "cofactor_change",
    _cofactor_change_kernel,
    infer=lambda x, t: same_square(x),
    vjp=(lambda g, y, x, t: _third(x, t, g), lambda g, y, x, t: _cofactor_change(x, g)),
    jvp=(lambda s, y, x, t: _third(x, t, s), lambda s, y, x, t: _cofactor_change(x, s)),
    cost=lambda out, x, t: 30 * cubic_cost(out, x),
    batch=batch_by_repeating("cofactor_change"),
    doc="The derivative of the cofactors along a direction; right at every rank.",
)


@implements(np.linalg.det)
def det(a: Operand) -> Value:
    """Give determinants.

    The gradient is the matrix of cofactors, found from singular values where the matrix is
    nearly singular: first and second derivatives are right at every rank. Third and higher ones
    divide by the determinant: they are infinite or NaN where it is zero, and lose digits near it.

    >>> det(Value([[0.0, 1.0], [1.0, 0.0]]))
    Value(data=-1.0, grad=None)
    """
    return _det(*lapack_floats("det", a))


def _slogdet_infer(x: Spec) -> tuple[Spec, Spec]:
    spec = _matrix_to_scalar(x)
    return spec, spec


def _slogdet_kernel(x: Array, out: tuple[Array, Array]) -> None:
    for target, result in zip(out, np.linalg.slogdet(x), strict=True):
        np.copyto(target, result)


def _slogdet_vjp(g: Parts, y: Value, x: Value) -> Parts:
    if g[1] is None:
        return (zeros_like(x),)
    return (_over_matrix(g[1]) * _T(_inv(x)),)


def _slogdet_jvp(tangents: Parts, y: Value, x: Value) -> Parts:
    (t,) = tangents
    if t is None:
        return None, None
    change = _inner(_T(_inv(x)), t)
    return zeros_like(change), change


_slogdet: NodeFunction = general(
    "slogdet",
    _slogdet_kernel,
    infer=_slogdet_infer,
    vjp=_slogdet_vjp,
    jvp=_slogdet_jvp,
    cost=lambda out, x: cubic_cost(out, x),
    batch=batch_by_broadcasting("slogdet"),
    doc="Sign and logarithm of the absolute value of a determinant.",
)


@implements(np.linalg.slogdet)
def slogdet(a: Operand) -> SlogdetResult:
    """Give sign and logarithm of the absolute value of determinants, without overflow.

    The sign has derivative 0. A singular matrix has sign 0 and logarithm -inf, and asking for its
    gradient raises LinAlgError.
    """
    node = _slogdet(*lapack_floats("slogdet", a))
    return SlogdetResult(item(node, 0), item(node, 1))


# Ranks, powers and chains


def _rank_infer(x: Spec, **attrs: object) -> Spec:
    return Spec(x.shape[:-2], np.dtype(np.int64))


def _rank_kernel(x: Array, out: Array, *, tol: float | None, hermitian: bool) -> None:
    np.copyto(out, np.linalg.matrix_rank(x, tol, hermitian))


_rank: NodeFunction = general(
    "matrix_rank",
    _rank_kernel,
    infer=_rank_infer,
    vjp=None,
    jvp=None,
    variants=({"tol": None, "hermitian": False},),
    batch=batch_by_broadcasting("matrix_rank"),
    doc="The number of singular values above a limit.",
)


@implements(np.linalg.matrix_rank)
def matrix_rank(A: Operand, tol: float | None = None, hermitian: bool = False) -> Value:  # noqa: N803
    """Count the singular values above *tol*; not differentiable."""
    (node,) = lapack_floats("matrix_rank", A)
    need_matrix("matrix_rank", node)
    return _rank(node, tol=None if tol is None else float(tol), hermitian=bool(hermitian))


@implements(np.linalg.matrix_power)
def matrix_power(a: Operand, n: int) -> Value:
    """Multiply square matrices *n* times with themselves; a negative *n* inverts them first.

    >>> matrix_power(Value([[1.0, 1.0], [0.0, 1.0]]), 5)
    Value(data=[[1. 5.]
                [0. 1.]], grad=None)
    """
    node = as_value(a)
    try:
        square_length(node.spec)
    except ShapeError as error:
        raise located(error, "matrix_power", (node,)) from None
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise OptionError(f"matrix_power: the exponent must be an integer, got {n!r}.")
    exponent = int(n.__index__())
    if exponent < 0:
        node, exponent = inv(node), -exponent
    if exponent == 0:
        return identity_matrices(node.shape, node.dtype)
    result: Value | None = None
    while exponent:
        if exponent & 1:
            result = node if result is None else matmul(result, node)
        exponent >>= 1
        if exponent:
            node = matmul(node, node)
    assert result is not None
    return result


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Sequence[Operand]) -> Value:
    """Multiply a chain of matrices in the order that takes the fewest operations.

    The first and the last may be vectors. A symbolic length counts as a long one.

    >>> multi_dot([Value([1.0, 2.0]), Value([[1.0], [1.0]]), Value([[2.0, 3.0]])])
    Value(data=[6. 9.], grad=None)
    """
    nodes = [as_value(array) for array in arrays]
    if len(nodes) < 2:
        raise OptionError(f"multi_dot: needs two arrays or more, got {len(nodes)}.")
    for place, node in enumerate(nodes):
        allowed = (1, 2) if place in (0, len(nodes) - 1) else (2,)
        if node.ndim not in allowed:
            fact = f"operand {place} must have {' or '.join(map(str, allowed))} axes."
            raise located(ShapeError(fact), "multi_dot", nodes)
    first = nodes[0].shape[0] if nodes[0].ndim == 2 else 1
    last = nodes[-1].shape[-1] if nodes[-1].ndim == 2 else 1
    sizes = [_estimate(length) for length in (first, *(node.shape[0] for node in nodes[1:]), last)]
    if nodes[0].ndim == 1:
        sizes[0] = 1
    return _chain(nodes, _splits(sizes))


def _estimate(length: Dim) -> int:
    return length if isinstance(length, int) else _ASSUMED_LENGTH


def _splits(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """Find, for each stretch of a chain, the last product to take (Cormen et al., 15.2)."""
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    best: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            cost[i, j], best[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )
    return best


def _chain(nodes: Sequence[Value], best: dict[tuple[int, int], int]) -> Value:
    def between(i: int, j: int) -> Value:
        if i == j:
            return nodes[i]
        k = best[i, j]
        return matmul(between(i, k), between(k + 1, j))

    return between(0, len(nodes) - 1)


def diagonal(x: Operand, *, offset: int = 0) -> Value:
    """Give the diagonals of matrices, which stand in the last two axes."""
    result: Value = call("diagonal", x, offset, -2, -1)
    return result


def trace(x: Operand, *, offset: int = 0) -> Value:
    """Sum the diagonals of matrices, which stand in the last two axes."""
    result: Value = call("trace", x, offset, -2, -1)
    return result


# Under the names of np.diagonal and np.trace, which take the first two axes, a node has those.
NUMPY_FUNCTIONS.update({np.linalg.diagonal: diagonal, np.linalg.trace: trace})
