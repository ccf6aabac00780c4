"""Checks of derivatives, for users' own expressions and operations.

Knows how to run a graph on real and complex arrays; knows nothing of compiled programs.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from .autodiff.derivatives import Leaves, differentiable, filled, flatten, jvp, vjp
from .autodiff.reverse import active_nodes, is_differentiable
from .errors import (
    GradientCheckError,
    MissingFeedError,
    OptionError,
    ShapeError,
    UnknownFeedError,
)
from .ir.compute import compute_node, concrete_attrs
from .ir.describe import describe, label
from .ir.graph import ancestors
from .ir.op import Array, Trait, Writes
from .ir.value import CONSTANT, ITEM, LENGTH, PLACEHOLDER, VARIABLE, Value, make
from .lengths import Length, evaluate, solve, substitute, substitute_shape
from .spec import DType, Spec, TupleSpec, format_shape

__all__ = ["GradientReport", "check_gradient"]

_Known: TypeAlias = "dict[int, Any]"
_Specs: TypeAlias = "Spec | TupleSpec"

_IMAGINARY_STEP = 1e-20
_RELATIVE_STEPS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
_COMPLEX, _DIFFERENCES = "complex step", "central differences"
_TOLERANCE = {_COMPLEX: 1e-9, _DIFFERENCES: 1e-6}
_IDENTITY_TOLERANCE = 1e-10


@dataclass(frozen=True)
class GradientReport:
    """What `check_gradient` compared, and the largest relative errors; one entry per order."""

    name: str
    leaves: tuple[str, ...]
    directions: int
    methods: tuple[str, ...]
    forward_errors: tuple[float, ...]
    """Forward mode against the numeric derivative."""
    reverse_errors: tuple[float, ...]
    """Reverse mode against forward mode, by <u, Jv> = <J'u, v>."""

    @property
    def order(self) -> int:
        """How many times the expression was differentiated."""
        return len(self.methods)

    def __str__(self) -> str:
        rows = [
            f"  order {order}: forward mode {forward:.1e} off {method}, reverse mode {reverse:.1e}"
            " off forward mode"
            for order, (method, forward, reverse) in enumerate(
                zip(self.methods, self.forward_errors, self.reverse_errors, strict=True), start=1
            )
        ]
        wrt = ", ".join(self.leaves)
        head = f"{self.name} with respect to {wrt}, {self.directions} directions:"
        return "\n".join([head, *rows])


def check_gradient(
    y: Leaves,
    wrt: Leaves,
    feeds: Mapping[str, object] | None = None,
    *,
    order: int = 2,
    directions: int = 3,
    seed: int = 0,
    tolerance: float | None = None,
) -> GradientReport:
    """Compare the derivatives of *y* with numeric ones, at the fed point, in random directions.

    The expression is rebuilt in float64, whatever its dtypes, so that narrow floats don't blur
    the check. Forward mode is compared with a numeric derivative: the complex step (Squire and
    Trapp 1998) where every operation on the way turns out to be analytic at the point, else
    fourth-order central differences over several step sizes. Reverse mode is compared with forward
    mode by ``<u, Jv> = <J'u, v>``. Then the same for the gradient itself, up to *order*.

    What the library treats as constant (`stop_gradient`, conditions, indices, random draws) is
    held fixed. At a kink no numeric derivative exists: move the point away from it.

    Parameters
    ----------
    y
        A node of any shape, or several: a sequence or a mapping.
    wrt
        The leaves, or other nodes: one, a sequence or a mapping.
    feeds
        Arrays for the placeholders by name; variables have their own data.
    tolerance
        Allowed relative difference from the numeric derivative; by default 1e-9 for the complex
        step and 1e-6 for differences.

    Raises
    ------
    GradientCheckError
        Naming what was compared, both numbers, the tolerance and the leaf.
    DisconnectedError
        When *y* doesn't depend on a node in *wrt* differentiably.

    >>> x = Value([1.0, 2.0], name="x")
    >>> print(check_gradient((x * x).sum(), x))
    sum with respect to x, 3 directions:
      order 1: forward mode ... off complex step, reverse mode ... off forward mode
      order 2: forward mode ... off complex step, reverse mode ... off forward mode
    """
    if order < 1 or directions < 1:
        raise OptionError(
            f"check_gradient: order and directions must be positive, got {order}, {directions}."
        )
    results, leaves = flatten(y, "y"), flatten(wrt, "wrt")
    name = ", ".join(label(node) for node in results)
    # Refuses what has no derivative and leaves that nothing leads to, at the user's own nodes.
    vjp(results, leaves, [filled(differentiable(node).spec, 1.0) for node in results])
    check = _Check(name, leaves, directions, tolerance, np.random.default_rng(seed))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        # A kernel that drops an imaginary part is not analytic.
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        point = _rebuilt([*results, *leaves], {id(leaf) for leaf in leaves}, feeds or {})
        outputs = [point.nodes[id(node)] for node in results]
        for number in range(1, order + 1):
            outputs = check.level(
                outputs, [point.nodes[id(leaf)] for leaf in leaves], point, number
            )
    return GradientReport(
        name,
        tuple(label(leaf) for leaf in leaves),
        directions,
        tuple(check.methods),
        tuple(check.forward_errors),
        tuple(check.reverse_errors),
    )


