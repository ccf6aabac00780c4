import numpy as np

import lazygrad as lg
from lazygrad.schedule.buffers import plan
from lazygrad.schedule.cost import predicted_seconds


def predicted(outputs, **lengths):
    program = lg.compile(outputs, backend="numpy")
    return predicted_seconds(program.schedule, plan(program.schedule, lengths))


def test_what_is_larger_or_longer_takes_longer():
    x = lg.placeholder(("n", "n"), name="x")
    small, large = (predicted(lg.exp(x @ x), n=n) for n in (10, 1000))
    assert 1e-7 < small < 1e-5
    assert 1e-2 < large < 1
    assert predicted([lg.exp(x), lg.tanh(x)], n=5) > predicted(lg.exp(x), n=5)


def test_a_loop_costs_its_steps():
    xs = lg.placeholder(("steps", 4), name="xs")
    total, _ = lg.scan(lambda c, row: (lg.tanh(c + row), c), np.zeros(4), xs)
    short, long = (predicted(total, steps=n) for n in (10, 1000))
    assert 50 < long / short < 110


def test_lengths_that_depend_on_data_count_as_nothing():
    x = lg.placeholder((100,), name="x")
    total, _ = lg.scan(lambda c, e: (c + e, c), 0.0, x[x > 0])
    assert predicted(total) > 0
