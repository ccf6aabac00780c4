"""Factorizations of stacks of matrices: Cholesky, eigenvectors, singular vectors, QR.

Matrices stand in the last two axes. The derivatives divide by the gaps between eigenvalues or
singular values and by pivots. Where those are zero, the factors have no derivative: it comes out
infinite or NaN, or raises NumPy's LinAlgError; where they are zero but for rounding, it is huge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import OptionError, ShapeError
from ..ir.describe import located
from ..ir.op import Array, Operand, call, implements
from ..ir.value import Value, item
from ..lengths import compare, minimum
from ..spec import Spec, format_shape, product
from .arithmetic import reciprocal
from .batching import batch_by_broadcasting
from .forms import NodeFunction, general
from .linalg import (
    Parts,
    cubic_cost,
    lapack_floats,
    need_matrix,
    same_square,
    solve,
    square_length,
)
from .products import matmul
from .reduce import sum as sum_axes
from .shape import expand_dims, matrix_transpose
from .triangles import half_lower, identity_matrices, off_diagonal, weigh_triangles

__all__ = ["cholesky"]


class EighResult(NamedTuple):
    """Eigenvalues in ascending order, and their vectors in columns."""

    eigenvalues: Value
    eigenvectors: Value


class QRResult(NamedTuple):
    """Orthonormal columns and an upper triangle."""

    Q: Value
    R: Value


class SVDResult(NamedTuple):
    """Left singular vectors, singular values in descending order, right vectors in rows."""

    U: Value
    S: Value
    Vh: Value


_T = matrix_transpose


def _symmetric(x: Value) -> Value:
    return (x + _T(x)) * 0.5


def _cholesky_vjp(g: Value, y: Value, x: Value) -> Value:
    upper = _T(y)
    half = solve(upper, half_lower(matmul(upper, g)))
    return _symmetric(solve(upper, _T(half)))


def _cholesky_jvp(t: Value, y: Value, x: Value) -> Value:
    half = solve(y, _symmetric(t))
    return matmul(y, half_lower(_T(solve(y, _T(half)))))


_cholesky: NodeFunction = general(
    "cholesky",
    lambda x, out: np.copyto(out, np.linalg.cholesky(x)),
    infer=same_square,
    vjp=(_cholesky_vjp,),
    jvp=(_cholesky_jvp,),
    cost=cubic_cost,
    batch=batch_by_broadcasting("cholesky"),
    doc="The lower triangle L with L @ L.T the given matrix.",
)


@implements(np.linalg.cholesky)
def cholesky(a: Operand, *, upper: bool = False) -> Value:
    """Factorize symmetric positive definite matrices into ``L @ L.T``, or ``R.T @ R`` if *upper*.

    Only the lower triangle of *a* is read (the upper one if *upper*), as in NumPy, but *a* is
    taken for symmetric: its gradient is the symmetric matrix G for which a symmetric change D
    changes the result by ``sum(G * D)``. See Murray, "Differentiation of the Cholesky
    decomposition" (2016).

    >>> cholesky(Value([[4.0, 2.0], [2.0, 5.0]]))
    Value(data=[[2. 0.]
                [1. 2.]], grad=None)
    """
    (node,) = lapack_floats("cholesky", a)
    if not upper:
        return _cholesky(node)
    need_matrix("cholesky", node)
    return _T(_cholesky(_T(node)))


def _eigh_infer(x: Spec) -> tuple[Spec, Spec]:
    n = square_length(x)
    return Spec((*x.shape[:-2], n), x.dtype), x


def _copy_all(out: tuple[Array, ...], results: Sequence[Array]) -> None:
    for target, result in zip(out, results, strict=True):
        np.copyto(target, result)


def _gaps(w: Value) -> Value:
    """Give 1 / (w[j] - w[i]), and 0 on the diagonal; infinite where entries are equal."""
    difference = expand_dims(w, -2) - expand_dims(w, -1)
    return off_diagonal(reciprocal(difference + identity_matrices(difference.shape, w.dtype)))


def _eigh_vjp(g: Parts, y: Value, x: Value) -> Parts:
    w, v = item(y, 0), item(y, 1)
    of_w, of_v = g
    total = None if of_w is None else v * expand_dims(of_w, -2)
    if of_v is not None:
        turned = matmul(v, _gaps(w) * matmul(_T(v), of_v))
        total = turned if total is None else total + turned
    return (None if total is None else _symmetric(matmul(total, _T(v))),)


def _eigh_jvp(tangents: Parts, y: Value, x: Value) -> Parts:
    (t,) = tangents
    if t is None:
        return None, None
    w, v = item(y, 0), item(y, 1)
    moved = matmul(_symmetric(t), v)
    return sum_axes(v * moved, axis=-2), matmul(v, _gaps(w) * matmul(_T(v), moved))


_eigh: NodeFunction = general(
    "eigh",
    lambda x, out: _copy_all(out, np.linalg.eigh(x)),
    infer=_eigh_infer,
    vjp=_eigh_vjp,
    jvp=_eigh_jvp,
    cost=lambda out, x: 9 * cubic_cost(out, x),
    batch=batch_by_broadcasting("eigh"),
    doc="Eigenvalues and eigenvectors of a symmetric matrix.",
)


@implements(np.linalg.eigh)
def eigh(a: Operand, UPLO: str = "L") -> EighResult:  # noqa: N803  NumPy's name
    """Give eigenvalues, ascending, and eigenvectors, in columns, of symmetric matrices.

    Only the triangle *UPLO* is read, and the gradient is symmetric, as in `cholesky`. Equal
    eigenvalues have no derivative of their vectors: it comes out infinite or NaN. That of the
    eigenvalues alone stays finite; where some are equal it is one of several possible.
    """
    if str(UPLO).upper() not in ("L", "U"):
        raise OptionError(f'eigh: UPLO must be "L" or "U", got {UPLO!r}.')
    (node,) = lapack_floats("eigh", a)
    need_matrix("eigh", node)
    result = _eigh(node if UPLO.upper() == "L" else _T(node))
    return EighResult(item(result, 0), item(result, 1))


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Operand, UPLO: str = "L") -> Value:  # noqa: N803  NumPy's name
    """Give the eigenvalues, ascending, of symmetric matrices."""
    return eigh(a, UPLO).eigenvalues


def _svd_infer(x: Spec) -> tuple[Spec, Spec, Spec]:
    *batch, m, n = x.shape
    k = minimum(m, n)
    shapes = ((*batch, m, k), (*batch, k), (*batch, k, n))
    return Spec(shapes[0], x.dtype), Spec(shapes[1], x.dtype), Spec(shapes[2], x.dtype)


def _svd_kernel(x: Array, out: tuple[Array, ...]) -> None:
    if x.size:
        _copy_all(out, np.linalg.svd(x, full_matrices=False))


def _add_outside(inside: Value, columns: Value, x: Value, s: Value) -> Value:
    """Add the part of x / s outside the span of orthonormal *columns*; squares span everything."""
    if compare(*columns.shape[-2:]) is True:
        return inside
    scaled = x / expand_dims(s, -2)
    return inside + scaled - matmul(columns, matmul(_T(columns), scaled))


def _skew(x: Value) -> Value:
    return x - _T(x)


def _svd_vjp(g: Parts, y: Value, x: Value) -> Parts:
    u, s, vh = (item(y, i) for i in range(3))
    of_u, of_s, of_vh = g
    row, column = expand_dims(s, -2), expand_dims(s, -1)
    total = None if of_s is None else matmul(u * expand_dims(of_s, -2), vh)
    parts = []
    if of_u is not None:
        inside = _gaps(s * s) * _skew(matmul(_T(u), of_u)) * row
        parts.append(matmul(_add_outside(matmul(u, inside), u, of_u, s), vh))
    if of_vh is not None:
        v, of_v = _T(vh), _T(of_vh)
        inside = column * _gaps(s * s) * _skew(matmul(vh, of_v))
        turned = matmul(v, _T(inside))
        parts.append(matmul(u, _T(_add_outside(turned, v, of_v, s))))
    for part in parts:
        total = part if total is None else total + part
    return (total,)


def _svd_jvp(tangents: Parts, y: Value, x: Value) -> Parts:
    (t,) = tangents
    if t is None:
        return None, None, None
    u, s, vh = (item(y, i) for i in range(3))
    v, gaps = _T(vh), _gaps(s * s)
    row, column = expand_dims(s, -2), expand_dims(s, -1)
    moved = matmul(t, v)
    turned = matmul(_T(u), moved)
    of_s = sum_axes(u * moved, axis=-2)
    of_u = matmul(u, gaps * (turned * row + column * _T(turned)))
    of_v = matmul(v, gaps * (column * turned + _T(turned) * row))
    of_u = _add_outside(of_u, u, moved, s)
    of_v = _add_outside(of_v, v, matmul(_T(t), u), s)
    return of_u, of_s, _T(of_v)


_svd: NodeFunction = general(
    "svd",
    _svd_kernel,
    infer=_svd_infer,
    vjp=_svd_vjp,
    jvp=_svd_jvp,
    cost=lambda out, x: 20 * product(x.shape) * x.shape[-1],
    batch=batch_by_broadcasting("svd"),
    doc="Singular vectors and values of a matrix, the thin form.",
)


@implements(np.linalg.svd)
def svd(
    a: Operand, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> SVDResult | Value:
    """Factorize matrices into ``U @ diag(S) @ Vh``; without *compute_uv*, give S alone.

    Matrices that aren't square need ``full_matrices=False``: only the thin form is supported. The
    vectors have no derivative where singular values are equal or, in a matrix that isn't square,
    zero: it comes out infinite or NaN. See Townsend, "Differentiating the singular value
    decomposition" (2016).
    """
    (node,) = lapack_floats("svd", a)
    need_matrix("svd", node)
    if hermitian:
        raise OptionError("svd: hermitian=True is not supported; use eigh.")
    if full_matrices and compute_uv and compare(*node.shape[-2:]) is not True:
        fact = f"only full_matrices=False is supported for matrices of shape {node.spec}."
        raise located(OptionError(fact), "svd", (node,))
    result = _svd(node)
    parts = SVDResult(item(result, 0), item(result, 1), item(result, 2))
    return parts if compute_uv else parts.S


@implements(np.linalg.svdvals)
def svdvals(x: Operand) -> Value:
    """Give the singular values, descending, of matrices."""
    result: Value = svd(x, compute_uv=False)  # type: ignore[assignment]
    return result


def _qr_infer(x: Spec) -> tuple[Spec, Spec]:
    *batch, m, n = x.shape
    k = minimum(m, n)
    return Spec((*batch, m, k), x.dtype), Spec((*batch, k, n), x.dtype)


def _qr_kernel(x: Array, out: tuple[Array, ...]) -> None:
    _copy_all(out, np.linalg.qr(x))


def _need_tall(x: Value) -> None:
    m, n = x.shape[-2:]
    if minimum(m, n) != n:
        fact = (
            "the derivative needs lengths that are known, or as many rows as columns or more,"
            f" got {format_shape(x.shape)}."
        )
        raise located(ShapeError(fact), "qr", (x,))


def _qr_vjp(g: Parts, y: Value, x: Value) -> Parts:
    _need_tall(x)
    q, r = item(y, 0), item(y, 1)
    of_q, of_r = g
    inside = None if of_r is None else matmul(r, _T(of_r))
    if of_q is not None:
        of_inside = matmul(_T(of_q), q)
        inside = -of_inside if inside is None else inside - of_inside
    if inside is None:
        return (None,)
    half = half_lower(inside)
    total = matmul(q, half + _T(half))
    if of_q is not None:
        total = of_q + total
    return (_T(solve(r, _T(total))),)


def _qr_jvp(tangents: Parts, y: Value, x: Value) -> Parts:
    (t,) = tangents
    if t is None:
        return None, None
    _need_tall(x)
    q, r = item(y, 0), item(y, 1)
    scaled = _T(solve(_T(r), _T(t)))
    inside = matmul(_T(q), scaled)
    turn = _skew(weigh_triangles(inside, below=1.0, on=0.0, above=0.0))
    return matmul(q, turn - inside) + scaled, matmul(inside - turn, r)


_qr: NodeFunction = general(
    "qr",
    _qr_kernel,
    infer=_qr_infer,
    vjp=_qr_vjp,
    jvp=_qr_jvp,
    cost=lambda out, x: 4 * product(x.shape) * x.shape[-1],
    batch=batch_by_broadcasting("qr"),
    doc="Orthonormal columns and an upper triangle whose product is the matrix.",
)


@implements(np.linalg.qr)
def qr(a: Operand, mode: str = "reduced") -> QRResult | Value:
    """Factorize matrices into orthonormal columns Q and an upper triangle R; mode "r" gives R.

    The derivative needs full rank: a zero on the diagonal of R raises LinAlgError. See Walter and
    Lehmann, "Algorithmic differentiation of linear algebra functions" (2018).
    """
    if mode not in ("reduced", "r"):
        raise OptionError(f'qr: mode must be "reduced" or "r", got {mode!r}.')
    (node,) = lapack_floats("qr", a)
    need_matrix("qr", node)
    rows, columns = node.shape[-2:]
    is_wide = isinstance(rows, int) and isinstance(columns, int) and rows < columns
    result = _qr(node[..., :rows] if is_wide else node)
    q, r = item(result, 0), item(result, 1)
    if is_wide:
        # Q depends on the first columns only; the others are turned by it.
        r = call("concatenate", (r, matmul(_T(q), node[..., rows:])), axis=-1)
    return QRResult(q, r) if mode == "reduced" else r
