"""Permissions of a dashboard: who may see it, and which changes of the store it refuses."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analysis.dashboard.guard.error_pages import HttpError

if TYPE_CHECKING:
    from analysis.dashboard.guard.requests import Request

MAX_BODY_BYTES = 2**20
"""The largest body that any request may have."""
SAFE = ("GET", "HEAD")
CHANGING = ("POST", "PUT", "PATCH", "DELETE")
NOT_ALLOWED = ("OPTIONS", "TRACE", "CONNECT")
READ_ONLY = "This dashboard is read-only: start it with --allow-edit to change the store."
NO_RENAME = (
    "Renaming here would copy the study, delete it, and so take it from its workers. "
    "`convsearch study fork` creates a study of another name."
)
NO_UPGRADE = "Tables are not upgraded here: stop the workers, then run `convsearch doctor --fix`."
NO_FILES = "Pictures are drawn on request: files can be neither added nor deleted."


@dataclass(frozen=True, slots=True)
class Access:
    """Who may see a dashboard, and whether they may change its store.

    Without a `token`, every client that reaches the server is admitted. `hosts` are the names,
    beside those of the loopback, that requests may give in `Host`; None allows any. They are
    required without a token: another site could resolve its own name to this machine, and its
    pages would then count as ours (DNS rebinding).
    """

    token: str | None = field(repr=False)
    allows_edit: bool
    hosts: frozenset[str] | None


def check_change(request: "Request", *, allows_edit: bool) -> None:
    """Raise an `HttpError` with the reason if a request that changes something is not allowed."""
    if not allows_edit:
        raise HttpError(403, READ_ONLY)
    if request.method in NOT_ALLOWED:
        allowed = ("Allow", ", ".join((*SAFE, *CHANGING)))
        raise HttpError(405, "This method is not allowed.", allowed)
    if not request.is_same_origin:
        raise HttpError(403, "Only pages of this dashboard may change the store.")
    if request.segments[:2] == ("api", "artifacts"):
        raise HttpError(403, NO_FILES)
    if request.segments[-1] == "rename":
        raise HttpError(403, NO_RENAME)
    if request.segments[0] == "incompatible-rdb-schema":
        raise HttpError(403, NO_UPGRADE)
