"""Names for the classes of an `.npz` whose labels are numbers, from a text file beside it.

Line by line, it has the names of labels 0, 1, ... The file is untrusted, as the `.npz` is.
"""

from pathlib import Path

from search.errors import DataError
from spaces.wording import shorten

MAX_BYTES = 4 * 2**20
MAX_CLASSES = 10_000
MAX_NAME = 200
"""Characters in a name: a file's name can have as many."""


def class_names_path(npz: Path) -> Path:
    """Return the path of the names of an `.npz`, such as `a.classes.txt` for `a.npz`."""
    return npz.with_suffix(".classes.txt")


def read_class_names(npz: Path) -> tuple[str, ...]:
    """Return the names beside an `.npz`, or none if there is no such file.

    Raises:
        DataError: If the file cannot be read, or holds something else than different names.
    """
    path = class_names_path(npz)
    if not path.exists():
        return ()
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        lines = content.decode("utf-8-sig").removesuffix("\n").split("\n")
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.") from error
    except UnicodeError as error:
        raise DataError(f"Expected text in UTF-8 in {path}.") from error
    names = tuple(line.strip() for line in lines)
    _check_names(path, names, is_whole=len(content) <= MAX_BYTES)
    return names


def _check_names(path: Path, names: tuple[str, ...], *, is_whole: bool) -> None:
    if not is_whole or len(names) > MAX_CLASSES:
        raise DataError(f"Expected at most {MAX_CLASSES:,} lines with a name in each in {path}.")
    for name in names:
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise DataError(
                f"Expected names of 1 to {MAX_NAME} characters in {path}, one a line. Received:"
                f" {shorten(name, 20)!r}."
            )
    if len(set(names)) < len(names):
        double = next(name for i, name in enumerate(names) if name in names[:i])
        raise DataError(f"Expected different names in {path}. Received: {double!r} twice.")
