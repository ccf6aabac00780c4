"""Canonical forms, operators and pickling of lengths."""

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
from hypothesis import given, settings, strategies as st

from lazygrad.errors import ShapeError
from lazygrad.lengths import (
    Dim,
    Length,
    compare,
    evaluate,
    fresh,
    maximum,
    minimum,
    name,
    parse_length,
    substitute,
)
from tests.lengths.trees import ALL, NAMES, Tree, build, trees

batch, time, k, n = name("batch"), name("time"), name("k"), name("n")


@settings(max_examples=1500)
@given(trees(ALL))
def test_pickled_and_substituted_by_itself_it_stays(tree: Tree) -> None:
    symbolic = build(tree, name)
    assert pickle.loads(pickle.dumps(symbolic)) == symbolic
    assert substitute(symbolic, {text: name(text) for text in NAMES}) == symbolic


@settings(max_examples=600)
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


@settings(max_examples=500)
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


def test_loading_in_another_process_advances_the_fresh_numbers() -> None:
    made = fresh() + fresh(data=True)
    code = (
        "import pickle, sys; from lazygrad.lengths import fresh;"
        f"loaded = pickle.loads({pickle.dumps(made)!r});"
        "sys.stdout.write(f'{loaded} {fresh().names & loaded.names}')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{made} frozenset()"


def test_pickles_are_built_up_without_text_and_without_recursion() -> None:
    nested: Dim = n
    for _ in range(150):
        nested = maximum(nested // (k + 1) * batch, k) - time
    loaded = pickle.loads(pickle.dumps(nested))
    assert loaded == nested
    assert loaded.names == {"n", "k", "batch", "time"}
    assert b"parse" not in pickle.dumps(nested)


def test_loading_advances_the_fresh_numbers_from_inside_an_atom() -> None:
    last = int(str(fresh())[1:])
    made = pickle.dumps(name("n") // (parse_length(f"?{last + 4}") + 1))
    code = (
        "import pickle, sys; from lazygrad.lengths import fresh;"
        f"pickle.loads({made!r}); sys.stdout.write(str(fresh()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"?{last + 5}"


def test_deep_lengths_need_no_recursion() -> None:
    deep: Dim = n
    for _ in range(1200):
        deep = (3 * deep + 1) // 2 - deep
    assert evaluate(deep, {"n": 0}) == 0
    assert parse_length(str(deep)) == deep
    assert pickle.loads(pickle.dumps(deep)) == deep
    assert copy.deepcopy(deep) == deep


def test_a_length_is_a_value() -> None:
    length = (2 * n + 1) // k + fresh()
    assert copy.copy(length) is length
    assert copy.deepcopy([length])[0] is length
    assert pickle.loads(pickle.dumps(length)) == length
    with pytest.raises(AttributeError):
        length.other = 1  # type: ignore[union-attr]
    with pytest.raises(AttributeError):
        length.names = frozenset()  # type: ignore[union-attr, misc]
