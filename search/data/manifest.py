"""Images that a table lists: a manifest with a row for each image, its label, group and split."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from search.data.file_finder import FileFinder
from search.data.groups import find_groups
from search.data.image_files import ImageFiles
from search.data.manifest_columns import find_columns
from search.data.manifest_rows import RowReader
from search.data.settings import DataSettings
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
        columns = find_columns(table, settings)
        reader = RowReader(path, table, columns, settings, FileFinder(root, settings.exclude))
        rows = reader.read()
        self.warnings: Sequence[str] = [columns.describe(), *reader.notes]
        self.classes = tuple(sorted({label for _, label, _, _ in rows}))
        if len(self.classes) > MAX_CLASSES:
            raise DataError(
                f"Expected at most {MAX_CLASSES:,} classes in {path}. Received:"
                f" {len(self.classes):,} different labels."
            )
        labels = {name: label for label, name in enumerate(self.classes)}
        groups = [group for _, _, group, _ in rows]
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
