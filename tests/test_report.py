"""What a stranger reads in the tables of a program."""

import re

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.errors import OperationError, OptionError
from lazygrad.schedule.buffers import Kind
from lazygrad.schedule.cost import flops_of


def x(*shape, **options):
    return lg.placeholder(shape, name="x", **options)


def rows_of(table):
    """The rows of a table as dicts, and its first line."""
    title, header, _, *lines = table.splitlines()
    names = header.split()
    rows = []
    for line in lines:
        cells = re.split(r"  +", line.strip())
        if len(cells) == len(names) - 1:
            cells.insert(names.index("line"), "")
        rows.append(dict(zip(names, cells, strict=True)))
    return title, rows


@pytest.fixture
def step():
    a, w = x("rows", 8), lg.Value(np.zeros((8, 4), "float32"), name="w")
    h = lg.tanh(a.astype("float32") @ w)
    return lg.compile(
        [lg.sum(h), h.T], updates={w: w - np.float32(0.1) * (a.astype("float32").T @ h)}, name="fit"
    )


def test_explain_has_a_row_for_each_step(step):
    step.planned(rows=16)
    title, rows = rows_of(step.explain())
    assert [row["step"] for row in rows] == [str(i) for i in range(len(step.schedule.steps))]
    assert list(rows[0]) == ["step", "operation", "for", "line", "result", "slot", "bytes", "flops"]
    assert title.startswith(f"program 'fit': {len(rows)} steps; arena ")
    assert all(re.fullmatch(r"test_report\.py:\d+", row["line"]) for row in rows)


def test_flops_and_bytes_are_right_and_add_up(step):
    executable = step.planned(rows=16)
    title, rows = rows_of(step.explain())
    by_name = {row["operation"]: row for row in rows}
    products = [row for row in rows if row["operation"] == "matmul"]
    assert [row["flops"] for row in products] == [f"{2 * 16 * 8 * 4:,}"] * 2
    assert [row["result"] for row in products] == ["float32[16, 4]", "float32[8, 4]"]
    assert [row["bytes"] for row in products] == ["256", "128"]
    assert by_name["sum"]["flops"] == "64"
    # Moving numbers takes none.
    assert by_name["permute"]["flops"] == by_name["copy"]["flops"] == "0"
    flops = sum(int(row["flops"].replace(",", "")) for row in rows)
    assert title.endswith(f"; {flops:,} flops")
    assert flops == sum(
        flops_of(step.schedule, executable.plan, each) for each in step.schedule.steps
    )


def test_slots_speak_of_rows_of_the_table(step):
    step.planned(rows=16)
    _, rows = rows_of(step.explain())
    slots = {row["operation"]: row["slot"] for row in rows}
    assert re.fullmatch(r"@\d+", slots["tanh"])
    assert slots["copy"] == "output"
    assert slots["subtract"] == "of a variable"
    e = lg.exp(x(2, 3))
    _, rows = rows_of(lg.compile([e.T @ e]).explain())
    views = {row["operation"]: row["slot"] for row in rows if row["bytes"] == "0"}
    number = next(row["step"] for row in rows if row["operation"] == "exp")
    assert views["permute"] == f"of step {number}"


def test_views_of_feeds_name_them_and_hold_nothing():
    _, rows = rows_of(lg.compile(x(2, 3).T + 1.0).explain())
    assert (rows[0]["slot"], rows[0]["bytes"]) == ("of feed x", "0")
    _, rows = rows_of(lg.compile(lg.Value(np.zeros((2, 3))).T + 1.0).explain())
    assert rows[0]["slot"] == "of a variable"


def test_several_results_are_all_told():
    q, r = lg.linalg.qr(x(4, 3))
    _, rows = rows_of(lg.compile([lg.sum(q), r]).explain())
    assert rows[0]["result"] == "float64[4, 3], float64[3, 3]"
    assert rows[0]["slot"] == "@0, output"
    assert rows[0]["bytes"] == str(8 * (12 + 9))


def test_names_never_break_the_table():
    a = lg.placeholder((3,), name="a\nb\u2028c\x00")
    table = lg.compile([a[1:] + 1.0, a, lg.exp(a)], name="p").explain()
    assert "a?b?c?" in table
    assert len(table.splitlines()) == 3 + len(
        lg.compile([a[1:] + 1.0, a, lg.exp(a)]).schedule.steps
    )
    long = lg.placeholder((3,), name="n" * 200)
    assert max(map(len, lg.compile([long]).explain().splitlines()[1:])) < 160


def test_lengths_known_in_mid_run_are_shown_as_such():
    a = x(5)
    table = lg.compile([a[a > 0] * 2.0]).explain()
    row = next(line for line in table.splitlines() if "multiply" in line)
    assert "fresh" in row
    assert row.split()[-2:] == ["0", "0"]


