"""Long loops in parts: right against NumPy, and the same bits on any number of threads."""

import os
import threading
import warnings

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.c.parts import share, wanted_parts
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain

try:
    find_toolchain()
except CompilerError as reason:
    pytest.skip(f"there is no C compiler: {reason}", allow_module_level=True)

RNG = np.random.default_rng(0)
LONG = RNG.standard_normal(300_001)
MATRIX = RNG.standard_normal((700, 900))
STACK = RNG.standard_normal((12, 70, 90))


def normed(x):
    centred = x - x.mean(1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(1, keepdims=True) + 1e-5)


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


# What is computed of each operand: by NumPy, and by the same words on a node.
CASES = {
    "elementwise": (LONG, lambda x: np.tanh(x) * np.exp(-x * x)),
    "sum of all": (LONG, lambda x: np.exp(-x * x).sum()),
    "several sums": (LONG, lambda x: np.exp(-x * x).sum() / (x * x).sum()),
    "largest": (LONG, lambda x: (x * x + x).max()),
    "sum of all, two axes": (MATRIX.T, lambda x: np.tanh(x).sum()),
    "sums of rows": (MATRIX, lambda x: np.tanh(x).sum(1)),
    "sums of columns": (MATRIX, lambda x: np.tanh(x).sum(0)),
    "largest of columns": (MATRIX, lambda x: np.exp(x).max(0)),
    "sums of few columns": (LONG[:300_000].reshape(-1, 3), lambda x: np.tanh(x).sum(0)),
    "sums of long columns": (LONG[:300_000].reshape(3, -1), lambda x: np.tanh(x).sum(0)),
    "sums in the middle": (STACK, lambda x: np.tanh(x).sum(1)),
    "sums outside": (STACK, lambda x: np.tanh(x).sum((0, 2))),
    "softmax": (MATRIX, softmax),
    "normed": (MATRIX, normed),
    "sums of what is normed": (MATRIX, lambda x: normed(x).sum(0)),
    "flipped": (MATRIX, lambda x: np.tanh(x[::-1, ::-1]) + x),
    "product": (MATRIX, lambda x: x.T @ x),
    "product, blocks": (MATRIX, lambda x: x @ x.T),
    "products": (STACK, lambda x: x @ x.swapaxes(1, 2)),
    "product with a column": (MATRIX, lambda x: (x @ x[0]) * 2),
    "product with many columns": (MATRIX, lambda x: x[:4] @ np.concatenate([x.T] * 3, 1)),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_parts_against_numpy(case, dtype):
    data, function = CASES[case]
    data = data.astype(dtype)
    x = lg.placeholder(data.shape, dtype=dtype, name="x")
    y = function(x)
    cotangent = lg.grad((y * y * y).sum(), x)
    results = []
    for threads in (1, 2, 3):
        program = lg.compile([y, cotangent], backend="c", threads=threads)
        results.append(program(x=data))
        assert "in_parts(at" in program.source
    plain = lg.compile([y, cotangent], backend="numpy")(x=data)
    precise = function(data.astype(np.float64))
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(results[0][0], precise, tolerance, tolerance * np.abs(precise).max())
    scale = np.abs(plain[1]).max()
    np.testing.assert_allclose(results[0][1], plain[1], tolerance, tolerance * scale)
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_updates_in_parts_are_written_where_they_live():
    w = lg.Value(np.ones(200_000))
    x = lg.placeholder((200_000,), name="x")
    step = lg.compile((w * x).sum(), updates={w: w - 0.1 * np.tanh(w * x)}, backend="c", threads=2)
    data, expected = RNG.standard_normal(200_000), np.ones(200_000)
    for _ in range(5):
        np.testing.assert_allclose(step(x=data), (expected * data).sum(), 1e-9)
        expected -= 0.1 * np.tanh(expected * data)
    np.testing.assert_allclose(w.data, expected, 1e-12)


def test_short_loops_are_left_whole():
    x = lg.placeholder((100, 16), name="x")
    program = lg.compile(lg.softmax(lg.tanh(x)).sum(0), backend="c", threads=2)
    program(x=np.ones((100, 16)))
    assert "in_parts" not in program.source


def test_programs_on_several_threads_at_once():
    x = lg.placeholder((100_000,), name="x")
    programs = [lg.compile((lg.tanh(x) * k).sum(), backend="c", threads=2) for k in range(1, 5)]
    expected = np.tanh(LONG[:100_000]).sum()
    wrong = []

    def work(number):
        for _ in range(100):
            found = programs[number](x=LONG[:100_000])
            if not np.isclose(found, expected * (number + 1), rtol=1e-9):
                wrong.append((number, found))

    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.parametrize("pool", [lg.nn.MaxPool2d(3, stride=2), lg.nn.AvgPool2d(3, stride=2)])
def test_patches_in_parts(pool):
    images = RNG.standard_normal((16, 4, 31, 29))
    x = lg.placeholder(images.shape, name="x")
    convolution = lg.nn.Conv2d(4, 6, 3, dtype="float64")
    y = pool(convolution(x))
    outputs = [y, *lg.grad((y * y).sum(), [x, convolution.weight])]
    expected = lg.compile(outputs, backend="numpy")(x=images)
    found = [lg.compile(outputs, backend="c", threads=n)(x=images) for n in (1, 2)]
    for plain, one, two in zip(expected, *found, strict=True):
        np.testing.assert_allclose(one, plain, 1e-10, 1e-10 * np.abs(plain).max())
        np.testing.assert_array_equal(one, two)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_process_starts_threads_of_its_own():
    x = lg.placeholder((100_000,), name="x")
    program = lg.compile(lg.tanh(x).sum(), backend="c", threads=2)
    data, expected = LONG[:100_000], program(x=LONG[:100_000])
    for _ in range(3):
        with warnings.catch_warnings():
            # Python 3.12 warns of forks beside threads, which is what this is about.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            os._exit(0 if all(program(x=data) == expected for _ in range(50)) else 1)
        assert all(program(x=data) == expected for _ in range(50))
        assert os.waitpid(child, 0)[1] == 0


def test_how_many_threads(monkeypatch):
    x = lg.placeholder((3,), name="x")
    monkeypatch.setenv("LAZYGRAD_THREADS", "3")
    assert lg.compile(x * 2)._executors.threads == 3
    assert lg.compile(x * 2, threads=2)._executors.threads == 2
    monkeypatch.setenv("LAZYGRAD_THREADS", "")
    assert lg.compile(x * 2)._executors.threads >= 1


@pytest.mark.parametrize("asked", [0, -1, 1.5, True, "2"])
def test_what_is_no_number_of_threads_is_refused(asked):
    with pytest.raises(lg.OptionError, match=r"threads is .*; expected an int from 1 on"):
        lg.compile(lg.placeholder((3,), name="x") * 2, threads=asked)


@pytest.mark.parametrize("said", ["0", "-1", "two", "1.5", "²"])
def test_what_the_environment_says_is_checked(monkeypatch, said):
    monkeypatch.setenv("LAZYGRAD_THREADS", said)
    with pytest.raises(lg.OptionError, match=r"LAZYGRAD_THREADS is .*expected a whole number"):
        lg.compile(lg.placeholder((3,), name="x") * 2)


def test_shares_cover_a_range_without_gaps():
    for total in (1, 7, 64, 100, 1000):
        for wanted in (1, 2, 7, 64):
            for unit in (1, 8, 64):
                found = share(total, wanted, unit)
                assert found.parts <= max(wanted, 1)
                assert found.size * found.parts >= total > found.size * (found.parts - 1)
                assert found.parts == 1 or found.size % unit == 0
    assert [wanted_parts(s) for s in (0.0, 1e-6, 1e-4, 1e3)] == [1, 1, 5, 64]
