"""One bad call of every public function: the text names it, its operands, their lines, and what came."""

import inspect

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import AxisError, DisconnectedError, DTypeError, OptionError, ShapeError, SymbolicError

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
        name: (lambda f=getattr(lg, name): f(x, x), DTypeError, "float64", "x")
        for name in (
            *("bitwise_and", "bitwise_or", "bitwise_xor", "gcd", "lcm", "ldexp"),
            *("left_shift", "right_shift"),
        )
    },
    **{
        name: (lambda f=getattr(lg, name): f(x), DTypeError, "float64", "x")
        for name in ("bitwise_count", "invert")
    },
    **{
        name: one_operand(getattr(lg, name))
        for name in (
            *("absolute", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt"),
            *("ceil", "cos", "cosh", "exp", "exp2", "expm1", "fabs", "floor"),
            *("isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "logical_not"),
            *("negative", "positive", "reciprocal", "relu", "rint", "sigmoid", "sign"),
            *("signbit", "sin", "sinh", "softplus", "spacing", "sqrt", "square", "tan"),
            *("tanh", "trunc", "deg2rad", "rad2deg"),
        )
    },
    **{
        name: two_axes(getattr(lg, name))
        for name in ("cholesky", "det", "fliplr", "inv", "matrix_transpose", "slogdet", "trace")
        + ("tril", "triu", "diagonal")
    },
    **{
        name: node_in_list(getattr(lg, name))
        for name in (
            *("argwhere", "at", "conjugate", "copy", "diagflat", "ediff1d", "fix"),
            *("flatnonzero", "frexp", "log_sigmoid", "modf", "ones_like", "sinc"),
            *("stop_gradient", "zeros_like", "atleast_1d", "atleast_2d", "atleast_3d", "flipud"),
        )
    },
    "append": (lambda: lg.append(x, v, axis=0), ShapeError, "2 axes and operand 1 has 1", "x", "v"),
    "array_split": (lambda: lg.array_split(x, 0), OptionError, "at least 1, got 0"),
    "astype": (lambda: lg.astype(x, "number"), DTypeError, "'number' is not a dtype"),
    "broadcast_to": (lambda: lg.broadcast_to(x, (2, 4)), ShapeError, "[2, 3] can't be broadcast"),
    "by_mode": (lambda: lg.by_mode(x, b), DTypeError, "float64 and bool", "x", "b"),
    "clip": (lambda: lg.clip(x, 0, 1, min=0), OptionError, "both a_min and min"),
    "column_stack": (lambda: lg.column_stack([x, v]), ShapeError, "2 and operand 1 has 4", "x", "v"),
    "compile": (lambda: lg.compile(x, updates={w: x}), ShapeError, "[2, 3], not [2]", "w", "x"),
    "compress": (lambda: lg.compress(x, x), ShapeError, "a vector, got float64[2, 3]"),
    "concatenate": (lambda: lg.concatenate([x, v]), ShapeError, "operand 1 has 1", "x", "v"),
    "contract": (lambda: lg.contract(x, v, 1), ShapeError, "3 and 4", "x", "v"),
    "cross": (lambda: lg.cross(x, v), ShapeError, "[2, 3] and [4]", "x", "v"),
    "delete": (lambda: lg.delete(x, 9, axis=1), AxisError, "9 is out of range for length 3"),
    "diag": (lambda: lg.diag(s), ShapeError, "float64[]", "s"),
    "dot": (lambda: lg.dot(x, v), ShapeError, "3 and 4", "x", "v"),
    "dsplit": (lambda: lg.dsplit(x, 2), ShapeError, "float64[2, 3]"),
    "dstack": (lambda: lg.dstack([x, v]), ShapeError, "operand 1 has 1", "x", "v"),
    "einsum": (lambda: lg.einsum("ij,j->i", x, v), ShapeError, "3 and 4", "x", "v"),
    "expand_dims": (lambda: lg.expand_dims(x, 7), AxisError, "axis 7"),
    "extract": (lambda: lg.extract(b, v), ShapeError, "6", "b", "v"),
    "flatten": (lambda: lg.flatten(x, "F"), OptionError, "order='F'"),
    "full_like": (lambda: lg.full_like(x, v), ShapeError, "[4] can't be broadcast", "x", "v"),
    "getitem": (lambda: lg.getitem(x, 5), AxisError, "index 5 is out of range"),
    "grad": (lambda: lg.grad(y, x), DisconnectedError, "doesn't depend on x"),
    "hessian": (lambda: lg.hessian(y, x), DisconnectedError, "doesn't depend on x"),
    "hsplit": (lambda: lg.hsplit(x, 2), ShapeError, "length 3 can't be split into 2"),
    "hstack": (lambda: lg.hstack([x, v]), ShapeError, "operand 1 has 1", "x", "v"),
    "hvp": (lambda: lg.hvp(y, w, v), ShapeError, "[4] and [2]", "w", "v"),
    "inner": (lambda: lg.inner(x, v), ShapeError, "3 and 4", "x", "v"),
    "insert": (lambda: lg.insert(x, 9, 0.0, axis=1), AxisError, "9 is out of range"),
    "interp": (lambda: lg.interp(s, v, w), ShapeError, "[4] and [2]", "s", "v", "w"),
    "jacobian": (lambda: lg.jacobian(w, x), DisconnectedError, "doesn't depend on x", "w", "x"),
    "jvp": (lambda: lg.jvp(y, w, v), ShapeError, "[4] and [2]", "w", "v"),
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
    "solve": (lambda: lg.solve(x, v), ShapeError, "[2, 3]", "x", "v"),
    "split": (lambda: lg.split(x, 2, axis=1), ShapeError, "length 3 can't be split into 2"),
    "stack": (lambda: lg.stack([x, v]), ShapeError, "operand 1 is float64[4]", "x", "v"),
    "swapaxes": (lambda: lg.swapaxes(x, 0, 6), AxisError, "axis 6"),
    "take": (lambda: lg.take(x, 7, axis=1), AxisError, "index 7 is out of range"),
    "take_along_axis": (lambda: lg.take_along_axis(x, [1], 0), ShapeError, "1 axes"),
    "tensordot": (lambda: lg.tensordot(x, v, 1), ShapeError, "3 and 4", "x", "v"),
    "tile": (lambda: lg.tile(x, -1), OptionError, "got -1"),
    "transpose": (lambda: lg.transpose(x, (0,)), OptionError, "(0,)"),
    "value_and_grad": (lambda: lg.value_and_grad(y, x), DisconnectedError, "depend on x"),
    "vdot": (lambda: lg.vdot(x, v), ShapeError, "6 and 4", "x", "v"),
    "vecdot": (lambda: lg.vecdot(x, v), ShapeError, "3 and 4", "x", "v"),
    "vjp": (lambda: lg.vjp(y, w, x), ShapeError, "[2, 3] and []", "w", "x"),
    "vsplit": (lambda: lg.vsplit(v, 2), ShapeError, "float64[4]", "v"),
    "vstack": (lambda: lg.vstack([x, v]), ShapeError, "3 and operand 1 has 4", "x", "v"),
    "where": (lambda: lg.where(b, x, v), ShapeError, "[4]", "b", "x", "v"),
}

# Their first argument is no node, or they take none; the last two are other names of a function.
WITHOUT_NODES = {"constant", "custom_op", "draw", "no_grad", "parse", "placeholder", "scope"}
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
