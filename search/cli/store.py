"""Opening the store of a command that reads, and putting right what dead workers left in it."""

from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from storage import Store


def open_for_reading(url: str | None) -> "AbstractContextManager[Store]":
    """Open a store to be read as it stands; an older one is brought up to date first."""
    from search.settings.plan import store_url
    from storage import Store
    from storage.inspection.database_health import read_versions

    place = store_url(url)
    store = Store.inspect(place)
    if not read_versions(store).is_current:
        store.close()
        store = Store.open(place, create=False)
    return closing(store)


def recover_study(store: "Store", url: str | None, study: str, console: "Console") -> None:
    """Put right what dead workers left of a study, where they left anything.

    A store that cannot be written is shown as it is, with a line that says so.
    """
    from search.settings.plan import store_url
    from storage import Store, StoreError, find_study, needs_recovery, recover_once

    record = find_study(store, study)
    if record.is_optuna_only or not needs_recovery(store, record.study_id):
        return
    try:
        with closing(Store.open(store_url(url), create=False)) as writable:
            recover_once(writable, record.study_id)
    except StoreError as error:
        console.print(f"Dead workers left trials behind that stay as they are: {error}")
