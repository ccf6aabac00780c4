"""Einstein summation: read the subscripts, choose an order, and contract two operands at a time.

Every step is made of views, sums and matrix products, so BLAS does the work and derivatives come
with the parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Any, NoReturn, TypeAlias

import numpy as np

from ..errors import OptionError, ShapeError
from ..ir.describe import describe, label
from ..ir.op import Operand, call, implements
from ..ir.value import Value, as_value
from ..lengths import Dim, collecting, same
from ..spec import DType, product
from .arithmetic import astype, multiply
from .products import assuming, matmul, pair_axes
from .reduce import sum as sum_axes
from .shape import matrix_transpose, reshape, transpose

__all__ = ["einsum"]

Labels: TypeAlias = tuple[str, ...]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ASSUMED_LENGTH = 64
"""What a symbolic length counts as when contraction orders are compared."""


@dataclass(frozen=True)
class _Term:
    """An operand with a label for each of its axes."""

    node: Value
    labels: Labels

    def lengths(self) -> dict[str, Dim]:
        return dict(zip(self.labels, self.node.shape, strict=True))


@implements(np.einsum)
def einsum(*operands: Operand | str, optimize: object = True) -> Value:
    """Sum products of *operands* over the labels that the result doesn't have.

    ``einsum("ij,jk->ik", a, b)`` as in NumPy: with an explicit or implicit result, ``...``,
    labels repeated on one operand (a diagonal), and the form ``einsum(a, [0, 1], b, [1, 2])``.
    Operands are contracted in pairs, in an order found greedily from their sizes;
    ``optimize=False`` goes from left to right.

    >>> einsum("i,i->", Value([1.0, 2.0]), Value([3.0, 4.0]))
    Value(data=11.0, grad=None)
    """
    text, arrays = _read_arguments(operands)
    nodes = [as_value(array) for array in arrays]
    inputs, output = _read(text, nodes)
    with collecting() as assumed:
        lengths = _lengths(text, nodes, inputs)
    dtype: DType = np.result_type(*[node.dtype for node in nodes])
    terms = [
        _prepared(_Term(astype(node, dtype), labels), lengths)
        for node, labels in zip(nodes, inputs, strict=True)
    ]
    while len(terms) > 1:
        i, j = (0, 1) if optimize is False else _cheapest(terms, output, lengths)
        rest = [term for index, term in enumerate(terms) if index not in (i, j)]
        kept = {*output, *(name for term in rest for name in term.labels)}
        together = _contract(terms[i], terms[j], kept)
        # Left to right, the product stays in front.
        terms = [together, *rest] if optimize is False else [*rest, together]
    last = _reduced(terms[0], set(output))
    result = _aligned(last, output)
    if any(result is node for node in nodes):
        return result
    return assuming(result, assumed)


def _read_arguments(operands: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    if not operands:
        raise OptionError("einsum: needs subscripts and operands.")
    if isinstance(operands[0], str):
        return operands[0], operands[1:]
    arrays, lists = operands[: len(operands) // 2 * 2 : 2], operands[1::2]
    text = ",".join(_letters(numbers) for numbers in lists)
    if len(operands) % 2:
        text += "->" + _letters(operands[-1])
    return text, arrays


def _letters(numbers: Sequence[object]) -> str:
    try:
        return "".join("..." if i is Ellipsis else _LETTERS[range(52)[i]] for i in numbers)  # type: ignore[call-overload]
    except (TypeError, IndexError):
        raise OptionError(
            f"einsum: labels of an operand must be numbers from 0 to 51, got {numbers!r}."
        ) from None


def _fail(
    kind: type[OptionError] | type[ShapeError], text: str, nodes: Sequence[Value], fact: str
) -> NoReturn:
    operands = ", ".join([repr(text), *(label(node) for node in nodes)])
    rows = dict.fromkeys(f"  {label(node)}: {describe(node)}" for node in nodes)
    raise kind("\n".join([f"einsum({operands}): {fact}", *rows]))


def _read(text: str, nodes: Sequence[Value]) -> tuple[list[Labels], Labels]:
    """Give the labels of each operand and of the result; those under ``...`` count from behind."""
    left, arrow, right = text.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(nodes):
        fact = f"there are subscripts for {len(parts)} operands and {len(nodes)} operands."
        _fail(OptionError, text, nodes, fact)
    inputs = []
    for part, node in zip(parts, nodes, strict=True):
        named = _plain(part, text, nodes)
        extra = node.ndim - len(named)
        if extra < 0 or (extra and "..." not in part):
            fact = f"{part!r} names {len(named)} axes of an operand with {node.ndim}, {node.spec}."
            _fail(ShapeError, text, nodes, fact)
        inputs.append(_expanded(part, extra))
    hidden = max((sum(name.startswith(".") for name in labels) for labels in inputs), default=0)
    used = [name for labels in inputs for name in labels]
    if not arrow:
        once = sorted(name for name in set(used) if used.count(name) == 1 and name in _LETTERS)
        return inputs, (*_expanded("...", hidden), *once)
    named = _plain(right, text, nodes)
    for name in named:
        if named.count(name) > 1:
            _fail(OptionError, text, nodes, f"the result names {name!r} twice.")
        if name not in used:
            _fail(OptionError, text, nodes, f"the result's {name!r} is on no operand.")
    if hidden and "..." not in right:
        _fail(OptionError, text, nodes, "the result needs '...' for the axes under it.")
    return inputs, _expanded(right, hidden)


def _plain(part: str, text: str, nodes: Sequence[Value]) -> str:
    named = part.replace("...", "", 1)
    for name in named:
        if name not in _LETTERS:
            _fail(OptionError, text, nodes, f"{name!r} is not a label; use letters and '...'.")
    return named


def _expanded(part: str, extra: int) -> Labels:
    before, dots, after = part.partition("...")
    hidden = [f".{i}" for i in range(extra, 0, -1)] if dots else []
    return (*before, *hidden, *after)


def _lengths(text: str, nodes: Sequence[Value], inputs: Sequence[Labels]) -> dict[str, Dim]:
    """Give each label its length; a length of 1 stretches to another operand's."""
    result: dict[str, Dim] = {}
    for node, labels in zip(nodes, inputs, strict=True):
        own: dict[str, Dim] = {}
        for name, length in zip(labels, node.shape, strict=True):
            known = result.get(name, 1) if name not in own else own[name]
            stretches = name not in own and 1 in (_number(known), _number(length))
            if not stretches and not same(known, length):
                shown = "..." if name.startswith(".") else name
                fact = f"label {shown!r} has lengths {known} and {length}."
                _fail(ShapeError, text, nodes, fact)
            own[name] = length
            if _number(result.get(name, 1)) == 1:
                result[name] = length
    return result


