"""Random expressions of lengths, built from any kind of leaf."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from lazygrad.lengths import maximum, minimum

NAMES = ("batch", "k", "n", "two words")
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "max": maximum,
    "min": minimum,
    "//": operator.floordiv,
    "%": operator.mod,
}
Tree = Any  # an int, a name, or (sign, tree, tree)
ALL = tuple(BINARY)


def trees(signs: tuple[str, ...]) -> st.SearchStrategy[Tree]:
    leaves = st.one_of(st.integers(-6, 6), st.sampled_from(NAMES))
    return st.recursive(
        leaves,
        lambda inner: st.tuples(st.sampled_from(signs), inner, inner),
        max_leaves=9,
    )


def nonzero(value: Any, leaf: Callable[[str], Any]) -> list[Any]:
    """Give divisors that are zero for no binding: `k` and `two words` are from 1 to 9."""
    k, words = leaf("k"), leaf("two words")
    return [
        *(maximum(value, 1), minimum(value, -1), 4, -3, k, -k, 2 * k, k * words, 6 * k * words),
        *(k + leaf("n"), k - 10, 2 * k + 2 * words, k * words + k, k // 10 + 2, words * (k + 1)),
    ]


def build(tree: Tree, leaf: Callable[[str], Any]) -> Any:
    if isinstance(tree, int):
        return tree
    if isinstance(tree, str):
        return leaf(tree)
    sign, left, right = tree
    a, b = build(left, leaf), build(right, leaf)
    if sign not in ("//", "%"):
        return BINARY[sign](a, b)
    divisors = nonzero(b, leaf)
    return BINARY[sign](a, divisors[len(repr(tree)) % len(divisors)])


values = st.fixed_dictionaries(
    {text: st.integers(int(text in ("k", "two words")), 9) for text in NAMES}
)
