"""The folder of a report: whether it may be used, and removal of leftovers."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from analysis.errors import ReportError
from search.errors import SettingsError
from search.exported_models.archive import MODEL, MODEL_METADATA
from storage.file_rights import make_top_folder

WRITTEN = PAGE, NOTEBOOK, DATA, TRIALS = "report.html", "report.ipynb", "report.json", "trials.csv"
REPORT_FILES = (*WRITTEN, MODEL, MODEL_METADATA)
"""The files of a report: those that `--force` replaces."""
_TEMPORARY_NAME = re.compile(rf"\.writing-\w+|\.({'|'.join(map(re.escape, WRITTEN))})\.[0-9a-f]+")
"""Names of files while `atomic_write` writes them, which `kill -9` leaves behind."""
_WRITTEN_FIRST = (MODEL, PAGE)
"""One of these is written first: a folder with only `trials.csv` is a user's."""


def has_report(out: Path) -> bool:
    """Whether a folder holds a finished report; its data are written last."""
    return (out / DATA).exists()


def check_folder(out: Path, *, is_forced: bool) -> None:
    """Refuse a folder whose content must not be replaced; an unfinished report may be.

    Raises:
        SettingsError: If it is a file, or a folder that is not empty and not forced.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise SettingsError(f"--out: expected a folder. Received a file: {out}")
    if not is_forced and not _is_vacant({path.name for path in out.iterdir()}):
        raise SettingsError(
            f"--out: the folder {out} is not empty. Name another one, or replace an earlier "
            "report in it with --force."
        )


@contextmanager
def make_report_folder(out: Path) -> Iterator[None]:
    """Make the folder, for its owner alone, and remove it again if the report fails.

    The model of an earlier report is removed since the new one may have none, and its data so that
    it counts as unfinished.

    Raises:
        ReportError: If the folder cannot be created.
    """
    is_new = not out.exists()
    try:
        make_top_folder(out)
        for name in (DATA, MODEL, MODEL_METADATA):
            (out / name).unlink(missing_ok=True)
        _remove_leftovers(out)
    except OSError as error:
        raise ReportError(f"Cannot make the folder {out}: {error.strerror}.") from error
    try:
        yield
    except BaseException:  # Ctrl-C too.
        if is_new:
            with suppress(OSError):  # It stays if it is not empty.
                out.rmdir()
        raise


def _is_vacant(names: set[str]) -> bool:
    finished = {name for name in names if not _TEMPORARY_NAME.fullmatch(name)}
    is_begun = not finished or any(name in finished for name in _WRITTEN_FIRST)
    return is_begun and DATA not in finished and finished <= set(REPORT_FILES)


def _remove_leftovers(out: Path) -> None:
    """Remove half-written files of a killed report."""
    for path in out.iterdir():
        if _TEMPORARY_NAME.fullmatch(path.name):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
