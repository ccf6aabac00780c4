import numpy as np
import pytest

import lazygrad as lg
from lazygrad import linalg
from lazygrad.autodiff import grad, hvp, jvp
from lazygrad.errors import DTypeError, OptionError, ShapeError
from lazygrad.ir.graph import Graph
from lazygrad.ir.value import Value, constant, placeholder
from lazygrad.ops.linalg import _cofactor
from tests.ops.directional import check, run

RNG = np.random.default_rng(3)


def draw(*shape):
    return RNG.standard_normal(shape)


def regular(*shape):
    return draw(*shape) + 3 * np.eye(shape[-1])


def of_rank(n, rank):
    return draw(n, rank) @ draw(rank, n)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 3), (3,)),
        ((3, 3), (3, 2)),
        ((5, 3, 3), (3,)),
        ((5, 3, 3), (3, 2)),
        ((3, 3), (5, 3, 2)),
        ((3, 3), (4, 5, 3, 2)),
        ((5, 1, 3, 3), (4, 3, 2)),
        ((1, 1), (1, 1)),
        ((3, 3), (3, 0)),
        ((0, 3, 3), (0, 3, 2)),
        ((0, 0), (0, 2)),
        ((3, 3), (0, 3, 2)),
    ],
    ids=str,
)
def test_solve(a, b):
    check(lg.solve, regular(*a), draw(*b), like=np.linalg.solve)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (4, 3, 3), (0, 3, 3), (0, 0)], ids=str)
def test_inv(shape):
    check(lg.inv, regular(*shape), like=np.linalg.inv)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2), (3, 4, 2)], ids=str)
def test_pinv(shape):
    check(linalg.pinv, draw(*shape), like=np.linalg.pinv)


def test_pinv_derivative_where_the_rank_stays():
    left, right = draw(4, 2), draw(2, 3)
    check(lambda u, v: linalg.pinv(u @ v, rcond=1e-10), left, right, tolerance=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (5, 5), (4, 3, 3), (0, 3, 3), (0, 0)], ids=str)
def test_det(shape):
    check(lg.det, draw(*shape), like=np.linalg.det)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_det_of_singular_matrices(n):
    for rank in range(n):
        check(lambda x: lg.det(x) + 1.0, of_rank(n, rank))
    mixed = np.stack([of_rank(n, n - 1), regular(n, n), np.zeros((n, n))])
    check(lambda x: lg.det(x) + 1.0, mixed)


def test_gradient_of_det_is_the_adjugate():
    a = placeholder((2, 2), name="a")
    g = grad(lg.det(a), a)
    np.testing.assert_allclose(run(g, a=np.array([[1.0, 2.0], [2.0, 4.0]])), [[4, -2], [-2, 1]])
    np.testing.assert_allclose(
        run(g, a=1e-200 * np.array([[1.0, 2.0], [3.0, 4.0]])), 1e-200 * np.array([[4, -3], [-2, 1]])
    )
    np.testing.assert_allclose(run(g, a=np.array([[1e-9, 0], [0, 1]])), [[1, 0], [0, 1e-9]])


def test_third_derivative_of_det():
    # det is cubic here: its third differential along t is 6 * det(t).
    a, t = placeholder((3, 3), name="a"), draw(3, 3)
    y = lg.det(a)
    for _ in range(3):
        y = jvp(y, a, t)
    np.testing.assert_allclose(run(y, a=regular(3, 3)), 6 * np.linalg.det(t))
    with np.errstate(all="ignore"):
        assert not np.isfinite(run(y, a=np.zeros((3, 3))))


def test_det_of_matrices_that_are_not_finite():
    x = np.stack([np.full((2, 2), np.nan), np.array([[1.0, 2.0], [3.0, 4.0]])])
    cofactors = run(_cofactor(constant(x)))
    assert np.isnan(cofactors[0]).all()
    np.testing.assert_allclose(cofactors[1], [[4, -3], [-2, 1]])
    a = placeholder((2, 2, 2), name="a")
    assert np.isnan(run(hvp(lg.det(a), a, draw(2, 2, 2)), a=x)[0]).all()


