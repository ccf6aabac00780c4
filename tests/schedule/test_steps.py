import copy
import pickle

import numpy as np

import lazygrad as lg
from lazygrad.ir.graph import Graph
from lazygrad.ir.text import parse
from lazygrad.pairs import Pair
from lazygrad.schedule.buffers import plan
from lazygrad.schedule.lower import lower
from tests.schedule.drawn import Drawn


def schedule_of(text):
    graph = parse(text)
    return lower(graph, [("run", graph.outputs)]).schedule


TEXT = """
    x: f8[rows, 3]; c = constant([1.0, 2.0, 3.0]): float64[3]; a = multiply(exp(x), c)
    n = length(rows); return sum(a, axes=(0,), keepdims=False), add(n, 1)
"""


def test_a_schedule_prints_leaves_steps_and_results():
    assert str(schedule_of(TEXT)).splitlines() == [
        "v0: float64[rows, 3] = feed 'x'",
        "v1: float64[3] = constant",
        "v6: int64[] = constant",
        "v4: int64[] = rows",
        "run:",
        "  v2: float64[rows, 3] = exp(v0)",
        "  v3: float64[rows, 3] = multiply(v2, v1)",
        "  v5: float64[3] = sum(v3, axes=(0,), keepdims=False)",
        "  v7: int64[] = add(v4, v6)",
        "  return v5, v7",
    ]


def test_sections_and_updates_print():
    x = lg.placeholder((3,), name="x", requires_grad=True)
    text = str(Pair(lg.sum(x * x), [x]).schedule)
    assert "forward:\n" in text
    assert "backward:\n" in text
    w = lg.Value(np.zeros(3))
    new = w + 1.0
    lowered = lower(Graph([new]), [("run", ())], [(w, new)])
    assert str(lowered.schedule).splitlines()[-3:] == [
        "  v2: float64[3] = add(v0, v1)",
        "  return ",
        "cell 0 <- v2",
    ]


def test_long_attributes_are_clipped_in_print():
    ones, axes = ", ".join(["1"] * 40), ", ".join(map(str, range(40)))
    text = f"x: f8[{ones}]; return permute(x, axes=({axes}))"
    line = next(line for line in str(schedule_of(text)).splitlines() if "permute" in line)
    assert line.endswith("14, 15, 16...)")


def test_schedules_pickle_and_compare_equal():
    for seed in range(20):
        drawn = Drawn(seed)
        outputs = drawn.nodes(3)
        schedule = lower(Graph(outputs), [("run", outputs)]).schedule
        back = pickle.loads(pickle.dumps(schedule))
        assert back == schedule
        assert hash(back) == hash(schedule)
        assert str(back) == str(schedule)
        assert plan(back, drawn.lengths) == plan(schedule, drawn.lengths)
        assert [step.note for step in back.steps] == [step.note for step in schedule.steps]
        assert copy.deepcopy(schedule) == schedule


def test_equal_texts_give_equal_schedules_and_others_do_not():
    assert schedule_of(TEXT) == schedule_of(TEXT)
    assert schedule_of(TEXT) != schedule_of(TEXT.replace("exp", "tanh"))
    assert schedule_of(TEXT) != schedule_of(TEXT.replace("axes=(0,)", "axes=(1,)"))


def test_constants_are_compared_by_their_bits():
    assert schedule_of("x: f8[2]; return add(x, 1.0)") != schedule_of(
        "x: f8[2]; return add(x, 2.0)"
    )
    zero, minus = (schedule_of(f"x: f8[2]; return add(x, {z})") for z in ("0.0", "-0.0"))
    assert zero != minus
    assert schedule_of("x: f8[2]; return add(x, nan)") == schedule_of(
        "x: f8[2]; return add(x, nan)"
    )


def test_producers_and_the_steps_of_sections():
    x = lg.placeholder((3,), name="x", requires_grad=True)
    schedule = Pair(lg.sum(lg.exp(x)), [x]).schedule
    forward, backward = schedule.section_steps(0), schedule.section_steps(1)
    assert forward + backward == schedule.steps
    for step in schedule.steps:
        assert all(schedule.producers[number] is step for number in step.writes)
