"""Random graphs in random layers, drawn with random options: everything has its place."""

import random
import re
import shutil

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.viz.drawing import Drawing

SEEDS = range(60)


def drawn(seed):
    """A random graph, some of it in scopes that repeat or nest, and options to draw it with."""
    rng = random.Random(seed)
    pool = [
        lg.placeholder((3,), name="x", requires_grad=True),
        lg.Value(np.ones(3), name="w"),
        lg.constant([1.0, 2.0, 3.0]),
    ]
    count = rng.choice([5, 30, 120])

    def grow(depth):
        kind = rng.randrange(6)
        a, b = rng.choice(pool[-6:]), rng.choice(pool)
        if kind == 0 and depth < 4:
            with lg.scope(rng.choice(["a: A", "b: B", "plain"])):
                for _ in range(rng.randrange(1, 6)):
                    grow(depth + 1)
        elif kind == 1:
            node = pool[-1]
            for i in range(rng.randrange(2, 6)):
                with lg.scope(f"blocks.{i}: Block"):
                    node = lg.tanh(node * lg.Value(np.ones(3))) + 2.0
            pool.append(node)
        elif kind == 2:
            pool.append(lg.where(a > 0, b, lg.sum(a)))
        elif kind == 3:
            first, second = lg.split(lg.concatenate([a, b]), 2)
            pool.extend([first, second])
        else:
            pool.append(rng.choice([lambda: a + b, lambda: a * 2.0, lambda: lg.exp(a)])())
        if rng.random() < 0.1 and pool[-1].operands and pool[-1].name is None:
            pool[-1].name = f"named {seed}"

    while len(pool) < count:
        grow(0)
    outputs = rng.sample(pool[-8:], rng.choice([1, 1, 2, 3]))
    options = {
        "depth": rng.choice([None, 0, 1, 2]),
        "fold": rng.random() < 0.7,
        "constants": rng.random() < 0.3,
        "limit": rng.choice([2, 5, 20, 400]),
        "values": rng.random() < 0.3,
        "gradients": rng.random() < 0.5 and any(node.requires_grad for node in outputs),
    }
    return outputs, options


def check(source):
    """Every line is between boxes that are there, and every box of a graph with lines has one."""
    bare = re.sub(r'"(?:\\.|[^"\\])*"', '""', source)
    boxes = re.findall(r"^\s+(n\d+) \[", bare, re.MULTILINE)
    assert len(boxes) == len(set(boxes))
    ends = re.findall(r"^\s+(n\d+) -> (n\d+)", bare, re.MULTILINE)
    assert {end for pair in ends for end in pair} <= set(boxes)
    # A variable that only numbers are made of may stand alone; what is computed never does.
    alone = set(boxes) - {end for pair in ends for end in pair}
    for name in alone:
        line = re.search(rf"^\s+{name} \[.*$", source, re.MULTILINE)[0]
        is_closed = "component" in line or "dashed" in line
        assert is_closed or "box3d" in line or "placeholder" in line or "result" in line, line
    return len(boxes)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_graph_is_drawn(seed):
    outputs, options = drawn(seed)
    print(f"seed {seed}: {options}")
    check(lg.draw(outputs, **options).source)
    program = lg.compile(outputs, backend="numpy")
    check(lg.draw(program, schedule=True, limit=options["limit"]).source)


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz's dot is missing")
@pytest.mark.parametrize("seed", SEEDS[::4])
def test_a_random_picture_is_rendered(seed):
    outputs, options = drawn(seed)
    drawing = lg.draw(outputs, **options)
    assert isinstance(drawing, Drawing)
    assert drawing.svg().startswith("<svg")
