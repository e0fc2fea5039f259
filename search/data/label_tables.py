"""Tables of labels beside a folder of images: folders that say something else are no classes."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from search.data.file_names import join_names
from search.data.layout import LabeledFile
from search.data.listing import ImageFile
from search.data.manifest_columns import guess_column
from search.data.tables import read_table
from search.errors import DataError

EXTENSIONS = frozenset({".csv", ".tsv"})
MAX_TABLES, MAX_BYTES, MAX_LINE = 5, 20 * 2**20, 64 * 2**10
"""Tables that are looked at, the size of each, and of the line with the names of its columns."""
MIN_NAMED, MAX_EXCEPTIONS = 0.5, 0.05
"""Shares: of the images that a table has to name, and of those whose label may be an error."""
VAGUE = frozenset({"type", "y"})
"""Columns of such names say other things as often as classes."""


def check_label_tables(
    root: Path, files: Sequence[ImageFile], images: Sequence[LabeledFile]
) -> None:
    """Raise `DataError` if a table has labels for the images which their folders do not have."""
    tables = [it for it in files if it.extension in EXTENSIONS and it.size <= MAX_BYTES]
    for file in sorted(tables, key=lambda it: (len(it.parts), it.parts))[:MAX_TABLES]:
        with suppress(DataError, OSError):  # Nobody can search by one that cannot be read.
            pairs = list(_labels_in(root / file.name, images))
            if len(pairs) >= MIN_NAMED * len(images) and not _agree(pairs):
                break
    else:
        return
    classes = sorted({image.class_name for image in images})
    raise DataError(
        f"{file.name} has other labels for {len(pairs):,} of the {len(images):,} images than their"
        f" folders {join_names(classes)}. If the folders are the classes, name them:"
        f" --classes {','.join(classes[:2])}{',...' if len(classes) > 2 else ''}. If the table has"
        f" them, search in {root / file.name}"
    )


def _labels_in(path: Path, images: Sequence[LabeledFile]) -> Iterator[tuple[str, str]]:
    """Yield the folder and the label of each image that a table names."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        if not all(_find_columns(re.split(r"[,;\t|]", file.readline(MAX_LINE)))):
            return
    table = read_table(path)
    names, labels = _find_columns(table.columns)
    if not names or not labels:
        return
    found: dict[str, set[str]] = defaultdict(set)
    for name, label in zip(table.column(names), table.column(labels), strict=True):
        for key in _keys(name):
            found[key].add(label)
    n_with = Counter(key for image in images for key in _keys(image.file.name))
    for image in images:
        its = (found[key] for key in _keys(image.file.name) if n_with[key] == 1 and key in found)
        said = next(its, set())
        if len(said) == 1 and "" not in said:
            yield image.class_name, next(iter(said))


def _find_columns(names: Iterable[str]) -> tuple[str, str]:
    """Return the columns of paths and of labels, empty for none."""
    plain = [name.strip().strip('"') for name in names]
    clear = [name for name in plain if name.lower() not in VAGUE]
    return guess_column("path", plain), guess_column("label", clear)


def _keys(path: str) -> tuple[str, ...]:
    """Return the ends of a path by which it is known, the longer one first, without extension."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    if not parts:
        return ()
    stem = parts[-1].rpartition(".")[0] or parts[-1]
    return (f"{parts[-2]}/{stem}", stem) if len(parts) > 1 else (stem,)


def _agree(pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether folders tell the labels, or labels the folders, of which one may be finer."""
    counts = Counter(pairs)
    for place in (0, 1):
        best: Counter[str] = Counter()
        for pair, n in counts.items():
            best[pair[place]] = max(best[pair[place]], n)
        if best.total() >= (1 - MAX_EXCEPTIONS) * len(pairs):
            return True
    return False
