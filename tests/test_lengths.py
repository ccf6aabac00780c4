"""Lengths: canonical forms, text, binding, and agreement with plain integers."""

from __future__ import annotations

import copy
import operator
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazygrad.errors import ShapeError
from lazygrad.lengths import (
    Dim,
    Length,
    collecting,
    compare,
    evaluate,
    fresh,
    is_static,
    maximum,
    minimum,
    name,
    parse_length,
    same,
    solve,
    substitute,
    substitute_shape,
)

batch, time, k, n = name("batch"), name("time"), name("k"), name("n")
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
ALL = tuple(BINARY)


@settings(derandomize=True, max_examples=1500, deadline=None)
@given(trees(ALL), values)
def test_symbolic_then_bound_is_the_same_as_plain_integers(
    tree: Tree, bindings: dict[str, int]
) -> None:
    symbolic = build(tree, name)
    assert evaluate(symbolic, bindings) == build(tree, bindings.__getitem__)


@settings(derandomize=True, max_examples=1000, deadline=None)
@given(trees(ALL), values)
def test_partial_substitution_agrees(tree: Tree, bindings: dict[str, int]) -> None:
    symbolic = build(tree, name)
    first = {text: bindings[text] for text in NAMES[:2]}
    partly = substitute(symbolic, first)
    assert isinstance(partly, int) or not partly.names & set(first)
    assert evaluate(partly, bindings) == build(tree, bindings.__getitem__)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(trees(("+", "-", "*")), values)
def test_partial_substitution_gives_the_canonical_polynomial(
    tree: Tree, bindings: dict[str, int]
) -> None:
    first = {text: bindings[text] for text in NAMES[:2]}
    partly = substitute(build(tree, name), first)
    assert partly == build(tree, lambda text: first.get(text, name(text)))


@settings(derandomize=True, max_examples=1500, deadline=None)
@given(trees(ALL))
def test_text_is_read_back_and_pickled(tree: Tree) -> None:
    symbolic = build(tree, name)
    assert parse_length(str(symbolic)) == symbolic
    assert pickle.loads(pickle.dumps(symbolic)) == symbolic
    assert substitute(symbolic, {text: name(text) for text in NAMES}) == symbolic


