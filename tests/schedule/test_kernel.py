"""The facts of kernels that need no schedule."""

import numpy as np
import pytest

from lazygrad.ir.op import lookup
from lazygrad.schedule.kernel import axes_within, computing_dtypes, has_scalar_form, squeezed
from lazygrad.schedule.steps import Note, Step
from lazygrad.spec import Spec

BOOL, INT, LONG, FLOAT, DOUBLE = map(np.dtype, ("bool", "int32", "int64", "float32", "float64"))


def step(name, *dtypes):
    numbers = tuple(range(len(dtypes)))
    attrs = {"axes": (0,), "keepdims": False} if name in ("sum", "max") else {}
    made = Step(lookup(name), numbers[:-1], numbers[-1:], attrs, Note(name))
    return made, [Spec((3,), dtype) for dtype in dtypes]


@pytest.mark.parametrize(
    ("shape", "whole", "axes"),
    [
        ((5, 1), (4, 5, 6), (1,)),
        ((4, 1, 6), (4, 5, 6), (0, 2)),
        ((6,), (4, 1, 6), (1,)),
        ((), (4,), ()),
        ((1, 1), (4, 4), ()),
    ],
)
def test_axes_are_counted_without_those_of_length_1(shape, whole, axes):
    assert axes_within(shape, whole) == axes
    assert [squeezed(whole)[axis] for axis in axes] == list(squeezed(shape))


@pytest.mark.parametrize(
    ("name", "dtypes", "computed"),
    [
        ("add", (FLOAT, FLOAT, FLOAT), (FLOAT, FLOAT)),
        ("add", (INT, FLOAT, DOUBLE), (DOUBLE, DOUBLE)),
        ("less", (INT, DOUBLE, BOOL), (DOUBLE, DOUBLE)),
        ("where", (BOOL, INT, FLOAT, DOUBLE), (BOOL, DOUBLE, DOUBLE)),
        ("where", (BOOL, BOOL, INT, INT), (BOOL, BOOL, INT)),
        ("exp", (BOOL, np.dtype("float16")), (np.dtype("float16"),)),
        ("sum", (INT, LONG), (INT,)),
    ],
)
def test_operands_are_read_as_numpy_reads_them(name, dtypes, computed):
    assert computing_dtypes(lookup(name), dtypes[:-1], dtypes[-1]) == computed


@pytest.mark.parametrize(
    ("name", "dtypes", "is_scalar"),
    [
        ("multiply", (FLOAT, FLOAT, FLOAT), True),
        ("divide", (LONG, LONG, DOUBLE), True),
        ("floor_divide", (LONG, LONG, LONG), False),
        ("reciprocal", (LONG, LONG), False),
        ("floor", (DOUBLE, DOUBLE), True),
        ("floor", (LONG, LONG), False),
        ("less", (LONG, np.dtype("uint64"), BOOL), False),
        ("exp", (np.dtype("float16"), np.dtype("float16")), False),
        ("multiply", (np.dtype(">f8"), DOUBLE, DOUBLE), False),
        ("max", (FLOAT, FLOAT), True),
        ("sort", (FLOAT, FLOAT), False),
    ],
)
def test_which_steps_are_one_expression(name, dtypes, is_scalar):
    assert has_scalar_form(*step(name, *dtypes)) is is_scalar
