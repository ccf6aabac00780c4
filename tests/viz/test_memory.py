"""The chart of memory: rectangles that never lie on each other, whatever the program."""

from xml.etree import ElementTree as ET

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain
from lazygrad.schedule.buffers import Kind
from lazygrad.viz.memory import live_bytes, memory_chart, size_text, slots_of
from tests.schedule.drawn import Drawn


def planned(seed, backend):
    if backend == "c":
        try:
            find_toolchain()
        except CompilerError as reason:
            pytest.skip(f"there is no C compiler: {reason}")
    drawn = Drawn(seed)
    program = lg.compile(drawn.nodes(3), updates=drawn.updates(), backend=backend)
    lengths = {name: drawn.lengths[name] for name in program.lengths}
    return program.planned(**lengths)


@pytest.mark.parametrize("backend", ["numpy", "c"])
@pytest.mark.parametrize("seed", range(40))
def test_slots_of_random_programs(seed, backend):
    executable = planned(seed, backend)
    schedule, plan = executable.schedule, executable.plan
    steps, slots = len(schedule.steps), slots_of(schedule, plan)
    print("seed", seed)
    owner = np.full((steps, plan.arena_bytes), -1)
    for slot in slots:
        place = owner[slot.start : slot.stop, slot.offset : slot.offset + slot.size]
        assert place.size
        assert (place == -1).all(), f"v{slot.number} lies on v{place.max()}"
        place[:] = slot.number
    in_slots = {number for number, s in enumerate(plan.storage) if s.kind is Kind.SLOT}
    assert {slot.number for slot in slots} == in_slots
    assert live_bytes(slots, steps) == [(row >= 0).sum() for row in owner]
    check_readers(schedule, plan, {slot.number: slot for slot in slots})


def check_readers(schedule, plan, slots):
    """Every value is there from the step that makes it to those that read it."""
    deferred = {index for _, index in plan.direct}
    last = len(schedule.steps) - 1
    for index, step in enumerate(schedule.steps):
        for number in step.writes:
            if number in slots:
                assert slots[number].start == index
        for number in step.reads:
            own = plan.storage[number].base if plan.storage[number].kind is Kind.VIEW else number
            if own in slots:
                read_at = last if index in deferred else index
                slot = slots[own]
                is_taken_over = slot.stop == read_at and any(
                    plan.storage[made].offset == slot.offset for made in step.writes
                )
                assert slot.start < read_at < slot.stop or is_taken_over


def chart_of(program, **lengths):
    executable = program.planned(**lengths)
    schedule, plan = executable.schedule, executable.plan
    slots = slots_of(schedule, plan)
    text = memory_chart(
        slots, len(schedule.steps), plan.arena_bytes, lambda n: "forward", lambda n: f"<v{n}>"
    )
    return slots, ET.fromstring(text)


def test_the_chart_has_a_rectangle_for_each_value_and_marks_the_peak():
    x = lg.placeholder((100, 100), name="x")
    wide = lg.exp(x) @ lg.sin(x) + lg.tanh(x) @ lg.cos(x)
    slots, chart = chart_of(lg.compile(wide.sum(), backend="numpy"))
    groups = [g for g in chart.iter("g") if g.get("class") == "slot forward"]
    assert len(groups) == len(slots)
    titles = [g.find("title").text for g in groups]
    assert titles[0].startswith(f"<v{slots[0].number}>: 78.1 KiB at 0, steps 0 to ")
    said = [text.text for text in chart.iter("text") if (text.text or "").startswith("peak: ")]
    live = live_bytes(slots, max(slot.stop for slot in slots))
    assert said == [f"peak: {size_text(max(live))} in step {live.index(max(live))}"]
    assert 3 * 80_000 <= max(live) <= 5 * 80_064
    for group in groups:
        rectangle = group.find("rect")
        assert float(rectangle.get("width")) > 0
        assert float(rectangle.get("x")) + float(rectangle.get("width")) <= 960


def test_without_slots_there_is_no_chart():
    x = lg.placeholder((3,), name="x")
    executable = lg.compile(x * 2.0, backend="numpy").planned()
    slots = slots_of(executable.schedule, executable.plan)
    assert slots == ()
    assert memory_chart(slots, 1, 0, str, str) == ""


def test_of_very_many_values_the_largest_are_drawn():
    x = node = lg.placeholder((4,), name="x")
    for i in range(2000):
        node = lg.sort(node) if i % 2 else lg.concatenate([node[1:], node[:1]])
    slots, chart = chart_of(lg.compile(node.sum(), backend="numpy"))
    assert len(slots) > 1500
    assert sum(1 for _ in chart.iter("rect")) == 1500
    assert x.name == "x"


def test_sizes_are_written_for_people():
    assert [size_text(n) for n in (0, 1023, 1024, 1 << 20, 3 << 30)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.0 MiB",
        "3.0 GiB",
    ]
