"""Tables of labels beside a folder of images: folders that say something else are no classes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from search.data.file_names import join_names
from search.data.layout import LabeledFile
from search.data.listing import ImageFile
from search.data.manifest_columns import guess_column
from search.data.tables import EXTENSIONS, read_table
from search.errors import DataError

MAX_TABLES, MAX_BYTES = 5, 50 * 2**20
"""Tables that are looked at, and the size of each."""
MIN_NAMED, MAX_EXCEPTIONS = 0.5, 0.05
"""Shares: of the images that a table has to name, and of those whose label may be an error."""


def check_label_tables(
    root: Path, files: Sequence[ImageFile], images: Sequence[LabeledFile]
) -> None:
    """Raise `DataError` if a table has labels for the images which their folders do not have."""
    tables = [it for it in files if it.extension in EXTENSIONS and it.size <= MAX_BYTES]
    for file in sorted(tables, key=lambda it: (len(it.parts), it.parts))[:MAX_TABLES]:
        with suppress(DataError):  # It cannot be read, so nobody can search by it either.
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
    table = read_table(path)
    names, labels = (guess_column(what, table.columns) for what in ("path", "label"))
    if not names or not labels:
        return
    of_name = dict(zip(map(_stem, table.column(names)), table.column(labels), strict=True))
    for image in images:
        label = of_name.get(_stem(image.file.name))
        if label:
            yield image.class_name, label


def _stem(path: str) -> str:
    name = PurePosixPath(path.replace("\\", "/")).name
    return name.rpartition(".")[0] or name


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
