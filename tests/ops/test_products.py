import numpy as np
import pytest

import lazygrad as lg
from lazygrad.autodiff import grad
from lazygrad.errors import DTypeError, OptionError, ShapeError
from lazygrad.ir.value import Value, placeholder
from lazygrad.ops.products import _dot_of_rows, matvec, vecmat
from tests.ops.directional import check, run

RNG = np.random.default_rng(1)


def draw(*shape):
    return RNG.standard_normal(shape)


SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 2)),
    ((2, 3), (5, 3, 4)),
    ((1, 2, 3), (5, 3, 4)),
    ((6, 1, 2, 3), (5, 3, 4)),
    ((2, 0), (0, 4)),
    ((0, 3), (3, 4)),
    ((5, 0, 3), (3, 4)),
    ((5, 2, 0), (0, 4)),
    ((0, 2, 3), (3, 4)),
    ((1, 1), (1, 1)),
    ((1, 3), (3, 1)),
    ((3, 1), (1, 3)),
]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_matmul(shapes):
    check(lg.matmul, draw(*shapes[0]), draw(*shapes[1]), like=np.matmul)


def called(a, b):
    """Multiply through the call that the NumPy backend makes."""
    y = lg.matmul(Value(a), Value(b))
    bound = y.op.bound_call(tuple(x.spec for x in y.operands), y.spec, y.attrs)
    out = np.full(y.shape, 7, y.dtype)
    bound.function(a, b, out)
    return out


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.int8, bool])
@pytest.mark.parametrize("shapes", [s for s in SHAPES if min(map(len, s)) > 1], ids=str)
def test_matmul_call(shapes, dtype):
    a, b = (np.asarray(RNG.integers(-3, 4, s)).astype(dtype) for s in shapes)
    for left in (
        a,
        np.swapaxes(np.swapaxes(a, -1, -2).copy(), -1, -2),
        np.repeat(a, 2, -1)[..., ::2],
    ):
        for right in (b, b.T.copy().T):
            np.testing.assert_array_equal(called(left, right), np.matmul(a, b))
    assert called(a, b).dtype == np.matmul(a, b).dtype


def test_rows_that_are_a_view():
    stack = draw(4, 5, 3).transpose(1, 0, 2)
    out = np.empty((5, 4, 2))
    w = draw(3, 2)
    _dot_of_rows(stack, w, out)
    np.testing.assert_allclose(out, stack @ w)


def test_gradient_of_a_shared_matrix_is_one_product():
    x, w = placeholder((8, 5, 3), name="x"), Value(draw(3, 2))
    g = grad((x @ w).sum(), w)
    assert g.op.name == "matmul"
    assert g.shape == (3, 2)


@pytest.mark.parametrize(
    "dtypes", [(np.int32, np.float32), (bool, np.float64), (np.int8, np.int8), (bool, bool)]
)
def test_matmul_dtypes(dtypes):
    a, b = (RNG.integers(0, 2, (3, 3)).astype(dtype) for dtype in dtypes)
    y = run(lg.matmul(Value(a), Value(b)))
    assert y.dtype == (a @ b).dtype
    np.testing.assert_array_equal(y, a @ b)


def test_gradient_of_integer_operands_is_over_the_reals():
    a, b = placeholder((2, 3), dtype=int, name="a"), placeholder((3, 2), dtype=int, name="b")
    left, right = (RNG.integers(0, 5, s) for s in ((2, 3), (3, 2)))
    g = grad((a @ b).sum(), a)
    assert g.dtype == np.float64
    np.testing.assert_array_equal(run(g, a=left, b=right), np.ones((2, 2)) @ right.T)


