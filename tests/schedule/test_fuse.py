"""Fused schedules: they compute what the plain ones do, and what should be one kernel is one."""

import warnings

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn, optim
from lazygrad.backends.numpy import bind
from lazygrad.pairs import Pair
from lazygrad.schedule import fuse as fuse_module
from lazygrad.schedule.buffers import Kind, plan
from lazygrad.schedule.fuse import fuse
from lazygrad.schedule.kernel import kernel_of
from tests.schedule.drawn import Drawn


def fused(program, **lengths):
    placed = plan(program.schedule, lengths)
    return fuse(program.schedule, placed)


def kernels(schedule):
    found = [kernel_of(step) for step in schedule.steps]
    return [kernel for kernel in found if kernel is not None]


def names(kernel):
    return [statement.step.op.name for statement in kernel.statements]


def worked(schedule):
    return [step for step in schedule.steps if not step.is_view]


def run(schedule, program, lengths, feeds):
    """Run a schedule on NumPy, on copies of the program's variables."""
    executable = bind(schedule, plan(schedule, lengths), program._cells)
    return executable.sections["run"](*[feeds[name] for name, _ in schedule.feeds])


@pytest.mark.parametrize("seed", range(60))
def test_fused_random_graphs_give_the_same(seed):
    drawn = Drawn(seed, count=45)
    outputs = drawn.nodes(4)
    updates = drawn.updates()
    program = lg.compile(outputs, updates=updates, train=False, backend="numpy")
    rng = np.random.default_rng(seed)
    rows = drawn.lengths.get("rows", 3)
    feeds = {name: rng.standard_normal((rows, 4)) for name in "xz"}
    feeds["y"] = rng.standard_normal((rows, 4)).astype("float32")
    feeds["z"] = rng.standard_normal((4, 4))
    needed = [name for name, _ in program.schedule.feeds]
    feeds = {name: feeds[name] for name in needed}
    lengths = dict.fromkeys(program.lengths, rows)
    before = [cell.array.copy() for cell in program._cells]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        plain = run(program.schedule, program, lengths, feeds)
        after = [cell.array.copy() for cell in program._cells]
        for cell, old in zip(program._cells, before, strict=True):
            cell.array[...] = old
        schedule = fuse(program.schedule, plan(program.schedule, lengths))
        results = run(schedule, program, lengths, feeds)
    for one, other in zip(plain, results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    for cell, expected in zip(program._cells, after, strict=True):
        np.testing.assert_allclose(cell.array, expected, rtol=1e-6)


def test_every_value_is_made_once_and_before_it_is_read():
    for seed in range(30):
        drawn = Drawn(seed, count=60)
        program = lg.compile(drawn.nodes(3), backend="numpy")
        lengths = dict.fromkeys(program.lengths, 5)
        schedule = fused(program, **lengths)
        leaves = [number for _, number in schedule.feeds] + list(schedule.cells)
        made = {*leaves, *(n for n, _ in schedule.constants), *(n for n, _ in schedule.lengths)}
        for step in schedule.steps:
            assert made.issuperset(step.reads)
            assert made.isdisjoint(step.writes)
            made.update(step.writes)


X = lg.placeholder((8, 5, 6), dtype="float32", name="x")


@pytest.mark.parametrize(
    "build",
    [
        lambda: lg.softmax(X),
        lambda: lg.log_softmax(X),
        lambda: nn.LayerNorm(6)(X),
        lambda: nn.gelu(X),
        lambda: nn.gelu(X, approximate="tanh"),
        lambda: lg.sum(lg.tanh(X * 2 + 1) * lg.sigmoid(X)),
        lambda: lg.mean(X, axis=0) * 1.0,
    ],
    ids=["softmax", "log_softmax", "layer norm", "gelu", "gelu by tanh", "sum", "mean"],
)
def test_one_or_two_kernels(build):
    schedule = fused(lg.compile(build(), backend="numpy"))
    assert 1 <= len(worked(schedule)) <= 2
    assert len(kernels(schedule)) == len(worked(schedule))


def test_an_elementwise_chain_with_its_gradients_is_one_kernel():
    a, b, c = (lg.placeholder((1000,), name=name, requires_grad=True) for name in "abc")
    y = lg.sum(lg.tanh(a * b + c) * lg.sigmoid(a - b) * lg.exp(-c * c))
    program = lg.compile([y, *lg.grad(y, [a, b, c])], backend="numpy")
    (kernel,) = kernels(fused(program))
    assert len(kernel.stored) == 4


def test_the_update_of_adam_is_one_kernel_a_parameter():
    w = lg.Value(np.ones((3, 4)), name="w")
    x = lg.placeholder((4,), name="x")
    loss = lg.sum((w @ x) ** 2)
    program = lg.compile(loss, updates=optim.Adam(0.1).minimize(loss), backend="numpy")
    schedule = fused(program)
    (update,) = [k for k in kernels(schedule) if k.domain == (3, 4)]
    assert update.is_pointwise
    assert len(update.stored) == 3
    placed = plan(schedule, {}, feeds_apart=True)
    written = {cell for cell, _ in placed.direct}
    assert len(written) >= 3
    assert len({index for _, index in placed.direct}) < len(written)


def test_softmax_has_three_stages_over_rows():
    (kernel,) = kernels(fused(lg.compile(lg.softmax(X), backend="numpy")))
    assert kernel.domain == (8, 5, 6)
    assert kernel.outer == 2
    assert names(kernel) == ["max", "subtract", "exp", "sum", "divide"]
    assert [s.stage for s in kernel.statements] == [1, 1, 1, 2, 2]
    assert [s.depth for s in kernel.statements] == [2, 3, 3, 2, 3]


def test_what_lives_inside_a_kernel_has_no_place_in_memory():
    program = lg.compile(lg.exp(X * 2) + 1, backend="numpy")
    schedule = fused(program)
    kinds = [storage.kind for storage in plan(schedule, {}).storage]
    assert kinds.count(Kind.INNER) == 2
    assert plan(schedule, {}).arena_bytes == 0


def test_a_kernel_does_not_wait_for_what_reads_it():
    # matmul reads the first kernel and feeds the last; both have one domain.
    x = lg.placeholder((6, 6), name="x")
    y = lg.exp(x) + 1
    z = (y @ x) * 2
    schedule = fused(lg.compile(z * y + lg.tanh(y), backend="numpy"))
    assert [step.op.name for step in worked(schedule)] == ["fused", "matmul", "fused"]


def test_what_a_view_turns_round_starts_a_kernel_of_its_own():
    x = lg.placeholder((6, 6), name="x")
    y = lg.exp(x)
    schedule = fused(lg.compile(y + y.T, backend="numpy"))
    assert len(kernels(schedule)) == 2
    flipped = fused(lg.compile(y + y[::-1], backend="numpy"))
    assert len(kernels(flipped)) == 2
    straight = fused(lg.compile(y + y.reshape(1, 6, 1, 6).reshape(6, 6), backend="numpy"))
    assert len(kernels(straight)) == 1


def test_long_rows_are_not_kept():
    for length, count in ((100, 1), (100_000, 2)):
        x = lg.placeholder((3, length), name="x")
        schedule = fused(lg.compile(lg.softmax(lg.exp(x)), backend="numpy"))
        assert min(len(kernels(schedule)), 2) == count


def test_kernels_stay_below_their_limit(monkeypatch):
    # A sine counts as 10.
    monkeypatch.setattr(fuse_module, "MOST_STATEMENTS", 60)
    x = lg.placeholder((5,), name="x")
    y = x
    for i in range(35):
        y = lg.sin(y) if i % 2 else y * 1.5
    found = kernels(fused(lg.compile(y, backend="numpy")))
    assert [len(kernel.statements) for kernel in found] == [11, 10, 10, 4]


def test_empty_arrays_and_other_dtypes_stay_plain_steps():
    x = lg.placeholder(("n", 3), name="x")
    program = lg.compile(lg.exp(x), backend="numpy")
    assert not kernels(fused(program, n=0))
    assert kernels(fused(program, n=1))
    half = lg.placeholder((3,), dtype="float16", name="h")
    assert not kernels(fused(lg.compile(half * 2, backend="numpy")))


def perceptron():
    x = lg.placeholder((32, 8), name="x")
    first, second = lg.Value(np.ones((8, 16))), lg.Value(np.ones((16, 4)))
    hidden = lg.relu(x @ first)
    loss = (hidden @ second).sum()
    return x, first, second, hidden, loss


def test_a_cheap_step_is_put_off_to_where_it_is_read():
    _, first, second, _, loss = perceptron()
    program = lg.compile(lg.grad(loss, [first, second]), backend="numpy")
    found = [names(kernel) for kernel in kernels(fused(program))]
    assert ["relu"] in found
    (late,) = (each for each in found if "is_on" in each)
    assert "multiply" in late, "what masks the cotangent is worked out beside it"


def test_sections_are_fused_apart():
    _, first, _, _, loss = perceptron()
    pair = Pair(loss, [first])
    placed = plan(pair.schedule, {})
    found = fuse(pair.schedule, placed)
    assert [section.name for section in found.sections] == ["forward", "backward"]
    assert found.sections[1].stop == len(found.steps)
    ahead = found.steps[: found.sections[0].stop]
    behind = found.steps[found.sections[0].stop :]
    assert any("is_on" in names(k) for k in map(kernel_of, behind) if k is not None)
    made = {number for step in behind for number in step.writes}
    assert not made & {number for step in ahead for number in step.reads}


def test_a_pattern_that_repeats_gives_kernels_that_are_alike():
    x = y = lg.placeholder((100,), name="x", requires_grad=True)
    for _ in range(200):
        y = lg.tanh(lg.exp(lg.sin(y)) * 0.5 + 0.25)
    program = lg.compile(lg.grad(y.sum(), x), backend="numpy")
    found = [tuple(names(kernel)) for kernel in kernels(fused(program))]
    assert len(found) > 20
    assert len(set(found)) <= 10
