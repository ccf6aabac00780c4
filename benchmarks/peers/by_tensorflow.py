"""The workloads in TensorFlow: functions of variables, as graphs or compiled by XLA."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import THREADS
from ..timing import Engine
from .contest import BETAS, EPSILON, Batch, endless

__all__ = [
    "block_loss",
    "chain_loss",
    "channels_last",
    "image_loss",
    "perceptron_loss",
    "recurrent_loss",
    "tensorflow_engines",
    "tensorflow_function",
    "tensorflow_module",
    "tensorflow_steps",
]


def tensorflow_module() -> Any:
    """TensorFlow with as many threads as the benchmark has."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    threading = tf.config.threading
    if threading.get_intra_op_parallelism_threads() != THREADS:
        threading.set_intra_op_parallelism_threads(THREADS)
        threading.set_inter_op_parallelism_threads(THREADS)
    return tf


def tensorflow_engines(make: Callable[[bool], Engine]) -> dict[str, Callable[[], Engine]]:
    """The engines of TensorFlow, by name: a graph, and one that XLA compiles."""
    return {"tensorflow": lambda: make(False), "tensorflow-xla": lambda: make(True)}


def tensorflow_function(
    tf: Any, function: Callable[..., Any], is_compiled: bool, *examples: np.ndarray
) -> Callable[..., Any]:
    """A function as a graph for tensors like these, called without another look at them."""
    specs = [tf.TensorSpec(example.shape, example.dtype) for example in examples]
    return tf.function(function, jit_compile=is_compiled).get_concrete_function(*specs)


def tensorflow_steps(
    loss: Callable[..., Any],
    start: Sequence[np.ndarray],
    method: str,
    rate: float,
    batches: Sequence[Batch],
) -> dict[str, Callable[[], Engine]]:
    """The engines of TensorFlow for ``loss(tf, parameters, **batch)``."""

    def make(is_compiled: bool) -> Engine:
        tf = tensorflow_module()
        parameters = [tf.Variable(p) for p in start]
        update = _adam(tf, parameters, rate) if method == "Adam" else _descent(tf, parameters, rate)

        def run(x: Any, t: Any) -> Any:
            with tf.GradientTape() as tape:
                found = loss(tf, parameters, x, t)
            gradients = tape.gradient(found, parameters)
            update([tf.convert_to_tensor(g) for g in gradients])
            return found

        step = tensorflow_function(tf, run, is_compiled, batches[0]["x"], batches[0]["t"])
        feeds = endless(batches)

        def engine() -> float:
            batch = next(feeds)
            return float(step(tf.constant(batch["x"]), tf.constant(batch["t"])))

        return engine

    return tensorflow_engines(make)


def _descent(tf: Any, parameters: list[Any], rate: float) -> Callable[[list[Any]], None]:
    def update(gradients: list[Any]) -> None:
        for p, g in zip(parameters, gradients, strict=True):
            size = tf.constant(rate, p.dtype)
            tf.raw_ops.ResourceApplyGradientDescent(var=p.handle, alpha=size, delta=g)

    return update


def _adam(tf: Any, parameters: list[Any], rate: float) -> Callable[[list[Any]], None]:
    firsts = [tf.Variable(tf.zeros_like(p)) for p in parameters]
    seconds = [tf.Variable(tf.zeros_like(p)) for p in parameters]
    powers = [tf.Variable(b, dtype="float32") for b in BETAS]

    def update(gradients: list[Any]) -> None:
        first, second = (tf.identity(power) for power in powers)
        for p, m, v, g in zip(parameters, firsts, seconds, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=p.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=first,
                beta2_power=second,
                lr=rate,
                beta1=BETAS[0],
                beta2=BETAS[1],
                epsilon=EPSILON * tf.sqrt(1 - second),
                grad=g,
            )
        for power, beta in zip(powers, BETAS, strict=True):
            power.assign(power * beta)

    return update


def cross_entropy(tf: Any, scores: Any, t: Any) -> Any:
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=t, logits=scores)
    return tf.reduce_mean(losses)


