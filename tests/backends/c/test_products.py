"""Matrix products in C against NumPy: sizes around tiles and vectors, strides, stacks."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain

try:
    find_toolchain()
except CompilerError as reason:
    pytest.skip(f"there is no C compiler: {reason}", allow_module_level=True)

SIZES = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 65]


def check(pairs, dtype):
    """Multiply all pairs in one program, so that one compiler run is enough."""
    rng = np.random.default_rng(0)
    feeds, outputs, expected, sizes = {}, [], [], []
    for i, (a, b, of_a, of_b) in enumerate(pairs):
        feeds[f"a{i}"] = rng.standard_normal(a).astype(dtype)
        feeds[f"b{i}"] = rng.standard_normal(b).astype(dtype)
        x = lg.placeholder(a, dtype=dtype, name=f"a{i}")
        y = lg.placeholder(b, dtype=dtype, name=f"b{i}")
        outputs.append(of_a(x) @ of_b(y))
        left, right = of_a(feeds[f"a{i}"]), of_b(feeds[f"b{i}"])
        expected.append(left.astype(np.float64) @ right)
        sizes.append(np.abs(left).astype(np.float64) @ np.abs(right))
    program = lg.compile(outputs, backend="c")
    results = program(**feeds)
    for pair, result, want, size in zip(pairs, results, expected, sizes, strict=True):
        bound = np.finfo(dtype).eps * pair[0][-1] * size + np.finfo(dtype).tiny
        assert result.dtype == dtype
        assert (np.abs(result - want) <= 2 * bound).all(), pair[:2]
    return program


def same(x):
    return x


def turned(x):
    return x.swapaxes(-1, -2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", SIZES)
def test_every_remainder(rows, dtype):
    pairs = [((rows, k), (k, n), same, same) for n in SIZES for k in (1, 5)]
    program = check(pairs, dtype)
    assert "matmul(" not in program.source.split("segment_0(char")[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_transposed_operands(dtype):
    pairs = []
    for m, k, n in [(3, 4, 5), (16, 16, 16), (20, 33, 17), (40, 7, 1), (1, 7, 40), (100, 2, 16)]:
        pairs += [
            ((k, m), (k, n), turned, same),
            ((m, k), (n, k), same, turned),
            ((k, m), (n, k), turned, turned),
            ((m, 2 * k), (2 * k, n), lambda x: x[:, ::2], lambda x: x[::-2]),
            ((m, k), (k, 2 * n), same, lambda x: x[:, 1::2]),
            ((m, k), (k, n), lambda x: x[::-1], lambda x: x[:, ::-1]),
        ]
    check(pairs, dtype)


def test_stacks():
    pairs = [
        ((4, 5, 6), (4, 6, 7), same, same),
        ((4, 5, 6), (6, 17), same, same),
        ((5, 6), (4, 6, 7), same, same),
        ((2, 1, 5, 6), (3, 6, 7), same, same),
        ((2, 3, 5, 6), (2, 3, 7, 6), same, turned),
        ((2, 5, 3, 6), (2, 7, 3, 6), lambda x: x.swapaxes(1, 2), lambda x: _attention(x)),
        ((4, 1, 6), (4, 6, 1), same, same),
        ((4, 6, 5), (6, 17), turned, same),
    ]
    check(pairs, "float32")


def _attention(x):
    return x.swapaxes(1, 2).swapaxes(-1, -2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_ones_go_block_by_block(dtype):
    pairs = [
        # Several blocks of the depth, of the columns with some left over, of the rows.
        ((40, 700), (700, 500), same, same),
        ((3, 1100), (1100, 300), same, same),
        ((700, 41), (700, 500), turned, same),
        ((41, 530), (300, 530), same, turned),
        ((600, 41), (300, 600), turned, turned),
        ((1100, 1030), (1030, 40), same, same),
        ((2, 30, 520), (2, 520, 530), same, same),
    ]
    program = check(pairs, dtype)
    assert "matmul(" not in program.source.split("segment_0(char")[0]


def test_integers_are_left_to_numpy():
    x = lg.placeholder((3, 3), dtype="int64", name="x")
    program = lg.compile((x @ x) * 2, backend="c")
    a = np.arange(9).reshape(3, 3)
    np.testing.assert_array_equal(program(x=a), a @ a * 2)
