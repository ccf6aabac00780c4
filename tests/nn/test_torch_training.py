"""Twenty steps of training against PyTorch: losses, parameters and running statistics."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn, optim

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra 'peers')")
pytestmark = pytest.mark.peers
F8 = {"dtype": torch.float64}
STEPS = 20


def as_ours(tensor, like):
    """PyTorch's array in our layout: only weights of Linear are transposed."""
    array = tensor.detach().numpy()
    return array.T if array.shape != like.shape else array


def variables_of(model):
    return [value for _, value in model.named_variables() if value.dtype.kind == "f"]


def tensors_of(model):
    """Parameters and running statistics, module by module, as ours are listed."""
    found = []
    for module in model.modules():
        own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        found += [tensor for tensor in own if tensor.is_floating_point()]
    return found


def compare(ours, theirs, pairs, optimizer, reference, shape, classes, atol=1e-11):
    for variable, tensor in pairs:
        variable.data = as_ours(tensor, variable)
    rng = np.random.default_rng(2)
    data, labels = rng.normal(size=shape), rng.integers(0, classes, shape[0])
    x = lg.placeholder(("batch", *shape[1:]), name="x")
    t = lg.placeholder(("batch",), dtype="int64", name="t")
    loss = nn.cross_entropy(ours(x), t)
    step = lg.compile(loss, updates=optimizer.minimize(loss))
    theirs.train()
    for number in range(STEPS):
        rows = slice(number % 3, None)
        got = step(x=data[rows], t=labels[rows])
        reference.zero_grad()
        expected = torch.nn.functional.cross_entropy(
            theirs(torch.tensor(data[rows])), torch.tensor(labels[rows])
        )
        expected.backward()
        reference.step()
        np.testing.assert_allclose(got, expected.item(), rtol=1e-9)
    for variable, tensor in pairs:
        np.testing.assert_allclose(
            variable.data, as_ours(tensor, variable), rtol=1e-9, atol=atol, err_msg=variable.name
        )
    theirs.eval()
    predict = lg.compile(ours(x))
    np.testing.assert_allclose(
        predict(x=data), theirs(torch.tensor(data)).detach().numpy(), rtol=1e-9, atol=1e-11
    )


def test_convolution_with_batch_statistics():
    ours = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, dtype="float64"),
        nn.BatchNorm(4, dtype="float64"),
        nn.SiLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, groups=2, bias=False, dtype="float64"),
        nn.GroupNorm(3, 6, dtype="float64"),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(6, 3, dtype="float64"),
    )
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1, **F8),
        torch.nn.BatchNorm2d(4, **F8),
        torch.nn.SiLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(4, 6, 3, groups=2, bias=False, **F8),
        torch.nn.GroupNorm(3, 6, **F8),
        torch.nn.AvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(6, 3, **F8),
    )
    pairs = list(zip(variables_of(ours), tensors_of(theirs), strict=True))
    reference = torch.optim.SGD(theirs.parameters(), 0.1, momentum=0.9, nesterov=True)
    optimizer = optim.SGD(0.1, momentum=0.9, nesterov=True)
    compare(ours, theirs, pairs, optimizer, reference, (7, 2, 8, 8), 3)


class Last(nn.Module):
    def __init__(self, layer):
        self.layer = layer
        self.head = nn.Linear(8, 3, dtype="float64")

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class TorchLast(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.head = torch.nn.Linear(8, 3, **F8)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_recurrent_layers(name):
    ours = Last(getattr(nn, name)(3, 4, layers=2, both_directions=True, dtype="float64"))
    theirs = TorchLast(
        getattr(torch.nn, name)(3, 4, num_layers=2, bidirectional=True, batch_first=True, **F8)
    )
    pairs = list(zip(variables_of(ours.layer), theirs.layer.parameters(), strict=True))
    pairs += list(zip(ours.head.parameters(), theirs.head.parameters(), strict=True))
    reference = torch.optim.RMSprop(theirs.parameters(), 0.01)
    compare(ours, theirs, pairs, optim.RMSProp(0.01), reference, (6, 5, 3), 3)


class Mean(nn.Module):
    def __init__(self, layer):
        self.layer = layer

    def forward(self, x):
        return lg.mean(self.layer(x), axis=1)


def test_a_transformer_layer():
    ours = Mean(nn.TransformerEncoderLayer(6, 2, feedforward=10, dtype="float64"))
    layer = torch.nn.TransformerEncoderLayer(
        6, 2, dim_feedforward=10, dropout=0.0, batch_first=True, **F8
    )
    own = ours.layer
    pairs = [
        (own.attention.input_weight, layer.self_attn.in_proj_weight),
        (own.attention.input_bias, layer.self_attn.in_proj_bias),
        (own.attention.output_weight, layer.self_attn.out_proj.weight),
        (own.attention.output_bias, layer.self_attn.out_proj.bias),
        (own.inner_weight, layer.linear1.weight),
        (own.inner_bias, layer.linear1.bias),
        (own.outer_weight, layer.linear2.weight),
        (own.outer_bias, layer.linear2.bias),
        (own.attention_norm.scale, layer.norm1.weight),
        (own.attention_norm.shift, layer.norm1.bias),
        (own.feedforward_norm.scale, layer.norm2.weight),
        (own.feedforward_norm.shift, layer.norm2.bias),
    ]

    class TorchMean(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x).mean(1)

    theirs = TorchMean()
    reference = torch.optim.AdamW(theirs.parameters(), 0.01)
    # A bias of the keys changes no result: its gradient is rounding, which Adam scales up.
    compare(ours, theirs, pairs, optim.AdamW(0.01), reference, (6, 5, 6), 6, atol=1e-9)
