"""SciPy's minimizers on a loss: value and gradient from one compiled program.

Knows nodes; SciPy, an extra, is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

import lazygrad as lg

from .methods import SGD
from .optimizer import Parameters

__all__ = ["minimize_scipy"]

Vector: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

_WITHOUT_GRADIENT = frozenset({"nelder-mead", "powell", "cobyla", "cobyqa"})
_WITH_PRODUCTS = frozenset({"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"})


class _Flat:
    """Parameters as one float64 vector."""

    def __init__(self, parameters: list[lg.Value]) -> None:
        self._parameters = parameters
        self._ends = np.cumsum([parameter.data.size for parameter in parameters])[:-1]

    def read(self) -> Vector:
        return self.join([parameter.data for parameter in self._parameters])

    def write(self, vector: Vector) -> None:
        for parameter, part in zip(self._parameters, np.split(vector, self._ends), strict=True):
            parameter.data = part.reshape(parameter.shape)

    @staticmethod
    def join(arrays: list[Any]) -> Vector:
        return np.concatenate([np.ravel(array).astype(np.float64) for array in arrays])

    def parts(self, vector: lg.Value) -> list[lg.Value]:
        """Cut a node of all elements into nodes of the parameters' shapes and dtypes."""
        bounds = [0, *map(int, self._ends), None]
        return [
            vector[start:end].reshape(parameter.shape).astype(parameter.dtype)
            for parameter, start, end in zip(self._parameters, bounds[:-1], bounds[1:], strict=True)
        ]


def minimize_scipy(
    loss: lg.Value,
    parameters: Parameters | None = None,
    *,
    feeds: Mapping[str, object] | None = None,
    method: str = "L-BFGS-B",
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
    bounds: Any = None,
    constraints: Any = (),
    callback: Callable[..., Any] | None = None,
    train: bool = False,
) -> Any:
    """Minimize *loss* by ``scipy.optimize.minimize``, and leave the optimum in the parameters.

    Parameters
    ----------
    loss
        A node with one element.
    parameters
        By default every float variable below the loss that requires a gradient.
    feeds
        What the placeholders below the loss are fed, by name.
    method, tol, options, bounds, constraints, callback
        As in SciPy. Its vector is that of all parameters, flattened and joined in their order,
        in float64. Methods that use Hessian products get exact ones.
    train
        Which branch of `by_mode` runs.

    Returns
    -------
    scipy.optimize.OptimizeResult
        If it raises, or is interrupted, the parameters are as they were.

    Examples
    --------
    >>> w = lg.variable([1.0, 2.0], name="w")
    >>> result = minimize_scipy(((w - 3.0) ** 2).sum())  # doctest: +SKIP
    """
    try:
        from scipy import optimize
    except ImportError:
        raise ImportError(
            'minimize_scipy needs SciPy, an extra: pip install "lazygrad[scipy]".'
        ) from None
    finder = SGD(0.0)
    finder.name = "minimize_scipy"
    chosen = finder.chosen(loss, parameters)
    flat, fed, kind = _Flat(chosen), dict(feeds or {}), str(method).lower()
    extra: dict[str, Any] = {}
    if kind in _WITHOUT_GRADIENT:
        value = lg.compile(loss, train=train)

        def evaluate(vector: Vector) -> Any:
            flat.write(vector)
            return float(np.ravel(value(**fed))[0])
    else:
        gradients = lg.grad(loss, chosen)
        both = lg.compile([loss, *gradients], train=train)
        extra["jac"] = True

        def evaluate(vector: Vector) -> Any:
            flat.write(vector)
            found, *slopes = both(**fed)
            return float(np.ravel(found)[0]), flat.join(slopes)

    start = flat.read()
    if kind in _WITH_PRODUCTS:
        extra["hessp"] = _products(loss, chosen, flat, fed, len(start), train)
    try:
        result = optimize.minimize(
            evaluate,
            start.copy(),
            method=method,
            tol=tol,
            options=None if options is None else dict(options),
            bounds=bounds,
            constraints=constraints,
            callback=callback,
            **extra,
        )
        flat.write(np.asarray(result.x, np.float64))
    except BaseException:
        flat.write(start)
        raise
    return result


def _products(
    loss: lg.Value,
    parameters: list[lg.Value],
    flat: _Flat,
    fed: Mapping[str, object],
    size: int,
    train: bool,
) -> Callable[[Vector, Vector], Vector]:
    """Compile the product of the loss's Hessian and a vector."""
    name = "direction"
    while name in fed or name in lg.Graph([loss]).placeholders:
        name += "_"
    direction = lg.placeholder((size,), name=name)
    program = lg.compile(
        lg.hvp(loss, parameters, flat.parts(direction), unused="zero"), train=train
    )

    def multiply(vector: Vector, along: Vector) -> Vector:
        flat.write(vector)
        return flat.join(program(**{**fed, name: along}))

    return multiply
