"""Seeded random graphs: every way of running one gives what the plain interpreter gives.

A failure prints its seed; `draw(seed)` builds the graph again.
"""

import os
import warnings
from dataclasses import dataclass

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import GraphError
from lazygrad.ir.compute import compute_node
from lazygrad.ir.graph import Graph
from lazygrad.ir.op import Trait
from lazygrad.ir.value import CONSTANT, LENGTH, VARIABLE
from lazygrad.lengths import evaluate
from lazygrad.passes import PASSES

BATCH = 3
UNARY = [
    "negative",
    "positive",
    "absolute",
    "square",
    "exp",
    "tanh",
    "sin",
    "cos",
    "sigmoid",
    "softplus",
    "relu",
    "sign",
    "floor",
    "arctan",
    "expm1",
    "log_sigmoid",
    "rint",
    "reciprocal",
    "sqrt",
    "log1p",
    "copy",
    "stop_gradient",
]
BINARY = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "maximum",
    "minimum",
    "arctan2",
    "hypot",
    "logaddexp",
    "copysign",
    "fmax",
    "fmin",
    "power",
]
COMPARISONS = ["less", "less_equal", "greater", "greater_equal", "equal", "not_equal"]
REDUCTIONS = ["sum", "mean", "max", "min", "prod", "var", "std", "logsumexp"]


@dataclass
class Drawn:
    """A random graph: results, gradients, leaves that have them, and feeds."""

    outputs: list
    gradients: list
    leaves: list
    feeds: dict
    root: object


class UnfitError(Exception):
    """No node in the pool suits an operation."""


