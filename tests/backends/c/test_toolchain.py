"""What can go wrong between source and machine code: the answer is right all the same."""

import os
import stat
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import executors
from lazygrad.backends.c import cache, toolchain
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain

pytestmark = pytest.mark.skipif(os.name != "posix", reason="shell scripts stand for compilers")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch, tmp_path):
    """A cache of this test's own, and nothing remembered from other tests."""
    monkeypatch.setenv("LAZYGRAD_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(executors, "_said", set())
    monkeypatch.setattr(cache, "_loaded", {})
    toolchain._toolchain.cache_clear()
    yield
    toolchain._toolchain.cache_clear()


def program(factor=2.0):
    x = lg.placeholder((3,), name="x")
    return lg.compile(lg.tanh(x * factor) + 1, backend="c")


def checked():
    compiled = program()
    check(compiled)
    return compiled


def is_native(compiled):
    return "segment_0" in compiled.source


def check(compiled, factor=2.0):
    x = np.array([0.5, -1.0, 3.0])
    np.testing.assert_allclose(compiled(x=x), np.tanh(x * factor) + 1, rtol=1e-14)


def script(tmp_path, text):
    path = tmp_path / "compiler"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


def works():
    try:
        find_toolchain()
    except CompilerError:
        return False
    return True


has_compiler = pytest.mark.skipif(not works(), reason="there is no C compiler")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "can't be run"),
        ("exit 1", "failed with code 1"),
        ("echo no such option >&2; exit 2", "no such option"),
        ("kill -9 $$", "killed by signal 9"),
        ("sleep 20", "took longer than"),
        (
            'case "$*" in *-o*) while [ "$1" != -o ]; do shift; done; echo >"$2";; esac; echo 1',
            "can't be loaded: the library: file too short",
        ),
        # It says who it is, and then compiles nothing.
        (
            'case "$*" in *-o*) exit 0;; esac; echo compiler 1.0',
            "has written nothing",
        ),
        ('case "$*" in *-o*) exit 3;; esac; echo compiler 1.0', "failed with code 3"),
    ],
)
def test_a_compiler_that_fails_gives_one_warning_and_the_right_answer(
    monkeypatch, tmp_path, text, words
):
    monkeypatch.setattr(toolchain, "_PROBE_SECONDS", 0.5)
    named = str(tmp_path / "missing") if text is None else script(tmp_path, text)
    monkeypatch.setenv("LAZYGRAD_CC", named)
    with pytest.warns(lg.BackendWarning, match=f"programs run on NumPy.*({words})") as told:
        compiled = checked()
    assert len(told) == 1
    assert not is_native(compiled)
    # The same reason is not told again.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(program(3.0), 3.0)


def test_no_compiler_at_all(monkeypatch, tmp_path):
    monkeypatch.delenv("LAZYGRAD_CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchain, "find_spec", lambda name: None)
    with pytest.warns(lg.BackendWarning, match="there is no C compiler: cc, gcc, clang or ziglang"):
        check(program())


def test_a_compiler_named_by_nonsense(monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CC", "gcc 'unfinished")
    with pytest.warns(lg.BackendWarning, match="LAZYGRAD_CC is"):
        check(program())


@has_compiler
def test_the_cache_is_private_and_found_again(tmp_path, monkeypatch):
    compiled = program()
    check(compiled)
    assert is_native(compiled)
    directory = tmp_path / "cache"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    (built,) = directory.glob("*.so")
    before = built.stat().st_mtime_ns
    monkeypatch.setattr(cache, "_loaded", {})
    monkeypatch.setattr(cache, "_build", None)
    check(program())
    assert built.stat().st_mtime_ns == before
    assert sorted(path.suffix for path in directory.iterdir()) == [".sha256", ".so"]


@has_compiler
@pytest.mark.parametrize("damage", ["truncated", "changed", "empty", "digest gone"])
def test_a_corrupted_library_is_built_again(tmp_path, monkeypatch, damage):
    check(program())
    (built,) = (tmp_path / "cache").glob("*.so")
    whole = built.read_bytes()
    built.unlink()
    if damage == "truncated":
        built.write_bytes(whole[: len(whole) // 2])
    elif damage == "changed":
        built.write_bytes(whole[:-100] + bytes(100))
    elif damage == "empty":
        built.write_bytes(b"")
    else:
        built.write_bytes(whole)
        built.with_suffix(".sha256").unlink()
    monkeypatch.setattr(cache, "_loaded", {})
    compiled = program()
    check(compiled)
    assert is_native(compiled)
    assert cache._is_whole(built)


@has_compiler
@pytest.mark.parametrize("trouble", ["a file", "writable by others", "foreign", "missing home"])
def test_a_cache_that_cannot_be_used(tmp_path, monkeypatch, trouble):
    directory = tmp_path / "cache"
    if trouble == "a file":
        directory.write_text("")
    elif trouble == "writable by others":
        directory.mkdir()
        directory.chmod(0o777)
    elif trouble == "foreign":
        own = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: own + 1)
    else:
        monkeypatch.delenv("LAZYGRAD_CACHE_DIR")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(cache.Path, "home", _no_home)
    compiled = program()
    check(compiled)
    # Built for this process alone, and nothing is left of it.
    assert is_native(compiled)
    if trouble != "a file" and directory.exists():
        assert not list(directory.iterdir())


def _no_home():
    raise RuntimeError("nobody lives here")


@has_compiler
def test_a_full_disk(monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.tempfile, "mkdtemp", full)
    with pytest.warns(lg.BackendWarning, match="No space left on device"):
        check(program())


@has_compiler
def test_two_processes_at_once(tmp_path):
    text = (
        "import numpy as np, lazygrad as lg\n"
        "x = lg.placeholder((3,), name='x')\n"
        "f = lg.compile(lg.exp(x).sum(), backend='c')\n"
        "assert abs(f(x=np.zeros(3)) - 3) < 1e-12 and 'segment_0' in f.source\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", text]) for _ in range(3)]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    assert len(list((tmp_path / "cache").glob("*.so"))) == 1


@has_compiler
def test_the_identity_tells_flags_and_machine():
    found = find_toolchain()
    assert "-ffp-contract=off" in found.flags
    assert "-ffast-math" not in found.flags
    assert "__SIZEOF_POINTER__" in found.identity
    assert found.vector_bytes in (16, 32, 64)


def test_libraries_are_built_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CACHE_DIR", str(tmp_path))
    found = find_toolchain()
    both_began = threading.Barrier(2, timeout=60)
    build = cache._build

    def watched(source, toolchain, shop):
        both_began.wait()
        return build(source, toolchain, shop)

    monkeypatch.setattr(cache, "_build", watched)
    sources = [f"int side_by_side(void) {{ return {number}; }}" for number in (4, 5)]
    assert [made.free.side_by_side() for made in cache.libraries(sources, found)] == [4, 5]
    monkeypatch.setattr(cache, "_build", None)
    assert cache.libraries(sources[1:], found)[0].free.side_by_side() == 5


def test_of_two_libraries_one_that_fails_leaves_the_other(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CACHE_DIR", str(tmp_path))
    found = find_toolchain()
    right = "int right_one(void) { return 6; }"
    for sources in ([right, "int wrong("], ["int wrong_again(", right]):
        with pytest.raises(CompilerError):
            cache.libraries(sources, found)
    assert cache.libraries([right], found)[0].free.right_one() == 6
