"""Opening of a source of any kind; a kind is imported when it is used."""

import os
from collections.abc import Mapping
from pathlib import Path

from search.data.class_choice import choose_classes
from search.data.class_names import check_capitals
from search.data.hdf5.set_files import EXTENSIONS as HDF5
from search.data.hdf5.set_files import find_set, is_packed, unpack_first
from search.data.manifest_columns import NONE
from search.data.settings import DEMO, DataSettings, no_meaning
from search.data.source_api import Progress, Source
from search.data.split_lists import choose_splits
from search.data.tables import EXTENSIONS as TABLES
from search.errors import DataError

MANIFEST_KEYS = (
    "path_column", "label_column", "group_column", "frame_column", "split_column",
    "weight_column", "join", "root", "where", "positive", "separator",
)  # fmt: skip
FILE_KEYS = (
    "exclude", "label_from", "group_from", "group_tag", "slices", "volume", "pages", "masks",
    "split_list",
)  # fmt: skip
"""Settings of sources whose images are files, with names."""
EXPECTED = (
    "a folder of images, a manifest (.csv, .tsv, .parquet, .xlsx), an .npz or HDF5 file (.h5,"
    f" .hdf5), or the word {DEMO!r}"
)


_UNUSED: Mapping[str, tuple[str, ...]] = {
    "folder": tuple(it for it in MANIFEST_KEYS if it != "where"),  # It may have DICOM files.
    "manifest": ("label_from", "masks"),
    "npz": (*MANIFEST_KEYS, *FILE_KEYS),
    "hdf5": (  # A table of groups may be beside the file.
        *(it for it in MANIFEST_KEYS if it != "group_column"),
        *FILE_KEYS,
    ),
    DEMO: (*MANIFEST_KEYS, *FILE_KEYS),
}
"""Settings that say nothing of a kind of source: giving them is a mistake."""


def open_source(settings: DataSettings, progress: Progress | None = None) -> Source:
    """Open a source of any kind; `progress` is called while headers of many files are read.

    Raises:
        DataError: If that is not possible.
    """
    _check_one_way_to_group(settings)
    try:
        source = _open(settings, progress)
    except OSError as error:
        raise DataError(f"Cannot open {settings.source}: {error.strerror}.") from error
    for key in _UNUSED.get(source.kind, ()):
        if getattr(settings, key) != DataSettings.model_fields[key].default:
            raise no_meaning(settings, key)
    chosen = choose_classes(source, settings)
    if source.kind in {"folder", "manifest"} and not settings.classes:
        check_capitals(chosen.classes)
    return choose_splits(chosen, settings)


def _check_one_way_to_group(settings: DataSettings) -> None:
    given = {
        "--group-from": settings.group_from,
        "--group-column": settings.group_column if settings.group_column != NONE else "",
        "--group-tag": settings.group_tag if settings.group_tag not in {"auto", NONE} else "",
    }
    options = [option for option, value in given.items() if value]
    if len(options) > 1:
        raise DataError(f"{' and '.join(options)} each say what a group is: give one of them.")


def _open(settings: DataSettings, progress: Progress | None) -> Source:
    if settings.source == DEMO:
        from search.data.demo import open_demo

        return open_demo()
    path = Path(os.path.expanduser(settings.source))  # noqa: PTH111
    if not path.exists():
        raise DataError(f"No such file or folder: {settings.source}. Expected {EXPECTED}.")
    if is_packed(path):
        raise unpack_first(path)
    is_hdf5 = path.suffix.lower() in HDF5
    files = find_set(path) if is_hdf5 or path.is_dir() else []
    if files or is_hdf5:
        from search.data.hdf5.source import Hdf5Source

        return Hdf5Source(path, files, settings)
    if path.is_dir():
        from search.data.folder import FolderSource

        return FolderSource(path, settings, progress)
    if path.suffix.lower() == ".npz":
        from search.data.npz import open_npz

        return open_npz(path, progress)
    if path.suffix.lower() in TABLES:
        from search.data.manifest import ManifestSource

        return ManifestSource(path, settings, progress)
    if path.name.upper() == "DICOMDIR":
        raise DataError(
            f"{settings.source} is a table of contents. Give the folder that it is in:"
            f" {path.parent}"
        )
    raise DataError(f"Expected {EXPECTED}. Received: the file {settings.source}.")
