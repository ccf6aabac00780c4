"""Closed forms, corners and errors of schedules; values against PyTorch are in another file."""

import pickle

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import optim
from lazygrad.optim import schedules

SOME = [
    schedules.Constant(0.1),
    schedules.Step(1.0, 3),
    schedules.Piecewise((2, 5), (1.0, 0.5, 0.25)),
    schedules.Exponential(1.0, 0.9),
    schedules.Polynomial(1.0, 10, 0.1, 3.0),
    schedules.Cosine(1.0, 10),
    schedules.WarmRestarts(1.0, 4, 3),
    schedules.OneCycle(1.0, 30),
    schedules.WarmUp(schedules.Cosine(1.0, 10), 5),
]
every_schedule = pytest.mark.parametrize("schedule", SOME, ids=repr)


@every_schedule
def test_a_node_a_number_and_an_array_agree(schedule):
    steps = lg.placeholder((), dtype="int64", name="steps")
    program = lg.compile(schedule(steps))
    counts = np.arange(40)
    expected = schedule(counts)
    np.testing.assert_allclose([schedule(int(n)) for n in counts], expected, 1e-14)
    np.testing.assert_allclose([program(steps=n) for n in counts], expected, 1e-14)
    assert type(schedule(3)) is float


@every_schedule
def test_schedules_are_records(schedule):
    again = pickle.loads(pickle.dumps(schedule))
    assert again == schedule
    assert again(7) == schedule(7)


def test_ends_are_held():
    assert schedules.Cosine(1.0, 10, 0.25)(1000) == 0.25
    assert schedules.Polynomial(1.0, 10, 0.25)(1000) == 0.25
    one_cycle = schedules.OneCycle(1.0, 30)
    assert one_cycle(29) == one_cycle(1000) == pytest.approx(1.0 / 25 / 1e4)
    assert one_cycle(0) == pytest.approx(1.0 / 25)
    assert schedules.OneCycle(1.0, 30, shape="linear")(8) == pytest.approx(1.0)


@pytest.mark.parametrize("multiply", [2, 3, 5, 10])
def test_restarts_are_exact(multiply):
    schedule = schedules.WarmRestarts(1.0, 7, multiply)
    start, length = 0, 7
    for _ in range(8):
        assert schedule(start) == 1.0
        if start:
            assert schedule(start - 1) < 0.05
        start, length = start + length, length * multiply


def test_warm_up_to_a_rate():
    np.testing.assert_allclose(
        schedules.WarmUp(0.4, 4, start=0.5)(np.arange(6)), [0.2, 0.25, 0.3, 0.35, 0.4, 0.4]
    )


ERRORS = {
    "a negative rate": (lambda: schedules.Constant(-1.0), "Constant: rate must be at least 0"),
    "no steps": (lambda: schedules.Cosine(1.0, 0), "Cosine: steps must be at least 1, got 0"),
    "half a step": (lambda: schedules.Step(1.0, 2.5), "Step: every must be an integer, got 2.5"),
    "too few rates": (
        lambda: schedules.Piecewise((1, 2), (1.0, 0.5)),
        "Piecewise: 2 boundaries need 3 rates, got 2",
    ),
    "falling boundaries": (
        lambda: schedules.Piecewise((2, 1), (1.0, 0.5, 0.1)),
        "Piecewise: the boundaries must rise, got (2, 1)",
    ),
    "a shape": (
        lambda: schedules.OneCycle(1.0, 30, shape="round"),
        'OneCycle: shape must be "cosine" or "linear", got \'round\'',
    ),
    "no rising step": (
        lambda: schedules.OneCycle(1.0, 3),
        "OneCycle: warm_up 0.3 of 3 steps leaves no step that rises",
    ),
    "nothing to warm up to": (lambda: schedules.WarmUp("x", 3), "rate must be a number, got 'x'"),
    "a negative count": (
        lambda: schedules.Constant(1.0)(-1),
        "Constant: a step is an integer of at least 0, got -1",
    ),
    "half a count": (lambda: schedules.Constant(1.0)(0.5), "a step is an integer of at least 0"),
    "a factor": (
        lambda: schedules.ReduceOnPlateau(optim.SGD(0.1), factor=1.0),
        "ReduceOnPlateau: factor must be at least 0 and less than 1, got 1",
    ),
    "another's state": (
        lambda: schedules.ReduceOnPlateau(optim.SGD(0.1)).restore({"best": 1.0}),
        "ReduceOnPlateau: its state is ['best', 'waited', 'cooling'], got ['best']",
    ),
    "a plateau of a schedule": (
        lambda: schedules.ReduceOnPlateau(
            optim.SGD(schedules.Constant(0.1)), factor=0.5, patience=0
        ).look(float("nan")),
        "SGD: the rate is given by Constant",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_say_what_came(case):
    call, words = ERRORS[case]
    with pytest.raises(lg.OptionError) as error:
        call()
    assert words in str(error.value)


def test_a_plateau_goes_on_from_its_state():
    def made():
        opt = optim.SGD(1.0)
        return opt, schedules.ReduceOnPlateau(opt, factor=0.5, patience=1, cooldown=1)

    metrics = [3.0, 2.0, 2.0, 2.5, float("nan"), 1.0, 1.0, 1.0, 1.0, 1.0]
    opt, plateau = made()
    reduced = [plateau.look(metric) for metric in metrics]
    first, half = made()
    found = [half.look(metric) for metric in metrics[:4]]
    second, rest = made()
    second.rate = first.rate
    rest.restore(half.state())
    found += [rest.look(metric) for metric in metrics[4:]]
    assert found == reduced
    assert second.rate == opt.rate < 1.0


def test_a_plateau_reduces_the_rate_of_every_group():
    a, b = lg.variable(1.0), lg.variable(2.0)
    opt = optim.SGD(0.4, parameters=[{"parameters": a}, {"parameters": b, "rate": 0.02}])
    plateau = schedules.ReduceOnPlateau(opt, factor=0.5, patience=0, least=0.015)
    assert plateau.look(1.0) is False
    assert plateau.look(1.0) is True
    assert opt.rates == (0.2, 0.015)
