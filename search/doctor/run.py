"""Runs all checks, and repairs their findings."""

from dataclasses import dataclass
from typing import Any

from search.doctor.database import check_file, check_log, check_versions
from search.doctor.files import check_artifacts, check_disk_space, load_all_settings
from search.doctor.finding import Finding
from search.doctor.workers import check_clocks, check_faults
from storage import Store
from storage.inspection.database_health import read_versions

MAX_PASSES = 3
"""A repair may uncover more: tables of an older version cannot be checked before it."""


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """Findings that were repaired, and those that are left."""

    store: str
    fixed: tuple[Finding, ...]
    left: tuple[Finding, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether no errors are left; warnings do not count."""
        return not any(finding.is_wrong for finding in self.left)

    def to_json(self) -> dict[str, Any]:
        """Return the document of `doctor --json`."""
        return {
            "store": self.store,
            "well": self.is_healthy,
            "mended": [finding.to_json() for finding in self.fixed],
            "findings": [finding.to_json() for finding in self.left],
        }


def run_checks(url: str, *, fix: bool = False) -> DoctorReport:
    """Check a store, and repair it if `fix` is set; otherwise nothing is written.

    Raises:
        StoreError: If there is no store, or it cannot be read.
    """
    fixed: list[Finding] = []
    shown, found = _run_all(url)
    for _ in range(MAX_PASSES if fix else 0):
        fixable = [finding for finding in found if finding.fix is not None]
        for fix_these in dict.fromkeys(finding.fix for finding in fixable if finding.fix):
            fix_these()
        _, left = _run_all(url)
        fixed += [finding for finding in fixable if finding not in left]
        is_new = any(finding not in found for finding in left)
        found = left
        if not is_new:
            break
    return DoctorReport(shown, tuple(dict.fromkeys(fixed)), tuple(found))


def _run_all(url: str) -> tuple[str, list[Finding]]:
    """Return the store's URL without password, and all findings."""
    broken = check_file(url)
    if broken:
        return Store.show(url), broken
    with Store.inspect(url) as store:
        versions = read_versions(store)
        findings = [*check_log(url), *check_versions(store, url, versions)]
        is_readable = versions.is_current and versions.ours is not None
        settings = load_all_settings(store) if is_readable else {}
        if is_readable:
            findings += [*check_faults(store, url), *check_clocks(store)]
            findings += check_artifacts(store, url, settings)
        return store.shown_url, [*findings, *check_disk_space(url, settings.values())]
