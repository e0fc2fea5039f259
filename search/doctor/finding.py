"""A finding of the doctor: what is wrong, where, and its remedy."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem of a store, found by a check.

    `remedy` says what `--fix` does or, if it cannot repair it, what to do. `is_wrong` is true for
    errors and false for warnings.
    """

    check: str
    where: str
    what: str
    remedy: str
    is_wrong: bool = True
    fix: Callable[[], None] | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the finding as `doctor --json` shows it."""
        return {
            "check": self.check,
            "where": self.where,
            "what": self.what,
            "remedy": self.remedy,
            "wrong": self.is_wrong,
            "fixable": self.fix is not None,
        }
