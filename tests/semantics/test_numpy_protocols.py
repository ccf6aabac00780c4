"""NumPy's own calls build the graph, or say why they don't; nothing drops a gradient silently."""

import copy
import math
import operator

import numpy as np
import pytest

import lazygrad as lg


@pytest.fixture
def x():
    return lg.placeholder((2, 3), name="x", requires_grad=True)


@pytest.fixture
def rows():
    return lg.placeholder(("batch", 3), name="rows")


def test_ufuncs_and_functions_give_nodes(x):
    nodes = [
        np.exp(x),
        np.add(x, 1),
        np.sum(x, axis=0),
        np.concatenate([x, np.ones((1, 3))]),
        np.stack([x, x]),
        np.where(x > 0, x, 0),
        np.einsum("ij,ij->i", x, x),
        np.ones((4, 2)) @ x,
        2.0 * x,
        np.float32(2) * x,
        np.ones((2, 3)) - x,
        np.add.reduce(x),
        np.linalg.norm(x),
    ]
    for node in nodes:
        assert isinstance(node, lg.Value)
        assert node.requires_grad


def test_arrays_on_the_left_do_not_swallow_the_node(x):
    for function in (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow):
        node = function(np.full((2, 3), 2.0), x)
        assert isinstance(node, lg.Value)
        expected = function(np.full((2, 3), 2.0), np.ones((2, 3)))
        np.testing.assert_array_equal(lg.compile(node)(x=np.ones((2, 3))), expected)


@pytest.mark.parametrize(
    "convert",
    [
        np.asarray,
        np.array,
        lambda x: np.array([x]),
        lambda x: np.array([x, x]),
        lambda x: np.array([[x[0, 0], 1.0]]),
        lambda x: np.zeros((2, 3)).__setitem__(slice(None), x),
        lambda x: np.random.default_rng(0).normal(x),
        lambda x: np.random.default_rng(0).choice(x),
        lambda x: np.asarray(x, dtype=object),
        lambda x: np.ndarray.dot(np.zeros((3, 2)), x),
    ],
)
def test_becoming_an_array_is_refused(x, convert):
    with pytest.raises(
        lg.SymbolicError, match=r"\.data(.|\n)*np\.stack(.|\n)*test_numpy_protocols"
    ):
        convert(x)


@pytest.mark.parametrize(
    "store",
    [
        lambda x: np.zeros(3).__setitem__(0, x[0, 0]),
        lambda x: np.zeros(3).fill(x[0, 0]),
        lambda x: np.fromiter([x[0, 0]], float),
    ],
)
def test_becoming_one_element_is_refused(x, store):
    with pytest.raises(ValueError, match="setting an array element") as caught:
        store(x)
    assert isinstance(caught.value.__cause__, lg.SymbolicError)


def test_any_node_but_a_constant_refuses():
    for node in (lg.Value([1.0]), lg.Value([1.0]) * 2, lg.constant([1.0]) * 2):
        with pytest.raises(lg.SymbolicError):
            np.asarray(node)
    fixed = lg.constant([1.0, 2.0])
    array = np.asarray(fixed)
    array[:] = 7
    np.testing.assert_array_equal(np.asarray(fixed, dtype="float32"), [1.0, 2.0])


def test_an_array_cannot_take_the_result(x):
    out = np.zeros((2, 3))
    for write in (
        lambda: np.exp(x, out=out),
        lambda: np.add(out, 1.0, out=x),
        lambda: np.add(x, 1.0, out),
        lambda: operator.iadd(out, x),
    ):
        with pytest.raises(lg.SymbolicError, match="leave out= away"):
            write()
    np.testing.assert_array_equal(out, np.zeros((2, 3)))
    with pytest.raises((TypeError, lg.LazygradError), match="out"):
        np.sum(x, axis=0, out=np.zeros(3))


def test_a_function_that_does_not_exist_on_nodes_is_named(x):
    for function in (np.packbits, np.bincount, np.histogram):
        with pytest.raises(
            TypeError, match=f"np.{function.__name__} has no meaning on lazygrad nodes"
        ):
            function(x)
    with pytest.raises(TypeError, match="the ufunc isnat has no meaning"):
        np.isnat(x)


