import dataclasses

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.errors import ShapeError
from lazygrad.ir.graph import Graph
from lazygrad.ir.text import parse
from lazygrad.pairs import Pair
from lazygrad.passes import optimize
from lazygrad.schedule.buffers import ALIGNMENT, Kind, Storage, plan
from lazygrad.schedule.lower import lower
from tests.schedule.drawn import Drawn
from tests.schedule.memory import BrokenPlanError, check_plan

SEEDS = range(200)


def lowered(outputs, updates=()):
    return lower(
        Graph([*outputs, *(new for _, new in updates)]), [("run", outputs)], updates
    ).schedule


def from_text(text):
    graph = parse(text)
    return lower(graph, [("run", graph.outputs)]).schedule


def kinds(schedule, placed, number):
    return placed.storage[schedule.sections[0].outputs[number]].kind


@pytest.mark.parametrize("seed", SEEDS)
def test_one_section(seed):
    drawn = Drawn(seed)
    schedule = lowered(drawn.nodes(3))
    check_plan(schedule, plan(schedule, drawn.lengths))


@pytest.mark.parametrize("seed", SEEDS)
def test_one_section_with_updates(seed):
    drawn = Drawn(1000 + seed)
    schedule = lowered(drawn.nodes(seed % 3), drawn.updates())
    check_plan(schedule, plan(schedule, drawn.lengths))


@pytest.mark.parametrize("seed", SEEDS)
def test_forward_and_backward(seed):
    drawn = Drawn(2000 + seed)
    leaves = [node for node in drawn.pool[:7] if node.requires_grad]
    loss = drawn.loss()
    below = Graph([loss]).nodes
    pair = Pair(loss, leaves, shown=[drawn.pick(below) for _ in range(seed % 3)])
    check_plan(pair.schedule, plan(pair.schedule, drawn.lengths))


@pytest.mark.parametrize("seed", SEEDS[:50])
def test_three_sections_with_updates(seed):
    drawn = Drawn(3000 + seed, count=40)
    updates = drawn.updates()
    parts = [drawn.nodes(2) for _ in range(3)]
    graph = Graph([*(node for part in parts for node in part), *(new for _, new in updates)])
    sections = list(zip(["first", "second", "third"], parts, strict=True))
    schedule = lower(graph, sections, updates, kept=drawn.nodes(2)).schedule
    check_plan(schedule, plan(schedule, drawn.lengths))


@pytest.mark.parametrize("seed", SEEDS[:50])
def test_optimized_training_steps(seed):
    drawn = Drawn(4000 + seed)
    loss = drawn.loss()
    found = lg.grad(loss, drawn.variables, unused="zero")
    updates = [(w, w - 0.1 * g) for w, g in zip(drawn.variables, found, strict=True)]
    graph = optimize(Graph([loss, *(new for _, new in updates)]))
    news = zip(drawn.variables, graph.outputs[1:], strict=True)
    schedule = lower(graph, [("run", graph.outputs[:1])], list(news)).schedule
    check_plan(schedule, plan(schedule, drawn.lengths))


def test_the_check_notices_a_slot_given_on_too_early():
    schedule = from_text("x: f8[8, 8]; a = exp(x); b = tanh(x); c = add(a, b); return matmul(c, c)")
    placed = plan(schedule, {})
    slots = [i for i, storage in enumerate(placed.storage) if storage.kind is Kind.SLOT]
    broken = [*placed.storage]
    broken[slots[1]] = broken[slots[0]]
    with pytest.raises(BrokenPlanError, match="is gone when step 2"):
        check_plan(schedule, dataclasses.replace(placed, storage=tuple(broken)))


def test_a_chain_needs_one_slot():
    x = lg.placeholder((100,), name="x")
    y = x
    for _ in range(20):
        y = lg.exp(y) + 1.0
    schedule = lowered([lg.sum(y)])
    placed = plan(schedule, {})
    offsets = {placed.storage[s.writes[0]].offset for s in schedule.steps[:-1]}
    assert offsets == {0}
    assert placed.arena_bytes == 832 + ALIGNMENT


def test_a_chain_that_can_not_be_written_over_alternates():
    schedule = from_text(
        "x: f8[8, 8]; a = matmul(x, x); b = matmul(a, x); c = matmul(b, x); return matmul(c, x)"
    )
    placed = plan(schedule, {})
    offsets = [placed.storage[step.writes[0]].offset for step in schedule.steps[:-1]]
    assert offsets == [0, 512, 0]


