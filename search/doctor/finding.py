"""A finding of the doctor: what is wrong, where, and what can be done about it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a store that is, or may become, wrong.

    `check` names the check in a word or two. `remedy` says what `--fix` does or, where it can do
    nothing, what to do. `is_wrong` is true for errors, false for warnings. `fix` repairs it.
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
