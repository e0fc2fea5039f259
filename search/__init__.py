"""The service: settings, data, training, workers, launchers and the command line.

`search.run`, `search.confirm` and `search.report` are the commands as functions; `gather_facts`
collects the facts of a report. Each is loaded on first use to keep the command line fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.api import run
    from search.evaluation.confirm import confirm
    from search.reports.gather_facts import gather_facts
    from search.reports.report import report

__all__ = ["confirm", "gather_facts", "report", "run"]

_PLACES = {
    "confirm": "search.evaluation.confirm",
    "gather_facts": "search.reports.gather_facts",
    "report": "search.reports.report",
    "run": "search.api",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'search' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
