"""Images that a table lists: a manifest with a row for each image, its label, group and split."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from search.data.file_finder import FileFinder
from search.data.groups import find_groups
from search.data.image_files import ImageFiles
from search.data.images_in_files import find_images_in_files
from search.data.joined_table import join_table
from search.data.manifest_columns import find_columns
from search.data.manifest_rows import Row, RowReader
from search.data.read_image import (
    frame_name,
    frame_number,
    has_pages,
    is_dicom,
    is_volume,
    may_be_dicom,
)
from search.data.settings import FIRST_PAGE, DataSettings, no_meaning
from search.data.source_api import Item, Progress
from search.data.tables import read_table
from search.data.volumes.slices import Slice, parse_slices
from search.errors import DataError

MAX_CLASSES = 10_000


class ManifestSource:
    """Image files that a table lists."""

    kind = "manifest"

    def __init__(
        self, path: Path, settings: DataSettings, progress: Progress | None = None
    ) -> None:
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
        finder = FileFinder(root, settings.exclude, progress)
        reader = RowReader(path, table, columns, settings, finder)
        rows = reader.read()
        self.warnings = [columns.describe(), *notes, *reader.notes]
        rows = _read_dicom(root, rows, settings, reader.where_tags, self.warnings)
        self.classes = tuple(sorted({row.label for row in rows}))
        if len(self.classes) > MAX_CLASSES:
            raise DataError(
                f"Expected at most {MAX_CLASSES:,} classes in {path}. Received:"
                f" {len(self.classes):,} different labels."
            )
        labels = {name: label for label, name in enumerate(self.classes)}
        if columns.frame:
            rows = _number(rows, settings)
        else:
            rows = _expand(root, rows, settings, self.warnings, progress)
        groups = [row.group for row in rows]
        if settings.group_from:
            groups = find_groups([row.file.path for row in rows], settings.group_from)
        self.items: Sequence[Item] = [
            Item(
                frame_name(row.file.path, row.file.frame),
                labels[row.label],
                row.split,
                group,
                "" if row.file.frame is None else row.file.path,
                row.weight,
                row.facts,
            )
            for row, group in zip(rows, groups, strict=True)
        ]
        self._files = ImageFiles(root, [row.file for row in rows])
        self.n_bytes = self._files.n_bytes
        self.read = self._files.read

    def identity(self) -> str:
        """Return a hash of the files and of what the table says of them."""
        facts = [(item.label, item.split, item.group) for item in self.items]
        names = [item.name for item in self.items if item.name != item.file]
        weights = [item.weight for item in self.items]
        weights = [] if set(weights) == {1.0} else weights
        told = (self.classes, facts, *(it for it in (names, weights) if it))
        digest = hashlib.sha256(repr(told).encode(errors="surrogatepass"))
        return f"{self._files.identity()} {digest.hexdigest()}"


def _place(root: Path, row: Row) -> str:
    path = row.file.path
    return path if path.startswith("/") else f"{root}/{path}"


def _read_dicom(
    root: Path,
    rows: list[Row],
    settings: DataSettings,
    where: Sequence[str],
    notes: list[str],
) -> list[Row]:
    """Choose DICOM files by tags, and give them the groups that they have if rows have none."""
    paths = [_place(root, row) for row in rows]
    label_of = dict(zip(paths, (row.label for row in rows), strict=True))
    files = [path for path in label_of if may_be_dicom(path) and is_dicom(path)]
    if not files:
        if where:
            raise DataError(f"--where {where[0]} names a DICOM tag, and no row a DICOM file.")
        if settings.group_tag != "auto":
            raise no_meaning(settings, "group_tag", "which lists no DICOM files")
        return rows
    from search.data.dicom.series import read_listed

    has_groups = any(row.group for row in rows)
    found, said = read_listed(
        files,
        [label_of[path] for path in files],
        settings,
        where,
        has_groups=has_groups,
    )
    notes += said
    listed = {files[i]: file for i, file in found.items()}
    left_out = set(files) - listed.keys()
    return [
        row._replace(group=row.group or listed[path].group, facts=row.facts + listed[path].facts)
        if path in listed
        else row
        for path, row in zip(paths, rows, strict=True)
        if path not in left_out
    ]


def _number(rows: list[Row], settings: DataSettings) -> list[Row]:
    """Give each row the slice, frame or page that its number means; a file is a group."""
    if settings.pages != FIRST_PAGE:
        raise no_meaning(settings, "pages", "whose table has the numbers")
    rule = parse_slices(settings.slices)
    n_used = Counter(row.file.path for row in rows)
    files = {path: number for number, path in enumerate(n_used, 1)}
    found = []
    for row in rows:
        file, frame = row.file, row.file.frame
        if is_volume(file.path) and isinstance(frame, int):
            frame = Slice(rule.axis, frame, settings.volume - 1)
        elif frame and not (has_pages(file.path) or may_be_dicom(file.path)):
            raise DataError(
                f"{file.path} has one image only. Received: number {frame_number(frame) + 1} of it"
                f" in the column {settings.frame_column!r} (--frame-column)."
            )
        image = file._replace(frame=frame, n_frames=n_used[file.path])
        found.append(row._replace(file=image, group=row.group or f"file #{files[file.path]}"))
    return found


def _expand(
    root: Path,
    rows: list[Row],
    settings: DataSettings,
    notes: list[str],
    progress: Progress | None,
) -> list[Row]:
    """Replace each row of a file with several images by one for each that is used."""
    names = [row.file.path for row in rows]
    paths = [_place(root, row) for row in rows]
    has_groups = any(row.group for row in rows)
    images = find_images_in_files(paths, names, settings, notes, progress, has_groups=has_groups)
    n_used = Counter(it.position for it in images)
    found = []
    for position, frame, its_group in images:
        row = rows[position]
        file = row.file._replace(frame=frame, n_frames=n_used[position])
        found.append(row._replace(file=file, group=row.group or its_group))
    return found
