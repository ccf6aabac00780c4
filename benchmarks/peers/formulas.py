"""W4, W7 and W8: a formula over large arrays, a graph of scalars, and a call as such."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lazygrad as lg

from ..timing import Engine
from . import by_tensorflow, by_tinygrad
from .by_tensorflow import tensorflow_engines, tensorflow_function, tensorflow_module
from .by_tinygrad import tinygrad_module
from .by_torch import chain_loss, torch_module
from .contest import OURS, Contest, jax_module

__all__ = ["contests"]


def _data(n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=n).astype(np.float32) for _ in range(3)]


def chain(n: int) -> Contest:
    def ours() -> Engine:
        a, b, c = (lg.placeholder((n,), dtype="float32", name=k, requires_grad=True) for k in "abc")
        y = lg.sum(lg.tanh(a * b + c) * lg.sigmoid(a - b) * lg.exp(-c * c))
        program = lg.compile([y, *lg.grad(y, [a, b, c])], backend="c")
        feeds = dict(zip("abc", _data(n), strict=True))
        return lambda: program(**feeds)[0]

    def by_hand() -> Engine:
        a, b, c = _data(n)

        def engine() -> float:
            t = np.tanh(a * b + c)
            s = 1 / (1 + np.exp(b - a))
            e = np.exp(-c * c)
            ts, se = t * s, s * e
            dt = se * (1 - t * t)
            ds = t * e * s * (1 - s)
            result = (ts * e).sum(), dt * b + ds, dt * a - ds, dt - 2 * c * ts * e
            return float(result[0])

        return engine

    def jax() -> Engine:
        module = jax_module()
        jnp = module.numpy

        def formula(a: Any, b: Any, c: Any) -> Any:
            return jnp.sum(jnp.tanh(a * b + c) * module.nn.sigmoid(a - b) * jnp.exp(-c * c))

        compiled = module.jit(module.value_and_grad(formula, argnums=(0, 1, 2)))
        data = _data(n)

        def engine() -> float:
            value, gradients = compiled(*data)
            gradients[0].block_until_ready()
            return float(value)

        return engine

    def torch(is_compiled: bool) -> Engine:
        module = torch_module()
        data = [module.from_numpy(v).requires_grad_() for v in _data(n)]

        def formula(a: Any, b: Any, c: Any) -> Any:
            return chain_loss(module, a, b, c)

        forward = module.compile(formula) if is_compiled else formula

        def engine() -> float:
            for v in data:
                v.grad = None
            value = forward(*data)
            value.backward()
            return float(value.detach())

        return engine

    def tensorflow(is_compiled: bool) -> Engine:
        tf = tensorflow_module()
        data = _data(n)

        def formula(*given: Any) -> Any:
            value = by_tensorflow.chain_loss(tf, *given)
            return value, tf.gradients(value, given)

        run = tensorflow_function(tf, formula, is_compiled, *data)
        return lambda: float(run(*map(tf.constant, data))[0])

    def tinygrad() -> Engine:
        tiny = tinygrad_module()
        data = _data(n)

        @tiny.TinyJit
        def run(*given: Any) -> Any:
            value = by_tinygrad.chain_loss(*given)
            return value.realize(*value.gradient(*given))

        return lambda: float(run(*(by_tinygrad.fed(tiny, v) for v in data)).item())

    goal = {1_000: 5.0, 100_000: 3.0, 10_000_000: 8.0}[n]
    engines = {
        OURS: ours,
        "numpy": by_hand,
        "jax": jax,
        "torch": lambda: torch(False),
        "torch-compile": lambda: torch(True),
        **tensorflow_engines(tensorflow),
        "tinygrad": tinygrad,
    }
    return Contest(f"W4 n = {n:.0e}", goal, engines, 1e-2)


def scalars(count: int = 1000, leaves: int = 20) -> Contest:
    """A random graph of scalar operations, and its gradients."""

    def grown(xs: list[Any], sine: Callable[[Any], Any], tanh: Callable[[Any], Any]) -> Any:
        rng = np.random.default_rng(3)
        pool = list(xs)
        for _ in range(count):
            a, b = (pool[-int(rng.integers(1, min(len(pool), 40) + 1))] for _ in range(2))
            kind = int(rng.integers(5))
            made = (
                a + b * 0.5
                if kind == 0
                else a * b
                if kind == 1
                else a - b
                if kind == 2
                else sine(a)
                if kind == 3
                else tanh(a)
            )
            pool.append(made)
        return sum(pool[-20:])

    point = np.linspace(-1, 1, leaves)

    def ours() -> Engine:
        x = lg.placeholder((leaves,), name="x", requires_grad=True)
        y = grown([x[i] for i in range(leaves)], lg.sin, lg.tanh)
        run = lg.compile([y, lg.grad(y, x)], backend="c").bind(x=point)

        def engine() -> np.ndarray:
            run()
            return run.out[1]

        return engine

    def casadi() -> Engine:
        import casadi as ca

        x = ca.SX.sym("x", leaves)
        y = grown([x[i] for i in range(leaves)], ca.sin, ca.tanh)
        f = ca.Function("f", [x], [y, ca.gradient(y, x)])
        options = {"compiler": "shell", "jit": True, "jit_options": {"flags": ["-O3"]}}
        compiled = ca.Function("g", [x], f.call([x]), options)
        buffer, run = compiled.buffer()
        value, gradient = np.zeros(1), np.zeros(leaves)
        buffer.set_arg(0, memoryview(point))
        buffer.set_res(0, memoryview(value))
        buffer.set_res(1, memoryview(gradient))

        # The buffer works on memory that it does not keep alive.
        def engine(kept: object = (compiled, buffer, value)) -> np.ndarray:
            run()
            return gradient

        return engine

    def tensorflow(is_compiled: bool) -> Engine:
        tf = tensorflow_module()
        x = tf.constant(point)

        def run(x: Any) -> Any:
            y = grown(tf.unstack(x), tf.sin, tf.tanh)
            return y, tf.gradients(y, x)[0]

        both = tensorflow_function(tf, run, is_compiled, point)
        return lambda: both(x)[1].numpy()

    engines = {OURS: ours, "casadi": casadi, **tensorflow_engines(tensorflow)}
    return Contest("W7 1,000 scalar operations", 1.0, engines, 1e-9)


def latency() -> Contest:
    """relu(x @ W + b) of one row: what a call costs."""
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(1, 8)), rng.normal(size=(8, 8)), rng.normal(size=8)

    def ours() -> Engine:
        fed = lg.placeholder((1, 8), name="x")
        program = lg.compile(lg.relu(fed @ lg.Value(w) + lg.Value(b)), backend="c")
        return lambda: program(x=x)

    def by_hand() -> Engine:
        return lambda: np.maximum(np.dot(x, w) + b, 0)

    def jax() -> Engine:
        module = jax_module()
        compiled = module.jit(lambda v: module.nn.relu(v @ w + b))
        return lambda: np.asarray(compiled(x))

    def tensorflow(is_compiled: bool) -> Engine:
        tf = tensorflow_module()
        weight, bias = tf.constant(w), tf.constant(b)

        run = tensorflow_function(tf, lambda v: tf.nn.relu(v @ weight + bias), is_compiled, x)
        return lambda: run(tf.constant(x)).numpy()

    def tinygrad() -> Engine:
        tiny = tinygrad_module()
        weight, bias = tiny.Tensor(w).realize(), tiny.Tensor(b).realize()

        run = tiny.TinyJit(lambda v: (v @ weight + bias).relu().realize())
        return lambda: run(by_tinygrad.fed(tiny, x)).numpy()

    engines = {
        OURS: ours,
        "numpy": by_hand,
        "jax": jax,
        **tensorflow_engines(tensorflow),
        "tinygrad": tinygrad,
    }
    return Contest("W8 one row, call", 1.0, engines, 1e-12)


def bound(with_gradient: bool) -> Contest:
    """The same on arrays that both engines keep."""
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(1, 8)), rng.normal(size=(8, 8)), rng.normal(size=8)

    def ours() -> Engine:
        fed = lg.placeholder((1, 8), name="x", requires_grad=True)
        y = lg.relu(fed @ lg.Value(w) + lg.Value(b))
        result = lg.grad(y.sum(), fed) if with_gradient else y
        run = lg.compile(result, backend="c").bind(x=x)

        def engine() -> np.ndarray:
            run()
            return run.out

        return engine

    def casadi() -> Engine:
        import casadi as ca

        fed = ca.SX.sym("x", 1, 8)
        y = ca.fmax(fed @ ca.DM(w) + ca.DM(b).T, 0)
        result = ca.gradient(ca.sum2(y), fed) if with_gradient else y
        f = ca.Function("f", [fed], [result])
        options = {"compiler": "shell", "jit": True, "jit_options": {"flags": ["-O3"]}}
        compiled = ca.Function("g", [fed], f.call([fed]), options)
        buffer, run = compiled.buffer()
        out = np.zeros((1, 8))
        buffer.set_arg(0, memoryview(x.reshape(8)))
        buffer.set_res(0, memoryview(out.reshape(8)))

        def engine(kept: object = (compiled, buffer)) -> np.ndarray:
            run()
            return out

        return engine

    name = "W8 one row, bound" + (", gradient" if with_gradient else "")
    return Contest(name, 1.0, {OURS: ours, "casadi": casadi}, 1e-12)


def contests() -> list[Contest]:
    sizes = (1_000, 100_000, 10_000_000)
    return [*map(chain, sizes), scalars(), latency(), bound(False), bound(True)]
