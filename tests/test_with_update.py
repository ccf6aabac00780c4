"""Variables that a graph updates on its way: running statistics."""

import numpy as np
import pytest

import lazygrad as lg


@pytest.fixture
def statistic():
    mode = lg.Value(False, name="training")
    mean = lg.variable(np.zeros(2), name="mean")
    mean.requires_grad = False
    x = lg.placeholder(("batch", 2), name="x")
    batch_mean = x.mean(axis=0)
    kept = lg.with_update(x - batch_mean, mean, 0.5 * mean + 0.5 * batch_mean)
    return x, mean, mode, lg.by_mode(kept, x - mean, flag=mode)


def test_a_training_program_updates_once_a_call(statistic):
    _, mean, _, y = statistic
    w = lg.Value(2.0)
    loss = (w * y * y).sum()
    step = lg.compile(loss, updates={w: w - 0.1 * lg.grad(loss, w)})
    data = np.array([[0.0, 2.0], [4.0, 6.0]])
    step(x=data)
    np.testing.assert_array_equal(mean.data, [1.0, 2.0])
    step(x=data)
    np.testing.assert_array_equal(mean.data, [1.5, 3.0])


def test_prediction_neither_reads_the_batch_nor_updates(statistic):
    _, mean, _, y = statistic
    predict = lg.compile(y)
    np.testing.assert_array_equal(predict(x=[[1.0, 2.0]]), [[1.0, 2.0]])
    np.testing.assert_array_equal(mean.data, [0.0, 0.0])


def test_forward_follows_the_flag_and_updates_once(statistic):
    _, mean, mode, y = statistic
    data = np.array([[0.0, 2.0], [4.0, 6.0]])
    np.testing.assert_array_equal(y.forward(x=data), data)
    mode.data = True
    np.testing.assert_array_equal(y.forward(x=data), [[-2.0, -2.0], [2.0, 2.0]])
    np.testing.assert_array_equal(mean.data, [1.0, 2.0])
    hidden = y.operands[1].operands[0]
    np.testing.assert_array_equal(hidden.data, [[-2.0, -2.0], [2.0, 2.0]])
    np.testing.assert_array_equal(mean.data, [1.0, 2.0])
    mode.data = False
    np.testing.assert_array_equal(y.forward(x=data), data - [1.0, 2.0])


def test_backward_after_an_update_is_not_stale():
    mean = lg.variable(np.zeros(()), name="mean")
    mean.requires_grad = False
    x = lg.placeholder((3,), name="x", requires_grad=True)
    y = lg.with_update(x * x, mean, x.mean()).sum()
    y.forward(x=np.array([1.0, 2.0, 3.0]))
    y.backward()
    y.backward()
    np.testing.assert_array_equal(x.grad, [2.0, 4.0, 6.0])
    assert mean.data == 2.0


def test_two_updates_of_one_variable_are_refused():
    v = lg.Value(0.0, name="v")
    x = lg.Value(1.0)
    twice = lg.with_update(x, v, x + 1) + lg.with_update(x, v, x + 2)
    with pytest.raises(lg.OptionError, match="v is updated twice"):
        lg.compile(twice)
    with pytest.raises(lg.OptionError, match="v is updated by the graph and by updates="):
        lg.compile(lg.with_update(x, v, x + 1), updates={v: v * 2})


def test_a_loop_cannot_update():
    v = lg.Value(0.0, name="v")
    total, _ = lg.scan(lambda c, x: (lg.with_update(c + x, v, v + 1.0), None), 0.0, [1.0, 2.0])
    with pytest.raises(lg.OptionError, match="a loop's body can't update variables"):
        lg.compile(total)


def test_only_variables_of_the_same_spec():
    v = lg.Value([0.0, 0.0], name="v")
    with pytest.raises(lg.OptionError, match="only a variable"):
        lg.with_update(1.0, lg.constant(1.0), 2.0)
    with pytest.raises(lg.ShapeError, match="the new value needs the variable's shape"):
        lg.with_update(1.0, v, 2.0)
    with pytest.raises(lg.DTypeError, match="float64, its new value int64"):
        lg.with_update(1.0, v, [1, 2])


def test_the_branch_not_in_force_contributes_nothing_not_even_nan():
    x, w = lg.placeholder((3,), name="x"), lg.Value(2.0)
    broken = lg.sqrt(-w) * x
    y = lg.by_mode(w * x, broken)
    gradient = lg.grad(y.sum(), w)
    assert lg.compile(gradient, train=True)(x=[1.0, 2.0, 3.0]) == 6.0
    second = lg.grad(lg.grad((y * y).sum(), w), w)
    assert lg.compile(second, train=True)(x=[1.0, 2.0, 3.0]) == 28.0
    assert np.isnan(lg.compile(gradient, train=False)(x=[1.0, 2.0, 3.0]))


def test_the_branch_not_in_force_takes_no_steps():
    x, w = lg.placeholder(("n",), name="x"), lg.Value(2.0)
    y = lg.by_mode(w * x, lg.tanh(w * lg.exp(x)))
    names = {s.op.name for s in lg.compile(lg.grad(y.sum(), w), train=True).schedule.steps}
    assert not names & {"tanh", "exp", "where"}
