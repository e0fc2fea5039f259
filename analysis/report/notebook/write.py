"""Writes the notebook: run, and without anything of the machine and the moment it ran on."""

import re
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from analysis.errors import ReportError
from analysis.output_files import Progress, write_atomically
from analysis.report.facts import Facts
from analysis.report.notebook.build import KERNEL, LANGUAGE, build_notebook, make_cell
from analysis.report.notebook.cell_writer import Cell
from analysis.report.notebook.kernel import run_notebook
from analysis.report.texts import texts

FIGURE_ID = re.compile(r'<div id="([0-9a-f-]{36})" class="plotly-graph-div"')
EXTERNAL_SCRIPT = re.compile(r"<script[^>]*\bsrc=[^>]*>\s*</script>")
"""Plotly asks the web for a library that sets formulas, which no figure here has."""


def write_notebook(
    facts: Facts,
    path: Path,
    *,
    store: str,
    lang: str = "en",
    environment: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the story of a study as a notebook that was run, whole or not at all.

    The kernel works in the notebook's folder, as it does when a reader runs it again. Equal facts
    give an equal notebook.

    Args:
        facts: What it tells.
        path: The file; one that is there is replaced.
        store: The URL of the store as seen from the notebook's folder, without a password.
        lang: `en` or `ru`.
        environment: Variables for the kernel alone, as a store's URL with its password; they are
            not in the notebook.
        progress: Told how many cells are run.

    Raises:
        ReportError: If a cell fails; the notebook is written then too, but has not been run.
        ValueError: If there are no texts in that language.
        OSError: If the file cannot be written.
    """
    notebook = build_notebook(facts, store=store, lang=lang)
    try:
        run_notebook(notebook, path.absolute().parent, environment or {}, progress)
    except ReportError:
        _write(_unexecuted(facts, store, lang), path)
        raise
    _write(_sanitize(notebook), path)


def _write(notebook: NotebookNode, path: Path) -> None:
    text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    write_atomically(path, f"{text}\n".encode())


def _unexecuted(facts: Facts, store: str, lang: str) -> NotebookNode:
    notebook = build_notebook(facts, store=store, lang=lang)
    note = Cell("markdown", texts(lang, "notebook").say("unexecuted"))
    notebook.cells.insert(1, make_cell(note, "not-run"))
    return notebook


def _sanitize(notebook: NotebookNode) -> NotebookNode:
    """Take out what is of the machine: warnings name its folders, and figures have chance ids."""
    notebook.metadata["kernelspec"], notebook.metadata["language_info"] = KERNEL, LANGUAGE
    n_figures = 0
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [it for it in cell.outputs if it.get("name") != "stderr"]
            for output in cell.outputs:
                n_figures += _clean_html(output, f"figure-{n_figures + 1}")
    return notebook


def _clean_html(output: NotebookNode, name: str) -> bool:
    """Return a figure's HTML a name of its own; say whether it is one."""
    html = output.get("data", {}).get("text/html", "")
    found = FIGURE_ID.search(html)
    if found is None:
        return False
    output.data["text/html"] = EXTERNAL_SCRIPT.sub("", html.replace(found[1], name))
    return True
