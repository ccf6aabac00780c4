"""Checkpoints: everything that training goes on from, in one safetensors file.

Arrays go by the names of what they belong to, the rest as JSON. Nothing is ever unpickled. A file
is written beside its place and renamed, so there is always a whole one; it is checked in full
before anything is written into a model.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from ..compiler import Program
from ..errors import CheckpointError, LazygradError, OptionError
from ..ir.value import Value
from ..nn.module import Module
from ..random import Stream
from ..spec import format_shape

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Checkpoint", "Positioned", "Stateful", "load", "save"]

_FORMAT = "lazygrad checkpoint"
_VERSION = "2"
_KEYS = frozenset({"format", "version", "step", "loader", "extra", "calls", "checksum"})
_DTYPES = {
    "BOOL": "bool",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
}

Path: TypeAlias = "str | os.PathLike[str]"
Streams: TypeAlias = "Stream | Iterable[Stream] | Mapping[str, Stream]"


class Stateful(Protocol):
    """An optimizer: it names the variables that change from update to update."""

    def state_variables(self) -> Mapping[str, Value]:
        """Give them by name."""


class Positioned(Protocol):
    """A data loader: it says where it is, as a dict of integers, and goes there."""

    def state(self) -> Mapping[str, int]:
        """Say where it is."""

    def restore(self, state: Mapping[str, int]) -> None:
        """Go there."""


@dataclass(frozen=True)
class Checkpoint:
    """What a loaded checkpoint says besides what was written into model, optimizer and loader."""

    path: str
    step: int
    extra: Any


def save(
    path: Path,
    *,
    model: Module | None = None,
    optimizer: Stateful | None = None,
    streams: Streams = (),
    program: Program | None = None,
    loader: Positioned | None = None,
    step: int = 0,
    extra: object = None,
) -> None:
    """Write a checkpoint, in one safetensors file that is complete or isn't there.

    Parameters
    ----------
    path
        Of the file; one that is there is replaced when the new one is safely on the disk.
    model
        Its parameters, running statistics, and the counts of the random streams that it holds.
    optimizer
        Its ``state_variables()``: moments, rates, and the count of updates that schedules read.
    streams
        More random streams, by name or in an order that stays.
    program
        All other variables of a training program, random streams among them, and the counts of
        its calls, which decide when it moves to C.
    loader
        A data loader, for where it is in its data.
    step
        How many updates were made.
    extra
        Anything else that JSON can hold: numbers, texts, lists, dicts with texts as keys.

    Raises
    ------
    OptionError
        If *extra* is no such thing, or a variable's dtype can't be stored.
    """
    from safetensors.numpy import save_file

    if type(step) is not int or step < 0:
        raise OptionError(f"save: step must count updates, got {step!r}.")
    variables = _variables(model, optimizer, streams, program)
    arrays: dict[str, Any] = {}
    for name, variable in variables.items():
        if variable.dtype.name not in _DTYPES.values():
            raise OptionError(f"save: {name} is {variable.dtype.name}, which can't be stored.")
        arrays[name] = np.array(variable.data, order="C")
    metadata = {
        "format": _FORMAT,
        "version": _VERSION,
        "step": str(step),
        "loader": _to_json("loader", None if loader is None else dict(loader.state())),
        "extra": _to_json("extra", extra),
        "calls": _to_json("calls", None if program is None else program.calls()),
    }
    metadata["checksum"] = _checksum(metadata, arrays)
    with _written(os.path.realpath(path)) as temporary:
        save_file(arrays, temporary, metadata)


def load(
    path: Path,
    *,
    model: Module | None = None,
    optimizer: Stateful | None = None,
    streams: Streams = (),
    program: Program | None = None,
    loader: Positioned | None = None,
) -> Checkpoint:
    """Read a checkpoint into what is given, all of it or nothing.

    Only what is given is looked for: ``load(path, model=model)`` takes the weights of a whole
    checkpoint. An optimizer's state exists from its ``minimize`` on, so call that first.

    Raises
    ------
    CheckpointError
        If the file is no checkpoint, is damaged, or has other names, shapes or dtypes than what
        it is loaded into; then nothing was changed.
    FileNotFoundError
        If there is no file.
    """
    shown = os.fspath(path)
    variables = _variables(model, optimizer, streams, program)
    asked = [("model/", model), ("optimizer/", optimizer), ("program/", program)]
    prefixes = tuple(prefix for prefix, given in asked if given is not None)
    if _named(streams):
        prefixes += ("stream/",)
    metadata, arrays = _read(shown, variables, prefixes)
    position = _from_json(shown, metadata, "loader")
    extra = _from_json(shown, metadata, "extra")
    calls = _from_json(shown, metadata, "calls")
    step = metadata["step"]
    if not (step.isascii() and step.isdigit() and len(step) < 20):
        raise CheckpointError(f"{shown}: the step is {step!r:.40}, not a count.")
    if loader is not None:
        if not isinstance(position, dict):
            raise CheckpointError(f"{shown}: it was saved without a loader.")
        try:
            loader.restore(position)
        except (LazygradError, TypeError, ValueError) as error:
            raise CheckpointError(f"{shown}: {error}") from error
    if program is not None and calls is not None:
        try:
            program.restore_calls(calls)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{shown}: its counts of calls are damaged: {error}.") from error
    for name, variable in variables.items():
        variable.data = arrays[name]
    return Checkpoint(shown, int(step), extra)


def _variables(
    model: Module | None, optimizer: Stateful | None, streams: Streams, program: Program | None
) -> dict[str, Value]:
    """Give every variable that is saved by its name in the file, each once."""
    found: dict[str, Value] = {}
    seen: set[int] = set()

    def add(name: str, variable: Value) -> None:
        if id(variable) in seen:
            return
        seen.add(id(variable))
        if name in found:
            raise OptionError(f"two variables would be saved as {name!r}.")
        found[name] = variable

    if model is not None:
        for path, variable in model.named_variables():
            add(f"model/{path}", variable)
        for path, stream in _streams_of(model):
            add(f"model/{path}.calls", stream.counter)
        # The mode is what a program or the user says, not what was learned.
        seen.update(id(module.mode) for _, module in model.named_modules())
    if optimizer is not None:
        for name, variable in optimizer.state_variables().items():
            add(f"optimizer/{name}", variable)
    for name, stream in _named(streams).items():
        add(f"stream/{name}", stream.counter)
    if program is not None:
        counts: dict[str, int] = {}
        for variable in program.graph.variables:
            if id(variable) not in seen:
                name = variable.name or "variable"
                counts[name] = counts.get(name, 0) + 1
                add(f"program/{name}.{counts[name] - 1}", variable)
    return found


def _named(streams: Streams) -> dict[str, Stream]:
    if isinstance(streams, Stream):
        return {"0": streams}
    if isinstance(streams, Mapping):
        return dict(streams)
    return {str(place): stream for place, stream in enumerate(streams)}


def _streams_of(model: Module) -> Iterator[tuple[str, Stream]]:
    """Give the random streams that modules hold, also in lists and dicts, by their paths."""
    for path, module in model.named_modules():
        stack: list[tuple[str, object]] = [(name, held) for name, held in vars(module).items()]
        while stack:
            name, held = stack.pop()
            if isinstance(held, Stream):
                yield (f"{path}.{name}" if path else name), held
            elif isinstance(held, Mapping):
                stack += [(f"{name}.{key}", inner) for key, inner in held.items()]
            elif isinstance(held, (list, tuple)):
                stack += [(f"{name}.{place}", inner) for place, inner in enumerate(held)]


def _to_json(what: str, value: object) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(f"save: {what} can't be written as JSON: {error}.") from None


def _from_json(path: str, metadata: Mapping[str, str], key: str) -> Any:
    try:
        return json.loads(metadata[key])
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its {key} can't be read as JSON: {error}.") from None


def _checksum(metadata: Mapping[str, str], arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """Add up what is in a file, so that a flipped bit shows."""
    total = 0
    for key in sorted(metadata.keys() - {"checksum"}):
        total = zlib.crc32(f"{key}={metadata[key]}\n".encode("utf-8", "surrogatepass"), total)
    for name in sorted(arrays):
        total = zlib.crc32(name.encode("utf-8", "surrogatepass"), total)
        total = zlib.crc32(arrays[name].reshape(-1).view(np.uint8).data, total)
    return f"{total:08x}"


@contextlib.contextmanager
def _written(path: str) -> Iterator[str]:
    """Give the name of a file to write, which takes the place of *path* once it is on the disk."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if os.name == "posix":
        # The new name is safe when the folder is.
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read(
    path: str, variables: Mapping[str, Value], prefixes: tuple[str, ...]
) -> tuple[dict[str, str], dict[str, npt.NDArray[Any]]]:
    """Check a file against the variables, then read it; nothing large is read from a wrong one."""
    from safetensors import SafetensorError, safe_open

    # A folder or a pipe is not a file to map into memory.
    if os.path.exists(path) and not os.path.isfile(path):
        raise CheckpointError(f"{path} is not a file.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
            _check_metadata(path, metadata)
            found: dict[str, tuple[str, tuple[int, ...]]] = {}
            for name in file.keys():  # noqa: SIM118  # it is no mapping
                part = file.get_slice(name)
                dtype = part.get_dtype()
                found[name] = (_DTYPES.get(dtype, dtype), tuple(part.get_shape()))
            _check_fit(path, found, variables, prefixes)
            arrays = {name: file.get_tensor(name) for name in found}
    except (SafetensorError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{path} is damaged, cut short, or not a safetensors file: {error}."
        ) from None
    if _checksum(metadata, arrays) != metadata["checksum"]:
        raise CheckpointError(f"{path} is damaged: its checksum is not that of what it holds.")
    return metadata, arrays


def _check_metadata(path: str, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != _FORMAT:
        raise CheckpointError(f"{path} is a safetensors file, but not a checkpoint of lazygrad.")
    if metadata.get("version") != _VERSION:
        raise CheckpointError(
            f"{path} has version {metadata.get('version')!r:.20} of the format; this lazygrad reads"
            f" version {_VERSION}."
        )
    odd = sorted(metadata.keys() ^ _KEYS)
    if odd:
        raise CheckpointError(f"{path}: its metadata has too much or too little: {odd!r:.200}.")


def _check_fit(
    path: str,
    found: Mapping[str, tuple[str, tuple[int, ...]]],
    variables: Mapping[str, Value],
    prefixes: tuple[str, ...],
) -> None:
    """Name, in one error, what is missing, unexpected or different, and what can't be read."""
    wanted = {
        name: (variable.dtype.name, tuple(map(int, variable.shape)))
        for name, variable in variables.items()
    }
    rows = [f"  missing: {name}, {_spec(wanted[name])}" for name in wanted if name not in found]
    rows += [
        f"  unexpected: {name}, {_spec(spec)}"
        for name, spec in found.items()
        if name not in wanted and (name.startswith(prefixes) or spec[0] not in _DTYPES.values())
    ]
    rows += [
        f"  different: {name} is {_spec(found[name])} in the file, expected {_spec(spec)}"
        for name, spec in wanted.items()
        if name in found and found[name] != spec
    ]
    if rows:
        raise CheckpointError("\n".join([f"{path} doesn't fit what it is loaded into.", *rows]))


def _spec(spec: tuple[str, tuple[int, ...]]) -> str:
    return f"{spec[0]}{format_shape(spec[1])}"
