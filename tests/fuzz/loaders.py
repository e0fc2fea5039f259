"""Everything that parses a file of somebody else: a good file, its damage, and its errors."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from analysis import load_status, rank
from search.data import DataSettings, PreparedSet, inspect_source, prepare
from search.data.decode import DECODE_ERRORS, decode
from search.data.dicom.series import read_series
from search.data.image_reader import ImageReader
from search.data.kept_summary import keep_summary, load_summary
from search.data.listed_class_names import read_class_names
from search.data.open_source import open_source
from search.data.read_image import read_image
from search.data.split_lists import _read_list
from search.data.tables import read_table
from search.errors import DataError, SearchError
from search.exported_models.archive import RECORD, read_model_file
from search.settings.option_keys import OPTION_NAMES
from search.settings.study_file import read_plan
from search.studies.resolved_plan import resolve_plan
from search.studies.space_table import read_space
from spaces import SpaceError
from spaces.models.backbones.weight_files import load_weights
from storage import (
    EpochRow,
    Outcome,
    Store,
    StoreError,
    begin_trial,
    finish_trial,
    load_optuna_study,
    open_trial,
    opened_store,
    record_epoch,
    register_worker,
)
from storage.studies.creation import create_study
from tests.fuzz.mutations import (
    JSON_VALUES,
    Mutate,
    damage_bytes,
    damage_member,
    damage_npy_header,
    damage_stored_value,
    damage_text,
    damage_toml,
)
from tests.search.data.deep_files import save_deep_png
from tests.search.data.dicom_files import write_dicom

if TYPE_CHECKING:
    import keras

N_INPUTS = 120
N_HOSPITAL = 285
"""Of DICOM, NIfTI, CSV and Excel files, of which this makes 2,000 in all, with those of HDF5."""
OURS = (SearchError, SpaceError, StoreError)
STUDY_FILE = """
[study]
name = "scans"
workers = 2
warm_start = "old"
[data]
source = "scans"
image_size = 64
split = [0.7, 0.15, 0.15]
color = "grey"
[space]
modules = []
families = ["plain", "vgg", "transfer"]
stages = {low = 2, high = 4}
optimizer = ["adam", "sgd"]
kernel_size = 3
stage1_channels = 32
backbone = "mobilenet_v2"
[training]
max_epochs = 30
trial_timeout = "20m"
plateau_factor = 0.5
[search]
sampler = "tpe"
pruner = "auto"
seed = 1
max_operations = 5.5
[transfer]
weights = "imagenet"
image_size = 96
[budget]
trials = 100
timeout = "2h"
[store]
url = "sqlite:///scans.db"
artifacts = "files"
"""


@dataclass(frozen=True, slots=True)
class Loader:
    """A loader of files, and what it may raise on damaged ones."""

    suffix: str
    make: Callable[[Path], None]
    load: Callable[[Path], object]
    mutations: tuple[Mutate, ...] = (damage_bytes,)
    errors: tuple[type[BaseException], ...] = OURS
    n_inputs: int = N_INPUTS
    """In a quick test: fewer where each needs a child process."""


def make_npz(path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (12, 8, 8), dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(12) % 3)


def make_hdf5(path: Path) -> None:
    import h5py

    images = np.random.default_rng(0).integers(0, 255, (12, 8, 8), dtype=np.uint8)
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "train_images", data=images, chunks=(3, 8, 8), compression="gzip", shuffle=True
        )
        file["train_labels"] = [f"class {i % 3}" for i in range(12)]
        file["test_images"], file["test_labels"] = images[:6], ["class 1", "class 2"] * 3


def load_arrays(path: Path) -> object:
    source = open_source(DataSettings(source=str(path), image_size=8))
    n_images = len(source.items)
    reader = ImageReader(source, DataSettings(source=str(path)), None, n_expected=n_images)
    return source.classes, reader.inspect(range(n_images))


def make_image(format_name: str, mode: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        pixels = np.random.default_rng(0).integers(0, 255, (24, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(path, format_name)

    return make


def make_toml(path: Path) -> None:
    path.write_text(STUDY_FILE)


def load_toml(path: Path) -> object:
    plan = read_plan(str(path), {}, OPTION_NAMES)
    return resolve_plan(plan), read_space(plan)


def make_model(path: Path) -> None:
    facts = {
        "study": "scans", "trial": 1, "family": "plain", "classes": ["a", "b"], "color": "auto",
        "image_shape": [8, 8, 1], "pixels": "0 to 255", "fingerprint": "0", "versions": {"x": "1"},
        "val_accuracy": 0.5,
    }  # fmt: skip
    layer = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "a", "units": 2}}
    config = {"module": "keras", "class_name": "Functional", "config": {"layers": [layer]}}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in (("config.json", config), ("metadata.json", {}), (RECORD, facts)):
            archive.writestr(name, json.dumps(text))
        archive.writestr("model.weights.h5", b"weights")


def make_prepared(path: Path) -> None:
    source = path.with_suffix(".npz")
    make_npz(source)
    prepare(DataSettings(source=str(source), image_size=8), path.parent).path.rename(path)


def load_prepared(path: Path) -> None:
    PreparedSet.open(path).verify()


def make_store(path: Path) -> None:
    store = Store.open(f"sqlite:///{path}")
    study = create_study(store, "scans", settings="{}", n_trials=3)[0]
    worker_id = register_worker(store, study.study_id)
    for number in range(3):
        lease = begin_trial(store, study.study_id, worker_id)
        assert lease is not None
        trial, pending = open_trial(store, load_optuna_study(store, "scans"), lease.trial_id)
        trial.suggest_categorical("optimizer", ["adam", "sgd"])
        trial.suggest_int("stages", 1, 3)
        trial.set_user_attr("config", {"family": "plain", "optimizer": "adam"})
        trial.set_constraint("size", -0.5)
        trial.report(0.5, 1)
        record_epoch(store, lease, EpochRow(1, 1, 0.5, 0.9, 0.1, 1e-3, 1.0, 0), pending)
        outcome = Outcome("complete", value=0.5, metrics={"macro_auc": 0.7})
        if number < 2:
            finish_trial(store, lease, outcome, pending)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()


def load_store(path: Path) -> object:
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    url = f"sqlite:///{path}"
    with opened_store(url) as store:
        load_status(store, "scans").to_json()
    return rank(url, "scans").to_json()


def make_checkpoint(path: Path) -> None:
    from search.training.checkpoint import Checkpoint, write_checkpoint

    write_checkpoint(path, Checkpoint({"model/0": np.ones((2, 3))}, {"task": {}, "epoch": 3}))


def load_checkpoint_file(path: Path) -> None:
    from search.training.checkpoint import load_checkpoint

    if (checkpoint := load_checkpoint(path)) is not None:
        checkpoint.state.get("task")


def make_features(path: Path) -> None:
    np.save(path, np.ones((4, 2, 2, 3), np.float32))


def load_features(path: Path) -> None:
    from search.training.feature_cache import load_maps

    if (maps := load_maps(path, 4)) is not None:
        maps.sum()


@cache
def make_network() -> "keras.Model":
    import keras

    images = keras.Input((8, 8, 1))
    maps = keras.layers.BatchNormalization()(keras.layers.Conv2D(2, 3)(images))
    return keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(maps)), name="small")


def make_weights(path: Path) -> None:
    make_network().save_weights(path)


def load_weight_file(path: Path) -> None:
    load_weights(make_network(), path)


damage_json = damage_text(JSON_VALUES, '{}[]:,"')


def make_deep_png(path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (24, 20, 4)).astype(np.uint16)
    save_deep_png(path, values)


def load_image(path: Path) -> Any:
    return decode(str(path))


def make_csv(path: Path) -> None:
    path.write_text("image,label,patient\n" + "".join(f"{i}.png,a,{i // 2}\n" for i in range(9)))


def make_parquet(path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = [{"image": f"{i}.png", "label": "ab"[i % 2], "age": i / 2} for i in range(9)]
    parquet.write_table(pa.Table.from_pylist(rows), path)


def make_excel(path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    for i in range(9):
        book.active.append([f"{i}.png", "ab"[i % 2], i / 2])
    book.save(path)


def make_dicom(codec: str = "") -> Callable[[Path], None]:
    def make(path: Path) -> None:
        import imagecodecs
        from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless

        syntaxes = {"jpegls": JPEGLSLossless, "jpeg2k": JPEG2000Lossless}
        write_dicom(
            path,
            np.random.default_rng(0).integers(0, 4096, (12, 20)).astype(np.uint16),
            syntax=syntaxes.get(codec, ExplicitVRLittleEndian),
            encode=getattr(imagecodecs, f"{codec}_encode") if codec else None,
            PatientID="1",
            RescaleSlope=1,
            RescaleIntercept=-1024,
        )

    return make


def make_jpeg_2000(path: Path) -> None:
    import imagecodecs

    pixels = np.random.default_rng(0).integers(0, 65536, (24, 20, 3)).astype(np.uint16)
    path.write_bytes(imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True))


def make_lossless(codec: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        import imagecodecs

        pixels = np.random.default_rng(0).integers(0, 65536, (24, 20)).astype(np.uint16)
        path.write_bytes(getattr(imagecodecs, f"{codec}_encode")(pixels))

    return make


def make_nifti(path: Path) -> None:
    import nibabel

    voxels = np.random.default_rng(0).integers(0, 4096, (6, 5, 4)).astype(np.int16)
    nibabel.Nifti1Image(voxels, np.eye(4)).to_filename(path)


def make_metaimage(path: Path) -> None:
    header = "NDims = 3\nDimSize = 6 5 4\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    path.write_bytes(header.encode() + bytes(range(240)))


def make_metaimage_header(path: Path) -> None:
    make_metaimage(path)
    header, _, voxels = path.read_bytes().partition(b"ElementDataFile = LOCAL\n")
    data = path.with_suffix(".raw")
    data.write_bytes(voxels)
    path.write_bytes(header + f"ElementDataFile = {data.name}\n".encode())


def make_split_list(path: Path) -> None:
    path.write_text("".join(f"folder/{i}.png\n" for i in range(20)))


def make_class_names(path: Path) -> None:
    path.write_text("one\ntwo\nthree\n")


def load_class_names(path: Path) -> object:
    return read_class_names(path.with_name(path.name.replace(".classes.txt", ".npz")))


def make_summary(path: Path) -> None:
    source = path.with_suffix(".npz")
    make_npz(source)
    settings = DataSettings(source=str(source), image_size=8)
    keep_summary(path, open_source(settings), inspect_source(settings))


def load_kept_summary(path: Path) -> object:
    source = DataSettings(source=str(path.with_suffix(".npz")), image_size=8)
    return load_summary(path, open_source(source))


def load_image_file(path: Path) -> None:
    read_image(str(path))


def load_dicom_file(path: Path) -> None:
    read_image(str(path))
    read_series([str(path)], [path.name], ["a"], DataSettings(source=str(path)))


damage_cells = damage_member((damage_bytes,))
IMAGE_ERRORS = (DataError, *DECODE_ERRORS)
LOADERS: dict[str, Loader] = {
    "npz": Loader(
        ".npz", make_npz, load_arrays, (damage_bytes, damage_member((damage_npy_header,)))
    ),
    "hdf5": Loader(".h5", make_hdf5, load_arrays, n_inputs=8),
    "png": Loader(".png", make_image("PNG", "RGB"), load_image, errors=IMAGE_ERRORS),
    "deep png": Loader(".png", make_deep_png, load_image, errors=IMAGE_ERRORS),
    "jpg": Loader(".jpg", make_image("JPEG", "L"), load_image, errors=IMAGE_ERRORS),
    "bmp": Loader(".bmp", make_image("BMP", "P"), load_image, errors=IMAGE_ERRORS),
    "webp": Loader(".webp", make_image("WEBP", "RGB"), load_image, errors=IMAGE_ERRORS),
    "tif": Loader(".tif", make_image("TIFF", "L"), load_image, errors=IMAGE_ERRORS),
    "jpeg 2000": Loader(".jp2", make_jpeg_2000, load_image_file),
    "jpeg ls": Loader(".jls", make_lossless("jpegls"), load_image_file),
    "lossless jpeg": Loader(".jpg", make_lossless("ljpeg"), load_image_file),
    "dicom": Loader(".dcm", make_dicom(), load_dicom_file, n_inputs=N_HOSPITAL),
    "dicom of JPEG-LS": Loader(".dcm", make_dicom("jpegls"), load_dicom_file, n_inputs=N_HOSPITAL),
    "dicom of JPEG 2000": Loader(
        ".dcm", make_dicom("jpeg2k"), load_dicom_file, n_inputs=N_HOSPITAL
    ),
    "nifti": Loader(".nii", make_nifti, load_image_file, n_inputs=N_HOSPITAL),
    "packed nifti": Loader(".nii.gz", make_nifti, load_image_file, n_inputs=N_HOSPITAL),
    "metaimage": Loader(".mha", make_metaimage, load_image_file),
    "metaimage header": Loader(".mhd", make_metaimage_header, load_image_file),
    "split list": Loader(".txt", make_split_list, lambda path: _read_list(str(path))),
    "class names": Loader(".classes.txt", make_class_names, load_class_names),
    "summary": Loader(".json", make_summary, load_kept_summary, (damage_bytes, damage_json)),
    "csv": Loader(".csv", make_csv, read_table, n_inputs=N_HOSPITAL),
    "parquet": Loader(".parquet", make_parquet, read_table),
    "xlsx": Loader(
        ".xlsx", make_excel, read_table, (damage_bytes, damage_cells), n_inputs=N_HOSPITAL
    ),
    "toml": Loader(".toml", make_toml, load_toml, (damage_toml, damage_toml, damage_bytes)),
    "keras": Loader(
        ".keras", make_model, read_model_file, (damage_bytes, damage_member((damage_json,)))
    ),
    "prepared": Loader(".safetensors", make_prepared, load_prepared, (damage_bytes, damage_json)),
    "checkpoint": Loader(
        ".safetensors", make_checkpoint, load_checkpoint_file, (damage_bytes, damage_json)
    ),
    "features": Loader(".npy", make_features, load_features, (damage_bytes, damage_npy_header)),
    "weights": Loader(".weights.h5", make_weights, load_weight_file),
    "store": Loader(".db", make_store, load_store, (damage_bytes, damage_stored_value)),
}
