"""What all optimizers share: parameters, groups, state, rates, the two ways to step, errors."""

import copy
import pickle

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import optim
from lazygrad.optim import schedules

ALL = {
    "sgd": lambda **k: optim.SGD(0.5, **k),
    "momentum": lambda **k: optim.SGD(0.1, momentum=0.9, **k),
    "nesterov": lambda **k: optim.SGD(0.1, momentum=0.9, nesterov=True, **k),
    "rmsprop": lambda **k: optim.RMSProp(0.01, **k),
    "adagrad": lambda **k: optim.Adagrad(0.2, **k),
    "adam": lambda **k: optim.Adam(0.05, **k),
    "amsgrad": lambda **k: optim.Adam(0.05, amsgrad=True, clip_norm=1.0, clip_value=0.5, **k),
    "adamw": lambda **k: optim.AdamW(0.05, **k),
    "lion": lambda **k: optim.Lion(0.01, weight_decay=0.1, **k),
}
every_optimizer = pytest.mark.parametrize("name", ALL)


@pytest.fixture
def quadratic():
    """Two variables, and a loss of which they are the only ones."""
    w = lg.variable([1.0, -2.0], name="w")
    b = lg.variable(0.5, name="b")
    return w, b, (w * w).sum() + (b - 3.0) ** 2


def moons_loss(dtype="float64"):
    rng = np.random.default_rng(0)
    x = lg.placeholder(("batch", 2), dtype=dtype, name="x")
    t = lg.placeholder(("batch",), dtype=dtype, name="t")
    w = lg.variable(rng.normal(size=(2, 16)), dtype=dtype, name="w")
    b = lg.variable(np.zeros(16), dtype=dtype, name="b")
    v = lg.variable(rng.normal(size=16) / 4, dtype=dtype, name="v")
    c = lg.variable(0.0, dtype=dtype, name="c")
    score = lg.relu(x @ w + b) @ v + c
    return [w, b, v, c], lg.mean(lg.softplus(score) - t * score), (score > 0) == (t > 0.5)


@every_optimizer
def test_moons(name):
    points, classes = lg.data.moons(200, seed=0)
    parameters, loss, is_right = moons_loss("float32")
    opt = ALL[name]()
    train = lg.compile(loss, updates=opt.minimize(loss))
    accuracy = lg.compile(lg.mean(is_right))
    for epoch in range(60):
        for batch in lg.data.minibatches(
            x=points, t=classes, batch_size=32, shuffle=True, seed=epoch
        ):
            train(**batch)
    assert accuracy(x=points, t=classes) > 0.95
    assert all(parameter.data.dtype == np.float32 for parameter in parameters)


@every_optimizer
def test_compiled_updates_equal_eager_steps(name):
    points, classes = lg.data.moons(64, seed=0)
    parameters, loss, _ = moons_loss()
    train = lg.compile(loss, updates=ALL[name]().minimize(loss))
    twins, same_loss, _ = moons_loss()
    opt = ALL[name](parameters=twins)
    for _ in range(20):
        expected = train(x=points, t=classes)
        found = same_loss.forward(x=points, t=classes)
        same_loss.backward()
        opt.step()
        np.testing.assert_allclose(found, expected, 1e-12)
    for parameter, twin in zip(parameters, twins, strict=True):
        np.testing.assert_allclose(twin.data, parameter.data, 1e-12, 1e-15)


@every_optimizer
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_goes_on_alike_and_apart(name, copied):
    points, classes = lg.data.moons(32, seed=0)
    parameters, loss, _ = moons_loss()
    opt = ALL[name](parameters=parameters)

    def step(opt, loss):
        loss.forward(x=points, t=classes)
        loss.backward()
        opt.step()

    step(opt, loss)
    twin, same_loss, twins = copied((opt, loss, parameters))
    assert repr(twin) == repr(opt)
    before = [parameter.data.copy() for parameter in parameters]
    step(twin, same_loss)
    for parameter, array in zip(parameters, before, strict=True):
        np.testing.assert_array_equal(parameter.data, array)
    step(opt, loss)
    for parameter, other in zip(parameters, twins, strict=True):
        np.testing.assert_array_equal(parameter.data, other.data)
    ours, theirs = opt.state_variables(), twin.state_variables()
    assert ours.keys() == theirs.keys()
    for key, variable in ours.items():
        np.testing.assert_array_equal(variable.data, theirs[key].data, err_msg=key)


