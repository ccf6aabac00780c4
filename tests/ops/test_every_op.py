"""What every operation in the table must keep; a new one is tested because it is registered."""

from __future__ import annotations

import itertools
import zlib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import lazygrad as lg
from lazygrad.autodiff.reverse import is_differentiable
from lazygrad.backends.interpreter import interpret
from lazygrad.errors import DisconnectedError, GraphError
from lazygrad.ir.graph import Graph, ancestors
from lazygrad.ir.op import OUT, In, Trait, Writes, table
from lazygrad.ir.value import Value, apply, item
from lazygrad.lengths import evaluate
from lazygrad.spec import Spec
from lazygrad.testing import check_gradient


def _samples():
    path = Path(__file__).with_name("samples.py")
    found = spec_from_file_location("samples", path)
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module.SAMPLES, module.SYMMETRIC


SAMPLES, SYMMETRIC = _samples()

# Operations that can't be run on sampled operands, and why.
EXCEPTIONS = {
    "placeholder": "a leaf, fed by name",
    "variable": "a leaf, lives in a cell",
    "constant": "a leaf, holds its array",
    "length": "a leaf, bound with the lengths",
    "item": "picks a result of another operation; tested with those",
}

# Operations whose attributes hold dtypes, so that operands can't be converted to others.
FLOAT64_ONLY = {"scan": "the body is a graph of its own"}

SHAPES = [(3, 4), (), (3,), (1, 4), (0, 4)]
MATRICES = [(3, 4), (4, 4), (1, 4), (0, 4)]
AXIS_ATTRIBUTES = {"axes", "axis", "keepdims"}
BROADCASTS = [[(4,), (3, 4)], [(3, 4), (4,)], [(3, 1), (1, 4)], [(), (3, 4)], [(3, 4), ()]]
PAIRS = [
    [(3, 4), (4, 2)],
    [(2, 3, 4), (4, 2)],
    [(3, 4), (2, 4, 5)],
    [(0, 4), (4, 2)],
    [(3, 0), (0, 2)],
    [(3, 4), (3, 4)],
]
NAMES = [name for name in table() if name not in EXCEPTIONS]


