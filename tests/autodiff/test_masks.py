"""A branch or element that is not taken contributes nothing to a derivative, not even NaN."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.interpreter import interpret
from lazygrad.ir.graph import Graph, ancestors


def numbers(*nodes):
    with np.errstate(all="ignore"):
        found = interpret(Graph(list(nodes)), {})
    return found[0] if len(found) == 1 else found


def all_modes(y, x):
    """First and second derivatives of the sum, by each way of getting them."""
    ones = np.ones(x.shape)
    g = lg.grad(y, x)
    first = [g, lg.jvp(y, x, ones) if y.shape == x.shape else g]
    second = [
        lg.grad(g, x, unused="zero"),
        lg.hvp(y, x, ones),
        lg.vjp(lg.jvp(y, x, ones), x, np.ones(y.shape), unused="zero"),
    ]
    return numbers(*first), numbers(*second)


POINTS = np.array([-1.0, 0.0, 4.0])


@pytest.mark.parametrize(
    "function",
    [lg.sqrt, lg.log, lambda x: x**0.5, lambda x: 2.0 / x**1.5, lambda x: lg.sqrt(x) * lg.log(x)],
)
def test_the_branch_not_taken_is_silent(function):
    x = lg.Value(POINTS)
    y = lg.where(x > 0, function(x), 0.0)
    alone = lg.Value(POINTS[2:])
    first, second = all_modes(y, x)
    expected_first, expected_second = all_modes(function(alone), alone)
    for found, expected in zip((*first, *second), (*expected_first, *expected_second), strict=True):
        np.testing.assert_allclose(found, [0.0, 0.0, *expected], rtol=1e-12)


def test_both_branches_differentiable():
    x = lg.Value(POINTS)
    y = lg.where(x > 0, lg.sqrt(x), x * x)
    first, second = all_modes(y, x)
    for found in first:
        np.testing.assert_allclose(found, [-2.0, 0.0, 0.25])
    for found in second:
        np.testing.assert_allclose(found, [2.0, 2.0, -1 / 32])


def test_the_mask_goes_down_a_chain_of_elementwise_operations():
    x = lg.Value(POINTS)
    y = lg.where(x > 0, lg.log(lg.sqrt(x) * 3.0 + 1.0) / x, 0.0)
    assert np.isfinite(numbers(lg.grad(y, x))).all()


def test_a_nan_operand_in_the_branch_not_taken():
    x, w = lg.Value([1.0, 2.0]), lg.constant([np.nan, 3.0])
    y = lg.where(np.array([False, True]), x * w, 0.0)
    np.testing.assert_array_equal(numbers(lg.grad(y, x)), [0.0, 3.0])


def test_a_condition_that_broadcasts_the_branch():
    s = lg.Value(0.0)
    y = lg.where(np.array([False, False]), lg.sqrt(s), 1.0)
    assert numbers(lg.grad(y, s)) == 0.0
    x = lg.Value([0.0, 4.0])
    y = lg.where(np.array([[False, True], [False, False]]), lg.sqrt(x), 1.0)
    np.testing.assert_array_equal(numbers(lg.grad(y, x)), [0.0, 0.25])
    y = lg.where(np.array([[False, True]]), lg.broadcast_to(lg.sqrt(x), (3, 2)), 1.0)
    np.testing.assert_array_equal(numbers(lg.grad(y, x)), [0.0, 0.75])


def test_a_smaller_condition_covers_the_branch():
    x = lg.Value([[0.0, 4.0], [0.0, 1.0]])
    y = lg.where(np.array([False, True]), lg.sqrt(x), 1.0)
    np.testing.assert_array_equal(numbers(lg.grad(y, x)), [[0.0, 0.25], [0.0, 0.5]])


def test_slicing_masks():
    x = lg.Value([0.0, 1.0, 4.0])
    y = lg.sqrt(x)[1:]
    np.testing.assert_array_equal(numbers(lg.grad(y, x)), [0.0, 0.5, 0.25])
    np.testing.assert_array_equal(numbers(lg.grad(lg.grad(y, x), x)), [0.0, -0.25, -1 / 32])
    np.testing.assert_array_equal(numbers(lg.jvp(y, x, np.ones(3))), [0.5, 0.25])


def test_gathering_masks():
    x = lg.Value([0.0, 1.0, 4.0])
    y = lg.sqrt(x)[np.array([1, 2, 2])]
    np.testing.assert_array_equal(numbers(lg.grad(y, x)), [0.0, 0.5, 0.5])


def test_slices_of_choices():
    x = lg.Value([0.0, 0.0, 4.0])
    y = lg.where(np.array([True, False, True]), lg.sqrt(x), 0.0)[1:]
    np.testing.assert_array_equal(numbers(lg.grad(y, x)), [0.0, 0.0, 0.25])


@pytest.mark.parametrize(
    "move",
    [
        lambda x: x.reshape(2, 2),
        lambda x: x.reshape(2, 2).T,
        lambda x: x.reshape(1, 4),
        lambda x: lg.broadcast_to(x.reshape(1, 4), (3, 4)),
        lambda x: x.reshape(4, 1),
        lambda x: lg.flip(x, 0),
        lambda x: lg.concatenate([x, x]),
    ],
)
def test_moving_elements_moves_the_mask(move):
    x = lg.Value([-1.0, 0.0, 1.0, 4.0])
    chosen = move(x > 0)
    y = lg.where(chosen, move(lg.sqrt(x)), 0.0)
    copies = int(np.prod(y.shape)) // 4
    np.testing.assert_array_equal(numbers(lg.grad(y, x)), [0, 0, 0.5 * copies, 0.25 * copies])


def test_two_branches_join_as_the_union():
    x = lg.Value([0.0, 1.0, 4.0])
    root = lg.sqrt(x)
    y = lg.where(np.array([False, True, False]), root, 0.0).sum() + root[2:].sum()
    np.testing.assert_array_equal(numbers(lg.grad(y, x)), [0.0, 0.5, 0.25])


def test_a_use_without_a_mask_counts_everywhere():
    x = lg.Value([0.0, 4.0])
    root = lg.sqrt(x)
    y = lg.where(x > 0, root, 0.0) + root
    np.testing.assert_array_equal(numbers(lg.grad(y, x)), [np.inf, 0.5])


def test_a_contraction_ends_the_mask_as_plain_zeros():
    x = lg.Value([1.0, 2.0])
    y = lg.where(np.array(False), (x * x) @ np.ones(2), 0.0)
    g = lg.grad(y, x)
    np.testing.assert_array_equal(numbers(g), [0.0, 0.0])
    chosen = [node for node in ancestors([g]) if node.op.name == "where"]
    assert len(chosen) == 1, "below the product no mask is left to choose by"


def test_a_sum_spreads_the_mask_over_what_it_added_up():
    x = lg.Value([[0.0, 1.0], [4.0, 9.0]])
    rows = np.array([False, True])
    for reduced in (lg.sqrt(x).sum(axis=1), lg.sqrt(x).mean(axis=1) * 2):
        g = lg.grad(lg.where(rows, reduced, 0.0).sum(), x)
        np.testing.assert_allclose(numbers(g), [[0.0, 0.0], [1 / 4, 1 / 6]])
    picked = lg.grad(lg.sqrt(x).sum(axis=1)[1], x)
    np.testing.assert_allclose(numbers(picked), [[0.0, 0.0], [1 / 4, 1 / 6]])


def test_a_masked_graph_does_not_grow_where_nothing_needs_the_mask():
    x = lg.Value([1.0, 2.0])
    g = lg.grad(lg.where(x > 0, x + 1.0, -x).sum(), x)
    names = [node.op.name for node in ancestors([g])]
    assert names.count("where") == 2
    assert "logical_or" not in names


def test_maximum_is_no_mask():
    x = lg.Value([0.0, 4.0])
    assert np.isnan(numbers(lg.grad(lg.maximum(lg.sqrt(x), 1.0), x))[0])


ELEMENTWISE = [
    lambda x: lg.sqrt(x * x + 0.5),
    lambda x: lg.log(x + 3.0),
    lambda x: x * x,
    lambda x: lg.tanh(x) - 0.5 * x,
    lambda x: lg.exp(-x) / (x + 4.0),
    lambda x: lg.maximum(x, 0.3),
    lambda x: (
        x * np.array([1.0, 2.0, -1.0, 0.5]).reshape((1,) * (len(x.shape) - 1) + (4,))
        if x.shape and x.shape[-1] == 4
        else x * 1.5
    ),
]
MOVES = [
    lambda x: x.T,
    lambda x: x.reshape(-1),
    lambda x: x.reshape(2, -1),
    lambda x: lg.flip(x),
    lambda x: lg.broadcast_to(x, (2, *x.shape)),
    lambda x: lg.expand_dims(x, -1),
    lambda x: lg.concatenate([x, x]),
    lambda x: x[1:],
    lambda x: lg.roll(x, 1),
]


@pytest.mark.parametrize("seed", range(60))
def test_random_paths_to_a_choice(seed):
    """Spoilt elements that no choice lets through change no derivative, and get zeros."""
    rng = np.random.default_rng(seed)
    good = rng.random((3, 4)) < 0.6
    clean = rng.uniform(-1.0, 1.0, (3, 4))
    steps = [
        (kind, table[rng.integers(len(table))])
        for kind in rng.random(6) < 0.5
        for table in [ELEMENTWISE if kind else MOVES]
    ]
    branch = int(rng.integers(6))
    found = []
    for data in (clean, np.where(good, clean, np.nan)):
        x, mask, ys = lg.Value(data), lg.constant(good), []
        node = x
        for number, (is_elementwise, step) in enumerate(steps):
            node = step(node)
            if not is_elementwise:
                mask = step(mask)
            if number == branch:
                ys.append(lg.where(mask, node, 0.0).sum())
        ys.append(lg.where(mask, node, 0.0).sum())
        y = ys[0] * 2.0 + ys[1]
        g = lg.grad(y, x)
        found.append(
            numbers(g, lg.grad(g, x, unused="zero"), lg.hvp(y, x, clean), lg.jvp(y, x, clean))
        )
    for expected, result in zip(*found, strict=True):
        np.testing.assert_allclose(
            result, np.where(good, expected, 0.0) if expected.ndim else expected, rtol=1e-9
        )