def test_cofactors_in_float32():
    x = draw(6, 4, 4).astype(np.float32)
    got = run(_cofactor(constant(x)))
    assert got.dtype == np.float32
    exact = run(_cofactor(constant(x.astype(float))))
    np.testing.assert_allclose(got, exact, rtol=1e-3, atol=1e-4 * abs(exact).max())


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (4, 3, 3), (0, 3, 3)], ids=str)
def test_slogdet(shape):
    a = draw(*shape)
    check(lambda x: lg.slogdet(x).logabsdet, a, like=lambda x: np.linalg.slogdet(x)[1])
    sign = lg.slogdet(Value(a)).sign
    np.testing.assert_array_equal(run(sign), np.linalg.slogdet(a)[0])


def test_sign_of_slogdet_has_derivative_zero():
    a = placeholder((3, 3), name="a")
    np.testing.assert_array_equal(run(grad(lg.slogdet(a).sign, a), a=draw(3, 3)), np.zeros((3, 3)))
    both = lg.slogdet(a)
    y = both.sign * lg.exp(both.logabsdet)
    x = draw(3, 3)
    np.testing.assert_allclose(run(grad(y, a), a=x), np.linalg.det(x) * np.linalg.inv(x).T)


def test_singular_matrices_raise():
    a = placeholder((2, 2), name="a")
    zero = np.zeros((2, 2))
    sign, logarithm = lg.slogdet(a)
    assert run(sign, a=zero) == 0
    assert run(logarithm, a=zero) == -np.inf
    for y in (lg.inv(a), lg.solve(a, zero), grad(logarithm, a)):
        with pytest.raises(np.linalg.LinAlgError):
            run(y, a=zero)


def test_matrix_rank():
    a = np.stack([np.eye(3), of_rank(3, 1), np.zeros((3, 3))])
    y = linalg.matrix_rank(Value(a))
    assert y.dtype == np.int64
    assert not y.requires_grad
    np.testing.assert_array_equal(run(y), [3, 1, 0])
    np.testing.assert_array_equal(
        run(linalg.matrix_rank(Value(a), tol=2.0, hermitian=True)),
        np.linalg.matrix_rank(a, 2.0, True),
    )


@pytest.mark.parametrize("n", [-3, -1, 1, 2, 5, 6])
def test_matrix_power(n):
    check(
        lambda x: linalg.matrix_power(x, n),
        regular(2, 3, 3),
        like=lambda x: np.linalg.matrix_power(x, n),
        tolerance=1e-4,
    )


def test_matrix_power_edges():
    x = RNG.integers(0, 3, (2, 2))
    for n in (0, 3):
        y = run(linalg.matrix_power(Value(x), n))
        np.testing.assert_array_equal(y, np.linalg.matrix_power(x, n))
        assert y.dtype == x.dtype
    free = placeholder(("n", "n"), name="a")
    np.testing.assert_array_equal(run(linalg.matrix_power(free, 0), {"n": 2}), np.eye(2))
    with pytest.raises(OptionError, match=r"integer, got 1.5"):
        linalg.matrix_power(free, 1.5)
    with pytest.raises(ShapeError, match="square"):
        linalg.matrix_power(placeholder((2, 3), name="a"), 2)


@pytest.mark.parametrize(
    "shapes",
    [
        [(2, 3), (3, 4)],
        [(3,), (3, 4), (4,)],
        [(2, 3), (3, 4), (4, 5), (5, 2)],
        [(3,), (3, 4), (4, 2)],
        [(5, 3), (3, 4), (4,)],
    ],
    ids=str,
)
def test_multi_dot(shapes):
    arrays = [draw(*shape) for shape in shapes]
    check(lambda *xs: linalg.multi_dot(xs), *arrays, like=lambda *xs: np.linalg.multi_dot(xs))


