"""== is elementwise, as in NumPy; nodes are found by identity."""

import numpy as np

import lazygrad as lg


def test_equality_is_elementwise():
    x = lg.placeholder((3,), name="x")
    same, other = lg.compile([x == 2, x != 2])(x=[1.0, 2.0, np.nan])
    np.testing.assert_array_equal(same, [False, True, False])
    np.testing.assert_array_equal(other, [True, False, True])
    assert (x == x).dtype == np.bool_
    assert isinstance(x == 2, lg.Value)
    assert isinstance(np.ones(3) == x, lg.Value)


def test_the_hash_is_identity():
    x, y = lg.Value([1.0]), lg.Value([1.0])
    assert hash(x) == object.__hash__(x)
    assert {x: 1, y: 2}[x] == 1
    assert len({x, y, x}) == 2


def test_the_library_finds_nodes_by_identity():
    x, y = lg.Value([1.0, 2.0]), lg.Value([1.0, 2.0])
    f = lg.compile({"a": x, "b": y}, updates={x: y + 1, y: x})
    f()
    np.testing.assert_array_equal(x.data, [2.0, 3.0])
    np.testing.assert_array_equal(y.data, [1.0, 2.0])
    a, b = lg.grad((x * 2 + y * 3).sum(), [x, y])
    assert (a.data[0], b.data[0]) == (2.0, 3.0)


def test_comparing_with_what_is_no_number():
    x = lg.placeholder((3,), name="x")
    for other in (None, "text", object()):
        try:
            result = x == other
        except (lg.LazygradError, TypeError):
            continue
        assert result is False or isinstance(result, lg.Value)
