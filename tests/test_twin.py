"""``compile(check=True)``: right programs pass, a wrong one is named and changes nothing."""

import pickle

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn, optim
from lazygrad.schedule import fuse as fuse_module
from tests.schedule.drawn import Drawn

BACKENDS = ["numpy", "c"]
X = lg.placeholder(("n", 4), dtype="float32", name="x")
T = lg.placeholder(("n",), dtype="int64", name="t")
FEEDS = {
    "x": np.random.default_rng(0).normal(size=(6, 4)).astype("float32"),
    "t": np.array([0, 1, 2, 2, 1, 0]),
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_with_everything_passes(backend):
    rng = np.random.default_rng(1)
    model = nn.Sequential(
        nn.Linear(4, 8, seed=rng),
        nn.BatchNorm(8),
        nn.Dropout(0.3, seed=2),
        nn.Linear(8, 3, seed=rng),
    )
    loss = nn.cross_entropy(model(X), T)
    step = lg.compile(loss, updates=optim.Adam(0.01).minimize(loss), backend=backend, check=True)
    losses = [float(step(**FEEDS)) for _ in range(5)]
    assert losses[-1] != losses[0]
    assert pickle.loads(pickle.dumps(step))._twin is not None


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(8))
def test_random_graphs_pass(seed, backend):
    drawn = Drawn(seed, count=30)
    program = lg.compile(
        drawn.nodes(3), updates=drawn.updates(), train=False, backend=backend, check=True
    )
    rng = np.random.default_rng(seed)
    rows = drawn.lengths.get("rows", 3)
    feeds = {"x": rng.normal(size=(rows, 4)), "z": rng.normal(size=(4, 4))}
    feeds["y"] = rng.normal(size=(rows, 4)).astype("float32")
    program(**{name: feeds[name] for name, _ in program.schedule.feeds})


def test_a_wrong_pass_is_named_and_changes_nothing(monkeypatch):
    from lazygrad import compiler
    from lazygrad.ir.value import make
    from lazygrad.passes import optimize

    def wrong(graph, watch=None):
        def visit(node):
            if node.op.name == "tanh":
                sine = lg.sin(node.operands[0])
                return make(sine.op, sine.operands, {}, node.spec, like=node)
            return node

        return optimize(graph.rebuild(visit), watch=watch)

    monkeypatch.setattr(compiler, "optimize", wrong)
    w = lg.Value(np.ones(4, "float32"), name="w")
    y = lg.sum(lg.tanh(X * w) * 2)
    program = lg.compile(y, updates={w: w - y * 0.1}, backend="numpy", check=True)
    with pytest.raises(lg.MiscompileError, match="tanh is not what its expression says") as caught:
        program(**{"x": FEEDS["x"]})
    text = str(caught.value)
    assert "test_twin.py" in text
    assert "instead of" in text
    np.testing.assert_array_equal(w.data, 1)


def test_wrong_machine_code_is_named(monkeypatch):
    from lazygrad.backends.c.toolchain import CompilerError, find_toolchain
    from lazygrad.ir.op import lookup

    try:
        find_toolchain()
    except CompilerError:
        pytest.skip("there is no C compiler")
    exp = lookup("exp")
    monkeypatch.setitem(exp.__dict__, "c", "exp_{t}({x}) * 2")
    program = lg.compile({"y": lg.exp(X) + 1}, backend="c", check=True)
    with pytest.raises(lg.MiscompileError, match="exp is not what its expression says"):
        program(x=FEEDS["x"])


def test_rounding_alone_is_no_fault(monkeypatch):
    monkeypatch.setattr(fuse_module, "MOST_STATEMENTS", 3)
    program = lg.compile(lg.log(lg.softmax(X * 200)).sum(), check=True, backend="c")
    assert np.isfinite(program(x=FEEDS["x"]))