def _rng(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def _draw(rng, interval, shape, dtype):
    low, high = interval
    if dtype.kind == "b":
        return np.asarray(rng.random(shape) < 0.5)
    if dtype.kind in "iu":
        return np.asarray(rng.integers(max(1, int(np.ceil(low))), max(3, int(high)), shape), dtype)
    return np.asarray(rng.uniform(low, high, shape), dtype)


def _shapes_for(op, attrs):
    count = len(op.domain)
    if Trait.ELEMENTWISE in op.traits:
        same = [[shape] * count for shape in SHAPES]
        return same if count != 2 else same + BROADCASTS
    if count == 2:
        return PAIRS
    if not attrs:
        return [[shape] * count for shape in SHAPES]
    # Public functions fit other attributes to the operand's shape.
    shapes = MATRICES if attrs.keys() <= AXIS_ATTRIBUTES else MATRICES[:1]
    return [[shape] * count for shape in shapes]


def _accepted(op, arrays, attrs):
    try:
        infer(op, arrays, attrs)
    except (GraphError, TypeError, ValueError, IndexError):
        # Public functions have checked axes and counts before inference sees them.
        return False
    return True


def cases_of(name, dtype=np.float64):
    """Operand arrays and attributes to try the operation on."""
    op, rng, dtype = table()[name], _rng(name), np.dtype(dtype)
    if name in FLOAT64_ONLY and dtype != np.float64:
        return []
    if name in SAMPLES:
        return [
            (
                [a.astype(dtype) if a.dtype.kind == "f" else a for a in map(np.asarray, arrays)],
                attrs,
            )
            for arrays, attrs in SAMPLES[name](rng)
        ]
    return [
        (arrays, attrs)
        for attrs in op.variants
        for shapes in _shapes_for(op, attrs)
        for arrays in [
            [_draw(rng, domain, s, dtype) for domain, s in zip(op.domain, shapes, strict=True)]
        ]
        if _accepted(op, arrays, attrs)
    ]


def all_cases(name):
    """Cases over the dtypes that the operation takes."""
    op = table()[name]
    dtypes = [np.float64, np.float32]
    # Elsewhere public functions convert integers before the operation sees them.
    if name not in SAMPLES and (Trait.ELEMENTWISE in op.traits or op.vjp is None):
        dtypes += [np.int64, np.int8, np.bool_]
    return [case for dtype in dtypes for case in cases_of(name, dtype)]


def infer(op, arrays, attrs):
    return op.infer(*[Spec(np.shape(a), np.asarray(a).dtype) for a in arrays], **attrs)


def _garbage(spec, byte):
    out = np.empty(tuple(evaluate(n, {}) for n in spec.shape), spec.dtype)
    out.view(np.uint8).fill(byte) if out.ndim else out.reshape(1).view(np.uint8).fill(byte)
    if spec.dtype.kind == "b":
        out[...] = bool(byte & 1)
    return out


def run(op, arrays, attrs, byte=0x5A):
    """Run the kernel; several results as a list."""
    spec = infer(op, arrays, attrs)
    with np.errstate(all="ignore"):
        if op.writes is not Writes.OUT:
            result = op.kernel(*arrays, **attrs)
        elif isinstance(spec, tuple):
            result = tuple(_garbage(s, byte) for s in spec)
            op.kernel(*arrays, out=result, **attrs)
        else:
            result = _garbage(spec, byte)
            op.kernel(*arrays, out=result, **attrs)
    return list(result) if isinstance(spec, tuple) else [result]


def results_of(op, arrays, attrs):
    spec = infer(op, arrays, attrs)
    return list(spec) if isinstance(spec, tuple) else [spec]


def values(node):
    with np.errstate(all="ignore"):
        return interpret(Graph([node]), {})[0]


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


@pytest.mark.parametrize("name", NAMES)
def test_there_is_something_to_try(name):
    cases = [arrays for arrays, _ in all_cases(name) if all(a.size for a in arrays)]
    if not cases:
        pytest.fail(
            f"no operands fit {name!r}: give its declaration domain= (one interval per operand)"
            " and variants= that work on shapes like (3, 4), or add cases to tests/ops/samples.py"
        )


@pytest.mark.parametrize("name", NAMES)
def test_is_documented(name):
    op = table()[name]
    assert op.doc.strip(), "the declaration needs a doc"
    assert op.doc.rstrip().endswith("."), "the doc is a sentence"


@pytest.mark.parametrize("name", [n for n in NAMES if table()[n].array_api])
def test_array_api_name_exists(name):
    path = table()[name].array_api
    assert hasattr(np, path) or hasattr(np.linalg, path), path


@pytest.mark.parametrize("name", NAMES)
def test_spec_is_that_of_the_result(name):
    op = table()[name]
    for arrays, attrs in all_cases(name):
        for spec, result in zip(results_of(op, arrays, attrs), run(op, arrays, attrs), strict=True):
            result = np.asarray(result)
            assert result.dtype == spec.dtype, (arrays, attrs)
            assert result.ndim == len(spec.shape), (arrays, attrs)
            if Trait.DATA_SHAPED not in op.traits:
                assert result.shape == spec.shape, (arrays, attrs)


@pytest.mark.parametrize("name", NAMES)
def test_kernel_fills_out_and_leaves_its_operands(name):
    op = table()[name]
    for arrays, attrs in all_cases(name):
        arrays = [array.copy() for array in arrays]
        before = [array.tobytes() for array in arrays]
        for array in arrays:
            array.flags.writeable = False
        first = run(op, arrays, attrs, 0x5A)
        second = run(op, arrays, attrs, 0xA5)
        assert [array.tobytes() for array in arrays] == before
        if Trait.STATEFUL in op.traits:
            continue
        for a, b in zip(first, second, strict=True):
            assert same_bits(a, b), (arrays, attrs, a, b)
        if op.writes is Writes.VIEW and first[0].size and arrays[0].size:
            assert np.shares_memory(first[0], arrays[0])


def _strided(array):
    """The same elements under other strides."""
    if not array.ndim:
        yield array
        return
    yield np.asfortranarray(array)
    reverse = (slice(None, None, -1),) * array.ndim
    yield array[reverse].copy()[reverse]
    wide = np.zeros(tuple(2 * n for n in array.shape), array.dtype)
    every_other = (slice(None, None, 2),) * array.ndim
    wide[every_other] = array
    yield wide[every_other]


@pytest.mark.parametrize("name", NAMES)
def test_strides_of_operands_do_not_matter(name):
    op = table()[name]
    if Trait.STATEFUL in op.traits or Trait.NEEDS_CONTIGUOUS in op.traits:
        pytest.skip("equal calls differ, or operands are made contiguous first")
    for arrays, attrs in all_cases(name):
        plain = run(op, arrays, attrs)
        tolerance = 1e-5 if any(a.dtype == np.float32 for a in arrays) else 1e-12
        for strided in zip(*map(_strided, arrays), strict=False):
            for a, b in zip(plain, run(op, list(strided), attrs), strict=True):
                np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_bound_call_gives_the_bits_of_the_kernel(name):
    op = table()[name]
    if Trait.STATEFUL in op.traits:
        pytest.skip("equal calls differ")
    for arrays, attrs in all_cases(name):
        spec = infer(op, arrays, attrs)
        specs = tuple(Spec(array.shape, array.dtype) for array in arrays)
        bound = op.bound_call(specs, spec, attrs)
        outs = (
            [_garbage(s, 0x3C) for s in results_of(op, arrays, attrs)]
            if (op.writes is Writes.OUT)
            else []
        )
        out = tuple(outs) if isinstance(spec, tuple) else (outs[0] if outs else None)
        arguments = [
            arrays[a.index] if isinstance(a, In) else out if a is OUT else a
            for a in bound.arguments
        ]
        named = {"out": out} if bound.out_by_name else {}
        with np.errstate(all="ignore"):
            returned = bound.function(*arguments, **named)
        if not outs:
            outs = list(returned) if isinstance(spec, tuple) else [returned]
        for a, b in zip(run(op, arrays, attrs), outs, strict=True):
            assert same_bits(a, b), (arrays, attrs, a, b)


@pytest.mark.parametrize("name", [n for n in NAMES if table()[n].reusable])
def test_result_may_be_written_over_reusable_operands(name):
    op = table()[name]
    tried = 0
    for arrays, attrs in all_cases(name):
        spec = infer(op, arrays, attrs)
        for index in op.reusable:
            if arrays[index].shape != spec.shape or arrays[index].dtype != spec.dtype:
                continue
            tried += 1
            expected = run(op, arrays, attrs)[0]
            given = list(arrays)
            given[index] = arrays[index].copy()
            with np.errstate(all="ignore"):
                op.kernel(*given, out=given[index], **attrs)
            assert same_bits(given[index], expected), (index, arrays, attrs)
    if not tried and op.vjp is not None:
        pytest.fail("no case has a reusable operand of the result's shape and dtype")


def differentiable_parts(op, arrays, attrs):
    """Nodes of the results that have derivatives, and the leaves that these depend on."""
    leaves = [
        Value(array, name=f"operand{i}") if array.dtype.kind == "f" else lg.constant(array)
        for i, array in enumerate(arrays)
    ]
    symmetric = op.name in SYMMETRIC
    operands = [(leaf + leaf.mT) * 0.5 for leaf in leaves] if symmetric else leaves
    node = apply(op, *operands, **attrs)
    several = isinstance(node.spec, tuple)
    results = [item(node, i) for i in range(len(node.spec))] if several else [node]
    results = [result for result in results if result.spec.dtype.kind == "f"]
    wrt = []
    for index, leaf in enumerate(leaves):
        if arrays[index].dtype.kind != "f" or not is_differentiable(op, index):
            continue
        try:
            for result in results:
                lg.grad(result, leaf)
        except DisconnectedError:
            continue
        wrt.append(leaf)
    return results, wrt


DIFFERENTIABLE = [n for n in NAMES if table()[n].vjp is not None]


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives(name):
    op = table()[name]
    checked = 0
    for arrays, attrs in cases_of(name):
        results, wrt = differentiable_parts(op, arrays, attrs)
        if results and wrt:
            check_gradient(results, wrt, directions=2)
            checked += any(array.size for array in arrays)
    if not checked:
        pytest.fail(f"no case of {name!r} has a differentiable float operand")


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives_keep_shape_and_dtype(name):
    op = table()[name]
    for dtype in (np.float32, np.float64):
        for arrays, attrs in cases_of(name, dtype):
            results, wrt = differentiable_parts(op, arrays, attrs)
            for result in results:
                for leaf, g in zip(wrt, lg.grad(result, wrt), strict=True):
                    assert g.spec == leaf.spec, (arrays, attrs)
                seeds = [np.ones(leaf.shape) for leaf in wrt]
                if wrt:
                    assert lg.jvp(result, wrt, seeds).spec == result.spec


@pytest.mark.parametrize(
    "name", [n for n in DIFFERENTIABLE if len(table()[n].domain) == 2 and n not in SAMPLES]
)
def test_one_node_as_both_operands(name):
    op, rng = table()[name], _rng(name)
    low, high = np.max(op.domain, axis=0)[0], np.min(op.domain, axis=0)[1]
    for attrs in op.variants:
        x = Value(rng.uniform(low, high, (3, 3)), name="x")
        try:
            y = apply(op, x, x, **attrs)
        except (GraphError, TypeError):
            continue
        # The sum gives a scale: of a - a only rounding errors are left to compare.
        check_gradient(y + x.sum(), x, directions=2)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_rules_take_absent_tangents_and_cotangents(name):
    op, rng = table()[name], _rng(name)
    for arrays, attrs in cases_of(name):
        results, wrt = differentiable_parts(op, arrays, attrs)
        if len(wrt) > 1:
            moves = [rng.standard_normal(leaf.shape) for leaf in wrt]
            for result in results:
                alone = [lg.jvp(result, leaf, move) for leaf, move in zip(wrt, moves, strict=True)]
                np.testing.assert_allclose(
                    sum(map(values, alone)),
                    values(lg.jvp(result, wrt, moves)),
                    rtol=1e-10,
                    atol=1e-12,
                )
        if len(results) > 1 and wrt:
            seeds = [rng.standard_normal(result.shape) for result in results]
            whole = lg.vjp(results, wrt, seeds)
            parts = [
                lg.vjp(result, wrt, seed, unused="zero")
                for result, seed in zip(results, seeds, strict=True)
            ]
            for g, *shares in zip(whole, *parts, strict=True):
                np.testing.assert_allclose(
                    sum(map(values, shares)), values(g), rtol=1e-10, atol=1e-12
                )


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in DIFFERENTIABLE
        if table()[n].support and Trait.ELEMENTWISE not in table()[n].traits
    ],
)
def test_elements_not_picked_are_silent(name):
    op, tried = table()[name], 0
    for arrays, attrs in cases_of(name):
        results, wrt = differentiable_parts(op, arrays, attrs)
        for result, leaf in ((r, leaf) for r in results for leaf in wrt):
            picked = values(lg.grad(result, leaf)) != 0
            tried += not picked.all()
            x = Value(np.where(picked, 4.0, 0.0))
            operands = [lg.sqrt(x) if o is leaf else o for o in result.operands]
            y = apply(op, *operands, **attrs)
            for node in (lg.grad(y, x), lg.grad(lg.grad(y * y, x), x)):
                assert np.isfinite(values(node)).all(), (arrays, attrs)
    assert tried, "give the operation a case that leaves elements out"


