"""Every operation with a C form against NumPy, over dtypes, special values, shapes and axes."""

import itertools

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain
from lazygrad.errors import GraphError
from lazygrad.ir.op import Trait, table
from lazygrad.ir.value import apply
from lazygrad.schedule.kernel import kernel_of

try:
    find_toolchain()
except CompilerError as reason:
    pytest.skip(f"there is no C compiler: {reason}", allow_module_level=True)

DTYPES = ["float32", "float64", "int32", "int64", "uint8", "bool"]
ELEMENTWISE = sorted(
    name for name, op in table().items() if op.c is not None and Trait.ELEMENTWISE in op.traits
)
REDUCTIONS = sorted(name for name, op in table().items() if Trait.REDUCES in op.traits)
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, 1e-30, 1e30, 3.0, -2.5]


def samples(dtype, count, seed):
    """Numbers of a dtype, special ones first where there are some."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(count) < 0.5
    if dtype.startswith("float"):
        x = rng.normal(size=count) * 3
        x[: len(SPECIAL)] = rng.permutation(SPECIAL)[:count]
        return x.astype(dtype)
    low = 0 if dtype.startswith("u") else -9
    return rng.integers(low, 10, count).astype(dtype)


def compared(outputs, feeds, ulps=8, size=0.0):
    """Run on both backends; give the compiled program. *size* is that of what may cancel."""
    with np.errstate(all="ignore"):
        plain = lg.compile(outputs, backend="numpy")(**feeds)
    program = lg.compile(outputs, backend="c")
    results = program(**feeds)
    for node, one, other in zip(outputs, plain, results, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        if one.dtype.kind != "f":
            np.testing.assert_array_equal(one, other, err_msg=node.op.name)
            continue
        bound = ulps * np.finfo(one.dtype).eps
        np.testing.assert_allclose(
            other,
            one,
            rtol=bound,
            atol=max(np.finfo(one.dtype).tiny, size * bound),
            err_msg=str(node),
        )
    return program


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name):
    op = table()[name]
    operands = next(n for n in (1, 2, 3) if takes(op, n))
    outputs, feeds = [], {}
    for dtypes in itertools.product(DTYPES, repeat=operands):
        if operands == 3 and dtypes[0] != "bool":
            continue
        # NumPy refuses negative powers of integers.
        if name == "power" and not all(dtype.startswith("float") for dtype in dtypes):
            continue
        for count in (37, 100):
            names = [f"x{len(feeds) + i}" for i in range(operands)]
            given = [samples(dtype, count, seed=len(feeds) + i) for i, dtype in enumerate(dtypes)]
            if name == "is_on":
                # It is the slope of what is never negative.
                given = [abs(x) if x.dtype != bool else x for x in given]
            nodes = [
                lg.placeholder((count,), dtype=dtype, name=key)
                for dtype, key in zip(dtypes, names, strict=True)
            ]
            try:
                outputs += [apply(op, *nodes, **attrs) for attrs in op.variants]
            except (GraphError, TypeError):
                continue
            feeds.update(zip(names, given, strict=True))
    program = lg.compile(outputs, backend="c")
    feeds = {key: feeds[key] for key, _ in program.schedule.feeds}
    if not any(kernel_of(s) for s in program.planned().schedule.steps):
        pytest.fail(f"{name} has a C form that is never used")
    compared(outputs, feeds, size=1.0 if name.startswith("logaddexp") else 0.0)


def takes(op, count):
    """Whether an elementwise operation has so many operands."""
    for dtype in ("float64", "bool"):
        kinds = ["bool" if count == 3 and not i else dtype for i in range(count)]
        nodes = [lg.placeholder((2,), dtype=k, name=f"p{i}") for i, k in enumerate(kinds)]
        try:
            apply(op, *nodes, **op.variants[0])
        except (GraphError, TypeError):
            continue
        return True
    return False


SHAPES = [(7,), (300,), (5, 40), (40, 5), (3, 1, 17), (4, 6, 5), (9000,), (2, 9000)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_over_all_axes(name, dtype):
    op = table()[name]
    outputs, feeds = [], {}
    for shape in SHAPES:
        key = f"x{len(feeds)}"
        x = lg.placeholder(shape, dtype=dtype, name=key)
        data = np.random.default_rng(len(feeds)).normal(size=shape)
        if name == "prod" and dtype.startswith("float"):
            data = np.exp(data / 100)
        feeds[key] = (data > 0 if dtype == "bool" else data * (1 if "f" in dtype else 5)).astype(
            dtype
        )
        rank = len(shape)
        for count in range(1, rank + 1):
            for axes in itertools.combinations(range(rank), count):
                # An elementwise step before, so that a kernel holds both.
                before = x if dtype == "bool" else x * 2
                outputs += [
                    apply(op, before, axes=axes, keepdims=keepdims) for keepdims in (False, True)
                ]
    plain = lg.compile(outputs, backend="numpy")(**feeds)
    results = lg.compile(outputs, backend="c")(**feeds)
    for node, one, other in zip(outputs, plain, results, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        # Of sums that nearly cancel the operands' size counts.
        bound = 2e-4 if one.dtype == np.float32 else 1e-10
        np.testing.assert_allclose(other, one, rtol=bound, atol=bound * 100, err_msg=str(node))


def test_nan_reaches_every_reduction():
    x = lg.placeholder((3, 50), name="x")
    outputs = [f(x * 1.0, axis=a) for f in (lg.max, lg.min, lg.sum, lg.prod) for a in (None, 0, 1)]
    data = np.ones((3, 50))
    data[1, 33] = np.nan
    for one, other in zip(
        lg.compile(outputs, backend="numpy")(x=data),
        lg.compile(outputs, backend="c")(x=data),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_views_of_every_kind_are_read_where_they_lie():
    x = lg.placeholder((6, 8), name="x")
    y = lg.exp(x * 0.1)
    outputs = [
        y.T * 2,
        y[::-1] + y[:, ::-1],
        y[1:5, ::3] * 3,
        lg.broadcast_to(y[2], (4, 8)) + 1,
        lg.broadcast_to(y[:, :1], (6, 8)) * y,
        y.reshape(4, 12) - 1,
        y.reshape(2, 3, 8).transpose(2, 0, 1) * 2,
        (y.T + x.T).sum(axis=0),
        lg.diagonal(y) * 2,
        y[::2].sum(axis=1) + y[1::2].max(axis=1),
    ]
    compared(outputs, {"x": np.arange(48.0).reshape(6, 8)})


def test_what_cancels_exactly_cancels():
    a, b = (lg.placeholder((100,), name=name) for name in "ab")
    data = np.random.default_rng(0).normal(size=100)
    # With a fused multiplication one of the products would not be rounded.
    program = lg.compile(a * b - b * a + (a * a - lg.square(a)), backend="c")
    assert (program(a=data, b=data[::-1].copy()) == 0).all()


@pytest.mark.parametrize(
    "name",
    ["a */ b", "/* a", "x\ny", 'say "hi"', "\\", "é", "\u2028x()", "a" * 10_000, "??/", "#if"],
)
def test_names_stay_in_comments(name):
    x = lg.placeholder((3,), name=name)
    with lg.scope("int main() { */"):
        program = lg.compile(lg.exp(x.named(name) if hasattr(x, "named") else x) * 2, backend="c")
    np.testing.assert_allclose(program(**{name: np.zeros(3)}), 2.0)
    code = program.source
    assert "segment_0" in code
    assert all(len(line) < 400 for line in code.splitlines())


def test_equal_kernels_are_written_once():
    x = lg.placeholder((64, 64), name="x")
    y = x
    for _ in range(6):
        y = lg.tanh(y @ np.eye(64)) * 1.5
    source = lg.compile(y, backend="c").planned().source
    assert (
        source.count("static __attribute__((noinline)) void kernel_")
        + source.count("static PRODUCT __attribute__((noinline)) void kernel_")
        <= 4
    )


def test_an_update_without_a_c_form_beside_lengths_that_depend_on_data():
    x, w, v = lg.placeholder((6,), name="x"), lg.Value([5.0, 4.5, 3.0]), lg.Value([1.0, 2.0, 3.0])
    total = x[x > 0].sum()
    updates = {w: np.fmod(w, 2.0), v: np.fmod(v * total, 4.0)}
    program = lg.compile(total, updates=updates, backend="c")
    assert program(x=np.arange(-2.0, 4.0)) == 6
    np.testing.assert_array_equal(w.data, [1.0, 0.5, 1.0])
    np.testing.assert_array_equal(v.data, [2.0, 0.0, 2.0])


@pytest.mark.parametrize("length", [7, 8, 9, 11, 16, 17, 26, 63, 64, 65])
def test_short_rows_that_are_no_whole_vectors(length):
    rng = np.random.default_rng(length)
    data = rng.standard_normal((6, length, length + 2))
    x = lg.placeholder(data.shape, name="x")
    cut = x[:, :, :length]
    outputs = [lg.relu(cut + 1.0), cut.sum(axis=(0, 1)), lg.softmax(cut, axis=2)]
    raised, total, shares = lg.compile(outputs, backend="c")(x=data)
    part = data[:, :, :length]
    np.testing.assert_array_equal(raised, np.maximum(part + 1, 0))
    np.testing.assert_allclose(total, part.sum(axis=(0, 1)), rtol=1e-12, atol=1e-12)
    powers = np.exp(part - part.max(axis=2, keepdims=True))
    np.testing.assert_allclose(shares, powers / powers.sum(axis=2, keepdims=True), rtol=1e-12)
