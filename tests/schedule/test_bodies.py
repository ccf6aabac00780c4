import gc
import weakref

import lazygrad as lg
from lazygrad.ir.graph import Graph
from lazygrad.ir.text import parse
from lazygrad.schedule.bodies import body_schedule

TEXT = "c: argument f8[3]; k: argument i8[]; a: argument f8[3]; return add(c, a), a, c"


def test_carries_are_handed_out_and_rows_kept():
    body = body_schedule(parse(TEXT), 2)
    (section,) = body.schedule.sections
    # A carry that is an input is copied, for the loop fills two buffers in turn.
    assert [step.op.name for step in body.schedule.steps] == ["add", "copy"]
    assert len(section.outputs) == 2
    assert section.kept == body.rows


def test_feeds_say_which_inputs_they_are():
    graph = parse(TEXT)
    body = body_schedule(graph, 1)
    # The number of the step is not used here.
    assert sorted(body.feeds) == [0, 2]
    for (name, _), place in zip(body.schedule.feeds, body.feeds, strict=True):
        assert graph.inputs[place].name == name


def test_a_body_is_scheduled_once():
    graph = parse(TEXT)
    assert body_schedule(graph, 1) is body_schedule(graph, 1)


def test_equal_bodies_are_told_apart():
    one, other = body_schedule(parse(TEXT), 1), body_schedule(parse(TEXT), 1)
    assert one == other
    assert one is not other


def test_a_dropped_body_is_forgotten():
    graph = parse(TEXT)
    body_schedule(graph, 1)
    gone = weakref.ref(graph)
    del graph
    gc.collect()
    assert gone() is None


def test_a_body_is_optimized():
    a = lg.placeholder((3,), name="a")
    schedule = body_schedule(Graph([lg.exp(a) + lg.exp(a) * 1.0], [a]), 1).schedule
    assert [step.op.name for step in schedule.steps].count("exp") == 1
