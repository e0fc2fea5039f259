"""Writing a report: page, data, trials and notebook, each file whole or not at all."""

from collections.abc import Callable, Mapping
from pathlib import Path

from analysis.errors import ReportError
from analysis.output_files import Progress, write_atomically
from analysis.report.data_files import write_json, write_trials
from analysis.report.facts import Facts
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

    `report.json` comes last: without it, writing was interrupted. If the notebook does not run,
    all files are still written.

    Args:
        facts: Of the study.
        out: An existing folder; files of these names are replaced.
        store: The URL of the store relative to that folder, without a password, for the notebook.
        lang: Language of the page and the notebook, `en` or `ru`.
        environment: Variables for the notebook's kernel only, such as a store URL with a password.
        progress: Called with the numbers of files written and of cells run.

    Returns:
        The files, in the order above.

    Raises:
        ReportError: If a file cannot be written, or the notebook does not run; it is then written
            without outputs.
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
    """Write a file; return the error of a notebook that is written without having been run."""
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
