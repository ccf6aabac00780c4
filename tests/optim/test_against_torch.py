"""Every optimizer, schedule and clipping against PyTorch's."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import optim
from lazygrad.optim import schedules

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra 'peers')")
pytestmark = pytest.mark.peers

STEPS = 20
# Lazygrad's optimizer, PyTorch's. Lion is not in PyTorch: see test_methods.py.
PAIRS = {
    "sgd": (lambda **k: optim.SGD(0.05, **k), lambda p: torch.optim.SGD(p, 0.05)),
    "sgd, momentum": (
        lambda **k: optim.SGD(0.05, momentum=0.9, **k),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9),
    ),
    "sgd, dampening": (
        lambda **k: optim.SGD(0.05, momentum=0.9, dampening=0.4, weight_decay=0.1, **k),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, dampening=0.4, weight_decay=0.1),
    ),
    "sgd, nesterov": (
        lambda **k: optim.SGD(0.05, momentum=0.8, nesterov=True, weight_decay=0.01, **k),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.8, nesterov=True, weight_decay=0.01),
    ),
    "rmsprop": (lambda **k: optim.RMSProp(0.01, **k), lambda p: torch.optim.RMSprop(p, 0.01)),
    "rmsprop, all": (
        lambda **k: optim.RMSProp(
            0.01, smoothing=0.9, momentum=0.5, centered=True, weight_decay=0.1, epsilon=1e-6, **k
        ),
        lambda p: torch.optim.RMSprop(
            p, 0.01, alpha=0.9, momentum=0.5, centered=True, weight_decay=0.1, eps=1e-6
        ),
    ),
    "adagrad": (lambda **k: optim.Adagrad(0.1, **k), lambda p: torch.optim.Adagrad(p, 0.1)),
    "adagrad, all": (
        lambda **k: optim.Adagrad(0.1, rate_decay=0.1, initial=0.5, weight_decay=0.1, **k),
        lambda p: torch.optim.Adagrad(
            p, 0.1, lr_decay=0.1, initial_accumulator_value=0.5, weight_decay=0.1
        ),
    ),
    "adam": (lambda **k: optim.Adam(0.01, **k), lambda p: torch.optim.Adam(p, 0.01)),
    "adam, all": (
        lambda **k: optim.Adam(
            0.01, betas=(0.8, 0.95), epsilon=1e-3, weight_decay=0.1, amsgrad=True, **k
        ),
        lambda p: torch.optim.Adam(
            p, 0.01, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1, amsgrad=True
        ),
    ),
    "adamw": (lambda **k: optim.AdamW(0.01, **k), lambda p: torch.optim.AdamW(p, 0.01)),
    "adamw, amsgrad": (
        lambda **k: optim.AdamW(0.01, weight_decay=0.3, amsgrad=True, **k),
        lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.3, amsgrad=True),
    ),
}


def start(dtype):
    rng = np.random.default_rng(0)
    shapes = {"w": (3, 4), "b": (4,), "v": (4, 1), "c": ()}
    arrays = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    batches = rng.standard_normal((STEPS, 5, 3)).astype(dtype)
    return arrays, batches


def loss_of(library, x, w, b, v, c):
    return ((library.tanh(x @ w + b) @ v + c - 1.0) ** 2).mean()


def variables(arrays, dtype=None):
    return {name: lg.variable(array, dtype=dtype, name=name) for name, array in arrays.items()}


def by_torch(arrays, batches, make, after_backward=lambda parameters: None):
    theirs = {name: torch.tensor(array, requires_grad=True) for name, array in arrays.items()}
    peer = make(theirs.values())
    for batch in batches:
        peer.zero_grad()
        loss_of(torch, torch.tensor(batch), **theirs).backward()
        after_backward(list(theirs.values()))
        peer.step()
    return {name: tensor.detach().numpy() for name, tensor in theirs.items()}


def compiled(parameters, batches, opt):
    x = lg.placeholder(batches.shape[1:], dtype=batches.dtype, name="x")
    loss = loss_of(lg, x, **parameters)
    train = lg.compile(loss, updates=opt.minimize(loss))
    for batch in batches:
        train(x=batch)
    return train


def eager(parameters, batches, opt):
    x = lg.placeholder(batches.shape[1:], dtype=batches.dtype, name="x")
    loss = loss_of(lg, x, **parameters)
    for batch in batches:
        opt.zero_grad()
        loss.forward(x=batch)
        loss.backward()
        opt.step()


def assert_agree(parameters, expected, rtol, atol=0.0):
    for name, parameter in parameters.items():
        np.testing.assert_allclose(parameter.data, expected[name], rtol, atol, err_msg=name)


@pytest.mark.parametrize("name", PAIRS)
def test_twenty_steps_in_float64(name):
    arrays, batches = start(np.float64)
    ours, theirs = PAIRS[name]
    expected = by_torch(arrays, batches, theirs)
    parameters, twins = variables(arrays), variables(arrays)
    compiled(parameters, batches, ours())
    assert_agree(parameters, expected, 1e-9)
    eager(twins, batches, ours(parameters=twins.values()))
    for parameter, twin in zip(parameters.values(), twins.values(), strict=True):
        np.testing.assert_allclose(parameter.data, twin.data, 1e-12)


@pytest.mark.parametrize("name", PAIRS)
def test_twenty_steps_in_float32(name):
    arrays, batches = start(np.float32)
    ours, theirs = PAIRS[name]
    expected = by_torch(arrays, batches, theirs)
    parameters = variables(arrays)
    opt = ours()
    train = compiled(parameters, batches, opt)
    assert_agree(parameters, expected, 1e-3, 1e-4)
    wide = {node.shape for node in train.graph.nodes if node.dtype == np.float64}
    assert wide <= {()}, "only numbers without axes are float64"
    state = opt.state_variables()
    assert {v.dtype.name for n, v in state.items() if n.count(".") > 1} <= {"float32"}


@pytest.mark.parametrize("limit", [0.01, 0.3, 100.0])
def test_clipping_by_norm(limit):
    arrays, batches = start(np.float64)
    expected = by_torch(
        arrays,
        batches,
        lambda p: torch.optim.SGD(p, 0.1),
        lambda p: torch.nn.utils.clip_grad_norm_(p, limit),
    )
    parameters, twins = variables(arrays), variables(arrays)
    compiled(parameters, batches, optim.SGD(0.1, clip_norm=limit))
    assert_agree(parameters, expected, 1e-9)
    eager(twins, batches, optim.SGD(0.1, clip_norm=limit, parameters=twins))
    assert_agree(twins, expected, 1e-9)


def test_clipping_by_value_then_norm():
    def clip(parameters):
        torch.nn.utils.clip_grad_value_(parameters, 0.05)
        torch.nn.utils.clip_grad_norm_(parameters, 0.1)

    arrays, batches = start(np.float64)
    expected = by_torch(arrays, batches, lambda p: torch.optim.Adam(p, 0.01), clip)
    parameters = variables(arrays)
    compiled(parameters, batches, optim.Adam(0.01, clip_value=0.05, clip_norm=0.1))
    assert_agree(parameters, expected, 1e-9)


def test_groups_have_rates_and_options_of_their_own():
    arrays, batches = start(np.float64)

    def make(p):
        w, b, v, c = p
        groups = [{"params": [w, v], "weight_decay": 0.1}, {"params": [b, c], "lr": 0.2}]
        return torch.optim.SGD(groups, 0.05, momentum=0.9)

    expected = by_torch(arrays, batches, make)
    for as_record in (False, True):
        parameters = variables(arrays)
        first, second = [parameters["w"], parameters["v"]], [parameters["b"], parameters["c"]]
        groups = [
            {"parameters": first, "weight_decay": 0.1},
            optim.Group(second, 0.2) if as_record else {"parameters": second, "rate": 0.2},
        ]
        opt = optim.SGD(0.05, momentum=0.9, parameters=groups)
        assert opt.rates == (0.05, 0.2)
        compiled(parameters, batches, opt)
        assert_agree(parameters, expected, 1e-9)


def rates_of(scheduler, count, optimizer):
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


PEER = torch.optim.lr_scheduler
SCHEDULES = {
    "constant": (schedules.Constant(0.4), lambda o: PEER.LambdaLR(o, lambda step: 1.0)),
    "step": (schedules.Step(0.4, every=7, factor=0.3), lambda o: PEER.StepLR(o, 7, 0.3)),
    "piecewise": (
        schedules.Piecewise((5, 20, 31), (0.4, 0.2, 0.1, 0.05)),
        lambda o: PEER.MultiStepLR(o, [5, 20, 31], 0.5),
    ),
    "exponential": (schedules.Exponential(0.4, 0.93), lambda o: PEER.ExponentialLR(o, 0.93)),
    "polynomial": (
        schedules.Polynomial(0.4, steps=30, power=2.0),
        lambda o: PEER.PolynomialLR(o, 30, 2.0),
    ),
    "cosine": (
        schedules.Cosine(0.4, steps=50, end=0.01),
        lambda o: PEER.CosineAnnealingLR(o, 50, 0.01),
    ),
    "restarts": (
        schedules.WarmRestarts(0.4, period=12, end=0.1),
        lambda o: PEER.CosineAnnealingWarmRestarts(o, 12, eta_min=0.1),
    ),
    "longer restarts": (
        schedules.WarmRestarts(0.4, period=3, multiply=2),
        lambda o: PEER.CosineAnnealingWarmRestarts(o, 3, 2),
    ),
    "one cycle": (
        schedules.OneCycle(0.4, steps=51),
        lambda o: PEER.OneCycleLR(o, 0.4, 51, cycle_momentum=False),
    ),
    "one cycle of lines": (
        schedules.OneCycle(0.4, 60, warm_up=0.2, divide=5.0, final_divide=10.0, shape="linear"),
        lambda o: PEER.OneCycleLR(
            o, 0.4, 60, None, None, 0.2, "linear", False, div_factor=5.0, final_div_factor=10.0
        ),
    ),
    "warm-up": (
        schedules.WarmUp(schedules.Cosine(0.4, 40), steps=9, start=0.1),
        lambda o: PEER.SequentialLR(
            o, [PEER.LinearLR(o, 0.1, 1.0, 9), PEER.CosineAnnealingLR(o, 40)], [9]
        ),
    ),
}


@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")
@pytest.mark.parametrize("name", SCHEDULES)
def test_fifty_rates(name):
    ours, theirs = SCHEDULES[name]
    peer = torch.optim.SGD([torch.zeros(1)], 0.4)
    expected = rates_of(theirs(peer), 50, peer)
    np.testing.assert_allclose([ours(step) for step in range(50)], expected, 1e-9, 1e-15)
    np.testing.assert_allclose(ours(np.arange(50)), expected, 1e-9, 1e-15)


def test_a_schedule_inside_the_program():
    arrays, batches = start(np.float64)
    theirs = {name: torch.tensor(array, requires_grad=True) for name, array in arrays.items()}
    peer = torch.optim.Adam(theirs.values(), 0.1)
    scheduler = PEER.CosineAnnealingLR(peer, STEPS)
    for batch in batches:
        peer.zero_grad()
        loss_of(torch, torch.tensor(batch), **theirs).backward()
        peer.step()
        scheduler.step()
    expected = {name: tensor.detach().numpy() for name, tensor in theirs.items()}
    parameters, twins = variables(arrays), variables(arrays)
    compiled(parameters, batches, optim.Adam(schedules.Cosine(0.1, STEPS)))
    assert_agree(parameters, expected, 1e-9)
    eager(twins, batches, optim.Adam(schedules.Cosine(0.1, STEPS), parameters=twins))
    assert_agree(twins, expected, 1e-9)


@pytest.mark.parametrize("larger_is_better", [False, True])
@pytest.mark.parametrize("cooldown", [0, 3])
def test_plateau(larger_is_better, cooldown):
    sign = -1.0 if larger_is_better else 1.0
    rng = np.random.default_rng(1)
    metrics = sign * (np.exp(-np.arange(80) / 10) + 0.05 * rng.random(80) + 0.1)
    peer = torch.optim.SGD([torch.zeros(1)], 0.4)
    theirs = PEER.ReduceLROnPlateau(
        peer,
        "max" if larger_is_better else "min",
        factor=0.5,
        patience=3,
        cooldown=cooldown,
        min_lr=0.003,
    )
    opt = optim.SGD(0.4)
    ours = schedules.ReduceOnPlateau(
        opt,
        factor=0.5,
        patience=3,
        cooldown=cooldown,
        least=0.003,
        larger_is_better=larger_is_better,
    )
    if larger_is_better:
        # PyTorch's margin is a part of the signed best, which for negative ones is no margin.
        metrics = metrics + 10.0
    for metric in metrics:
        ours.look(metric)
        theirs.step(metric)
        assert opt.rate == pytest.approx(peer.param_groups[0]["lr"], rel=1e-12)
    assert opt.rate < 0.1
