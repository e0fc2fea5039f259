"""For the tests of backbones: real pretrained weights, and one backbone of each architecture."""

from pathlib import Path

import keras
import pytest

from spaces.models.backbones import BACKBONES, backbone_cost, find_backbone

SHARED_WEIGHTS = Path(__file__).resolve().parents[5] / "shared" / "weights"


@pytest.fixture(scope="session")
def mobilenet_weights() -> Path:
    """Real ImageNet weights of MobileNetV2, which a user's checkout does not have."""
    path = SHARED_WEIGHTS / "mobilenet_v2_imagenet_notop.weights.h5"
    if not path.is_file():
        pytest.skip(f"the real weights are not at {path}")
    return path


def smallest_of_each_architecture() -> list[str]:
    """Return a backbone of each module of `keras.applications`; others differ in their size."""
    sizes = {
        name: backbone_cost(find_backbone(name), (97, 97), 0).parameters for name in BACKBONES
    }
    smallest: dict[str, str] = {}
    for name in sorted(BACKBONES, key=lambda it: sizes[it]):
        module = getattr(keras.applications, find_backbone(name).keras_name).__module__
        smallest.setdefault(module, name)
    return sorted(smallest.values())
