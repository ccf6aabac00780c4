"""Every rule of every table, tried on values that break careless ones."""

import itertools

import mpmath
import numpy as np
import pytest

from lazygrad.backends.interpreter import interpret
from lazygrad.ir.graph import Graph
from lazygrad.ir.text import parse
from lazygrad.ir.value import CONSTANT, apply, constant, placeholder
from lazygrad.passes.rewrite import WILDCARD, Table
from lazygrad.passes.tables import EXACT, FAST, STABLE

FLOATS = ("float16", "float32", "float64")
INTEGERS = ("int8", "int64", "uint8")

# What a pattern alone doesn't show: attributes that have to fit, or operands of one dtype.
PARTICULAR = {
    "plus zero": "x: f8[60]; return add(square(x), 0.0)",
    "never below": "x: f8[60]; return less(add(multiply(x, x), exp(x)), -0.0)",
    "own shape": "x: f8[2, 3]; return reshape(x, shape=(2, 3))",
    "own broadcast": "x: f8[2, 3]; return broadcast_to(x, shape=(2, 3))",
    "own order": "x: f8[2, 3]; return permute(x, axes=(0, 1))",
    "own dtype": "x: f8[3]; return astype(x, dtype=float64)",
    "widened on the way": "x: f4[9]; return astype(astype(x, dtype=float64), dtype=float16)",
    "sum over nothing": "x: f8[3]; return sum(x, axes=(), keepdims=False)",
    "sum of zeros": (
        "x: f8[3]; return add(x, sum(broadcast_to(0.0, shape=(4, 3)), axes=(0,), keepdims=False))"
    ),
}


def special(dtype, rng):
    kind = np.dtype(dtype).kind
    if kind == "b":
        return np.array([False, True, True, False])
    if kind in "iu":
        limits = np.iinfo(dtype)
        drawn = rng.integers(limits.min, limits.max, 6, dtype=dtype, endpoint=True)
        fixed = np.array([limits.min, limits.max, 0, 1, 2, limits.max - 1], dtype)
        return np.concatenate([fixed, drawn])
    limits = np.finfo(dtype)
    corners = [0.0, 1.0, 2.0, 0.5, limits.tiny, limits.smallest_subnormal, limits.max, np.inf]
    corners += [limits.eps, 1 + limits.eps, 1 / 3, 3e4, 88.0, 700.0, 17.0, 1e-3, 1e-7]
    with np.errstate(all="ignore"):
        values = np.array([*corners, np.nan], dtype)
        return np.concatenate(
            [
                values,
                -values,
                rng.standard_normal(12).astype(dtype),
                rng.uniform(-30, 30, 12).astype(dtype),
            ]
        )


def wildcards(pattern):
    return {node.name: node for node in Graph([pattern]).nodes if node.op is WILDCARD}


def instance(pattern, leaves):
    """Write a pattern on real leaves; its numbers take on their dtype."""
    made = {}
    for node in Graph([pattern]).nodes:
        if node.op is WILDCARD:
            made[id(node)] = leaves[node.name]
        elif node.op is CONSTANT:
            number = node.attrs["value"].item()
            made[id(node)] = constant(number) if node.dtype == bool else number
        else:
            made[id(node)] = apply(node.op, *[made[id(o)] for o in node.operands], **node.attrs)
    return made[id(pattern)]


