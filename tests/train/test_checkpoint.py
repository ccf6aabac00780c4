"""Checkpoints: what is saved comes back, and nothing is written from a file that doesn't fit."""

import contextlib
import json
import os
import struct

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn, optim, train


class Model(nn.Module):
    def __init__(self, width=4, seed=0):
        self.layers = [nn.Linear(3, width, seed=seed), nn.BatchNorm(width)]
        self.dropout = nn.Dropout(0.5, seed=1)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.dropout(x)


class Session:
    """A model in training, with all that has state."""

    def __init__(self, seed=0, width=4):
        self.model = Model(width, seed)
        self.noise = lg.random.stream(5)
        x = lg.placeholder(("batch", 3), dtype="float32", name="x")
        noisy = x + self.noise.normal((3,), dtype="float32")
        self.loss = (self.model(noisy) ** 2).mean()
        self.optimizer = optim.Adam(optim.schedules.Cosine(0.01, steps=50))
        self.program = lg.compile(self.loss, updates=self.optimizer.minimize(self.loss))
        data = np.arange(60, dtype=np.float32).reshape(20, 3) / 60
        self.loader = lg.data.DataLoader({"x": data}, 4, shuffle=True, seed=7, prefetch=0)

    def parts(self):
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "streams": {"noise": self.noise},
            "program": self.program,
            "loader": self.loader,
        }

    def steps(self, count):
        losses = []
        while len(losses) < count:
            for batch in self.loader:
                losses.append(float(self.program(**batch)))
                if len(losses) == count:
                    break
        return losses


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


def test_a_run_goes_on_with_the_same_bits(path):
    first, second = Session(), Session(seed=9)
    first.steps(7)
    train.save(path, step=7, extra={"note": [1, 2.5, None]}, **first.parts())
    expected = first.steps(12)
    second.steps(2)
    found = train.load(path, **second.parts())
    assert (found.step, found.extra) == (7, {"note": [1, 2.5, None]})
    assert second.steps(12) == expected


def test_weights_alone(path):
    first, second = Session(), Session(seed=9)
    first.steps(3)
    train.save(path, model=first.model)
    train.load(path, model=second.model)
    for (name, a), (_, b) in zip(
        first.model.named_variables(), second.model.named_variables(), strict=True
    ):
        np.testing.assert_array_equal(a.data, b.data, err_msg=name)
    # The weights of a whole checkpoint can be taken too.
    train.save(path, **first.parts())
    train.load(path, model=Session(seed=3).model)


def test_other_programs_can_read_the_weights(path):
    from safetensors.numpy import load_file

    session = Session()
    train.save(path, model=session.model)
    arrays = load_file(path)
    assert arrays["model/layers.0.weight"].shape == (3, 4)
    np.testing.assert_array_equal(
        arrays["model/layers.1.running_mean"], session.model.layers[1].running_mean.data
    )


def state(session):
    return {
        name: variable.data.copy()
        for name, variable in enumerate(lg.Graph([session.loss]).variables)
    }


def refused(path, session, words, **parts):
    before = state(session)
    with pytest.raises(lg.CheckpointError, match=words) as caught:
        train.load(path, **(parts or session.parts()))
    after = state(session)
    assert all((before[name] == after[name]).all() for name in before)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_everything_that_does_not_fit_is_named_at_once(path):
    train.save(path, model=Session().model)
    other = Session(width=6)
    other.model.extra = nn.parameter([1.0])
    other.model.layers[0].bias = None
    text = refused(path, other, "doesn't fit what it is loaded into", model=other.model)
    assert "missing: model/extra, float32[1]" in text
    assert "unexpected: model/layers.0.bias, float32[4]" in text
    assert (
        "different: model/layers.0.weight is float32[3, 4] in the file, expected float32[3, 6]"
        in text
    )
    double = Model()
    double.layers[0] = nn.Linear(3, 4, dtype="float64")
    with pytest.raises(
        lg.CheckpointError, match=r"is float32\[3, 4\] in the file, expected float64"
    ):
        train.load(path, model=double)


def test_a_checkpoint_without_what_is_asked_for(path):
    session = Session()
    train.save(path, model=session.model)
    refused(path, session, "missing: optimizer/adam", optimizer=session.optimizer)
    refused(path, session, "was saved without a loader", loader=session.loader)


def test_every_truncation_and_every_flipped_byte_is_noticed(path):
    session = Session()
    train.save(path, model=session.model, step=3)
    whole = path.read_bytes()
    for length in [*range(0, 200, 7), *range(200, len(whole), 61), len(whole) - 1]:
        path.write_bytes(whole[:length])
        refused(path, session, "damaged|cut short|not a", model=session.model)
    rng = np.random.default_rng(0)
    for place in rng.choice(len(whole), 300, replace=False):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        before = state(session)
        with contextlib.suppress(lg.CheckpointError):
            train.load(path, model=session.model)
        after = state(session)
        # A change of white space in the header is no damage.
        assert all((before[name] == after[name]).all() for name in before)
    path.write_bytes(whole + b"more")
    refused(path, session, "damaged|cut short|not a", model=session.model)


def test_a_header_that_promises_too_much_takes_no_memory(path):
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}})
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + b"\0" * 8)
    refused(path, Session(), "damaged")
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    refused(path, Session(), "damaged")


def test_other_files_are_no_checkpoints(path, tmp_path):
    from safetensors.numpy import save_file

    session = Session()
    save_file({"a": np.zeros(3)}, path)
    refused(path, session, "not a checkpoint of lazygrad")
    save_file({"a": np.zeros(3)}, path, {"format": "lazygrad checkpoint", "version": "9"})
    refused(path, session, "has version '9' of the format")
    path.write_bytes(b"\x80\x04\x95pickle")
    refused(path, session, "not a safetensors file")
    folder = tmp_path / "folder"
    folder.mkdir()
    refused(folder, session, "is not a file")
    with pytest.raises(FileNotFoundError):
        train.load(tmp_path / "nowhere", model=session.model)


def test_a_save_that_fails_leaves_the_old_file(path, monkeypatch):
    session = Session()
    train.save(path, model=session.model, step=1)
    before = path.read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        train.save(path, model=session.model, step=2)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_what_can_not_be_stored_is_refused(path):
    session = Session()
    with pytest.raises(lg.OptionError, match="extra can't be written as JSON"):
        train.save(path, model=session.model, extra={1, 2})
    with pytest.raises(lg.OptionError, match="step must count updates, got -1"):
        train.save(path, model=session.model, step=-1)
    assert not path.exists()


def test_symbolic_links_are_followed(path, tmp_path):
    link = tmp_path / "link.safetensors"
    link.symlink_to(path)
    session = Session()
    train.save(link, model=session.model)
    assert link.is_symlink()
    train.load(path, model=session.model)
