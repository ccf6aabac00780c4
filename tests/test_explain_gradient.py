"""What ``explain_gradient`` says: equations that are true, and LaTeX that can be read."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from matplotlib.mathtext import MathTextParser

import lazygrad as lg
from lazygrad import nn
from lazygrad.errors import DisconnectedError, DTypeError, OptionError


def regression():
    x = lg.placeholder((10, 3), name="x")
    y = lg.placeholder((10,), name="y")
    w = lg.Value([0.5, -1.0, 2.0], name="w")
    return ((x @ w - y) ** 2).mean(), w


NAMES = "broadcast_to constant cos exp log maximum relu reshape sigmoid sin softplus sqrt sum tanh"
FUNCTIONS = {name: getattr(lg, name) for name in NAMES.split()}


def evaluated(equations, values):
    """Do what equations say, one after the other, and give the last value."""
    names = dict(FUNCTIONS)
    names.update({name: lg.constant(value) for name, value in values.items()})
    for equation in equations:
        names[equation.name] = eval(equation.text.split(" = ", 1)[1], dict(names))
    return names[equations[-1].name].data


DATA = {
    "x": np.linspace(-1.0, 2.0, 12).reshape(4, 3),
    "y": np.array([0.5, -1.0, 2.0, 0.0]),
    "w": np.array([0.3, -0.7, 1.1]),
    "v": np.array([[0.2, 0.4], [1.0, -0.3], [0.6, 0.8]]),
    "s": np.array(0.7),
}
LOSSES = {
    "squares": lambda x, y, w, v, s: ((x @ w - y) ** 2).mean(),
    "logistic": lambda x, y, w, v, s: lg.mean(lg.softplus(x @ w) - y * (x @ w)),
    "layers": lambda x, y, w, v, s: lg.sum(lg.tanh(x @ v) ** 3 * s) + (w * w).sum() * s,
    "quotient": lambda x, y, w, v, s: (lg.exp(w) / (1.0 + w * w)).sum() - s * w.sum(),
    "minus": lambda x, y, w, v, s: (-((w - 2.0 * s) ** 2) + (s - (s - w))).sum(),
    "roots": lambda x, y, w, v, s: lg.sqrt(w * w + s * s).sum() / (s + 1.0),
    "shared": lambda x, y, w, v, s: (lambda a: (a * lg.sin(a) + a / s).sum())(lg.exp(w) * s),
    "dots": lambda x, y, w, v, s: (w @ w) * s + (y @ x @ v).sum() * (w @ v).sum(),
    "outer": lambda x, y, w, v, s: lg.tanh(lg.outer(w, y) @ x @ v).sum() * s,
    "one column": lambda x, y, w, v, s: (
        (lg.reshape(w, (3, 1)) * v).sum() * s + (x @ lg.reshape(w, (3, 1))).sum() + (x @ w) @ y
    ),
    "a column kept": lambda x, y, w, v, s: (
        (x @ lg.reshape(w * s, (3, 1))) * lg.reshape(y, (4, 1)) + x @ v
    ).sum(),
    "columns": lambda x, y, w, v, s: ((x @ v).sum(axis=1) * (x @ w)).sum() * s,
}


@pytest.mark.parametrize("simplify", [True, False])
@pytest.mark.parametrize("leaf", ["w", "v", "s"])
@pytest.mark.parametrize("name", LOSSES)
def test_the_equations_give_the_gradient(name, leaf, simplify):
    leaves = {key: lg.Value(value, name=key) for key, value in DATA.items()}
    loss = LOSSES[name](**leaves)
    try:
        expected = lg.grad(loss, leaves[leaf]).data
    except DisconnectedError:
        with pytest.raises(DisconnectedError, match=f"doesn't depend on {leaf}"):
            lg.explain_gradient(loss, leaves[leaf], simplify=simplify)
        return
    explanation = lg.explain_gradient(loss, leaves[leaf], simplify=simplify)
    found = evaluated((*explanation.forward, *explanation.backward), DATA)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    if explanation.whole is not None:
        found = evaluated([explanation.whole], DATA)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_a_small_gradient_reads_like_mathematics():
    loss, w = regression()
    explanation = lg.explain_gradient(loss, w)
    lines = [line.split("   from")[0].rstrip() for line in str(explanation).splitlines()]
    assert lines == [
        "d loss/d w: float64[3]",
        "",
        "forward:",
        "  a = x @ w - y",
        "  loss = sum(a ** 2) / 10",
        "",
        "backward, d_v for the derivative by v:",
        "  d_a = 1 / 10 * (2 * a)",
        "  d_w = x.T @ d_a",
        "",
        "in one line:",
        "  d loss/d w = x.T @ (1 / 10 * (2 * (x @ w - y)))",
    ]
    assert explanation.latex.splitlines() == [
        r"\begin{aligned}",
        r"a &= x \, w - y \\",
        r"\mathrm{loss} &= \frac{\sum a^{2}}{10} \\",
        r"\frac{\partial \mathrm{loss}}{\partial a} &= \frac{1}{10} \cdot 2 \, a \\",
        r"\frac{\partial \mathrm{loss}}{\partial w} &= x^{\top} \,"
        r" \frac{\partial \mathrm{loss}}{\partial a} \\",
        r"\frac{\partial \mathrm{loss}}{\partial w} &="
        r" x^{\top} \, \left(\frac{1}{10} \cdot 2 \, \left(x \, w - y\right)\right)",
        r"\end{aligned}",
    ]
    here = f"{__file__.rpartition('/')[2]}:{w.line.line - 0}"
    assert here.split(":")[0] in explanation.backward[0].terms[0].place


def test_each_term_says_which_operation_it_comes_from():
    a, b = lg.Value(2.0, name="a"), lg.Value(3.0, name="b")
    product = a * b
    power = lg.exp(product)
    sine = lg.sin(a)
    explanation = lg.explain_gradient(power + sine, a)
    (equation,) = explanation.backward
    assert [(term.text, term.origins) for term in equation.terms] == [
        ("cos(a)", (sine,)),
        ("c * b", (product,)),
    ]
    assert equation.node is a
    assert equation.terms[0].place == f"sin, {sine.line}"


def test_what_a_rule_hands_on_says_who_did():
    a = lg.Value([1.0, 2.0], name="a")
    doubled = a + a
    (equation,) = lg.explain_gradient((doubled * doubled).sum(), doubled).backward
    assert [term.origins[0].op.name for term in equation.terms] == ["multiply", "multiply"]
    total = lg.explain_gradient((doubled * doubled).sum(), a).backward[-1]
    assert [term.text for term in total.terms] == ["d_b", "d_b"]
    assert [term.origins for term in total.terms] == [(doubled,), (doubled,)]


def test_names_that_users_gave_are_kept():
    loss, w = regression()
    loss.name = "risk"
    text = str(lg.explain_gradient(loss, w))
    assert text.startswith("d risk/d w: float64[3]\n")
    assert "  risk = sum(a ** 2) / 10" in text


def test_a_node_in_the_middle_stands_for_itself():
    residual = lg.Value([1.0, 2.0]) * 2.0
    residual.name = "r"
    explanation = lg.explain_gradient((residual * residual).sum(), residual)
    assert explanation.whole.text == "d loss/d r = r + r"


def test_a_leaf_without_a_name_gets_one_and_says_what_it_is():
    w = lg.Value([1.0, 2.0])
    masses = lg.constant([[3.0, 4.0]])
    many = lg.constant(np.arange(12.0).reshape(6, 2))
    loss = (masses * w).sum() + (many @ w).sum()
    texts = [equation.text for equation in lg.explain_gradient(loss, w).forward]
    assert texts == [
        "a = variable float64[2]",
        "b = constant([[3.0, 4.0]])",
        "c = constant float64[6, 2]",
        "loss = sum(b * a) + sum(c @ a)",
    ]


def test_as_built_there_are_factors_of_one():
    a = lg.Value(2.0, name="a")
    assert lg.explain_gradient(lg.sin(a), a).whole.text == "d loss/d a = cos(a)"
    whole = lg.explain_gradient(lg.sin(a), a, simplify=False).whole
    assert whole.text == "d loss/d a = 1 * cos(a)"


def test_a_derivative_can_be_explained_again():
    w = lg.Value([1.0, 2.0], name="w")
    slope = lg.grad((w**3).sum(), w)
    explanation = lg.explain_gradient(slope.sum(), w)
    equations = (*explanation.forward, *explanation.backward)
    np.testing.assert_allclose(evaluated(equations, {"w": w.data}), 6 * w.data)


def test_several_results_are_taken_apart():
    matrix = lg.Value([[2.0, 1.0], [1.0, 3.0]], name="m")
    values, _ = lg.linalg.eigh(matrix)
    text = str(lg.explain_gradient((values * values).sum(), matrix))
    assert "  a = eigh(m)" in text
    assert "  b = a[0]" in text


@pytest.mark.parametrize(
    ("loss", "wrt", "error", "said"),
    [
        (3.0, lg.Value(1.0), OptionError, "loss must be a node, got float"),
        (lg.Value(1.0), "w", OptionError, "wrt must be a node, got str"),
        (lg.Value(1.0) > 0, lg.Value(1.0), DTypeError, "has no derivative"),
        (lg.Value(1.0), lg.Value(1.0), DisconnectedError, "doesn't depend on"),
    ],
)
def test_what_can_not_be_explained(loss, wrt, error, said):
    with pytest.raises(error, match=said):
        lg.explain_gradient(loss, wrt)


def test_a_long_chain_is_explained_in_steps():
    w = node = lg.Value([0.5], name="w")
    for _ in range(3000):
        node = lg.sin(node)
    explanation = lg.explain_gradient(node.sum(), w)
    assert len(explanation.backward) == 3000
    assert explanation.whole is None
    assert list(explanation._repr_mimebundle_()) == ["text/plain"]
    assert max(len(equation.text) for equation in explanation.equations) < 100


# LaTeX.


def parsed(latex):
    """Read LaTeX as matplotlib does, which is stricter than LaTeX, and knows no \\& and no \\#."""
    for sign in (r"\&", r"\#"):
        latex = latex.replace(sign, "+")
    return MathTextParser("path").parse(f"${latex}$")