def test_memory_adds_up_for_every_purpose(step):
    executable = step.planned(rows=16)
    memory = step.memory
    placed = executable.plan
    assert memory.arena == placed.arena_bytes
    assert memory.variables == 8 * 4 * 4
    assert memory.outputs == 16 * 4 * 4
    assert memory.total == memory.arena + memory.variables + memory.constants + memory.outputs
    slots = [i for i, storage in enumerate(placed.storage) if storage.kind is Kind.SLOT]
    assert memory.unshared == sum(-(-placed.bytes_of(step.schedule, i) // 64) * 64 for i in slots)


def test_an_arena_is_never_larger_than_without_sharing():
    s = lg.placeholder((), name="s")
    memory = lg.compile(lg.exp(s) + lg.sin(s)).memory
    assert 0 < memory.arena <= memory.unshared


def test_memory_reads_in_units():
    a = x(600, 600)
    text = str(lg.compile([lg.exp(a), lg.sum(lg.tanh(a @ a))]).memory)
    assert re.fullmatch(
        r"arena [\d.]+ MiB \(without sharing [\d.]+ MiB\), variables 0 B, constants 0 B,"
        r" outputs 2\.7 MiB; together [\d.]+ MiB",
        text,
    )


def test_nothing_at_all():
    f = lg.compile([])
    assert f.explain().startswith("program: 0 steps; arena 0 B")
    assert f.explain().splitlines()[0].endswith("; 0 flops")
    assert f.profile().startswith("program: 0.0 us a run")
    assert f.memory.total == 0


def test_profile_has_times_that_add_up(step):
    w_before = step.planned(rows=16).arrays[step.schedule.cells[0]].copy()
    title, rows = rows_of(
        re.sub(r"(?<=\d) (?=us|%)|(?<=at) (?=bind)", "", step.profile(x=np.ones((16, 8)), repeat=3))
    )
    assert list(rows[0]) == [
        "step", "operation", "for", "line", "result", "time", "share", "GFLOP/s", "GB/s"
    ]  # fmt: skip
    whole = float(re.search(r"([\d.]+)us a run in steps, mean of 3", title).group(1))
    timed = [row for row in rows if row["time"] != "atbind"]
    spent = [float(row["time"].removesuffix("us")) for row in timed]
    assert sum(spent) == pytest.approx(whole, abs=0.1 * len(rows))
    assert sum(float(row["share"].removesuffix("%")) for row in timed) == pytest.approx(100, abs=1)
    assert [int(row["step"]) for row in rows] == list(range(len(step.schedule.steps)))
    assert all(row["share"] == "-" for row in rows if row["time"] == "atbind")
    np.testing.assert_array_equal(step.planned(rows=16).arrays[step.schedule.cells[0]], w_before)


@pytest.mark.parametrize("repeat", [0, -1])
def test_profile_needs_a_run(step, repeat):
    with pytest.raises(OptionError, match="repeat must be at least 1"):
        step.profile(x=np.ones((2, 8)), repeat=repeat)


def test_profile_words_what_fails():
    f = lg.compile(lg.max(lg.placeholder(("rows",), name="x")))
    with pytest.raises(OperationError, match=r"max\(.*test_report\.py:\d+"):
        f.profile(x=np.zeros(0))
    assert f(x=[1.0, 3.0]) == 3.0


def test_profile_of_a_program_in_several_functions(monkeypatch):
    monkeypatch.setattr("lazygrad.backends.numpy.LINES_PER_FUNCTION", 4)
    y = x(3)
    for _ in range(20):
        y = lg.sin(y)
    _, rows = rows_of(re.sub(r"(?<=\d) (?=us|%)", "", lg.compile(y).profile(x=np.ones(3))))
    assert len(rows) == 20


def test_a_loop_counts_all_of_its_steps():
    last, totals = lg.scan(lambda c, row: (c @ row, lg.sum(c)), np.eye(8), x(50, 8, 8))
    title, rows = rows_of(lg.compile([last, totals]).explain())
    assert rows[0]["operation"] == "scan"
    assert rows[0]["flops"] == f"{50 * (2 * 8**3 + 64):,}"
    assert rows[0]["bytes"] == str(8 * (64 + 50))
    assert title.startswith("program: 1 step; ")


def test_explain_before_any_call_speaks_of_the_lengths():
    x = lg.placeholder(("batch", 4), name="x")
    program = lg.compile(lg.exp(x) @ lg.Value(np.ones((4, 3))))
    table = program.explain()
    assert "for any batch" in table
    assert "program.planned(batch=...)" in table
    assert "float64[batch, 3]" in table
    assert "24*batch" in table
    program(x=np.ones((2, 4)))
    assert "float64[2, 3]" in program.explain()


def test_loops_over_named_lengths_have_a_cost():
    x = lg.placeholder(("batch", "time"), name="x")
    total, _ = lg.scan(lambda c, row: (c + row * row, None), lg.zeros_like(x[:, 0]), x.T)
    program = lg.compile(total)
    program(x=np.ones((3, 4)))
    assert "24" in str(program.explain())
    assert "scan" in str(program.profile(x=np.ones((3, 4)), repeat=1))
