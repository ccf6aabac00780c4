"""Indexing against NumPy's, with its derivatives, its lengths and its errors."""

import gc
import weakref

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import AxisError, DTypeError, OptionError, ShapeError
from lazygrad.ir.graph import Graph
from lazygrad.lengths import Length
from lazygrad.testing import check_gradient

X = np.arange(60.0).reshape(3, 4, 5) / 7
MASK = np.arange(60).reshape(3, 4, 5) % 3 == 0

KEYS = [
    np.s_[0],
    np.s_[-1],
    np.s_[1, 2],
    np.s_[0, -1, 2],
    np.s_[np.int64(1)],
    np.s_[np.array(2)],
    np.s_[:],
    np.s_[1:],
    np.s_[:-1],
    np.s_[::2],
    np.s_[::-1],
    np.s_[::-2, 3:0:-1],
    np.s_[5:9],
    np.s_[2:1],
    np.s_[-2:, :-1],
    np.s_[-100:100, ::-3],
    np.s_[...],
    np.s_[..., 0],
    np.s_[0, ...],
    np.s_[()],
    np.s_[None],
    np.s_[None, 0, None],
    np.s_[:, None, 1],
    np.s_[..., None],
    np.s_[1:, None, ::-1],
    np.s_[[0, 2]],
    np.s_[[0, 0, 0]],
    np.s_[[]],
    np.s_[[], 1:2],
    np.s_[[-1, 1], [1, -2]],
    np.s_[:, [0, 1]],
    np.s_[[0, 1], :, [1, 2]],
    np.s_[0, :, [1, 2]],
    np.s_[:, 0, [1, 2]],
    np.s_[[1, 2], 0],
    np.s_[0, [1, 2], :],
    np.s_[[0, 1], 1, :],
    np.s_[1, :, [0, 0]],
    np.s_[1:3, [[0, 1], [2, 3]]],
    np.s_[[[0], [1]], [[1, 2]]],
    np.s_[:, [[1]], [[2]]],
    np.s_[[[0], [1]], :, [1, 2]],
    np.s_[np.array([0, 1]), ..., np.array([2, 3])],
    np.s_[:, [0, 1], ..., [1, 2]],
    np.s_[..., [1, -1], :],
    np.s_[None, [0, 1], None, [1, 2]],
    np.s_[:, [0, 1], None, [1, 2]],
    np.s_[None, ..., [1, 2]],
    np.s_[np.array([1, 2], np.uint8)],
    MASK,
    MASK[:, :, 0],
    MASK[:, 0, 0],
    np.s_[MASK[:, 0, 0], 1],
    np.s_[:, MASK[0]],
    np.s_[:, MASK[0, :, 0], [0]],
    np.s_[MASK[:, 0, 0], [0, 1, 2][:1]],
    np.s_[[True, False, True]],
    np.zeros((3, 4, 5), bool),
    True,
    False,
    np.s_[True, [0, 1]],
]


def run(node, lengths=None, **feeds):
    return interpret(Graph([node]), feeds, lengths or {})[0]


def nodes_of(key):
    """Replace the arrays of a key by variables, and give them."""
    items = key if isinstance(key, tuple) else (key,)
    return tuple(
        lg.Value(np.asarray(item))
        if isinstance(item, (list, np.ndarray)) and np.size(item)
        else item
        for item in items
    )


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_is_numpy_s(key):
    for x in (X, (X * 7).astype(np.int32)):
        y = lg.getitem(lg.Value(x), key)
        expected = x[key]
        assert y.shape == expected.shape
        assert y.dtype == expected.dtype
        assert np.array_equal(run(y), expected)


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_is_numpy_s_with_computed_indices(key):
    y = lg.Value(X)[nodes_of(key)]
    assert np.array_equal(run(y), X[key])


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_derivatives(key):
    x = lg.Value(X)
    check_gradient(x[key], x, directions=1)


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_gradient_with_computed_indices(key):
    x = lg.Value(X)
    y = x[nodes_of(key)]
    expected = np.zeros(X.shape)
    np.add.at(expected, key, 2 * X[key])
    np.testing.assert_allclose(run(lg.grad((y * y).sum(), x)), expected)


