"""An operation over one more axis gives the stack of its single results."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.autodiff import batch
from lazygrad.autodiff.batch import batched
from lazygrad.autodiff.loops import argument
from lazygrad.backends.interpreter import interpret
from lazygrad.ir.graph import Graph
from lazygrad.ir.op import table
from lazygrad.ir.value import apply, constant, item
from lazygrad.spec import Spec

sys.path.insert(0, str(Path(__file__).parents[1] / "ops"))
from test_every_op import SYMMETRIC, cases_of

COUNT = 3

# Operands of these can't be drawn again: they are sorted, or one row is searched for all.
LEFT_TO_A_LOOP = {"searchsorted": {0}, "by_mode": {0}, "scatter_set": {2, 3}}


def _others_like(array, rng, attrs):
    """Give an array that fits wherever *array* does; orders of places stay orders."""
    if array.dtype.kind == "f":
        return array + rng.uniform(-0.05, 0.05, array.shape) * (np.abs(array) > 0.2)
    if array.ndim == 0:
        return array
    return np.roll(array, rng.integers(1, 3), attrs.get("axis", 0))


def _results(op, arrays, attrs):
    node = apply(op, *map(constant, arrays), **attrs)
    several = isinstance(node.spec, tuple)
    return [item(node, i) for i in range(len(node.spec))] if several else [node]


def _stacked(op, rows, attrs):
    """Run the operation on every row and stack what comes."""
    with np.errstate(all="ignore"):
        single = [interpret(Graph(_results(op, arrays, attrs)), {}) for arrays in rows]
    return [np.stack(parts) for parts in zip(*single, strict=True)]


def _symmetric(array):
    return (array + array.swapaxes(-1, -2)) / 2


@pytest.mark.parametrize("name", [name for name, op in table().items() if op.batch is not None])
def test_a_batch_is_the_stack_of_single_results(name):
    op = table()[name]
    rng = np.random.default_rng(3)
    tried = 0
    for arrays, attrs in cases_of(name) or cases_of(name, np.int64):
        for flags in itertools.product([False, True], repeat=len(arrays)):
            refused = LEFT_TO_A_LOOP.get(name, set()) & {i for i, f in enumerate(flags) if f}
            if not any(flags) or refused:
                continue
            rows = [
                [
                    _others_like(a, rng, attrs) if f else a
                    for a, f in zip(arrays, flags, strict=True)
                ]
                for _ in range(COUNT)
            ]
            if name in SYMMETRIC:
                rows = [[_symmetric(a) for a in row] for row in rows]
            whole = [
                np.stack(column) if f else column[0]
                for column, f in zip(zip(*rows, strict=True), flags, strict=True)
            ]
            node = op.batch(list(flags), *map(constant, whole), **attrs)
            assert node is not None, (flags, attrs)
            several = isinstance(node.spec, tuple)
            nodes = [item(node, i) for i in range(len(node.spec))] if several else [node]
            with np.errstate(all="ignore"):
                found = interpret(Graph(nodes), {})
            for one, many, result in zip(_stacked(op, rows, attrs), found, nodes, strict=True):
                assert result.shape == one.shape, (flags, attrs)
                assert result.dtype == one.dtype
                np.testing.assert_allclose(
                    many, one, rtol=1e-9, atol=1e-11, err_msg=f"{flags} {attrs}"
                )
            tried += 1
    assert tried


@pytest.mark.parametrize("name", LEFT_TO_A_LOOP)
def test_a_combination_without_a_rule_is_left_to_a_loop(name):
    op = table()[name]
    for arrays, attrs in cases_of(name):
        for index in LEFT_TO_A_LOOP[name] & set(range(len(arrays))):
            flags = [i == index for i in range(len(arrays))]
            given = [np.stack([a] * COUNT) if f else a for a, f in zip(arrays, flags, strict=True)]
            assert op.batch(flags, *map(constant, given), **attrs) is None


def _batched_value(build, shape, array):
    x = argument(Spec(shape, np.dtype(float)), "x")
    results = batched(build(x), {x: constant(array)})
    return None if results is None else [r.data for r in results]


def test_what_does_not_depend_on_the_batch_is_repeated():
    (result,) = _batched_value(lambda x: [lg.constant([1.0, 2.0])], (2,), np.ones((3, 2)))
    np.testing.assert_array_equal(result, [[1.0, 2.0]] * 3)


def test_an_input_may_be_an_output():
    array = np.arange(6.0).reshape(3, 2)
    (result,) = _batched_value(lambda x: [x], (2,), array)
    np.testing.assert_array_equal(result, array)


def test_results_of_an_operation_with_several():
    array = np.random.default_rng(0).standard_normal((3, 4, 2))
    q, r = _batched_value(lambda x: lg.linalg.qr(x), (4, 2), array)
    np.testing.assert_allclose(q @ r, array, atol=1e-12)


def test_a_value_that_is_too_large_leaves_it_to_a_loop(monkeypatch):
    monkeypatch.setattr(batch, "LARGEST_BATCH", 100)
    assert _batched_value(lambda x: [x * 2], (2,), np.ones((3, 2))) is not None
    assert _batched_value(lambda x: [x * 2], (2,), np.ones((7, 2))) is None
    assert (
        _batched_value(lambda x: [lg.broadcast_to(x, (9, 2)).sum()], (2,), np.ones((3, 2))) is None
    )


def test_an_operation_without_a_rule_leaves_it_to_a_loop():
    assert (
        _batched_value(
            lambda x: [lg.scan(lambda c, e: (c + e, None), 0.0, x)[0]], (2,), np.ones((3, 2))
        )
        is None
    )
