"""Images that a table lists: a manifest with a row for each image, its label, group and split."""

import hashlib
import os
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from search.data.file_finder import FileFinder
from search.data.group_quality import (
    describe_unlikely_groups,
    why_no_groups,
    why_not_to_guess,
)
from search.data.grouped_split import join_groups
from search.data.groups import describe_found_groups, find_groups
from search.data.image_files import ImageFiles
from search.data.images_in_files import find_images_in_files
from search.data.joined_table import join_table
from search.data.manifest_columns import NONE, Columns, find_columns
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
from spaces.wording import plural

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
        finder = FileFinder(root, settings.exclude, progress)
        reader = RowReader(path, table, columns, settings, finder)
        rows = reader.read()
        columns, why_not = _check_group_column(columns, rows, settings)
        if not columns.group:
            rows = [row._replace(group="") for row in rows]
        self.guessed = columns.guessed(settings)
        self.warnings = [columns.describe(), *notes, *reader.notes, *why_not]
        joins_tags = bool(columns.group) and not settings.group_column
        rows, are_joined = _read_dicom(
            root, rows, settings, reader.where_tags, self.warnings, joins_tags=joins_tags
        )
        if are_joined:  # Without these of the tags, if the column was named.
            self.guessed.pop("group_column", None)
        elif columns.group:
            self.warnings += _describe_groups(columns.group, rows, path)
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
            names = [row.file.path for row in rows]
            groups = find_groups(names, settings.group_from)
            self.warnings += describe_found_groups(groups, [row.label for row in rows])
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


def _check_group_column(
    columns: Columns, rows: Sequence[Row], settings: DataSettings
) -> tuple[Columns, list[str]]:
    """Return the columns without one of groups that is not used, and why it is not.

    One that was named is always used.
    """
    name = columns.group
    if not name or settings.group_column:
        return columns, []
    values = [row.group for row in rows]
    # If a class is of one patient, given splits may divide that patient: then they leak.
    labels = ["" if columns.split else row.label for row in rows]
    reason = why_not_to_guess(values, labels)
    if settings.group_from or settings.group_tag not in {"auto", NONE}:
        reason = f"{'--group-from' if settings.group_from else '--group-tag'} names the groups"
    if not reason:
        return columns, []
    why = reason if reason.startswith("--") else f"it {reason}"
    note = f"the column {name!r} is not used for groups, since {why}"
    return replace(columns, group=""), [note]


def _describe_groups(column: str, rows: Sequence[Row], path: Path) -> Iterator[str]:
    """Yield what may be wrong with the groups of a column."""
    groups, labels = [row.group for row in rows], [row.label for row in rows]
    if reason := why_no_groups(groups, labels, "rows"):
        yield f"the column {column!r} {reason}: it does not tell patients apart"
    yield from describe_unlikely_groups(
        groups, labels, "row", "--group-column names another column"
    )
    if n_alone := groups.count(""):
        merged = " (merged cells of Excel have their value in the first row only)"
        yield (
            f"{plural(n_alone, 'image')} without a {column}: they can be in any"
            f" split{merged if path.suffix.lower() == '.xlsx' else ''}"
        )


def _place(root: Path, row: Row) -> str:
    path = row.file.path
    return path if path.startswith("/") else f"{root}/{path}"


def _read_dicom(
    root: Path,
    rows: list[Row],
    settings: DataSettings,
    where: Sequence[str],
    notes: list[str],
    *,
    joins_tags: bool,
) -> tuple[list[Row], bool]:
    """Choose DICOM files by tags, and give them their own groups if rows have none.

    If only some rows have a group and `joins_tags` is set, rows are together that share a group of
    either kind; also return whether there are such.
    """
    paths = [_place(root, row) for row in rows]
    label_of = dict(zip(paths, (row.label for row in rows), strict=True))
    files = [path for path in label_of if may_be_dicom(path) and is_dicom(path)]
    if not files:
        if where:
            raise DataError(f"--where {where[0]} names a DICOM tag, and no row a DICOM file.")
        if settings.group_tag != "auto":
            raise no_meaning(settings, "group_tag", "which lists no DICOM files")
        return rows, False
    from search.data.dicom.series import Listed, read_listed

    has_groups = any(row.group for row in rows)
    may_join = has_groups and joins_tags and not all(row.group for row in rows)
    found, said, of_groups = read_listed(
        files,
        [label_of[path] for path in files],
        settings,
        where,
        has_groups=has_groups and not may_join,
    )
    notes += said
    listed = {files[i]: file for i, file in found.items()}
    left_out = set(files) - listed.keys()
    kept = [
        (row, listed.get(path, Listed("", ())))
        for path, row in zip(paths, rows, strict=True)
        if path not in left_out
    ]
    groups = [row.group or file.group for row, file in kept]
    are_joined = may_join and any(file.group for _, file in kept)
    if are_joined:
        groups = _join([row.group for row, _ in kept], [file.group for _, file in kept])
        n_groups = plural(len(set(groups) - {""}), "group")
        notes.append(
            f"images are grouped by the column of the table and by DICOM tags: {n_groups}"
        )
        labels = [row.label for row, _ in kept]
        notes += describe_unlikely_groups(groups, labels, "row", "--group-column names a column")
    elif not has_groups:
        notes += of_groups
    found_rows = [
        row._replace(group=group, facts=row.facts + file.facts)
        for (row, file), group in zip(kept, groups, strict=True)
    ]
    return found_rows, are_joined


def _join(groups: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return groups of images that share one of both kinds, empty for an image with neither."""
    keys: list[list[Hashable]] = [
        [(kind, it) for kind, it in enumerate(pair) if it] or [(2, i)]
        for i, pair in enumerate(zip(groups, others, strict=True))
    ]
    found = [""] * len(groups)
    for number, members in enumerate(join_groups(keys), 1):
        for i in members:
            found[i] = f"patient {number}" if groups[i] or others[i] else ""
    return found


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
