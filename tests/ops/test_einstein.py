import numpy as np
import pytest

import lazygrad as lg
from lazygrad.autodiff import grad
from lazygrad.errors import OptionError, ShapeError
from lazygrad.ir.graph import Graph
from lazygrad.ir.value import Value, placeholder
from tests.ops.directional import check, run

RNG = np.random.default_rng(2)
SIZES = dict(zip("abcdefghijklmn", [2, 3, 4, 2, 3, 4, 2, 3, 4, 2, 3, 4, 2, 3], strict=True))


def draw(*shape):
    return RNG.standard_normal(shape)


@pytest.mark.parametrize(
    "text",
    [
        "ab,bc->ac",
        "ab,bc",
        "ba,bc",
        "ab->ba",
        "ba",
        "ab->",
        "ab->b",
        "ab->ab",
        "a,b->ab",
        "a,b->ba",
        "a,a->",
        "a,a->a",
        "ab,ab->a",
        "ab,ab->",
        "abc,acd->abd",
        "abc,abd->acd",
        "cab,dab->abcd",
        "abcd,abde->abce",
        "abc,bd->adc",
        "abcd,cdb->a",
        "abc,cbd->da",
        "abcd,efcd->abef",
        "bac,bca->b",
        "abc,de->abcde",
        "abc,ad->",
        "ab,b,bc->ac",
        "ab,bc,cd->ad",
        "a,b,c->abc",
        "ab,ab,ab->ab",
        "abk,bkl,lm->am",
        "ab,c,bd->d",
        "bqhd,bkhd->bhqk",
        "bhqk,bkhd->bqhd",
        " a b , b c -> c a ",
        "ba,cb->ca",
        "abc->cab",
        "abc,abc->cba",
        ",a->a",
        ",->",
        "->",
    ],
)
def test_values_and_derivatives(text):
    inputs = text.replace(" ", "").partition("->")[0].split(",")
    arrays = [draw(*(SIZES.get(name, 2) for name in part)) for part in inputs]
    check(lambda *xs: lg.einsum(text, *xs), *arrays, like=lambda *xs: np.einsum(text, *xs))


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("...ab,...bc->...ac", [(5, 2, 3), (3, 4)]),
        ("...ab,...bc", [(5, 2, 3), (4, 1, 3, 2)]),
        ("a...,...a->...", [(3, 2), (5, 2, 3)]),
        ("...,a->...a", [(2, 2), (3,)]),
        ("...", [(2, 3)]),
        ("...->...", [(2, 3)]),
        ("a...->...a", [(2, 3)]),
        ("ab,bc->ac", [(2, 1), (3, 4)]),
        ("ab,ab->ab", [(2, 1), (1, 4)]),
        ("ab,ab->ab", [(1, 1), (1, 4)]),
        ("ab,bc->ac", [(2, 0), (0, 4)]),
        ("ab,ac->abc", [(0, 2), (0, 3)]),
    ],
    ids=str,
)
def test_ellipsis_and_stretching(text, shapes):
    arrays = [draw(*shape) for shape in shapes]
    check(lambda *xs: lg.einsum(text, *xs), *arrays, like=lambda *xs: np.einsum(text, *xs))


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("aa", [(3, 3)]),
        ("aa->a", [(3, 3)]),
        ("aab->b", [(3, 3, 2)]),
        ("aba,ab->b", [(3, 2, 3), (3, 2)]),
        ("aaa->a", [(2, 2, 2)]),
        ("abab->ab", [(2, 3, 2, 3)]),
    ],
    ids=str,
)
def test_repeated_labels(text, shapes):
    arrays = [draw(*shape) for shape in shapes]
    check(lambda *xs: lg.einsum(text, *xs), *arrays, like=lambda *xs: np.einsum(text, *xs))


def test_interleaved_form():
    a, b = draw(2, 3), draw(3, 4)
    check(lambda x, y: lg.einsum(x, [0, 1], y, [1, 2]), a, b, like=np.matmul)
    check(lambda x, y: lg.einsum(x, [0, 1], y, [1, 2], [2, 0]), a, b, like=lambda x, y: (x @ y).T)
    check(
        lambda x, y: lg.einsum(x, [Ellipsis, 30, 1], y, [1, 2], [..., 30, 2]),
        draw(5, 2, 3),
        b,
        like=np.matmul,
    )


