"""What users really feed: read as NumPy would, or refused with words; never kept, never written."""

import datetime
import gc
import warnings
import weakref

import numpy as np
import pytest

import lazygrad as lg

ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
EXPECTED = np.array(ROWS) * 2 + 1


class Frame:
    """Like a table of pandas: not an array, but turns into one."""

    def __init__(self, rows):
        self.rows = rows

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.rows, dtype)


class Metres(np.ndarray):
    """An array with a unit, whose arithmetic would give something else."""

    def __array_ufunc__(self, *args, **kwargs):
        raise AssertionError("a feed's own arithmetic is not asked")


class Longer(list):
    pass


def read_only():
    array = np.array(ROWS)
    array.flags.writeable = False
    return array


def mapped(path):
    np.array(ROWS).tofile(path)
    return np.memmap(path, dtype=float, mode="r", shape=(2, 3))


def wide():
    array = np.zeros((4, 6))
    array[::2, ::2] = ROWS
    return array[::2, ::2]


def matrix():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.matrix(ROWS)


ACCEPTED = {
    "an array": lambda: np.array(ROWS),
    "a list of lists": lambda: ROWS,
    "a tuple of lists": lambda: tuple(ROWS),
    "a list of tuples": lambda: [tuple(row) for row in ROWS],
    "a list of arrays": lambda: [np.array(row) for row in ROWS],
    "a subclass of list": lambda: Longer(ROWS),
    "a list of NumPy scalars": lambda: [[np.float32(v) for v in row] for row in ROWS],
    "a table": lambda: Frame(ROWS),
    "a table of integers": lambda: Frame(np.array(ROWS, int)),
    "integers": lambda: np.array(ROWS, int),
    "bytes as of images": lambda: np.array(ROWS, np.uint8),
    "float32": lambda: np.array(ROWS, np.float32),
    "float16": lambda: np.array(ROWS, np.float16),
    "long double": lambda: np.array(ROWS, np.longdouble),
    "Fortran order": lambda: np.asfortranarray(ROWS),
    "a foreign byte order": lambda: np.array(ROWS, ">f8"),
    "foreign integers": lambda: np.array(ROWS, ">i4"),
    "strides": wide,
    "negative strides": lambda: np.array(ROWS)[::-1, ::-1][::-1, ::-1],
    "rows backwards": lambda: np.array(ROWS[::-1])[::-1],
    "stride 0": lambda: np.broadcast_to(np.array(ROWS)[:, None, :], (2, 1, 3))[:, 0],
    "read-only": read_only,
    "a view that can't be written": lambda: np.broadcast_to(np.array(ROWS), (2, 3)),
    "a matrix": matrix,
    "a subclass with units": lambda: np.array(ROWS).view(Metres),
    "a masked array without a mask": lambda: np.ma.array(ROWS),
    "a masked array that masks nothing": lambda: np.ma.array(ROWS, mask=np.zeros((2, 3), bool)),
    "a memory view": lambda: memoryview(np.array(ROWS)),
    "a record's field": lambda: np.array(
        [[(v, 0) for v in row] for row in ROWS], [("a", "f8"), ("b", "i4")]
    )["a"],
    "unaligned": lambda: (
        np.frombuffer(b"\0" + np.array(ROWS).tobytes(), "u1")[1:].view("f8").reshape(2, 3)
    ),
    "another call's result": lambda: lg.compile(lg.constant(ROWS) * 1)(),
    "the live array of a variable": lambda: lg.Value(ROWS).data,
}