def test_repeated_indices_add_up():
    x = lg.Value([1.0, 2.0, 3.0])
    i = lg.Value(np.array([2, 0, 2, 2]))
    assert run(lg.grad((x[i] * np.array([1.0, 2.0, 3.0, 4.0])).sum(), x)).tolist() == [2, 0, 8]


def test_places_not_picked_get_no_nan():
    x = lg.Value([-1.0, 0.0, 4.0, 9.0])
    for key in (np.s_[2:], [2, 3], lg.Value(np.array([3, 2])), x > 1):
        with np.errstate(all="ignore"):
            assert run(lg.grad(lg.sqrt(x)[key].sum(), x)).tolist() == [0, 0, 1 / 4, 1 / 6]


def test_whole_slices_need_no_mask():
    x = lg.Value(X)
    names = {node.op.name for node in Graph([lg.grad(lg.exp(x)[:, None, :, ::-1].sum(), x)]).nodes}
    assert "where" in names
    for y in (lg.exp(x)[:, None], lg.exp(x)[::-1, :, ::-1], lg.exp(x)[...]):
        assert "where" not in {node.op.name for node in Graph([lg.grad(y.sum(), x)]).nodes}


def test_scalar_node_and_small_integers():
    x = lg.Value(X)
    for dtype in (np.int8, np.uint8, np.int32, np.uint64):
        i = lg.Value(np.asarray(2, dtype))
        assert x[i].shape == (4, 5)
        assert np.array_equal(run(x[i]), X[2])
        assert np.array_equal(run(lg.grad(x[i].sum(), x))[2], np.ones((4, 5)))


def test_computed_index_out_of_range_is_an_index_error():
    x = lg.Value(np.ones((3, 2000)))
    for bad in (3, -4):
        i = lg.Value(np.array([0, bad]))
        for y in (x[i], x[:, 0][i], x[i, i], x.at[i].add(1.0), x.at[i].set(1.0)):
            with pytest.raises(IndexError, match="out of bounds"):
                run(y)


def test_slices_are_views():
    x = lg.Value(X)
    a = run(x)
    for key in (np.s_[0], np.s_[1:, None, ::-2], np.s_[0, 0, 0], np.s_[::-1]):
        assert np.shares_memory(run(x[key]), a)


# Masks


def test_one_mask_node_gives_one_length():
    x = lg.placeholder((5,), name="x")
    mask = x > 0
    first, second = x[mask], lg.exp(x)[mask]
    assert first.shape == second.shape
    assert first.shape[0].is_data_dependent
    assert first.shape != x[x > 0].shape
    a = np.array([1.0, -1.0, 2.0, -2.0, 3.0])
    y = (first * second).sum()
    assert run(y, x=a) == pytest.approx((a * np.exp(a))[a > 0].sum())
    expected = np.where(a > 0, (1 + a) * np.exp(a), 0)
    np.testing.assert_allclose(run(lg.grad(y, x), x=a), expected)


def test_masks_make_no_reference_cycles():
    x = lg.Value(X)
    mask = x > 1
    places = weakref.ref(x[mask].operands[1].operands[0])
    gc.disable()
    try:
        assert places() is None
        kept = weakref.ref(mask)
        x[mask]
        del mask
        assert kept() is None
    finally:
        gc.enable()


def test_nothing_and_everything_masked():
    x = lg.placeholder((4,), name="x")
    y = x[x > 0]
    for a in (np.ones(4), -np.ones(4)):
        assert np.array_equal(run(y, x=a), a[a > 0])
        assert np.array_equal(run(lg.grad(y.sum(), x), x=a), (a > 0) * 1.0)


