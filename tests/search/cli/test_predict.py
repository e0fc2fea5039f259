"""The command `predict`: predictions of an exported model for image files."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from search.exported_models.archive import publish_model
from search.exported_models.metadata import ModelFacts
from tests.search.data.dicom_files import write_dicom

Call = Callable[..., tuple[int, str, str]]
CLASSES = ("cat", "dog", "[red]fox\x1b[31m")


def make_model(
    path: Path,
    channels: int,
    classes: tuple[str, ...] = CLASSES,
    pixel_range: tuple[float, float] | None = None,
    slices: str = "axial",
) -> Any:
    """Write the model of an untrained network, and return the network."""
    import random

    from spaces import SearchSpace
    from spaces.keras_models import build_model

    config = SearchSpace.create(["plain"], {"stages": 1, "channels": 8}).random_config(
        random.Random(0)
    )
    mean, std = [100.0] * channels, [50.0] * channels
    model = build_model(config, (16, 16, channels), 3, seed=0, mean=mean, std=std)
    written = path.with_name("written.keras")
    model.save(written)
    facts = ModelFacts(
        study="small",
        trial=4,
        family="plain",
        classes=classes,
        image_shape=(16, 16, channels),
        pixels="",
        pixel_range=pixel_range,
        slices=slices,
        fingerprint="",
        val_accuracy=0.875,
    )
    publish_model(written, path, facts)
    return model


def save_images(folder: Path, n: int, *shape: int) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{number}.png")
    return pixels


def test_predictions_are_those_of_the_network(call: Call, tmp_path: Path) -> None:
    network = make_model(tmp_path / "best.keras", 3)
    pixels = save_images(tmp_path / "images", 3, 16, 16, 3)
    (tmp_path / "images" / "notes.txt").write_text("not an image")
    (tmp_path / "images" / ".hidden.png").write_text("not one either")
    Image.new("L", (30, 20), 90).save(tmp_path / "grey.jpg")
    (tmp_path / "best.keras").rename(tmp_path / "renamed.model")  # Its record is inside.
    code, out, err = call("predict", "renamed.model", "images", "grey.jpg", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert (document["model"], document["classes"]) == ("renamed.model", list(CLASSES))
    said = document["images"]
    assert [it["image"] for it in said] == [*(f"images/{n}.png" for n in range(3)), "grey.jpg"]
    expected = network.predict_on_batch(pixels)
    for it, row in zip(said, expected, strict=False):
        np.testing.assert_allclose(list(it["probabilities"].values()), row, atol=1e-6)
        assert list(it["probabilities"]) == list(CLASSES)
        assert it["class"] == CLASSES[int(row.argmax())]
        assert it["notes"] == []
    assert said[3]["notes"] == [
        "30×20 pixels made 16×16",
        "stretched: it is not square",
        "grey repeated for three channels",
    ]


@pytest.mark.usefixtures("warm_trainer")
def test_deep_files_are_scaled_by_the_range_of_the_training_images(
    call: Call, tmp_path: Path
) -> None:
    network = make_model(tmp_path / "best.keras", 1, pixel_range=(100, 100 + 16 * 255))
    pixels = save_images(tmp_path / "images", 1, 16, 16) // 2
    Image.fromarray(pixels[0].astype(np.uint16) * 16 + 100).save(tmp_path / "deep.png")
    document = json.loads(call("predict", "best.keras", "deep.png", "--json")[1])
    expected = network.predict_on_batch(pixels[..., None])[0]
    probabilities = list(document["images"][0]["probabilities"].values())
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert document["images"][0]["notes"] == ["100 to 4180 made 0 to 255, as in training"]


@pytest.mark.usefixtures("warm_trainer")
def test_slices_and_frames_are_predicted_one_by_one(call: Call, tmp_path: Path) -> None:
    network = make_model(tmp_path / "best.keras", 1, slices="axial:2-3")
    voxels = np.random.default_rng(0).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    nibabel.Nifti1Image(voxels, np.diag([-1, -1, 1, 1])).to_filename(tmp_path / "scan.nii.gz")
    write_dicom(tmp_path / "frames", voxels.transpose(2, 1, 0)[:2].copy())
    code, out, _ = call("predict", "best.keras", "scan.nii.gz", "frames", "--json")
    images = json.loads(out)["images"]
    names = ["scan.nii.gz#2", "scan.nii.gz#3", "frames#1", "frames#2"]
    assert (code, [it["image"] for it in images]) == (0, names)
    pixels = voxels.transpose(2, 1, 0)[[1, 2, 0, 1], ..., None]
    expected = network.predict_on_batch(pixels)
    found = [list(it["probabilities"].values()) for it in images]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert [it["notes"] for it in images] == [[]] * 4


@pytest.mark.usefixtures("warm_trainer")
def test_masks_and_missing_slices_are_said(call: Call, tmp_path: Path) -> None:
    make_model(tmp_path / "best.keras", 1, slices="axial:3-9")
    for name, n_slices in (("a", 3), ("a_seg", 3), ("b", 2)):
        voxels = np.zeros((16, 16, n_slices), np.uint8)
        path = tmp_path / "scans" / f"{name}.nii"
        path.parent.mkdir(exist_ok=True)
        nibabel.Nifti1Image(voxels, np.eye(4)).to_filename(path)
    code, out, _ = call("predict", "best.keras", "scans", "--json")
    document = json.loads(out)
    assert code == 1
    assert [it["image"] for it in document["images"]] == ["scans/a.nii#3", "scans/b.nii"]
    assert "none of the slices that training used (axial:3-9)" in document["images"][1]["error"]
    assert document["notes"] == ["scans: 1 mask left out"]


@pytest.mark.usefixtures("warm_trainer")
def test_unreadable_image_does_not_affect_others(call: Call, tmp_path: Path) -> None:
    make_model(tmp_path / "best.keras", 1)
    save_images(tmp_path / "images", 1, 16, 16)
    (tmp_path / "broken.png").write_text("hello")
    (tmp_path / "empty").mkdir()
    arguments = ("predict", "best.keras", "broken.png", "images/0.png", "none.png", "empty")
    code, out, err = call(*arguments)
    assert code == 1
    assert "plain network, trial 4 of small: validation accuracy 0.8750" in out
    assert "images/0.png" in out
    assert "[red]fox?[31m" in out
    assert "\x1b" not in out
    assert err.splitlines()[:2] == ["Reading 4 images", "Predicting 1 image"]
    assert "3 images could not be read" in err
    assert "broken.png: not a PNG" in err
    assert "none.png: No such file" in err
    assert "empty: a folder without" in err
    code, out, _ = call(*arguments, "--json")
    assert code == 1
    document = json.loads(out)
    assert [sorted(it) for it in document["images"]] == [
        ["error", "image"],
        ["class", "image", "notes", "probabilities"],
        ["error", "image"],
        ["error", "image"],
    ]


@pytest.mark.usefixtures("warm_trainer")
def test_unusable_model_is_an_error_of_one_line(call: Call, tmp_path: Path) -> None:
    save_images(tmp_path / "images", 1, 16, 16)
    make_model(tmp_path / "best.keras", 1)
    make_model(tmp_path / "classes.keras", 1, CLASSES[:2])
    make_model(tmp_path / "shape.keras", 3)
    with zipfile.ZipFile(tmp_path / "best.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "shape.keras") as archive:
        other = {name: archive.read(name) for name in archive.namelist()}
    wrong = {
        "weights": {**parts, "model.weights.h5": b"nothing"},
        "shape": {**other, "convsearch.json": parts["convsearch.json"]},
        "lambda": {**parts, "config.json": parts["config.json"].replace(b"Conv2D", b"Lambda")},
    }
    for name, content in wrong.items():
        with zipfile.ZipFile(tmp_path / f"{name}.keras", "w") as archive:
            for part, data in content.items():
                archive.writestr(part, data)
    for name, message in (
        ("none", "No such file"),
        ("weights", "cannot be loaded"),
        ("shape", "it takes images of (16, 16, 3), and its record says (16, 16, 1)"),
        ("lambda", "may run foreign code"),
        ("classes", "gives 3 probabilities, and its record names 2 classes"),
    ):
        code, out, err = call("predict", f"{name}.keras", "images", "--json")
        assert (code, out) == (2, ""), name
        assert message in err
        assert err.startswith("Error: ")
        assert len(err.splitlines()) == 1
        assert "Traceback" not in err


@pytest.mark.usefixtures("warm_trainer")
def test_model_may_be_the_folder_of_a_report_or_the_record_in_it(
    call: Call, tmp_path: Path
) -> None:
    (tmp_path / "report").mkdir()
    make_model(tmp_path / "report" / "best.keras", 1)
    save_images(tmp_path / "images", 1, 16, 16)
    for name in ("report", "report/best.json"):
        code, out, err = call("predict", name, "images", "--json")
        assert code == 0, err
        assert json.loads(out)["model"] == "report/best.keras"
    (tmp_path / "report" / "best.keras").unlink()
    code, _, err = call("predict", "report", "images")
    assert (code, "Cannot read the model report/best.keras: No such file" in err) == (2, True)


@pytest.mark.usefixtures("warm_trainer")
def test_names_are_not_cut_and_notes_on_images_are_shown(call: Call, tmp_path: Path) -> None:
    make_model(tmp_path / "best.keras", 1)
    name = "a" * 100
    save_images(tmp_path / name, 1, 16, 16)
    (tmp_path / name / "inside").mkdir()
    Image.new("L", (30, 20)).save(tmp_path / name / "1.png")
    code, out, err = call("predict", "best.keras", name)
    assert code == 0
    for number in range(2):
        (line,) = (line for line in out.splitlines() if f"{name}/{number}.png" in line)
    assert line.rstrip().endswith("30×20 pixels made 16×16; stretched: it is not square")
    assert f"{name}: 1 subfolder was not entered" in err.splitlines()
    document = json.loads(call("predict", "best.keras", name, "--json")[1])
    assert document["notes"] == [f"{name}: 1 subfolder was not entered"]


def test_command_process_does_not_load_tensorflow(tmp_path: Path) -> None:
    make_model(tmp_path / "best.keras", 1)
    save_images(tmp_path / "images", 2, 16, 16)
    code = """
import sys
from pathlib import Path
from search.exported_models.prediction import predict
found = predict(Path("best.keras"), [Path("images")])
assert len(found.images) == 2
assert not {"tensorflow", "keras"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
