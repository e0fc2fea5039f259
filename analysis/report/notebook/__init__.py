"""The report as a Jupyter notebook: its story, its cells, and the kernel that runs it."""

from analysis.report.notebook.build import build_notebook
from analysis.report.notebook.write import write_notebook

__all__ = ["build_notebook", "write_notebook"]
