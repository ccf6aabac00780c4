"""Element types: promotion as NumPy's, weak numbers, cotangents, what is refused."""

import itertools
import operator

import numpy as np
import pytest

import lazygrad as lg

DTYPES = ["bool", "int8", "uint8", "int32", "int64", "uint64", "float16", "float32", "float64"]


def declared(dtype, name):
    return lg.placeholder((2,), dtype=dtype, name=name)


@pytest.mark.parametrize(("a", "b"), list(itertools.product(DTYPES, DTYPES)))
def test_two_arrays_promote_as_in_numpy(a, b):
    x, y = np.ones(2, a), np.ones(2, b)
    for function in (np.add, np.multiply, np.maximum, np.true_divide, np.equal):
        node = function(declared(a, "x"), declared(b, "y"))
        expected = function(x, y)
        assert node.dtype == expected.dtype
        result = lg.compile(node)(x=x, y=y)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize("number", [2, 2.5, True])
@pytest.mark.parametrize("operation", [operator.add, operator.mul, operator.truediv])
def test_python_numbers_are_weak(dtype, number, operation):
    x = np.ones(2, dtype)
    node = declared(dtype, "x")
    assert operation(node, number).dtype == operation(x, number).dtype
    assert operation(number, node).dtype == operation(number, x).dtype


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_numpy_scalars_and_arrays_without_axes_are_strong(dtype):
    x = np.ones(2, dtype)
    for number in (np.float64(2), np.int64(3), np.asarray(2.0)):
        assert (declared(dtype, "x") + number).dtype == (x + number).dtype


def test_a_python_integer_must_fit():
    with pytest.raises(lg.DTypeError, match="the number 300 doesn't fit int8"):
        declared("int8", "x") + 300


def test_default_dtypes_are_those_of_numpy():
    assert lg.Value([1, 2]).dtype == np.int64
    assert lg.Value([1.0]).dtype == np.float64
    assert lg.Value([True]).dtype == np.bool_
    assert lg.Value(np.float32(1)).dtype == np.float32
    assert lg.placeholder((2,), name="x").dtype == np.float64
    assert lg.Value([1, 2], dtype="float32").dtype == np.float32


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_cotangent_has_the_dtype_of_its_node(dtype):
    x = lg.Value(np.ones(3, dtype))
    y = (x * 2.0).astype("float64").sum()
    assert lg.grad(y, x).dtype == dtype
    y.backward()
    assert x.grad.dtype == dtype
    np.testing.assert_array_equal(x.grad, np.full(3, 2.0, dtype))


def test_a_float32_operand_of_a_float64_result_gets_a_float32_gradient():
    x, y = lg.Value(np.ones(2, "float32")), lg.Value(np.ones(2))
    z = (x * y).sum()
    z.backward()
    assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64"])
def test_integers_have_float64_gradients_of_the_expression_over_the_reals(dtype):
    x = lg.Value(np.array([2, 3], dtype))
    (x * x).backward()
    assert x.grad.dtype == np.float64
    np.testing.assert_array_equal(x.grad, [4.0, 6.0])


def test_an_integer_to_float_cast_passes_the_gradient_on():
    x = lg.Value(np.array([2, 3]))
    (x.astype("float32") * 1.5).backward()
    np.testing.assert_array_equal(x.grad, [1.5, 1.5])


@pytest.mark.parametrize(
    "step",
    [
        lambda x: x.astype("int64"),
        lg.floor,
        lg.ceil,
        lambda x: x.round(),
        lg.sign,
        lg.trunc,
        lambda x: x // 2.0,
    ],
    ids=["cast", "floor", "ceil", "round", "sign", "trunc", "floor_divide"],
)
def test_steps_have_derivative_zero(step):
    x = lg.Value(np.array([0.3, 1.7, -2.2]))
    (step(x) * 3.0).backward()
    np.testing.assert_array_equal(x.grad, np.zeros(3))


@pytest.mark.parametrize(
    "reached_only_through",
    [
        lambda x: (x > 1.0).astype("float64"),
        lambda x: lg.logical_and(x, True).astype("float64"),
        lambda x: x.argmax().astype("float64"),
        lambda x: lg.Value(np.arange(5.0)).take(x.astype("int64")),
    ],
    ids=["comparison", "logic", "argmax", "index"],
)
def test_a_leaf_reached_only_through_what_has_no_derivative_is_disconnected(reached_only_through):
    x = lg.Value(np.array([0.3, 1.7]))
    y = reached_only_through(x).sum()
    with pytest.raises(lg.DisconnectedError, match="doesn't depend on"):
        lg.grad(y, x)
    np.testing.assert_array_equal(lg.grad(y, x, unused="zero").data, [0.0, 0.0])


def test_bools_never_require_a_gradient():
    assert not lg.Value([True, False]).requires_grad
    with pytest.raises(lg.DTypeError, match="a bool value has no gradient"):
        lg.Value([True], requires_grad=True)
    with pytest.raises(lg.DTypeError, match="has no derivative"):
        lg.grad(lg.Value([1.0]) > 0, lg.Value([1.0]))


def test_complex_is_refused_everywhere():
    refusal = pytest.raises(lg.DTypeError, match="complex values are not supported yet")
    x = lg.placeholder((2,), name="x")
    with refusal:
        lg.Value([1j])
    with refusal:
        lg.constant(1j)
    with refusal:
        lg.placeholder((2,), dtype=complex, name="x")
    with refusal:
        x + 1j
    with refusal:
        np.ones(2, complex) * x
    with refusal:
        x.astype("complex64")
    with refusal:
        lg.compile(x * 2)(x=np.ones(2, complex))


@pytest.mark.parametrize("dtype", [object, "U3", "S3", "datetime64[s]", "V4"])
def test_what_holds_no_numbers_is_refused(dtype):
    with pytest.raises(lg.DTypeError):
        lg.placeholder((2,), dtype=dtype, name="x")
    with pytest.raises(lg.DTypeError):
        lg.Value(np.zeros(2, dtype))


def test_a_foreign_byte_order_becomes_the_native_one():
    x = lg.Value(np.array([1.0, 2.0], ">f4"))
    assert x.dtype == np.float32
    assert x.dtype.isnative
    np.testing.assert_array_equal(x.data, [1.0, 2.0])
