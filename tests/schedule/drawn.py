"""Random graphs of operations of every kind of storage, for the tests beside this file."""

import numpy as np

import lazygrad as lg
from lazygrad.errors import GraphError
from lazygrad.ir.graph import Graph

UNARY = [
    "exp",
    "tanh",
    "relu",
    "negative",
    "sigmoid",
    "square",
    "absolute",
    "floor",
    "copy",
    "stop_gradient",
]
BINARY = ["add", "subtract", "multiply", "maximum", "minimum", "arctan2"]


class Drawn:
    """A pool of nodes over placeholders, variables and constants, grown by chance."""

    def __init__(self, seed, count=25):
        self.rng = np.random.default_rng(seed)
        rows = self.pick([3, "rows"])
        self.lengths = {"rows": int(self.rng.integers(0, 40))} if rows == "rows" else {}
        self.variables = [
            lg.Value(np.zeros(self.pick([(4,), (4, 4), (), (1, 4)])), name=f"w{i}")
            for i in range(3)
        ]
        self.pool = [
            lg.placeholder((rows, 4), name="x", requires_grad=True),
            lg.placeholder((rows, 4), dtype="float32", name="y", requires_grad=True),
            lg.placeholder((4, 4), name="z", requires_grad=True),
            lg.constant(np.ones(4)),
            *self.variables,
        ]
        while len(self.pool) < count:
            try:
                made = self.pick(GROWTHS)(self)
            except (GraphError, ValueError, TypeError):
                continue
            made = list(made) if isinstance(made, tuple) else [made]
            # Lengths taken for equal that aren't are an error of the graph, tested elsewhere.
            if not Graph(made).assumptions:
                self.pool += made

    def pick(self, choices):
        return choices[int(self.rng.integers(len(choices)))]

    def node(self):
        return self.pick(self.pool[-8:] if self.rng.random() < 0.7 else self.pool)

    def nodes(self, count):
        return [self.node() for _ in range(count)]

    def loss(self):
        """The sum of the last nodes that have a derivative."""
        found = [node for node in self.pool[-6:] if node.requires_grad]
        return sum((lg.sum(node) for node in found), start=lg.sum(self.pool[0]))

    def updates(self):
        """New values for some of the variables, from what has their shape or is summed to it."""
        pairs = []
        for w in self.variables[: int(self.rng.integers(1, 4))]:
            fitting = [n for n in self.pool if n.shape == w.shape and n.dtype == w.dtype]
            kind = int(self.rng.integers(5))
            value = self.pick(fitting)
            if kind == 0:
                value = w - value * 0.5
            elif kind == 1 and value.ndim == 2:
                value = value.T if value.shape[0] == value.shape[1] else value
            elif kind == 2:
                value = lg.maximum(value, w)
            elif kind == 3:
                value = w - 0.1 * lg.sum(self.node())
            if value.shape == w.shape and value.dtype == w.dtype:
                pairs.append((w, value))
        return pairs


GROWTHS = [
    lambda d: getattr(lg, d.pick(UNARY))(d.node()),
    lambda d: getattr(lg, d.pick(UNARY))(d.node()),
    lambda d: getattr(lg, d.pick(BINARY))(d.node(), d.node()),
    lambda d: getattr(lg, d.pick(BINARY))(d.node(), d.node()),
    lambda d: d.pick([lambda x: x + x, lambda x: x * 2.0, lambda x: 1.0 - x])(d.node()),
    lambda d: lg.where(d.node() > 0, d.node(), d.node()),
    lambda d: lg.clip(d.node(), d.node(), d.node()),
    lambda d: lg.sum(d.node(), axis=-1, keepdims=True),
    lambda d: lg.mean(d.node(), axis=0),
    lambda d: lg.transpose(d.node()),
    lambda d: lg.reshape(d.node(), (-1,)),
    lambda d: d.node()[..., :2],
    lambda d: lg.broadcast_to(d.node(), (2, 4)),
    lambda d: d.node()[::-1],
    lambda d: d.node() @ d.node(),
    lambda d: d.node().astype(d.pick(["float32", "float64", "int64"])),
    lambda d: lg.softmax(d.node(), axis=-1),
    lambda d: lg.sort(d.node(), axis=-1),
    lambda d: d.node().at[..., 0].set(d.node()),
    lambda d: d.node().at[..., :2].set(d.node()[..., 2:]),
    lambda d: tuple(lg.linalg.qr(lg.tanh(lg.broadcast_to(d.node(), (4, 4))) + 5 * np.eye(4))),
    lambda d: lg.concatenate([d.node(), d.node()], axis=-1),
]
