"""What a stranger reads in the tables of a program."""

import re
from itertools import pairwise

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.errors import OperationError, OptionError
from lazygrad.schedule.buffers import Kind
from lazygrad.schedule.cost import flops_of

NUMBERS = ("bytes", "flops", "time", "share", "GFLOP/s", "GB/s")


def x(*shape, **options):
    return lg.placeholder(shape, name="x", **options)


def rows_of(table):
    """The rows of a table as dicts, and its first line."""
    title, header, _, *lines = table.splitlines()
    names = header.split()
    left = [name for name in names if name not in NUMBERS]
    starts = [header.index(f"{name} ") for name in left]
    rows = []
    for line in lines:
        *_, last = starts
        slot, *numbers = re.split(r"  +", line[last:])
        texts = [line[a:b].strip() for a, b in pairwise(starts)]
        cells = [*texts, slot]
        row = dict(zip(names, [*cells, *numbers], strict=True))
        row["operation"] = row["computes"].partition("(")[0]
        rows.append(row)
    return title, rows


def fitted(**options):
    a, w = x("rows", 8), lg.Value(np.zeros((8, 4), "float32"), name="w")
    h = lg.tanh(a.astype("float32") @ w)
    return lg.compile(
        [lg.sum(h), h.T],
        updates={w: w - np.float32(0.1) * (a.astype("float32").T @ h)},
        name="fit",
        **options,
    )


@pytest.fixture
def step():
    return fitted()


@pytest.mark.usefixtures("_on_numpy")
def test_explain_has_a_row_for_each_step(step):
    step.planned(rows=16)
    title, rows = rows_of(step.explain())
    assert [row["step"] for row in rows] == [str(i) for i in range(len(step.schedule.steps))]
    assert list(rows[0])[:-1] == [
        "step", "computes", "for", "line", "result", "slot", "bytes", "flops"
    ]  # fmt: skip
    assert title.startswith(f"program 'fit': {len(rows)} steps; arena ")
    assert all(re.fullmatch(r"test_report\.py:\d+", row["line"]) for row in rows)


@pytest.mark.usefixtures("_on_numpy")
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


@pytest.mark.usefixtures("_on_numpy")
def test_slots_speak_of_rows_of_the_table(step):
    step.planned(rows=16)
    _, rows = rows_of(step.explain())
    slots = {row["operation"]: row["slot"] for row in rows}
    assert re.fullmatch(r"@\d+", slots["tanh"])
    assert slots["copy"] == "output"
    assert slots["subtract"] == "of w"
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


@pytest.mark.usefixtures("_on_numpy")
def test_nothing_at_all():
    f = lg.compile([])
    assert f.explain().startswith("program: 0 steps; arena 0 B")
    assert f.explain().splitlines()[0].endswith("; 0 flops")
    assert "; 0 ns a run in steps on numpy, mean of " in f.profile().splitlines()[0]
    assert f.memory.total == 0


def seconds(text):
    """What a time says, and half of its last digit, by which it may be off."""
    number, unit = text.split()
    scale = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[unit]
    return float(number) * scale, scale * 10.0 ** -len(number.partition(".")[2]) / 2


def check_times(program, feeds):
    """The times of a profile add up, and are shown from then on, with all else as it was."""
    cells = program._cells
    before = [cell.array.copy() for cell in cells]
    plain = program.explain()
    assert "GB/s" not in plain
    table = program.profile(**feeds, repeat=3)
    title, rows = rows_of(table)
    assert list(rows[0])[:-1] == [
        "step", "computes", "for", "line", "result", "slot", "bytes", "flops", "time", "share",
        "GFLOP/s", "GB/s",
    ]  # fmt: skip
    shown = re.search(r"; ([\d.]+ [mun]?s) a run in steps on (numpy|c), mean of 3$", title)
    timed = [row for row in rows if row["time"] != "at bind"]
    spent, errors = zip(*(seconds(row["time"]) for row in timed), strict=True)
    whole, error = seconds(shown.group(1))
    assert sum(spent) == pytest.approx(whole, rel=1e-9, abs=sum(errors) + error)
    shares = [float(row["share"].removesuffix(" %")) for row in timed]
    assert sum(shares) == pytest.approx(100, abs=0.1 * len(rows))
    assert all(row["share"] == row["GB/s"] == "-" for row in rows if row["time"] == "at bind")
    for row, time in zip(timed, spent, strict=True):
        if row["GFLOP/s"] != "-" and time > 2e-6:
            rate = int(row["flops"].replace(",", "")) / time / 1e9
            assert float(row["GFLOP/s"]) == pytest.approx(rate, rel=0.1, abs=0.01)
    for cell, array in zip(cells, before, strict=True):
        np.testing.assert_array_equal(cell.array, array)
    assert program.explain() == table
    # The columns of the plain table stand there unchanged.
    assert [line.split("  ")[:3] for line in table.splitlines()[3:]] == [
        line.split("  ")[:3] for line in plain.splitlines()[3:]
    ]
    return shown.group(2), rows