def _number(length: Dim) -> int | None:
    return length if isinstance(length, int) else None


def _prepared(term: _Term, lengths: dict[str, Dim]) -> _Term:
    """Take diagonals over repeated labels, and drop axes of length 1 that others stretch."""
    node, labels = term.node, term.labels
    for name in dict.fromkeys(labels):
        while labels.count(name) > 1:
            i = labels.index(name)
            j = labels.index(name, i + 1)
            node = call("diagonal", node, 0, i, j)
            labels = (*labels[:i], *labels[i + 1 : j], *labels[j + 1 :], name)
    kept = [
        axis
        for axis, name in enumerate(labels)
        if _number(node.shape[axis]) != 1 or _number(lengths[name]) == 1
    ]
    node = reshape(node, [node.shape[axis] for axis in kept])
    return _Term(node, tuple(labels[axis] for axis in kept))


def _reduced(term: _Term, kept: set[str]) -> _Term:
    axes = tuple(axis for axis, name in enumerate(term.labels) if name not in kept)
    if not axes:
        return term
    # Unlike sum, einsum keeps small integers and bools as they are.
    node = astype(sum_axes(term.node, axis=axes), term.node.dtype)
    return _Term(node, tuple(name for name in term.labels if name in kept))


def _size(labels: Iterable[str], lengths: dict[str, Dim]) -> int:
    known = [_number(lengths[name]) for name in labels]
    return prod(_ASSUMED_LENGTH if length is None else length for length in known)


def _cheapest(terms: Sequence[_Term], output: Labels, lengths: dict[str, Dim]) -> tuple[int, int]:
    """Find the pair whose product is smallest beside its operands, then cheapest to compute."""

    def cost(pair: tuple[int, int]) -> tuple[int, int]:
        left, right = (set(terms[i].labels) for i in pair)
        others = [name for i, term in enumerate(terms) if i not in pair for name in term.labels]
        result = (left | right) & {*output, *others}
        growth = _size(result, lengths) - _size(left, lengths) - _size(right, lengths)
        return growth, _size(left | right, lengths)

    return min(combinations(range(len(terms)), 2), key=cost)


def _contract(x: _Term, y: _Term, kept: set[str]) -> _Term:
    """Multiply two terms and sum over the labels that nothing else needs."""
    x = _reduced(x, kept | set(y.labels))
    y = _reduced(y, kept | set(x.labels))
    batch = tuple(name for name in x.labels if name in y.labels and name in kept)
    summed = tuple(name for name in x.labels if name in y.labels and name not in kept)
    rows = tuple(name for name in x.labels if name not in y.labels)
    columns = tuple(name for name in y.labels if name not in x.labels)
    labels = (*batch, *rows, *columns)
    if not summed:
        return _Term(multiply(_aligned(x, labels), _aligned(y, labels)), labels)
    if not batch:
        pairs = [(x.labels.index(name), y.labels.index(name)) for name in summed]
        return _Term(pair_axes("einsum", x.node, y.node, pairs), labels)
    node = matmul(_stack(x, batch, rows, summed), _stack(y, batch, summed, columns))
    lengths = {**y.lengths(), **x.lengths()}
    return _Term(reshape(node, [lengths[name] for name in labels]), labels)


def _stack(term: _Term, batch: Labels, rows: Labels, columns: Labels) -> Value:
    """Give a stack of matrices, merging axes into rows and columns without a copy if possible."""
    lengths = term.lengths()
    leading = [lengths[name] for name in batch]
    height, width = (product(lengths[name] for name in names) for names in (rows, columns))
    if term.labels == (*batch, *columns, *rows):
        return matrix_transpose(reshape(term.node, (*leading, width, height)))
    ordered = _aligned(term, (*batch, *rows, *columns))
    return reshape(ordered, (*leading, height, width))


def _aligned(term: _Term, labels: Labels) -> Value:
    """Order the axes as *labels* says, with length 1 where the term has none."""
    order = [term.labels.index(name) for name in labels if name in term.labels]
    lengths = term.lengths()
    return reshape(transpose(term.node, order), [lengths.get(name, 1) for name in labels])
