"""Writes a report: its page, its data, its trials and its notebook, each whole or not at all."""

from collections.abc import Callable, Mapping
from pathlib import Path

from analysis.errors import ReportError
from analysis.output_files import Progress, write_atomically
from analysis.report.facts import Facts
from analysis.report.files import write_json, write_trials
from analysis.report.notebook import write_notebook
from analysis.report.page import render_page
from analysis.report.texts import texts

PAGE, DATA, TRIALS, NOTEBOOK = "report.html", "report.json", "trials.csv", "report.ipynb"
FILES = (PAGE, TRIALS, NOTEBOOK, DATA)


def write_report(
    facts: Facts,
    out: Path | str,
    *,
    store: str,
    lang: str = "en",
    environment: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> tuple[Path, ...]:
    """Write a study's report into a folder: `report.html`, `trials.csv`, `report.ipynb`, `.json`.

    The data come last: a report without them was cut off. A notebook that does not run costs no
    other file.

    Args:
        facts: What the report tells.
        out: A folder that is there; files of these names are replaced.
        store: The URL of the store as seen from that folder, without a password: the notebook
            reads it from there.
        lang: The language of the page and the notebook, `en` or `ru`.
        environment: Variables for the notebook's kernel alone, as a store's URL with its password.
        progress: Told how many files are written and how many cells are run.

    Returns:
        The files, in the order above.

    Raises:
        ReportError: If a file cannot be written, or the notebook does not run; it is written then,
            without results.
        ValueError: If there are no texts in that language.
    """
    texts(lang)
    folder = Path(out)
    writers: Mapping[str, Callable[[Path], None]] = {
        PAGE: lambda path: write_atomically(path, render_page(facts, lang=lang).encode()),
        TRIALS: lambda path: write_trials(facts, path),
        NOTEBOOK: lambda path: write_notebook(
            facts, path, store=store, lang=lang, environment=environment, progress=progress
        ),
        DATA: lambda path: write_json(facts, path),
    }
    not_executed: ReportError | None = None
    for n_done, (name, write) in enumerate(writers.items(), start=1):
        not_executed = _write(folder / name, write) or not_executed
        if progress is not None:
            progress(n_done, len(writers), "files of the report written")
    if not_executed is not None:
        raise not_executed
    return tuple(folder / name for name in FILES)


def _write(path: Path, write: Callable[[Path], None]) -> ReportError | None:
    """Write a file; return the error of one that is written, but not as it was meant to be."""
    try:
        write(path)
    except OSError as error:
        raise ReportError(
            f"Cannot write {path}: {error.strerror or error}. Name another folder with --out."
        ) from error
    except ReportError as error:
        not_executed = ReportError(f"{path} was written without being run. {error}")
        not_executed.__cause__ = error
        return not_executed
    return None
