"""Pictures and texts of fixed graphs, letter by letter.

After a change that is meant to change them, ``python -m tests.viz.test_golden`` writes them anew.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

import lazygrad as lg
from tests.viz.examples import Blocks, blocks, numbers, perceptron, training

FOLDER = Path(__file__).parent / "golden"


def steps():
    """The steps of a training program, without times."""
    return lg.draw(training(), schedule=True, lengths={"batch": 32})


def recorded():
    with lg.CompGraph() as dot:
        x = lg.Value([[1.0, 2.0], [3.0, 4.0]], name="x")
        lg.relu(x * lg.constant([1.0, -1.0]) + 1.0)
    return dot


def differentiated():
    c = numbers()
    c.backward()
    return c


DRAWINGS: dict[str, Callable[[], object]] = {
    "numbers": lambda: lg.draw(numbers(), values=True),
    "perceptron": lambda: lg.draw(perceptron()),
    "perceptron_gradients": lambda: lg.draw(perceptron(), gradients=True),
    "blocks_closed": lambda: lg.draw(blocks(3), depth=1),
    "layers": lambda: lg.draw(Blocks(12)),
    "steps": steps,
    "records": lambda: lg.draw_dot(differentiated()),
    "tables": lambda: lg.draw_graph(differentiated()),
    "recorded": recorded,
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_picture_and_text_are_as_before(name):
    drawing = DRAWINGS[name]()
    for suffix, text in ("dot", drawing.source), ("txt", f"{drawing}\n"):
        path = FOLDER / f"{name}.{suffix}"
        assert text == path.read_text(encoding="utf-8"), f"{path.name} differs"


def test_there_is_nothing_else():
    expected = {f"{name}.{suffix}" for name in DRAWINGS for suffix in ("dot", "txt")}
    assert {path.name for path in FOLDER.iterdir()} == expected


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, make in DRAWINGS.items():
        made = make()
        FOLDER.joinpath(f"{name}.dot").write_text(made.source, encoding="utf-8")
        FOLDER.joinpath(f"{name}.txt").write_text(f"{made}\n", encoding="utf-8")