@pytest.mark.parametrize("dtype", [bool, np.int8, np.float32])
@pytest.mark.parametrize("text", ["ab->a", "ab,ab->", "ab,cb->ac", "ab,ab->ab"])
def test_dtypes_are_kept(text, dtype):
    arrays = [RNG.integers(0, 2, (3, 3)).astype(dtype) for _ in range(text.count(",") + 1)]
    result = run(lg.einsum(text, *map(Value, arrays)))
    expected = np.einsum(text, *arrays)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("optimize", [True, False, "greedy", "optimal"])
def test_any_order_gives_the_same(optimize):
    arrays = [draw(2, 3), draw(3, 4), draw(4, 2), draw(2)]
    y = lg.einsum("ab,bc,cd,d->a", *map(Value, arrays), optimize=optimize)
    np.testing.assert_allclose(run(y), np.einsum("ab,bc,cd,d->a", *arrays))


def test_a_chain_goes_the_cheap_way():
    x, a, b = (
        placeholder((100,), name="x"),
        placeholder((100, 100), name="a"),
        placeholder((100, 100), name="b"),
    )
    y = lg.einsum("ab,bc,c->a", a, b, x)
    products = [node for node in Graph([y]).nodes if node.op.name == "matmul"]
    assert all(1 in node.shape for node in products)


def test_contractions_are_matrix_products():
    y = lg.einsum("bqhd,bkhd->bhqk", *(placeholder((2, 3, 4, 5), name=name) for name in "qk"))
    assert {node.op.name for node in Graph([y]).nodes} == {"placeholder", "permute", "matmul"}


def test_symbolic_lengths():
    x, w = placeholder(("n", "time", 3), name="x"), Value(draw(3, 4))
    y = lg.einsum("nti,ij->jnt", x, w)
    assert str(y.spec) == "float64[4, n, time]"
    data = draw(5, 2, 3)
    lengths = {"n": 5, "time": 2}
    np.testing.assert_allclose(
        run(y, lengths, x=data), np.einsum("nti,ij->jnt", data, w.cell.array)
    )
    g = grad((y * y).sum(), w)
    rows = data.reshape(-1, 3)
    np.testing.assert_allclose(run(g, lengths, x=data), rows.T @ (2 * rows @ w.cell.array))


def test_lengths_that_are_only_assumed_equal():
    a, b = placeholder(("n", "m"), name="a"), placeholder(("p", "q"), name="b")
    y = lg.einsum("ij,ij->", a, b)
    pairs = {(str(i), str(j)) for i, j, _ in Graph([y]).assumptions}
    assert {("n", "p"), ("m", "q")} <= pairs


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("ab,bc->ac", ShapeError, "label 'b' has lengths 3 and 2"),
        ("...b,...->...", ShapeError, "label '...' has lengths 2 and 3"),
        ("aa,ab", ShapeError, "label 'a' has lengths 2 and 3"),
        ("abc,ab", ShapeError, "'abc' names 3 axes of an operand with 2, float64[2, 3]"),
        ("a,ab", ShapeError, "'a' names 1 axes"),
        ("ab", OptionError, "subscripts for 1 operands and 2 operands"),
        ("ab,ab->aa", OptionError, "names 'a' twice"),
        ("ab,ab->c", OptionError, "'c' is on no operand"),
        ("ab,a1->a", OptionError, "'1' is not a label"),
        ("a...,a...->a", OptionError, "needs '...'"),
    ],
)
def test_errors_name_subscripts_and_shapes(text, error, words):
    a, b = placeholder((2, 3), name="x"), placeholder((2, 3), name="w")
    with pytest.raises(error) as caught:
        lg.einsum(text, a, b)
    assert str(caught.value).startswith(f"einsum({text!r}, x, w): ")
    assert words in str(caught.value)
    assert "x: float64[2, 3]" in str(caught.value)


def test_odd_arguments():
    with pytest.raises(OptionError, match="needs subscripts"):
        lg.einsum()
    with pytest.raises(OptionError, match="numbers from 0 to 51"):
        lg.einsum(Value(draw(2)), [99])


def test_numpy_reaches_it():
    a = draw(3, 3)
    np.testing.assert_allclose(run(np.einsum("ij,jk", Value(a), a)), a @ a)