def models():
    x = lg.placeholder(("batch", 4), dtype="float32", name="x")
    t = lg.placeholder(("batch",), dtype="int64", name="t")
    mlp = nn.Sequential(nn.Linear(4, 8, seed=0), nn.ReLU(), nn.Linear(8, 3, seed=1))
    loss = nn.cross_entropy(mlp(x), t)
    yield loss, mlp.parameters()[0]
    tokens = lg.placeholder((2, 5, 8), dtype="float32", name="tokens")
    attention = nn.MultiHeadAttention(8, 2, seed=0)
    attended = attention(tokens)
    yield lg.mean(attended**2), attention.parameters()[0]
    image = lg.placeholder((2, 1, 6, 6), dtype="float32", name="image")
    convolution = nn.Conv2d(1, 2, 3, seed=0)
    yield lg.max(lg.maximum(convolution(image), 0.0)), convolution.parameters()[0]


@pytest.mark.parametrize("index", range(3))
def test_latex_of_models_can_be_read(index):
    loss, wrt = list(models())[index]
    explanation = lg.explain_gradient(loss, wrt)
    for equation in explanation.equations:
        parsed(equation.latex)
    assert explanation.equations


@settings(max_examples=60)
@given(st.text(min_size=1, max_size=40))
def test_latex_and_text_of_any_name(name):
    w = lg.Value([1.0, 2.0], name=name)
    explanation = lg.explain_gradient((w * w).sum(), w)
    assert len(str(explanation).splitlines()) == 11
    with warnings.catch_warnings():
        # Fonts have no glyphs for most of what there is.
        warnings.simplefilter("ignore")
        for equation in explanation.equations:
            if equation.latex.isascii():
                parsed(equation.latex)
            braces = equation.latex.replace(r"\{", "").replace(r"\}", "")
            assert braces.count("{") == braces.count("}")


def test_of_many_operands_the_first_and_the_last_are_written():
    leaves = [lg.Value(1.0, name=f"x{i}") for i in range(50)]
    explanation = lg.explain_gradient(lg.stack(leaves).sum(), leaves[3])
    loss = explanation.forward[0]
    assert "x5" in loss.text
    assert "x6" not in loss.text
    assert "…" in loss.text
    assert "x49" in loss.text
    assert len(loss.text) < 300
    parsed(loss.latex)


def test_a_notebook_gets_latex():
    loss, w = regression()
    explanation = lg.explain_gradient(loss, w)
    bundle = explanation._repr_mimebundle_()
    assert bundle == {
        "text/latex": f"$$\n{explanation.latex}\n$$",
        "text/plain": str(explanation),
    }
