"""The service: settings, data, training, workers, launchers and the command line.

`search.run` is the command `convsearch run` as a function. It is loaded when it is asked for, so
that the command line answers at once.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.api import run

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    if name != "run":
        raise AttributeError(f"module 'search' has no attribute {name!r}")
    from search import api

    return api.run
