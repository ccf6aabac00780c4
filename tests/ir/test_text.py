import numpy as np
import pytest
from hypothesis import given, settings

import lazygrad as lg
from lazygrad.errors import DTypeError, ParseError, ShapeError
from lazygrad.ir.graph import Graph
from lazygrad.ir.op import _OPS, Op, Trait, Writes, register, table
from lazygrad.ir.text import parse, print_graph
from lazygrad.ir.value import (
    Value,
    apply,
    as_value,
    constant,
    item,
    no_grad,
    placeholder,
)
from lazygrad.lengths import Length
from lazygrad.spec import Spec
from tests.ir.graphs import assert_same_graph, graphs
from tests.ops.samples import SAMPLES


@pytest.fixture(scope="module", autouse=True)
def same_table():
    before = dict(_OPS)
    yield
    _OPS.clear()
    _OPS.update(before)


def attributed(name: str, results: int = 1, traits: frozenset[Trait] = frozenset()) -> Op:
    """An operation that takes any attributes and gives its first operand's spec."""
    if name in table():
        return table()[name]
    return register(
        Op(
            name=name,
            family="test",
            infer=lambda x, *rest, **attrs: x if results == 1 else (x,) * results,
            kernel=lambda x, *rest, **attrs: x,
            writes=Writes.VIEW,
            traits=traits,
            doc="For tests.",
        )
    )


@given(graphs())
@settings(max_examples=200)
def test_text_gives_the_same_graph_again(graph):
    text = print_graph(graph, full=True)
    again = parse(text)
    assert_same_graph(graph, again)
    assert print_graph(again, full=True) == text
    short = str(graph)
    if "..." not in short:
        assert str(parse(short)) == short


def test_the_form():
    x = placeholder(("batch", 3), name="x")
    w = Value(np.ones((3, 2)), name="w")
    offset = constant([1.0, 2.0])
    hidden = lg.tanh(x @ w + offset)
    total = lg.sum(hidden * 2.0, axis=0)
    assert str(Graph([total, hidden])) == "\n".join(
        [
            "x: float64[batch, 3]",
            "w: variable float64[3, 2]",
            "a = constant([1.0, 2.0]): float64[2]",
            "b = matmul(x, w)",
            "c = add(b, a)",
            "d = tanh(c)",
            "e = multiply(d, 2.0)",
            "f = sum(e, axes=(0,), keepdims=False)",
            "return f, d",
        ]
    )


def test_the_short_form_reads():
    graph = parse("x: f8[3]; a = exp(x); b = exp(x); return add(a, b)")
    assert str(graph) == "x: float64[3]\na = exp(x)\nb = exp(x)\nc = add(a, b)\nreturn c"


def test_nested_calls_comments_and_broken_lines_read():
    text = """
    # A comment; with a semicolon.
    x: f4[batch + 1, #3]      # another
    return multiply(
        add(x, exp(x)),
        2
    )
    """
    assert str(parse(text)) == "\n".join(
        [
            "x: float32[batch + 1, #3]",
            "a = exp(x)",
            "b = add(x, a)",
            "c = multiply(b, 2.0)",
            "return c",
        ]
    )


def test_every_operation_prints_and_reads():
    random = np.random.default_rng(0)
    read = set()
    for name, op in table().items():
        cases = [([np.ones((3, 4))] * len(op.domain), attrs) for attrs in op.variants]
        for arrays, attrs in SAMPLES[name](random) if name in SAMPLES else cases:
            leaves = [
                placeholder(np.shape(array), dtype=np.asarray(array).dtype, name=f"x{place}")
                for place, array in enumerate(arrays)
            ]
            try:
                node = apply(op, *leaves, **attrs)
            except (lg.LazygradError, TypeError):
                continue
            several = type(node.spec) is tuple
            graph = Graph([item(node, i) for i in range(len(node.spec))] if several else [node])
            if Trait.DATA_SHAPED not in op.traits:
                assert_same_graph(graph, parse(print_graph(graph, full=True)))
                read.add(name)
    assert {"reshape", "sum", "astype", "getitem", "where"} & set(table()) <= read


def test_an_empty_graph():
    assert str(Graph([])) == "return"
    assert parse("return").outputs == ()