@pytest.mark.parametrize(
    ("leaves", "expression", "is_reused"),
    [
        ("x: f8[8]", "negative(a)", True),
        ("x: f8[8]", "add(a, a)", True),
        ("x: f8[8]", "multiply(a, x)", True),
        ("x: f8[8]", "subtract(x, a)", True),
        ("x: f8[8]; y: f8[1]", "subtract(y, a)", True),
        ("x: f8[8]; y: f4[8]", "add(a, y)", True),
        ("x: f8[8]", "add(tanh(a), a)", False),
        ("x: f4[8]", "astype(a, dtype=float64)", False),
        ("x: f4[8]; y: f8[8]", "add(a, y)", False),
        ("x: f8[8]", "less(a, x)", False),
        ("x: f8[8]; y: f8[8, 8]", "add(a, y)", False),
        ("x: f8[1]; y: f8[8]", "add(a, y)", False),
        ("x: f8[8, 8]", "add(a, permute(a, axes=(1, 0)))", False),
        ("x: f8[8]", "cumsum(a, axis=0, reverse=False)", False),
    ],
)
def test_a_result_goes_over_an_operand_only_where_nothing_is_lost(leaves, expression, is_reused):
    text = f"{leaves}; a = exp(x); return sum({expression}, axes=(0,), keepdims=False)"
    schedule = from_text(text)
    placed = plan(schedule, {})
    check_plan(schedule, placed)
    offsets = [placed.storage[s.writes[0]].offset for s in schedule.steps if not s.is_view]
    a, b = offsets[:2]
    assert (a == b) is is_reused


def test_a_view_keeps_its_base_alive():
    schedule = from_text(
        "x: f8[8, 8]; a = exp(x); v = permute(a, axes=(1, 0)); w = flip(v, axes=(0,));"
        "b = matmul(x, x); c = tanh(b); return matmul(c, w)"
    )
    placed = plan(schedule, {})
    check_plan(schedule, placed)
    a, v, w, b = (schedule.steps[i].writes[0] for i in range(4))
    assert placed.storage[v] == Storage(Kind.VIEW, base=a)
    assert placed.storage[w] == Storage(Kind.VIEW, base=a)
    assert placed.storage[a].offset != placed.storage[b].offset


def test_what_is_handed_out_lies_outside_the_arena():
    schedule = from_text(
        "x: f8[8]; a = exp(x); b = tanh(a);return a, b, sum(b, axes=(0,), keepdims=False), x, a"
    )
    placed = plan(schedule, {})
    assert [kinds(schedule, placed, i) for i in range(5)] == [
        Kind.OUTPUT, Kind.OUTPUT, Kind.SLOT, Kind.OUTPUT, Kind.OUTPUT
    ]  # fmt: skip
    assert placed.arena_bytes == ALIGNMENT


def test_one_schedule_for_two_sets_of_lengths():
    schedule = from_text(
        "x: f8[rows, 4]; a = exp(x); b = multiply(a, x);"
        "return sum(b, axes=(0, 1), keepdims=False), add(b, 1.0)"
    )
    small, large = (plan(schedule, {"rows": rows}) for rows in (2, 1000))
    assert small.shapes != large.shapes
    assert [s.kind for s in small.storage] == [s.kind for s in large.storage]
    assert small.arena_bytes == 64 + 64
    assert large.arena_bytes == 32_000 + 64
    assert plan(schedule, {"rows": 2}) == small
    check_plan(schedule, plan(schedule, {"rows": 0}))


def test_empty_values_and_values_without_axes_have_places():
    schedule = from_text(
        "x: f8[0, 3]; s: f8[]; a = exp(x); b = exp(s); return add(a, b), add(b, s)"
    )
    placed = plan(schedule, {})
    check_plan(schedule, placed)
    assert placed.bytes_of(schedule, schedule.steps[0].writes[0]) == 0


def test_a_broken_assumption_names_the_line_and_both_lengths():
    x = lg.placeholder(("rows", 2), name="x")
    y = lg.placeholder(("columns", 2), name="y")
    schedule = lowered([x + y])
    with pytest.raises(ShapeError) as caught:
        plan(schedule, {"rows": 2, "columns": 3})
    text = str(caught.value)
    assert "add (" in text
    assert "test_buffers.py:" in text
    assert "rows is 2" in text
    assert "columns is 3" in text


