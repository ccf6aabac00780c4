"""Activations far from 0, and bad options."""

from math import erfc, sqrt

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn


def test_activations_far_out():
    far = np.array([-1e3, 1e3, -1e30, 1e30], np.float32)
    for function in (nn.elu, nn.selu, nn.gelu, nn.silu, nn.mish, nn.softsign, nn.hard_swish):
        x = lg.Value(far)
        y = function(x)
        y.backward()
        assert np.isfinite(y.data).all(), function
        assert np.isfinite(x.grad).all(), function


def test_gelu_keeps_its_digits_on_the_left():
    x = np.linspace(-8, -1, 20)
    expected = [v * erfc(-v / sqrt(2)) / 2 for v in x]
    np.testing.assert_allclose(nn.gelu(x).data, expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nn.GELU("erf")(1.0), lg.OptionError, "approximate must be 'none' or 'tanh'"),
        (lambda: nn.hard_tanh(1.0, 2, 1), lg.OptionError, "hard_tanh: low is 2, not below high"),
        (lambda: nn.glu(np.ones(3)), lg.ShapeError, "glu: can't halve the 3 entries"),
    ],
)
def test_bad_calls_name_the_activation(call, error, words):
    with pytest.raises(error, match=words):
        call()
