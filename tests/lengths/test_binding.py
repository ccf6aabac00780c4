"""Lengths under bindings: agreement with plain integers, and solving."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from lazygrad.errors import ShapeError
from lazygrad.lengths import (
    Dim,
    evaluate,
    is_static,
    maximum,
    name,
    solve,
    substitute,
    substitute_shape,
)
from tests.lengths.trees import ALL, NAMES, Tree, build, trees, values

batch, time, k, n = name("batch"), name("time"), name("k"), name("n")


@settings(max_examples=1500)
@given(trees(ALL), values)
def test_symbolic_then_bound_is_the_same_as_plain_integers(
    tree: Tree, bindings: dict[str, int]
) -> None:
    symbolic = build(tree, name)
    assert evaluate(symbolic, bindings) == build(tree, bindings.__getitem__)


@settings(max_examples=1000)
@given(trees(ALL), values)
def test_partial_substitution_agrees(tree: Tree, bindings: dict[str, int]) -> None:
    symbolic = build(tree, name)
    first = {text: bindings[text] for text in NAMES[:2]}
    partly = substitute(symbolic, first)
    assert isinstance(partly, int) or not partly.names & set(first)
    assert evaluate(partly, bindings) == build(tree, bindings.__getitem__)


@settings(max_examples=300)
@given(trees(("+", "-", "*")), values)
def test_partial_substitution_gives_the_canonical_polynomial(
    tree: Tree, bindings: dict[str, int]
) -> None:
    first = {text: bindings[text] for text in NAMES[:2]}
    partly = substitute(build(tree, name), first)
    assert partly == build(tree, lambda text: first.get(text, name(text)))


def test_evaluate_names_what_is_unbound() -> None:
    with pytest.raises(ShapeError, match=r"batch\*time needs `time`; bound so far: batch = 2"):
        evaluate(batch * time, {"batch": 2})
    with pytest.raises(ShapeError, match="bound so far: nothing"):
        evaluate(batch, {})
    with pytest.raises(ShapeError, match=r"length n//k divides by zero where k = 0, n = 2"):
        evaluate(n // k, {"n": 2, "k": 0})
    assert evaluate(5, {}) == 5
    assert type(evaluate(2 * n + 1, {"n": 3})) is int


def test_substitute() -> None:
    assert substitute(n * k, {"n": k}) == k * k
    assert substitute(n - k, {"n": k, "k": n}) == k - n
    assert substitute(n, {"batch": 2}) is n
    assert substitute(7, {"n": 2}) == 7
    assert substitute((n + 1) // k, {"n": 2 * k}) == 2 + 1 // k
    shape = (2, 3)
    assert substitute_shape(shape, {"n": 2}) is shape
    assert substitute_shape((n, 4, k), {"n": 2}) == (2, 4, k)
    assert is_static(())
    assert is_static(shape)
    assert not is_static((2, n))


@pytest.mark.parametrize(
    ("declared", "actual", "before", "answer", "after"),
    [
        (3, 3, {}, True, {}),
        (3, 4, {}, False, {}),
        (n, 5, {}, True, {"n": 5}),
        (n, 0, {}, True, {"n": 0}),
        (n, 5, {"n": 5}, True, {"n": 5}),
        (n, 5, {"n": 4}, False, {"n": 4}),
        (2 * n + 1, 7, {}, True, {"n": 3}),
        (2 * n + 1, 6, {}, False, {}),
        (2 * n + 9, 7, {}, False, {}),
        (10 - n, 7, {}, True, {"n": 3}),
        (10 - n, 11, {}, False, {}),
        (n * k + 1, 7, {"k": 2}, True, {"k": 2, "n": 3}),
        (n * k, 0, {"k": 0}, True, {"k": 0}),
        (n * k, 6, {}, None, {}),
        (n + k, 6, {}, None, {}),
        (n + n * k, 6, {}, None, {}),
        (n // 2, 3, {}, None, {}),
        (n * n, 9, {}, None, {}),
        (maximum(n, 3), 3, {}, None, {}),
        (maximum(n, 3), 4, {"n": 4}, True, {"n": 4}),
    ],
)
def test_solve(
    declared: Dim, actual: int, before: dict[str, int], answer: bool | None, after: dict[str, int]
) -> None:
    bindings = dict(before)
    assert solve(declared, actual, bindings) is answer
    assert bindings == after
