"""Fixture for the tests of backbones: real pretrained weights."""

from pathlib import Path

import pytest

SHARED_WEIGHTS = Path(__file__).resolve().parents[5] / "shared" / "weights"


@pytest.fixture(scope="session")
def mobilenet_weights() -> Path:
    """Real ImageNet weights of MobileNetV2, which a user's checkout does not have."""
    path = SHARED_WEIGHTS / "mobilenet_v2_imagenet_notop.weights.h5"
    if not path.is_file():
        pytest.skip(f"the real weights are not at {path}")
    return path
