"""Saved models of every family predict the same in bare Keras, in a process without convsearch."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spaces import Config
from spaces.families import default_families
from spaces.keras_models import build_model, build_optimizer

CASES: list[tuple[str, dict[str, object]]] = [
    (
        "plain",
        {"bias_initializer": "orthogonal", "regularizer": "l1_l2", "batch_normalization": True},
    ),
    ("plain", {"bias_initializer": "he_normal", "activation": "gelu", "dropout": 0.4}),
    ("vgg", {"block_dropout": 0.2, "batch_normalization": True, "activation": "silu"}),
    ("inception", {"block_dropout": 0.2, "bias_initializer": "orthogonal"}),
    ("residual", {"residual_version": "v1", "residual_bottleneck": True, "block_dropout": 0.1}),
    ("residual", {"residual_version": "v2", "batch_normalization": True, "activation": "selu"}),
    ("dense", {"densenet_bottleneck": True, "batch_normalization": True, "block_dropout": 0.2}),
    ("dense", {"densenet_bottleneck": False, "activation": "leaky_relu", "regularizer": "l2"}),
]
CASES += [(name, {}) for name in default_families() if name not in dict(CASES)]
SAFE_LOAD = """
import importlib.util, keras, numpy as np
assert importlib.util.find_spec("spaces") is None
images = np.load("images.npy")
for number in range({n_models}):
    model = keras.models.load_model(f"{{number}}.keras", safe_mode=True)
    np.save(f"{{number}}.npy", model.predict_on_batch(images))
"""


@pytest.fixture(scope="module")
def predictions(
    small_config: Callable[..., Config],
    images: np.ndarray,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """What a trained model of each case predicted before it was saved, and bare Keras after."""
    folder = tmp_path_factory.mktemp("saved")
    np.save(folder / "images.npy", images)
    before = []
    for number, (family, fixed) in enumerate(CASES):
        config = small_config(family, **fixed)
        model = build_model(config, (16, 16, 1), 4, seed=3, mean=[100.0], std=[50.0])
        model.compile(build_optimizer(config), "sparse_categorical_crossentropy")
        model.train_on_batch(images, np.arange(16) % 4)
        model.save(folder / f"{number}.keras")
        before.append(model.predict_on_batch(images))
    run_without_convsearch(SAFE_LOAD.format(n_models=len(CASES)), folder)
    return [(it, np.load(folder / f"{number}.npy")) for number, it in enumerate(before)]


def run_without_convsearch(code: str, folder: Path) -> None:
    # An editable install puts the project on the path by a .pth file, which -S leaves out.
    paths = [path for path in sys.path if path.endswith("site-packages")]
    code = f"import sys; sys.path += {paths}\n{code}"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=folder, check=True)


@pytest.mark.slow
def test_saved_model_of_every_family_predicts_the_same_in_bare_keras(
    predictions: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    for (family, fixed), (before, after) in zip(CASES, predictions, strict=True):
        assert before.std() > 0
        np.testing.assert_array_equal(after, before, err_msg=f"{family} {fixed}")