def test_a_rate_changes_without_planning_again(quadratic):
    w, _, loss = quadratic
    opt = optim.SGD(0.0)
    train = lg.compile(loss, updates=opt.minimize(loss))
    train()
    np.testing.assert_array_equal(w.data, [1.0, -2.0])
    opt.rate = 0.25
    assert opt.rate == 0.25
    train()
    np.testing.assert_array_equal(w.data, [0.5, -1.0])
    assert train.plans_made == 1


def test_state_survives_a_second_minimize(quadratic):
    w, b, loss = quadratic
    opt = optim.Adam(0.1)
    once = dict(opt.minimize(loss))
    again = dict(opt.minimize(loss * 2.0, [w]))
    state = opt.state_variables()
    assert list(state) == [
        "adam.rate", "adam.step", "adam.m.w", "adam.v.w", "adam.m.b", "adam.v.b",
    ]  # fmt: skip
    assert set(again) == {w, state["adam.step"], state["adam.m.w"], state["adam.v.w"]}
    assert set(once) == {w, b, *state.values()} - {state["adam.rate"]}
    for key, variable in state.items():
        assert not variable.requires_grad
        assert variable.name == key
    assert state["adam.step"].dtype == np.int64
    lg.compile(loss, updates=once)()
    lg.compile(loss, updates=again)()
    assert state["adam.step"].data == 2


def test_state_is_there_from_the_start_for_given_parameters(quadratic):
    w, b, _ = quadratic
    opt = optim.SGD(0.1, momentum=0.9, parameters=[w, b])
    assert list(opt.state_variables()) == [
        "sgd.rate", "sgd.step", "sgd.velocity.w", "sgd.velocity.b",
    ]  # fmt: skip


def test_parameters_that_join_later_start_from_their_first_step(quadratic):
    w, b, loss = quadratic
    opt = optim.Adam(0.1)
    first = lg.compile(loss, updates=opt.minimize(loss, [w]))
    first(), first()
    second = lg.compile(loss, updates=opt.minimize(loss))
    second()
    assert b.data == pytest.approx(0.6), "a first step of Adam is as long as the rate"
    state = opt.state_variables()
    assert (state["adam.step"].data, state["adam.step.1"].data) == (3, 1)


def test_state_names_are_unique():
    a, b = lg.variable([1.0], name="weight"), lg.variable([2.0], name="weight")
    c, d = lg.variable([3.0]), lg.variable([4.0])
    opt = optim.Lion(0.1, parameters=[a, b, c, d])
    assert [name for name in opt.state_variables() if ".m." in name] == [
        "lion.m.weight", "lion.m.weight.1", "lion.m.parameter", "lion.m.parameter.1",
    ]  # fmt: skip
    named = optim.Lion(0.1, parameters={"one.weight": a, "two.weight": b})
    pairs = optim.Lion(0.1, parameters=[("one.weight", a), ("two.weight", b)])
    for opt in (named, pairs):
        assert list(opt.state_variables())[2:] == ["lion.m.one.weight", "lion.m.two.weight"]


def test_parameters_by_default(quadratic):
    w, _, loss = quadratic
    fixed = lg.variable([1.0, 1.0], name="fixed")
    fixed.requires_grad = False
    index = lg.Value([1, 0], name="index")
    stopped = lg.variable([1.0, 1.0], name="stopped")
    threshold = lg.variable(0.0, name="threshold")
    loss = loss + (fixed * w[index] * lg.stop_gradient(stopped) * (w > threshold)).sum()
    updates = optim.SGD(0.1).minimize(loss)
    assert [variable.name for variable, _ in updates] == ["w", "b", "sgd.step"]


def test_frozen_parameters_are_left_out(quadratic):
    w, b, loss = quadratic
    b.requires_grad = False
    opt = optim.SGD(0.1, parameters=[w, b])
    assert b not in dict(opt.minimize(loss))