def test_mask_errors():
    x = lg.Value(X)
    with pytest.raises(AxisError, match=r"mask \[4\] .*length 4 on axis 0 of length 3"):
        x[np.ones(4, bool)]
    with pytest.raises(AxisError, match="too many indices: 4 for"):
        x[0, np.ones((3, 4, 5), bool)]


def test_symbolic_mask():
    x = lg.placeholder(("n", 2), name="x")
    mask = lg.placeholder(("n",), dtype=bool, name="m")
    a, m = np.arange(6.0).reshape(3, 2), np.array([True, False, True])
    y = x[mask]
    assert np.array_equal(run(y, {"n": 3}, x=a, m=m), a[m])
    gradient = run(lg.grad((y * y).sum(), x), {"n": 3}, x=a, m=m)
    assert np.array_equal(gradient, 2 * a * m[:, None])
    assert np.array_equal(run(x[m], {"n": 3}, x=a), a[m])
    assert run(x[m], {"n": 3}, x=a).shape == (2, 2)


def test_nonzero_and_its_kin():
    a = np.array([[0.0, 2.0], [3.0, 0.0]])
    x = lg.Value(a)
    for found, expected in zip(np.nonzero(x), np.nonzero(a), strict=True):
        assert found.dtype == np.int64
        assert np.array_equal(run(found), expected)
    assert np.array_equal(run(np.flatnonzero(x)), [1, 2])
    assert np.array_equal(run(np.argwhere(x)), [[0, 1], [1, 0]])
    assert lg.nonzero(lg.constant(a))[0].shape == (2,)
    assert np.array_equal(run(np.extract(x > 1, x)), [2, 3])
    assert np.array_equal(run(np.compress([True], x, axis=1)), [[0], [3]])
    with pytest.raises(ShapeError, match=r"nonzero.*: a value without axes"):
        lg.nonzero(lg.Value(1.0))
    with pytest.raises(ShapeError, match=r"compress.*: a condition is a vector"):
        lg.compress(a > 0, x)


# Symbolic lengths

SLICES = [
    (np.s_[1:], "n - 1"),
    (np.s_[:-1], "n - 1"),
    (np.s_[1:-1], "n - 2"),
    (np.s_[:], "n"),
    (np.s_[::-1], "n"),
    (np.s_[::2], "(n + 1)//2"),
    (np.s_[1::2], "n//2"),
    (np.s_[:3], "min(n, 3)"),
    (np.s_[-3:], "min(n, 3)"),
    (np.s_[2:1], "0"),
    (np.s_[-1:-3], "0"),
    (np.s_[-2::-1], "n - 1"),
    (np.s_[:0:-1], "n - 1"),
    (np.s_[-1:0:-2], None),
    (np.s_[2:5], None),
    (np.s_[-3:2], None),
    (np.s_[3:-3:-1], None),
    (np.s_[:-4:-1], None),
    (np.s_[2::-1], None),
    (np.s_[-5:-1:3], None),
    (np.s_[::-3], None),
]


@pytest.mark.parametrize(("key", "length"), SLICES, ids=repr)
def test_symbolic_slices(key, length):
    x = lg.placeholder(("n",), name="x")
    y = x[key]
    if length is not None:
        assert str(y.shape[0]) == length
    for n in range(2, 9):
        a = np.arange(float(n))
        assert np.array_equal(run(y, {"n": n}, x=a), a[key]), n
        expected = np.zeros(n)
        expected[key] = 2 * a[key]
        assert np.array_equal(run(lg.grad((y * y).sum(), x), {"n": n}, x=a), expected)


def test_symbolic_bounds_and_positions():
    x = lg.placeholder(("n", 3), name="x")
    n = x.shape[0]
    a = np.arange(15.0).reshape(5, 3)
    half = n // 2
    for y, expected in [
        (x[half:], a[2:]),
        (x[:half], a[:2]),
        (x[-half:], a[-2:]),
        (x[n - 1], a[4]),
        (x[-1], a[-1]),
        (x[0, 1], a[0, 1]),
        (x[[0, -1]], a[[0, -1]]),
        (x[np.array([0, -1]), 1], a[[0, -1], 1]),
    ]:
        assert np.array_equal(run(y, {"n": 5}, x=a), expected)
    with pytest.raises(AxisError, match="index n is out of range for axis 0 of length n"):
        x[n]