@dataclass(frozen=True)
class _Point:
    """The expression in float64 with concrete lengths, and the value of each of its leaves."""

    nodes: dict[int, Value]
    """By the id of the user's node."""
    values: _Known
    """By the id of the rebuilt leaf."""
    kept: list[Value] = field(default_factory=list)
    """Leaves made on the way; an id stands for its node only while the node lives."""


def _rebuilt(results: Sequence[Value], wanted: set[int], feeds: Mapping[str, object]) -> _Point:
    nodes: dict[int, Value] = {}
    values: _Known = {}
    order = ancestors(results)
    lengths: dict[str, int] = {}
    fed = _fed(order, feeds, lengths)
    for node in order:
        array: Any = None
        if node.op is CONSTANT:
            array = node.attrs["value"]
        elif node.op is VARIABLE:
            array = node.cell.array.copy()  # type: ignore[union-attr]
        elif node.op is LENGTH:
            array = np.asarray(evaluate(node.attrs["length"], lengths), node.spec.dtype)
        elif node.op is PLACEHOLDER:
            array = fed[id(node)]
        elif not node.op.traits.isdisjoint((Trait.STATEFUL, Trait.DRAWS)):
            operands = [nodes[id(operand)] for operand in node.operands]
            known = _run(operands, values)
            array = compute_node(node, [known[id(operand)] for operand in operands], lengths)
        if array is None:
            nodes[id(node)] = _reapplied(node, nodes, lengths)
            continue
        dtype = np.dtype(np.float64) if id(node) in wanted else _widened(array.dtype)
        array = array.astype(dtype)
        spec = Spec(array.shape, dtype)
        # A constant stays one: it decides conventions at ties and powers.
        if node.op in (CONSTANT, LENGTH):
            copy = make(CONSTANT, (), {"value": array}, spec, like=node)
        else:
            copy = make(PLACEHOLDER, (), {}, spec, name=node.name or node.op.name, like=node)
        nodes[id(node)] = copy
        values[id(copy)] = array
    return _Point(nodes, values)


def _fed(
    order: Sequence[Value], feeds: Mapping[str, object], lengths: dict[str, int]
) -> dict[int, Array]:
    placeholders = [node for node in order if node.op is PLACEHOLDER]
    unknown = [name for name in feeds if name not in {node.name for node in placeholders}]
    if unknown:
        known = ", ".join(str(node.name) for node in placeholders) or "none"
        raise UnknownFeedError(
            f"check_gradient: no placeholder {unknown[0]!r}; there are: {known}."
        )
    result = {}
    for node in placeholders:
        if node.name not in feeds:
            raise MissingFeedError(
                f"check_gradient needs feeds={{{str(node.name)!r}: ...}}.\n"
                f"  {node.name}: {describe(node)}"
            )
        array = np.asarray(feeds[str(node.name)], node.spec.dtype)
        fits = array.ndim == node.ndim and all(
            solve(declared, actual, lengths) is not False
            for declared, actual in zip(node.shape, array.shape, strict=True)
        )
        if not fits:
            raise ShapeError(
                f"check_gradient: {node.name} was fed {format_shape(array.shape)}.\n"
                f"  {node.name}: {describe(node)}"
            )
        result[id(node)] = array
    return result


