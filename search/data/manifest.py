"""Images that a table lists: a manifest with a row for each image, its label, group and split."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from search.data.file_finder import FileFinder
from search.data.groups import find_groups
from search.data.image_files import FileOnDisk, ImageFiles
from search.data.layout import split_of
from search.data.manifest_columns import Columns, find_columns, is_flagged
from search.data.settings import DataSettings
from search.data.source_api import Item
from search.data.tables import Table, read_table
from search.errors import DataError
from spaces.wording import plural, shorten

UNCERTAIN = "-1"
"""A label that says that nobody knows, among labels of 0 and 1."""
NO_LABEL = frozenset({"", "nan", "none", "null", "na", "n/a"})
SEPARATORS = ("|", ";", ",")
N_EXAMPLES = 3
MAX_LABEL = 200
MAX_CLASSES = 10_000


class ManifestSource:
    """Image files that a table lists."""

    kind = "manifest"

    def __init__(self, path: Path, settings: DataSettings) -> None:
        """Read the table and find its files; raise `DataError` if that is not possible."""
        table = read_table(path)
        root = path.parent if settings.root is None else Path(settings.root)
        if not root.is_dir():
            raise DataError(f"Expected a folder for --root. Received: {root}.")
        columns = find_columns(table, settings)
        reader = _RowReader(path, table, columns, settings, FileFinder(root, settings.exclude))
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
        return f"{self._files.identity()} {self.classes!r} {hash_of(facts)}"


def hash_of(facts: object) -> str:
    """Return a hash of something whose `repr` tells all."""
    from hashlib import sha256

    return sha256(repr(facts).encode(errors="surrogatepass")).hexdigest()


def _plain(label: str) -> str:
    """Return a whole number that is written as a decimal fraction as a whole number."""
    whole, dot, rest = label.partition(".")
    return whole if dot and whole.removeprefix("-").isdigit() and not rest.strip("0") else label


Row = tuple[FileOnDisk, str, str, str]
"""A file with its label, group and split."""


class _RowReader:
    """Reads the rows of a manifest.

    Attributes:
        notes: What was left out in words.
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
        self._path = path
        self._table = table
        self._columns = columns
        self._settings = settings
        self._finder = finder
        self._left_out: dict[str, list[str]] = defaultdict(list)

    def read(self) -> list[Row]:
        """Return an entry for each image with one label.

        Raises:
            DataError: If there is none, or a row says what cannot be.
        """
        chosen = self._filter_rows()
        labels = self._labels()
        by_file: dict[str, list[tuple[FileOnDisk, str, int]]] = defaultdict(list)
        paths = self._table.column(self._columns.path)
        for position in chosen:
            label = labels[position]
            if not label:
                self._leave_out("without a label", position)
                continue
            found = self._finder.find(paths[position]) if paths[position] else "its path is empty"
            if isinstance(found, str):
                self._leave_out_missing(found, position)
            else:
                by_file[found.path].append((found, label, position))
        rows = list(self._join_rows(by_file))
        self._describe()
        if not rows:
            raise DataError(
                f"No row of {self._path} leads to an image with a label: {'; '.join(self.notes)}."
            )
        return sorted(rows, key=lambda row: row[0].path)

    def _filter_rows(self) -> list[int]:
        chosen = list(range(len(self._table.rows)))
        for condition in self._settings.where:
            name, equals, value = condition.partition("=")
            if not equals or name not in self._table.columns:
                raise DataError(
                    f"Expected COLUMN=VALUE for --where, with a column of {self._path}. Received:"
                    f" {condition!r}. Known: {shorten(', '.join(self._table.columns), 200)}."
                )
            cells = self._table.column(name)
            chosen = [i for i in chosen if cells[i] == value]
            if not chosen:
                raise DataError(f"No row of {self._path} has {condition} (--where).")
        return chosen

    def _labels(self) -> list[str]:
        """Return the label of each row, empty if it has none."""
        if self._columns.flags:
            return [self._flagged(i) for i in range(len(self._table.rows))]
        cells = [_plain(cell) for cell in self._table.column(self._columns.label)]
        known = {cell for cell in cells if cell.lower() not in NO_LABEL}
        if known <= {"0", "1", UNCERTAIN}:
            cells = ["" if cell == UNCERTAIN else cell for cell in cells]
        if not self._settings.separator:
            self._check_single(known)
        return [self._label(cell, position) for position, cell in enumerate(cells)]

    def _check_single(self, labels: set[str]) -> None:
        """Raise an error if labels are lists of others."""
        for separator in SEPARATORS:
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
        positive, separator = self._settings.positive, self._settings.separator
        parts = [part.strip() for part in cell.split(separator)] if separator else [cell]
        if positive:
            return positive if positive in parts else f"not {positive}"
        if len(parts) > 1:
            raise DataError(
                f"{self._row(position)} has several labels: {shorten(cell, 100)}. A network of"
                " convsearch has one label for each image: name one class against the rest with"
                " --positive."
            )
        return parts[0]

    def _flagged(self, position: int) -> str:
        row = dict(zip(self._table.columns, self._table.rows[position], strict=True))
        names = [name for name in self._columns.flags if is_flagged(row[name])]
        positive = self._settings.positive
        if positive:
            return positive if positive in names else f"not {positive}"
        if len(names) > 1:
            raise DataError(
                f"{self._row(position)} has several labels: {', '.join(names[:N_EXAMPLES])}. A"
                " network of convsearch has one label for each image: name one class against the"
                " rest with --positive."
            )
        return names[0] if names else ""

    def _join_rows(self, by_file: dict[str, list[tuple[FileOnDisk, str, int]]]) -> Iterator[Row]:
        """Yield one entry for each file: several rows may name it, if they agree."""
        n_repeated = 0
        for found in by_file.values():
            labels = {label for _, label, _ in found}
            positions = [position for *_, position in found]
            if self._settings.positive and len(labels) > 1:
                labels = {self._settings.positive}
            if len(labels) > 1:
                self._leave_out("of an image whose rows have different labels", *positions)
                continue
            groups = {self._cell(self._columns.group, it) for it in positions}
            splits = {self._split(it) for it in positions}
            if len(groups) > 1 or len(splits) > 1:
                raise DataError(
                    f"Rows of one image differ in its group or split:"
                    f" {', '.join(self._row(it) for it in positions[:N_EXAMPLES])}."
                )
            n_repeated += len(positions) - 1
            yield found[0][0], labels.pop(), groups.pop(), splits.pop()
        if n_repeated:
            self.notes.append(f"{plural(n_repeated, 'row')} repeat others and count once")

    def _cell(self, column: str, position: int) -> str:
        if not column:
            return ""
        return self._table.rows[position][self._table.columns.index(column)]

    def _split(self, position: int) -> str:
        cell = self._cell(self._columns.split, position)
        if not self._columns.split:
            return ""
        split = split_of(cell)
        if not split:
            raise DataError(
                f"Expected train, val or test in the column {self._columns.split!r}. Received:"
                f" {shorten(cell, 60)!r} in {self._row(position)}."
            )
        return split

    def _row(self, position: int) -> str:
        return f"row {self._table.numbers[position]:,} of {self._path.name}"

    def _leave_out(self, why: str, *positions: int) -> None:
        self._left_out[why] += [self._row(it) for it in positions]

    def _leave_out_missing(self, reason: str, position: int) -> None:
        name = shorten(self._cell(self._columns.path, position), 80)
        text = f"{self._row(position)} ({name}: {reason})"
        if self._settings.strict:
            raise DataError(f"Cannot find the image of {text}. --strict refuses such rows.")
        self._left_out["without a file"].append(text)

    def _describe(self) -> None:
        for why, rows in self._left_out.items():
            shown = ", ".join(rows[:N_EXAMPLES]) + (", ..." if len(rows) > N_EXAMPLES else "")
            are = "is" if len(rows) == 1 else "are"
            self.notes.append(f"{plural(len(rows), 'row')} {why} {are} left out: {shown}")
        if self._finder.n_outside:
            n = plural(self._finder.n_outside, "path")
            self.notes.append(f"{n} lead out of the folder")
