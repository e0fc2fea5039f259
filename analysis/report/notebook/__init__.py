"""The report as a Jupyter notebook: its cells, and the kernel that runs them."""

from analysis.report.notebook.build import build_notebook
from analysis.report.notebook.write import write_notebook

__all__ = ["build_notebook", "write_notebook"]
