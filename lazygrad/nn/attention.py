"""Attention between sequences, and the encoder layer of a transformer; Vaswani et al. (2017)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DTypeError, OptionError, ShapeError
from ..ir.value import Value, constant
from ..ops import broadcast_to, relu, reshape, softmax, split, swapaxes, triu, where
from ..spec import differs
from .activations import gelu
from .dropout import Dropout
from .initializers import glorot_uniform
from .module import Module, generator, parameter
from .normalization import LayerNorm
from .operands import count, float_dtype, float_operand, rate_between, require_length

if TYPE_CHECKING:
    from ..spec import DTypeLike

__all__ = ["MultiHeadAttention", "TransformerEncoderLayer"]


class MultiHeadAttention(Module):
    """Attention with several heads; parameters are laid out as PyTorch's are.

    Masks have PyTorch's meaning: True in a boolean mask *leaves a key out*; a float mask is added
    to the scores. A query for which every key is left out has nothing to average, and its result
    is NaN.

    Parameters
    ----------
    features
        The length of the feature axis of queries, keys, values and the result.
    heads
        How many heads share the features; it divides *features*.
    bias
        Whether the projections have biases.
    dropout
        The part of the weights that is left out in training.

    Examples
    --------
    >>> attend = MultiHeadAttention(4, 2)
    >>> attend(np.ones((3, 5, 4), "f4"), causal=True).shape
    (3, 5, 4)
    """

    def __init__(
        self,
        features: int,
        heads: int,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        dtype: DTypeLike = np.float32,
        seed: int | np.random.Generator = 0,
    ) -> None:
        name = type(self).__name__
        self.features = count(name, "features", features)
        self.heads = count(name, "heads", heads)
        if self.features % self.heads:
            raise OptionError(f"{name}: {self.heads} heads don't divide {self.features} features.")
        self.dtype = float_dtype(name, dtype)
        rate, rng, width = rate_between(name, "dropout", dropout), generator(seed), self.features
        self.input_weight = _drawn(rng, 3 * width, width, dtype)
        self.input_bias = parameter(np.zeros(3 * width), dtype=dtype) if bias else None
        self.output_weight = _drawn(rng, width, width, dtype)
        self.output_bias = parameter(np.zeros(width), dtype=dtype) if bias else None
        self.dropout = Dropout(rate, rng) if rate else None

    def forward(
        self,
        query: Any,
        key: Any = None,
        value: Any = None,
        *,
        mask: Any = None,
        key_mask: Any = None,
        causal: bool = False,
        with_weights: bool = False,
    ) -> Any:
        """Write what each query (batch, queries, features) finds among the keys.

        Parameters
        ----------
        query, key, value
            Nodes with the axes (batch, time, features). Without *key* the queries attend to
            themselves; without *value* the keys are the values.
        mask
            Booleans, True for a key that is left out, or numbers to add to the scores: with the
            axes (queries, keys), (batch, queries, keys) or (batch, heads, queries, keys).
        key_mask
            The same for whole keys, with the axes (batch, keys): padding, for example.
        causal
            Whether each query attends to the keys up to its own place only.
        with_weights
            Whether to give the weights too, (batch, heads, queries, keys).
        """
        name = type(self).__name__
        if key is None and value is not None:
            raise OptionError(f"{name}: values came without keys.")
        queries, keys, values = self._projected(query, key, value)
        scores = (queries * (1 / sqrt(self.features // self.heads))) @ swapaxes(keys, -1, -2)
        length, others = scores.shape[-2:]
        if causal:
            later = triu(broadcast_to(constant(np.array(True)), (length, others)), k=1)
            scores = where(later, -np.inf, scores)
        if mask is not None:
            scores = _masked(scores, self._laid_mask(mask, scores))
        if key_mask is not None:
            scores = _masked(scores, self._laid_key_mask(key_mask, scores))
        weights = softmax(scores, axis=-1)
        used = weights if self.dropout is None else self.dropout(weights)
        joined = swapaxes(used @ values, 1, 2)
        batch, length = joined.shape[:2]
        result = _affine(
            reshape(joined, (batch, length, self.features)), self.output_weight, self.output_bias
        )
        return (result, weights) if with_weights else result

    def _projected(self, query: Any, key: Any, value: Any) -> list[Value]:
        """Give queries, keys and values with the axes (batch, heads, time, features per head)."""
        first = self._operand("query", query)
        if (key is None or key is query) and (value is None or value is key):
            parts = split(_affine(first, self.input_weight, self.input_bias), 3, axis=-1)
            return [self._in_heads(part) for part in parts]
        others = self._operand("key", key)
        last = others if value is None or value is key else self._operand("value", value)
        for axis, (a, b), what in (
            (0, (first, others), "queries and keys have batches"),
            (0, (first, last), "queries and values have batches"),
            (1, (others, last), "keys and values have times"),
        ):
            if differs(a.shape[axis], b.shape[axis]):
                raise ShapeError(
                    f"MultiHeadAttention: {what} of {a.shape[axis]} and {b.shape[axis]}:"
                    f" {a.spec} and {b.spec}."
                )
        weights = split(self.input_weight, 3)
        biases = [None] * 3 if self.input_bias is None else split(self.input_bias, 3)
        return [
            self._in_heads(_affine(node, weight, bias))
            for node, weight, bias in zip((first, others, last), weights, biases, strict=True)
        ]

    def _operand(self, role: str, x: Any) -> Value:
        node = float_operand(type(self).__name__, x, self.dtype)
        if node.ndim != 3:
            raise ShapeError(
                f"{type(self).__name__}: the {role} needs the axes (batch, time, features),"
                f" got {node.spec}."
            )
        require_length(type(self).__name__, node, 2, self.features, f"features of the {role}")
        return node

    def _in_heads(self, x: Value) -> Value:
        batch, length = x.shape[:2]
        parted = reshape(x, (batch, length, self.heads, self.features // self.heads))
        return swapaxes(parted, 1, 2)

    def _laid_mask(self, given: Any, scores: Value) -> Value:
        mask = _as_mask(given)
        if mask.ndim == 3:
            mask = mask[:, None]
        if mask.ndim not in (2, 4) or not _fits(mask.shape, scores.shape):
            raise ShapeError(
                _mask_words(
                    "mask",
                    given,
                    scores,
                    "(queries, keys), (batch, queries, keys) or (batch, heads, queries, keys)",
                )
            )
        return mask

    def _laid_key_mask(self, given: Any, scores: Value) -> Value:
        mask = _as_mask(given)
        if mask.ndim != 2 or not _fits(mask.shape, (scores.shape[0], scores.shape[-1])):
            raise ShapeError(_mask_words("key_mask", given, scores, "(batch, keys)"))
        return mask[:, None, None]

    def extra_repr(self) -> str:
        """Say the width and the number of heads."""
        return f"{self.features}, heads={self.heads}"


class TransformerEncoderLayer(Module):
    """Self-attention and a feed-forward network, each added to what came and normalised.

    Parameters
    ----------
    features, heads
        As in `MultiHeadAttention`.
    feedforward
        The width inside the feed-forward network.
    activation
        ``"relu"``, ``"gelu"``, ``"gelu_tanh"``, or a function of a node.
    norm_first
        Whether to normalise what goes into each part, instead of what comes out.
    dropout
        The part that is left out in training: of the weights, inside the feed-forward network, and
        of what both parts add.
    epsilon
        Of both `LayerNorm`.
    bias
        Whether projections and normalisations have biases.

    Examples
    --------
    >>> layer = TransformerEncoderLayer(4, 2, feedforward=8)
    >>> layer(np.ones((3, 5, 4), "f4"), causal=True).shape
    (3, 5, 4)
    """

    def __init__(
        self,
        features: int,
        heads: int,
        *,
        feedforward: int = 2048,
        activation: str | Callable[[Value], Value] = "relu",
        norm_first: bool = False,
        dropout: float = 0.0,
        epsilon: float = 1e-5,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
        seed: int | np.random.Generator = 0,
    ) -> None:
        name = type(self).__name__
        self.feedforward = count(name, "feedforward", feedforward)
        self.features = count(name, "features", features)
        self.norm_first = bool(norm_first)
        if not callable(activation) and activation not in _ACTIVATIONS:
            raise OptionError(
                f"{name}: activation must be one of {', '.join(map(repr, _ACTIVATIONS))},"
                f" or a function, got {activation!r}."
            )
        self.activation = activation
        rate, rng = rate_between(name, "dropout", dropout), generator(seed)
        self.attention = MultiHeadAttention(
            features, heads, bias=bias, dropout=rate, dtype=dtype, seed=rng
        )
        self.inner_weight = _drawn(rng, self.feedforward, self.features, dtype)
        self.inner_bias = parameter(np.zeros(self.feedforward), dtype=dtype) if bias else None
        self.outer_weight = _drawn(rng, self.features, self.feedforward, dtype)
        self.outer_bias = parameter(np.zeros(self.features), dtype=dtype) if bias else None
        self.attention_norm = LayerNorm(features, epsilon=epsilon, bias=bias, dtype=dtype)
        self.feedforward_norm = LayerNorm(features, epsilon=epsilon, bias=bias, dtype=dtype)
        self.dropouts = [Dropout(rate, rng) for _ in range(3)] if rate else []

    def forward(
        self, x: Any, *, mask: Any = None, key_mask: Any = None, causal: bool = False
    ) -> Value:
        """Write the layer for (batch, time, features); masks as in `MultiHeadAttention`."""

        def attend(node: Value) -> Value:
            found = self.attention(node, mask=mask, key_mask=key_mask, causal=causal)
            return self._thinned(0, found)

        node = float_operand(type(self).__name__, x, self.attention.dtype)
        if self.norm_first:
            node = node + attend(self.attention_norm(node))
            return node + self._fed(self.feedforward_norm(node))
        node = self.attention_norm(node + attend(node))
        normal: Value = self.feedforward_norm(node + self._fed(node))
        return normal

    def _fed(self, x: Value) -> Value:
        function = self.activation
        activate = function if callable(function) else _ACTIVATIONS[function]
        inner = activate(_affine(x, self.inner_weight, self.inner_bias))
        return self._thinned(
            2, _affine(self._thinned(1, inner), self.outer_weight, self.outer_bias)
        )

    def _thinned(self, place: int, x: Value) -> Value:
        return self.dropouts[place](x) if self.dropouts else x

    def extra_repr(self) -> str:
        """Say the widths, the number of heads and the order."""
        text = f"{self.features}, heads={self.attention.heads}, feedforward={self.feedforward}"
        return text + (", norm_first=True" if self.norm_first else "")


_ACTIVATIONS: dict[str, Callable[[Value], Value]] = {
    "relu": relu,
    "gelu": gelu,
    "gelu_tanh": partial(gelu, approximate="tanh"),
}


def _drawn(rng: np.random.Generator, rows: int, columns: int, dtype: DTypeLike) -> Value:
    return parameter(glorot_uniform()((rows, columns), rng), dtype=dtype)


def _affine(x: Value, weight: Value, bias: Value | None) -> Value:
    product = x @ weight.T
    return product if bias is None else product + bias


def _as_mask(given: Any) -> Value:
    mask = given if isinstance(given, Value) else constant(given)
    if mask.dtype.kind not in "bf":
        raise DTypeError(
            f"MultiHeadAttention: a mask holds bools, or floats to add, got {mask.spec}."
        )
    return mask


def _masked(scores: Value, mask: Value) -> Value:
    if mask.dtype.kind == "b":
        return where(mask, -np.inf, scores)
    return scores + mask.astype(scores.dtype)


def _fits(shape: tuple[Any, ...], whole: tuple[Any, ...]) -> bool:
    """Whether lengths agree or are 1, as far as they are known."""
    return all(a == 1 or not differs(a, b) for a, b in zip(shape[::-1], whole[::-1], strict=False))


def _mask_words(name: str, given: Any, scores: Value, axes: str) -> str:
    batch, heads, length, others = scores.shape
    return (
        f"MultiHeadAttention: {name} needs the axes {axes}, got {_as_mask(given).spec} for"
        f" batch={batch}, heads={heads}, queries={length}, keys={others}."
    )