def test_symbolic_slice_that_does_not_fit():
    x = lg.placeholder(("n",), name="x")
    for node in (x[3], x[-3]):
        with pytest.raises(AxisError, match="is outside axis 0 of length 2"):
            run(node, {"n": 2}, x=np.ones(2))
    with pytest.raises(AxisError, match="doesn't fit axis 0 of length 2"):
        run(x[5:], {"n": 2}, x=np.ones(2))


def test_lengths_of_gathers():
    x, i = lg.placeholder(("n", 3), name="x"), lg.placeholder(("k",), dtype=int, name="i")
    assert x[i].shape == (Length.named("k"), 3)
    a, places = np.arange(6.0).reshape(2, 3), np.array([1, 1, -2, 0])
    lengths = {"n": 2, "k": 4}
    assert np.array_equal(run(x[i], lengths, x=a, i=places), a[places])
    g = run(lg.grad((x[i] * x[i]).sum(), x), lengths, x=a, i=places)
    assert np.array_equal(g, 2 * a * 2)


# take and take_along_axis


def test_take():
    x = lg.Value(X)
    for indices, axis in [([0, 1], None), ([[1, -1]], 1), (3, 2), (np.array([], int), 0)]:
        y = np.take(x, indices, axis=axis)
        assert np.array_equal(run(y), np.take(X, indices, axis=axis))
    i = np.array([-7, 2, 9])
    for mode in ("wrap", "clip"):
        expected = np.take(X, i, axis=1, mode=mode)
        for indices in (i, lg.Value(i)):
            assert np.array_equal(run(lg.take(x, indices, axis=1, mode=mode)), expected)
    assert np.array_equal(run(x.take([1, 2])), X.take([1, 2]))
    with pytest.raises(OptionError, match=r'take.*: mode must be "raise", "wrap" or "clip", got'):
        lg.take(x, 0, mode="around")
    with pytest.raises(AxisError, match=r"take.*: index 3 is out of range for axis 0 of length 3"):
        lg.take(x, [0, 3], axis=0)
    with pytest.raises(DTypeError, match=r"take.*: indices must be integers"):
        lg.take(x, [True, False])


def test_take_along_axis():
    x = lg.Value(X)
    rng = np.random.default_rng(0)
    for axis in (0, 1, -1):
        shape = list(X.shape)
        shape[axis] = 2
        i = rng.integers(-X.shape[axis], X.shape[axis], shape)
        expected = np.take_along_axis(X, i, axis)
        for indices in (i, lg.Value(i)):
            y = np.take_along_axis(x, indices, axis)
            assert np.array_equal(run(y), expected)
            check_gradient(y, x, directions=1)
    i = np.array([[[1]], [[2]], [[0]]])
    assert np.array_equal(run(lg.take_along_axis(x, i, 1)), np.take_along_axis(X, i, 1))
    assert run(lg.take_along_axis(x, [3, -1], None)).tolist() == [X.flat[3], X.flat[-1]]
    with pytest.raises(ShapeError, match="indices have 1 axes and the operand has 3"):
        lg.take_along_axis(x, [0], 1)
    with pytest.raises(AxisError, match="index 4 is out of range for axis 1 of length 4"):
        lg.take_along_axis(x, [[[4]]], 1)


def test_picking_labels():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6, 3))
    labels = rng.integers(0, 3, 6)
    x, i = lg.placeholder((6, 3), name="x"), lg.placeholder((6,), dtype=int, name="i")
    y = x[np.arange(6), i]
    feeds = {"x": logits, "i": labels}
    assert np.array_equal(run(y, **feeds), logits[np.arange(6), labels])
    g = lg.grad(y.sum(), x)
    assert np.array_equal(run(g, **feeds), np.eye(3)[labels])
    # Distinct rows are written, not added up.
    assert all(node.attrs["unique"] for node in Graph([g]).nodes if node.op.name == "scatter_add")