def test_an_option_that_nodes_do_not_have_is_named(x):
    with pytest.raises((TypeError, lg.OptionError), match="where"):
        np.add(x, 1, where=np.ones((2, 3), bool))
    with pytest.raises((TypeError, lg.OptionError), match="order"):
        np.reshape(x, -1, order="F")


@pytest.mark.parametrize(
    ("ask", "instead"),
    [
        (bool, "lazygrad.where"),
        (lambda x: x and 1, "lazygrad.where"),
        (lambda x: 1 if x > 0 else 2, "lazygrad.where"),
        (lambda x: x > 0 or 1, "lazygrad.where"),
        (lambda x: 0 < x < 1, "lazygrad.where"),
        (lambda x: 3.0 in x, r"\(x == element\)\.any\(\)"),
        (lambda x: range(x), r"x\.data"),
        (lambda x: [1, 2][x], r"x\.data"),
        (lambda x: operator.index(x), r"x\.data"),
        (float, r"\.data after forward"),
        (int, r"\.data after forward"),
        (lambda x: x.item(), r"\.data after forward"),
        (lambda x: math.sqrt(x), r"\.data after forward"),
    ],
)
def test_questions_that_only_a_run_can_answer_say_what_to_use(ask, instead):
    x = lg.placeholder((), name="x")
    with pytest.raises(lg.SymbolicError, match=instead) as caught:
        ask(x)
    assert "test_numpy_protocols.py:" in str(caught.value)


def test_error_texts_name_only_what_exists(x):
    assert callable(lg.where)
    assert callable(lg.scan)
    assert hasattr(x, "take")
    assert hasattr(x, "any")
    assert hasattr(x.at[0], "set")


def test_a_concrete_first_length_has_len_and_iteration(x):
    assert len(x) == 2
    first, second = x
    assert isinstance(first, lg.Value)
    np.testing.assert_array_equal(
        lg.compile(first + second)(x=np.arange(6.0).reshape(2, 3)), [3.0, 5.0, 7.0]
    )
    assert [row.shape for row in reversed(x)] == [(3,), (3,)]
    assert len([*zip(x, range(5), strict=False)]) == 2
    assert sum(x).shape == (3,)


def test_a_symbolic_first_length_has_neither(rows):
    with pytest.raises(lg.SymbolicError, match=r"use x\.shape\[0\]"):
        len(rows)
    with pytest.raises(lg.SymbolicError, match=r"use lazygrad\.scan"):
        iter(rows)
    with pytest.raises(lg.SymbolicError):
        [*rows]
    with pytest.raises(TypeError, match="no length"):
        len(rows.sum())
    with pytest.raises(TypeError, match="can't be iterated"):
        iter(rows.sum())


def test_an_unknown_method_suggests_one(x):
    with pytest.raises(AttributeError, match=r"no attribute 'sume'\. Did you mean lazygrad\.sum"):
        x.sume()
    assert not hasattr(x, "numpy")
    assert getattr(x, "__cuda_array_interface__", None) is None
    assert copy.copy(x) is x


def test_questions_about_shapes_and_dtypes_are_answered(x, rows):
    assert np.shape(x) == (2, 3)
    assert np.ndim(x) == 2
    assert np.size(x) == x.size == 6
    assert np.shape(rows)[1] == 3
    assert np.result_type(x, np.float32) == np.float64
    assert not np.iscomplexobj(x)


def test_a_number_that_is_known_is_formatted():
    x = lg.Value([1.0, 2.5])
    assert f"{x.sum():.2f}" == "3.50"
    assert f"{x}" == str(x)
    with pytest.raises(lg.ShapeError, match="only a value with one element converts"):
        f"{x:.2f}"
    with pytest.raises(lg.SymbolicError, match="it depends on feeds"):
        f"{lg.placeholder((), name='y'):.2f}"


def test_pow_with_a_modulus_says_what_to_write():
    with pytest.raises(TypeError, match=r"write x \*\* y % modulus"):
        pow(lg.Value([2, 3]), 2, 5)
