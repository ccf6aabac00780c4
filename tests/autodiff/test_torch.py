"""Values, gradients and Hessian products of composite expressions against PyTorch."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.interpreter import interpret
from lazygrad.ir.graph import Graph

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra 'peers')")
pytestmark = pytest.mark.peers

# An expression of a (3, 4), b (4,) and c (4, 4), in lazygrad and in PyTorch; `f` is the library.
EXPRESSIONS = {
    "affine tanh": lambda f, a, b, c: f.tanh(a @ c + b),
    "softplus by hand": lambda f, a, b, c: f.log1p(f.exp(a * b)),
    "gaussian": lambda f, a, b, c: f.exp(-((a - b) ** 2) / 2.0),
    "rational": lambda f, a, b, c: (a + 1.5) / (b * b + 2.0),
    "power of a sum": lambda f, a, b, c: (a * a + b * b + 0.1) ** 1.5,
    "power by an operand": lambda f, a, b, c: (a * a + 0.5) ** b,
    "broadcast both ways": lambda f, a, b, c: a[:, :1] * b + c[:1, :] * a,
    "row norms": lambda f, a, b, c: a / f.sqrt((a * a).sum(1).reshape(3, 1)),
    "quadratic form": lambda f, a, b, c: ((a @ c) * a).sum(1),
    "gram matrix": lambda f, a, b, c: f.log((a @ a.T) ** 2 + 1.0),
    "matrix powers": lambda f, a, b, c: c @ c @ c,
    "batched product": lambda f, a, b, c: a.reshape(3, 1, 4) @ (c * b),
    "log of a softmax by hand": lambda f, a, b, c: f.log(f.exp(a) / f.exp(a).sum(1).reshape(3, 1)),
    "variance by hand": lambda f, a, b, c: ((a - a.mean(0)) ** 2).mean(0),
    "sine and cosine": lambda f, a, b, c: f.sin(a * b) * f.cos(a - b),
    "inverse functions": lambda f, a, b, c: f.arctan(a) + f.arcsinh(b) * f.tanh(c[:3]),
    "maximum": lambda f, a, b, c: f.maximum(a, b) * f.minimum(a, c[:3]),
    "choice": lambda f, a, b, c: f.where(a > 0, a * b, f.exp(a)),
    "guarded root": lambda f, a, b, c: f.where(b > 0, f.sqrt(f.abs(b) + 0.1), 0.0 * b) * a,
    "gather": lambda f, a, b, c: a[[0, 2, 2]] * b + c[[1, 1, 0]],
    "slices": lambda f, a, b, c: a[:, 1:] * a[:, :-1] + b[None, 1:],
    "transposes": lambda f, a, b, c: (a.T * b.reshape(4, 1)) @ a,
    "cumulative": lambda f, a, b, c: f.cumsum(a * b, 1) * a,
    "two layers": lambda f, a, b, c: f.tanh(f.tanh(a @ c + b) @ c.T - b).sum(),
}


class _Lazy:
    """The library's functions under PyTorch's names."""

    abs = staticmethod(lg.absolute)

    def __getattr__(self, name):
        return getattr(lg, name)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_agrees_with_torch(name):
    rng = np.random.default_rng(len(name))
    arrays = [rng.standard_normal(shape) for shape in ((3, 4), (4,), (4, 4))]
    directions = [rng.standard_normal(array.shape) for array in arrays]

    leaves = [lg.Value(array) for array in arrays]
    y = EXPRESSIONS[name](_Lazy(), *leaves)
    seed = rng.standard_normal(y.shape)
    gradients = lg.vjp(y, leaves, seed, unused="zero")
    products = lg.hvp((y * seed).sum(), leaves, directions, unused="zero")
    tangent = lg.jvp(y, leaves, directions)
    found = interpret(Graph([y, tangent, *gradients, *products]), {})

    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    moves = [torch.tensor(direction) for direction in directions]
    z = EXPRESSIONS[name](torch, *tensors)
    weighted = (z * torch.tensor(seed)).sum()
    first = torch.autograd.grad(weighted, tensors, create_graph=True, materialize_grads=True)
    along = sum((g * v).sum() for g, v in zip(first, moves, strict=True))
    second = torch.autograd.grad(along, tensors, allow_unused=True, materialize_grads=True)
    np.testing.assert_allclose(found[0], z.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose((found[1] * seed).sum(), along.item(), rtol=1e-10)
    for ours, theirs in zip(found[2:], (*first, *second), strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-9, atol=1e-10)
