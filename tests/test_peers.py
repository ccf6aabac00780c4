"""Compiled values, gradients and Hessian products of composite expressions against PyTorch."""

import numpy as np
import pytest

import lazygrad as lg

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra 'peers')")
pytestmark = pytest.mark.peers

INDEX = np.array([[0, 3], [2, 2], [1, 0]])
FILTER = (0.5, -1.0, 0.25)


def several(ours, theirs):
    """One expression for each library, where their names or options differ."""
    return lambda f, *operands: (theirs if f is torch else ours)(f, *operands)


def logistic_loss(f, a, b, c, s):
    """The mean negative log-likelihood of labels 0, 2, 1 under a linear classifier."""
    scores = f.log_softmax(a @ c + b, 1)
    return -(scores[[0, 1, 2], [0, 2, 1]]).mean()


def recurrence(f, a, b, c, s):
    h = b
    for row in range(3):
        h = f.tanh(a[row] + h @ c)
    return h


def attention(f, a, b, c, s):
    weights = f.softmax((a @ c) @ a.T / 2.0, 1)
    return weights @ (a * b)


def layer_norm(f, a, b, c, s):
    centred = a - a.mean(1).reshape(3, 1)
    return centred / f.sqrt((centred * centred).mean(1).reshape(3, 1) + 1e-3) * b


def convolution(f, a, b, c, s):
    return sum(weight * a[:, i : i + 2] for i, weight in enumerate(FILTER)) * b[:2]


def newton_root(f, a, b, c, s):
    root = a * a + 1.0
    for _ in range(4):
        root = 0.5 * (root + (b * b + 2.0) / root)
    return root


# Of a (3, 4), b (4,), c (4, 4) and s = c @ c.T + 2, in both libraries; `f` is the library.
EXPRESSIONS = {
    # Elementwise.
    "every root": lambda f, a, b, c, s: f.sqrt(a * a + 1) * (b * b + 0.5) ** (1 / 3),
    "hyperbolic": lambda f, a, b, c, s: f.sinh(a) / f.cosh(b) - f.arcsinh(a * b),
    "inverse, inside their domains": lambda f, a, b, c, s: (
        f.arcsin(f.tanh(a) / 2) + f.arccos(f.sin(b) / 2) * f.arctanh(f.tanh(a))
    ),
    "logarithms": lambda f, a, b, c, s: f.log2(a * a + 1) + f.log10(b * b + 1) * f.log1p(a * a),
    "exponentials": lambda f, a, b, c, s: f.exp2(a) * f.expm1(b) - f.exp(-a * a),
    "sigmoid and friends": lambda f, a, b, c, s: f.sigmoid(a) * f.log(1 + f.exp(b)),
    "logaddexp": lambda f, a, b, c, s: f.logaddexp(a * 3, b) * a,
    "angles": lambda f, a, b, c, s: f.arctan2(a, b) * f.hypot(a, b),
    "quotients of quotients": lambda f, a, b, c, s: (1 / (1 + 1 / (a * a + 1))) / (b * b + 1),
    "powers of both": lambda f, a, b, c, s: (a * a + 1) ** (b + 2) + 2.0**a,
    "polynomial": lambda f, a, b, c, s: ((a * b - 3) * a + 2) * a**3 - b**2 * a,
    "reciprocal": lambda f, a, b, c, s: f.reciprocal(a * a + 0.5) * f.square(b),
    # Kinks away from their ties.
    "absolute values": lambda f, a, b, c, s: f.abs(a) * abs(b) + f.sign(a) * b,
    "clip": several(
        lambda f, a, b, c, s: f.clip(a, -0.5, 0.7) * b,
        lambda f, a, b, c, s: f.clamp(a, -0.5, 0.7) * b,
    ),
    "relu network": lambda f, a, b, c, s: f.relu(f.relu(a @ c + b) @ c - b) ** 2,
    "largest and smallest": lambda f, a, b, c, s: f.maximum(a, b) / (1 + f.minimum(a, b) ** 2),
    "choice of branches": lambda f, a, b, c, s: f.where(a > b, f.exp(a), b * b * a),
    "remainders": lambda f, a, b, c, s: (a * 5) % 2.0 * b,
    # Reductions.
    "means of means": lambda f, a, b, c, s: (a * b).mean(0).mean() * a.mean(1).sum(),
    "products": lambda f, a, b, c, s: f.prod(a, 1) + f.prod(b * b + 1, 0),
    "variance": several(
        lambda f, a, b, c, s: f.var(a * b, axis=1, correction=1),
        lambda f, a, b, c, s: f.var(a * b, dim=1, correction=1),
    ),
    "standard deviation": several(
        lambda f, a, b, c, s: f.std(a @ c, axis=(0, 1)) * b,
        lambda f, a, b, c, s: f.std(a @ c, dim=(0, 1), correction=0) * b,
    ),
    "extremes of rows": lambda f, a, b, c, s: f.amax(a * b, 1) - f.amin(a * a, 1),
    "logsumexp": lambda f, a, b, c, s: f.logsumexp(a * b * 4, 1) * f.logsumexp(a, 0).sum(),
    "norms": lambda f, a, b, c, s: a / f.linalg.norm(a) + f.linalg.norm(b),
    "cumulative": lambda f, a, b, c, s: f.cumsum(a, 1) * f.cumprod(a * b + 2, 0),
    # Products.
    "products of every rank": lambda f, a, b, c, s: (a @ c @ b) * (c @ b @ b) + (b @ c @ b),
    "einsum": lambda f, a, b, c, s: f.einsum("ij,jk,lk->il", a, c, a * b),
    "einsum with a diagonal": lambda f, a, b, c, s: f.einsum("ii,ij->j", c, c) * b,
    "tensordot": several(
        lambda f, a, b, c, s: f.tensordot(a, c, ([1], [0])) * b,
        lambda f, a, b, c, s: f.tensordot(a, c, dims=([1], [0])) * b,
    ),
    "outer and inner": lambda f, a, b, c, s: f.outer(b, a[0]) * c + f.inner(a, c).sum(),
    "batched": lambda f, a, b, c, s: (a.reshape(3, 1, 4) * c.reshape(1, 4, 4)) @ c,
    # Shapes and indices.
    "joined": several(
        lambda f, a, b, c, s: f.concatenate([a, c * b], axis=0) * f.stack([b] * 7, axis=0),
        lambda f, a, b, c, s: f.cat([a, c * b], dim=0) * f.stack([b] * 7, dim=0),
    ),
    "turned": lambda f, a, b, c, s: f.flip(a, (1,)) * f.roll(a, 1, 1) + a.T.reshape(3, 4),
    "triangles": lambda f, a, b, c, s: f.tril(c) @ f.triu(c, 1) + f.diag(b) + f.trace(c),
    "gathered": several(
        lambda f, a, b, c, s: f.take_along_axis(a * b, INDEX, axis=1) ** 2,
        lambda f, a, b, c, s: f.gather(a * b, 1, f.tensor(INDEX)) ** 2,
    ),
    "sliced": lambda f, a, b, c, s: a[1:, ::2] * a[:-1, 1::2] + b[None, -2:] * c[0, 1],
    "sorted": several(
        lambda f, a, b, c, s: f.sort(a * b, axis=1) * b,
        lambda f, a, b, c, s: f.sort(a * b, dim=1).values * b,
    ),
    # Linear algebra, of a symmetric positive definite matrix.
    "solve": lambda f, a, b, c, s: f.linalg.solve(s, a.T) * f.linalg.inv(s)[:, :3],
    "determinants": lambda f, a, b, c, s: f.linalg.det(s) * f.linalg.slogdet(s)[1] * b,
    "cholesky": lambda f, a, b, c, s: f.linalg.cholesky(s) @ b,
    "eigenvalues": lambda f, a, b, c, s: f.exp(f.linalg.eigvalsh(s) / 4) @ b,
    # Whole models.
    "logistic loss": logistic_loss,
    "recurrence": recurrence,
    "attention": attention,
    "layer norm": layer_norm,
    "convolution": convolution,
    "newton root": newton_root,
}


