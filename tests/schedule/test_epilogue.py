"""Which kernels become epilogues of products, which don't, and that results stay the same."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn, optim
from lazygrad.backends.numpy import bind
from lazygrad.schedule import epilogue as epilogue_module
from lazygrad.schedule.buffers import Kind, plan
from lazygrad.schedule.epilogue import fold_epilogues
from lazygrad.schedule.fuse import fuse
from lazygrad.schedule.kernel import kernel_of


def folded(program, **lengths):
    fused = fuse(program.schedule, plan(program.schedule, lengths))
    return fold_epilogues(fused, plan(fused, lengths))


def products(schedule):
    """The operations after each product, for those that have an epilogue; plain ones as None."""
    found = []
    for step in schedule.steps:
        kernel = kernel_of(step)
        if step.op.name == "matmul":
            found.append(None)
        elif kernel is not None and kernel.product is not None:
            found.append([own.op.name for own in kernel.steps[1:]])
    return found


def compiled(output, updates=()):
    return lg.compile(output, updates=updates, backend="numpy")


X = (4, 3)


def operand(name="x", shape=X):
    return lg.placeholder(shape, name=name)


def weight(*shape):
    return lg.Value(np.random.default_rng(0).standard_normal(shape))


def test_bias_and_activation_are_one_step_with_the_product():
    schedule = folded(compiled(lg.relu(operand() @ weight(3, 5) + weight(5))))
    assert products(schedule) == [["add", "relu"]]
    placed = plan(schedule, {})
    (step,) = [step for step in schedule.steps if not step.is_view]
    (number,) = kernel_of(step).product.writes
    assert placed.storage[number].kind is Kind.INNER


def test_what_is_added_to_a_product_is_part_of_it():
    x = operand()
    schedule = folded(compiled(x @ weight(3, 3) + x))
    assert products(schedule) == [["add"]]


def test_of_two_products_in_one_kernel_one_is_folded():
    x = operand()
    schedule = folded(compiled(lg.tanh(x @ weight(3, 5) + x @ weight(3, 5))))
    assert [found for found in products(schedule) if found] == [["add", "tanh"]]
    assert None in products(schedule)


@pytest.mark.parametrize(("batch", "is_folded"), [(4, True), (64, False)])
def test_updates_are_part_of_the_product_unless_its_operands_would_wait_for_them(batch, is_folded):
    x, w = operand(shape=(batch, 8)), weight(8, 5)
    loss = lg.sum((x @ w) ** 2)
    schedule = folded(compiled(loss, updates=optim.SGD(0.1).minimize(loss, [w])))
    assert any(found and "subtract" in found for found in products(schedule)) == is_folded
    assert plan(schedule, {}, feeds_apart=True).direct


@pytest.mark.parametrize(
    "make",
    [
        lambda x: lg.relu(x @ weight(3, 5)).sum(axis=1),
        lambda x: lg.softmax(x @ weight(3, 5), axis=1),
        lambda x: (lambda c: [c, lg.relu(c)])(x @ weight(3, 5)),
        lambda x: (lambda c: c + c.T)(x @ weight(3, 4)),
        lambda x: (lambda c, v: lg.relu(c + v) * v.reshape(4, 1))(x @ weight(3, 4), weight(4)),
        lambda x: (lambda c, s: c * s + s.T)(x @ weight(3, 4), weight(4, 4)),
    ],
    ids=["rows are summed", "rows in stages", "asked for", "turned", "two ways", "two views"],
)
def test_what_reads_a_product_otherwise_stays_apart(make):
    assert products(folded(compiled(make(operand())))) == [None]


def test_large_arrays_are_gone_through_apart(monkeypatch):
    output = lg.relu(operand() @ weight(3, 5) + weight(5))
    monkeypatch.setattr(epilogue_module, "_MOST_BYTES", 100)
    assert products(folded(compiled(output))) == [None]


def test_a_deep_product_needs_a_result_of_its_own_form():
    x = operand(shape=(4, 300))
    c = x @ weight(300, 5)
    assert products(folded(compiled(lg.relu(c)))) == [["relu"]]
    assert products(folded(compiled(c > 0.5))) == [None]
    shallow = operand(shape=(4, 200)) @ weight(200, 5)
    assert products(folded(compiled(shallow > 0.5))) == [["greater"]]


@pytest.mark.parametrize("seed", range(5))
def test_folded_schedules_give_the_same(seed):
    rng = np.random.default_rng(seed)
    model = nn.Sequential(
        nn.Linear(7, 9, seed=rng, dtype="float64"),
        nn.GELU(),
        nn.Linear(9, 4, seed=rng, dtype="float64"),
        nn.Tanh(),
    )
    x = lg.placeholder(("rows", 7), name="x")
    loss = lg.mean(model(x) ** 2)
    rule = optim.Adam(0.01).minimize(loss, model.parameters())
    program = lg.compile([loss, model(x)], updates=rule, backend="numpy")
    rows = int(rng.integers(1, 6))
    data = rng.standard_normal((rows, 7))
    schedule = folded(program, rows=rows)
    assert any(products(schedule))
    before = [cell.array.copy() for cell in program._cells]

    def run(own):
        for cell, array in zip(program._cells, before, strict=True):
            cell.array[...] = array
        executable = bind(own, plan(own, {"rows": rows}), program._cells)
        outputs = executable.sections["run"](data)
        return [*map(np.copy, outputs), *(cell.array.copy() for cell in program._cells)]

    for given, wanted in zip(run(schedule), run(program.schedule), strict=True):
        np.testing.assert_allclose(given, wanted, rtol=1e-12, atol=1e-14)
