"""Graphs that the tests of pictures draw: small ones, with layers, repeated, trained, odd."""

import numpy as np

import lazygrad as lg
from lazygrad import nn, optim
from lazygrad.ir.graph import Graph


def numbers():
    """A few numbers, as the ancestors have them."""
    a, b = lg.Value(2.0, name="a"), lg.Value(-3.0, name="b")
    c = (a * b + 10.0) ** 2
    c.name = "c"
    return c


def perceptron():
    """Two layers and a loss, over a batch of any length."""
    model = nn.Sequential(nn.Linear(2, 4, seed=0), nn.ReLU(), nn.Linear(4, 1, seed=0))
    x = lg.placeholder(("batch", 2), dtype="float32", name="x")
    t = lg.placeholder(("batch",), dtype="float32", name="t")
    loss = lg.mean(lg.relu(1 - t * model(x)[:, 0]))
    loss.name = "loss"
    return loss


def training():
    """A training step."""
    loss = perceptron()
    return lg.compile(loss, updates=optim.SGD(0.1).minimize(loss), backend="numpy", name="step")


class Blocks(nn.Module):
    """Blocks in a row, each of several layers."""

    def __init__(self, count):
        self.blocks = [
            nn.Sequential(nn.Linear(4, 4, seed=0), nn.Tanh(), nn.LayerNorm(4)) for _ in range(count)
        ]
        self.last = nn.Linear(4, 2, seed=0)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.last(x)


def blocks(count=5):
    """Equal blocks in a row."""
    return Blocks(count)(lg.placeholder(("batch", 4), dtype="float32", name="x"))


def several():
    """Operations with several results, arrays, masks, and a loop."""
    x = lg.placeholder((3, 3), name="x", requires_grad=True)
    q, r = lg.linalg.qr(x @ np.eye(3))
    last, rows = lg.scan(lambda carry, row: (carry + row, carry * 2.0), lg.zeros_like(x[0]), x)
    return [lg.where(x > 0, lg.sqrt(x), 0.0).sum(), q, r, last, rows]


EXAMPLES = {
    "numbers": numbers,
    "perceptron": perceptron,
    "training": training,
    "blocks": blocks,
    "several": several,
    "leaf": lambda: lg.Value([1.0, 2.0], name="leaf"),
    "empty graph": lambda: Graph([]),
}
