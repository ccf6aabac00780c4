"""The text of lengths, written and read back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from lazygrad.lengths import Length, fresh, maximum, minimum, name, parse_length
from tests.lengths.trees import ALL, Tree, build, trees

batch, time, k, n = name("batch"), name("time"), name("k"), name("n")


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


@settings(max_examples=1500)
@given(trees(ALL))
def test_text_is_read_back(tree: Tree) -> None:
    symbolic = build(tree, name)
    assert parse_length(str(symbolic)) == symbolic


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


@settings(max_examples=300)
@given(st.text(min_size=1, max_size=8))
def test_any_name_is_read_back(text: str) -> None:
    if text[0] in "?#" and text[1:].isascii() and text[-1:].isdigit():
        return
    for dim in (name(text), 2 * name(text) + 1, maximum(name(text), batch * 7)):
        assert parse_length(str(dim)) == dim
    assert name(text).names == {text}


def test_reading_advances_the_fresh_numbers() -> None:
    last = int(str(fresh())[1:])
    read = [parse_length(f"2*?{last + 1}"), parse_length(f"#cut{last + 2}")]
    later = fresh()
    assert int(str(later)[1:]) == last + 3
    assert all(later.names.isdisjoint(dim.names) for dim in read if isinstance(dim, Length))


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
