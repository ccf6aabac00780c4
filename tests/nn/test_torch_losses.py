"""Every loss against PyTorch: value and gradients, each reduction and option, float64."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra 'peers')")
pytestmark = pytest.mark.peers
functional = torch.nn.functional

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(4, 5)), RNG.normal(size=(4, 5))
SHARES = RNG.uniform(0.01, 0.99, (4, 5)), RNG.uniform(0.01, 0.99, (4, 5))
SIGNS = RNG.normal(size=(4, 5)), RNG.choice([-1.0, 1.0], (4, 5))
COUNTS = RNG.uniform(0.1, 3, (4, 5)), RNG.integers(0, 5, (4, 5)).astype(float)
WEIGHT = RNG.uniform(0.5, 2, (4, 5))
LOGS = np.log(SHARES[0] / SHARES[0].sum(1, keepdims=True))
ROWS = SHARES[1] / SHARES[1].sum(1, keepdims=True)

# Ours, PyTorch's, the operands, options of ours, options of PyTorch's.
NUMBERS = {
    "mse": (nn.mse, functional.mse_loss, REAL, {}, {}),
    "mae": (nn.mae, functional.l1_loss, REAL, {}, {}),
    "huber": (nn.huber, functional.huber_loss, REAL, {}, {}),
    "huber, delta": (nn.huber, functional.huber_loss, REAL, {"delta": 0.3}, {"delta": 0.3}),
    "bce": (nn.binary_cross_entropy, functional.binary_cross_entropy, SHARES, {}, {}),
    "bce, weight": (
        nn.binary_cross_entropy,
        functional.binary_cross_entropy,
        SHARES,
        {"weight": WEIGHT},
        {"weight": torch.tensor(WEIGHT)},
    ),
    "bce, logits": (
        nn.binary_cross_entropy_with_logits,
        functional.binary_cross_entropy_with_logits,
        (REAL[0], SHARES[1]),
        {},
        {},
    ),
    "bce, logits, weights": (
        nn.binary_cross_entropy_with_logits,
        functional.binary_cross_entropy_with_logits,
        (REAL[0], SHARES[1]),
        {"weight": WEIGHT, "positive_weight": WEIGHT[0]},
        {"weight": torch.tensor(WEIGHT), "pos_weight": torch.tensor(WEIGHT[0])},
    ),
    "kl": (nn.kl_div, functional.kl_div, (LOGS, ROWS), {}, {}),
    "kl, logs": (
        nn.kl_div,
        functional.kl_div,
        (LOGS, np.log(ROWS)),
        {"log_target": True},
        {"log_target": True},
    ),
    "poisson": (nn.poisson, functional.poisson_nll_loss, COUNTS, {}, {}),
    "poisson, counts": (
        nn.poisson,
        functional.poisson_nll_loss,
        COUNTS,
        {"log_input": False},
        {"log_input": False},
    ),
}


def compare(ours, theirs, prediction, target, differentiable=True):
    """Compare a loss of two arrays: value, and the gradients of a sum with uneven weights."""
    x, t = lg.Value(prediction), lg.Value(target, requires_grad=differentiable)
    a = torch.tensor(prediction, requires_grad=True)
    b = torch.tensor(target, requires_grad=differentiable)
    loss, expected = ours(x, t), theirs(a, b)
    np.testing.assert_allclose(loss.data, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    seed = np.random.default_rng(1).normal(size=loss.shape)
    loss.backward(seed=seed)
    expected.backward(torch.tensor(seed))
    np.testing.assert_allclose(x.grad, a.grad.numpy(), rtol=1e-9, atol=1e-12)
    if differentiable and b.grad is not None:
        np.testing.assert_allclose(t.grad, b.grad.numpy(), rtol=1e-9, atol=1e-12)


# PyTorch warns that its mean of kl_div will change.
@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", NUMBERS)
def test_losses_of_numbers(name, reduction):
    ours, theirs, (prediction, target), own, other = NUMBERS[name]
    compare(
        lambda x, t: ours(x, t, reduction=reduction, **own),
        lambda a, b: theirs(a, b, reduction=reduction, **other),
        prediction,
        target,
    )


def test_divergence_by_batch():
    compare(
        lambda x, t: nn.kl_div(x, t, reduction="batchmean"),
        lambda a, b: functional.kl_div(a, b, reduction="batchmean"),
        LOGS,
        ROWS,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_hinge_as_torch_has_it_for_embeddings_of_signs(reduction):
    prediction, target = SIGNS
    compare(
        lambda x, t: nn.hinge(x, t, reduction=reduction),
        lambda a, b: functional.hinge_embedding_loss(
            a * b, -torch.ones_like(a), reduction=reduction
        ),
        prediction,
        target,
    )


def test_log_cosh_and_rmse_by_their_definitions():
    compare(nn.log_cosh, lambda a, b: torch.log(torch.cosh(a - b)).mean(), *REAL)
    compare(nn.rmse, lambda a, b: torch.sqrt(functional.mse_loss(a, b)), *REAL)


CLASS_WEIGHT = np.array([0.5, 2.0, 1.0, 0.0, 3.0])
OPTIONS = [
    {},
    {"weight": CLASS_WEIGHT},
    {"ignore_index": 2},
    {"label_smoothing": 0.2},
    {"weight": CLASS_WEIGHT, "ignore_index": 2, "label_smoothing": 0.3},
]


def as_torch(options):
    return {
        name: torch.tensor(value) if name == "weight" else value for name, value in options.items()
    }


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_cross_entropy_of_labels(options, reduction):
    scores, labels = RNG.normal(size=(6, 5, 3)), np.arange(18).reshape(6, 3) % 5
    compare(
        lambda x, t: nn.cross_entropy(x, t, axis=1, reduction=reduction, **options),
        lambda a, b: functional.cross_entropy(a, b, reduction=reduction, **as_torch(options)),
        scores,
        labels,
        differentiable=False,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    "options", [{}, {"weight": CLASS_WEIGHT}, {"label_smoothing": 0.2}], ids=str
)
def test_cross_entropy_of_probabilities(options, reduction):
    compare(
        lambda x, t: nn.cross_entropy(x, t, reduction=reduction, **options),
        lambda a, b: functional.cross_entropy(a, b, reduction=reduction, **as_torch(options)),
        RNG.normal(size=(4, 5)),
        ROWS,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("options", OPTIONS[:3], ids=str)
def test_nll(options, reduction):
    compare(
        lambda x, t: nn.nll(x, t, reduction=reduction, **options),
        lambda a, b: functional.nll_loss(a, b, reduction=reduction, **as_torch(options)),
        LOGS,
        np.array([0, 2, 4, 1]),
        differentiable=False,
    )


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("weight", [None, CLASS_WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_multiclass_hinge(reduction, weight, squared):
    compare(
        lambda x, t: nn.multiclass_hinge(
            x, t, margin=0.7, squared=squared, weight=weight, reduction=reduction
        ),
        lambda a, b: functional.multi_margin_loss(
            a,
            b,
            margin=0.7,
            p=2 if squared else 1,
            weight=None if weight is None else torch.tensor(weight),
            reduction=reduction,
        ),
        RNG.normal(size=(4, 5)),
        np.array([0, 2, 4, 1]),
        differentiable=False,
    )
