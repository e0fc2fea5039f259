"""The public names of `analysis`: all exist, and importing them loads nothing heavy."""

import subprocess
import sys

import pytest

import analysis

HEAVY = (
    "plotly",
    "pandas",
    "nbformat",
    "nbclient",
    "jinja2",
    "scipy.stats",
    "sklearn",
    "tensorflow",
)


def test_importing_analysis_loads_nothing_heavy() -> None:
    code = f"import sys, analysis; print([it for it in {HEAVY} if it in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", analysis.__all__)
def test_each_public_name_is_there(name: str) -> None:
    assert getattr(analysis, name) is not None
    assert name in dir(analysis)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="No analysis attribute plot_nothing"):
        _ = analysis.plot_nothing
