"""The notebook of a study before it is run."""

from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from analysis.report.facts import Facts
from analysis.report.notebook.cell_writer import Cell, CellWriter, escape_markdown, python_literal
from analysis.report.notebook.conclusion import write_conclusion
from analysis.report.notebook.findings import write_results
from analysis.report.notebook.kernel import STORE_VARIABLE
from analysis.report.notebook.study import write_aim, write_data, write_methods, write_search
from spaces.families import builtin_families
from storage import hide_passwords

RENDERER = "plotly_mimetype+notebook"
"""Draws figures without a network in Jupyter, in editors, and in exported pages."""
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}
"""Jupyter's description of Python, without its version."""


def build_notebook(facts: Facts, *, store: str, lang: str = "en") -> NotebookNode:
    """Return the notebook of a study, whose cells have not been run.

    `store` is the store's URL relative to the notebook's folder; passwords are hidden.
    """
    writer = CellWriter(facts, lang)
    _write_start(writer, hide_passwords(store))
    parts = (write_aim, write_data, write_methods, write_search, write_results, write_conclusion)
    for write_part in parts:
        write_part(writer)
    cells = [make_cell(it, f"cell-{place:02}") for place, it in enumerate(writer.cells, start=1)]
    metadata = {"kernelspec": KERNEL, "language_info": LANGUAGE, "title": facts.study}
    notebook: NotebookNode = new_notebook(  # type: ignore[no-untyped-call]
        cells=cells, metadata=metadata
    )
    nbformat.validate(notebook)
    return notebook


def _write_start(writer: CellWriter, store: str) -> None:
    facts = writer.facts
    version = facts.search.versions.get("convsearch", "")
    writer.add_text(
        writer.say("title", study=escape_markdown(facts.study)),
        writer.say("about", maker=escape_markdown(f"convsearch {version}")),
        writer.say("partial") if facts.is_partial else "",
    )
    writer.add_code(
        "import os",
        "",
        "import plotly.io",
        "",
        "import analysis",
        "import search",
        "",
        f"plotly.io.renderers.default = {python_literal(RENDERER)}",
    )
    writer.add_text(writer.say("setup"))
    arguments = f"{python_literal(facts.study)}, winner=winner"
    if not set(facts.search.families) <= set(builtin_families()):
        arguments += ", trust_modules=True"
    writer.add_code(
        f"store = os.environ.get({python_literal(STORE_VARIABLE)}, {python_literal(store)})",
        f"winner = ({python_literal(facts.winner.source)}, {facts.winner.source_trial})",
        f"facts = search.gather_facts(store, {arguments})",
    )


def make_cell(cell: Cell, name: str) -> NotebookNode:
    """Return a cell of a notebook, with `name` as its id."""
    make: Any = new_markdown_cell if cell.kind == "markdown" else new_code_cell
    made: NotebookNode = make(cell.source, id=name)
    return made
