"""The rows of a manifest: a file with one label, a group and a split for each image."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from search.data.dicom.series import is_tag
from search.data.file_finder import EXCLUDED, FileFinder
from search.data.identifiers import is_identifying_column, is_uid
from search.data.image_files import FileOnDisk
from search.data.manifest_cells import (
    Parse,
    parse_frame,
    parse_split,
    parse_weight,
    plain_label,
)
from search.data.manifest_columns import Columns, hint_at_columns, is_flagged
from search.data.read_image import frame_name, frame_number
from search.data.settings import DataSettings
from search.data.source_api import Facts
from search.data.tables import Table
from search.errors import DataError
from spaces.wording import first_of, plural, shorten

UNCERTAIN = "-1"
"""A label that says that nobody knows, among labels of 0 and 1."""
# fmt: off
NO_LABEL = frozenset({
    "", "nan", "null", "n/a", "<na>", "#n/a", "#null!", "#value!", "#ref!", "#name?", "#num!",
    "#div/0!",
})
# fmt: on
"""Cells without a value, the errors of Excel among them, in small letters."""
SEPARATORS = ("|", ";", ",")
N_EXAMPLES = 3
MIN_REPEATED = 20
"""Different labels from which on they must be fewer than half of the images."""
MAX_LABEL = 200


T = TypeVar("T")


class Row(NamedTuple):
    """An image of a file, with its label, group, split, weight, and how it was taken."""

    file: FileOnDisk
    label: str
    group: str
    split: str
    weight: float = 1.0
    facts: Facts = ()


class RowReader:
    """Reads the rows of a manifest.

    Attributes:
        notes: What was left out in words.
        where_tags: The conditions of `where` on tags of DICOM files.
    """

    def __init__(
        self,
        path: Path,
        table: Table,
        columns: Columns,
        settings: DataSettings,
        finder: FileFinder,
    ) -> None:
        self.notes: list[str] = []
        self.where_tags: list[str] = []
        self._path = path
        self._table = table
        self._columns = columns
        self._settings = settings
        self._finder = finder
        self._left_out: dict[str, list[str]] = defaultdict(list)
        self._known: set[str] = set()

    def read(self) -> list[Row]:
        """Return an entry for each image with one label.

        Raises:
            DataError: If there is none, or a row says what cannot be.
        """
        chosen = self._filter_rows()
        labels = self._labels(chosen)
        by_file: dict[str, list[tuple[FileOnDisk, str, int]]] = defaultdict(list)
        for position in chosen:
            if position not in labels:
                continue
            if not labels[position]:
                self._left_out["without a label"].append(self._row(position))
                continue
            name = self._cell(self._columns.path, position)
            found = self._finder.find(name) if name else "its path is empty"
            if found == EXCLUDED:
                self._left_out["that --exclude names"].append(self._row(position))
            elif isinstance(found, str):
                self._leave_out_missing(found, position)
            else:
                for file in found:
                    image = file._replace(
                        frame=self._parse(parse_frame, self._columns.frame, position)
                    )
                    name = frame_name(image.path, image.frame)
                    by_file[name].append((image, labels[position], position))
        rows = list(self._join_rows(by_file))
        self._describe()
        if not rows:
            raise DataError(
                f"No row of {self._path} leads to an image with a label: {'; '.join(self.notes)}."
                " Paths are relative to the table, or to --root."
            )
        self._check_labels(Counter(row.label for row in rows))
        return sorted(rows, key=lambda row: (row.file.path, frame_number(row.file.frame)))

    def _check_labels(self, labels: Counter[str]) -> None:
        positive = self._settings.positive
        if positive and positive not in labels:
            separator = self._settings.separator
            cells = [cell.split(separator) if separator else [cell] for cell in self._known]
            parts = {label.strip() for labels in cells for label in labels}
            known = shorten(", ".join(sorted(parts)), 200)
            raise DataError(f"No image has the label {positive!r} (--positive). Known: {known}.")
        n_images = sum(labels.values())
        if len(labels) > MIN_REPEATED and len(labels) > n_images / 2:
            raise DataError(
                f"Expected labels that several images have. Received: {len(labels):,} different"
                f" ones for {n_images:,} images. Name the column of labels: --label-column."
            )

    def _filter_rows(self) -> list[int]:
        chosen = list(range(len(self._table.rows)))
        for condition in self._settings.where:
            name, equals, value = condition.partition("=")
            if equals and name not in self._table.columns and is_tag(name):
                self.where_tags.append(condition)
                continue
            if not equals or name not in self._table.columns:
                raise DataError(
                    f"Expected COLUMN=VALUE for --where, with a column of {self._path}. Received:"
                    f" {condition!r}. Known: {shorten(', '.join(self._table.columns), 200)}."
                )
            if is_identifying_column(name) or name == self._columns.group:
                raise DataError(
                    f"--where {name} would store an identifier of a patient with the study. Choose"
                    " rows by another column, or make a table of the rows that you want."
                )
            cells = self._table.column(name)
            chosen = [i for i in chosen if cells[i] == value]
            if not chosen:
                raise DataError(f"No row of {self._path} has {condition} (--where).")
        return chosen

    def _labels(self, chosen: Sequence[int]) -> dict[int, str]:
        """Return the label of each chosen row, empty if it has none, without uncertain rows."""
        if self._columns.flags:
            self._known = set(self._columns.flags)
            return {position: self._flagged(position) for position in chosen}
        cells = {it: plain_label(self._cell(self._columns.label, it)) for it in chosen}
        self._known = {cell for cell in cells.values() if cell.lower() not in NO_LABEL}
        if self._known <= {"0", "1", UNCERTAIN} and UNCERTAIN in self._known:
            cells = {it: cell for it, cell in cells.items() if cell != UNCERTAIN}
            n = plural(len(chosen) - len(cells), "row")
            self.notes.append(f"{n} with the label -1 left out as uncertain")
        self._check_single(self._known)
        return {it: self._label(cell, it) for it, cell in cells.items()}

    def _check_single(self, labels: set[str]) -> None:
        """Raise an error if labels are lists of others."""
        for separator in set(SEPARATORS) - {self._settings.separator}:
            for label in sorted(labels):
                parts = {part.strip() for part in label.split(separator)}
                if len(parts) > 1 and parts <= labels:
                    raise DataError(
                        f"Images of {self._path} have several labels, such as"
                        f" {shorten(label, 100)!r}. A network of convsearch has one label for each"
                        " image: name one class against the rest, as --separator"
                        f" {separator!r} --positive {sorted(parts)[0]!r}"
                    )

    def _label(self, cell: str, position: int) -> str:
        if cell.lower() in NO_LABEL:
            return ""
        if len(cell) > MAX_LABEL:
            raise DataError(
                f"Expected labels of at most {MAX_LABEL} characters. Received:"
                f" {shorten(cell, 60)!r} in {self._row(position)}."
            )
        separator = self._settings.separator
        parts = [part.strip() for part in cell.split(separator)] if separator else [cell]
        return self._one_of(parts, position)

    def _flagged(self, position: int) -> str:
        row = dict(zip(self._table.columns, self._table.rows[position], strict=True))
        names = [name for name in self._columns.flags if is_flagged(row[name])]
        return self._one_of(names, position)

    def _one_of(self, labels: Sequence[str], position: int) -> str:
        """Return the label of a row that may have several, empty if it has none."""
        positive = self._settings.positive
        if positive:
            return positive if positive in labels else f"not {positive}"
        if len(labels) > 1:
            shown = shorten(", ".join(labels[:N_EXAMPLES]), 100)
            raise DataError(
                f"{self._row(position)} has several labels: {shown}. A network of convsearch has"
                " one label for each image: name one class against the rest with --positive."
            )
        return labels[0] if labels else ""

    def _join_rows(self, by_file: dict[str, list[tuple[FileOnDisk, str, int]]]) -> Iterator[Row]:
        """Yield one entry for each file: several rows may name it, if they agree."""
        n_repeated = 0
        for found in by_file.values():
            labels = {label for _, label, _ in found}
            positions = [position for *_, position in found]
            if self._settings.positive and len(labels) > 1:
                labels = {self._settings.positive}
            if len(labels) > 1:
                why = "of an image whose rows have different labels"
                self._left_out[why] += [self._row(it) for it in positions]
                continue
            groups = {self._group(it) for it in positions}
            splits = {self._parse(parse_split, self._columns.split, it) or "" for it in positions}
            weights = {
                self._parse(parse_weight, self._columns.weight, it) or 1.0 for it in positions
            }
            if max(len(groups), len(splits), len(weights)) > 1:
                raise DataError(
                    f"Rows of one image differ in its group, split or weight:"
                    f" {', '.join(self._row(it) for it in positions[:N_EXAMPLES])}."
                )
            n_repeated += len(positions) - 1
            facts = self._facts(positions[0])
            yield Row(found[0][0], labels.pop(), groups.pop(), splits.pop(), weights.pop(), facts)
        if n_repeated:
            repeat = "repeats another and counts" if n_repeated == 1 else "repeat others and count"
            self.notes.append(f"{plural(n_repeated, 'row')} {repeat} once")

    def _cell(self, column: str, position: int) -> str:
        if not column:
            return ""
        return self._table.rows[position][self._table.columns.index(column)]

    def _group(self, position: int) -> str:
        cell = self._cell(self._columns.group, position)
        return "" if cell.lower() in NO_LABEL else cell

    def _facts(self, position: int) -> Facts:
        """Return what the table says of how an image was taken."""
        cells = ((name, self._cell(name, position)) for name in self._columns.facts)
        return tuple((f"the column {name!r}", cell) for name, cell in cells if cell)

    def _parse(self, parse: Parse[T], column: str, position: int) -> T | None:
        """Return what a cell means; None if there is no such column."""
        if not column:
            return None
        try:
            return parse(self._cell(column, position), column)
        except ValueError as error:
            raise DataError(f"{error} in {self._row(position)}.") from None

    def _row(self, position: int) -> str:
        return f"row {self._table.numbers[position]:,} of {self._path.name}"

    def _leave_out_missing(self, reason: str, position: int) -> None:
        cell = self._cell(self._columns.path, position)
        name = "a DICOM UID" if is_uid(cell) else shorten(cell, 80)  # It identifies a patient.
        text = f"{self._row(position)} ({name}: {reason})"
        if self._settings.strict:
            raise DataError(f"Cannot find the image of {text}. --strict refuses such rows.")
        self._left_out["without a file"].append(text)

    def _describe(self) -> None:
        for why, left_out in self._left_out.items():
            shown = first_of(left_out, N_EXAMPLES)
            are = "is" if len(left_out) == 1 else "are"
            self.notes.append(f"{plural(len(left_out), 'row')} {why} {are} left out: {shown}")
        self.notes += hint_at_columns(self._table.columns, self._columns)
        if n := len(self._finder.by_name):
            self.notes.append(
                f"{plural(n, 'file')} found by name, in another folder than the path says"
            )
        if n := len(self._finder.by_uid):
            self.notes.append(f"{plural(n, 'DICOM file')} found by UID")
        if n := len(self._finder.outside):
            self.notes.append(f"{plural(n, 'file')} outside of the folder of images")
