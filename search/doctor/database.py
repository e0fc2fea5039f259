"""Checks of the database: a SQLite file, its log and lock, and versions of tables."""

import os
import time
from pathlib import Path

from search.doctor.finding import Finding
from storage import Store, StoreError
from storage.inspection.database_health import (
    LARGE_WAL_BYTES,
    Versions,
    check_sqlite,
    checkpoint_wal,
    is_creation_locked,
    sqlite_file,
    upgrade_tables,
    wal_bytes,
)

LOCK_TRIES, LOCK_WAIT_S = 10, 0.2
"""Creating tables takes a moment; a lock held for two seconds is stuck."""


def check_file(url: str) -> list[Finding]:
    """Check the content of a SQLite file; `StoreError` if it cannot be read."""
    path = sqlite_file(url)
    if path is None:
        return []
    if not path.exists():
        return _check_missing(path)
    if not os.access(path, os.R_OK):
        raise StoreError(f"Cannot read the store {path}: Permission denied.")
    problems = check_sqlite(path)
    if not problems:
        return []
    rescued = path.with_name(f"rescued-{path.name}")
    return [
        Finding(
            "integrity",
            str(path),
            f"The file is damaged: {'; '.join(problems)}.",
            f"Copy it and its -wal file first. Then `sqlite3 {path} .recover | sqlite3 {rescued}` "
            "saves what can be read (.dump instead of .recover where that fails); continue with "
            f"--store sqlite:///{rescued}, and look at it with `convsearch doctor --fix` first.",
        )
    ]


def _check_missing(path: Path) -> list[Finding]:
    if not wal_bytes(path):
        return []
    return [
        Finding(
            "integrity",
            str(path),
            f"The file is gone, but {path.name}-wal is still there and holds the last trials.",
            "Put the file back beside its -wal file; the two belong together.",
        )
    ]


def check_log(url: str) -> list[Finding]:
    """Check whether a SQLite file's log only grows, and whether its lock is never released."""
    path = sqlite_file(url)
    if path is None:
        return []
    findings = []
    n_bytes = wal_bytes(path)
    if n_bytes > LARGE_WAL_BYTES:
        findings.append(
            Finding(
                "log",
                f"{path}-wal",
                f"SQLite's write-ahead log has grown to {n_bytes / 2**20:,.0f} MB.",
                "--fix writes it into the database file.",
                is_wrong=False,
                fix=lambda: checkpoint_wal(url),
            )
        )
    if _is_stuck(path):
        findings.append(
            Finding(
                "lock",
                f"{path}.lock",
                "A process has held the lock for seconds, so no other process can open the store.",
                f"Find it with `fuser {path}.lock`, and end it.",
            )
        )
    return findings


def _is_stuck(path: Path) -> bool:
    for _ in range(LOCK_TRIES):
        if not is_creation_locked(path):
            return False
        time.sleep(LOCK_WAIT_S)
    return True


def check_versions(store: Store, url: str, found: Versions) -> list[Finding]:
    """Check whether this convsearch and this Optuna support the tables."""
    if found.is_current:
        return []
    is_newer = found.optuna_is_older is False or (found.ours or 0) > found.ours_known
    return [
        Finding(
            "schema",
            store.shown_url,
            f"The tables are of schema {found.ours or 'none'} and Optuna's {found.optuna}; this "
            f"convsearch supports {found.ours_known} and {found.optuna_known}.",
            "Install the newer convsearch and Optuna that wrote them."
            if is_newer
            else "--fix brings them up to date; stop workers of the older version first.",
            fix=None if is_newer else lambda: upgrade_tables(url),
        )
    ]
