import pytest

from lazygrad.ir.text import parse
from lazygrad.passes.broadcast import drop_broadcasts


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "x: f8[3]; y: f8[2, 3]; return add(broadcast_to(x, shape=(2, 3)), y)",
            "x: f8[3]; y: f8[2, 3]; return add(x, y)",
        ),
        (
            "x: f8[3]; return exp(broadcast_to(x, shape=(2, 3)))",
            "x: f8[3]; return broadcast_to(exp(x), shape=(2, 3))",
        ),
        (
            "x: f8[3]; y: f8[2, 1];"
            "return add(broadcast_to(x, shape=(2, 3)), broadcast_to(y, shape=(2, 3)))",
            "x: f8[3]; y: f8[2, 1]; return add(x, y)",
        ),
        (
            "x: f8[3]; y: f8[3];"
            "return multiply(broadcast_to(x, shape=(2, 3)), broadcast_to(y, shape=(2, 3)))",
            "x: f8[3]; y: f8[3]; return broadcast_to(multiply(x, y), shape=(2, 3))",
        ),
        (
            "x: f8[3]; y: f8[2, 3]; return multiply(y, tanh(broadcast_to(x, shape=(2, 3))))",
            "x: f8[3]; y: f8[2, 3]; return multiply(y, tanh(x))",
        ),
        (
            "x: f8[1, 3]; return exp(broadcast_to(broadcast_to(x, shape=(2, 3)), shape=(4, 2, 3)))",
            "x: f8[1, 3]; return broadcast_to(exp(x), shape=(4, 2, 3))",
        ),
        (
            "x: f8[n, 3]; return add(x, zeros_like(x))",
            "x: f8[n, 3]; return add(x, 0.0)",
        ),
        ("x: f8[n, 3]; return zeros_like(x)", "return broadcast_to(0.0, shape=(n, 3))"),
        (
            "x: f8[6]; return add(x, reshape(broadcast_to(2.0, shape=(2, 3)), shape=(6,)))",
            "x: f8[6]; return add(x, 2.0)",
        ),
        (
            "x: f8[3]; return sum(broadcast_to(x, shape=(2, 3)), axes=(0,), keepdims=False)",
            "x: f8[3]; return sum(broadcast_to(x, shape=(2, 3)), axes=(0,), keepdims=False)",
        ),
    ],
    ids=[
        "dropped",
        "moved",
        "both needed",
        "both moved",
        "moved then dropped",
        "nested",
        "zeros",
        "zeros alone",
        "reshaped number",
        "reduction",
    ],
)
def test_text(before, after):
    assert str(drop_broadcasts(parse(before))) == str(parse(after))
