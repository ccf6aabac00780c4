"""What ``trace_compile`` keeps: every stage, of the program that runs."""

import itertools
import warnings

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn, optim
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain
from lazygrad.errors import OptionError, ShapeError


def trained():
    x = lg.placeholder(("batch", 2), name="x")
    w = lg.Value([1.0, 2.0], name="w")
    loss = lg.sum(lg.tanh(x @ w) * 1.0)
    return loss, {w: w - 0.5 * lg.grad(loss, w)}


def stages_of(trace):
    return {stage.name: stage for stage in trace.stages}


def test_the_stages_of_a_program():
    loss, updates = trained()
    trace = lg.trace_compile(loss, updates=updates, backend="numpy", lengths={"batch": 4})
    found = stages_of(trace)
    assert list(found) == [
        "written",
        "updates",
        "broadcast",
        "fold",
        "merge",
        "merge loops",
        "prune loops",
        "rewrite exactly",
        "rewrite stably",
        "turn products",
        "materialize",
        "merge again",
        "schedule",
        "memory",
        "Python",
    ]
    assert (
        found["written"].text
        == """\
  x: float64[batch, 2]
  w: variable float64[2]
  a = reshape(w, shape=(2, 1))
  b = matmul(x, a)
  c = reshape(b, shape=(batch,))
  d = tanh(c)
  e = multiply(d, 1.0)
  f = sum(e, axes=(0,), keepdims=False)
  return f"""
    )
    assert found["updates"].counts["added"] == len(trace.program.graph) - found["written"].after
    assert "- e = multiply(d, " in found["rewrite exactly"].text
    assert "~ f = sum(d, axes=(0,), keepdims=False)\n" in found["rewrite exactly"].text
    assert not found["fold"].has_changed or found["fold"].counts
    assert found["Python"].text.replace("\n  ", "\n").strip() == trace.program.source.strip()
    assert all(stage.said for stage in trace.stages)


def test_counts_of_one_stage_lead_to_the_next():
    loss, updates = trained()
    trace = lg.trace_compile(loss, updates=updates, backend="numpy", lengths={"batch": 4})
    nodes = [stage for stage in trace.stages if stage.unit == "nodes"]
    for before, stage in itertools.pairwise(nodes):
        assert stage.before == before.after
        counts = {"added": 0, "removed": 0, **stage.counts}
        assert stage.after == stage.before + counts["added"] - counts["removed"]
    assert nodes[-1].after == len(trace.program.optimized)


def test_the_schedule_says_what_is_forward_backward_and_update():
    loss, updates = trained()
    trace = lg.trace_compile(loss, updates=updates, backend="numpy", lengths={"batch": 4})
    lines = stages_of(trace)["schedule"].text.splitlines()
    section, found = None, {}
    for line in lines:
        if line.endswith(":"):
            section = line.strip(" :")
        elif " = " in line:
            found.setdefault(section, []).append(line.split(" = ")[1].split("(")[0])
    assert "tanh" in found["forward"]
    assert "subtract" in found["update"]
    assert found["backward"].count("matmul") == 1
    assert lines[-1].strip().startswith("w <- ")


def test_kernels_and_c():
    try:
        find_toolchain()
    except CompilerError as reason:
        pytest.skip(f"there is no C compiler: {reason}")
    loss, updates = trained()
    trace = lg.trace_compile(loss, updates=updates, backend="c", lengths={"batch": 4})
    found = stages_of(trace)
    assert (
        found["kernels"].text
        == """\
  forward:
      0  a: float64[2, 1] = reshape(w, shape=(2, 1))   in w
      1  b: float64[4, 1] = matmul(x, a)   @0
      2  c: float64[4] = reshape(b, shape=(batch,))   in b
  backward:
~     3  kernel over [4], stores f, l   @64, @128
~        │ d: float64[4] = tanh(c)   stays in the kernel
~        │ f: float64[] = sum(d, axes=(0,))
~        │ k: float64[4] = multiply(d, d)   stays in the kernel
~        │ l: float64[4] = subtract(1.0, k)
      4  o: float64[2, 4] = permute(x, axes=(1, 0))   in x
      5  n: float64[4, 1] = reshape(l, shape=(batch, 1))   in l
      6  p: float64[2, 1] = matmul(o, n)   @0
      7  q: float64[2] = reshape(p, shape=(2,))   in p
  update:
~     8  kernel over [2], stores s   in w
~        │ r: float64[2] = multiply(0.5, q)   stays in the kernel
~        │ s: float64[2] = subtract(w, r)
  return f
  w <- s"""
    )
    assert found["kernels"].summary() == "13 -> 9 steps: 2 fused"
    assert (
        found["memory"].text
        == """\
  b: 64 B at 0, steps 1 to 3   at the peak
  f: 64 B at 64, steps 3 to 8   at the peak
  l: 64 B at 128, steps 3 to 6   at the peak
  p: 64 B at 0, steps 6 to 8"""
    )
    assert found["memory"].said.startswith(
        "4 values share an arena of 192 B; side by side they would take 256 B."
    )
    assert "segment_0" in found["C"].text
    assert "segment_0" in found["Python"].text
    assert "static" not in found["Python"].text