@pytest.mark.usefixtures("_on_numpy")
def test_profile_has_times_that_add_up():
    step = fitted()
    step.planned(rows=16)
    backend, rows = check_times(step, {"x": np.ones((16, 8))})
    assert backend == "numpy"
    assert [int(row["step"]) for row in rows] == list(range(len(step.schedule.steps)))


def test_times_of_machine_code_are_of_its_kernels():
    step = fitted(backend="c")
    step.planned(rows=16)
    if not step.source.count("kernel_0"):
        pytest.skip("there is no C compiler here")
    backend, rows = check_times(step, {"x": np.ones((16, 8))})
    assert backend == "c"
    assert len(rows) == len(step.executable.schedule.steps) < len(step.schedule.steps)
    assert any(row["computes"].startswith("tanh") and row["time"] != "at bind" for row in rows)
    assert sum(row["computes"].startswith("matmul") for row in rows) == 2


def test_machine_code_with_steps_in_python_is_timed_as_a_whole():
    a = x(6, 6)
    program = lg.compile(lg.sort(lg.exp(a) @ a, axis=0) * 2.0, backend="c")
    program.planned()
    if "kernel_0" not in program.source:
        pytest.skip("there is no C compiler here")
    backend, rows = check_times(program, {"x": np.eye(6)})
    by_name = {row["operation"]: row for row in rows}
    assert backend == "c"
    assert by_name["sort"]["time"] != "at bind"
    np.testing.assert_allclose(program(x=np.eye(6)), np.sort(np.exp(np.eye(6)), axis=0) * 2)


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_kernels_over_large_arrays_are_timed(backend):
    w = lg.Value(np.ones((600, 400)), name="w")
    a = x("rows", 400)
    y = lg.tanh(a) * 2.0 + lg.exp(a)
    new = w - 0.1 * lg.sin(w) * w
    program = lg.compile(lg.sum(y), updates={w: new}, backend=backend, threads=1)
    program.planned(rows=600)
    feeds = {"x": np.ones((600, 400))}
    table = program.profile(**feeds, repeat=2)
    _, rows = rows_of(table)
    timed = [row["computes"] for row in rows if row["time"] != "at bind"]
    assert any("tanh" in computes for computes in timed)
    assert any("sin" in computes for computes in timed)
    np.testing.assert_array_equal(w.data, 1.0)
    assert program.explain() == table
    assert "GB/s" in lg.draw(program, profile=True).source


def test_times_are_of_the_lengths_that_were_profiled():
    step = fitted(backend="numpy")
    step.profile(x=np.ones((4, 8)), repeat=1)
    assert "GFLOP/s" in step.explain()
    step(x=np.ones((5, 8)))
    assert step.profiled is None
    assert "GFLOP/s" not in step.explain()
    step(x=np.ones((4, 8)))
    assert step.profiled.repeat == 1
    assert step.profiled.lengths == {"rows": 4}


def test_short_programs_are_timed_more_often():
    f = lg.compile(x(2) * 2.0, backend="numpy")
    f.profile(x=np.ones(2))
    assert f.profiled.repeat > 20


@pytest.mark.parametrize("repeat", [0, -1])
def test_profile_needs_a_run(step, repeat):
    with pytest.raises(OptionError, match="repeat must be at least 1"):
        step.profile(x=np.ones((2, 8)), repeat=repeat)


def test_profile_words_what_fails():
    f = lg.compile(lg.max(lg.placeholder(("rows",), name="x")))
    with pytest.raises(OperationError, match=r"max\(.*test_report\.py:\d+"):
        f.profile(x=np.zeros(0))
    assert f(x=[1.0, 3.0]) == 3.0


@pytest.mark.usefixtures("_on_numpy")
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
