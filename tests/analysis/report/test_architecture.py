from itertools import pairwise

import pytest

from analysis.report.architecture import draw_architecture, group_layers
from analysis.report.architecture.layout import WIDTH, place_blocks, split_rows
from analysis.report.texts import texts
from spaces import DrawnLayer
from tests.analysis.report.made_facts import make_layers


def layer(name, kind, inputs, n=0, shape=(8, 8, 4)):
    return DrawnLayer(name, kind, shape, n, tuple(inputs))


def make_residual(n_blocks):
    layers = [layer("image", "image", ())]
    before = "image"
    for i in range(n_blocks):
        layers += [
            layer(f"conv{i}", "conv2d", [before], 148),
            layer(f"act{i}", "activation", [f"conv{i}"]),
            layer(f"add{i}", "add", [f"act{i}", before]),
        ]
        before = f"add{i}"
    return (*layers, layer("probabilities", "probabilities", [before], 10, (2,)))


def test_layers_that_follow_a_convolution_share_its_box():
    blocks = {it.name: it for it in group_layers(make_layers())}
    assert blocks["stem"].merged_kinds == ("batch_norm", "activation")
    assert blocks["stem"].kernel_size == 3
    assert blocks["stage1_block1_conv5x5"].kernel_size == 5
    assert blocks["stem"].parameters == 160 + 64


def test_grouping_loses_no_parameter():
    layers = make_layers()
    assert sum(it.parameters for it in group_layers(layers)) == sum(it.parameters for it in layers)


def test_layer_on_an_output_with_other_consumers_has_its_own_box():
    layers = (
        layer("image", "image", ()),
        layer("conv", "conv2d", ["image"], 148),
        layer("norm", "batch_norm", ["conv"], 16),
        layer("add", "add", ["norm", "conv"]),
    )
    assert [it.name for it in group_layers(layers)] == ["image", "conv", "norm", "add"]


def test_blocks_are_below_their_inputs_and_do_not_overlap():
    blocks = group_layers(make_layers())
    layout = place_blocks(blocks)
    for block in blocks:
        assert all(layout.row_of[name] < layout.row_of[block.name] for name in block.inputs)
    for row in range(layout.n_rows):
        places = sorted(layout.x_of[it.name] for it in blocks if layout.row_of[it.name] == row)
        assert all(b - a > WIDTH for a, b in pairwise(places))


def test_branches_are_side_by_side():
    blocks = group_layers(make_layers())
    layout = place_blocks(blocks)
    row = layout.row_of["stage1_block1_reduce3x3"]
    assert sum(layout.row_of[it.name] == row for it in blocks) == 4


def test_shortcut_passes_beside_the_blocks():
    layout = place_blocks(group_layers(make_residual(1)))
    shortcut = next(it for it in layout.links if it.source == "image" and it.target == "add0")
    assert abs(shortcut.lanes[1] - layout.x_of["conv0"]) > WIDTH / 2


def test_long_network_is_cut_into_panels_between_its_blocks():
    layout = place_blocks(group_layers(make_residual(20)))
    runs = split_rows(layout, 9)
    assert len(runs) > 3
    assert [row for first, last in runs for row in range(first, last + 1)] == list(
        range(layout.n_rows)
    )
    assert all(last - first < 9 for first, last in runs)


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_drawing_has_a_box_for_each_block_with_numbers(lang):
    panels = draw_architecture(make_layers(), texts(lang))
    svg = "".join(it.svg for it in panels)
    assert svg.count("<g ") == len(group_layers(make_layers()))
    assert "64×64×16" in svg


def test_names_of_layers_are_escaped():
    layers = (layer("<b>", "image", ()), layer("x", "<i>", ["<b>"]))
    svg = draw_architecture(layers, texts("en"))[0].svg
    assert "<b>" not in svg
    assert "<i>" not in svg


def test_network_without_layers_has_no_drawing():
    assert draw_architecture((), texts("en")) == ()
