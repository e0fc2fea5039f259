"""The dashboard: optuna-dashboard within a WSGI application of ours, made safe and telling."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.dashboard.app import make_app

__all__ = ["make_app"]


def __getattr__(name: str) -> Any:
    """Loads optuna-dashboard when it is asked for: the guard does without."""
    if name not in __all__:
        raise AttributeError(f"module 'analysis.dashboard' has no attribute {name!r}")
    from analysis.dashboard.app import make_app

    return make_app
