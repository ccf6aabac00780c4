"""W12 and W13: a fit by L-BFGS, and the product of a network's Hessian with a vector."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad import nn

from ..timing import Engine
from .by_torch import perceptron_loss, torch_module
from .contest import OURS, Contest, jax_module
from .perceptrons import batches, jax_loss, weights

__all__ = ["contests"]

DECAY = 1e-3
WIDTHS, ROWS = (784, 128, 10), 128


@lru_cache(maxsize=1)
def tumours() -> tuple[np.ndarray, np.ndarray]:
    """The Wisconsin diagnoses, 569 by 30, scaled and with a column of ones; signs as labels."""
    from sklearn.datasets import load_breast_cancer

    x, t = load_breast_cancer(return_X_y=True)
    scaled = (x - x.mean(0)) / x.std(0)
    return np.column_stack([scaled, np.ones(len(x))]), 2.0 * t - 1.0


def fitted(value_and_gradient: Callable[[np.ndarray], tuple[float, np.ndarray]]) -> float:
    from scipy.optimize import minimize

    start = np.zeros(tumours()[0].shape[1])
    found = minimize(value_and_gradient, start, jac=True, method="L-BFGS-B")
    return float(found.fun)


def logistic() -> Contest:
    """The mean negative log-likelihood with a quadratic penalty, fitted from zero."""

    def ours() -> Engine:
        x, t = tumours()
        w = np.zeros(x.shape[1])
        weight = lg.placeholder(w.shape, name="w", requires_grad=True)
        loss = nn.softplus(-t * (x @ weight)).mean() + DECAY * (weight * weight).sum()
        run = lg.compile([loss, lg.grad(loss, weight)], backend="c").bind(w=w)

        def value_and_gradient(point: np.ndarray) -> tuple[float, np.ndarray]:
            w[:] = point
            run()
            value, gradient = run.out
            return float(value), gradient.copy()

        return lambda: fitted(value_and_gradient)

    def by_hand() -> Engine:
        x, t = tumours()

        def value_and_gradient(w: np.ndarray) -> tuple[float, np.ndarray]:
            margin = t * (x @ w)
            wrong = 1 / (1 + np.exp(margin))
            loss = np.logaddexp(0, -margin).mean() + DECAY * (w @ w)
            return float(loss), -(x.T @ (t * wrong)) / len(t) + 2 * DECAY * w

        return lambda: fitted(value_and_gradient)

    def jax() -> Engine:
        module = jax_module()
        jnp = module.numpy
        x, t = map(jnp.asarray, tumours())

        def loss(w: Any) -> Any:
            return jnp.mean(module.nn.softplus(-t * (x @ w))) + DECAY * (w @ w)

        compiled = module.jit(module.value_and_grad(loss))

        def value_and_gradient(w: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = compiled(w)
            return float(value), np.asarray(gradient)

        return lambda: fitted(value_and_gradient)

    def pytensor() -> Engine:
        import pytensor
        import pytensor.tensor as pt

        x, t = tumours()
        w = pt.dvector("w")
        loss = pt.softplus(-t * (x @ w)).mean() + DECAY * (w @ w)
        outputs = [loss, pytensor.grad(loss, w)]
        compiled = pytensor.function([w], outputs, mode="NUMBA", trust_input=True)

        def value_and_gradient(point: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = compiled(point)
            return float(value), gradient

        return lambda: fitted(value_and_gradient)

    engines = {OURS: ours, "numpy": by_hand, "jax": jax, "pytensor": pytensor}
    return Contest("W12 logistic regression, L-BFGS", 1.1, engines, 1e-8)


def hessian_product() -> Contest:
    """The Hessian of W2's loss times a vector, at fixed weights."""
    start = weights(WIDTHS, "float32")
    batch = batches(WIDTHS, ROWS, "float32")[0]
    rng = np.random.default_rng(2)
    vectors = [rng.normal(size=p.shape).astype("float32") for p in start]

    def ours() -> Engine:
        parameters = [lg.Value(p) for p in start]
        x = lg.placeholder((ROWS, WIDTHS[0]), dtype="float32", name="x")
        t = lg.placeholder((ROWS,), dtype="int64", name="t")
        fed = [
            lg.placeholder(v.shape, dtype="float32", name=f"v{i}") for i, v in enumerate(vectors)
        ]
        first, first_bias, second, second_bias = parameters
        scores = lg.relu(x @ first + first_bias) @ second + second_bias
        program = lg.compile(lg.hvp(nn.cross_entropy(scores, t), parameters, fed), backend="c")
        feeds = {**batch, **{f"v{i}": v for i, v in enumerate(vectors)}}
        return lambda: program(**feeds)[0]

    def jax() -> Engine:
        module = jax_module()

        def product(parameters: Any, tangents: Any, x: Any, t: Any) -> Any:
            gradient = module.grad(lambda p: jax_loss(p, x, t))
            return module.jvp(gradient, (parameters,), (tangents,))[1]

        compiled = module.jit(product)
        return lambda: np.asarray(compiled(start, vectors, **batch)[0])

    def torch() -> Engine:
        module = torch_module()
        parameters = [module.tensor(p, requires_grad=True) for p in start]
        tangents = [module.from_numpy(v) for v in vectors]
        x, t = module.from_numpy(batch["x"]), module.from_numpy(batch["t"])

        def engine() -> np.ndarray:
            loss = perceptron_loss(module, parameters, x, t)
            gradients = module.autograd.grad(loss, parameters, create_graph=True)
            found = module.autograd.grad(gradients, parameters, tangents)
            return np.asarray(found[0])

        return engine

    def pytensor() -> Engine:
        import pytensor
        import pytensor.tensor as pt

        parameters = [pytensor.shared(p) for p in start]
        first, first_bias, second, second_bias = parameters
        x, t = pt.matrix("x", dtype="float32"), pt.vector("t", dtype="int64")
        fed = [pt.tensor(f"v{i}", dtype="float32", shape=v.shape) for i, v in enumerate(vectors)]
        h = pt.maximum(x @ first + first_bias, np.float32(0))
        scores = pt.special.log_softmax(h @ second + second_bias, axis=1)
        loss = -scores[pt.arange(ROWS), t].mean()
        gradients = pytensor.grad(loss, parameters)
        along = sum((g * v).sum() for g, v in zip(gradients, fed, strict=True))
        products = [p.astype("float32") for p in pytensor.grad(along, parameters)]
        compiled = pytensor.function([x, t, *fed], products, mode="NUMBA", trust_input=True)
        return lambda: compiled(batch["x"], batch["t"], *vectors)[0]

    engines = {OURS: ours, "jax": jax, "torch": torch, "pytensor": pytensor}
    return Contest("W13 Hessian of W2 times a vector", 1.2, engines, 1e-3)


def contests() -> list[Contest]:
    """W12, where SciPy and scikit-learn are installed, and W13."""
    has_fit = all(find_spec(name) is not None for name in ("scipy", "sklearn"))
    return [*([logistic()] if has_fit else []), hessian_product()]
