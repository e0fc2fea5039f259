"""The table of backbones: complete, found by any spelling, and equal to Keras' networks."""

import json
import subprocess
import sys
from typing import Any

import keras
import pytest

from spaces import SpaceError
from spaces.models.backbones import BACKBONES, find_backbone
from spaces.models.backbones.catalog import Layer, LayerSpec, backbone_layers
from tests.tools.marks import rest_slow

SMALL = ("vgg16", "mobilenet_v3_small")


def test_table_has_all_forty_networks_of_keras() -> None:
    from tests.tools.make_backbone_table import network_functions

    assert len(BACKBONES) == 40
    assert tuple(sorted(network_functions())) == BACKBONES


def test_table_is_small() -> None:
    from tests.tools.make_backbone_table import TABLE

    assert TABLE.stat().st_size < 300_000


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("mobilenet_v2", "mobilenet_v2"),
        ("MobileNetV2", "mobilenet_v2"),
        ("efficientnetv2-b0", "efficientnet_v2_b0"),
        ("ConvNeXtXLarge", "convnext_xlarge"),
        ("INCEPTIONRESNETV2", "inception_resnet_v2"),
        ("NASNetMobile", "nasnet_mobile"),
    ],
)
def test_backbone_is_found_by_any_spelling(given: str, name: str) -> None:
    assert find_backbone(given).name == name


@pytest.mark.parametrize("name", BACKBONES)
def test_backbone_is_found_by_its_name_in_keras(name: str) -> None:
    assert find_backbone(find_backbone(name).keras_name).name == name


def test_unknown_backbone_lists_the_known_ones() -> None:
    with pytest.raises(SpaceError, match=r"convnext_base, .*, xception\. Received: `alexnet`"):
        find_backbone("alexnet")


def test_backbone_has_smallest_size_mode_and_kernels() -> None:
    xception = find_backbone("xception")
    assert (xception.min_size, xception.mode) == (71, "tf")
    assert find_backbone("inception_v3").min_size == 75
    assert find_backbone("resnet50").mode == "caffe"
    assert find_backbone("densenet121").mode == "torch"
    assert find_backbone("efficientnet_b0").mode == "none"
    assert find_backbone("vgg16").n_layers == 13
    assert find_backbone("mobilenet").n_layers == 27


def test_layers_take_their_inputs_from_layers_before_them() -> None:
    for name in BACKBONES:
        for position, layer in enumerate(backbone_layers(name)):
            assert all(source < position for source in layer.inputs)
            assert layer.inputs or position == 0


def test_first_layers_of_vgg_are_as_in_the_paper() -> None:
    image, first, second, pool = backbone_layers("vgg16")[:4]
    conv = LayerSpec("conv", 64, (3, 3), same=True, bias=True, activation="relu")
    assert image == Layer(LayerSpec("input"), ())
    assert (first, second) == (Layer(conv, (0,)), Layer(conv, (1,)))
    assert pool == Layer(LayerSpec("max_pool", kernel=(2, 2), strides=(2, 2)), (2,))


@pytest.mark.parametrize("name", rest_slow(*SMALL))
def test_table_equals_the_networks_of_the_installed_keras(name: str) -> None:
    assert_current(name)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_entry_of_every_backbone_is_that_of_the_installed_keras() -> None:
    """Layers are compared by their cost, in `test_cost.py`."""
    from tests.tools.make_backbone_table import describe_metadata, network_functions

    for name, function in network_functions().items():
        assert_equal_facts(name, describe_metadata(function))
        keras.backend.clear_session()


def assert_current(name: str) -> None:
    """Describe a network again, and compare it with its entry layer by layer."""
    from tests.tools.make_backbone_table import describe_backbone, network_functions

    specs: dict[str, int] = {}
    entry = describe_backbone(network_functions()[name], specs)
    keras.backend.clear_session()
    assert_equal_facts(name, entry)
    assert find_backbone(name).n_layers == entry["n_layers"]
    assert describe_rows(name, list(specs)) == entry["layers"]


def assert_equal_facts(name: str, entry: dict[str, Any]) -> None:
    backbone = find_backbone(name)
    files = [[f.name, f.url, f.hash, f.image_size] for f in backbone.imagenet]
    assert files == entry["imagenet"], name
    facts = (backbone.keras_name, backbone.min_size, backbone.mode)
    assert facts == (entry["keras_name"], entry["min_size"], entry["mode"])


def describe_rows(name: str, specs: list[str]) -> list[int | list[int]]:
    """Return a network's layers in the table as rows that refer to `specs`."""
    numbers = {read_spec(text): number for number, text in enumerate(specs)}
    rows: list[int | list[int]] = []
    for position, layer in enumerate(backbone_layers(name)):
        offsets = [position - source for source in layer.inputs]
        number = numbers[layer.spec]
        rows.append(number if offsets == [1] or not position else [number, *offsets])
    return rows


def read_spec(text: str) -> LayerSpec:
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(text).items()}
    return LayerSpec(**values)


def test_importing_the_package_does_not_load_keras() -> None:
    program = (
        "import sys; from spaces.models.backbones import *; "
        "backbone_cost(find_backbone('nasnet_large'), (96, 96), 3); "
        "sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules or 'h5py' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
