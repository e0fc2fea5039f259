"""A finding of `convsearch doctor`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem of a store: an error if `is_wrong`, else a warning.

    `check` names the check in a word or two. `remedy` says what `--fix` does or, if it can do
    nothing, what to do. `fix` repairs it.
    """

    check: str
    where: str
    what: str
    remedy: str
    is_wrong: bool = True
    fix: Callable[[], None] | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the finding's part of the document of `doctor --json`."""
        return {
            "check": self.check,
            "where": self.where,
            "what": self.what,
            "remedy": self.remedy,
            "wrong": self.is_wrong,
            "fixable": self.fix is not None,
        }
