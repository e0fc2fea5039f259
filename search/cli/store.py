"""Open the store of a command, and recover trials of dead workers."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from storage import Store


def open_for_reading(url: str | None) -> "Store":
    """Open a store read-only; an older one is upgraded first."""
    from search.settings.store_url import store_url
    from storage import Store
    from storage.inspection.database_health import read_versions

    place = store_url(url)
    store = Store.inspect(place)
    if not read_versions(store).is_current:
        store.close()
        store = Store.open(place, create=False)
    return store


def open_for_writing(url: str | None) -> "Store":
    """Open an existing store."""
    from search.settings.store_url import store_url
    from storage import Store

    return Store.open(store_url(url), create=False)


def recover_study(store: "Store", url: str | None, study: str, console: "Console") -> None:
    """Recover open trials of dead workers; print a line if the store cannot be written."""
    from storage import StoreError, find_study, needs_recovery, recover_once

    record = find_study(store, study)
    if record.is_optuna_only or not needs_recovery(store, record.study_id):
        return
    try:
        with open_for_writing(url) as writable:
            recover_once(writable, record.study_id)
    except StoreError as error:
        console.print(f"The trials of dead workers could not be recovered: {error}")