class _Lazy:
    """The library's functions under PyTorch's names."""

    abs = staticmethod(lg.absolute)
    amax = staticmethod(lg.max)
    amin = staticmethod(lg.min)
    linalg = lg.linalg

    def __getattr__(self, name):
        return getattr(lg, name)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_agrees_with_torch(name):
    rng = np.random.default_rng(len(name))
    arrays = [rng.standard_normal(shape) for shape in ((3, 4), (4,), (4, 4))]
    directions = [rng.standard_normal(array.shape) for array in arrays]
    expression = EXPRESSIONS[name]

    leaves = [lg.variable(array) for array in arrays]
    y = expression(_Lazy(), *leaves, leaves[2] @ leaves[2].T + 2 * np.eye(4))
    seed = rng.standard_normal(y.shape)
    total = (y * seed).sum()
    program = lg.compile(
        [
            y,
            lg.jvp(total, leaves, directions),
            *lg.grad(total, leaves, unused="zero"),
            *lg.hvp(total, leaves, directions, unused="zero"),
        ]
    )

    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    value = expression(torch, *tensors, tensors[2] @ tensors[2].T + 2 * torch.eye(4).double())
    weighted = (value * torch.tensor(seed)).sum()
    options = {"allow_unused": True, "materialize_grads": True}
    first = torch.autograd.grad(weighted, tensors, create_graph=True, **options)
    moves = [torch.tensor(direction) for direction in directions]
    along = sum((g * v).sum() for g, v in zip(first, moves, strict=True))
    second = torch.autograd.grad(along, tensors, **options)

    for ours, theirs in zip(program(), (value, along, *first, *second), strict=True):
        close(ours, theirs)


def close(ours, theirs):
    """Whether two arrays differ by 1e-9 of the largest element at most."""
    expected = theirs.detach().numpy()
    assert ours.dtype == expected.dtype
    scale = np.abs(expected).max(initial=0.0)
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9 * max(scale, 1e-3))