def test_multi_dot_order_and_errors():
    a, b, x = (placeholder(s, name=n) for n, s in (("a", ("n", 50)), ("b", (50, 50)), ("x", (50,))))
    products = [
        node for node in Graph([linalg.multi_dot([a, b, x])]).nodes if node.op.name == "matmul"
    ]
    assert all(node.shape[-1] == 1 for node in products)
    with pytest.raises(OptionError, match="two arrays or more, got 1"):
        linalg.multi_dot([a])
    with pytest.raises(ShapeError, match="operand 1 must have 2 axes"):
        linalg.multi_dot([a, x, b])
    y = np.linalg.multi_dot([Value(np.eye(2)), np.eye(2)])
    np.testing.assert_array_equal(run(y), np.eye(2))


def test_dtypes():
    whole = np.array([[2, 1], [1, 3]])
    assert lg.inv(Value(whole)).dtype == np.float64
    np.testing.assert_allclose(run(lg.inv(Value(whole))), np.linalg.inv(whole))
    single = whole.astype(np.float32)
    for function in (lg.inv, lg.det, lg.cholesky, linalg.pinv):
        assert function(Value(single)).dtype == np.float32
        assert (
            run(grad(function(Value(single)).sum(), Value(single), unused="zero")).dtype
            == np.float32
        )
    for left, right in ((single, single), (single, whole), (whole, single), (whole, whole)):
        assert lg.solve(Value(left), Value(right)).dtype == np.linalg.solve(left, right).dtype
    with pytest.raises(DTypeError, match="float16"):
        lg.inv(placeholder((2, 2), dtype=np.float16, name="a"))


@pytest.mark.parametrize("function", [lg.inv, lg.det, lg.cholesky, linalg.eigh, lg.slogdet])
def test_errors_name_the_operand(function):
    for shape in ((2, 3), (2,), ()):
        with pytest.raises(ShapeError, match=r"\(a\): needs"):
            function(placeholder(shape, name="a"))


def test_solve_errors():
    a, b = placeholder((3, 3), name="a"), placeholder((2,), name="b")
    with pytest.raises(
        ShapeError, match=r"solve\(a, b\): the matrix has 3 rows and the right side 2"
    ):
        lg.solve(a, b)
    with pytest.raises(ShapeError, match="the matrix has 3 rows and the right side 4"):
        lg.solve(a, placeholder((5, 4, 2), name="b"))
    with pytest.raises(ShapeError, match="at least one axis"):
        lg.solve(a, 2.0)
    with pytest.raises(ShapeError, match="square"):
        lg.solve(placeholder((3, 2), name="a"), placeholder((3, 2), name="b"))


def test_symbolic_batch():
    a, b = placeholder(("n", 3, 3), name="a"), placeholder(("n", 3), name="b")
    x, v = regular(4, 3, 3), draw(4, 3)
    y = (lg.solve(a, lg.expand_dims(b, -1)) ** 2).sum() + lg.det(a).sum() + lg.inv(a).sum()
    g = grad(y, a)
    fixed = Value(x)
    z = (lg.solve(fixed, v[:, :, None]) ** 2).sum() + lg.det(fixed).sum() + lg.inv(fixed).sum()
    np.testing.assert_allclose(run(g, {"n": 4}, a=x, b=v), run(grad(z, fixed)))


@pytest.mark.parametrize(
    "name", ["inv", "det", "pinv", "cholesky", "eigh", "slogdet", "svd", "qr", "matrix_rank"]
)
def test_numpy_reaches_them(name):
    a = regular(3, 3)
    a = a @ a.T
    function = getattr(np.linalg, name)
    found, expected = function(Value(a)), function(a)
    if isinstance(found, Value):
        found, expected = [found], [expected]
    for node, array in zip(found, expected, strict=True):
        np.testing.assert_allclose(run(node), array)
    np.testing.assert_allclose(run(np.linalg.solve(Value(a), a)), np.eye(3), atol=1e-12)


def test_diagonals_of_stacks():
    a = draw(4, 3, 3)
    check(linalg.trace, a, like=np.linalg.trace)
    check(lambda x: linalg.diagonal(x, offset=1), a, like=lambda x: np.linalg.diagonal(x, offset=1))
    np.testing.assert_allclose(run(np.linalg.trace(Value(a))), np.linalg.trace(a))


def test_the_namespace_has_numpys_names():
    assert set(linalg.__all__) <= set(dir(np.linalg))
    assert linalg.__all__ == sorted(linalg.__all__)