def test_repr_is_short():
    assert repr(parse("x: f8[3]; return exp(x)")) == "<graph of 2 nodes giving float64[3]>"


@pytest.mark.parametrize(
    ("code", "name"),
    [("b1", "bool"), ("i1", "int8"), ("u8", "uint64"), ("f2", "float16"), ("uint16", "uint16")],
)
def test_dtype_names_and_codes(code, name):
    assert parse(f"x: {code}[2]; return x").outputs[0].dtype == np.dtype(name)


def test_numbers_take_on_the_other_operands_dtype_or_state_their_own():
    x = placeholder((2,), dtype="float32", name="x")
    whole = placeholder((2,), dtype="int8", name="n")
    graph = Graph(
        [
            x * 2.0,
            x * constant(2.0),
            x * constant(3, dtype="int8"),
            whole + 1,
            whole * 0.5,
            lg.where(x > 0.1, x, -0.0),
            x + constant(True),
        ]
    )
    assert [line.split(" = ")[1] for line in str(graph).splitlines()[2:-1]] == [
        "multiply(x, 2.0)",
        "multiply(x, 2.0: float64)",
        "multiply(x, 3: int8)",
        "add(n, 1)",
        "multiply(n, 0.5)",
        "greater(x, 0.1)",
        "where(f, x, -0.0)",
        "add(x, True)",
    ]
    assert_same_graph(graph, parse(str(graph)))


def test_a_number_that_two_nodes_share_is_a_line_of_its_own():
    x, two = placeholder((2,), name="x"), constant(2.0)
    graph = Graph([(x + two) * two])
    assert "a = constant(2.0): float64[]\nb = add(x, a)\nc = multiply(b, a)" in str(graph)
    assert_same_graph(graph, parse(str(graph)))


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "longdouble", "int64", "uint64"]
)
def test_numbers_are_exact(dtype):
    info = np.finfo if np.dtype(dtype).kind == "f" else np.iinfo
    # The decimal form of the largest long double is rounded up, beyond it.
    most = info(dtype).max if dtype != "longdouble" else np.longdouble(1) / 3
    numbers = np.array([most, info(dtype).min if dtype != "longdouble" else 2, 0, 1], dtype)
    if np.dtype(dtype).kind == "f":
        tiny = np.array([info(dtype).smallest_subnormal, info(dtype).eps, -0.0, np.nan], dtype)
        numbers = np.concatenate([numbers, tiny, np.sqrt(np.array([2, 1e3], dtype))])
    graph = Graph([constant(numbers), constant(numbers[1])])
    assert_same_graph(graph, parse(str(graph)))


def test_large_constants_are_abbreviated_unless_asked_for_in_full():
    data = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    graph = Graph([constant(data)])
    assert str(graph) == "a = constant(...): float32[5, 4]\nreturn a"
    with pytest.raises(
        ParseError, match=r"line 1, column 14: this array was abbreviated.*full=True"
    ):
        parse(str(graph))
    assert_same_graph(graph, parse(print_graph(graph, full=True)))


@pytest.mark.parametrize("shape", [(0,), (2, 0, 3), (), (1, 1, 1)])
def test_small_constants_keep_their_shape(shape):
    graph = Graph([constant(np.zeros(shape, "int16"))])
    assert_same_graph(graph, parse(str(graph)))


def test_variables_are_zeros_unless_printed_in_full():
    w = Value([[1.5, 2.0]], name="w")
    loose = Value(np.arange(20), requires_grad=False)
    graph = Graph([w, loose])
    assert str(graph).splitlines()[:2] == [
        "w: variable float64[1, 2]",
        "a = variable int64[20] no_grad",
    ]
    fresh = parse(str(graph)).outputs
    assert not fresh[0].cell.array.any()
    assert fresh[0].requires_grad
    assert not fresh[1].requires_grad
    assert "= [[1.5, 2.0]]" in print_graph(graph, full=True)
    assert_same_graph(graph, parse(print_graph(graph, full=True)))


def test_marks_for_gradients():
    x = placeholder((2,), name="x", requires_grad=True)
    with no_grad():
        y = lg.exp(x)
    text = "x: float64[2] requires_grad\na = exp(x) no_grad\nb = add(a, x)\nreturn b"
    graph = Graph([y + x])
    assert str(graph) == text
    assert_same_graph(graph, parse(text))
    assert not parse(text).outputs[0].operands[0].requires_grad