def test_parameters_without_gradient_are_skipped(quadratic):
    w, b, _ = quadratic
    unused = lg.variable(7.0, name="unused")
    opt = optim.Adam(0.1, weight_decay=0.5, parameters=[w, b, unused])
    loss = (w * w).sum()
    loss.backward()
    opt.step()
    assert unused.data == 7.0
    assert b.data == 0.5
    assert opt.state_variables()["adam.step"].data == 1
    later = (w * w).sum() + b * b
    later.backward()
    opt.step()
    assert b.data != 0.5


def test_accumulated_gradients_are_stepped_along():
    w = lg.variable([1.0], name="w")
    opt = optim.SGD(0.25, parameters=w)
    loss = (w * w).sum()
    for _ in range(2):
        loss.backward(accumulate=True)
    opt.step()
    assert w.data == 0.0


def test_apply_takes_gradients_of_ones_own(quadratic):
    w, b, _ = quadratic
    opt = optim.SGD(0.5)
    ones = lg.constant([1.0, 1.0], dtype="float32")
    lg.compile([], updates=opt.apply({w: ones, b: 2.0 * b}))()
    np.testing.assert_array_equal(w.data, [0.5, -2.5])
    assert b.data == 0.0


def test_rates_one_by_one(quadratic):
    w, b, loss = quadratic
    opt = optim.SGD((rate for rate in (0.5, 0.25, 0.125)), parameters=[w, b])
    assert opt.rate == 0.5
    seen = []
    for _ in range(3):
        loss.backward()
        opt.step()
        seen.append(opt.rate)
    assert seen == [0.5, 0.25, 0.125]
    with pytest.raises(lg.OptionError, match=r"SGD: the rates ran out; 3 were given"):
        opt.step()


def test_rates_one_by_one_in_a_program():
    w = lg.variable(1.0, name="w")
    opt = optim.SGD([0.5, 0.25])
    train = lg.compile(w, updates=opt.minimize(w))
    for _ in range(2):
        opt.advance()
        train()
    assert w.data == 0.25
    assert train.plans_made == 1


def test_a_rate_may_be_fed():
    w = lg.variable(1.0, name="w")
    rate = lg.placeholder((), name="rate")
    train = lg.compile(w, updates=optim.SGD(rate).minimize(w))
    train(rate=0.5)
    train(rate=0.125)
    assert w.data == 0.375


def test_a_scheduled_rate_is_that_of_the_next_update():
    w = lg.variable(1.0, name="w")
    opt = optim.SGD(schedules.Exponential(0.5, 0.5))
    assert opt.rate == 0.5
    train = lg.compile(w, updates=opt.minimize(w))
    train()
    assert (w.data, opt.rate) == (0.5, 0.25)
    train()
    assert (w.data, opt.rate) == (0.25, 0.125)
    own = optim.SGD(lambda step: 1.0 / (step + 2), parameters=w)
    w.backward()
    own.step()
    assert own.rate == pytest.approx(1 / 3)
    with pytest.raises(lg.OptionError, match=r"SGD: the rate is given by Exponential"):
        opt.rate = 0.1


def test_rates_of_groups(quadratic):
    w, b, _ = quadratic
    opt = optim.SGD(
        0.1, parameters=[{"parameters": [w]}, optim.Group([b], schedules.Constant(0.2))]
    )
    assert opt.rates == (0.1, 0.2)
    assert "sgd.rate.0" in opt.state_variables()
    plain = optim.SGD(0.1, parameters=[{"parameters": w}, {"parameters": b, "rate": 0.3}])
    plain.rates = [0.4, 0.5]
    assert (plain.rate, plain.rates) == (0.4, (0.4, 0.5))
    plain.rate = 0.6
    assert plain.rates == (0.6, 0.6)
    with pytest.raises(lg.OptionError, match="there are 2 groups, got 1 rates"):
        plain.rates = [0.1]


def test_groups_may_keep_other_state(quadratic):
    w, b, loss = quadratic
    groups = [{"parameters": [w], "momentum": 0.0}, {"parameters": [b]}]
    opt = optim.SGD(0.1, momentum=0.9, parameters=groups)
    assert [name for name in opt.state_variables() if "velocity" in name] == ["sgd.velocity.b"]
    lg.compile(loss, updates=opt.minimize(loss))()


