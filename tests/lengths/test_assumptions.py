"""Equality of lengths, and the record of what was assumed."""

from __future__ import annotations

import threading

import pytest

from lazygrad.lengths import collecting, compare, name, same

batch, k, n = name("batch"), name("k"), name("n")


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
