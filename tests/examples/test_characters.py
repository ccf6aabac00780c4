"""The character models learn a text and write with its characters."""

import numpy as np
import pytest

from lazygrad.examples import char_gru, char_transformer, characters

VERSE = "der mond ist aufgegangen, die goldnen sternlein prangen. " * 20


def test_an_alphabet_reads_and_writes():
    alphabet = characters.Alphabet(" abc")
    assert alphabet.decode(alphabet.encode("a cab")) == "a cab"
    assert alphabet.decode(alphabet.encode("xa")) == " a"


def test_windows_and_their_targets_are_one_character_apart():
    batch = next(characters.windows(np.arange(30), 8, 5, np.random.default_rng(0)))
    assert batch["x"].shape == batch["t"].shape == (5, 8)
    np.testing.assert_array_equal(batch["x"] + 1, batch["t"])


@pytest.mark.parametrize("example", [char_gru, char_transformer])
def test_a_model_learns_a_verse_and_writes_it(example, tmp_path, capsys):
    path = tmp_path / "verse.txt"
    path.write_text(VERSE, encoding="utf-8")
    words = ["--quiet", "--data", str(path), "--steps", "60", "--characters", "60"]
    written = example.main(words)
    printed = capsys.readouterr().out
    assert f"{len(VERSE):,} characters" in printed
    loss = float(printed.split("loss ")[1].split()[0])
    assert loss < np.log(len(set(VERSE)))
    assert set(written) <= set(VERSE)
    assert len(written) == 61
    assert example.main(words) == written