def _widened(dtype: DType) -> DType:
    return np.dtype(np.float64) if dtype.kind == "f" and dtype.itemsize < 8 else dtype


def _reapplied(node: Value, nodes: dict[int, Value], lengths: Mapping[str, int]) -> Value:
    """Give *node* over rebuilt operands, with numbers for lengths and wide floats."""
    operands = tuple(nodes[id(operand)] for operand in node.operands)
    attrs = {key: _substituted(value, lengths) for key, value in node.attrs.items()}
    spec: Any = node.op.infer(*[operand.spec for operand in operands], **attrs)
    if Trait.DATA_SHAPED in node.op.traits:
        # Inference names new lengths, while attributes further up speak of the old ones.
        spec = _reshaped(spec, node.spec, lengths)
    return make(node.op, operands, attrs, spec, name=node.name, like=node)


def _substituted(value: object, lengths: Mapping[str, int]) -> object:
    """Put numbers for the lengths that feeds tell, and wide floats, into an attribute."""
    if isinstance(value, Length):
        return substitute(value, lengths)
    if isinstance(value, np.dtype):
        return _widened(value)
    if type(value) is tuple:
        return tuple(_substituted(entry, lengths) for entry in value)
    return value


def _reshaped(spec: _Specs, like: _Specs, lengths: Mapping[str, int]) -> _Specs:
    if isinstance(spec, Spec) and isinstance(like, Spec):
        return Spec(substitute_shape(like.shape, lengths), spec.dtype)
    pairs: Any = zip(spec, like, strict=True)  # type: ignore[arg-type]
    return tuple(Spec(substitute_shape(b.shape, lengths), a.dtype) for a, b in pairs)


def _run(results: Sequence[Value], leaves: _Known) -> _Known:
    """Compute everything below *results*."""
    known = dict(leaves)
    lengths: dict[str, int] = {}
    for node in ancestors(results):
        if id(node) not in known:
            operands = [known[id(operand)] for operand in node.operands]
            known[id(node)] = (
                node.attrs["value"] if node.op is CONSTANT else _compute(node, operands, lengths)
            )
        _bind(node, known[id(node)], lengths)
    return known


def _bind(node: Value, result: Array, lengths: dict[str, int]) -> None:
    """Learn the lengths that only running the node told."""
    if not node.several and not node.spec.is_static:
        for declared, actual in zip(node.spec.shape, result.shape, strict=True):
            solve(declared, actual, lengths)


def _is_complex(operand: Array | tuple[Array, ...]) -> bool:
    return not isinstance(operand, tuple) and np.iscomplexobj(operand)


def _compute(
    node: Value, operands: list[Any], lengths: Mapping[str, int]
) -> Array | tuple[Array, ...]:
    """Run a node's kernel, on complex arrays too."""
    if not any(map(_is_complex, operands)):
        real: Array | tuple[Array, ...] = compute_node(node, operands, lengths)
        return real
    attrs = concrete_attrs(node.attrs, lengths)
    if node.op.writes is not Writes.OUT:
        result: Array | tuple[Array, ...] = node.op.kernel(*operands, **attrs)
        return result
    specs: Any = node.spec if node.several else (node.spec,)
    outs = tuple(
        np.zeros(tuple(evaluate(n, lengths) for n in spec.shape), np.complex128) for spec in specs
    )
    out = outs if node.several else outs[0]
    node.op.kernel(*operands, out=out, **attrs)
    return out