def test_one_program_of_two_optimizers(quadratic):
    w, b, loss = quadratic
    updates = optim.SGD(0.5).minimize(loss, [w]) + optim.SGD(0.25).minimize(loss, b)
    lg.compile(loss, updates=updates)()
    np.testing.assert_array_equal(w.data, [0.0, 0.0])
    assert b.data == 1.75


def test_clipping_leaves_zero_gradients_finite():
    w = lg.variable([0.0, 0.0], name="w")
    lg.compile([], updates=optim.SGD(1.0, clip_norm=1.0).minimize((w * w).sum()))()
    np.testing.assert_array_equal(w.data, [0.0, 0.0])


def test_clipping_mixes_dtypes_without_changing_them():
    gradients = [lg.Value([3.0], dtype="float32"), lg.Value([4.0])]
    narrow, wide = optim.clip_by_global_norm(gradients, 1.0)
    assert (narrow.dtype, wide.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose([narrow.data[0], wide.data[0]], [0.6, 0.8], 1e-6)


def test_dtypes_may_be_mixed():
    a, b = lg.variable([1.0], dtype="float32", name="a"), lg.variable([1.0], name="b")
    loss = (a * b).sum()
    for make in ALL.values():
        lg.compile(loss, updates=make().minimize(loss))()
    assert (a.data.dtype, b.data.dtype) == (np.float32, np.float64)


ERRORS = {
    "no parameters": (lambda w, loss: optim.SGD(0.1, parameters=[]), "parameters is empty"),
    "an empty group": (
        lambda w, loss: optim.SGD(0.1, parameters=[{"parameters": []}]),
        "SGD: the list of parameters is empty",
    ),
    "a non-variable": (
        lambda w, loss: optim.Adam(parameters=[w, w * 2.0]),
        "Adam: a parameter must be a variable, got an unnamed multiply of float64[2], a multiply",
    ),
    "an array": (
        lambda w, loss: optim.Adam(parameters=[np.zeros(2)]),
        "Adam: parameters must be variables, got ndarray",
    ),
    "a number": (
        lambda w, loss: optim.Adam(parameters=3),
        "Adam: parameters must be variables, got int",
    ),
    "an integer variable": (
        lambda w, loss: optim.Adam(parameters=[lg.Value([1, 2], name="i")]),
        "Adam: a parameter must be of a float dtype, 'i' is int64",
    ),
    "twice in a list": (lambda w, loss: optim.SGD(0.1, parameters=[w, w]), "'w' is given twice"),
    "in two groups": (
        lambda w, loss: optim.SGD(0.1, parameters=[{"parameters": w}, {"parameters": [w]}]),
        "SGD: 'w' is in two groups, 0 and 1",
    ),
    "groups and none": (
        lambda w, loss: optim.SGD(0.1, parameters=[w, {"parameters": [w]}]),
        "either all in groups or none",
    ),
    "a group without parameters": (
        lambda w, loss: optim.SGD(0.1, parameters=[{"rate": 0.1}]),
        "a group needs the key \"parameters\", got ['rate']",
    ),
    "an unknown option": (
        lambda w, loss: optim.SGD(0.1, parameters=[{"parameters": w, "momentun": 0.9}]),
        "'momentun' is no option; its options are: momentum, dampening, nesterov, weight_decay;"
        " did you mean 'momentum'?",
    ),
    "a negative rate": (lambda w, loss: optim.SGD(-0.1), "SGD: the rate must be at least 0, got"),
    "a rate that is none": (lambda w, loss: optim.SGD(float("nan")), "must be finite, got nan"),
    "a rate of text": (lambda w, loss: optim.SGD("fast"), "the rate must be a number, got 'fast'"),
    "a rate of many": (
        lambda w, loss: optim.SGD(w),
        "SGD: a rate is one float, got a node of float64[2]",
    ),
    "a negative rate in a group": (
        lambda w, loss: optim.SGD(0.1, parameters=[{"parameters": w, "rate": -1.0}]),
        "the rate must be at least 0, got -1",
    ),
    "momentum": (lambda w, loss: optim.SGD(0.1, momentum=1.0), "momentum must be at least 0 and"),
    "betas": (lambda w, loss: optim.Adam(betas=0.9), "Adam: betas must be two numbers, got 0.9"),
    "a beta": (lambda w, loss: optim.AdamW(betas=(0.9, 1.5)), "AdamW: betas[1] must be at least 0"),
    "epsilon": (lambda w, loss: optim.RMSProp(epsilon=0.0), "epsilon must be more than 0, got 0"),
    "amsgrad": (lambda w, loss: optim.Adam(amsgrad=1), "amsgrad must be True or False, got 1"),
    "nesterov": (
        lambda w, loss: optim.SGD(0.1, nesterov=True),
        "Nesterov's momentum needs a momentum and no dampening, got momentum=0, dampening=0",
    ),
    "clip_norm": (lambda w, loss: optim.SGD(0.1, clip_norm=0), "SGD: clip_norm must be more than"),
    "a loss of many": (
        lambda w, loss: optim.SGD(0.1).minimize(w * w),
        "SGD: the loss must be one number, got float64[2]; take its mean or sum",
    ),
    "a loss that is none": (
        lambda w, loss: optim.SGD(0.1).minimize(3.0),
        "SGD: the loss must be a node, got float",
    ),
    "a loss of nothing": (
        lambda w, loss: optim.SGD(0.1).minimize(lg.Value(3, name="n") * 2.0),
        "no float variable that requires a gradient is below the loss; 'n' is int64",
    ),
    "another's parameter": (
        lambda w, loss: optim.SGD(0.1, parameters=[lg.variable(1.0)]).minimize(loss, [w]),
        "'w' is not among the parameters that the optimizer was made with",
    ),
    "all frozen": (
        lambda w, loss: optim.SGD(0.1, parameters=[frozen()]).minimize(loss),
        "none of the parameters requires a gradient",
    ),
    "a step without parameters": (
        lambda w, loss: optim.SGD(0.1).step(),
        "SGD.step: it needs the parameters, SGD(..., parameters=...)",
    ),
    "a step without gradients": (
        lambda w, loss: optim.SGD(0.1, parameters=w).step(),
        "SGD.step: no parameter has a gradient; call backward of the loss first",
    ),
    "a gradient of another shape": (
        lambda w, loss: optim.SGD(0.1).apply([(w, lg.constant(1.0))]),
        "SGD.apply: the gradient of 'w' must be float64[2], got float64[]",
    ),
    "a gradient that is none": (
        lambda w, loss: optim.SGD(0.1).apply([(w, 1.0)]),
        "SGD.apply: the gradient of 'w' must be a node, got float",
    ),
    "a compiled option": (
        lambda w, loss: setattr(optim.SGD(0.1), "momentum", 0.5),
        "SGD: momentum is part of what was compiled and can't be changed",
    ),
    "a schedule of no node": (
        lambda w, loss: optim.SGD(lambda step: 0.1).minimize(loss),
        "SGD: a schedule gives one number as a node, got float",
    ),
    "no gradients to clip": (lambda w, loss: optim.clip_by_global_norm([], 1.0), "no gradients"),
    "one gradient to clip": (lambda w, loss: optim.clip_by_value(w, 1.0), "got one node"),
}


def frozen():
    variable = lg.variable(1.0, name="frozen")
    variable.requires_grad = False
    return variable


@pytest.mark.parametrize("case", ERRORS)
def test_errors_say_what_came(case, quadratic):
    w, _, loss = quadratic
    call, words = ERRORS[case]
    with pytest.raises(lg.GraphError) as error:
        call(w, loss)
    assert words in str(error.value)


def test_a_model_instead_of_its_parameters():
    class Model:
        def parameters(self):
            return []

    with pytest.raises(lg.OptionError, match=r"got Model; pass model\.parameters\(\)"):
        optim.SGD(0.1, parameters=Model())


def test_a_loss_that_does_not_depend_on_a_parameter_names_it(quadratic):
    w, _, loss = quadratic
    other = lg.variable([1.0], name="other")
    with pytest.raises(lg.DisconnectedError, match=r"SGD\.minimize: .*doesn't depend on other"):
        optim.SGD(0.1).minimize(loss, [w, other])


def test_an_unknown_option_is_refused_by_the_call():
    with pytest.raises(TypeError, match="momentun"):
        optim.SGD(0.1, momentun=0.9)