def test_arguments_come_first_in_their_order():
    x, y = placeholder((2,), name="x"), placeholder((), name="y", dtype="int32")
    graph = Graph([x * x], inputs=[y, x])
    text = "y: argument int32[]\nx: argument float64[2]\na = multiply(x, x)\nreturn a"
    assert str(graph) == text
    assert_same_graph(graph, parse(text))


def test_equal_names_get_suffixes_and_stay():
    first, second, third = (Value([float(i)], name="w") for i in range(3))
    taken = placeholder((1,), name="w_2")
    graph = Graph([first + second + third + taken])
    text = str(graph)
    assert text.splitlines()[:4] == [
        "w: variable float64[1]",
        "w_3: variable float64[1] named w",
        "w_4: variable float64[1] named w",
        "w_2: float64[1]",
    ]
    assert [node.name for node in parse(text).variables] == ["w"] * 3


TORTURE = [
    "<lambda>",
    "a:b",
    "x\\",
    "\\n",
    "new\nline",
    "`",
    "``",
    "\"quote'",
    "return",
    "named",
    "nan",
    "1x",
    " ",
    "\x00\x1b\x7f",
    "\ud800",
    "é漢",
    "a b",
    "#3",
    "x" * 10_000,
    "x;y",
    "}",
    "a = exp(x)",
]


@pytest.mark.parametrize("name", TORTURE, ids=range(len(TORTURE)))
def test_any_name_survives(name):
    leaf, weight = placeholder((2,), name=name), Value([1.0], name=name)
    result = leaf * weight + constant([1.0], name=name)
    result.name = name
    graph = Graph([result])
    text = print_graph(graph, full=True)
    assert_same_graph(graph, parse(text))
    assert text.count("\n") == 5


def test_a_computed_node_named_like_the_printers_names_keeps_its_name():
    x = placeholder((2,), name="a")
    y, z = lg.exp(x), lg.tanh(x)
    y.name, z.name = "b", "hidden"
    graph = Graph([y, z])
    assert str(graph) == "a: float64[2]\n`b` = exp(a)\nhidden = tanh(a)\nreturn `b`, hidden"
    assert_same_graph(graph, parse(str(graph)))


def test_automatic_names_go_on_beyond_the_alphabet():
    node = placeholder((), name="x")
    for _ in range(720):
        node = lg.exp(node)
    text = str(Graph([node]))
    for label in ("z", "aa", "zz", "v702", "v703"):
        assert f"\n{label} = exp(" in text
    assert_same_graph(Graph([node]), parse(text))


