"""The tree of layers that were not called yet."""

import re

import lazygrad as lg
from lazygrad import nn
from lazygrad.viz import picture_of_layers
from tests.viz.examples import Blocks


def boxes(source):
    return re.findall(r'^\tn\d+ \[label="?(.*?)"? color', source, re.MULTILINE)


def test_layers_with_their_parameters():
    model = nn.Sequential(nn.Linear(2, 4, seed=0), nn.ReLU())
    layer = model.layer()
    assert layer.parameters == 12
    assert boxes(picture_of_layers(layer).source) == [
        "Sequential\\n12 parameters",
        "0: Linear(2, 4)\\nweight  float32[2, 4]\\nbias  float32[4]",
        "1: ReLU",
    ]
    assert picture_of_layers(layer).source.count("->") == 2


def test_equal_layers_in_a_row_are_drawn_once():
    layer = Blocks(12).layer()
    source = picture_of_layers(layer).source
    assert "blocks.0: Sequential   x 12" in source
    assert len(boxes(source)) == 6
    assert len(boxes(picture_of_layers(layer, fold=False).source)) == 1 + 12 * 4 + 1
    unlike = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3), nn.Linear(3, 3)).layer()
    assert len(boxes(picture_of_layers(unlike).source)) == 4


def test_depth_and_limit_leave_out_the_deepest():
    layer = Blocks(12).layer()
    source = picture_of_layers(layer, depth=1, fold=False).source
    assert len(boxes(source)) == 14
    assert "36 layers inside these are not drawn." in source
    assert len(boxes(picture_of_layers(layer, fold=False, limit=20).source)) == 14
    assert len(boxes(picture_of_layers(layer, depth=0).source)) == 1


def test_buffers_and_frozen_parameters_are_told_apart():
    layer = nn.BatchNorm(3).layer()
    trained = {name for name, _, count in layer.variables if count}
    assert trained == {"scale", "shift"}
    assert len(layer.variables) > 2
    assert nn.Linear(2, 2).freeze().layer().parameters == 6


def test_many_variables_are_cut():
    class Many(nn.Module):
        def __init__(self):
            self.weights = [nn.parameter([0.0]) for _ in range(20)]

    assert "and 14 more" in picture_of_layers(Many().layer()).source


def test_a_module_shares_nothing_with_its_picture():
    model = nn.Linear(2, 2, seed=0)
    source = lg.draw(model).source
    del model
    assert "Linear(2, 2)" in source
