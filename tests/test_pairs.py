import gc
import weakref

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.interpreter import interpret
from lazygrad.executors import PLANS_KEPT
from lazygrad.ir.graph import Graph
from lazygrad.pairs import Pair
from lazygrad.schedule.buffers import Kind
from tests.schedule.drawn import Drawn


def x(*shape, name="x"):
    return lg.placeholder(shape, name=name, requires_grad=True)


def filled(pair, lengths, feeds):
    """The executable with its feeds in place."""
    executable = pair.entry(lengths).executable
    for (name, _), array in zip(pair.schedule.feeds, executable.feed_arrays, strict=True):
        array[...] = feeds[name]
    return executable


def test_two_sections_and_the_gradients_that_there_are():
    a, b = x(3, name="a"), x(3, name="b")
    unused = x(3, name="c")
    pair = Pair(lg.sum(lg.exp(a) * b), [a, unused, b])
    assert [section.name for section in pair.schedule.sections] == ["forward", "backward"]
    assert pair.gradient_of == [id(a), id(b)]
    executable = filled(pair, {}, {"a": 0.0, "b": [1.0, 2.0, 3.0]})
    assert executable.sections["forward"]() == (6.0,)
    to_a, to_b = executable.sections["backward"]()
    np.testing.assert_array_equal(to_a, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(to_b, np.ones(3))


@pytest.mark.parametrize("seed", range(40))
def test_backward_can_be_repeated_and_leaves_what_forward_filled(seed):
    drawn = Drawn(seed)
    loss = drawn.loss()
    leaves = [node for node in drawn.pool[:7] if node.requires_grad]
    below = [node for node in Graph([loss]).nodes if not node.several]
    shown = [drawn.pick(below) for _ in range(3)]
    pair = Pair(loss, leaves, shown)
    rng = np.random.default_rng(seed)
    rows = drawn.lengths.get("rows", 3)
    feeds = {name: rng.standard_normal((rows, 4)) for name in "xy"}
    feeds["z"] = rng.standard_normal((4, 4))
    executable = filled(pair, drawn.lengths, feeds)
    executable.sections["forward"]()
    numbers = {id(node): pair.readable(executable, id(node)) for node in below}
    assert all(numbers[id(node)] >= 0 for node in shown)
    kept = {n: executable.arrays[n].copy() for n in numbers.values() if n >= 0}
    for node in below:
        if numbers[id(node)] >= 0:
            with np.errstate(all="ignore"):
                (expected,) = interpret(Graph([node]), feeds, drawn.lengths)
            np.testing.assert_allclose(kept[numbers[id(node)]], expected, rtol=2e-4, atol=1e-5)
    first = [np.array(g) for g in executable.sections["backward"]()]
    for _ in range(2):
        for one, other in zip(executable.sections["backward"](), first, strict=True):
            np.testing.assert_array_equal(one, other)
    for number, array in kept.items():
        np.testing.assert_array_equal(executable.arrays[number], array)


def test_what_was_written_over_is_not_readable():
    a = x(4)
    chain = [lg.exp(a)]
    for _ in range(4):
        chain.append(chain[-1] + 1.0)
    flipped = chain[1][::-1]
    root = lg.sum(chain[-1]) + lg.sum(flipped)
    pair = Pair(root, [])
    executable = filled(pair, {}, {"x": 0.0})
    executable.sections["forward"]()
    assert pair.readable(executable, id(chain[2])) == -1
    assert pair.readable(executable, id(root)) >= 0
    for node in (chain[1], flipped):
        assert pair.readable(executable, id(node)) == -1
    pair = Pair(root, [], shown=[flipped])
    executable = filled(pair, {}, {"x": 0.0})
    executable.sections["forward"]()
    np.testing.assert_array_equal(executable.arrays[pair.readable(executable, id(flipped))], 2.0)


def test_values_that_only_backward_computes_are_not_readable():
    a, w = x(4), lg.Value(np.ones(4))
    root = lg.sum(lg.sin(a * w))
    pair = Pair(root, [w])
    executable = filled(pair, {}, {"x": 0.0})
    stop = pair.schedule.sections[0].stop
    late = {n for step in pair.schedule.steps[stop:] for n in step.writes}
    for node in Graph([root]).nodes:
        assert pair.readable(executable, id(node)) not in late
    assert pair.readable(executable, id(lg.exp(a))) == -1


def test_a_seed_is_fed_as_everything_else():
    a = x(3, name="a")
    seed = lg.placeholder((3,), name="seed")
    pair = Pair(lg.square(a), [a], seed=seed)
    executable = filled(pair, {}, {"a": [1.0, 2.0, 3.0], "seed": [1.0, 10.0, 0.0]})
    executable.sections["forward"]()
    (gradient,) = executable.sections["backward"]()
    np.testing.assert_array_equal(gradient, [2.0, 40.0, 0.0])


def test_no_leaves_and_a_root_that_is_a_leaf():
    a = x(3)
    pair = Pair(a, [])
    executable = filled(pair, {}, {"x": 1.0})
    (result,) = executable.sections["forward"]()
    assert not np.shares_memory(result, executable.feed_arrays[0])
    assert executable.sections["backward"]() == ()
    pair = Pair(a, [a])
    executable = filled(pair, {}, {"x": 1.0})
    executable.sections["forward"]()
    np.testing.assert_array_equal(executable.sections["backward"]()[0], np.ones(3))


def test_gradients_that_are_the_same_node_are_two_arrays():
    a, b = x(3, name="a"), x(3, name="b")
    pair = Pair(lg.sum(a + b), [a, b])
    executable = filled(pair, {}, {"a": 0.0, "b": 0.0})
    executable.sections["forward"]()
    one, other = executable.sections["backward"]()
    assert not np.shares_memory(one, other)
    one[:] = 5
    np.testing.assert_array_equal(executable.sections["backward"]()[1], np.ones(3))


def test_executables_are_kept_for_the_latest_lengths_only():
    a = x("rows")
    pair = Pair(lg.sum(lg.exp(a)), [a])
    first = pair.entry({"rows": 1}).executable
    assert pair.entry({"rows": 1}).executable is first
    for rows in range(2, PLANS_KEPT + 1):
        pair.entry({"rows": rows}).executable
    assert pair.entry({"rows": 1}).executable is first
    pair.entry({"rows": 100}).executable
    assert pair.entry({"rows": 1}).executable is first
    pair.entry({"rows": 2}).executable
    assert pair.entry({"rows": 1}).executable is first
    for rows in range(200, 200 + PLANS_KEPT):
        pair.entry({"rows": rows}).executable
    assert pair.entry({"rows": 1}).executable is not first


def test_the_root_is_not_held():
    a = x(3)
    root = lg.sum(lg.exp(a))
    pair = Pair(root, [a])
    gone = weakref.ref(root)
    del root
    gc.collect()
    assert gone() is None
    assert pair.entry({}).executable is not None


@pytest.mark.usefixtures("_on_numpy")
def test_slots_of_backward_lie_behind_those_of_forward():
    a = x(100)
    y = a
    for _ in range(4):
        y = lg.tanh(y)
    pair = Pair(lg.sum(y), [a])
    placed = pair.entry({}).executable.plan
    stop = pair.schedule.sections[0].stop
    offsets = [
        [
            placed.storage[n].offset
            for s in steps
            for n in s.writes
            if placed.storage[n].kind is Kind.SLOT
        ]
        for steps in (pair.schedule.steps[:stop], pair.schedule.steps[stop:])
    ]
    assert max(offsets[0]) < min(offsets[1])


def test_without_placeholders_a_gradient_is_that_at_the_values_of_now():
    w = lg.Value([1.0, 2.0])
    y = (w * w).sum()
    y.forward()
    w.data = np.array([5.0, 6.0])
    y.backward()
    np.testing.assert_array_equal(w.grad, [10.0, 12.0])
