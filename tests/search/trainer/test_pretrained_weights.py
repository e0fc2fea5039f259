"""Pretrained weights: what a study refuses at its start, before anything is created."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.artifacts.shared_inputs import weights_name
from search.data import default_cache_dir
from search.errors import StudyMismatchError
from search.studies.open_study import OpenStudy
from spaces import SpaceError
from tests.tools.foreign_modules import write_foreign_modules

MakeStudy = Callable[..., OpenStudy]

SPACE: dict[str, Any] = {"families": ["plain", "transfer"], "backbone": "mobilenet_v2"}


@pytest.fixture
def make_transfer(make_study: MakeStudy, tmp_path: Path) -> MakeStudy:
    """Make a study of the family `transfer` on images of 32 pixels, in a store of its own."""

    def make(space: dict[str, Any] | None = None, **transfer: Any) -> OpenStudy:
        return make_study(
            space={**SPACE, **(space or {})},
            transfer={"image_size": 32, **transfer},
            store={"url": f"sqlite:///{tmp_path / 'store.db'}"},
        )

    return make


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights of MobileNetV2."""
    import keras

    model = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(32, 32, 3)
    )
    path = tmp_path_factory.mktemp("weights") / "mobilenet_v2.weights.h5"
    model.save_weights(path)
    return path


@pytest.mark.parametrize(
    ("space", "transfer", "message"),
    [
        (
            {"backbone": ["mobilenet_v2", "resnet"]},
            {},
            r"no backbone `resnet`; did you mean .*`resnet",
        ),
        (
            {"backbone": "Xception"},
            {"image_size": 64},
            r"at least 71×71 pixels for xception\. Received: 64×64",
        ),
        (
            {"backbone": ["mobilenet_v2", "vgg16"]},
            {"weights": "file.weights.h5"},
            r"one backbone .*Received: mobilenet_v2, vgg16\. .*--backbones",
        ),
        ({}, {"weights": "nowhere.weights.h5"}, r"weights at nowhere\.weights\.h5.*No such file"),
        ({}, {"weights": "none", "weights_mode": "tf"}, "mode for the weights of a file only"),
    ],
)
def test_backbones_that_cannot_be_used_are_refused(
    make_transfer: MakeStudy,
    tmp_path: Path,
    space: dict[str, Any],
    transfer: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(SpaceError, match=message):
        make_transfer(space, **transfer)
    assert not (tmp_path / "store.db").exists()


def test_backbone_over_a_limit_is_named(make_study: MakeStudy) -> None:
    with pytest.raises(SpaceError, match=r"backbone vgg16 is too large: .*--max-operations"):
        make_study(
            space={"families": ["plain", "transfer"], "backbone": ["mobilenet_v2", "vgg16"]},
            transfer={"image_size": 32, "weights": "none"},
            search={"max_operations": 100},
        )


def test_weights_that_cannot_be_downloaded_are_named_before_any_trial(
    make_transfer: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    for name in ("http_proxy", "https_proxy"):  # A closed port.
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    expected = (
        r"Expected the ImageNet weights of mobilenet_v2 at .*keras/models/mobilenet_v2_weights.*"
        r"no_top\.h5: the download from https://.* failed .*\n.*--weights PATH"
    )
    (tmp_path / "here").mkdir()
    foreign = write_foreign_modules(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(SpaceError, match=expected):
        make_transfer()
    assert not (tmp_path / "store.db").exists()
    assert not foreign.exists()


@pytest.mark.slow
def test_weights_of_another_network_are_refused_by_the_first_layer(
    make_transfer: MakeStudy, weights: Path
) -> None:
    with pytest.raises(SpaceError, match=r"densenet121.*layer.*conv"):
        make_transfer({"backbone": "densenet121"}, weights=str(weights))


@pytest.mark.slow
def test_worker_needs_the_weights_of_the_study(
    make_transfer: MakeStudy, weights: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mine.weights.h5"
    shutil.copy(weights, file)
    opened = make_transfer(weights=str(file))
    assert opened.settings.weights is not None
    assert len(opened.settings.weights.digest) == 64
    file.rename(tmp_path / "moved.weights.h5")
    copy = weights_name(opened.settings.weights)
    here = OpenStudy.load(opened.store, opened.name).settings.weights
    assert here is not None
    assert Path(here.source) == default_cache_dir() / copy
    opened.artifacts.store.delete([copy])
    Path(here.source).unlink()
    with pytest.raises(SpaceError, match=r"weights at .*mine\.weights\.h5.*No such file"):
        OpenStudy.load(opened.store, opened.name)
    file.write_bytes(b"other")
    with pytest.raises(StudyMismatchError, match=r"weights at .*mine\.weights\.h5 are"):
        OpenStudy.load(opened.store, opened.name)
    again = make_transfer(weights=str(tmp_path / "moved.weights.h5"))
    assert again.settings.weights is not None
    assert again.settings.weights.source == str(tmp_path / "moved.weights.h5")
    with pytest.raises(StudyMismatchError, match=r"`weights`: .*moved.* there, none"):
        make_transfer(weights="none")
