"""The training loop: what it learns, measures, saves, and how it ends."""

import os
import signal
import threading

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn, optim, train

RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(50, 3)).astype(np.float32)
LABELS = (DATA.sum(1) > 0).astype(np.int64)
ARRAYS = {"x": DATA, "t": LABELS}


def problem(seed=0, dropout=0.2):
    rng = np.random.default_rng(seed)
    model = nn.Sequential(
        nn.Linear(3, 8, seed=rng),
        nn.BatchNorm(8),
        nn.ReLU(),
        nn.Dropout(dropout, seed=rng),
        nn.Linear(8, 2, seed=rng),
    )
    x = lg.placeholder(("batch", 3), dtype="float32", name="x")
    t = lg.placeholder(("batch",), dtype="int64", name="t")
    logits = model(x)
    return model, logits, nn.cross_entropy(logits, t), t


def run(**options):
    model, logits, loss, t = problem()
    options = {"optimizer": optim.Adam(0.02), "epochs": 3, "quiet": True, **options}
    history = train.fit(
        model, loss, ARRAYS, metrics={"accuracy": train.accuracy(logits, t)}, **options
    )
    return model, logits, history


def weights(model):
    return {path: value.data.copy() for path, value in model.named_variables()}


def same(a, b):
    return a.keys() == b.keys() and all((a[key] == b[key]).all() for key in a)


def test_it_learns_and_says_how_well():
    model, logits, history = run(epochs=20, validation=ARRAYS)
    assert set(history.values) == {"loss", "accuracy", "validation_loss", "validation_accuracy"}
    assert history.epochs == 20
    assert history.steps == 20 * 2
    assert history["validation_accuracy"][-1] > 0.9
    assert history["loss"][-1] < history["loss"][0]
    assert history.stopped == "epochs"
    labels = train.predict(lg.argmax(logits, axis=-1), {"x": DATA}, batch_size=7)
    assert np.mean(labels == LABELS) == pytest.approx(history["validation_accuracy"][-1])
    assert model.training is None


def test_metrics_are_those_of_all_rows_though_batches_differ():
    model, logits, loss, t = problem(dropout=0.0)
    target = lg.placeholder(("batch",), dtype="float32", name="y")
    score = logits[:, 0]
    metrics = {
        "accuracy": train.accuracy(logits, t),
        "r2": train.r2(score, target),
        "mae": train.mae(score, target),
    }
    arrays = {**ARRAYS, "y": DATA[:, 0]}
    history = train.fit(
        model,
        loss,
        arrays,
        optimizer=optim.SGD(0.1),
        validation=arrays,
        metrics=metrics,
        batch_size=16,
        quiet=True,
    )
    got = train.predict(logits, {"x": DATA})
    score = got[:, 0].astype(float)
    assert history["validation_accuracy"] == [pytest.approx((got.argmax(1) == LABELS).mean())]
    assert history["validation_mae"] == [pytest.approx(abs(score - DATA[:, 0]).mean(), rel=1e-5)]
    spread = ((DATA[:, 0] - DATA[:, 0].mean()) ** 2).sum()
    expected = 1 - ((score - DATA[:, 0]) ** 2).sum() / spread
    assert history["validation_r2"] == [pytest.approx(expected, rel=1e-5)]


def test_the_same_seed_gives_the_same_run():
    first, second, third = run(seed=1), run(seed=1), run(seed=2)
    assert same(weights(first[0]), weights(second[0]))
    assert first[2].values == second[2].values
    assert not same(weights(first[0]), weights(third[0]))


def test_measuring_changes_nothing():
    assert same(weights(run()[0]), weights(run(validation=ARRAYS)[0]))


def test_data_may_be_batches_a_loader_or_a_function():
    batches = [{"x": DATA[i : i + 10], "t": LABELS[i : i + 10]} for i in range(0, 50, 10)]
    loader = lg.data.DataLoader(ARRAYS, 10, shuffle=True, seed=3)
    for data in (batches, lambda epoch: batches[epoch:], loader, lg.data.Dataset(ARRAYS)):
        model, _, loss, _ = problem()
        history = train.fit(model, loss, data, optimizer=optim.SGD(0.1), epochs=2, quiet=True)
        assert history.epochs == 2


