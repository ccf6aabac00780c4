"""A run that is killed and resumed gives the bits of one that was not; memory doesn't grow."""

import random
import signal
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn, optim, train

SCRIPT = """
import sys, time
import numpy as np
import lazygrad as lg
from lazygrad import executors, nn, optim, train

# The move to machine code comes in the middle of the run.
executors._LAST_CALL = 25
checkpoint, result, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
rng = np.random.default_rng(0)
model = nn.Sequential(
    nn.Linear(5, 12, seed=rng), nn.BatchNorm(12), nn.Tanh(), nn.Dropout(0.3, seed=rng),
    nn.Linear(12, 3, seed=rng),
)
x = lg.placeholder(("batch", 5), dtype="float32", name="x")
t = lg.placeholder(("batch",), dtype="int64", name="t")
loss = nn.cross_entropy(model(x), t)
data = rng.normal(size=(90, 5)).astype("float32")
labels = rng.integers(0, 3, 90)
optimizer = optim.Adam(optim.schedules.WarmUp(optim.schedules.Cosine(0.01, steps=60), steps=10))

def slow(history):
    time.sleep(pause)

history = train.fit(
    model, loss, {"x": data, "t": labels}, optimizer=optimizer, epochs=6, batch_size=8, seed=4,
    validation={"x": data, "t": labels}, metrics={"accuracy": train.accuracy(model(x), t)},
    checkpoint=checkpoint, checkpoint_every=3, resume=True, callbacks=[slow], quiet=True,
)
np.savez(result, *[p.data for _, p in model.named_variables()], losses=history["loss"],
         validation=history["validation_accuracy"], steps=history.steps)
"""


def arrays(path):
    with np.load(path) as found:
        return {name: found[name] for name in found.files}


def start(tmp_path, name, pause):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    words = [tmp_path / f"{name}.safetensors", tmp_path / f"{name}.npz", pause]
    return subprocess.Popen([sys.executable, script, *map(str, words)])


def test_a_run_killed_at_random_times_ends_with_the_same_bits(tmp_path):
    assert start(tmp_path, "whole", 0).wait() == 0
    expected = arrays(tmp_path / "whole.npz")
    seed = 20
    print(f"seed {seed}")
    chance = random.Random(seed)
    file, kills = tmp_path / "killed.safetensors", 0
    while kills < 3:
        process = start(tmp_path, "killed", 0.15)
        deadline = time.monotonic() + 60
        before = file.stat().st_mtime_ns if file.exists() else 0
        while process.poll() is None and time.monotonic() < deadline:
            if file.exists() and file.stat().st_mtime_ns != before:
                time.sleep(chance.uniform(0, 0.3))
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.001)
        if process.wait() == 0:
            break
        assert process.returncode == -signal.SIGKILL
        kills += 1
    assert kills
    assert start(tmp_path, "killed", 0).wait() == 0
    got = arrays(tmp_path / "killed.npz")
    assert got.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


def steps(count):
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Linear(4, 8, seed=rng),
        nn.BatchNorm(8),
        nn.Dropout(0.2, seed=rng),
        nn.Linear(8, 2, seed=rng),
    )
    x = lg.placeholder(("batch", 4), dtype="float32", name="x")
    t = lg.placeholder(("batch",), dtype="int64", name="t")
    data = rng.normal(size=(64, 4)).astype(np.float32)
    labels = rng.integers(0, 2, 64)

    def batches(epoch):
        for step in range(count):
            start = step % 48
            yield {"x": data[start : start + 16], "t": labels[start : start + 16]}

    marks = []
    tracemalloc.start()
    try:
        train.fit(
            model,
            nn.cross_entropy(model(x), t),
            batches,
            optimizer=optim.Adam(1e-3),
            epochs=3,
            callbacks=[lambda history: marks.append(tracemalloc.get_traced_memory()[0])],
            quiet=True,
        )
    finally:
        tracemalloc.stop()
    return marks


def test_memory_does_not_grow():
    first, _, last = steps(700)
    assert last - first < 20_000


@pytest.mark.deep
def test_memory_of_ten_thousand_steps_does_not_grow():
    first, _, last = steps(10_000)
    assert last - first < 20_000
