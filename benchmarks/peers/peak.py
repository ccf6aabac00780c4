"""The peak of multiplying and adding on one core, and how near our products come to it."""

from __future__ import annotations

import ctypes
from pathlib import Path
from statistics import median

import numpy as np

import lazygrad as lg
from lazygrad.backends.c.cache import library
from lazygrad.backends.c.toolchain import CompilerError, find_toolchain

from .. import THREADS
from ..results import Row
from ..timing import interleaved

__all__ = ["peak"]

CHAINS, ROUNDS = 12, 200_000
SHAPES = ((128, 784, 128), (512, 128, 512), (256, 1024, 1024))


def peak() -> list[Row]:
    """Rates of products in float32 as shares of the peak that ``peak.c`` measures."""
    try:
        toolchain = find_toolchain()
    except CompilerError:
        return []
    source = (Path(__file__).parents[1] / "peak.c").read_text()
    built = library(f"#define VECTOR {toolchain.vector_bytes}\n{source}", toolchain).free
    run = built.peak_float
    run.restype, run.argtypes = ctypes.c_float, (ctypes.c_int64,)
    lanes = toolchain.vector_bytes // 4
    rng = np.random.default_rng(0)
    rows = []
    for m, k, n in SHAPES:
        left, right = (lg.Value(rng.normal(size=s).astype("f4")) for s in ((m, k), (k, n)))
        held = lg.Value(np.zeros((m, n), "f4"))
        product = lg.compile([], updates={held: left @ right}, backend="c", threads=THREADS)
        seconds = interleaved({"peak": lambda: run(ROUNDS), "ours": product}, 7)
        most = 2 * CHAINS * lanes * ROUNDS / median(seconds["peak"]) * THREADS
        rate = 2 * m * k * n / median(seconds["ours"])
        rows.append(
            Row(
                name=f"product {m}x{k}x{n}, float32",
                ours=median(seconds["ours"]),
                ratio=rate / most,
                goal=">= 0.75 x",
                reached=rate >= 0.75 * most,
                note=f"{rate / 1e9:.0f} of {most / 1e9:.0f} GF/s",
            )
        )
    return rows
