"""Opening of a source of any kind; a kind is imported when it is used."""

import os
from collections.abc import Mapping
from pathlib import Path

from search.data.class_choice import choose_classes
from search.data.settings import DEMO, DataSettings, no_meaning
from search.data.source_api import Progress, Source
from search.data.tables import EXTENSIONS as TABLES
from search.errors import DataError

MANIFEST_KEYS = (
    "path_column", "label_column", "group_column", "split_column", "root", "where", "positive",
    "separator",
)  # fmt: skip
EXPECTED = (
    "a folder of images, a manifest (.csv, .tsv, .parquet, .xlsx), an .npz file, or the word"
    f" {DEMO!r}"
)


_UNUSED: Mapping[str, tuple[str, ...]] = {
    "folder": tuple(it for it in MANIFEST_KEYS if it != "where"),  # It may have DICOM files.
    "npz": (*MANIFEST_KEYS, "exclude", "group_from", "group_tag"),
    DEMO: (*MANIFEST_KEYS, "exclude", "group_from", "group_tag"),
}
"""Settings that say nothing of a kind of source: giving them is a mistake."""


def open_source(settings: DataSettings, progress: Progress | None = None) -> Source:
    """Open a source of any kind; `progress` is called while headers of many files are read.

    Raises:
        DataError: If that is not possible.
    """
    try:
        source = _open(settings, progress)
    except OSError as error:
        raise DataError(f"Cannot open {settings.source}: {error.strerror}.") from error
    for key in _UNUSED.get(source.kind, ()):
        if getattr(settings, key) != DataSettings.model_fields[key].default:
            raise no_meaning(settings, key)
    return choose_classes(source, settings)


def _open(settings: DataSettings, progress: Progress | None) -> Source:
    if settings.source == DEMO:
        from search.data.demo import open_demo

        return open_demo()
    path = Path(os.path.expanduser(settings.source))  # noqa: PTH111
    if path.is_dir():
        from search.data.folder import FolderSource

        return FolderSource(path, settings, progress)
    if not path.exists():
        raise DataError(f"No such file or folder: {settings.source}. Expected {EXPECTED}.")
    if path.suffix.lower() == ".npz":
        from search.data.npz import open_npz

        return open_npz(path, progress)
    if path.suffix.lower() in TABLES:
        from search.data.manifest import ManifestSource

        return ManifestSource(path, settings)
    raise DataError(f"Expected {EXPECTED}. Received: the file {settings.source}.")