BATCH = Length.named("batch")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (-3, "-3"),
        (10**30, str(10**30)),
        (0.1, "0.1"),
        (-0.0, "-0.0"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (True, "True"),
        (None, "None"),
        (Ellipsis, "..."),
        ('a"b\\c\n,)', r'"a\"b\\c\n,)"'),
        ("", '""'),
        ("é", '"é"'),
        ("\ud800", r'"\ud800"'),
        ((), "()"),
        ((1,), "(1,)"),
        ((1, (2.5, "x)"), None), '(1, (2.5, "x)"), None)'),
        (np.dtype("float32"), "float32"),
        (np.dtype("bool"), "bool"),
        (BATCH, "batch"),
        (2 * BATCH + 1, "2*batch + 1"),
        ((BATCH + 1) // 2, "(batch + 1)//2"),
        (-BATCH, "-batch"),
        (((BATCH + 1) // 2, 3), "((batch + 1)//2, 3)"),
        ((BATCH,), "(batch,)"),
        (Length.named("float32"), "(float32)"),
        (Length.named("None"), "(None)"),
        (-Length.named("inf"), "(-inf)"),
        (Length.named("min, max)"), "`min, max)`"),
        (slice(1, None, BATCH), "slice(1, None, batch)"),
        ((slice(None, None, None), 2), "(slice(None, None, None), 2)"),
    ],
)
def test_attributes(value, text):
    x = placeholder((2,), name="x")
    graph = Graph([apply(attributed("_test_any"), x, value=value, last=1)])
    printed = str(graph)
    assert printed.splitlines()[1] == f"a = _test_any(x, value={text}, last=1)"
    again = parse(printed).outputs[0].attrs["value"]
    assert again == value
    assert type(again) is type(value)
    assert repr(again) == repr(value)


def test_nan_attribute():
    text = "x: f8[2]; return _test_any(x, value=nan)"
    attributed("_test_any")
    assert np.isnan(parse(text).outputs[0].attrs["value"])


def test_an_attribute_without_a_text_form_prints_but_does_not_read():
    x = placeholder((2,), name="x")
    text = str(Graph([apply(attributed("_test_any"), x, value=len)]))
    assert "value=<builtin_function_or_method>" in text
    with pytest.raises(ParseError, match=r"line 2, column 24: this attribute has no text form"):
        parse(text)


def test_graphs_in_attributes_are_blocks():
    carry, outer = placeholder((), name="carry"), placeholder((2,), name="x")
    inner = Graph(
        [apply(attributed("_test_any"), carry, body=Graph([carry + 1.0], [carry]))], [carry]
    )
    graph = Graph([apply(attributed("_test_any"), outer, body=inner, length=3)])
    text = str(graph)
    assert text == "\n".join(
        [
            "x: float64[2]",
            "a = _test_any(x, body={",
            "    carry: argument float64[]",
            "    a = _test_any(carry, body={",
            "        carry: argument float64[]",
            "        a = add(carry, 1.0)",
            "        return a",
            "    })",
            "    return a",
            "}, length=3)",
            "return a",
        ]
    )
    assert str(parse(text)) == text


def test_several_results():
    x = placeholder((2,), name="x")
    both = apply(attributed("_test_two", results=2), x)
    first, second = item(both, 0), item(both, 1)
    named = item(both, 1)
    named.name = "odd"
    graph = Graph([first + second, second, named])
    text = "\n".join(
        [
            "x: float64[2]",
            "a = _test_two(x)",
            "odd = a.1",
            "b = add(a.0, a.1)",
            "return b, a.1, odd",
        ]
    )
    assert str(graph) == text
    assert_same_graph(graph, parse(text))


def test_lengths_as_numbers():
    x = placeholder(("batch", 2), dtype="float32", name="x")
    size = as_value(2 * x.shape[0] + 1)
    graph = Graph([x * (x.shape[0] + 1), size + size])
    text = str(graph)
    assert "multiply(x, length(batch + 1): float32)" in text
    assert "= length(2*batch + 1)\n" in text
    assert_same_graph(graph, parse(text))


def test_anonymous_lengths():
    x = placeholder((None, 2), name="x")
    assert str(Graph([x])) == f"x: float64[{x.shape[0]}, 2]\nreturn x"
    assert parse(str(Graph([x]))).outputs[0].spec == x.spec
    one, other = parse("x: f8[None, None]; return x").outputs[0].shape
    assert one != other


def test_a_length_known_only_in_the_run_keeps_its_name():
    op = attributed("_test_shaped", traits=frozenset({Trait.DATA_SHAPED}))
    node = apply(op, placeholder((Length.fresh(data=True),), name="x"))
    object.__setattr__(node, "spec", Spec((Length.fresh(data=True),), node.dtype))
    graph = Graph([node])
    assert parse(str(graph)).outputs[0].spec == node.spec


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1, column 1: expected a statement or 'return', found the end of the text."),
        ("x: f8[3]", "line 1, column 9: expected a statement or 'return'"),
        (
            "x: f8[3]\na = epx(x)\nreturn a",
            "line 2, column 5: 'epx' is not an operation; did you mean exp?",
        ),
        ("weight: f8[3]; return wieght", "'wieght' is not defined above; did you mean weight?"),
        ("x: f8[3]; return exp(x", "line 1, column 23: expected ')' or ',', found the end"),
        ("x: f8[3]; return exp(x]", "line 1, column 23: expected ')' or ',', found ']'"),
        (
            "x: float46[3]; return x",
            "column 4: expected a dtype (did you mean float64?), found 'float46'",
        ),
        ("x: complex128[3]; return x", "expected a dtype"),
        ("x; return x", "column 2: expected ':' or '=', found ';'"),
        ("x: f8[3] y: f8[3]; return x", "column 10: expected ';' or a new line, found 'y'"),
        ("x: f8[3]; x: f8[3]; return x", "column 11: 'x' is defined twice"),
        ("x: f8[3]; a = x; return a", "column 11: a second name for a node"),
        (
            "x: f8[3]; return x\nreturn x",
            "line 2, column 1: expected the end of the text after 'return'",
        ),
        ("x: f8[b +]; return x", "column 7: 'b +' is not a length"),
        ("x: f8[b//0]; return x", "column 7: 'b//0' is not a length"),
        ("x: f8[3; return x", "expected ']' or ','"),
        ("x: f8[]; return sum(axes=(), x)", "expected an attribute, as operands come first"),
        ("x: f8[]; return sum(x, axes=(), axes=())", "axes= is given twice"),
        (
            "x: f8[3]; return sum(x, axes=(0,))",
            "the operands or attributes don't fit: missing 1 required",
        ),
        ("c = constant([1e5]): f2[1]; return c", "(1e5 is too large)"),
        ("return 1e400", "(1e400 is too large)"),
        ("x: f8[3]; return permute(x, axes=(4,))", "the operands or attributes don't fit"),
        ("x: f8[3]; return x.0", "only a node with several results has numbered ones"),
        ("x: f8[3]; return exp(x): f4[3]", "this gives float64[3], not float32[3]"),
        ("c = constant([1, 2]): f8[3]; return c", "float64[3] has 3 elements, but 2 are given"),
        ("c = constant([[1], [2, 3]]): f8[3]; return c", "rows have unequal lengths"),
        ('c = constant("AAAA"): f8[1]; return c', "float64[1] has 8 bytes, but 3 are given"),
        ('c = constant("?"): f8[1]; return c', "this is not base64"),
        ("c = constant([1.5]): i4[1]; return c", "these are no int32 numbers"),
        ("c = constant([300]): u1[1]; return c", "these are no uint8 numbers"),
        ("c = constant([1]): bool[1]; return c", "bools are True and False"),
        ("c = constant([1]): f8[n]; return c", "an array's lengths are integers"),
        ("w: variable f8[n]; return w", "a variable's lengths are integers"),
        (
            "w: variable f8[3] = [1, x]; return w",
            "expected a number, '[' or base64 text, found 'x'",
        ),
        ("x: bool[3] requires_grad; return x", "a bool value has no gradient"),
        ("return variable(1.0)", "a variable is declared"),
        ("``: f8[3]; return x", "a name must not be empty"),
        (r"`\q`: f8[3]; return x", "this text can't be unescaped"),
        ("return exp(_test_any(1.0, body={ return 1.0", "expected '}', found the end"),
        ("return " + "exp(" * 60 + "1.0" + ")" * 60, "calls are nested over 50 deep"),
        ("c = constant(" + "[" * 100_000, "rows are nested over 50 deep"),
        ("return _test_any(1.0, value=" + "(" * 100_000, "tuples are nested over 50 deep"),
        ("return 9" + "9" * 5000 + ": i8", "these are no int64 numbers"),
    ],
)
def test_errors_say_where_and_what(text, words):
    attributed("_test_any")
    with pytest.raises(ParseError) as caught:
        parse(text)
    assert words in str(caught.value)
    assert str(caught.value).startswith("line ")


def test_an_error_points_at_its_place():
    with pytest.raises(ParseError) as caught:
        parse("x: f8[3]\ny = exp(x x)\nreturn y")
    assert str(caught.value) == (
        "line 2, column 11: expected ')' or ',', found 'x'.\n    y = exp(x x)\n              ^"
    )


def test_operations_refuse_with_their_own_errors():
    with pytest.raises(
        ShapeError, match=r"line 1, column 32: matmul\(x, y\): inner lengths differ"
    ):
        parse("x: f8[2,3]; y: f8[2,3]; return matmul(x, y)")
    with pytest.raises(DTypeError, match=r"line 1, column 22: bitwise_and\(x, x\)"):
        parse("x: f8[3]; return exp(bitwise_and(x, x))")


def test_nothing_in_the_text_is_run():
    with pytest.raises(ParseError):
        parse("return __import__('os').system('true')")


def test_a_long_chain_prints_and_reads():
    node = placeholder((2,), name="x")
    for _ in range(20_000):
        node = lg.exp(node)
    graph = Graph([node])
    text = str(graph)
    assert len(text.splitlines()) == 20_002
    assert len(parse(text)) == len(graph)