def test_patience_ends_it_and_the_best_can_be_taken_back(tmp_path):
    path = tmp_path / "best.safetensors"
    _, logits, history = run(
        epochs=100,
        validation={"x": DATA, "t": 1 - LABELS},
        patience=3,
        best=path,
        restore_best=True,
    )
    assert history.stopped == "patience"
    assert history.epochs == history.best.epoch + 4
    assert history.best.value == min(history["validation_loss"])
    measured = lg.compile(
        nn.cross_entropy(logits, lg.placeholder(("batch",), dtype="int64", name="t"))
    )
    assert measured(x=DATA, t=1 - LABELS) == pytest.approx(history.best.value, rel=1e-5)


def test_callbacks_see_the_history_and_can_end_it():
    epochs = []

    def watch(history):
        epochs.append((history.epochs, history["loss"][-1]))
        return history.epochs == 2

    _, _, history = run(epochs=10, callbacks=[watch])
    assert [number for number, _ in epochs] == [1, 2]
    assert history.stopped == "callback"
    assert "2 epochs, 4 steps, stopped by callback" in str(history)


def test_a_plateau_lowers_the_rate():
    optimizer = optim.SGD(1e-9)
    plateau = optim.schedules.ReduceOnPlateau(optimizer, factor=0.5, patience=0, threshold=0.9)
    run(optimizer=optimizer, plateau=plateau, epochs=3)
    assert optimizer.rate == pytest.approx(1e-9 / 4)


def test_rates_may_be_a_generator():
    optimizer = optim.SGD(0.1 / n for n in range(1, 100))
    run(optimizer=optimizer, epochs=3)
    assert optimizer.rate == pytest.approx(0.1 / 6)


def test_the_bar_shows_loss_metrics_and_rate(capsys):
    run(quiet=False, epochs=1, batch_size=5)
    shown = capsys.readouterr().err
    assert "epoch 1/1" in shown
    for word in ("10/10", "loss=", "accuracy="):
        assert word in shown


