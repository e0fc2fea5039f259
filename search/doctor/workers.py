"""Checks of the fleet: workers, trials and budget against each other, and machines' clocks."""

from collections.abc import Callable

from search.doctor.finding import Finding
from storage import Store, list_workers
from storage.inspection.inconsistencies import (
    Inconsistency,
    find_inconsistencies,
    repair_inconsistencies,
)

MAX_SKEW_S = 5.0

_Describe = Callable[[Inconsistency], tuple[str, str]]
_DESCRIPTIONS: dict[str, _Describe] = {
    "dead worker": lambda it: (
        f"Worker {_worker(it)} is gone: its process has ended, or it is silent for too long.",
        "--fix takes it off the list and gives its trial back.",
    ),
    "stuck trial": lambda it: (
        f"Trial {it.trial} is RUNNING and no living worker has it.",
        "--fix lets it wait for a worker, or ends it if it never began.",
    ),
    "untold outcome": lambda it: (
        f"The end of trial {it.trial} is recorded and Optuna does not know it.",
        "--fix tells it.",
    ),
    "claim": lambda _: (
        "A trial's worth of the budget is claimed by no living worker.",
        "--fix gives it back.",
    ),
    "open trial": lambda it: (
        f"Trial {it.trial} has ended by our record and is open in Optuna.",
        "--fix tells Optuna how it ended.",
    ),
    "closed trial": lambda it: (
        f"Trial {it.trial} has ended in Optuna and is open by our record.",
        "--fix records the end that Optuna knows.",
    ),
    "strays": lambda it: (
        f"{it.n} rows are about studies or trials that Optuna has no more.",
        "--fix deletes them.",
    ),
}


def check_faults(store: Store, url: str) -> list[Finding]:
    """Check that tables and living workers agree."""
    inconsistencies = find_inconsistencies(store)

    def fix() -> None:
        opened = Store.open(url, create=False)
        try:
            repair_inconsistencies(opened, inconsistencies)
        finally:
            opened.close()

    return [_finding(store, inconsistency, fix) for inconsistency in inconsistencies]


def check_clocks(store: Store) -> list[Finding]:
    """Check the clocks of workers' machines; their lives are judged by the store's."""
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


def _finding(store: Store, inconsistency: Inconsistency, fix: Callable[[], None]) -> Finding:
    what, remedy = _DESCRIPTIONS[inconsistency.kind](inconsistency)
    where = f"study {inconsistency.study}" if inconsistency.study else store.shown_url
    return Finding(inconsistency.kind, where, what, remedy, fix=fix)


def _worker(inconsistency: Inconsistency) -> str:
    worker = inconsistency.worker
    return "" if worker is None else f"{worker.worker_id[:8]} on {worker.host}"
