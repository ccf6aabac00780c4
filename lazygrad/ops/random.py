"""Random draws: pure functions of a key and of a counter that a variable holds.

A draw reads the block of the Philox generator (Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", 2011) that its key (seed, number of the draw in its stream) and its counter (call, step)
name. Computing it again, or in another section, gives the same numbers, and equal draws may be
merged. Knows no streams: what advances the counters stands above.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from ..errors import DTypeError, OptionError, ShapeError
from ..ir.op import OUT, Array, Attrs, Call, In, Trait
from ..ir.value import Value
from ..spec import DType, Shape, Spec, product
from .forms import NodeFunction, general

__all__: list[str] = []

_WORD = 2**64 - 1


class _Source(threading.local):
    """One generator a thread, put anywhere in the numbers by setting its state.

    Setting costs a third of a microsecond, a new generator seven.
    """

    def __init__(self) -> None:
        # NumPy's random module takes a tenth of NumPy's own import; it waits for the first draw.
        self.generator: np.random.Generator | None = None
        self.place: dict[str, Any] = {}
        self.state: Any = {
            "bit_generator": "Philox",
            "state": self.place,
            "buffer": (0, 0, 0, 0),
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }

    def at(
        self, key: tuple[int, int], call: int, step: int = 0, outer_step: int = 0
    ) -> np.random.Generator:
        """Give the generator at the start of the numbers for this key, call and step."""
        if self.generator is None:
            self.generator = np.random.Generator(np.random.Philox(0))
        self.place["key"] = key
        # Philox counts its blocks in the first word: calls that stood there would overlap.
        self.place["counter"] = (0, outer_step & _WORD, step & _WORD, call & _WORD)
        self.generator.bit_generator.state = self.state
        return self.generator


_source = _Source()


def _floats(name: str) -> Callable[..., None]:
    """Fill with a method of the generator that knows float32, float64 and ``out=``."""

    def fill(generator: np.random.Generator, out: Array) -> None:
        method = getattr(generator, name)
        if out.dtype.char in "fd":
            method(dtype=out.dtype, out=out)
        else:
            wide = np.float32 if out.dtype.itemsize < 4 else np.float64
            np.copyto(out, method(out.shape, dtype=wide), casting="same_kind")

    return fill


_fill_normal = _floats("standard_normal")
_fill_exponential = _floats("standard_exponential")


def _fill_gumbel(generator: np.random.Generator, out: Array) -> None:
    # In float32 an exponential draw is 0, and its logarithm infinite, once in 2**23 times.
    drawn = out if out.dtype.char == "d" else np.empty(out.shape)
    generator.standard_exponential(out=drawn)
    np.maximum(drawn, np.finfo(np.float64).tiny, out=drawn)
    np.log(drawn, out=drawn)
    np.negative(drawn, out=drawn)
    if drawn is not out:
        np.copyto(out, drawn, casting="same_kind")


def _fill_truncated_normal(
    generator: np.random.Generator, out: Array, low: float, high: float
) -> None:
    """Draw again what falls outside."""
    dtype = out.dtype if out.dtype.char in "fd" else np.dtype(np.float64)
    drawn = out.reshape(-1) if dtype == out.dtype else np.empty(out.size, dtype)
    generator.standard_normal(dtype=dtype, out=drawn)
    places = np.flatnonzero((drawn < low) | (drawn > high))
    while places.size:
        again = generator.standard_normal(places.size, dtype=dtype)
        drawn[places] = again
        places = places[(again < low) | (again > high)]
    if dtype != out.dtype:
        np.copyto(out, drawn.reshape(out.shape), casting="same_kind")


def _fill_integers(generator: np.random.Generator, out: Array, low: int, high: int) -> None:
    np.copyto(out, generator.integers(low, high, out.shape, out.dtype))


def _fill_permutation(generator: np.random.Generator, out: Array) -> None:
    out[...] = np.arange(out.size)
    generator.shuffle(out)


_FILL: dict[str, Callable[..., None]] = {
    "uniform": _floats("random"),
    "normal": _fill_normal,
    "exponential": _fill_exponential,
    "gumbel": _fill_gumbel,
    "truncated_normal": _fill_truncated_normal,
    "integers": _fill_integers,
    "permutation": _fill_permutation,
}
"""How each distribution fills an array: ``(generator, out, *parameters)``."""


def _infer(
    *counters: Spec,
    key: tuple[int, int],
    shape: Shape,
    dtype: DType,
    distribution: str,
    parameters: tuple[object, ...],
) -> Spec:
    if distribution not in _FILL:
        raise OptionError(f"there is no distribution {distribution!r}.")
    if len(counters) > 3:
        raise OptionError("a draw can't stand in more than two loops, one in the other.")
    for spec in counters:
        if spec.shape != ():
            raise ShapeError(f"a counter is one number, got {spec}.")
        if spec.dtype.kind not in "iu":
            raise DTypeError(f"a counter is an integer, got {spec}.")
    return Spec(shape, dtype)


def _kernel(
    *counters: Array,
    out: Array,
    key: tuple[int, int],
    distribution: str,
    parameters: tuple[Any, ...],
    shape: object = None,
    dtype: object = None,
) -> None:
    _FILL[distribution](_source.at(key, *map(int, counters)), out, *parameters)


def _filler(
    fill: Callable[..., None],
    key: tuple[int, int],
    parameters: tuple[Any, ...],
    out: Array,
    *counters: Array,
) -> None:
    fill(_source.at(key, *map(int, counters)), out, *parameters)


def _call(specs: tuple[Spec, ...], spec: Spec, attrs: Attrs) -> Call:
    function = partial(_filler, _FILL[attrs["distribution"]], attrs["key"], attrs["parameters"])
    return Call(function, (OUT, *(In(i) for i in range(len(specs)))))


random_draw: NodeFunction = general(
    "random_draw",
    _kernel,
    infer=_infer,
    vjp=None,
    jvp=None,
    family="random",
    traits=(Trait.DRAWS,),
    call=_call,
    cost=lambda out, *specs, **attrs: 10 * product(out.shape),
    doc="Random numbers of a distribution, for a count of calls and, in a loop, of steps.",
)
"""``(counter[, step[, step of the loop around it]])``, with the attributes *key* (seed and number),
*shape*, *dtype*, *distribution* and its *parameters*."""


def counters_of(nodes: Iterable[Value]) -> list[Value]:
    """List the variables that count the calls of the random draws among *nodes*, in loops too."""
    found = [counter for node in nodes if node.op.traits for counter in _counting(node)]
    return list({id(counter): counter for counter in found}.values())


def _counting(node: Value) -> list[Value]:
    """List the operands that count calls."""
    if Trait.DRAWS in node.op.traits:
        return [node.operands[0]]
    if Trait.LOOPS not in node.op.traits:
        return []
    body = node.attrs["body"]
    inside = {id(counter) for counter in counters_of(body.nodes)}
    # A body's inputs are the node's operands, and after them the step number.
    pairs = zip(body.inputs, node.operands, strict=False)
    return [operand for given, operand in pairs if id(given) in inside]
