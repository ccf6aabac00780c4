"""Random draws: which numbers, when they change, and what they mean to derivatives."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.errors import DTypeError, OptionError, ShapeError
from lazygrad.ops.random import counters_of
from lazygrad.testing import check_gradient


def philox(seed, number, call, step=0):
    key = np.array([seed, number], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, step, call]))


def test_numbers_are_those_of_numpys_philox():
    rng = lg.random.stream(2**64 - 1)
    seed = rng.seed
    draws = [
        rng.normal((3, 2)),
        rng.uniform((4,)),
        rng.normal((), dtype=np.float32),
        rng.exponential((2,)),
        rng.integers((5,), -3, 9),
        rng.permutation(6),
        rng.bernoulli((7,), 0.3),
        rng.gumbel((2,)),
    ]
    program = lg.compile(draws)
    for call in range(3):
        expected = [
            philox(seed, 0, call).standard_normal((3, 2)),
            philox(seed, 1, call).random(4),
            philox(seed, 2, call).standard_normal(1, np.float32)[0],
            philox(seed, 3, call).standard_exponential(2),
            philox(seed, 4, call).integers(-3, 9, 5),
            philox(seed, 5, call).permutation(6),
            philox(seed, 6, call).random(7) < 0.3,
            -np.log(philox(seed, 7, call).standard_exponential(2)),
        ]
        for result, right in zip(program(), expected, strict=True):
            np.testing.assert_array_equal(result, right)
            assert result.dtype == np.asarray(right).dtype


def test_calls_do_not_overlap():
    program = lg.compile(lg.random.stream(0).uniform((1000,)))
    assert len({number for _ in range(3) for number in program().tolist()}) == 3000


def test_each_call_draws_anew_and_two_programs_of_one_seed_agree():
    def made():
        rng = lg.random.stream(5)
        return lg.compile((rng.normal((4,)), rng.normal((4,))))

    one, other = made(), made()
    seen = []
    for _ in range(3):
        (a, b), (c, d) = one(), other()
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)
        seen += [a, b]
    assert len({array.tobytes() for array in seen}) == 6


def test_one_node_used_twice_is_one_draw():
    z = lg.random.stream(1).normal((3,))
    np.testing.assert_array_equal(lg.compile(z - z)(), np.zeros(3))
    first, second = lg.compile((z + 1, z + 1))()
    np.testing.assert_array_equal(first, second)


def test_data_stays_until_the_next_call_and_then_shows_it():
    rng = lg.random.stream(3)
    z = rng.normal((2,))
    before = z.data
    np.testing.assert_array_equal(z.data, before)
    np.testing.assert_array_equal((2 * z).data, 2 * before)
    program = lg.compile(z)
    np.testing.assert_array_equal(program(), before)
    np.testing.assert_array_equal(z.data, before)
    second = program()
    assert (second != before).all()
    np.testing.assert_array_equal(z.data, second)
    root = (z * z).sum()
    value = root.forward()
    third = z.data
    np.testing.assert_allclose(value, (third**2).sum())
    assert (third != second).all()
    program()
    np.testing.assert_array_equal(z.data, third)  # that of the latest forward above it


def test_data_of_a_draw_follows_a_changed_variable_but_not_its_numbers():
    w = lg.Value([1.0, 1.0])
    z = lg.random.stream(3).normal((2,))
    y = w * z
    drawn = y.forward()
    w.data = [2.0, 2.0]
    np.testing.assert_array_equal(y.data, 2 * drawn)


def dropout(x, rng, rate=0.5):
    return lg.where(rng.bernoulli(x.shape, 1 - rate), x / (1 - rate), 0.0)


def test_backward_sees_the_mask_of_its_forward():
    x = lg.Value(np.ones(200))
    y = dropout(x, lg.random.stream(4))
    total = (y * 1.0).sum()
    for _ in range(3):
        total.forward()
        total.backward()
        mask = x.grad
        np.testing.assert_array_equal(y.data, mask)
        total.backward()
        np.testing.assert_array_equal(x.grad, mask)
        total.backward(seed=2.0)
        np.testing.assert_array_equal(x.grad, 2 * mask)
        assert 50 < (mask > 0).sum() < 150


def test_gradient_and_value_of_a_program_share_the_mask():
    x = lg.Value(np.ones(200))
    y = dropout(x, lg.random.stream(4))
    program = lg.compile((y, lg.grad(y.sum(), x)))
    for _ in range(3):
        value, gradient = program()
        np.testing.assert_array_equal(value, gradient)


def test_gradients_flow_to_location_and_scale():
    rng = lg.random.stream(8)
    loc, scale = lg.Value([1.0, 2.0]), lg.Value([0.5, 3.0])
    y = rng.normal(None, loc, scale)
    assert y.shape == (2,)
    y.forward()
    y.backward()
    np.testing.assert_array_equal(loc.grad, np.ones(2))
    np.testing.assert_allclose(scale.grad, (y.data - loc.data) / scale.data)
    check_gradient((rng.uniform((3, 2), loc, scale + 5) ** 2).sum(), [loc, scale])


def test_updates_of_a_program_may_draw():
    w = lg.Value(np.zeros(3))
    rng = lg.random.stream(2)
    step = lg.compile((), updates={w: w + rng.normal((3,))})
    step()
    step()
    expected = philox(2, 0, 0).standard_normal(3) + philox(2, 0, 1).standard_normal(3)
    np.testing.assert_array_equal(w.data, expected)
    assert rng.counter.data == 2


def test_a_users_own_update_of_the_counter_stands():
    rng = lg.random.stream(2)
    z = rng.normal((3,))
    program = lg.compile(z, updates={rng.counter: rng.counter + 10})
    program()
    assert rng.counter.data == 10
    np.testing.assert_array_equal(program(), philox(2, 0, 10).standard_normal(3))


def test_a_failed_call_does_not_advance():
    @lg.custom_op(name="tests.fails_if_fed")
    def fails(x, flag):
        if flag:
            raise ValueError("flagged")
        return x

    flag = lg.placeholder((), name="flag")
    rng = lg.random.stream(2)
    program = lg.compile(fails(rng.normal((3,)), flag))
    with pytest.raises(lg.OperationError):
        program(flag=1.0)
    np.testing.assert_array_equal(program(flag=0.0), philox(2, 0, 0).standard_normal(3))


def test_steps_of_a_loop_differ_and_its_calls_advance():
    rng = lg.random.stream(9)
    w = lg.Value(1.0)
    last, rows = lg.scan(
        lambda carry, _: ((total := carry + w * rng.normal(())), total), 0.0, length=4
    )
    assert counters_of([rows.operands[0]]) == [rng.counter]
    program = lg.compile((rows, lg.grad(last, w)))
    for call in range(2):
        noise = [philox(9, 0, call, step).standard_normal() for step in range(4)]
        values, gradient = program()
        np.testing.assert_allclose(values, np.cumsum(noise))
        np.testing.assert_allclose(gradient, np.sum(noise))
    last.forward()
    last.backward()
    noise = [philox(9, 0, 2, step).standard_normal() for step in range(4)]
    np.testing.assert_allclose(w.grad, np.sum(noise))


def test_symbolic_and_data_dependent_lengths():
    x = lg.placeholder(("batch", 2), name="x")
    rng = lg.random.stream(6)
    program = lg.compile(x + rng.normal(x.shape))
    assert program(x=np.zeros((3, 2))).shape == (3, 2)
    assert program(x=np.zeros((0, 2))).shape == (0, 2)
    picked = x[x > 0]
    noisy = lg.compile(picked + rng.normal(picked.shape))
    assert noisy(x=[[1.0, -1.0], [2.0, 3.0]]).shape == (3,)
    places = lg.compile(rng.integers((50,), x.shape[0]) + x.sum())
    assert set(places(x=np.zeros((2, 2)))) == {0, 1}
    shuffled = lg.compile(rng.permutation(x))(x=[[1.0, 2.0], [3.0, 4.0]])
    assert sorted(shuffled.tolist()) == [[1.0, 2.0], [3.0, 4.0]]


def test_copies_go_on_from_where_they_were():
    rng = lg.random.stream(12)
    z = rng.normal((2,))
    program = lg.compile(z)
    program()
    for copied_rng, copied in [copy.deepcopy((rng, z)), pickle.loads(pickle.dumps((rng, z)))]:
        assert copied_rng.counter is copied.operands[0]
        assert copied_rng.counter.data == 1
        assert copied_rng.made == 1
        other = copied_rng.normal((2,))
        np.testing.assert_array_equal(lg.compile(copied)(), philox(12, 0, 1).standard_normal(2))
        assert rng.counter.data == 1
        np.testing.assert_array_equal(lg.compile(other)(), philox(12, 1, 2).standard_normal(2))
    restored = pickle.loads(pickle.dumps(program))
    np.testing.assert_array_equal(restored(), program())
    np.testing.assert_array_equal(restored(), program())


def test_statistics():
    rng, size = lg.random.stream(11), (40_000,)

    def close(node, mean, deviation):
        data = node.data
        assert abs(data.mean() - mean) < 5 * deviation / 200
        assert abs(data.std() - deviation) < 0.05 * deviation

    close(rng.normal(size, 3.0, 2.0), 3.0, 2.0)
    close(rng.normal(size, dtype=np.float32), 0.0, 1.0)
    close(rng.normal(size, dtype=np.float16).astype(np.float64), 0.0, 1.0)
    close(rng.uniform(size, -1, 3), 1.0, 4 / 12**0.5)
    close(rng.exponential(size, 2.0), 2.0, 2.0)
    close(rng.gumbel(size), np.euler_gamma, np.pi / 6**0.5)
    close(rng.gumbel(size, dtype=np.float32), np.euler_gamma, np.pi / 6**0.5)
    close(rng.bernoulli(size, 0.3).astype(float), 0.3, 0.21**0.5)
    close(rng.integers(size, 10).astype(float), 4.5, 8.25**0.5)
    close(rng.choice([1.0, 5.0], size), 3.0, 2.0)
    close(rng.truncated_normal(size), 0.0, 0.8796)
    cut = rng.truncated_normal(size, 1.0, 2.0, low=0.5, high=1.0, dtype=np.float32).data
    assert cut.min() >= 2.0
    assert cut.max() <= 3.0
    picked = rng.categorical(np.log(np.tile([0.2, 0.5, 0.3], (40_000, 1)))).data
    np.testing.assert_allclose(np.bincount(picked) / 40_000, [0.2, 0.5, 0.3], atol=0.02)
    assert sorted(rng.choice(5, 5, replace=False).data) == [0, 1, 2, 3, 4]


def test_dtypes():
    rng = lg.random.stream(0)
    narrow = lg.Value(np.float32([1, 2]))
    assert rng.normal(None, narrow).dtype == np.float32
    assert rng.normal((2,), narrow, dtype=np.float64).dtype == np.float64
    assert rng.normal((2,), 1, 2).dtype == np.float64
    assert rng.integers((2,), 5, dtype=np.uint8).dtype == np.uint8
    assert rng.bernoulli(None, narrow / 4).dtype == np.bool_
    assert rng.bernoulli(None, narrow / 4).shape == (2,)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda rng: lg.random.stream(-1), OptionError, "from 0 to 2\\*\\*64 - 1, got -1"),
        (lambda rng: lg.random.stream(1.5), OptionError, "a seed is an integer, got 1.5"),
        (lambda rng: lg.random.stream(True), OptionError, "a seed is an integer, got True"),
        (lambda rng: rng.normal((2,), np.zeros(3)), ShapeError, r"normal: .*\[2\] and \[3\]"),
        (lambda rng: rng.normal((), np.zeros(3)), ShapeError, r"normal: .*\[3\] .* \[\]"),
        (lambda rng: rng.normal((None,)), ShapeError, "normal: a draw needs known or named"),
        (lambda rng: rng.normal((-1,)), ShapeError, "normal: .*negative, got -1"),
        (lambda rng: rng.normal((2,), scale=-1), OptionError, "normal: scale .* got -1"),
        (lambda rng: rng.normal((2,), dtype=int), DTypeError, "normal: .* got int64"),
        (lambda rng: rng.uniform((2,), 3, 1), OptionError, "uniform: low is 3, above high, 1"),
        (lambda rng: rng.bernoulli((2,), 1.5), OptionError, "from 0 to 1, got 1.5"),
        (lambda rng: rng.integers((2,), 3, 3), OptionError, "low is 3, not below high, 3"),
        (lambda rng: rng.integers((2,), 300, dtype="u1"), OptionError, "0 to 299 .* uint8"),
        (lambda rng: rng.integers((2,), lg.Value(3)), OptionError, r"high must be .* int64\[\]"),
        (lambda rng: rng.choice(3, 4, replace=False), OptionError, "can't pick 4 of 3"),
        (lambda rng: rng.truncated_normal((2,), low=9, high=10), OptionError, "low=9 and high=10"),
        (lambda rng: rng.permutation(lg.Value(1.0)), ShapeError, "permutation.*: needs an integer"),
    ],
)
def test_refusals(make, error, text):
    with pytest.raises(error, match=text):
        make(lg.random.stream(0))
