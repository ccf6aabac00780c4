"""Checks of values and derivatives of functions of arrays, along random directions."""

from __future__ import annotations

import numpy as np

from lazygrad.autodiff import grad, jvp, vjp
from lazygrad.backends.interpreter import interpret
from lazygrad.ir.graph import Graph
from lazygrad.ir.value import Value, constant, placeholder


def run(node, lengths=None, **feeds):
    """Compute one node."""
    return interpret(Graph([node]), feeds, lengths or {})[0]


def leaves(arrays):
    """Give one placeholder per array, and the feeds by name."""
    names = [f"x{i}" for i in range(len(arrays))]
    nodes = [
        placeholder(a.shape, dtype=a.dtype, name=n, requires_grad=a.dtype.kind == "f")
        for n, a in zip(names, arrays, strict=True)
    ]
    return nodes, dict(zip(names, arrays, strict=True))


def check(function, *arrays, like=None, order=2, step=1e-6, tolerance=1e-5, symmetric=False):
    """Compare *function* of nodes with *like* of arrays, and its derivatives with differences.

    *symmetric* restricts changes of the operands to symmetric ones.
    """
    rng = np.random.default_rng(0)
    arrays = [np.asarray(a) for a in arrays]
    nodes, feeds = leaves(arrays)
    y = function(*nodes)
    value = run(y, **feeds)
    assert value.shape == y.shape
    assert value.dtype == y.dtype
    if like is not None:
        expected = np.asarray(like(*arrays))
        assert expected.dtype == y.dtype
        np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-12)
    directions = [rng.standard_normal(a.shape) for a in arrays]
    if symmetric:
        directions = [d + np.swapaxes(d, -1, -2) for d in directions]
    weights = rng.standard_normal(y.shape)

    def along(h):
        return {n: a + h * d for (n, a), d in zip(feeds.items(), directions, strict=True)}

    def difference(node):
        return (run(node, **along(step)) - run(node, **along(-step))) / (2 * step)

    tangent = run(jvp(y, nodes, directions), **feeds)
    np.testing.assert_allclose(tangent, difference(y), rtol=tolerance, atol=tolerance)
    cotangents = vjp(y, nodes, weights)
    pulled = [run(c, **feeds) for c in cotangents]
    assert [p.shape for p in pulled] == [a.shape for a in arrays]
    inner = sum(np.sum(p * d) for p, d in zip(pulled, directions, strict=True))
    np.testing.assert_allclose(inner, np.sum(weights * tangent), rtol=1e-8, atol=1e-10)
    if order < 2:
        return
    # A square in front, since a function linear in its operands has no second derivative.
    loss = (y * y * constant(weights)).sum()
    gradients = grad(loss, nodes, unused="zero")
    for gradient, again in zip(gradients, jvp(gradients, nodes, directions), strict=True):
        expected = difference(gradient)
        np.testing.assert_allclose(
            run(again, **feeds),
            expected,
            rtol=tolerance,
            atol=tolerance * (1 + abs(expected).max(initial=0)),
        )
    reverse = grad(
        sum((g * constant(d)).sum() for g, d in zip(gradients, directions, strict=True)),
        nodes,
        unused="zero",
    )
    for twice, again in zip(reverse, jvp(gradients, nodes, directions), strict=True):
        a, b = run(twice, **feeds), run(again, **feeds)
        if symmetric:
            b = (b + np.swapaxes(b, -1, -2)) / 2
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8 * (1 + abs(b).max(initial=0)))


__all__ = ["Value", "check", "leaves", "run"]