REFUSED = {
    "None": (lambda: None, lg.DTypeError, "NoneType is not an array of numbers"),
    "text": (lambda: "text", lg.DTypeError, "text can't be computed with"),
    "labels": (lambda: [["a"] * 3] * 2, lg.DTypeError, "text can't be computed with"),
    "bytes": (lambda: b"abc", lg.DTypeError, "text can't be computed with"),
    "ragged": (lambda: [[1.0, 2.0], [3.0]], lg.ShapeError, "ragged.*unequal lengths"),
    "ragged objects": (
        lambda: np.array([[1.0, 2.0], [3.0]], object),
        lg.DTypeError,
        r"Python objects \(list\)",
    ),
    "objects": (lambda: np.array(ROWS, object), lg.DTypeError, r"Python objects \(float\)"),
    "a dict": (lambda: {"a": 1.0}, lg.DTypeError, "dict is not an array"),
    "a set": (lambda: {1.0, 2.0}, lg.DTypeError, "set"),
    "a generator": (lambda: (row for row in ROWS), lg.DTypeError, "generator is not an array"),
    "a date": (lambda: datetime.date(2020, 1, 1), lg.DTypeError, "date"),
    "dates": (lambda: np.zeros((2, 3), "M8[D]"), lg.DTypeError, "datetime64"),
    "durations": (lambda: np.zeros((2, 3), "m8[s]"), lg.DTypeError, "timedelta64"),
    "records": (lambda: np.zeros((2, 3), "i4,f8"), lg.DTypeError, "not supported"),
    "complex": (lambda: np.array(ROWS, complex), lg.DTypeError, "complex"),
    "a set mask": (lambda: np.ma.array(ROWS, mask=np.eye(2, 3)), lg.DTypeError, "masked entries"),
    "a huge integer": (lambda: [[10**400] * 3] * 2, lg.DTypeError, r"objects \(int\)"),
    "one huge integer": (lambda: 10**5000, lg.DTypeError, "an integer of 16610 bits is too large"),
    "a node": (lambda: lg.Value(ROWS), lg.FeedError, r"graph node; feed its value, x\.data"),
    "nodes in a list": (lambda: [lg.Value(1.0)] * 2, lg.LazygradError, "data"),
    "a scalar": (lambda: 1.0, lg.ShapeError, r"expected 2 axes, \[n, 3\], got 0, \[\]"),
    "one row": (lambda: ROWS[0], lg.ShapeError, r"Is the batch axis missing\? x\[None\] adds one"),
    "an axis too many": (lambda: [ROWS], lg.ShapeError, r"length 1 can be dropped with x\.squeeze"),
    "two axes too many": (lambda: [[ROWS] * 2] * 2, lg.ShapeError, "expected 2 axes.*got 4"),
    "the other way round": (
        lambda: np.array(ROWS).T,
        lg.ShapeError,
        r"expected \[n, 3\], got \[3, 2\]: axis 1 has length 2, not 3",
    ),
    "a column": (lambda: np.ones((2, 1)), lg.ShapeError, "axis 1 has length 1, not 3"),
}


@pytest.fixture(params=["program", "node"])
def run(request):
    """``2 * x + 1`` as a program and as a node."""
    x = lg.placeholder(("n", 3), name="x", requires_grad=True)
    y = x * 2 + 1
    if request.param == "program":
        return lg.compile(y)
    return lambda **feeds: y.forward(missing="raise", **feeds)


@pytest.mark.parametrize("kind", ACCEPTED)
def test_what_is_accepted(run, kind):
    for _ in range(2):
        result = run(x=ACCEPTED[kind]())
        assert type(result) is np.ndarray
        assert result.dtype == np.float64
        np.testing.assert_array_equal(result, EXPECTED)
    np.testing.assert_array_equal(run(x=np.array(ROWS)), EXPECTED)


def test_a_memory_map_is_accepted(run, tmp_path):
    data = mapped(tmp_path / "rows")
    np.testing.assert_array_equal(run(x=data), EXPECTED)
    np.testing.assert_array_equal(run(x=data), EXPECTED)
    np.testing.assert_array_equal(np.asarray(data), ROWS)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(run, kind):
    make, error, words = REFUSED[kind]
    before = run(x=np.array(ROWS))
    with pytest.raises(error, match=words) as caught:
        run(x=make())
    assert "'x'" in str(caught.value)
    assert "test_feeds.py:" in str(caught.value)
    np.testing.assert_array_equal(before, EXPECTED)
    np.testing.assert_array_equal(run(x=np.array(ROWS)), EXPECTED)
    np.testing.assert_array_equal(run(x=ROWS), EXPECTED)


def test_a_refused_first_feed_leaves_the_program_usable(run):
    with pytest.raises(lg.DTypeError):
        run(x="text")
    np.testing.assert_array_equal(run(x=ROWS), EXPECTED)


@pytest.mark.parametrize("kind", [*ACCEPTED])
def test_the_callers_data_is_never_written_and_never_kept(kind):
    x = lg.placeholder((2, 3), name="x", requires_grad=True)
    data = ACCEPTED[kind]()
    before = np.array(data, copy=True)
    f = lg.compile([x, x.T, x * 1, x.at[0].set(0.0), lg.sort(x, axis=1)])
    y = (x * x).sum()
    results = f(x=data)
    y.forward(x=data)
    np.testing.assert_array_equal(np.array(data), before)
    if isinstance(data, np.ndarray):
        assert not any(np.shares_memory(result, data) for result in results)
        if data.flags.writeable:
            data[...] = 99
    np.testing.assert_array_equal(results[0], ROWS)
    np.testing.assert_array_equal(results[1], np.transpose(ROWS))
    y.backward()
    np.testing.assert_array_equal(x.grad, 2 * np.array(ROWS))
    np.testing.assert_array_equal(x.data, ROWS)