ELEMENTWISE = [n for n in NAMES if Trait.ELEMENTWISE in table()[n].traits]


@pytest.mark.parametrize("name", [n for n in DIFFERENTIABLE if n in ELEMENTWISE])
def test_a_branch_not_taken_is_silent(name):
    op, chosen = table()[name], np.arange(12).reshape(3, 4) % 2 == 0
    arrays, attrs = next(
        case
        for case in cases_of(name)
        if op.infer(*[Spec(a.shape, a.dtype) for a in case[0]], **case[1]).dtype.kind == "f"
    )
    full = [np.array(np.broadcast_to(array, (3, 4))) for array in arrays]
    spoilt = [np.where(chosen, a, np.nan) if a.dtype.kind == "f" else a for a in full]
    found = []
    for operands in (full, spoilt):
        (node,), wrt = differentiable_parts(op, operands, attrs)
        y = lg.where(chosen, node, 0.0)
        first = lg.grad(y, wrt)
        second = [lg.grad(g, wrt, unused="zero") for g in first]
        forward = lg.jvp(y, wrt, [np.ones((3, 4)) for _ in wrt])
        found.append([values(node) for node in (*first, *itertools.chain(*second), forward)])
    for expected, result in zip(*found, strict=True):
        np.testing.assert_allclose(result, np.where(chosen, expected, 0.0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if n not in SAMPLES])