def cases(rule, dtypes, rng):
    """Give graphs of the rule's pattern, with feeds in which all special values meet."""
    found = wildcards(rule.pattern)
    if rule.name in PARTICULAR and rule in EXACT:
        graph = parse(PARTICULAR[rule.name])
        (leaf,) = graph.placeholders.values()
        values = rng.choice(special(leaf.dtype, rng), leaf.shape)
        yield graph, {leaf.name: values}
        return
    for dtype in dtypes:
        numbers = [1.0, -1.0, 2.0, -0.5, 0.25, -3.0, 0.0, np.inf, 1 / 3]
        if np.dtype(dtype).kind in "iu":
            numbers = [1, 2, 5, 0]
        for chosen in itertools.product(
            numbers, repeat=sum(w.attrs["fixed"] for w in found.values())
        ):
            rest = iter(chosen)
            free, leaves, columns = {}, {}, []
            for name, node in found.items():
                if node.attrs["fixed"]:
                    leaves[name] = constant(np.array(next(rest), dtype))
                    continue
                own = "bool" if node.dtype == bool else dtype
                free[name] = (node, own)
                columns.append(special(own, rng))
            if any(node.shape for node, _ in free.values()):
                feeds = {n: rng.choice(special(d, rng), w.shape) for n, (w, d) in free.items()}
            else:
                grids = np.meshgrid(*columns, indexing="ij") if columns else []
                feeds = {n: g.reshape(-1) for n, g in zip(free, grids, strict=True)}
            for name, data in feeds.items():
                leaves[name] = placeholder(data.shape, dtype=data.dtype, name=name)
            try:
                graph = Graph([instance(rule.pattern, leaves)])
            except TypeError:
                continue
            yield graph, feeds


def bits(array):
    """Give an array's bytes, with every NaN the same."""
    array = np.array(array)
    if array.dtype.kind == "f":
        array[np.isnan(array)] = np.nan
    return array.dtype, array.shape, array.tobytes()


def value_of(graph, feeds):
    with np.errstate(all="ignore"):
        return interpret(graph, feeds)[0]


def ids(rules):
    return [rule.name.replace(" ", "-") for rule in rules]


@pytest.mark.parametrize("rule", EXACT, ids=ids(EXACT))
def test_exact_rules_keep_every_bit(rule, rng):
    table, applied = Table([rule]), 0
    for graph, feeds in cases(rule, (*FLOATS, *INTEGERS, "bool"), rng):
        after = table.apply(graph)
        applied += after is not graph
        assert after.outputs[0].spec == graph.outputs[0].spec
        assert bits(value_of(after, feeds)) == bits(value_of(graph, feeds)), f"{graph}\n{after}"
    assert applied


def over(function):
    return np.frompyfunc(function, 1, 1)


def exact_sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def exact_softmax(x, axes):
    powers = over(mpmath.exp)(x)
    return powers / powers.sum(axis=axes, keepdims=True)


EXACTLY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "negative": np.negative,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "power": np.power,
    "exp": over(mpmath.exp),
    "log": over(mpmath.log),
    "log1p": over(lambda x: mpmath.log(1 + x)),
    "sqrt": over(mpmath.sqrt),
    "sigmoid": over(exact_sigmoid),
    "softmax": exact_softmax,
    "sum": lambda x, axes, keepdims: np.asarray(x.sum(axis=axes, keepdims=keepdims), object),
}


def exact_value(graph, feeds):
    known = {}
    for node in graph.nodes:
        if node.op is CONSTANT:
            known[id(node)] = np.array(mpmath.mpf(node.attrs["value"].item()), object)
        elif not node.operands:
            known[id(node)] = over(mpmath.mpf)(feeds[node.name].astype(np.float64))
        else:
            operands = [known[id(operand)] for operand in node.operands]
            known[id(node)] = EXACTLY[node.op.name](*operands, **node.attrs)
    return np.asarray(known[id(graph.outputs[0])], object)


def distances(values, exact):
    """Give how far values are from the exact ones, in units of their last place."""
    result = np.empty(values.shape)
    for place, (value, want) in enumerate(zip(values.flat, exact.flat, strict=True)):
        with np.errstate(all="ignore"):
            nearest = values.dtype.type(float(want))
            unit = float(np.spacing(np.abs(nearest)))
        if np.isinf(nearest):
            result.flat[place] = 0.0 if value == nearest else np.inf
        elif not np.isfinite(value):
            result.flat[place] = np.inf
        else:
            result.flat[place] = float(abs(mpmath.mpf(float(value)) - want) / unit)
    return result


