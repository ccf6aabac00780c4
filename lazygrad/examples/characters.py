"""What the character models share: text as numbers, windows to learn from, sampling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

import lazygrad as lg

from .common import count, parse, parser, text

if TYPE_CHECKING:
    import argparse

    import numpy.typing as npt

__all__ = ["Alphabet", "Codes", "corpus", "draw", "options", "train", "windows"]

Codes = "npt.NDArray[np.int64]"
"""Characters as numbers."""


@dataclass(frozen=True)
class Alphabet:
    """The characters of a text, each with its place as its number."""

    characters: str

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, written: str) -> npt.NDArray[np.int64]:
        """Give the numbers of characters; a character that isn't there counts as a space."""
        known = {character: code for code, character in enumerate(self.characters)}
        other = known.get(" ", 0)
        return np.array([known.get(character, other) for character in written], dtype=np.int64)

    def decode(self, codes: Sequence[int]) -> str:
        """Give the characters of numbers."""
        return "".join(self.characters[code] for code in codes)


def options(
    name: str, description: str | None, arguments: Sequence[str] | None, steps: int
) -> argparse.Namespace:
    """Read the command line of a character model."""
    command_line = parser(name, description)
    command_line.add_argument("--data", type=Path, metavar="TXT", help="the text to learn from")
    command_line.add_argument(
        "--steps", type=count, default=steps, metavar="N", help="default: %(default)s"
    )
    command_line.add_argument(
        "--characters", type=count, default=500, metavar="N", help="to write; default: %(default)s"
    )
    command_line.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    return parse(command_line, arguments)


def corpus(path: Path | None) -> tuple[Alphabet, npt.NDArray[np.int64]]:
    """Read a text, and say which."""
    name, written = text(path)
    alphabet = Alphabet("".join(sorted(set(written))))
    print(f"{name}: {len(written):,} characters, {len(alphabet)} of them different")
    return alphabet, alphabet.encode(written)


def windows(
    codes: npt.NDArray[np.int64], length: int, batch: int, rng: np.random.Generator
) -> Iterator[dict[str, npt.NDArray[np.int64]]]:
    """Give batches of windows into the text, and the same windows one character later."""
    places = np.arange(length + 1)
    while True:
        starts = rng.integers(len(codes) - length, size=batch)
        found = codes[starts[:, None] + places]
        yield {"x": found[:, :-1], "t": found[:, 1:]}


def train(
    step: lg.Program, batches: Iterator[dict[str, npt.NDArray[np.int64]]], steps: int, quiet: bool
) -> float:
    """Make so many updates; give the loss at the end, averaged over the last hundred."""
    losses: list[float] = []
    with tqdm(range(steps), unit="step", disable=quiet) as progress:
        for _ in progress:
            losses.append(float(step(**next(batches))))
            recent = float(np.mean(losses[-100:]))
            progress.set_postfix(loss=f"{recent:.3f}", refresh=False)
    print(f"loss {recent:.3f} nats a character over the last {min(steps, 100)} steps")
    return recent


def draw(
    logits_after: Callable[[Any], npt.NDArray[np.floating[Any]]],
    start: npt.NDArray[np.int64],
    characters: int,
    rng: np.random.Generator,
    temperature: float = 0.7,
) -> list[int]:
    """Continue a text: *logits_after* gives the scores of the next character after codes."""
    given: Any = start
    found = [int(code) for code in start]
    for _ in range(characters):
        scores = logits_after(given).astype(np.float64) / temperature
        chances = np.exp(scores - scores.max())
        code = int(rng.choice(len(chances), p=chances / chances.sum()))
        found.append(code)
        given = np.array([code])
    return found
