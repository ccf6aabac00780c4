"""All that is done on the way to machine code, in one: windows, epilogues, and nothing in vain."""

import numpy as np

import lazygrad as lg
from lazygrad.schedule import native
from lazygrad.schedule.buffers import plan
from lazygrad.schedule.kernel import kernel_of
from lazygrad.schedule.native import native_schedule
from lazygrad.schedule.patches import right_axes


def test_a_convolution_of_one_image_with_its_bias_is_one_step():
    rng = np.random.default_rng(0)
    x = lg.placeholder((1, 2, 9), name="x")
    kernels, bias = lg.Value(rng.standard_normal((4, 2, 3))), lg.Value(rng.standard_normal((4, 1)))
    program = lg.compile(lg.relu(lg.conv(x, kernels) + bias), backend="numpy")
    schedule = native_schedule(program.schedule, plan(program.schedule, {}))
    (step,) = [step for step in schedule.steps if not step.is_view]
    kernel = kernel_of(step)
    assert [own.op.name for own in kernel.steps] == ["matmul", "add", "relu"]
    assert right_axes(kernel.product) is not None


def test_what_has_no_product_is_planned_no_further(monkeypatch):
    program = lg.compile(lg.exp(lg.placeholder((3,), name="x")) + 1.0, backend="numpy")
    placed = plan(program.schedule, {})
    monkeypatch.setattr(native, "make_plan", None)
    assert len(native_schedule(program.schedule, placed).steps) == 1
