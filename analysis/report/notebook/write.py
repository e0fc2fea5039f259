"""Writing the notebook after running it, without traces of the machine and time."""

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
"""Plotly loads a library for formulas, which the figures do not contain."""


def write_notebook(
    facts: Facts,
    path: Path,
    *,
    store: str,
    lang: str = "en",
    environment: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> None:
    """Run the notebook of a study in its folder and write it, whole or not at all.

    Equal facts give an equal notebook. `store` is the store's URL relative to the notebook's
    folder, without a password. `environment` has variables for the kernel only, such as a store
    URL with a password; they are not in the notebook.

    Raises:
        ReportError: If a cell fails; the notebook is then written without having been run.
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
    """Remove warnings, which name folders of the machine, and random ids of figures."""
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
    """Replace the random id in a figure's HTML; return whether the output is a figure."""
    html = output.get("data", {}).get("text/html", "")
    found = FIGURE_ID.search(html)
    if found is None:
        return False
    output.data["text/html"] = EXTERNAL_SCRIPT.sub("", html.replace(found[1], name))
    return True
