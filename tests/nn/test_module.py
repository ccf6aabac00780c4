"""Modules: how state is found and named, modes, freezing, copies, errors."""

import copy
import pickle

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import nn


class Scale(nn.Module):
    def __init__(self, factor=2.0):
        self.factor = nn.parameter(factor)

    def forward(self, x):
        return self.factor * x


class Doubling(nn.Module):
    """Doubles in training, and gives its operand otherwise."""

    def forward(self, x):
        return self.by_mode(2.0 * x, x)


class Nested(nn.Module):
    def __init__(self):
        self.first = Scale(1.0)
        self.many = [Scale(2.0), (Scale(3.0), Scale(4.0))]
        self.named = {"left": Scale(5.0), "deep": [{"right": Scale(6.0)}]}
        self.running = nn.buffer(0.0)
        self.shift = lg.Value(7.0)
        self.fixed = lg.constant(8.0)
        self.rate = 0.5

    def forward(self, x):
        return self.first(x) + self.shift


PATHS = [
    "shift",
    "first.factor",
    "many.0.factor",
    "many.1.0.factor",
    "many.1.1.factor",
    "named.left.factor",
    "named.deep.0.right.factor",
]


def test_parameters_are_found_in_attributes_lists_and_dictionaries():
    model = Nested()
    assert [path for path, _ in model.named_parameters()] == PATHS
    assert [float(p.data) for p in model.parameters()] == [7, 1, 2, 3, 4, 5, 6]
    assert [path for path, _ in model.named_buffers()] == ["running"]
    assert list(model.state()) == ["running", *PATHS]
    assert model.count_parameters() == 7


def test_what_two_modules_share_is_listed_once():
    model = Nested()
    model.again = model.first
    model.first.same = model.shift
    assert [path for path, _ in model.named_parameters()] == PATHS
    assert model(1.0).data == 8.0


def test_a_module_that_holds_itself_ends():
    model = Scale()
    model.owner = model
    assert [path for path, _ in model.named_parameters()] == ["factor"]


def test_the_first_call_names_variables_and_scopes_by_their_paths():
    model = nn.Module()
    model.parts = [Scale(), Scale()]
    model.forward = lambda x: model.parts[1](model.parts[0](x))
    y = model(lg.placeholder((), dtype="float32", name="x"))
    assert [p.name for p in model.parameters()] == ["parts.0.factor", "parts.1.factor"]
    assert y.scope == ("Module", "parts.1: Scale")


def test_names_that_were_given_stay():
    model = Scale()
    model.factor.name = "gain"
    model(1.0)
    assert model.factor.name == "gain"


def test_a_new_module_is_undecided_and_says_so():
    model = Doubling()
    assert model.training is None
    y = model(lg.placeholder((2,), name="x"))
    with pytest.raises(lg.ModeError, match=r"Doubling behaves differently") as caught:
        y.forward(x=[1.0, 2.0])
    assert "train() or eval()" in str(caught.value)
    assert "test_module.py" in str(caught.value)
    assert "Value(" in repr(y)


def test_forward_follows_the_mode_and_can_change():
    model = Doubling()
    y = model(lg.placeholder((), name="x"))
    assert model.train() is model
    assert (model.training, y.forward(x=3.0)) == (True, 6.0)
    model.eval()
    assert (model.training, y.forward(x=3.0)) == (False, 3.0)
    model.train()
    assert y.forward(x=3.0) == 6.0


def test_data_without_placeholders_asks_for_the_mode_too():
    model = Doubling()
    y = model(3.0)
    with pytest.raises(lg.ModeError):
        y.data
    model.eval()
    assert y.data == 3.0


@pytest.mark.parametrize("decide", [lambda m: m, lambda m: m.train(), lambda m: m.eval()])
def test_programs_settle_the_mode_whatever_the_flag_says(decide):
    model = Doubling()
    decide(model)
    w = lg.Value(1.0)
    y = model(lg.placeholder((), name="x") * w)
    assert lg.compile(y)(x=3.0) == 3.0
    assert lg.compile(y, updates={w: w + 0})(x=3.0) == 6.0
    assert lg.compile(y, train=True)(x=3.0) == 6.0
    assert lg.compile(y, updates={w: w + 0}, train=False)(x=3.0) == 3.0


def test_modes_reach_modules_below():
    model = Nested()
    model.many.append(Doubling())
    model.eval()
    assert {module.training for _, module in model.named_modules()} == {False}


def test_frozen_parameters_are_still_parameters_without_gradients():
    model = Nested()
    model.first.freeze()
    assert [path for path, _ in model.named_parameters()] == PATHS
    assert len(model.trainable_parameters()) == 6
    assert model.count_parameters(trainable=True) == 6
    loss = model(lg.Value(3.0))
    assert not any(
        leaf is model.first.factor for leaf in lg.Graph([loss]).nodes if leaf.requires_grad
    )
    loss.backward()
    assert model.first.factor.grad is None
    assert model.shift.grad == 1.0
    model.unfreeze()
    assert len(model.trainable_parameters()) == 7


def test_apply_goes_from_the_leaves_to_the_root():
    model = nn.Module()
    model.part = nn.Module()
    model.part.part = Scale()
    seen = []
    assert model.apply(lambda module: seen.append(module)) is model
    assert seen == [model.part.part, model.part, model]


def test_zero_grad_is_harmless():
    model = Scale(2.0)
    loss = model(lg.constant(np.float32(3.0)))
    loss.backward()
    model.zero_grad()
    assert model.factor.grad == 3.0


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_apart(copied):
    model = Nested().eval()
    model.named["left"].freeze()
    other = copied(model)
    other.first.factor.data = 10.0
    assert model.first.factor.data == 1.0
    assert [path for path, _ in other.named_parameters()] == PATHS
    assert len(other.trainable_parameters()) == 6
    assert other.training is False
    other.train()
    assert model.training is False


def test_repr_is_nested():
    model = Nested()
    assert repr(model).splitlines()[:3] == [
        "Nested(",
        "  (first): Scale()",
        "  (many.0): Scale()",
    ]


def test_a_module_without_forward_says_so():
    with pytest.raises(lg.OptionError, match="Module doesn't say how it is applied"):
        nn.Module()(1.0)


def test_errors_name_the_innermost_layer_once():
    class Wrong(nn.Module):
        def forward(self, x):
            return x @ np.ones((3, 2))

    model = nn.Module()
    model.parts = [Wrong()]
    model.forward = lambda x: model.parts[0](x)
    with pytest.raises(lg.ShapeError) as caught:
        model(lg.placeholder(("batch", 4), name="x"))
    assert str(caught.value).count("in the layer") == 1
    assert str(caught.value).endswith("in the layer parts.0: Wrong")
    # A refused call leaves the model usable, and later calls are outermost again.
    model.parts[0] = Scale()
    assert model(2.0).data == 4.0
    assert model(lg.Value(1.0)).scope == ("Module", "parts.0: Scale")


def test_parameters_are_float32_unless_told_otherwise():
    assert nn.Parameter([1, 2]).dtype == np.float32
    assert nn.parameter([1, 2], dtype=None).dtype == np.int64
    assert nn.buffer([1.0], dtype="float64").dtype == np.float64


def test_a_generator_goes_on_and_a_seed_starts_anew():
    rng = np.random.default_rng(3)
    assert nn.generator(rng) is rng
    assert nn.generator(3).random() == np.random.default_rng(3).random()
