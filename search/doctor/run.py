"""The examination: all checks one after the other, and what `--fix` does about their findings."""

from dataclasses import dataclass
from typing import Any

from search.doctor.database import check_file, check_log, check_versions
from search.doctor.files import check_artifact_room, check_artifacts, check_room
from search.doctor.finding import Finding
from search.doctor.workers import check_clocks, check_faults
from storage import Store
from storage.inspection.database_health import read_versions

MAX_ROUNDS = 3
"""Mending one thing may uncover another: tables of an older version hide what is in them."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in a store: what has been mended of it, and what is left."""

    store: str
    mended: tuple[Finding, ...]
    left: tuple[Finding, ...]

    @property
    def is_well(self) -> bool:
        """Whether nothing is left that is wrong; warnings are not."""
        return not any(finding.is_wrong for finding in self.left)

    def to_json(self) -> dict[str, Any]:
        """Gives the document of `doctor --json`."""
        return {
            "store": self.store,
            "well": self.is_well,
            "mended": [finding.to_json() for finding in self.mended],
            "findings": [finding.to_json() for finding in self.left],
        }


def examine(url: str, *, fix: bool = False) -> Report:
    """Looks at a store, and with `fix` mends what can be; without, nothing is written.

    Raises:
        StoreError: If there is no store, or it cannot be read.
    """
    mended: list[Finding] = []
    shown, found = _find(url)
    for _ in range(MAX_ROUNDS if fix else 0):
        mendable = [finding for finding in found if finding.fix is not None]
        for fix_these in dict.fromkeys(finding.fix for finding in mendable if finding.fix):
            fix_these()
        _, left = _find(url)
        mended += [finding for finding in mendable if finding not in left]
        is_new = any(finding not in found for finding in left)
        found = left
        if not is_new:
            break
    return Report(shown, tuple(dict.fromkeys(mended)), tuple(found))


def _find(url: str) -> tuple[str, list[Finding]]:
    """Gives the store's URL as it may be shown, and what all checks find."""
    broken = check_file(url)
    if broken:
        return Store.show(url), broken
    store = Store.inspect(url)
    try:
        versions = read_versions(store)
        findings = [*check_log(url), *check_versions(store, url, versions)]
        if versions.are_current and versions.ours is not None:
            findings += [
                *check_faults(store, url),
                *check_clocks(store),
                *check_artifacts(store, url),
            ]
            findings += check_artifact_room(store)
        return store.shown_url, [*findings, *check_room(url)]
    finally:
        store.close()
