"""Layers against PyTorch on the same weights: results, gradients of inputs and of parameters."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra 'peers')")
pytestmark = pytest.mark.peers
functional = torch.nn.functional
F8 = {"dtype": torch.float64}


def close(ours, theirs):
    np.testing.assert_allclose(
        ours, theirs.detach().numpy(), rtol=1e-9, atol=1e-12, equal_nan=False
    )


def flat(results):
    """The nodes or tensors of a result, also of nested tuples."""
    if isinstance(results, (tuple, list)):
        return [entry for result in results for entry in flat(result)]
    return [results]


def compare(ours, theirs, inputs, pairs):
    """Compare what two functions give for arrays, and the gradients of a sum of uneven weights.

    *pairs* holds our parameters with PyTorch's, and whether PyTorch's is transposed.
    """
    rng = np.random.default_rng(5)
    for parameter, other, transposed in pairs:
        drawn = rng.normal(size=other.shape)
        other.data, other.grad = torch.tensor(drawn), None
        parameter.data = drawn.T if transposed else drawn
    nodes = [lg.placeholder(array.shape, name=f"x{i}") for i, array in enumerate(inputs)]
    results = flat(ours(*nodes))
    seeds = [rng.normal(size=result.shape) for result in results]
    loss = sum((seed * result).sum() for seed, result in zip(seeds, results, strict=True))
    leaves = [*nodes, *(parameter for parameter, _, _ in pairs)]
    program = lg.compile([*results, *lg.grad(loss, leaves)])
    got = program(**{f"x{i}": array for i, array in enumerate(inputs)})
    tensors = [torch.tensor(array, requires_grad=True) for array in inputs]
    expected = flat(theirs(*tensors))
    sum((torch.tensor(s) * e).sum() for s, e in zip(seeds, expected, strict=True)).backward()
    for ours_, theirs_ in zip(got, expected, strict=False):
        close(ours_, theirs_)
    gradients = got[len(results) :]
    for gradient, tensor in zip(gradients, tensors, strict=False):
        close(gradient, tensor.grad)
    for gradient, (_, other, transposed) in zip(gradients[len(nodes) :], pairs, strict=True):
        close(gradient.T if transposed else gradient, other.grad)


def drawn(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


# Activations

ACTIVATIONS = {
    "relu": (nn.ReLU(), torch.nn.ReLU()),
    "leaky_relu": (nn.LeakyReLU(0.2), torch.nn.LeakyReLU(0.2)),
    "elu": (nn.ELU(0.7), torch.nn.ELU(0.7)),
    "selu": (nn.SELU(), torch.nn.SELU()),
    "gelu": (nn.GELU(), torch.nn.GELU()),
    "gelu, tanh": (nn.GELU("tanh"), torch.nn.GELU("tanh")),
    "silu": (nn.SiLU(), torch.nn.SiLU()),
    "mish": (nn.Mish(), torch.nn.Mish()),
    "softplus": (nn.Softplus(), torch.nn.Softplus(threshold=100)),
    "softsign": (nn.Softsign(), torch.nn.Softsign()),
    "sigmoid": (nn.Sigmoid(), torch.nn.Sigmoid()),
    "tanh": (nn.Tanh(), torch.nn.Tanh()),
    # PyTorch's own takes 1 / 6 in float32.
    "hard_sigmoid": (nn.HardSigmoid(), lambda x: functional.relu6(x + 3) / 6),
    "hard_tanh": (nn.HardTanh(-0.5, 2), torch.nn.Hardtanh(-0.5, 2)),
    "hard_swish": (nn.HardSwish(), torch.nn.Hardswish()),
    "softmax": (nn.Softmax(), torch.nn.Softmax(-1)),
    "log_softmax": (nn.LogSoftmax(0), torch.nn.LogSoftmax(0)),
    "glu": (nn.GLU(), torch.nn.GLU()),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    ours, theirs = ACTIVATIONS[name]
    x = np.concatenate([3 * drawn(50), [0.0, -0.0, 30.0, -30.0]]).reshape(-1, 6)
    compare(ours, theirs, [x], [])


# Matrices


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 4, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(shape, bias):
    ours = nn.Linear(3, 4, bias=bias, dtype="float64")
    theirs = torch.nn.Linear(3, 4, bias=bias, **F8)
    pairs = [(ours.weight, theirs.weight, True)]
    if bias:
        pairs.append((ours.bias, theirs.bias, False))
    compare(ours, theirs, [drawn(*shape)], pairs)


@pytest.mark.parametrize("padding", [None, 2])
def test_embedding(padding):
    indices = np.array([[0, 2, 4], [2, 2, 1]])
    ours = nn.Embedding(5, 3, padding_index=padding, dtype="float64")
    theirs = torch.nn.Embedding(5, 3, padding_idx=padding, **F8)
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(ours.weight.data))
    scale = drawn(2, 3, 3)
    loss = (scale * ours(indices)).sum()
    loss.backward()
    expected = (torch.tensor(scale) * theirs(torch.tensor(indices))).sum()
    expected.backward()
    close(loss.data, expected)
    close(ours.weight.grad, theirs.weight.grad)


def test_twenty_steps_of_a_model_with_dropped_rates_of_zero():
    rng = np.random.default_rng(0)
    ours = nn.Sequential(
        nn.Linear(3, 8, dtype="float64", seed=rng),
        nn.GELU(),
        nn.LayerNorm(8, dtype="float64"),
        nn.Dropout(0.0, seed=rng),
        nn.Linear(8, 2, dtype="float64", seed=rng),
    )
    theirs = torch.nn.Sequential(
        torch.nn.Linear(3, 8, **F8),
        torch.nn.GELU(),
        torch.nn.LayerNorm(8, **F8),
        torch.nn.Dropout(0.0),
        torch.nn.Linear(8, 2, **F8),
    )
    with torch.no_grad():
        for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.copy_(torch.tensor(parameter.data.T if parameter.ndim == 2 else parameter.data))
    data, labels = drawn(6, 3), np.array([0, 1, 1, 0, 1, 0])
    x = lg.placeholder(("batch", 3), name="x")
    t = lg.placeholder(("batch",), dtype="int64", name="t")
    loss = nn.cross_entropy(ours(x), t)
    step = lg.compile(loss, updates=lg.optim.Adam(0.01).minimize(loss))
    optimizer = torch.optim.Adam(theirs.parameters(), 0.01)
    for _ in range(20):
        value = step(x=data, t=labels)
        optimizer.zero_grad()
        expected = functional.cross_entropy(theirs(torch.tensor(data)), torch.tensor(labels))
        expected.backward()
        optimizer.step()
        close(value, expected)
    for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        close(parameter.data.T if parameter.ndim == 2 else parameter.data, other)


# Recurrent layers

CELLS = {
    "rnn": (nn.RNNCell, torch.nn.RNNCell, {}),
    "rnn, relu": (nn.RNNCell, torch.nn.RNNCell, {"nonlinearity": "relu"}),
    "lstm": (nn.LSTMCell, torch.nn.LSTMCell, {}),
    "gru": (nn.GRUCell, torch.nn.GRUCell, {}),
}


def same_order(ours, theirs):
    return [
        (parameter, other, False)
        for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True)
    ]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", CELLS)
def test_cells(name, bias):
    made, reference, options = CELLS[name]
    ours = made(3, 4, bias=bias, dtype="float64", **options)
    theirs = reference(3, 4, bias=bias, **options, **F8)
    states = 2 if made is nn.LSTMCell else 1

    def applied(cell):
        return lambda x, *state: cell(x, state if states == 2 else state[0])

    inputs = [drawn(2, 3), *(drawn(2, 4 + i)[:, :4] for i in range(states))]
    compare(applied(ours), applied(theirs), inputs, same_order(ours, theirs))
    compare(ours, theirs, [drawn(2, 3)], same_order(ours, theirs))


LAYERS = {
    "rnn": (nn.RNN, torch.nn.RNN),
    "lstm": (nn.LSTM, torch.nn.LSTM),
    "gru": (nn.GRU, torch.nn.GRU),
}


@pytest.mark.parametrize("unroll", [False, True], ids=["looped", "unrolled"])
@pytest.mark.parametrize(
    ("layers", "both", "time_axis", "given"),
    [(1, False, 0, True), (2, False, 1, False), (2, True, 1, True)],
)
@pytest.mark.parametrize("name", LAYERS)
def test_recurrent_layers(name, layers, both, time_axis, given, unroll):
    made, reference = LAYERS[name]
    ours = made(
        3,
        4,
        layers=layers,
        both_directions=both,
        time_axis=time_axis,
        unroll=unroll,
        dtype="float64",
    )
    theirs = reference(
        3, 4, num_layers=layers, bidirectional=both, batch_first=time_axis == 1, **F8
    )
    inputs = [drawn(2, 5, 3) if time_axis else drawn(5, 2, 3)]
    if given:
        shape = (layers * (1 + both), 2, 4)
        inputs += [drawn(*shape) + i for i in range(2 if name == "lstm" else 1)]

    def applied(layer):
        def call(x, *state):
            if not state:
                return layer(x)
            return layer(x, state if len(state) == 2 else state[0])

        return call

    compare(applied(ours), applied(theirs), inputs, same_order(ours, theirs))


# Attention


def attention(heads=2, bias=True):
    ours = nn.MultiHeadAttention(6, heads, bias=bias, dtype="float64")
    theirs = torch.nn.MultiheadAttention(6, heads, bias=bias, batch_first=True, **F8)
    pairs = [
        (ours.input_weight, theirs.in_proj_weight, False),
        (ours.output_weight, theirs.out_proj.weight, False),
    ]
    if bias:
        pairs += [
            (ours.input_bias, theirs.in_proj_bias, False),
            (ours.output_bias, theirs.out_proj.bias, False),
        ]
    return ours, theirs, pairs


MASK = np.array(
    [[False, False, True], [False, True, False], [False, False, False], [True, False, False]]
)
ADDED = drawn(4, 3)
KEYS = np.array([[False, False, True], [False, False, False]])
LATER = np.triu(np.ones((4, 4), bool), 1)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("own", "other"),
    [
        ({}, {}),
        ({"mask": MASK}, {"attn_mask": torch.tensor(MASK)}),
        ({"mask": ADDED}, {"attn_mask": torch.tensor(ADDED)}),
        ({"key_mask": KEYS}, {"key_padding_mask": torch.tensor(KEYS)}),
        (
            {"mask": MASK, "key_mask": KEYS},
            {"attn_mask": torch.tensor(MASK), "key_padding_mask": torch.tensor(KEYS)},
        ),
    ],
    ids=["plain", "mask", "added", "keys", "both"],
)
def test_attention_between_sequences(own, other, bias):
    ours, theirs, pairs = attention(bias=bias)
    inputs = [drawn(2, 4, 6), drawn(2, 3, 6), drawn(2, 3, 6) + 1]
    compare(
        lambda q, k, v: ours(q, k, v, with_weights=True, **own),
        lambda q, k, v: theirs(q, k, v, average_attn_weights=False, **other),
        inputs,
        pairs,
    )


@pytest.mark.parametrize("heads", [1, 3])
def test_attention_of_a_sequence_to_its_past(heads):
    ours, theirs, pairs = attention(heads)
    compare(
        lambda x: ours(x, causal=True),
        lambda x: theirs(x, x, x, attn_mask=torch.tensor(LATER))[0],
        [drawn(2, 4, 6)],
        pairs,
    )


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_encoder_layer(norm_first, activation):
    options = {"norm_first": norm_first, "activation": activation, "dropout": 0.0}
    ours = nn.TransformerEncoderLayer(6, 2, feedforward=10, dtype="float64", **options)
    theirs = torch.nn.TransformerEncoderLayer(
        6, 2, dim_feedforward=10, batch_first=True, **options, **F8
    )
    pairs = [
        (ours.attention.input_weight, theirs.self_attn.in_proj_weight, False),
        (ours.attention.input_bias, theirs.self_attn.in_proj_bias, False),
        (ours.attention.output_weight, theirs.self_attn.out_proj.weight, False),
        (ours.attention.output_bias, theirs.self_attn.out_proj.bias, False),
        (ours.inner_weight, theirs.linear1.weight, False),
        (ours.inner_bias, theirs.linear1.bias, False),
        (ours.outer_weight, theirs.linear2.weight, False),
        (ours.outer_bias, theirs.linear2.bias, False),
        (ours.attention_norm.scale, theirs.norm1.weight, False),
        (ours.attention_norm.shift, theirs.norm1.bias, False),
        (ours.feedforward_norm.scale, theirs.norm2.weight, False),
        (ours.feedforward_norm.shift, theirs.norm2.bias, False),
    ]
    compare(
        lambda x: ours(x, causal=True),
        lambda x: theirs(x, src_mask=torch.tensor(LATER)),
        [drawn(2, 4, 6)],
        pairs,
    )
