import numpy as np
import pytest

import lazygrad as lg
from lazygrad import linalg
from lazygrad.autodiff import grad
from lazygrad.errors import OptionError, ShapeError
from lazygrad.ir.value import Value, placeholder
from tests.ops.directional import check, run

RNG = np.random.default_rng(4)


def draw(*shape):
    return RNG.standard_normal(shape)


def positive(*shape):
    a = draw(*shape)
    return a @ np.swapaxes(a, -1, -2) + np.eye(shape[-1])


def symmetric(*shape):
    a = draw(*shape)
    return a + np.swapaxes(a, -1, -2)


STACKS = [(1, 1), (3, 3), (4, 3, 3), (0, 3, 3)]


@pytest.mark.parametrize("shape", STACKS, ids=str)
def test_cholesky(shape):
    check(lg.cholesky, positive(*shape), like=np.linalg.cholesky, symmetric=True)
    check(
        lambda a: lg.cholesky(a, upper=True),
        positive(*shape),
        like=lambda a: np.linalg.cholesky(a, upper=True),
        symmetric=True,
    )
    # Of any change, through an operand that is made symmetric.
    check(lambda a: lg.cholesky(a @ a.mT), draw(*shape[:-1], shape[-1] + 1), tolerance=1e-4)


def test_cholesky_reads_one_triangle_and_has_a_symmetric_gradient():
    a = positive(3, 3)
    spoiled = np.tril(a) + np.triu(draw(3, 3), 1)
    x = placeholder((3, 3), name="x")
    np.testing.assert_allclose(run(lg.cholesky(x), x=spoiled), np.linalg.cholesky(a))
    g = run(grad((lg.cholesky(x) ** 3).sum(), x), x=a)
    np.testing.assert_allclose(g, g.T)
    flipped = lg.cholesky(x, upper=True)
    np.testing.assert_allclose(run(flipped, x=spoiled.T), np.linalg.cholesky(a).T)


def test_cholesky_of_an_indefinite_matrix():
    with pytest.raises(np.linalg.LinAlgError):
        run(lg.cholesky(Value(-np.eye(2))))


@pytest.mark.parametrize("shape", STACKS, ids=str)
def test_eigh(shape):
    a = symmetric(*shape)
    check(linalg.eigvalsh, a, like=np.linalg.eigvalsh, symmetric=True)
    check(
        lambda x: linalg.eigvalsh(x, "U"),
        a,
        like=lambda x: np.linalg.eigvalsh(x, "U"),
        symmetric=True,
    )
    check(
        lambda x: linalg.eigh(x).eigenvectors,
        a,
        like=lambda x: np.linalg.eigh(x)[1],
        symmetric=True,
        tolerance=1e-4,
    )
    check(
        lambda x: (lambda w, v: (v * lg.expand_dims(lg.exp(w), -2)) @ v.mT)(*linalg.eigh(x)),
        a,
        symmetric=True,
        tolerance=1e-4,
    )
    with pytest.raises(OptionError, match="UPLO"):
        linalg.eigh(Value(a), "X")


def test_equal_eigenvalues():
    x = placeholder((2, 2), name="x")
    w, v = linalg.eigh(x)
    with np.errstate(all="ignore"):
        assert not np.isfinite(run(grad((v * draw(2, 2)).sum(), x), x=np.eye(2))).all()
    np.testing.assert_allclose(run(grad(w.sum(), x), x=np.eye(2)), np.eye(2))


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (4, 2), (2, 4), (3, 4, 2), (0, 3, 2)], ids=str)
def test_svd(shape):
    a = draw(*shape)

    def thin(x):
        return linalg.svd(x, full_matrices=False)

    for part in range(3):
        check(
            lambda x, part=part: thin(x)[part],
            a,
            like=lambda x, part=part: np.linalg.svd(x, full_matrices=False)[part],
            tolerance=1e-3,
        )
    check(
        lambda x: (thin(x).U * lg.expand_dims(thin(x).S, -2)) @ thin(x).Vh,
        a,
        like=lambda x: x,
        tolerance=1e-4,
    )
    check(linalg.svdvals, a, like=lambda x: np.linalg.svd(x, compute_uv=False))


def test_svd_of_what_has_no_vectors():
    x = placeholder((2, 2), name="x")
    assert run(grad(linalg.svdvals(x).sum(), x), x=np.eye(2)) == pytest.approx(np.eye(2))
    u = linalg.svd(x).U
    with np.errstate(all="ignore"):
        assert not np.isfinite(run(grad((u * draw(2, 2)).sum(), x), x=np.eye(2))).all()
    with pytest.raises(OptionError, match=r"svd\(x\): only full_matrices=False"):
        linalg.svd(placeholder((2, 3), name="x"))
    with pytest.raises(OptionError, match="eigh"):
        linalg.svd(x, hermitian=True)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (4, 2), (3, 4, 2), (2, 4), (3, 2, 3)], ids=str)
def test_qr(shape):
    a = draw(*shape)
    for part in range(2):
        check(
            lambda x, part=part: linalg.qr(x)[part],
            a,
            like=lambda x, part=part: np.linalg.qr(x)[part],
            tolerance=1e-4,
        )
    check(lambda x: linalg.qr(x).Q @ linalg.qr(x).R, a, like=lambda x: x, tolerance=1e-4)
    check(lambda x: linalg.qr(x, mode="r"), a, like=lambda x: np.linalg.qr(x, "r"), tolerance=1e-4)


def test_vectors_of_a_singular_square_matrix():
    a = draw(3, 2) @ draw(2, 3)
    x = placeholder((3, 3), name="x")
    u = linalg.svd(x).U
    weights = draw(3, 3) * [1, 1, 0]
    g = run(grad((u * weights).sum(), x), x=a)
    t, h = draw(3, 3), 1e-6
    left, right = (np.sum(run(u, x=a + s * h * t) * weights) for s in (-1, 1))
    np.testing.assert_allclose(np.sum(g * t), (right - left) / (2 * h), rtol=1e-4)


def test_qr_errors():
    x = placeholder(("m", "n"), name="x")
    y = linalg.qr(x).R.sum()
    with pytest.raises(ShapeError, match=r"qr\(x\): the derivative needs lengths that are known"):
        grad(y, x)
    with pytest.raises(OptionError, match="mode"):
        linalg.qr(x, mode="complete")


def test_symbolic_batch():
    x = placeholder(("n", 3, 3), name="x")
    a = positive(4, 3, 3)
    y = (
        linalg.eigh(x).eigenvectors.sum()
        + lg.cholesky(x).sum()
        + linalg.qr(x).Q.sum()
        + linalg.svd(x).U.sum()
    )
    fixed = Value(a)
    z = (
        linalg.eigh(fixed).eigenvectors.sum()
        + lg.cholesky(fixed).sum()
        + linalg.qr(fixed).Q.sum()
        + linalg.svd(fixed).U.sum()
    )
    np.testing.assert_allclose(run(grad(y, x), {"n": 4}, x=a), run(grad(z, fixed)))


def test_symbolic_sides():
    x = placeholder(("m", "m"), name="x")
    a = positive(3, 3)
    fixed = placeholder((3, 3), name="x")
    for function in (lg.cholesky, linalg.eigvalsh, linalg.svdvals, lambda x: linalg.qr(x).R):
        got = run(grad(function(x).sum(), x), {"m": 3}, x=a)
        np.testing.assert_allclose(got, run(grad(function(fixed).sum(), fixed), x=a))