@pytest.fixture
def ctrl_c():
    """Let Ctrl-C be heard, which a test run in the background may have been told to ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_who_ignores_ctrl_c_goes_on_ignoring_it():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    history = run(callbacks=[lambda history: os.kill(os.getpid(), signal.SIGINT)])[2]
    assert (history.epochs, history.interrupted) == (3, False)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_finishes_the_update_and_leaves_a_usable_model():
    def batches(epoch):
        for i in range(1000):
            if i == 5:
                os.kill(os.getpid(), signal.SIGINT)
            yield {"x": DATA[:10], "t": LABELS[:10]}

    model, logits, loss, _ = problem()
    history = train.fit(model, loss, batches, optimizer=optim.SGD(0.1), epochs=3, quiet=True)
    assert history.interrupted
    assert history.stopped == "interrupt"
    assert history.steps == 6
    assert np.isfinite(train.predict(logits, {"x": DATA})).all()
    again = train.fit(model, loss, ARRAYS, optimizer=optim.SGD(0.1), quiet=True)
    assert again.epochs == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_runs_in_other_threads_than_the_main_one():
    found = []
    thread = threading.Thread(target=lambda: found.append(run()[2].epochs))
    thread.start()
    thread.join()
    assert found == [3]


def test_nan_stops_it_and_is_traced_to_the_data():
    model, _, loss, _ = problem()
    bad = DATA.copy()
    bad[30, 1] = np.nan
    batches = [{"x": bad[i : i + 10], "t": LABELS[i : i + 10]} for i in range(0, 50, 10)]
    healthy = [{"x": DATA[i : i + 10], "t": LABELS[i : i + 10]} for i in range(0, 30, 10)]
    other, _, other_loss, _ = problem()
    train.fit(other, other_loss, healthy, optimizer=optim.SGD(0.1), quiet=True)
    with pytest.raises(lg.NonFiniteError) as caught:
        train.fit(model, loss, batches, optimizer=optim.SGD(0.1), quiet=True)
    text = str(caught.value)
    assert text.startswith("fit: the loss is nan in step 4, epoch 1.")
    assert "'x'" in text or "x:" in text
    assert caught.value.report.operation == "feed"
    assert caught.value.history.steps == 4
    # The model is as it was before the bad update.
    assert same(weights(model), weights(other))


def test_divergence_is_traced_to_the_operation_and_its_line():
    w = nn.parameter(2.0, dtype="float64")
    model = nn.Module()
    model.w = w
    x = lg.placeholder(("batch",), name="x")
    loss = lg.mean((w * x) ** 4)
    with pytest.raises(lg.NonFiniteError) as caught:
        train.fit(
            model, loss, {"x": np.full(4, 50.0)}, optimizer=optim.SGD(1.0), epochs=9, quiet=True
        )
    assert "test_fit.py" in str(caught.value)
    assert np.isfinite(w.data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": -1}, "epochs must be a positive integer, got -1"),
        ({"epochs": 1.5}, "epochs must be a positive integer, got 1.5"),
        ({"patience": 0}, "patience must be a positive integer, got 0"),
        ({"checkpoint_every": 5}, "need checkpoint=, the file"),
        ({"resume": True}, "need checkpoint=, the file"),
        ({"restore_best": True}, "restore_best needs best="),
        ({"monitor": "validation_loss"}, "monitor must be one of loss, accuracy, got"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(change, words):
    with pytest.raises(lg.OptionError, match=words):
        run(**change)


def test_wrong_data_is_named():
    model, logits, loss, t = problem()

    def fit(loss=loss, data=ARRAYS, **options):
        return train.fit(model, loss, data, optimizer=optim.SGD(0.1), quiet=True, **options)

    with pytest.raises(lg.MissingFeedError, match="'t'"):
        fit(data={"x": DATA})
    with pytest.raises(lg.UnknownFeedError, match="'labels'"):
        fit(data={**ARRAYS, "labels": LABELS})
    with pytest.raises(lg.OptionError, match="no rows"):
        fit(data={"x": DATA[:0], "t": LABELS[:0]})
    with pytest.raises(lg.OptionError, match="validation data has no rows"):
        fit(validation={"x": DATA[:0], "t": LABELS[:0]})
    with pytest.raises(lg.OptionError, match="can be gone through only once"):
        fit(data=iter([ARRAYS]))
    with pytest.raises(lg.OptionError, match="a batch is a dict of arrays by name, got tuple"):
        fit(data=[(DATA, LABELS)])
    with pytest.raises(lg.OptionError, match="loss must be a node without axes"):
        fit(loss=logits)
    with pytest.raises(lg.OptionError, match="accuracy must be a node without axes, got"):
        fit(metrics={"accuracy": logits})
    with pytest.raises(lg.OptionError, match="can't be named 'loss'"):
        fit(metrics={"loss": loss})
    model.freeze()
    frozen = nn.cross_entropy(model(lg.placeholder((4, 3), dtype="float32", name="x")), t[:4])
    with pytest.raises(lg.OptionError, match="requires a gradient"):
        fit(loss=frozen)


def test_resuming_from_what_does_not_fit_changes_nothing(tmp_path):
    path = tmp_path / "run.safetensors"
    model, _, loss, _ = problem(seed=5)
    before = weights(model)
    plateau = optim.schedules.ReduceOnPlateau(optim.SGD(0.1), patience=3)
    state = plateau.state()

    def resume(words):
        with pytest.raises(lg.CheckpointError, match=words):
            train.fit(
                model,
                loss,
                ARRAYS,
                optimizer=plateau.optimizer,
                plateau=plateau,
                checkpoint=path,
                resume=True,
                quiet=True,
            )
        assert same(weights(model), before)
        assert plateau.state() == state

    train.save(path, model=problem(seed=6)[0])
    resume("was not saved by this fit")
    other = optim.schedules.ReduceOnPlateau(optim.SGD(0.1))
    run(checkpoint=path, optimizer=optim.Adam(0.01), plateau=other)
    resume("was not saved by this fit|doesn't fit what it is loaded into")
    run(checkpoint=path, optimizer=other.optimizer)
    resume("was not saved by this fit")


def test_predictions_have_a_row_for_each_row():
    x = lg.placeholder(("batch",), name="x")
    assert train.predict(x * 2, {"x": np.arange(7.0)}, batch_size=3).tolist() == [
        0,
        2,
        4,
        6,
        8,
        10,
        12,
    ]
    with pytest.raises(lg.OptionError, match="not one row for each"):
        train.predict(x.sum(), {"x": np.arange(7.0)})
    with pytest.raises(lg.OptionError, match="no batches"):
        train.predict(x, {"x": np.zeros(0)})
