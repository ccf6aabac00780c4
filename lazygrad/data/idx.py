"""Arrays from IDX files, the format of MNIST, plain or compressed by gzip.

The format: two zero bytes, a code for the dtype, the number of axes, each length as a big-endian
uint32, then the numbers, big-endian, last axis fastest; http://yann.lecun.com/exdb/mnist.
"""

from __future__ import annotations

import os
import zlib
from gzip import GzipFile
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["read_idx"]

Stream: TypeAlias = "BinaryIO | GzipFile"

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"
# Deflate never packs more bytes than this into one.
_LARGEST_RATIO = 1032
_CHUNK = 1 << 20
_MOST_AXES = 64


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Read an IDX file, such as those of MNIST.

    Whether it is compressed is seen from its first bytes, not from its name. The lengths in its
    header are compared with the size of the file before memory is taken for them.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    array
        A new array of uint8, int8, int16, int32, float32 or float64, in this machine's byte order.

    Raises
    ------
    OSError
        The file can't be opened or read.
    ValueError
        The file is no IDX file, is cut off, damaged, or longer than its header says; the text
        names the file.

    Examples
    --------
    >>> import gzip, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels-idx1-ubyte.gz")
    ...     size = path.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1])))
    ...     print(lg.data.read_idx(path))
    [7 2 1]
    """
    shown = os.fspath(path)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        packed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        if not packed:
            return _read(file, shown, size, exact=True)
        try:
            with GzipFile(fileobj=file, mode="rb") as stream:
                return _read(stream, shown, size * _LARGEST_RATIO, exact=False)
        # gzip.BadGzipFile has no error number; a failing disk has one.
        except (EOFError, zlib.error, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise _fault(shown, f"its gzip data is damaged or cut off ({error})") from error


def _read(stream: Stream, path: str, available: int, *, exact: bool) -> npt.NDArray[Any]:
    """Read header and numbers; *available* bytes are in the file, or if not *exact* at most."""
    dtype, shape, header = _header(stream, path)
    needed = prod(shape) * dtype.itemsize
    promise = f"its header says {dtype.name}{list(shape)}, {needed} bytes"
    rest = available - header
    if needed > rest or (exact and needed < rest):
        most = "" if exact else "at most "
        raise _fault(path, f"{promise}, but {most}{max(rest, 0)} bytes follow it")
    content = bytearray()
    # Growing with what is really there, since a compressed file's size isn't known before.
    while len(content) < needed:
        chunk = stream.read(min(_CHUNK, needed - len(content)))
        if not chunk:
            raise _fault(path, f"{promise}, but {len(content)} bytes follow it")
        content += chunk
    # Reading past the end also makes gzip compare its checksum.
    if stream.read(1):
        raise _fault(path, f"{promise}, but more bytes follow it")
    try:
        array = np.frombuffer(content, dtype).reshape(shape)
    except ValueError as error:
        raise _fault(path, f"{promise}, which NumPy can't hold ({error})") from error
    return array.astype(dtype.newbyteorder("="), copy=False)


def _header(stream: Stream, path: str) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Read dtype, lengths and the number of bytes that say them."""
    magic = stream.read(4)
    if len(magic) < 4:
        raise _fault(path, f"it ends after {len(magic)} bytes, within the header of an IDX file")
    if magic[:2] != b"\0\0":
        raise _fault(path, f"it starts with {magic.hex(' ')}, an IDX file with 00 00")
    _, _, code, axes = magic
    if code not in _DTYPES:
        known = ", ".join(f"{key:02x} ({np.dtype(name).name})" for key, name in _DTYPES.items())
        raise _fault(path, f"its dtype has the code {code:02x}, expected one of {known}")
    if not 1 <= axes <= _MOST_AXES:
        raise _fault(path, f"it has {axes} axes, expected 1 to {_MOST_AXES}")
    lengths = stream.read(4 * axes)
    if len(lengths) < 4 * axes:
        raise _fault(path, f"it ends within the lengths of its {axes} axes")
    shape = tuple(np.frombuffer(lengths, ">u4").tolist())
    return np.dtype(_DTYPES[code]), shape, len(magic) + len(lengths)


def _fault(path: str, text: str) -> ValueError:
    return ValueError(f"read_idx: {path} can't be read: {text}.")
