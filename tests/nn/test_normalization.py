"""Normalisation against PyTorch, and its running statistics."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.nn.normalization import BatchNorm, GroupNorm, LayerNorm, RMSNorm

DATA = np.random.default_rng(0).normal(2.0, 3.0, (4, 6, 3, 2))


def torch_or_skip():
    return pytest.importorskip("torch", reason="PyTorch is not installed (extra 'peers')")


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-9, atol=1e-12)


def compare(layer, reference, data, train=True):
    """Output, gradient of the input and of the parameters, for a loss that isn't symmetric."""
    torch = torch_or_skip()
    rng = np.random.default_rng(1)
    for ours, theirs in zip(layer.parameters(), reference.parameters(), strict=True):
        drawn = rng.normal(size=theirs.shape)
        ours.data = drawn
        theirs.data = torch.tensor(drawn)
    x = lg.placeholder(data.shape, name="x")
    y = layer(x)
    weights = rng.normal(size=data.shape)
    loss = (weights * lg.tanh(y)).sum()
    parameters = layer.parameters()
    program = lg.compile([y, *lg.grad(loss, [x, *parameters])], train=train)
    value, gradient, *others = program(x=data)
    reference.zero_grad()
    reference.train(train)
    given = torch.tensor(data, requires_grad=True)
    expected = reference(given)
    (torch.tensor(weights) * torch.tanh(expected)).sum().backward()
    close(value, expected)
    close(gradient, given.grad)
    for ours, theirs in zip(others, reference.parameters(), strict=True):
        close(ours, theirs.grad)


@pytest.mark.peers
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("rank", [2, 3, 4])
def test_batch_norm_as_torch_has_it(rank, train):
    torch = torch_or_skip()
    made = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d}[rank]
    reference = made(6, eps=1e-3, momentum=0.3, dtype=torch.float64)
    layer = BatchNorm(6, epsilon=1e-3, momentum=0.3, dtype="float64")
    data = DATA[(...,) + (0,) * (4 - rank)]
    for _ in range(3):
        compare(layer, reference, data, train)
    close(layer.running_mean.data, reference.running_mean)
    close(layer.running_variance.data, reference.running_var)


@pytest.mark.peers
@pytest.mark.parametrize("data", [DATA[:, :, 0, 0], DATA], ids=["rows", "images"])
def test_layer_rms_and_group_norm_as_torch_has_them(data):
    torch = torch_or_skip()
    shape = data.shape[1:]
    f8 = {"dtype": torch.float64}
    compare(LayerNorm(shape, dtype="f8"), torch.nn.LayerNorm(shape, **f8), data)
    compare(
        LayerNorm(shape[-1], bias=False, epsilon=1e-2, dtype="f8"),
        torch.nn.LayerNorm(shape[-1], bias=False, eps=1e-2, **f8),
        data,
    )
    compare(RMSNorm(shape, dtype="f8"), torch.nn.RMSNorm(shape, eps=1e-6, **f8), data)
    compare(GroupNorm(3, 6, dtype="f8"), torch.nn.GroupNorm(3, 6, **f8), data)
    compare(
        GroupNorm(2, 6, affine=False, dtype="f8"),
        torch.nn.GroupNorm(2, 6, affine=False, **f8),
        data,
    )


@pytest.mark.parametrize("made", [BatchNorm, GroupNorm])
def test_the_features_may_be_the_last_axis(made):
    arguments = (6,) if made is BatchNorm else (2, 6)
    first = made(*arguments, dtype="float64").train()(DATA).data
    last = made(*arguments, axis=-1, dtype="float64").train()(np.moveaxis(DATA, 1, -1)).data
    np.testing.assert_allclose(last, np.moveaxis(first, 1, -1), rtol=1e-12)


