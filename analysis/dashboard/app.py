"""The application that shows a store: optuna-dashboard's own."""

from typing import TYPE_CHECKING, cast

from optuna_dashboard import wsgi

from storage import Store

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


def make_app(store: Store, *, allows_edit: bool = False) -> "WSGIApplication":
    """Makes the WSGI application of a store; it asks nobody who they are."""
    del allows_edit
    return cast("WSGIApplication", wsgi(store.optuna_storage))