class _Path:
    """The nodes through which a change of the leaves reaches the outputs; the rest is fixed."""

    def __init__(self, outputs: Sequence[Value], leaves: Sequence[Value], base: _Known) -> None:
        self.outputs = outputs
        self.leaves = leaves
        self.base = base
        order = ancestors((*outputs, *leaves))
        active = active_nodes(order, leaves)
        starts = {id(leaf) for leaf in leaves}
        self.nodes = [
            node
            for node in order
            if id(node) in active and id(node) not in starts and not node._stopped
        ]
        self.lengths: dict[str, int] = {}
        for node in order:
            _bind(node, base[id(node)], self.lengths)

    def operands(self, node: Value, moved: _Known) -> list[Any]:
        """Give a node's operands, fixed where no derivative flows."""
        return [
            moved.get(id(operand), self.base[id(operand)])
            if is_differentiable(node.op, index)
            else self.base[id(operand)]
            for index, operand in enumerate(node.operands)
        ]

    def run(self, moved: _Known) -> list[Any]:
        """Give the outputs for moved leaves."""
        moved = dict(moved)
        for node in self.nodes:
            moved[id(node)] = _compute(node, self.operands(node, moved), self.lengths)
        return [moved.get(id(output), self.base[id(output)]) for output in self.outputs]

    def complex_step(self, directions: _Known, rng: np.random.Generator) -> list[Any] | None:
        """Differentiate along *directions*, or give None where an operation is not analytic."""
        moved: _Known = {
            key: self.base[key] + 1j * _IMAGINARY_STEP * direction
            for key, direction in directions.items()
        }
        for node in self.nodes:
            if not node.several and node.spec.dtype.kind != "f":
                continue
            if node.op is ITEM:
                if id(node.operands[0]) in moved:
                    moved[id(node)] = moved[id(node.operands[0])][node.attrs["index"]]
                continue
            operands = self.operands(node, moved)
            if not any(map(_is_complex, operands)):
                continue
            try:
                if not _is_analytic(node, operands, self.base[id(node)], self.lengths, rng):
                    return None
                moved[id(node)] = _compute(node, operands, self.lengths)
            except (TypeError, ValueError, ArithmeticError, Warning, np.linalg.LinAlgError):
                return None
        return [
            np.imag(moved[id(output)]) / _IMAGINARY_STEP
            if id(output) in moved
            else np.zeros(np.shape(self.base[id(output)]))
            for output in self.outputs
        ]

    def differences(self, directions: _Known) -> list[Any]:
        """Differentiate along *directions*, element by element with the step that settles best."""
        estimates = []
        for step in _RELATIVE_STEPS:
            near, nearer = (
                [
                    (above.astype(np.float64) - below) / (2 * h)
                    for above, below in zip(
                        self._moved(directions, h), self._moved(directions, -h), strict=True
                    )
                ]
                for h in (step, step / 2)
            )
            estimates.append([(4 * b - a) / 3 for a, b in zip(near, nearer, strict=True)])
        return [_most_settled(list(column)) for column in zip(*estimates, strict=True)]

    def _moved(self, directions: _Known, step: float) -> list[Any]:
        return [
            np.asarray(array)
            for array in self.run(
                {key: self.base[key] + step * direction for key, direction in directions.items()}
            )
        ]


def _most_settled(estimates: list[Array]) -> Array:
    """Of estimates with falling steps, pick per element the one that changed least."""
    best = estimates[0]
    smallest = np.full(np.shape(best), np.inf)
    for earlier, later in pairwise(estimates):
        change = np.abs(later - earlier)
        better = change < smallest
        best = np.where(better, later, best)
        smallest = np.where(better, change, smallest)
    return best