def test_a_length_below_zero_is_refused():
    with pytest.raises(ShapeError, match="the length rows - 3 would be -2"):
        plan(from_text("x: f8[rows]; y: f8[rows - 3]; return exp(y), x"), {"rows": 1})


class TestUpdatesWrittenStraightIntoCells:
    def w(self, *shape):
        return lg.Value(np.zeros(shape), name="w")

    def direct(self, outputs, updates):
        schedule = lowered(outputs, updates)
        placed = plan(schedule, {})
        check_plan(schedule, placed)
        return [schedule.steps[step].op.name for _, step in placed.direct]

    def test_a_step_of_descent(self):
        w, x = self.w(4), lg.placeholder((4,), name="x")
        assert self.direct([], [(w, w - lg.exp(x))]) == ["subtract"]

    def test_all_of_several(self):
        w, v, x = self.w(4), self.w(4), lg.placeholder((4,), name="x")
        assert self.direct([], [(w, w - lg.exp(x)), (v, v * 2.0)]) == ["subtract", "multiply"]

    def test_none_that_reads_another_cell_that_changes(self):
        w, v = self.w(4), self.w(4)
        assert self.direct([], [(w, w - v), (v, v * 2.0)]) == ["multiply"]
        assert self.direct([], [(w, w - v)]) == ["subtract"]

    def test_none_that_reads_a_feed_which_may_be_the_cell_itself(self):
        w, x = self.w(4), lg.placeholder((4,), name="x")
        assert self.direct([], [(w, w - x)]) == []
        assert self.direct([], [(w, w - x[::-1])]) == []

    def test_none_whose_new_value_is_read_or_handed_out(self):
        w = self.w(4)
        new = w + 1.0
        assert self.direct([new], [(w, new)]) == []
        assert self.direct([new * 2.0], [(w, new)]) == []
        assert self.direct([new[0]], [(w, new)]) == []

    def test_none_through_a_view_of_the_cell(self):
        w = self.w(4, 4)
        assert self.direct([], [(w, w + w.T)]) == []

    def test_none_that_is_not_a_single_ufunc(self):
        w = self.w(4, 4)
        assert self.direct([], [(w, w @ w)]) == []
        assert self.direct([], [(w, lg.where(w > 0, w, -w))]) == []

    def test_one_value_for_two_cells(self):
        w, v, x = self.w(4), self.w(4), lg.placeholder((4,), name="x")
        new = lg.exp(x) + w
        assert self.direct([], [(w, new), (v, new)]) == []

    def test_a_broadcast_operand(self):
        w, x = self.w(4, 4), lg.placeholder((4,), name="x")
        assert self.direct([], [(w, w - lg.exp(x))]) == ["subtract"]


def test_what_a_direct_update_reads_lives_to_the_end():
    w = lg.Value(np.zeros(8), name="w")
    x = lg.placeholder((8,), name="x")
    step = lg.exp(x)
    new = w - step
    late = lg.sum(lg.tanh(lg.cumsum(x)))
    schedule = lowered([late], [(w, new)])
    placed = plan(schedule, {})
    check_plan(schedule, placed)
    number = {s.op.name: s.writes[0] for s in schedule.steps}
    assert placed.storage[number["exp"]].offset != placed.storage[number["cumsum"]].offset


def test_slots_are_given_on_only_within_a_section():
    x = lg.placeholder((100,), name="x", requires_grad=True)
    y = x
    for _ in range(5):
        y = lg.tanh(lg.cumsum(y))
    pair = Pair(lg.sum(y), [x])
    placed = plan(pair.schedule, {})
    check_plan(pair.schedule, placed)
    forward, backward = (
        {
            placed.storage[number].offset
            for step in pair.schedule.section_steps(i)
            for number in step.writes
            if placed.storage[number].kind is Kind.SLOT
        }
        for i in (0, 1)
    )
    assert max(forward) < min(backward)
    assert len(forward) >= 5
    assert len(backward) <= 3


def test_kept_values_are_never_lost():
    drawn = Drawn(5)
    loss = drawn.loss()
    pair = Pair(loss, drawn.variables, shown=Graph([loss]).nodes)
    placed = plan(pair.schedule, drawn.lengths)
    for number in pair.schedule.sections[0].kept:
        assert number not in placed.lost
