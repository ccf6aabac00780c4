import gc
import weakref

import lazygrad as lg
from lazygrad.ir.graph import Graph
from lazygrad.ir.text import parse
from lazygrad.schedule.bodies import body_schedule


def body(text="t: argument f8[3]; k: argument i8[]; a: argument f8[3]; return add(t, a), a"):
    return parse(text)


def test_a_body_is_scheduled_once():
    graph = body()
    made = body_schedule(graph, 1)
    assert body_schedule(graph, 1) is made
    assert [step.op.name for step in made.schedule.steps] == ["add"]
    assert len(made.feeds) == len(made.schedule.feeds)


def test_carries_are_handed_out_and_rows_are_kept():
    made = body_schedule(body(), 1)
    assert made.schedule.sections[0].outputs == made.schedule.steps[0].writes
    (row,) = made.rows
    assert ("a", row) in made.schedule.feeds
    rows = body_schedule(body(), 0).rows
    assert len(rows) == 2


def test_feeds_say_which_inputs_they_are():
    graph = body()
    made = body_schedule(graph, 1)
    schedule, feeds = made.schedule, made.feeds
    assert sorted(feeds) in ([0, 2], [0, 1, 2])
    for (name, _), place in zip(schedule.feeds, feeds, strict=True):
        assert graph.inputs[place].name == name


def test_equal_bodies_are_told_apart():
    one, other = body(), body()
    assert body_schedule(one, 1).schedule == body_schedule(other, 1).schedule
    assert body_schedule(one, 1).schedule is not body_schedule(other, 1).schedule


def test_a_dropped_body_is_forgotten():
    graph = body()
    body_schedule(graph, 1)
    gone = weakref.ref(graph)
    del graph
    gc.collect()
    assert gone() is None


def test_a_body_is_optimized():
    a = lg.placeholder((3,), name="a")
    graph = Graph([lg.exp(a) + lg.exp(a) * 1.0], [a])
    schedule = body_schedule(graph, 1).schedule
    assert [step.op.name for step in schedule.steps].count("exp") == 1