@pytest.mark.parametrize("layer", [BatchNorm(6), LayerNorm(2), RMSNorm(2), GroupNorm(2, 6)])
def test_float32_stays_and_integers_become_it(layer):
    layer.train()
    assert layer(DATA.astype(np.float32)).dtype == np.float32
    assert layer(np.ones((4, 6, 3, 2), np.uint8)).data.dtype == np.float32
    with pytest.warns(lg.PrecisionWarning, match="float64 data meets float32 parameters"):
        assert layer(DATA).dtype == np.float64
    loss = layer(lg.constant(DATA.astype(np.float32))).sum()
    assert all(g.dtype == np.float32 for g in lg.grad(loss, layer.parameters()))


def test_a_training_step_updates_once_a_call():
    layer = BatchNorm(6, dtype="float64")
    x = lg.placeholder(("batch", 6), name="x")
    loss = (layer(x) ** 3).sum() + (layer.shift**2).sum()
    opt = {
        p: p - 0.1 * g
        for p, g in zip(layer.parameters(), lg.grad(loss, layer.parameters()), strict=True)
    }
    step = lg.compile(loss, updates=opt)
    data = DATA[:, :, 0, 0]
    step(x=data)
    np.testing.assert_allclose(layer.running_mean.data, 0.1 * data.mean(0))
    np.testing.assert_allclose(layer.running_variance.data, 0.9 + 0.1 * data.var(0, ddof=1))
    step(x=data)
    np.testing.assert_allclose(layer.running_mean.data, 0.19 * data.mean(0))


def test_prediction_uses_the_running_statistics_though_the_layer_trains():
    layer = BatchNorm(6, dtype="float64").train()
    layer.running_mean.data = np.arange(6.0)
    x = lg.placeholder(("batch", 6), name="x")
    logits = layer(x)
    assert layer.training
    predict = lg.compile(logits)
    data = DATA[:, :, 0, 0]
    expected = (data - np.arange(6.0)) / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(predict(x=data), expected, rtol=1e-12)
    np.testing.assert_allclose(predict(x=data[:1]), expected[:1], rtol=1e-12)
    np.testing.assert_array_equal(layer.running_mean.data, np.arange(6.0))
    np.testing.assert_array_equal(layer.running_variance.data, np.ones(6))


def test_a_frozen_layer_uses_and_keeps_its_running_statistics():
    layer = BatchNorm(6, dtype="float64").freeze()
    layer.running_mean.data = np.arange(6.0)
    x, w = lg.placeholder(("batch", 6), name="x"), lg.Value(2.0)
    y = layer(w * x)
    step = lg.compile(y, updates={w: w + 1.0})
    data = DATA[:, :, 0, 0]
    np.testing.assert_allclose(step(x=data), (2 * data - np.arange(6.0)) / np.sqrt(1 + 1e-5))
    np.testing.assert_array_equal(layer.running_mean.data, np.arange(6.0))
    assert layer.unfreeze().frozen is False
    lg.compile(layer(x), train=True)(x=data)
    assert (layer.running_mean.data != np.arange(6.0)).any()


def test_a_large_mean_costs_no_digits_in_prediction():
    layer = BatchNorm(1).eval()
    layer.running_mean.data = [4096.0]
    layer.running_variance.data = [1e-4]
    got = layer(np.array([[4096.25]], np.float32)).data
    np.testing.assert_allclose(got, 0.25 / np.sqrt(1e-4 + 1e-5), rtol=1e-6)


def test_forward_and_backward_update_once():
    layer = BatchNorm(6, dtype="float64").train()
    data = DATA[:, :, 0, 0]
    loss = (layer(data) ** 3).sum()
    assert loss.data.shape == ()
    np.testing.assert_array_equal(layer.running_mean.data, np.zeros(6))
    loss.forward()
    loss.backward()
    np.testing.assert_allclose(layer.running_mean.data, 0.1 * data.mean(0))


def test_one_entry_has_no_variance_to_train_with():
    layer = BatchNorm(6, dtype="float64").train()
    with pytest.raises(lg.ShapeError, match=r"BatchNorm: one entry .* got float64\[1, 6\]"):
        layer(np.ones((1, 6)))
    assert layer(np.ones((1, 6, 2))).shape == (1, 6, 2)
    assert layer.eval()(np.ones((1, 6))).shape == (1, 6)