def perceptron_loss(tf: Any, parameters: list[Any], x: Any, t: Any) -> Any:
    h = x
    for i in range(0, len(parameters), 2):
        h = tf.nn.bias_add(h @ parameters[i], parameters[i + 1])
        h = tf.nn.relu(h) if i + 2 < len(parameters) else h
    if parameters[-1].shape == (1,):
        return tf.reduce_mean(tf.nn.relu(1 - t * tf.reshape(h, [-1])))
    return cross_entropy(tf, h, t)


def chain_loss(tf: Any, a: Any, b: Any, c: Any) -> Any:
    return tf.reduce_sum(tf.tanh(a * b + c) * tf.sigmoid(a - b) * tf.exp(-c * c))


def recurrent_loss(tf: Any, parameters: list[Any], x: Any, t: Any) -> Any:
    table, inputs, states, input_bias, state_bias, head, head_bias = parameters
    embedded = tf.transpose(tf.gather(table, x), [1, 0, 2])
    projected = tf.matmul(embedded, inputs, transpose_b=True) + input_bias
    turned = tf.transpose(states)

    def cell(h: Any, row: Any) -> Any:
        own = h @ turned + state_bias
        gates = tf.sigmoid(row[:, :256] + own[:, :256])
        reset, update = gates[:, :128], gates[:, 128:]
        new = tf.tanh(row[:, 256:] + reset * own[:, 256:])
        return new + update * (h - new)

    rows = tf.scan(cell, projected, tf.zeros((x.shape[0], 128)))
    scores = tf.reshape(tf.transpose(rows, [1, 0, 2]), [-1, 128]) @ head + head_bias
    return cross_entropy(tf, scores, tf.reshape(t, [-1]))


def channels_last(values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The weights, with those of convolutions as TensorFlow has them on a processor."""
    return [np.ascontiguousarray(v.transpose(2, 3, 1, 0)) if v.ndim == 4 else v for v in values]


def image_loss(tf: Any, parameters: list[Any], x: Any, t: Any) -> Any:
    first, first_bias, second, second_bias, head, head_bias = parameters

    def layer(h: Any, w: Any, b: Any) -> Any:
        h = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(h, w, 1, "VALID"), b))
        return tf.nn.max_pool2d(h, 2, 2, "VALID")

    # One channel may stand on either side.
    h = layer(tf.reshape(x, [-1, 28, 28, 1]), first, first_bias)
    h = tf.transpose(layer(h, second, second_bias), [0, 3, 1, 2])
    return cross_entropy(tf, tf.reshape(h, [-1, 400]) @ head + head_bias, t)


def block_loss(paths: list[str]) -> Callable[..., Any]:
    """The loss of a transformer block whose parameters have these paths."""

    def loss(tf: Any, parameters: list[Any], x: Any, t: Any) -> Any:
        p = dict(zip(paths, parameters, strict=True))
        rows, tokens, width = x.shape

        def linear(h: Any, weight: str, bias: str) -> Any:
            return tf.nn.bias_add(tf.matmul(h, p[weight], transpose_b=True), p[bias])

        def norm(h: Any, name: str) -> Any:
            mean, variance = tf.nn.moments(h, [-1], keepdims=True)
            scale, shift = p[f"block.{name}.scale"], p[f"block.{name}.shift"]
            return tf.nn.batch_normalization(h, mean, variance, shift, scale, 1e-5)

        # As rows of a matrix, since products of stacks are slower.
        flat = tf.reshape(x, [-1, width])
        mixed = linear(flat, "block.attention.input_weight", "block.attention.input_bias")
        parts = tf.transpose(tf.reshape(mixed, [rows, tokens, 3, 4, 32]), [2, 0, 3, 1, 4])
        q, k, v = tf.unstack(parts)
        scores = tf.nn.softmax(tf.matmul(q * 32**-0.5, k, transpose_b=True))
        joined = tf.reshape(tf.transpose(scores @ v, [0, 2, 1, 3]), [-1, width])
        joined = linear(joined, "block.attention.output_weight", "block.attention.output_bias")
        h = norm(flat + joined, "attention_norm")
        wide = tf.nn.relu(linear(h, "block.inner_weight", "block.inner_bias"))
        narrow = linear(wide, "block.outer_weight", "block.outer_bias")
        h = norm(h + narrow, "feedforward_norm")
        scores = h @ p["head.weight"] + p["head.bias"]
        return cross_entropy(tf, scores, tf.reshape(t, [-1]))

    return loss