def _is_analytic(
    node: Value,
    operands: list[Any],
    value: Array | tuple[Array, ...],
    lengths: Mapping[str, int],
    rng: np.random.Generator,
) -> bool:
    """Whether a node's kernel, run on complex arrays, is a differentiable function of them here.

    The mean of ``s f(x + s d)`` over a small circle of *s* is the derivative by the conjugate of
    *s*, times the radius squared: zero just for analytic functions.
    """
    moving = [_is_complex(operand) for operand in operands]
    centre = [np.real(operand) for operand in operands]
    directions = [
        rng.standard_normal(np.shape(x)) * (np.abs(x) + 1e-3) if moves else None
        for x, moves in zip(centre, moving, strict=True)
    ]
    radius, count = 1e-3, 8
    circle = radius * np.exp(2j * np.pi * (np.arange(count) + 0.5) / count)

    def run(s: complex) -> list[Any]:
        result = _compute(
            node,
            [
                x if d is None else x + np.asarray(s * d, np.complex128)
                for x, d in zip(centre, directions, strict=True)
            ],
            lengths,
        )
        return list(result) if isinstance(result, tuple) else [result]

    results = [run(complex(s)) for s in circle]
    on_axis = run(0j)
    values = value if isinstance(value, tuple) else (value,)
    for i, (real, middle) in enumerate(zip(values, on_axis, strict=True)):
        samples = np.stack([np.asarray(result[i], np.complex128) for result in results])
        scale = np.max(np.abs(real), initial=0.0)
        if not np.allclose(middle, real, rtol=1e-9, atol=1e-12 * scale):
            return False
        weights = circle.reshape(-1, *(1,) * (samples.ndim - 1))
        by_conjugate = np.abs(np.mean(samples * weights, axis=0)) / radius**2
        slope = np.max(np.abs(samples - middle), initial=0.0) / radius
        if not np.all(by_conjugate <= 1e-5 * slope + 1e-9 * scale):
            return False
    return True