@settings(derandomize=True, max_examples=600, deadline=None)
@given(trees(ALL), trees(ALL), trees(ALL))
def test_equal_forms_are_equal_and_hash_equal(a: Tree, b: Tree, c: Tree) -> None:
    x, y, z = build(a, name), build(b, name), build(c, name)
    for left, right in [
        (x + y, y + x),
        ((x + y) + z, x + (y + z)),
        (x * y, y * x),
        ((x * y) * z, x * (y * z)),
        (x * (y + z), x * y + x * z),
        (x - y, -(y - x)),
        ((x + y) ** 2, x * x + 2 * x * y + y * y),
        (maximum(x, y), maximum(y, x)),
        (minimum(x, y), minimum(y, x)),
        (maximum(x, y) + 3, maximum(x + 3, y + 3)),
        (minimum(x, y) - 2, minimum(x - 2, y - 2)),
        ((x + 6 * y) // 3, x // 3 + 2 * y),
        ((2 * x) // 4, x // 2),
        (x % 5 + x // 5 * 5, x),
        (x * 2 * k // k, 2 * x),
    ]:
        assert left == right
        assert hash(left) == hash(right)
        assert str(left) == str(right)
        assert compare(left, right) is True


@settings(derandomize=True, max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(["batch", "k", "n"]), min_size=2, max_size=5), st.integers(0, 99))
def test_max_and_min_do_not_depend_on_order(texts: list[str], seed: int) -> None:
    dims = [name(text) * (1 + (seed + i) % 3) + (seed * i) % 5 for i, text in enumerate(texts)]
    shuffled = [dims[i] for i in np.random.default_rng(seed).permutation(len(dims))]
    for extreme in (maximum, minimum):
        one: Dim = dims[0]
        other: Dim = shuffled[0]
        for a, b in zip(dims[1:], shuffled[1:], strict=True):
            one, other = extreme(one, a), extreme(b, other)
        assert one == other


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.text(min_size=1, max_size=8))
def test_any_name_is_read_back(text: str) -> None:
    if text[0] in "?#" and text[1:].isascii() and text[-1:].isdigit():
        return
    for dim in (name(text), 2 * name(text) + 1, maximum(name(text), batch * 7)):
        assert parse_length(str(dim)) == dim
    assert name(text).names == {text}


@pytest.mark.parametrize(
    ("dim", "text"),
    [
        (batch, "batch"),
        (2 * batch + 1, "2*batch + 1"),
        (1 - batch, "1 - batch"),
        (-batch - 1, "-batch - 1"),
        (time * batch, "batch*time"),
        (batch // 2, "batch//2"),
        ((batch + 1) // 2, "(batch + 1)//2"),
        (-(batch // 2), "-(batch//2)"),
        (time - batch // 2, "time - batch//2"),
        (2 * (batch // 2), "2*(batch//2)"),
        (batch // (2 * time), "batch//(2*time)"),
        (maximum(time, batch), "max(batch, time)"),
        (minimum(3, batch), "min(batch, 3)"),
        (maximum(batch - 3, 0), "max(batch - 3, 0)"),
        (batch**3, "batch*batch*batch"),
        (batch % 4, "batch - 4*(batch//4)"),
        (name("two words") + 1, "`two words` + 1"),
        (name("a`b"), "`a``b`"),
        (name("min") + name("class"), "`min` + class"),
        ((-5) // batch, "(-5)//batch"),
    ],
)
def test_text(dim: Length, text: str) -> None:
    assert str(dim) == text
    assert repr(dim) == f"Length({text!r})"
    assert parse_length(text) == dim


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((2 * n + 3) // 2, n + 1),
        ((n * k) // k, n),
        ((n * k + 3 * k) // k, n + 3),
        ((n * k + 3) // k, n + 3 // k),
        ((n * k) // (2 * k), n // 2),
        ((n + k) * (n - 1) // (n + k), n - 1),
        ((n * n - 1) // (n - 1), n + 1),
        ((2 * n + 1) // 4, n // 2),
        ((2 * n + 1) // (2 * k), n // k),
        ((6 * k + 3) // (6 * k * k), 1 // k),
        (((n + 1) // 2 + 1) // 2, (n + 3) // 4),
        (n // 2 // k, n // k // 2),
        (5 * n // 2, 2 * n + n // 2),
        (n // -2, (-n) // 2),
        (n % n, 0),
        (n // n, 1),
        (n - n, 0),
        (n * 0, 0),
        (n**0, 1),
        (maximum(n, 0), n),
        (minimum(n, 0), 0),
        (maximum(n, n + 2), n + 2),
        (minimum(n, n + 2), n),
        (maximum(n * k + 1, 1), n * k + 1),
        (maximum(n // 2, 0), n // 2),
        (maximum(maximum(n, k), maximum(batch, n)), maximum(n, maximum(k, batch))),
        (maximum(maximum(n - 1, 0) - 2, 0), maximum(n - 3, 0)),
        (maximum(n + k, n + batch), n + maximum(k, batch)),
        (minimum(minimum(n, 3), 5), minimum(n, 3)),
        (maximum(3, 4), 4),
        (minimum(3, 4), 3),
    ],
)
def test_simplification(left: Dim, right: Dim) -> None:
    assert left == right
    assert type(left) is type(right)
    assert hash(left) == hash(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [(maximum(n - 3, 0), n - 3), (minimum(n - 3, 0), n - 3), (n // 2 * 2, n), (n // k * k, n)],
)
def test_what_may_differ_is_not_simplified(left: Dim, right: Dim) -> None:
    assert left != right
    assert compare(left, right) is None


def test_a_sum_as_divisor_keeps_the_quotient_short() -> None:
    assert str(batch // (batch + time)) == "batch//(batch + time)"
    assert str((batch + 5) // (batch + 1)) == "4//(batch + 1) + 1"


def test_equality_never_raises_and_never_holds_with_integers() -> None:
    assert n != 3
    assert n != "n"
    assert n != 1.5
    assert n == name("n")
    assert len({n, name("n"), n + 1, 1 + n}) == 2


@pytest.mark.parametrize("other", [1.5, "a", None, [1], np.ones(2), np.float32(2), object()])
@pytest.mark.parametrize(
    "method",
    [
        *("add", "radd", "sub", "rsub", "mul", "rmul", "floordiv", "rfloordiv", "mod", "rmod"),
        *("pow", "lt", "le", "gt", "ge"),
    ],
)
def test_other_operands_are_left_to_the_other_side(method: str, other: object) -> None:
    assert getattr(n, f"__{method}__")(other) is NotImplemented


@pytest.mark.parametrize("array", [np.arange(3), np.ones(2), np.float64(2.0), np.array(1)])
def test_numpy_makes_no_array_of_lengths(array: Any) -> None:
    with pytest.raises(TypeError):
        array * n
    with pytest.raises(TypeError):
        n + array


class Reflecting:
    """Stands for a graph node."""

    def __radd__(self, other: object) -> str:
        return f"node + {other}"

    def __gt__(self, other: object) -> str:
        return f"node > {other}"


def test_the_other_side_gets_its_turn() -> None:
    node: Any = Reflecting()
    assert n + node == "node + n"
    assert (n < node) == "node > n"


@pytest.mark.parametrize("use", [bool, int, float, operator.index, range])
def test_a_length_is_no_number_before_the_run(use: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError, match=r"length `2\*batch` is known only when the program runs"):
        use(2 * batch)


def test_order_is_decided_where_the_difference_is_constant() -> None:
    assert n < n + 1
    assert n + 1 > n
    assert n <= n
    assert n >= n - 1
    assert not n > n
    assert not n + 1 <= n
    for holds in (operator.lt, operator.le, operator.gt, operator.ge):
        with pytest.raises(TypeError, match=r"`n` is known only .*compare after feeding"):
            holds(n, 3)
        with pytest.raises(TypeError, match="known only when the program runs"):
            holds(3, n)


def test_power_and_zero_divisor() -> None:
    with pytest.raises(ShapeError, match=r"\(n\)\*\*-1"):
        n**-1
    with pytest.raises(ZeroDivisionError, match="n"):
        n // 0
    with pytest.raises(ZeroDivisionError, match="n"):
        n % 0
    with pytest.raises(TypeError, match=r"1\.5"):
        maximum(n, 1.5)  # type: ignore[arg-type]


def test_names() -> None:
    assert (n * (k // 2) + maximum(batch, 1)).names == {"n", "k", "batch"}
    assert (n - n + k).names == {"k"}  # type: ignore[union-attr]
    with pytest.raises(ShapeError, match="empty"):
        name("")
    with pytest.raises(ShapeError, match=r"'\?1' is kept"):
        name("?1")
    with pytest.raises(TypeError, match="3"):
        name(3)  # type: ignore[arg-type]


def test_fresh_lengths_are_all_different_across_threads() -> None:
    made: list[Length] = []
    workers = [
        threading.Thread(target=lambda: made.extend(fresh() for _ in range(500))) for _ in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(made)) == 4000


def test_fresh_text() -> None:
    plain, rows, data = fresh(), fresh("rows"), fresh(data=True)
    assert str(plain).startswith("?")
    assert str(rows).startswith("?rows")
    assert str(data).startswith("#")
    assert not plain.is_data_dependent
    assert not (plain + name("#not a number")).is_data_dependent  # type: ignore[union-attr]
    assert (2 * data + plain).is_data_dependent  # type: ignore[union-attr]
    for dim in (plain, rows, data):
        assert parse_length(str(dim)) == dim
        assert dim.names == {str(dim)}
    with pytest.raises(ValueError, match="rows1"):
        fresh("rows1")


def test_reading_advances_the_fresh_numbers() -> None:
    last = int(str(fresh())[1:])
    read = [parse_length(f"2*?{last + 1}"), parse_length(f"#cut{last + 2}")]
    later = fresh()
    assert int(str(later)[1:]) == last + 3
    assert all(later.names.isdisjoint(dim.names) for dim in read if isinstance(dim, Length))


def test_loading_in_another_process_advances_the_fresh_numbers() -> None:
    made = fresh() + fresh(data=True)
    code = (
        "import pickle, sys; from lazygrad.lengths import fresh;"
        f"loaded = pickle.loads({pickle.dumps(made)!r});"
        "sys.stdout.write(f'{loaded} {fresh().names & loaded.names}')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{made} frozenset()"


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("batch +", 7),
        ("+batch", 0),
        ("batch time", 6),
        ("batch)", 5),
        ("(batch", 6),
        ("()", 1),
        ("batch.real", 5),
        ("batch/2", 5),
        ("batch//0", 5),
        ("3 % (2 - 2)", 2),
        ("2**3", 2),
        ("min(batch)", 9),
        ("max(batch, )", 11),
        ("max()", 4),
        ("(batch, time)", 6),
        ("batch, time", 5),
        ("max", 0),
        ("abs(batch)", 3),
        ("2 (3)", 2),
        ("`open", 0),
        ("``", 0),
        ("`?1`", 0),
        ("?x", 0),
        ("1.5", 1),
        ("a -", 3),
    ],
)
def test_other_text_is_refused(text: str, position: int) -> None:
    with pytest.raises(ValueError, match=rf"at position {position}\."):
        parse_length(text)


def test_reading_follows_the_usual_precedence() -> None:
    assert parse_length("-n//2") == (-n) // 2
    assert parse_length("2 - 3 - 4") == -5
    assert parse_length("2+3*4%5") == 2 + 3 * 4 % 5
    assert parse_length(" 2*-n ") == -2 * n
    assert parse_length("--3") == 3
    assert parse_length("max ( n,k , 2)//(k)") == maximum(maximum(n, k), 2) // k
    assert parse_length("n % 2") == n % 2
    assert parse_length("(" * 5000 + "n" + ")" * 5000) == n


def test_deep_lengths_need_no_recursion() -> None:
    deep: Dim = n
    for _ in range(1200):
        deep = (3 * deep + 1) // 2 - deep
    assert evaluate(deep, {"n": 0}) == 0
    assert parse_length(str(deep)) == deep
    assert pickle.loads(pickle.dumps(deep)) == deep
    assert copy.deepcopy(deep) == deep


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


def test_compare_and_same() -> None:
    assert compare(3, 3) is True
    assert compare(3, 4) is False
    assert compare(n, n + 1) is False
    assert compare(n, 3) is None
    assert compare(n, k) is None
    assert same(n, k)
    assert same(n, n)
    assert not same(n, n + 1)
    assert not same(1, 2)


def test_collecting_notes_only_what_is_assumed_and_nests() -> None:
    collector = collecting()
    with collector as outer:
        same(n, n)
        same(n, n + 1)
        same(n, k)
        with collector as inner:
            same(n, 3)
        with pytest.raises(RuntimeError), collecting():
            raise RuntimeError
        same(3, k)
    same(n, batch)
    assert outer == [(n, k), (3, k)]
    assert inner == [(n, 3)]


def test_collecting_belongs_to_one_thread() -> None:
    with collecting() as pairs:
        worker = threading.Thread(target=same, args=(n, k))
        worker.start()
        worker.join()
    assert pairs == []


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


def test_a_length_is_a_value() -> None:
    length = (2 * n + 1) // k + fresh()
    assert copy.copy(length) is length
    assert copy.deepcopy([length])[0] is length
    assert pickle.loads(pickle.dumps(length)) == length
    with pytest.raises(AttributeError):
        length.other = 1  # type: ignore[union-attr]
    with pytest.raises(AttributeError):
        length.names = frozenset()  # type: ignore[union-attr, misc]
