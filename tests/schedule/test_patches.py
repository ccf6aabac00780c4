"""Which products look into images instead of copies of windows, and that results stay the same."""

from dataclasses import replace

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.backends.numpy import bind
from lazygrad.schedule.buffers import plan
from lazygrad.schedule.fuse import fuse
from lazygrad.schedule.kernel import kernel_of
from lazygrad.schedule.patches import read_patches, right_axes


def looking(program):
    fused = fuse(program.schedule, plan(program.schedule, {}))
    return read_patches(fused, plan(fused, {}))


def copies(schedule):
    kernels = [kernel_of(step) for step in schedule.steps]
    return sum(k is not None and k.steps[0].op.name == "copy" for k in kernels)


def convolved(shape, kernel, **options):
    rng = np.random.default_rng(0)
    x = lg.placeholder(shape, name="x", requires_grad=True)
    return x, lg.conv(x, lg.Value(rng.standard_normal(kernel)), **options)


def compiled(outputs):
    return lg.compile(outputs, backend="numpy")


CASES = [
    ((2, 3, 9, 9), (5, 3, 3, 3), {}),
    ((2, 3, 9, 9), (5, 3, 3, 2), {"padding": 1}),
    ((3, 9, 9), (5, 3, 1, 3), {}),
    ((2, 3, 20), (4, 3, 5), {"dilation": 2}),
    ((2, 2, 5, 6, 7), (3, 2, 2, 3, 2), {}),
]


@pytest.mark.parametrize(("shape", "kernel", "options"), CASES)
def test_a_convolution_and_its_gradients_copy_no_windows(shape, kernel, options):
    x, y = convolved(shape, kernel, **options)
    loss = lg.sum(y * y)
    program = compiled([loss, *lg.grad(loss, [x])])
    plain = fuse(program.schedule, plan(program.schedule, {}))
    schedule = looking(program)
    assert copies(schedule) == copies(plain) - 1
    (product,) = [step for step in schedule.steps if right_axes(step) is not None]
    rows, columns = right_axes(product)
    assert len(rows) == len(kernel) - 1
    assert len(columns) == 1
    data = np.random.default_rng(1).standard_normal(shape)
    given, wanted = (
        bind(own, plan(own, {}), program._cells).sections["run"](data)
        for own in (schedule, program.schedule)
    )
    for one, other in zip(given, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_the_kernel_looks_too():
    rng = np.random.default_rng(0)
    x, w = lg.placeholder((2, 3, 9, 9), name="x"), lg.Value(rng.standard_normal((5, 3, 3, 3)))
    loss = lg.sum(lg.conv(x, w) ** 2)
    schedule = looking(compiled([loss, *lg.grad(loss, [w])]))
    found = [right_axes(step) for step in schedule.steps if right_axes(step) is not None]
    assert found == [((1, 2, 3), (4,)), ((4,), (1, 2, 3))]


def test_windows_that_do_not_lie_side_by_side_are_copied():
    _, y = convolved((2, 3, 9, 9), (5, 3, 3, 3), stride=2)
    schedule = looking(compiled(y))
    assert not any(right_axes(step) for step in schedule.steps)


def test_a_copy_that_somebody_else_reads_stays():
    _, y = convolved((3, 8), (2, 3, 3))
    program = compiled(y)
    fused = fuse(program.schedule, plan(program.schedule, {}))
    assert copies(fused) == 1
    assert copies(read_patches(fused, plan(fused, {}))) == 0
    (copy,) = [s for s in fused.steps if kernel_of(s) and kernel_of(s).steps[0].op.name == "copy"]
    (section,) = fused.sections
    asked = replace(fused, sections=(replace(section, kept=copy.writes),))
    assert read_patches(asked, plan(asked, {})) is asked
