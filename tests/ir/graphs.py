"""Random small graphs, and whether two graphs are the same; for the tests beside this file."""

import numpy as np
from hypothesis import strategies as st

import lazygrad as lg
from lazygrad.ir.graph import Graph
from lazygrad.ir.value import Value, as_value, constant, no_grad, placeholder

DTYPES = ["float64", "float32", "float16", "int64", "int8", "uint8", "bool"]
NUMBERS = [1.0, 2, -3, 0.1, float("nan"), float("-inf"), -0.0, True, 1e300, 12345678]
ONE_OPERAND = ["exp", "negative", "tanh", "sum", "transpose", "astype", "stopped", "constant"]
TWO_OPERANDS = ["add", "multiply", "less", "matmul", "where", "maximum"]


def array_for(seed: int, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * 3).astype(dtype)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    names = draw(st.lists(st.text(min_size=1, max_size=5), min_size=3, max_size=3, unique=True))
    nodes: list[Value] = []
    for name in names:
        dtype, kind = draw(st.sampled_from(DTYPES)), draw(st.integers(0, 4))
        shape = draw(st.sampled_from([(3, 3), (3,), (), (1, 3)]))
        if kind == 0:
            nodes.append(
                Value(array_for(1, dtype, shape), name=draw(st.sampled_from([None, name])))
            )
        elif kind == 1:
            nodes.append(constant(array_for(2, dtype, shape)))
        else:
            lengths = tuple("rows" if kind == 2 and length == 3 else length for length in shape)
            wants = draw(st.booleans()) and dtype != "bool"
            nodes.append(placeholder(lengths, dtype=dtype, name=name, requires_grad=wants))
    for _ in range(draw(st.integers(0, 8))):
        a, b = (nodes[draw(st.integers(0, len(nodes) - 1))] for _ in range(2))
        number = draw(st.sampled_from(NUMBERS))
        name = draw(st.sampled_from([*ONE_OPERAND, *TWO_OPERANDS]))
        try:
            with np.errstate(all="ignore"):
                nodes.append(apply_named(name, a, b, number, draw(st.sampled_from(DTYPES))))
        except (lg.errors.GraphError, OverflowError, RuntimeWarning):
            continue
    outputs = draw(st.lists(st.sampled_from(nodes), min_size=1, max_size=3))
    return Graph(outputs)


def apply_named(name: str, a: Value, b: Value, number: object, dtype: str) -> Value:
    if name == "sum":
        return lg.sum(a, axis=a.ndim - 1 if a.ndim else None, keepdims=bool(number))
    if name == "astype":
        return lg.add(lg.astype(a, dtype), number)
    if name == "stopped":
        with no_grad():
            return lg.multiply(a, number)
    if name == "constant":
        return lg.add(a, constant(number, dtype=dtype))
    if name == "where":
        return lg.where(a, b, number)
    if name == "transpose":
        return lg.transpose(a) * as_value(a.shape[0] if a.ndim else 1)
    if name in TWO_OPERANDS:
        return getattr(lg, name)(a, b)
    return getattr(lg, name)(a)


def assert_same_graph(a: Graph, b: Graph) -> None:
    """Walk both graphs in step: the same operations, attributes, specs, names and sharing."""
    pairs = [*zip(a.outputs, b.outputs, strict=True), *zip(a.inputs, b.inputs, strict=True)]
    matched: dict[int, int] = {}
    back: dict[int, int] = {}
    while pairs:
        one, other = pairs.pop()
        if id(one) in matched or id(other) in back:
            assert matched.get(id(one)) == id(other), "nodes are shared in one graph only"
            continue
        matched[id(one)], back[id(other)] = id(other), id(one)
        assert one.op is other.op
        assert one.spec == other.spec
        assert one.name == other.name
        if one.operands:
            assert one._stopped == other._stopped
        assert one.requires_grad == other.requires_grad
        assert one.attrs.keys() == other.attrs.keys()
        for key, value in one.attrs.items():
            assert_same_attribute(value, other.attrs[key])
        assert (one.cell is None) == (other.cell is None)
        if one.cell is not None:
            np.testing.assert_array_equal(one.cell.array, other.cell.array, strict=True)
        pairs.extend(zip(one.operands, other.operands, strict=True))


def assert_same_attribute(one: object, other: object) -> None:
    assert type(one) is type(other)
    if isinstance(one, Graph):
        assert_same_graph(one, other)
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other, strict=True)
        if one.dtype.kind == "f":
            numbers = ~np.isnan(one)
            np.testing.assert_array_equal(np.signbit(one[numbers]), np.signbit(other[numbers]))
    else:
        assert one == other