# Units in the last place by which the kernels of results may lag behind where both are near.
SLACK = 2.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", STABLE, ids=ids(STABLE))
def test_stable_rules_are_no_less_accurate(rule, dtype, rng):
    shape = next((w.shape for w in wildcards(rule.pattern).values() if w.shape), (40,))
    limit = 80.0 if dtype == "float32" else 600.0
    tiny = np.concatenate([np.geomspace(1e-30, 1, 10), -np.geomspace(1e-30, 1, 10)])
    for scale in (1.0, 20.0, limit):
        leaves, feeds = {}, {}
        for name in wildcards(rule.pattern):
            data = rng.uniform(-scale, scale, shape)
            if shape == (40,):
                data[:20] = tiny
            feeds[name] = data.astype(dtype)
            leaves[name] = placeholder(shape, dtype=dtype, name=name)
        graph = Graph([instance(rule.pattern, leaves)])
        after = Table([rule]).apply(graph)
        assert after is not graph
        before, now = value_of(graph, feeds), value_of(after, feeds)
        assert now.dtype == before.dtype
        assert now.shape == before.shape
        with mpmath.workprec(2200):
            inside = ~np.isnan(before) | ~np.isnan(now)
            exact = exact_value(graph, feeds) if inside.all() else None
        if exact is None:
            # Outside the domain of the pattern: compared where it has a value.
            feeds = {
                name: np.abs(data) / (np.abs(data).max() * 1.01) for name, data in feeds.items()
            }
            feeds = {name: data.astype(dtype) for name, data in feeds.items()}
            before, now = value_of(graph, feeds), value_of(after, feeds)
            with mpmath.workprec(2200):
                exact = exact_value(graph, feeds)
        with mpmath.workprec(2200):
            old, new = distances(before, exact), distances(now, exact)
        assert (new <= old + SLACK).all(), (old, new, feeds)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", STABLE, ids=ids(STABLE))
def test_stable_rules_keep_limits(rule, dtype, rng):
    """At infinities, NaN and overflow a result may differ only by mending one that was lost."""
    for graph, feeds in cases(rule, (dtype,), rng):
        after = Table([rule]).apply(graph)
        before, now = value_of(graph, feeds), value_of(after, feeds)
        given = np.zeros(np.shape(before), bool)
        for data in feeds.values():
            given = given | (np.isnan(data) if data.ndim == 1 else np.isnan(data).any())
        if any(w.shape for w in wildcards(rule.pattern).values()):
            given[...] = any(np.isnan(data).any() for data in feeds.values())
        assert np.isnan(now[given]).all()
        lost = np.isnan(before) | np.isinf(before) | (before == 0) | (np.abs(before) < 1e-30)
        kept = ~given & ~lost & np.isfinite(now)
        assert not np.isnan(now[~given & ~np.isnan(before)]).any()
        assert np.isfinite(now[~given & ~lost]).all()
        # Where the pattern cancels it keeps few digits, or none: the size of its terms counts.
        np.testing.assert_allclose(now[kept], before[kept], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rule", FAST, ids=ids(FAST))
def test_fast_rules_agree_on_ordinary_numbers(rule, rng):
    applied = 0
    for graph, feeds in cases(rule, ("float32", "float64"), rng):
        feeds = {
            name: rng.uniform(0.5, 2, data.shape).astype(data.dtype) for name, data in feeds.items()
        }
        after = Table([rule]).apply(graph)
        applied += after is not graph
        assert after.outputs[0].spec == graph.outputs[0].spec
        np.testing.assert_allclose(
            value_of(after, feeds), value_of(graph, feeds), rtol=1e-5, atol=1e-6
        )
    assert applied


@pytest.mark.parametrize("table", [EXACT, STABLE, FAST], ids=["exact", "stable", "fast"])
def test_names_are_unique(table):
    assert len({rule.name for rule in table}) == len(table)


@pytest.fixture
def rng():
    return np.random.default_rng(20)