@pytest.mark.parametrize("batch", [0, 1])
def test_one_entry_or_none_at_run_time_keeps_the_variance(batch):
    layer = BatchNorm(2, dtype="float64")
    layer.shift.data = [5.0, 6.0]
    layer.running_variance.data = [2.0, 3.0]
    x = lg.placeholder(("batch", 2), name="x")
    y = layer(x)
    program = lg.compile([y, lg.grad(y.sum(), x)], train=True)
    value, gradient = program(x=[[1.0, 2.0]] * batch if batch else np.zeros((0, 2)))
    np.testing.assert_array_equal(value, [[5.0, 6.0]] * batch if batch else np.zeros((0, 2)))
    np.testing.assert_array_equal(gradient, np.zeros((batch, 2)))
    np.testing.assert_array_equal(layer.running_variance.data, [2.0, 3.0])
    np.testing.assert_allclose(layer.running_mean.data, [0.1 * batch, 0.2 * batch])


def test_state_is_found_by_name_and_only_parameters_train():
    layer = BatchNorm(2)
    assert [name for name, _ in layer.named_parameters()] == ["scale", "shift"]
    assert [name for name, _ in layer.named_buffers()] == ["running_mean", "running_variance"]


def test_a_layer_written_twice_on_one_operand_is_one():
    layer = BatchNorm(2, dtype="float64")
    x = lg.placeholder(("batch", 2), name="x")
    program = lg.compile([layer(x).sum(), (layer(x) ** 2).sum()], train=True)
    data = DATA[:, :2, 0, 0]
    program(x=data)
    np.testing.assert_allclose(layer.running_mean.data, 0.1 * data.mean(0))
    loss = (layer.train()(x) * layer(x)).sum()
    loss.forward(x=data)
    loss.backward()
    np.testing.assert_allclose(layer.running_mean.data, 0.19 * data.mean(0))


def test_one_layer_used_twice_in_training_is_refused_by_name():
    layer = BatchNorm(2)
    twice = layer(layer(np.ones((4, 2), np.float32))).sum()
    with pytest.raises(
        lg.OptionError, match=r"running_\w+ is updated twice .* call its layer once"
    ):
        lg.compile(twice, train=True)
    assert lg.compile(twice)().shape == ()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: BatchNorm(6)(np.ones((4, 5), np.float32)),
            r"BatchNorm: expected 6 features along axis 1, g",
        ),
        (lambda: BatchNorm(6)(np.ones(6, np.float32)), "BatchNorm: needs a batch axis"),
        (lambda: BatchNorm(0), "BatchNorm: features must be a positive integer, got 0"),
        (lambda: BatchNorm(2, momentum=1.5), "BatchNorm: momentum must be a number from 0 to 1"),
        (lambda: BatchNorm(2, dtype="int64"), "BatchNorm: dtype must be a float type, got int64"),
        (
            lambda: LayerNorm(6)(np.ones((4, 5), np.float32)),
            "LayerNorm: expected 6 features along axis 1",
        ),
        (
            lambda: LayerNorm((6, 5))(np.ones(5, np.float32)),
            r"LayerNorm: expected last axes of \[6, 5\]",
        ),
        (lambda: LayerNorm(()), "LayerNorm: needs at least one axis"),
        (lambda: LayerNorm(2, epsilon=-1), "LayerNorm: epsilon must not be negative"),
        (
            lambda: RMSNorm(6)(np.ones((4, 5), np.float32)),
            "RMSNorm: expected 6 features along axis 1, got 5",
        ),
        (lambda: GroupNorm(4, 6), "GroupNorm: 4 groups don't divide 6 features"),
        (
            lambda: GroupNorm(2, 6)(np.ones((4, 5), np.float32)),
            "GroupNorm: expected 6 features along axis 1",
        ),
        (lambda: GroupNorm(2, 6)(np.ones(6, np.float32)), "GroupNorm: needs a batch axis"),
    ],
)
def test_errors_name_the_layer(make, words):
    with pytest.raises(lg.GraphError, match=words):
        make()