def test_a_program_holds_no_feed():
    x = lg.placeholder((2, 3), name="x")
    f = lg.compile([x, x * 2])
    data = np.array(ROWS)
    seen = weakref.ref(data)
    f(x=data)
    x_only = x.forward(x=data)
    del data
    gc.collect()
    assert seen() is None
    np.testing.assert_array_equal(x_only, ROWS)


# Which dtypes may be fed to which: rows are declared.
CASTS = {
    "bool": {"bool": True, "uint8": False, "int64": False, "float32": False, "float64": False},
    "uint8": {"bool": True, "uint8": True, "int64": True, "float32": False, "float64": False},
    "int64": {"bool": True, "uint8": True, "int64": True, "float32": False, "float64": False},
    "float32": {"bool": True, "uint8": True, "int64": True, "float32": True, "float64": True},
    "float64": {"bool": True, "uint8": True, "int64": True, "float32": True, "float64": True},
}


@pytest.mark.parametrize(
    ("declared", "fed"), [(declared, fed) for declared in CASTS for fed in CASTS[declared]]
)
def test_which_dtypes_may_be_fed_to_which(declared, fed):
    x = lg.placeholder((2,), dtype=declared, name="x")
    f = lg.compile(x & x if declared == "bool" else x + 0)
    data = np.array([0, 1], fed)
    if CASTS[declared][fed]:
        for result in (f(x=data), x.forward(x=data)):
            assert result.dtype == declared
            np.testing.assert_array_equal(result, np.array([0, 1], declared))
        return
    message = f"feed 'x': {fed} data can't become {declared} without losing information"
    with pytest.raises(lg.DTypeError, match=message):
        f(x=data)
    with pytest.raises(lg.DTypeError, match=message):
        x.forward(x=data)


@pytest.mark.parametrize(
    ("declared", "fed", "words"),
    [
        ("int8", [1, 128], "values from 1 to 128 don't fit int8"),
        ("int8", [-129, 0], "values from -129 to 0 don't fit int8"),
        ("uint8", [-1, 0], "values from -1 to 0 don't fit uint8"),
        ("int64", np.array([2**63], np.uint64), "don't fit int64"),
        ("uint64", [-1], "don't fit uint64"),
        ("int32", [2**31], "don't fit int32"),
    ],
)
def test_integers_must_fit(declared, fed, words):
    x = lg.placeholder((len(fed),), dtype=declared, name="x")
    with pytest.raises(lg.DTypeError, match=words):
        lg.compile(x + 0)(x=fed)
    with pytest.raises(lg.DTypeError, match=words):
        x.forward(x=fed)


def test_integers_that_fit_are_taken():
    for declared, fed in (("int8", [-128, 127]), ("uint64", [0, 5]), ("int64", [2**63 - 1])):
        x = lg.placeholder((len(fed),), dtype=declared, name="x")
        np.testing.assert_array_equal(lg.compile(x + 0)(x=fed), np.array(fed, declared))
    x = lg.placeholder((0,), dtype="int8", name="x")
    assert lg.compile(x + 0)(x=np.zeros(0, np.int64)).shape == (0,)
    y = lg.placeholder((2,), dtype="int64", name="y")
    fed = np.array([1, 2], np.uint64)
    np.testing.assert_array_equal(lg.compile(y + 0)(y=fed), [1, 2])


def test_float64_that_overflows_float32_becomes_infinite_without_a_warning():
    x = lg.placeholder((2,), dtype="float32", name="x")
    np.testing.assert_array_equal(lg.compile(x * 1)(x=[1e300, 1.0]), [np.inf, 1.0])
    np.testing.assert_array_equal(x.forward(x=[1e300, 1.0]), [np.inf, 1.0])


def test_nan_and_infinities_pass(run):
    data = np.array([[np.nan, np.inf, -np.inf]])
    np.testing.assert_array_equal(run(x=data), data * 2 + 1)


def test_an_empty_batch(run):
    for data in (np.zeros((0, 3)), np.zeros((0, 3), int), np.asfortranarray(np.zeros((0, 3)))):
        assert run(x=data).shape == (0, 3)
    with pytest.raises(lg.ShapeError, match=r"got 1, \[0\]"):
        run(x=[])


def test_a_python_number_for_a_placeholder_without_axes():
    s = lg.placeholder((), name="s")
    for run in (lg.compile(s * 2), (s * 2).forward):
        for number in (3, 3.0, True, np.float32(3), np.int8(3), np.array(3), np.array(3.0)[()]):
            assert run(s=number) == 2 * float(number)
        with pytest.raises(lg.ShapeError, match=r"expected 0 axes, \[\], got 1, \[1\]"):
            run(s=[3.0])


