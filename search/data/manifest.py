"""Images that a table lists: a manifest with a row for each image, its label, group and split."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from search.data.file_finder import FileFinder
from search.data.groups import find_groups
from search.data.image_files import FileOnDisk, ImageFiles
from search.data.joined_table import join_table
from search.data.manifest_columns import find_columns
from search.data.manifest_rows import RowReader
from search.data.read_image import is_dicom, may_be_dicom
from search.data.settings import DataSettings, no_meaning
from search.data.source_api import Item
from search.data.tables import read_table
from search.errors import DataError

MAX_CLASSES = 10_000


class ManifestSource:
    """Image files that a table lists."""

    kind = "manifest"

    def __init__(self, path: Path, settings: DataSettings) -> None:
        """Read the table and find its files; raise `DataError` if that is not possible."""
        table = read_table(path)
        root = path.parent
        if settings.root is not None:
            root = Path(os.path.expanduser(settings.root))  # noqa: PTH111
        if not root.is_dir():
            raise DataError(f"Expected a folder for --root. Received: {root}.")
        notes: list[str] = []
        if settings.join is not None:
            table, notes = join_table(table, settings.join, settings.path_column)
        columns = find_columns(table, settings)
        self.guessed = columns.guessed(settings)
        reader = RowReader(path, table, columns, settings, FileFinder(root, settings.exclude))
        rows = reader.read()
        self.warnings = [columns.describe(), *notes, *reader.notes]
        self.classes = tuple(sorted({label for _, label, _, _ in rows}))
        if len(self.classes) > MAX_CLASSES:
            raise DataError(
                f"Expected at most {MAX_CLASSES:,} classes in {path}. Received:"
                f" {len(self.classes):,} different labels."
            )
        labels = {name: label for label, name in enumerate(self.classes)}
        groups = [group for _, _, group, _ in rows]
        if not any(groups) and not settings.group_from:
            groups = _groups_of_dicom(root, rows, settings, self.warnings)
        if settings.group_from:
            groups = find_groups([file.path for file, *_ in rows], settings.group_from)
        self.items: Sequence[Item] = [
            Item(file.path, labels[label], split, group)
            for (file, label, _, split), group in zip(rows, groups, strict=True)
        ]
        self._files = ImageFiles(root, [file for file, *_ in rows])
        self.n_bytes = self._files.n_bytes
        self.read = self._files.read

    def identity(self) -> str:
        """Return a hash of the files and of what the table says of them."""
        facts = [(item.label, item.split, item.group) for item in self.items]
        digest = hashlib.sha256(repr((self.classes, facts)).encode(errors="surrogatepass"))
        return f"{self._files.identity()} {digest.hexdigest()}"


def _groups_of_dicom(
    root: Path,
    rows: Sequence[tuple[FileOnDisk, str, str, str]],
    settings: DataSettings,
    notes: list[str],
) -> list[str]:
    """Return the groups that DICOM files have by themselves; other files have none."""
    paths = [it.path if it.path.startswith("/") else f"{root}/{it.path}" for it, *_ in rows]
    places = [i for i, path in enumerate(paths) if may_be_dicom(path) and is_dicom(path)]
    groups = [""] * len(rows)
    if places:
        from search.data.dicom.series import read_groups

        found, said = read_groups(
            [paths[i] for i in places], [rows[i][1] for i in places], settings
        )
        notes += said
        for i, group in zip(places, found, strict=True):
            groups[i] = group
    elif settings.group_tag != "auto":
        raise no_meaning(settings, "group_tag", "which lists no DICOM files")
    return groups
