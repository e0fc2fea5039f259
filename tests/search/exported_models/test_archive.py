"""Files of exported models: ours are read, and others are refused with a reason."""

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from search.errors import ModelError
from search.exported_models.archive import RECORD, publish_model, read_model_file
from search.exported_models.metadata import ModelFacts

FACTS = ModelFacts(
    study="small",
    trial=3,
    family="plain",
    classes=("cat", "dog"),
    image_shape=(16, 16, 1),
    pixels="0 to 255, grey (16, 16, 1)",
    fingerprint="f" * 64,
    val_accuracy=0.75,
)
CONFIG = json.dumps(
    {"module": "keras.src.models.functional", "class_name": "Functional", "config": {}}
)
PARTS = {"metadata.json": "{}", "config.json": CONFIG, "model.weights.h5": "weights"}


def write_archive(path: Path, parts: Mapping[str, str], packing: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


@pytest.fixture
def best(tmp_path: Path) -> Path:
    """A model file with its record, as far as it is read without Keras."""
    written = write_archive(tmp_path / "written.keras", PARTS)
    publish_model(written, tmp_path / "best.keras", FACTS)
    return tmp_path / "best.keras"


def test_record_inside_is_read_from_a_renamed_file(best: Path) -> None:
    moved = best.rename(best.with_name("moved.model"))
    best.with_suffix(".json").unlink()
    assert read_model_file(moved) == FACTS


def test_record_beside_is_used_for_a_file_without_one_inside(best: Path) -> None:
    write_archive(best, PARTS)
    assert read_model_file(best) == FACTS
    best.with_suffix(".json").unlink()
    with pytest.raises(ModelError, match=r"no convsearch.json inside, and no best.json beside"):
        read_model_file(best)


def test_records_of_later_versions_may_have_more_keys(best: Path) -> None:
    record = {**FACTS.model_dump(mode="json"), "laboratory": "one"}
    write_archive(best, {**PARTS, RECORD: json.dumps(record)})
    assert read_model_file(best) == FACTS


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"format": 2}, "damaged: format"),
        ({"classes": []}, "damaged: classes"),
        ({"classes": ["cat", "cat"]}, "classes of different names"),
        ({"image_shape": [16, 16, 2]}, "1 or 3 channels"),
        ({"image_shape": [16, 16, 10**9]}, "damaged: image_shape"),
        ({"val_accuracy": "high"}, "damaged: val_accuracy"),
    ],
)
def test_damaged_records_are_refused(best: Path, record: dict[str, object], message: str) -> None:
    text = json.dumps({**FACTS.model_dump(mode="json"), **record})
    write_archive(best, {**PARTS, RECORD: text})
    with pytest.raises(ModelError, match=message):
        read_model_file(best)


def test_files_of_other_kinds_are_refused(best: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.keras"
    text.write_text("not a model")
    other = write_archive(tmp_path / "other.keras", {"readme.txt": "hello"})
    more = write_archive(tmp_path / "more.keras", {**PARTS, "assets/run.sh": "#!/bin/sh"})
    cut = tmp_path / "cut.keras"
    cut.write_bytes(best.read_bytes()[:-40])
    os.mkfifo(tmp_path / "pipe.keras")
    for path, message in (
        (tmp_path / "none.keras", "No such file"),
        (tmp_path, "which is none"),
        (tmp_path / "pipe.keras", "which is none"),
        (text, "not a .keras file"),
        (cut, "not a .keras file"),
        (other, "not a model of convsearch: it holds 'readme.txt'"),
        (more, "not a model of convsearch"),
    ):
        with pytest.raises(ModelError, match=message):
            read_model_file(path)


def test_damaged_bytes_are_refused(best: Path) -> None:
    damaged = best.read_bytes().replace(b"keras.src.models", b"keras.src.xodels")
    best.write_bytes(damaged)
    with pytest.raises(ModelError, match=r"damaged .*CRC"):
        read_model_file(best)


def test_foreign_code_is_refused_before_keras_loads_it(best: Path) -> None:
    layer = {"module": "keras.layers", "class_name": "Lambda", "config": {}}
    config = json.dumps({**json.loads(CONFIG), "config": {"layers": [layer]}})
    write_archive(best, {**PARTS, "config.json": config})
    with pytest.raises(ModelError, match="class 'Lambda', which networks of convsearch do not"):
        read_model_file(best)


@pytest.mark.parametrize("name", [{}, [], ["Functional"], None, 1])
def test_model_whose_class_name_is_no_name_is_refused(best: Path, name: object) -> None:
    config = json.dumps({**json.loads(CONFIG), "class_name": name})
    write_archive(best, {**PARTS, "config.json": config})
    with pytest.raises(ModelError, match="Expected the configuration of a Keras model"):
        read_model_file(best)


def test_parts_that_unpack_to_more_than_declared_are_refused(
    best: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_archive(best, {**PARTS, "model.weights.h5": "0" * 10**6}, zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelError, match="may unpack to more"):
        read_model_file(best)
    write_archive(best, PARTS)
    with zipfile.ZipFile(best, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", CONFIG)
    with pytest.raises(ModelError, match="not a model of convsearch"):
        read_model_file(best)
    write_archive(best, {**PARTS, "metadata.json": " " * 2000})
    monkeypatch.setattr("search.exported_models.archive.MAX_TEXT_BYTES", 1000)
    with pytest.raises(ModelError, match=r"its metadata\.json is too large"):
        read_model_file(best)
    monkeypatch.setattr("search.exported_models.archive.MAX_BYTES", 1000)
    with pytest.raises(ModelError, match="Expected a model of at most"):
        read_model_file(best)