@settings(max_examples=20)
@given(data=strategies.data())
def test_broadcasting_is_numpys(name, data):
    op = table()[name]
    count = len(op.domain)
    drawn = data.draw(mutually_broadcastable_shapes(num_shapes=count, max_dims=3, max_side=3))
    rng = _rng(name)
    arrays = [
        _draw(rng, domain, shape, np.dtype(np.float64))
        for domain, shape in zip(op.domain, drawn.input_shapes, strict=True)
    ]
    attrs = op.variants[0]
    if not _accepted(op, arrays, attrs):
        return
    assert infer(op, arrays, attrs).shape == drawn.result_shape
    assert run(op, arrays, attrs)[0].shape == drawn.result_shape
    results, wrt = differentiable_parts(op, arrays, attrs) if op.vjp else ([], [])
    for result in results:
        for leaf, g in zip(wrt, lg.grad(result, wrt), strict=True):
            assert values(g).shape == leaf.shape


CLAIMS = {
    Trait.COMMUTATIVE: lambda op, arrays, attrs: (
        run(op, arrays, attrs),
        run(op, arrays[::-1], attrs),
    ),
    Trait.IDEMPOTENT: lambda op, arrays, attrs: (
        run(op, arrays, attrs),
        run(op, run(op, arrays, attrs), attrs),
    ),
    Trait.INVOLUTION: lambda op, arrays, attrs: (arrays, run(op, run(op, arrays, attrs), attrs)),
}


