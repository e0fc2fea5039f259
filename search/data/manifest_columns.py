"""Which columns of a manifest hold the paths, labels, groups and splits of images."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from search.data.file_names import split_of
from search.data.settings import DataSettings
from search.data.tables import Table
from search.errors import DataError
from spaces.wording import did_you_mean, plural, shorten

# fmt: off
_NAMES = {
    "path": (
        "path", "imagepath", "filepath", "file", "filename", "image", "imagefile", "imagename",
        "imageindex", "imageid", "idcode", "img", "imgpath", "name", "slide", "id",
        "sopinstanceuid", "seriesinstanceuid", "studyinstanceuid",
    ),
    "label": (
        "label", "labels", "class", "classname", "target", "diagnosis", "dx", "category",
        "findinglabels", "finding", "y", "level", "grade", "type",
    ),
    "group": (
        "group", "patient", "patientid", "patientsid", "subject", "subjectid", "participant",
        "participantid", "case", "caseid", "lesionid", "lesion", "person", "personid", "wsi",
    ),
    "split": ("split", "set", "subset", "partition", "fold", "dataset"),
    "frame": (),
    "weight": (),
}
"""Names without spaces and signs, the likeliest first."""
_HINTS = {
    "frame": ("frame", "slice", "page", "index", "frameindex", "sliceindex", "imageindex"),
    "weight": ("weight", "sampleweight", "imageweight"),
}
"""Names of columns that are not used unless they are named: they may mean something else."""
_FACTS = frozenset({
    "scanner", "manufacturer", "vendor", "device", "machine", "model", "site", "hospital",
    "center", "centre", "institution", "clinic", "source", "origin", "view", "viewposition",
    "modality", "magnification", "protocol", "sex", "gender", "patientssex", "patientgender",
})
# fmt: on
"""Names of columns that say how an image was taken, by which a network could tell classes."""
_FLAGS = {"0": False, "0.0": False, "1": True, "1.0": True}
MIN_FLAG_COLUMNS = 2
NONE = "none"
"""In place of the name of a column: there is none."""
OPTIONAL = ("group", "split")


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of columns; `flags` are those of classes if each class has a column of zeros and ones.

    `label` is empty then; `group`, `split`, `frame` and `weight` are empty if there are none.
    `facts` are columns that say how images were taken.
    """

    path: str
    label: str
    group: str
    split: str
    frame: str = ""
    weight: str = ""
    flags: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return the columns in words."""
        flags = f"one column for each of {len(self.flags)} classes" if self.flags else ""
        parts = {
            "path": self.path, "label": self.label or flags, "group": self.group,
            "split": self.split, "number": self.frame, "weight": self.weight,
        }  # fmt: skip
        return ", ".join(f"{what} from {name}" for what, name in parts.items() if name)

    def guessed(self, settings: DataSettings) -> dict[str, str]:
        """Return the settings that name the columns which the given settings do not name."""
        found = {
            "path_column": self.path, "label_column": self.label, "group_column": self.group,
            "split_column": self.split,
        }  # fmt: skip
        return {key: name for key, name in found.items() if name and not getattr(settings, key)}


def is_flagged(cell: str) -> bool:
    """Whether a cell of a column of zeros and ones is one."""
    return _FLAGS.get(cell, False)


def find_columns(table: Table, settings: DataSettings) -> Columns:
    """Return the columns that the settings name, or that their own names and cells tell.

    Raises:
        DataError: If a named column is missing, or the path or label is in none.
    """
    named = {
        "path": settings.path_column,
        "label": settings.label_column,
        "group": settings.group_column,
        "split": settings.split_column,
    }
    found = {what: _find(what, name, table.columns) for what, name in named.items()}
    if not found["path"]:
        raise DataError(_missing("path", table.columns))
    if found["split"] and not settings.split_column and not _has_splits(table, found["split"]):
        found["split"] = ""
    used = [*found.values(), settings.frame_column, settings.weight_column]
    flags = () if found["label"] else _find_flags(table, used)
    if not found["label"] and not flags:
        raise DataError(_missing("label", table.columns))
    frame = _find("frame", settings.frame_column, table.columns)
    weight = _find("weight", settings.weight_column, table.columns)
    others = [it for it in table.columns if it not in {*used, *flags}]
    facts = tuple(name for name in others if _plain(name) in _FACTS)
    return Columns(flags=flags, frame=frame, weight=weight, facts=facts, **found)


def hint_at_columns(columns: Sequence[str], used: Columns) -> Iterator[str]:
    """Yield a note for each column that may say which image of a file, or its weight, is meant."""
    others = [name for name in columns if name not in {used.path, used.label, used.group}]
    plain = {_plain(name): name for name in reversed(others)}
    for what, meaning in (("frame", "number the images of a file"), ("weight", "have weights")):
        names = [plain[name] for name in _HINTS[what] if name in plain]
        if names and not getattr(used, what):
            yield (
                f"the column {names[0]!r} is not used: if it should {meaning}, name it with"
                f" --{what}-column"
            )


def find_group_column(columns: Sequence[str], named: str) -> str:
    """Return the column of groups that is named, or the likeliest one; empty if there is none.

    Raises:
        DataError: If the named column is missing.
    """
    return _find("group", named, columns)


def _find(what: str, named: str, columns: Sequence[str]) -> str:
    if named == NONE and what in OPTIONAL:
        return ""
    if named and named not in columns:
        near = did_you_mean(named, columns, cutoff=0.5)
        known = shorten(", ".join(columns), 200)
        hint = f"{near[0].upper()}{near[1:]}" if near else f"Known: {known}."
        raise DataError(f"There is no column {named!r} for --{what}-column. {hint}")
    return named or guess_column(what, columns)


def guess_column(what: str, columns: Sequence[str]) -> str:
    """Return the column that is named for a path, label, group or split; empty if none is."""
    plain = {_plain(name): name for name in reversed(columns)}
    return next((plain[name] for name in _NAMES[what] if name in plain), "")


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def _missing(what: str, columns: Sequence[str]) -> str:
    known = shorten(", ".join(columns), 300)
    return f"Which column has the {what} of each image? Name it: --{what}-column. Known: {known}."


def _has_splits(table: Table, column: str) -> bool:
    cells = table.column(column)
    n_splits = sum(bool(split_of(cell)) for cell in cells)
    if 0 < n_splits < len(cells) and column.lower() == "split":
        first = next(i for i, cell in enumerate(cells) if not split_of(cell))
        n_others = plural(len(cells) - n_splits, "other cell")
        raise DataError(
            f"Expected train, val or test in the column {column!r} of every row. Received:"
            f" {n_others}, such as {shorten(cells[first], 40)!r} in row"
            f" {table.numbers[first]:,}. Correct them, or leave the column out:"
            f" --split-column {NONE}"
        )
    return n_splits == len(cells)


def _find_flags(table: Table, used: Sequence[str]) -> tuple[str, ...]:
    found = [
        name
        for name in table.columns
        if name and name not in used and len(set(table.column(name)) & _FLAGS.keys()) > 1
        if set(table.column(name)) <= _FLAGS.keys()
    ]
    return tuple(found) if len(found) >= MIN_FLAG_COLUMNS else ()
