import numpy as np
import pytest

import lazygrad as lg
from lazygrad.ir.graph import Graph
from lazygrad.schedule.lower import lower, note_of


def w(*shape, name="w"):
    return lg.Value(np.zeros(shape), name=name)


def x(*shape, name="x"):
    return lg.placeholder(shape, name=name)


def lowered(outputs, updates=()):
    graph = Graph([*outputs, *(new for _, new in updates)])
    return lower(graph, [("run", outputs)], updates)


def steps(schedule, section=None):
    found = schedule.steps if section is None else schedule.section_steps(section)
    return [step.op.name for step in found]


def test_leaves_are_told_apart():
    a, b = x(2), w(2)
    found = lowered([a * b + lg.constant([1.0, 2.0]) + a.shape[0]])
    schedule = found.schedule
    assert [name for name, _ in schedule.feeds] == ["x"]
    assert found.placeholders[0] is a
    assert found.variables[0] is b
    assert len(schedule.cells) == 1
    assert len(schedule.constants) == 2
    rows = lowered([lg.sum(x("rows")) / x("rows", name="y").shape[0]]).schedule
    assert [str(length) for _, length in rows.lengths] == ["rows"]


def test_each_result_is_handed_out_from_storage_of_its_own():
    a, c, b = x(3), lg.constant([1.0, 2.0, 3.0]), w(3)
    new = lg.exp(a)
    schedule = lowered([a, b, c, new, new, new[1:], lg.sum(new), lg.sum(new)]).schedule
    assert steps(schedule).count("copy") == 5
    outputs = schedule.sections[0].outputs
    # A value without axes is handed out as a NumPy scalar, however often.
    assert len(set(outputs[:6])) == 6


def test_a_value_without_axes_that_an_update_may_change_is_copied():
    b, a = w(), x()
    assert steps(lowered([b, a], [(b, b * 2.0)]).schedule).count("copy") == 2
    assert steps(lowered([b, a]).schedule) == []
    v = w(2)
    assert steps(lowered([v[0]], [(v, v * 2.0)]).schedule).count("copy") == 1
    assert "copy" not in steps(lowered([v[0]]).schedule)


def test_simultaneous_updates_copy_what_would_change():
    a, b, feed = w(2), w(2), x(2)
    assert steps(lowered([], [(a, b), (b, a)]).schedule) == ["copy", "copy"]
    assert steps(lowered([], [(a, feed), (b, a[::-1])]).schedule).count("copy") == 2
    assert steps(lowered([], [(a, feed)]).schedule) == []
    constant = lg.constant([1.0, 2.0])
    assert steps(lowered([], [(a, constant), (b, constant)]).schedule) == []


def test_a_variable_that_is_only_written_has_a_cell():
    a, b = w(2), w(2)
    found = lowered([], [(a, lg.exp(x(2))), (b, a)])
    assert len(found.variables) == len(found.schedule.cells) == 2
    assert {id(v) for v in found.variables} == {id(a), id(b)}


def test_what_an_earlier_section_computes_is_there_for_the_later_ones():
    a = x(3)
    shared = lg.exp(a)
    first, second = lg.tanh(shared), lg.sin(shared)
    graph = Graph([first, second, shared])
    schedule = lower(graph, [("one", [first]), ("two", [second, shared])]).schedule
    # Results of a section that isn't the last are copies: later sections may read the original.
    assert steps(schedule, 0) == ["exp", "tanh", "copy"]
    assert steps(schedule, 1) == ["sin", "copy"]


def test_kept_nodes_are_computed_in_the_first_section():
    a = x(3)
    kept, result = lg.sin(a), lg.exp(a)
    found = lower(Graph([result, kept]), [("one", [result]), ("two", [kept])], kept=[kept])
    one = found.schedule.sections[0]
    assert one.kept == (found.number_of[id(kept)],)
    assert "sin" in steps(found.schedule, 0)


def test_a_view_that_needs_row_major_order_gets_a_copy_once():
    a = x(3, 4)
    flipped = lg.exp(a).T
    results = [lg.sum(lg.exp(flipped.reshape(-1))), lg.sum(lg.exp(flipped.reshape(2, 6)))]
    assert steps(lowered(results).schedule).count("copy") == 1


def test_items_are_numbers_without_steps():
    q, r = lg.linalg.qr(x(4, 3))
    found = lowered([q * 2.0, r])
    assert steps(found.schedule)[0] == "qr"
    assert "item" not in steps(found.schedule)
    assert found.schedule.steps[0].several
    assert found.schedule.steps[0].writes == tuple(found.number_of[id(n)] for n in (q, r))


def test_notes_say_what_people_call_a_step():
    a = x(3, name="a")
    named = lg.exp(a)
    with lg.scope("block"):
        inside = lg.tanh(named)
    note = note_of(inside)
    assert note.label == "tanh"
    assert note.scope == ("block",)
    assert note.line.file.endswith("test_lower.py")
    assert not note.backward
    b = w(3)
    (gradient,) = lg.grad(lg.sum(lg.exp(b * a)), [b])
    assert any(
        note_of(node).backward and "gradient of" in note_of(node).label
        for node in Graph([gradient]).nodes
    )


def test_assumptions_come_along_with_their_lines():
    found = lowered([x("rows") + x("columns", name="y")]).schedule
    ((one, other, note),) = found.assumptions
    assert {str(one), str(other)} == {"rows", "columns"}
    assert note.label == "add"
    assert note.line.file.endswith("test_lower.py")


@pytest.mark.parametrize("outputs", [[], [lg.constant([1.0, 2.0])]])
def test_nothing_to_compute(outputs):
    schedule = lowered(outputs).schedule
    assert steps(schedule) == ["copy"] * len(outputs)
