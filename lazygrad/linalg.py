"""Linear algebra under NumPy's names, as in ``np.linalg``."""

from .ops.factorizations import cholesky, eigh, eigvalsh, qr, svd, svdvals
from .ops.linalg import (
    det,
    diagonal,
    inv,
    matrix_power,
    matrix_rank,
    multi_dot,
    pinv,
    slogdet,
    solve,
    trace,
)
from .ops.products import cross, matmul, outer, tensordot, vecdot
from .ops.shape import matrix_transpose
from .ops.statistics import norm

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
]
