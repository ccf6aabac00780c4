"""Training steps of common networks, float32, against PyTorch on the same weights and batches.

Each step gets the next of several batches, from NumPy arrays. Both engines must come to the same
losses before they are timed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad import nn, optim

from . import THREADS
from .results import Row, compared
from .timing import Engine, interleaved

BATCHES = 8
CHECKED_STEPS = 4
TOLERANCE = 2e-4


@dataclass
class Workload:
    """A network in both libraries, its data, and how it is trained."""

    name: str
    ours: Callable[[np.random.Generator], nn.Module]
    theirs: Callable[[Any], Any]
    """Takes the module torch."""
    inputs: tuple[int, ...]
    targets: tuple[int, ...]
    classes: int
    optimizer: str = "SGD"
    rate: float = 0.01
    entries: int = 0
    """How many different integers the inputs hold; 0 for real numbers."""
    renamed: dict[str, str] = field(default_factory=dict)
    """Where a parameter of ours goes, for those that are not in the same order."""

    def batches(self) -> list[dict[str, np.ndarray]]:
        """Several batches, the same in each process."""
        rng = np.random.default_rng(7)
        found = []
        for _ in range(BATCHES):
            if self.entries:
                x = rng.integers(0, self.entries, self.inputs)
            else:
                x = rng.normal(size=self.inputs).astype(np.float32)
            found.append({"x": x, "t": rng.integers(0, self.classes, self.targets)})
        return found


class Perceptron(nn.Sequential):
    def __init__(self, widths, rng):
        super().__init__()
        for place, (width, height) in enumerate(itertools.pairwise(widths)):
            if place:
                self.append(nn.ReLU())
            self.append(nn.Linear(width, height, seed=rng))


def torch_perceptron(torch, widths):
    layers = []
    for place, (width, height) in enumerate(itertools.pairwise(widths)):
        layers += [torch.nn.ReLU()] if place else []
        layers.append(torch.nn.Linear(width, height))
    return torch.nn.Sequential(*layers)


def convolutional(rng):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, seed=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1, seed=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(784, 10, seed=rng),
    )


def torch_convolutional(torch):
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(8, 16, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(784, 10),
    )


class Recurrent(nn.Module):
    def __init__(self, rng):
        self.embedding = nn.Embedding(64, 128, seed=rng)
        self.layer = nn.GRU(128, 128, seed=rng)
        self.head = nn.Linear(128, 64, seed=rng)

    def forward(self, x):
        return self.head(self.layer(self.embedding(x))[0])


def torch_recurrent(torch):
    class TorchRecurrent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(64, 128)
            self.layer = torch.nn.GRU(128, 128, batch_first=True)
            self.head = torch.nn.Linear(128, 64)

        def forward(self, x):
            return self.head(self.layer(self.embedding(x))[0])

    return TorchRecurrent()


class Block(nn.Module):
    def __init__(self, rng):
        self.block = nn.TransformerEncoderLayer(
            128, 4, feedforward=512, activation="gelu_tanh", norm_first=True, seed=rng
        )
        self.head = nn.Linear(128, 10, seed=rng)

    def forward(self, x):
        return self.head(self.block(x))


def torch_block(torch):
    class TorchBlock(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.block = torch.nn.TransformerEncoderLayer(
                128,
                4,
                512,
                dropout=0.0,
                activation=lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
                batch_first=True,
                norm_first=True,
            )
            self.head = torch.nn.Linear(128, 10)

        def forward(self, x):
            return self.head(self.block(x))

    return TorchBlock()


BLOCK_NAMES = {
    "block.attention.input_weight": "block.self_attn.in_proj_weight",
    "block.attention.input_bias": "block.self_attn.in_proj_bias",
    "block.attention.output_weight": "block.self_attn.out_proj.weight",
    "block.attention.output_bias": "block.self_attn.out_proj.bias",
    "block.inner_weight": "block.linear1.weight",
    "block.inner_bias": "block.linear1.bias",
    "block.outer_weight": "block.linear2.weight",
    "block.outer_bias": "block.linear2.bias",
    "block.attention_norm.scale": "block.norm1.weight",
    "block.attention_norm.shift": "block.norm1.bias",
    "block.feedforward_norm.scale": "block.norm2.weight",
    "block.feedforward_norm.shift": "block.norm2.bias",
    "head.weight": "head.weight",
    "head.bias": "head.bias",
}


def _perceptron(name, widths, rows, optimizer, rate):
    return Workload(
        name,
        lambda rng: Perceptron(widths, rng),
        lambda torch: torch_perceptron(torch, widths),
        (rows, widths[0]),
        (rows,),
        widths[-1],
        optimizer,
        rate,
    )


SMALL, LARGE = (784, 128, 10), (1024, 1024, 1024, 10)
WORKLOADS = [
    _perceptron("MLP 784-128-10, batch 32, SGD", SMALL, 32, "SGD", 0.01),
    _perceptron("MLP 784-128-10, batch 128, SGD", SMALL, 128, "SGD", 0.01),
    _perceptron("MLP 784-128-10, batch 128, Adam", SMALL, 128, "Adam", 1e-4),
    _perceptron("MLP 1024-1024-1024-10, batch 256, Adam", LARGE, 256, "Adam", 1e-5),
    Workload("CNN 28x28, batch 64", convolutional, torch_convolutional, (64, 1, 28, 28), (64,), 10),
    Workload(
        "GRU 128, 64 steps, batch 16",
        Recurrent,
        torch_recurrent,
        (16, 64),
        (16, 64),
        64,
        entries=64,
    ),
    Workload(
        "transformer block 128, 64 tokens, batch 8",
        Block,
        torch_block,
        (8, 64, 128),
        (8, 64),
        10,
        renamed=BLOCK_NAMES,
    ),
]


def endless(batches: list[dict[str, np.ndarray]]) -> Iterator[dict[str, np.ndarray]]:
    """The batches, again and again."""
    return itertools.cycle(batches)


def engines(workload: Workload) -> dict[str, Engine]:
    """Both engines of a workload, which came to the same losses."""
    import torch

    torch.set_num_threads(THREADS)
    model = workload.ours(np.random.default_rng(0))
    x = lg.placeholder(workload.inputs, dtype="int64" if workload.entries else "float32", name="x")
    t = lg.placeholder(workload.targets, dtype="int64", name="t")
    loss = nn.cross_entropy(model(x), t)
    optimizer = getattr(optim, workload.optimizer)(workload.rate)
    program = lg.compile(loss, updates=optimizer.minimize(loss), backend="c")

    reference = workload.theirs(torch)
    named = dict(reference.named_parameters())
    order = list(named)
    for place, (path, value) in enumerate(model.named_parameters()):
        other = named[workload.renamed.get(path, order[place])]
        array = value.data if value.data.shape == tuple(other.shape) else value.data.T
        # A square matrix of Linear is transposed too.
        if path.endswith("weight") and value.ndim == 2 and _is_linear(model, path):
            array = value.data.T
        other.data = torch.tensor(np.ascontiguousarray(array))
    stepper = getattr(torch.optim, workload.optimizer)(reference.parameters(), workload.rate)

    def theirs() -> float:
        batch = next(feeds)
        stepper.zero_grad()
        scores = reference(torch.from_numpy(batch["x"]))
        labels = torch.from_numpy(batch["t"]).reshape(-1)
        found = torch.nn.functional.cross_entropy(scores.reshape(len(labels), -1), labels)
        found.backward()
        stepper.step()
        return float(found.detach())

    feeds = endless(workload.batches())
    expected = [theirs() for _ in range(CHECKED_STEPS)]
    feeds = endless(workload.batches())
    found = [float(program(**next(feeds))) for _ in range(CHECKED_STEPS)]
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, err_msg=workload.name)
    return {"lazygrad": lambda: program(**next(feeds)), "torch": theirs}


def _is_linear(model: nn.Module, path: str) -> bool:
    owner = dict(model.named_modules())[path.rpartition(".")[0]]
    return isinstance(owner, nn.Linear)


def run_networks(quick: bool) -> list[Row]:
    """Training steps of perceptrons, a CNN, a GRU and a transformer block, against PyTorch."""
    try:
        import torch as torch
    except ImportError:
        return [Row(name="networks", note="PyTorch is missing: pip install torch")]
    rows = []
    for workload in WORKLOADS:
        seconds = interleaved(engines(workload), rounds=5 if quick else 21)
        rows.append(compared(workload.name, seconds["lazygrad"], seconds["torch"], least=1.0))
    return rows