# Errors


@pytest.mark.parametrize(
    ("key", "error", "words"),
    [
        (3, AxisError, r"getitem.*: index 3 is out of range for axis 0 of length 3 of \[3, 4, 5\]"),
        (np.s_[0, -5], AxisError, "index -5 is out of range for axis 1 of length 4"),
        (np.s_[:, [0, 4]], AxisError, "index 4 is out of range for axis 1 of length 4"),
        (np.s_[0, 0, 0, 0], AxisError, "too many indices: 4 for float64.*, which has 3 axes"),
        (np.s_[..., ...], OptionError, "may hold one Ellipsis, got 2"),
        (1.0, DTypeError, "must be integers or bools, got float64"),
        (np.array([0.0]), DTypeError, r"got float64\[1\]; convert it with .astype\(int\)"),
        ("a", OptionError, r"made of integers, slices.* not 'a' \(str\)"),
        (np.s_[1.0:], OptionError, "a slice's start must be an integer.* not 1.0"),
        (np.s_[::0], OptionError, "step must not be 0"),
        (([0, 1], [0, 1, 2]), ShapeError, r"shapes \[2\] and \[3\] don't broadcast"),
        ({}, OptionError, "not {}"),
    ],
    ids=repr,
)
def test_errors(key, error, words):
    with pytest.raises(error, match=words):
        lg.Value(X)[key]


def test_errors_about_nodes():
    x = lg.Value(X)
    i = lg.Value(np.array(1))
    with pytest.raises(OptionError, match="an index list can't hold nodes; join them first"):
        x[[i, 0]]
    with pytest.raises(OptionError, match="stop must be an integer, a length or None, not a node"):
        x[:i]
    with pytest.raises(DTypeError, match=r"must be integers or bools, got float64\[\]; convert"):
        x[lg.Value(1.0)]


def test_empty_operand():
    x = lg.Value(np.zeros((0, 3)))
    assert run(x[1:]).shape == (0, 3)
    assert run(x[[]]).shape == (0, 3)
    assert run(lg.grad(x[:, [0, 0]].sum(), x)).shape == (0, 3)
    with pytest.raises(AxisError, match="index 0 is out of range for axis 0 of length 0"):
        x[0]


def _random_key(rng, shape):
    """Draw an index for *shape*, sometimes one that doesn't fit."""
    items, axis, length = [], 0, int(rng.integers(1, 4))
    while axis < len(shape) and rng.random() < 0.9:
        n, kind = shape[axis], rng.integers(0, 7)
        if kind == 0:
            items.append(int(rng.integers(-n, n)))
        elif kind in (1, 2):
            bounds = [
                None if rng.random() < 0.3 else int(rng.integers(-n - 1, n + 2)) for _ in "ab"
            ]
            items.append(slice(*bounds, [None, 1, 2, -1, -2][rng.integers(0, 5)]))
        elif kind == 3:
            items.append([None, True][int(rng.random() < 0.1)])
            axis -= 1
        elif kind == 4 and Ellipsis not in [i for i in items if not isinstance(i, np.ndarray)]:
            items.append(Ellipsis)
        elif kind == 5:
            drawn = [(length,), (1,), (2, length), ()][rng.integers(0, 4)]
            items.append(rng.integers(-n, n, drawn))
        elif kind == 6:
            rank = int(rng.integers(1, len(shape) - axis + 1))
            items.append(rng.random(shape[axis : axis + rank]) < 0.5)
            axis += rank - 1
        axis += 1
    return tuple(items)


