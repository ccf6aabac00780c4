"""IDX files: every dtype, plain and compressed; each damage is an error with the path."""

import gzip
import math
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from lazygrad.data import read_idx

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def header(code, *lengths):
    return bytes([0, 0, code, len(lengths)]) + struct.pack(f">{len(lengths)}I", *lengths)


def content_of(array):
    return (
        header(CODES[array.dtype.str[1:]], *array.shape)
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


@pytest.fixture
def read(tmp_path):
    def write_and_read(content):
        path = tmp_path / "some-file"
        path.write_bytes(content)
        return read_idx(path)

    return write_and_read


def refuse(read, content, words):
    with pytest.raises(ValueError, match=words) as error:
        read(content)
    assert "some-file" in str(error.value)
    assert str(error.value).startswith("read_idx: ")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("shape", [(7,), (2, 3, 4), (1,), (0,), (0, 5), (3, 0)])
def test_arrays_come_back_in_native_byte_order(read, pack, code, shape):
    array = np.arange(math.prod(shape)).reshape(shape).astype(code) - np.array(3).astype(code)
    result = read(pack(content_of(array)))
    assert result.dtype == np.dtype(code)
    assert result.dtype.isnative
    assert result.flags.writeable
    assert result.shape == shape
    np.testing.assert_array_equal(result, array)


def test_a_path_may_be_a_string_and_any_name(tmp_path):
    path = tmp_path / "plain.gz"
    path.write_bytes(content_of(np.arange(3, dtype="i4")))
    assert read_idx(str(path)).tolist() == [0, 1, 2]


def test_a_file_larger_than_one_reading(read):
    array = np.random.default_rng(0).integers(0, 255, (1500, 1000), np.uint8)
    np.testing.assert_array_equal(read(gzip.compress(content_of(array), 1)), array)


def test_several_compressed_parts_are_one_file(read):
    content = content_of(np.arange(9, dtype="u1"))
    assert read(gzip.compress(content[:7]) + gzip.compress(content[7:])).tolist() == list(range(9))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_what_is_no_idx_file_is_refused(read, pack):
    refuse(read, pack(b""), "ends after 0 bytes, within the header")
    refuse(read, pack(b"\0\0\x08"), "ends after 3 bytes, within the header")
    refuse(read, pack(b"\x89PNG and more"), "starts with 89 50 4e 47, an IDX file with 00 00")
    refuse(read, pack(b"\0\0\x0a\x01" + bytes(8)), r"code 0a, expected one of 08 \(uint8\)")
    refuse(read, pack(b"\0\0\x08\x00\x01"), "it has 0 axes, expected 1 to 64")
    refuse(read, pack(b"\0\0\x08\xff" + bytes(2000)), "it has 255 axes")
    refuse(read, pack(b"\0\0\x08\x02" + bytes(7)), "ends within the lengths of its 2 axes")
    refuse(read, pack(header(8, 0, *[2**32 - 1] * 3)), "which NumPy can't hold")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_file_that_is_too_short_or_too_long_is_refused(read, pack):
    content = content_of(np.arange(6, dtype="i2").reshape(2, 3))
    refuse(read, pack(content[:-1]), r"int16\[2, 3\], 12 bytes, but 11 bytes follow")
    refuse(read, pack(content + b"x"), r"int16\[2, 3\], 12 bytes, but (13|more) bytes follow")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_header_that_promises_too_much_takes_no_memory(read, pack):
    content = pack(header(14, *[2**32 - 1] * 6) + bytes(100))
    tracemalloc.start()
    try:
        refuse(read, content, r"but (at most )?\d+ bytes follow")
        # Within the largest ratio, so that only what is there limits what is taken.
        refuse(read, gzip.compress(header(8, 20_000) + bytes(100)), "but 100 bytes follow")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_bomb_behind_a_small_header_is_not_unpacked(read):
    content = gzip.compress(header(8, 3) + bytes(50_000_000))
    tracemalloc.start()
    try:
        refuse(read, content, "3 bytes, but more bytes follow")
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_damaged_gzip_data_is_refused(read):
    whole = gzip.compress(content_of(np.arange(200, dtype="u1")))
    for end in range(2, len(whole)):
        refuse(read, whole[:end], "can't be read")
    refuse(read, whole + b"garbage", "gzip data is damaged")
    refuse(read, whole[:-8] + bytes(4) + whole[-4:], "gzip data is damaged .*CRC")


@given(st.data())
@settings(max_examples=200)
def test_a_changed_byte_is_an_error_or_an_array(tmp_path_factory, data):
    content = content_of(np.arange(20, dtype="u1").reshape(4, 5))
    if data.draw(st.booleans()):
        content = gzip.compress(content)
    place = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    changed[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed-idx"
    path.write_bytes(changed)
    try:
        result = read_idx(path)
    except ValueError as error:
        result = str(error)
    assert isinstance(result, np.ndarray) or str(path) in result


def test_a_missing_file_is_pythons_own_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere")