@pytest.mark.parametrize(
    ("name", "trait"), [(n, trait) for n in NAMES for trait in CLAIMS if trait in table()[n].traits]
)
def test_traits_are_true(name, trait):
    op = table()[name]
    for arrays, attrs in all_cases(name):
        for left, right in zip(*CLAIMS[trait](op, arrays, attrs), strict=True):
            assert same_bits(left, right), (arrays, attrs)


LINEAR = [n for n in NAMES if table()[n].family == "linear"]


@pytest.mark.parametrize("name", LINEAR)
def test_linear_operations_are_linear(name):
    op, rng = table()[name], _rng(name)
    for arrays, attrs in cases_of(name):
        other = rng.standard_normal(arrays[0].shape)
        # Factors that add up to 1, as further operands may be parts of the result.
        mixed = 3.0 * arrays[0] - 2.0 * other
        a, b, c = (run(op, [first, *arrays[1:]], attrs)[0] for first in (arrays[0], other, mixed))
        np.testing.assert_allclose(c, 3.0 * a - 2.0 * b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in NAMES if table()[n].family == "bilinear"])
def test_bilinear_operations_are_linear_in_each_operand(name):
    op, rng = table()[name], _rng(name)
    for arrays, attrs in cases_of(name):
        for index in (0, 1):
            other = rng.standard_normal(arrays[index].shape)
            parts = []
            for operand in (arrays[index], other, 2.0 * arrays[index] - 3.0 * other):
                given = list(arrays)
                given[index] = operand
                parts.append(run(op, given, attrs)[0])
            np.testing.assert_allclose(parts[2], 2.0 * parts[0] - 3.0 * parts[1], atol=1e-11)


@pytest.mark.parametrize("name", [n for n in NAMES if Trait.MOVES_MASK in table()[n].traits])
def test_masks_move_through_the_transpose(name):
    op = table()[name]
    for arrays, attrs in cases_of(name):
        results, wrt = differentiable_parts(op, arrays, attrs)
        for result in results:
            if not wrt or not wrt[0].size or not evaluate(result.size, {}):
                continue
            # Nothing of the operation's result is chosen, so the square root below gives no NaN.
            roots = [Value(np.zeros(leaf.shape)) for leaf in wrt]
            by_leaf = dict(zip(map(id, wrt), map(lg.sqrt, roots), strict=True))
            operands = tuple(by_leaf.get(id(o), o) for o in result.operands)
            if len(by_leaf) != sum(id(o) in by_leaf for o in result.operands):
                continue
            y = lg.where(np.zeros(result.shape, bool), apply(op, *operands, **attrs), 0.0)
            for g in lg.grad(y, roots):
                assert not np.isnan(values(g)).any()


def test_exceptions_are_still_needed():
    assert EXCEPTIONS.keys() <= table().keys()
    assert SAMPLES.keys() <= table().keys(), "samples of operations that don't exist"


def test_names_are_unique_and_found():
    for name, op in table().items():
        assert op.name == name
        assert len(op.variants) >= 1
        assert all(low < high for low, high in op.domain), name
    assert ancestors([lg.constant(1.0)])
