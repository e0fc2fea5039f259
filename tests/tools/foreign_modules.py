"""Modules in a data set's folder that a stranger named like those that convsearch imports."""

from pathlib import Path

NAMES = ("analysis", "search", "spaces", "storage", "json", "keras", "numpy", "optuna", "psutil")
"""Some that child processes import first: ours, one of Python's, and those of libraries."""
CODE = """
from pathlib import Path
with Path(__file__).with_name("foreign.txt").open("a") as file:
    file.write(__name__ + " ")
raise ImportError(f"The foreign {__name__} was run.")
"""


def write_foreign_modules(folder: Path) -> Path:
    """Write the modules to a folder; return the file that exists once one of them was run."""
    for name in NAMES:
        (folder / f"{name}.py").write_text(CODE)
    return folder / "foreign.txt"
