"""`data inspect --html`: the summary of a source as a page with pictures."""

import os
from pathlib import Path

from analysis.errors import ReportError
from analysis.output_files import write_atomically
from search.data import DataSettings, Progress, SourceSummary, examine_source
from search.errors import SettingsError

EXTENSIONS = (".html", ".htm")
"""Others are refused: a source by mistake would be replaced."""


def write_source_page(
    settings: DataSettings, path: Path, progress: Progress | None = None
) -> SourceSummary:
    """Read every image of a source, write its page, and return its summary.

    The page can be read by its owner alone, unless new files are shared: it has pictures.

    Raises:
        SettingsError: If the page cannot be there; no image is read then.
        DataError: If the source cannot be used.
        ReportError: If the page cannot be written.
    """
    check_page(path)
    from analysis.source_page.page import render_source_page  # Loads Plotly.
    from search.reports.source_facts import gather_source_facts

    found = examine_source(settings, progress)
    page = render_source_page(gather_source_facts(found))
    try:
        write_atomically(path, page.encode(), is_private=True)
    except OSError as error:
        raise ReportError(f"Cannot write {path}: {error.strerror or error}.") from error
    return found.summary


def check_page(path: Path) -> None:
    """Refuse a path at which no page can be written.

    Raises:
        SettingsError: If it is a folder, has another extension, or its folder cannot be used.
    """
    try:
        is_folder, has_folder = path.is_dir(), path.parent.is_dir()
    except OSError as error:
        raise SettingsError(f"--html: cannot open {path.parent}: {error.strerror}.") from error
    if is_folder:
        raise SettingsError(f"--html: expected a file. Received a folder: {path}")
    if path.suffix.lower() not in EXTENSIONS:
        raise SettingsError(f"--html: expected a name that ends with .html. Received: {path}")
    if not has_folder:
        raise SettingsError(f"--html: there is no folder {path.parent}. Make it, or name another.")
    if not os.access(path.parent, os.W_OK):
        raise SettingsError(f"--html: the folder {path.parent} cannot be written to.")
