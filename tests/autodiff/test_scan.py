"""A loop as one node gives what the same steps written out give, and so do its derivatives."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.errors import DTypeError, OperationError, OptionError, ShapeError
from lazygrad.ir.graph import Graph, ancestors
from lazygrad.ir.op import Trait
from lazygrad.passes import optimize


def unrolled(body, init, xs=None, *, length=None, reverse=False):
    """Write a loop out step by step, with one array or a dict of arrays as *xs*."""
    if isinstance(xs, dict):
        count = len(next(iter(xs.values())))
        rows = [{name: x[i] for name, x in xs.items()} for i in range(count)]
    else:
        rows = [None] * length if xs is None else [xs[i] for i in range(xs.shape[0])]
    carry, ys = init, [None] * len(rows)
    order = range(len(rows))
    for i in reversed(order) if reverse else order:
        carry, ys[i] = body(carry, rows[i])
    if not ys or ys[0] is None:
        return carry, None
    if isinstance(ys[0], tuple):
        return carry, tuple(lg.stack(list(column)) for column in zip(*ys, strict=True))
    return carry, lg.stack(ys)


def flat(thing):
    if thing is None:
        return []
    if isinstance(thing, dict):
        thing = list(thing.values())
    if isinstance(thing, (tuple, list)):
        return [leaf for entry in thing for leaf in flat(entry)]
    return [thing]


def close(a, b, tolerance=1e-9):
    assert len(a) == len(b)
    for one, other in zip(lg.compile(list(a))(), lg.compile(list(b))(), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=1e-11)


def loops(nodes):
    return [node for node in ancestors(nodes) if Trait.LOOPS in node.op.traits]


RNG = np.random.default_rng(5)
XS = RNG.standard_normal((5, 3))
W = RNG.standard_normal((3, 3)) * 0.5
H = RNG.standard_normal(3)


def plain(w):
    def body(h, x):
        h = lg.tanh(h @ w + x)
        return h, h.sum()

    return body


def with_tuple(w):
    def body(carry, x):
        h, total = carry
        h = lg.tanh(h @ w + x)
        return (h, total + h.sum()), (h * 2, total)

    return body


def with_dict(w):
    def body(carry, x):
        h = lg.sin(carry["h"] @ w) * x["a"] + x["b"].sum()
        return {"h": h, "c": carry["c"] * 0.5 + h[0]}, h

    return body


def passed_on(w):
    return lambda h, x: (h, (h * x).sum())


def not_used(w):
    return lambda h, x: (lg.tanh(x @ w), x.sum())


def no_results(w):
    return lambda h, x: (lg.tanh(h @ w + x), None)


def masked(w):
    def body(h, x):
        h = lg.where(x > 0, lg.log(lg.where(x > 0, x, 1.0)) + h @ w, h)
        return h, lg.maximum(h, 0.1)

    return body


CASES = {
    "plain": (plain, lambda h: h, lambda x: x, {}),
    "reverse": (plain, lambda h: h, lambda x: x, {"reverse": True}),
    "tuple": (with_tuple, lambda h: (h, lg.Value(0.0)), lambda x: x, {}),
    "dict": (with_dict, lambda h: {"h": h, "c": h[1]}, lambda x: {"a": x, "b": x * x}, {}),
    "dict reversed": (
        with_dict,
        lambda h: {"h": h, "c": h[1]},
        lambda x: {"a": x, "b": x * x},
        {"reverse": True},
    ),
    "passed on": (passed_on, lambda h: h, lambda x: x, {}),
    "not used": (not_used, lambda h: h, lambda x: x, {}),
    "no results": (no_results, lambda h: h, lambda x: x, {}),
    "where": (masked, lambda h: h, lambda x: x, {}),
    "one step": (plain, lambda h: h, lambda x: x[:1], {}),
}


def built(name, run):
    make, start, sequence, options = CASES[name]
    w, h, x = lg.Value(W, name="w"), lg.Value(H, name="h"), lg.Value(XS, name="x")
    results = run(make(w), start(h), sequence(x), **options)
    loss = sum(
        (result * np.cos(np.arange(np.prod(result.shape))).reshape(result.shape)).sum()
        for result in flat(results)
    )
    # Outer values are used outside the loop, too.
    return results, loss + (w * x[:3]).sum() + (h**2).sum(), [w, h, x]


def each_derivative(loss, leaves):
    rng = np.random.default_rng(1)
    moves = [rng.standard_normal(leaf.shape) for leaf in leaves]
    first = lg.grad(loss, leaves)
    second = lg.grad(sum((g * m).sum() for g, m in zip(first, moves, strict=True)), leaves)
    return {
        "grad": first,
        "jvp": [lg.jvp(loss, leaves, moves)],
        "hvp": lg.hvp(loss, leaves, moves),
        "grad of grad": second,
        "jvp of jvp": [lg.jvp(lg.jvp(loss, leaves, moves), leaves, moves)],
    }


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_the_steps_written_out(name):
    close(flat(built(name, lg.scan)[0]), flat(built(name, unrolled)[0]))


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_the_steps_written_out(name):
    looped = each_derivative(*built(name, lg.scan)[1:])
    written = each_derivative(*built(name, unrolled)[1:])
    for order, found in looped.items():
        close(found, written[order])


def test_each_result_alone_has_its_derivative():
    for pick in (
        lambda c, y: c[0].sum(),
        lambda c, y: c[1],
        lambda c, y: y[0].sum(),
        lambda c, y: (y[1] ** 2).sum(),
    ):
        found = []
        for run in (lg.scan, unrolled):
            w, h, x = lg.Value(W), lg.Value(H), lg.Value(XS)
            result = pick(*run(with_tuple(w), (h, lg.Value(0.0)), x))
            found.append([*lg.grad(result, [w, h, x]), *lg.hvp(result, [w, x], [W, XS])])
        close(*found)


def test_structures_come_back_as_they_went_in():
    x = lg.Value(XS)
    carry, ys = lg.scan(lambda c, e: ([c[0] + e, c[1]], {"y": e, "z": c[0]}), [H, H], x)
    assert type(carry) is list
    assert list(ys) == ["y", "z"]
    carry, ys = lg.scan(lambda c, e: ((c[0] + e["a"],), None), (H,), {"a": x})
    assert type(carry) is tuple
    assert ys is None


def test_a_loop_without_sequences_counts_its_steps():
    total, powers = lg.scan(lambda c, _: (c * 2, c), 1.0, length=5)
    assert total.data == 32.0
    np.testing.assert_array_equal(powers.data, [1, 2, 4, 8, 16])


def test_a_constant_carry_takes_the_dtype_of_the_body():
    total, _sums = lg.scan(lambda c, x: (c + x, c), 0, lg.Value([1.5, 2.5]))
    assert total.dtype == np.float64
    assert total.data == 4.0
    single = lg.Value(np.ones(3, np.float32))
    total, _ = lg.scan(lambda c, x: (c + x, c), 0, single)
    assert total.dtype == np.float32
    assert total.data == 3.0


def test_integer_and_bool_carries_have_no_derivative_and_do_no_harm():
    x = lg.Value([1.0, -2.0, 3.0])

    def body(carry, e):
        count, seen, total = carry
        seen = seen | (e < 0)
        return (count + 1, seen, total + lg.where(seen, e * count, 0.0)), (count, seen, total)

    (count, seen, total), (counts, flags, totals) = lg.scan(body, (0, False, 0.0), x)
    assert (count.data, bool(seen.data), total.data) == (3, True, 4.0)
    np.testing.assert_array_equal(counts.data, [0, 1, 2])
    np.testing.assert_array_equal(flags.data, [False, True, True])
    np.testing.assert_array_equal(lg.grad(total, x).data, [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(lg.grad(totals.sum(), x).data, [0.0, 1.0, 0.0])
    assert lg.jvp(total, x, [1.0, 1.0, 1.0]).data == 3.0
    np.testing.assert_array_equal(lg.hvp((total**2), x, [1.0, 1.0, 1.0]).data, [0, 6.0, 12.0])


def test_symbolic_lengths():
    xs = lg.placeholder(("time", "batch", 3), name="xs", requires_grad=True)
    w = lg.Value(W)
    h = lg.broadcast_to(0.0, (xs.shape[1], 3))
    last, ys = lg.scan(lambda c, x: (lg.tanh(c @ w + x), c.mean(0)), h, xs)
    assert [str(n) for n in ys.shape] == ["time", "3"]
    assert [str(n) for n in last.shape] == ["batch", "3"]
    loss = (last**2).sum() + ys.sum()
    f = lg.compile([loss, *lg.grad(loss, [w, xs])])
    for steps, batch in ((4, 2), (1, 3), (7, 1)):
        array = np.random.default_rng(steps).standard_normal((steps, batch, 3))
        value, gw, gx = f(xs=array)
        v, x = lg.Value(W), lg.Value(array)
        other, rows = unrolled(
            lambda c, e, v=v: (lg.tanh(c @ v + e), c.mean(0)), lg.Value(np.zeros((batch, 3))), x
        )
        expected = (other**2).sum() + rows.sum()
        np.testing.assert_allclose(value, expected.data)
        for found, wanted in zip((gw, gx), lg.grad(expected, [v, x]), strict=True):
            np.testing.assert_allclose(found, wanted.data, atol=1e-12)


def test_no_steps_give_back_what_went_in():
    xs = lg.placeholder(("time", 3), name="xs", requires_grad=True)
    h = lg.Value(H)
    last, ys = lg.scan(lambda c, x: (c * x, c), h, xs)
    loss = (last**2).sum() + ys.sum()
    f = lg.compile([last, ys, *lg.grad(loss, [h, xs])])
    last, ys, gh, gx = f(xs=np.zeros((0, 3)))
    np.testing.assert_array_equal(last, H)
    assert ys.shape == (0, 3)
    np.testing.assert_array_equal(gh, 2 * H)
    assert gx.shape == (0, 3)
    fixed = lg.scan(lambda c, x: (c * x, c), h, lg.Value(np.zeros((0, 3))))[0]
    np.testing.assert_array_equal(lg.grad(fixed.sum(), h).data, np.ones(3))


@pytest.mark.parametrize("reverse", [False, True])
def test_loops_in_loops(reverse):
    def matrix_body(run, w):
        def body(h, x):
            inner, ys = run(lambda c, e: (lg.tanh(c * e + w.sum()), c * w), h, x, reverse=reverse)
            return inner, ys.sum() + x.sum()

        return body

    found = []
    for run in (lg.scan, unrolled):
        w, h, x = lg.Value(W[0]), lg.Value(0.3), lg.Value(XS)
        last, ys = run(matrix_body(run, w), h, x)
        loss = last + (ys**2).sum()
        found.append([last, ys, *itertools.chain(*each_derivative(loss, [w, h, x]).values())])
    close(*found)


def test_outer_values_of_an_inner_loop_may_be_the_outer_carry():
    found = []
    for run in (lg.scan, unrolled):
        h, x = lg.Value(0.3), lg.Value(XS)
        last, _ = run(
            lambda c, row, run=run: (run(lambda i, e: (i + lg.sin(e * c), None), c, row)[0], None),
            h,
            x,
        )
        found.append([last, *lg.grad(last, [h, x]), *lg.hvp(last, [h, x], [1.0, XS])])
    close(*found)


def test_against_torch():
    torch = pytest.importorskip("torch")
    w, h, x = (torch.tensor(a, requires_grad=True) for a in (W, H, XS))
    c, total = h, 0
    for row in x:
        c = torch.tanh(c @ w + row)
        total = total + (c**3).sum()
    total.backward()
    leaves = [lg.Value(W), lg.Value(H), lg.Value(XS)]

    def body(c, row):
        c = lg.tanh(c @ leaves[0] + row)
        return c, (c**3).sum()

    _, ys = lg.scan(body, leaves[1], leaves[2])
    for found, expected in zip(lg.grad(ys.sum(), leaves), (w, h, x), strict=True):
        np.testing.assert_allclose(found.data, expected.grad.numpy(), rtol=1e-10)


# Random numbers, modes and custom operations inside


def test_draws_differ_from_step_to_step_and_are_the_same_backwards():
    x, stream = lg.Value(np.ones(6)), lg.random.stream(4)

    def body(c, e):
        noise = stream.normal((2,))
        return c + (noise * e).sum(), noise

    total, noise = lg.scan(body, 0.0, x)
    f = lg.compile([noise, lg.grad(total, x), lg.jvp(total, x, np.ones(6)), total])
    noise, g, t, total = f()
    assert len(np.unique(noise)) == 12
    np.testing.assert_allclose(g, noise.sum(1), rtol=1e-12)
    np.testing.assert_allclose(t, total, rtol=1e-12)
    assert not np.array_equal(noise, f()[0])


def test_draws_in_loops_in_loops():
    stream, x = lg.random.stream(1), lg.Value(np.ones(4))

    def outer(c, e):
        def inner(d, _):
            noise = stream.normal(())
            return d + lg.sin(noise * e), noise

        total, draws = lg.scan(inner, 0.0, length=3)
        return c + total, draws

    total, draws = lg.scan(outer, 0.0, x)
    draws, g = lg.compile([draws, lg.grad(total, x)])()
    assert len(np.unique(draws)) == 12
    np.testing.assert_allclose(g, (np.cos(draws) * draws).sum(1), rtol=1e-12)


def test_derivatives_inside_a_loop_draw_what_the_loop_outside_drew():
    stream, x = lg.random.stream(2), lg.Value(np.ones(3))
    total, draws = lg.scan(
        lambda c, e: (lambda noise: (c + lg.sin(noise * e), noise))(stream.normal(())), 0.0, x
    )
    # Differentiated within another loop, for there is no rule to batch one.
    for mode in ("forward", "reverse"):
        draws_, matrix = lg.compile([draws, lg.jacobian(total * x, x, mode=mode)])()
        g = np.cos(draws_) * draws_
        expected = np.eye(3) * np.sin(draws_).sum() + g[None, :]
        np.testing.assert_allclose(matrix, expected, rtol=1e-12)


def test_a_draw_stands_in_two_loops_at_most():
    stream = lg.random.stream(2)

    def nested(depth):
        if not depth:
            return stream.normal(())
        return lg.scan(lambda c, _: (c + nested(depth - 1), None), 0.0, length=2)[0]

    nested(2)
    with pytest.raises(OptionError, match="more than two loops"):
        nested(3)


def test_a_draw_from_outside_is_the_same_in_every_step():
    noise = lg.random.stream(4).normal((2,))
    _, rows = lg.scan(lambda c, _: (c, noise * 1), 0.0, length=3)
    rows, outside = lg.compile([rows, noise])()
    np.testing.assert_array_equal(rows, [outside] * 3)


def test_by_mode_inside():
    total, _ = lg.scan(lambda c, x: (c + lg.by_mode(x * 10, x), None), 0.0, lg.Value([1.0, 2.0]))
    assert lg.compile(total, train=True)() == 30.0
    assert lg.compile(total, train=False)() == 3.0


def test_by_mode_inside_follows_a_flag_outside():
    flag, x = lg.Value(False), lg.Value([1.0, 2.0])

    def outer(c, row):
        inner, _ = lg.scan(lambda d, e: (d + lg.by_mode(e * 10, e, flag=flag), None), 0.0, x * row)
        return c + inner, None

    total, _ = lg.scan(outer, 0.0, lg.Value([1.0, 1.0]))
    assert total.forward() == 6.0
    flag.data = True
    assert total.forward() == 60.0
    flag.data = False
    assert total.forward() == 6.0
    g = lg.grad(total, x)
    np.testing.assert_array_equal(lg.compile(g, train=True)(), [20.0, 20.0])
    np.testing.assert_array_equal(lg.compile(g, train=False)(), [2.0, 2.0])


def test_custom_operations_inside():
    @lg.custom_op(vjp=lambda g, y, x: (g * 3 * x**2,))
    def cubed(x):
        return x**3

    x = lg.Value([1.0, 2.0, 3.0])
    total, _ = lg.scan(lambda c, e: (c + cubed(e), None), 0.0, x)
    assert total.data == 36.0
    np.testing.assert_allclose(lg.grad(total, x).data, [3.0, 12.0, 27.0])


# What is built


def test_many_steps_are_built_as_one():
    def program(steps):
        w, x = lg.Value(W), lg.Value(np.zeros((steps, 3)))
        last, _ = lg.scan(plain(w), H, x)
        f = lg.compile([last, *lg.grad(last.sum(), [w, x])])
        f()
        return len(ancestors([last, *lg.grad(last.sum(), [w, x])])), len(f.planned().schedule.steps)

    assert program(1000) == program(2)


def test_outer_work_is_done_once():
    w = lg.Value(W)
    last, _ = lg.scan(lambda c, x: (c + x @ lg.exp(w), None), H, lg.Value(XS))
    (loop,) = loops([last])
    assert "exp" not in {node.op.name for node in loop.attrs["body"].nodes}


def test_forward_and_backward():
    w, x = lg.Value(W), lg.Value(XS, requires_grad=True)
    last, ys = lg.scan(plain(w), H, x)
    loss = (last**2).sum() + ys.sum()
    loss.forward()
    loss.backward()
    for leaf, g in zip((w, x), lg.grad(loss, [w, x]), strict=True):
        np.testing.assert_allclose(leaf.grad, g.data, rtol=1e-12)


def test_training_in_a_program_with_updates():
    w = lg.Value(W)
    v = lg.Value(W)
    start = lg.Value(H)
    loops_loss = (lg.scan(plain(w), start, lg.Value(XS))[0] ** 2).sum()
    written = (unrolled(plain(v), start, lg.Value(XS))[0] ** 2).sum()
    f = lg.compile(loops_loss, updates={w: w - 0.1 * lg.grad(loops_loss, w)})
    g = lg.compile(written, updates={v: v - 0.1 * lg.grad(written, v)})
    for _ in range(5):
        np.testing.assert_allclose(f(), g(), rtol=1e-9)
    np.testing.assert_allclose(w.data, v.data, rtol=1e-9)


def test_a_carry_that_is_updated():
    h = lg.Value(np.zeros(3))
    last, _ = lg.scan(plain(lg.constant(W)), h, lg.Value(XS))
    f = lg.compile(last, updates={h: last})
    first = f().copy()
    np.testing.assert_array_equal(h.data, first)
    assert not np.array_equal(f(), first)


def test_results_belong_to_the_user():
    f = lg.compile(list(lg.scan(lambda c, x: (c + x, c), H, lg.Value(XS))))
    last, ys = f()
    kept = last.copy(), ys.copy()
    f()
    np.testing.assert_array_equal(last, kept[0])
    np.testing.assert_array_equal(ys, kept[1])
    last[:] = 0
    assert not np.array_equal(f()[0], last)


def test_carries_may_be_swapped():
    a, b = lg.scan(lambda c, _: ((c[1], c[0]), None), (1.0, 2.0), length=3)[0]
    assert (a.data, b.data) == (2.0, 1.0)
    big = lg.scan(lambda c, _: ((c[1], c[0] + c[1]), None), (H, H * 2), length=3)[0]
    close(
        big,
        unrolled(
            lambda c, _: ((c[1], c[0] + c[1]), None), (lg.Value(H), lg.Value(H * 2)), length=3
        )[0],
    )


def test_an_element_may_be_the_carry_and_the_result():
    last, ys = lg.scan(lambda c, x: (x, (x, c)), H, lg.Value(XS))
    np.testing.assert_array_equal(last.data, XS[-1])
    np.testing.assert_array_equal(ys[0].data, XS)
    np.testing.assert_array_equal(ys[1].data, [H, *XS[:-1]])


def test_text_and_pickle_keep_loops():
    w = lg.Value(W, name="w")
    x = lg.placeholder((5, 3), name="x")
    last, ys = lg.scan(plain(w), H, x)
    expected = lg.compile([last, ys])(x=XS)
    again = pickle.loads(pickle.dumps([last, ys]))
    for a, b in zip(lg.compile(again)(x=XS), expected, strict=True):
        np.testing.assert_array_equal(a, b)


# Errors


def test_the_body_returns_a_pair():
    with pytest.raises(OptionError, match=r"the body must return a pair, \(carry, y\)"):
        lg.scan(lambda c, x: c, 0.0, [1.0])


def test_as_many_carries_come_out_as_went_in():
    with pytest.raises(OptionError, match="got 2 carries and returned 1"):
        lg.scan(lambda c, x: (c[0], None), (0.0, 1.0), [1.0])


def test_a_carry_keeps_its_shape_and_dtype():
    with pytest.raises(
        ShapeError, match=r"carry 0 goes in as float64\[3\] and comes out as float64\[3, 3\]"
    ):
        lg.scan(lambda c, x: (c * x, None), H, np.ones((2, 3, 3)))
    with pytest.raises(DTypeError, match="carry 0 goes in as float64 and comes out as int64"):
        lg.scan(lambda c, x: (c.astype(int), None), H, length=2)
    with pytest.raises(ShapeError, match="carry 1"):
        lg.scan(lambda c, x: ((c[0], c[0]), None), (H, 0.0), length=2)


def test_sequences_go_together():
    with pytest.raises(ShapeError, match="sequences of 2 and 3 steps don't go together"):
        lg.scan(lambda c, x: (c, None), 0.0, {"a": np.ones(2), "b": np.ones(3)})
    with pytest.raises(ShapeError, match="a sequence needs a first axis"):
        lg.scan(lambda c, x: (c, None), 0.0, 1.0)
    with pytest.raises(OptionError, match="length="):
        lg.scan(lambda c, x: (c, None), 0.0)
    with pytest.raises(ShapeError, match="sequences of 4 and 3 steps"):
        lg.scan(lambda c, x: (c, None), 0.0, np.ones(3), length=4)


def test_a_failure_inside_names_the_operation_and_the_line():
    @lg.custom_op()
    def refusing(x):
        raise ValueError("not this one")

    last, _ = lg.scan(lambda c, x: (c + refusing(x), None), 0.0, lg.Value([1.0, 2.0]))
    with pytest.raises(OperationError, match=r"refusing.*made at .*test_scan.py:\d+.*not this one"):
        lg.compile(last)()


def test_loops_are_left_out_where_only_some_results_are_wanted():
    w, x = lg.Value(W), lg.Value(XS)
    last, _ = lg.scan(plain(w), H, x)
    graph = optimize(Graph([last]))
    (loop,) = loops(graph.outputs)
    assert len(loop.spec) == 1