def test_symbolic_lengths():
    x, w = placeholder(("n", "time", 3), name="x"), Value(draw(3, 4))
    y = x @ w
    assert str(y.spec) == "float64[n, time, 4]"
    data = draw(5, 2, 3)
    g = grad((y * y).sum(), w)
    rows = data.reshape(-1, 3)
    expected = rows.T @ (2 * rows @ w.cell.array)
    np.testing.assert_allclose(run(g, {"n": 5, "time": 2}, x=data), expected)


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (((2, 3), (4,)), "inner lengths differ, 3 and 4"),
        (((3,), (4,)), "inner lengths differ, 3 and 4"),
        (((3,), (4, 2)), "inner lengths differ, 3 and 4"),
        (((2, 3), (4, 2)), "inner lengths differ, 3 and 4"),
        (((), (4,)), "at least one axis"),
    ],
    ids=str,
)
def test_matmul_errors_name_the_operands(shapes, words):
    x, w = placeholder(shapes[0], name="x"), placeholder(shapes[1], name="w")
    with pytest.raises(ShapeError) as caught:
        lg.matmul(x, w)
    text = str(caught.value)
    assert text.startswith("matmul(x, w): ")
    assert words in text
    assert f"x: {x.spec}" in text
    assert f"w: {w.spec}" in text
    assert "reshape" not in text


DOTS = [
    ((), (3,)),
    ((3, 2), ()),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((3,), (2, 3, 4)),
    ((5, 3), (2, 3, 4)),
    ((6, 5, 3), (3,)),
    ((6, 5, 3), (2, 3, 4)),
    ((2, 0), (0, 3)),
]


@pytest.mark.parametrize("shapes", DOTS, ids=str)
def test_dot(shapes):
    check(lg.dot, draw(*shapes[0]), draw(*shapes[1]), like=np.dot)


@pytest.mark.parametrize(
    "shapes",
    [((), (3,)), ((3,), (3,)), ((2, 3), (3,)), ((2, 3), (4, 3)), ((5, 2, 3), (4, 3))],
    ids=str,
)
def test_inner(shapes):
    check(lg.inner, draw(*shapes[0]), draw(*shapes[1]), like=np.inner)


@pytest.mark.parametrize("shapes", [((), ()), ((3,), (2,)), ((2, 2), (3,)), ((0,), (2,))], ids=str)
def test_outer_and_vdot(shapes):
    check(lg.outer, draw(*shapes[0]), draw(*shapes[1]), like=np.outer)
    check(lg.vdot, draw(*shapes[0]), draw(*shapes[0]), like=np.vdot)


@pytest.mark.parametrize(
    ("shapes", "axes"),
    [
        (((2, 3, 4), (3, 4, 5)), 2),
        (((2, 3), (4, 5)), 0),
        (((), ()), 0),
        (((2, 3, 4), (4, 3, 5)), ((1, 2), (1, 0))),
        (((3, 2, 4), (5, 4, 3)), ((0, -1), (2, 1))),
        (((3, 2), (3, 4)), (0, 0)),
        (((2, 3, 4), (2, 3, 4)), 3),
        (((2, 0), (0, 3)), 1),
        (((4, 1, 3), (5, 3)), ((-1,), (-1,))),
    ],
    ids=str,
)
def test_tensordot(shapes, axes):
    a, b = draw(*shapes[0]), draw(*shapes[1])
    check(lambda x, y: lg.tensordot(x, y, axes), a, b, like=lambda x, y: np.tensordot(x, y, axes))


def test_tensordot_of_merged_axes_still_compares_each_pair():
    a, b = placeholder(("n", "m"), name="a"), placeholder(("p", "q"), name="b")
    y = lg.tensordot(a, b, ((0, 1), (0, 1)))
    from lazygrad.ir.graph import Graph

    pairs = {(str(i), str(j)) for i, j, _ in Graph([y]).assumptions}
    assert {("n", "p"), ("m", "q")} <= pairs


@pytest.mark.parametrize(
    ("axes", "error"),
    [
        (3, OptionError),
        (-1, OptionError),
        (1.5, OptionError),
        (((0,), (0, 1)), OptionError),
        ((0, 5), ShapeError),
        (((0, 0), (0, 1)), OptionError),
        (1, ShapeError),
    ],
    ids=str,
)
def test_tensordot_errors(axes, error):
    a, b = placeholder((2, 3), name="a"), placeholder((2, 3), name="b")
    with pytest.raises(error, match="tensordot"):
        lg.tensordot(a, b, axes)