def test_a_kernel_may_begin_with_a_product():
    try:
        find_toolchain()
    except CompilerError as reason:
        pytest.skip(f"there is no C compiler: {reason}")
    x, w, b = (lg.placeholder(s, name=n) for s, n in [((64, 32), "x"), ((32, 64), "w"), (64, "b")])
    trace = lg.trace_compile(lg.relu(x @ w + b), backend="c")
    assert stages_of(trace)["kernels"].text.splitlines()[1:] == [
        "~     0  kernel over [64, 64], stores d   result",
        "~        │ a: float64[64, 64] = matmul(x, w)   stays in the kernel",
        "~        │ c: float64[64, 64] = add(a, b)   stays in the kernel",
        "~        │ d: float64[64, 64] = relu(c)",
        "  return d",
    ]


def test_a_trace_keeps_the_program_which_runs():
    loss, updates = trained()
    (w,) = updates
    trace = lg.trace_compile(loss, updates=updates, name="step", lengths={"batch": 1})
    assert trace.title == "step, compiled"
    assert trace.program.plans_made == 1
    assert trace.program(x=[[0.0, 0.0]]) == 0.0
    assert np.array_equal(w.data, [1.0, 2.0])


@pytest.mark.parametrize("outputs", ["one", "list", "mapping"])
def test_outputs_as_compile_takes_them(outputs):
    x = lg.placeholder((2,), name="x")
    y = x * 2.0
    given = {"one": y, "list": [y, y + 1.0], "mapping": {"y": y}}[outputs]
    trace = lg.trace_compile(given, backend="numpy")
    assert trace.stages[0].after == len(trace.program.graph)
    assert str(trace.program(x=[1.0, 2.0])) == str(lg.compile(given)(x=[1.0, 2.0]))


@pytest.mark.parametrize("train", [True, False])
def test_the_branch_of_the_mode_is_a_stage(train):
    x = lg.placeholder((2, 4), dtype="float32", name="x")
    model = nn.Sequential(nn.Linear(4, 4, seed=0), nn.Dropout(0.5, seed=1))
    trace = lg.trace_compile(model(x), train=train, backend="numpy")
    mode = stages_of(trace)["mode"]
    assert ("training" in mode.said) is train
    assert ("random_draw" in stages_of(trace)["schedule"].text) is train


def test_without_lengths_the_trace_ends_with_the_schedule():
    loss, updates = trained()
    trace = lg.trace_compile(loss, updates=updates)
    assert trace.stages[-2].name == "schedule"
    assert "lengths={'batch': ...}" in trace.stages[-1].said
    assert "batch" in trace.stages[-2].text
    assert "@" not in trace.stages[-2].text
    trace.html()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lengths": {"rows": 3}}, "the lengths of this program are batch; given: rows"),
        ({"lengths": {"batch": -1}}, "batch must be a length, got -1"),
        ({"lengths": 3}, "lengths must be a dict of numbers by name, got 3"),
        ({"lengths": {1: 2}}, "lengths must be a dict of numbers by name"),
        ({"backend": "gpu"}, "backend is 'gpu'"),
        ({"updates": 3}, "updates must be a dict"),
    ],
)
def test_what_is_refused(options, said):
    with pytest.raises(OptionError, match=said.replace("(", r"\(")):
        lg.trace_compile(trained()[0], **options)


def test_a_wrong_length_is_refused_as_by_the_program():
    x = lg.placeholder(("a", 2), name="x")
    y = lg.placeholder(("b", 2), name="y")
    with pytest.raises(ShapeError, match="needs equal lengths: a is 2 and b is 3"):
        lg.trace_compile(x + y, lengths={"a": 2, "b": 3})


def test_without_a_compiler_the_trace_is_that_of_numpy(monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CC", "/nowhere/cc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trace = lg.trace_compile(trained()[0], backend="c", lengths={"batch": 4})
    assert [stage.name for stage in trace.stages][-3:] == ["schedule", "memory", "Python"]


def test_the_text_shows_the_first_graph_and_then_what_changed():
    trace = lg.trace_compile(trained()[0], backend="numpy", lengths={"batch": 4})
    text = str(trace)
    assert text.startswith("A program, compiled\n\n1. written: 9 nodes\n")
    assert "   - e = multiply(d, 1.0)\n" in text
    assert text.count("tanh(c)") == 2  # Written, and in the schedule.
    assert "4. merge: 9 nodes, unchanged\n" in text


def test_loops_and_random_draws_can_be_traced():
    x = lg.placeholder(("time", 2), name="x")

    def body(carry, row):
        return carry + row, carry * row

    total, _ = lg.scan(body, lg.constant([0.0, 0.0]), x)
    noisy = total + lg.random.stream(0).normal((2,))
    trace = lg.trace_compile(noisy.sum(), backend="numpy", lengths={"time": 3})
    assert "scan" in trace.stages[0].text
    trace.html()


def test_a_step_of_adam_can_be_traced():
    x = lg.placeholder(("batch", 4), dtype="float32", name="x")
    t = lg.placeholder(("batch",), dtype="int64", name="t")
    model = nn.Sequential(nn.Linear(4, 8, seed=0), nn.ReLU(), nn.Linear(8, 3, seed=1))
    loss = nn.cross_entropy(model(x), t)
    updates = optim.Adam(1e-2).minimize(loss)
    trace = lg.trace_compile(loss, updates=updates, backend="numpy", lengths={"batch": 8})
    assert len(trace.html()) < 5_000_000
    assert trace.program(x=np.zeros((2, 4)), t=[0, 1]) == pytest.approx(np.log(3))
