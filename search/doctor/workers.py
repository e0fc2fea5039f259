"""Checks of workers, trials and budget for inconsistencies, and of machines' clocks."""

from collections.abc import Callable

from search.doctor.finding import Finding
from storage import Store, list_workers
from storage.inspection.inconsistencies import (
    Inconsistency,
    find_inconsistencies,
    repair_inconsistencies,
)

MAX_SKEW_S = 5.0
_DESCRIPTIONS = {
    "dead worker": (
        "Worker {worker} is dead: its process has ended, or its last heartbeat is too old.",
        "--fix removes it and releases its trial.",
    ),
    "stuck trial": (
        "Trial {trial} is RUNNING, but no living worker is training it.",
        "--fix puts it back into the queue, or ends it if it never began.",
    ),
    "untold outcome": (
        "The outcome of trial {trial} is recorded, but not in Optuna's tables.",
        "--fix writes it there.",
    ),
    "claim": ("A claim on the budget belongs to no living worker.", "--fix releases it."),
    "open trial": (
        "Trial {trial} is finished in convsearch's tables but still open in Optuna's.",
        "--fix finishes it in Optuna's tables, too.",
    ),
    "closed trial": (
        "Trial {trial} is finished in Optuna's tables but still open in convsearch's.",
        "--fix records the outcome that Optuna's tables have.",
    ),
    "strays": (
        "{n} rows belong to studies or trials that no longer exist in Optuna.",
        "--fix deletes them.",
    ),
}
"""What is wrong and what `--fix` does, by kind of inconsistency."""


def check_faults(store: Store, url: str) -> list[Finding]:
    """Check that tables and living workers agree."""
    inconsistencies = find_inconsistencies(store)

    def fix() -> None:
        with Store.open(url, create=False) as writable:
            repair_inconsistencies(writable, inconsistencies)

    return [_finding(store, it, fix) for it in inconsistencies]


def check_clocks(store: Store) -> list[Finding]:
    """Check the clocks of workers' machines; heartbeats use the store's."""
    ahead = {row.host: row.clock_ahead_s for row in list_workers(store) if row.is_alive}
    return [
        Finding(
            "clock",
            host,
            f"Its clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the "
            "store's.",
            "Set its clock, for instance with NTP: the times of its trials and logs are off.",
            is_wrong=False,
        )
        for host, seconds in ahead.items()
        if abs(seconds) > MAX_SKEW_S
    ]


def _finding(store: Store, found: Inconsistency, fix: Callable[[], None]) -> Finding:
    what, remedy = _DESCRIPTIONS[found.kind]
    worker = "" if found.worker is None else f"{found.worker.worker_id[:8]} on {found.worker.host}"
    where = f"study {found.study}" if found.study else store.shown_url
    what = what.format(worker=worker, trial=found.trial, n=found.n)
    return Finding(found.kind, where, what, remedy, fix=fix)
