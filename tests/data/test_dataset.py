"""Datasets: rows by number, slice and array; rows stay together; errors name the array."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import lazygrad as lg
from lazygrad.data import Dataset


def small():
    return Dataset(x=np.arange(8.0).reshape(4, 2), t=np.array([0, 1, 2, 3]))


def test_a_row_is_a_dict():
    data = small()
    assert len(data) == 4
    for row in (1, np.int64(1), np.array(1), -3):
        assert data[row]["x"].tolist() == [2.0, 3.0]
        assert data[row]["t"] == 1
    assert [row["t"] for row in data] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (slice(1, 3), [1, 2]),
        (slice(None, None, -2), [3, 1]),
        ([2, -1, 2], [2, 3, 2]),
        (np.array([3, 0], np.uint8), [3, 0]),
        ([True, False, False, True], [0, 3]),
        ([], []),
        (np.zeros(4, bool), []),
    ],
)
def test_several_rows_are_a_dataset(rows, expected):
    chosen = small()[rows]
    assert isinstance(chosen, Dataset)
    assert chosen["t"].tolist() == expected
    assert chosen["x"].shape == (len(expected), 2)
    assert (chosen["x"][:, 0] == 2 * chosen["t"]).all()


def test_a_slice_is_a_view_and_an_array_of_rows_a_copy():
    data = small()
    assert np.shares_memory(data[1:]["x"], data["x"])
    assert not np.shares_memory(data[[0, 1]]["x"], data["x"])


def test_bad_rows_are_named():
    data = small()
    for row in (4, -5, [0, 4], [-5]):
        with pytest.raises(IndexError, match=r"no row -?\d, there are 4 rows"):
            data[row]
    with pytest.raises(IndexError, match=r"bool\[3\], expected 4 of bool"):
        data[[True, False, True]]
    with pytest.raises(lg.DTypeError, match="expected integers or bool"):
        data[[0.5]]
    with pytest.raises(lg.ShapeError, match="expected one dimension"):
        data[np.zeros((2, 2), int)]
    with pytest.raises(KeyError, match="no array 'y', there is x, t"):
        data["y"]
    with pytest.raises(TypeError):
        data[1.0]


def test_bad_arrays_are_named():
    with pytest.raises(lg.ShapeError, match="Dataset: lengths differ, x has 2 rows and t has 3"):
        Dataset(x=[1, 2], t=[1, 2, 3])
    with pytest.raises(ValueError, match="Dataset: no arrays are given"):
        Dataset()
    with pytest.raises(lg.ShapeError, match="x is a scalar"):
        Dataset(x=1)
    with pytest.raises(TypeError, match="'x' is given twice"):
        Dataset({"x": [1]}, x=[1])
    with pytest.raises(TypeError, match="an array is named 3, expected a string"):
        Dataset({3: [1]})


def test_the_mapping_of_arrays_cant_be_written():
    with pytest.raises(TypeError):
        small().arrays["x"] = 1


def test_its_arrays_feed_a_program():
    x = lg.placeholder(("batch", 2), name="x")
    assert x.sum().forward(x=small()[:2]["x"]) == 6


def test_map_goes_row_by_row():
    data = small().map(lambda row: {"sum": row["x"].sum(), "t": row["t"]})
    assert data["sum"].tolist() == [1.0, 5.0, 9.0, 13.0]
    assert repr(data) == "Dataset(4 rows: sum float64[], t int64[])"


def test_transform_takes_and_gives_whole_arrays():
    data = small().transform(lambda arrays: {"y": arrays["x"][arrays["t"] > 1]})
    assert data["y"].tolist() == [[4.0, 5.0], [6.0, 7.0]]
    with pytest.raises(TypeError, match="transform: the function gave a int"):
        small().transform(lambda arrays: 3)


def test_rows_that_dont_fit_are_named():
    with pytest.raises(lg.ShapeError, match=r"x is float64\[3\] in row 1, float64\[2\] in the f"):
        Dataset.from_iterable([{"x": np.zeros(2)}, {"x": np.zeros(3)}])
    with pytest.raises(ValueError, match="row 1 has y, the first row has x"):
        Dataset.from_iterable([{"x": 1}, {"y": 1}])
    with pytest.raises(ValueError, match="from_iterable: there are no rows"):
        Dataset.from_iterable([])
    with pytest.raises(TypeError, match="row 0 is a int, expected a mapping"):
        Dataset.from_iterable([3])
    with pytest.raises(ValueError, match="map: there are no rows"):
        small()[:0].map(lambda row: row)


def test_a_mask_survives_stacking():
    rows = np.ma.masked_array([[1.0, 2.0], [3.0, 4.0]], mask=[[False, True], [False, False]])
    assert np.ma.is_masked(Dataset(x=rows).map(lambda row: row)["x"])


@given(st.integers(2, 40), st.integers(0, 5))
def test_shuffling_and_splitting_keep_rows_together(length, seed):
    data = Dataset(x=np.arange(length) * 3, t=np.arange(length))
    mixed = data.shuffled(seed)
    assert sorted(mixed["t"].tolist()) == list(range(length))
    assert mixed["t"].tolist() == data.shuffled(seed)["t"].tolist()
    train, test = data.split(0.5, seed=seed)
    assert sorted([*train["t"].tolist(), *test["t"].tolist()]) == list(range(length))
    for part in (mixed, train, test):
        assert (part["x"] == 3 * part["t"]).all()


def test_a_split_takes_classes_by_name_or_as_an_array():
    data = Dataset(x=np.arange(20), t=np.arange(20) % 2)
    by_name, by_array = (data.split(0.2, stratify=given) for given in ("t", data["t"]))
    assert np.bincount(by_name[1]["t"]).tolist() == [2, 2]
    assert by_name[1]["x"].tolist() == by_array[1]["x"].tolist()
    with pytest.raises(KeyError, match="no array 'y'"):
        data.split(stratify="y")