class _Check:
    """The comparisons of one call, and what they found."""

    def __init__(
        self,
        name: str,
        leaves: Sequence[Value],
        directions: int,
        tolerance: float | None,
        rng: np.random.Generator,
    ) -> None:
        self.name, self.leaves, self.directions = name, leaves, directions
        self.tolerance, self.rng = tolerance, rng
        self.methods: list[str] = []
        self.forward_errors: list[float] = []
        self.reverse_errors: list[float] = []

    def level(
        self, outputs: list[Value], wrt: list[Value], point: _Point, order: int
    ) -> list[Value]:
        """Check one order, and give the gradient nodes that the next one checks."""
        tangents = [_leaf_like(leaf) for leaf in wrt]
        cotangents = [_leaf_like(output) for output in outputs]
        point.kept.extend((*tangents, *cotangents))
        pushed = jvp(outputs, wrt, tangents)
        # A second derivative may well be zero everywhere.
        pulled: list[Value] = vjp(outputs, wrt, cotangents, unused="zero")
        base = _run([*outputs, *wrt], point.values)
        path = _Path(outputs, wrt, base)
        self.methods.append(_COMPLEX)
        self.forward_errors.append(0.0)
        self.reverse_errors.append(0.0)
        for _ in range(self.directions):
            for leaf, tangent in zip(wrt, tangents, strict=True):
                point.values[id(tangent)] = self._direction(base[id(leaf)])
            for output, cotangent in zip(outputs, cotangents, strict=True):
                u = self.rng.standard_normal(np.shape(base[id(output)]))
                point.values[id(cotangent)] = np.asarray(u)
            known = _run([*pushed, *pulled], point.values)
            moves = {id(x): known[id(t)] for x, t in zip(wrt, tangents, strict=True)}
            self._compare_forward(path, moves, [known[id(t)] for t in pushed], order)
            left = [(known[id(u)], known[id(t)]) for u, t in zip(cotangents, pushed, strict=True)]
            right = [(known[id(g)], known[id(t)]) for g, t in zip(pulled, tangents, strict=True)]
            size = max(np.max(np.abs(base[id(output)]), initial=0.0) for output in outputs)
            self._compare_reverse(left, right, float(size), order)
        return pulled

    def _direction(self, x: Array) -> Array:
        typical = float(np.sqrt(np.mean(np.square(x)))) if x.size else 1.0
        size = np.maximum(np.abs(x), 0.1 * typical) if typical else 1.0
        return np.asarray(self.rng.standard_normal(x.shape) * size)

    def _numeric(self, path: _Path, moves: _Known) -> tuple[list[Any], str]:
        if self.methods[-1] == _COMPLEX:
            found = path.complex_step(moves, self.rng)
            if found is not None:
                return found, _COMPLEX
            self.methods[-1] = _DIFFERENCES
        return path.differences(moves), _DIFFERENCES

    def _compare_forward(
        self, path: _Path, moves: _Known, pushed: Sequence[Any], order: int
    ) -> None:
        numeric, method = self._numeric(path, moves)
        for i, (ours, theirs) in enumerate(zip(pushed, numeric, strict=True)):
            error, place, allowed = self._worst(path, i, ours, theirs, method)
            self.forward_errors[-1] = max(self.forward_errors[-1], error)
            if error <= allowed:
                continue
            rows = "\n".join(
                f"  {label(x)}: {describe(x)}" for x in self._blamed(path, moves, order)
            )
            where = f" at {place}" if place else ""
            raise GradientCheckError(
                f"check_gradient({self.name}), order {order}: forward mode disagrees with the"
                f" {method}{where}.\n"
                f"  forward mode: {float(ours[place]):.12g}\n"
                f"  {method}: {float(theirs[place]):.12g}\n"
                f"  relative difference {error:.1e}, allowed {allowed:.1e}, along a random"
                f" direction of\n{rows}"
            )

    def _worst(
        self, path: _Path, i: int, ours: Array, theirs: Array, method: str
    ) -> tuple[float, tuple[int, ...], float]:
        """Give the largest relative error, where it is, and what is allowed."""
        allowed = _TOLERANCE[method] if self.tolerance is None else self.tolerance
        if ours.size == 0:
            return 0.0, (), allowed
        value = np.max(np.abs(path.base[id(path.outputs[i])]))
        both = np.stack([np.abs(ours), np.abs(theirs)])
        scale = np.max(both[np.isfinite(both)], initial=0.0) + 1e-3 * value + 1e-300
        error = np.where(np.isfinite(ours) & np.isfinite(theirs), np.abs(ours - theirs), np.inf)
        place = tuple(int(n) for n in np.unravel_index(int(np.argmax(error)), error.shape))
        return float(error[place] / scale), place, allowed

    def _blamed(self, path: _Path, moves: _Known, order: int) -> list[Value]:
        """List the leaves along which alone the modes disagree, or all of them."""
        found = []
        for leaf, node in zip(self.leaves, path.leaves, strict=True):
            alone = {
                key: move if key == id(node) else np.zeros_like(move) for key, move in moves.items()
            }
            pushed = jvp(list(path.outputs), [node], [alone[id(node)]])
            known = _run(pushed, path.base)
            numeric, method = self._numeric(path, alone)
            for i, tangent in enumerate(pushed):
                error, _, allowed = self._worst(path, i, known[id(tangent)], numeric[i], method)
                if error > allowed:
                    found.append(leaf)
                    break
        return found or list(self.leaves)

    def _compare_reverse(
        self, left: list[tuple[Any, Any]], right: list[tuple[Any, Any]], size: float, order: int
    ) -> None:
        forward = float(sum(np.sum(u * t) for u, t in left))
        reverse = float(sum(np.sum(g * t) for g, t in right))
        scale = float(sum(np.sum(np.abs(a * b)) for a, b in (*left, *right)))
        scale += 1e-3 * size + 1e-300
        error = abs(forward - reverse) / scale
        if not np.isfinite(error):
            error = np.inf
        self.reverse_errors[-1] = max(self.reverse_errors[-1], error)
        if error <= _IDENTITY_TOLERANCE:
            return
        rows = "\n".join(f"  {label(leaf)}: {describe(leaf)}" for leaf in self.leaves)
        raise GradientCheckError(
            f"check_gradient({self.name}), order {order}: reverse mode disagrees with forward"
            " mode; <u, Jv> and <J'u, v> must be equal.\n"
            f"  <u, Jv>, forward mode: {forward:.12g}\n"
            f"  <J'u, v>, reverse mode: {reverse:.12g}\n"
            f"  relative difference {error:.1e}, allowed {_IDENTITY_TOLERANCE:.1e}, with respect"
            f" to\n{rows}"
        )


def _leaf_like(node: Value) -> Value:
    spec = Spec(node.spec.shape, np.dtype(np.float64))
    return make(PLACEHOLDER, (), {}, spec, name="direction")
