"""A bad call of every public function: the text names it, its operands, their lines, what came."""

import inspect

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import (
    AxisError,
    DisconnectedError,
    DTypeError,
    OptionError,
    ShapeError,
    SymbolicError,
)

x = lg.placeholder((2, 3), name="x")
v = lg.placeholder((4,), name="v")
s = lg.placeholder((), name="s")
b = lg.placeholder((2, 3), dtype=bool, name="b")
m = lg.placeholder((3, 5), dtype="float16", name="m")
w = lg.Value([1.0, 2.0], name="w")
y = (w * w).sum()
VECTOR = np.zeros(7)
RNG = lg.random.stream(0)


def axis_5(function):
    return (lambda: function(x, axis=5), AxisError, "axis 5 is out of range; legal: -2 to 1")


def two_axes(function):
    return (lambda: function(v), ShapeError, "float64[4]", "v")


def two_operands(function):
    return (lambda: function(x, v), ShapeError, "[2, 3] and [4]", "x", "v")


def one_operand(function):
    return (lambda: function(x, 3), OptionError, "got 2")


def node_in_list(function):
    return (lambda: function([x, x]), SymbolicError, "np.stack([...])")


# Of each function: a bad call, what it raises, words of the text, the operands (x if none is said).
BAD = {
    **{
        name: axis_5(getattr(lg, name))
        for name in (
            *("all", "any", "argmax", "argmin", "argsort", "average", "count_nonzero", "cummax"),
            *("cummin", "cumprod", "cumsum", "diff", "flip", "gradient", "log_softmax"),
            *("logsumexp", "max", "mean", "median", "min", "nanmax", "nanmean", "nanmin"),
            *("nanprod", "nanstd", "nansum", "nanvar", "norm", "prod", "ptp", "softmax", "sort"),
            *("squeeze", "std", "sum", "trapezoid", "unstack", "var"),
        )
    },
    **{
        name: two_operands(getattr(lg, name))
        for name in (
            *("add", "arctan2", "copysign", "divide", "divmod", "equal", "float_power"),
            *("floor_divide", "fmax", "fmin", "fmod", "greater", "greater_equal", "heaviside"),
            *("hypot", "isclose", "allclose", "less", "less_equal", "logaddexp", "logaddexp2"),
            *("logical_and", "logical_or", "logical_xor", "maximum", "minimum", "multiply"),
            *("nextafter", "not_equal", "power", "remainder", "subtract", "broadcast_arrays"),
        )
    },
    **{
        name: (lambda name=name: getattr(lg, name)(x, x), DTypeError, "float64", "x")
        for name in (
            *("bitwise_and", "bitwise_or", "bitwise_xor", "gcd", "lcm", "ldexp"),
            *("left_shift", "right_shift"),
        )
    },
    **{
        name: (lambda name=name: getattr(lg, name)(x), DTypeError, "float64", "x")
        for name in ("bitwise_count", "invert")
    },
    **{
        name: one_operand(getattr(lg, name))
        for name in (
            *("absolute", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt"),
            *("ceil", "cos", "cosh", "erf", "erfc", "exp", "exp2", "expm1", "fabs", "floor"),
            *("isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "logical_not"),
            *("negative", "positive", "reciprocal", "relu", "rint", "sigmoid", "sign"),
            *("signbit", "sin", "sinh", "softplus", "spacing", "sqrt", "square", "tan"),
            *("tanh", "trunc", "deg2rad", "rad2deg"),
        )
    },
    **{name: two_axes(getattr(lg, name)) for name in ("diagonal", "matrix_transpose", "trace")},
    **{
        name: (lambda name=name: getattr(lg, name)(v), ShapeError, "shape [4]", "v")
        for name in ("cholesky", "det", "inv", "slogdet")
    },
    **{
        name: (lambda name=name: getattr(lg, name)(s), ShapeError, "float64[]", "s")
        for name in ("diag", "tril", "triu")
    },
    **{
        name: node_in_list(getattr(lg, name))
        for name in (
            *("argwhere", "at", "conjugate", "copy", "diagflat", "ediff1d", "fix"),
            *("flatnonzero", "frexp", "log_sigmoid", "modf", "ones_like", "sinc"),
            *("stop_gradient", "zeros_like", "atleast_1d", "atleast_2d", "atleast_3d", "flipud"),
        )
    },
    "conv": (lambda: lg.conv(x, np.ones((1, 2, 9))), ShapeError, "window that reaches over 9", "x"),
    "conv_transpose": (
        lambda: lg.conv_transpose(x, np.ones((1, 2, 2))),
        ShapeError,
        "the kernel wants 1",
        "x",
    ),
    "max_pool": (lambda: lg.max_pool(x, (9,)), ShapeError, "window that reaches over 9", "x"),
    "avg_pool": (lambda: lg.avg_pool(x, (9,)), ShapeError, "window that reaches over 9", "x"),
    "global_max_pool": (lambda: lg.global_max_pool(v, 2), ShapeError, "float64[4]", "v"),
    "global_avg_pool": (lambda: lg.global_avg_pool(v, 2), ShapeError, "float64[4]", "v"),
    "adaptive_avg_pool": (
        lambda: lg.adaptive_avg_pool(v, (2, 2)),
        ShapeError,
        "float64[4]",
        "v",
    ),
    "append": (lambda: lg.append(x, v, axis=0), ShapeError, "2 axes and operand 1 has 1", "x", "v"),
    "array_split": (lambda: lg.array_split(x, 0), OptionError, "at least 1, got 0"),
    "astype": (lambda: lg.astype(x, "number"), DTypeError, "'number' is not a dtype"),
    "broadcast_to": (lambda: lg.broadcast_to(x, (2, 4)), ShapeError, "[2, 3] can't be broadcast"),
    "by_mode": (lambda: lg.by_mode(x, b), DTypeError, "float64 and bool", "x", "b"),
    "clip": (lambda: lg.clip(x, 0, 1, min=0), OptionError, "both a_min and min"),
    "column_stack": (
        lambda: lg.column_stack([x, v]),
        ShapeError,
        "2 and operand 1 has 4",
        "x",
        "v",
    ),
    "compile": (lambda: lg.compile(x, updates={w: x}), ShapeError, "[2, 3], not [2]", "w", "x"),
    "compress": (lambda: lg.compress(x, x), ShapeError, "is a vector, got [2, 3]"),
    "concatenate": (lambda: lg.concatenate([x, v]), ShapeError, "operand 1 has 1", "x", "v"),
    "contract": (
        lambda: lg.contract(x, v, 1),
        ShapeError,
        "length 3, axis 0 of the second",
        "x",
        "v",
    ),
    "cross": (lambda: lg.cross(x, v), ShapeError, "3 components, got 4", "x", "v"),
    "delete": (lambda: lg.delete(x, 9, axis=1), AxisError, "9 is out of range for length 3"),
    "dot": (lambda: lg.dot(x, v), ShapeError, "3 and 4", "x", "v"),
    "dsplit": (lambda: lg.dsplit(x, 2), ShapeError, "float64[2, 3]"),
    "dstack": (lambda: lg.dstack([x, v]), ShapeError, "operand 1 has 1", "x", "v"),
    "einsum": (lambda: lg.einsum("ij,j->i", x, v), ShapeError, "3 and 4", "x", "v"),
    "expand_dims": (lambda: lg.expand_dims(x, 7), AxisError, "axis 7"),
    "explain_gradient": (lambda: lg.explain_gradient(y, x), DisconnectedError, "depend on x"),
    "extract": (lambda: lg.extract(b, [x, x]), SymbolicError, "np.stack", "b", "x"),
    "fliplr": (lambda: lg.fliplr(v), AxisError, "axis 1", "v"),
    "flatten": (lambda: lg.flatten(x, "F"), OptionError, "order='F'"),
    "full_like": (lambda: lg.full_like(x, v), ShapeError, "[4] can't be broadcast", "x", "v"),
    "getitem": (lambda: lg.getitem(x, 5), AxisError, "index 5 is out of range"),
    "grad": (lambda: lg.grad(y, x), DisconnectedError, "doesn't depend on x"),
    "hessian": (lambda: lg.hessian(y, x), DisconnectedError, "doesn't depend on x"),
    "hsplit": (lambda: lg.hsplit(x, 2), ShapeError, "length 3 can't be split into 2"),
    "hstack": (lambda: lg.hstack([x, v]), ShapeError, "operand 1 has 1", "x", "v"),
    "hvp": (lambda: lg.hvp(y, w, v), ShapeError, "shape, [2], got [4]", "w", "v"),
    "inner": (lambda: lg.inner(x, v), ShapeError, "is paired with it, 4", "x", "v"),
    "insert": (lambda: lg.insert(x, 9, 0.0, axis=1), AxisError, "9 is out of range"),
    "interp": (lambda: lg.interp(s, v, w), ShapeError, "[4] and [2]", "s", "v", "w"),
    "jacobian": (lambda: lg.jacobian(w, x), DisconnectedError, "doesn't depend on x", "w", "x"),
    "jvp": (lambda: lg.jvp(y, w, v), ShapeError, "shape, [2], got [4]", "w", "v"),
    "kron": (lambda: lg.kron(x, "text"), DTypeError, "text"),
    "matmul": (lambda: x @ v, ShapeError, "inner lengths differ, 3 and 4", "x", "v"),
    "meshgrid": (lambda: lg.meshgrid(v, indexing="up"), OptionError, "got 'up'", "v"),
    "moveaxis": (lambda: lg.moveaxis(x, 0, 4), AxisError, "axis 4"),
    "nan_to_num": (lambda: lg.nan_to_num(x, copy=False), OptionError, "copy="),
    "nonzero": (lambda: lg.nonzero(s), ShapeError, "without axes", "s"),
    "outer": (lambda: lg.outer(x, "text"), DTypeError, "text"),
    "pad": (lambda: lg.pad(x, -1), OptionError, "must not be negative, got -1"),
    "partition": (lambda: lg.partition(x, 8), OptionError, "kth=8"),
    "percentile": (lambda: lg.percentile(x, 101), OptionError, "between 0 and 100, got 101"),
    "polyval": (lambda: lg.polyval(s, x), ShapeError, "float64[]", "s", "x"),
    "quantile": (lambda: lg.quantile(x, 1.5), OptionError, "between 0 and 1, got 1.5"),
    "ravel": (lambda: lg.ravel(x, "F"), OptionError, "order='F'"),
    "repeat": (lambda: lg.repeat(x, -2), OptionError, "got -2"),
    "reshape": (lambda: lg.reshape(x, (4, -1)), ShapeError, "6 elements of [2, 3]"),
    "roll": (lambda: lg.roll(x, 1.5), OptionError, "integer, got 1.5"),
    "rollaxis": (lambda: lg.rollaxis(x, 0, 9), OptionError, "start 9"),
    "rot90": (lambda: lg.rot90(x, axes=(0, 0)), OptionError, "(0, 0)"),
    "round": (lambda: lg.round(x, 1.5), OptionError, "integer, got 1.5"),
    "scan": (lambda: lg.scan(lambda h, t: (h, t), 0.0, s), ShapeError, "got float64[]", "s"),
    "searchsorted": (lambda: lg.searchsorted(x, v), ShapeError, "got [2, 3]", "x", "v"),
    "select": (lambda: lg.select([b], [x, x]), OptionError, "1 conditions need as many", "b", "x"),
    "sliding_windows": (lambda: lg.sliding_windows(x, 9, 1), ShapeError, "window of 9"),
    "solve": (lambda: lg.solve(x, v), ShapeError, "3 rows and the right side 4", "x", "v"),
    "split": (lambda: lg.split(x, 2, axis=1), ShapeError, "length 3 can't be split into 2"),
    "stack": (lambda: lg.stack([x, v]), ShapeError, "operand 1 is float64[4]", "x", "v"),
    "swapaxes": (lambda: lg.swapaxes(x, 0, 6), AxisError, "axis 6"),
    "take": (lambda: lg.take(x, 7, axis=1), AxisError, "index 7 is out of range"),
    "take_along_axis": (lambda: lg.take_along_axis(x, [1], 0), ShapeError, "1 axes"),
    "tensordot": (lambda: lg.tensordot(x, v, 1), ShapeError, "is paired with it, 4", "x", "v"),
    "tile": (lambda: lg.tile(x, -1), OptionError, "got -1"),
    "trace_compile": (
        lambda: lg.trace_compile(x, updates={w: x}),
        ShapeError,
        "[2, 3], not [2]",
        "w",
        "x",
    ),
    "transpose": (lambda: lg.transpose(x, (0,)), OptionError, "(0,)"),
    "value_and_grad": (lambda: lg.value_and_grad(y, x), DisconnectedError, "depend on x"),
    "vdot": (lambda: lg.vdot(x, v), ShapeError, "6 and 4", "x", "v"),
    "vecdot": (lambda: lg.vecdot(x, v), ShapeError, "3 and 4", "x", "v"),
    "vjp": (lambda: lg.vjp(y, w, x), ShapeError, "shape, [], got [2, 3]", "w", "x"),
    "vsplit": (lambda: lg.vsplit(v, 2), ShapeError, "float64[4]", "v"),
    "vstack": (lambda: lg.vstack([x, v]), ShapeError, "3 and operand 1 has 4", "x", "v"),
    "where": (lambda: lg.where(b, x, v), ShapeError, "[4]", "b", "x", "v"),
    "with_update": (lambda: lg.with_update(x, w, x), ShapeError, "[2, 3]", "x", "w"),
}

# Their first argument is no node, or they take none; the last two are other names of a function.
WITHOUT_NODES = {
    "constant",
    "custom_op",
    "draw",
    "draw_dot",
    "draw_graph",
    "no_grad",
    "parse",
    "placeholder",
    "scope",
}
WITHOUT_NODES |= {"variable", "radians", "degrees"}


def text_of(kind, function):
    with pytest.raises(kind) as caught:
        function()
    assert type(caught.value) is kind
    return str(caught.value)


def test_every_function_stands_here():
    functions = {
        name
        for name in lg.__all__
        if callable(getattr(lg, name)) and not inspect.isclass(getattr(lg, name))
    }
    assert functions == BAD.keys() | WITHOUT_NODES


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_call_names_the_function_its_operands_and_their_lines(name):
    function, kind, words, *operands = BAD[name]
    text = text_of(kind, function)
    said, *rows = text.split("\n")
    assert said.startswith(f"{name}(")
    assert said.count(f"{name}(") == 1
    assert f"{name}:" not in said
    assert words in said
    assert said.endswith(".")
    for operand in operands or ["x"]:
        node = globals()[operand]
        assert str(node.line).startswith("test_error_words.py:")
        found = [row for row in rows if row.startswith(f"  {operand}: {node.spec}   ")]
        assert len(found) == 1
        assert found[0].endswith(f" {operand!r}, {node.line}")
    assert all("test_error_words.py:" in row for row in rows)


def test_methods_and_numpys_functions_say_the_same():
    text = text_of(AxisError, lambda: lg.sum(x, axis=5))
    assert text == (
        "sum(x): axis 5 is out of range; legal: -2 to 1.\n"
        f"  x: float64[2, 3]   placeholder 'x', {x.line}"
    )
    assert text == text_of(AxisError, lambda: x.sum(axis=5))
    assert text == text_of(AxisError, lambda: np.sum(x, axis=5))
    assert text == text_of(AxisError, lambda: np.add.reduce(x, axis=5))
    text = text_of(ShapeError, lambda: x + v)
    assert text == text_of(ShapeError, lambda: np.add(x, v))
    assert text == text_of(ShapeError, lambda: lg.add(x, v))


def test_the_function_that_was_called_is_named_not_one_that_it_calls():
    assert text_of(AxisError, lambda: lg.expand_dims(x, 7)).startswith("expand_dims(x): axis 7 ")
    assert text_of(AxisError, lambda: lg.fliplr(v)).startswith("fliplr(v): axis 1 ")
    assert "reshape" not in text_of(OptionError, lambda: lg.roll(x, 1.5))


def test_an_error_in_a_function_of_the_user_is_worded_there():
    def body(carry, row):
        return carry + lg.sum(row, axis=2), carry

    text = text_of(AxisError, lambda: lg.scan(body, s, x))
    assert text.startswith("sum(x0): axis 2 is out of range; legal: -1 to 0.\n  x0: float64[3]")

    def own(carry, row):
        raise ShapeError("mine.")

    assert text_of(ShapeError, lambda: lg.scan(own, s, x)) == "mine."


def test_a_rule_that_fails_names_its_operation_too():
    def halves(x):
        return x / 2

    named = lg.custom_op(halves, name="tests.halves", vjp=lambda g, y, x: (g, g, g))
    node = named(w)
    text = text_of(OptionError, lambda: lg.grad(node.sum(), w))
    assert text.startswith("grad(sum, w): tests.halves: vjp must give one entry")
    assert f"  w: float64[2]   variable 'w', {w.line}" in text


def test_a_constant_keeps_its_row():
    text = text_of(ShapeError, lambda: lg.matmul(x, VECTOR))
    assert text.startswith("matmul(x, constant): inner lengths differ, 3 and 7.\n")
    assert "\n  constant: float64[7]   constant, test_error_words.py:" in text


def test_of_many_operands_the_first_are_shown():
    text = text_of(ShapeError, lambda: lg.concatenate([*[v] * 5, *[x] * 20]))
    assert text.startswith("concatenate(v, v, v, v, v, x, x, x, ...): operand 0 has 1 axes")
    assert text.count("\n") == 2


def test_signatures_and_docs_are_those_of_the_function():
    assert list(inspect.signature(lg.sum).parameters) == ["a", "axis", "dtype", "keepdims"]
    assert lg.sum.__name__ == "sum"
    assert lg.sum.__doc__.startswith("Add up")


def frozen(node, name, thing):
    setattr(node, name, thing)


def write(target, index, thing):
    target[index] = thing


def feed(**feeds):
    return lg.compile(x * 2)(**feeds)


ROW_X = f"\n  x: float64[2, 3]   placeholder 'x', {x.line}"
ROW_W = f"\n  w: float64[2]   variable 'w', {w.line}"
MISTAKES = {
    "a list of nodes": (
        lambda: lg.sum([x, x]),
        SymbolicError,
        "sum(x, x): a list of nodes is not",
        ROW_X,
    ),
    "a list to NumPy": (
        lambda: np.array([x, x]),
        SymbolicError,
        "np.stack([...]) to gather",
        ROW_X,
    ),
    "a list as data": (lambda: lg.Value([x, x]), SymbolicError, "Value: a list of nodes", ROW_X),
    "set a shape": (lambda: frozen(x, "shape", 6), AttributeError, "x.reshape(...) gives", ROW_X),
    "set data": (
        lambda: frozen(w, "data", [1.0]),
        ShapeError,
        "data of w: new data must have shape [2], got [1]",
        ROW_W,
    ),
    "set a feed": (
        lambda: frozen(x, "data", 1.0),
        OptionError,
        "x is computed or fed; only a variable's",
        ROW_X,
    ),
    "by a name": (lambda: lg.grad(y, "x"), OptionError, "grad(sum): wrt must be nodes, got str"),
    "of a number": (
        lambda: lg.grad(3.0, x),
        OptionError,
        "grad(x): y must be a node, got float",
        ROW_X,
    ),
    "compile a number": (
        lambda: lg.compile(3),
        OptionError,
        "compile: outputs must be a node, or a list, tuple or dict of nodes, got 3.",
    ),
    "compile a number too": (
        lambda: lg.compile([x, 3]),
        OptionError,
        "compile(x): outputs must be nodes, got 3 among",
        ROW_X,
    ),
    "update a feed": (
        lambda: lg.compile(x, updates={x: w}),
        OptionError,
        "only variables can be updated, got x, a placeholder.",
        ROW_X,
        ROW_W,
    ),
    "a negative length": (
        lambda: lg.placeholder((2, -1), name="x"),
        ShapeError,
        "placeholder 'x': a length must not be negative, got -1.",
    ),
    "a broken length": (
        lambda: lg.placeholder((2.5,), name="x"),
        ShapeError,
        "placeholder 'x': a length must be an integer, a name or None, not 2.5",
    ),
    "an empty name": (
        lambda: lg.placeholder((2,), name=""),
        OptionError,
        "placeholder '': a name must be a non-empty string, got ''.",
    ),
    "a dtype": (
        lambda: lg.placeholder((2,), name="x", dtype="c8"),
        DTypeError,
        "placeholder 'x': complex values are not supported yet",
    ),
    "nothing": (
        lambda: lg.Value(),
        OptionError,
        "Value: give either data, or shape and name for a placeholder.",
    ),
    "text": (lambda: lg.Value("abc"), DTypeError, "Value: text can't be computed with"),
    "text, named": (
        lambda: lg.variable("abc", name="t"),
        DTypeError,
        "variable: text can't be computed with",
    ),
    "ragged": (
        lambda: lg.Value([[1], [2, 3]]),
        ShapeError,
        "Value: a ragged nested list is not an array; its rows have unequal lengths.",
    ),
    "complex": (
        lambda: lg.Value(np.array([1j])),
        DTypeError,
        "Value: complex values are not supported yet, got complex128.",
    ),
    "if": (lambda: 1 if x > 0 else 0, SymbolicError, "is built: choose with lazygrad.where"),
    "in a list": (lambda: x in [b, x], SymbolicError, "or find a node by `is`"),
    "range": (lambda: range(x), SymbolicError, "the integer value of 'x' is not known", ROW_X),
    "float": (lambda: float(x), SymbolicError, "look at .data after forward", ROW_X),
    "into an array": (
        lambda: write(VECTOR, slice(None), x),
        SymbolicError,
        "the array of 'x' is not known",
        ROW_X,
    ),
    "into a node": (lambda: write(x, 0, 1), SymbolicError, "x = x.at[...].set(v)", ROW_X),
    "out": (
        lambda: np.add(x, 1, out=np.zeros((2, 3))),
        SymbolicError,
        "np.add(x): out= would write a node's value",
        ROW_X,
    ),
    "not on nodes": (
        lambda: np.fft.fft(x),
        TypeError,
        "np.fft.fft has no meaning on lazygrad nodes.",
    ),
    "no attribute": (
        lambda: x.summ,
        AttributeError,
        "a lazygrad node has no attribute 'summ'. Did you mean lazygrad.sum?",
    ),
    "Python's sum": (
        lambda: sum(lg.placeholder(("n",), name="u")),
        SymbolicError,
        "is built: use lazygrad.scan to loop over them",
    ),
    "rows of a scalar": (
        lambda: list(s),
        TypeError,
        "a node without axes can't be iterated over.",
        f"\n  s: float64[]   placeholder 's', {s.line}",
    ),
    "feed a node": (
        lambda: feed(x=w),
        lg.FeedError,
        "feed 'x': got a graph node; feed its value, x.data.",
        ROW_X,
        ROW_W,
    ),
    "feed by place": (
        lambda: lg.compile(x)(VECTOR),
        TypeError,
        "feeds are named, program(x=...), not positional: (array([0.",
    ),
    "forward by place": (
        lambda: y.forward(3),
        TypeError,
        "forward: feeds are named, forward(x=...), not positional: (3,).",
    ),
    "seed by place": (
        lambda: y.backward(1),
        TypeError,
        "backward: the seed is named, seed=..., not positional: (1,).",
    ),
    "draw a number": (
        lambda: lg.draw(3),
        OptionError,
        "draw: give a node, several nodes, a Graph, a Program or a module, not 3.",
    ),
    "an update": (
        lambda: x.at[9].add(w),
        AxisError,
        "at[...].add(x, w): index 9 is out of range for axis 0 of length 2",
        ROW_X,
        ROW_W,
    ),
    "an update's shape": (
        lambda: x.at[0].set(v),
        ShapeError,
        "at[...].set(x, v): the index picks [3]. [4] can't be broadcast to [3].",
        ROW_X,
    ),
    "a ufunc's dtype": (
        lambda: np.exp(x, dtype="number"),
        DTypeError,
        "np.exp(x): 'number' is not a dtype",
        ROW_X,
    ),
    "a draw's shape": (
        lambda: RNG.normal((2.5,)),
        ShapeError,
        "normal: a length must be an integer, a name or None, not 2.5",
    ),
    "None": (lambda: x + None, DTypeError, "add(x): NoneType is not an array of numbers.", ROW_X),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_answered_clearly(name):
    function, kind, *words = MISTAKES[name]
    text = text_of(kind, function)
    for part in words:
        assert part in text


def test_an_assignment_with_an_operator_makes_a_new_node():
    node = w
    node += 1
    assert node is not w
    np.testing.assert_array_equal(node.data, [2.0, 3.0])