def test_a_column_is_not_a_row_of_targets():
    x, t = lg.placeholder(("n", 1), name="x"), lg.placeholder(("n",), name="t")
    f = lg.compile(((x[:, 0] - t) ** 2).mean())
    assert f(x=[[1.0], [2.0]], t=[1.0, 2.0]) == 0.0
    with pytest.raises(lg.ShapeError, match="feed 't': expected 1 axes"):
        f(x=[[1.0], [2.0]], t=[[1.0], [2.0]])
    with pytest.raises(lg.ShapeError, match="feed 'x': expected 2 axes"):
        f(x=[1.0, 2.0], t=[1.0, 2.0])


def test_feeds_never_broadcast():
    x = lg.placeholder((2, 3), name="x")
    for data in (np.ones((1, 3)), np.ones((2, 1)), np.ones(3), 1.0):
        with pytest.raises(lg.ShapeError):
            lg.compile(x * 1)(x=data)
        with pytest.raises(lg.ShapeError):
            x.forward(x=data)


NAMES = [
    "with space",
    "a:b",
    "<b>",
    'say "hi"',
    "it's",
    "line\nbreak",
    "back\\slash",
    "class",
    "1st",
    "ünï",
    "self",
    "feeds",
    "f0",
    "v1",
    "np",
    "missing value",
    "{x}",
    "%s",
    "__class__",
    "\t",
    "#comment",
    "'''",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_text_is_a_name(name):
    x = lg.placeholder(("n",), name=name, requires_grad=True)
    w = lg.Value([2.0, 3.0], name=name)
    y = x * w
    f = lg.compile(y)
    np.testing.assert_array_equal(f(**{name: [1.0, 2.0]}), [2.0, 6.0])
    np.testing.assert_array_equal(f(**{name: np.array([1.0, 2.0])}), [2.0, 6.0])
    np.testing.assert_array_equal(y.forward(**{name: [1.0, 2.0]}), [2.0, 6.0])
    y.backward()
    np.testing.assert_array_equal(x.grad, [2.0, 3.0])
    assert f.explain()
    assert f.profile(**{name: [1.0, 2.0]})
    python, _, _ = f.source.partition("/* Written by lazygrad")
    compile(python, "source", "exec")
    for error in (lg.MissingFeedError, lg.UnknownFeedError):
        with pytest.raises(error) as caught:
            f(**({} if error is lg.MissingFeedError else {name + "!": 1.0}))
        assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", ["", None, 3, b"x"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(lg.OptionError, match="name"):
        lg.placeholder((2,), name=name)


@pytest.mark.parametrize(
    ("fed", "meant"),
    [("X", "x_train"), ("xtrain", "x_train"), ("x_Train", "x_train"), ("label", "labels")],
)
def test_the_nearest_known_name_is_suggested(fed, meant):
    x, t = lg.placeholder((2,), name="x_train"), lg.placeholder((2,), name="labels")
    good = {"x_train": [1.0, 2.0], "labels": [1.0, 2.0]}
    node = x + t
    for run in (lg.compile(node), node.forward):
        with pytest.raises(lg.UnknownFeedError) as caught:
            run(**good, **{fed: [1.0, 2.0]})
        text = str(caught.value)
        assert f"no placeholder is named {fed!r}" in text
        assert (f"Did you mean {meant!r}?" in text) == (fed != "X")
        assert "x_train: float64[2]   placeholder 'x_train', test_feeds.py:" in text
        np.testing.assert_array_equal(run(**good), [2.0, 4.0])


def test_a_graph_without_placeholders_says_so():
    with pytest.raises(
        lg.UnknownFeedError, match="'x' was fed, but this graph has no placeholders"
    ):
        lg.compile(lg.Value(1.0) * 2)(x=1.0)


def test_one_name_twice_is_refused_whatever_is_fed():
    a, b = lg.placeholder((2,), name="x"), lg.placeholder((2,), name="x")
    with pytest.raises(lg.DuplicateNameError, match="two placeholders are named 'x'"):
        lg.compile([a, b])
    np.testing.assert_array_equal(lg.compile([a, a])(x=[1.0, 2.0])[1], [1.0, 2.0])


def test_positional_feeds_are_refused():
    f = lg.compile(lg.placeholder((2,), name="x") * 2)
    with pytest.raises(TypeError, match="positional"):
        f([1.0, 2.0])


def test_feeds_of_two_calls_with_other_dtypes_and_lengths(run):
    for n in (2, 5, 2, 0):
        for dtype in (float, int, np.float32, bool):
            data = np.ones((n, 3), dtype)
            np.testing.assert_array_equal(run(x=data), np.full((n, 3), 3.0))


def test_an_error_while_becoming_an_array_is_not_hidden(run):
    class Broken:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        run(x=Broken())
    np.testing.assert_array_equal(run(x=ROWS), EXPECTED)
