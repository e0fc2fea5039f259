"""The service: settings, data, training, workers, launchers and the command line.

`search.run`, `search.confirm` and `search.report` are the commands as functions; `gather_facts`
reads what a report tells. They are loaded when they are asked for, so that the command line
answers at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.api import run
    from search.gather import gather_facts
    from search.reporting import report
    from search.verdict import confirm

__all__ = ["confirm", "gather_facts", "report", "run"]

_PLACES = {
    "confirm": "search.verdict",
    "gather_facts": "search.gather",
    "report": "search.reporting",
    "run": "search.api",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'search' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