class Drawer:
    """Grows a pool of nodes by random operations on random members."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.batch = "batch" if self.rng.random() < 0.4 else BATCH
        self.dtype = self.pick(["float64", "float64", "float32"])
        self.feeds, self.pool, self.leaves = {}, [], []
        for _ in range(int(self.rng.integers(2, 5))):
            self.leaf()

    def pick(self, choices):
        return choices[int(self.rng.integers(len(choices)))]

    def leaf(self):
        shape = self.pick(
            [(), (4,), (1,), (3, 4), (self.batch, 4), (self.batch,), (2, 3, 4), (4, 4)]
        )
        known = tuple(BATCH if length == "batch" else length for length in shape)
        other = "float32" if self.dtype == "float64" else "float64"
        dtype = self.pick([self.dtype] * 5 + [other, "int64"])
        data = (
            self.rng.integers(-3, 4, known) if dtype == "int64" else self.rng.standard_normal(known)
        )
        if self.rng.random() < 0.15:
            data = np.round(data)
        data = np.asarray(data, dtype)
        if self.rng.random() < 0.3 and self.batch not in shape:
            node = lg.Value(data)
        else:
            name = f"x{len(self.feeds)}"
            node = lg.placeholder(shape, dtype=dtype, name=name, requires_grad=True)
            self.feeds[name] = data
        self.leaves.append(node)
        self.pool.append(node)

    def node(self, kinds="f", ndim=None):
        fitting = [
            n for n in self.pool if n.dtype.kind in kinds and (ndim is None or n.ndim in ndim)
        ]
        if not fitting:
            raise UnfitError
        recent = fitting[-6:]
        return self.pick(recent if self.rng.random() < 0.6 else fitting)

    def grow(self):
        step = self.pick(STEPS)
        try:
            made = step(self)
        except (GraphError, TypeError, UnfitError):
            return
        for node in made if isinstance(made, (list, tuple)) else [made]:
            size = np.prod([evaluate(length, {"batch": BATCH}) for length in node.shape])
            # Lengths taken for equal may turn out not to be, which is an error of the graph.
            sound = all(
                evaluate(a, {"batch": BATCH}) == evaluate(b, {"batch": BATCH})
                for a, b, _ in Graph([node]).assumptions
            )
            if size <= 400 and sound:
                self.pool.append(node)


def _unary(d):
    return getattr(lg, d.pick(UNARY))(d.node("fi"))


def _binary(d):
    name = d.pick(BINARY)
    if name == "copysign":
        # The sign of a NaN is nobody's promise.
        y = d.node("fi")
        return lg.copysign(d.node("fi"), lg.where(lg.isnan(y), 1.0, y))
    # NumPy refuses integers to negative integer powers when it meets one.
    kinds = "f" if name == "power" else "fi"
    return getattr(lg, name)(d.node(kinds), d.node(kinds))


def _number(d):
    number = d.pick([0, 1, -1, 2, 0.5, -0.0, 3.0, 1.5, 0.25])
    x, name = d.node("fi"), d.pick(["add", "subtract", "multiply", "divide", "maximum", "power"])
    flip = d.rng.random() < 0.4
    return getattr(lg, name)(*((number, x) if flip and name != "power" else (x, number)))


def _bounded(d):
    return d.pick([lg.tanh, lg.sin, lg.arctan, lg.sigmoid])(d.node("fi"))


def _pattern(d):
    x = d.node("f")
    return d.pick(
        [
            lambda: lg.log(1 + lg.exp(x)),
            lambda: lg.log1p(lg.exp(x)),
            lambda: lg.exp(x) - 1,
            lambda: 1 / (1 + lg.exp(-x)),
            lambda: lg.exp(x) / (1 + lg.exp(x)),
            lambda: lg.sqrt(x * x),
            lambda: -(2 * x),
            lambda: lg.negative(-x),
            lambda: x - (-d.node("f")),
            lambda: lg.log(lg.exp(x)),
            lambda: lg.log(lg.sigmoid(x)),
            lambda: lg.log(1 - lg.sigmoid(x)),
            lambda: lg.log(1 + lg.square(x)),
            lambda: x**2 + x**3,
            lambda: x / 4.0,
            lambda: lg.log(lg.softmax(x)),
            lambda: lg.astype(lg.astype(x, "float64"), "float32"),
        ]
    )()


def _compare(d):
    return getattr(lg, d.pick(COMPARISONS))(d.node("fi"), d.node("fi"))


def _logic(d):
    a, b = d.node("b"), d.node("b")
    return d.pick([lambda: a & b, lambda: a | b, lambda: ~a, lambda: lg.logical_not(a)])()


def _where(d):
    condition = d.node("b")
    other = d.pick([0, 1.0, d.node("fi")])
    return lg.where(condition, d.node("fi"), other)


def _reduce(d):
    x = d.node("f", (1, 2, 3))
    name = d.pick(REDUCTIONS)
    axis = d.pick([None, *range(-x.ndim, x.ndim), tuple(range(x.ndim))])
    if name == "logsumexp" and axis is None:
        axis = -1
    return getattr(lg, name)(x, axis=axis, keepdims=bool(d.rng.random() < 0.5))


def _count(d):
    x = d.node("fib", (1, 2, 3))
    return d.pick([lg.argmax, lg.argmin])(x, axis=d.pick([None, 0, -1]))


def _transposed(d):
    x = d.node("fib", (2, 3))
    return lg.transpose(x, tuple(int(i) for i in d.rng.permutation(x.ndim)))


def _reshaped(d):
    x = d.node("fib")
    return d.pick(
        [
            lambda: lg.reshape(x, (-1,)),
            lambda: lg.reshape(x, (1, *x.shape)),
            lambda: lg.expand_dims(x, -1),
            lambda: lg.squeeze(x),
            lambda: lg.reshape(x, (2, -1)),
            lambda: lg.reshape(x, x.shape[::-1]),
        ]
    )()


def _broadcast(d):
    x = d.node("fi", (0, 1, 2))
    return lg.broadcast_to(x, (d.pick([2, d.batch, 1]), *x.shape))


def _moved(d):
    x = d.node("fi", (1, 2, 3))
    axis = d.pick(range(x.ndim))
    return d.pick(
        [
            lambda: lg.flip(x, axis),
            lambda: lg.roll(x, 1, axis),
            lambda: lg.cumsum(x, axis),
            lambda: lg.cumprod(lg.tanh(x), axis),
            lambda: lg.sort(x, axis),
            lambda: lg.pad(x, 1),
            lambda: lg.repeat(x, 2, axis),
            lambda: lg.tile(x, 2),
        ]
    )()


def _indexed(d):
    x = d.node("fi", (1, 2, 3))
    return d.pick(
        [
            lambda: x[0],
            lambda: x[-1:],
            lambda: x[::-1],
            lambda: x[..., 1:],
            lambda: x[..., None],
            lambda: x[np.array([0, -1, 0])],
            lambda: lg.take(x, np.array([-1, -1, 0]), axis=0),
            lambda: x[..., ::2],
            lambda: x.at[0].set(1.0),
            lambda: x.at[np.array([0, 0])].add(2.0),
        ]
    )()


def _joined(d):
    x = d.node("f", (1, 2))
    y = d.pick([n for n in d.pool if n.dtype.kind == "f" and n.ndim == x.ndim])
    return d.pick(
        [
            lambda: lg.concatenate([x, y], axis=d.pick(range(x.ndim))),
            lambda: lg.stack([x, x, y]),
            lambda: lg.stack([x, x], axis=-1),
            lambda: lg.split(x, [1], axis=0),
        ]
    )()


def _product(d):
    x, y = d.node("f", (1, 2, 3)), d.node("f", (1, 2, 3))
    return d.pick(
        [
            lambda: x @ y,
            lambda: x @ lg.matrix_transpose(x),
            lambda: lg.einsum("...i,...i->...", x, x),
            lambda: lg.tensordot(x, y, 1),
            lambda: lg.outer(x, y),
        ]
    )()


def _rows(d):
    x = d.node("f", (1, 2, 3))
    return d.pick([lg.softmax, lg.log_softmax])(x, axis=d.pick([-1, 0]))


def _clipped(d):
    return lg.clip(d.node("fi"), d.pick([-1.0, 0]), d.pick([1.0, 2]))


def _converted(d):
    return lg.astype(d.node("fib"), d.pick(["float32", "float64", "int64", "float64"]))


STEPS = (
    *[_unary] * 4,
    *[_binary] * 5,
    *[_number] * 4,
    *[_bounded] * 3,
    *[_pattern] * 3,
    _compare,
    _compare,
    _logic,
    _where,
    _where,
    *[_reduce] * 3,
    _count,
    _transposed,
    _reshaped,
    _reshaped,
    _broadcast,
    _moved,
    _moved,
    _indexed,
    _indexed,
    _joined,
    _product,
    _product,
    _rows,
    _clipped,
    _converted,
)


def draw(seed):
    """Build the random graph of a seed."""
    drawer = Drawer(seed)
    for _ in range(int(drawer.rng.integers(3, 28))):
        drawer.grow()
    count = int(drawer.rng.integers(1, 4))
    outputs = [drawer.pick(drawer.pool[-8:]) for _ in range(count)]
    floats = [node for node in outputs if node.dtype.kind == "f"]
    leaves = [leaf for leaf in drawer.leaves if leaf.dtype.kind == "f"]
    gradients, root = [], None
    if floats and leaves:
        root = lg.sum(lg.astype(floats[0], "float64"))
        for node in floats[1:]:
            root = root + lg.sum(lg.astype(node, "float64") * 0.5)
        gradients = _grad(root, leaves)
    return Drawn(outputs, gradients, leaves, drawer.feeds, root)


def _grad(root, leaves):
    connected = []
    for leaf in leaves:
        try:
            connected.append(lg.grad(root, [leaf])[0])
        except GraphError:
            continue
    return connected


def values_of(graph, feeds, lengths, jitter=None):
    """Run a graph node by node on row-major arrays, so that sums add in one order.

    With *jitter* every float is off by a few units in its last place.
    """
    known = {}
    for node in graph.nodes:
        if node.op is CONSTANT:
            result = node.attrs["value"]
        elif node.op is VARIABLE:
            result = node.cell.array
        elif node.op is LENGTH:
            result = np.asarray(evaluate(node.attrs["length"], lengths), node.dtype)
        elif not node.operands:
            result = feeds[node.name]
        else:
            result = compute_node(node, [known[id(operand)] for operand in node.operands], lengths)
            result = tuple(map(_row_major, result)) if type(result) is tuple else _row_major(result)
            moves = node.op.writes.name == "VIEW" or Trait.MOVES_MASK in node.op.traits
            if jitter is not None and not moves and not isinstance(result, tuple):
                result = _off(result, jitter)
        if jitter is not None and node.op is not CONSTANT and not node.operands:
            # A sum in another order is as good as one of leaves that are a little off, but whole
            # numbers add up exactly, and their ties must stay.
            result = result if (result == np.rint(result)).all() else _off(result, jitter)
        known[id(node)] = result
    return [known[id(node)] for node in graph.outputs]


def _row_major(array):
    return np.asarray(array, order="C")


def _off(array, rng):
    if array.dtype.kind != "f":
        return array
    factor = 1 + rng.choice([-2, -1, 1, 2], array.shape) * np.finfo(array.dtype).eps
    return (array * factor).astype(array.dtype)


def bits(array):
    array = np.array(array)
    if array.dtype.kind == "f":
        array[np.isnan(array)] = np.nan
    return array.dtype, array.shape, array.tobytes()


def tolerances(graph, feeds, lengths, exact, seed):
    """Give, per result, how far rounding alone may carry its elements; NaN where anywhere."""
    spread = [np.zeros(np.shape(value)) for value in exact]
    for attempt in range(4):
        moved = values_of(graph, feeds, lengths, np.random.default_rng((seed, attempt)))
        for place, (value, other) in enumerate(zip(exact, moved, strict=True)):
            if value.dtype.kind == "b":
                spread[place] = np.where(value != other, np.nan, spread[place])
                continue
            same = (value == other) | (np.isnan(value) & np.isnan(other))
            distance = np.where(same, 0.0, np.abs(np.subtract(value, other, dtype=np.float64)))
            distance = np.where(np.isfinite(distance), distance, np.nan)
            spread[place] = np.maximum(spread[place], distance)
    result = []
    for value, width in zip(exact, spread, strict=True):
        if value.dtype.kind != "f":
            result.append(np.where(width > 0, np.nan, width))
            continue
        # Sums in another order cancel to something near 0 instead of 0.
        least = 1.0 if os.environ.get("LAZYGRAD_BACKEND") == "c" else 1e-30
        unit = np.finfo(value.dtype).eps * np.maximum(np.abs(value.astype(np.float64)), least)
        result.append(30 * width + 30 * unit)
    return result


def check_close(got, want, tolerance, what):
    for place, (a, b, width) in enumerate(zip(got, want, tolerance, strict=True)):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.dtype, a.shape) == (b.dtype, b.shape), what
        if a.dtype.kind == "b":
            assert (a == b)[~np.isnan(width)].all(), f"{what}: result {place}"
            continue
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        distance = np.where(same, 0.0, np.abs(np.subtract(a, b, dtype=np.float64)))
        # Where rounding decides between a number and NaN or infinity anything goes.
        wrong = ~np.isnan(width) & ~np.isinf(width) & ~(distance <= width)
        # Overflow in one form and not in the other is what stable rewrites mend.
        wrong &= ~(~np.isfinite(b) & np.isfinite(a))
        assert not wrong.any(), f"{what}: result {place}: {a[wrong][:5]} but {b[wrong][:5]}"


def check(seed):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        _check(seed)


def _check(seed):
    drawn = draw(seed)
    feeds, lengths = drawn.feeds, {"batch": BATCH}
    graph = Graph([*drawn.outputs, *drawn.gradients])
    if not _is_fed(graph):
        return
    want = values_of(graph, feeds, lengths)
    width = tolerances(graph, feeds, lengths, want, seed)
    check_close(interpret(graph, feeds, lengths), want, width, f"seed {seed}, interpreter")

    before, values, is_exact = graph, want, True
    for step in PASSES:
        after = step.apply(before)
        what = f"seed {seed}, pass {step.name!r}"
        assert [n.spec for n in after.outputs] == [n.spec for n in graph.outputs], what
        now = values_of(after, feeds, lengths)
        if step.exact:
            for place, (a, b) in enumerate(zip(now, values, strict=True)):
                assert bits(a) == bits(b), f"{what}: result {place}: {a} but {b}"
        is_exact = is_exact and step.exact
        if not is_exact:
            check_close(now, want, width, what)
        again = step.apply(after)
        assert len(again) == len(after), f"{what}: not idempotent"
        before, values = after, now

    nodes = [*drawn.outputs, *drawn.gradients]
    program = lg.compile(nodes)
    needed = {name: feeds[name] for name in graph.placeholders}
    first = [np.array(result) for result in program(**needed)]
    check_close(first, want, width, f"seed {seed}, program")
    for _ in range(2):
        for a, b in zip(program(**needed), first, strict=True):
            assert bits(a) == bits(b), f"seed {seed}: a program differs from itself"

    _check_other_length(seed, graph, program, needed)

    if drawn.gradients and _is_fed(Graph([drawn.root])):
        root = drawn.root
        used = {name: feeds[name] for name in Graph([root]).placeholders}
        graph = Graph([root, *drawn.gradients])
        want = values_of(graph, feeds, lengths)
        width = tolerances(graph, feeds, lengths, want, seed)
        value = root.forward(**used)
        root.backward()
        found = [leaf.grad for leaf in drawn.leaves]
        found = [np.asarray(g) for g in found if g is not None]
        assert len(found) == len(drawn.gradients), f"seed {seed}: backward reaches other leaves"
        check_close([value, *found], want, width, f"seed {seed}, forward and backward")


def _check_other_length(seed, graph, program, feeds):
    """Run the program for another length, and once more for the first."""
    longer = {
        name: np.concatenate(
            [feeds[name], feeds[name][:2] * 0.5], dtype=node.dtype, casting="unsafe"
        )
        if node.shape and not isinstance(node.shape[0], int)
        else feeds[name]
        for name, node in graph.placeholders.items()
    }
    lengths = {"batch": BATCH + 2}
    if any(evaluate(a, lengths) != evaluate(b, lengths) for a, b, _ in graph.assumptions):
        return
    want = values_of(graph, longer, lengths)
    width = tolerances(graph, longer, lengths, want, seed)
    check_close(program(**longer), want, width, f"seed {seed}, another length")
    program(**feeds)


def _is_fed(graph):
    """Whether a feed says how long the batch is, if that matters."""
    fed = any("batch" in map(str, node.shape) for node in graph.placeholders.values())
    return fed or all(type(n.spec) is tuple or n.spec.is_static for n in graph.nodes)


def check_updates(seed):
    """All right sides of updates read the old values, outputs too."""
    drawer = Drawer(seed)
    rng, shape = drawer.rng, drawer.pick([(), (4,), (3, 4)])
    variables = [lg.Value(rng.standard_normal(shape)) for _ in range(4)]
    drawer.pool += variables
    for _ in range(int(rng.integers(2, 14))):
        drawer.grow()
    fitting = [n for n in drawer.pool if n.shape == shape and n.dtype == np.float64]
    updates = {old: drawer.pick(fitting) for old in variables[: int(rng.integers(1, 5))]}
    outputs = [drawer.pick(drawer.pool), drawer.pick(variables)]
    graph = Graph([*outputs, *updates.values()])
    if not _is_fed(graph):
        return
    feeds = {name: drawer.feeds[name] for name in graph.placeholders}
    program = lg.compile(outputs, updates=updates)
    for _ in range(3):
        lengths = {"batch": BATCH}
        want = [np.array(value) for value in values_of(graph, feeds, lengths)]
        width = tolerances(graph, feeds, lengths, want, seed)
        got = program(**feeds)
        now = [old.data.copy() for old in updates]
        check_close([*got, *now], want, width, f"seed {seed}, updates")


@pytest.mark.parametrize("block", range(10))
def test_random_updates(block):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for seed in range(20 * block, 20 * block + 20):
            check_updates(seed)


@pytest.mark.parametrize("block", range(20))
def test_random_graphs(block):
    for seed in range(10 * block, 10 * block + 10):
        check(seed)


@pytest.mark.deep
@pytest.mark.parametrize("block", range(100))
def test_many_random_graphs(block):
    for seed in range(1000 + 50 * block, 1000 + 50 * block + 50):
        check(seed)
