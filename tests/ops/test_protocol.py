"""NumPy's ufuncs, their methods and its questions about specs, asked of nodes."""

import numpy as np
import pytest

from lazygrad.autodiff import grad
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import DTypeError, OptionError, SymbolicError
from lazygrad.ir.graph import Graph
from lazygrad.ir.op import NUMPY_FUNCTIONS
from lazygrad.ir.value import Value, placeholder
from lazygrad.ops.protocol import full_like, ones_like, zeros_like

UFUNCS = {f for f in vars(np).values() if isinstance(f, np.ufunc)}
REFUSED = {np.isnat}
# Composed products that NumPy has since 2.0 and 2.2.
PRODUCTS = {getattr(np, name) for name in ("vecdot", "matvec", "vecmat") if hasattr(np, name)}
X = np.arange(1.0, 7.0).reshape(2, 3)


def run(node):
    return interpret(Graph([node]), {})[0]


@pytest.mark.parametrize("ufunc", sorted(UFUNCS - PRODUCTS, key=str), ids=lambda f: f.__name__)
def test_every_ufunc_has_a_meaning_or_a_reason(ufunc):
    if ufunc not in REFUSED:
        assert ufunc in NUMPY_FUNCTIONS
        return
    with pytest.raises(
        TypeError, match=f"{ufunc.__name__} has no meaning.*nothing was computed. No"
    ):
        ufunc(Value(1.0))


def test_a_foreign_ufunc_is_named():
    double = np.frompyfunc(lambda x: 2 * x, 1, 1)
    with pytest.raises(TypeError, match=r"has no meaning on lazygrad nodes; nothing was computed"):
        double(Value(1.0))


def test_dtype_casts_the_operands_first():
    x = Value(X)
    y = np.add(x, 2, dtype=np.float32)
    assert run(y).dtype == np.float32
    np.testing.assert_array_equal(run(y), np.add(X, 2, dtype=np.float32))
    whole = Value(np.array([200, 100], np.uint8))
    np.testing.assert_array_equal(run(np.add(whole, whole, dtype=np.int64)), [400, 200])
    assert grad(np.exp(x, dtype="float32"), x).dtype == np.float64


def test_dtype_as_numpy_refuses_it():
    with pytest.raises(DTypeError, match=r"np\.add.*: float64 can't become dtype=int64"):
        np.add(Value(X), 1, dtype=np.int64)
    with pytest.raises(
        OptionError, match=r"np\.less.*: dtype=float64 is not a dtype of its result"
    ):
        np.less(Value(X), 1, dtype=np.float64)


def test_options_at_their_defaults_only():
    x = Value(X)
    assert run(np.add(x, 1, casting="same_kind", order="K", subok=True, where=True)).shape == (2, 3)
    with pytest.raises(OptionError, match=r"np\.sqrt.*: where= is not supported.*lazygrad\.where"):
        np.sqrt(x, where=X > 2)
    with pytest.raises(OptionError, match=r"np\.add.*: casting= is not supported on nodes; leave"):
        np.add(x, 1, casting="unsafe")
    with pytest.raises(SymbolicError, match="would write a node's value into an array"):
        np.add(x, 1, out=np.zeros((2, 3)))
    array = np.zeros((2, 3))
    with pytest.raises(SymbolicError, match="would write a node's value into an array"):
        array += x


@pytest.mark.parametrize(
    "ufunc", [np.add, np.multiply, np.maximum, np.minimum, np.logical_and, np.logical_or]
)
@pytest.mark.parametrize(
    "options", [{}, {"axis": 1}, {"axis": None}, {"axis": (0, 1)}, {"axis": -1, "keepdims": True}]
)
def test_reduce(ufunc, options):
    found, expected = run(ufunc.reduce(Value(X), **options)), ufunc.reduce(X, **options)
    assert found.dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(found, expected)


def test_reduce_with_dtype_and_without_axes():
    assert run(np.add.reduce(Value(X), dtype=np.float32)).dtype == np.float32
    assert run(np.maximum.reduce(Value(X), dtype=np.float32)).dtype == np.float32
    assert run(np.add.reduce(Value(3.0))) == 3
    assert run(np.logical_or.reduce(Value(X), dtype=bool)).all()
    with pytest.raises(OptionError, match="the result is bool, not float64"):
        np.logical_or.reduce(Value(X), dtype=np.float64)
    with pytest.raises(OptionError, match=r"np\.add\.reduce.*: initial= is not supported"):
        np.add.reduce(Value(X), initial=3.0)
    with pytest.raises(OptionError, match=r"np\.add\.reduce.*: where= is not supported"):
        np.add.reduce(Value(X), where=X > 1)


