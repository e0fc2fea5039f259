"""The report as a Jupyter notebook: its cells, and the kernel that runs them.

The tables and figures that it shows are those of `analysis.report`.
"""

from analysis.report.notebook.build import build_notebook
from analysis.report.notebook.write import write_notebook

__all__ = ["build_notebook", "write_notebook"]
