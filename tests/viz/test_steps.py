"""The picture of a schedule."""

import re

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.schedule.buffers import Kind
from lazygrad.schedule.facts import step_facts
from lazygrad.viz import picture_of_steps, slot_colours
from tests.viz.examples import training


def picture(program, seconds=(), **options):
    executable = program.executable
    schedule, plan = executable.schedule, executable.plan
    facts = step_facts(schedule, plan, program.variables)
    return picture_of_steps(
        schedule, facts, plan, seconds, names=program.variables, titles=program.titles, **options
    ).source


@pytest.fixture
def planned():
    program = training()
    program.planned(batch=5)
    return program


def test_every_step_but_views_has_a_box(planned):
    source = picture(planned)
    steps = planned.executable.schedule.steps
    heads = re.findall(r'COLSPAN="3"><B>(\d+)  ', source)
    assert heads == [str(i) for i, step in enumerate(steps) if not step.is_view]


def test_places_have_colours_and_bytes(planned):
    source = picture(planned)
    plan, schedule = planned.executable.plan, planned.executable.schedule
    colours = slot_colours(plan)
    for step in schedule.steps:
        for number in step.writes:
            storage = plan.storage[number]
            if storage.kind is Kind.SLOT and not step.is_view:
                cell = f'BGCOLOR="{colours[storage.offset]}">@{storage.offset}</TD>'
                assert cell in source
                assert f">{plan.bytes_of(schedule, number)} B</TD>" in source
    assert len(set(list(colours.values())[:8])) == min(8, len(colours))


def test_what_is_updated_is_pointed_at(planned):
    source = picture(planned)
    variables = dict(re.findall(r'(n\d+) \[label="([^"\\]+)\\nvariable', source))
    updated = re.findall(r"-> (n\d+) \[color=\"#D55E00\" constraint=false style=dashed", source)
    assert {variables[one] for one in updated} == {
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
        "sgd.step",
    }


def test_the_longest_step_is_the_reddest(planned):
    count = len(planned.schedule.steps)
    work = [i for i, step in enumerate(planned.executable.schedule.steps) if not step.is_view]
    seconds = [0.0] * count
    seconds[work[2]], seconds[work[3]] = 3e-3, 1e-3
    source = picture(planned, seconds)
    heat = {
        int(index): colour
        for colour, index in re.findall(
            r'BGCOLOR="(#\w+)" ALIGN="left" COLSPAN="3"><B>(\d+)  ', source
        )
    }
    assert heat[work[2]] == "#F08C50"
    assert heat[work[0]] == "#FFFFFF"
    assert "#F08C50" < heat[work[3]] < "#FFFFFF"
    assert "3.0 ms, 75.0 %" in source
    assert "done at bind" in source


def test_without_lengths_sizes_are_left_out():
    program = training()
    facts = step_facts(program.schedule, None, program.variables)
    source = picture_of_steps(program.schedule, facts).source
    assert "float32[batch, 4]" in source
    assert "@" not in source
    assert "(blank)" not in source
    assert " B</TD>" not in source


def test_many_steps_are_gathered(planned):
    source = picture(planned, limit=8)
    count = sum(not step.is_view for step in planned.schedule.steps)
    assert f"{count} steps, gathered in boxes: more than 8." in source
    assert len(re.findall("<TABLE", source)) <= 8
    spent = picture(planned, [1e-6] * len(planned.schedule.steps), limit=8)
    assert "GB/s" in spent


def test_kernels_say_what_is_in_them():
    x = lg.placeholder((4, 6), name="x")
    program = lg.compile(lg.softmax(lg.tanh(x) * 2.0 + 1.0, axis=-1), backend="c")
    if "kernel_0" not in program.source:
        pytest.skip("there is no C compiler here")
    (step,) = program.executable.schedule.steps
    (fact,) = step_facts(program.executable.schedule, program.executable.plan)
    assert fact.statements[:3] == ("a = tanh(x)", "b = multiply(a, 2)", "c = add(b, 1)")
    source = picture(program)
    assert f"kernel of {len(fact.statements)}" in source
    assert "b = multiply(a, 2)" in source
    assert step.op.name == "fused"


def test_long_kernels_are_cut():
    x = lg.placeholder((4,), name="x")
    y = x
    for i in range(20):
        y = lg.tanh(y * (i + 1.5))
    program = lg.compile(y, backend="c")
    if "kernel_0" not in program.source:
        pytest.skip("there is no C compiler here")
    source = picture(program)
    assert "and 33 more" in source
    assert program.explain().count("\n") == 3


def test_a_program_of_nothing():
    assert "digraph" in picture(lg.compile([]))


def test_facts_name_what_the_user_named():
    a, w = lg.placeholder((2, 3), name="a"), lg.Value(np.ones((3, 2)), name="w")
    h = lg.tanh(a @ w)
    h.name = "hidden"
    with lg.scope("head"):
        out = lg.sum(h.T * 2.0)
    program = lg.compile(out, backend="numpy")
    facts = step_facts(program.schedule, program.planned().plan, program.variables)
    told = [(fact.computes, fact.purpose) for fact in facts if not fact.step.is_view]
    assert told[:2] == [("matmul(a, w)", ""), ("tanh(#0)", "hidden")]
    assert any(purpose == "head" for _, purpose in told)
    views = [(fact.computes, fact.places) for fact in facts if fact.step.is_view]
    assert views == [("permute(hidden, axes=(1, 0))", ("of step 1",))]
    assert any(fact.computes.startswith("multiply(permute(hidden), 2)") for fact in facts)