@pytest.mark.parametrize("ufunc", [np.add, np.multiply])
def test_accumulate(ufunc):
    for options in ({}, {"axis": 1}, {"axis": -2, "dtype": np.float32}):
        found, expected = run(ufunc.accumulate(Value(X), **options)), ufunc.accumulate(X, **options)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected)
    with pytest.raises(TypeError, match="without axes can't be accumulated"):
        ufunc.accumulate(Value(1.0))


@pytest.mark.parametrize("ufunc", [np.maximum, np.minimum])
def test_accumulate_of_extremes(ufunc):
    for axis in (0, 1):
        found = run(ufunc.accumulate(Value(X), axis=axis))
        np.testing.assert_array_equal(found, ufunc.accumulate(X, axis=axis))


@pytest.mark.parametrize("ufunc", [np.add, np.less, np.arctan2, np.power])
def test_outer(ufunc):
    y = np.array([1.0, 2.0])
    for pair in ((Value(X), y), (y, Value(X)), (Value(X), Value(2.0))):
        plain = [p.cell.array if isinstance(p, Value) else p for p in pair]
        np.testing.assert_array_equal(run(ufunc.outer(*pair)), ufunc.outer(*plain))
    batch = placeholder(("batch",), name="b")
    assert np.add.outer(batch, y).shape == (*batch.shape, 2)


def test_methods_without_meaning_are_named():
    x = Value(X)
    with pytest.raises(TypeError, match=r"np\.subtract\.reduce has no meaning on lazygrad nodes"):
        np.subtract.reduce(x)
    with pytest.raises(TypeError, match=r"np\.add\.reduceat has no meaning"):
        np.add.reduceat(x, [0, 1])
    with pytest.raises(TypeError, match=r"np\.add\.at has no meaning.*x\.at\[index\]\.add"):
        np.add.at(x, [0], 1.0)
    with pytest.raises(TypeError, match=r"np\.subtract\.accumulate has no meaning"):
        np.subtract.accumulate(x)


def test_arrays_on_the_left():
    x = Value(X)
    for found, expected in [
        (X - x, X * 0),
        (X @ x.T, X @ X.T),
        (np.float64(2) * x, 2 * X),
        (x > X, X < X),
        (divmod(X, x)[1], X % X),
    ]:
        np.testing.assert_array_equal(run(found), expected)


def test_likenesses():
    x = Value(X.astype(np.float32))
    for function, mine in [(np.zeros_like, zeros_like), (np.ones_like, ones_like)]:
        for options in ({}, {"dtype": np.int64}, {"shape": (4,)}):
            expected = function(x.cell.array, **options)
            for found in (run(function(x, **options)), run(mine(x, **options))):
                assert found.dtype == expected.dtype
                np.testing.assert_array_equal(found, expected)
    assert run(np.full_like(x, 7)).dtype == np.float32
    np.testing.assert_array_equal(run(np.full_like(x, [1, 2, 3])), np.full_like(X, [1, 2, 3]))
    fill = Value(3.0)
    assert run(grad(full_like(x, fill), fill)) == 6


def test_likenesses_of_symbolic_lengths():
    x = placeholder(("batch", 3), name="x")
    y = np.ones_like(x)
    assert y.shape == x.shape
    (found,) = interpret(Graph([y]), {}, {"batch": 2})
    np.testing.assert_array_equal(found, np.ones((2, 3)))


def test_likenesses_of_lengths_known_in_mid_run():
    x = Value(X)
    picked = x[x > 2.5]
    np.testing.assert_array_equal(run(np.ones_like(picked)), np.ones(4))
    assert run(np.zeros_like(picked, dtype=np.int8)).dtype == np.int8


def test_a_fill_value_must_fit():
    with pytest.raises(DTypeError, match="the number 300 doesn't fit uint8"):
        np.full_like(Value(np.array([1, 2], np.uint8)), 300)


def test_a_copy_is_never_the_variable_itself():
    for array in (X, X > 2):
        x = Value(array)
        for copied in (np.copy(x), x.copy()):
            assert copied is not x
            np.testing.assert_array_equal(run(copied), array)
    x = Value(X)
    assert run(grad(np.copy(x), x)).sum() == 6
    computed = x + 1
    assert np.copy(computed) is computed


def test_questions_about_specs():
    x = Value(X.astype(np.float32))
    assert np.shape(x) == (2, 3)
    assert np.ndim(x) == 2
    assert np.size(x) == 6
    assert np.size(x, 1) == 3
    assert np.result_type(x, 1.0) == np.float32
    assert np.result_type(x, np.float64) == np.float64
    assert np.isrealobj(x)
    assert not np.iscomplexobj(x)
    assert np.real(x) is x
    assert np.conj(x) is x
    batch = placeholder(("batch", 3), name="b")
    assert np.shape(batch) == batch.shape
    assert str(np.size(batch)) == "3*batch"