@pytest.mark.parametrize("seed", range(10))
def test_random_indices(seed):
    rng = np.random.default_rng(seed)
    for _ in range(40):
        shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 4)))
        a, key = rng.normal(size=shape), _random_key(rng, shape)
        x = lg.Value(a)
        try:
            expected = a[key]
        except IndexError:
            with pytest.raises((IndexError, ShapeError)):
                run(x[key])
            continue
        y = x[key]
        assert y.shape == expected.shape, key
        assert np.array_equal(run(y), expected), key
        gradient = np.zeros(shape)
        np.add.at(gradient, key, 2 * expected)
        np.testing.assert_allclose(run(lg.grad((y * y).sum(), x)), gradient, err_msg=str(key))
        if expected.size:
            v = rng.normal(size=expected.shape)
            written, added = a.copy(), a.copy()
            written[key] = v
            np.add.at(added, key, v)
            assert np.array_equal(run(x.at[key].set(v)), written), key
            np.testing.assert_allclose(run(x.at[key].add(v)), added, err_msg=str(key))


def test_compiled_with_lengths_known_in_mid_run():
    x = lg.placeholder(("n",), name="x")
    y = lg.exp(x)[x > 0]
    twice = lg.concatenate([y, y])[::-1]
    outputs = [y, y[[0, 0]], y[1:], twice, y.at[0].set(7.0)]
    program = lg.compile(outputs + [lg.grad((z * z).sum(), x) for z in outputs])
    for a in (np.array([1.0, -1.0, 2.0]), np.array([-1.0, 0.5, 0.25, 0.125])):
        e = np.exp(a)
        kept = e[a > 0]
        picks = [kept, kept[[0, 0]], kept[1:], np.concatenate([kept, kept])[::-1]]
        results = program(x=a)
        for result, expected in zip(results, picks, strict=False):
            np.testing.assert_allclose(result, expected)
        places = np.flatnonzero(a > 0)
        weights = np.zeros((5, len(a)))
        weights[0, places] = 1
        weights[1, places[0]] = 2
        weights[2, places[1:]] = 1
        weights[3, places] = 2
        weights[4, places[1:]] = 1
        for result, weight in zip(results[5:], weights, strict=True):
            np.testing.assert_allclose(result, 2 * e * e * weight)


def test_compiled_index_out_of_range_names_the_line():
    i = lg.placeholder((2,), dtype=int, name="i")
    program = lg.compile(lg.Value(np.ones(3))[i])
    with pytest.raises(
        lg.OperationError, match=r"gather\(.*test_indexing.py.* index 7 is out of b"
    ):
        program(i=[0, 7])
    assert program(i=[0, -3]).tolist() == [1, 1]


def test_forward_and_backward_with_lengths_known_in_mid_run():
    x = lg.Value([1.0, -1.0, 2.0])
    y = (x[x > 0] ** 2).sum()
    assert y.forward() == 5
    y.backward()
    assert x.grad.tolist() == [2, 0, 4]
    x.data = np.array([-1.0, 3.0, -2.0])
    assert y.forward() == 9
    y.backward()
    assert x.grad.tolist() == [0, 6, 0]


def test_lengths_known_in_mid_run_are_known_before_they_are_used():
    x = lg.placeholder(("n",), name="x")
    y = lg.exp(x)[x > 0]
    program = lg.compile([y, y.sum(), lg.grad(y.sum(), x)])
    for a in (np.array([1.0, -1.0]), np.array([-2.0, -1.0, 3.0])):
        kept, total, gradient = program(x=a)
        np.testing.assert_allclose(kept, np.exp(a)[a > 0])
        np.testing.assert_allclose(total, np.exp(a)[a > 0].sum())
        np.testing.assert_allclose(gradient, np.where(a > 0, np.exp(a), 0))


def test_mean_over_a_computed_mask():
    x = lg.placeholder(("n",), name="x")
    y = lg.exp(x)[x > 0].mean()
    program = lg.compile([y, lg.grad(y, x)])
    for a in (np.array([1.0, -1.0]), np.array([1.0, 2.0, -1.0])):
        value, gradient = program(x=a)
        kept = np.exp(a)[a > 0]
        assert value == pytest.approx(kept.mean())
        np.testing.assert_allclose(gradient, np.where(a > 0, np.exp(a), 0) / len(kept))
