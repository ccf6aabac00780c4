"""Forward and backward of nodes on machine code: when it takes over, and what stays as it was."""

import threading

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import executors, nn
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain
from tests.schedule.drawn import Drawn

try:
    find_toolchain()
except CompilerError as reason:
    pytest.skip(f"there is no C compiler: {reason}", allow_module_level=True)

DATA = np.random.default_rng(0).standard_normal((5, 4))


def is_native(node):
    executable = node._evaluation._filled
    return "segment_0" in executable.source


@pytest.fixture
def _at_three(monkeypatch):
    monkeypatch.setenv("LAZYGRAD_BACKEND", "auto")
    monkeypatch.setattr(executors, "_LAST_CALL", 3)


@pytest.fixture
def _native(monkeypatch):
    monkeypatch.setenv("LAZYGRAD_BACKEND", "c")


def model():
    x = lg.placeholder(("n", 4), name="x")
    w = lg.Value(np.random.default_rng(1).standard_normal((4, 3)), name="w")
    hidden = lg.tanh(x @ w)
    return x, w, hidden, lg.log_softmax(hidden).mean()


@pytest.mark.usefixtures("_at_three")
def test_it_takes_over_at_a_forward_that_is_always_the_same():
    _, w, _, loss = model()
    gradients = []
    for call in range(1, 6):
        loss.forward(x=DATA)
        assert is_native(loss) is (call >= 3)
        loss.backward()
        gradients.append(w.grad.copy())
    for gradient in gradients[1:]:
        np.testing.assert_allclose(gradient, gradients[0], 1e-12)


@pytest.mark.usefixtures("_at_three")
def test_training_by_hand_goes_on_over_the_change():
    def train():
        _, w, _, loss = model()
        for _ in range(8):
            loss.forward(x=DATA)
            loss.backward()
            w.data -= 0.5 * w.grad
        return w.data.copy(), is_native(loss)

    moved, native = train()
    assert native
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAZYGRAD_BACKEND", "numpy")
        stayed, native = train()
    assert not native
    np.testing.assert_allclose(moved, stayed, 1e-12)


@pytest.mark.usefixtures("_native")
def test_values_in_between_are_there_when_asked_for():
    x, w, hidden, loss = model()
    for scale in (1.0, 2.0, 3.0):
        loss.forward(x=scale * DATA)
        assert is_native(loss)
        np.testing.assert_allclose(hidden.data, np.tanh(scale * DATA @ w.data), 1e-12)
        np.testing.assert_array_equal(x.data, scale * DATA)
        loss.backward()
        assert hidden.grad is not None


@pytest.mark.usefixtures("_native")
@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_against_numpy(seed):
    drawn = Drawn(seed, count=40)
    loss = lg.sum(lg.tanh(lg.concatenate([lg.ravel(node) for node in drawn.nodes(3)])))
    rng = np.random.default_rng(seed)
    rows = drawn.lengths.get("rows", 3)
    feeds = {name: rng.standard_normal((rows, 4)) for name in "xz"}
    feeds["y"] = rng.standard_normal((rows, 4)).astype("float32")
    feeds["z"] = rng.standard_normal((4, 4))
    needed = {str(node.name) for node in lg.compile(loss, backend="numpy")._fed}
    feeds = {name: feeds[name] for name in needed}
    expected = lg.compile(loss, backend="numpy")(**feeds)
    results = []
    for backend in ("numpy", "c"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LAZYGRAD_BACKEND", backend)
            root = loss * 1.0
            results.append([root.forward(**feeds)])
            if root.requires_grad:
                root.backward()
                results[-1] += [v.grad for v in drawn.variables]
                root.backward()
                results[-1] += [v.grad for v in drawn.variables]
    # Some of the operands are float32.
    np.testing.assert_allclose(results[1][0], expected, 1e-5)
    for plain, native in zip(*results, strict=True):
        assert (plain is None) == (native is None)
        if plain is not None and np.isfinite(plain).all():
            bound = 1e-5 * max(1.0, np.abs(plain).max())
            np.testing.assert_allclose(native, plain, 1e-5, bound, err_msg=f"seed {seed}")


@pytest.mark.usefixtures("_native")
def test_results_are_the_callers_own():
    x = lg.placeholder((5, 4), name="x", requires_grad=True)
    y = lg.tanh(x)
    first = y.forward(x=DATA)
    kept = first.copy()
    second = y.forward(x=2 * DATA)
    np.testing.assert_array_equal(first, kept)
    second[:] = 0
    y.backward()
    np.testing.assert_allclose(x.grad, 1 - np.tanh(2 * DATA) ** 2, 1e-12)


@pytest.mark.usefixtures("_native")
def test_a_failure_in_either_section_names_the_line():
    x = lg.placeholder((3,), dtype="int64", name="x")
    w = lg.Value(np.arange(5.0))
    y = lg.take(w, x).sum()
    with pytest.raises(lg.LazygradError, match="test_native_pair"):
        y.forward(x=[0, 1, 9])
    assert y.forward(x=[0, 1, 4]) == 5.0
    y.backward()
    np.testing.assert_array_equal(w.grad, [1, 1, 0, 0, 1])


@pytest.mark.usefixtures("_native")
def test_layers_with_state_and_draws():
    x = lg.placeholder((64, 4), name="x")
    layers = nn.Sequential(
        nn.Linear(4, 8, dtype="float64"), nn.BatchNorm(8, dtype="float64"), nn.Dropout(0.5, seed=0)
    )
    layers.train()
    loss = (layers(x) ** 2).sum()
    data = np.random.default_rng(0).standard_normal((64, 4))
    losses = {float(loss.forward(x=data)) for _ in range(4)}
    assert len(losses) == 4, "each forward draws anew"
    loss.backward()
    assert is_native(loss)
    layers.eval()
    assert loss.forward(x=data) == loss.forward(x=data)


@pytest.mark.usefixtures("_native")
def test_nodes_of_several_threads():
    wrong = []

    def work(scale):
        _, w, _, loss = model()
        for _ in range(50):
            loss.forward(x=scale * DATA)
            loss.backward()
        expected = lg.compile(lg.grad(loss, w), backend="numpy")(x=scale * DATA)
        if not np.allclose(w.grad, expected, 1e-10):
            wrong.append(scale)

    workers = [threading.Thread(target=work, args=(scale,)) for scale in (0.5, 1.0, 2.0)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