def test_contract_pairs_inwards():
    a, b = draw(5, 3, 4), draw(4, 3, 2)
    check(
        lambda x, y: lg.contract(x, y, 2),
        a,
        b,
        like=lambda x, y: np.tensordot(x, y, ((2, 1), (0, 1))),
    )
    check(lambda x, y: lg.contract(x, y, 1), a, b, like=lambda x, y: np.tensordot(x, y, 1))
    check(lambda x, y: lg.contract(x, y, 0), a, b, like=lambda x, y: np.tensordot(x, y, 0))
    check(lambda x, y: lg.contract(x, y, 0), draw(), b, like=np.multiply)
    check(lambda x, y: lg.contract(x, y, 0), draw(), draw(), like=np.multiply)
    with pytest.raises(ShapeError, match=r"axis 2 of the first has length 4, axis 0 .* 5"):
        lg.contract(a, a, 2)
    with pytest.raises(OptionError, match="2 axes can't be paired, the operands have 1 and 3"):
        lg.contract(draw(4), b, 2)


def test_vectors_in_stacks():
    check(lg.vecdot, draw(4, 3), draw(5, 1, 3), like=lambda a, b: (a * b).sum(-1))
    check(
        lambda a, b: lg.vecdot(a, b, axis=0),
        draw(3, 4),
        draw(3, 4),
        like=lambda a, b: (a * b).sum(0),
    )
    check(matvec, draw(5, 2, 3), draw(3), like=lambda a, b: a @ b)
    check(matvec, draw(2, 3), draw(5, 3), like=lambda a, b: (a @ b[..., None])[..., 0])
    check(vecmat, draw(5, 2), draw(2, 3), like=lambda a, b: (a[..., None, :] @ b)[..., 0, :])
    with pytest.raises(ShapeError, match=r"matvec\(a, b\): inner lengths differ, 3 and 4"):
        matvec(placeholder((2, 3), name="a"), placeholder((5, 4), name="b"))
    with pytest.raises(ShapeError, match=r"vecdot\(a, b\): shapes"):
        lg.vecdot(placeholder((2, 3), name="a"), placeholder((5, 3), name="b"))
    with pytest.raises(ShapeError, match="at least two axes"):
        matvec(Value(draw(3)), Value(draw(3)))


@pytest.mark.parametrize(
    "shapes", [((), ()), ((2,), (3,)), ((2, 3), (4,)), ((2, 2), (3, 2)), ((0, 2), (2, 2))], ids=str
)
def test_kron(shapes):
    check(lg.kron, draw(*shapes[0]), draw(*shapes[1]), like=np.kron)


def test_cross():
    check(lg.cross, draw(3), draw(3), like=np.cross)
    check(lg.cross, draw(4, 3), draw(2, 1, 3), like=np.cross)
    check(
        lambda a, b: lg.cross(a, b, axis=0),
        draw(3, 4),
        draw(3, 4),
        like=lambda a, b: np.cross(a, b, axis=0),
    )
    a, b = draw(4, 3), draw(3, 4)
    check(lambda a, b: lg.cross(a, b, 1, 0, 0), a, b, like=lambda a, b: np.cross(a, b, 1, 0, 0))
    with pytest.raises(ShapeError, match="3 components, got 2"):
        lg.cross(Value(draw(2)), Value(draw(2)))
    with pytest.raises(DTypeError, match="bools"):
        lg.cross(Value([True, True, True]), Value([True, True, True]))


@pytest.mark.parametrize(
    "name",
    [
        "dot",
        "inner",
        "outer",
        "vdot",
        "kron",
        "tensordot",
        "cross",
        "matmul",
        "vecdot",
        "matvec",
        "vecmat",
    ],
)
def test_numpy_reaches_them(name):
    if not hasattr(np, name):
        pytest.skip("not in this NumPy")
    a = draw(3, 3)
    y = getattr(np, name)(Value(a), a)
    np.testing.assert_allclose(run(y), getattr(np, name)(a, a))
